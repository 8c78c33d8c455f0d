"""From an action to a playbook that is tested: what is written, and what is refused."""

import pytest

from engine.cli.main import execute
from tests.cli.project import Project


@pytest.mark.parametrize(
    "uses",
    [
        (),
        ("http.request", "llm.complete"),
        ("ssh.run", "prometheus.query"),
        ("ssh.run", "ssh.run", "llm.complete", "ssh.read"),
    ],
    ids=",".join,
)
def test_the_playbook_and_its_tests_hold_and_reach_all_of_it(
    capsys: pytest.CaptureFixture[str], project: Project, uses: tuple[str, ...]
) -> None:
    config = ["--config", str(project.config)]
    words = [word for name in uses for word in ("--uses", name)]
    assert execute(["new", "playbook", "mend-it", *words, *config]) == 0
    folder = project.folder / "playbooks"
    test = folder / "mend-it.test.yaml"
    assert capsys.readouterr().out.splitlines() == [
        f"wrote {folder / 'mend-it.yaml'}",
        f"wrote {test}",
        f"now write a `description`; then: quell test {test} {' '.join(config)}",
    ]
    assert execute(["check", *config]) == 0
    capsys.readouterr()
    assert execute(["test", str(test), "--coverage", *config]) == 0
    (line,) = [each for each in capsys.readouterr().out.splitlines() if "mend-it:" in each]
    reached, _, of, _ = line.removeprefix("playbook mend-it: ").split()
    assert reached == of


def test_the_folder_is_made_and_nothing_is_overwritten(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["new", "playbook", "mend-it", "--playbooks", "mine"]
    assert execute(words) == 0
    assert execute(words) == 2
    assert "there is a playbook 'mend-it' already; choose another ID" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["Mend It"], "'Mend It' is no id"),
        (["restart-llm"], "there is a playbook 'restart-llm' already"),
        (["a", "--uses", "ssh.rum"], "unknown action 'ssh.rum', did you mean 'ssh.run'?"),
        (["a", "--uses", "http.request", "--playbooks", "b"], "write `egress: {allow: [HOST]}`"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else "",
)
def test_what_cannot_be_used_is_told(
    capsys: pytest.CaptureFixture[str], project: Project, words: list[str], told: str
) -> None:
    config = [] if "--playbooks" in words else ["--config", str(project.config)]
    assert execute(["new", "playbook", *words, *config]) == 2
    assert told in " ".join(capsys.readouterr().err.split())


def test_it_can_be_printed_instead(capsys: pytest.CaptureFixture[str], project: Project) -> None:
    config = ["--config", str(project.config)]
    assert execute(["new", "playbook", "mend-it", "--print", *config]) == 0
    out = capsys.readouterr().out
    assert out.startswith("# mend-it.yaml\n")
    assert "\n# mend-it.test.yaml\n" in out
    assert not (project.folder / "playbooks" / "mend-it.yaml").exists()
