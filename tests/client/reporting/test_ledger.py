"""Calls in, notices out: which, with what in them, and never more than what is bounded."""

from datetime import UTC, datetime, timedelta

from engine.client.reporting.judging import Moment, Notice, Thresholds
from engine.client.reporting.ledger import MAX_SUBJECTS, MAX_TEXT, OTHER, Ledger

START = datetime(2026, 11, 1, 12, tzinfo=UTC)
LABELS = {"app": "checkout", "instance": "web-1:7", "service": "llm-70b"}
GPT = {"model": "gpt-4o", "operation": "chat", "deployment": ""}


def ledger(**thresholds: float) -> Ledger:
    return Ledger(LABELS, Thresholds(**thresholds))  # type: ignore[arg-type]


def at(seconds: float) -> Moment:
    return Moment(seconds, START + timedelta(seconds=seconds))


def calls(kept: Ledger, count: int, *, failed: int = 0, at_s: float = 0.0) -> None:
    for number in range(count):
        error = "RateLimitError" if number < failed else ""
        kept.add_call(GPT, at_s, error=error, latency_s=0.5)


def told(kept: Ledger, seconds: float) -> list[Notice]:
    return list(kept.notices(at(seconds)))


def test_failing_calls_are_one_notice_with_their_figures() -> None:
    kept = ledger()
    calls(kept, 40, failed=10)
    assert told(kept, 10) == [
        Notice(
            status="firing",
            name="ModelCallsFailing",
            labels=LABELS | {"model": "gpt-4o", "operation": "chat"},
            annotations={
                "summary": "gpt-4o, chat: 10 of 40 calls failed in 120 s",
                "calls": "40",
                "failures": "10",
                "p95_latency_s": "0.51",
                "errors": "RateLimitError 10",
            },
            severity_hint="error",
            at=START + timedelta(seconds=10),
            starts_at=START + timedelta(seconds=10),
            expires_at=START + timedelta(seconds=250),
        )
    ]
    assert told(kept, 20) == []


def test_the_end_is_told_with_the_same_labels_and_start() -> None:
    kept = ledger()
    calls(kept, 40, failed=40)
    (begun,) = told(kept, 0)
    calls(kept, 400, at_s=30)
    assert told(kept, 30) == []
    (ended,) = told(kept, 90)
    assert (ended.status, ended.name, ended.labels) == ("resolved", begun.name, begun.labels)
    assert (ended.starts_at, ended.ends_at) == (START, START + timedelta(seconds=90))
    assert ended.expires_at is None


def test_a_few_failing_calls_are_enough_to_tell_that_it_lasts() -> None:
    kept = ledger()
    calls(kept, 40, failed=40)
    assert len(told(kept, 0)) == 1
    calls(kept, 1, failed=1, at_s=200)
    (again,) = told(kept, 200)
    assert (again.status, again.starts_at) == ("firing", START)


def test_models_are_told_apart_and_together_with_what_is_slow() -> None:
    kept = ledger(p95_latency_s=10.0)
    for _ in range(20):
        kept.add_call({"model": "a"}, 0.0, error="E", latency_s=1.0)
        kept.add_call({"model": "b"}, 0.0, error="", latency_s=30.0)
        kept.add_call({"model": "c"}, 0.0, error="", latency_s=1.0)
    assert [(each.name, each.labels["model"]) for each in told(kept, 0)] == [
        ("ModelCallsFailing", "a"),
        ("ModelCallsSlow", "b"),
    ]


def test_a_cancelled_call_is_no_call() -> None:
    kept = ledger()
    for _ in range(100):
        kept.add_call(GPT, 0.0, error="CancelledError", latency_s=1.0)
    assert told(kept, 0) == []


def test_log_records_are_told_by_logger_and_level() -> None:
    kept = ledger()
    for _ in range(10):
        kept.add_record({"logger": "openai", "level": "ERROR"}, 0.0, error="APIError")
    (notice,) = told(kept, 0)
    assert notice.name == "ErrorsLogged"
    assert notice.annotations == {
        "summary": "openai, ERROR: 10 records logged in 120 s",
        "calls": "10",
        "failures": "10",
        "errors": "APIError 10",
    }


def test_a_name_in_each_call_takes_no_more_room() -> None:
    kept = ledger()
    for number in range(10_000):
        kept.add_call({"model": f"m{number}", "operation": "chat"}, 0.0, error="E", latency_s=None)
    assert len(kept._watched) == MAX_SUBJECTS + 1
    (notice,) = told(kept, 0)
    assert notice.labels["model"] == OTHER
    assert notice.annotations["calls"] == str(10_000 - MAX_SUBJECTS)


def test_what_is_idle_is_forgotten_and_makes_room() -> None:
    kept = ledger()
    calls(kept, 5)
    assert told(kept, 0) == []
    assert told(kept, 1_000) == []
    assert len(kept._watched) == 0


def test_what_fires_is_not_forgotten_before_it_has_expired() -> None:
    kept = ledger(window_s=10.0)
    calls(kept, 40, failed=40)
    assert len(told(kept, 0)) == 1
    assert told(kept, 100) == []
    assert len(kept._watched) == 1
    assert told(kept, 240) == []
    assert len(kept._watched) == 0


def test_a_clock_that_is_set_back_does_not_put_notices_out_of_order() -> None:
    kept = ledger()
    calls(kept, 40, failed=40)
    (first,) = told(kept, 0)
    (second,) = kept.notices(Moment(60.0, START - timedelta(hours=1)))
    assert second.at > first.at
    assert second.starts_at == first.starts_at


def test_texts_are_bounded_and_on_one_line() -> None:
    kept = Ledger({"ap\ud800": "x\n"}, Thresholds())
    for _ in range(20):
        kept.add_call({"model": "a\n\0" + "b" * 1_000}, 0.0, error="E\n" * 500, latency_s=None)
    (notice,) = told(kept, 0)
    assert notice.labels["model"].startswith("a\ufffd\ufffdbb")
    assert len(notice.labels["model"]) == MAX_TEXT
    assert notice.labels["ap\ufffd"] == "x\ufffd"
    assert all(text.isprintable() for text in notice.annotations.values())
