"""Who gets in without a token of Entra ID, and whether an occurrence still fires."""

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from connectors.sources.azure_monitor import AzureMonitorSource
from engine.core.alert import receive
from engine.ports.source import Sender
from tests.connectors.sources.azure_monitor.azure import (
    NOW,
    SUBSCRIPTION,
    notice,
    source,
)
from tests.services.azure_management import AzureManagement, azure_management

URL_TOKEN = "0123456789abcdef-a.b_c~d"
LISTED = notice("test-metric-static")["data"]["essentials"]["alertId"]


async def outcome(source: AzureMonitorSource, query: str = "", authorization: str = "") -> str:
    headers = {"authorization": authorization} if authorization else {}
    found = await source.admit(Sender(headers, {"token": query} if query else {}), NOW)
    assert not query or query not in found.why
    return found.outcome


async def test_a_token_in_the_address_lets_in_and_no_forgery_of_one_bit_does() -> None:
    guarded = source(url_tokens=[URL_TOKEN, "another-token-123"])
    assert guarded.has_credentials
    assert await outcome(guarded, URL_TOKEN) == "admitted"
    assert await outcome(guarded, "another-token-123") == "admitted"
    for bit in range(len(URL_TOKEN) * 8):
        flipped = bytearray(URL_TOKEN.encode())
        flipped[bit // 8] ^= 1 << bit % 8
        assert await outcome(guarded, flipped.decode("latin-1")) == "denied", bit
    for wrong in ("", URL_TOKEN[:-1], URL_TOKEN + "x"):
        assert await outcome(guarded, wrong) == "denied"
    assert await outcome(guarded, authorization=f"Bearer {URL_TOKEN}") == "denied"


async def test_bearer_and_basic_let_in() -> None:
    guarded = source(bearer=["s3cret"], basic=[{"user": "azure", "password": "pass"}])
    assert await outcome(guarded, authorization="Bearer s3cret") == "admitted"
    assert await outcome(guarded, authorization="Basic YXp1cmU6cGFzcw==") == "admitted"
    assert await outcome(guarded, authorization="Bearer other") == "denied"
    assert await outcome(guarded, "s3cret") == "denied"


async def test_without_credentials_nobody_elsewhere_gets_in() -> None:
    assert not source().has_credentials
    assert await outcome(source(), "", "") == "denied"


def test_a_kept_body_names_nobody() -> None:
    body = json.dumps(notice("test-activity-log")).encode()
    assert b"user@contoso.com" in body
    assert b"user@contoso.com" not in source().keepable(body)


# From here: whether it still fires.


@pytest.fixture
def azure() -> Iterator[AzureManagement]:
    with azure_management() as running:
        running.readers["reader"] = frozenset({SUBSCRIPTION})
        yield running


def asking(azure: AzureManagement, folder: Path, **settings: Any) -> AzureMonitorSource:
    (folder / "token").write_text("reader\n")
    api = {
        "management": azure.url,
        "subscriptions": [SUBSCRIPTION],
        "token_file": folder / "token",
    }
    return source(api=api, **settings)


async def answer(
    source: AzureMonitorSource, body: Mapping[str, Any], **ages: float
) -> tuple[str, str]:
    [alert] = source.parse(dict(body), NOW).alerts
    notice_of = receive(alert, None).occurrence
    age = timedelta(**ages)
    found = await source.still_firing(structs.replace(notice_of, last_notice_at=NOW - age), NOW)
    await source.close()
    return found.answer, found.basis


async def test_azure_tells_whether_it_still_fires(azure: AzureManagement, tmp_path: Path) -> None:
    azure.add(LISTED)
    body = notice("test-metric-static")
    assert await answer(asking(azure, tmp_path), body) == ("firing", "source")
    azure.add(LISTED, monitorCondition="Resolved")
    assert await answer(asking(azure, tmp_path), body) == ("resolved", "source")


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("test-activity-log", {}),
        ("test-resource-health", {}),
        ("test-budget", {}),
        ("test-metric-static", {"stateless_rules": ["test-metricAlertRule"]}),
    ],
)
async def test_what_azure_never_resolves_goes_by_its_last_notice(
    azure: AzureManagement, tmp_path: Path, name: str, settings: Mapping[str, Any]
) -> None:
    azure.add(LISTED)
    asked = asking(azure, tmp_path, **settings)
    assert await answer(asked, notice(name), minutes=1) == ("firing", "last notice")
    assert await answer(asked, notice(name), days=8) == ("cannot_tell", "last notice")
    assert azure.requests == []


async def test_an_alert_that_azure_does_not_list_goes_by_its_last_notice(
    azure: AzureManagement, tmp_path: Path
) -> None:
    body = notice("test-metric-static", alertId="/subscriptions/s/alerts/Test_Alert")
    assert await answer(asking(azure, tmp_path), body) == ("firing", "last notice")
    assert azure.requests == []


async def test_without_an_api_the_last_notice_counts_for_its_time() -> None:
    body = notice("test-metric-static")
    assert await answer(source(), body, hours=5) == ("firing", "last notice")
    assert await answer(source(), body, hours=7) == ("cannot_tell", "last notice")
    short = source(ttl_s={"metric": 60})
    assert await answer(short, body, seconds=61) == ("cannot_tell", "last notice")
