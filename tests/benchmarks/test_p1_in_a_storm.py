import json

from benchmarks.p1_in_a_storm import HEADING, WHAT_IS_INSIDE, measured, storm
from tests.services.ssh_host import running_ssh_host


def test_a_p1_is_measured_alone_and_behind_a_storm() -> None:
    with running_ssh_host() as host:
        figures = measured("embedded", {}, host, 300, idle=1)
    assert figures.idle_s > 0
    assert figures.storm_s > 0
    assert 0 < figures.sent_s < figures.decided_s
    assert len(figures.row().split()) == len(HEADING.split())
    assert all(name in WHAT_IS_INSIDE for name in ("idle_s", "storm_s", "behind", "decided_s"))


def test_a_storm_is_so_many_alerts_each_of_its_own() -> None:
    sent = [alert for body in storm(250) for alert in json.loads(body)["alerts"]]
    assert len({json.dumps(alert["labels"], sort_keys=True) for alert in sent}) == len(sent) == 250
