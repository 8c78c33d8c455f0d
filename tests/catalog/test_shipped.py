"""What ships loads, and each rule takes the alert that it is for."""

from pathlib import Path

import pytest
from msgspec import structs

import engine
from engine.catalog import CatalogSources, load_catalog, shipped_folder
from engine.core.actions import Effect
from engine.core.alert import SeverityHint
from engine.core.catalog import Catalog
from engine.core.classify import classify
from engine.core.expressions import Bindings
from engine.core.inventory import enrich
from engine.core.parameters import check_parameters
from engine.core.policy import policy_limits
from engine.core.progress import STALLED_S, Seen, Standing, stall_alert
from engine.core.rendering import render
from engine.core.scopes import alert_bindings
from engine.core.severity import Mode, effective_mode
from engine.errors import ConfigError
from tests.doubles.declarations import ACTIONS, firing
from tests.doubles.virtual_time import START

INVENTORY = """
language: 1
targets:
  gpu-07: {kind: host, address: gpu-07.fra.example, service: llm-70b, aliases: ['gpu-07:9100']}
services: {llm-70b: {environment: production}}
"""


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    inventory = tmp_path / "inventory.yaml"
    inventory.write_text(INVENTORY)
    return load_catalog(CatalogSources(shipped=shipped_folder(), inventory=inventory), ACTIONS)


@pytest.mark.parametrize(
    ("name", "hint", "rule", "severity", "parameters"),
    [
        pytest.param(
            "LLMEndpointDown",
            "",
            "vllm-not-answering",
            "P1",
            {"host": "gpu-07", "model": "llama", "unit": "vllm"},
            id="endpoint-down",
        ),
        pytest.param(
            "ModelCacheDiskNearlyFull",
            "critical",
            "model-cache-nearly-full",
            "P2",
            {
                "host": "gpu-07",
                "keep": "llama",
                "older_than_days": 14,
                "max_used_percent": 85,
                "path": "/var/lib/models/hub",
            },
            id="disk",
        ),
        pytest.param(
            "GPUMemoryLeak",
            "warning",
            "gpu-memory-leak",
            "P2",
            {"host": "gpu-07", "unit": "llm-worker", "max_used_fraction": 0.9},
            id="memory",
        ),
    ],
)
def test_a_rule_takes_its_alert_and_fills_the_parameters_of_its_playbook(
    catalog: Catalog,
    name: str,
    hint: SeverityHint,
    rule: str,
    severity: str,
    parameters: dict[str, object],
) -> None:
    alert = firing(name, severity_hint=hint, instance="gpu-07:9100", model="llama")
    alert = enrich(alert, catalog.inventory)
    found = classify(alert, catalog.rules)
    assert found.taken is not None
    assert (found.taken.rule.id, found.taken.severity.name) == (rule, severity)
    assert found.taken.group == {"service": "llm-70b", "target": "gpu-07"}
    playbook = catalog.playbooks[found.taken.rule.playbook]
    bindings = alert_bindings(alert)
    given = found.taken.rule.render_arguments(bindings)
    arguments = check_parameters(playbook.parameters, given, catalog.inventory, bindings)
    assert not arguments.problems
    assert arguments.values == parameters


@pytest.mark.parametrize(("hint", "severity"), [("", "P3"), ("warning", "P3"), ("critical", "P2")])
def test_what_no_rule_takes_opens_one_incident_per_service(
    catalog: Catalog, hint: SeverityHint, severity: str
) -> None:
    found = classify(firing("FanNoisy", severity_hint=hint, service="gw"), catalog.rules).taken
    assert found is not None
    assert found.is_catch_all
    assert (found.severity.name, found.group) == (severity, {"service": "gw"})
    assert found.mode.mode is Mode.SUGGEST
    assert catalog.rules[-1] is found.rule


def test_quell_s_own_alert_is_a_p1_that_only_quell_can_raise(catalog: Catalog) -> None:
    standing = Standing(Seen("partition 3", 7, 0), START, STALLED_S)
    alert = enrich(stall_alert(standing, "firing", START), catalog.inventory)
    found = classify(alert, catalog.rules).taken
    assert found is not None
    assert (found.rule.id, found.severity.name, found.mode.mode) == (
        "quell-stalled",
        "P1",
        Mode.SUGGEST,
    )
    assert (found.rule.notify, found.group) == (("team",), {"service": "quell"})
    forged = classify(structs.replace(alert, source="alertmanager"), catalog.rules).taken
    assert forged is not None
    assert forged.is_catch_all


@pytest.mark.parametrize(
    ("environment", "auto"),
    [
        pytest.param("production", set(), id="in production a person is asked"),
        pytest.param("staging", {"restart-vllm"}, id="elsewhere of what declares its guards"),
    ],
)
def test_what_may_run_without_approval_under_the_shipped_policy(
    catalog: Catalog, environment: str, auto: set[str]
) -> None:
    found = set()
    for playbook in catalog.playbooks.values():
        limits = [
            *playbook.mode_limits(),
            *policy_limits(
                catalog.policy,
                [{"environment": environment}],
                playbook.effects,
                playbook.declares,
            ),
        ]
        if effective_mode(limits).mode is Mode.AUTO:
            found.add(playbook.id)
        assert Effect.DESTROY not in playbook.effects
    assert found == auto


@pytest.mark.parametrize(
    ("playbook", "step", "outputs", "holds"),
    [
        ("clean-model-cache", "space", {"stdout": "Use%\n 84%\n"}, True),
        ("clean-model-cache", "space", {"stdout": "Use%\n 85%\n"}, False),
        ("restart-worker", "memory_given_back", {"stdout": "31000, 81559\n800, 81559\n"}, True),
        ("restart-worker", "memory_given_back", {"stdout": "31000, 81559\n81000, 81559\n"}, False),
        ("restart-worker", "unit_runs", {"exit_code": 3}, False),
        ("restart-vllm", "serves", {"ok": True, "latency_s": 0.4}, True),
        ("restart-vllm", "serves", {"ok": True, "latency_s": 5.0}, False),
    ],
)
def test_a_verification_reads_what_the_command_really_prints(
    catalog: Catalog, playbook: str, step: str, outputs: dict[str, object], holds: bool
) -> None:
    until = next(each.until for each in catalog.playbooks[playbook].verify if each.id == step)
    assert until is not None
    result = {"exit_code": 0, "latency_s": 0.0, **outputs}
    values = {"params": {"max_used_percent": 85, "max_used_fraction": 0.9}, "result": result}
    assert until.evaluate(Bindings(values)) is holds


def test_a_deletion_takes_the_moment_and_the_exception_of_its_dry_run(catalog: Catalog) -> None:
    playbook = catalog.playbooks["clean-model-cache"]
    dry_run = playbook.investigate[-1]
    (clean,) = playbook.steps
    known = {"path": "/var/lib/models/hub", "keep": "meta/llama"}
    values = Bindings({"params": known, "steps": {"cutoff": {"stdout": "@1760000000\n"}}})
    arguments = render(clean.inputs["args"], values)
    assert arguments == render(dry_run.inputs["args"], values)
    assert arguments == {
        "path": "/var/lib/models/hub",
        "before": "@1760000000",
        "keep": "models--meta--llama",
    }
    commands = catalog.estate.commands
    listed = commands["list-model-cache"].argv
    deleted = commands["clean-model-cache"].argv
    assert deleted[1 : len(listed) + 1] == listed
    assert playbook.approval.always


def test_an_installed_package_reads_what_lies_inside_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site-packages" / "engine"
    for folder in ("shipped/rules", "shipped/playbooks"):
        (package / folder).mkdir(parents=True)
    monkeypatch.setattr(engine, "__file__", str(package / "__init__.py"))
    assert shipped_folder() == package / "shipped"


def test_a_package_without_rules_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "__file__", str(tmp_path / "engine" / "__init__.py"))
    with pytest.raises(ConfigError, match="ships no rules"):
        shipped_folder()
