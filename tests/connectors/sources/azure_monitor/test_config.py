"""Which settings the Azure Monitor source refuses, and that it shows none of its secrets."""

from typing import Any

import pytest
from pydantic import ValidationError

from connectors.sources.azure_monitor import AzureMonitorConfig
from tests.connectors.sources.azure_monitor.azure import AUDIENCE, SUBSCRIPTION, TENANT

ENTRA = {"tenant": TENANT, "audience": AUDIENCE}
API = {"subscriptions": [SUBSCRIPTION]}


@pytest.mark.parametrize(
    "settings",
    [
        {"name": "No Spaces"},
        {"bearer": [""]},
        {"url_tokens": ["short"]},
        {"url_tokens": ["has a space in it, and is long"]},
        {"url_tokens": ["would%20be%20decoded%20by%20us"]},
        {"entra": {"tenant": "contoso.onmicrosoft.com", "audience": AUDIENCE}},
        {"entra": {"tenant": TENANT}},
        {"entra": {"tenant": TENANT, "audience": ""}},
        {"entra": {**ENTRA, "role": ""}},
        {"entra": {**ENTRA, "sender_app": "anybody"}},
        {"entra": {**ENTRA, "login": "http://login.example"}},
        {"entra": {**ENTRA, "login": "https://login.example/tenant"}},
        {"entra": {**ENTRA, "keys_url": "http://login.example/keys"}},
        {"entra": {**ENTRA, "keys_url": "file:///keys"}},
        {"api": {}},
        {"api": {"subscriptions": []}},
        {"api": {"subscriptions": ["production"]}},
        {"api": {**API, "management": "https://user:pass@management.azure.com"}},
        {"api": {**API, "management": "http://management.azure.com"}},
        {"api": {**API, "sign_in": "client_secret"}},
        {"api": {**API, "sign_in": "client_secret", "tenant": TENANT, "client_id": AUDIENCE}},
        {"api": {**API, "sign_in": "password"}},
        {"ttl_s": {"metric": 0}},
        {"ttl_s": {"unknown": 1}},
        {"ttl_s": {"activity_log": None}},
        {"tokens": ["x"]},
    ],
    ids=str,
)
def test_a_setting_that_would_let_everybody_in_or_means_nothing_is_refused(settings: Any) -> None:
    with pytest.raises(ValidationError):
        AzureMonitorConfig.model_validate(settings)


def test_a_full_configuration_is_taken() -> None:
    config = AzureMonitorConfig.model_validate(
        {
            "entra": {**ENTRA, "tenant": TENANT.upper(), "login": "https://login.example/"},
            "api": {**API, "subscriptions": [SUBSCRIPTION.upper()]},
        }
    )
    assert config.entra is not None
    assert (config.entra.tenant, config.entra.login) == (TENANT, "https://login.example")
    assert config.api is not None
    assert config.api.subscriptions == (SUBSCRIPTION,)


def test_credentials_show_nowhere() -> None:
    secret = "a-secret-that-is-long-enough"
    config = AzureMonitorConfig.model_validate(
        {
            "url_tokens": [secret],
            "bearer": [secret],
            "basic": [{"user": "azure", "password": secret}],
            "api": {
                **API,
                "sign_in": "client_secret",
                "tenant": TENANT,
                "client_id": AUDIENCE,
                "client_secret": secret,
            },
        }
    )
    assert secret not in repr(config)
    with pytest.raises(ValidationError) as refused:
        AzureMonitorConfig.model_validate({"url_tokens": [f"{secret} "]})
    assert secret not in str(refused.value)
