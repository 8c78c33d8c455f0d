"""Whether an incident is still open, asked of Cloud Monitoring in configured projects only."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from connectors.sources.cloud_monitoring import (
    AlertsApiConfig,
    CloudMonitoringConfig,
    CloudMonitoringSource,
)
from engine.core.alert import Occurrence, receive
from engine.core.still_firing import Confirmation
from tests.connectors.sources.cloud_monitoring.payloads import BEGAN, OPEN, UPTIME, opened
from tests.services.google_cloud import GoogleCloud, google_cloud
from tests.services.process import free_port

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
NAME = "projects/acme-prod/alerts/0.nrwotmyokd9n"
ALERT = {
    "name": NAME,
    "state": "OPEN",
    "openTime": "2026-03-01T11:58:00Z",
    "resource": {"type": "gce_instance", "labels": {"zone": "a"}},
    "policy": {"name": "projects/1/alertPolicies/2", "displayName": "x", "severity": "CRITICAL"},
}


@pytest.fixture
def cloud() -> Iterator[GoogleCloud]:
    with google_cloud() as running:
        yield running


@pytest.fixture
async def source(cloud: GoogleCloud, tmp_path: Path) -> AsyncIterator[CloudMonitoringSource]:
    api = AlertsApiConfig(projects=("acme-prod",), endpoint=cloud.url)
    config = CloudMonitoringConfig(api=api, credentials_file=cloud.key_file(tmp_path))
    source = CloudMonitoringSource(config)
    yield source
    await source.close()


def occurrence(body: Any = OPEN) -> Occurrence:
    [alert] = CloudMonitoringSource(CloudMonitoringConfig()).parse(body, NOW).alerts
    return receive(alert, None).occurrence


@pytest.mark.parametrize(
    ("state", "answer"),
    [("OPEN", "firing"), ("CLOSED", "resolved"), ("STATE_UNSPECIFIED", "cannot_tell")],
)
async def test_the_alert_of_the_incident_s_id_is_asked_for(
    source: CloudMonitoringSource, cloud: GoogleCloud, state: str, answer: str
) -> None:
    cloud.alerts[NAME] = {**ALERT, "state": state}
    found = await source.still_firing(occurrence(), NOW)
    assert (found.answer, found.basis) == (answer, "source")
    assert f"{cloud.url}/v3/{NAME}" in found.detail


async def test_a_project_may_be_told_by_its_number(
    source: CloudMonitoringSource, cloud: GoogleCloud
) -> None:
    cloud.alerts[NAME] = {**ALERT, "name": "projects/365415247865/alerts/0.nrwotmyokd9n"}
    assert (await source.still_firing(occurrence(), NOW)).answer == "firing"


async def test_a_notice_without_a_project_is_of_the_only_one(
    source: CloudMonitoringSource, cloud: GoogleCloud
) -> None:
    name = "projects/acme-prod/alerts/0.ligwyr056k2l"
    cloud.alerts[name] = {**ALERT, "name": name}
    assert (await source.still_firing(occurrence(UPTIME), NOW)).answer == "firing"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"scoping_project_id": "evil"}, "'evil' is none of api.projects"),
        ({"incident_id": "../../projects/evil/alerts/1"}, "is no incident's id"),
        ({"incident_id": "0.1?fields=x"}, "is no incident's id"),
        ({"incident_id": ".."}, "is no incident's id"),
        ({"incident_id": "x" * 200}, "is no incident's id"),
    ],
    ids=str,
)
async def test_a_notice_does_not_decide_who_is_asked(
    source: CloudMonitoringSource, cloud: GoogleCloud, changes: Any, told: str
) -> None:
    found = await source.still_firing(occurrence(opened(**changes)), NOW)
    assert (found.answer, found.basis) == ("cannot_tell", "source")
    assert told in found.detail
    assert (cloud.calls, cloud.issued) == ([], 0)


@pytest.mark.parametrize("status", [400, 403, 404, 429, 503])
async def test_a_refusal_is_no_answer(
    source: CloudMonitoringSource, cloud: GoogleCloud, status: int
) -> None:
    cloud.alerts[NAME] = ALERT
    cloud.faults.append(status)
    found = await source.still_firing(occurrence(), NOW)
    assert found.answer == "cannot_tell"
    assert f"status {status}" in found.detail
    assert (await source.still_firing(occurrence(), NOW)).answer == "firing"


async def test_an_alert_that_google_no_longer_has_is_no_answer(
    source: CloudMonitoringSource,
) -> None:
    found = await source.still_firing(occurrence(), NOW)
    assert found.answer == "cannot_tell"
    assert "NOT_FOUND" in found.detail


async def test_an_answer_about_another_alert_is_none(
    source: CloudMonitoringSource, cloud: GoogleCloud
) -> None:
    cloud.alerts[NAME] = {**ALERT, "name": "projects/acme-prod/alerts/0.other"}
    found = await source.still_firing(occurrence(), NOW)
    assert (found.answer, "another alert" in found.detail) == ("cannot_tell", True)


async def test_nobody_there_is_no_answer(tmp_path: Path, cloud: GoogleCloud) -> None:
    api = AlertsApiConfig(projects=("acme-prod",), endpoint=f"http://127.0.0.1:{free_port()}")
    config = CloudMonitoringConfig(api=api, credentials_file=cloud.key_file(tmp_path))
    source = CloudMonitoringSource(config)
    assert (await source.still_firing(occurrence(), NOW)).answer == "cannot_tell"
    await source.close()


async def test_without_projects_the_last_notice_counts() -> None:
    source = CloudMonitoringSource(CloudMonitoringConfig(last_notice_counts_s=600))
    in_time = await source.still_firing(occurrence(), BEGAN + timedelta(seconds=600))
    assert (in_time.answer, in_time.basis) == ("firing", "last notice")
    late = await source.still_firing(occurrence(), BEGAN + timedelta(seconds=601))
    assert late.answer == "cannot_tell"
    over = structs.replace(occurrence(), ended_at=NOW)
    expected = Confirmation("resolved", "last notice", "Endpoint fails was resolved")
    assert await source.still_firing(over, NOW) == expected
