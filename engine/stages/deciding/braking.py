"""The storm brake: what a batch opened may be too much for anything to act by itself."""

from msgspec import structs

from engine.core import events
from engine.core.alert import receive
from engine.core.inventory import enrich
from engine.core.journal import NewEntry
from engine.core.records import Tick
from engine.core.storm_brake import STORM_BRAKE, STORM_FINGERPRINT, storm, storm_alert, struck
from engine.core.switches import Switch
from engine.ports.braking import tell_brake
from engine.stages.deciding.acting import act
from engine.stages.deciding.work import BatchWork


def brake(work: BatchWork) -> None:
    """Count the services on which this batch opened incidents, and brake where it is a storm."""
    tx, wanted = work.tx, work.catalog.policy.storm_brake
    if wanted is None or not work.opened or tx.switches.find(STORM_BRAKE) is not None:
        return
    services = work.catalog.inventory.services
    state = struck(wanted, tx.conditions.group(STORM_BRAKE), work.opened, len(services))
    tx.conditions.put_group(state)
    reason = storm(wanted, state, services)
    if reason and tx.switches.turn_on(Switch(STORM_BRAKE, "engine", reason, tx.now)):
        event = events.StormBraked(reason=reason)
        tx.append("system", [NewEntry(event, tx.now, catalog=work.catalog.version)])
        tell_brake(tx)


def brake_told(work: BatchWork, tick: Tick, partition_key: str) -> None:
    """quell's own alert fires while the brake is on."""
    switch, known = work.tx.switches.find(STORM_BRAKE), work.occurrence(STORM_FINGERPRINT)
    fires = known is not None and known.is_open
    if known is not None and fires and switch is None:
        work.end(structs.replace(known, ended_at=tick.due_at, ended_by="source"))
    elif switch is not None and not fires:
        alert = enrich(storm_alert(switch, tick.due_at), work.catalog.inventory)
        notice = receive(alert, known, partition_key)
        if notice.effect == "opened":
            opened = work.admitting.appears(notice.occurrence)
            work.keep(act(work, opened, tick.due_at, "opened")[0])
