"""Leaves out of a body who did something: what can't be understood is kept, and people are not."""

import json
from typing import Any

# Of activity logs, budgets and security alerts:
# https://learn.microsoft.com/azure/azure-monitor/platform/activity-log-schema. The rows that a log
# query found may hold anybody.
IDENTITIES = frozenset(
    {
        *("claims", "caller", "httprequest", "evidence", "principalid", "budgetcreator"),
        *("attackers", "compromisedentity", "accountsusedonfailedsignintohostattempts"),
        "searchresults",
    }
)
LEFT_OUT = "left out"


def without_identities(body: bytes) -> bytes:
    """The body with the value of each such key replaced.

    One that can't be looked through, which Azure doesn't send, is left out as a whole.
    """
    try:
        value = json.loads(body, object_pairs_hook=_members)
    except (ValueError, RecursionError):
        value = f"{LEFT_OUT}: {len(body)} bytes that are no JSON"
    # ASCII, because a lone surrogate may be what was wrong with it.
    return json.dumps(value, separators=(",", ":")).encode()


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = {key: LEFT_OUT if key.lower() in IDENTITIES else value for key, value in pairs}
    if len(members) < len(pairs):
        # Kept with one of them only, replay would take in what was refused.
        raise ValueError("a key twice")
    return members
