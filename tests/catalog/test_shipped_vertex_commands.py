"""What the shipped commands for Vertex AI send, and that no split of theirs is an outage."""

import json
import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from engine.core.host_commands import render_command
from engine.core.json_value import Json
from engine.errors import PermanentError
from tests.catalog.test_shipped_commands import COMMANDS, Host, Page, served
from tests.services.certificates import Authority

TOKEN = "ya29.token-of-the-host"
API = "europe-west4-aiplatform.googleapis.com"
ENDPOINT = {"project": "acme-prod", "region": "europe-west4", "endpoint": "777"}


@dataclass
class Api:
    """What was asked of it, and which processes showed the token meanwhile."""

    asked: list[tuple[str, Json]] = field(default_factory=list)
    shown_by: list[str] = field(default_factory=list)
    refuses: bool = False


def processes_that_show(secret: str) -> Iterator[str]:
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                content = (process / name).read_bytes()
            except OSError:  # it ended meanwhile, or is another user's
                continue
            if secret.encode() in content:
                yield content.decode(errors="replace")


@contextmanager
def an_api(host: Host) -> Iterator[Api]:
    """Plays mutateDeployedModel where curl looks for it; the path has the host's own programs."""
    api = Api()

    class Answers(Page):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            api.shown_by.extend(processes_that_show(TOKEN))
            known = self.headers["Authorization"] == f"Bearer {TOKEN}"
            if known:
                api.asked.append((self.headers["Host"] + self.path, body))
            answer = b'{"error": {"message": "no quota"}}' if api.refuses else b'{"name": "op"}'
            self.send_response(401 if not known else 429 if api.refuses else 200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    authority = Authority(host.root / "authority")
    issued = authority.issue(API, [API])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.certificate, issued.key)
    with served(Answers, context) as address:
        host.at("/.curlrc").write_text(f'connect-to = "{API}:443:{address}"\n')
        host.variables |= {
            "HOME": str(host.root),
            "CURL_CA_BUNDLE": str(authority.certificate),
            "PATH": f"{host.root}/bin:{os.environ['PATH']}",
        }
        yield api


def gcloud(host: Host, does: str) -> None:
    program = host.at("/bin/gcloud")
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/sh\n{does}\n")
    program.chmod(0o755)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    made = Host(tmp_path)
    gcloud(made, f'[ "$*" = "auth print-access-token --quiet" ] && echo {TOKEN}')
    return made


def test_replicas_are_asked_for_and_no_process_shows_the_token(host: Host) -> None:
    with an_api(host) as api:
        ended = host.run("set-vertex-replicas", **ENDPOINT, model="222", least=3, most=6)
    assert ended == (0, '{"name": "op"}')
    path = "/v1/projects/acme-prod/locations/europe-west4/endpoints/777:mutateDeployedModel"
    numbers = {"minReplicaCount": 3, "maxReplicaCount": 6}
    mask = "dedicatedResources.minReplicaCount,dedicatedResources.maxReplicaCount"
    wanted = {"deployedModel": {"id": "222", "dedicatedResources": numbers}, "updateMask": mask}
    assert api.asked == [(API + path, wanted)]
    assert api.shown_by == []


def test_what_the_api_refuses_is_a_failure_with_its_reason(host: Host) -> None:
    with an_api(host) as api:
        api.refuses = True
        ended = host.run("set-vertex-replicas", **ENDPOINT, model="222", least=3, most=6)
    assert ended == (22, '{"error": {"message": "no quota"}}')


def test_without_a_token_nothing_is_changed(host: Host) -> None:
    gcloud(host, "exit 1")
    with an_api(host) as api:
        ended = host.run("set-vertex-replicas", **ENDPOINT, model="222", least=3, most=6)
    assert (ended[0], api.asked) == (22, [])


SPLIT: dict[str, Json] = {**ENDPOINT, "model": "222", "percent": 90, "other": "111", "rest": 10}


def test_two_models_share_the_requests() -> None:
    argv = render_command("set-vertex-traffic", COMMANDS["set-vertex-traffic"], SPLIT).argv
    assert "--traffic-split=222=90,111=10" in argv


@pytest.mark.parametrize(
    "given",
    [
        {"percent": 0},
        {"percent": 101},
        {"model": ""},
        {"model": "222=0,333"},
        {"other": "-1"},
        {"rest": 100},
    ],
    ids=str,
)
def test_no_split_is_empty_or_of_others(given: dict[str, Json]) -> None:
    with pytest.raises(PermanentError, match="argument"):
        render_command("set-vertex-traffic", COMMANDS["set-vertex-traffic"], {**SPLIT, **given})
