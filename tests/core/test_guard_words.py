"""Each guard in one line: what has to hold, by which figures, and what it does otherwise."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.core.blast_radius import Radius
from engine.core.documents import Guards
from engine.core.guard_words import (
    named,
    told_brake,
    told_counts,
    told_freeze,
    told_radius,
    told_written,
)
from engine.core.guards import Among, Guard, Touched, guards_over
from engine.core.mistakes import Mistakes
from engine.core.policy import compile_policy
from engine.core.policy_documents import Limits, PolicyDocument
from engine.core.storm_brake import CheckedBrake

WAITS = "else it waits, 30m at most"
SKIPS = "else it is skipped"
ASKS = "else it asks, in auto too"
# A Friday.
NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)


def counts(
    guards: dict[str, Any], targets: Sequence[str] = ("a",), **changes: Any
) -> list[tuple[str, str]]:
    """What is told of the guards of a run of `mend` on these targets, after its own locks."""
    limits = Limits.model_validate({"changes": changes} if changes else {})
    of = Touched("mend", "down", tuple(targets), ("llm",))
    found = told_counts(guards_over(Guards.model_validate(guards), of, limits))
    return [(each.text, each.then) for each in found if each.guard != "lock" or "lock" in guards]


@pytest.mark.parametrize(
    ("guards", "told"),
    [
        pytest.param(
            {"lock": {}}, [f"no other run is at work on a; {WAITS}"], id="a second run waits"
        ),
        pytest.param(
            {"lock": {"per": "service", "on_busy": "skip"}},
            [
                f"no other run is at work on a; {SKIPS}",
                f"no other run is at work on llm; {SKIPS}",
            ],
            id="or ends, of the service too",
        ),
        pytest.param(
            {"cooldown": {"for": "15m"}},
            [f"15m since the end of the last run of mend on a; {SKIPS}"],
            id="cooldown",
        ),
        pytest.param(
            {"cooldown": {"for": "1h", "per": "rule"}},
            [f"1h since the end of the last run of mend by the same rule; {SKIPS}"],
            id="a rule is told as such, whichever it is",
        ),
        pytest.param(
            {"budget": {"runs": 3, "within": "1h"}},
            [f"at most 3 runs of mend within 1h; {SKIPS}"],
            id="budget",
        ),
        pytest.param(
            {"budget": {"runs": 1, "within": "1d", "per": "overall"}},
            [f"at most 1 run of all playbooks together within 1d; {SKIPS}"],
            id="one run is no runs",
        ),
        pytest.param(
            {"concurrency": {"max": 2, "per": "service"}},
            [f"at most 2 runs of all playbooks together on llm at once; {WAITS}"],
            id="concurrency",
        ),
        pytest.param(
            {"breaker": {"failures": 3}},
            [
                f"the last 3 runs of mend did not all fail; {SKIPS}; "
                "`quell breaker try mend` lets one try"
            ],
            id="breaker",
        ),
        pytest.param(
            {"breaker": {"failures": 1, "per": "target"}},
            [
                f"the last run of mend on a did not fail; {SKIPS}; "
                "`quell breaker try mend` lets one try"
            ],
            id="a breaker of one failure",
        ),
        pytest.param(
            {"recurrence": {"times": 3, "within": "1d"}},
            [f"fewer than 3 runs of mend on a within 1d, with this one; {ASKS}"],
            id="recurrence",
        ),
    ],
)
def test_a_guard_that_counts_runs_is_one_line(guards: dict[str, Any], told: list[str]) -> None:
    assert [text for text, _ in counts(guards)] == told


def test_the_limit_of_policy_waits_where_it_is_over_soon() -> None:
    assert counts({}, per="service", max=2, within="15m") == [
        (f"at most 2 runs of all playbooks together on llm within 15m; {WAITS}", "wait")
    ]
    assert counts({}, per="target", max=1, within="2h") == [
        (f"at most 1 run of all playbooks together on a within 2h; {SKIPS}", "skip")
    ]


def test_several_targets_are_one_line_and_its_figures_have_each() -> None:
    of = Touched("mend", "down", ("a", "b", "c", "d", "e"), ())
    guards = Guards.model_validate({"cooldown": {"for": "15m"}})
    lock, cooldown = told_counts(guards_over(guards, of))
    assert lock.text == f"no other run is at work on any of a, b, c and 2 more; {WAITS}"
    assert "of mend on each of a, b, c and 2 more;" in cooldown.text
    assert cooldown.figures == {
        "other_runs": 0,
        "within": "15m",
        "among": [{"playbook_id": "mend", "target": each} for each in "abcde"],
    }
    assert "within" not in lock.figures
    assert (lock.by, cooldown.by) == ("quell", "playbook")


def test_of_two_locks_of_one_target_the_first_decides() -> None:
    of = Touched("mend", "down", ("a",), ())
    skips = guards_over(Guards.model_validate({"lock": {"on_busy": "skip"}}), of)
    waits = guards_over(Guards(), of)
    assert [each.then for each in told_counts([*skips, *waits])] == ["skip"]
    assert [each.then for each in told_counts([*waits, *skips])] == ["wait"]


def test_a_target_that_nobody_knows_has_no_name() -> None:
    ((text, _),) = counts({"cooldown": {"for": "15m"}}, [""])
    assert text == f"15m since the end of the last run of mend; {SKIPS}"


@pytest.mark.parametrize(
    ("targets", "services", "told"),
    [
        pytest.param(["a"], ["llm"], "a, or llm as a whole", id="a target and its service"),
        pytest.param([], ["llm"], "llm as a whole", id="a target that nobody knows"),
        pytest.param(["a"], [], "a", id="of no service"),
        pytest.param(
            ["a", "b"], ["gw", "llm"], "any of a, b, or any of gw, llm as a whole", id="several"
        ),
    ],
)
def test_others_at_work_are_one_line_for_targets_and_services(
    targets: Sequence[str], services: Sequence[str], told: str
) -> None:
    places: list[Among] = [(("target", each),) for each in targets]
    places += [(("target", ""), ("service", each)) for each in services]
    hour = timedelta(hours=1)
    guards = [Guard("others_at_work", each, "released", 0, hour, "ask") for each in places]
    (line,) = told_counts(guards)
    assert line.text == f"nobody else changed {told} within 1h; {ASKS}"


def test_what_may_have_caused_it_is_one_line_for_targets_and_services() -> None:
    half_hour = timedelta(minutes=30)
    places: Sequence[Among] = [(("target", "a"),), (("service", "llm"),)]
    guards = [Guard("caused_by", each, "released", within=half_hour, then="ask") for each in places]
    (told,) = told_counts([*guards, *guards])
    wanted = "no other change of any of a, llm within 30m before the alert"
    assert told.text == f"{wanted}; {ASKS}"


@pytest.mark.parametrize(
    ("share", "members", "batches", "told"),
    [
        pytest.param(
            1,
            "abcd",
            ["a"],
            "at most 1 of the 4 targets of llm unavailable at once, and this touches 1 (a); "
            f"{WAITS}",
            id="a number",
        ),
        pytest.param(
            "50%",
            "abc",
            ["ab", "c"],
            "at most 2 (50%) of the 3 targets of llm unavailable at once, and this touches 2 at "
            f"a time, in 2 batches; {WAITS}",
            id="a share, rounded up, of batches",
        ),
        pytest.param(
            "2",
            "ab",
            ["x"],
            "at most 2 of the 2 targets of llm unavailable at once, and this touches none, so it "
            "never says no",
            id="none of this group",
        ),
        pytest.param(
            1,
            "abc",
            ["ab"],
            "at most 1 of the 3 targets of llm unavailable at once, and this touches 2 (a, b): "
            "too many, so it can't begin",
            id="more than may be, by itself",
        ),
        pytest.param(
            1,
            "abc",
            ["a", "bc"],
            "at most 1 of the 3 targets of llm unavailable at once, and this touches 2 at a "
            "time, in 2 batches: too many, so it ends before batch 2",
            id="only a later batch is too large",
        ),
        pytest.param(
            1, "", ["a"], "the inventory has no target of llm, so it can't begin", id="nobody"
        ),
        pytest.param(
            1,
            "a",
            [[""]],
            "at most 1 of the one target of llm unavailable at once, and this touches 1 (one "
            f"that nobody knows); {WAITS}",
            id="a target that nobody knows counts",
        ),
    ],
)
def test_a_blast_radius_counts_what_is_there_and_what_is_touched(
    share: int | str, members: str, batches: Sequence[Sequence[str]], told: str
) -> None:
    guard = Guard("blast_radius", (("service", "llm"),), "held", then="wait")
    radius = Radius("llm", tuple(members), share, guard)
    assert told_radius(radius, [frozenset(each) for each in batches]).text == told


def test_the_fleet_is_of_policy_and_a_query_is_told() -> None:
    guard = Guard("blast_radius", (), "held", then="wait")
    found = told_radius(Radius("", ("a", "b"), "10%", guard, asks=True), [frozenset("a")])
    assert found.text == (
        "at most 1 (10%) of the 2 targets of the fleet unavailable at once, by Prometheus' word "
        f"too, and this touches 1 (a); {WAITS}"
    )
    assert (found.guard, found.by) == ("fleet_unavailable", "policy")
    assert found.figures == {"of": "", "size": 2, "at_most": 1, "touches": ["a"], "batches": 1}


@pytest.mark.parametrize(
    ("guards", "told"),
    [
        (
            {"cooldown": {"for": "15m"}, "lock": {}},
            [
                f"no other run is at work on the same target; {WAITS}",
                f"15m since the end of the last run of mend on the same target; {SKIPS}",
            ],
        ),
        (
            {"others_at_work": {"within": "2h"}},
            [f"nobody else changed the same target within 2h; {ASKS}"],
        ),
        (
            {"blast_radius": {"group": "llm", "max_unavailable": "25%"}},
            [f"at most 25% of llm unavailable at once; {WAITS}"],
        ),
        (
            {
                "requires": {
                    "healthy": ["gw", "b"],
                    "check": {"id": "up", "uses": "http.request", "until": "result.ok"},
                    "otherwise": "skip",
                }
            },
            [f"gw, b healthy, and up: result.ok; {SKIPS}"],
        ),
        ({"requires": {"healthy": ["gw"]}}, [f"gw healthy; {ASKS}"]),
        (
            {"expected_alerts": {"matchers": ['alertname="Down"', "a!=b"], "after": "5m"}},
            ['alerts of what it changes wait until 5m after its end: alertname="Down", a!=b'],
        ),
        ({}, []),
    ],
)
def test_what_a_text_wants_is_told_without_a_plan(guards: dict[str, Any], told: list[str]) -> None:
    found = told_written(Guards.model_validate(guards), "mend")
    assert [each.text for each in found] == told


@pytest.mark.parametrize(
    ("calendar", "policy", "told"),
    [
        pytest.param(
            {"weekdays": ["friday"]},
            "skip",
            "f (closed) in force until Sat 2026-01-03 00:00 UTC: it is skipped",
            id="in force",
        ),
        pytest.param(
            {"weekdays": ["saturday"]},
            "defer",
            "f (closed) from Sat 2026-01-03 00:00 UTC on: it waits, 1d at most",
            id="coming",
        ),
        pytest.param(
            {},
            "ask",
            "f (closed) in force until somebody ends it: it asks, in auto too",
            id="for ever",
        ),
    ],
)
def test_a_freeze_says_when_and_what_then(calendar: dict[str, Any], policy: str, told: str) -> None:
    written = {
        "language": 1,
        "calendars": {"c": {"intervals": [calendar]}},
        "freezes": [{"id": "f", "calendar": "c", "policy": policy, "why": "closed"}],
    }
    mistakes = Mistakes()
    (freeze,) = compile_policy(PolicyDocument.model_validate(written), mistakes).freezes
    assert told_freeze(freeze, NOW).text == told


def test_a_storm_is_so_many_services_of_those_that_are_known() -> None:
    brake = CheckedBrake(percent=30, services=2, within=timedelta(minutes=5))
    assert told_brake(brake, 20).text == (
        "incidents opened on fewer than 6 services within 5m; else a run in auto asks, until "
        "`quell brake lift`"
    )
    assert told_brake(brake, 3).figures == {"services": 2, "within": "5m"}


def test_names_past_a_few_are_counted() -> None:
    assert (named(["a"]), named(list("abc")), named(list("abcde"))) == (
        "a",
        "a, b, c",
        "a, b, c and 2 more",
    )
