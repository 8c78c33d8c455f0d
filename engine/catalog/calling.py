"""Playbooks compiled in such an order that each is there before another one calls it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from engine.catalog.parsing import Parsed
from engine.core.calls import CallError, calls_of
from engine.core.documents import PlaybookDocument
from engine.core.playbook import Playbook
from engine.core.playbook_checks import compile_playbook
from engine.core.steps import PlaybookContext


@dataclass(slots=True)
class WrittenPlaybooks:
    """The library of these texts, by their ids; `compile_all` records every mistake in them."""

    parsed: Mapping[str, Parsed[PlaybookDocument]]
    _ready: dict[str, Playbook | None] = field(default_factory=dict)
    _at: str = ""

    @property
    def names(self) -> Collection[str]:
        """All that are written."""
        return self.parsed

    def compile_all(self, context: PlaybookContext) -> Mapping[str, Playbook | None]:
        """Each playbook, None where it, or one that it calls, has mistakes."""
        context = replace(context, library=self)
        for name in self._callees_first():
            parsed, self._at = self.parsed[name], name
            self._ready[name] = compile_playbook(
                parsed.document, parsed.text_hash, context, parsed.mistakes
            )
        return {name: self._ready[name] for name in self.parsed}

    def find(self, name: str) -> Playbook | None:
        """As the port says: what isn't ready before its caller calls that one in turn."""
        if name not in self._ready:
            raise CallError(f"the calls go in a circle: {' → '.join(self._circle(name))}")
        return self._ready[name]

    def _callees_first(self) -> list[str]:
        """Each name once, behind all that it calls; without recursion, for any depth."""
        order: dict[str, None] = {}
        seen: set[str] = set()
        for first in self.parsed:
            stack = [(first, iter(self._calls(first)))] if first not in seen else []
            seen.add(first)
            while stack:
                name, calls = stack[-1]
                callee = next((each for each in calls if each not in seen), None)
                if callee is None:
                    order[name] = None
                    stack.pop()
                else:
                    seen.add(callee)
                    stack.append((callee, iter(self._calls(callee))))
        return list(order)

    def _calls(self, name: str) -> list[str]:
        return [each for each in calls_of(self.parsed[name].document) if each in self.parsed]

    def _circle(self, name: str) -> list[str]:
        """From the playbook that is compiled now over the one that it calls back to it."""
        before: dict[str, str] = {name: self._at}
        waiting = [name]
        while waiting and self._at not in before:
            at = waiting.pop(0)
            for callee in self._calls(at):
                if callee not in before:
                    before[callee] = at
                    waiting.append(callee)
        circle, at = [self._at], self._at
        while at in before and (at := before[at]) != self._at:
            circle.append(at)
        return [self._at, *reversed(circle[1:]), self._at]
