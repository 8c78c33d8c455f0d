"""Names of AWS: which region and account a topic or an alarm is of, and its partition's domain."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

_TOPIC = re.compile(r"arn:(aws[a-z-]*):sns:([a-z0-9-]+):([0-9]{12}):([A-Za-z0-9_.-]{1,256})")
_ALARM = re.compile(r"arn:(aws[a-z-]*):cloudwatch:([a-z0-9-]+):([0-9]{12}):alarm:(.{1,255})", re.S)

# From botocore's data/partitions.json.
DOMAINS: Mapping[str, str] = {
    "aws": "amazonaws.com",
    "aws-cn": "amazonaws.com.cn",
    "aws-us-gov": "amazonaws.com",
    "aws-eusc": "amazonaws.eu",
    "aws-iso": "c2s.ic.gov",
    "aws-iso-b": "sc2s.sgov.gov",
    "aws-iso-e": "cloud.adc-e.uk",
    "aws-iso-f": "csp.hci.ic.gov",
}
_CONSOLES: Mapping[str, str] = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-us-gov": "console.amazonaws-us-gov.com",
}


@dataclass(frozen=True, slots=True)
class Topic:
    """An SNS topic."""

    arn: str
    partition: str
    region: str
    account: str

    @property
    def domain(self) -> str:
        """The domain of its partition's services."""
        return DOMAINS[self.partition]


@dataclass(frozen=True, slots=True)
class AlarmArn:
    """A CloudWatch alarm."""

    arn: str
    partition: str
    region: str
    account: str
    name: str

    @property
    def link(self) -> str:
        """Its page in the console; "" in a partition whose console isn't known."""
        console = _CONSOLES.get(self.partition)
        if console is None:
            return ""
        page = f"#alarmsV2:alarm/{quote(self.name, safe='')}"
        return f"https://{self.region}.{console}/cloudwatch/home?region={self.region}{page}"


def topic_of(arn: str) -> Topic | None:
    """The topic with this ARN; None for what isn't one of a known partition."""
    found = _TOPIC.fullmatch(arn)
    if found is None or found[1] not in DOMAINS:
        return None
    return Topic(arn, found[1], found[2], found[3])


def alarm_of(arn: str) -> AlarmArn | None:
    """The alarm with this ARN; None for what isn't one."""
    found = _ALARM.fullmatch(arn)
    return None if found is None else AlarmArn(arn, found[1], found[2], found[3], found[4])
