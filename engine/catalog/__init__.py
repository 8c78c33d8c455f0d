"""Loads rules, playbooks, commands, inventory and policy; all mistakes at once, each in place."""

from engine.catalog.loading import (
    context_of,
    load_catalog,
    load_what_is_right,
    parse_playbook,
    written_version,
)
from engine.catalog.rehearsals import ParsedRehearsals, load_rehearsals, rehearsed_inventory
from engine.catalog.rule_warnings import rule_warnings
from engine.catalog.shipped import shipped_folder
from engine.catalog.sources import CatalogSources

__all__ = [
    "CatalogSources",
    "ParsedRehearsals",
    "context_of",
    "load_catalog",
    "load_rehearsals",
    "load_what_is_right",
    "parse_playbook",
    "rehearsed_inventory",
    "rule_warnings",
    "shipped_folder",
    "written_version",
]
