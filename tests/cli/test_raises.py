"""A raised mode, shown and confirmed by another person, on an engine that works meanwhile."""

import json
from pathlib import Path

import pytest

from engine.cli.main import execute
from engine.cli.server_file import running_engine
from tests.cli.project import RULES, SETTINGS, Project
from tests.services.process import Process, wait_until

# Three times what a look at the files may take.
TAKEN_UP_WITHIN_S = 15.0
TOKEN = "the-token-of-bea"
OWN = SETTINGS.replace("oncall: [", "oncall: ['token:bea', ") + (
    f"policy: policy.yaml\naccess: {{tokens: {{bea: {TOKEN}}}}}\n"
)


def ordered(project: Project, *words: str) -> int:
    return execute(["raises", *words, "--data", str(project.data)])


def test_a_raise_waits_until_somebody_else_confirms_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(tmp_path)
    project.write()
    project.config.write_text(OWN)
    (tmp_path / "policy.yaml").write_text("language: 1\nsecond_person_for: [auto]\n")
    process: Process = project.engine()
    process.start(project.is_up)
    try:
        assert ordered(project, "show") == 0
        assert capsys.readouterr().out == "nothing waits for a second person\n"
        assert ordered(project, "confirm", "abcdef") == 2
        raised = RULES.replace("mode: approve", "mode: auto")
        (tmp_path / "rules" / "llm.yaml").write_text(raised)

        def waits() -> bool:
            capsys.readouterr()
            assert ordered(project, "show", "--json") == 0
            shown = capsys.readouterr().out
            return bool(json.loads(shown)["raised"])

        wait_until(waits, "a raise that waits", TAKEN_UP_WITHIN_S)
        assert ordered(project, "show") == 0
        head, line = capsys.readouterr().out.splitlines()
        assert line == "  rule endpoint-down: auto, and keeps approve"
        version = head.partition(",")[0]
        assert ordered(project, "confirm", version) == 1
        assert "another person has to confirm it" in capsys.readouterr().err

        running = running_engine(project.data)
        assert running is not None
        monkeypatch.setenv("QUELL_SERVER", running.url)
        monkeypatch.setenv("QUELL_TOKEN", TOKEN)
        assert ordered(project, "confirm", version, "--reason", "reviewed") == 0
        log = project.folder / "engine.log"
        wait_until(
            lambda: "raise_confirmed" in log.read_text(), "a confirmed raise", TAKEN_UP_WITHIN_S
        )
        assert TOKEN not in log.read_text()
    finally:
        process.stop()
