"""A playbook as a page for people: made from its file, so that it says what runs.

A word that has no sentence of its own here is shown as it is written, with what it means.
"""

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import TypeGuard, TypeVar

import yaml

from engine.catalog.markdown import cell
from engine.catalog.parsing import parse
from engine.catalog.schema_words import WORDS
from engine.catalog.sources import Kind, SourceFile
from engine.core.actions import Declaration
from engine.core.catalog import Catalog
from engine.core.documents import CommandDocument, Document, Parameter, PlaybookDocument
from engine.core.guard_words import told_written
from engine.core.json_value import Json
from engine.core.playbook import Playbook
from engine.core.rule import Cases, Rule

MARK = "<!-- Written by `quell docs build`; an edit is lost with the next one. -->"
LAST_RUNS = 10
# Ends of runs that say whether the remedy helps; the others changed nothing.
_HELPED, _DID_NOT = "succeeded", frozenset({"failed", "partial", "unknown"})

_EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")
_FILLED = re.compile(r"<.*>")
_SAID = frozenset({"language", "id", "description", "parameters", "guards"})
_STEP_SAID = frozenset({"id", "description", "uses", "with"})

E = TypeVar("E", bound=Enum)


@dataclass(frozen=True, slots=True)
class PastRun:
    """A run that ended; `incident` as people see it: INC-12."""

    playbook: str
    incident: str
    outcome: str
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class Runbooks:
    """The pages of a catalog. `runs` are newest first; None where nobody was asked for them."""

    catalog: Catalog
    actions: Mapping[str, Declaration]
    runs: Sequence[PastRun] | None = None

    def pages(self) -> Mapping[str, str]:
        """Every page by its file's name, and the list of all."""
        known = sorted(self.catalog.playbooks.items())
        pages = {f"{name}.md": self._page(playbook) for name, playbook in known}
        rows = [
            f"| [{name}]({name}.md) | {cell(playbook.description)} | {self._rate(name) or '-'} |"
            for name, playbook in known
        ]
        head = [MARK, "# Runbooks", "", "| playbook | what it does | helped |", "|---|---|---|"]
        return {**pages, "README.md": "\n".join([*head, *rows, ""])}

    def _page(self, playbook: Playbook) -> str:
        document = self._document(playbook)
        lines = [MARK, f"# {document.id}", "", document.description, ""]
        lines += self._when(document)
        lines += _parameters(document)
        lines += _limits(document)
        lines += self._parts(document)
        lines += self._history(document.id)
        lines += [f"Text {playbook.text_hash[:12]} of catalog {self.catalog.version[:12]}.", ""]
        return "\n".join(lines)

    def _document(self, playbook: Playbook) -> PlaybookDocument:
        """What was written; it was checked when the catalog was loaded."""
        text = self.catalog.texts[playbook.text_hash]
        name = f"{playbook.id}.yaml"
        parsed = parse(
            SourceFile(Kind.PLAYBOOK, name, name, text, shipped=False), PlaybookDocument, []
        )
        assert parsed is not None, "a text of the catalog is a playbook"
        return parsed.document

    def _when(self, document: PlaybookDocument) -> Iterator[str]:
        yield "## When"
        yield ""
        starting = [rule for rule in self.catalog.rules if rule.playbook == document.id]
        if starting:
            yield "| rule | says | alerts | severity | mode |"
            yield "|---|---|---|---|---|"
            yield from map(_rule_row, starting)
        else:
            yield "No rule starts it."
        yield ""
        given = " ".join(
            f"-p {name}=…" for name, p in document.parameters.items() if p.default is None
        )
        yield f"By hand: `quell run {document.id} {given}`"
        yield ""

    def _parts(self, document: PlaybookDocument) -> Iterator[str]:
        """Each list of steps, in the order of the model."""
        for key, value in _written(document).items():
            if _is_steps(value):
                about = WORDS["PlaybookDocument"].get(key, "")
                yield from (f"## {_title(key)}", "", f"{about[:1].upper()}{about[1:]}.", "")
                yield from self._steps(value, "")
                yield ""

    def _steps(self, steps: Sequence[Document], indent: str) -> Iterator[str]:
        for number, step in enumerate(steps, 1):
            yield from self._step(step, f"{indent}{number}. ", f"{indent}   ")

    def _step(self, step: Document, head: str, indent: str) -> Iterator[str]:
        written = {key: each for key, each in _written(step).items() if key in _named(step)}
        about = str(written.get("description", ""))
        yield f"{head}**{written.get('id', 'step')}**{f': {about}' if about else ''}"
        if "uses" in written:
            inputs = written.get("with")
            given = inputs if isinstance(inputs, Mapping) else {}
            yield f"{indent}- {self._call(str(written['uses']), given)}"
        said = _STEP_SAID if "uses" in written else _STEP_SAID - {"with"}
        for key, value in written.items():
            if key in said:
                continue
            if _is_steps(value):
                yield f"{indent}- `{key}`:"
                yield from self._steps(value, f"{indent}  ")
            else:
                yield f"{indent}- {key}: `{_flow(_plain(value))}`"

    def _call(self, uses: str, inputs: Mapping[str, Json]) -> str:
        """The exact command or request, with what a run fills in as `<name>`."""
        declared = self.actions[uses].inputs
        by_kind = {declared[key].names: value for key, value in inputs.items() if key in declared}
        command = self.catalog.estate.commands.get(str(by_kind.get("command", "")))
        if command is None:
            given = " ".join(f"{key}={_shown(value)}" for key, value in inputs.items())
            return f"`{uses} {given}`"
        arguments = by_kind.get("arguments")
        line = _command_line(command, arguments if isinstance(arguments, Mapping) else {})
        what = f"{command.effect}, {by_kind['command']}"
        return f"`{line}` on `{_shown(by_kind.get('target'))}` ({what})"

    def _history(self, playbook: str) -> Iterator[str]:
        if self.runs is None:
            return
        yield "## Last runs"
        yield ""
        mine = [run for run in self.runs if run.playbook == playbook]
        if not mine:
            yield "None is known."
            yield ""
            return
        if rate := self._rate(playbook):
            yield f"Helped: {rate} of those that changed something."
            yield ""
        yield "| ended (UTC) | incident | outcome |"
        yield "|---|---|---|"
        for run in mine[:LAST_RUNS]:
            yield f"| {run.ended_at:%Y-%m-%d %H:%M} | {run.incident} | {run.outcome} |"
        yield ""

    def _rate(self, playbook: str) -> str:
        ends = [run.outcome for run in self.runs or () if run.playbook == playbook]
        helped = ends.count(_HELPED)
        judged = helped + sum(outcome in _DID_NOT for outcome in ends)
        return f"{helped} of {judged} ({helped / judged:.0%})" if judged else ""


class _Dumper(yaml.SafeDumper):
    """Writes a whole number as one: bounds are read as floats, an integer's too."""


def _number(dumper: _Dumper, value: float) -> yaml.ScalarNode:
    return dumper.represent_int(int(value)) if value.is_integer() else dumper.represent_float(value)


_Dumper.add_representer(float, _number)


def _rule_row(rule: Rule) -> str:
    alerts = [f"`{cell(str(each))}`" for each in rule.matchers]
    alerts += [f"`{cell(rule.when.text)}`"] if rule.when else []
    severity = _cases(rule.severity, lambda each: each.name)
    mode = _cases(rule.mode, lambda each: str(each.value))
    return f"| {rule.id} | {cell(rule.description)} | {', '.join(alerts)} | {severity} | {mode} |"


def _cases(cases: Cases[E], name: Callable[[E], str]) -> str:
    some = [f"{name(each.value)} where `{cell(each.when.text)}`" for each in cases.cases]
    return ", ".join([*some, f"else {name(cases.otherwise)}" if some else name(cases.otherwise)])


def _parameters(document: PlaybookDocument) -> Iterator[str]:
    if not document.parameters:
        return
    yield "## Parameters"
    yield ""
    yield "| name | is | unless given | |"
    yield "|---|---|---|---|"
    for name, spec in document.parameters.items():
        more = spec.model_dump(
            exclude_defaults=True, exclude={"type", "default", "description"}, mode="json"
        )
        form = f"{spec.type} `{cell(_flow(more))}`" if more else spec.type
        yield f"| `{name}` | {form} | {_default(spec)} | {cell(spec.description)} |"
    yield ""


def _default(spec: Parameter) -> str:
    if spec.default is None:
        return "**needed**"
    return "empty" if spec.default == "" else f"`{cell(_flow(spec.default))}`"


def _limits(document: PlaybookDocument) -> Iterator[str]:
    """The guards, and what else of the playbook is no list of steps."""
    yield "## Guards and limits"
    yield ""
    told: dict[str, list[str]] = {}
    for guard in told_written(document.guards, document.id):
        told.setdefault(guard.guard, []).append(_shown(guard.text))
    about = WORDS["PlaybookDocument"]
    for key, value in _written(document.guards).items():
        yield f"- `{key}: {_flow(_plain(value))}` {'. '.join(told[key])}"
    for key, value in _written(document).items():
        if key not in _SAID and not _is_steps(value):
            yield f"- `{key}: {_flow(_plain(value))}` {about.get(key, '')}".rstrip()
    yield ""


def _written(document: Document) -> Mapping[str, object]:
    """What is there, by the words of the file."""
    found = {
        field.alias or name: getattr(document, name)
        for name, field in type(document).model_fields.items()
    }
    return {key: value for key, value in found.items() if value not in (None, (), {})}


def _named(document: Document) -> frozenset[str]:
    """The words that its author wrote."""
    fields = type(document).model_fields
    return frozenset(fields[name].alias or name for name in document.model_fields_set)


def _title(key: str) -> str:
    return key.replace("_", " ").capitalize()


def _is_steps(value: object) -> TypeGuard[tuple[Document, ...]]:
    return isinstance(value, tuple) and bool(value) and isinstance(value[0], Document)


def _plain(value: object) -> object:
    if isinstance(value, Document):
        return value.model_dump(mode="json", by_alias=True, exclude_none=True)
    return list(value) if isinstance(value, tuple) else value


def _flow(value: object) -> str:
    text: str = yaml.dump(
        value,
        Dumper=_Dumper,
        default_flow_style=True,
        allow_unicode=True,
        width=1 << 30,
        sort_keys=False,
    )
    return text.removesuffix("\n").removesuffix("\n...")


def _command_line(command: CommandDocument, given: Mapping[str, Json]) -> str:
    def filled(found: re.Match[str]) -> str:
        name = found[1].removeprefix("args.")
        return _shown(given[name]) if name in given else f"<{name}>"

    words = []
    for element in command.argv:
        word = _EXPRESSION.sub(filled, element)
        is_plain = shlex.quote(_FILLED.sub("x", word)) == _FILLED.sub("x", word)
        words.append(word if is_plain else shlex.quote(word))
    return " ".join(words)


def _shown(value: Json) -> str:
    """A value with each expression as `<expression>`, a parameter by its name."""
    if isinstance(value, str):
        return _EXPRESSION.sub(lambda found: f"<{found[1].removeprefix('params.')}>", value)
    return _flow(value)
