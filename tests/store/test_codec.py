"""Documents come back as the values that they were made of, over versions too."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from engine.core.alert import Alert, Occurrence
from engine.core.incident import Incident
from engine.core.journal import to_us
from engine.store.codec import Codec
from tests.services.stores import START
from tests.store.values import an_incident

TIMES = st.datetimes(timezones=st.just(UTC))
INCIDENTS, OCCURRENCES = Codec(Incident), Codec(Occurrence)


def values_of(model: Any) -> st.SearchStrategy[Any]:
    """Any value of a dataclass or struct, within what a database's integers hold."""
    special = {
        int: st.integers(-(2**63), 2**63 - 1),
        datetime: TIMES,
        datetime | None: st.none() | TIMES,
    }
    fields = {}
    for name, hint in get_type_hints(model).items():
        if is_dataclass(hint) or (isinstance(hint, type) and issubclass(hint, Struct)):
            fields[name] = values_of(hint)
        else:
            fields[name] = special[hint] if hint in special else st.from_type(hint)
    return st.builds(model, **fields)


@given(values_of(Incident))
def test_every_incident_comes_back(incident: Incident) -> None:
    document = INCIDENTS.encode(incident)
    assert INCIDENTS.decode(document) == incident
    assert INCIDENTS.encode(INCIDENTS.decode(document)) == document
    assert "\0" not in document, "PostgreSQL keeps no NUL"


@given(values_of(Occurrence))
def test_every_occurrence_comes_back(occurrence: Occurrence) -> None:
    assert OCCURRENCES.decode(OCCURRENCES.encode(occurrence)) == occurrence


def test_equal_values_have_equal_documents_whatever_their_order() -> None:
    one = an_incident(group={"a": "1", "b": "2"})
    other = an_incident(group=MappingProxyType({"b": "2", "a": "1"}))
    assert INCIDENTS.encode(one) == INCIDENTS.encode(other)


def test_times_are_microseconds_and_enums_are_values() -> None:
    document = json.loads(INCIDENTS.encode(an_incident()))
    assert document["opened_at"] == to_us(START)
    assert (document["severity"], document["mode"], document["closed_at"]) == (2, "approve", None)


@dataclass(frozen=True, slots=True)
class Older:
    name: str
    pairs: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Newer:
    name: str
    pairs: tuple[tuple[str, int], ...] = ()
    seen_at: datetime | None = None
    inner: Older | None = None


def test_a_field_that_one_version_lacks_is_its_default_or_left_out() -> None:
    newer = Newer("a", (("x", 1), ("y", 2)), START, Older("b"))
    assert Codec(Newer).decode(Codec(Newer).encode(newer)) == newer
    assert Codec(Older).decode(Codec(Newer).encode(newer)) == Older("a", (("x", 1), ("y", 2)))
    assert Codec(Newer).decode(Codec(Older).encode(Older("a"))) == Newer("a")


def test_a_type_without_a_form_is_refused_when_the_codec_is_made() -> None:
    @dataclass
    class Odd:
        of: Mapping[str, Any]

    with pytest.raises(TypeError, match="no form as JSON"):
        Codec(Odd)


def test_a_value_without_a_form_is_refused() -> None:
    with pytest.raises(TypeError):
        Codec(Alert).encode(an_incident(group={"a": object()}))  # type: ignore[arg-type]
