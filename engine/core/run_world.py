"""What a run's decisions are made of besides its own entries."""

from dataclasses import dataclass
from datetime import datetime

from engine.core.guards import Refusal
from engine.core.incident import Incident
from engine.core.inventory import Inventory
from engine.core.playbook import Playbook
from engine.core.run_commands import CommandKey


@dataclass(frozen=True, slots=True)
class World:
    """Read together with the run's entries, in one transaction; `now` is the store's time.

    `playbook` has exactly the text that the run started with. `stopped` says why nothing may be
    changed any more, "" while it may. `refusal` is what a guard said, as long as nothing was
    changed yet, or nothing of the batch that comes next; None while all let it pass. `asks` is why
    a guard wants a person's word before the first change, "" where none does. `under_way` are the
    commands that this worker is carrying out right now, by their keys.
    """

    now: datetime
    incident: Incident
    playbook: Playbook
    inventory: Inventory
    stopped: str = ""
    refusal: Refusal | None = None
    asks: str = ""
    under_way: frozenset[CommandKey] = frozenset()

    @property
    def incident_open(self) -> bool:
        """Whether there is still something to mend."""
        return self.incident.status == "open"
