"""A rule's words for when it acts, checked and compiled."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from engine.core.compiling import compile_duration
from engine.core.conditions import (
    AT_ONCE,
    Absence,
    AllOf,
    Conditions,
    Escalation,
    Flapping,
    Inhibition,
    Window,
)
from engine.core.ids import derived_id
from engine.core.matchers import Matcher, MatcherError, first_exclusion, parse_matcher
from engine.core.mistakes import Mistakes
from engine.core.rule_documents import Growth, RuleDocument
from engine.core.severity import Severity

# Of each line a rule has one word: they answer the same question differently.
_ALTERNATIVES = (("window", "all_of", "absent"), ("for_", "absent"), ("flapping", "absent"))
# An edit of these begins what was counted anew; of others, like `for`, it doesn't.
_DEFINING = {"matchers", "when", "window", "all_of", "absent", "flapping", "group_by"}


def compile_matchers(texts: Sequence[str], mistakes: Mistakes) -> tuple[Matcher, ...]:
    """The matchers of a list; what can't be read is a mistake at its place."""
    found = []
    for index, text in enumerate(texts):
        try:
            found.append(parse_matcher(text))
        except MatcherError as error:
            mistakes.at(index).add(error.message, error.column)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Compiler:
    document: RuleDocument
    mistakes: Mistakes

    def span(self, text: str, *path: str | int) -> timedelta:
        return compile_duration(text, self.mistakes.at(*path))

    def own_matchers(self) -> tuple[Matcher, ...]:
        """The rule's; what can't be read of them is told where they are compiled."""
        return compile_matchers(self.document.matchers, Mistakes())

    def inhibition(self) -> Inhibition | None:
        written = self.document.inhibited_by
        if written is None:
            return None
        here = self.mistakes.at("inhibited_by", "matchers")
        return Inhibition(compile_matchers(written.matchers, here), written.equal)

    def window(self) -> Window | None:
        written = self.document.window
        if written is None:
            return None
        within = self.span(written.within, "window", "within")
        return Window(written.at_least, written.of, written.distinct, within)

    def all_of(self) -> AllOf | None:
        written = self.document.all_of
        if written is None:
            return None
        here = self.mistakes.at("all_of", "alerts")
        parts = []
        for index, texts in enumerate(written.alerts):
            if not texts:
                here.at(index).add("an alert without matchers is any alert; write some")
            part = compile_matchers(texts, here.at(index))
            # The rule's own matchers come first: what they refuse never becomes one of these.
            if excluded := first_exclusion((*self.own_matchers(), *part)):
                one, other = excluded
                here.at(index).add(
                    f"no alert is this one: {one} and {other} exclude each other, and the rule's "
                    "own `matchers` hold for every alert of `all_of`"
                )
            parts.append(part)
        return AllOf(tuple(parts), self.span(written.within, "all_of", "within"))

    def absence(self) -> Absence | None:
        written = self.document.absent
        if written is None:
            return None
        return Absence(self.span(written.for_, "absent", "for"), written.expect_from_start)

    def flapping(self) -> Flapping | None:
        written = self.document.flapping
        if written is None:
            return None
        within = self.span(written.within, "flapping", "within")
        stable_for = self.span(written.stable_for, "flapping", "stable_for")
        return Flapping(written.at_least, within, stable_for)

    def escalation(self, index: int, written: Growth) -> Escalation:
        here = self.mistakes.at("escalate", index)
        if (written.firing is None) == (written.after is None):
            here.add("write either `firing: N` or `after: 30m`")
        after = None
        if written.after is not None:
            after = self.span(written.after, "escalate", index, "after")
        return Escalation(Severity[written.is_], written.firing, after)


def compile_conditions(document: RuleDocument, mistakes: Mistakes) -> Conditions:
    """What the rule waits for; mistakes are noted where they stand."""
    compiler = _Compiler(document, mistakes)
    _check_together(document, mistakes)
    found = Conditions(
        inhibited_by=compiler.inhibition(),
        for_=timedelta(0) if document.for_ is None else compiler.span(document.for_, "for"),
        window=compiler.window(),
        all_of=compiler.all_of(),
        absent=compiler.absence(),
        flapping=compiler.flapping(),
        absorbs=document.absorbs is not None,
        absorbed=document.absorbed_by is not None,
        escalate=tuple(
            compiler.escalation(index, each) for index, each in enumerate(document.escalate)
        ),
    )
    if found == AT_ONCE:
        return AT_ONCE
    words = document.model_dump_json(include=_DEFINING)
    return replace(found, definition=derived_id("definition", document.id, words))


def _check_together(document: RuleDocument, mistakes: Mistakes) -> None:
    for words in _ALTERNATIVES:
        written = [word for word in words if getattr(document, word) is not None]
        for word in written[1:]:
            name, first = word.rstrip("_"), written[0].rstrip("_")
            mistakes.at(name).add(
                f"`{name}` and `{first}` don't go together: keep one, or write two rules"
            )
    if document.absent is not None and document.absent.expect_from_start:
        named = _named(document.matchers)
        for name in document.group_by:
            if not named.get(name):
                mistakes.at("absent", "expect_from_start").add(
                    f'nothing says which {name} to expect: add a matcher {name}="…", or take '
                    f"{name!r} out of `group_by` (`group_by: []` expects one heartbeat in all)"
                )


def _named(matchers: Sequence[str]) -> dict[str, str]:
    """The values that equalities name, by label; a text that can't be read is told elsewhere."""
    named = {}
    for text in matchers:
        try:
            matcher = parse_matcher(text)
        except MatcherError:
            continue
        if matcher.op == "=":
            named[matcher.name] = matcher.value
    return named
