"""Real Prometheus and Alertmanager with the shipped alerts: each rule opens, and resolves."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.scenarios.breaks import BREAKS, PORTS, WELL, Break, Job
from tests.scenarios.exporters import Exporter, served
from tests.scenarios.hurried import hurried
from tests.scenarios.quell import Json, Quell
from tests.scenarios.site import WEBHOOK_TOKEN
from tests.services.alertmanager import StartAlertmanager
from tests.services.process import ServiceError, free_port, wait_until
from tests.services.prometheus import AlertReceiver, Prometheus, ScrapeTarget, StartPrometheus

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "rules-shipped.md"
ALERTING = [
    hurried(path.read_text()) for path in sorted((ROOT / "deploy/prometheus").glob("*.rules.yaml"))
]
# The longest window, six hours, is 90 s here: so long it takes to fill, or to be empty of failures.
DEADLINE_S = 3 * 90.0
# Longer than nearly all of what the alerts wait for here: an alert that is wrong would be there.
WELL_FOR_S = 10.0
FIRED = 'count by (alertname, severity) (max_over_time(ALERTS{alertstate="firing"}[1h]))'
# What quell says of itself when so much fires at once; it is over when a person says so.
STORM_BRAKE = ("quell", "quell-storm-brake")
FROM_APPLICATIONS = {"model-calls-failing", "model-calls-slow", "errors-logged"}


@dataclass(frozen=True, slots=True)
class Patient:
    """A service and a host for one break alone, watched by the jobs that the break needs."""

    name: str
    rule_id: str
    ill: Break
    exporters: Mapping[Job, Exporter]

    def instance(self, job: Job) -> str:
        return f"{self.name}:{PORTS[job]}"

    def scraped(self, address: str) -> Iterator[ScrapeTarget]:
        """With the labels that docs/rules-shipped.md asks for."""
        for job in self.exporters:
            labels = {
                "__metrics_path__": f"/{self.instance(job)}/metrics",
                "instance": self.instance(job),
                "service": self.name,
                "environment": self.ill.environment,
            }
            if job == "llm-replicas":
                labels |= {"target": self.name, "model": "llama"}
            yield ScrapeTarget(job, address, labels)

    def fall_ill(self) -> None:
        for job, figures in self.ill.figures.items():
            self.exporters[job].answers = figures is not None
            self.exporters[job].turn(figures or {})

    def be_well(self) -> None:
        for job, exporter in self.exporters.items():
            exporter.answers = True
            exporter.turn(WELL[job])


def patients() -> list[Patient]:
    return [
        Patient(f"{rule_id}-{n}", rule_id, ill, {job: Exporter() for job in ill.figures})
        for rule_id, breaks in BREAKS.items()
        for n, ill in enumerate(breaks)
    ]


class Ward:
    """The patients, what watches them, and the quell that is told."""

    def __init__(self, folder: Path, address: str) -> None:
        self.patients = patients()
        self.quell = Quell(folder, address, self._settings(folder), ["serve"])
        self.prometheus: Prometheus

    def exporters(self) -> Mapping[str, Exporter]:
        return {
            f"/{each.instance(job)}/metrics": exporter
            for each in self.patients
            for job, exporter in each.exporters.items()
        }

    def incidents(self) -> dict[tuple[str, str], Json]:
        """By service and rule. Raises AssertionError where one has two."""
        found = self.quell.get("/v1/incidents?limit=500")["incidents"]
        by_rule = {(each["service"], each["rule_id"]): each for each in found}
        assert len(by_rule) == len(found), found
        return by_rule

    def wait(self, lacking: Callable[[], Sequence[str]], what: str) -> None:
        """Until nobody is lacking; ServiceError names who is."""
        try:
            wait_until(lambda: not lacking(), what, DEADLINE_S)
        except ServiceError as error:
            error.add_note("\n".join(lacking()))
            raise

    def not_opened(self) -> list[str]:
        found = self.incidents()
        no_brake = [] if STORM_BRAKE in found else ["the storm brake isn't on"]
        return no_brake + [
            f"{each.name}: wanted {each.ill.severity}, there is {incident}"
            for each in self.patients
            for incident in [found.get((each.name, each.rule_id))]
            if incident is None
            or (incident["status"], incident["severity"]) != ("open", each.ill.severity)
        ]

    def not_resolved(self) -> list[str]:
        return [
            f"{service}: {rule_id} is {incident['status']}"
            for (service, rule_id), incident in self.incidents().items()
            if incident["status"] != "resolved"
        ]

    def _settings(self, folder: Path) -> dict[str, Any]:
        targets = {
            each.name: {
                "kind": "host",
                "address": "127.0.0.1",
                "aliases": [each.instance(job) for job in each.exporters],
            }
            for each in self.patients
        }
        (folder / "inventory.yaml").write_text(yaml.safe_dump({"language": 1, "targets": targets}))
        (folder / "webhook-token").write_text(WEBHOOK_TOKEN)
        bearer = f"${{file:{folder / 'webhook-token'}}}"
        return {
            "inventory": "inventory.yaml",
            "shipped_mode": "suggest",
            "sources": {"alertmanager": {"uses": "alertmanager", "bearer": [bearer]}},
        }


@pytest.fixture
def ward(
    start_prometheus: StartPrometheus, start_alertmanager: StartAlertmanager, tmp_path: Path
) -> Iterator[Ward]:
    """All are well, and watched."""
    address = f"127.0.0.1:{free_port()}"
    ward = Ward(tmp_path, address)
    with ExitStack() as running:
        for each in ward.patients:
            each.be_well()
        ward.quell.start()
        running.callback(ward.quell.stop)
        webhook = f"http://{address}/v1/alerts/alertmanager"
        alertmanager = start_alertmanager(webhook, token=WEBHOOK_TOKEN)
        scraped = running.enter_context(served(ward.exporters()))
        ward.prometheus = start_prometheus(
            [target for each in ward.patients for target in each.scraped(scraped)],
            rules=yaml.safe_dump(
                {"groups": [group for each in ALERTING for group in each["groups"]]}
            ),
            receivers=[AlertReceiver(alertmanager.address)],
        )
        yield ward


def test_the_table_breaks_each_rule_of_prometheus_at_each_severity_of_the_page() -> None:
    in_table = {
        rule_id: sorted({each.severity for each in breaks}) for rule_id, breaks in BREAKS.items()
    }
    told = told_on_page()
    assert {rule_id: told[rule_id] for rule_id in told.keys() - FROM_APPLICATIONS} == in_table


@pytest.mark.slow
def test_each_shipped_rule_opens_at_the_severity_of_its_page_and_resolves(ward: Ward) -> None:
    time.sleep(WELL_FOR_S)
    assert ward.incidents() == {}, "figures that are good open nothing"

    for each in ward.patients:
        each.fall_ill()
    ward.wait(ward.not_opened, "each rule opens at its severity")
    wanted = {STORM_BRAKE, *((each.name, each.rule_id) for each in ward.patients)}
    also = {(each.name, each.ill.also) for each in ward.patients if each.ill.also}
    assert ward.incidents().keys() == wanted | also
    fired = {(each["alertname"], each["severity"]) for each, _ in ward.prometheus.query(FIRED)}
    assert fired == {
        (rule["alert"], rule["labels"]["severity"])
        for each in ALERTING
        for group in each["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }

    ward.quell.verb("brake", "lift", "--reason", "the test goes on")
    for each in ward.patients:
        each.be_well()
    ward.wait(ward.not_resolved, "each incident resolves")
    assert ward.incidents().keys() == wanted | also


def told_on_page() -> dict[str, list[str]]:
    """The severities of each rule that takes alerts of Prometheus."""
    sections = PAGE.read_text().split("## What Prometheus needs")[0].split("\n## ")
    rows = [
        line.strip("|").split(" | ")
        for section in sections
        if "From Prometheus" in section
        for line in section.splitlines()
        if line.startswith("| `")
    ]
    return {row[0].strip(" `"): row[3].split(", ") for row in rows}
