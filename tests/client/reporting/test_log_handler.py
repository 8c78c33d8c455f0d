"""Logged calls are counted, and of what is logged no text leaves; with the real OpenAI client."""

import json
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import openai
import pytest
from typing_extensions import override

from engine.client.reporting import Endpoint, Reporter, ReportingHandler, Thresholds
from tests.doubles.notice_receiver import NoticeReceiver
from tests.services.model_server import model_server_argv
from tests.services.process import Process, free_port, listens

QUICK = Thresholds(window_s=6.0, repeat_s=0.2, p95_latency_s=2.0, log_records=4)
PROMPT = "the patient's name is"


class Told(logging.Handler):
    """Waits for a record."""

    def __init__(self) -> None:
        super().__init__()
        self._told = threading.Event()

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self._told.set()

    def wait(self) -> bool:
        return self._told.wait(20.0)


@pytest.fixture
def receiver() -> Iterator[NoticeReceiver]:
    with NoticeReceiver().running() as running:
        yield running


@pytest.fixture
def reporter(receiver: NoticeReceiver) -> Iterator[Reporter]:
    with Reporter("checkout", Endpoint(receiver.url), thresholds=QUICK) as reporter:
        yield reporter


@pytest.fixture
def logger(reporter: Reporter) -> Iterator[logging.Logger]:
    """One with the handler, of the application's own."""
    with handled("checkout.models", ReportingHandler(reporter)) as logger:
        yield logger


@contextmanager
def handled(name: str, handler: logging.Handler) -> Iterator[logging.Logger]:
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    yield logger
    logger.removeHandler(handler)
    logger.setLevel(level)


@pytest.fixture(scope="module")
def model_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    log = tmp_path_factory.mktemp("model") / "log"
    server = Process(model_server_argv(port, "llama"), log=log)
    server.start(lambda: listens(port))
    yield f"http://127.0.0.1:{port}/v1"
    server.stop()


def ask(client: openai.OpenAI, model: str, logger: logging.Logger) -> None:
    """As an application does it that logs its calls."""
    about = {"model": model, "operation": "chat", "latency_s": 0.2}
    try:
        client.chat.completions.create(model=model, messages=[{"role": "user", "content": PROMPT}])
    except openai.OpenAIError:
        logger.exception("completion of %r failed", PROMPT, extra=about)
    else:
        logger.info("completed", extra=about)


def test_failing_calls_of_the_openai_client_are_told(
    receiver: NoticeReceiver, logger: logging.Logger, model_server: str
) -> None:
    with openai.OpenAI(base_url=model_server, api_key="sk-secret", max_retries=0) as client:
        for number in range(40):
            ask(client, "llama" if number % 2 else "gone", logger)
    data = receiver.next_event()["data"]
    assert data["name"] == "ModelCallsFailing"
    assert data["labels"]["model"] == "gone"
    assert data["annotations"]["errors"] == "NotFoundError 20"
    assert receiver.next_event()["data"]["labels"]["model"] == "gone", "llama is fine"
    assert not any(text in json.dumps(data) for text in (PROMPT, "sk-secret", "completion of"))


def test_retries_that_the_openai_client_logs_itself_are_told(
    receiver: NoticeReceiver, reporter: Reporter
) -> None:
    handler = ReportingHandler(reporter, count_from=logging.INFO)
    nowhere = f"http://127.0.0.1:{free_port()}/v1"
    with (
        handled("openai", handler),
        openai.OpenAI(base_url=nowhere, api_key="sk-secret", max_retries=2) as client,
    ):
        for _ in range(2):
            with pytest.raises(openai.APIConnectionError):
                client.models.list()
    data = receiver.next_event()["data"]
    assert data["name"] == "ErrorsLogged"
    assert data["labels"]["logger"] == "openai._base_client"
    assert data["labels"]["level"] == "INFO"


CALLS: tuple[tuple[str, int, dict[str, Any], Any, str], ...] = (
    ("an info is a success", logging.INFO, {}, None, ""),
    ("a warning is one, too", logging.WARNING, {}, None, ""),
    ("an error failed", logging.ERROR, {}, None, "ERROR"),
    ("an exception failed", logging.WARNING, {}, KeyError("x"), "KeyError"),
    ("an error's name tells it", logging.INFO, {"error": "RateLimitError"}, None, "RateLimitError"),
    ("an exception as extra", logging.INFO, {"error": KeyError("x")}, None, "KeyError"),
    ("a message as extra", logging.INFO, {"error": "no such key: x"}, None, "(unnamed)"),
)


@pytest.mark.parametrize(
    ("level", "extra", "raised", "error"), [pytest.param(*row[1:], id=row[0]) for row in CALLS]
)
def test_a_record_with_a_model_is_a_call(
    reporter: Reporter,
    logger: logging.Logger,
    level: int,
    extra: dict[str, Any],
    raised: Exception | None,
    error: str,
) -> None:
    logger.log(level, "x", extra={"model": "m", "latency_s": 1.0} | extra, exc_info=raised)
    ((subject, watched),) = reporter._ledger._watched.items()
    assert subject == (("model", "m"),)
    assert dict(watched.window.counts(time.monotonic()).errors) == ({error: 1} if error else {})


def test_slow_calls_are_told(receiver: NoticeReceiver, logger: logging.Logger) -> None:
    for _ in range(20):
        logger.info("completed", extra={"model": "llama", "latency_s": 3.5})
    data = receiver.next_event()["data"]
    assert data["name"] == "ModelCallsSlow"
    assert data["annotations"]["summary"] == "llama: 20 of 20 calls took over 2 s in 6 s"


def test_other_records_count_from_a_level_on(reporter: Reporter, logger: logging.Logger) -> None:
    logger.warning("not counted")
    logger.error("counted", extra={"model": 7})
    assert list(reporter._ledger._watched) == [
        (("logger", "checkout.models"), ("level", "ERROR")),
    ]


def test_the_reporters_own_complaints_are_not_counted() -> None:
    with Reporter("a", Endpoint(f"http://127.0.0.1:{free_port()}"), thresholds=QUICK) as reporter:
        with handled("quell", ReportingHandler(reporter, count_from=logging.DEBUG)) as logger:
            told = Told()
            logger.addHandler(told)
            for _ in range(20):
                reporter.record("m", error="E")
            assert told.wait()
            logger.removeHandler(told)
        assert list(reporter._ledger._watched) == [(("model", "m"),)]
