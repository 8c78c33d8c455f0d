"""What loading, checking and compiling 1,000 rules takes, beside a catalog with the shipped alone.

`python -m benchmarks.load_rules`, from the root of the repository. CPU seconds in one process,
after interpreter and imports: the files are read, parsed with their places, type-checked against
what expressions may name, compiled and indexed.
"""

import tempfile
import time
from pathlib import Path

from benchmarks.harness import Variant, compare
from engine.app import catalog_sources
from engine.app.configured import checked_catalog
from engine.core.catalog import Catalog
from engine.settings import LoadedSettings, load_settings

RULES = 1_000
RULES_A_FILE = 50
PAIRS = 7
RULE = """
  - id: r{n}
    description: The queue of service {n} is too long for too many minutes
    matchers: ['alertname="Alert{n}"', 'service=~"svc-{n}.*"']
    when: alert.labels.tier != "dev" && double(alert.labels.value) > {n}.5
    for: 1m
    severity:
      - when: alert.environment == "production"
        is: P1
      - is: P3
    group_by: [service, region]
    mode: approve
"""


def write_rules(folder: Path, count: int) -> None:
    """So many rules, as authors write them, some to a file."""
    folder.mkdir()
    for start in range(0, count, RULES_A_FILE):
        rules = "".join(RULE.format(n=n) for n in range(start, min(start + RULES_A_FILE, count)))
        (folder / f"rules-{start}.yaml").write_text(f"language: 1\nrules:{rules}")


def timed_load(loaded: LoadedSettings) -> tuple[float, Catalog]:
    """CPU seconds for one load, and what was loaded."""
    began = time.process_time()
    catalog = checked_catalog(catalog_sources(loaded))
    return time.process_time() - began, catalog


def load_s(loaded: LoadedSettings, at_least: int) -> float:
    """CPU seconds for one load of so many rules."""
    took_s, catalog = timed_load(loaded)
    assert len(catalog.rules) >= at_least
    return took_s


def main() -> None:
    """Print the comparison."""
    with tempfile.TemporaryDirectory(prefix="quell-rules-") as name:
        folder = Path(name) / "rules"
        write_rules(folder, RULES)
        shipped, both = load_settings(None, {}), load_settings(None, {"rules_dir": folder})
        print(
            compare(
                Variant("shipped rules", lambda: load_s(shipped, 1)),
                Variant(f"and {RULES:,} more", lambda: load_s(both, RULES)),
                unit="CPU s",
                pairs=PAIRS,
            ).table()
        )


if __name__ == "__main__":
    main()
