"""pydantic reads a struct as it reads a dataclass, and says of which field it can't."""

from datetime import UTC, datetime

import pytest
from pydantic import TypeAdapter, ValidationError

from engine.core.readable_struct import ReadableStruct


class Inner(ReadableStruct, frozen=True, gc=False):
    at: datetime
    note: str = ""


class Outer(ReadableStruct, frozen=True, gc=False):
    inner: Inner


READ = TypeAdapter(Outer).validate_json


def test_what_is_absent_is_its_default_and_what_is_unknown_is_left_out() -> None:
    read = READ(b'{"inner":{"at":"2026-01-01T00:00:00Z","new":1}}')
    assert read == Outer(Inner(datetime(2026, 1, 1, tzinfo=UTC)))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        pytest.param(b'{"inner":{}}', ("inner", "at"), id="absent"),
        pytest.param(b'{"inner":{"at":"soon"}}', ("inner", "at"), id="wrong"),
        pytest.param(b'{"inner":3}', ("inner",), id="no object"),
    ],
)
def test_a_wrong_field_is_named(text: bytes, place: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError) as error:
        READ(text)
    assert error.value.errors()[0]["loc"] == place
