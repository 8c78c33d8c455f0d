"""A drafted rule takes what it was made from, asks for what stays the same, and reads well."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.catalog.drafts import (
    MORE,
    SKELETON,
    Example,
    draft_rule,
    draft_test,
    example_of,
    known_beside,
    outcome_of,
    rule_id_of,
)
from engine.catalog.parsing import parse
from engine.catalog.sources import Kind, SourceFile
from engine.core.alert import Alert
from engine.core.inventory import Inventory
from engine.core.matchers import parse_matcher
from engine.core.mistakes import Mistakes
from engine.core.rehearsal_documents import RehearsalsDocument, check_rehearsals
from engine.core.rule import RuleContext, compile_rule
from engine.core.rule_documents import RuleDefaults, RuleDocument, RulesDocument
from engine.core.severity import Severity
from engine.errors import PayloadError

NOW = datetime(2026, 3, 1, tzinfo=UTC)
# What a source keeps: Cc but tab and line feed, and halves of a character, never get this far.
TEXTS = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), include_characters="\n\t"), max_size=30
)
LABELS = st.dictionaries(TEXTS.filter(bool), TEXTS.filter(bool), max_size=8)


def example(**labels: str) -> Example:
    return Example("alertmanager", {"alertname": "DoorOpen", **labels})


def read_rule(text: str) -> RuleDocument:
    source = SourceFile(Kind.RULES, "rules/a.yaml", "rules/a.yaml", text.encode(), shipped=False)
    findings: list[object] = []
    parsed = parse(source, RulesDocument, findings)  # type: ignore[arg-type]
    assert not findings
    assert parsed is not None
    (rule,) = parsed.document.rules
    context = RuleContext("rules/a.yaml", RuleDefaults(), {"restart-vllm": {}}, Inventory())
    mistakes = Mistakes()
    assert compile_rule(rule.model_copy(update={"with_": {}}), context, mistakes), mistakes.found
    return rule


def read_test(text: str) -> RehearsalsDocument:
    source = SourceFile(Kind.REHEARSALS, "a", "rules/a.test.yaml", text.encode(), shipped=False)
    findings: list[object] = []
    parsed = parse(source, RehearsalsDocument, findings)  # type: ignore[arg-type]
    assert not findings
    assert parsed is not None
    check_rehearsals(parsed.document, parsed.mistakes)
    assert not parsed.mistakes.found
    return parsed.document


@settings(deadline=None)
@given(labels=LABELS, annotations=LABELS, name=TEXTS.filter(bool))
def test_whatever_an_alert_holds_its_rule_matches_and_its_test_fires_it(
    labels: Mapping[str, str], annotations: Mapping[str, str], name: str
) -> None:
    made = Example("alertmanager", {**labels, "alertname": name}, annotations)
    rule = read_rule(draft_rule("a", [made]))
    assert rule.matchers
    assert all(parse_matcher(each).matches(made.labels) for each in rule.matchers)
    (story,) = read_test(draft_test(made, [outcome_of("a", made)])).tests
    (fired,) = story.alerts
    assert (fired.labels, fired.annotations) == (made.labels, annotations)


@pytest.mark.parametrize(
    ("name", "value", "is_offered"),
    [
        ("environment", "production", True),
        ("team", "ml-inference", True),
        ("model", "llama-3.1-70b", True),
        ("mountpoint", "/var/lib/models", True),
        ("region", "eu-west-1", True),
        ("gpu_type", "h100", True),
        ("instance", "gpu-07", False),
        ("pod", "vllm-0", False),
        ("kubernetes_node", "worker", False),
        ("trace_id", "abc", False),
        ("startTime", "noon", True),  # no name that ends in a word of its own
        ("start_time", "noon", False),
        ("severity", "critical", False),
        ("le", "0.5", False),
        ("since", "2026-03-01T11:00:00Z", False),
        ("since", "1772362800", False),
        ("peer", "10.0.0.7:9100", False),
        ("peer", "gpu-07:9100", False),
        ("owner", "web-5d9c7b8f4d-x2x9z", False),
        ("run", "0b1c2d3e-1111-2222-3333-444455556666", False),
        ("commit", "9fceb02d0ae5", False),
        ("text", "two\nlines", False),
        ("text", "long " * 30, False),
    ],
)
def test_only_what_stays_the_same_is_offered_as_a_matcher(
    name: str, value: str, is_offered: bool
) -> None:
    text = draft_rule("a", [example(**{name: value})])
    assert (f"      # - '{name}=" in text) == is_offered
    assert read_rule(text).matchers == ('alertname="DoorOpen"',)


def test_name_and_service_are_asked_for_and_of_several_alerts_what_they_share() -> None:
    first = example(service="gw", job="blackbox", region="eu", team="a")
    rule = draft_rule("a", [first, example(service="gw", job="other", region="eu", team="b")])
    assert read_rule(rule).matchers == ('alertname="DoorOpen"', 'service="gw"')
    assert "# - 'region=\"eu\"'" in rule
    assert "job" not in rule
    assert "team" not in rule.replace("notify: [team]", "")
    assert read_rule(draft_rule("a", [example(job="node")])).matchers[1] == 'job="node"'


@pytest.mark.parametrize(
    ("severity", "expected"),
    [
        ("critical", Severity.P2),
        ("warning", Severity.P3),
        ("info", Severity.P4),
        ("", Severity.P3),
        ("purple", Severity.P3),
    ],
)
def test_the_hint_chooses_the_severity(severity: str, expected: Severity) -> None:
    made = example(severity=severity)
    assert outcome_of("a", made).severity is expected
    written = read_rule(draft_rule("a", [made])).severity
    assert (written == "P3") == (severity in ("", "purple"))


@pytest.mark.parametrize(
    ("labels", "group"),
    [
        ({"service": "gw", "instance": "a"}, ("service",)),
        ({"instance": "a"}, ("target",)),
        ({"pod": "a"}, ("target",)),
        ({"team": "a"}, ("alertname",)),
    ],
)
def test_incidents_are_grouped_by_what_the_alert_has(
    labels: Mapping[str, str], group: tuple[str, ...]
) -> None:
    assert read_rule(draft_rule("a", [example(**labels)])).group_by == group


def test_what_a_source_tells_without_labels_is_in_the_test_and_in_no_matcher() -> None:
    alert = Alert(
        fingerprint="f",
        source="cloudwatch",
        name="HighLatency",
        status="firing",
        labels={"Namespace": "AWS/SageMaker"},
        annotations={},
        starts_at=NOW,
        ends_at=None,
        received_at=NOW,
        service="llm-70b",
        severity_hint="critical",
    )
    made = example_of(alert)
    assert made.known == {"service": "llm-70b", "severity": "critical"}
    rule = read_rule(draft_rule("a", [made]))
    assert rule.matchers == ('alertname="HighLatency"',)
    assert rule.group_by == ("service",)
    (step,) = read_test(draft_test(made, [outcome_of("a", made)])).tests[0].alerts
    assert step.source == "cloudwatch"
    assert step.labels == {
        "alertname": "HighLatency",
        "Namespace": "AWS/SageMaker",
        "service": "llm-70b",
        "severity": "critical",
    }


@pytest.mark.parametrize(
    ("labels", "known"),
    [
        pytest.param({}, {"service": "gw"}, id="told-otherwise"),
        pytest.param({"job": "gw"}, {}, id="read-from-a-label"),
        pytest.param({"service": "other"}, {}, id="a-label-of-that-name-stays"),
    ],
)
def test_a_label_is_added_only_where_none_tells(
    labels: Mapping[str, str], known: Mapping[str, str]
) -> None:
    assert known_beside(labels, {"service": "gw"}) == known


def test_an_alert_without_a_name_has_no_rule() -> None:
    nameless = Alert("f", "alertmanager", "", "firing", {"a": "b"}, {}, NOW, None, NOW)
    with pytest.raises(PayloadError, match="alertname: the alert has none"):
        example_of(nameless)


def test_all_that_the_skeleton_holds_in_comments_can_be_used() -> None:
    text = draft_rule("a", [SKELETON], MORE)
    _, _, more = text.partition("of what you need:\n")
    assert len(more.splitlines()) == 4
    rule = read_rule(text.replace(more, re.sub("(?m)^    # ", "    ", more)))
    assert (rule.playbook, rule.when) == ("restart-vllm", 'alert.environment != "dev"')


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("GPUMemoryLeak", "gpu-memory-leak"),
        ("LLMEndpointDown", "llm-endpoint-down"),
        ("KubePodCrashLooping", "kube-pod-crash-looping"),
        ("node_disk full!", "node-disk-full"),
        ("p95Latency", "p95-latency"),
        ("Überhitzt", "berhitzt"),
        ("高", ""),
        ("A" * 80, "a" * 63),
        ("a" * 62 + " b", "a" * 62),
    ],
)
def test_an_id_follows_from_the_name(name: str, expected: str) -> None:
    assert rule_id_of(name) == expected
