"""The pages of docs/reference, made from what reads the files, so that they say what it takes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from engine.catalog.markdown import cell
from engine.catalog.references import ACTIONS, EXPRESSIONS, PAGES, YAML, ModelPage, anchor_of
from engine.catalog.references import section_of as heading
from engine.catalog.schema_examples import EXAMPLES
from engine.catalog.schema_words import WORDS
from engine.catalog.yaml_composer import MAX_BYTES, MAX_DEPTH, MAX_NODES
from engine.core.actions import Declaration, Input
from engine.core.expression_functions import FUNCTIONS
from engine.core.scopes import ALERT, INCIDENT, POLICY_FIELDS

COMMAND = "python -m engine.cli.reference"
_GENERATED = f"\n<!-- Generated: {COMMAND} -->\n"
_MAX_EXAMPLE = 80

_YAML = f"""\
# YAML, as quell reads it

Files are read so that nothing in them is retyped or dropped in silence. A file is UTF-8, one
document, at most {MAX_BYTES // 1024} KiB, {MAX_NODES:,} values and {MAX_DEPTH} levels deep.

| what | is refused, because | write |
|---|---|---|
| `no`, `off`, `Yes`, `TRUE` | it is a bool for some readers, text for others | `false`, or `'no'` |
| `010`, `0x1F`, `0b1`, `1_000`, `1e3`, `.5` | readers differ about the number | `10`, or `'010'` |
| `22:22`, `2026-01-31` | some readers make a number or a time of it | `'22:22'` |
| `!tag`, `&anchor`, `*alias`, `<<` | a file could grow, or hide what it says | the value itself |
| `when: !x`, `when: "a" == b` | `!` and quotes at the beginning are YAML's own | `when: '!x'` |
| `if: a ? b : c` | `: ` ends a key | `if: 'a ? b : c'` |
| `until: "x #1" in y` | ` #` begins a comment where no quote is open | the whole value in quotes |
| `{{host: ${{{{ params.host }}}}}}` | brackets are YAML's own there | `'${{{{ … }}}}'` |
| a key twice | only one of them would count | it once |
| tabs that indent, control characters | they look like what they aren't | blanks |

Each finding shows the line as it should be written.
"""


def reference_pages(actions: Mapping[str, Declaration]) -> Mapping[str, str]:
    """Every page by its file's name."""
    pages = {page.file: _model_page(page) for page in PAGES.values()}
    pages |= {ACTIONS: _actions_page(actions), EXPRESSIONS: _expressions_page(), YAML: _YAML}
    return {file: text + _GENERATED for file, text in pages.items()}


def _model_page(page: ModelPage) -> str:
    schema = page.model.model_json_schema(by_alias=True)
    sections = {**schema.pop("$defs", {}), page.model.__name__: schema}
    parts = [f"# {page.title}: every key", "", page.about, ""]
    for name in _in_order(page.model.__name__, sections):
        parts += _section(name, sections[name])
    return "\n".join(parts).rstrip() + "\n"


def _in_order(root: str, sections: Mapping[str, Any]) -> Sequence[str]:
    """The models in the order in which a reader comes upon them."""
    found, waiting = dict.fromkeys([root]), [root]
    for name in waiting:
        new = [each for each in _references(sections[name]) if each not in found]
        waiting += dict.fromkeys(new)
        found |= dict.fromkeys(new)
    return [name for name in found if "properties" in sections[name]]


def _references(schema: object) -> Iterator[str]:
    if isinstance(schema, Mapping):
        if isinstance(target := schema.get("$ref"), str):
            yield target.rpartition("/")[2]
        for each in schema.values():
            yield from _references(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from _references(each)


def _section(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield f"## {heading(name)}"
    yield ""
    yield " ".join(schema.get("description", "").split())
    yield ""
    yield "| key | is | unless written | |"
    yield "|---|---|---|---|"
    needed = schema.get("required", ())
    for key, each in schema["properties"].items():
        default = "**needed**" if key in needed else _default(each)
        words = WORDS.get(name, {}).get(key, "")
        example = _example(name, key)
        yield f"| `{key}` | {_kind(each)} | {default} | {words}{example} |".replace("|  |", "| |")
    yield ""


def _default(schema: Mapping[str, Any]) -> str:
    value = schema.get("default")
    # What a section has unless it is written stands in its own table.
    is_told = value not in (None, "", [], False) and not isinstance(value, dict)
    return f"`{_flow(value)}`" if is_told else ""


def _example(model: str, key: str) -> str:
    for each in EXAMPLES.get(model, {}).get(key, ()):
        shown = _flow(each)
        if len(shown) <= _MAX_EXAMPLE:
            return f", like `{cell(shown)}`"
    return ""


def _flow(value: object) -> str:
    text: str = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=1 << 30)
    return text.removesuffix("\n").removesuffix("\n...")


def _kind(schema: Mapping[str, Any]) -> str:
    """What may stand there, in words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return (
            "any value" if name == "JsonValue" else f"[{heading(name).lower()}](#{anchor_of(name)})"
        )
    if "anyOf" in schema:
        kinds = [_kind(each) for each in schema["anyOf"] if each.get("type") != "null"]
        return " or ".join(kinds)
    if "const" in schema or "enum" in schema:
        words = schema.get("enum", [schema.get("const")])
        return ", ".join(f"`{each}`" for each in words)
    match schema.get("type"):
        case "array":
            return f"list of {_kind(schema.get('items', {}))}{_bounds(schema, 'Items')}"
        case "object":
            inner = [*schema.get("patternProperties", {}).values()]
            values = inner[0] if inner else schema.get("additionalProperties") or {}
            return f"by name, {_kind(values)}"
        case "string":
            return _text(schema)
        case "integer" | "number" as kind:
            what = "whole number" if kind == "integer" else "number"
            return what + _bounds(schema, "imum")
        case "boolean":
            return "`true` or `false`"
        case _:
            return "any value"


def _text(schema: Mapping[str, Any]) -> str:
    described = str(schema.get("description", ""))
    if described == "bare CEL":
        return f"[expression]({EXPRESSIONS})"
    if described.startswith("a Prometheus duration"):
        return "duration"
    return f"text like `{cell(schema['pattern'])}`" if "pattern" in schema else "text"


def _bounds(schema: Mapping[str, Any], suffix: str) -> str:
    least, most = (schema.get(word + suffix) for word in ("min", "max"))
    match (least, most):
        case (None, None):
            return ""
        case (_, None):
            return f", at least {least}"
        case (None, _):
            return f", at most {most}"
        case _:
            return f", {least} to {most}"


def _actions_page(actions: Mapping[str, Declaration]) -> str:
    parts = [
        "# Actions: what a step may use",
        "",
        "`uses` names one, `with` gives its inputs. `result.<output>` is what `until` sees, "
        "`steps.<id>.<output>` what later steps see: [playbooks](../playbooks.md). "
        "[Actions of your own](../custom-actions.md).",
        "",
    ]
    for name, action in sorted(actions.items()):
        effects = " or ".join(sorted(effect.value for effect in action.effects))
        parts += [f"## {name}", "", f"{action.description} Effect: {effects}.", ""]
        parts += ["| input | is | |", "|---|---|---|"]
        parts += [_input_row(key, each) for key, each in action.inputs.items()]
        outputs = ", ".join(f"`{key}` ({kind})" for key, kind in action.outputs.items())
        parts += ["", f"Outputs: {outputs}.", ""]
        if action.connection_kind:
            parts += [f"Connections: `uses: {action.connection_kind}` in the inventory.", ""]
    return "\n".join(parts).rstrip() + "\n"


def _input_row(key: str, declared: Input) -> str:
    kind = str(declared.type)
    if declared.form is not None and declared.form.values:
        kind = ", ".join(f"`{each}`" for each in declared.form.values)
    needed = "**needed**" if declared.required else ""
    secrets = "may hold secrets" if declared.takes_secrets else ""
    words = "; ".join(filter(None, (needed, declared.description, secrets)))
    return f"| `{key}` | {kind} | {words} |"


def _expressions_page() -> str:
    parts = [
        "# Expressions",
        "",
        "CEL, checked when the file is read: names, types, and what a place needs. `when`, `if`, "
        "`until` and `done` are bare expressions; elsewhere a value is `'${{ … }}'`. Where each "
        "name is known: [playbooks](../playbooks.md#expressions), [rules](../rules.md).",
        "",
        "| name | type | where |",
        "|---|---|---|",
        *(
            f"| `{name}` | {kind} | rules, defaults of parameters |"
            for name, kind in ALERT.names.items()
        ),
        *(f"| `{name}` | {kind} | playbooks |" for name, kind in INCIDENT.names.items()),
        "| `params.<name>` | its own | playbooks |",
        "| `target(id).<fact>` | string | playbooks; `kind` and what policy sees |",
        "| `steps.<id>.<output>`, `steps.<id>.outcome` | the action's | later steps |",
        "| `result.<output>` | the action's | `until` |",
        *(f"| `{name}` | string | policy |" for name in POLICY_FIELDS),
        "",
        "| function | gives |",
        "|---|---|",
        *(f"| `{cell(page.usage)}` | {page.meaning} |" for page in FUNCTIONS),
        "",
        "`&&`, `||`, `!`, `==`, `!=`, `<`, `<=`, `>`, `>=`, `in`, `+`, `-`, `*`, `/`, `%`, and "
        '`condition ? value : other`. A label that is absent is `""`.',
    ]
    return "\n".join(parts) + "\n"
