"""What an alarm watches, in the spellings of SNS, EventBridge and DescribeAlarms alike.

They differ in the case of their keys, in `name` or `MetricName`, and in dimensions as a list of
pairs or as an object; so keys are looked up whatever their case.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from engine.core.json_value import Json
from engine.ports.payload import WrongField, no_string, shown, storable


@dataclass(frozen=True, slots=True)
class Watched:
    """Namespace and metric where there is one of each, the dimensions that all metrics share."""

    namespace: str
    metric: str
    dimensions: Mapping[str, str]
    expression: str
    threshold: str


NOTHING = Watched("", "", {}, "", "")


@dataclass(frozen=True, slots=True)
class _Metric:
    namespace: str
    name: str
    dimensions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Fields:
    """An object of a payload, its path, and its fields whatever the case of their names."""

    raw: Mapping[str, Json]
    path: str

    def find(self, *names: str) -> tuple[str, Json]:
        """The path and the value of the first of the fields that there is and isn't null.

        Where there is none, the path that was looked for and None.
        """
        for name in names:
            for key in (name, name[:1].lower() + name[1:], name.lower()):
                if self.raw.get(key) is not None:
                    return self._at(key), self.raw[key]
        return self._at(names[0]), None

    def text(self, *names: str) -> str:
        """The text of a field, "" where there is none. Raises WrongField."""
        where, value = self.find(*names)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise WrongField(where, no_string(value))
        return storable(value)

    def inner(self, *names: str) -> "Fields":
        """The object in a field, an empty one where there is none. Raises WrongField."""
        where, value = self.find(*names)
        return Fields({}, where) if value is None else fields_of(value, where)

    def each(self, *names: str) -> "Iterator[Fields]":
        """The objects of a list, none where there is no list. Raises WrongField."""
        where, value = self.find(*names)
        if value is None:
            return
        if not isinstance(value, list):
            raise WrongField(where, f"expected a list, got {shown(value)}")
        for index, each in enumerate(value):
            yield fields_of(each, f"{where}[{index}]")

    def texts(self, *names: str) -> dict[str, str]:
        """An object of texts, or a list of pairs of `name` and `value`. Raises WrongField."""
        _, value = self.find(*names)
        if isinstance(value, list):
            pairs = ((each.text("Name"), each.text("Value")) for each in self.each(*names))
            return {name: text for name, text in pairs if name and text}
        fields = self.inner(*names)
        found = {storable(name): fields.text(name) for name in fields.raw if name}
        return {name: text for name, text in found.items() if text}

    def _at(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key


def fields_of(value: Json, path: str) -> Fields:
    """The fields of an object. Raises WrongField."""
    if not isinstance(value, dict):
        raise WrongField(path, f"expected an object, got {shown(value)}")
    return Fields(value, path)


def watched(alarm: Fields) -> Watched:
    """From a `Trigger`, a `configuration`, or an alarm as it is described. Raises WrongField."""
    metrics = list(_metrics(alarm))
    namespaces = {metric.namespace for metric in metrics if metric.namespace}
    names = {metric.name for metric in metrics if metric.name}
    expressions = [query.text("Expression") for query in alarm.each("Metrics")]
    return Watched(
        namespace=namespaces.pop() if len(namespaces) == 1 else "",
        metric=names.pop() if len(names) == 1 else "",
        dimensions=_shared([metric.dimensions for metric in metrics]),
        expression="; ".join(filter(None, expressions)),
        threshold=_threshold(alarm),
    )


def _metrics(alarm: Fields) -> Iterator[_Metric]:
    if alarm.text("MetricName"):
        yield _metric(alarm)
    for query in alarm.each("Metrics"):
        metric = query.inner("MetricStat").inner("Metric")
        if metric.raw:
            yield _metric(metric)


def _metric(fields: Fields) -> _Metric:
    name = fields.text("MetricName", "Name")
    return _Metric(fields.text("Namespace"), name, fields.texts("Dimensions"))


def _shared(each: Sequence[Mapping[str, str]]) -> Mapping[str, str]:
    """What tells which resource it is about: dimensions in which metrics differ don't."""
    if not each:
        return {}
    return {
        name: value
        for name, value in each[0].items()
        if all(other.get(name) == value for other in each)
    }


def _threshold(alarm: Fields) -> str:
    _, value = alarm.find("Threshold")
    operator = alarm.text("ComparisonOperator")
    # A text would be no threshold, and nothing that matters is lost without it.
    if isinstance(value, bool) or not isinstance(value, int | float):
        return operator
    return f"{operator} {value:g}".strip()
