"""Mapping files: every mistake at its place, all of them at once."""

from pathlib import Path

import pytest

from engine.catalog.mappings import read_mapping
from engine.errors import ConfigError

SOUND = "language: 1\nstatus: body.status\nname: body.name\nlabels: body.labels\n"


def findings(path: Path, text: str) -> list[str]:
    path.write_text(text)
    with pytest.raises(ConfigError) as raised:
        read_mapping(path)
    return [str(each).removeprefix(f"{path}:") for each in raised.value.findings]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mapping.yaml"


def test_a_sound_file_is_read(path: Path) -> None:
    path.write_text(SOUND)
    assert set(read_mapping(path).fields) == {"status", "name", "labels"}


def test_a_wrong_expression_is_told_at_its_column(path: Path) -> None:
    assert findings(path, SOUND + "service: body.a + boddy.b\n") == [
        "5:19: unknown name 'boddy', did you mean 'body'?"
    ]


def test_all_mistakes_are_told_at_once(path: Path) -> None:
    text = SOUND + "servce: body.a\nttl: true\nlabels2: {}\nregion: nobody.x\n"
    assert [each.partition(": ")[0] for each in findings(path, text)] == [
        "5:1",
        "6:6",
        "7:1",
        "8:9",
    ]


def test_a_key_that_is_missing_is_named(path: Path) -> None:
    assert findings(path, "language: 1\nstatus: body.s\nlabels: body.l\n") == [
        "1:1: key 'name' is missing"
    ]


def test_no_yaml_is_told_at_its_place(path: Path) -> None:
    assert findings(path, "language: 1\nstatus: [\n")[0].startswith("3:1:")


def test_a_file_that_is_not_there_is_named(path: Path) -> None:
    with pytest.raises(ConfigError, match=r"mapping\.yaml' can't be read: No such file"):
        read_mapping(path)
