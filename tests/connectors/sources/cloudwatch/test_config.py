"""Which settings the CloudWatch source refuses."""

from typing import Any

import pytest
from pydantic import ValidationError

from connectors.sources.cloudwatch import CloudwatchConfig

ACCOUNT: dict[str, Any] = {"id": "123456789012", "regions": ["eu-central-1"]}


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"topics": ["alarms"]}, "'alarms' is no topic; write arn:aws:sns:"),
        ({"topics": ["arn:aws:sns:eu-central-1:123456789012:*"]}, "is no topic"),
        ({"aws": [ACCOUNT, ACCOUNT]}, "the account 123456789012 is there 2 times"),
        ({"aws": [{**ACCOUNT, "id": "1234"}]}, "id"),
        ({"aws": [{**ACCOUNT, "regions": []}]}, "regions"),
        ({"aws": [{**ACCOUNT, "regions": ["eu central"]}]}, "regions"),
        ({"aws": [{**ACCOUNT, "role_arn": "quell"}]}, "role_arn"),
        (
            {"aws": [{**ACCOUNT, "role_arn": "arn:aws:iam::999999999999:role/q"}]},
            "a role of another account",
        ),
        ({"aws": [{**ACCOUNT, "queues": ["quell"]}]}, "queues"),
        ({"aws": [{**ACCOUNT, "queues": ["https://u:p@sqs.example/q"]}]}, "queues"),
        ({"aws": [{**ACCOUNT, "alarm_prefixes": [""]}]}, "alarm_prefixes"),
        ({"aws": [{**ACCOUNT, "reconcile_s": 1}]}, "reconcile_s"),
        ({"aws": [{**ACCOUNT, "access_key": "AKIA"}]}, "access_key"),
        ({"insufficient_data": "maybe"}, "insufficient_data"),
        ({"certificate_mirror": "ftp://mirror"}, "certificate_mirror"),
        ({"name": "No Spaces"}, "name"),
        ({"token": "x"}, "token"),
    ],
    ids=str,
)
def test_a_setting_that_means_nothing_is_refused(settings: Any, told: str) -> None:
    with pytest.raises(ValidationError, match=told.replace("(", r"\(").replace("*", r"\*")):
        CloudwatchConfig.model_validate(settings)


def test_without_an_account_nothing_is_asked_and_nothing_fetched() -> None:
    config = CloudwatchConfig()
    assert (config.topics, config.aws, config.accept_sha1) == ((), (), False)
