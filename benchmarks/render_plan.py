"""What the plan of the design's example takes: `python -m benchmarks.render_plan`.

The shipped restart-vllm, rendered for one run as a worker does it before anybody is asked: every
command exact, as stored bytes with their hash. Milliseconds each of 1,000, one after the other.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.harness import calibration_loop, quantile, timed
from engine.app import load_connectors
from engine.core.events import RunCreated
from engine.core.incident import opened
from engine.core.plan import plan_hash
from engine.core.planning import Planner
from engine.core.scopes import Known
from engine.core.trigger import OrderedRun, run_by_hand
from engine.settings import load_settings

PLANS = 1_000
INVENTORY = """\
language: 1
targets: {gpu-07: {kind: host, address: gpu-07.example, connection: lab, service: llm, port: 8000}}
services: {llm: {environment: production, team: inference}}
connections: {lab: {uses: ssh, user: quell, known_hosts: known_hosts, client_key: key}}
"""


def renderer(folder: Path) -> Callable[[], str]:
    """Renders one plan and gives the hash of its bytes."""
    path = folder / "inventory.yaml"
    path.write_text(INVENTORY)
    parts = load_connectors(load_settings(None, {"inventory": path}))
    catalog = parts.catalog
    given = {"host": "gpu-07", "model": "llama"}
    order = OrderedRun("benchmark", "restart-vllm", given)
    incident, story = run_by_hand(order, 1, catalog)
    created = next(event for event in story if isinstance(event, RunCreated))
    planner = Planner(catalog, parts.actions)
    playbook = catalog.playbooks["restart-vllm"]
    state = opened(incident, datetime(2026, 3, 1, tzinfo=UTC))

    def render() -> str:
        known = Known(created.parameters, state, catalog.inventory)
        return plan_hash(planner.render(playbook, created.run_id, known).plan.to_bytes())

    return render


def main() -> None:
    """Print the distribution."""
    with tempfile.TemporaryDirectory(prefix="quell-plan-") as name:
        render = renderer(Path(name))
        figures_ms = [timed(render, time.process_time)() * 1000 for _ in range(PLANS)]
    print(f"{PLANS:,} plans of restart-vllm, CPU ms each:")
    print(f"median {statistics.median(figures_ms):.3f}, 99 % {quantile(figures_ms, 0.99):.3f}")
    print(f"calibration {timed(calibration_loop)() * 1000:.1f} ms")


if __name__ == "__main__":
    main()
