"""Playbooks whose runs get in each other's way, and what every playbook's guards promise."""

from collections.abc import Mapping
from dataclasses import dataclass

from tests.simulation.framed import framed

_JOLT = """steps:
  - id: jolt
    uses: lab.mend
    with: {what: jolt, host: '${{ params.host }}'}
    timeout: 10s
    rollback: none
"""
# One at a time, and never the same target twice by itself.
HURRY = framed(
    "hurry: Restart the model server, which helps for a moment",
    _JOLT,
    guards="""guards:
  concurrency: {max: 1, per: playbook}
  recurrence: {times: 2, within: 10m}
""",
    proven="""    within: 10s
    every: 5s
    stable_for: 5s
""",
)
# It seldom helps, and is not tried again then.
FRAIL = framed(
    "frail: Move the model server's work, which seldom helps",
    """steps:
  - id: swap
    uses: lab.mend
    with: {what: swap, host: '${{ params.host }}'}
    timeout: 10s
    rollback:
      - {id: undo, uses: lab.mend, with: {what: undo, host: '${{ params.host }}'}, timeout: 10s}
""",
    guards="""guards:
  lock: {per: service, on_busy: skip}
  breaker: {failures: 1, per: playbook}
""",
)
# Only while the other service is well.
SPARE = framed(
    "spare: Restart the model server, if the others can take its work",
    _JOLT,
    guards="""guards:
  requires: {healthy: [search], otherwise: skip}
""",
)
# One after the other, as long as one of them is left to serve.
WAVE = framed(
    "wave: Restart all model servers while some serve",
    """steps:
  - id: each
    foreach: {in: [gpu-07, gpu-09], as: node}
    steps:
      - id: jolt
        uses: lab.mend
        with: {what: jolt, host: '${{ node }}'}
        timeout: 5s
        rollback:
          - {id: undo, uses: lab.mend, with: {what: undo, host: '${{ node }}'}, timeout: 5s}
""",
    head="deadline: 5m\n",
    guards="""guards:
  blast_radius: {group: llm, max_unavailable: 1}
""",
)
# While it works, and a little longer, the same host is slow.
ECHO = framed(
    "echo: Restart the model server, which is slow meanwhile",
    """steps:
  - id: restart
    uses: lab.mend
    with: {what: restart, host: '${{ params.host }}'}
    timeout: 10s
    retry: {attempts: 2, wait: 2s}
    rollback: none
  - {id: settle, wait: 10s}
  - id: keep_logs
    uses: lab.mend
    with: {what: keep, host: '${{ params.host }}'}
    timeout: 10s
    rollback: none
""",
    guards="""guards:
  expected_alerts: {matchers: ['alertname="Slow"'], after: 20s}
""",
    proven="    within: 20s\n    every: 5s\n    stable_for: 5s\n",
)
# Steps that nothing is read before: the outcome of each carries the intent of the next.
CHAIN = framed(
    "chain: Do one thing after the other",
    """steps:
  - id: warm
    uses: lab.mend
    with: {what: warm, host: '${{ params.host }}'}
    timeout: 10s
    required: false
    rollback: none
  - id: keep
    uses: lab.mend
    with: {what: keep, host: '${{ params.host }}'}
    timeout: 10s
    required: false
    rollback: none
  - id: warm_again
    uses: lab.mend
    with: {what: warm, host: '${{ params.host }}'}
    timeout: 10s
    required: false
    rollback: none
  - id: keep_again
    uses: lab.mend
    with: {what: keep, host: '${{ params.host }}'}
    timeout: 10s
    rollback: none
  - id: tidy
    uses: lab.mend
    with: {what: tidy, host: '${{ params.host }}'}
    timeout: 10s
    rollback: none
""",
)
# Long enough for what fires at the beginning to wait for its end, and then to meet.
FREEZE = """language: 1
calendars:
  release: {intervals: [{times: [{start_time: '12:00', end_time: '12:01'}]}]}
freezes:
  - {id: release, calendar: release, policy: defer, why: a release goes out}
"""
FREEZE_S = 60.0
LIMITS = """language: 1
limits: {changes: {per: service, max: 1, within: 1m}, fleet_unavailable: 50%}
"""


@dataclass(frozen=True, slots=True)
class Promised:
    """What a playbook's guards allow. Times are in seconds; None is no such guard.

    `budget` and `recurrence` are (runs, within), `radius` is (group, how many of it), `expects` is
    (an alert's name, for how long after the run).
    """

    cooldown_s: float | None = None
    budget: tuple[int, float] | None = None
    recurrence: tuple[int, float] | None = None
    concurrency: int | None = None
    failures: int | None = None
    radius: tuple[str, int] | None = None
    requires: str = ""
    locks_services: bool = False
    expects: tuple[str, float] | None = None


NOTHING = Promised()
PROMISED: Mapping[str, Promised] = {
    "mend": Promised(budget=(2, 300.0)),
    "rewarm": Promised(cooldown_s=60.0),
    "hurry": Promised(concurrency=1, recurrence=(2, 600.0)),
    "frail": Promised(failures=1, locks_services=True),
    "spare": Promised(requires="search"),
    "wave": Promised(radius=("llm", 1)),
    "echo": Promised(expects=("Slow", 20.0)),
}
# Whose guards hold for whose runs, too.
CALLED: Mapping[str, tuple[str, ...]] = {"choose": ("mend",)}
