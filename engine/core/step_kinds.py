"""What a step of a playbook is: the word that says what it does, and the words beside it."""

from collections.abc import Mapping
from typing import Literal

from engine.core.documents import StepDocument
from engine.core.mistakes import Mistakes
from engine.core.plan import PlanPhase

StepKind = Literal["uses", "wait", "ask", "call", "foreach", "parallel", "steps"]

_ANY = frozenset({"id", "description", "if_"})
# What calls an action takes all words that its part of the playbook has.
_BESIDE: Mapping[StepKind, frozenset[str]] = {
    "wait": _ANY,
    "ask": _ANY,
    "call": _ANY | {"with_"},
    "foreach": _ANY | {"steps"},
    "parallel": _ANY,
    "steps": _ANY,
}
_MEANINGS: Mapping[StepKind, str] = {
    "uses": "calls an action",
    "wait": "lets time pass",
    "ask": "asks people",
    "call": "calls a playbook",
    "foreach": "goes through a list",
    "parallel": "does several things at once",
    "steps": "is a branch of several steps",
}
_WRITTEN = tuple(kind for kind in _MEANINGS if kind != "steps")

_EVERYWHERE = frozenset({"id", "description", "uses", "with_", "connection", "timeout"})
# For what looks again until it holds; the first two belong together.
_LOOKING = ("until", "within", "every", "stable_for")
_IN_A_PLAN = _EVERYWHERE | {"required", "if_", "retry", "affects", "wait", *_LOOKING}
_WORDS: Mapping[PlanPhase, frozenset[str]] = {
    "investigate": _EVERYWHERE | {"required", "ask"},
    "steps": _IN_A_PLAN | {"rollback", "ask", "call", "foreach", "parallel", "steps"},
    "rollback": _IN_A_PLAN,
    "on_cancel": _IN_A_PLAN,
    "guards": _EVERYWHERE | {"until"},
    "verify": _EVERYWHERE | set(_LOOKING),
}


def check_words(phase: PlanPhase, document: StepDocument, mistakes: Mistakes) -> None:
    """Check that each of its words belongs to the part of the playbook that it stands in."""
    for word in sorted(document.model_fields_set - _WORDS[phase]):
        name = word.rstrip("_")
        places = " and ".join(f"`{each}`" for each, words in _WORDS.items() if word in words)
        mistakes.at(name).add(f"`{name}` belongs to {places}, not to `{phase}`")
    looks = any(getattr(document, word) is not None for word in _LOOKING)
    if phase == "verify" or (looks and "within" in _WORDS[phase]):
        who = "verify" if phase == "verify" else "it"
        for needed in _LOOKING[:2]:
            if getattr(document, needed) is None:
                mistakes.add(f"step {document.id!r} needs `{needed}`: {who} waits until it holds")


def kind_of(
    document: StepDocument, mistakes: Mistakes, *, is_branch: bool = False
) -> StepKind | None:
    """What the step does; None with its mistake recorded where it says nothing, or too much.

    A branch of a parallel may be a row of steps, which is no kind of its own elsewhere.
    """
    written: list[StepKind] = [kind for kind in _WRITTEN if getattr(document, kind) is not None]
    if is_branch and not written and document.steps:
        written = ["steps"]
    if len(written) != 1:
        words = ", ".join(f"`{kind}` ({_MEANINGS[kind]})" for kind in written or _WRITTEN)
        told = "does one thing; it has" if written else "says what it does by one of"
        mistakes.add(f"step {document.id!r} {told} {words}")
        return None
    (kind,) = written
    if kind == "foreach" and not document.steps:
        mistakes.add(f"step {document.id!r} needs `steps`: what is done for each item")
    if kind == "uses" and document.steps:
        mistakes.at("steps").add("`steps` belongs to a `foreach`, or to a branch of `parallel`")
    if kind in _BESIDE:
        for word in sorted(document.model_fields_set - _BESIDE[kind] - {kind}):
            name = word.rstrip("_")
            mistakes.at(name).add(f"`{name}` doesn't belong to a step that {_MEANINGS[kind]}")
    return kind
