"""The active catalog, and texts of older ones made usable again."""

from collections.abc import Mapping
from typing import Protocol

from engine.core.catalog import Catalog
from engine.core.playbook import Playbook


class ActiveCatalog(Protocol):
    """What decisions are made with."""

    @property
    def active(self) -> Catalog:
        """The version in force; replaced as a whole."""
        ...

    def parse_playbook(self, text: bytes, called: Mapping[str, bytes]) -> Playbook:
        """A playbook from the exact texts that a run started with: its own, and by id others'."""
        ...
