"""The benchmark of replays measures what it says: the same rules over the same file."""

import json
from pathlib import Path

from benchmarks import replay


def test_every_alert_is_decided_and_one_in_a_hundred_is_for_a_rule(tmp_path: Path) -> None:
    alerts = tmp_path / "alerts.jsonl"
    replay.write_alerts(alerts, 300)
    replay.write_rules(tmp_path / "rules")
    assert alerts.stat().st_size > replay.PIPE_BYTES
    assert replay.quell_rate(tmp_path / "rules", alerts) > 0


def test_both_are_given_the_same_rules(tmp_path: Path) -> None:
    replay.write_rules(tmp_path / "rules")
    replay.write_rulebook(tmp_path / "book.yml", tmp_path / "alerts.jsonl", tmp_path / "began")
    own = json.loads((tmp_path / "rules" / "rules.yaml").read_text())["rules"]
    (book,) = json.loads((tmp_path / "book.yml").read_text())
    assert [each["id"] for each in own] == [each["name"] for each in book["rules"]]
    assert len(own) == replay.RULES
