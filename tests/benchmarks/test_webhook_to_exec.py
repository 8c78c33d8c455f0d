from benchmarks.webhook_to_exec import HEADING, Figures, fire, started_quell
from tests.services.ssh_host import SshHost


def test_each_alert_is_timed_until_its_own_exec_line(ssh_host: SshHost) -> None:
    with started_quell({}, ssh_host) as quell:
        latencies_ms = fire(quell, ssh_host, "smoke", ["open-0", "open-0", "new-0"])
    assert len(latencies_ms) == 3
    assert all(0 < each < 30_000 for each in latencies_ms)


def test_a_row_has_the_quantiles_and_the_machines_state() -> None:
    figures = Figures("embedded", "open", tuple(float(n) for n in range(1, 101)), 0.5, 40.0)
    storage, connections, *rest = figures.row().split()
    assert (storage, connections) == ("embedded", "open")
    assert [float(each) for each in rest] == [100, 50.0, 99.0, 100.0, 0.5, 40.0]
    assert len(figures.row()) == len(HEADING)
