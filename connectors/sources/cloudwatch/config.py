"""What configures a CloudWatch source; docs/sources/cloudwatch.md says what for."""

from collections import Counter
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from connectors.sources.cloudwatch.arns import topic_of
from engine.ports.credentials import Name, Section
from engine.ports.file_paths import PresentFile
from engine.ports.payload import LabelNames

KIND = "cloudwatch"
HTTP_ADDRESS = r"^https?://[^\s/?#@]+(/[^\s?#]*)?$"

Insufficient = Literal["ignore", "firing", "resolved"]
HttpAddress = Annotated[str, Field(pattern=HTTP_ADDRESS)]
Region = Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
Text = Annotated[str, Field(min_length=1)]


class CloudwatchLabels(LabelNames):
    """Which labels fill an alert's fields: dimensions have the names that AWS gives them."""

    service: tuple[str, ...] = (
        *("service", "EndpointName", "ModelId", "ServiceName", "FunctionName", "ApiName"),
        *("LoadBalancer", "DBClusterIdentifier"),
    )
    resource: tuple[str, ...] = (
        *("resource", "InstanceId", "InferenceComponentName", "EndpointName"),
        *("ModelId", "ServiceName", "FunctionName", "TargetGroup", "LoadBalancer", "QueueName"),
        *("TableName", "DBInstanceIdentifier", "DBClusterIdentifier", "AutoScalingGroupName"),
        *("ClusterName", "BucketName", "TopicName"),
    )
    target: tuple[str, ...] = (
        *("target", "InstanceId", "InferenceComponentName", "EndpointName", "ServiceName"),
        *("FunctionName", "AutoScalingGroupName", "DBInstanceIdentifier"),
    )
    environment: tuple[str, ...] = ("environment", "Environment", "env", "Stage")
    team: tuple[str, ...] = ("team", "Team")
    customer: tuple[str, ...] = ("customer", "Customer", "tenant", "Tenant")
    severity: tuple[str, ...] = ("severity", "Severity")


class AccountConfig(Section):
    """One AWS account that quell may ask: its regions, its queues, and the role for that.

    Credentials come from boto3's own chain; `role_arn` is assumed with them.
    """

    id: str = Field(pattern=r"^[0-9]{12}$")
    regions: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[a-z0-9-]+$")], ...], Field(min_length=1)
    ]
    role_arn: str | None = Field(default=None, pattern=r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/\S+$")
    external_id: Text | None = None
    queues: tuple[HttpAddress, ...] = ()
    visibility_s: int = Field(default=60, ge=10, le=43_200)
    reconcile_s: float | None = Field(default=300.0, ge=30)
    alarm_prefixes: tuple[Text, ...] = ()
    action_prefixes: tuple[Text, ...] = ()
    endpoint_url: HttpAddress | None = None
    timeout_s: float = Field(default=3.0, gt=0, le=30)

    @model_validator(mode="after")
    def _own_role(self) -> "AccountConfig":
        # Another account's alarms would pass for this one's, and its missing ones for resolved.
        if self.role_arn is not None and f"::{self.id}:" not in self.role_arn:
            raise ValueError("`role_arn` is a role of another account than `id`")
        return self


class CloudwatchConfig(Section):
    """CloudWatch's alarms of some accounts as a source.

    SNS gets in by its signature, for the `topics` alone; without any, nobody elsewhere gets in.
    Without `aws` nothing is asked, fetched or confirmed.
    """

    name: Name = KIND
    topics: tuple[str, ...] = ()
    accept_sha1: bool = False
    roots: PresentFile | None = None
    certificate_mirror: HttpAddress | None = None
    resubscribe: bool = False
    insufficient_data: Insufficient = "ignore"
    look_back_s: float = Field(default=24 * 3600.0, gt=0)
    last_notice_counts_s: float = Field(default=3600.0, gt=0)
    aws: tuple[AccountConfig, ...] = ()
    labels: CloudwatchLabels = CloudwatchLabels()

    @field_validator("topics")
    @classmethod
    def _topics(cls, topics: tuple[str, ...]) -> tuple[str, ...]:
        for topic in topics:
            if topic_of(topic) is None:
                raise ValueError(f"{topic!r} is no topic; write arn:aws:sns:REGION:ACCOUNT:NAME")
        return topics

    @field_validator("aws")
    @classmethod
    def _each_once(cls, aws: tuple[AccountConfig, ...]) -> tuple[AccountConfig, ...]:
        twice, count = Counter(account.id for account in aws).most_common(1)[0] if aws else ("", 0)
        if count > 1:
            raise ValueError(f"the account {twice} is there {count} times; write it once")
        return aws
