"""Azure Resource Manager's ids, which every service spells in cases of its own."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

# https://learn.microsoft.com/rest/api/monitor/alertsmanagement/alerts/get-by-id; a scope below the
# subscription may stand between, and the name is a GUID, for activity logs without hyphens.
_ALERT = re.compile(
    r"/subscriptions/(?P<subscription>[0-9a-f-]{36})(?:/[^?#]*)?"
    r"/providers/microsoft\.alertsmanagement/alerts/(?P<name>[0-9a-f]{32}|[0-9a-f-]{36})"
)


@dataclass(frozen=True, slots=True)
class ResourceId:
    """The parts of an id in lower case, because Azure's names don't differ by case.

    "" where it has none: the id of a subscription has no group and no name.
    """

    text: str
    subscription: str
    group: str
    type: str
    name: str


def resource_id(text: str) -> ResourceId:
    """The parts of an id; what isn't one has none.

    https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules
    """
    whole = text.strip().rstrip("/").lower()
    segments = whole.split("/")[1:] if whole.startswith("/") else []
    provider, types_and_names = "", list[str]()
    if "providers" in segments:
        # The last one: an extension's id holds that of what it extends.
        at = len(segments) - 1 - segments[::-1].index("providers")
        provider, *types_and_names = segments[at + 1 :] or [""]
    return ResourceId(
        text=whole if segments else "",
        subscription=_after(segments, "subscriptions"),
        group=_after(segments, "resourcegroups"),
        type="/".join([provider, *types_and_names[::2]]) if types_and_names else "",
        name=types_and_names[-1] if types_and_names and len(types_and_names) % 2 == 0 else "",
    )


@dataclass(frozen=True, slots=True)
class AlertId:
    """Which alert of which subscription Alerts Management can be asked about."""

    subscription: str
    name: str


def alert_id(text: str) -> AlertId | None:
    """None for what Alerts Management doesn't keep: budgets' alerts, rules, test notices."""
    found = _ALERT.fullmatch(text.lower())
    return None if found is None else AlertId(found["subscription"], found["name"])


def _after(segments: Sequence[str], what: str) -> str:
    return next((b for a, b in pairwise(segments) if a == what), "")
