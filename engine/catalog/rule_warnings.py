"""Where in the user's files stands what does something else than its authors mean."""

from collections.abc import Iterator

from engine.catalog.parsing import parse
from engine.catalog.sources import CatalogSources, Kind, read_sources
from engine.core.catalog import Catalog
from engine.core.doubtful import doubtful, doubtful_policy
from engine.core.findings import Finding
from engine.core.mistakes import Mistake
from engine.core.policy_documents import PolicyDocument
from engine.core.rule import Rule
from engine.core.rule_documents import RulesDocument
from engine.core.unreachable import unreachable


def rule_warnings(sources: CatalogSources, catalog: Catalog) -> list[Finding]:
    """Rules that never have their say, and words that do little. `catalog` is of these sources.

    A shipped rule that one of the user's comes before was set aside on purpose.
    """
    told = {rule.id: mistakes for rule in catalog.rules if (mistakes := [*_told(rule, catalog)])}
    for unreached in unreachable(catalog.rules):
        reason = Mistake(("id",), f"rule {unreached.rule.id!r} {unreached.reason}")
        told.setdefault(unreached.rule.id, []).append(reason)
    of_policy = [*doubtful_policy(catalog.policy, catalog.inventory)]
    if not told and not of_policy:
        return []
    found: list[Finding] = []
    for file in read_sources(sources, []):
        if file.kind is Kind.POLICY and (policy := parse(file, PolicyDocument, [])) is not None:
            found += [policy.finding(each) for each in of_policy]
        if file.kind is not Kind.RULES or file.shipped:
            continue
        parsed = parse(file, RulesDocument, [])
        if parsed is None:
            continue
        for index, rule in enumerate(parsed.document.rules):
            for each in told.get(rule.id, ()):
                path = ("rules", index, *each.path)
                found.append(parsed.finding(Mistake(path, each.message)))
    return sorted(found)


def _told(rule: Rule, catalog: Catalog) -> Iterator[Mistake]:
    return doubtful(rule, catalog.playbooks.get(rule.playbook), catalog.policy)
