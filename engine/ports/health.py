"""What is wrong with services and targets, as far as the store tells, in one transaction."""

from collections.abc import Mapping, Sequence

from engine.ports.store import Tx

# Of more alerts than this that wait, nobody says any more what they are about.
WAITING_AT_MOST = 2000


def troubles(tx: Tx, names: Sequence[str]) -> Mapping[str, str] | None:
    """By name what is wrong: it fires in an open incident, a P1 or P2 of it is open, or it waits.

    An alert waits where a rule or a silence holds it back: it fires all the same. None where too
    many do.
    """
    found = {name: f"INC-{number} is open" for name, number in tx.troubled(names)}
    held = tx.conditions.held(WAITING_AT_MOST + 1)
    if len(held) > WAITING_AT_MOST:
        return None
    # What waits for its absence is a heartbeat: that it comes is as it should be.
    why = {fingerprint: hold.kind for fingerprint, hold in held if hold.kind != "absent"}
    for fingerprint, occurrence in tx.occurrences(sorted(why)).items():
        alert = occurrence.alert
        for name in {alert.target, alert.service} & set(names):
            if occurrence.is_open and name not in found:
                found[name] = f"{alert.name} fires there ({why[fingerprint]})"
    return found
