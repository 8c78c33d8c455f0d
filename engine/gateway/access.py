"""What a request tells about who sent it: a token, and whether it was meant for loopback."""

import re
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl, urlsplit

MAX_QUERY_FIELDS = 32
_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
_PORT = re.compile(r":[0-9]{1,5}\Z")


def headers_of(raw: Iterable[tuple[bytes, bytes]]) -> Mapping[str, str]:
    """Headers by lower-case name; those sent twice are joined, so that neither passes alone."""
    headers: dict[str, str] = {}
    for name, value in raw:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


def query_of(raw: bytes) -> Mapping[str, str]:
    """The query's values by name, the last of each; some senders can put a token nowhere else."""
    try:
        return dict(parse_qsl(raw.decode("latin-1"), max_num_fields=MAX_QUERY_FIELDS))
    except ValueError:
        return {}


def bearer_token(headers: Mapping[str, str]) -> str:
    """The token of `Authorization: Bearer`, "" when there is none."""
    scheme, _, token = headers.get("authorization", "").strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def is_local(headers: Mapping[str, str]) -> bool:
    """Whether a request that came over loopback was meant for it.

    A Host with another name is a page that had its name resolved to this machine (DNS rebinding),
    a forwarding header a proxy that lets others in, and an Origin elsewhere a page of another
    site that makes a person's browser send.
    """
    if any(name == "forwarded" or name.startswith("x-forwarded") for name in headers):
        return False
    if not _is_local_name(headers.get("host", "")):
        return False
    origin = headers.get("origin")
    return origin is None or _is_local_name(_host_of(origin))


def _host_of(origin: str) -> str:
    """`host:port` of an Origin, "" for `null` and for what is no URL."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _is_local_name(host: str) -> bool:
    return _PORT.sub("", host.lower()) in _LOCAL_NAMES
