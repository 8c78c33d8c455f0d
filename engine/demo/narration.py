"""What the demo prints: each entry of the journal in plain words, as it happens.

Texts from outside are printed as they are and can't become markup.
"""

import textwrap
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from rich.console import Console
from rich.text import Text

from engine.core import events
from engine.core.incident_view import descriptions
from engine.core.plan import Plan, PlannedStep
from engine.core.rule import Rule

WIDTH = 88
LABEL_WIDTH = 13
OUTPUT_LINES = 8

MODES: Mapping[str, str] = {
    "observe": "quell only notes what it would have done",
    "suggest": "quell looks and plans; a person starts the rest",
    "approve": "quell looks and plans by itself; a person decides before anything changes",
    "auto": "quell acts by itself and tells people",
}
PHASES = {
    "investigate": "Investigation: look before you touch",
    "precheck": "Plan: exactly what would be done",
    "verify": "Verification: does it really serve again?",
}


@dataclass(slots=True)
class Narrator:
    """Tells the story on one console; `rules` are those that may have decided."""

    console: Console
    rules: Mapping[str, Rule] = field(default_factory=dict)
    stages: int = 0
    _title: str = ""
    _alert_at: float | None = None

    def begin(self, by_itself: str) -> None:
        """What this is; `by_itself` says why nobody will be asked, "" when somebody will."""
        self.console.print(Text("quell demo: from an alert to a finished repair", style="bold"))
        self.console.print()
        self.say(
            "A model server is about to die. quell will notice, look around, make a plan, have it "
            "approved, restart the server over SSH, prove that it serves again, and write down "
            "all of it. Nothing of this is pretended, and all of it stays on this machine."
        )
        asks = f"by the demo itself ({by_itself})" if by_itself else "by you, on this terminal"
        self.say(f"The approval will be given {asks}.")

    def start_clock(self) -> None:
        """From here on each stage says how long after the alert it began."""
        self._alert_at = time.monotonic()

    def stage(self, title: str) -> None:
        """Begin a stage, unless it is the one under way."""
        if title == self._title:
            return
        self._title, self.stages = title, self.stages + 1
        clock = ""
        if self._alert_at is not None:
            clock = f" {time.monotonic() - self._alert_at:.1f} s after the alert"
        name = f"── {self.stages} {title} "
        line = name + "─" * max(2, self._width - len(name) - len(clock)) + clock
        self.console.print()
        self.console.print(Text(line, style="bold cyan"), soft_wrap=True)

    def say(self, text: str, style: str = "") -> None:
        """Sentences that explain, wrapped."""
        for line in textwrap.wrap(text, self._width - 2):
            self.console.print(Text(f"  {line}", style=style), soft_wrap=True)

    def fact(self, label: str, text: str, style: str = "") -> None:
        """One named fact; it is never wrapped, so that it can be copied."""
        line = Text.assemble((f"  {label:<{LABEL_WIDTH}}", "dim"), (text, style))
        self.console.print(line, soft_wrap=True)

    def output(self, text: str, lines: int = OUTPUT_LINES) -> None:
        """What a program printed or a file holds: its first lines."""
        shown = text.rstrip("\n").splitlines()
        for line in shown[:lines]:
            self.console.print(Text(f"  {'':<{LABEL_WIDTH}}│ {line}", style="dim"), soft_wrap=True)
        if len(shown) > lines:
            more = f"  {'':<{LABEL_WIDTH}}│ … {len(shown) - lines} more lines"
            self.console.print(Text(more, style="dim"), soft_wrap=True)

    def hint(self, command: str, what: str) -> None:
        """Something to try."""
        line = Text.assemble((f"  {command:<20}", "bold"), what)
        self.console.print(line, soft_wrap=True)

    def tell(self, event: events.Event, actor: str) -> None:  # noqa: C901 - a table
        """One entry of the incident's journal."""
        match event:
            case events.IncidentOpened():
                self._opened(event)
            case events.RunCreated():
                self._run_created(event)
            case events.StepObserved():
                self._observed(event)
            case events.RunPlanned():
                self._planned(event)
            case events.ApprovalDecided():
                why = f": {event.reason}" if event.reason else ""
                self.fact("decision", f"{event.decision} by {actor} via {event.via}{why}", "bold")
            case events.AttemptIntended():
                self.stage("Repair over SSH")
                self.say(
                    "Before each change its intent goes into the journal. If quell died now, "
                    "it would know afterwards that this may have happened."
                )
                self.fact("intent", event.description, "bold")
            case events.AttemptEnded():
                took = f"{event.outcome} after {event.duration_s:.1f} s"
                self.fact("outcome", f"{took} {event.error}".rstrip(), _colour(event.outcome))
                self.output(event.evidence)
            case events.VerificationEnded():
                word = "held" if event.holds else "failed"
                self.fact("verification", f"{word}: {event.reason}", _colour(word))
            case events.RunEnded():
                self.fact("run", f"{event.outcome}: {event.reason}", _colour(event.outcome))
            case events.IncidentResolved():
                self.fact("incident", "resolved: nothing fires any more", "bold green")
            case events.PostmortemWritten():
                self.stage("Postmortem: what is left for people")
                self.fact("file", f"{event.path} (--keep keeps it)")
            case _:
                pass  # the same as what was told already, or of no interest to a newcomer

    @property
    def _width(self) -> int:
        return min(self.console.width, WIDTH)

    def _opened(self, event: events.IncidentOpened) -> None:
        self.stage("Detection and classification")
        self.fact("incident", f"INC-{event.number}: {event.title}", "bold")
        self.fact("severity", event.severity, "bold red")
        rule = self.rules.get(event.rule_id)
        if rule is not None:
            self.fact("rule", f"{rule.id} ({rule.file}): {rule.description}")
        for index, reason in enumerate(event.reasons):
            self.fact("" if index else "why", reason)

    def _run_created(self, event: events.RunCreated) -> None:
        self.fact("playbook", event.playbook_id, "bold")
        for name, value in event.parameters.items():
            self.fact("", f"{name} = {value}")
        self.fact("mode", f"{event.mode}: {MODES[event.mode]}")
        self.fact("", f"decided by {event.mode_decided_by}")

    def _observed(self, event: events.StepObserved) -> None:
        if event.phase == "investigate" and self._title != PHASES["investigate"]:
            self.stage(PHASES["investigate"])
            self.say(
                "Commands that only read. What fails is evidence as well: the approver sees it, "
                "and it stops nothing."
            )
        if event.phase in PHASES:
            self.stage(PHASES[event.phase])
        if event.phase == "precheck":
            word = "holds already" if event.holds else "does not hold, so there is work to do"
            self.fact("precheck", f"{event.step_id} {word}")
        elif event.phase == "verify":
            word = "holds" if event.holds else "does not hold yet"
            self.fact(event.step_id, word, "green" if event.holds else "yellow")
        else:
            self.fact(event.step_id, event.description)
        self.output("\n".join(filter(None, (event.evidence, event.error))))

    def _planned(self, event: events.RunPlanned) -> None:
        plan = Plan.model_validate_json(event.plan)
        self.stage(PHASES["precheck"])
        self.say(
            "From here on nothing can be added: what is approved is this plan, by its hash. "
            "Commands come from commands.yaml; no playbook holds a free shell line."
        )
        for index, step in enumerate(plan.of("steps")):
            self.fact("" if index else "will run", step.description, "bold")
        undo = descriptions(plan, "rollback") or ("none: the playbook says why",)
        for index, text in enumerate(undo):
            self.fact("" if index else "rollback", text)
        for index, step in enumerate(plan.of("verify")):
            self.fact("" if index else "proof", f"{step.description}, {_demand(step)}")
        self.fact("", "(the shipped playbook wants 30 s; the demo's copy spares you the wait)")
        self.fact("plan hash", event.plan_hash)


def _demand(step: PlannedStep) -> str:
    return f"until {step.until}, within {step.within_s:g} s, stable for {step.stable_for_s:g} s"


def _colour(outcome: str) -> str:
    return "bold green" if outcome in ("succeeded", "held") else "bold red"
