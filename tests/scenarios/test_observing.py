"""`quell up` on a first day: shipped rules watch, tell what they would do, and touch nothing."""

from pathlib import Path

import yaml

from tests.scenarios.endpoint import TARGET, Endpoint
from tests.scenarios.quell import Quell, bodies
from tests.scenarios.site import Watch
from tests.services.process import free_port


def test_a_shipped_rule_plans_and_neither_asks_nor_reads_nor_changes(
    endpoint: Endpoint, watch: Watch, tmp_path: Path
) -> None:
    address = f"127.0.0.1:{free_port()}"
    prometheus = watch(address, "prometheus alone")
    inventory = tmp_path / "inventory.yaml"
    inventory.write_text(yaml.safe_dump(endpoint.inventory(prometheus.url, "staging")))
    quell = Quell(tmp_path, address, {}, ["up", "--inventory", str(inventory)])
    try:
        quell.start()
        endpoint.die()
        rule = "vllm-not-answering"
        story = quell.story(quell.wait_for_incident(rule, phase="idle", outcome="skipped"))
        (planned,) = bodies(story, "run.planned")
        assert f"{TARGET}$ sudo systemctl restart vllm" in planned["plan"]
        assert planned["mode"] == "observe"
        (ended,) = bodies(story, "run.ended")
        assert ended["reason"] == "observe: this is what would have run"
        for kind in ("step.observed", "approval.requested", "attempt.intended", "message.sent"):
            assert bodies(story, kind) == [], kind
        assert endpoint.commands() == []
        assert endpoint.starts() == 1
        # A rule that observes never takes the alert from others: the catch-all tells of it.
        assert quell.wait_for_incident("unmatched", status="open")["run_id"] == ""
    finally:
        quell.stop()
