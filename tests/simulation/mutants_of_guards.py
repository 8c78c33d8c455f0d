"""Mistakes in guards, each of which no longer asks: invariant 9."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from engine.core.guards import Guard
from engine.core.silences import Silence
from engine.ports import asking, expecting, intending, run_look, telling
from tests.simulation.mutant import Mutant, Patch, put, wrap


def without(of: Callable[[Guard], bool]) -> Patch:
    """As if no plan had such a guard."""

    def guards(original: Any, *args: Any) -> tuple[Guard, ...]:
        return tuple(guard for guard in original(*args) if not of(guard))

    return wrap(run_look, "guards_of", guards)


def named(name: str) -> Patch:
    """As if no plan had a guard of this name."""
    return without(lambda guard: guard.name == name)


def _locks_service(guard: Guard) -> bool:
    return guard.name == "lock" and dict(guard.among).keys() == {"service"}


def _only_at_first(original: Any, tx: Any, state: Any, *rest: Any) -> Any:
    return None if state.began else original(tx, state, *rest)


def _nothing(*_: Any) -> str:
    return ""


def _expecting(**changes: Any) -> Callable[..., Any]:
    """As if runs expected other alerts than they say."""

    def silences(original: Any, *args: Any) -> list[Silence]:
        return [replace(each, **changes) for each in original(*args)]

    return silences


OF_GUARDS: Sequence[Mutant] = (
    Mutant("the budget is never used up", 9, named("budget")),
    Mutant("as many as like run at once", 9, named("concurrency"), "crowds"),
    Mutant("the breaker never opens", 9, named("breaker"), "breakers"),
    Mutant("the service is not locked", 9, without(_locks_service), "breakers"),
    Mutant("policy's limit of changes is not asked", 9, named("changes"), "bounds"),
    Mutant("no radius is too large", 9, put(run_look, "_excess", lambda *_: None), "bounds"),
    Mutant("no batch is asked for", 9, wrap(run_look, "_excess", _only_at_first), "bounds"),
    Mutant("nothing has to be healthy", 9, put(run_look, "unmet", lambda *_: (None, "")), "bounds"),
    Mutant("no freeze is known", 9, put(intending, "freezes_over", lambda *_: ()), "crowds"),
    Mutant("nothing is expected", 9, put(intending, "expect", lambda *_: ()), "echoes"),
    Mutant(
        "alerts of any target are expected",
        9,
        wrap(expecting, "expected_silences", _expecting(targets=())),
        "echoes",
    ),
    Mutant(
        "any alert of its targets is expected",
        9,
        wrap(expecting, "expected_silences", _expecting(matchers=('alertname=~".+"',))),
        "echoes",
    ),
    Mutant("what is expected never ends", 9, put(telling, "expect_no_more", _nothing), "echoes"),
    Mutant(
        "what was expected is not asked again",
        9,
        put(expecting, "shorten", lambda tx, silence: tx.silences.put(silence)),
        "echoes",
    ),
    Mutant("what it caused is not asked about", 9, put(asking, "caused_by", _nothing), "drills"),
)
