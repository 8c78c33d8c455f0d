"""What exists and to whom it belongs: targets found by id or alias, their service, its owners."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from msgspec import structs

from engine.core.alert import Alert
from engine.core.documents import (
    ConnectionDocument,
    InventoryDocument,
    ServiceDocument,
    TargetDocument,
)
from engine.core.mistakes import Mistakes

_NOBODY = ServiceDocument()
# Labels that name the thing itself, asked in this order when the source named no target.
TARGET_LABELS = ("target", "instance", "host", "hostname", "node")


@dataclass(frozen=True, slots=True)
class Inventory:
    """The inventory of one catalog version; `aliases` leads from each alias and id to the id.

    `secrets` are the names that quell.yaml gives to secrets, None where they aren't known.
    """

    targets: Mapping[str, TargetDocument] = field(default_factory=dict)
    services: Mapping[str, ServiceDocument] = field(default_factory=dict)
    connections: Mapping[str, ConnectionDocument] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    secrets: frozenset[str] | None = None

    def target_id(self, name: str) -> str:
        """The id behind an id or alias, "" when nothing has that name."""
        return self.aliases.get(name, "")

    def service_of(self, target: str) -> str:
        """The service that a target id belongs to, "" when it belongs to none."""
        found = self.targets.get(target)
        return found.service if found else ""

    def connection_of(self, target: str) -> str:
        """The connection that reaches a target id, "" when it names none."""
        found = self.targets.get(target)
        return found.connection if found else ""

    def needs(self, service: str) -> frozenset[str]:
        """The services and targets that a service needs, and what they need, and so on."""
        return _reached(service, self._needed_at_once)

    def needed_by(self, names: Iterable[str]) -> frozenset[str]:
        """The services that need one of these, services or targets, and those that need them."""
        dependants: dict[str, list[str]] = {}
        for service in self.services:
            for needed in self._needed_at_once(service):
                dependants.setdefault(needed, []).append(service)
        reached = (_reached(name, lambda each: dependants.get(each, ())) for name in names)
        return frozenset[str]().union(*reached)

    def _needed_at_once(self, name: str) -> Iterator[str]:
        """Who needs a target needs the service that it is part of."""
        owner = self.services.get(name) or self.services.get(self.service_of(name))
        for needed in owner.depends_on if owner else ():
            yield needed
            if service := self.service_of(needed):
                yield service

    def names_of_kind(self, kind: str | None) -> tuple[str, ...]:
        """Ids of all targets of a kind (None: of any), sorted."""
        return tuple(sorted(t for t, doc in self.targets.items() if kind in (None, doc.kind)))

    def facts_of(self, target: str) -> Mapping[str, str]:
        """Service, environment, team, customer and region of a target id, for policy."""
        service = self.service_of(target)
        owner = self.services.get(service, _NOBODY)
        return {
            "service": service,
            "environment": owner.environment,
            "team": owner.team,
            "customer": owner.customer,
            "region": owner.region,
        }


def _reached(start: str, following: Callable[[str], Iterable[str]]) -> frozenset[str]:
    """All that follows from `start`; a circle leads back to what is known."""
    found: set[str] = set()
    waiting = list(following(start))
    while waiting:
        name = waiting.pop()
        if name not in found and name != start:
            found.add(name)
            waiting.extend(following(name))
    return frozenset(found)


def build_inventory(document: InventoryDocument, mistakes: Mistakes) -> Inventory:
    """The inventory with its aliases; names that lead nowhere or to two targets are mistakes."""
    aliases = {target: target for target in document.targets}
    for target, entry in document.targets.items():
        here = mistakes.at("targets", target)
        if entry.connection and entry.connection not in document.connections:
            here.at("connection").unknown("connection", entry.connection, document.connections)
        if entry.service and entry.service not in document.services:
            here.at("service").unknown("service", entry.service, document.services)
        for index, alias in enumerate(entry.aliases):
            if aliases.setdefault(alias, target) != target:
                here.at("aliases", index).add(
                    f"{alias!r} already means target {aliases[alias]!r}; one name, one target"
                )
    for service, owner in document.services.items():
        for index, needed in enumerate(owner.depends_on):
            if needed not in document.services and needed not in document.targets:
                here = mistakes.at("services", service, "depends_on", index)
                here.unknown("service or target", needed, (*document.services, *document.targets))
    return Inventory(document.targets, document.services, document.connections, aliases)


def enrich(alert: Alert, inventory: Inventory) -> Alert:
    """The alert with its target resolved and what the inventory knows of its service.

    A label's value is never an address: `target` becomes an id of the inventory or "". What the
    inventory says of service, environment, team, customer and region wins over the labels, because
    access and policy follow it and a sender could write anything (Prometheus's `job` passes for a
    service where nothing better is known); labels fill what it leaves out.
    """
    target = _target_of(alert, inventory)
    service = inventory.service_of(target) or alert.service
    owner = inventory.services.get(service, _NOBODY)
    if target == alert.target and service == alert.service and owner is _NOBODY:
        return alert
    return structs.replace(
        alert,
        service=service,
        target=target,
        environment=owner.environment or alert.environment,
        team=owner.team or alert.team,
        customer=owner.customer or alert.customer,
        region=owner.region or alert.region,
    )


def _target_of(alert: Alert, inventory: Inventory) -> str:
    if not inventory.aliases:
        return ""
    names = (alert.target, alert.resource, *(alert.labels.get(name, "") for name in TARGET_LABELS))
    return next(filter(None, map(inventory.target_id, names)), "")
