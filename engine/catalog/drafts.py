"""Drafts a rule and its test from an alert: what a person edits is right before they begin."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import re2
import yaml

from engine.core.alert import Alert, SeverityHint
from engine.core.matchers import Matcher
from engine.core.severity import Severity
from engine.errors import PayloadError
from engine.ports.payload import LabelNames

# What tells one thing of many apart, or changes from one notice to the next. Severity has cases of
# its own.
_UNSTABLE_NAME = (
    r"(?i)(?:.*[._-])?(?:instance|pod|host|hostname|node|nodename|resource|target|replica|container"
    r"|device|endpoint|address|ip|id|uid|uuid|guid|arn|time|timestamp|date|at|url|link|value"
    r"|fingerprint|hash|severity|priority|level)"
)
_UNSTABLE_VALUE = (
    r"(?i)\d[\d.,:%eE+-]*"  # a figure
    r"|.*\d{6}.*"  # a time, an account, a serial number
    r"|.*\d{4}-\d\d-\d\d.*"
    r"|.*\d+\.\d+\.\d+\.\d+.*|.+:\d+"  # an address
    r"|.*[0-9a-f]{8}-[0-9a-f]{4}-.*"
    r"|.*-[0-9a-z]{8,10}-[0-9a-z]{5}"  # a pod of a deployment
    r"|(?:.*[^0-9a-f])?[0-9a-f]*\d[0-9a-f]{7,}"
)
_MAX_VALUE = 100

# Nobody is woken by a draft: P1 is a person's word.
_SEVERITIES: Mapping[SeverityHint, Severity] = {"critical": Severity.P2, "info": Severity.P4}
_OTHERWISE = Severity.P3

# What no reader of YAML takes for anything but a text, but for the words that the dumper quotes.
_PLAIN = r"[A-Za-z][A-Za-z0-9_./-]*(?: [A-Za-z0-9_./-]+)*"

_READER = LabelNames()
_OWN_SOURCE = "alertmanager"

MORE = """\
    # What else a rule may have (docs/rules.md); take out the `#` of what you need:
    # when: alert.environment != "dev"                # a condition that matchers can't say
    # playbook: restart-vllm                          # the remedy; then mode approve, or auto
    # with: {host: '${{ alert.target }}', model: '${{ alert.labels.model }}'}
    # postmortem: [P1, P2]
"""


@dataclass(frozen=True, slots=True)
class Example:
    """An alert that a rule is to take. `labels` are its own, with its name as `alertname`.

    `known` are labels that its test needs beside them, so that the alert of the test has the
    service, target and severity that the source told by other means than labels.
    """

    source: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str] = field(default_factory=dict)
    known: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The alert's name."""
        return self.labels["alertname"]

    @property
    def fired(self) -> Mapping[str, str]:
        """The labels of the alert in the test."""
        return {**self.known, **self.labels}


# What a skeleton is made from.
SKELETON = Example(_OWN_SOURCE, {"alertname": "MyAlert", "service": "my-service"})


@dataclass(frozen=True, slots=True)
class Outcome:
    """An incident that the test expects."""

    rule_id: str
    severity: Severity
    mode: str


def example_of(alert: Alert) -> Example:
    """The alert as its source understood it. Raises PayloadError where it has no name."""
    if not alert.name:
        raise PayloadError("the alert has none, so no rule can tell it from others", "alertname")
    labels = {**alert.labels, "alertname": alert.name}
    told = {name: str(getattr(alert, name)) for name in _READER.fields(labels)}
    return Example(alert.source, labels, alert.annotations, known_beside(labels, told))


def known_beside(labels: Mapping[str, str], told: Mapping[str, str]) -> Mapping[str, str]:
    """The labels that a test needs for these fields of an alert to be what the source told."""
    known = {}
    for name, read in _READER.fields(labels).items():
        value, label = told.get(name, ""), name.removesuffix("_hint")
        if value and value != read and label not in labels:
            known[label] = value
    return known


def rule_id_of(name: str) -> str:
    """An id from an alert's name, as `gpu-memory-leak` from `GPUMemoryLeak`; "" when none fits."""
    parted = re2.sub(r"([a-z0-9])([A-Z])", r"\1-\2", name)
    parted = re2.sub(r"([A-Z])([A-Z][a-z])", r"\1-\2", parted)
    return str(re2.sub(r"[^a-z0-9]+", "-", parted.lower())).strip("-")[:63].rstrip("-")


def outcome_of(rule_id: str, example: Example) -> Outcome:
    """What the drafted rule makes of the alert."""
    return Outcome(rule_id, _SEVERITIES.get(_hint(example), _OTHERWISE), "suggest")


def draft_rule(rule_id: str, examples: Sequence[Example], more: str = "") -> str:
    """The text of a rule's file; `examples` are alerts of one name, and all of them match."""
    first = examples[0]
    matchers, others = _matchers(examples)
    return "".join(
        [
            "language: 1\nrules:\n",
            f"  - id: {scalar(rule_id)}\n",
            f"    description: {scalar(f'Say what is wrong when {first.name} fires')}\n",
            "    matchers:  # all of them must hold; what is in a comment would narrow it\n",
            *(f"      - {scalar(str(each))}\n" for each in matchers),
            *(f"      # - {scalar(str(each))}\n" for each in others),
            *_severity(first),
            f"    group_by: [{_group(first)}]  # one incident for each value\n",
            "    mode: suggest  # tells people and investigates; starts nothing by itself\n",
            "    notify: [team]\n",
            more,
        ]
    )


def draft_test(example: Example, outcomes: Sequence[Outcome]) -> str:
    """The text of the file with the rule's test: this alert, and these incidents."""
    source = f"        source: {scalar(example.source)}\n" if example.source != _OWN_SOURCE else ""
    return "".join(
        [
            "language: 1\ntests:\n",
            f"  - name: {scalar(f'{example.name} is taken')}\n",
            f"    alerts:\n      - at: 0s\n        fire: alert\n{source}",
            *_texts("labels", example.fired),
            *_texts("annotations", example.annotations),
            "    expect:\n      - at: 1m\n        incidents:\n",
            *(
                f"          - {{rule: {scalar(each.rule_id)}, severity: {each.severity.name}, "
                f"mode: {each.mode}}}\n"
                for each in outcomes
            ),
        ]
    )


def _matchers(examples: Sequence[Example]) -> tuple[list[Matcher], list[Matcher]]:
    """What the rule asks for: the name and the service; and what it could ask for too."""
    first = examples[0].labels
    shared = {
        name: value
        for name, value in first.items()
        if all(each.labels.get(name) == value for each in examples)
        and _is_stable(name, value)
        and name != "alertname"
    }
    service = next((name for name in _READER.service if name in shared), None)
    chosen = [Matcher("alertname", "=", first["alertname"])]
    if service is not None:
        chosen.append(Matcher(service, "=", shared.pop(service)))
    return chosen, [Matcher(name, "=", value) for name, value in sorted(shared.items())]


def _is_stable(name: str, value: str) -> bool:
    """Whether the next alert of this kind is likely to have the same value."""
    return (
        value.isprintable()
        and len(value) <= _MAX_VALUE
        and not re2.fullmatch(_UNSTABLE_NAME, name)
        and not re2.fullmatch(_UNSTABLE_VALUE, value)
    )


def _severity(example: Example) -> Iterator[str]:
    if not _hint(example):
        yield f"    severity: {_OTHERWISE.name}\n"
        return
    yield "    severity:\n"
    for hint, severity in _SEVERITIES.items():
        yield f'      - when: alert.severity_hint == "{hint}"\n        is: {severity.name}\n'
    yield f"      - is: {_OTHERWISE.name}\n"


def _hint(example: Example) -> SeverityHint:
    return _READER.fields(example.fired)["severity_hint"]


def _group(example: Example) -> str:
    fields = _READER.fields(example.fired)
    if fields["service"]:
        return "service"
    return "target" if fields["target"] or fields["resource"] else "alertname"


def _texts(key: str, texts: Mapping[str, str]) -> Iterator[str]:
    if texts:
        yield f"        {key}:\n"
    for name, value in sorted(texts.items(), key=lambda each: (each[0] != "alertname", each)):
        yield f"          {scalar(name)}: {scalar(value)}\n"


def scalar(text: str) -> str:
    """A text of YAML on one line, in quotes where YAML would read something else."""
    quotes = "'" if text.isprintable() else '"'
    style = None if re2.fullmatch(_PLAIN, text) else quotes
    flow = yaml.safe_dump(
        [text], default_flow_style=True, default_style=style, allow_unicode=True, width=1 << 30
    )
    return flow.removesuffix("\n").removeprefix("[").removesuffix("]")
