"""A plan on the terminal is what would be approved."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from engine.cli.main import execute
from tests.cli.project import Project


def plan(project: Project, *words: str) -> int:
    return execute(["plan", "--config", str(project.config), *words])


def test_the_plan_reads_well_in_eighty_columns(
    capsys: pytest.CaptureFixture[str], project: Project
) -> None:
    assert plan(project, "restart-llm", "-p", "host=gpu-07") == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first.startswith("plan ")
    assert first.endswith(" of playbook restart-llm")
    assert lines[: lines.index("mode: approve at most")] == [
        "parameters",
        "  host  gpu-07",
        "change",
        "  restart  gpu-07$ sudo systemctl restart vllm",
        "verify",
        "  answers  GET http://127.0.0.1:9/healthz",
        "           until result.status == 200, within 1m",
        "roll back",
        "  none  of restart: what it changed stays",
        "guards, before the first change",
        "  lock               no other run is at work on gpu-07; else it waits, 30m at",
        "                     most",
        "  changes            at most 1 run of all playbooks together on llm-70b within",
        "                     15m; else it waits, 30m at most (policy)",
        "  fleet unavailable  at most 1 (10%) of the one target of the fleet unavailable",
        "                     at once, and this touches 1 (gpu-07); else it waits, 30m at",
        "                     most (policy)",
        "  others at work     nobody else changed gpu-07, or llm-70b as a whole within",
        "                     30m; else it asks, in auto too",
        "  storm brake        incidents opened on fewer than 5 services within 5m; else a",
        "                     run in auto asks, until `quell brake lift` (policy)",
        "approval",
        "  by  role:oncall, within 10m",
        "done or undone",
        "  within  1h of the first attempt",
    ]
    assert max(map(len, lines)) <= 80


def test_how_long_a_verification_must_hold_is_told(
    capsys: pytest.CaptureFixture[str], project: Project
) -> None:
    path = project.folder / "playbooks/restart-llm.yaml"
    path.write_text(path.read_text() + "    stable_for: 30s\n")
    assert plan(project, "restart-llm", "-p", "host=gpu-07") == 0
    assert "within 1m, stable for 30s" in " ".join(capsys.readouterr().out.split())


def test_json_holds_the_whole_plan_with_its_hash(
    capsys: pytest.CaptureFixture[str], project: Project
) -> None:
    assert plan(project, "restart-llm", "-p", "host=gpu-07", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [step["id"] for step in found["plan"]["steps"]] == ["restart", "answers"]
    assert len(found["plan_hash"]) == 64
    assert found["holes"] == []
    assert found["investigation"] == []
    assert [(each["guard"], each["then"], each["by"]) for each in found["guards"]] == [
        ("lock", "wait", "quell"),
        ("changes", "wait", "policy"),
        ("fleet_unavailable", "wait", "policy"),
        ("others_at_work", "ask", "quell"),
        ("storm_brake", "ask", "policy"),
    ]
    assert found["guards"][2]["figures"] == {
        "of": "",
        "size": 1,
        "at_most": 1,
        "touches": ["gpu-07"],
        "batches": 1,
    }
    (host,) = found["permissions"]["hosts"]
    assert (host["host"], host["sudoers"]) == (
        "gpu-07",
        ["quell ALL=(root) NOPASSWD: /usr/bin/systemctl ^restart vllm$"],
    )
    assert {"mode": "auto", "decided_by": "action ssh.run"} in found["limits"]


FLEET = """\
language: 1
targets:
  gpu-07: {kind: host, address: 127.0.0.1, port: 8000, connection: lab, service: llm-70b}
  gpu-08: {kind: host, address: 127.0.0.2, port: 8000, connection: lab, service: llm-70b}
  gpu-09: {kind: host, address: 127.0.0.3, port: 8000, connection: lab, service: llm-70b}
  lb-1: {kind: host, address: 127.0.0.9, connection: lab, service: gw}
services:
  llm-70b: {environment: production, team: inference, depends_on: [gw]}
  gw: {environment: production}
connections:
  lab: {uses: ssh, user: quell, known_hosts: known_hosts, client_key: key, bastion: jump}
"""
POLICY = """\
language: 1
calendars: {always: {intervals: [{}]}}
freezes: [{id: audit, calendar: always, policy: defer, why: the audit is on}]
"""
ROLL = """\
language: 1
id: roll
description: Restart several, two at a time
parameters:
  hosts: {type: list, items: {type: target, kind: host}}
guards: {blast_radius: {group: llm-70b, max_unavailable: 1}}
investigate:
  - id: unit
    ask: {question: 'Which unit is it?', choices: [vllm, tgi], expires: 5m}
  - id: gpu
    uses: ssh.read
    with: {host: '${{ params.hosts[0] }}', command: gpu-state}
    required: false
steps:
  - id: each
    foreach: {in: '${{ params.hosts }}', as: node, serial: 2}
    steps:
      - id: restart
        uses: ssh.run
        with: {host: '${{ node }}', command: restart-unit, args: {unit: vllm}}
        rollback: none
  - id: further
    ask: {question: 'Did that help?', choices: [enough, more]}
  - id: other
    if: steps.further.answer == "more"
    uses: ssh.run
    with:
      host: '${{ params.hosts[0] }}'
      command: restart-unit
      args: {unit: '${{ steps.unit.answer }}'}
    rollback: none
verify:
  - id: up
    uses: ssh.read
    with: {host: '${{ params.hosts[0] }}', command: unit-state, args: {unit: vllm}}
    until: result.exit_code == 0
    within: 1m
"""


def parts(
    capsys: pytest.CaptureFixture[str], project: Project, *words: str
) -> Mapping[str, list[str]]:
    """The lines of a plan below each heading, as a terminal of 80 columns shows them."""
    (project.folder / "inventory.yaml").write_text(FLEET)
    assert plan(project, *words) == 0
    found: dict[str, list[str]] = {}
    for line in capsys.readouterr().out.splitlines():
        assert len(line) <= 80
        if line.startswith("  "):
            found[list(found)[-1]].append(line)
        else:
            found[line] = []
    return found


RESTART = ("restart-vllm", "-p", "host=gpu-07", "-p", "model=llama")
DRAIN = ("drain-host", "-p", "host=gpu-07", "-p", "balancer=lb-1", "-p", "pool=llm")
PATCH = (
    *("patch-host", *DRAIN[1:], "-p", "package=vllm", "-p", "version=1.1", "-p", "model=llama"),
    *("-p", "url=http://gpu-07:8000/health"),
)
ROLL_ALL = ("roll", "-p", "hosts=gpu-07,gpu-08,gpu-09")


GUARDS = "guards, before the first change"


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(RESTART, id="a simple one"),
        pytest.param(DRAIN, id="each step undone in its way"),
        pytest.param(ROLL_ALL, id="batches, and questions before and between"),
    ],
)
def test_a_whole_plan_reads_well(
    capsys: pytest.CaptureFixture[str], project: Project, words: Sequence[str]
) -> None:
    (project.folder / "playbooks/roll.yaml").write_text(ROLL)
    wanted = (Path(__file__).parent / "plans" / f"{words[0]}.txt").read_text()
    found = parts(capsys, project, *words)
    told = [each for heading, lines in found.items() for each in (heading, *lines)]
    assert told[1:] == wanted.splitlines()


@pytest.mark.parametrize(
    ("words", "guards"),
    [
        pytest.param(
            ROLL_ALL,
            [
                "blast radius at most 1 of the 3 targets of llm-70b unavailable at once, and this "
                "touches 2 at a time, in 2 batches: too many, so it can't begin"
            ],
            id="a batch larger than may be",
        ),
        pytest.param(
            PATCH,
            [
                "blast radius at most 1 of the 3 targets of llm-70b unavailable at once, and this "
                "touches 1 (gpu-07); else it waits, 30m at most",
                "lock no other run is at work on any of gw, llm-70b; else it waits, 30m at most",
                "budget at most 1 run of patch-host on each of gpu-07, lb-1 within 1d; else it is "
                "skipped",
                "freeze audit (the audit is on) in force until somebody ends it: it waits, 1d at "
                "most (policy)",
            ],
            id="several targets and services, and a freeze",
        ),
    ],
)
def test_a_guard_tells_the_figures_of_these_targets(
    capsys: pytest.CaptureFixture[str],
    project: Project,
    words: Sequence[str],
    guards: Sequence[str],
) -> None:
    (project.folder / "playbooks/roll.yaml").write_text(ROLL)
    (project.folder / "policy.yaml").write_text(POLICY)
    project.config.write_text(project.config.read_text() + "policy: policy.yaml\n")
    told = " ".join(" ".join(parts(capsys, project, *words)[GUARDS]).split())
    assert [each for each in guards if each not in told] == []


def test_the_secrets_that_it_is_given_are_named(
    capsys: pytest.CaptureFixture[str], project: Project
) -> None:
    path = project.folder / "playbooks/restart-llm.yaml"
    token = "parameters:\n  token: {type: secret, default: balancer}\n"
    text = path.read_text().replace("parameters:\n", token)
    header = "headers: {authorization: 'Bearer ${{ params.token }}'}, method: GET"
    path.write_text(text.replace("method: GET", header))
    project.config.write_text(project.config.read_text() + "secrets: {balancer: ba-lancer-1}\n")
    found = parts(capsys, project, "restart-llm", "-p", "host=gpu-07")
    assert "  secrets   balancer" in found["permissions"]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        pytest.param(["restart-lm"], "did you mean 'restart-llm'?", id="playbook"),
        pytest.param(["restart-llm"], "host: is required", id="missing"),
        pytest.param(["restart-llm", "-p", "host=gpu-8"], "did you mean 'gpu-7'?", id="target"),
    ],
)
def test_a_plan_that_cannot_be_made_says_why(
    capsys: pytest.CaptureFixture[str], project: Project, words: list[str], problem: str
) -> None:
    assert plan(project, *words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert problem in err


def test_what_has_to_be_investigated_is_a_hole(
    capsys: pytest.CaptureFixture[str], project: Project
) -> None:
    playbooks, inventory = project.folder / "playbooks", project.folder / "inventory.yaml"
    project.config.unlink()
    words = ["plan", "--playbooks", str(playbooks), "--inventory", str(inventory)]
    assert execute([*words, "restart-llm", "-p", "host=gpu-07"]) == 0
    lines = capsys.readouterr().out.splitlines()
    hole = lines.index("can't be planned before it is investigated, if at all")
    assert lines[hole + 1].startswith("  ?  step answers: ")
    assert "egress" in " ".join(lines[hole + 1 : hole + 3])


def test_a_list_is_given_as_text_and_shown_as_one(
    capsys: pytest.CaptureFixture[str], project: Project
) -> None:
    path = project.folder / "playbooks/restart-llm.yaml"
    units = "{type: list, items: {type: string, pattern: '[a-z-]+'}, default: [vllm]}"
    several = f"parameters:\n  units: {units}\n"
    path.write_text(path.read_text().replace("parameters:\n", several))
    assert plan(project, "restart-llm", "-p", "host=gpu-07", "-p", "units=vllm,tgi") == 0
    assert "  units  vllm, tgi" in capsys.readouterr().out.splitlines()
    assert plan(project, "restart-llm", "-p", "host=gpu-07", "-p", "units=vllm,TGI") == 2
    assert "units: item 2: 'TGI' doesn't match the pattern" in capsys.readouterr().err
