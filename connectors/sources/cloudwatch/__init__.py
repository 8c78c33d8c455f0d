"""Alarms from Amazon CloudWatch: by SNS, by EventBridge and SQS, and by asking CloudWatch."""

from connectors.sources.cloudwatch.config import AccountConfig, CloudwatchConfig
from connectors.sources.cloudwatch.source import CloudwatchSource

__all__ = ["AccountConfig", "CloudwatchConfig", "CloudwatchSource"]
