"""What the verbs ask of the files alone: check, plan, normalize, emergency-test."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import JsonValue

from connectors import registry
from engine.app.configured import (
    alert_sources,
    catalog_sources,
    emergency_address,
    load_connectors,
    with_path,
)
from engine.app.process import SystemClock, worker_name
from engine.core import events
from engine.core.catalog import Catalog
from engine.core.emergency import trial_text
from engine.core.incident import opened as incident_opened
from engine.core.planning import Planner, Rendered
from engine.core.records import alert_json
from engine.core.scopes import Known
from engine.core.trigger import run_by_hand
from engine.errors import ConfigError
from engine.gateway import strict_json
from engine.ports.known_secrets import KNOWN
from engine.ports.source import Sender
from engine.settings import LoadedSettings


def check_project(loaded: LoadedSettings, paths: Sequence[Path]) -> Catalog:
    """Everything that the settings name, with these folders or files beside it.

    Raises ConfigError with all mistakes.
    """
    sources = catalog_sources(loaded)
    for path in paths:
        sources = with_path(sources, path)
    return load_connectors(loaded, sources).catalog


def rehearse_plan(
    loaded: LoadedSettings, playbook_id: str, given: Mapping[str, JsonValue]
) -> Rendered:
    """The plan of a run by hand, with holes where investigation would have to be asked."""
    parts = load_connectors(loaded)
    catalog = parts.catalog
    opened, story = run_by_hand("rehearsal", 0, playbook_id, given, catalog)
    created = next(event for event in story if isinstance(event, events.RunCreated))
    now = SystemClock().now()
    known = Known(created.parameters, incident_opened(opened, now), catalog.inventory)
    playbook = catalog.playbooks[playbook_id]
    return Planner(catalog, parts.actions, KNOWN.masker).render(
        playbook, created.run_id, known, with_holes=True
    )


def normalize_payload(
    loaded: LoadedSettings, address: str, payload: bytes
) -> tuple[list[str], list[str]]:
    """The alerts of a payload as JSON texts, and what is wrong with the rest."""
    sources = alert_sources(loaded)
    source = registry.find(sources, address, "source")[0]
    body = strict_json.decode(payload)
    form = "api" if isinstance(body, list) else ""
    parsed = source.parse(body, SystemClock().now(), Sender(form=form))
    problems = [f"{each.field}: {each.problem}".removeprefix(": ") for each in parsed.rejected]
    return [alert_json(alert) for alert in parsed.alerts], problems


async def try_emergency(loaded: LoadedSettings) -> None:
    """Send a test to the emergency address; an address that was never tried doesn't work.

    Raises ConfigError where there is none, and what Emergency raises.
    """
    address = emergency_address(loaded)
    if address is None:
        raise ConfigError(
            f"{loaded.file}: there is no emergency address; set emergency.url (docs/emergency.md)"
        )
    await address.tell(trial_text(worker_name()))
