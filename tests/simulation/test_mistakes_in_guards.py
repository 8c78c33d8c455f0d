"""What the simulator does not notice of guards: the test of each does."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import get_args

import pytest

from engine.core import requirements
from engine.core.blast_radius import Availability
from engine.core.guards import GuardName
from engine.core.inventory import Inventory
from engine.ports import asking, intending, run_look
from engine.stages import changing
from tests.simulation.mutant import Mutant, put
from tests.simulation.mutants import MUTANTS
from tests.simulation.mutants_of_guards import named
from tests.stages import test_changing, test_runs_asked, test_runs_limited, test_silences
from tests.stages.deciding import test_acting

Test = Callable[[Path], Awaitable[None]]


def _nothing(*_: object) -> str:
    return ""


def _all_is_well(_: object, inventory: Inventory) -> Availability:
    return Availability(told=frozenset(inventory.targets))


TESTED: Sequence[tuple[Mutant, Test]] = (
    (
        Mutant("what takes a run back proves it", 9, put(intending, "TAKES_BACK", "")),
        test_runs_limited.test_what_takes_a_run_back_neither_helps_nor_fails_for_the_breaker,
    ),
    (
        Mutant("what recurs asks nobody", 9, named("recurrence")),
        test_runs_limited.test_what_recurs_asks_a_person_and_says_why,
    ),
    (
        Mutant("others at work are not asked about", 9, put(asking, "others_at_work", _nothing)),
        test_runs_asked.test_a_target_that_another_playbook_changed_lately_asks,
    ),
    (
        Mutant("what is explained is mended", 9, put(run_look, "_explained", lambda *_: None)),
        test_acting.test_a_run_does_not_begin_while_something_fires_that_explains_it,
    ),
    (
        Mutant("what is silenced is mended", 9, put(run_look, "silenced", lambda *_: None)),
        test_silences.test_a_run_waits_while_all_that_fires_is_silenced,
    ),
    (
        Mutant("nobody who set a silence is at work", 9, put(asking, "silenced_at_work", _nothing)),
        test_runs_asked.test_a_target_that_a_person_silenced_asks,
    ),
    (
        Mutant("what others told of is not kept", 9, put(changing, "rows_of", lambda *_, **__: ())),
        test_changing.test_a_target_that_somebody_else_changed_lately_asks,
    ),
    (
        Mutant("Prometheus is not believed", 9, put(run_look, "availability_of", _all_is_well)),
        test_runs_limited.test_a_query_tells_who_is_unavailable_until_right_before_the_change,
    ),
    (
        Mutant("what a guard reads says nothing", 9, put(requirements, "_checked", _nothing)),
        test_runs_asked.test_a_check_is_looked_at_right_before_the_change,
    ),
)


# How the page calls what isn't a word of its own.
GUARDS = (*get_args(GuardName), "inhibited", "silenced", "freeze", "requires", "storm_brake")
OTHERS = ("kill switch", "still firing", "precheck", "availability", "batch", "expected_alerts")


def test_each_guard_has_a_test_that_is_there_and_a_mistake_that_is_noticed() -> None:
    root = Path(__file__).parents[2]
    page = (root / "docs" / "guards.md").read_text().partition("## Shown by\n")[2]
    rows = [line.split("|")[1:4] for line in page.splitlines() if line.startswith("| ")]
    of = {guard.strip(" `"): (test, mistakes) for guard, test, mistakes in rows}
    assert {*GUARDS, *OTHERS} <= of.keys()
    made = {each.name for each in MUTANTS}
    made |= {mutant.name for mutant, _ in TESTED}
    for guard in (*GUARDS, *OTHERS):
        test, mistakes = of[guard]
        file, _, name = test.strip(" `").partition("::")
        assert f"def {name}(" in (root / "tests" / file).read_text(), guard
        assert {each.strip() for each in mistakes.split(";")} <= made, guard


@pytest.mark.parametrize(
    ("mutant", "test"), [pytest.param(*each, id=str(each[0])) for each in TESTED]
)
async def test_a_mistake_is_noticed_by_the_guard_s_own_test(
    mutant: Mutant, test: Test, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mutant.apply(monkeypatch)
    # A ValueError where what should have been told is not there to be unpacked.
    with pytest.raises((AssertionError, ValueError)):
        await test(tmp_path)
