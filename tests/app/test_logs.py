"""A line of the log stays a line, whatever others sent."""

import io
import json
from collections.abc import Iterator

import pytest
import structlog

from engine.app import configure_logs
from engine.app.process import MAX_LOGGED


@pytest.fixture
def file() -> Iterator[io.StringIO]:
    file = io.StringIO()
    configure_logs(file)
    yield file
    structlog.reset_defaults()


def test_a_long_text_is_cut_and_says_so(file: io.StringIO) -> None:
    structlog.get_logger().warning("odd", text="x" * 10**6, count=3)
    (line,) = file.getvalue().splitlines()
    told = json.loads(line)
    assert (told["event"], told["count"], len(told["text"])) == ("odd", 3, MAX_LOGGED)
    assert told["text"].endswith("(cut; 1,000,000 characters)")
