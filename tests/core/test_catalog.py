from engine.core.actions import Estate
from engine.core.catalog import Catalog, catalog_version
from engine.core.inventory import Inventory
from engine.core.mistakes import Mistakes
from engine.core.policy import Policy
from engine.core.rule import RuleContext, compile_rule
from engine.core.rule_documents import RuleDefaults, RuleDocument
from engine.core.rule_set import RuleSet


def test_the_version_follows_from_names_and_texts_in_any_order() -> None:
    version = catalog_version({"a": "1", "b": "2"})
    assert version == catalog_version({"b": "2", "a": "1"})
    assert len(version) == 64
    assert version != catalog_version({"a": "2", "b": "1"})
    assert version != catalog_version({"a": "1", "c": "2"})


def test_a_rule_is_found_by_its_id() -> None:
    document = RuleDocument.model_validate({"id": "r", "description": "d", "severity": "P3"})
    context = RuleContext("rules/x.yaml", RuleDefaults(), {}, Inventory())
    rule = compile_rule(document, context, Mistakes())
    assert rule is not None
    catalog = Catalog("v", {}, {}, RuleSet([rule]), {}, Estate({}, {}, {}), Inventory(), Policy())
    assert catalog.rule("r") is rule
    assert catalog.rule("deleted") is None
