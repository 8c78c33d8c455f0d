"""The reference says what the models say."""

from pathlib import Path

import pytest
from pydantic import BaseModel

from connectors import registry
from engine.catalog.reference_pages import COMMAND, reference_pages
from engine.catalog.references import PAGES, ModelPage, section_of

FOLDER = Path(__file__).parents[2] / "docs" / "reference"
WRITTEN = reference_pages(registry.declarations())


@pytest.mark.parametrize("file", sorted(WRITTEN))
def test_a_page_is_current(file: str) -> None:
    current = (FOLDER / file).read_text() == WRITTEN[file]
    assert current, f"run: {COMMAND}"


def test_there_is_no_other_page() -> None:
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(WRITTEN)


def models_of(model: type[BaseModel]) -> set[str]:
    schema = model.model_json_schema()
    inner = {name for name, each in schema.get("$defs", {}).items() if "properties" in each}
    return {model.__name__, *inner}


@pytest.mark.parametrize("page", PAGES.values(), ids=lambda page: page.file)
def test_every_model_has_one_section_and_every_key_its_row(page: ModelPage) -> None:
    lines = WRITTEN[page.file].splitlines()
    headings = [line for line in lines if line.startswith("## ")]
    assert sorted(headings) == sorted(f"## {section_of(name)}" for name in models_of(page.model))
    for name, field in page.model.model_fields.items():
        (row,) = [line for line in lines if line.startswith(f"| `{field.alias or name}` |")][:1]
        assert ("**needed**" in row) == field.is_required()


def test_rows_say_types_bounds_defaults_and_examples() -> None:
    rules, playbook = WRITTEN["rules.md"], WRITTEN["playbook.md"]
    assert "| `at_least` | whole number, 2 to 1000 | **needed** | so many |" in rules
    assert "| `when` | [expression](expressions.md) | | " in rules
    assert (
        "| `severity` | `P1`, `P2`, `P3`, `P4` or list of [severity case](#severity-case) |"
        in rules
    )
    assert "| `expires` | duration | `10m` | how long a request counts |" in playbook
    assert "| `parameters` | by name, [parameter](#parameter) | | " in playbook
    assert "like `ssh.run` |" in playbook


def test_no_row_has_more_cells_than_its_table() -> None:
    for text in WRITTEN.values():
        width = 0
        for line in text.splitlines():
            cells = line.replace("\\|", "").count("|") if line.startswith("|") else 0
            assert cells in (0, width) or width == 0, line
            width = cells


def test_actions_show_their_inputs_and_outputs() -> None:
    actions = WRITTEN["actions.md"]
    for name, action in registry.declarations().items():
        section = actions.split(f"## {name}\n")[1].split("\n## ")[0]
        assert all(f"| `{each}` |" in section for each in action.inputs)
        assert all(f"`{each}` (" in section for each in action.outputs)
