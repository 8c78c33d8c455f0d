"""Real senders against the gateway: amtool, Prometheus and Alertmanager."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from pydantic import SecretStr
from typing_extensions import override

from connectors.sources.alertmanager import (
    AlertmanagerConfig,
    AlertmanagerSource,
    FiringApiConfig,
)
from engine.core.alert import Alert
from engine.errors import TransientError
from engine.ports.credentials import BasicCredentials
from tests.doubles.fixed_clock import FixedClock
from tests.doubles.gateway import MemoryIntake, gateway_parts, served
from tests.services.alertmanager import StartAlertmanager
from tests.services.process import free_port, program, run, wait_until
from tests.services.prometheus import AlertReceiver, StartPrometheus

RULES = """
groups:
  - name: always
    rules:
      - {alert: AlwaysFiring, expr: vector(1), labels: {service: llm-70b, severity: critical}}
"""


class WallClock(FixedClock):
    @override
    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass(frozen=True)
class Quell:
    """A gateway, without its engine, and what came in."""

    address: str
    intake: MemoryIntake

    def named(self, name: str) -> list[Alert]:
        return [alert for alert in self.intake.alerts if alert.name == name]


@contextmanager
def quell(*, loopback: bool = True) -> Iterator[Quell]:
    """Takes the bearer `s3cret` and the user `am` with the password `pass`."""
    config = AlertmanagerConfig(
        bearer=(SecretStr("s3cret"),),
        basic=(BasicCredentials(user="am", password=SecretStr("pass")),),
    )
    parts = gateway_parts(AlertmanagerSource(config), loopback=loopback)
    intake = MemoryIntake()
    with served(replace(parts, intake=intake, clock=WallClock())) as port:
        yield Quell(f"127.0.0.1:{port}", intake)


def test_amtool_adds_an_alert_and_ends_it() -> None:
    with quell() as there:
        amtool = (program("amtool"), f"--alertmanager.url=http://{there.address}", "alert", "add")
        labels = ("EndpointDown", "service=llm-70b", "instance=gpu-07:9100")
        run([*amtool, *labels, "--annotation=summary=no answer"])
        run([*amtool, *labels, "--end=2026-01-01T00:00:00+02:00"])
        firing, resolved = there.intake.alerts
    assert (firing.name, firing.status, firing.annotations["summary"]) == (
        "EndpointDown",
        "firing",
        "no answer",
    )
    assert firing.expires_at == firing.received_at + timedelta(minutes=5)
    assert (resolved.status, resolved.fingerprint) == ("resolved", firing.fingerprint)


def test_amtool_is_let_in_by_the_source_s_credentials_where_they_are_asked() -> None:
    with quell(loopback=False) as there:
        add = ("alert", "add", "EndpointDown")
        good = f"--alertmanager.url=http://am:pass@{there.address}"
        run([program("amtool"), good, *add])
        bad = f"--alertmanager.url=http://am:wrong@{there.address}"
        run([program("amtool"), bad, *add], statuses=(1,))
        assert len(there.intake.alerts) == 1


def test_prometheus_sends_straight_to_quell_and_each_resend_moves_the_expiry(
    start_prometheus: StartPrometheus,
) -> None:
    with quell(loopback=False) as there:
        receiver = AlertReceiver(there.address, token="s3cret")
        start_prometheus([], rules=RULES, receivers=[receiver])
        wait_until(lambda: len(there.named("AlwaysFiring")) >= 2, "Prometheus resends", 20)
        first, second, *_ = there.named("AlwaysFiring")
    assert first.fingerprint == second.fingerprint
    assert (first.status, first.service, first.severity_hint) == ("firing", "llm-70b", "critical")
    assert first.expires_at is not None
    assert second.expires_at is not None
    assert first.received_at < first.expires_at < second.expires_at
    assert there.intake.letters == []


def test_alertmanager_repeats_after_503_until_the_alert_is_kept(
    start_alertmanager: StartAlertmanager,
) -> None:
    with quell(loopback=False) as there:
        there.intake.fault = TransientError("the stream is down")
        sender = start_alertmanager(
            f"http://{there.address}/v1/alerts/alertmanager", token="s3cret"
        )
        amtool = (program("amtool"), f"--alertmanager.url={sender.url}", "alert", "add")
        run([*amtool, "EndpointDown", "service=llm-70b"])
        wait_until(lambda: "503" in sender.process.log_tail(), "Alertmanager is refused", 15)
        assert there.intake.alerts == []
        there.intake.fault = None
        wait_until(lambda: bool(there.named("EndpointDown")), "the alert comes again", 15)
        alert = there.named("EndpointDown")[0]
    assert (alert.status, alert.service, alert.expires_at) == ("firing", "llm-70b", None)


def test_what_a_notice_leaves_out_is_fetched_and_one_that_cannot_be_comes_again(
    start_alertmanager: StartAlertmanager,
) -> None:
    sources: dict[str, Sequence[AlertmanagerSource]] = {}
    parts = replace(gateway_parts(), sources=sources, clock=WallClock())
    with served(parts) as port:
        hook = f"http://127.0.0.1:{port}/v1/alerts/fra"
        sender = start_alertmanager(hook, max_alerts=1)

        def asking(url: str) -> AlertmanagerSource:
            return AlertmanagerSource(AlertmanagerConfig(api=FiringApiConfig(urls=(url,))))

        sources["fra"] = [asking(f"http://127.0.0.1:{free_port()}")]
        amtool = [program("amtool"), f"--alertmanager.url={sender.url}", "alert", "add"]
        run([*amtool, "Other", "service=llm"])
        for gpu in ("1", "2", "3"):
            run([*amtool, "Down", f"gpu={gpu}", "service=größe (llm)"])
        wait_until(lambda: "503" in sender.process.log_tail(), "Alertmanager is refused", 15)
        sources["fra"] = [asking(sender.url)]
        intake = parts.intake
        assert isinstance(intake, MemoryIntake)

        def kept() -> set[str]:
            return {each.labels["gpu"] for each in intake.alerts if each.name == "Down"}

        wait_until(lambda: kept() == {"1", "2", "3"}, "all of the group are kept", 15)
    assert {(each.status, each.expires_at) for each in intake.alerts} == {("firing", None)}
    # Each notice brings one, and what it left out of its own group.
    assert [each.name for each in intake.alerts].count("Other") <= 1
