"""Where the reference says what a mistake is about: a page of docs/reference and its section."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from pydantic import BaseModel

from engine.catalog.sources import Kind
from engine.catalog.yaml_findings import models_at
from engine.catalog.yaml_nodes import MappingNode, Node, SequenceNode
from engine.core.documents import CommandsDocument, InventoryDocument, PlaybookDocument
from engine.core.findings import Finding
from engine.core.mistakes import Path
from engine.core.policy_documents import PolicyDocument
from engine.core.rehearsal_documents import RehearsalsDocument
from engine.core.rule_documents import RulesDocument

FOLDER = "docs/reference"
ACTIONS, EXPRESSIONS, YAML = "actions.md", "expressions.md", "yaml.md"


@dataclass(frozen=True, slots=True)
class ModelPage:
    """A page that is made from a model; `about` says which files it is about."""

    file: str
    title: str
    model: type[BaseModel]
    about: str


PAGES: Mapping[Kind, ModelPage] = {
    Kind.RULES: ModelPage(
        "rules.md", "Rules", RulesDocument, "Files in your folder of rules: [rules](../rules.md)."
    ),
    Kind.PLAYBOOK: ModelPage(
        "playbook.md",
        "Playbooks",
        PlaybookDocument,
        "Files in your folder of playbooks, each named like its `id`: "
        "[playbooks](../playbooks.md), [guards](../guards.md).",
    ),
    Kind.COMMANDS: ModelPage(
        "commands.md",
        "Commands",
        CommandsDocument,
        "`commands.yaml`: [commands](../playbooks.md#commands).",
    ),
    Kind.INVENTORY: ModelPage(
        "inventory.md",
        "Inventory",
        InventoryDocument,
        "The file that `inventory` in quell.yaml names: [inventory](../playbooks.md#inventory).",
    ),
    Kind.POLICY: ModelPage(
        "policy.md",
        "Policy",
        PolicyDocument,
        "The file that `policy` in quell.yaml names: [policy](../rules.md#policy), "
        "[silences and change freezes](../silences.md).",
    ),
    Kind.REHEARSALS: ModelPage(
        "tests.md",
        "Tests",
        RehearsalsDocument,
        "Files that end in `.test.yaml`, beside rules and playbooks: "
        "[tests](../playbooks.md#tests).",
    ),
}


def section_of(model: str) -> str:
    """The heading of a model's section, as `Target lock` for TargetLock."""
    name = model.removesuffix("Document")
    words = "".join(f" {each}" if each.isupper() else each for each in name)
    return words.strip().capitalize()


def anchor_of(model: str) -> str:
    """Where a link to its section leads on the page."""
    return section_of(model).lower().replace(" ", "-")


def reference_of(kind: Kind, path: Path, *, in_expression: bool = False) -> str:
    """The section about the place in a file of this kind, "" for kinds that have no page."""
    page = PAGES.get(kind)
    if page is None:
        return ""
    # A mistake in a matcher has a column, too.
    if in_expression and not {"matchers", "all_of"}.intersection(path):
        return f"{FOLDER}/{EXPRESSIONS}"
    if kind is Kind.PLAYBOOK and ("with" in path or path[-1:] == ("uses",)):
        return f"{FOLDER}/{ACTIONS}"
    for depth in range(len(path), -1, -1):
        models = list(models_at(page.model, path[:depth]))
        if models:
            return f"{FOLDER}/{page.file}#{anchor_of(models[0].__name__)}"
    return f"{FOLDER}/{page.file}"


def referring(findings: list[Finding], kind: Kind, node: Node) -> list[Finding]:
    """The findings about a file's shape, each with the section about its place."""
    paths = dict(_places(node, ()))
    return [
        replace(each, reference=reference_of(kind, paths.get((each.line, each.column), ())))
        for each in findings
    ]


def _places(node: Node, path: Path) -> Iterator[tuple[tuple[int, int], Path]]:
    """Where each key and value stands, and the path that leads there; outer ones come last."""
    if isinstance(node, MappingNode):
        for key, value in node.entries:
            yield from _places(value, (*path, key.text))
            yield (key.line, key.column), path
    elif isinstance(node, SequenceNode):
        for index, element in enumerate(node.elements):
            yield from _places(element, (*path, index))
    yield (node.line, node.column), path
