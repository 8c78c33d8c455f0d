"""What the verbs ask of the files alone: check, plan, normalize, emergency-test."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec import structs
from pydantic import JsonValue

from connectors import registry
from engine.app.configured import (
    catalog_sources,
    emergency_address,
    load_connectors,
    source_at,
    with_path,
)
from engine.app.open_doors import open_doors
from engine.app.process import SystemClock, worker_name
from engine.catalog import rule_warnings
from engine.catalog.runbooks import PastRun, Runbooks
from engine.catalog.yaml_nodes import locate
from engine.core import events
from engine.core.actions import Declaration
from engine.core.alert import Alert, receive
from engine.core.briefing import Briefing, brief
from engine.core.catalog import Catalog
from engine.core.classify import Explanation, Match, classify, explain
from engine.core.emergency import trial_text
from engine.core.findings import Finding, nearest
from engine.core.host_permissions import Permissions, permissions_of
from engine.core.incident import opened as incident_opened
from engine.core.inventory import enrich
from engine.core.planning import Planner
from engine.core.records import alert_json, alert_of_json
from engine.core.scopes import Known
from engine.core.severity import Mode, ModeLimit, effective_mode
from engine.core.trigger import OrderedRun, first_run, opened_by, run_by_hand
from engine.errors import ConfigError, QuellError
from engine.ports import strict_json
from engine.ports.known_secrets import KNOWN
from engine.ports.source import Sender
from engine.settings import LoadedSettings

# What no sender's payload has: an alert as quell's own stream carries it.
_WRITTEN = frozenset({"fingerprint", "source", "received_at", "severity_hint"})


@dataclass(frozen=True, slots=True)
class CheckedProject:
    """A project without mistakes; `warnings` are what its authors can't have meant."""

    catalog: Catalog
    warnings: Sequence[Finding]


def check_project(loaded: LoadedSettings, paths: Sequence[Path]) -> CheckedProject:
    """Everything that the settings name, with these folders or files beside it.

    Raises ConfigError with all mistakes.
    """
    sources = catalog_sources(loaded)
    for path in paths:
        sources = with_path(sources, path)
    parts = load_connectors(loaded, sources)
    warnings = [*rule_warnings(sources, parts.catalog)]
    # No mistake yet: the environment may hold the token where quell runs.
    if told := open_doors(loaded.settings, parts.sources):
        line, column = locate(loaded.node, ("listen",)) if loaded.node else (0, 0)
        warnings.append(Finding(loaded.file, line, column, told))
    return CheckedProject(parts.catalog, warnings)


def declared_actions() -> Mapping[str, Declaration]:
    """What each action that a step may use declares."""
    return registry.declarations()


def runbook_pages(loaded: LoadedSettings, runs: Sequence[PastRun] | None) -> Mapping[str, str]:
    """A page for each playbook by its file's name, and the list of all; `runs` newest first.

    Raises ConfigError with the mistakes of all files.
    """
    parts = load_connectors(loaded)
    declared = {name: action.declaration for name, action in parts.actions.items()}
    return Runbooks(parts.catalog, declared, runs).pages()


def needed_permissions(
    loaded: LoadedSettings, playbooks: Sequence[str], *, only_reads: bool
) -> Permissions:
    """What these playbooks, or all, must be permitted. Raises ConfigError for an unknown one."""
    parts = load_connectors(loaded)
    known = parts.catalog.playbooks
    for name in playbooks:
        if name not in known:
            raise ConfigError(f"unknown playbook {name!r}{nearest(name, known)}")
    chosen = [known[name] for name in playbooks or sorted(known)]
    declared = {name: action.declaration for name, action in parts.actions.items()}
    return permissions_of(parts.catalog, declared, chosen, only_reads=only_reads)


def rehearse_plan(
    loaded: LoadedSettings, playbook_id: str, given: Mapping[str, JsonValue]
) -> Briefing:
    """The plan of a run by hand, with holes where investigation would have to be asked."""
    parts = load_connectors(loaded)
    catalog = parts.catalog
    opened, story = run_by_hand(OrderedRun("rehearsal", playbook_id, given), 0, catalog)
    created = next(event for event in story if isinstance(event, events.RunCreated))
    now = SystemClock().now()
    known = Known(created.parameters, incident_opened(opened, now), catalog.inventory)
    playbook = catalog.playbooks[playbook_id]
    planner = Planner(catalog, parts.actions, KNOWN.masker)
    return brief(planner, playbook, created.run_id, known, now)


@dataclass(frozen=True, slots=True)
class Explained:
    """What would become of an alert: what each rule says, who takes it, and what that starts.

    `alert` is as the inventory completes it; without a plan, `no_plan` says why there is none.
    `mode` is the lowest of the rule's, the playbook's, its actions' and the policy's: what a run
    would have.
    """

    alert: Alert
    rules: Sequence[Explanation]
    match: Match | None
    mode: ModeLimit | None
    failures: Sequence[str]
    plan: Briefing | None
    no_plan: str


def explain_payload(
    loaded: LoadedSettings, address: str, payload: bytes
) -> tuple[list[Explained], list[str]]:
    """What would become of each firing alert of a payload, and what is wrong with the rest."""
    parts = load_connectors(loaded)
    planner = Planner(parts.catalog, parts.actions, KNOWN.masker)
    alerts, problems = understood_alerts(loaded, address, payload)
    firing = [alert for alert in alerts if alert.status == "firing"]
    return [_explained(alert, planner) for alert in firing], problems


def _explained(sent: Alert, planner: Planner) -> Explained:
    catalog = planner.catalog
    alert = enrich(sent, catalog.inventory)
    found = classify(alert, catalog.rules)
    match = found.taken or next(iter(found.observed), None)
    plan, mode, no_plan = None, None, "no rule takes it"
    if match is not None:
        plan, mode, no_plan = _planned(match, alert, planner)
    rules = explain(alert, catalog.rules)
    return Explained(alert, rules, match, mode, found.failures, plan, no_plan)


def _planned(
    match: Match, alert: Alert, planner: Planner
) -> tuple[Briefing | None, ModeLimit, str]:
    """The plan of the run that would begin, and its mode, or why there is no plan."""
    catalog, now = planner.catalog, SystemClock().now()
    if not match.rule.playbook:
        return None, match.mode, f"rule {match.rule.id} starts no playbook"
    # As if it began to fire now, whatever the sample says.
    occurrence = receive(structs.replace(alert, status="firing"), None).occurrence
    incident = incident_opened(opened_by(match, occurrence, number=0), now)
    story = first_run(incident, match, alert, catalog)
    for event in story:
        if isinstance(event, events.RunEnded):
            return None, match.mode, event.reason
    created = next(event for event in story if isinstance(event, events.RunCreated))
    mode = ModeLimit(Mode(created.mode), created.mode_decided_by)
    known = Known(created.parameters, incident, catalog.inventory)
    playbook = catalog.playbooks[match.rule.playbook]
    try:
        briefing = brief(planner, playbook, created.run_id, known, now)
    except QuellError as error:
        return None, mode, str(error)
    return briefing, effective_mode((mode, *briefing.limits)), ""


def normalize_payload(
    loaded: LoadedSettings, address: str, payload: bytes
) -> tuple[list[str], list[str]]:
    """The alerts of a payload as JSON texts, and what is wrong with the rest."""
    alerts, problems = understood_alerts(loaded, address, payload)
    return [alert_json(alert) for alert in alerts], problems


def understood_alerts(
    loaded: LoadedSettings, address: str, payload: bytes
) -> tuple[Sequence[Alert], list[str]]:
    """The alerts of a payload, or of a line that `normalize` wrote, and what is wrong with it.

    Raises PayloadError where it can't be understood at all.
    """
    source = source_at(loaded, address)
    body = strict_json.decode(payload)
    if isinstance(body, dict) and body.keys() >= _WRITTEN:
        return [alert_of_json(payload)], []
    form = "api" if isinstance(body, list) else ""
    parsed = source.parse(body, SystemClock().now(), Sender(form=form))
    problems = [f"{each.field}: {each.problem}".removeprefix(": ") for each in parsed.rejected]
    return parsed.alerts, problems


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
