"""What shipped commands do, by the real programs, with a test's folder for the host's own ones."""

import gzip
import os
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from typing_extensions import override

from engine.catalog import CatalogSources, load_catalog, shipped_folder
from engine.core.host_commands import render_command
from engine.core.json_value import Json
from tests.doubles.declarations import ACTIONS
from tests.services.certificates import Authority

COMMANDS = load_catalog(CatalogSources(shipped=shipped_folder()), ACTIONS).estate.commands
PLACES = ("/srv/", "/etc/nginx/", "/var/log")


class Host:
    """Runs commands as their sudoers would let them, below a folder; `variables` are theirs."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.variables: dict[str, str] = {}

    def at(self, path: str) -> Path:
        return self.root / path.removeprefix("/")

    def run(self, command: str, /, **arguments: Json) -> tuple[int, str]:
        argv = list(render_command(command, COMMANDS[command], arguments).argv)
        if argv[0] == "sudo":
            argv.pop(0)
        here = [str(self.at(each)) if each.startswith(PLACES) else each for each in argv]
        ended = subprocess.run(
            here,
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **self.variables},
            timeout=60,
        )
        return ended.returncode, ended.stdout.replace(str(self.root), "")

    def folder(self, path: str) -> Path:
        self.at(path).mkdir(parents=True)
        return self.at(path)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


class Page(BaseHTTPRequestHandler):
    status: ClassVar[int] = 200

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    @override
    def log_message(self, format: str, *args: object) -> None:
        """A test's output stays its own."""


class Missing(Page):
    status = 404


@contextmanager
def served(page: type[Page], context: ssl.SSLContext | None = None) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), page) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_releases_are_listed_the_last_first_and_the_link_is_replaced(host: Host) -> None:
    for name in ("2026-01-30", "2026-02-27", "2026-02-12"):
        host.folder(f"/srv/llm/releases/{name}")
    listed = host.run("list-releases", app="llm")
    assert listed == (0, "2026-02-27\n2026-02-12\n2026-01-30\n")
    for release in ("2026-02-27", "2026-02-12", "2026-02-12"):
        assert host.run("switch-release", app="llm", release=release)[0] == 0
        current = host.run("current-release", app="llm")
        assert current == (0, f"/srv/llm/releases/{release}\n")
    assert not list(host.at("/srv/llm/releases/2026-02-27").iterdir())


def test_a_server_comes_into_rotation_and_out_of_it_however_often(host: Host) -> None:
    host.folder("/etc/nginx/upstreams-enabled/llm")
    host.folder("/etc/nginx/upstreams-available/llm").joinpath("gpu-07.conf").write_text(
        "server a;"
    )
    for _ in range(2):
        assert host.run("put-into-rotation", pool="llm", server="gpu-07")[0] == 0
        assert host.run("servers-in-rotation", pool="llm") == (0, "gpu-07.conf\n")
    enabled = host.at("/etc/nginx/upstreams-enabled/llm/gpu-07.conf")
    assert enabled.read_text() == "server a;"
    for _ in range(2):
        assert host.run("take-out-of-rotation", pool="llm", server="gpu-07")[0] == 0
        assert host.run("servers-in-rotation", pool="llm") == (0, "")


def test_a_pool_is_led_elsewhere(host: Host) -> None:
    host.folder("/etc/nginx/upstreams")
    for name in ("region-a", "region-b"):
        file = f"/etc/nginx/upstreams-available/llm.{name}.conf"
        assert host.run("switch-upstream", pool="llm", file=file)[0] == 0
        assert host.run("active-upstream", pool="llm") == (0, f"{file}\n")


def test_what_was_rotated_is_compressed_and_what_is_written_is_not(host: Host) -> None:
    logs = host.folder("/var/log")
    old = ("syslog.1", "vllm.log.old", "messages-20260301")
    others = ("syslog", "syslog.2.gz", "data.json")
    for name in (*old, *others):
        (logs / name).write_text(name)
        os.utime(logs / name, (time.time() - 7200,) * 2)
    (logs / "fresh.1").write_text("written a moment ago")
    listed = host.run("list-rotated-logs", folder="/var/log")[1]
    found = {line.split(" ")[1] for line in listed.splitlines()}
    assert found == {f"/var/log/{name}" for name in old}
    assert host.run("compress-rotated-logs", folder="/var/log")[0] == 0
    there = {each.name for each in logs.iterdir()}
    assert there == {*(f"{name}.gz" for name in old), *others, "fresh.1"}
    assert gzip.decompress((logs / "syslog.1.gz").read_bytes()) == b"syslog.1"


@pytest.mark.parametrize(
    ("content", "mode", "found"),
    [("secret", 0o640, True), ("secret", 0o644, False), ("", 0o600, False)],
    ids=["for the group", "for all to read", "empty"],
)
def test_a_key_is_ready_only_if_it_is_a_secret(
    host: Host, content: str, mode: int, found: bool
) -> None:
    key = host.folder("/srv/llm/keys") / "key-2"
    key.write_text(content)
    key.chmod(mode)
    told = "/srv/llm/keys/key-2\n" if found else ""
    assert host.run("key-file", app="llm", key="key-2") == (0, told)
    assert host.run("switch-key", app="llm", key="key-2")[0] == 0
    assert host.run("current-key", app="llm") == (0, "/srv/llm/keys/key-2\n")


def test_a_report_is_kept_once_it_holds_something(host: Host) -> None:
    folder = host.folder("/reports")
    (folder / "gpu-INC-1.log.gz").write_text("")
    (folder / "sosreport-gpu-07-INC-1-2026-03-01-abc.tar.xz").write_text("x")
    assert host.run("kept-files", folder=str(folder), name="gpu-INC-1.log.gz") == (0, "")
    found = host.run("kept-files", folder=str(folder), name="sosreport-*-INC-1-*.tar.*")
    assert found == (0, "/reports/sosreport-gpu-07-INC-1-2026-03-01-abc.tar.xz\n")
    other = host.run("kept-files", folder=str(folder), name="sosreport-*-INC-2-*.tar.*")
    assert other == (0, "")


def test_a_url_answers_or_it_does_not(host: Host) -> None:
    with served(Page) as address:
        assert host.run("url-answers", url=f"http://{address}/health")[0] == 0
        assert host.run("wait-for-url", url=f"http://{address}/health")[0] == 0
    assert host.run("url-answers", url=f"http://{address}/health")[0] == 7
    with served(Missing) as address:
        assert host.run("url-answers", url=f"http://{address}/health")[0] == 22


def test_a_certificate_is_good_until_it_isn_t(host: Host, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    issued = authority.issue("llm.example", ["llm.example"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.certificate, issued.key)
    host.variables["SSL_CERT_FILE"] = str(authority.certificate)
    now = datetime.now(UTC)
    with served(Page, context) as address:

        def ended(name: str, ahead: timedelta) -> int:
            at = int((now + ahead).timestamp())
            return host.run("certificate-valid-at", address=address, name=name, at=at)[0]

        assert ended("llm.example", timedelta(hours=1)) == 0
        assert ended("llm.example", timedelta(days=2)) == 1
        assert ended("other.example", timedelta(hours=1)) == 1


def test_the_host_tells_its_boot_and_a_moment_to_come(host: Host) -> None:
    code, boot = host.run("boot-id")
    assert (code, len(boot.strip())) == (0, 36)
    code, moment = host.run("days-ahead", days=30)
    assert code == 0
    assert int(moment) - time.time() == pytest.approx(30 * 86400, abs=7200)
