"""People who only listen: what they were told of each incident, for tests to look into."""

from dataclasses import dataclass, field

from typing_extensions import override

from engine.core.incident_view import IncidentView, told_by
from engine.ports.notifier import Notifier


@dataclass
class ToldPeople(Notifier):
    """Keeps each text once, in the order in which it was first told."""

    name: str = "test"
    _texts: dict[str, dict[str, None]] = field(default_factory=dict)

    @override
    async def show(self, view: IncidentView, ref: str) -> str:
        self._texts.setdefault(view.incident_id, {}).update(dict.fromkeys(told_by(view)))
        return view.incident_id

    def texts(self, incident_id: str) -> tuple[str, ...]:
        """All that was told of an incident, oldest first."""
        return tuple(self._texts.get(incident_id, ()))
