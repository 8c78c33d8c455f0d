"""Who did something is in no body that is kept, whatever is wrong with it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.sources.azure_monitor.identities import IDENTITIES, without_identities
from tests.connectors.sources.azure_monitor.azure import around, notice

SECRET = "eve@contoso.com"


@pytest.mark.parametrize("key", sorted(IDENTITIES))
@pytest.mark.parametrize("value", [SECRET, [SECRET], {"upn": SECRET}], ids=type)
def test_the_value_of_each_such_key_is_left_out_at_any_depth(key: str, value: Any) -> None:
    body = {"data": [{"x": 1, key.upper(): value, "y": "z"}], key: value}
    kept = json.loads(without_identities(json.dumps(body).encode()))
    assert kept == {"data": [{"x": 1, key.upper(): "left out", "y": "z"}], key: "left out"}


def test_the_rest_of_a_notice_stays() -> None:
    body = around("administrative", "Activity Log - Administrative")
    kept = json.loads(without_identities(json.dumps(body).encode()))
    body["data"]["alertContext"] |= {"claims": "left out", "caller": "left out"}
    assert kept == body
    plain = json.dumps(notice("test-metric-static")).encode()
    assert json.loads(without_identities(plain)) == json.loads(plain)


@pytest.mark.parametrize(
    "body",
    [
        f'{{"claims": "{SECRET}"'.encode(),
        f'{{"caller": "{SECRET}"}} x'.encode(),
        f'{{"a": 1, "claims": "{SECRET}", "a": 2}}'.encode(),
        f'{{"claims": "{SECRET}", "n": {"9" * 5000}}}'.encode(),
        b"[" * 100_000 + SECRET.encode(),
        SECRET.encode("utf-16"),
        b"\x1f\x8b\xff" + SECRET.encode(),
        SECRET.encode(),
        b"",
    ],
    ids=["cut off", "more behind", "a key twice", "huge", "deep", "utf-16", "gzip", "text", "none"],
)
def test_what_cannot_be_looked_through_is_left_out_as_a_whole(body: bytes) -> None:
    assert json.loads(without_identities(body)) == f"left out: {len(body)} bytes that are no JSON"


def test_an_escaped_key_is_the_same_key() -> None:
    body = f'{{"cl\\u0061ims": "{SECRET}"}}'.encode()
    assert json.loads(without_identities(body)) == {"claims": "left out"}


@given(st.binary() | st.text().map(str.encode))
def test_bytes_of_any_kind_become_json(body: bytes) -> None:
    json.loads(without_identities(body))
