"""What the composition root does with secrets: its own are known, and none is in the catalog."""

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from engine.app import load_connectors, open_engine
from engine.errors import ConfigError
from engine.ports.known_secrets import KNOWN
from engine.settings import LoadedSettings, load_settings

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
        "is written out here; this file is kept with the journal: write ${env:NAME} or "
        "${file:PATH} where a secret may stand, and renew it"
    )
    assert sorted(map(str, caught.value.findings)) == [
        f"{tmp_path}/inventory.yaml:4:1: the secret connections.p.token {rest}",
        f"{tmp_path}/playbooks/restart-vllm.yaml:{line}:1: the secret store.url {rest}",
    ]


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
