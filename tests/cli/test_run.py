"""A run by hand on the terminal: news, the question, the end."""

import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from typing_extensions import override

from engine.cli.main import execute
from engine.cli.run import Decision, follow
from engine.ports.api import IncidentStory
from tests.cli.project import Project


class Endpoint(BaseHTTPRequestHandler):
    """Answers 200 under /well and 503 elsewhere."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/well" else 503)
        self.end_headers()

    @override
    def log_message(self, format: str, *args: object) -> None: ...


class Terminal(io.StringIO):
    """Standard input of a person who types this."""

    @override
    def isatty(self) -> bool:
        return True


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """An engine with playbooks whose verification asks an endpoint of this test."""
    made = Project(tmp_path_factory.mktemp("run"))
    made.write()
    with ThreadingHTTPServer(("127.0.0.1", 0), Endpoint) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        address = f"127.0.0.1:{server.server_port}"
        made.config.write_text(made.config.read_text().replace("127.0.0.1:9", address))
        playbook = made.folder / "playbooks/restart-llm.yaml"
        text = playbook.read_text().replace("127.0.0.1:9/healthz", f"{address}/ill")
        # A decision that doesn't arrive fails a test instead of holding it up.
        text = text.replace("expires: 10m", "expires: 20s")
        playbook.write_text(text)
        well = text.replace("restart-llm", "restart-well").replace("/ill", "/well")
        (playbook.parent / "restart-well.yaml").write_text(well)
        engine = made.engine()
        engine.start(made.is_up)
        yield made
        engine.stop()
        server.shutdown()
        thread.join()


def run(site: Project, *words: str) -> int:
    return execute(["run", *words, "-p", "host=gpu-07", "--data", str(site.data)])


def test_what_is_well_already_needs_no_run(
    capsys: pytest.CaptureFixture[str], site: Project
) -> None:
    assert run(site, "restart-well", "--reason", "to be sure") == 0
    out = capsys.readouterr().out
    assert "restart  gpu-07$ sudo systemctl restart vllm" in out
    assert "run not needed: " in out
    assert max(map(len, out.splitlines())) <= 80


def test_a_dry_run_looks_and_plans_and_asks_nobody(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, site: Project
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    assert run(site, "restart-llm", "--dry-run") == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "restart gpu-07$ sudo systemctl restart vllm" in out
    assert "run skipped: dry run, nothing was changed; it would ask role:oncall to approve" in out
    assert "Approve" not in out


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        pytest.param("n\n", ["rejected by local:", "run cancelled"], id="no"),
        pytest.param("y\n", ["approved by local:", "run failed"], id="yes"),
    ],
)
def test_the_terminal_asks_and_obeys(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    site: Project,
    typed: str,
    words: list[str],
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    assert run(site, "restart-llm") == 3
    out = capsys.readouterr().out
    plan, _, end = out.partition("Approve this plan? [y/N]: ")
    assert "restart  gpu-07$ sudo systemctl restart vllm" in plan
    for word in words:
        assert word in end


def test_without_a_terminal_it_waits_for_a_decision_elsewhere(
    capsys: pytest.CaptureFixture[str], site: Project
) -> None:
    """Somebody decides between the look that saw the question and the next one."""
    with site.client() as client:
        started = client.run_playbook("restart-llm", {"host": "gpu-07"})
        seen: list[str] = []

        def look(after: int) -> IncidentStory:
            if seen[-1:] == ["awaiting_approval"] and seen.count("awaiting_approval") == 1:
                asked = client.approval(started.id)
                client.decide(asked.id, "reject", plan_hash=asked.plan_hash)
            story = client.incident(started.id, cursor=str(after))
            seen.append(story.phase)
            return story

        story = follow(look, lambda *_: None, quiet=False)
    assert story.outcome == "cancelled"
    out = capsys.readouterr().out
    assert f"waiting: quell approve {story.name}, or quell reject {story.name}\n" in out
    assert "run cancelled" in out


def test_a_decision_that_came_first_is_told_and_the_run_is_followed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, site: Project
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    with site.client() as client:
        started = client.run_playbook("restart-llm", {"host": "gpu-07"})

        def decide(decision: Decision, plan_hash: str) -> None:
            asked = client.approval(started.id)
            client.decide(asked.id, "reject", plan_hash=asked.plan_hash)
            client.decide(asked.id, decision, plan_hash=plan_hash)

        story = follow(
            lambda after: client.incident(started.id, cursor=str(after)), decide, quiet=False
        )
    assert story.outcome == "cancelled"
    assert "Already rejected by local:" in capsys.readouterr().out


def test_json_is_the_story_at_the_end(capsys: pytest.CaptureFixture[str], site: Project) -> None:
    assert run(site, "restart-well", "--json") == 0
    out, err = capsys.readouterr()
    assert err == ""
    story = json.loads(out)
    assert story["outcome"] == "not_needed"
    assert story["timeline"][0]["kind"] == "incident.opened@1"


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        pytest.param(["restart-lm"], "did you mean 'restart-llm'?", id="playbook"),
        pytest.param(["restart-llm", "-p", "unit=x"], "unknown parameter 'unit'", id="parameter"),
    ],
)
def test_what_cannot_start_says_why(
    capsys: pytest.CaptureFixture[str], site: Project, words: list[str], problem: str
) -> None:
    assert run(site, *words) == 2
    assert problem in capsys.readouterr().err


def test_without_an_engine_nothing_runs(
    capsys: pytest.CaptureFixture[str], stopped: Project
) -> None:
    assert run(stopped, "restart-llm") == 3
    assert "start one with `quell up`" in capsys.readouterr().err
