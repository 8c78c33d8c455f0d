"""The disk of the embedded store and stream is full: senders wait, nothing is torn, all heals."""

import hashlib
import json
import os
import sqlite3
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.emergency_receiver import EmergencyReceiver
from tests.scenarios.marks import MarkedHost, marked_host, wait_for_runs
from tests.scenarios.quell import Quell, bodies
from tests.scenarios.senders import Flow, send_one
from tests.services.process import ServiceError, free_port, program, run, wait_until
from tests.services.ssh_host import SshHost

DISK_MIB = 48
# Longer than what the emergency address waits for.
FULL_S = 70.0


@dataclass
class Disk:
    """A small file system of its own, which can be filled to its last byte."""

    path: Path
    ballast: Path = field(init=False)

    def __post_init__(self) -> None:
        self.ballast = self.path / "ballast"
        self.path.mkdir()
        if os.getuid() != 0:
            raise ServiceError("a file system can only be mounted by root, and this test needs one")
        options = ("-o", f"size={DISK_MIB}m,mode=0700")
        run([program("mount"), "-t", "tmpfs", *options, "tmpfs", self.path])

    def fill(self) -> None:
        with self.ballast.open("ab", buffering=0) as file:
            for size in (1024 * 1024, 4096, 1):
                try:
                    while True:
                        file.write(bytes(size))
                except OSError:
                    continue

    def empty(self) -> None:
        self.ballast.unlink()

    def unmount(self) -> None:
        run([program("umount"), "--lazy", self.path])


@dataclass
class Site:
    """A quell on a disk of its own, and who sees what it does."""

    quell: Quell
    disk: Disk
    marked: MarkedHost
    emergency: EmergencyReceiver

    def ready(self) -> tuple[int, str]:
        return self.quell.health("/readyz")

    def healthy(self) -> tuple[int, str]:
        return self.quell.health("/healthz")

    def approve(self, incident: dict[str, Any]) -> int:
        """Answer the request of this incident's run; the status."""
        story = self.quell.story(incident)
        (asked,) = bodies(story, "approval.requested")
        token = json.loads((self.quell.data / "server.json").read_text())["token"]
        body = {"decision": "approve", "plan_hash": asked["plan_hash"], "reason": "go on"}
        request = urllib.request.Request(
            f"{self.quell.url}/v1/approvals/{asked['approval_id']}/decision",
            json.dumps(body).encode(),
            {"content-type": "application/json", "authorization": f"Bearer {token}"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def incident(self, word: str) -> dict[str, Any]:
        """The one that wants this mark."""
        name = self.marked.name(word)
        (found,) = [each for each in self.quell.incidents() if each["group"] == {"name": name}]
        return found

    def check(self, *words: str, alerts: int) -> None:
        """All that was taken is decided once, each mark is left once, and nothing is torn."""

        def settled() -> bool:
            return self.ready()[0] == 200 and self.quell.get("/v1/balance")["waiting"] == 0

        wait_until(settled, "everything is decided", 60)
        ends = wait_for_runs(self.quell, len(words), 90)
        assert [each["outcome"] for each in ends] == ["succeeded"] * len(words), ends
        assert self.marked.marks() == dict.fromkeys(words, 1)
        balance = self.quell.verb("balance")
        assert balance["difference"] == 0
        became = balance["dispositions"]
        assert became["unmatched"] == alerts, became
        assert became["new"] == len(words)
        assert set(became) <= {"unmatched", "new", "repeat", "tick"}
        assert self.quell.verb("audit", "verify")["faults"] == []
        for word in words:
            (written,) = bodies(self.quell.story(self.incident(word)), "postmortem.written") or [{}]
            if written:
                text = Path(written["path"]).read_bytes()
                assert hashlib.sha256(text).hexdigest() == written["sha256"]


@pytest.fixture
def site(ssh_host: SshHost, tmp_path: Path) -> Iterator[Site]:
    with EmergencyReceiver().running() as emergency:
        marked, disk = marked_host(ssh_host), Disk(tmp_path / "data")
        sections = {**marked.settings(tmp_path), **emergency.settings}
        quell = Quell(tmp_path, f"127.0.0.1:{free_port()}", sections, ["serve"])
        try:
            quell.start()
            yield Site(quell, disk, marked, emergency)
        finally:
            quell.kill()
            disk.unmount()


def noise(first: int, count: int) -> list[dict[str, str]]:
    """Alerts that no rule of the test's takes, each another one."""
    numbers = range(first, first + count)
    return [
        {"alertname": "FanNoisy", "service": f"svc-{n % 10}", "number": str(n)} for n in numbers
    ]


def test_a_full_disk_keeps_senders_waiting_tears_nothing_and_heals_by_itself(site: Site) -> None:
    quell, marked = site.quell, site.marked
    assert send_one(quell.url, marked.labels("before")) == 200
    assert send_one(quell.url, marked.labels("asked", "asked")) == 200
    wait_until(lambda: marked.marks()["before"] == 1, "a mark before", 30)
    wait_until(lambda: site.incident("asked")["phase"] == "awaiting_approval", "it asks", 30)
    flow = Flow(quell.url, noise(0, 2_000), pause_s=0.02)
    flow.start()
    assert send_one(quell.url, marked.labels("slow", "slowly")) == 200
    wait_until(lambda: marked.begun()["slow"] == 1, "a step has begun on the host", 30)

    site.disk.fill()
    filled = time.monotonic()
    wait_until(lambda: site.ready()[0] == 503, "it is unready", 30)
    assert "is full" in site.ready()[1]
    wait_until(lambda: marked.marks()["slow"] == 1, "the step ends on the host", 30)
    answers, decided = set[int](), set[int]()
    while time.monotonic() - filled < FULL_S:
        answers.add(send_one(quell.url, marked.labels("refused")))
        decided.add(site.approve(site.incident("asked")))
        assert site.healthy() == (200, ""), "a restart would mend nothing"
        time.sleep(1)
    assert answers == {503}
    # SQLite may find room in its own files: then the decision is durable, and 409 says so.
    assert decided <= {503, 200, 409}
    assert set(flow.sent.answers) <= {200, 503}
    assert flow.sent.answers[503] > 0
    assert marked.marks() == {"before": 1, "slow": 1}
    wait_until(lambda: len(site.emergency.texts) == 1, "the emergency address is told", 20)
    assert "can keep no alert since" in site.emergency.texts[0]

    site.disk.empty()
    flow.join(120)
    wait_until(lambda: site.approve(site.incident("asked")) in (200, 409), "it is approved", 60)
    assert send_one(quell.url, marked.labels("after")) == 200
    site.check("before", "asked", "slow", "after", alerts=2_000)
    assert "Traceback" not in quell.log()

    # Killed in the full state, in the middle of a step.
    assert send_one(quell.url, marked.labels("killed", "slowly")) == 200
    wait_until(lambda: marked.begun()["killed"] == 1, "another step has begun", 30)
    site.disk.fill()
    wait_until(lambda: site.ready()[0] == 503, "it is unready again", 30)
    quell.kill()
    # It says why it can't work; a supervisor starts it again and again.
    with pytest.raises(ServiceError, match="ended with 3"):
        quell.start()
    last = quell.log().splitlines()[-1]
    assert "No space left" in last or "is full" in last
    site.disk.empty()
    quell.start()
    site.check("before", "asked", "slow", "after", "killed", alerts=2_000)
    quell.stop()
    for name in ("quell.db", "stream.db"):
        with closing(sqlite3.connect(quell.data / name)) as file:
            assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
