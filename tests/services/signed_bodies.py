"""Signs bodies as senders do: HMAC-SHA256 in hex, alone or over a time and the body."""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime

from tests.contracts.source_case import NOW, Signed


def signed_by(
    secret: str,
    *,
    header: str,
    prefix: str = "",
    timestamp_header: str = "",
    at: datetime = NOW,
) -> Signed:
    """What a sender with this secret sends at a time; a header's name is in lower case."""

    def sign(body: bytes) -> tuple[Mapping[str, str], bytes]:
        told = str(int(at.timestamp()))
        timed = told.encode() + b":" + body if timestamp_header else body
        digest = hmac.new(secret.encode(), timed, hashlib.sha256).hexdigest()
        times = {timestamp_header: told} if timestamp_header else {}
        return {header: prefix + digest} | times, body

    return sign
