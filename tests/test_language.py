"""docs/language.md names every word of the language, and tests that exist."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from engine.core.documents import (
    CommandsDocument,
    ConnectionDocument,
    Guards,
    InventoryDocument,
    PlaybookDocument,
    ServiceDocument,
    StepDocument,
    TargetDocument,
)
from engine.core.policy_documents import PolicyDocument
from engine.core.rehearsal_documents import RehearsalsDocument
from engine.core.rule_documents import RuleOverlay, RulesDocument

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "language.md").read_text()
SECTIONS = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S))
# The models of each section; their parts that have a section of their own are left to it.
MODELS: dict[str, tuple[tuple[type[BaseModel], ...], tuple[type[BaseModel], ...]]] = {
    "Rules": ((RulesDocument, RuleOverlay), ()),
    "Playbooks": ((PlaybookDocument,), (StepDocument, Guards)),
    "Steps": ((StepDocument,), ()),
    "Guards": ((Guards,), (StepDocument,)),
    "Commands": ((CommandsDocument,), ()),
    "Inventory": ((InventoryDocument,), ()),
    "Policy": ((PolicyDocument,), ()),
    "Tests": ((RehearsalsDocument,), (TargetDocument, ServiceDocument, ConnectionDocument)),
}


def words(model: object, seen: set[type[BaseModel]]) -> Iterator[str]:
    """The keys of a model and of all within it, as authors write them."""
    if isinstance(model, type) and issubclass(model, BaseModel):
        if model not in seen:
            seen.add(model)
            for name, field in model.model_fields.items():
                yield field.alias or name
                yield from words(field.annotation, seen)
        return
    for inner in get_args(model):
        yield from words(inner, seen)


def named(section: str) -> set[str]:
    return set(re.findall(r"`([a-z_]+)`", SECTIONS[section]))


@pytest.mark.parametrize("section", MODELS)
def test_every_word_of_the_models_has_a_row(section: str) -> None:
    models, elsewhere = MODELS[section]
    seen = set(elsewhere)
    missing = {word for model in models for word in words(model, seen)} - named(section)
    assert not missing, f"{section}: add {sorted(missing)} to docs/language.md, with their tests"


def test_every_test_that_is_named_exists() -> None:
    found = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", PAGE)
    assert len(found) > 80
    for file, test in found:
        text = (ROOT / file).read_text() if (ROOT / file).is_file() else ""
        assert re.search(rf"^(?:async )?def {test}\(", text, re.M), f"{file}::{test} isn't there"


def test_every_row_names_a_test() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ")]
    heads = [row for row in rows if row.endswith("| test |")]
    assert len(heads) == len(SECTIONS)
    assert [row for row in rows if row not in heads and "::test_" not in row] == []
