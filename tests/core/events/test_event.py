"""Every kind of entry has one model, and its JSON comes back as it was."""

import pytest
from pydantic import ValidationError

from engine.core.events import EVENTS, Event, IncidentAcknowledged, moment


def all_events() -> list[type[Event]]:
    return [each for each in Event.__subclasses__() if each.__module__.startswith("engine.")]


def test_every_event_is_registered_under_its_own_versioned_kind() -> None:
    assert set(EVENTS.values()) == set(all_events())
    assert all("@" in kind for kind in EVENTS)


def test_an_event_comes_back_from_json() -> None:
    event = IncidentAcknowledged(note="I see it")
    assert IncidentAcknowledged.model_validate_json(event.model_dump_json()) == event


def test_an_unknown_member_is_refused() -> None:
    with pytest.raises(ValidationError):
        IncidentAcknowledged.model_validate({"notes": "x"})


def test_a_moment_keeps_its_offset() -> None:
    assert moment("2026-01-01T01:00:00+01:00") == moment("2026-01-01T00:00:00+00:00")
