"""A small catalog as texts, loaded as quell loads it, whose steps are scripted actions."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.catalog import CatalogSources, context_of, load_catalog, parse_playbook
from engine.core.catalog import Catalog
from engine.core.playbook import Playbook
from engine.ports.store import Tx
from tests.doubles.scripted import LOOK, MEND, QUERY

DECLARATIONS = {each.name: each for each in (LOOK, MEND, QUERY)}
INVENTORY = """language: 1
targets:
  gpu-07: {kind: host, service: llm, aliases: ['gpu-07:9100']}
  gpu-08: {kind: host, service: llm, aliases: ['gpu-08:9100']}
services:
  llm: {environment: staging, team: inference}
"""
RULES = """language: 1
defaults: {notify: [team], postmortem: [P1]}
rules:
  - id: watched
    description: Would take everything of the model servers
    matchers: ['alertname=~"Down|Slow"']
    severity: P4
    mode: observe
  - id: down
    description: A model server is down
    matchers: ['alertname="Down"']
    severity: P1
    group_by: [target]
    mode: %s
    playbook: restart
    with: {host: '${{ alert.target }}'}
  - id: unmatched
    description: What no other rule takes
    severity: P3
    group_by: [service]
    mode: suggest
"""
TWO_RULES = RULES.replace(
    "  - id: unmatched",
    """  - id: slow
    description: A model server is slow
    matchers: ['alertname="Slow"']
    severity: P2
    group_by: [target]
    mode: auto
    playbook: restart
    with: {host: '${{ alert.target }}'}
  - id: unmatched""",
)
RESTART = """language: 1
id: restart
description: Restart the model server
max_mode: auto
parameters:
  host: {type: target, kind: host}
approval: {from: [role:oncall], expires: 10m}
investigate:
  - id: state
    uses: lab.look
    with: {what: state, host: '${{ params.host }}'}
    required: false
steps:
  - id: restart
    uses: lab.mend
    with: {what: restart, host: '${{ params.host }}'}
    timeout: 60s
    rollback: none
verify:
  - id: serves
    uses: lab.look
    with: {what: serves, host: '${{ params.host }}'}
    until: result.ok
    within: 5m
    every: 5s
    stable_for: 10s
"""
# A change that can be taken back.
UNDOABLE = RESTART.replace(
    """    timeout: 60s
    rollback: none
""",
    """    timeout: 60s
    rollback:
      - {id: undo, uses: lab.mend, with: {what: undo, host: '${{ params.host }}'}}
""",
)
MORE_STEPS = RESTART.replace(
    """    timeout: 60s
    rollback: none
""",
    """    timeout: 60s
    retry: {attempts: 2, wait: 5s}
    rollback:
      - {id: undo, uses: lab.mend, with: {what: undo, host: '${{ params.host }}'}}
  - id: warm
    uses: lab.mend
    with: {what: warm, host: '${{ params.host }}'}
    if: steps.state.ok
    rollback: none
""",
)

CALLED = MORE_STEPS.replace("id: restart\n", "id: mend\n", 1)
CALLER = """language: 1
id: restart
description: Restart the model server by another playbook
max_mode: auto
parameters:
  host: {type: target, kind: host}
approval: {from: [role:oncall], expires: 10m}
steps:
  - {id: mend, call: mend, with: {host: gpu-08}}
  - id: tell
    uses: lab.mend
    with: {what: tell, host: '${{ params.host }}'}
    rollback: none
verify:
  - id: serves
    uses: lab.look
    with: {what: serves, host: '${{ params.host }}'}
    until: result.ok
    within: 5m
"""


@dataclass
class WrittenCatalog:
    """The catalog of the texts in a folder."""

    active: Catalog

    def parse_playbook(self, text: bytes, called: Mapping[str, bytes]) -> Playbook:
        return parse_playbook(text, called, context_of(self.active, DECLARATIONS))


def a_catalog(
    folder: Path, rules: str, *playbooks: str, inventory: str = INVENTORY, policy: str = ""
) -> WrittenCatalog:
    """Written to `folder` and loaded as quell loads it; a playbook's `id` names its file."""
    for name in ("rules", "playbooks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "rules" / "all.yaml").write_text(rules)
    (folder / "inventory.yaml").write_text(inventory)
    if policy:
        (folder / "policy.yaml").write_text(policy)
    for text in playbooks:
        name = text.partition("id: ")[2].partition("\n")[0]
        (folder / "playbooks" / f"{name}.yaml").write_text(text)
    return WrittenCatalog(load_written(folder))


def load_written(folder: Path) -> Catalog:
    """The catalog of the texts in `folder`."""
    policy = folder / "policy.yaml"
    sources = CatalogSources(
        rules=[folder / "rules"],
        playbooks=[folder / "playbooks"],
        inventory=folder / "inventory.yaml",
        policy=policy if policy.exists() else None,
    )
    return load_catalog(sources, DECLARATIONS)


def keep_texts(tx: Tx, catalog: Catalog) -> None:
    """What the engine does when a catalog becomes active."""
    for sha256, text in catalog.texts.items():
        tx.put_text(sha256, text)
