"""A plan on the terminal is what would be approved."""

import json

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
        "  answers  GET http://127.0.0.1:9/healthz until result.status == 200, within 1",
        "           min",
        "approval",
        "  by  role:oncall, within 10 min",
        "done or undone",
        "  within  60 min of the first attempt",
    ]
    assert max(map(len, lines)) <= 80


def test_how_long_a_verification_must_hold_is_told(
    capsys: pytest.CaptureFixture[str], project: Project
) -> None:
    path = project.folder / "playbooks/restart-llm.yaml"
    path.write_text(path.read_text() + "    stable_for: 30s\n")
    assert plan(project, "restart-llm", "-p", "host=gpu-07") == 0
    assert "within 1 min, stable for 30 s" in " ".join(capsys.readouterr().out.split())


def test_json_holds_the_whole_plan_with_its_hash(
    capsys: pytest.CaptureFixture[str], project: Project
) -> None:
    assert plan(project, "restart-llm", "-p", "host=gpu-07", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [step["id"] for step in found["plan"]["steps"]] == ["restart", "answers"]
    assert len(found["plan_hash"]) == 64
    assert found["holes"] == []
    assert {"mode": "auto", "decided_by": "action ssh.run"} in found["limits"]


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
