"""What travels on the stream comes back as it was, and nothing else passes for it."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from engine.core.alert import Alert
from engine.core.journal import to_us
from engine.core.records import (
    Glance,
    Tick,
    alert_json,
    decode_record,
    encode_alert,
    encode_tick,
    glance,
    timer_tick,
)
from engine.errors import PayloadError

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RECORD = encode_alert(Alert("f", "s", "n", "firing", {"a": "b"}, {}, NOW, None, NOW))
texts = st.text(max_size=20)
times = st.datetimes(timezones=st.just(UTC))
alerts = st.builds(
    Alert,
    fingerprint=texts,
    source=texts,
    name=texts,
    status=st.sampled_from(["firing", "resolved"]),
    labels=st.dictionaries(texts, texts, max_size=3),
    annotations=st.dictionaries(texts, texts, max_size=3),
    starts_at=times,
    ends_at=st.none() | times,
    received_at=times,
    event_at=st.none() | times,
    expires_at=st.none() | times,
    service=texts,
    severity_hint=st.sampled_from(["critical", "error", "warning", "info", ""]),
    links=st.lists(texts, max_size=2).map(tuple),
)


@given(alerts)
def test_an_alert_survives_the_stream(alert: Alert) -> None:
    assert decode_record(encode_alert(alert)) == alert


@given(st.sampled_from(["occurrence_expiry", "incident_close"]), texts, times)
def test_a_tick_survives_the_stream(timer: str, subject: str, due: datetime) -> None:
    tick = timer_tick(f"{timer}/{subject}", due)
    assert tick == Tick(timer, subject, due)  # type: ignore[arg-type]
    assert decode_record(encode_tick(tick, NOW)) == tick


@given(alerts)
def test_a_glance_sees_the_same_as_a_look(alert: Alert) -> None:
    seen = Glance(alert.fingerprint, alert.name, alert.status, alert.labels)
    assert glance(encode_alert(alert)) == seen


def test_a_glance_sees_a_tick_whole() -> None:
    tick = Tick("hold_due", "abc", NOW)
    assert glance(encode_tick(tick, NOW)) == tick


def test_an_alert_that_speaks_of_ticks_stays_an_alert() -> None:
    alert = Alert(
        fingerprint="f",
        source="s",
        name='"type":"quell.tick.v1"',
        status="firing",
        labels={},
        annotations={'"type":"quell.tick.v1"': '"type":"quell.tick.v1"'},
        starts_at=NOW,
        ends_at=None,
        received_at=NOW + timedelta(seconds=1),
    )
    assert decode_record(encode_alert(alert)) == alert


@pytest.mark.parametrize(
    ("value", "field"),
    [
        pytest.param(b"not json", "", id="no JSON"),
        pytest.param(b'{"type":"quell.alert.v1"}', "id", id="no id"),
        pytest.param(
            b'{"id":"1","source":"s","time":"2026-01-01T00:00:00Z","type":"quell.alert.v1",'
            b'"specversion":"1.0","data":{"labels":3}}',
            "data",
            id="wrong data",
        ),
        pytest.param(RECORD.replace(b'"b"', b"3"), "data.labels.a", id="a label that is a number"),
        pytest.param(RECORD.replace(b'"b"', b'"\xff"'), "", id="a byte that is no UTF-8"),
        pytest.param(RECORD.replace(b'"b"', b"[" * 100_000), "", id="deep nesting"),
    ],
)
def test_a_poison_record_names_its_field(value: bytes, field: str) -> None:
    with pytest.raises(PayloadError) as error:
        decode_record(value)
    assert error.value.field.startswith(field)


def test_what_another_writer_spells_differently_is_taken() -> None:
    seconds = RECORD.replace(b'"starts_at":"2026-01-01T00:00:00Z"', b'"starts_at":1767225600')
    assert seconds != RECORD
    assert decode_record(seconds) == decode_record(RECORD)


@pytest.mark.parametrize(
    ("labels", "field"),
    [
        pytest.param({str(number): "" for number in range(129)}, "labels", id="too many"),
        pytest.param({"a": "x" * 2_049}, "labels.a", id="too long"),
    ],
)
def test_an_alert_over_its_bounds_is_poison_however_small_its_record(
    labels: dict[str, str], field: str
) -> None:
    alert = Alert("f", "s", "n", "firing", labels, {}, NOW, None, NOW)
    with pytest.raises(PayloadError) as error:
        decode_record(encode_alert(alert))
    assert error.value.field == field


def test_an_alert_over_its_bounds_is_poison_whoever_appended_it() -> None:
    alert = Alert("f", "s", "n", "firing", {"a": "x" * 5_000}, {}, NOW, None, NOW)
    with pytest.raises(PayloadError) as error:
        decode_record(encode_alert(alert))
    assert error.value.field == "labels.a"


def test_an_unknown_timer_is_refused() -> None:
    with pytest.raises(PayloadError, match="no timer"):
        timer_tick("egg/3", NOW)


def test_a_record_is_written_as_all_releases_wrote_it() -> None:
    alert = Alert("f", "s", "n", "firing", {"b": "1", "a": "2"}, {}, NOW, None, NOW, links=("l",))
    assert encode_alert(alert) == (
        b'{"id":"f-firing-1767225600000000","source":"/quell/sources/s",'
        b'"time":"2026-01-01T00:00:00Z","data":{"fingerprint":"f","source":"s","name":"n",'
        b'"status":"firing","labels":{"b":"1","a":"2"},"annotations":{},'
        b'"starts_at":"2026-01-01T00:00:00Z","ends_at":null,"received_at":"2026-01-01T00:00:00Z",'
        b'"event_at":null,"expires_at":null,"service":"","resource":"","target":"",'
        b'"environment":"","team":"","customer":"","region":"","severity_hint":"",'
        b'"links":["l"]},"type":"quell.alert.v1","specversion":"1.0"}'
    )


def test_an_alert_alone_is_one_line_of_json() -> None:
    alert = Alert("f", "s", "n", "firing", {"a": "b\nc"}, {}, NOW, None, NOW)
    assert "\n" not in alert_json(alert)


@given(alerts, st.text(max_size=20))
def test_a_record_is_the_envelope_around_the_alert(alert: Alert, source: str) -> None:
    alert = structs.replace(alert, source=source)
    found = json.loads(encode_alert(alert))
    at = alert.received_at.isoformat()
    assert found == {
        "id": f"{alert.fingerprint}-{alert.status}-{to_us(alert.received_at)}",
        "source": f"/quell/sources/{source}",
        "time": at.replace("+00:00", "Z"),
        "data": json.loads(alert_json(alert)),
        "type": "quell.alert.v1",
        "specversion": "1.0",
    }
