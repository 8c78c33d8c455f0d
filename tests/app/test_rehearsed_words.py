"""The words of the playbook language as `quell test` plays them, through what ships."""

from collections.abc import Sequence
from pathlib import Path

from engine.app import Played, play_tests
from engine.settings import load_settings
from tests.cli.project import INVENTORY, Project

# So many that two of them are no more of the fleet than policy lets a run touch.
HOSTS = "".join(
    f"  gpu-{n:02}: {{kind: host, address: 127.0.0.1, connection: ssh-lab}}\n" for n in range(8, 28)
)
PROVEN = """verify:
  - id: answers
    uses: http.request
    with: {method: GET, url: 'http://127.0.0.1:9/healthz'}
    until: result.status == 200
    within: 1m
"""
MENDED = "answers: [{result: {status: 500}}, {result: {status: 200}}]"


async def play(folder: Path, playbook: str, tests: str) -> Sequence[str]:
    """Play the tests of a playbook `words`, whose verification is put behind it."""
    project = Project(folder)
    project.write()
    (folder / "inventory.yaml").write_text(INVENTORY.replace("services:", f"{HOSTS}services:"))
    (folder / "playbooks" / "words.yaml").write_text(
        f"language: 1\nid: words\ndescription: Shows a word\n{playbook}{PROVEN}"
    )
    path = folder / "playbooks" / "words.test.yaml"
    path.write_text(f"language: 1\ntests:\n{tests}")
    played: Sequence[Played] = await play_tests(load_settings(project.config, {}), [path])
    return [f"{each.name}: {found.told}" for each in played for found in each.findings]


LISTED = """parameters:
  hosts: {type: list, items: {type: target, kind: host}}
steps:
  - id: each
    foreach: {in: '${{ params.hosts }}', as: node}
    steps:
      - id: restart
        uses: ssh.run
        with: {host: '${{ node }}', command: restart-unit, args: {unit: vllm}}
        rollback: none
"""


async def test_a_list_is_given_as_one_or_as_a_text(tmp_path: Path) -> None:
    tests = "".join(
        f"""  - name: given as {number}
    by_hand: [{{playbook: words, with: {{hosts: {given}}}}}]
    fakes: {{{MENDED}}}
    expect:
      - at: 2m
        incidents: [{{runs: [{{ran: ['restart[gpu-07]', 'restart[gpu-08]', answers]}}]}}]
"""
        for number, given in enumerate(("[gpu-7, gpu-08]", "'gpu-07,gpu-08'"))
    )
    assert await play(tmp_path, LISTED, tests) == []


async def test_a_list_with_a_wrong_item_starts_nothing(tmp_path: Path) -> None:
    tests = """  - name: one
    by_hand: [{playbook: words, with: {hosts: 'gpu-07,gpu-99'}}]
    expect: [{at: 1m, incidents: []}]
"""
    (told,) = await play(tmp_path, LISTED, tests)
    assert "hosts: item 2: 'gpu-99' is no target of the inventory" in told


STAYS = """temporary: true
keep: the owner looks on Monday
steps:
  - id: restart
    uses: ssh.run
    with: {host: gpu-07, command: restart-unit, args: {unit: vllm}}
    rollback: none
"""


async def test_what_stays_is_left_to_do_only_where_it_helped(tmp_path: Path) -> None:
    tests = "".join(
        f"""  - name: {outcome}
    by_hand: [{{playbook: words}}]
    fakes: {{{fakes}}}
    expect:
      - at: 5m
        incidents: [{{runs: [{{outcome: {outcome}, left_to_do: {left}}}]}}]
"""
        for outcome, left, fakes in (
            ("succeeded", "true", MENDED),
            ("failed", "false", "answers: [{result: {status: 500}}]"),
        )
    )
    assert await play(tmp_path, STAYS, tests) == []
    told = await play(tmp_path, STAYS, tests.replace("left_to_do: true", "left_to_do: false"))
    assert "expected left_to_do: false, it is true" in told[0]


GIVES = """parameters:
  host: {type: target, kind: host}
outputs: {host: '${{ params.host }}', status: '${{ steps.answers.status }}'}
steps:
  - id: restart
    uses: ssh.run
    with: {host: '${{ params.host }}', command: restart-unit, args: {unit: vllm}}
    rollback: none
"""


async def test_what_a_playbook_gives_is_expected_by_name(tmp_path: Path) -> None:
    tests = f"""  - name: one
    by_hand: [{{playbook: words, with: {{host: gpu-07}}}}]
    fakes: {{{MENDED}}}
    expect:
      - at: 5m
        incidents: [{{runs: [{{outputs: {{host: gpu-07, status: 200}}}}]}}]
"""
    assert await play(tmp_path, GIVES, tests) == []
    (told,) = await play(
        tmp_path, GIVES, tests.replace("gpu-07, status: 200", "gpu-07, status: 500")
    )
    assert "'status': 200" in told


HALFWAY = """steps:
  - id: restart
    uses: ssh.run
    with: {host: gpu-07, command: restart-unit, args: {unit: vllm}}
    rollback: none
  - id: further
    ask: {question: Was it enough?, choices: ['enough', 'more']}
  - id: again
    if: steps.further.answer == "more"
    uses: ssh.run
    with: {host: gpu-07, command: restart-unit, args: {unit: vllm}}
    rollback: none
"""


async def test_a_question_between_steps_is_answered_by_the_test(tmp_path: Path) -> None:
    tests = "".join(
        f"""  - name: {name}
    by_hand: [{{playbook: words}}]
    fakes: {{{MENDED}}}
    {answers}
    expect:
      - at: 20m
        incidents: [{{runs: [{{outcome: {outcome}, ran: {ran}}}]}}]
"""
        for name, answers, outcome, ran in (
            ("more", "answers: {further: more}", "succeeded", "[restart, again, answers]"),
            ("enough", "answers: {further: enough}", "succeeded", "[restart, answers]"),
            ("nobody", "", "partial", "[restart]"),
        )
    )
    assert await play(tmp_path, HALFWAY, tests) == []
