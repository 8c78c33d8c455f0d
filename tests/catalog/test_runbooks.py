"""A runbook says what runs: every word of the playbook, and the exact commands."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from connectors import registry
from engine.catalog import CatalogSources, load_catalog, shipped_folder
from engine.catalog.runbooks import MARK, PastRun, Runbooks

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PLAYBOOK = """\
language: 1
id: mend
description: Mend | it
max_mode: approve
parameters:
  host: {type: target, kind: host, description: what is mended}
  days: {type: integer, default: 7, minimum: 1, maximum: 30}
  least: {type: number, default: 1.5, minimum: 0.5}
  keep: {type: string, default: '', description: a name}
guards:
  lock: {per: service}
  cooldown: {for: 15m}
  blast_radius: {group: '${{ target(params.host).service }}', max_unavailable: 1}
approval: {from: [role:oncall], expires: 10m, always: true}
steps:
  - id: restart
    description: Begin anew
    uses: ssh.run
    with: {host: '${{ params.host }}', command: restart-unit, args: {unit: vllm}}
    if: params.days > 3
    rollback:
      - id: again
        uses: ssh.run
        with: {host: '${{ params.host }}', command: restart-unit, args: {unit: older}}
verify:
  - id: since
    uses: ssh.read
    with: {host: '${{ params.host }}', command: days-ago, args: {days: '${{ params.days }}'}}
    until: result.exit_code == 0
    within: 1m
  - id: answers
    uses: llm.complete
    with: {target: '${{ params.host }}', model: llama, max_tokens: 5}
    until: result.ok
    within: 1m
"""
RULES = """\
language: 1
rules:
  - id: broken
    description: It is broken
    matchers: ['alertname=~"A|B"']
    when: alert.region == "eu"
    severity: [{when: alert.team == "a", is: P1}, {is: P2}]
    mode: suggest
    playbook: mend
    with: {host: '${{ alert.target }}'}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mend.yaml").write_text(PLAYBOOK)
    (tmp_path / "rules.yaml").write_text(RULES)
    return tmp_path


def pages(folder: Path, runs: Sequence[PastRun] | None = None) -> Mapping[str, str]:
    sources = CatalogSources(
        rules=[folder / "rules.yaml"],
        playbooks=sorted(folder.glob("*mend.yaml")),
        commands=[shipped_folder() / "playbooks" / "commands.yaml"],
    )
    declared = registry.declarations()
    return Runbooks(load_catalog(sources, declared), declared, runs).pages()


@pytest.mark.parametrize(
    "line",
    [
        '| broken | It is broken | `alertname=~"A\\|B"`, `alert.region == "eu"` '
        '| P1 where `alert.team == "a"`, else P2 | suggest |',
        "By hand: `quell run mend -p host=…`",
        "| `host` | target `{kind: host}` | **needed** | what is mended |",
        "| `days` | integer `{minimum: 1, maximum: 30}` | `7` |  |",
        "| `least` | number `{minimum: 0.5}` | `1.5` |  |",
        "| `keep` | string | empty | a name |",
        "- `lock: {per: service, on_busy: queue}` no other run is at work on the same target; "
        "else it waits, 30m at most. no other run is at work on the same service; else it waits, "
        "30m at most",
        "- `cooldown: {for: 15m, per: target}` 15m since the end of the last run of mend on the "
        "same target; else it is skipped",
        "- `blast_radius: {group: '${{ target(params.host).service }}', max_unavailable: 1}` at "
        "most 1 of <target(params.host).service> unavailable at once; else it waits, 30m at most",
        "- `max_mode: approve` the most that any rule may do with it",
        "1. **restart**: Begin anew",
        "   - `sudo systemctl restart vllm` on `<host>` (change, restart-unit)",
        "   - if: `params.days > 3`",
        "   - `rollback`:",
        "     1. **again**",
        "        - `sudo systemctl restart older` on `<host>` (change, restart-unit)",
        "   - `date --date '<days> days ago' +@%s` on `<host>` (read, days-ago)",
        "   - `llm.complete target=<host> model=llama max_tokens=5`",
        "   - until: `result.ok`",
    ],
)
def test_a_page_says(folder: Path, line: str) -> None:
    assert line in pages(folder)["mend.md"].splitlines()


FLOW = PLAYBOOK.replace("id: mend\n", "id: all-mend\n").replace(
    PLAYBOOK[PLAYBOOK.index("steps:") : PLAYBOOK.index("verify:")],
    """steps:
  - id: each
    foreach: {in: [gpu-07], as: node}
    steps:
      - {id: settle, wait: 30s}
      - {id: mend, call: mend, with: {host: '${{ node }}'}}
""",
)


@pytest.mark.parametrize(
    "line",
    [
        "   - foreach: `{in: [gpu-07], as: node, serial: 1, stop_after_failures: 1}`",
        "     1. **settle**",
        "        - wait: `30s`",
        "     2. **mend**",
        "        - call: `mend`",
        "        - with: `{host: '${{ node }}'}`",
    ],
)
def test_a_page_says_what_stands_instead_of_an_action(folder: Path, line: str) -> None:
    (folder / "all-mend.yaml").write_text(FLOW)
    assert line in pages(folder)["all-mend.md"].splitlines()


def test_the_parts_stand_in_the_order_of_the_file(folder: Path) -> None:
    page = pages(folder)["mend.md"].splitlines()
    assert [line[3:] for line in page if line.startswith("## ")] == [
        "When",
        "Parameters",
        "Guards and limits",
        "Steps",
        "Verify",
    ]
    assert page[0] == MARK


def run(outcome: str, minute: int, playbook: str = "mend") -> PastRun:
    return PastRun(playbook, f"INC-{minute}", outcome, NOW.replace(minute=minute))


def test_last_runs_are_told_and_how_often_it_helped(folder: Path) -> None:
    ends = ["succeeded", "failed", "skipped", "succeeded", "not_needed"]
    runs = [run(outcome, 50 - n) for n, outcome in enumerate(ends)]
    found = pages(folder, [*runs, run("failed", 1, "other")])
    page = found["mend.md"]
    assert "Helped: 2 of 3 (67%) of those that changed something." in page
    assert "| 2026-03-01 12:50 | INC-50 | succeeded |" in page
    assert "INC-1 " not in page
    assert "| [mend](mend.md) | Mend \\| it | 2 of 3 (67%) |" in found["README.md"]


def test_without_runs_it_says_so_and_unasked_says_nothing(folder: Path) -> None:
    assert "## Last runs\n\nNone is known.\n" in pages(folder, [])["mend.md"]
    assert "Last runs" not in pages(folder)["mend.md"]


def test_a_playbook_that_no_rule_starts_says_so(folder: Path) -> None:
    (folder / "rules.yaml").write_text("language: 1\nrules: []\n")
    assert "No rule starts it." in pages(folder)["mend.md"]
