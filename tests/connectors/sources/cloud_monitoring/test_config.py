"""Which settings of the source are refused, and that none of its secrets shows."""

from typing import Any

import pytest
from pydantic import ValidationError

from connectors.sources.cloud_monitoring import CloudMonitoringConfig

PUSH = {"audience": "https://quell.example", "email": "pusher@acme.iam.gserviceaccount.com"}
SUBSCRIPTION = "projects/acme-ops/subscriptions/quell"


@pytest.mark.parametrize(
    "settings",
    [
        {"tokens": [""]},
        {"tokens": ["a b"]},
        {"tokens": ["größe"]},
        {"basic": [{"user": "gcm", "password": ""}]},
        {"push": {**PUSH, "audience": ""}},
        {"push": {**PUSH, "email": "pusher"}},
        {"push": {"audience": "x"}},
        {"push": {**PUSH, "subscriptions": ["quell"]}},
        {"push": {**PUSH, "keys": "http://keys.example"}},
        {"pull": {"subscriptions": []}},
        {"pull": {"subscriptions": ["projects/a/topics/b"]}},
        {"pull": {"subscriptions": [f"{SUBSCRIPTION}:pull?x="]}},
        {"pull": {"subscriptions": [SUBSCRIPTION], "endpoint": "http://pubsub.example"}},
        {"pull": {"subscriptions": [SUBSCRIPTION], "endpoint": "https://u:p@pubsub.example"}},
        {"api": {"projects": []}},
        {"api": {"projects": ["acme/../other"]}},
        {"api": {"projects": ["acme"], "endpoint": "ftp://x"}},
        {"last_notice_counts_s": 0},
        {"log_match_lasts_s": -1},
        {"log_match_lasts_s": 1e300},
        {"bearer": ["x"]},
    ],
    ids=str,
)
def test_a_setting_that_would_let_everybody_in_or_means_nothing_is_refused(settings: Any) -> None:
    with pytest.raises(ValidationError):
        CloudMonitoringConfig.model_validate(settings)


def test_an_address_is_https_or_on_this_machine() -> None:
    for endpoint in ("https://europe-west3-pubsub.googleapis.com/", "http://127.0.0.1:8085"):
        pull = {"subscriptions": [SUBSCRIPTION], "endpoint": endpoint}
        config = CloudMonitoringConfig.model_validate({"pull": pull})
        assert config.pull is not None
        assert config.pull.endpoint == endpoint.rstrip("/")


def test_credentials_show_nowhere() -> None:
    config = CloudMonitoringConfig.model_validate(
        {"tokens": ["new-token"], "basic": [{"user": "gcm", "password": "new-token"}]}
    )
    assert "new-token" not in repr(config)
    with pytest.raises(ValidationError) as wrong:
        CloudMonitoringConfig.model_validate({"tokens": ["new token"]})
    assert "new token" not in str(wrong.value)
