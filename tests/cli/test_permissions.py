"""`quell permissions` on the terminal and for programs."""

import json
from pathlib import Path

import pytest

from engine.cli.main import execute
from tests.cli.project import Project
from tests.services.process import program, run

LINE = "quell ALL=(root) NOPASSWD: /usr/bin/systemctl ^restart vllm$"


def permissions(project: Project, *words: str) -> int:
    return execute(["permissions", *words, "--config", str(project.config)])


def restart_by(project: Project, argv: str) -> None:
    """The project's own `restart-unit`, in place of the shipped one."""
    (project.folder / "playbooks" / "commands.yaml").write_text(
        f"language: 1\ncommands:\n  restart-unit:\n    argv: {argv}\n"
        "    args: {unit: {type: string, pattern: '[a-z]+'}}\n    effect: change\n"
        "    repeat: never\n"
    )


def test_the_output_for_a_host_is_its_sudoers_file(
    capsys: pytest.CaptureFixture[str], project: Project, tmp_path: Path
) -> None:
    assert permissions(project, "restart-llm", "--host", "gpu-07") == 0
    text = capsys.readouterr().out
    assert text.splitlines() == [
        "# gpu-07: quell@127.0.0.1",
        "#   change  restart-unit: sudo systemctl restart <unit>",
        "#   probe   restart-unit: systemctl show <unit> --property=InvocationID",
        LINE,
        "",
        "# not told: http.request declares nothing on what it must be permitted",
    ]
    path = tmp_path / "sudoers"
    path.write_text(text)
    run([program("visudo"), "-c", "-f", path])
    assert permissions(project, "restart-llm", "--check", str(path)) == 0


def test_all_that_ships_is_sound_for_visudo(
    capsys: pytest.CaptureFixture[str], project: Project, tmp_path: Path
) -> None:
    assert permissions(project) == 0
    path = tmp_path / "sudoers"
    path.write_text(capsys.readouterr().out)
    run([program("visudo"), "-c", "-f", path])
    assert "clean-model-cache" in path.read_text()


def test_too_much_and_too_little_are_findings(
    capsys: pytest.CaptureFixture[str], project: Project, tmp_path: Path
) -> None:
    path = tmp_path / "sudoers"
    path.write_text("quell ALL=(ALL) NOPASSWD: ALL\n")
    assert permissions(project, "restart-llm", "--check", str(path)) == 1
    assert capsys.readouterr().out.splitlines()[:2] == [
        "too much    quell ALL=(ALL) NOPASSWD: ALL",
        f"too little  {LINE}",
    ]
    assert permissions(project, "restart-llm", "--check", str(path), "--json") == 1
    assert json.loads(capsys.readouterr().out)["too_little"] == [LINE]


def test_the_authorized_commands_are_a_program_that_compares_as_the_same(
    capsys: pytest.CaptureFixture[str], project: Project, tmp_path: Path
) -> None:
    words = ["restart-llm", "--host", "gpu-07", "--authorized-commands"]
    assert permissions(project, *words) == 0
    text = capsys.readouterr().out
    assert text.startswith("#!/bin/sh\n# What quell may run on gpu-07 by SSH")
    restart = "timeout\t-k\t[0-9]+\t[0-9]+\tsudo\tsystemctl\trestart\tvllm"
    assert restart in text.splitlines()
    path = tmp_path / "quell-commands"
    path.write_text(text)
    run(["sh", "-n", path])
    assert permissions(project, "restart-llm", "--check", str(path)) == 0
    capsys.readouterr()
    path.write_text(text.replace("restart\tvllm", "restart\t.*"))
    assert permissions(project, "restart-llm", "--check", str(path), "--json") == 1
    compared = json.loads(capsys.readouterr().out)
    assert compared["too_much"] == [restart.replace("vllm", ".*")]
    assert compared["too_little"] == [restart]


def test_a_command_that_no_pattern_says_is_told_beside_the_program(
    capsys: pytest.CaptureFixture[str], project: Project
) -> None:
    restart_by(project, """[echo, '${{ args.unit + "x" }}']""")
    assert permissions(project, "restart-llm", "--authorized-commands") == 0
    shown = capsys.readouterr()
    assert "timeout" not in shown.out.partition("COMMANDS'")[2].partition("COMMANDS")[0]
    assert "not told    command restart-unit: no pattern can say it" in shown.err


def test_a_line_break_in_a_command_begins_no_line_of_sudoers(
    capsys: pytest.CaptureFixture[str], project: Project
) -> None:
    restart_by(project, r'[echo, "a\nb ALL=(ALL) ALL", "${{ args.unit }}"]')
    assert permissions(project, "restart-llm") == 0
    lines = capsys.readouterr().out.splitlines()
    assert "#   change  restart-unit: echo a b ALL=(ALL) ALL <unit>" in lines
    assert not any(line.startswith("b ") for line in lines)


def test_to_observe_only_reads_are_permitted(
    capsys: pytest.CaptureFixture[str], project: Project
) -> None:
    assert permissions(project, "restart-llm", "--mode", "observe", "--json") == 0
    assert json.loads(capsys.readouterr().out)["hosts"] == []
    assert permissions(project, "--mode", "observe", "--json") == 0
    (host,) = json.loads(capsys.readouterr().out)["hosts"]
    assert host["host"] == "gpu-07"
    assert {each["effect"] for each in host["commands"]} == {"read"}
    reads = {each["argv"][1] for each in host["commands"] if each["argv"][0] == "sudo"}
    permitted = {line.split(": ")[1].split()[0] for line in host["sudoers"]}
    assert {path.rpartition("/")[2] for path in permitted} == {
        path.rpartition("/")[2] for path in reads
    }


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["restart-lm"], "unknown playbook 'restart-lm'"),
        (["--host", "gpu-99"], "nothing runs on 'gpu-99'; there is gpu-07"),
        (["--check", "nowhere"], "nowhere can't be read"),
    ],
)
def test_what_is_not_there_is_a_mistake_of_usage(
    capsys: pytest.CaptureFixture[str], project: Project, words: list[str], problem: str
) -> None:
    assert permissions(project, *words) == 2
    assert problem in capsys.readouterr().err
