"""The tests that stand beside rules and playbooks, read for somebody who plays them."""

from collections.abc import Sequence
from pathlib import Path

from engine.catalog.parsing import Parsed, parse
from engine.catalog.sources import CatalogSources, Kind, read_sources
from engine.core.documents import InventoryDocument
from engine.core.findings import Finding
from engine.core.inventory import Inventory, build_inventory
from engine.core.mistakes import Mistakes
from engine.core.rehearsal_documents import RehearsalsDocument, check_rehearsals
from engine.errors import ConfigError

ParsedRehearsals = Parsed[RehearsalsDocument]


def load_rehearsals(
    sources: CatalogSources, paths: Sequence[Path] = ()
) -> Sequence[ParsedRehearsals]:
    """The files at or below `paths`; without any the user's own, or the shipped if there is none.

    Raises ConfigError with the mistakes of all.
    """
    findings: list[Finding] = []
    files = [each for each in read_sources(sources, findings) if each.kind is Kind.REHEARSALS]
    if paths:
        asked = [path.resolve() for path in paths]
        files = [
            each
            for each in files
            if any(Path(each.path).resolve().is_relative_to(path) for path in asked)
        ]
    else:
        files = [each for each in files if not each.shipped] or files
    found = []
    for file in files:
        parsed = parse(file, RehearsalsDocument, findings)
        if parsed is not None:
            check_rehearsals(parsed.document, parsed.mistakes)
            findings += parsed.findings()
            found.append(parsed)
    if findings:
        raise ConfigError("the tests can't be read", sorted(set(findings)))
    return found


def rehearsed_inventory(parsed: ParsedRehearsals) -> Inventory | None:
    """The inventory that a file brings along, None where the project's counts.

    Raises ConfigError with its mistakes.
    """
    own = parsed.document.inventory
    if own is None:
        return None
    mistakes = Mistakes()
    inventory = build_inventory(
        InventoryDocument(
            language=1,
            targets=own.targets,
            services=own.services,
            connections=own.connections,
        ),
        mistakes.at("inventory"),
    )
    if mistakes.found:
        raise ConfigError(
            "the tests can't be read", [parsed.finding(each) for each in mistakes.found]
        )
    return inventory
