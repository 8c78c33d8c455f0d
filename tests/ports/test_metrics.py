"""The metrics page: current, complete, and named as promised."""

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from engine.ports.metrics import Metrics, page

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_the_page_is_current() -> None:
    current = PAGE.read_text() == page()
    assert current, "run: python -m engine.ports.metrics > docs/metrics.md"


def test_every_exported_series_is_on_the_page_and_begins_with_quell() -> None:
    metrics = Metrics()
    metrics.intake_requests.labels("alertmanager", 200).inc()
    metrics.intake_seconds.labels("alertmanager").observe(0.01)
    metrics.build_info.labels("1.2.3").set(1)
    families = list(text_string_to_metric_families(metrics.text().decode()))
    assert len(families) >= 3
    text = page()
    for family in families:
        name = family.name + ("_total" if family.type == "counter" else "")
        assert name.startswith("quell_")
        assert f"| `{name}` | {family.type} |" in text


def test_two_engines_in_one_process_do_not_mix() -> None:
    first, second = Metrics(), Metrics()
    first.runs_ended.labels("succeeded").inc()
    assert b'quell_runs_ended_total{outcome="succeeded"} 1.0' in first.text()
    assert b"succeeded" not in second.text()
