"""Alerts Management is asked at the configured address, about the configured subscriptions."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.sources.azure_monitor import AlertsApiConfig
from connectors.sources.azure_monitor.management import AlertsManagement, credential_of
from tests.connectors.sources.azure_monitor.azure import SUBSCRIPTION, TENANT
from tests.services.azure_management import AzureManagement, azure_management
from tests.services.certificates import Authority

OTHER = "bbbb1b1b-cc2c-dd3d-ee4e-ffffff5f5f5f"
CLIENT = "00001111-aaaa-2222-bbbb-3333cccc4444"
NAME = "66114d64-d9d9-478b-95c9-b789d6502100"
LISTED = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.AlertsManagement/alerts/{NAME}"


@pytest.fixture
def azure() -> Iterator[AzureManagement]:
    with azure_management() as running:
        running.readers = {"reader": frozenset({SUBSCRIPTION}), "stranger": frozenset()}
        running.add(LISTED)
        yield running


async def asked(
    azure: AzureManagement, folder: Path, alert_id: str = LISTED, token: str = "reader"
) -> tuple[str, str]:
    path = folder / "token"
    path.write_text(token)
    config = AlertsApiConfig.model_validate(
        {"management": azure.url, "subscriptions": [SUBSCRIPTION, OTHER], "token_file": path}
    )
    management = AlertsManagement(config)
    found = await management.ask(alert_id)
    management.close()
    return found.answer, found.detail


@pytest.mark.parametrize(
    ("essentials", "answer"),
    [
        ({}, "firing"),
        ({"alertState": "Acknowledged"}, "firing"),
        ({"alertState": "Closed"}, "cannot_tell"),
        ({"monitorCondition": "Resolved"}, "resolved"),
        ({"monitorCondition": "Resolved", "alertState": "Closed"}, "resolved"),
    ],
)
async def test_the_condition_decides(
    azure: AzureManagement, tmp_path: Path, essentials: dict[str, str], answer: str
) -> None:
    azure.add(LISTED, **essentials)
    found, detail = await asked(azure, tmp_path)
    assert found == answer
    assert azure.url in detail
    assert azure.requests == [f"{LISTED}?api-version=2019-03-01"]


async def test_an_id_in_another_case_or_below_a_resource_finds_the_alert(
    azure: AzureManagement, tmp_path: Path
) -> None:
    assert (await asked(azure, tmp_path, LISTED.upper()))[0] == "firing"
    below = LISTED.replace("/providers", "/resourcegroups/r/providers/a/b/c/providers", 1)
    assert (await asked(azure, tmp_path, below))[0] == "firing"


@pytest.mark.parametrize(
    "forged",
    [
        "",
        "x",
        LISTED.replace(SUBSCRIPTION, "cccc2c2c-dd3d-ee4e-ff5f-aaaaaa6a6a6a"),
        f"https://evil.example{LISTED}",
        f"//evil.example{LISTED}",
        f"@evil.example{LISTED}",
        f"{LISTED}/../../x",
        f"{LISTED}?api-version=x#",
        LISTED.replace("/providers", "/a?b=c/providers", 1),
        LISTED.replace(NAME, "Test_Alert"),
        f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.CostManagement/alerts/{NAME}",
    ],
)
async def test_a_forged_id_asks_nobody(azure: AzureManagement, tmp_path: Path, forged: str) -> None:
    found, detail = await asked(azure, tmp_path, forged)
    assert (found, azure.requests) == ("cannot_tell", [])
    assert "evil" not in detail


@pytest.mark.parametrize(
    ("alert_id", "token", "status"),
    [
        (LISTED, "unknown", 401),
        (LISTED, "stranger", 403),
        (LISTED.replace(SUBSCRIPTION, OTHER), "reader", 403),
        (LISTED.replace("66114d64", "00000000"), "reader", 404),
    ],
)
async def test_where_azure_refuses_nobody_can_tell(
    azure: AzureManagement, tmp_path: Path, alert_id: str, token: str, status: int
) -> None:
    found, detail = await asked(azure, tmp_path, alert_id, token)
    assert found == "cannot_tell"
    assert f"status {status}" in detail
    assert token not in detail


async def test_where_azure_has_no_time_nobody_can_tell(
    azure: AzureManagement, tmp_path: Path
) -> None:
    azure.statuses = [429, 503]
    assert "status 429" in (await asked(azure, tmp_path))[1]
    assert "status 503" in (await asked(azure, tmp_path))[1]
    assert (await asked(azure, tmp_path))[0] == "firing"


@pytest.mark.parametrize("change", ["no essentials", "another alert", "another condition"])
async def test_an_answer_that_tells_something_else_counts_for_nothing(
    azure: AzureManagement, tmp_path: Path, change: str
) -> None:
    kept = azure.alerts[LISTED.lower()]
    if change == "no essentials":
        del kept["properties"]["essentials"]
    elif change == "another alert":
        kept["id"] = LISTED.replace("66114d64", "00000000")
    else:
        del kept["properties"]["essentials"]["monitorCondition"]
    assert (await asked(azure, tmp_path))[0] == "cannot_tell"


@pytest.mark.parametrize("content", ["", "\n", "a\nb", "é"])
async def test_a_file_without_a_token(azure: AzureManagement, tmp_path: Path, content: str) -> None:
    found, detail = await asked(azure, tmp_path, token=content)
    assert (found, azure.requests) == ("cannot_tell", [])
    assert "token" in detail


async def test_a_client_s_secret_signs_in_by_azure_identity(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    with azure_management(authority.issue("localhost", ["localhost"])) as azure:
        azure.clients = {(CLIENT, "s3cret"): "reader"}
        azure.readers = {"reader": frozenset({SUBSCRIPTION})}
        azure.add(LISTED)
        settings: dict[str, Any] = {
            "subscriptions": [SUBSCRIPTION],
            "management": azure.url,
            "login": azure.url,
            "sign_in": "client_secret",
            "tenant": TENANT,
            "client_id": CLIENT,
            "ca": authority.certificate,
        }
        for secret, answer in (("s3cret", "firing"), ("wrong", "cannot_tell")):
            config = AlertsApiConfig.model_validate({**settings, "client_secret": secret})
            management = AlertsManagement(config)
            found = await management.ask(LISTED)
            assert found.answer == answer, found.detail
            if answer == "firing":
                # The token lasts an hour, so it is asked for once.
                azure.clients.clear()
                assert (await management.ask(LISTED)).answer == "firing"
                azure.clients = {(CLIENT, "s3cret"): "reader"}
            else:
                assert "AADSTS7000215" in found.detail
                assert "wrong" not in found.detail
            management.close()


@pytest.mark.parametrize(
    ("sign_in", "credential"),
    [
        ("default", "DefaultAzureCredential"),
        ("managed_identity", "ManagedIdentityCredential"),
        ("workload_identity", "WorkloadIdentityCredential"),
        ("client_secret", "ClientSecretCredential"),
    ],
)
def test_each_way_of_signing_in_is_azure_identity_s(
    sign_in: str, credential: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Kubernetes' webhook sets it in the pod.
    monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", "token")
    config = AlertsApiConfig.model_validate(
        {
            "subscriptions": [SUBSCRIPTION],
            "sign_in": sign_in,
            "tenant": TENANT,
            "client_id": CLIENT,
            "client_secret": "s",
        }
    )
    assert type(credential_of(config)).__name__ == credential
