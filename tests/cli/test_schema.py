"""The schemas as files, and what ships held against them."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from engine.catalog import shipped_folder
from engine.catalog.drafts import SKELETON, draft_rule, draft_test, outcome_of
from engine.catalog.yaml_composer import compose
from engine.catalog.yaml_plain import to_plain
from engine.cli.main import execute
from engine.cli.schema import MODELS
from tests.cli.project import INVENTORY, SETTINGS

SHIPPED = sorted(shipped_folder().glob("rules/*.yaml")) + sorted(
    shipped_folder().glob("playbooks/*.yaml")
)
DOCS = Path(__file__).parents[2] / "docs"


def kind_of(path: Path) -> str:
    if path.name.endswith(".test.yaml"):
        return "tests"
    if path.parent.name == "rules":
        return "rules"
    return path.stem if path.stem in MODELS else "playbook"


def mistakes(kind: str, text: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What the printed schema finds wrong in a text."""
    assert execute(["schema", kind]) == 0
    validator = Draft202012Validator(json.loads(capsys.readouterr().out))
    document: Any = to_plain(compose(text.encode(), "file", may_hold_secrets=True))
    return [each.message for each in validator.iter_errors(document)]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_what_ships_is_valid(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert mistakes(kind_of(path), path.read_text(), capsys) == []


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        pytest.param("settings", SETTINGS, id="settings"),
        pytest.param("inventory", INVENTORY, id="inventory"),
        pytest.param(
            "settings",
            (DOCS / "settings.md").read_text().split("```yaml\n")[1].split("```")[0],
            id="documented-settings",
        ),
        pytest.param("rules", draft_rule("a", [SKELETON]), id="drafted-rule"),
        pytest.param("tests", draft_test(SKELETON, [outcome_of("a", SKELETON)]), id="its-test"),
    ],
)
def test_what_people_write_is_valid(
    kind: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mistakes(kind, text, capsys) == []


def test_a_mistake_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    text = draft_rule("a", [SKELETON]).replace("mode: suggest", "mode: sugest")
    (message,) = mistakes("rules", text, capsys)
    assert "sugest" in message


def test_a_folder_gets_all_of_them_and_old_ones_are_replaced(
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = Path("schemas")
    folder.mkdir()
    (folder / "rules.schema.json").write_text("old")
    assert execute(["schema", "--into", "schemas"]) == 0
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        f"{kind}.schema.json" for kind in MODELS
    )
    assert capsys.readouterr().out.splitlines()[0] == "wrote schemas/rules.schema.json"
    assert execute(["schema", "rules"]) == 0
    assert (folder / "rules.schema.json").read_text() == capsys.readouterr().out


def test_one_kind_goes_into_a_folder_alone() -> None:
    assert execute(["schema", "policy", "--into", "schemas"]) == 0
    assert [path.name for path in Path("schemas").iterdir()] == ["policy.schema.json"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "say of which files (rules, playbook,"),
        (["rule"], "'rules'"),
        (["rules", "--into", "a-file"], "a-file/rules.schema.json can't be written: "),
    ],
)
def test_what_cannot_be_printed_is_told(
    capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    Path("a-file").write_text("")
    assert execute(["schema", *words]) == 2
    assert told in " ".join(capsys.readouterr().err.split())
