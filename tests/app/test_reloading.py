"""Edited rules take effect while the engine works; broken ones leave in force what was."""

import json
import os
import signal
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from engine.app.activation import Catalogs, activate
from engine.app.reloading import CatalogReload
from engine.core.catalog import Catalog
from engine.core.journal import ENGINE
from engine.settings import load_settings
from tests.cli.project import RULES, Project
from tests.doubles.declarations import ACTIONS
from tests.doubles.world import World
from tests.scenarios.senders import send_one
from tests.services.process import Process, wait_until

# Three times what a look at the files may take.
TAKEN_UP_WITHIN_S = 15.0


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path)
    made.write()
    return made


@pytest.fixture
def engine(project: Project) -> Iterator[Process]:
    process = project.engine()
    process.start(project.is_up)
    try:
        yield process
    finally:
        process.stop()


def write(project: Project, text: str) -> None:
    """As an editor does: the whole file at once."""
    path = project.folder / "rules" / "llm.yaml"
    new = path.with_name("new")
    new.write_text(text)
    new.replace(path)


def log_of(project: Project, event: str) -> list[dict[str, Any]]:
    lines = (project.folder / "engine.log").read_text().splitlines()
    told = [json.loads(line) for line in lines if line.startswith("{")]
    return [each for each in told if each["event"] == event]


def wait_for(project: Project, event: str, count: int) -> dict[str, Any]:
    what = f"{event} told {count} times"
    wait_until(lambda: len(log_of(project, event)) >= count, what, TAKEN_UP_WITHIN_S)
    return log_of(project, event)[-1]


def severity(project: Project, service: str) -> str:
    """Of the incident that an alert of this service opens now."""
    assert send_one(project.url, {"alertname": "LLMEndpointDown", "service": service}) == 200

    def found() -> list[str]:
        with project.client() as client:
            page = client.incidents(limit=50).incidents
        return [each.severity for each in page if each.group.get("service") == service]

    wait_until(lambda: bool(found()), f"an incident of {service}", 10)
    return found()[0]


def ready(project: Project) -> dict[str, Any]:
    with urllib.request.urlopen(f"{project.url}/readyz", timeout=5) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def test_edits_take_effect_together_and_a_mistake_changes_nothing(
    project: Project, engine: Process
) -> None:
    assert severity(project, "a") == "P1"
    write(project, RULES.replace("P1", "P2"))
    os.kill(engine.pid, signal.SIGHUP)
    assert wait_for(project, "catalog_active", 1)["changed"] == ["rules/llm.yaml"]
    assert severity(project, "b") == "P2"

    write(project, RULES.replace("severity: P1", "severity: P9"))
    os.kill(engine.pid, signal.SIGHUP)
    (told,) = wait_for(project, "catalog_refused", 1)["findings"]
    assert "llm.yaml:6:15" in told
    (warning,) = ready(project)["warnings"]
    assert "llm.yaml:6:15" in warning
    assert severity(project, "c") == "P2"

    # Nobody says that it is mended.
    write(project, RULES.replace("P1", "P3"))
    wait_for(project, "catalog_active", 2)
    assert "warnings" not in ready(project)
    assert severity(project, "d") == "P3"


def test_other_connections_need_a_restart_and_say_so(project: Project, engine: Process) -> None:
    path = project.folder / "inventory.yaml"
    path.write_text(path.read_text().replace("port: 9", "port: 10"))
    os.kill(engine.pid, signal.SIGHUP)
    assert "restart quell" in wait_for(project, "catalog_refused", 1)["findings"][0]


def test_a_restart_with_a_mistake_goes_on_with_what_was_active(
    project: Project, engine: Process
) -> None:
    assert severity(project, "a") == "P1"
    engine.stop()
    write(project, RULES.replace("severity: P1", "severity: P9"))
    engine.start(project.is_up)
    (told,) = wait_for(project, "catalog_refused", 1)["findings"]
    assert "llm.yaml:6:15" in told
    (warning,) = ready(project)["warnings"]
    assert "llm.yaml:6:15" in warning
    lines = (project.folder / "engine.log").read_text().splitlines()
    assert any("not in force" in line for line in lines if not line.startswith("{"))
    assert severity(project, "b") == "P1"

    write(project, RULES.replace("P1", "P3"))
    wait_for(project, "catalog_active", 1)
    assert "warnings" not in ready(project)
    assert severity(project, "c") == "P3"


async def test_files_that_differ_from_another_replicas_are_told(world: World) -> None:
    mine = world.catalogs.active
    assert isinstance(mine, Catalog)
    loaded = load_settings(None, {})
    catalogs = Catalogs(mine, ACTIONS)
    reload = CatalogReload(loaded, catalogs, world.store, world.clock, world.metrics)

    async def told_after(catalog: Catalog) -> list[str]:
        await world.store.write(partial(activate, catalog=catalog, actor=ENGINE))
        await reload.look_at_others()
        return reload.warnings()

    assert await told_after(mine) == []
    (warning,) = await told_after(replace(mine, version="0" * 64))
    assert "another replica made 000000000000 of its files active" in warning
    assert f"here {mine.version[:12]} decides" in warning
    assert await told_after(mine) == []
