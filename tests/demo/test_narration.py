"""How the journal's entries read; the whole story is in test_story.py."""

import io

import pytest
from rich.console import Console

from engine.core import events
from engine.demo.narration import MODES, Narrator


@pytest.fixture
def narrator() -> Narrator:
    return Narrator(Console(file=io.StringIO(), width=60))


def printed(narrator: Narrator) -> str:
    assert isinstance(narrator.console.file, io.StringIO)
    return narrator.console.file.getvalue()


def observed(**changed: object) -> events.StepObserved:
    fields = {"run_id": "r", "phase": "verify", "step_id": "serves", "outcome": "succeeded"}
    return events.StepObserved.model_validate(fields | changed)


def test_a_stage_begins_once(narrator: Narrator) -> None:
    for title in ("It dies", "It dies", "The alert"):
        narrator.stage(title)
    lines = [line for line in printed(narrator).splitlines() if line]
    assert [line.split(" ─")[0] for line in lines] == ["── 1 It dies", "── 2 The alert"]


def test_the_clock_is_shown_once_the_alert_was_sent(narrator: Narrator) -> None:
    narrator.stage("It dies")
    assert "after the alert" not in printed(narrator)
    narrator.start_clock()
    narrator.stage("The alert")
    assert " 0.0 s after the alert" in printed(narrator)


def test_texts_from_outside_are_printed_as_they_are(narrator: Narrator) -> None:
    narrator.output("[bold]x[/bold] :smile:")
    assert "│ [bold]x[/bold] :smile:" in printed(narrator)


def test_a_fact_is_never_wrapped(narrator: Narrator) -> None:
    narrator.fact("plan hash", "f" * 200)
    assert f"plan hash    {'f' * 200}\n" in printed(narrator)


def test_long_output_says_how_much_is_left_out(narrator: Narrator) -> None:
    narrator.output("\n".join(f"line {number}" for number in range(12)), lines=2)
    assert printed(narrator).splitlines()[-1].endswith("│ … 10 more lines")


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (observed(holds=False, error="refused"), ("does not hold yet", "│ refused")),
        (observed(holds=True, evidence="'Ready.'"), ("serves       holds", "│ 'Ready.'")),
        (observed(phase="precheck", holds=True), ("serves holds already",)),
        (
            observed(phase="investigate", outcome="failed", error="exit code 9"),
            ("Investigation", "│ exit code 9"),
        ),
        (
            events.VerificationEnded(run_id="r", holds=False, reason="too slow"),
            ("failed: too slow",),
        ),
        (
            events.RunEnded(run_id="r", outcome="expired", reason="nobody decided"),
            ("expired: nobody decided",),
        ),
        (
            events.IncidentOpened(
                incident_id="i",
                number=7,
                correlation_key="c",
                partition_key="p",
                rule_id="gone",
                severity="P2",
                title="It burns",
                mode="approve",
                reasons=("matched x", "P2"),
            ),
            ("INC-7: It burns", "why          matched x"),
        ),
        (events.IncidentClosed(), ()),
    ],
    ids=["not yet", "holds", "precheck", "evidence", "failed", "ended", "opened", "of no interest"],
)
def test_an_entry_is_told_in_plain_words(
    narrator: Narrator, event: events.Event, said: tuple[str, ...]
) -> None:
    narrator.tell(event, "engine")
    text = printed(narrator)
    assert all(each in text for each in said)
    assert bool(text) == bool(said)


def test_every_mode_is_explained() -> None:
    assert set(MODES) == {"observe", "suggest", "approve", "auto"}
