"""The rules and playbooks of the simulated team, as texts."""

from collections.abc import Mapping, Sequence

from tests.simulation.framed import framed

RULES = """language: 1
defaults: {notify: [team], postmortem: [P1]}
rules:
  - id: down
    description: A model server is down
    matchers: ['alertname="Down"']
    severity: P1
    group_by: [target]
    mode: {mode}
    playbook: {down}
    with: {host: '${{ alert.target }}'}
  - id: slow
    description: A model server is slow
    matchers: ['alertname="Slow"']
    severity:
      - {when: 'alert.labels.grave == "yes"', is: P1}
      - {is: P2}
    group_by: [target]
    mode: {mode}
    playbook: {slow}
    with: {host: '${{ alert.target }}'}
  - id: unmatched
    description: What no other rule takes
    severity: P3
    group_by: [service]
    mode: suggest
"""
MEND = framed(
    "mend: Restart the model server",
    """steps:
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
""",
    guards="""guards:
  budget: {runs: 2, within: 5m, per: playbook}
""",
    proven="""    within: 10s
    every: 5s
    stable_for: 5s
on_cancel:
  - {id: hang_up, uses: lab.mend, with: {what: hang_up, host: '${{ params.host }}'}, timeout: 10s}
""",
)
REWARM = framed(
    "rewarm: Restart the model server while it is slow",
    """steps:
  - id: again
    uses: lab.mend
    with: {what: restart, host: '${{ params.host }}'}
    timeout: 10s
    retry: {attempts: 2, wait: 2s}
    rollback: none
""",
    guards="""guards:
  cooldown: {for: 1m, per: target}
""",
    proof="answers",
    proven="""    within: 60s
    every: 15s
    stable_for: 45s
""",
)
# In batches of two; one of all four may be lost, and those of the first batch often are.
FLEET = framed(
    "fleet: Restart all model servers, so that some always serve",
    """steps:
  - id: drain
    uses: lab.mend
    with: {what: drain, host: '${{ params.host }}'}
    timeout: 5s
    rollback:
      - {id: undrain, uses: lab.mend, with: {what: undo, host: '${{ params.host }}'}, timeout: 5s}
      - {id: check, uses: lab.mend, with: {what: undo, host: '${{ params.host }}'}, timeout: 5s}
  - id: each
    foreach: {in: [gpu-09, gpu-10, gpu-07, gpu-08], as: node, serial: 2, stop_after_failures: 2}
    steps:
      - id: restart
        uses: lab.mend
        with: {what: restart, host: '${{ node }}'}
        timeout: 5s
        rollback:
          - {id: undo, uses: lab.mend, with: {what: undo, host: '${{ node }}'}, timeout: 5s}
      - {id: settle, wait: 3s}
  - id: keep_logs
    if: failure()
    uses: lab.mend
    with: {what: keep, host: '${{ params.host }}'}
    timeout: 5s
    rollback: none
on_cancel:
  - {id: hang_up, uses: lab.mend, with: {what: hang_up, host: '${{ params.host }}'}, timeout: 5s}
""",
    head="deadline: 90s\n",
)
CHOOSE = framed(
    "choose: Do what a person says, and something else if that fails",
    """investigate:
  - id: which
    ask:
      question: 'What to do on ${{ params.host }}?'
      choices: [restart, warm]
      from: [role:oncall]
      expires: 60s
steps:
  - id: mend
    call: mend
    if: steps.which.answer == "restart"
    with: {host: '${{ params.host }}'}
  - id: do
    uses: lab.mend
    with: {what: '${{ steps.which.answer }}', host: '${{ params.host }}'}
    timeout: 10s
    rollback: none
  - id: keep_logs
    if: always()
    uses: lab.mend
    with: {what: keep, host: '${{ params.host }}'}
    timeout: 10s
    rollback: none
""",
    proof="answers",
    proven="""    within: 10s
on_failure: {playbook: replace, with: {host: '${{ params.host }}'}}
""",
)
REPLACE = framed(
    "replace: Replace the model server, again where that fails",
    """steps:
  - id: replace
    uses: lab.mend
    with: {what: swap, host: '${{ params.host }}'}
    timeout: 10s
    rollback: none
""",
    proof="answers",
    proven="""    within: 10s
on_failure: {playbook: replace, with: {host: '${{ params.host }}'}}
""",
)
RELIEVE = framed(
    "relieve: Help for a while",
    """steps:
  - id: restart
    uses: lab.mend
    with: {what: restart, host: '${{ params.host }}'}
    timeout: 10s
    rollback:
      - {id: undo, uses: lab.mend, with: {what: undo, host: '${{ params.host }}'}, timeout: 10s}
  - id: spread
    uses: lab.mend
    with: {what: restart, host: '${{ params.host }}'}
    timeout: 10s
    rollback:
      - {id: gather, uses: lab.mend, with: {what: undo, host: '${{ params.host }}'}, timeout: 10s}
""",
    proof="answers",
    proven="""    within: 10s
revert: {after: 40s, when: 'incident.severity != "P1"'}
""",
)
# Several things at once, one of which often fails.
LANES = framed(
    "lanes: Restart what needs each other at once",
    """steps:
  - id: both
    parallel:
      - id: left
        uses: lab.mend
        with: {what: restart, host: '${{ params.host }}'}
        timeout: 10s
        retry: {attempts: 2, wait: 2s}
        rollback:
          - {id: undo, uses: lab.mend, with: {what: undo, host: '${{ params.host }}'}, timeout: 5s}
      - id: right
        steps:
          - id: warm
            uses: lab.mend
            with: {what: warm, host: gpu-09}
            timeout: 10s
            required: false
            rollback: none
          - {id: settle, wait: 2s}
          - id: tidy
            uses: lab.mend
            with: {what: tidy, host: gpu-09}
            timeout: 10s
            rollback: none
      - id: weak
        uses: lab.mend
        with: {what: restart, host: gpu-10}
        timeout: 10s
        rollback:
          - {id: undo_weak, uses: lab.mend, with: {what: undo, host: gpu-10}, timeout: 5s}
  - id: last
    uses: lab.mend
    with: {what: keep, host: '${{ params.host }}'}
    timeout: 10s
    rollback: none
  - id: keep_logs
    if: failure()
    uses: lab.mend
    with: {what: keep, host: '${{ params.host }}'}
    timeout: 10s
    rollback: none
on_cancel:
  - {id: hang_up, uses: lab.mend, with: {what: hang_up, host: '${{ params.host }}'}, timeout: 10s}
""",
    head="deadline: 2m\n",
)
INVENTORY = """language: 1
targets:
  gpu-07: {kind: host, service: llm, aliases: ['gpu-07:9100']}
  gpu-08: {kind: host, service: %s, aliases: ['gpu-08:9100']}
  gpu-09: {kind: host, service: llm, aliases: ['gpu-09:9100']}
  gpu-10: {kind: host, service: llm, aliases: ['gpu-10:9100']}
services:
  llm: {environment: staging, team: inference}
  search: {environment: staging, team: search}
"""
# What fires; nobody knows what the last one is.
ALERTS = ("Down", "Slow", "Odd")
# Who fires; nothing does on the others.
HOSTS = ("gpu-07", "gpu-08")
# How the loop of each playbook goes over its items, each batch with its wait, and how many of them
# it may not lose.
BATCHES: Mapping[str, Sequence[Sequence[str]]] = {
    "fleet": (("gpu-09", "gpu-10", "batch-1"), ("gpu-07", "gpu-08", "batch-2")),
    "wave": (("gpu-07",), ("gpu-09",)),
}
STOP_AFTER = {"fleet": 2, "wave": 1}
# Which branch of its `parallel` a step of a playbook stands in.
BRANCHES: Mapping[str, Mapping[str, str]] = {
    "lanes": {"left": "left", "warm": "right", "settle": "right", "tidy": "right", "weak": "weak"}
}
# No remedy for a while is taken back from an incident as severe as this.
STAYS_WHILE = "P1"
# What makes a slow one a P1.
GRAVE = {"grave": "yes"}


def alert_labels(name: str, host: str) -> dict[str, str]:
    """Of an alert about this host."""
    return {"alertname": name, "instance": f"{host}:9100"}
