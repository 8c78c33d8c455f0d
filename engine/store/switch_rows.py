"""What is on until a person turns it off, a row each."""

from sqlalchemy import Connection, bindparam, delete, select
from typing_extensions import override

from engine.core.journal import from_us, to_us
from engine.core.switches import Switch
from engine.ports.known_secrets import KNOWN
from engine.ports.switches import SwitchRows
from engine.store.statements import first_row, insert_new
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
        row = first_row(self._connection, _FIND, {"named": name})
        if row is None:
            return None
        name, actor, reason, at_us = row
        return Switch(name, actor, reason, from_us(at_us))

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
