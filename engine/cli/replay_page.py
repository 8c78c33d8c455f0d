"""What `quell replay` found, for people and for programs."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from datetime import datetime

from engine.cli.output import SEVERITY_STYLES, Column, complain, print_table, say
from engine.core.durations import format_duration
from engine.core.replayed import Closing, Replayed, ReplayedIncident, ReplayedRun, RuleDifference

INCIDENTS = (
    Column("no", right=True),
    Column("sev", styles=SEVERITY_STYLES),
    Column("rule", narrowest=12),
    Column("service", narrowest=8),
    Column("opened"),
    Column("ended"),
    Column("alerts", right=True),
    Column("run", narrowest=14),
)
RULES = (
    Column("rule", narrowest=14),
    Column("before", right=True),
    Column("after", right=True),
    Column("lost", right=True),
    Column("gained", right=True),
    Column("changed", right=True),
    Column("pages", right=True),
    Column("runs", right=True),
)
# The rest is in --json.
NAMES_TOLD = 20


def tell(replayed: Replayed, closing: Closing) -> None:
    """The whole result as tables."""
    _tell_span(replayed, closing)
    if replayed.incidents:
        say("")
        print_table(INCIDENTS, map(_row, replayed.incidents))
        say("")
    say(_summary(replayed), style="bold")
    counts = sorted(replayed.dispositions.items(), key=lambda pair: -pair[1])
    if counts:
        say("alerts became: " + ", ".join(f"{count} {name}" for name, count in counts))
    for waiting in replayed.waiting:
        say(f"{waiting.alerts} wait for rule {waiting.rule_id}: {waiting.kind} ({LATER})")
    if replayed.unmatched:
        named = list(replayed.unmatched.items())
        told = ", ".join(f"{name or 'without a name'} ({n})" for name, n in named[:NAMES_TOLD])
        rest = f" and {len(named) - NAMES_TOLD} more names" if len(named) > NAMES_TOLD else ""
        say(f"no rule took: {told}{rest}", style="yellow")
    for failure in replayed.failures:
        complain(f"an expression failed: {failure}")


LATER = "--then lets time go on"


def _tell_span(replayed: Replayed, closing: Closing) -> None:
    if replayed.began is None or replayed.ended is None:
        say("there are no alerts", style="yellow")
        return
    say(f"{replayed.alerts} alerts from {_at(replayed.began)} to {_at(replayed.ended)} UTC")
    say(f"closing: {closing_model(closing)}", style="dim")
    if replayed.is_cramped:
        say(
            "they were all received at about the same time, long after they happened: "
            "--time source takes the times that their sources say",
            style="yellow",
        )
    if replayed.out_of_order:
        say(
            f"{replayed.out_of_order} were received before the one in front of them, and are "
            "decided on at its time",
            style="yellow",
        )


def closing_model(closing: Closing) -> str:
    """How alerts and incidents end in a replay, in words."""
    ends = "an alert ends when its source says so or its own expiry passes"
    if closing.after is not None:
        ends += f", or {format_duration(closing.after)} after its last notice"
    then = f"{format_duration(closing.then)} after" if closing.then else "with"
    return f"{ends}; time ends {then} the last alert, and what fires then stays open"


def _summary(replayed: Replayed) -> str:
    incidents = replayed.incidents
    runs = sum(_would_act(each.run) for each in incidents)
    open_ = sum(each.status == "open" for each in incidents)
    pages = sum(each.pages for each in incidents)
    counted = (_counted(len(incidents), "incident"), _counted(pages, "page"), _counted(runs, "run"))
    return "{} ({} open at the end), {}, {}".format(counted[0], open_, *counted[1:])


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _would_act(run: ReplayedRun | None) -> bool:
    """Whether it would have changed something by itself, or asked to."""
    return run is not None and not run.problem and run.mode in ("approve", "auto")


def _row(each: ReplayedIncident) -> Sequence[str]:
    return (
        str(each.number),
        each.severity,
        each.rule_id,
        each.service,
        _at(each.opened_at),
        _end(each),
        str(each.alerts),
        _run(each),
    )


def _end(each: ReplayedIncident) -> str:
    if each.absorbed_by:
        return f"in {each.absorbed_by}"
    if each.status == "open" or each.ended_at is None:
        return "open"
    return f"after {format_duration(each.ended_at - each.opened_at)}"


def _run(each: ReplayedIncident) -> str:
    if each.run is None:
        return f"({each.mode})"
    run = each.run
    return f"{run.playbook_id} ({run.mode})" + (f": {run.problem}" if run.problem else "")


def _at(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"


def plain(replayed: Replayed, closing: Closing) -> dict[str, object]:
    """For programs."""
    return {
        "catalog": replayed.catalog,
        "began": replayed.began,
        "ended": replayed.ended,
        "closing": closing_model(closing),
        "alerts": replayed.alerts,
        "out_of_order": replayed.out_of_order,
        "dispositions": replayed.dispositions,
        "incidents": [_plain(each) for each in replayed.incidents],
        "waiting": [asdict(each) for each in replayed.waiting],
        "unmatched": replayed.unmatched,
        "failures": replayed.failures,
    }


def _plain(each: ReplayedIncident) -> dict[str, object]:
    run = each.run
    return {
        "number": each.number,
        "rule": each.rule_id,
        "group": dict(each.group),
        "severity": each.severity,
        "mode": each.mode,
        "service": each.service,
        "title": each.title,
        "status": each.status,
        "opened_at": each.opened_at,
        "resolved_at": each.resolved_at,
        "alerts": each.alerts,
        "pages": each.pages,
        "absorbed_by": each.absorbed_by,
        "run": None
        if run is None
        else {
            "playbook": run.playbook_id,
            "mode": run.mode,
            "mode_decided_by": run.decided_by,
            "problem": run.problem,
        },
    }


def tell_differences(
    before: Replayed, after: Replayed, differences: Sequence[RuleDifference], closing: Closing
) -> None:
    """What the second rule set does differently, by rule."""
    _tell_span(before, closing)
    say(f"before: {_summary(before)}")
    say(f"after:  {_summary(after)}")
    if not differences:
        say("no incident, page or run is different", style="green")
        return
    say("")
    print_table(RULES, map(_difference_row, differences))
    say("")
    for each in differences:
        for line, style in _changes(each):
            say(line, style=style)


def _difference_row(each: RuleDifference) -> Sequence[str]:
    return (
        each.rule_id,
        str(each.before),
        str(each.after),
        *(str(len(part) or "") for part in (each.lost, each.gained, each.changed)),
        _signed(pages(each)),
        _signed(runs(each)),
    )


def pages(each: RuleDifference) -> int:
    """How many more people would be woken by this rule."""
    return _balance(each, lambda incident: incident.pages)


def runs(each: RuleDifference) -> int:
    """How many more runs would act, or ask to, by this rule."""
    return _balance(each, lambda incident: _would_act(incident.run))


def _signed(number: int) -> str:
    return f"{number:+d}" if number else ""


def _balance(each: RuleDifference, counts: Callable[[ReplayedIncident], bool]) -> int:
    gained = [*each.gained, *(pair.after for pair in each.changed)]
    lost = [*each.lost, *(pair.before for pair in each.changed)]
    return sum(map(counts, gained)) - sum(map(counts, lost))


def _changes(each: RuleDifference) -> Iterator[tuple[str, str]]:
    for sign, style, incidents in (("-", "red", each.lost), ("+", "green", each.gained)):
        for one in incidents:
            page = ", pages" if one.pages else ""
            yield f"{sign} {_named(one)}: {one.severity}, {_run(one)}{page}", style
    for pair in each.changed:
        told = ", ".join(f"{word} {was} → {now}" for word, (was, now) in pair.differences.items())
        yield f"~ {_named(pair.after)}: {told}", "yellow"


def _named(each: ReplayedIncident) -> str:
    return f"{each.rule_id} {each.service or each.title} at {_at(each.opened_at)}"


def plain_differences(
    before: Replayed, after: Replayed, differences: Sequence[RuleDifference], closing: Closing
) -> dict[str, object]:
    """The same for programs."""
    return {
        "before": plain(before, closing),
        "after": plain(after, closing),
        "rules": [
            {
                "rule": each.rule_id,
                "before": each.before,
                "after": each.after,
                "pages": pages(each),
                "runs": runs(each),
                "lost": [_plain(one) for one in each.lost],
                "gained": [_plain(one) for one in each.gained],
                "changed": [
                    {
                        "before": pair.before.number,
                        "after": pair.after.number,
                        "differences": {w: list(p) for w, p in pair.differences.items()},
                    }
                    for pair in each.changed
                ],
            }
            for each in differences
        ],
    }
