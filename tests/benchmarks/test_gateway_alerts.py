import pytest

from benchmarks.gateway_alerts import running_alertmanager, running_gateway, taking


@pytest.mark.parametrize("stream", ["embedded", "kafka"])
def test_both_take_the_same_alerts_and_the_figure_is_per_cpu_second(stream: str) -> None:
    with running_alertmanager() as alertmanager, running_gateway(stream) as quell:
        for taker in (alertmanager, quell):
            assert taking(taker.url, taker.pid, 400, 100)() > 0
            assert taking(taker.url, taker.pid, 600, 1)() > 0
        assert sum(quell.get("/v1/balance")["dispositions"].values()) == 0
        assert quell.get("/v1/balance")["waiting"] == 1000
