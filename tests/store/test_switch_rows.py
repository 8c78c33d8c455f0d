"""A switch is on until it is turned off, and its first reason stands."""

from dataclasses import replace

from engine.core.switches import Switch
from engine.ports.store import Store
from tests.services.stores import START

BRAKE = Switch("storm-brake", "engine", "größe", START)


async def test_a_switch_stays_as_it_was_turned_on_until_it_is_turned_off(store: Store) -> None:
    assert await store.read(lambda tx: tx.switches.find("storm-brake")) is None
    assert await store.write(lambda tx: tx.switches.turn_on(BRAKE)) is True
    again = replace(BRAKE, reason="another")
    assert await store.write(lambda tx: tx.switches.turn_on(again)) is False
    assert await store.read(lambda tx: tx.switches.find("storm-brake")) == BRAKE
    assert await store.read(lambda tx: tx.switches.find("other")) is None
    assert await store.write(lambda tx: tx.switches.turn_off("other")) is False
    assert await store.write(lambda tx: tx.switches.turn_off("storm-brake")) is True
    assert await store.read(lambda tx: tx.switches.find("storm-brake")) is None
