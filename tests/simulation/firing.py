"""What fires, read from the journal alone: a lower bound, because few alerts name a target."""

from dataclasses import dataclass, field

from engine.core import events

# Of services that are ill while an incident of it is open.
_GRAVE = ("P1", "P2")


@dataclass
class _Incident:
    opened: events.IncidentOpened
    is_open: bool = True
    occurrences: set[str] = field(default_factory=set)


@dataclass
class Firing:
    """The open incidents and what still fires in each."""

    incidents: dict[str, _Incident] = field(default_factory=dict)

    def read(self, event: events.Event, chain: str) -> None:
        """Take one entry in."""
        match event:
            case events.IncidentOpened():
                self.incidents[chain] = _Incident(event)
            case events.IncidentResolved() | events.IncidentClosed():
                self.incidents[chain].is_open = False
            case events.IncidentReopened():
                self.incidents[chain].is_open = True
            case events.OccurrenceJoined():
                self.incidents[chain].occurrences |= set(event.occurrence_ids)
            case events.OccurrenceEnded():
                self.incidents[chain].occurrences -= set(event.occurrence_ids)
            case _:
                pass

    @property
    def targets(self) -> frozenset[str]:
        """Those that surely fire in an open incident."""
        firing = [each for each in self.incidents.values() if each.is_open and each.occurrences]
        return frozenset(each.opened.group.get("target", "") for each in firing) - {""}

    def is_ill(self, service: str) -> bool:
        """Whether something grave is open there."""
        return any(
            each.is_open and each.opened.service == service and each.opened.severity in _GRAVE
            for each in self.incidents.values()
        )
