"""The stops in force, and the kill switch: the one row that intents and orders to stop lock.

An intent locks it shared before it reads the stops, an order exclusively before it writes one. So
an intent commits before the order does, or sees it.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, delete, select

from engine.core.journal import from_us, to_us
from engine.core.stops import Stop, StopScope
from engine.store.statements import bare_rows, insert_new
from engine.store.tables import kill_switch, stops

# SQLite leaves FOR SHARE and FOR UPDATE out: there a transaction that writes is alone.
_SHARE = select(kill_switch.c.id).with_for_update(read=True)
_LOCK = select(kill_switch.c.id).with_for_update()
_ALL = select(stops).order_by(stops.c.at_us, stops.c.scope, stops.c.name)
_ORDER = insert_new(stops)
_LIFT = delete(stops).where(stops.c.scope == bindparam("of"), stops.c.name == bindparam("named"))


def all_stops(connection: Connection) -> Sequence[Stop]:
    """Oldest first."""
    return [
        Stop(scope=scope, name=name, actor=actor, reason=reason, at=from_us(at_us))
        for scope, name, actor, reason, at_us in bare_rows(connection, _ALL, {})
    ]


def hold_stops(connection: Connection) -> Sequence[Stop]:
    """All, with the switch locked: none comes or goes before the commit."""
    bare_rows(connection, _SHARE, {})
    return all_stops(connection)


def order_stop(connection: Connection, stop: Stop) -> bool:
    """Insert, behind every intent that is about to commit; False when it is there."""
    connection.execute(_LOCK).one()
    row = {
        "scope": stop.scope,
        "name": stop.name,
        "actor": stop.actor,
        "reason": stop.reason,
        "at_us": to_us(stop.at),
    }
    return connection.execute(_ORDER.on(connection), row).rowcount == 1


def lift_stop(connection: Connection, scope: StopScope, name: str) -> bool:
    """Delete; False when it isn't there."""
    connection.execute(_LOCK).one()
    return connection.execute(_LIFT, {"of": scope, "named": name}).rowcount == 1
