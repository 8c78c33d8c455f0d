"""What loading and type-checking 1,000 playbooks takes, beside a catalog with the shipped alone.

`python -m benchmarks.load_playbooks`, from the root of the repository. CPU seconds in one process,
after interpreter and imports: the files are read, parsed with their places, their expressions
type-checked against parameters, actions and commands, and compiled. Each is the example of
docs/playbooks.md with names and figures of its own, new ones for each turn, so that nothing that
was compiled before helps.
"""

import tempfile
from itertools import count
from pathlib import Path

from benchmarks.harness import Variant, compare
from benchmarks.load_rules import timed_load
from engine.settings import LoadedSettings, load_settings

PLAYBOOKS = 1_000
PAIRS = 5
PLAYBOOK = """\
language: 1
id: restart-{n}
description: Restart unit {n} and prove that it serves completions again
max_mode: auto
parameters:
  host: {{type: target, kind: host}}
  model_{n}: {{type: string}}
  unit: {{type: string, default: vllm-{n}, pattern: '^[a-z0-9@_][a-z0-9@._-]*$'}}
guards:
  cooldown: {{for: 15m, per: target}}
  budget: {{runs: 3, within: 1h, per: playbook}}
  blast_radius: {{group: '${{{{ target(params.host).service }}}}', max_unavailable: 1}}
approval: {{from: [role:oncall], quorum: 1, expires: 10m, on_expiry: escalate}}
investigate:
  - id: gpu
    uses: ssh.read
    with: {{host: '${{{{ params.host }}}}', command: gpu-state}}
    required: false
steps:
  - id: restart
    uses: ssh.run
    with:
      host: '${{{{ params.host }}}}'
      command: restart-unit
      args: {{unit: '${{{{ params.unit }}}}'}}
    timeout: 10m
    rollback: none
verify:
  - id: serves
    uses: llm.complete
    with: {{target: '${{{{ params.host }}}}', model: '${{{{ params.model_{n} }}}}'}}
    until: result.ok && result.latency_s < {n}.5
    within: 5m
    stable_for: 30s
"""


def write_playbooks(folder: Path, first: int, many: int) -> None:
    """So many playbooks, one a file, with the numbers from `first` on."""
    folder.mkdir()
    for n in range(first, first + many):
        (folder / f"restart-{n}.yaml").write_text(PLAYBOOK.format(n=n))


def load_s(loaded: LoadedSettings, at_least: int) -> float:
    """CPU seconds for one load of so many playbooks."""
    took_s, catalog = timed_load(loaded)
    assert len(catalog.playbooks) >= at_least
    return took_s


def load_new_s(folder: Path, turn: int, many: int) -> float:
    """CPU seconds for playbooks that were never loaded before."""
    own = folder / f"turn-{turn}"
    write_playbooks(own, turn * many, many)
    return load_s(load_settings(None, {"playbooks_dir": own}), many)


def main() -> None:
    """Print the comparison."""
    shipped, turns = load_settings(None, {}), count()
    with tempfile.TemporaryDirectory(prefix="quell-playbooks-") as name:
        print(
            compare(
                Variant("shipped playbooks", lambda: load_s(shipped, 1)),
                Variant(
                    f"and {PLAYBOOKS:,} more",
                    lambda: load_new_s(Path(name), next(turns), PLAYBOOKS),
                ),
                unit="CPU s",
                pairs=PAIRS,
            ).table()
        )


if __name__ == "__main__":
    main()
