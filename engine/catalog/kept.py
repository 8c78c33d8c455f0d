"""The texts of an earlier catalog version, made files again."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TypeAlias

from pydantic import TypeAdapter, ValidationError

from engine.catalog.loading import OVERLAY_NAME
from engine.catalog.sources import CatalogSources, Kind, SourceFile, kind_within
from engine.catalog.yaml_reading import read_plain
from engine.core.documents import CommandsDocument, InventoryDocument
from engine.core.rule_documents import RuleOverlay
from engine.errors import ConfigError

Overlays: TypeAlias = Mapping[str, RuleOverlay]

_OVERLAYS: TypeAdapter[Overlays] = TypeAdapter(Overlays)
_FOLDERS = {"rules": Kind.RULES, "playbooks": Kind.PLAYBOOK}
# Of what lies in neither folder; no two of them know the same word, and the policy knows the rest.
_WORDS = {
    Kind.COMMANDS: frozenset(CommandsDocument.model_fields) - {"language"},
    Kind.INVENTORY: frozenset(InventoryDocument.model_fields) - {"language"},
}


def kept_sources(texts: Mapping[str, bytes], now: CatalogSources) -> CatalogSources:
    """The files and the overlay of the version that had these texts, by name.

    What isn't part of a version, as the roles, is that of `now`. Raises ConfigError for a text
    that can't be read any more.
    """
    files = [_kept(name, text) for name, text in texts.items() if name != OVERLAY_NAME]
    return replace(
        now,
        kept=sorted(files, key=lambda each: (each.shipped, each.name.encode())),
        overlay=_overlay(texts.get(OVERLAY_NAME, b"{}")),
    )


def _overlay(text: bytes) -> Overlays:
    try:
        return _OVERLAYS.validate_json(text)
    except ValidationError as error:
        raise ConfigError(f"the overlay that was active can't be read any more: {error}") from None


def _kept(name: str, text: bytes) -> SourceFile:
    own = name.removeprefix("shipped/")
    is_shipped = own != name
    path = PurePosixPath(own)
    folder = _FOLDERS.get(path.parts[0]) if len(path.parts) > 1 else None
    if folder is None:
        return SourceFile(_said(name, text), name, name, text, is_shipped)
    return SourceFile(
        kind_within(folder, path.name, shipped=is_shipped), name, name, text, is_shipped
    )


def _said(name: str, text: bytes) -> Kind:
    """What a file says whose place doesn't tell: the settings named it, and may name another."""
    plain = read_plain(text, name, may_hold_secrets=True)
    words = frozenset(plain) if isinstance(plain, Mapping) else frozenset()
    return next((kind for kind, known in _WORDS.items() if words & known), Kind.POLICY)
