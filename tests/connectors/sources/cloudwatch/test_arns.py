import pytest

from connectors.sources.cloudwatch.arns import alarm_of, topic_of


@pytest.mark.parametrize(
    ("arn", "domain"),
    [
        ("arn:aws:sns:eu-central-1:123456789012:alarms", "amazonaws.com"),
        ("arn:aws:sns:eu-central-1:123456789012:alarms.fifo", "amazonaws.com"),
        ("arn:aws-cn:sns:cn-north-1:123456789012:alarms", "amazonaws.com.cn"),
        ("arn:aws-us-gov:sns:us-gov-west-1:123456789012:alarms", "amazonaws.com"),
        ("arn:aws-eusc:sns:eusc-de-east-1:123456789012:alarms", "amazonaws.eu"),
    ],
)
def test_a_topic_tells_its_partition_s_domain(arn: str, domain: str) -> None:
    topic = topic_of(arn)
    assert topic is not None
    assert (topic.domain, topic.region, topic.account) == (
        domain,
        arn.split(":")[3],
        "123456789012",
    )


@pytest.mark.parametrize(
    "arn",
    [
        "",
        "alarms",
        "arn:aws:sqs:eu-central-1:123456789012:alarms",
        "arn:aws:sns:eu-central-1:123:alarms",
        "arn:aws-moon:sns:eu-central-1:123456789012:alarms",
        "arn:aws:sns:evil.example/:123456789012:alarms",
        "arn:aws:sns:eu-central-1:123456789012:alarms\n",
        "arn:aws:sns:eu-central-1:123456789012:alarms:9f2b",
    ],
)
def test_what_is_no_topic_is_none(arn: str) -> None:
    assert topic_of(arn) is None


def test_an_alarm_tells_its_name_whatever_is_in_it_and_its_page() -> None:
    alarm = alarm_of("arn:aws:cloudwatch:eu-central-1:123456789012:alarm:GPU: hot/ü")
    assert alarm is not None
    assert (alarm.name, alarm.region, alarm.account) == (
        "GPU: hot/ü",
        "eu-central-1",
        "123456789012",
    )
    assert alarm.link == (
        "https://eu-central-1.console.aws.amazon.com/cloudwatch/home?region=eu-central-1"
        "#alarmsV2:alarm/GPU%3A%20hot%2F%C3%BC"
    )


def test_a_partition_without_a_known_console_has_no_link() -> None:
    alarm = alarm_of("arn:aws-iso:cloudwatch:us-iso-east-1:123456789012:alarm:x")
    assert alarm is not None
    assert alarm.link == ""


@pytest.mark.parametrize("arn", ["", "arn:aws:cloudwatch:eu-central-1:123456789012:dashboard/x"])
def test_what_is_no_alarm_is_none(arn: str) -> None:
    assert alarm_of(arn) is None
