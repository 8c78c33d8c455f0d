"""Drafts go into new files only, and what can't be written is told."""

from dataclasses import replace
from pathlib import Path

import pytest
import typer

from engine.app import Draft
from engine.cli.drafted import checked_id, folder_for, write
from engine.core.findings import Finding
from engine.errors import ConfigError
from engine.settings import Settings

DRAFT = Draft("mine", "a: 1\n", "b: 2\n")


def test_both_files_are_written_and_the_next_command_names_the_options(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    write(DRAFT, tmp_path, {"--rules": tmp_path, "--config": None})
    assert (tmp_path / "mine.yaml").read_text() == "a: 1\n"
    assert (tmp_path / "mine.test.yaml").read_text() == "b: 2\n"
    test = tmp_path / "mine.test.yaml"
    assert capsys.readouterr().out.endswith(f"then: quell test {test} --rules {tmp_path}\n")


def test_where_one_is_there_neither_is_written(tmp_path: Path) -> None:
    (tmp_path / "mine.test.yaml").write_text("own")
    with pytest.raises(ConfigError, match=r"mine\.test\.yaml is there already"):
        write(DRAFT, tmp_path, {})
    assert [path.name for path in tmp_path.iterdir()] == ["mine.test.yaml"]


def test_without_a_folder_it_says_where_to_name_one() -> None:
    with pytest.raises(ConfigError, match="write `rules_dir: rules` into quell"):
        folder_for(Settings(), "rules")


def test_every_folder_that_is_named_is_made(tmp_path: Path) -> None:
    settings = Settings(rules_dir=tmp_path / "rules", playbooks_dir=tmp_path / "playbooks")
    assert folder_for(settings, "playbooks") == tmp_path / "playbooks"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["playbooks", "rules"]


def test_what_the_author_should_know_is_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    write(replace(DRAFT, note="rule 'a' comes behind"), tmp_path, {})
    assert "\nrule 'a' comes behind\nnow write" in capsys.readouterr().out


def test_only_an_id_is_an_id() -> None:
    assert checked_id("restart-gateway") == "restart-gateway"
    with pytest.raises(typer.BadParameter, match="'Restart' is no id"):
        checked_id("Restart")


def test_mistakes_of_other_files_are_a_warning(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    mistake = Finding("rules/a.yaml", 3, 5, "unknown key 'x'")
    write(replace(DRAFT, mistakes=[mistake]), tmp_path, {})
    out, err = capsys.readouterr()
    assert "wrote" in out
    assert err.splitlines()[1:] == ["rules/a.yaml:3:5: unknown key 'x'"]
