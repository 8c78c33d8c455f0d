"""Why a person is to be asked before a run's first change, in the transaction that looks."""

from collections.abc import Sequence

from engine.core.catalog import Catalog
from engine.core.guards import Guard, first_refusal
from engine.core.incident import Incident
from engine.core.recent_changes import Nearby, caused_by, others_at_work, silenced_at_work
from engine.core.run import RunState
from engine.core.storm_brake import STORM_BRAKE, asks_in_storm
from engine.ports.store import Tx


def why_ask(
    tx: Tx,
    incident: Incident,
    state: RunState,
    catalog: Catalog,
    asking: Sequence[Guard],
    near: Nearby,
) -> str:
    """The reasons of all guards that want a person's word, "" when none does."""
    plan, now = state.plan, tx.now
    if plan is None:
        return ""
    silences = tx.silences.ending_after(now - near.within)
    again = first_refusal(asking, tx.counted, state.run_id, now)
    reasons = (
        asks_in_storm(tx.switches.find(STORM_BRAKE), state.mode),
        caused_by(near, plan, incident, tx.counted, now),
        others_at_work(near, plan, incident, tx.counted, now),
        silenced_at_work(near, plan, silences, catalog.inventory, now),
        again.reason if again else "",
    )
    return "; ".join(filter(None, reasons))
