"""Which kinds of alerts there are, and which fields of each are labels or annotations.

Every service of Azure has a context of its own; these tables say which fields count, whatever the
service: https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-common-schema.
"""

from collections.abc import Mapping
from typing import Literal

Kind = Literal[
    "metric",
    "log",
    "prometheus",
    "activity_log",
    "resource_health",
    "service_health",
    "budget",
    "smart_detection",
    "other",
]

# `monitoringService` in lower case without spaces, because "ResourceHealth" is "Resource Health" in
# a test notice.
_KINDS: Mapping[str, Kind] = {
    "platform": "metric",
    "loganalytics": "log",
    "applicationinsights": "log",
    "logalertsv2": "log",
    "prometheus": "prometheus",
    "activitylog-administrative": "activity_log",
    "activitylog-policy": "activity_log",
    "activitylog-autoscale": "activity_log",
    "activitylog-security": "activity_log",
    "activitylog-recommendation": "activity_log",
    "servicehealth": "service_health",
    "resourcehealth": "resource_health",
    "costalerts": "budget",
    "smartdetector": "smart_detection",
}
# Their contexts are events of the activity log; no alert of them is ever resolved by its condition.
EVENT_KINDS = frozenset({"activity_log", "resource_health", "service_health"})
# Alerts Management knows what becomes of these.
ASKED_KINDS = frozenset({"metric", "log", "prometheus", "smart_detection", "other"})


def kind_of(monitoring_service: str, signal_type: str, context: Mapping[str, object]) -> Kind:
    """ "other" for a service that isn't known, whose alerts are understood as far as all are."""
    kind = _KINDS.get(_squeezed(monitoring_service))
    if kind == "metric" and any(key.lower() == "searchquery" for key in context):
        # Microsoft's sample of a log alert says so.
        return "log"
    if kind is None:
        kind = "activity_log" if _squeezed(signal_type) == "activitylog" else "other"
    return kind


# Stages of Service Health after which nothing is the matter any more:
# https://learn.microsoft.com/azure/service-health/service-health-notifications-properties
ENDED_STAGES = frozenset({"resolved", "complete", "canceled", "rca"})
HEALTHY = "available"

# By the field's name in lower case: log alerts of version 1 begin with a capital.
LABEL_FIELDS: Mapping[str, str] = {
    "conditiontype": "condition_type",
    "metricname": "metric",
    "metricnamespace": "metric_namespace",
    "webtestname": "web_test",
    "rulegroup": "rule_group",
    "operationname": "operation",
    "status": "event_status",
    "level": "event_level",
    "incidenttype": "incident_type",
    "stage": "stage",
    "trackingid": "tracking_id",
    "service": "azure_service",
    "region": "region",
    "resourcelocation": "region",
    "currenthealthstatus": "health_status",
    "cause": "cause",
    "category": "category",
    "alertcategory": "category",
    "budgetname": "budget",
    "thresholdtype": "threshold_type",
    "smartdetectorid": "detector",
}
ANNOTATION_FIELDS: Mapping[str, str] = {
    "title": "summary",
    "detectionsummary": "summary",
    "communication": "communication",
    "details": "details",
    "impactstarttime": "impact_start",
    "impactmitigationtime": "impact_mitigation",
    "previoushealthstatus": "previous_health_status",
    "searchquery": "search_query",
    "resultcount": "result_count",
    "targetresourcetypes": "target_resource_types",
    "windowsize": "window_size",
    "windowstarttime": "window_start",
    "windowendtime": "window_end",
    "searchintervalstarttimeutc": "window_start",
    "searchintervalendtimeutc": "window_end",
    "expression": "expression",
    "expressionvalue": "expression_value",
    "for": "for",
    "budgetthreshold": "budget_threshold",
    "notificationthresholdamount": "notification_threshold",
    "spentamount": "spent",
    "forecastedtotalforperiod": "forecast",
    "unit": "unit",
    "detectedvalue": "detected_value",
    "normalvalue": "normal_value",
    "oldinstancescount": "old_instances",
    "newinstancescount": "new_instances",
    "threatstatus": "threat_status",
    "actiontaken": "action_taken",
}
# Pages for people, the narrower one first.
LINK_FIELDS = (
    "linktofilteredsearchresultsui",
    "linktosearchresultsui",
    "linktosearchresults",
)


def _squeezed(text: str) -> str:
    return "".join(text.lower().split())
