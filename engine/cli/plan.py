"""`quell plan`: what a playbook would do, exactly, without doing or asking anything."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated

import typer

from engine.cli.options import Config, Inventory, Json, Parameters, Playbooks, parse_parameters
from engine.cli.output import print_indented, print_json, say
from engine.core.incident_view import afterwards, shown, what_follows
from engine.core.plan import Plan, PlannedStep, PlanPhase, plan_hash
from engine.core.severity import ModeLimit, effective_mode

PHASES: Sequence[tuple[PlanPhase, str]] = (
    ("investigate", "investigate"),
    ("guards", "look right before"),
    ("steps", "change"),
    ("verify", "verify"),
    ("rollback", "roll back"),
    ("on_cancel", "when cancelled"),
)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("plan")(plan)


def plan(
    playbook: Annotated[str, typer.Argument(metavar="PLAYBOOK", help="Its id.")],
    parameter: Parameters = None,
    playbooks: Playbooks = None,
    inventory: Inventory = None,
    config: Config = None,
    json: Json = False,
) -> int:
    """Show what a playbook would do with these parameters.

    Exact commands, verification, rollback and approval. Nothing is asked or done: what depends
    on investigation is shown as a hole.
    """
    # Here, because `incidents` and `run` show plans, too, and need neither.
    from engine.app import rehearse_plan
    from engine.settings import load_settings

    given: dict[str, object] = {"playbooks_dir": playbooks, "inventory": inventory}
    loaded = load_settings(config, given)
    rendered = rehearse_plan(loaded, playbook, parse_parameters(parameter))
    hashed = plan_hash(rendered.plan.to_bytes())
    limits = [
        {"mode": limit.mode.value, "decided_by": limit.decided_by} for limit in rendered.limits
    ]
    if json:
        print_json(
            {
                "plan": rendered.plan,
                "plan_hash": hashed,
                "holes": rendered.holes,
                "limits": limits,
            }
        )
        return 0
    say(f"plan {hashed[:12]} of playbook {playbook}", style="bold")
    print_lines(described(rendered.plan, rendered.holes))
    print_lines(_limited(rendered.limits))
    return 0


def print_lines(lines: Iterable[tuple[str, str]], indent: str = "") -> None:
    """Headings, which stand alone, and below them what wraps beside its head."""
    for head, text in lines:
        if text:
            print_indented((f"{indent}  {head}",), text)
        else:
            say(indent + head, style="bold")


def _limited(limits: Sequence[ModeLimit]) -> Iterator[tuple[str, str]]:
    if limits:
        mode = effective_mode(limits).mode
        yield f"mode: {mode.value} at most", ""
        reasons = dict.fromkeys(limit.decided_by for limit in limits if limit.mode is mode)
        yield from (("by", reason) for reason in reasons)


def described(plan: Plan, holes: Sequence[str] = ()) -> Iterator[tuple[str, str]]:
    """The plan as (head, text): parameters, steps by phase, what is missing, who approves.

    A heading has no text.
    """
    if plan.parameters:
        yield "parameters", ""
    width = max((len(name) for name in plan.parameters), default=0)
    for name, value in plan.parameters.items():
        yield f"{name:<{width}}", shown(value)
    for phase, title in PHASES:
        steps = plan.of(phase)
        if steps:
            yield title, ""
        width = max((len(step.id) for step in steps), default=0)
        for step in steps:
            yield f"{step.id:<{width}}", _what(step)
    if after := afterwards(plan):
        yield "if it helps", ""
        yield from (("then", each) for each in after)
    if follows := what_follows(plan):
        yield "if it fails", ""
        yield from (("then", each) for each in follows)
    if holes:
        yield "can't be planned before it is investigated, if at all", ""
        yield from (("?", hole) for hole in holes)
    yield "approval", ""
    quorum = "" if plan.approval_quorum == 1 else f"{plan.approval_quorum} of "
    within = _seconds(plan.approval_expires_s)
    yield "by", f"{quorum}{', '.join(plan.approval_from)}, within {within}"
    if plan.deadline_s is not None:
        yield "done or undone", ""
        yield "within", f"{_seconds(plan.deadline_s)} of the first attempt"


def _what(step: PlannedStep) -> str:
    words = [step.told]
    if step.effect == "destroy":
        words.append("[destroys]")
    if step.undoes:
        words.append(f"(undoes {step.undoes})")
    if step.condition:
        words.append(f"if {step.condition}")
    if step.until:
        stable = f", stable for {_seconds(step.stable_for_s)}" if step.stable_for_s else ""
        words.append(f"until {step.until}, within {_seconds(step.within_s)}{stable}")
    return " ".join(words)


def _seconds(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{minutes:g} min" if minutes and not rest else f"{seconds:g} s"
