"""From a match to a run, or to a run that ends with the reason why it can't start."""

from dataclasses import replace
from pathlib import Path

import pytest

from connectors import registry
from engine.catalog import CatalogSources, load_catalog, shipped_folder
from engine.core import events
from engine.core.catalog import Catalog
from engine.core.classify import classify
from engine.core.incident import BY_HAND
from engine.core.inventory import enrich
from engine.core.severity import Mode, ModeLimit
from engine.core.trigger import OrderedRun, first_run, run_by_hand, trigger_key
from engine.errors import NotFoundError, PermanentError
from tests.core.test_planning import INVENTORY
from tests.doubles.declarations import firing
from tests.doubles.runs import an_incident


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    file = tmp_path / "inventory.yaml"
    file.write_text(INVENTORY.replace("service: llm-70b}", "aliases: ['gpu-07:9100']}"))
    return load_catalog(
        CatalogSources(shipped=shipped_folder(), inventory=file), registry.declarations()
    )


def story(catalog: Catalog, *, service: str, instance: str, model: str) -> list[events.Event]:
    alert = firing("LLMEndpointDown", service=service, instance=instance, model=model)
    alert = enrich(alert, catalog.inventory)
    match = classify(alert, catalog.rules).taken
    assert match is not None
    return list(first_run(an_incident(), match, alert, catalog))


def test_a_match_starts_its_playbook_with_typed_parameters(catalog: Catalog) -> None:
    (created,) = story(catalog, service="llm-70b", instance="gpu-07:9100", model="llama")
    assert isinstance(created, events.RunCreated)
    assert created.parameters == {"host": "gpu-07", "model": "llama", "unit": "vllm"}
    assert created.playbook_hash == catalog.playbooks["restart-vllm"].text_hash
    assert (created.mode, created.attempt) == ("approve", 1)


def test_a_target_that_nobody_knows_ends_the_run_with_the_reason(catalog: Catalog) -> None:
    created, ended = story(catalog, service="llm-70b", instance="other:1", model="llama")
    assert isinstance(created, events.RunCreated)
    assert isinstance(ended, events.RunEnded)
    assert ended.outcome == "failed"
    assert "host" in ended.reason
    assert "inventory" in ended.reason


def test_what_only_observes_is_skipped_where_it_could_not_have_started(catalog: Catalog) -> None:
    alert = enrich(firing("LLMEndpointDown", service="llm-70b"), catalog.inventory)
    match = classify(alert, catalog.rules).taken
    assert match is not None
    watching = replace(match, mode=ModeLimit(Mode.OBSERVE, "the rule observes"))
    _, ended = first_run(an_incident(), watching, alert, catalog)
    assert isinstance(ended, events.RunEnded)
    assert (ended.outcome, ended.reason.partition(":")[0]) == ("skipped", "observe")


def test_a_rule_without_a_playbook_starts_nothing(catalog: Catalog) -> None:
    match = classify(firing("Unheard"), catalog.rules).taken
    assert match is not None
    assert first_run(an_incident(), match, firing("Unheard"), catalog) == ()


def test_a_run_by_hand_counts_as_approve(catalog: Catalog) -> None:
    given = {"host": "gpu-07", "model": "llama"}
    opened, (created,) = run_by_hand(OrderedRun("order", "restart-vllm", given), 3, catalog)
    assert isinstance(created, events.RunCreated)
    assert (opened.rule_id, opened.number, created.mode) == (BY_HAND, 3, "approve")
    _, (dry,) = run_by_hand(OrderedRun("o", "restart-vllm", given, dry_run=True), 4, catalog)
    assert isinstance(dry, events.RunCreated)
    assert (dry.mode, dry.mode_decided_by) == ("observe", "a dry run")
    again, _ = run_by_hand(OrderedRun("order", "restart-vllm", given), 3, catalog)
    assert again.incident_id == opened.incident_id


@pytest.mark.parametrize(
    ("playbook", "given", "error", "says"),
    [
        pytest.param("restart-vlm", {}, NotFoundError, "did you mean 'restart-vllm'", id="typo"),
        pytest.param("restart-vllm", {"host": "gpu-07"}, PermanentError, "model", id="missing"),
        pytest.param(
            "restart-vllm",
            {"host": "gpu-08", "model": "m"},
            PermanentError,
            "gpu-07",
            id="unknown target",
        ),
    ],
)
def test_a_wrong_order_is_refused(
    catalog: Catalog, playbook: str, given: dict[str, str], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        run_by_hand(OrderedRun("order", playbook, given), 1, catalog)


def test_a_trigger_is_its_incident_rule_and_attempt() -> None:
    assert len({trigger_key("i", "r", 1), trigger_key("i", "r", 2), trigger_key("i", "s", 1)}) == 3
