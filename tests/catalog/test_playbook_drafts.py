"""A drafted playbook and its tests are right as they are written, whatever the actions need."""

from itertools import combinations_with_replacement

import pytest

from connectors import registry
from engine.catalog import shipped_folder
from engine.catalog.parsing import parse
from engine.catalog.playbook_drafts import PlaybookDraft, Surroundings
from engine.catalog.sources import Kind, SourceFile
from engine.core.actions import Declaration, Effect, Estate, Input
from engine.core.documents import Argument, CommandDocument, CommandsDocument, PlaybookDocument
from engine.core.expressions import ValueType
from engine.core.findings import Finding
from engine.core.inventory import Inventory
from engine.core.playbook import Playbook
from engine.core.playbook_checks import compile_playbook
from engine.core.rehearsal_documents import RehearsalsDocument, check_rehearsals
from engine.core.steps import PlaybookContext
from engine.errors import ConfigError

ODD = Declaration(
    name="lab.odd",
    version=1,
    description="Takes a value of each type: 'all' of them.",
    inputs={
        "machine": Input(ValueType.STRING, names="target"),
        "mode": Input(ValueType.STRING, form=Argument(type="enum", values=("a: b", "no"))),
        "host": Input(ValueType.STRING, description="a text, though another's is a target"),
        "count": Input(ValueType.INT, form=Argument(type="integer", minimum=3, maximum=9)),
        "share": Input(ValueType.DOUBLE),
        "force": Input(ValueType.BOOL),
        "names": Input(ValueType.list_of(ValueType.STRING)),
        "tags": Input(ValueType.map_of(ValueType.STRING)),
        "anything": Input(ValueType.DYN),
    },
    outputs={"left": ValueType.INT},
    effects=frozenset({Effect.READ, Effect.CHANGE}),
)
ACTIONS = {**registry.declarations(), ODD.name: ODD}


def file(kind: Kind, text: str) -> SourceFile:
    return SourceFile(kind, "a", "playbooks/mine.yaml", text.encode(), shipped=False)


def shipped_commands() -> dict[str, CommandDocument]:
    text = (shipped_folder() / "playbooks" / "commands.yaml").read_text()
    parsed = parse(file(Kind.COMMANDS, text), CommandsDocument, [])
    assert parsed is not None
    return dict(parsed.document.commands)


COMMANDS = shipped_commands()


def around(**connections: str) -> Surroundings:
    return Surroundings(ACTIONS, Estate(COMMANDS, {}, connections), {"ssh": {"user": "quell"}})


def compiled(draft: PlaybookDraft) -> Playbook:
    """The playbook, and its tests are read, without a mistake."""
    findings: list[Finding] = []
    parsed = parse(file(Kind.PLAYBOOK, draft.playbook), PlaybookDocument, findings)
    tests = parse(file(Kind.REHEARSALS, draft.test), RehearsalsDocument, findings)
    assert findings == []
    assert parsed is not None
    assert tests is not None
    check_rehearsals(tests.document, tests.mistakes)
    context = PlaybookContext(ACTIONS, COMMANDS, Inventory())
    playbook = compile_playbook(parsed.document, "hash", context, parsed.mistakes)
    assert [*parsed.findings(), *tests.findings()] == []
    assert playbook is not None
    return playbook


@pytest.mark.parametrize(
    "uses",
    [uses for count in range(4) for uses in combinations_with_replacement(sorted(ACTIONS), count)],
    ids=",".join,
)
def test_whatever_it_uses_it_holds(uses: tuple[str, ...]) -> None:
    playbook = compiled(PlaybookDraft("mine", uses, around()))
    assert {each.uses for each in (*playbook.steps, *playbook.verify)} >= set(uses)
    assert playbook.steps[0].may_change
    assert not any(each.may_change for each in playbook.verify)


def test_parameters_have_the_types_of_what_they_are_for() -> None:
    parameters = compiled(PlaybookDraft("mine", ["lab.odd"], around())).parameters
    specs = {name: each.spec for name, each in parameters.items()}
    assert {name: spec.type for name, spec in specs.items()} == {
        "machine": "target",
        "mode": "enum",
        "host": "string",
        "count": "integer",
        "share": "number",
        "force": "boolean",
        "anything": "string",
        "unit": "string",  # of the command that proves it
    }
    assert specs["mode"].values == ("a: b", "no")
    assert (specs["count"].minimum, specs["count"].maximum) == (3, 9)
    assert specs["unit"].pattern == COMMANDS["unit-state"].args["unit"].pattern


def test_equal_parameters_are_one_and_others_are_told_apart() -> None:
    twice = compiled(PlaybookDraft("mine", ["ssh.run", "ssh.run", "lab.odd"], around()))
    assert [name for name in twice.parameters if "unit" in name] == ["unit"]
    assert twice.parameters["host"].spec.type == "target"
    assert twice.parameters["change_3_host"].spec.type == "string"


def test_of_several_connections_one_is_named() -> None:
    draft = PlaybookDraft("mine", ["prometheus.query"], around(b="prometheus", a="prometheus"))
    assert "    connection: a\n" in draft.playbook


def test_without_a_fitting_command_it_says_what_to_write() -> None:
    unknowable = Argument(pattern="x{40}y")
    change = CommandDocument(argv=("x",), args={"a": unknowable}, effect="change", repeat="never")
    estate = Estate({"x": change}, {}, {})
    with pytest.raises(ConfigError, match="there is none with `effect: change`; write one first"):
        PlaybookDraft("mine", (), Surroundings(ACTIONS, estate, {}))
