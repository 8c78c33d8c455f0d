"""One account: whose credentials are used, and what AWS's errors mean."""

from typing import Any

import pytest

from engine.errors import PermanentError, TransientError
from tests.connectors.sources.cloudwatch.accounts import REGION, account
from tests.doubles.aws_server import AwsServer, Failure


async def describe(url: str, **settings: Any) -> Any:
    with account(url, **settings) as there:
        return await there.call("cloudwatch", REGION, "describe_alarms", AlarmNames=["A"])


async def test_an_answer_comes_back_by_the_chain_s_credentials(aws: AwsServer) -> None:
    answer = await describe(aws.url)
    assert answer["MetricAlarms"] == []
    assert aws.asked == [("DescribeAlarms", {"AlarmNames": ["A"]})]
    assert aws.keys == ["AKIAOFTHETEST0000000"]


async def test_a_role_is_taken_once_and_used_from_then_on(aws: AwsServer) -> None:
    role = {"role_arn": "arn:aws:iam::123456789012:role/quell", "external_id": "e-1"}
    with account(aws.url, **role) as there:
        for region in (REGION, "eu-west-1"):
            await there.call("cloudwatch", region, "describe_alarms")
        await there.call("cloudwatch", REGION, "describe_alarms")
    [assumed] = aws.assumed
    assert (assumed["RoleArn"], assumed["ExternalId"]) == (role["role_arn"], "e-1")
    used = [
        key
        for (operation, _), key in zip(aws.asked, aws.keys, strict=True)
        if "Describe" in operation
    ]
    assert used == ["ASIAOFTHEROLE0000000"] * 3


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (Failure(503, "ServiceUnavailable"), TransientError),
        (Failure(500, "InternalFailure"), TransientError),
        (Failure(400, "Throttling"), TransientError),
        (Failure(403, "ExpiredToken"), TransientError),
        (Failure(403, "AccessDenied"), PermanentError),
        (Failure(400, "InvalidNextToken"), PermanentError),
    ],
    ids=lambda value: getattr(value, "code", ""),
)
async def test_an_error_passes_or_it_doesn_t(
    aws: AwsServer, failure: Failure, error: type[Exception]
) -> None:
    aws.failures["DescribeAlarms"] = [failure]
    with pytest.raises(error, match=f"in {REGION}, account 123456789012: {failure.code}"):
        await describe(aws.url)
    assert len(aws.asked) == 1  # nothing is asked twice behind our back


async def test_nobody_there_passes(credentials: None) -> None:
    with pytest.raises(TransientError, match="Could not connect"):
        await describe("http://127.0.0.1:1")


async def test_a_wrong_call_does_not_pass(aws: AwsServer) -> None:
    with account(aws.url) as there, pytest.raises(PermanentError, match="AlarmNames"):
        await there.call("cloudwatch", REGION, "describe_alarms", AlarmNames="A")
    assert aws.asked == []


@pytest.mark.parametrize("role", [None, "arn:aws:iam::123456789012:role/quell"])
async def test_without_credentials_it_says_so(
    aws: AwsServer, monkeypatch: pytest.MonkeyPatch, role: str | None
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(TransientError, match="Unable to locate credentials"):
        await describe(aws.url, role_arn=role)
