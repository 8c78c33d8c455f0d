"""Tests of rules and playbooks are played as they are written."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from engine.app import Played, play_tests
from engine.errors import ConfigError
from engine.settings import load_settings
from tests.cli.project import Project

FIRE = "{at: 0s, fire: a, labels: {alertname: LLMEndpointDown, service: llm-70b, instance: gpu-7}}"


async def test_what_ships_is_as_its_tests_say() -> None:
    played = await play_tests(load_settings(None, {}), ())
    assert len(played) >= 16
    assert [each for each in played if each.findings] == []


async def play(folder: Path, tests: str) -> Sequence[Played]:
    project = Project(folder)
    project.write()
    path = folder / "rules" / "llm.test.yaml"
    path.write_text(f"language: 1\ntests:\n{tests}")
    return await play_tests(load_settings(project.config, {}), [path])


def story(name: str, alerts: str, expect: str, more: str = "") -> str:
    return f"  - name: {name}\n    alerts: [{alerts}]\n{more}    expect: {expect}\n"


RAN = "[{at: 10m, incidents: [{rule: endpoint-down, runs: [%s]}]}]"
BAD, GOOD = "{result: {status: 500}}", "{result: {status: 200}}"


@pytest.mark.parametrize(
    ("more", "run"),
    [
        (
            f"    fakes: {{answers: [{BAD}, {GOOD}]}}\n",
            "{outcome: succeeded, ran: [restart, answers], paged: false}",
        ),
        (f"    fakes: {{answers: [{GOOD}]}}\n", "{outcome: not_needed, ran: []}"),
        (
            f"    fakes: {{answers: [{BAD}], restart: [{{outcome: failed}}]}}\n",
            "{outcome: failed, ran: [restart], paged: true}",
        ),
        (
            f"    fakes: {{answers: [{BAD}], restart: [{{outcome: unknown}}]}}\n",
            "{outcome: unknown, paged: true}",
        ),
        (
            f"    fakes: {{answers: [{BAD}, {GOOD}], restart: [{{outcome: timed_out}}]}}\n",
            "{outcome: unknown, ran: [restart], paged: true}",
        ),
        (
            f"    fakes: {{answers: [{BAD}, {GOOD}], "
            "restart: [{outcome: unknown, probe: done}]}\n",
            "{outcome: succeeded, ran: [restart, answers]}",
        ),
        (
            f"    fakes: {{answers: [{BAD}], "
            "restart: [{outcome: unknown, probe: not_done}, {outcome: failed}]}\n",
            "{outcome: failed, ran: [restart]}",
        ),
        (
            f"    fakes: {{answers: [{BAD}, {GOOD}], restart: [{{outcome: not_begun}}, {{}}]}}\n",
            "{outcome: failed, ran: [restart]}",
        ),
        (
            f"    fakes: {{answers: [{BAD}]}}\n    approval: rejected\n",
            "{outcome: cancelled, ran: []}",
        ),
        (
            f"    fakes: {{answers: [{BAD}]}}\n    approval: nobody\n",
            "{ran: []}",
        ),
    ],
    ids=[
        "mended",
        "not needed",
        "failed",
        "unknown",
        "timed out",
        "was done",
        "was not done",
        "could not begin",
        "rejected",
        "nobody decides",
    ],
)
async def test_runs_end_as_calls_and_people_say(tmp_path: Path, more: str, run: str) -> None:
    (played,) = await play(tmp_path, story("one", FIRE, RAN % run, more))
    assert list(played.findings) == []


TOLD = "[{at: 10m, incidents: [{messages: [%s]}]}]"


async def test_what_people_are_told_is_as_the_test_says(tmp_path: Path) -> None:
    fakes = f"    fakes: {{answers: [{BAD}, {GOOD}]}}\n"
    right = TOLD % "'succeeded: every verification held', 'systemctl restart vllm'"
    (played,) = await play(tmp_path, story("one", FIRE, right, fakes))
    assert list(played.findings) == []
    (other,) = await play(tmp_path, story("one", FIRE, TOLD % "it did not help", fakes))
    (finding,) = other.findings
    assert "no message says 'it did not help'; the latest say: " in finding.message
    (quiet,) = await play(tmp_path, story("one", FIRE, TOLD % "", fakes))
    assert "expected no message" in quiet.findings[0].message


BY_HAND = """\
  - name: one
    by_hand: [{at: 1m, playbook: restart-llm, with: {host: %s}}]
    fakes: {answers: [%s, %s]}
    expect:
      - {at: 59s, incidents: []}
      - {at: 10m, incidents: [{rule: by-hand, runs: [{outcome: succeeded}]}]}
"""


async def test_a_playbook_is_started_by_hand(tmp_path: Path) -> None:
    (played,) = await play(tmp_path, BY_HAND % ("gpu-7", BAD, GOOD))
    assert list(played.findings) == []


TELL = """language: 1
id: tell
description: Tell the balancer
parameters:
  token: {type: secret, pattern: "bal.+"}
steps:
  - id: tell
    uses: http.request
    with: {method: POST, url: 'http://127.0.0.1:9/', body: '${{ params.token }}'}
    rollback: none
verify:
  - id: told
    uses: http.request
    with: {method: GET, url: 'http://127.0.0.1:9/'}
    until: result.ok
    within: 1m
"""
WITH_A_SECRET = """\
  - name: one
    by_hand: [{at: 1m, playbook: tell, with: {token: %s}}]
    fakes: {told: [{result: {ok: false}}, {result: {ok: true}}]}
    expect:
      - {at: 10m, incidents: [{runs: [{outcome: succeeded}]}]}
"""


async def test_a_test_names_a_secret_as_a_person_would(tmp_path: Path) -> None:
    Project(tmp_path).write()
    (tmp_path / "playbooks" / "tell.yaml").write_text(TELL)
    project = Project(tmp_path)
    project.config.write_text(f"{project.config.read_text()}secrets: {{balancer: ba-lancer-1}}\n")
    test = tmp_path / "playbooks" / "tell.test.yaml"
    test.write_text(f"language: 1\ntests:\n{WITH_A_SECRET % 'balancer'}")
    (played,) = await play_tests(load_settings(project.config, {}), [test])
    assert list(played.findings) == []
    test.write_text(f"language: 1\ntests:\n{WITH_A_SECRET % 'balancr'}")
    (played,) = await play_tests(load_settings(project.config, {}), [test])
    assert "'balancr' is none of the `secrets`" in played.findings[0].message


async def test_why_a_playbook_can_not_be_started_is_told_where_it_stands(tmp_path: Path) -> None:
    (played,) = await play(tmp_path, BY_HAND % ("gpu-8", BAD, GOOD))
    (refused, missing) = played.findings
    assert refused.line == 4
    assert "'gpu-8' is no target of the inventory" in refused.message
    assert "expected 1 incident, there are 0" in missing.message


async def test_what_differs_is_told_where_it_is_expected(tmp_path: Path) -> None:
    expect = "[{at: 1m, incidents: [{rule: endpoint-down, severity: P2}]}]"
    (played,) = await play(tmp_path, story("one", FIRE, expect))
    (finding,) = played.findings
    assert (finding.line, finding.message) == (5, "expected P2, it is P1")
    assert finding.file.endswith("llm.test.yaml")


async def test_a_test_sees_each_moment_that_it_asks_for(tmp_path: Path) -> None:
    resolve = "{at: 5m, resolve: a}"
    expect = (
        "[{at: 1m, incidents: [{status: open}]}, {at: 6m, incidents: [{status: resolved}]},"
        " {at: 40m, incidents: [{status: closed}]}]"
    )
    (played,) = await play(tmp_path, story("one", f"{FIRE}, {resolve}", expect))
    assert list(played.findings) == []


async def test_a_wrong_inventory_of_a_test_is_a_mistake_in_its_file(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write()
    path = tmp_path / "rules" / "llm.test.yaml"
    path.write_text(
        "language: 1\ninventory:\n  targets: {gpu-07: {kind: host, service: nowhere}}\n"
        f"tests:\n{story('one', FIRE, '[{incidents: []}]')}"
    )
    with pytest.raises(ConfigError, match=r"llm\.test\.yaml:3:\d+: unknown service 'nowhere'"):
        await play_tests(load_settings(project.config, {}), [path])


FLOW = """language: 1
id: restart-llm
description: Restart the unit that a person names, host after host
parameters:
  host: {type: target, kind: host}
investigate:
  - id: which
    ask: {question: Which unit?, choices: [vllm, tgi]}
steps:
  - id: each
    foreach: {in: ['${{ params.host }}', gpu-08], as: node}
    steps:
      - id: restart
        uses: ssh.run
        with:
          {host: '${{ node }}', command: restart-unit, args: {unit: '${{ steps.which.answer }}'}}
        rollback: none
      - {id: settle, wait: 2m}
verify:
  - id: answers
    uses: http.request
    with: {method: GET, url: 'http://127.0.0.1:9/healthz'}
    until: result.status == 200
    within: 1m
"""


@pytest.mark.parametrize(
    ("more", "at", "run"),
    [
        pytest.param(
            "    answers: {which: tgi}\n",
            "1m",
            "{outcome: null, ran: ['restart[gpu-07]']}",
            id="a wait takes its time",
        ),
        pytest.param(
            "    answers: {which: tgi}\n",
            "5m",
            "{outcome: succeeded, ran: ['restart[gpu-07]', 'settle[batch-1]', 'restart[gpu-08]', "
            "'settle[batch-2]', answers]}",
            id="host after host",
        ),
        pytest.param("", "20m", "{outcome: expired, ran: [], paged: true}", id="nobody answers"),
    ],
)
async def test_the_words_of_the_flow_are_rehearsed(
    tmp_path: Path, more: str, at: str, run: str
) -> None:
    project = Project(tmp_path)
    project.write()
    (tmp_path / "playbooks" / "restart-llm.yaml").write_text(FLOW)
    inventory = tmp_path / "inventory.yaml"
    # So many that two of them are no more of the fleet than policy lets a run touch.
    more_hosts = "".join(
        f"  gpu-{n:02}: {{kind: host, address: 127.0.0.1, connection: ssh-lab}}\n"
        for n in range(8, 28)
    )
    hosts = inventory.read_text().replace("services:", more_hosts + "services:")
    inventory.write_text(hosts)
    fakes = f"    fakes: {{answers: [{BAD}, {GOOD}]}}\n"
    alert = FIRE.replace("gpu-7", "gpu-07")
    expect = (RAN % run.replace("outcome: null, ", "")).replace("10m", at)
    path = tmp_path / "rules" / "llm.test.yaml"
    path.write_text(f"language: 1\ntests:\n{story('one', alert, expect, more + fakes)}")
    (played,) = await play_tests(load_settings(project.config, {}), [path])
    assert list(played.findings) == []
