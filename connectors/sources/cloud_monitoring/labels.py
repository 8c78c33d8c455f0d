"""An incident's labels under names that can't collide by chance.

Each part of the notice has a prefix of its own: `resource_`, `metric_`, `system_` and `metadata_`
(the resource's metadata). The policy's user labels keep their names, because somebody gave them
on purpose; one whose name is taken gets `policy_`. `region` is the policy's, else the resource's.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.core.alert import MAX_LABEL_BYTES
from engine.core.json_value import Json
from engine.ports.payload import WrongField, object_in, shown, storable

CONDITION_KINDS: Mapping[str, str] = {
    "conditionThreshold": "threshold",
    "conditionAbsent": "absent",
    "conditionMatchedLog": "matched_log",
    "conditionMonitoringQueryLanguage": "mql",
    "conditionPrometheusQueryLanguage": "promql",
    "conditionSql": "sql",
}
# "europe-west3-a" is in "europe-west3".
_ZONE = re.compile(r"^([a-z]+-[a-z]+[0-9]+)-[a-z]$")
# What Cloud Monitoring writes for a policy without a severity.
_NO_SEVERITY = frozenset({"no severity", "severity_unspecified"})


@dataclass(slots=True)
class LabelsRead:
    """What was read so far. Texts that are too long for a label become annotations."""

    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, text: str, otherwise: str = "") -> None:
        """Under `otherwise` where the name is taken; empty texts are absent."""
        if not text:
            return
        if len(text.encode(errors="surrogatepass")) > MAX_LABEL_BYTES:
            self.annotations.setdefault(name, text)
            return
        self.labels.setdefault(otherwise if otherwise and name in self.labels else name, text)

    def add_all(self, prefix: str, values: Mapping[str, Json], where: str) -> None:
        """Each value under its prefixed name. Raises WrongField."""
        for name, value in values.items():
            key = storable(name)
            self.add(f"{prefix}{key}", scalar(value, f"{where}.{key[:80]}"), f"policy_{key}")


def labels_of(incident: Mapping[str, Json]) -> LabelsRead:
    """The labels of an incident. Raises WrongField."""
    read = LabelsRead()
    resource, metric = object_in(incident, "resource"), object_in(incident, "metric")
    condition = object_in(incident, "condition")
    read.add("incident_id", text_of(incident, "incident_id"))
    read.add("project", text_of(incident, "scoping_project_id"))
    read.add("policy", text_of(incident, "policy_name"))
    read.add("policy_id", text_of(condition, "name", "condition.").partition("/conditions/")[0])
    read.add("condition", text_of(incident, "condition_name"))
    read.add("condition_kind", kind_of(condition))
    read.add("resource_type", text_of(resource, "type", "resource."))
    read.add("resource_name", text_of(incident, "resource_name"))
    read.add("resource_display_name", text_of(incident, "resource_display_name"))
    read.add("metric_type", text_of(metric, "type", "metric."))
    severity = text_of(incident, "severity")
    read.add("severity", "" if severity.lower() in _NO_SEVERITY else severity)
    metadata = object_in(incident, "metadata")
    for prefix, part, of, name in (
        ("resource_", "resource.", resource, "labels"),
        ("metric_", "metric.", metric, "labels"),
        ("system_", "metadata.", metadata, "system_labels"),
        ("metadata_", "metadata.", metadata, "user_labels"),
        ("", "", incident, "policy_user_labels"),
    ):
        try:
            values = object_in(of, name)
        except WrongField as wrong:
            raise WrongField(f"{part}{name}", wrong.problem) from wrong
        read.add_all(prefix, values, f"{part}{name}")
    read.add("region", region_of(object_in(resource, "labels")))
    return read


def region_of(resource: Mapping[str, Json]) -> str:
    """Where a resource is: the region of a zone, "" where nothing tells."""
    for name in ("region", "location", "zone"):
        place = resource.get(name)
        if isinstance(place, str) and place:
            return _ZONE.sub(r"\1", storable(place))
    return ""


def kind_of(condition: Mapping[str, Json]) -> str:
    """Which kind a condition is, "" where nothing tells."""
    return next((kind for name, kind in CONDITION_KINDS.items() if name in condition), "")


def text_of(of: Mapping[str, Json], name: str, part: str = "") -> str:
    """The text or number in a field, "" when absent or null. Raises WrongField."""
    return scalar(of.get(name), f"{part}{name}")


def scalar(value: Json, where: str) -> str:
    """A single value as a text; a list of such, which system labels may have, by commas."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str():
            return storable(value)
        case int() | float():
            return str(value)
        case list():
            return ",".join(scalar(each, where) for each in value if not isinstance(each, list))
        case _:
            raise WrongField(where, f"expected a text, got {shown(value)}")
