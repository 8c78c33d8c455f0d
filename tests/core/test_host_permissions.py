"""Which commands an account needs where, from playbooks, commands and the inventory."""

from collections.abc import Mapping
from pathlib import Path

from connectors import registry
from engine.catalog import CatalogSources, load_catalog
from engine.core.actions import Declaration
from engine.core.catalog import Catalog
from engine.core.expansion import expand
from engine.core.host_permissions import (
    Permissions,
    SudoCommand,
    permissions_of,
    permissions_of_steps,
)
from engine.core.scopes import Known
from tests.doubles.runs import an_incident

COMMANDS = """\
language: 1
commands:
  state:
    argv: [systemctl, is-active, '${{ args.unit }}']
    args: {unit: {type: string}}
    effect: read
    repeat: harmless
  restart:
    argv: [sudo, -n, systemctl, restart, '${{ args.unit }}']
    args: {unit: {type: string, pattern: '[a-z]+'}}
    effect: change
    repeat: probe
    probe:
      argv: [sudo, -u, watch, /opt/pid, '${{ args.unit }}']
      done: result.stdout != before.stdout
  odd: {argv: [sudo, -i, reboot], effect: change, repeat: never}
"""
INVENTORY = """\
language: 1
targets:
  gpu-07: {kind: host, address: 10.0.0.7, connection: lab}
  gpu-08: {kind: host, address: 10.0.0.8, connection: lab}
  model: {kind: endpoint, url: 'http://127.0.0.1'}
connections: {lab: {uses: ssh, user: quell, known_hosts: k, client_key: k, bastion: jump}}
"""
PLAYBOOK = """\
language: 1
id: %s
description: d
parameters:
  host: {type: target, kind: host}
  unit: {type: string, default: vllm, pattern: '[a-z]+'}
investigate:
  - id: state
    uses: ssh.read
    with: {host: '${{ params.host }}', command: state, args: {unit: vllm}}
steps: [{id: change, uses: ssh.run, with: %s, timeout: 1m, rollback: none}]
verify:
  - id: up
    uses: prometheus.query
    with: {query: vector(1)}
    until: result.value > 0.0
    within: 1m
"""
ANY_UNIT = "{host: '${{ params.host }}', command: restart, args: {unit: '${{ params.unit }}'}}"
ONE_UNIT = "{host: gpu-08, command: restart, args: {unit: vllm}}"


def needed(folder: Path, change: str, *, only_reads: bool = False) -> Permissions:
    for name, text in {
        "commands.yaml": COMMANDS,
        "inventory.yaml": INVENTORY,
        "playbooks/mend.yaml": PLAYBOOK % ("mend", change),
    }.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    catalog, declared = catalog_of(folder)
    playbooks = list(catalog.playbooks.values())
    return permissions_of(catalog, declared, playbooks, only_reads=only_reads)


def catalog_of(folder: Path) -> tuple[Catalog, Mapping[str, Declaration]]:
    sources = CatalogSources(
        playbooks=[folder / "playbooks"],
        commands=[folder / "commands.yaml"],
        inventory=folder / "inventory.yaml",
    )
    declared = registry.declarations()
    return load_catalog(sources, declared), declared


def test_a_parameter_may_name_each_host_and_a_pattern_each_unit(tmp_path: Path) -> None:
    found = needed(tmp_path, ANY_UNIT)
    assert [(each.host, each.user, each.bastion) for each in found.hosts] == [
        ("gpu-07", "quell", "jump"),
        ("gpu-08", "quell", "jump"),
    ]
    assert found.hosts[0].sudo == (
        SudoCommand("root", "/usr/bin/systemctl", "restart ([a-z]+)"),
        SudoCommand("watch", "/opt/pid", "([a-z]+)"),
    )
    assert [(each.name, each.argv[-1]) for each in found.hosts[0].commands] == [
        ("restart", "<unit>"),
        ("state", "<unit>"),
    ]


def test_what_a_playbook_writes_out_is_all_that_is_permitted(tmp_path: Path) -> None:
    seven, eight = needed(tmp_path, ONE_UNIT).hosts
    assert seven.sudo == ()
    assert [each.arguments for each in eight.sudo] == ["restart vllm", "vllm"]


def test_what_follows_a_failure_is_permitted_as_what_fails(tmp_path: Path) -> None:
    needed(tmp_path, "{host: gpu-07, command: odd}")
    followed = (
        PLAYBOOK % ("fail", ONE_UNIT) + "on_failure: {playbook: mend, with: {host: gpu-07}}\n"
    )
    (tmp_path / "playbooks" / "fail.yaml").write_text(followed)
    catalog, declared = catalog_of(tmp_path)
    found = permissions_of(catalog, declared, [catalog.playbooks["fail"]], only_reads=False)
    assert "odd" in {each.name for host in found.hosts for each in host.commands}
    alone = permissions_of(catalog, declared, [catalog.playbooks["mend"]], only_reads=False)
    assert "restart" not in {each.name for host in alone.hosts for each in host.commands}


def test_to_observe_only_reads_are_needed(tmp_path: Path) -> None:
    found = needed(tmp_path, ANY_UNIT, only_reads=True)
    assert {command.name for host in found.hosts for command in host.commands} == {"state"}
    assert not any(host.sudo for host in found.hosts)


def test_what_cannot_be_told_is_said(tmp_path: Path) -> None:
    found = needed(tmp_path, "{host: gpu-07, command: odd}")
    assert set(found.untold) == {
        "command odd: sudoers can't say it: sudo's option -i",
        "prometheus.query declares nothing on what it must be permitted",
    }


def test_a_step_needs_only_the_host_and_command_that_it_is_given(tmp_path: Path) -> None:
    needed(tmp_path, ANY_UNIT)
    catalog, declared = catalog_of(tmp_path)
    playbook = catalog.playbooks["mend"]
    known = Known({"host": "gpu-08", "unit": "vllm"}, an_incident(), catalog.inventory)
    (eight,) = permissions_of_steps(
        catalog, declared, expand(playbook, known, lambda *_: None).steps
    ).hosts
    assert (eight.host, [each.name for each in eight.commands]) == ("gpu-08", ["restart"])
    # What sudoers permits doesn't change from run to run.
    assert eight.sudo[0].arguments == "restart ([a-z]+)"


def test_a_step_whose_host_is_not_known_yet_is_told(tmp_path: Path) -> None:
    needed(tmp_path, "{host: '${{ params.host }}', command: odd}")
    catalog, declared = catalog_of(tmp_path)
    known = Known({}, an_incident(), catalog.inventory)
    placed = expand(catalog.playbooks["mend"], known, lambda *_: None).steps
    found = permissions_of_steps(catalog, declared, placed)
    assert found.hosts == ()
    assert "step change: on which host it runs isn't known yet" in found.untold
