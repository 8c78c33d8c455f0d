"""The whole demo as a process: what it shows, what it leaves, and how it ends."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.demo.demos import QUELL, Told, tell, tell_on_a_terminal

# What fails here fails only for the wait after the approval: the repair itself succeeds.
IMPATIENT = """
import sys
from engine.cli.main import execute
from engine.demo import story, workspace

decide = story.Story._decide

async def decide_in_a_hurry(self, asked):
    story.STAGE_DEADLINE_S = 8.0
    return await decide(self, asked)

story.Story._decide = decide_in_a_hurry
workspace.DEMO_PATIENCE = "    every: 1s\\n    stable_for: 4m\\n"
sys.exit(execute(["demo", "--yes"]))
"""


@pytest.fixture(scope="module")
def told() -> Iterator[Told]:
    told = tell("--yes", "--keep")
    yield told
    shutil.rmtree(told.folder)


@pytest.fixture(scope="module")
def rejected() -> Iterator[Told]:
    told = tell_on_a_terminal(b"n\n", "--keep")
    yield told
    shutil.rmtree(told.folder)


def quell(*arguments: str, told: Told) -> "subprocess.CompletedProcess[str]":
    argv = [*QUELL, *arguments, "--data", str(told.folder / "data")]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60)


def story_of(told: Told) -> dict[str, Any]:
    found = json.loads(quell("incidents", "show", "INC-1", "--json", told=told).stdout)
    assert isinstance(found, dict)
    return found


def entries(told: Told, kind: str) -> list[dict[str, Any]]:
    return [each for each in story_of(told)["timeline"] if each["kind"] == kind]


def test_it_ends_well_and_complains_of_nothing(told: Told) -> None:
    assert (told.code, told.errors) == (0, "")


def test_each_stage_is_shown_in_its_order(told: Told) -> None:
    assert told.stages == [
        "A service that works",
        "It dies",
        "The alert",
        "Detection and classification",
        "Investigation: look before you touch",
        "Plan: exactly what would be done",
        "Approval: a person decides",
        "Repair over SSH",
        "Verification: does it really serve again?",
        "The host's own log agrees",
        "Resolution",
        "Postmortem: what is left for people",
        "Audit: is the journal what was written?",
        "What to try next",
    ]


@pytest.mark.parametrize(
    "shown",
    [
        'matched alertname="LLMEndpointDown"',
        'P1 because alert.environment == "production"',
        "decided by rule vllm-not-answering",
        "demo-host$ sudo systemctl restart vllm",
        "This demo host has no GPU",
        "ended by SIGKILL",
        "completion   fails: ConnectError",
        "'Ready. A fixed answer: no model runs here.' in ",
        "approved by demo via demo: the demo's own answer: --yes was given",
        "run          succeeded",
        "incident     resolved",
        "# INC-1 (P1)",
        "chains: all are as they were written",
    ],
)
def test_what_matters_is_shown(told: Told, shown: str) -> None:
    assert shown in told.output


def test_the_hash_that_was_approved_is_the_one_that_was_shown(told: Told) -> None:
    (planned,), (decided,) = entries(told, "run.planned@1"), entries(told, "approval.decided@1")
    assert planned["body"]["plan_hash"] == decided["body"]["plan_hash"]
    assert f"plan hash    {planned['body']['plan_hash']}" in told.output


def test_the_approval_is_journaled_as_the_demos(told: Told) -> None:
    (decided,) = entries(told, "approval.decided@1")
    assert decided["actor"] == "demo"
    assert (decided["body"]["via"], decided["body"]["decision"]) == ("demo", "approved")


def test_the_incident_is_resolved_and_verified(told: Told) -> None:
    story = story_of(told)
    assert (story["status"], story["outcome"], story["severity"]) == ("resolved", "succeeded", "P1")
    (ended,) = entries(told, "verification.ended@1")
    assert ended["body"]["holds"] is True


def test_the_host_was_asked_once_to_restart(told: Told) -> None:
    log = (told.folder / "host" / "sshd.log").read_text()
    assert log.count("sudo systemctl restart vllm") == 1


def test_the_journal_is_sound_for_another_process_too(told: Told) -> None:
    done = quell("audit", "verify", told=told)
    assert done.returncode == 0
    assert "all are as they were written" in done.stdout


def test_the_postmortem_is_kept(told: Told) -> None:
    text = (told.folder / "data" / "postmortems" / "INC-1.md").read_text()
    assert "sudo systemctl restart vllm" in text
    assert "approved by demo" in text


def test_a_rejection_is_obeyed_and_explained(rejected: Told) -> None:
    assert rejected.code == 0
    assert "What a rejection means" in rejected.stages
    assert "nothing was changed" in rejected.output
    assert "incident     INC-1 is open: needs person" in rejected.output
    assert "chains: all are as they were written" in rejected.output
    assert "sudo systemctl restart" not in (rejected.folder / "host" / "sshd.log").read_text()


def test_a_rejection_is_journaled_as_the_demos(rejected: Told) -> None:
    (decided,) = entries(rejected, "approval.decided@1")
    assert (decided["actor"], decided["body"]["via"]) == ("demo", "demo")
    assert decided["body"]["decision"] == "rejected"
    assert story_of(rejected)["outcome"] == "cancelled"


def test_a_yes_on_the_terminal_goes_on() -> None:
    told = tell_on_a_terminal(b"y\n")
    assert told.code == 0
    assert "approved by demo via demo: answered yes on the terminal" in told.output
    assert told.stages[-1] == "What to try next"


def test_without_a_terminal_it_answers_by_itself() -> None:
    told = tell()
    assert told.code == 0
    assert "the demo's own answer: standard input is no terminal" in told.output


def test_what_takes_too_long_fails_and_shows_the_timeline() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPATIENT], capture_output=True, text=True, timeout=180
    )
    assert done.returncode == 3
    _, _, failure = done.stdout.partition("The demo failed")
    assert "waited 8 s for run.ended in vain" in " ".join(failure.split())
    assert "demo: approved by demo (via demo)" in failure
    assert "What to try next" not in done.stdout
