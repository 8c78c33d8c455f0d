"""A plan as lines for the terminal: of `plan` and `explain`, and of each story that has one."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from engine.cli.output import print_indented, say
from engine.core.durations import format_duration
from engine.core.incident_view import afterwards, shown, what_follows
from engine.core.plan import Plan, PlannedQuestion, PlannedStep, PlanPhase

if TYPE_CHECKING:
    # Verbs that ask a server need no guards.
    from engine.core.guard_words import ToldGuard

PHASES: Sequence[tuple[PlanPhase, str]] = (
    ("investigate", "investigate"),
    ("guards", "look right before"),
    ("steps", "change"),
    ("verify", "verify"),
    ("rollback", "roll back"),
    ("on_cancel", "when cancelled"),
)


def print_lines(lines: Iterable[tuple[str, str]], indent: str = "") -> None:
    """Headings, which stand alone, and below them what wraps beside its head."""
    for head, text in lines:
        if text:
            print_indented((f"{indent}  {head}",), text)
        else:
            say(indent + head, style="bold")


def described(
    plan: Plan,
    holes: Sequence[str] = (),
    looks: Sequence[PlannedStep] = (),
    guards: "Sequence[ToldGuard]" = (),
) -> Iterator[tuple[str, str]]:
    """The plan as (head, text): parameters, steps by phase, what is missing, who approves.

    A heading has no text. `looks` are what is read and asked before it is made, `guards` what
    stands before its first change.
    """
    parameters = [(name, shown(value) or '""') for name, value in plan.parameters.items()]
    yield from table("parameters", parameters)
    for phase, title in PHASES:
        steps = looks if phase == "investigate" else plan.of(phase)
        rows = [(step.id, _what(step)) for step in steps]
        if phase == "rollback" and not holes and (lasting := _not_undone(plan)):
            rows.append(("none", f"of {', '.join(lasting)}: what it changed stays"))
        yield from table(title, rows)
    yield from table("if it helps", [("then", each) for each in afterwards(plan)])
    yield from table("if it fails", [("then", each) for each in what_follows(plan)])
    missing = "can't be planned before it is investigated, if at all"
    yield from table(missing, [("?", hole) for hole in holes])
    told = [(each.guard.replace("_", " "), _guarded(each)) for each in guards]
    yield from table("guards, before the first change", told)
    quorum = "" if plan.approval_quorum == 1 else f"{plan.approval_quorum} of "
    within = _seconds(plan.approval_expires_s)
    yield from table(
        "approval", [("by", f"{quorum}{', '.join(plan.approval_from)}, within {within}")]
    )
    if plan.deadline_s is not None:
        within = f"{_seconds(plan.deadline_s)} of the first attempt"
        yield from table("done or undone", [("within", within)])


def _not_undone(plan: Plan) -> Sequence[str]:
    """The changes that nothing takes back, each by its id in the text."""
    undone = {step.undoes for step in plan.of("rollback")}
    steps = (step for step in plan.of("steps") if step.changes and step.id not in undone)
    return list(dict.fromkeys(step.origin for step in steps))


def table(title: str, rows: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """A heading and its rows, nothing without any; their texts stand below each other."""
    if rows:
        yield title, ""
    width = max((len(head) for head, _ in rows), default=0)
    yield from ((f"{head:<{width}}", text) for head, text in rows)


def _guarded(guard: "ToldGuard") -> str:
    return f"{guard.text} (policy)" if guard.by == "policy" else guard.text


def _what(step: PlannedStep) -> str:
    """What it does, and below that when, and how long."""
    words = [_asks(step.question) if step.question is not None else step.told]
    if step.effect == "destroy":
        words.append("[destroys]")
    if not step.required:
        words.append("[may fail]")
    lines = [" ".join(words)]
    if step.undoes:
        lines.append(f"undoes {step.undoes}")
    if step.affects is not None:
        lines.append(f"affects {', '.join(step.affects) or 'no target'}")
    if step.condition:
        lines.append(f"if {step.condition}")
    if step.until:
        within = f", within {_seconds(step.within_s)}" if step.within_s else ""
        stable = f", stable for {_seconds(step.stable_for_s)}" if step.stable_for_s else ""
        lines.append(f"until {step.until}{within}{stable}")
    return "\n".join(lines)


def _asks(question: PlannedQuestion) -> str:
    choices, within = ", ".join(question.choices), _seconds(question.expires_s)
    return f"asks {', '.join(question.ask)}, within {within}: {question.text} ({choices})"


def _seconds(seconds: float) -> str:
    return format_duration(timedelta(seconds=seconds))
