"""CloudWatch's alarms in each of their forms, as AWS's pages and its users show them."""

import json
from typing import Any

ARN = "arn:aws:cloudwatch:eu-central-1:123456789012:alarm:EndpointErrors"
GROUPED_ARN = "arn:aws:cloudwatch:eu-central-1:123456789012:alarm:TablesIdle"

TRIGGER: dict[str, Any] = {
    "MetricName": "Invocation5XXErrors",
    "Namespace": "AWS/SageMaker",
    "StatisticType": "Statistic",
    "Statistic": "SUM",
    "Unit": None,
    "Dimensions": [
        {"value": "llama-70b", "name": "EndpointName"},
        {"value": "blue", "name": "VariantName"},
    ],
    "Period": 60,
    "EvaluationPeriods": 1,
    "DatapointsToAlarm": 1,
    "ComparisonOperator": "GreaterThanThreshold",
    "Threshold": 5.0,
    "TreatMissingData": "missing",
    "EvaluateLowSampleCountPercentile": "",
}
# As metric math and Metrics Insights have it.
MATH: dict[str, Any] = {
    "Period": 300,
    "EvaluationPeriods": 1,
    "ComparisonOperator": "GreaterThanThreshold",
    "Threshold": 10.0,
    "TreatMissingData": "ignore",
    "EvaluateLowSampleCountPercentile": "",
    "Metrics": [
        {"Expression": "errors / calls", "Id": "e1", "Label": "share", "ReturnData": True},
        *(
            {
                "Id": metric.lower(),
                "MetricStat": {
                    "Metric": {
                        "Dimensions": [
                            {"value": "llama-70b", "name": "EndpointName"},
                            {"value": metric, "name": "Kind"},
                        ],
                        "MetricName": metric,
                        "Namespace": "AWS/SageMaker",
                    },
                    "Period": 300,
                    "Stat": "Sum",
                },
                "ReturnData": False,
            }
            for metric in ("Errors", "Calls")
        ),
    ],
}


def notification(**fields: Any) -> dict[str, Any]:
    """What SNS is sent; fields that are None are left out."""
    alarm = {
        "AlarmName": "EndpointErrors",
        "AlarmDescription": "llama-70b answers with errors",
        "AWSAccountId": "123456789012",
        "AlarmConfigurationUpdatedTimestamp": "2026-02-01T10:00:00.000+0000",
        "NewStateValue": "ALARM",
        "NewStateReason": "Threshold Crossed: 1 datapoint [9.0 (01/03/26 11:54:00)] was greater.",
        "StateChangeTime": "2026-03-01T11:55:00.640+0000",
        "Region": "EU (Frankfurt)",
        "AlarmArn": ARN,
        "OldStateValue": "OK",
        "OKActions": [],
        "AlarmActions": ["arn:aws:sns:eu-central-1:123456789012:alarms"],
        "InsufficientDataActions": [],
        "Trigger": TRIGGER,
        **fields,
    }
    return {name: value for name, value in alarm.items() if value is not None}


COMPOSITE = notification(
    AlarmName="Service",
    AlarmArn=ARN.replace("EndpointErrors", "Service"),
    Trigger=None,
    AlarmRule="ALARM(EndpointErrors) OR ALARM(EndpointSlow)",
    TriggeringChildren=[
        {"Arn": ARN, "State": {"Value": "ALARM", "Timestamp": "2026-03-01T11:55:00.640+0000"}}
    ],
)
CONTRIBUTED = notification(
    AlarmName="TablesIdle",
    AlarmArn=GROUPED_ARN,
    AlarmContributorId="6d442278dba546f6",
    AlarmContributorAttributes={"TableName": "orders"},
    Trigger={
        **{name: MATH[name] for name in ("Period", "Threshold", "ComparisonOperator")},
        "Metrics": [
            {
                "Expression": 'SELECT AVG(Used) FROM "AWS/DynamoDB" GROUP BY TableName',
                "Id": "m1",
                "ReturnData": True,
                "Period": 60,
            }
        ],
    },
)


def event(**detail: Any) -> dict[str, Any]:
    """What EventBridge sends for the same change as `notification`."""
    return {
        "version": "0",
        "id": "c4c1c1c9-6542-e61b-6ef0-8c4d36933a92",
        "detail-type": "CloudWatch Alarm State Change",
        "source": "aws.cloudwatch",
        "account": "123456789012",
        "time": "2026-03-01T11:55:00Z",
        "region": "eu-central-1",
        "resources": [ARN],
        "detail": {
            "alarmName": "EndpointErrors",
            "configuration": {
                "description": "llama-70b answers with errors",
                "metrics": [
                    {
                        "id": "30b6c6b2",
                        "metricStat": {
                            "metric": {
                                "dimensions": {
                                    "EndpointName": "llama-70b",
                                    "VariantName": "blue",
                                },
                                "name": "Invocation5XXErrors",
                                "namespace": "AWS/SageMaker",
                            },
                            "period": 60,
                            "stat": "Sum",
                        },
                        "returnData": True,
                    }
                ],
            },
            "previousState": {
                "reason": "Threshold Crossed: no datapoint.",
                "reasonData": json.dumps({"version": "1.0"}),
                "timestamp": "2026-03-01T09:00:00.987+0000",
                "value": "OK",
            },
            "state": {
                "reason": "Threshold Crossed: 1 datapoint [9.0 (01/03/26 11:54:00)] was greater.",
                "reasonData": json.dumps({"version": "1.0", "threshold": 5.0}),
                "timestamp": "2026-03-01T11:55:00.640+0000",
                "value": "ALARM",
            },
            **detail,
        },
    }


CONTRIBUTOR_EVENT: dict[str, Any] = {
    **event(),
    "detail-type": "CloudWatch Alarm Contributor State Change",
    "resources": [GROUPED_ARN],
    "detail": {
        "alarmName": "TablesIdle",
        "alarmContributor": {
            "id": "6d442278dba546f6",
            "attributes": {"TableName": "orders"},
        },
        "state": {
            "value": "ALARM",
            "reason": "Threshold Crossed: 1 datapoint was less than the threshold (1.0).",
            "timestamp": "2026-03-01T11:55:00.640+0000",
        },
        "configuration": {"metrics": CONTRIBUTED["Trigger"]["Metrics"]},
    },
}
DELETION: dict[str, Any] = {
    **event(
        operation="delete",
        state={"value": "ALARM", "timestamp": "2026-03-01T11:57:00.640+0000"},
    ),
    "detail-type": "CloudWatch Alarm Configuration Change",
    "region": "eu-central-*",
    "time": "2026-03-01T11:57:00Z",
}


def described(**fields: Any) -> dict[str, Any]:
    """An alarm as `aws cloudwatch describe-alarms` prints it, of the same change."""
    return {
        "AlarmName": "EndpointErrors",
        "AlarmArn": ARN,
        "AlarmDescription": "llama-70b answers with errors",
        "ActionsEnabled": True,
        "StateValue": "ALARM",
        "StateReason": "Threshold Crossed: 1 datapoint [9.0 (01/03/26 11:54:00)] was greater.",
        "StateUpdatedTimestamp": "2026-03-01T11:58:00.111000+00:00",
        "StateTransitionedTimestamp": "2026-03-01T11:55:00.640000+00:00",
        "MetricName": "Invocation5XXErrors",
        "Namespace": "AWS/SageMaker",
        "Dimensions": [
            {"Name": "EndpointName", "Value": "llama-70b"},
            {"Name": "VariantName", "Value": "blue"},
        ],
        "Threshold": 5.0,
        "ComparisonOperator": "GreaterThanThreshold",
        **fields,
    }


def listing(*metric: dict[str, Any], **more: Any) -> dict[str, Any]:
    """What DescribeAlarms answers."""
    return {"MetricAlarms": list(metric), "CompositeAlarms": [], **more}
