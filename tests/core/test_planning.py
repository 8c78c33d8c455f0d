"""The shipped playbook rendered against an inventory: exact commands, limits, holes."""

from dataclasses import replace
from pathlib import Path

import pytest

from connectors import registry
from connectors.actions.http import HttpRequest
from engine.catalog import CatalogSources, load_catalog, shipped_folder
from engine.core.catalog import Catalog
from engine.core.egress import EgressConfig
from engine.core.inventory import Inventory
from engine.core.masking import Masker
from engine.core.parameters import check_parameters
from engine.core.plan import Plan
from engine.core.planning import PlanError, Planner, subjects_of, trigger_limits
from engine.core.scopes import Known
from engine.core.severity import Mode
from tests.doubles.runs import an_incident

INVENTORY = """\
language: 1
targets:
  gpu-07:
    {kind: host, address: 10.0.0.7, url: 'http://10.0.0.7', connection: ssh-a, service: llm-70b}
services: {llm-70b: {environment: production}}
connections: {ssh-a: {uses: ssh, user: quell, known_hosts: hosts, client_key: key}}
"""
ACTIONS = {
    action.declaration.name: action
    for action in registry.build_actions(
        lambda kind, model: (
            {"ssh-a": model.model_validate({"user": "q", "known_hosts": "h", "client_key": "k"})}
            if kind == "ssh"
            else {}
        ),
        EgressConfig(),
    )
}


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    file = tmp_path / "inventory.yaml"
    file.write_text(INVENTORY)
    return load_catalog(
        CatalogSources(shipped=shipped_folder(), inventory=file), registry.declarations()
    )


def known(catalog: Catalog, **parameters: str) -> Known:
    defaults = {"host": "gpu-07", "model": "llama", "unit": "vllm"}
    return Known({**defaults, **parameters}, an_incident(), catalog.inventory)


TELL = """language: 1
id: tell
description: Tell the balancer
parameters:
  note: {type: string, default: nothing}
  token: {type: secret, default: balancer, values: [balancer, other]}
steps:
  - id: drain
    uses: http.request
    with:
      method: POST
      url: https://lb.example/drain
      headers: {authorization: 'Bearer ${{ params.token }}'}
      body: {note: '${{ params.note }}', node: '${{ incident.title }}'}
    rollback: none
verify:
  - id: drained
    uses: http.request
    with: {method: GET, url: 'https://lb.example/', headers: {x-note: '${{ params.note }}'}}
    until: result.ok
    within: 1m
"""


CALLER = """language: 1
id: caller
description: Have the balancer told
parameters:
  key: {type: secret, default: other}
steps:
  - {id: tell, call: tell, with: {token: '${{ params.key }}'}}
verify:
  - id: drained
    uses: http.request
    with: {method: GET, url: 'https://lb.example/'}
    until: result.ok
    within: 1m
on_failure: {playbook: tell, with: {token: '${{ params.key }}'}}
"""


@pytest.fixture
def told(tmp_path: Path) -> Catalog:
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "playbooks" / "tell.yaml").write_text(TELL)
    (tmp_path / "playbooks" / "caller.yaml").write_text(CALLER)
    names = frozenset({"balancer", "other"})
    sources = CatalogSources(playbooks=[tmp_path / "playbooks"], secrets=names)
    return load_catalog(sources, registry.declarations())


def plan_of(
    catalog: Catalog, given: dict[str, str], title: str = "Down", name: str = "tell"
) -> Plan:
    playbook = catalog.playbooks[name]
    values = check_parameters(playbook.parameters, given, catalog.inventory)
    assert not values.problems
    known = Known(values.values, replace(an_incident(), title=title), catalog.inventory)
    actions = {**ACTIONS, "http.request": HttpRequest(EgressConfig(allow=("lb.example",)))}
    return Planner(catalog, actions).render(playbook, "run", known).plan


def test_a_plan_holds_the_references_to_secrets_and_says_which(told: Catalog) -> None:
    plan = plan_of(told, {})
    (drain,) = plan.of("steps")
    assert drain.secrets == ("balancer",)
    assert drain.payload["headers"] == {
        "content-type": "application/json",
        "authorization": "Bearer ${secret:balancer}",
    }
    assert "authorization: Bearer ${secret:balancer}" in drain.description
    assert plan.of("verify")[0].secrets == ()
    assert plan.parameters["token"] == "${secret:balancer}"


def test_a_call_and_what_follows_a_failure_are_handed_the_reference(told: Catalog) -> None:
    plan = plan_of(told, {}, name="caller")
    (drain,) = [step for step in plan.steps if step.id == "tell/drain"]
    assert drain.secrets == ("other",)
    assert "Bearer ${secret:other}" in drain.description
    assert plan.on_failure is not None
    assert plan.on_failure.parameters == {"token": "${secret:other}"}


@pytest.mark.parametrize(
    ("given", "title"),
    [
        pytest.param({"note": "see ${secret:balancer}"}, "Down", id="a parameter that is a text"),
        pytest.param({}, "Down ${secret:balancer}", id="the alert"),
    ],
)
def test_a_text_that_looks_like_a_reference_makes_no_plan(
    told: Catalog, given: dict[str, str], title: str
) -> None:
    message = "step drain: it holds what looks like a reference to a secret"
    with pytest.raises(PlanError, match=message):
        plan_of(told, given, title)


def test_the_plan_holds_the_exact_command_and_its_verification(catalog: Catalog) -> None:
    playbook = catalog.playbooks["restart-vllm"]
    rendered = Planner(catalog, ACTIONS).render(playbook, "run", known(catalog))
    (restart,) = rendered.plan.of("steps")
    assert restart.description == "gpu-07$ sudo systemctl restart vllm"
    assert (restart.effect, restart.repeat, restart.targets) == ("change", "probe", ("gpu-07",))
    (serves,) = rendered.plan.of("verify")
    assert serves.until == "result.ok && result.latency_s < 5.0"
    assert (rendered.plan.playbook_hash, rendered.holes) == (playbook.text_hash, ())


def test_the_same_inputs_give_the_same_bytes_and_another_target_others(catalog: Catalog) -> None:
    planner, playbook = Planner(catalog, ACTIONS), catalog.playbooks["restart-vllm"]
    one = planner.render(playbook, "run", known(catalog)).plan.to_bytes()
    again = planner.render(playbook, "run", known(catalog)).plan.to_bytes()
    other = planner.render(playbook, "run", known(catalog, unit="vllm-b")).plan.to_bytes()
    assert one == again
    assert one != other


WAITS_AMONG_STEPS = TELL.replace("    rollback: none", "    until: result.ok\n    within: 1m")


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        pytest.param(TELL.replace("GET", "POST"), "tell", "drained: verify", id="a proof"),
        pytest.param(
            TELL.replace("GET", "POST"), "caller", "drained: what has `until`", id="of a call"
        ),
        pytest.param(WAITS_AMONG_STEPS, "tell", "drain: what has `until`", id="among steps"),
    ],
)
def test_what_looks_again_and_again_changes_nothing(
    tmp_path: Path, text: str, name: str, message: str
) -> None:
    (tmp_path / "tell.yaml").write_text(text)
    (tmp_path / "caller.yaml").write_text(CALLER)
    sources = CatalogSources(playbooks=[tmp_path], secrets=frozenset({"balancer", "other"}))
    catalog = load_catalog(sources, registry.declarations())
    with pytest.raises(PlanError, match=f"{message} only reads, and this is a change"):
        plan_of(catalog, {}, name=name)


def test_what_can_not_be_rendered_stops_the_plan_or_is_a_hole(catalog: Catalog) -> None:
    planner, playbook = Planner(catalog, ACTIONS), catalog.playbooks["restart-vllm"]
    without = replace(known(catalog), parameters={"model": "llama", "unit": "vllm"})
    with pytest.raises(PlanError, match="step restart"):
        planner.render(playbook, "run", without)
    rendered = planner.render(playbook, "run", without, with_holes=True)
    assert rendered.plan.of("steps") == ()
    assert [hole.partition(":")[0] for hole in rendered.holes] == [
        "step restart",
        "step serves",
        "guards",
    ]


def test_what_a_step_affects_is_a_target_or_there_is_no_plan(catalog: Catalog) -> None:
    planner, playbook = Planner(catalog, ACTIONS), catalog.playbooks["restart-vllm"]
    (restart,) = playbook.steps

    def rendered(*affects: str) -> Plan:
        steps = (replace(restart, affects=affects),)
        return planner.render(replace(playbook, steps=steps), "run", known(catalog)).plan

    (step,) = rendered("gpu-07", "gpu-07").of("steps")
    assert (step.affects, step.reaches) == (("gpu-07",), ("gpu-07",))
    with pytest.raises(PlanError, match=r"step restart: it affects 'gpu-7', .*mean 'gpu-07'"):
        rendered("gpu-7")


def test_the_shipped_policy_and_the_guards_keep_the_shipped_playbook_from_auto(
    catalog: Catalog,
) -> None:
    playbook = catalog.playbooks["restart-vllm"]
    limits = Planner(catalog, ACTIONS).render(playbook, "run", known(catalog)).limits
    assert min(limit.mode.rank for limit in limits) == Mode.APPROVE.rank
    said = " ".join(limit.decided_by for limit in limits)
    assert "policy" in said


def test_a_plan_keeps_the_service_whose_targets_its_blast_radius_counts(catalog: Catalog) -> None:
    playbook = catalog.playbooks["restart-vllm"]
    plan = Planner(catalog, ACTIONS).render(playbook, "run", known(catalog)).plan
    service = catalog.inventory.service_of("gpu-07")
    assert plan.guards["blast_radius"] == {"group": service, "max_unavailable": 1}


def test_policy_asks_about_the_targets_own_environment_not_only_the_alerts(
    catalog: Catalog,
) -> None:
    subjects = subjects_of({"environment": "staging"}, ["gpu-07", "gpu-07"], catalog.inventory)
    assert [each["environment"] for each in subjects] == ["staging", "production"]


def test_the_limits_of_a_trigger_are_known_before_there_is_a_plan(catalog: Catalog) -> None:
    limits = trigger_limits(
        catalog.playbooks["restart-vllm"],
        {"environment": "production"},
        Inventory(),
        catalog.policy,
    )
    assert any("production" in limit.decided_by for limit in limits)


def test_a_plan_holds_no_secret_and_nothing_that_was_masked(catalog: Catalog) -> None:
    planner = Planner(catalog, ACTIONS, Masker([("store.url", "vllm@tok-en-1234")]))
    playbook = catalog.playbooks["restart-vllm"]
    with pytest.raises(PlanError, match=r"step restart: it holds the secret store\.url; ") as told:
        planner.render(playbook, "run", known(catalog, unit="vllm@tok-en-1234"))
    assert "tok-en" not in str(told.value)
    with pytest.raises(PlanError, match=r"step serves: it holds \[masked…\]"):
        planner.render(playbook, "run", known(catalog, model="[masked store.url]"))
    assert planner.render(playbook, "run", known(catalog)).holes == ()
    rendered = planner.render(
        playbook, "run", known(catalog, unit="vllm@tok-en-1234"), with_holes=True
    )
    assert b"tok-en" not in rendered.plan.model_copy(update={"parameters": {}}).to_bytes()
    assert len(rendered.holes) == 1
