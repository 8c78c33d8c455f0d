"""The import contracts catch what they are for: each is broken once, in a small tree of its own."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = (
    "engine.app",
    "engine.catalog",
    "engine.cli.main",
    "engine.client.http",
    "engine.console.pages",
    "engine.core.expressions",
    "engine.core.matchers",
    "engine.core.plan",
    "engine.demo.story",
    "engine.errors",
    "engine.gateway.alerts",
    "engine.pipeline",
    "engine.ports.clock",
    "engine.rehearsal.clock",
    "engine.settings",
    "engine.stages.execute",
    "engine.stages.verify",
    "engine.store.journal",
    "engine.testing.contracts",
    "connectors.registry",
    "connectors.actions.ssh",
    "connectors.streams.kafka",
)
# What the design wants to be possible.
ALLOWED = (
    ("engine.app", "connectors.registry"),
    ("engine.app", "engine.store.journal"),
    ("engine.cli.main", "engine.client.http"),
    ("engine.cli.main", "engine.demo.story"),
    ("engine.core.expressions", "cel_expr_python"),
    ("engine.core.matchers", "re2"),
    ("engine.demo.story", "asyncssh"),
    ("engine.demo.story", "engine.app"),
    ("engine.pipeline", "engine.stages.verify"),
    ("connectors.registry", "connectors.actions.ssh"),
    ("connectors.registry", "connectors.streams.kafka"),
    ("connectors.actions.ssh", "engine.ports.clock"),
    ("connectors.streams.kafka", "aiokafka"),
)
FORBIDDEN = (
    # layers
    ("engine.errors", "engine.core.plan"),
    ("engine.core.plan", "engine.ports.clock"),
    ("engine.ports.clock", "engine.catalog"),
    ("engine.catalog", "engine.settings"),
    ("engine.stages.execute", "engine.pipeline"),
    ("engine.gateway.alerts", "engine.stages.verify"),
    ("engine.settings", "engine.console.pages"),
    ("engine.client.http", "engine.app"),
    ("engine.app", "engine.cli.main"),
    ("engine.cli.main", "engine.testing.contracts"),
    # core-is-pure
    ("engine.core.plan", "asyncio"),
    ("engine.core.plan", "os"),
    ("engine.core.plan", "re"),
    ("engine.core.plan", "time"),
    ("engine.core.plan", "structlog"),
    ("engine.core.plan", "sqlalchemy"),
    ("engine.core.plan", "httpx"),
    # cel-behind-one-file
    ("engine.core.plan", "cel_expr_python"),
    ("connectors.actions.ssh", "cel_expr_python"),
    # vendors-stay-outside
    ("engine.stages.execute", "slack_sdk"),
    ("engine.app", "asyncssh"),
    ("engine.gateway.alerts", "aiokafka"),
    # parts-are-wired-by-app
    ("engine.pipeline", "connectors.actions.ssh"),
    ("engine.pipeline", "engine.store.journal"),
    # connectors-are-strangers
    ("connectors.actions.ssh", "connectors.streams.kafka"),
    # stages-are-strangers
    ("engine.stages.execute", "engine.stages.verify"),
)


def write_tree(folder: Path, imports: tuple[tuple[str, str], ...]) -> None:
    """Write every module of MODULES, empty but for `imports`, beside the project's contracts."""
    shutil.copy(ROOT / "pyproject.toml", folder)
    for module in MODULES:
        path = folder.joinpath(*module.split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        for package in path.relative_to(folder).parents[:-1]:
            (folder / package / "__init__.py").touch()
        lines = [f"import {imported}\n" for importer, imported in imports if importer == module]
        path.write_text("".join(lines))


def lint(folder: Path) -> tuple[int, str]:
    """Exit status and output of import-linter over `folder`, in one line for each paragraph."""
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def test_what_the_design_allows_passes(tmp_path: Path) -> None:
    write_tree(tmp_path, ALLOWED)
    status, output = lint(tmp_path)
    assert status == 0, output


@pytest.fixture(scope="module")
def broken_output(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("broken")
    write_tree(folder, ALLOWED + FORBIDDEN)
    status, output = lint(folder)
    assert status == 1, output
    return output


@pytest.mark.parametrize(("importer", "imported"), FORBIDDEN)
def test_what_the_design_forbids_is_named(broken_output: str, importer: str, imported: str) -> None:
    assert f"{importer} -> {imported} (l." in broken_output


def test_no_contract_is_left_unbroken(broken_output: str) -> None:
    assert " 0 kept, " in broken_output, broken_output[:2000]
