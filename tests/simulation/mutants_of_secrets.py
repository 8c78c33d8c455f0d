"""Mistakes in keeping secrets in: invariant 11."""

from collections.abc import Iterator, Sequence
from typing import Any

from engine.core import secret_forms
from engine.core.incident import chain_of
from engine.core.journal import NewEntry
from engine.ports import masked_action, recording
from engine.store import journal_rows
from tests.simulation.mutant import Mutant, wrap


def _as_it_comes(original: Any, *args: Any) -> Any:
    return original(*args[:5])


def _without_encodings(_: Any, raw: bytes) -> Iterator[str]:
    return iter(())


def _as_it_came(_: Any, tx: Any, incident: str, story: Any, author: Any) -> Any:
    new = [NewEntry(event, tx.now, author.actor, author.catalog) for event in story]
    tx.append(chain_of(incident), new)
    return list(story)


async def _unseen(_: Any, action: Any, call: Any) -> Any:
    return await action._action.look(call)


OF_SECRETS: Sequence[Mutant] = (
    Mutant("entries are sealed as they come", 11, wrap(journal_rows, "seal", _as_it_comes)),
    Mutant("base64 is forgotten", 11, wrap(secret_forms, "_encoded", _without_encodings)),
    Mutant("projections show what came", 11, wrap(recording, "_journaled", _as_it_came)),
    Mutant(
        "the state before is kept masked",
        11,
        wrap(masked_action.MaskedAction, "look", _unseen),
    ),
)
