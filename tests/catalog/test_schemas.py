"""Schemas say what the models say, every key has its words, and editors of today read them."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, TypeAdapter, ValidationError

from engine.catalog.schema_examples import EXAMPLES
from engine.catalog.schema_words import WORDS
from engine.catalog.schemas import schema_of
from engine.core.documents import CommandsDocument, InventoryDocument, PlaybookDocument
from engine.core.policy_documents import PolicyDocument
from engine.core.rehearsal_documents import RehearsalsDocument
from engine.core.rule_documents import RulesDocument
from engine.settings import Settings

MODELS: tuple[type[BaseModel], ...] = (
    RulesDocument,
    PlaybookDocument,
    CommandsDocument,
    InventoryDocument,
    PolicyDocument,
    RehearsalsDocument,
    Settings,
)
each_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
# These mean the same in draft-07, which many editors still check with.
KEYWORDS = {
    *("$schema", "$defs", "$ref", "title", "description", "default", "examples", "type", "enum"),
    *("const", "anyOf", "properties", "patternProperties", "additionalProperties", "required"),
    *(
        "propertyNames",
        "items",
        "minItems",
        "maxItems",
        "maxProperties",
        "minLength",
        "pattern",
        "minimum",
        "maximum",
    ),
    *("exclusiveMinimum",),
}
RULE: Mapping[str, Any] = {"id": "a", "description": "d", "severity": "P3"}


def models_in(schema: Mapping[str, Any], root: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield root, schema
    yield from schema["$defs"].items()


def keywords(schema: object) -> Iterator[str]:
    if isinstance(schema, list):
        for each in schema:
            yield from keywords(each)
    if not isinstance(schema, Mapping):
        return
    for key, value in schema.items():
        yield key
        if key in ("properties", "patternProperties", "$defs"):
            for each in value.values():
                yield from keywords(each)
        elif key not in ("default", "examples", "enum", "const"):
            yield from keywords(value)


@each_model
def test_it_is_a_schema_of_its_draft_with_keywords_that_older_editors_know(
    model: type[BaseModel],
) -> None:
    schema = schema_of(model, "quell")
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    assert set(keywords(schema)) <= KEYWORDS


@each_model
def test_every_key_has_words(model: type[BaseModel]) -> None:
    for name, each in models_in(schema_of(model, "quell"), model.__name__):
        keys = set(each.get("properties", {}))
        silent = keys - set(WORDS.get(name, {}))
        assert not silent, f"say in engine/catalog/schema_words.py what these mean: {name} {silent}"
        for key, told in each.get("properties", {}).items():
            assert told["description"] == WORDS[name][key]


def test_no_words_are_left_of_a_key_that_is_gone() -> None:
    found = {
        name: set(each.get("properties", {}))
        for model in MODELS
        for name, each in models_in(schema_of(model, "quell"), model.__name__)
    }
    for table in (WORDS, EXAMPLES):
        left = {
            f"{name}.{key}" for name in table for key in set(table[name]) - found.get(name, set())
        }
        assert left == set()


@each_model
def test_examples_and_defaults_are_what_the_schema_permits(model: type[BaseModel]) -> None:
    schema = schema_of(model, "quell")
    for _, each in models_in(schema, model.__name__):
        for name, told in each.get("properties", {}).items():
            validator = Draft202012Validator({"$defs": schema["$defs"], **told})
            shown = [*told.get("examples", ())]
            shown += [told["default"]] if "default" in told else []
            for value in shown:
                assert validator.is_valid(value), f"{name}: {value!r}"


@pytest.mark.parametrize(
    ("model", "document", "is_valid"),
    [
        (RulesDocument, {"language": 1, "rules": [RULE]}, True),
        (RulesDocument, {"language": 2, "rules": []}, False),
        (RulesDocument, {"language": 1, "rules": [{**RULE, "id": "A"}]}, False),
        (RulesDocument, {"language": 1, "rules": [{**RULE, "severity": "P5"}]}, False),
        (RulesDocument, {"language": 1, "rules": [{**RULE, "match": []}]}, False),
        (RulesDocument, {"language": 1, "rules": [{**RULE, "mode": [{"is": "auto"}]}]}, True),
        (RulesDocument, {"language": 1, "rules": [{**RULE, "playbook": None}]}, True),
        (RulesDocument, {"language": 1, "rules": [{"id": "a", "severity": "P3"}]}, False),
        (InventoryDocument, {"language": 1, "targets": {"a": {"kind": "host"}}}, True),
        (InventoryDocument, {"language": 1, "targets": {"a b": {"kind": "host"}}}, False),
        (InventoryDocument, {"language": 1, "connections": {"a": {"uses": "x", "y": 1}}}, True),
        (PolicyDocument, {"language": 1, "ceilings": [{"mode": "auto", "quorum": 0}]}, False),
        (PolicyDocument, {"language": 1, "require_for_auto": ["verify"]}, True),
        (CommandsDocument, {"language": 1, "commands": {"a": {"argv": []}}}, False),
        (Settings, {"listen": "nowhere"}, False),
        (Settings, {"retention": {"stream": "7d", "stream_size": "2GiB"}}, True),
        (Settings, {"rule_dir": "rules"}, False),
    ],
)
def test_it_holds_for_what_the_model_takes(
    model: type[BaseModel], document: Mapping[str, Any], is_valid: bool
) -> None:
    assert Draft202012Validator(schema_of(model, "quell")).is_valid(document) == is_valid
    try:
        TypeAdapter(model).validate_python(document)
    except ValidationError:
        assert not is_valid
    else:
        assert is_valid
