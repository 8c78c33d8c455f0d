"""`call`: another playbook's steps become part of the plan; what it is given is checked here."""

from collections.abc import Collection, Mapping
from typing import Protocol

from engine.core.documents import PlaybookDocument, StepDocument
from engine.core.expressions import Scope
from engine.core.inventory import Inventory
from engine.core.mistakes import Mistakes
from engine.core.playbook import Call, Playbook
from engine.core.starts import StartContext, compile_arguments
from engine.errors import QuellError

# Whoever reads a plan has to follow them.
MAX_DEPTH = 4


class CallError(QuellError):
    """A playbook can't be called from here; the message says why."""


class Library(Protocol):
    """The playbooks that another one may call."""

    @property
    def names(self) -> Collection[str]:
        """Their ids."""
        ...

    def find(self, name: str) -> Playbook | None:
        """The playbook, None where it has mistakes of its own. Raises CallError for a circle."""
        ...


class NoPlaybooks:
    """A library without any."""

    @property
    def names(self) -> Collection[str]:
        """None."""
        return ()

    def find(self, name: str) -> Playbook | None:
        """There is none."""
        return None


def calls_of(document: PlaybookDocument) -> Collection[str]:
    """The ids of the playbooks that a text calls, each once."""
    steps = [each for step in document.steps for each in step.all()]
    return dict.fromkeys(step.call for step in steps if step.call is not None)


def compile_call(
    document: StepDocument,
    library: Library,
    inputs: Scope,
    inventory: Inventory,
    mistakes: Mistakes,
) -> Call | None:
    """The call with what it gives; None where the playbook can't be called."""
    playbook = _found(document.call or "", library, mistakes.at("call"))
    if playbook is None:
        return None
    if playbook.guard_reads:
        mistakes.at("call").add(
            f"the guards of playbook {playbook.id!r} ask outside of quell "
            f"({', '.join(step.id for step in playbook.guard_reads)}), which a call doesn't do: "
            "write these guards here, and call a playbook without them"
        )
    context = StartContext({}, inventory, inputs)
    known = (playbook.id, playbook.parameters)
    return Call(playbook, compile_arguments(known, document.with_, context, mistakes, "call"))


def _found(name: str, library: Library, mistakes: Mistakes) -> Playbook | None:
    if name not in library.names:
        mistakes.unknown("playbook", name, library.names)
        return None
    try:
        playbook = library.find(name)
    except CallError as error:
        mistakes.add(str(error))
        return None
    if playbook is not None and len(playbook.chain) > MAX_DEPTH:
        chain = " → ".join(playbook.chain)
        depth = len(playbook.chain)
        mistakes.add(f"calls are {depth} deep here, {MAX_DEPTH} is the most: {chain}")
        return None
    return playbook


def check_approvers(
    called: Mapping[str, Playbook], approvers: Collection[str], mistakes: Mistakes
) -> None:
    """Nobody approves by a call what they could not approve by itself."""
    for name, playbook in called.items():
        others = sorted(set(approvers) - set(playbook.approval.ask))
        if others:
            allowed = ", ".join(playbook.approval.ask)
            mistakes.at("approval", "from").add(
                f"playbook {name!r}, which is called, is approved by {allowed} alone, "
                f"not by {', '.join(others)}"
            )
