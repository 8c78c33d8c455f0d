"""A start finds its files broken: what was active last decides, if anything was."""

from collections.abc import Callable
from pathlib import Path

import pytest

from engine.app import open_engine
from engine.core.severity import Mode
from engine.errors import ConfigError
from engine.settings import LoadedSettings, load_settings
from tests.cli.project import INVENTORY, RULES, SETTINGS, Project

BROKEN = RULES.replace("severity: P1", "severity: P9")
POLICY = """\
language: 1
ceilings: [{mode: suggest}]
"""
COMMANDS = """\
language: 1
commands: {look-at-it: {argv: [uptime], effect: read, repeat: harmless}}
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """One whose every kind of file says something, each under a name that doesn't tell its kind."""
    made = Project(tmp_path)
    made.write()
    folder = made.folder
    (folder / "ours.yaml").write_text(POLICY)
    (folder / "more.yaml").write_text(COMMANDS)
    (folder / "hosts.yaml").write_text(INVENTORY)
    (folder / "rules" / "llm.yaml").write_text(RULES)
    made.config.write_text(
        SETTINGS.replace("inventory.yaml", "hosts.yaml")
        + "listen: 127.0.0.1:0\ndata: data\npolicy: ours.yaml\ncommands: more.yaml\n"
        + "rules: {endpoint-down: {mode: observe, with: {host: gpu-07}}}\n"
    )
    return made


def loaded(project: Project) -> LoadedSettings:
    return load_settings(project.config, {})


def break_rules(project: Project) -> None:
    (project.folder / "rules" / "llm.yaml").write_text(BROKEN)


def break_inventory(project: Project) -> None:
    path = project.folder / "hosts.yaml"
    path.write_text(path.read_text().replace("user:", "usr:"))


def break_overlay(project: Project) -> None:
    path = project.config
    path.write_text(path.read_text().replace("endpoint-down:", "endpoint-gone:"))


def lose_playbooks(project: Project) -> None:
    (project.folder / "playbooks").rename(project.folder / "elsewhere")


def write_a_secret(project: Project) -> None:
    """The token is known from the settings, so no text that is kept may hold it."""
    project.config.write_text(project.config.read_text() + "access: {token: hunter2-hunter2}\n")
    path = project.folder / "rules" / "llm.yaml"
    path.write_text(RULES.replace("fails its probe", "fails hunter2-hunter2"))


@pytest.mark.parametrize(
    "spoil", [break_rules, break_inventory, break_overlay, lose_playbooks, write_a_secret]
)
async def test_what_was_active_last_decides_until_the_files_are_right(
    project: Project, spoil: Callable[[Project], None]
) -> None:
    async with open_engine(loaded(project)) as engine:
        before = engine.catalogs.active
        assert engine.reload.warnings() == []
    spoil(project)
    async with open_engine(loaded(project)) as engine:
        after = engine.catalogs.active
        (warning,) = await engine.parts.warnings()
        assert f"are not in force, {before.version[:12]} still is" in warning
        registry = engine.parts.metrics.registry
        assert registry.get_sample_value("quell_catalog_refused") == 1
        assert "ssh.run" in engine.actions
    # All of it, in its order, and under the same name.
    assert after.version == before.version
    assert after.files == before.files
    assert [each.id for each in after.rules] == [each.id for each in before.rules]
    assert after.policy.ceilings[0].mode is Mode.SUGGEST
    assert "look-at-it" in after.estate.commands
    assert after.inventory.targets.keys() == {"gpu-07"}
    rule = after.rule("endpoint-down")
    assert rule is not None
    assert rule.mode == before.rules.by_id("endpoint-down").mode  # type: ignore[union-attr]


async def test_a_first_start_with_a_mistake_leaves_nothing_behind(project: Project) -> None:
    break_rules(project)
    with pytest.raises(ConfigError, match=r"llm.yaml:6:15"):
        async with open_engine(loaded(project)):
            pass
    assert not project.data.exists()


async def test_a_mistake_of_the_settings_is_none_of_the_catalog(project: Project) -> None:
    async with open_engine(loaded(project)):
        pass
    project.config.write_text(project.config.read_text() + "records: {jira: {}}\n")
    with pytest.raises(ConfigError, match=r"quell.yaml:\d+"):
        async with open_engine(loaded(project)):
            pass


async def test_what_can_t_be_used_any_more_hides_no_mistake_of_the_files(project: Project) -> None:
    async with open_engine(loaded(project)):
        pass
    break_rules(project)
    text = project.config.read_text()
    # A role isn't part of a catalog version, and the playbook names it.
    project.config.write_text(text.replace("roles: {oncall:", "roles: {nobody:"))
    with pytest.raises(ConfigError, match=r"llm.yaml:6:15"):
        async with open_engine(loaded(project)):
            pass
