"""What is on until a person turns it off, a row each."""

from sqlalchemy import Connection, bindparam, delete, select
from typing_extensions import override

from engine.core.journal import from_us, to_us
from engine.core.switches import Switch
from engine.ports.known_secrets import KNOWN
from engine.ports.switches import SwitchRows
from engine.store.statements import insert_new
from engine.store.tables import switches

_NAMED = switches.c.name == bindparam("named")
_FIND = select(switches).where(_NAMED)
_ON = insert_new(switches)
_OFF = delete(switches).where(_NAMED)


class SqlSwitchRows(SwitchRows):
    """Over the connection of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @override
    def find(self, name: str) -> Switch | None:
        row = self._connection.execute(_FIND, {"named": name}).first()
        return None if row is None else Switch(row.name, row.actor, row.reason, from_us(row.at_us))

    @override
    def turn_on(self, switch: Switch) -> bool:
        row = {
            "name": switch.name,
            "actor": switch.actor,
            "reason": KNOWN.mask(switch.reason),
            "at_us": to_us(switch.at),
        }
        return self._connection.execute(_ON.on(self._connection), row).rowcount == 1

    @override
    def turn_off(self, name: str) -> bool:
        return self._connection.execute(_OFF, {"named": name}).rowcount == 1
