"""Actions of other packages: how quell finds a class that it doesn't ship, and whether it fits."""

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel

from engine.ports.action import Action

# Of Action and what it is given; a change that an author has to follow counts it up.
API_VERSION = 1
ENTRY_POINTS = "quell.connectors"


class OutsideAction(Action, Protocol):
    """A class behind an entry point of the group `quell.connectors`.

    `CONFIG` are the keys of a connection beside `uses`, None where it needs no connection; then
    `CONNECTION_KIND` is "" too. It is constructed with the connections of that kind, by name.
    """

    API_VERSION: ClassVar[int]
    CONNECTION_KIND: ClassVar[str]
    CONFIG: ClassVar[type[BaseModel] | None]

    def __init__(self, connections: Mapping[str, Any]) -> None: ...
