"""The rules and playbooks of the simulated team."""

import tempfile
from functools import cache
from pathlib import Path

from tests.doubles.written import WrittenCatalog, a_catalog

RULES = """language: 1
defaults: {notify: [team], postmortem: [P1]}
rules:
  - id: down
    description: A model server is down
    matchers: ['alertname="Down"']
    severity: P1
    group_by: [target]
    mode: %s
    playbook: mend
    with: {host: '${{ alert.target }}'}
  - id: slow
    description: A model server is slow
    matchers: ['alertname="Slow"']
    severity: P2
    group_by: [target]
    mode: %s
    playbook: rewarm
    with: {host: '${{ alert.target }}'}
  - id: unmatched
    description: What no other rule takes
    severity: P3
    group_by: [service]
    mode: suggest
"""
MEND = """language: 1
id: mend
description: Restart the model server
max_mode: auto
parameters:
  host: {type: target, kind: host}
guards:
  budget: {runs: 2, within: 5m, per: playbook}
approval: {from: [role:oncall], expires: 90s}
steps:
  - id: restart
    uses: lab.mend
    with: {what: restart, host: '${{ params.host }}'}
    timeout: 10s
    retry: {attempts: 2, wait: 2s}
    rollback:
      - {id: undo, uses: lab.mend, with: {what: undo, host: '${{ params.host }}'}, timeout: 10s}
  - {id: settle, wait: 2s}
  - id: warm
    uses: lab.mend
    with: {what: warm, host: '${{ params.host }}'}
    timeout: 10s
    retry: {attempts: 2, wait: 2s}
    rollback: none
  - id: tidy
    uses: lab.mend
    with: {what: tidy, host: '${{ params.host }}'}
    timeout: 10s
    if: steps.warm.ok
    rollback: none
verify:
  - id: serves
    uses: lab.look
    with: {what: serves, host: '${{ params.host }}'}
    until: result.ok
    within: 10s
    every: 5s
    stable_for: 5s
"""
REWARM = """language: 1
id: rewarm
description: Restart the model server while it is slow
max_mode: auto
parameters:
  host: {type: target, kind: host}
guards:
  cooldown: {for: 1m, per: target}
approval: {from: [role:oncall], expires: 90s}
steps:
  - id: again
    uses: lab.mend
    with: {what: restart, host: '${{ params.host }}'}
    timeout: 10s
    retry: {attempts: 2, wait: 2s}
    rollback: none
verify:
  - id: answers
    uses: lab.look
    with: {what: serves, host: '${{ params.host }}'}
    until: result.ok
    within: 60s
    every: 15s
    stable_for: 45s
"""
HOSTS = ("gpu-07", "gpu-08")
PLAYBOOKS = ("mend", "rewarm")
# By playbook: how many of its runs may begin within so many seconds, and how many seconds a
# target rests after one.
BUDGETS = {"mend": (2, 300.0)}
COOLDOWNS = {"rewarm": 60.0}


@cache
def simulated_catalog(mode: str) -> WrittenCatalog:
    """With both rules in this mode."""
    with tempfile.TemporaryDirectory() as folder:
        return a_catalog(Path(folder), RULES.replace("%s", mode), MEND, REWARM)
