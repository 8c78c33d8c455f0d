"""What the settings and the inventory name, configured and checked; nothing is opened."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog
from pydantic import BaseModel, JsonValue

from connectors import registry
from engine.app.tls import Tls
from engine.catalog import (
    CatalogSources,
    load_catalog,
    shipped_folder,
)
from engine.catalog.sources import Kind, read_sources
from engine.catalog.yaml_composer import compose
from engine.catalog.yaml_nodes import locate
from engine.core.catalog import Catalog
from engine.core.documents import ConnectionDocument
from engine.core.durations import format_duration
from engine.core.findings import Finding, nearest
from engine.core.inventory import Inventory
from engine.core.progress import OWN_SOURCE
from engine.errors import ConfigError
from engine.ports.action import Action
from engine.ports.action_with_secrets import ActionWithSecrets
from engine.ports.credentials import CredentialsConfig
from engine.ports.emergency import Emergency
from engine.ports.known_secrets import KNOWN
from engine.ports.masked_action import MaskedAction
from engine.ports.notifier import Approver, Notifier
from engine.ports.publisher import Publisher
from engine.ports.signer import CheckpointCopy
from engine.ports.source import Source, each_once
from engine.ports.stream import OpenableStream, ReadableStream
from engine.ports.tracker import Tracker
from engine.settings import LoadedSettings, resolve_secrets
from engine.store.checkpoint_file import CheckpointFile
from engine.store.directory import DataDirectory
from engine.store.embedded_stream import EmbeddedStream

log = structlog.get_logger(__name__)
T = TypeVar("T")
P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class Connectors:
    """What the settings and the inventory name, configured and checked; nothing is open."""

    catalog: Catalog
    actions: Mapping[str, Action]
    sources: Mapping[str, Sequence[Source]]
    stream: OpenableStream
    publisher: Publisher | None
    checkpoint_copies: Sequence[CheckpointCopy]
    notifiers: Mapping[str, Notifier]
    approvers: tuple[Approver, ...]
    tracker: Tracker | None
    emergency: Emergency | None
    tls: Tls | None

    def close_with(self, stack: AsyncExitStack) -> None:
        """Close what opens when it is used. The stream has an order of its own."""
        closings = [action.close for action in self.actions.values()]
        closings += [part.close for part in (self.tracker, self.publisher) if part is not None]
        closings += [copy.close for copy in self.checkpoint_copies]
        closings += [source.close for source in each_once(self.sources)]
        for close in closings:
            stack.push_async_callback(close)


def load_connectors(loaded: LoadedSettings, from_files: CatalogSources | None = None) -> Connectors:
    """The catalog and all connectors, checked. Raises ConfigError with the mistakes of all."""
    from_files = from_files or catalog_sources(loaded)
    mistakes = _Collected(loaded.file)
    catalog = mistakes.of(lambda: load_catalog(from_files, registry.declarations()))
    actions = mistakes.of(lambda: _actions(loaded, from_files))
    sources = mistakes.of(lambda: alert_sources(loaded))
    streams = mistakes.of(lambda: _streams(loaded))
    people = mistakes.of(lambda: _people(loaded))
    tracker = mistakes.of(lambda: (_tracker(loaded),))
    emergency = mistakes.of(lambda: (emergency_address(loaded),))
    tls = mistakes.of(lambda: (_tls(loaded),))
    if catalog is None or actions is None or sources is None:
        raise mistakes.error()
    if streams is None or people is None or tracker is None or emergency is None or tls is None:
        raise mistakes.error()
    # Last: which texts are secrets is known once everything is configured.
    _refuse_written_secrets(catalog, from_files)
    return Connectors(catalog, actions, sources, *streams, *people, *tracker, *emergency, *tls)


def checked_catalog(from_files: CatalogSources) -> Catalog:
    """The catalog of these files; no secret is in it. Raises ConfigError with all mistakes."""
    catalog = load_catalog(from_files, registry.declarations())
    _refuse_written_secrets(catalog, from_files)
    return catalog


@dataclass(frozen=True, slots=True)
class _Collected:
    """Mistakes of several parts, so that all are told at once; `file` is for those without one."""

    file: str
    findings: list[object] = field(default_factory=list)

    def of(self, make: Callable[[], T]) -> T | None:
        """What it makes; None where that is a mistake, which is kept."""
        try:
            return make()
        except ConfigError as error:
            known = error.findings or (Finding(self.file, 0, 0, str(error)),)
            self.findings.extend(each for each in known if each not in self.findings)
            return None

    def error(self) -> ConfigError:
        """All that was kept."""
        count = len(self.findings)
        return ConfigError(f"{count} mistake{'s' if count != 1 else ''}", self.findings)


def _refuse_written_secrets(catalog: Catalog, from_files: CatalogSources) -> None:
    """Raises ConfigError for a secret in a text that is kept with the journal, by its hash."""
    masker = KNOWN.masker
    texts = {name: catalog.texts[sha256].decode() for name, sha256 in catalog.files.items()}
    holding = {name: text for name, text in texts.items() if masker.found(text)}
    if not holding:
        return
    paths = {each.name: each.path for each in read_sources(from_files, [])}
    findings = []
    for name, text in holding.items():
        lines = [number for number, line in enumerate(text.splitlines(), 1) if masker.found(line)]
        message = (
            f"the secret {masker.found(text)} is written out here; this file is kept with the "
            "journal: write ${env:NAME}, ${file:PATH} or ${vault:PATH#FIELD} where a secret may "
            "stand, and renew it"
        )
        findings.append(
            Finding(paths.get(name, name), *((lines[0], 1) if lines else (0, 0)), message)
        )
    raise ConfigError("a secret is written out in the catalog", findings)


def catalog_sources(loaded: LoadedSettings) -> CatalogSources:
    """Which files make the catalog: the user's, then what ships."""
    settings = loaded.settings
    return CatalogSources(
        rules=_given(settings.rules_dir),
        playbooks=_given(settings.playbooks_dir),
        shipped=shipped_folder(),
        shipped_mode=settings.shipped_mode,
        commands=_given(settings.commands),
        inventory=settings.inventory,
        policy=settings.policy,
        overlay=settings.rules,
        overlay_file=loaded.file,
        roles=frozenset(settings.people.roles),
        # Without a quell.yaml a playbook can be checked that is written for another place.
        secrets=frozenset(settings.secrets) if loaded.node or settings.secrets else None,
    )


def _given(path: Path | None) -> tuple[Path, ...]:
    return () if path is None else (path,)


def with_path(sources: CatalogSources, path: Path) -> CatalogSources:
    """`path` added by its place: a project's folder, or a file or folder of one kind."""
    given = (*sources.rules, *sources.playbooks, *sources.commands)
    if any(path.resolve().is_relative_to(known.resolve()) for known in given):
        return sources
    if path.is_dir() and path.name not in ("rules", "playbooks"):
        for part in ("rules", "playbooks", "commands.yaml", "inventory.yaml", "policy.yaml"):
            if (path / part).exists():
                sources = with_path(sources, path / part)
        return sources
    if "rules" in (path.name, path.parent.name):
        return replace(sources, rules=(*sources.rules, path))
    if path.name == "commands.yaml":
        return replace(sources, commands=(*sources.commands, path))
    if "playbooks" in (path.name, path.parent.name):
        return replace(sources, playbooks=(*sources.playbooks, path))
    if path.name == "inventory.yaml":
        return replace(sources, inventory=path)
    if path.name == "policy.yaml":
        return replace(sources, policy=path)
    raise ConfigError(
        f"what is {str(path)!r}? Its place tells: a folder rules/ or playbooks/, or the name "
        "commands.yaml, inventory.yaml or policy.yaml"
    )


def _actions(loaded: LoadedSettings, from_files: CatalogSources) -> Mapping[str, Action]:
    """Every action with its connections, whose configurations stand in the inventory's file."""
    inventory, written = Inventory(), loaded
    only = CatalogSources(inventory=from_files.inventory, kept=from_files.kept)
    for file in read_sources(only, []):
        if file.kind is Kind.INVENTORY:
            inventory = load_catalog(CatalogSources(kept=[file]), {}).inventory
            # What it names lies beside it, wherever its text is from.
            path = str(from_files.inventory or loaded.file)
            written = replace(loaded, file=path, node=compose(file.text, path))
    secrets = loaded.settings.secrets
    return {
        name: MaskedAction(ActionWithSecrets(each, secrets))
        for name, each in actions_of(inventory, written).items()
    }


def actions_of(inventory: Inventory, written: LoadedSettings) -> Mapping[str, Action]:
    """Every action with the connections of an inventory, which stands in the file of `written`.

    Raises ConfigError with the mistakes of all connections.
    """
    mistakes, kinds = _Collected(written.file), set[str]()

    def connections(kind: str, model: type[BaseModel]) -> Mapping[str, BaseModel]:
        kinds.add(kind)
        found = {}
        for name, document in inventory.connections.items():
            if document.uses == kind:
                config = mistakes.of(partial(_connection, written, model, name, document))
                if config is not None:
                    found[name] = config
        return found

    actions = registry.build_actions(connections, written.settings.egress)
    for name, document in inventory.connections.items():
        if document.uses not in kinds and written.node is not None:
            place = locate(written.node, ("connections", name, "uses"))
            problem = f"unknown kind of connection {document.uses!r}{nearest(document.uses, kinds)}"
            known = ", ".join(sorted(kinds))
            mistakes.findings.append(Finding(written.file, *place, f"{problem}; there is {known}"))
    if mistakes.findings:
        raise mistakes.error()
    return {action.declaration.name: action for action in actions}


def _connection(
    written: LoadedSettings, model: type[BaseModel], name: str, document: ConnectionDocument
) -> BaseModel:
    """One connection's configuration; its relative paths count from the file that names them."""
    place = ("connections", name)
    values = resolve_secrets(document.model_extra or {}, written.file, place)
    config = written.configure(model, place, values)
    folder = Path(written.file).parent
    paths = {name: folder / value for name, value in config if isinstance(value, Path)}
    return config.model_copy(update=paths)


def stream_of(loaded: LoadedSettings) -> ReadableStream:
    """The stream that the settings name, not open. Raises ConfigError."""
    return _streams(loaded)[0]


def _streams(
    loaded: LoadedSettings,
) -> tuple[ReadableStream, Publisher | None, Sequence[CheckpointCopy]]:
    """The stream, and what else its brokers keep."""
    settings = loaded.settings
    values = dict(settings.stream)
    uses = str(values.pop("uses", "embedded"))
    copies: list[CheckpointCopy] = [CheckpointFile(path) for path in settings.audit.copies]
    if uses == "embedded":
        if values or settings.store.url is not None:
            raise ConfigError(
                "stream: the embedded log has no settings and serves one process; "
                "with a PostgreSQL store use `uses: kafka`"
            )
        if settings.audit.copy_to_stream:
            raise _mistake(
                loaded,
                ("audit", "copy_to_stream"),
                "the embedded log lies beside the database, so who can change one can change the "
                "other: name a file on another disk in audit.copies, or use Kafka",
            )
        path = DataDirectory(settings.data).stream_path
        return EmbeddedStream(path, max_bytes=settings.retention.stream_size), None, copies
    plugin = _plugin(loaded, registry.STREAMS, uses, "stream", ("stream",))
    if "retention" in plugin.config.model_fields:
        values.setdefault("retention", format_duration(settings.retention.stream))
    config = loaded.configure(plugin.config, ("stream",), values)
    if settings.audit.copy_to_stream:
        copies.append(plugin.checkpoints(config))
    return plugin.build(config), plugin.publisher(config), copies


def alert_sources(loaded: LoadedSettings) -> Mapping[str, Sequence[Source]]:
    """The sources by name and by kind."""
    found: dict[str, list[Source]] = {}
    mistakes = _Collected(loaded.file)
    for name, section in loaded.settings.sources.items():
        values = dict(section)
        kind = str(values.pop("uses", name))
        source = mistakes.of(partial(_source, loaded, name, kind, values))
        if source is not None:
            for address in {name, kind}:
                found.setdefault(address, []).append(source)
    if mistakes.findings:
        raise mistakes.error()
    return found


def source_at(loaded: LoadedSettings, address: str) -> Source:
    """The first source of a name or kind; of a kind that isn't configured, one by its defaults.

    Raises ConfigError where there is none.
    """
    sources = alert_sources(loaded)
    if address not in sources and address in registry.SOURCES:
        return _source(loaded, address, address, {})
    return registry.find(sources, address, "source")[0]


def _source(
    loaded: LoadedSettings, name: str, kind: str, values: Mapping[str, JsonValue]
) -> Source:
    place = ("sources", name)
    if name == OWN_SOURCE:
        raise _mistake(
            loaded,
            place,
            f"sources.{name}: quell's own alerts come from a source of this name; choose another",
        )
    plugin = _plugin(loaded, registry.SOURCES, kind, "source", place)
    config = loaded.configure(plugin.config, place, {"name": name, **values})
    if isinstance(config, CredentialsConfig) and config.asks_for_certificates:
        settings = loaded.settings
        if settings.proxy is None and (settings.tls is None or settings.tls.client_ca is None):
            key = "certificates" if config.certificates else "senders"
            raise _mistake(
                loaded,
                (*place, key),
                f"sources.{name}: nobody checks the certificates of senders: set tls.client_ca, or "
                "proxy.certificate_header where a proxy does",
            )
    return plugin.build(config)


def _tls(loaded: LoadedSettings) -> Tls | None:
    """TLS of the listen address; its mistakes are told at its place."""
    section = loaded.settings.tls
    try:
        return None if section is None else Tls.of(section)
    except ConfigError as error:
        raise _mistake(loaded, ("tls",), str(error)) from None


def _plugin(
    loaded: LoadedSettings, plugins: Mapping[str, P], kind: str, what: str, place: tuple[str, ...]
) -> P:
    """The connector that a section `uses`. Raises ConfigError at that place of the file."""
    try:
        return registry.find(plugins, kind, what)
    except ConfigError as error:
        raise _mistake(loaded, (*place, "uses"), str(error)) from None


def _mistake(loaded: LoadedSettings, place: tuple[str, ...], problem: str) -> ConfigError:
    line, column = locate(loaded.node, place) if loaded.node else (0, 0)
    return ConfigError("the settings are not valid", [Finding(loaded.file, line, column, problem)])


def _people(
    loaded: LoadedSettings,
) -> tuple[Mapping[str, Notifier], tuple[Approver, ...]]:
    values = loaded.settings.people.slack
    if values is None:
        return {}, ()
    plugin = registry.NOTIFIERS["slack"]
    config = loaded.configure(plugin.config, ("people", "slack"), values)
    return {"slack": plugin.build(config)}, (registry.APPROVERS["slack"].build(config),)


def _tracker(loaded: LoadedSettings) -> Tracker | None:
    values = loaded.settings.records.jira
    if values is None:
        return None
    plugin = registry.TRACKERS["jira"]
    tracker: Tracker = plugin.build(loaded.configure(plugin.config, ("records", "jira"), values))
    return tracker


def emergency_address(loaded: LoadedSettings) -> Emergency | None:
    """The address that is told when nothing else can be; None without one."""
    values = loaded.settings.emergency
    if values is None:
        return None
    config = loaded.configure(registry.EMERGENCY_CONFIG, ("emergency",), values)
    return registry.build_emergency(config, loaded.settings.egress)
