"""What a plan would look at, ask, be kept from and need, found without asking anybody."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from connectors import registry
from engine.catalog import CatalogSources, load_catalog, shipped_folder
from engine.core.briefing import Briefing, brief
from engine.core.egress import EgressConfig
from engine.core.incident import BY_HAND
from engine.core.parameters import check_parameters
from engine.core.planning import Planner
from engine.core.scopes import Known
from engine.core.severity import Mode
from tests.doubles.runs import an_incident

# A Friday.
NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
INVENTORY = """\
language: 1
targets:
  a: {kind: host, address: 10.0.0.1, connection: lab, service: llm}
  b: {kind: host, address: 10.0.0.2, connection: lab, service: llm}
  c: {kind: host, address: 10.0.0.3, connection: lab, service: llm}
  lb: {kind: host, address: 10.0.0.9, connection: lab, service: gw}
services: {llm: {environment: production, depends_on: [gw]}, gw: {environment: production}}
connections: {lab: {uses: ssh, user: quell, known_hosts: k, client_key: k}}
"""
POLICY = """\
language: 1
limits: {fleet_unavailable: 50%, changes: {per: service, max: 1, within: 15m}}
storm_brake: {fraction: 30%, services: 5, within: 5m}
calendars:
  friday: {intervals: [{weekdays: [friday]}]}
  saturday: {intervals: [{weekdays: [saturday]}]}
  summer: {intervals: [{months: [july]}]}
freezes:
  - {id: weekend, calendar: saturday, policy: defer, why: nobody is here}
  - {id: audit, calendar: friday, policy: ask, why: the audit is on}
  - {id: holidays, calendar: summer, policy: skip, why: all are away}
  - {id: web, calendar: friday, policy: skip, why: the shop, when: 'service == "web"'}
"""
ROLL = """\
language: 1
id: roll
description: Restart several, two at a time
parameters:
  hosts: {type: list, items: {type: target, kind: host}}
  balancer: {type: target, kind: host}
guards:
  lock: {on_busy: skip}
  breaker: {failures: 3}
  recurrence: {times: 3, within: 1d}
  requires: {healthy: ['${{ params.balancer }}'], otherwise: wait}
  blast_radius: {group: llm, max_unavailable: 2}
  expected_alerts: {matchers: ['alertname="Down"']}
investigate:
  - id: unit
    ask: {question: 'Which unit of ${{ params.balancer }}?', choices: [vllm, tgi], expires: 5m}
  - id: state
    uses: ssh.read
    with: {host: '${{ params.balancer }}', command: gpu-state}
    required: false
  - id: log
    uses: ssh.read
    with:
      host: '${{ params.balancer }}'
      command: unit-state
      args: {unit: '${{ steps.unit.answer }}'}
steps:
  - id: each
    foreach: {in: '${{ params.hosts }}', as: node, serial: 2}
    steps:
      - {id: mend, call: mend, with: {host: '${{ node }}'}}
verify:
  - id: up
    uses: ssh.read
    with: {host: '${{ params.balancer }}', command: unit-state, args: {unit: vllm}}
    until: result.exit_code == 0
    within: 1m
"""
MEND = """\
language: 1
id: mend
description: Restart one
parameters: {host: {type: target, kind: host}}
guards:
  cooldown: {for: 15m}
  others_at_work: {within: 2h}
  expected_alerts: {matchers: ['alertname="Down"']}
investigate:
  - {id: gpu, uses: ssh.read, with: {host: '${{ params.host }}', command: gpu-state}}
steps:
  - id: restart
    uses: ssh.run
    with: {host: '${{ params.host }}', command: restart-unit, args: {unit: vllm}}
    rollback: none
verify:
  - id: up
    uses: ssh.read
    with: {host: '${{ params.host }}', command: unit-state, args: {unit: vllm}}
    until: result.exit_code == 0
    within: 1m
"""
LAB = {"user": "quell", "known_hosts": "k", "client_key": "k"}
ACTIONS = {
    action.declaration.name: action
    for action in registry.build_actions(
        lambda kind, model: {"lab": model.model_validate(LAB)} if kind == "ssh" else {},
        EgressConfig(),
    )
}


def briefed(
    folder: Path, hosts: Sequence[str] = ("a", "b", "c"), *, by_hand: bool = False
) -> Briefing:
    for name, text in {
        "playbooks/roll.yaml": ROLL,
        "playbooks/mend.yaml": MEND,
        "inventory.yaml": INVENTORY,
        "policy.yaml": POLICY,
    }.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    sources = CatalogSources(
        playbooks=[folder / "playbooks"],
        commands=[shipped_folder() / "playbooks" / "commands.yaml"],
        inventory=folder / "inventory.yaml",
        policy=folder / "policy.yaml",
    )
    catalog = load_catalog(sources, registry.declarations())
    playbook = catalog.playbooks["roll"]
    given = check_parameters(
        playbook.parameters, {"hosts": list(hosts), "balancer": "lb"}, catalog.inventory
    )
    assert not given.problems
    incident = an_incident()
    if by_hand:
        incident = replace(incident, rule_id=BY_HAND)
    known = Known(given.values, incident, catalog.inventory)
    return brief(Planner(catalog, ACTIONS), playbook, "run", known, NOW)


def test_what_is_read_and_asked_first_is_in_its_order(tmp_path: Path) -> None:
    found = briefed(tmp_path)
    assert [(each.id, each.required) for each in found.looks] == [
        ("unit", True),
        ("state", False),
        ("mend[a]/gpu", True),
        ("mend[b]/gpu", True),
        ("mend[c]/gpu", True),
    ]
    question = found.looks[0].question
    assert question is not None
    assert (question.text, question.choices) == ("Which unit of lb?", ("vllm", "tgi"))
    assert (question.ask, question.expires_s) == (("role:oncall",), 300.0)
    assert found.looks[2].description == "a$ nvidia-smi -q -x"


def test_what_follows_from_an_answer_is_a_hole(tmp_path: Path) -> None:
    (hole,) = briefed(tmp_path).holes
    assert hole.startswith("step log: ")
    assert "steps.unit.answer" in hole


def test_every_guard_is_told_once_in_the_order_of_asking(tmp_path: Path) -> None:
    found = briefed(tmp_path).guards
    assert [(each.guard, each.then, each.by) for each in found] == [
        ("lock", "skip", "quell"),
        ("breaker", "skip", "playbook"),
        ("changes", "wait", "policy"),
        ("cooldown", "skip", "playbook"),
        ("cooldown", "skip", "playbook"),
        ("blast_radius", "wait", "playbook"),
        ("fleet_unavailable", "wait", "policy"),
        ("requires", "wait", "playbook"),
        ("recurrence", "ask", "playbook"),
        ("others_at_work", "ask", "quell"),
        ("caused_by", "ask", "quell"),
        ("freeze", "ask", "policy"),
        ("freeze", "wait", "policy"),
        ("storm_brake", "ask", "policy"),
        ("expected_alerts", "", "playbook"),
    ]


@pytest.mark.parametrize(
    ("guard", "words"),
    [
        pytest.param("cooldown", "of roll on each of a, b, c;", id="a called one's, of both"),
        pytest.param("cooldown", "of mend on each of a, b, c;", id="and of itself"),
        pytest.param("changes", "on llm within 15m;", id="the service of what it changes"),
        pytest.param(
            "blast_radius",
            "at most 2 of the 3 targets of llm unavailable at once, and this touches 2 at a time, "
            "in 2 batches;",
            id="figures of the inventory",
        ),
        pytest.param(
            "fleet_unavailable", "at most 2 (50%) of the 4 targets of the fleet", id="and of all"
        ),
        pytest.param("requires", "lb healthy;", id="by its name"),
        pytest.param("others_at_work", "within 2h;", id="the longest look back"),
        pytest.param("caused_by", "any of a, b, c and 2 more within 30m", id="and what llm needs"),
        pytest.param("freeze", "audit (the audit is on) in force until Sat", id="in force"),
        pytest.param("freeze", "weekend (nobody is here) from Sat", id="coming"),
        pytest.param("storm_brake", "fewer than 5 services within 5m", id="the brake"),
    ],
)
def test_a_guard_has_the_figures_of_this_plan(tmp_path: Path, guard: str, words: str) -> None:
    told = [each.text for each in briefed(tmp_path).guards if each.guard == guard]
    assert any(words in text for text in told), told


def test_one_host_is_no_batch_of_several(tmp_path: Path) -> None:
    found = {each.guard: each.text for each in briefed(tmp_path, ["b"]).guards}
    assert "and this touches 1 (b);" in found["blast_radius"]


def test_who_starts_it_by_hand_is_not_asked_what_caused_it(tmp_path: Path) -> None:
    assert "caused_by" not in [each.guard for each in briefed(tmp_path, by_hand=True).guards]


def test_a_freeze_that_asks_lowers_the_mode(tmp_path: Path) -> None:
    limits = briefed(tmp_path).limits
    assert (limits[-1].mode, limits[-1].decided_by) == (
        Mode.APPROVE,
        "freeze audit (the audit is on)",
    )


def test_permissions_are_those_of_the_hosts_that_are_given(tmp_path: Path) -> None:
    found = briefed(tmp_path, ["b"]).permissions
    assert {host.host: [command.name for command in host.commands] for host in found.hosts} == {
        "b": ["gpu-state", "restart-unit", "unit-state"],
        "lb": ["gpu-state", "unit-state"],
    }
    assert [each.arguments for each in found.hosts[0].sudo] == ["restart vllm"]
    assert found.untold == ()
