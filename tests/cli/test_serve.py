"""The engine as a process: where it is, that it ends, and when it refuses to begin."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import pytest

from engine.cli.main import execute
from engine.cli.server_file import SERVER_FILE
from tests.cli.project import PROGRAM, Project
from tests.services.process import free_port

STOPS_WITHIN_S = 5.0


@contextmanager
def started(
    project: Project, *words: str, log: TextIO | None = None
) -> Iterator["subprocess.Popen[str]"]:
    """The program with its output in pipes, or its log there; killed where it didn't end."""
    child = subprocess.Popen(
        [str(PROGRAM), *words, "--config", str(project.config)],
        env=os.environ | {"QUELL_DATA": str(project.data), "QUELL_LISTEN": "127.0.0.1:0"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log or subprocess.PIPE,
        text=True,
    )
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def ended(child: "subprocess.Popen[str]", number: int) -> tuple[int, str, float]:
    """Exit code, the rest of its output and how long it took after a signal."""
    asked_at = time.monotonic()
    child.send_signal(number)
    out, _ = child.communicate(timeout=STOPS_WITHIN_S)
    return child.returncode, out, time.monotonic() - asked_at


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)
def test_a_signal_ends_it_soon_and_cleanly_even_with_a_connection_open(
    project: Project, number: signal.Signals
) -> None:
    with started(project, "up", "--listen", "127.0.0.1:0") as child:
        assert child.stdout is not None
        lines = [child.stdout.readline()]
        while lines[-1] and "Ctrl-C" not in lines[-1]:
            lines.append(child.stdout.readline())
        first, greeting = lines[0], "".join(lines)
        assert first.startswith("quell is up on http://127.0.0.1:")
        url = first.split()[-1]
        assert not url.endswith(":0")
        # The address works as soon as it is printed, and the file leads to it.
        urllib.request.urlopen(f"{url}/readyz", timeout=10).close()
        assert json.loads((project.data / SERVER_FILE).read_text())["url"] == url
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as idle:
            idle.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
            assert idle.recv(100).startswith(b"HTTP/1.1 200")
            code, last, took_s = ended(child, number)
    assert code == 0
    assert took_s < STOPS_WITHIN_S
    assert not (project.data / SERVER_FILE).exists()
    assert last == "quell has stopped; everything is kept\n"
    for word in ("Prometheus", "Alertmanager", str(project.data), "quell incidents", "Ctrl-C"):
        assert word in greeting


def test_a_program_gets_one_line_and_no_secret(project: Project) -> None:
    with started(project, "serve", "--json", "--only", "gateway") as child:
        assert child.stdout is not None
        where = json.loads(child.stdout.readline())
        token = json.loads((project.data / SERVER_FILE).read_text())["token"]
        code, out, _ = ended(child, signal.SIGTERM)
    assert where == {"url": where["url"], "data": str(project.data)}
    assert (code, out) == (0, "")
    assert token not in json.dumps(where)


def test_a_part_without_the_gateway_listens_nowhere(project: Project) -> None:
    with started(project, "serve", "--json", "--only", "worker") as child:
        assert child.stdout is not None
        assert json.loads(child.stdout.readline())["url"] == ""
        assert not (project.data / SERVER_FILE).exists()
        assert ended(child, signal.SIGTERM)[0] == 0


def test_a_part_without_the_gateway_shows_its_health_where_it_is_told_to(
    project: Project,
) -> None:
    port = free_port()
    text = f"health_listen: 127.0.0.1:{port}\n"
    project.config.write_text(project.config.read_text() + text)
    with started(project, "serve", "--json", "--only", "worker") as child:
        assert child.stdout is not None
        assert json.loads(child.stdout.readline())["url"] == ""
        assert not (project.data / SERVER_FILE).exists()
        for page, says in (("healthz", b"alive"), ("readyz", b"ready"), ("metrics", b"quell_")):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/{page}", timeout=10) as answer:
                assert says in answer.read()
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/incidents", timeout=10)
        assert ended(child, signal.SIGTERM)[0] == 0


def test_a_second_signal_ends_it_at_once(project: Project) -> None:
    with started(project, "up", "--json", "--listen", "127.0.0.1:0") as child:
        assert child.stdout is not None
        url = json.loads(child.stdout.readline())["url"]
        host, port = url.removeprefix("http://").split(":")
        # A request that never ends keeps the first signal waiting.
        with socket.create_connection((host, int(port))) as slow:
            slow.sendall(b"POST /v1/alerts/alertmanager HTTP/1.1\r\ncontent-length: 9\r\n\r\n{")
            child.send_signal(signal.SIGTERM)
            with pytest.raises(subprocess.TimeoutExpired):
                child.wait(1)
            child.send_signal(signal.SIGTERM)
            assert child.wait(STOPS_WITHIN_S) == -signal.SIGTERM


def test_a_log_that_nobody_can_write_stops_nothing(project: Project) -> None:
    with Path("/dev/full").open("w") as full, started(project, "up", "--json", log=full) as child:
        assert child.stdout is not None
        url = json.loads(child.stdout.readline())["url"]
        body = b'{"version": "4", "alerts": [{"status": "firing", "labels": {}}]}'
        request = urllib.request.Request(f"{url}/v1/alerts/alertmanager", body)
        with pytest.raises(urllib.error.HTTPError, match="422"):  # which is logged, too
            urllib.request.urlopen(request, timeout=10)
        urllib.request.urlopen(f"{url}/healthz", timeout=10).close()
        assert ended(child, signal.SIGTERM)[0] == 0


def test_after_a_kill_it_starts_again(project: Project) -> None:
    for _ in range(2):
        with started(project, "up", "--json", "--listen", "127.0.0.1:0") as child:
            assert child.stdout is not None
            assert json.loads(child.stdout.readline())["url"]
    assert (project.data / SERVER_FILE).exists()


def test_a_second_engine_on_one_folder_is_refused(
    capsys: pytest.CaptureFixture[str], running: Project
) -> None:
    words = ["up", "--listen", "127.0.0.1:0", "--data", str(running.data)]
    assert execute(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "is in use by a running engine (process " in err
    assert "--data" in err
    assert running.is_up()


def test_an_address_that_is_taken_is_told_with_the_way_out(
    capsys: pytest.CaptureFixture[str], project: Project
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        assert execute(["up", "--listen", address, "--data", str(project.data)]) == 2
    assert (
        f"can't listen on {address}: Address already in use; choose another by `listen` in "
        "quell.yaml, or by --listen of `quell up`" in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("settings", "missing"),
    [
        pytest.param("", "set access.token and credentials at sources.alertmanager", id="both"),
        pytest.param(
            "access: {token: t}\nsources: {am: {uses: alertmanager, bearer: [b]}, b: {uses: "
            "alertmanager}}\n",
            "set credentials at sources.b, or",
            id="one-source",
        ),
        pytest.param(
            "sources: {am: {uses: alertmanager, basic: [{user: u, password: p}]}}\n",
            "set access.token, or",
            id="token",
        ),
    ],
)
def test_no_door_is_left_open_for_other_machines(
    capsys: pytest.CaptureFixture[str], project: Project, settings: str, missing: str
) -> None:
    project.config.write_text(settings + "listen: 0.0.0.0:0\ndata: data\n")
    for verb in ("up", "serve"):
        assert execute([verb, "--config", str(project.config)]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert missing in err
    assert not project.data.exists()
    assert execute(["check", "--config", str(project.config)]) == 0
    (told,) = [line for line in capsys.readouterr().out.splitlines() if missing in line]
    line = project.config.read_text().splitlines().index("listen: 0.0.0.0:0") + 1
    assert told.startswith(f"{project.config}:{line}:9: 0.0.0.0:0 can be reached from ")
