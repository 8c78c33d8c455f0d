"""Has people told of the storm brake, in the transaction that turns it."""

from engine.core.progress import OWN_SOURCE
from engine.core.storm_brake import STORM_FINGERPRINT
from engine.ports.rows import Task
from engine.ports.store import Tx


def tell_brake(tx: Tx) -> None:
    """Tell that it is on now, or off: by quell's own alert, in the order of its partition."""
    key, payload = f"storm_brake/{STORM_FINGERPRINT}", {"partition_key": OWN_SOURCE}
    tx.put_task(Task("tick", key, tx.now, 1, payload))
