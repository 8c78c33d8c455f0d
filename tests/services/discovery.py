"""Google's discovery documents: whether a request and an answer are what an API publishes.

What a document doesn't name is refused: a caller may not send it, and a fake may not answer it.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

FOLDER = Path(__file__).parent / "google_discovery"
_FORMATS: Mapping[str, Mapping[str, Any]] = {
    "byte": {"pattern": r"^[A-Za-z0-9+/]*={0,2}$"},
    "google-datetime": {"pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$"},
    "int32": {"minimum": -(2**31), "maximum": 2**31 - 1},
}


@dataclass(frozen=True)
class Discovery:
    """One document."""

    methods: Mapping[str, Any]
    schemas: Mapping[str, Any]

    def asked(self, verb: str, path: str, body: Any) -> str:
        """The id of the method that this calls. Raises AssertionError where it is none."""
        for method_id, method in self.methods.items():
            [(name, parameter)] = method["parameters"].items()
            before, _, after = method["path"].partition("{+" + name + "}")
            inner = path.removeprefix(f"/{before}").removesuffix(after)
            whole = path.startswith(f"/{before}") and path.endswith(after)
            if verb == method["httpMethod"] and whole and re.match(parameter["pattern"], inner):
                if "request" in method:
                    self._check(method["request"], body)
                else:
                    assert body is None, body
                return str(method_id)
        raise AssertionError(f"no method of this API: {verb} {path}")

    def answers(self, method_id: str, body: Any) -> Any:
        """The body, once it is known to be what the method gives."""
        self._check(self.methods[method_id]["response"], body)
        return body

    def _check(self, schema: Any, value: Any) -> None:
        definitions = {name: _json_schema(each) for name, each in self.schemas.items()}
        jsonschema.validate(value, {**_json_schema(schema), "$defs": definitions})


@cache
def discovery(name: str) -> Discovery:
    """`pubsub.v1` or `monitoring.v3`."""
    document = json.loads((FOLDER / f"{name}.json").read_text())
    return Discovery(document["methods"], document["schemas"])


def _json_schema(of: Mapping[str, Any]) -> dict[str, Any]:
    if "$ref" in of:
        return {"$ref": f"#/$defs/{of['$ref']}"}
    if of["type"] == "any":
        return {}
    schema: dict[str, Any] = {"type": of["type"], **_FORMATS.get(of.get("format", ""), {})}
    if "enum" in of:
        schema["enum"] = of["enum"]
    if of["type"] == "object":
        properties = of.get("properties", {})
        schema["properties"] = {name: _json_schema(each) for name, each in properties.items()}
        more = of.get("additionalProperties")
        schema["additionalProperties"] = _json_schema(more) if more else False
    if "items" in of:
        schema["items"] = _json_schema(of["items"])
    return schema
