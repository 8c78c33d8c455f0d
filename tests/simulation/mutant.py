"""One deliberate mistake in the real code, and how it is made."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from typing_extensions import override

Patch = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True, slots=True)
class Mutant:
    """One deliberate mistake, the invariant that it breaks, and the only scene where it shows."""

    name: str
    invariant: int
    apply: Patch
    scene: str = ""

    @override
    def __str__(self) -> str:
        return f"{self.invariant}: {self.name}"


def put(owner: object, name: str, value: object) -> Patch:
    """`owner.name` becomes this."""
    return lambda patch: patch.setattr(owner, name, value)


def wrap(owner: Any, name: str, around: Callable[..., Any]) -> Patch:
    """`around` is called with the original function first."""
    original = getattr(owner, name)
    return put(owner, name, lambda *args, **kwargs: around(original, *args, **kwargs))


def together(*patches: Patch) -> Patch:
    """All of them are one mistake."""

    def apply(patch: pytest.MonkeyPatch) -> None:
        for each in patches:
            each(patch)

    return apply
