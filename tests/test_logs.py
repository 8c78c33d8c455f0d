"""Nothing that a process writes shows a secret, whoever writes it."""

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from engine.logs import MAX_LOGGED, MaskedStream, configure_logs
from engine.ports.known_secrets import KNOWN

SECRET = 'tok-en/"1234'

# Each line of this program is one way in which a text gets out of a process.
PROGRAM = f"""
import asyncio, logging, sys, threading, traceback, warnings
import structlog, typer
from rich.console import Console
from engine.logs import configure_logs, mask_streams
from engine.ports.known_secrets import KNOWN

SECRET = {SECRET!r}

class Holder:
    def __repr__(self): return SECRET
    def __del__(self): raise ValueError(SECRET)

def fail(where):
    local = SECRET
    raise ValueError(f"{{where}}: {{local}}")

mask_streams()
configure_logs()
KNOWN.keep("token", SECRET)
log = structlog.get_logger()
log.warning("bound", value=SECRET, deep={{"a": [SECRET]}}, object=Holder())
structlog.contextvars.bind_contextvars(task=SECRET)
try:
    fail("caught")
except ValueError as error:
    log.exception("caught", error=str(error))
    logging.getLogger("library").exception("library %s", SECRET)
    traceback.print_exc()
structlog.contextvars.clear_contextvars()
warnings.warn(SECRET)
print(SECRET)
typer.echo(SECRET)
typer.echo(SECRET, err=True)
Console().print(SECRET, style="red", highlight=False)
Console(stderr=True, force_terminal=True).print(SECRET, style="bold red", highlight=False)
sys.stderr.writelines([SECRET, "\\n"])
thread = threading.Thread(target=fail, args=("thread",)); thread.start(); thread.join()
async def forgotten():
    task = asyncio.get_running_loop().create_task(asyncio.sleep(0))
    future = asyncio.get_running_loop().create_future()
    future.set_exception(ValueError(f"future {{SECRET}}"))
    del future
    await task
    asyncio.get_running_loop().call_soon(fail, "callback")
    await asyncio.sleep(0.01)
asyncio.run(forgotten())
holder = Holder(); del holder
sys.exit(fail("uncaught"))
"""
WAYS = ("bound", "caught", "library", "thread", "future", "callback", "uncaught", "unraisable")


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def test_every_way_out_of_a_process_is_masked(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, program], capture_output=True, text=True, cwd=Path(__file__).parent.parent
    )
    written = done.stdout + done.stderr
    assert done.returncode == 1, written
    for way in WAYS[:-1]:
        assert way in written
    assert "Exception ignored in" in written
    assert written.count("[masked") >= 18, written
    for form in (SECRET, json.dumps(SECRET)[1:-1], json.dumps(json.dumps(SECRET))[3:-3]):
        assert form not in written
    # A trace shows lines of code, not what variables hold.
    assert "local = SECRET" not in written
    assert "1234" not in written.replace(program.read_text(), "")


def test_logs_are_lines_of_json_without_secrets() -> None:
    KNOWN.keep("token", SECRET)
    file = io.StringIO()
    configure_logs(file)
    log = structlog.get_logger()
    log.info("one", said=SECRET, lines="a\nb")
    try:
        raise ValueError(SECRET)
    except ValueError:
        log.exception("two")
    first, second = map(json.loads, file.getvalue().splitlines())
    assert (first["event"], first["said"], first["lines"]) == ("one", "[masked]", "a\nb")
    assert second["exception"].endswith("ValueError: [masked]")
    assert first["level"] == "info"


def test_a_masked_stream_is_a_stream_like_others() -> None:
    KNOWN.keep("token", SECRET)
    raw = io.BytesIO()
    stream = MaskedStream(raw, encoding="utf-8", line_buffering=True)
    assert stream.write(f"a {SECRET} ä\n") == len(SECRET) + 5
    stream.writelines([SECRET, "\n"])
    stream.buffer.write(b"bytes")
    stream.flush()
    assert raw.getvalue().decode() == "a [masked] ä\n[masked]\nbytes"
    assert not stream.isatty()


def test_a_long_text_is_cut_and_says_so() -> None:
    file = io.StringIO()
    configure_logs(file)
    structlog.get_logger().warning("odd", text="x" * 10**6, count=3)
    (line,) = file.getvalue().splitlines()
    told = json.loads(line)
    assert (told["event"], told["count"], len(told["text"])) == ("odd", 3, MAX_LOGGED)
    assert told["text"].endswith("(cut; 1,000,000 characters)")
