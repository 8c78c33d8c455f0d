"""How a body that nobody knows becomes alerts: a file of CEL expressions, one a field.

What an expression gives is a plain value; what a time or a label is, the source that uses the
mapping knows.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from pydantic import Field, model_validator

from engine.core.bounds import cut
from engine.core.documents import Document, Language
from engine.core.documents import Expression as ExpressionText
from engine.core.expressions import (
    Bindings,
    Expression,
    ExpressionError,
    ExpressionFailedError,
    Scope,
    ValueType,
    compile_expression,
)
from engine.core.json_value import Json
from engine.core.mistakes import Mistakes

# A sender is answered with it, and a value that it sent may stand in it.
MAX_PROBLEM = 300
MAX_LINKS_WRITTEN = 10

Texts = ExpressionText | Mapping[str, ExpressionText]

TEXT_FIELDS = (
    *("status", "name", "severity_hint", "service", "resource", "target"),
    *("environment", "team", "customer", "region"),
)
TIME_FIELDS = ("starts_at", "ends_at", "event_at", "expires_at")
TEXTS_FIELDS = ("identity", "labels", "annotations")

_BODY = Scope({"body": ValueType.DYN, "received_at": ValueType.TIMESTAMP})
_ITEM = _BODY.with_("item", ValueType.DYN)
_SPANS = frozenset({"dyn", "duration", "string", "int", "double"})
_TIMES = frozenset({"dyn", "timestamp", "string", "int", "double"})
_SCALARS = frozenset({"dyn", "string", "int", "double", "bool"})


class MappingDocument(Document):
    """A mapping file. `body` is what was sent, and `item` each element of `for_each`.

    `identity`, `labels` and `annotations` are one expression that gives a map, or one a name.
    """

    language: Language
    for_each: ExpressionText | None = None
    when: ExpressionText | None = None
    status: ExpressionText
    name: ExpressionText
    identity: Texts | None = None
    labels: Texts | None = None
    annotations: Texts | None = None
    starts_at: ExpressionText | None = None
    ends_at: ExpressionText | None = None
    event_at: ExpressionText | None = None
    expires_at: ExpressionText | None = None
    ttl: ExpressionText | None = None
    severity_hint: ExpressionText | None = None
    service: ExpressionText | None = None
    resource: ExpressionText | None = None
    target: ExpressionText | None = None
    environment: ExpressionText | None = None
    team: ExpressionText | None = None
    customer: ExpressionText | None = None
    region: ExpressionText | None = None
    links: tuple[ExpressionText, ...] = Field(default=(), max_length=MAX_LINKS_WRITTEN)

    @model_validator(mode="after")
    def _one_end(self) -> Self:
        if self.ttl is not None and self.expires_at is not None:
            raise ValueError("`ttl` and `expires_at` say the same; write one of them")
        if self.identity is None and self.labels is None:
            raise ValueError("write `identity` or `labels`: nothing else tells alerts apart")
        return self


@dataclass(frozen=True, slots=True)
class Failed:
    """An expression that had no value this time: of which field, and why."""

    field: str
    problem: str


@dataclass(frozen=True, slots=True)
class Mapped:
    """The values of one alert by field; `index` is its place in `for_each`, -1 without one.

    A field that has no expression isn't there.
    """

    index: int
    values: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class AlertMapping:
    """A mapping that was checked."""

    for_each: Expression | None
    when: Expression | None
    fields: Mapping[str, Expression | Mapping[str, Expression]]
    links: Sequence[Expression]

    def read(self, body: Json, received_at: datetime) -> Iterator[Mapped | Failed]:
        """Each alert of a body, or why it is none; what `when` doesn't hold for is left out."""
        values: dict[str, object] = {"body": body, "received_at": received_at}
        if self.for_each is None:
            yield from self._alert(values, -1)
            return
        try:
            items = _evaluated(self.for_each, Bindings(values), "for_each")
        except _NoValue as error:
            yield error.failed
            return
        assert isinstance(items, list)  # it was compiled so
        for index, item in enumerate(items):
            yield from self._alert({**values, "item": item}, index)

    def _alert(self, values: Mapping[str, object], index: int) -> Iterator[Mapped | Failed]:
        bindings, place = Bindings(values), "" if index < 0 else f"for_each[{index}]."
        found: dict[str, object] = {}
        try:
            if self.when is not None and not _evaluated(self.when, bindings, f"{place}when"):
                return
            for field, expression in self.fields.items():
                where = f"{place}{field}"
                if isinstance(expression, Mapping):
                    found[field] = {
                        name: _evaluated(each, bindings, f"{where}.{name}")
                        for name, each in expression.items()
                    }
                else:
                    found[field] = _evaluated(expression, bindings, where)
            found["links"] = [
                _evaluated(each, bindings, f"{place}links[{number}]")
                for number, each in enumerate(self.links)
            ]
        except _NoValue as error:
            yield error.failed
            return
        yield Mapped(index, found)


class _NoValue(Exception):  # noqa: N818 - it never leaves this file; the alert is wrong, not we
    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.problem)
        self.failed = failed


def _evaluated(expression: Expression, bindings: Bindings, field: str) -> object:
    try:
        return expression.evaluate(bindings)
    except ExpressionFailedError as error:
        raise _NoValue(Failed(field, cut(str(error), MAX_PROBLEM))) from error


def compile_mapping(document: MappingDocument, mistakes: Mistakes) -> AlertMapping | None:
    """Check every expression; None with all mistakes recorded."""
    compiler = _Compiler(_BODY if document.for_each is None else _ITEM, mistakes)
    for_each = when = None
    if document.for_each is not None:
        wanted = ValueType.list_of(ValueType.DYN)
        for_each = _Compiler(_BODY, mistakes).one(("for_each",), document.for_each, wanted)
    if document.when is not None:
        when = compiler.one(("when",), document.when, ValueType.BOOL)
    fields: dict[str, Expression | Mapping[str, Expression]] = {}
    for field in TEXT_FIELDS:
        compiler.into(fields, document, field, ValueType.STRING)
    for field in TIME_FIELDS:
        compiler.into(fields, document, field, ValueType.DYN, _TIMES)
    compiler.into(fields, document, "ttl", ValueType.DYN, _SPANS)
    for field in TEXTS_FIELDS:
        compiler.into(fields, document, field, ValueType.map_of(ValueType.DYN))
    links = [
        compiler.one(("links", number), text, ValueType.STRING)
        for number, text in enumerate(document.links)
    ]
    if mistakes.found:
        return None
    return AlertMapping(for_each, when, fields, [each for each in links if each is not None])


@dataclass(frozen=True, slots=True)
class _Compiler:
    scope: Scope
    mistakes: Mistakes

    def one(
        self,
        path: tuple[str | int, ...],
        text: str,
        expects: ValueType,
        kinds: frozenset[str] = frozenset(),
    ) -> Expression | None:
        """An expression that gives what is expected, and of `kinds` where there are some."""
        mistakes = self.mistakes.at(*path)
        try:
            found = compile_expression(text, self.scope, expects)
        except ExpressionError as error:
            mistakes.add(error.message, error.column)
            return None
        if kinds and found.type.kind not in kinds:
            wanted = ", ".join(sorted(kinds - {"dyn"}))
            mistakes.add(f"this gives {found.type}, and one of {wanted} is needed here", 1)
        return found

    def into(
        self,
        fields: dict[str, Expression | Mapping[str, Expression]],
        document: MappingDocument,
        field: str,
        expects: ValueType,
        kinds: frozenset[str] = frozenset(),
    ) -> None:
        """The field's expressions, where the document has some."""
        match getattr(document, field):
            case None:
                pass
            case str() as text:
                if (one := self.one((field,), text, expects, kinds)) is not None:
                    fields[field] = one
            case texts:
                each = {
                    name: self.one((field, name), text, ValueType.DYN, _SCALARS)
                    for name, text in texts.items()
                }
                fields[field] = {name: found for name, found in each.items() if found is not None}
