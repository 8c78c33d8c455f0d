"""Asks Cloud Monitoring whether an incident is still open.

https://docs.cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.alerts/get: an alert's id is
the notification's incident_id.
"""

import re

from connectors.sources.cloud_monitoring.config import AlertsApiConfig
from connectors.sources.cloud_monitoring.google_api import GoogleApi
from engine.core.alert import Occurrence
from engine.core.still_firing import Confirmation
from engine.errors import NotFoundError, PermanentError, TransientError

# What may stand in an address; "0.nrwotmyokd9n" is one.
_INCIDENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


async def ask(config: AlertsApiConfig, api: GoogleApi, occurrence: Occurrence) -> Confirmation:
    """Only in a project that the operator configured, whatever the notice says."""
    labels = occurrence.alert.labels
    incident_id, project = labels.get("incident_id", ""), labels.get("project", "")
    if not project and len(config.projects) == 1:
        [project] = config.projects
    if project not in config.projects:
        return _unclear(f"the project {project[:80]!r} is none of api.projects")
    if not _INCIDENT_ID.fullmatch(incident_id):
        return _unclear(f"{incident_id[:80]!r} is no incident's id")
    url = f"{config.endpoint}/v3/projects/{project}/alerts/{incident_id}"
    try:
        alert = await api.get(url, timeout_s=config.timeout_s)
    except (TransientError, NotFoundError, PermanentError) as error:
        return _unclear(str(error))
    # An answer about another alert, say from a cache in between, tells nothing.
    if not str(alert.get("name", "")).endswith(f"/alerts/{incident_id}"):
        return _unclear(f"{url}: the answer is about another alert")
    match alert.get("state"):
        case "OPEN":
            return Confirmation("firing", "source", f"asked {url}")
        case "CLOSED":
            return Confirmation("resolved", "source", f"asked {url}")
        case _:
            return _unclear(f"{url}: the answer has no state")


def _unclear(why: str) -> Confirmation:
    return Confirmation("cannot_tell", "source", why)
