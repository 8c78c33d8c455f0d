"""Loads rules, playbooks, commands, inventory and policy; all mistakes at once, each in place."""

from engine.catalog.loading import context_of, load_catalog, parse_playbook
from engine.catalog.shipped import shipped_folder
from engine.catalog.sources import CatalogSources

__all__ = ["CatalogSources", "context_of", "load_catalog", "parse_playbook", "shipped_folder"]
