"""Where in the user's files the rules stand that can never have their say."""

from collections.abc import Sequence

from engine.catalog.parsing import parse
from engine.catalog.sources import CatalogSources, Kind, read_sources
from engine.core.findings import Finding
from engine.core.mistakes import Mistake
from engine.core.rule import Rule
from engine.core.rule_documents import RulesDocument
from engine.core.unreachable import unreachable


def unreachable_rules(sources: CatalogSources, rules: Sequence[Rule]) -> list[Finding]:
    """A finding for each, at its id. `rules` are those that these sources make.

    A shipped rule that one of the user's comes before was set aside on purpose.
    """
    reasons = {each.rule.id: each.reason for each in unreachable(rules)}
    if not reasons:
        return []
    found: list[Finding] = []
    for file in read_sources(sources, []):
        if file.kind is not Kind.RULES or file.shipped:
            continue
        parsed = parse(file, RulesDocument, [])
        for index, rule in enumerate(parsed.document.rules if parsed is not None else ()):
            if parsed is not None and rule.id in reasons:
                message = f"rule {rule.id!r} {reasons[rule.id]}"
                found.append(parsed.finding(Mistake(("rules", index, "id"), message)))
    return found
