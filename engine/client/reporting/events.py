"""Notices as CloudEvents 1.0 in JSON, one or a batch, as quell's source `cloudevents` takes them.

The envelope and the batch: https://github.com/cloudevents/spec, cloudevents/formats/json-format.md
and bindings/http-protocol-binding.md; the shape of `data`: docs/schemas/notice-v1.json.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from engine.client.reporting.judging import Notice

NOTICE_TYPE = "quell.notice.v1"
NOTICE_SCHEMA = "urn:quell:schema:notice:v1"
_SINGLE = "application/cloudevents+json"
_BATCH = "application/cloudevents-batch+json"


def encoded(notices: Sequence[Notice], source: str) -> tuple[str, bytes]:
    """The content type and the body that carry these notices of `source`, a URI reference."""
    events = [event(each, source) for each in notices]
    content_type, body = (_BATCH, events) if len(events) > 1 else (_SINGLE, events[0])
    return content_type, json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def event(notice: Notice, source: str) -> Mapping[str, Any]:
    """One notice; sent again it has the same id."""
    data = {
        "status": notice.status,
        "name": notice.name,
        "labels": dict(notice.labels),
        "annotations": dict(notice.annotations),
        "starts_at": _rfc3339(notice.starts_at),
        "severity_hint": notice.severity_hint,
    }
    if notice.ends_at is not None:
        data["ends_at"] = _rfc3339(notice.ends_at)
    if notice.expires_at is not None:
        data["expires_at"] = _rfc3339(notice.expires_at)
    at = _rfc3339(notice.at)
    named = json.dumps([source, notice.name, sorted(notice.labels.items()), at])
    return {
        "specversion": "1.0",
        "id": hashlib.sha256(named.encode()).hexdigest()[:32],
        "source": source,
        "type": NOTICE_TYPE,
        "subject": notice.name,
        "time": at,
        "datacontenttype": "application/json",
        "dataschema": NOTICE_SCHEMA,
        "data": data,
    }


def _rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
