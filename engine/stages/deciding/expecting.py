"""Heartbeats that are expected before one ever came."""

from engine.core.catalog import Catalog
from engine.core.incident import correlation_key
from engine.core.rule import Rule
from engine.ports.store import Tx
from engine.stages.deciding.work import BatchWork


def expect_heartbeats(tx: Tx, catalog: Catalog) -> None:
    """From now on, where a rule expects its heartbeat from the start and none has come yet."""
    for rule in catalog.rules:
        absent = rule.conditions.absent
        if absent is not None and absent.expect_from_start:
            _expect(tx, catalog, rule)


def _expect(tx: Tx, catalog: Catalog, rule: Rule) -> None:
    named = {each.name: each.value for each in rule.matchers if each.op == "="}
    values = {name: named.get(name, "") for name in rule.group_by}
    state = tx.conditions.group(rule.conditions.group(correlation_key(rule.id, values)))
    if state.heard_at is None:
        key = values.get("service") or rule.id
        BatchWork(tx, catalog, {}).admitting.expect(rule, values, state.id, tx.now, key)
