"""What the composition root does with secrets: its own are known, and none is in the catalog."""

import asyncio
import base64
from pathlib import Path
from urllib.parse import quote

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from engine.app import load_connectors, open_engine
from engine.app.rehearsing import rehearse_plan
from engine.core.actions import Call
from engine.core.reporting import prepared
from engine.errors import ConfigError, QuellError
from engine.ports.known_secrets import KNOWN
from engine.settings import LoadedSettings, load_settings
from tests.doubles.server_thread import ServerThread

SHIPPED = Path(__file__).parents[2] / "playbooks" / "restart-vllm.yaml"
INVENTORY = """\
language: 1
connections:
  lab: {uses: ssh, user: quell, known_hosts: known_hosts, client_key: key}
  p: {uses: prometheus, url: 'http://p', token: written-out-1}
"""


def settings(folder: Path, text: str = "") -> LoadedSettings:
    file = folder / "quell.yaml"
    file.write_text(f"listen: 127.0.0.1:0\ndata: data\n{text}")
    return load_settings(file, {})


def test_a_secret_that_is_written_out_in_the_catalog_is_refused_in_its_place(
    tmp_path: Path,
) -> None:
    (tmp_path / "playbooks").mkdir()
    leaking = SHIPPED.read_text().replace("description: ", "description: with p@ss-w0rd-1, ", 1)
    assert leaking != SHIPPED.read_text()
    (tmp_path / "playbooks" / "restart-vllm.yaml").write_text(leaking)
    (tmp_path / "inventory.yaml").write_text(INVENTORY)
    text = (
        "inventory: inventory.yaml\n"
        "playbooks_dir: playbooks\n"
        "store: {url: 'postgresql://u:p%40ss-w0rd-1@h/d'}\n"
        "stream: {uses: kafka, bootstrap_servers: ['k:9']}\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_connectors(settings(tmp_path, text))
    line = leaking[: leaking.index("p@ss")].count("\n") + 1
    rest = (
        "is written out here; this file is kept with the journal: write ${env:NAME}, "
        "${file:PATH} or ${vault:PATH#FIELD} where a secret may stand, and renew it"
    )
    assert sorted(map(str, caught.value.findings)) == [
        f"{tmp_path}/inventory.yaml:4:1: the secret connections.p.token {rest}",
        f"{tmp_path}/playbooks/restart-vllm.yaml:{line}:1: the secret store.url {rest}",
    ]


TELL = """\
language: 1
id: tell
description: Asks the balancer
parameters:
  token: {type: secret, values: [balancer]}
steps: [{id: settle, wait: 1s}]
verify:
  - id: asked
    uses: http.request
    with: {method: GET, url: 'URL', headers: {authorization: 'Bearer ${{ params.token }}'}}
    until: result.ok
    within: 1m
"""


def telling(folder: Path, url: str, secrets: str) -> LoadedSettings:
    (folder / "playbooks").mkdir()
    (folder / "playbooks" / "tell.yaml").write_text(TELL.replace("URL", url))
    text = "playbooks_dir: playbooks\negress: {allow: ['127.0.0.1']}\n"
    return settings(folder, f"{text}secrets: {secrets}\n")


async def test_a_playbook_gets_the_secret_whose_name_it_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BALANCER_TOKEN", "ba-lancer-1234")
    seen: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request.headers["authorization"])
        encoded = base64.b64encode(seen[-1].encode()).decode()
        return web.Response(text=f"{seen[-1]} {encoded} {quote(seen[-1])}")

    app = web.Application()
    app.router.add_get("/", answer)
    server = ServerThread(app, "balancer")
    server.start()
    try:
        loaded = telling(
            tmp_path, f"http://{server.address}/", "{balancer: '${env:BALANCER_TOKEN}'}"
        )
        rendered = rehearse_plan(loaded, "tell", {"token": "balancer"})
        (step,) = rendered.plan.of("verify")
        action = load_connectors(loaded).actions["http.request"]
        result = await action.execute(Call(prepared(step), "attempt-1", 10.0))
    finally:
        server.stop()
    assert seen == ["Bearer ba-lancer-1234"]
    assert b"${secret:balancer}" in rendered.plan.to_bytes()
    assert b"ba-lancer" not in rendered.plan.to_bytes()
    shown = str(result.outputs["body"]).split()
    assert shown == ["Bearer", "[masked]", "QmVhcmVyIG[masked]", "Bearer%20[masked]"]


def test_a_run_by_hand_gets_no_secret_that_its_playbook_does_not_take(tmp_path: Path) -> None:
    loaded = telling(tmp_path, "http://127.0.0.1:9/", "{balancer: ba-lancer-1, slack: sl-ack-12}")
    with pytest.raises(QuellError, match=r"token: 'slack' isn't one of .* takes \(balancer\)"):
        rehearse_plan(loaded, "tell", {"token": "slack"})
    assert rehearse_plan(loaded, "tell", {"token": "balancer"}).plan.of("verify")


def test_a_run_by_hand_names_a_secret_of_quell_yaml(tmp_path: Path) -> None:
    loaded = telling(tmp_path, "http://127.0.0.1:9/", "{balancer: ba-lancer-1}")
    path = tmp_path / "playbooks" / "tell.yaml"
    path.write_text(path.read_text().replace("values: [balancer]", "pattern: 'ba.+'"))
    with pytest.raises(QuellError, match=r"'balancr' is none of .* did you mean 'balancer'"):
        rehearse_plan(loaded, "tell", {"token": "balancr"})


async def test_a_secret_that_no_text_can_be_rid_of_is_told_by_its_place(tmp_path: Path) -> None:
    with capture_logs() as logs:
        async with open_engine(settings(tmp_path, "access: {token: hunter2}\n")) as engine:
            started: asyncio.Queue[str] = asyncio.Queue()
            async with asyncio.TaskGroup() as group:
                running = group.create_task(engine.run(frozenset(), started.put_nowait))
                await started.get()
                running.cancel()
    told = [each for each in logs if each["event"] == "secret_not_masked"]
    assert [(each["setting"], each["log_level"]) for each in told] == [("access.token", "warning")]
    assert "hunter2" not in repr(logs)


async def test_what_quell_makes_for_itself_is_known_too(tmp_path: Path) -> None:
    async with open_engine(settings(tmp_path)) as engine:
        assert KNOWN.masker.found(engine.token.get_secret_value()) == "access.token"
        pem = (engine.loaded.settings.data / "audit-key.pem").read_text()
        assert KNOWN.masker.found(pem) == "audit.signing_key"
