"""The composition root: settings → parts → run. The only place that knows every part."""

from engine.app.activation import Catalogs
from engine.app.configured import Connectors, catalog_sources, load_connectors
from engine.app.drafting import Draft, draft, draft_playbook
from engine.app.engine import Engine
from engine.app.histories import AlertLines, History, at_source_times, replay, stream_history
from engine.app.offline import open_deciding, open_reading, open_repositioning, open_switching
from engine.app.process import SystemClock
from engine.app.rehearsals import Played, coverage_goals, play_tests
from engine.app.rehearsing import (
    CheckedProject,
    Explained,
    check_project,
    declared_actions,
    explain_payload,
    needed_permissions,
    normalize_payload,
    rehearse_plan,
    runbook_pages,
    try_emergency,
    understood_alerts,
)
from engine.app.stop_file import remove_stop_file
from engine.app.wiring import local_actor, open_engine

__all__ = [
    "AlertLines",
    "Catalogs",
    "CheckedProject",
    "Connectors",
    "Draft",
    "Engine",
    "Explained",
    "History",
    "Played",
    "SystemClock",
    "at_source_times",
    "catalog_sources",
    "check_project",
    "coverage_goals",
    "declared_actions",
    "draft",
    "draft_playbook",
    "explain_payload",
    "load_connectors",
    "local_actor",
    "needed_permissions",
    "normalize_payload",
    "open_deciding",
    "open_engine",
    "open_reading",
    "open_repositioning",
    "open_switching",
    "play_tests",
    "rehearse_plan",
    "remove_stop_file",
    "replay",
    "runbook_pages",
    "stream_history",
    "try_emergency",
    "understood_alerts",
]
