"""Everything around quell is careless with its secrets, and none of them comes out of quell."""

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.doubles.jira_server import JiraServer
from tests.doubles.server_thread import ServerThread
from tests.doubles.slack_server import SlackServer
from tests.scenarios.canaries import (
    Canary,
    Received,
    canary,
    careless_service,
    forms,
    key_canary,
    leaks,
)
from tests.scenarios.careless import COMMANDS, PLAYBOOK, RULES, SCRIPT
from tests.scenarios.quell import PROGRAM, Quell
from tests.scenarios.site import CHANNEL
from tests.services.process import free_port, run, wait_until
from tests.services.ssh_host import SshHost

# What runs in place of the masker, to show that the search finds what it is to find.
WITHOUT_MASKS = """
from engine.core import masking
masking.Masker.mask = lambda self, text: text
masking.Masker.found = lambda self, text: ""
"""
# Asked of the engine while it runs, and of its files when it has ended.
READING: tuple[tuple[str, ...], ...] = (
    ("incidents", "list", "--json"),
    ("incidents", "show", "INC-1"),
    ("audit", "export"),
)
ORDERS: tuple[tuple[str, ...], ...] = (
    ("stop", "--all", "--reason", "REASON"),
    ("resume", "--all", "--reason", "REASON", "--json"),
)
PATHS = (
    "/v1/incidents",
    "/v1/incidents/INC-1",
    "/v1/incidents/INC-2",
    "/v1/approvals/INC-1",
    "/v1/stops",
    "/v1/balance",
    "/v1/audit/export",
    "/v1/dead-letters",
    "/metrics",
    "/healthz",
    "/readyz",
    "/api/v2/status",
    "/v1/nothing",
)


@dataclass
class Place:
    """One installation whose settings are all canaries, and what came out of it so far."""

    folder: Path
    quell: Quell
    slack: SlackServer
    jira: JiraServer
    canaries: Sequence[Canary]
    received: Sequence[Received]
    answers: list[bytes] = field(default_factory=list)
    printed: list[str] = field(default_factory=list)

    def secret(self, setting: str) -> str:
        (found,) = [each.value for each in self.canaries if each.setting == setting]
        return found

    def post(self, body: object, bearer: str) -> int:
        """Post to the alert intake; the status."""
        return self.ask("/v1/alerts/alertmanager", json.dumps(body).encode(), f"Bearer {bearer}")

    def ask(self, path: str, body: bytes | None = None, authorization: str = "") -> int:
        request = urllib.request.Request(f"{self.quell.url}{path}", body)
        if authorization:
            request.add_header("authorization", authorization)
        # As from another machine: on this one nobody has to say who they are.
        request.add_header("x-forwarded-for", "203.0.113.9")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                status, shown = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, shown = error.code, error.read()
        self.answers.append(shown)
        return int(status)

    def verb(self, *words: str) -> None:
        """A verb as a person types it; what it prints is kept."""
        words = tuple(word.replace("REASON", self.secret("access.token")) for word in words)
        self.printed.append(run([PROGRAM, *words, "--data", self.quell.data], statuses=(0, 1, 2)))

    def alert(self, service: str, status: str) -> Mapping[str, Any]:
        """A webhook's body; its host is the one that the inventory knows."""
        labels = {"alertname": "Down", "service": service, "instance": "gpu-07"}
        now = datetime.now(UTC).isoformat()
        ends = {"endsAt": now} if status == "resolved" else {}
        alert = {"status": status, "labels": labels, "annotations": {}, "startsAt": now, **ends}
        return {"version": "4", "status": status, "alerts": [alert]}

    def sinks(self) -> dict[str, bytes]:
        """All that quell wrote, told or answered."""
        data = self.quell.data
        stored = [data / "quell.db", data / "quell.db-wal", data / "stream.db"]
        files = {path.name: path.read_bytes() for path in stored if path.exists()}
        written = [*data.rglob("*.md"), self.folder / "checkpoints.jsonl"]
        return {
            **files,
            "log": (self.folder / "quell.log").read_bytes(),
            "verbs": "\n".join(self.printed).encode(),
            "answers": b"\n".join(self.answers),
            "files": b"\n".join(path.read_bytes() for path in written),
            "slack": repr(self.slack.requests()).encode(),
            "jira": repr(self.jira.requests()).encode(),
        }


@pytest.fixture(
    params=[
        pytest.param(True, id="masked"),
        pytest.param(False, id="without masks", marks=pytest.mark.slow),
    ]
)
def is_masked(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: Any) -> bool:
    """Whether the product's masker is at work in the processes of this test."""
    if not request.param:
        (tmp_path / "sitecustomize.py").write_text(WITHOUT_MASKS)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return bool(request.param)


@pytest.fixture
def place(
    is_masked: bool,
    tmp_path: Path,
    ssh_host: SshHost,
    slack: SlackServer,
    jira: JiraServer,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Place]:
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    canaries = [
        canary("access.token"),
        key_canary("audit.signing_key", pem),
        canary("people.slack.app_token", before="xapp-"),
        canary("people.slack.bot_token", before="xoxb-"),
        canary("records.jira.token"),
        canary("sources.alertmanager.bearer.0"),
        canary("sources.alertmanager.basic.0.password", after="\nlast line é€😀"),
        canary("secrets.balancer-token"),
        canary("connections.by-token.token"),
        canary("connections.by-password.password"),
        canary("connections.vendor.api_key"),
        key_canary("connections.ssh-lab.client_key", ssh_host.client_key.read_text()),
    ]
    slack.app_token, slack.bot_token = (each.value for each in canaries[2:4])
    jira.token = canaries[4].value
    shown = "\n".join(form for each in canaries for form in forms(each.value))
    ssh_host.add_program("careless", SCRIPT)
    ssh_host.add_program("careless.txt", shown)
    received: list[Received] = []
    service = ServerThread(careless_service(canaries, received), "careless-service")
    service.start()
    sections = _write(tmp_path, f"http://{service.address}", ssh_host, canaries, monkeypatch)
    sections["people"]["slack"]["base_url"] = slack.base_url
    sections["records"]["jira"] |= {"url": jira.url, "email": jira.email}
    quell = Quell(tmp_path, f"127.0.0.1:{free_port()}", sections, ["serve"])
    try:
        yield Place(tmp_path, quell, slack, jira, canaries, received)
    finally:
        quell.stop()
        service.stop()


def _write(
    folder: Path,
    service: str,
    host: SshHost,
    canaries: Sequence[Canary],
    monkeypatch: pytest.MonkeyPatch,
) -> dict[str, Any]:
    """The files of this installation; sections of quell.yaml. Secrets are in the environment."""
    names = {each.setting: f"CANARY_{number}" for number, each in enumerate(canaries)}
    for each in canaries:
        monkeypatch.setenv(names[each.setting], each.value)

    def secret(setting: str) -> str:
        return f"${{env:{names[setting]}}}"

    for name, text in {
        "rules/all.yaml": RULES,
        "playbooks/careless.yaml": PLAYBOOK.replace("SERVICE", service),
        "playbooks/commands.yaml": COMMANDS,
        "inventory.yaml": yaml.safe_dump(_inventory(service, host, secret)),
    }.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    basic = {"user": "am", "password": secret("sources.alertmanager.basic.0.password")}
    return {
        "rules_dir": "rules",
        "playbooks_dir": "playbooks",
        "inventory": "inventory.yaml",
        "access": {"token": secret("access.token")},
        "audit": {
            "signing_key": secret("audit.signing_key"),
            "copies": [str(folder / "checkpoints.jsonl")],
        },
        "egress": {"allow": ["127.0.0.1"]},
        "sources": {
            "alertmanager": {
                "uses": "alertmanager",
                "bearer": [secret("sources.alertmanager.bearer.0")],
                "basic": [basic],
            }
        },
        "people": {
            "slack": {
                "app_token": secret("people.slack.app_token"),
                "bot_token": secret("people.slack.bot_token"),
                "channel": CHANNEL,
            },
        },
        "records": {"jira": {"token": secret("records.jira.token"), "project": "OPS"}},
        "secrets": {"balancer-token": secret("secrets.balancer-token")},
    }


def _inventory(service: str, host: SshHost, secret: Callable[[str], str]) -> dict[str, Any]:
    prometheus = {"uses": "prometheus", "url": service}
    return {
        "language": 1,
        "targets": {
            "gpu-07": {
                "kind": "host",
                "address": host.address,
                "port": host.port,
                "url": service,
                "connection": "ssh-lab",
            }
        },
        "connections": {
            "ssh-lab": {
                "uses": "ssh",
                "user": host.user,
                "client_key": str(host.client_key),
                "known_hosts": str(host.known_hosts),
            },
            "by-token": {**prometheus, "token": secret("connections.by-token.token")},
            "by-password": {
                **prometheus,
                "user": "quell",
                "password": secret("connections.by-password.password"),
            },
            "vendor": {"uses": "llm", "api_key": secret("connections.vendor.api_key")},
        },
    }


def play(place: Place) -> None:
    """Two incidents, in which everybody who can shows a secret."""
    slack, jira, quell = place.slack, place.jira, place.quell
    app_token, bot_token = place.secret("people.slack.app_token"), slack.bot_token
    bearer = place.secret("sources.alertmanager.bearer.0")
    slack.fail_next("apps.connections.open", 200, error=f"token_revoked: {app_token}")
    slack.fail_next("chat.postMessage", 503, error=f"no_service for {bot_token}")
    jira.fail_next("server_info", 500, message=f"cannot authenticate {jira.token}")
    quell.start()

    assert place.post({"was": "to be", "bearer": bearer}, "wrong") == 401
    assert place.ask("/v1/incidents", authorization=f"Bearer {app_token}") == 401
    assert place.post(place.alert("llm", "firing"), bearer) == 200
    quell.wait_for_incident("careless", phase="awaiting_approval")
    slack.fail_next("chat.update", 200, error=f"invalid_auth: {bot_token}")
    place.verb("approve", "INC-1", "--reason", f"as {bearer} says")
    wait_until(lambda: _has(quell, "INC-1", "outcome"), "the run has ended", 60)
    place.post(place.alert("llm", "resolved"), bearer)
    wait_until(lambda: len(jira.issues()) > 0, "the issue in Jira", 60)

    jira.fail_next("search", 401, message=f"Basic authentication failed: {jira.token}")
    password = place.secret("sources.alertmanager.basic.0.password")
    basic = base64.b64encode(f"am:{password}".encode()).decode()
    firing = json.dumps(place.alert("llm-2", "firing")).encode()
    assert place.ask("/v1/alerts/alertmanager", firing, f"Basic {basic}") == 200
    wait_until(lambda: _has(quell, "INC-2", "run_id"), "a second run", 60)
    place.post(place.alert("llm-2", "resolved"), bearer)
    log = place.folder / "quell.log"
    wait_until(lambda: "ticket_refused" in log.read_text(), "the second issue is refused", 60)


def _has(quell: Quell, name: str, field: str) -> bool:
    return any(each["name"] == name and each[field] for each in quell.incidents())


def look_around(place: Place) -> None:
    """Ask for all that can be shown, while the engine runs and when it has ended."""
    for words in (*ORDERS, *READING):
        place.verb(*words)
    for path in PATHS:
        place.ask(path, authorization=f"Bearer {place.secret('access.token')}")
    config = place.folder / "quell.yaml"
    for verb in ("check", "plan careless -p host=gpu-07"):
        place.printed.append(run([PROGRAM, *verb.split(), "--config", config], statuses=(0, 1, 2)))
    wait_until((place.folder / "checkpoints.jsonl").exists, "a copy of a checkpoint", 90)
    place.quell.stop()
    for words in READING:
        place.verb(*words)


def test_no_secret_is_in_anything_that_leaves_quell(place: Place, *, is_masked: bool) -> None:
    play(place)
    look_around(place)
    token = place.secret("secrets.balancer-token")
    told = [each for each in place.received if each.method == "POST"]
    assert {(each.authorization, each.body) for each in told} == {
        (f"Bearer {token}", json.dumps({"token": token}, separators=(",", ":")))
    }
    found = leaks(place.canaries, place.sinks())
    if is_masked:
        assert found == {}
        assert b"[masked" in place.sinks()["slack"]
        return
    settings = {each.setting for each in place.canaries}
    for sink in ("log", "verbs", "answers", "quell.db", "files", "slack", "jira"):
        assert sink in found, f"nothing leaked into {sink}: the test would not see it"
    assert set.union(*found.values()) == settings
