"""JSON Schemas of quell's files for editors: draft 2020-12, from the models that read the files.

An editor sees shapes, names and closed sets; what needs the rest of the project (expressions,
playbooks' parameters, ids of targets) `quell check` alone sees.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from engine.catalog.schema_examples import EXAMPLES
from engine.catalog.schema_words import WORDS

DIALECT = "https://json-schema.org/draft/2020-12/schema"

# What only pydantic knows, or what tells an editor nothing.
_DROPPED = ("title", "format", "writeOnly")


def schema_of(model: type[BaseModel], title: str) -> dict[str, Any]:
    """The schema of the files that a model reads, with a description of every key.

    Editors show the title above each of them.
    """
    schema = model.model_json_schema(by_alias=True)
    definitions = schema.pop("$defs", {})
    described = {name: _described(name, each) for name, each in sorted(definitions.items())}
    root = _described(model.__name__, schema)
    return {"$schema": DIALECT, "title": title, **root, "$defs": described}


def _described(model: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """A model's schema with the words for its keys."""
    plain = _plain(schema)
    words, examples = WORDS.get(model, {}), EXAMPLES.get(model, {})
    for name, each in plain.get("properties", {}).items():
        if name in words:
            each["description"] = words[name]
        if name in examples:
            each["examples"] = list(examples[name])
    if "description" in plain:
        plain["description"] = plain["description"].partition("\n\n")[0].replace("\n", " ")
    return plain


def _plain(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Without what tells nothing, and as strict about keys as the models are."""
    found: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _DROPPED or (key == "default" and not _is_told(value, schema)):
            continue
        if key in ("properties", "patternProperties"):
            found[key] = {name: _plain(each) for name, each in value.items()}
        elif key in ("anyOf", "oneOf", "allOf"):
            found[key] = [_plain(each) for each in value]
        elif isinstance(value, Mapping):
            found[key] = _plain(value)
        else:
            found[key] = value
    if "patternProperties" in found:
        found["additionalProperties"] = False
    return found


def _is_told(default: object, schema: Mapping[str, Any]) -> bool:
    """Whether a default is worth a line: absence and whole sections aren't.

    Pydantic spells a duration as ISO 8601 does, which no file of quell's may.
    """
    return isinstance(default, str | int | float) and schema.get("format") != "duration"
