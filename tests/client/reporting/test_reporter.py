"""What an application gets: it imports next to nothing, never waits or fails, and leaks nothing."""

import asyncio
import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.client.reporting import Endpoint, Reporter, Thresholds
from tests.doubles.notice_receiver import NoticeReceiver

ROOT = Path(__file__).parents[3]
# The rounds of a test are short; what it takes to tell is as it ships.
QUICK = Thresholds(window_s=2.4, clear_for_s=0.4, repeat_s=0.4)
NOWHERE = Endpoint("http://127.0.0.1:9")


@pytest.fixture
def receiver() -> Iterator[NoticeReceiver]:
    with NoticeReceiver().running() as running:
        yield running


def fail(reporter: Reporter, count: int = 20) -> None:
    for _ in range(count):
        reporter.record("gpt-4o", operation="chat", error=TimeoutError("sk-secret"), latency_s=1.0)


def in_a_new_python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_it_imports_the_standard_library_alone() -> None:
    imported = in_a_new_python(
        "import sys; before = set(sys.modules); import engine.client.reporting\n"
        "import json; print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    foreign = {
        name
        for name in json.loads(imported)
        if name.partition(".")[0] not in sys.stdlib_module_names
    }
    own = {name for name in foreign if name.startswith("engine.client.reporting")}
    assert foreign - own == {"engine", "engine.client", "engine.errors"}
    assert "engine.client.reporting.sender" in own


def test_failing_calls_are_told_while_they_last_and_when_they_are_over(
    receiver: NoticeReceiver,
) -> None:
    with Reporter(
        "checkout", Endpoint(receiver.url), labels={"service": "llm-70b"}, thresholds=QUICK
    ) as reporter:
        fail(reporter)
        begun, repeated = receiver.next_event(), receiver.next_event()
        for _ in range(200):
            reporter.record("gpt-4o", operation="chat", latency_s=0.1)
        while (ended := receiver.next_event())["data"]["status"] == "firing":
            pass
    for event in (begun, repeated, ended):
        assert event["source"] == "/apps/checkout"
        assert event["data"]["labels"] == {
            "app": "checkout",
            "instance": f"{socket.gethostname()}:{os.getpid()}",
            "service": "llm-70b",
            "model": "gpt-4o",
            "operation": "chat",
        }
        assert event["data"]["starts_at"] == begun["data"]["starts_at"]
    assert begun["time"] < repeated["time"] < ended["time"]
    assert begun["data"]["expires_at"] < repeated["data"]["expires_at"]


def test_no_message_of_an_error_leaves(receiver: NoticeReceiver) -> None:
    with Reporter("checkout", Endpoint(receiver.url), thresholds=QUICK) as reporter:
        fail(reporter, 10)
        for _ in range(10):
            reporter.record("gpt-4o", operation="chat", error="Incorrect API key: sk-secret")
        told = receiver.next_event()
    assert "sk-secret" not in json.dumps(told)
    assert told["data"]["annotations"]["errors"] == "TimeoutError 10, (unnamed) 10"


def test_a_name_with_odd_characters_is_a_sound_source(receiver: NoticeReceiver) -> None:
    with Reporter("Käse & co/x", Endpoint(receiver.url), thresholds=QUICK) as reporter:
        fail(reporter)
        assert receiver.next_event()["source"] == "/apps/K%C3%A4se%20%26%20co%2Fx"


def test_the_instance_can_be_given(receiver: NoticeReceiver) -> None:
    with Reporter(
        "a", Endpoint(receiver.url), labels={"instance": "pod-7"}, thresholds=QUICK
    ) as reporter:
        fail(reporter)
        assert receiver.next_event()["data"]["labels"]["instance"] == "pod-7"


def recorded(reporter: Reporter) -> dict[str, Any]:
    """Calls, failures, timed calls and error classes of the only model."""
    (watched,) = reporter._ledger._watched.values()
    counts = watched.window.counts(time.monotonic())
    return {
        "calls": counts.calls,
        "failures": counts.failures,
        "timed": counts.timed,
        "errors": dict(counts.errors),
    }


def test_a_call_is_timed_and_its_exception_passes_through() -> None:
    with Reporter("a", NOWHERE) as reporter:
        with reporter.call("gpt-4o"):
            pass
        with pytest.raises(KeyError, match="x"), reporter.call("gpt-4o"):
            raise KeyError("x")
        assert recorded(reporter) == {
            "calls": 2,
            "failures": 1,
            "timed": 1,
            "errors": {"KeyError": 1},
        }


async def test_a_cancelled_call_passes_through_and_is_no_failure() -> None:
    with Reporter("a", NOWHERE) as reporter:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                with reporter.call("gpt-4o"):
                    await asyncio.sleep(60)
        assert reporter._ledger._watched == {}


@pytest.mark.parametrize("odd", [None, 7, b"x", ["x"], object()])
def test_odd_arguments_raise_nothing(odd: Any) -> None:
    with Reporter("a", NOWHERE) as reporter:
        reporter.record(odd, operation=odd, deployment=odd, error=odd, latency_s=odd)
        reporter.record_log(odd, odd, error=odd)


def test_many_threads_lose_no_call() -> None:
    with Reporter("a", NOWHERE) as reporter:
        threads = [threading.Thread(target=fail, args=(reporter, 2_000)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert recorded(reporter)["failures"] == 16_000
        assert [each.name for each in threading.enumerate()].count("quell-reporting") == 1


def test_a_signal_handler_may_record_in_the_midst_of_a_record() -> None:
    with Reporter("a", NOWHERE) as reporter:
        before = signal.signal(signal.SIGALRM, lambda *_: fail(reporter, 1))
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        try:
            fail(reporter, 50_000)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        assert recorded(reporter)["calls"] > 50_000


def _report_from_a_child(reporter: Reporter) -> None:
    fail(reporter)
    reporter.close(20.0)


def test_a_forked_process_reports_for_itself(receiver: NoticeReceiver) -> None:
    with Reporter("a", Endpoint(receiver.url), thresholds=QUICK) as reporter:
        fail(reporter)
        parent = receiver.next_event()["data"]["labels"]["instance"]
        child = multiprocessing.get_context("fork").Process(
            target=_report_from_a_child, args=(reporter,)
        )
        child.start()
        while (told := receiver.next_event()["data"]["labels"]["instance"]) == parent:
            pass
        child.join()
    assert child.exitcode == 0
    assert told == f"{socket.gethostname()}:{child.pid}"


def test_the_end_of_the_process_sends_what_waits(receiver: NoticeReceiver) -> None:
    in_a_new_python(
        "from engine.client.reporting import Endpoint, Reporter\n"
        f"reporter = Reporter('a', Endpoint({receiver.url!r}))\n"
        "for _ in range(20): reporter.record('m', error='TimeoutError')\n"
    )
    assert receiver.next_event()["data"]["labels"]["model"] == "m"


def test_the_end_of_the_process_does_not_wait_for_a_silent_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began_s = time.monotonic()
        in_a_new_python(
            "from engine.client.reporting import Endpoint, Reporter\n"
            f"reporter = Reporter('a', Endpoint('http://127.0.0.1:{silent.getsockname()[1]}'))\n"
            "for _ in range(20): reporter.record('m', error='TimeoutError')\n"
        )
        assert time.monotonic() - began_s < 12.0


def test_a_reporter_that_recorded_nothing_has_no_thread() -> None:
    before = threading.active_count()
    with Reporter("a", NOWHERE):
        assert threading.active_count() == before
