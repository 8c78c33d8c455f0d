"""The composition root: opened in order, closed in reverse, and told where it is wrong."""

import asyncio
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from connectors import registry
from connectors.actions.ssh import SshConfig
from engine.app import (
    Engine,
    load_connectors,
    open_deciding,
    open_engine,
    open_reading,
)
from engine.core import events
from engine.core.egress import EgressConfig
from engine.core.findings import Finding
from engine.errors import ConfigError, TransientError
from engine.ports.action import Action
from engine.ports.notifier import Click
from engine.ports.rows import IncidentFilter
from engine.ports.source import Sender
from engine.ports.store import Tx
from engine.settings import ALL_ROLES, LoadedSettings, load_settings
from engine.store.directory import DataDirectory
from engine.store.embedded_stream import EmbeddedStream
from engine.store.sqlite_store import SqliteStore

INVENTORY = """\
language: 1
targets: {gpu-07: {kind: host, address: 127.0.0.1, connection: lab, service: llm}}
services: {llm: {environment: staging}}
connections:
  lab: {uses: ssh, user: quell, known_hosts: ssh/known_hosts, client_key: /etc/quell/key}
"""


def settings(folder: Path, text: str = "", inventory: str = INVENTORY) -> LoadedSettings:
    """quell.yaml of a folder, with an inventory in a folder of its own."""
    (folder / "estate").mkdir(exist_ok=True)
    (folder / "estate" / "inventory.yaml").write_text(inventory)
    file = folder / "quell.yaml"
    file.write_text(f"listen: 127.0.0.1:0\ndata: data\ninventory: estate/inventory.yaml\n{text}")
    return load_settings(file, {})


def places(caught: pytest.ExceptionInfo[ConfigError], folder: Path) -> list[str]:
    """`file:line:column`, and the first words of what is wrong."""
    found = [each for each in caught.value.findings if isinstance(each, Finding)]
    assert len(found) == len(caught.value.findings)
    return [str(each).removeprefix(f"{folder}/") for each in found]


def note_closings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The parts as they are closed, by the names of their types."""
    closed: list[str] = []

    async def note_store(part: SqliteStore) -> None:
        closed.append("store")
        await close_store(part)

    async def note_stream(part: EmbeddedStream) -> None:
        closed.append("stream")
        await close_stream(part)

    def note_directory(part: DataDirectory) -> None:
        closed.append("lock")
        close_directory(part)

    close_store, close_stream = SqliteStore.close, EmbeddedStream.close
    close_directory = DataDirectory.close
    monkeypatch.setattr(SqliteStore, "close", note_store)
    monkeypatch.setattr(EmbeddedStream, "close", note_stream)
    monkeypatch.setattr(DataDirectory, "close", note_directory)
    return closed


def threads_of_parts() -> list[str]:
    names = (thread.name for thread in threading.enumerate())
    return [name for name in names if name.startswith(("store-", "stream-"))]


async def test_parts_are_closed_in_reverse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = note_closings(monkeypatch)
    async with open_engine(settings(tmp_path)):
        assert closed == []
        assert threads_of_parts() != []
    assert closed == ["stream", "store", "lock"]
    assert threads_of_parts() == []


@pytest.mark.parametrize(
    ("broken", "closed_parts"),
    [
        pytest.param("stream.db", ["stream", "store", "lock"], id="stream"),
        pytest.param("quell.db", ["store", "lock"], id="store"),
    ],
)
async def test_what_was_open_is_closed_when_a_part_fails_to_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str, closed_parts: list[str]
) -> None:
    loaded, closed = settings(tmp_path), note_closings(monkeypatch)
    loaded.settings.data.mkdir()
    (loaded.settings.data / broken).write_bytes(b"this is no database" * 100)
    with pytest.raises(ConfigError, match=broken):
        async with open_engine(loaded):
            pass
    assert closed == closed_parts
    assert threads_of_parts() == []
    again = DataDirectory(loaded.settings.data)
    again.open()
    again.close()


async def test_a_mistake_is_found_before_anything_is_opened(tmp_path: Path) -> None:
    loaded = settings(tmp_path, "sources: {am: {uses: alertmanager, max_body_mib: 0}}\n")
    with pytest.raises(ConfigError):
        async with open_engine(loaded):
            pass
    assert not loaded.settings.data.exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("store: {url: 'postgresql://x@127.0.0.1:9/x'}", "audit.required", id="none"),
        pytest.param("audit: {required: true, signing_key: nonsense}", "no Ed25519 key", id="bad"),
    ],
)
async def test_without_a_key_that_is_required_nothing_is_opened(
    tmp_path: Path, text: str, said: str
) -> None:
    if "audit" not in text:
        kafka = "stream: {uses: kafka, bootstrap_servers: ['127.0.0.1:9']}\n"
        text += f"\n{kafka}audit: {{required: true}}"
    with pytest.raises(ConfigError, match=said):
        async with open_engine(settings(tmp_path, text + "\n")):
            pass
    assert not (tmp_path / "data").exists()


async def test_a_folder_signs_with_a_key_of_its_own(tmp_path: Path) -> None:
    reports = []
    for _ in range(2):
        async with open_engine(settings(tmp_path)) as engine:
            claimed = await engine.store.write(lambda tx: tx.claim_task("w", 1.0, ["checkpoint"]))
            assert claimed is not None
            await engine.tasks.handlers["checkpoint"](claimed)
            reports.append(await engine.queries.verify_audit())
    async with open_reading(tmp_path / "data") as queries:
        reports.append(await queries.verify_audit())
    assert reports[0] == reports[1] == reports[2]  # nothing changed since the first
    assert (reports[0].faults, reports[0].notes) == ((), ())
    assert reports[0].verified_checkpoint == 1


async def versions(engine: Engine) -> list[str]:
    entries = await engine.store.read(lambda tx: tx.entries("system"))
    found = [entry.event() for entry in entries]
    return [each.version for each in found if isinstance(each, events.CatalogActivated)]


def all_kept(tx: Tx, texts: Mapping[str, bytes]) -> bool:
    return all(tx.text(sha256) == text for sha256, text in texts.items())


async def test_each_change_of_the_catalog_is_journaled_once(tmp_path: Path) -> None:
    changed = INVENTORY.replace("staging", "production")
    seen, journaled = list[str](), list[str]()
    for inventory in (INVENTORY, INVENTORY, changed, INVENTORY):
        async with open_engine(settings(tmp_path, inventory=inventory)) as engine:
            seen.append(engine.catalogs.active.version)
            journaled = await versions(engine)
            texts = engine.catalogs.active.texts
            assert await engine.store.read(partial(all_kept, texts=texts))
    assert seen[0] == seen[1] == seen[3] != seen[2]
    assert journaled == [seen[0], seen[2], seen[3]]


async def test_sources_of_one_kind_are_found_by_kind_and_each_by_its_name(tmp_path: Path) -> None:
    loaded = settings(
        tmp_path,
        "sources:\n  fra: {uses: alertmanager, bearer: [a]}\n"
        "  muc: {uses: alertmanager, bearer: [b]}\n",
    )
    sources = load_connectors(loaded).sources
    names = {address: [each.name for each in found] for address, found in sources.items()}
    assert names == {"alertmanager": ["fra", "muc"], "fra": ["fra"], "muc": ["muc"]}
    now = datetime(2026, 3, 1, tzinfo=UTC)
    for token, outcome in (("b", "admitted"), ("a", "denied")):
        sender = Sender({"authorization": f"Bearer {token}"})
        assert (await sources["muc"][0].admit(sender, now)).outcome == outcome


def test_paths_of_connections_count_from_the_inventorys_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, SshConfig] = {}

    def build_actions(connections: Any, _egress: EgressConfig) -> list[Action]:
        asked.update(connections("ssh", SshConfig))
        return []

    loaded = settings(tmp_path)
    declared = registry.declarations()
    monkeypatch.setattr(registry, "declarations", lambda: declared)
    monkeypatch.setattr(registry, "build_actions", build_actions)
    load_connectors(loaded)
    assert asked["lab"].known_hosts == tmp_path / "estate" / "ssh" / "known_hosts"
    assert asked["lab"].client_key == Path("/etc/quell/key")


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        pytest.param(
            "user: quell",
            "user: 'no good'",
            ["estate/inventory.yaml:5:26: this must have the form ^[A-Za-z_][A-Za-z0-9._-]{0,63}$"],
            id="value",
        ),
        pytest.param(
            "user: quell, known_hosts: ssh/known_hosts",
            "users: quell",
            [
                "estate/inventory.yaml:5:8: key 'user' is missing; key 'known_hosts' is missing",
                "estate/inventory.yaml:5:20: unknown key 'users', did you mean 'uses'?",
            ],
            id="keys",
        ),
        pytest.param(
            "connections:",
            "connections:\n  prom: {uses: promtheus, url: 'http://p'}",
            [
                "estate/inventory.yaml:5:16: unknown kind of connection 'promtheus', did you mean "
                "'prometheus'?; there is llm, prometheus, ssh"
            ],
            id="kind",
        ),
    ],
)
def test_a_wrong_connection_is_told_in_the_inventory(
    tmp_path: Path, old: str, new: str, found: list[str]
) -> None:
    assert old in INVENTORY
    loaded = settings(tmp_path, inventory=INVENTORY.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        load_connectors(loaded)
    assert places(caught, tmp_path) == found


def test_no_secret_of_a_connection_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_TOKEN", "hunter2")
    connection = "  p: {uses: prometheus, url: 'http://p', token: '${env:LAB_TOKEN}', timeout: x}\n"
    with pytest.raises(ConfigError) as caught:
        load_connectors(settings(tmp_path, inventory=INVENTORY + connection))
    assert "timeout" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_mistakes_of_all_parts_are_told_at_once(tmp_path: Path) -> None:
    loaded = settings(
        tmp_path,
        "sources: {am: {uses: alertmanger}, b: {uses: alertmanager, bearr: [x]}}\n"
        "stream: {uses: kafak}\n"
        "people: {slack: {app_tokn: x}}\n"
        "records: {jira: {}}\n",
        inventory=INVENTORY.replace("user", "usr"),
    )
    with pytest.raises(ConfigError) as caught:
        load_connectors(loaded)
    lines = {place.split(": ")[0].rsplit(":", 1)[0] for place in places(caught, tmp_path)}
    assert lines == {f"quell.yaml:{line}" for line in (4, 5, 6, 7)} | {"estate/inventory.yaml:5"}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("stream: {uses: embedded, partitions: 3}\n", id="settings-it-has-not"),
        pytest.param("store: {url: 'postgresql://u:hunter2@h/d'}\n", id="a-shared-store"),
    ],
)
def test_the_embedded_stream_serves_one_process_as_it_is(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="serves one process") as caught:
        load_connectors(settings(tmp_path, text))
    assert "hunter2" not in str(caught.value)


async def running(loaded: LoadedSettings, started: "asyncio.Queue[str]") -> None:
    async with open_engine(loaded) as engine:
        await engine.run(ALL_ROLES, started.put_nowait)


@pytest.mark.parametrize(
    ("listen", "url"),
    [
        pytest.param("127.0.0.1:0", "http://127.0.0.1:", id="loopback"),
        pytest.param("'[::1]:0'", "http://[::1]:", id="ipv6"),
        pytest.param("0.0.0.0:0", "http://127.0.0.1:", id="a-wildcard-is-no-address"),
    ],
)
async def test_the_address_that_is_told_can_be_connected_to(
    tmp_path: Path, listen: str, url: str
) -> None:
    loaded = settings(
        tmp_path,
        "access: {token: t}\nsources: {am: {uses: alertmanager, bearer: [b]}}\n",
    )
    file = tmp_path / "quell.yaml"
    file.write_text(file.read_text().replace("listen: 127.0.0.1:0", f"listen: {listen}"))
    loaded = load_settings(file, {})
    started: asyncio.Queue[str] = asyncio.Queue()
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        task = group.create_task(running(loaded, started))
        told = await started.get()
        host, _, port = told.removeprefix("http://").rpartition(":")
        _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
        writer.close()
        await writer.wait_closed()
        task.cancel()
    assert told.startswith(url)


async def test_a_click_of_a_stranger_gets_a_sentence(tmp_path: Path) -> None:
    async with open_engine(settings(tmp_path)) as engine:
        click = Click(
            approval_id="none",
            decision="approved",
            plan_hash="h",
            actor="slack:T1/U2",
            via="slack",
        )
        assert await engine.decide(click) == "there is no approval 'none'"


async def test_what_keeps_it_from_taking_alerts_is_told(tmp_path: Path) -> None:
    async with open_engine(settings(tmp_path)) as engine:
        assert await engine.parts.ready() == []
        await engine.stream.close()  # type: ignore[attr-defined]
        assert await engine.parts.ready() == ["stream: the embedded stream is closed"]


async def test_a_folder_on_kafka_is_read_without_making_a_stream(tmp_path: Path) -> None:
    loaded = settings(tmp_path)
    async with open_engine(loaded):
        pass
    (loaded.settings.data / "stream.db").unlink()
    async with open_reading(loaded.settings.data) as queries:
        assert await queries.incidents(IncidentFilter()) == []
        with pytest.raises(TransientError, match="stream is closed"):
            await queries.balance()
    assert not (loaded.settings.data / "stream.db").exists()


async def test_deciding_in_a_folder_keeps_its_catalog_and_its_lock(tmp_path: Path) -> None:
    loaded = settings(tmp_path)
    async with open_engine(loaded) as engine:
        active = await versions(engine)
    async with open_deciding(loaded.settings.data) as commands:
        assert [commands.catalogs.active.version] == active
        with pytest.raises(ConfigError, match="in use by a running engine"):
            async with open_engine(loaded):
                pass
    async with open_engine(loaded) as engine:
        assert await versions(engine) == active
