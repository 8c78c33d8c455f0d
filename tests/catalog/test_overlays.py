from collections.abc import Mapping
from dataclasses import replace

from engine.catalog.overlays import caps_of, overlaid, rule_findings, unknown_rules
from engine.catalog.parsing import Parsed, parse
from engine.catalog.sources import CatalogSources, Kind, SourceFile
from engine.core.rule_documents import RuleOverlay, RulesDocument
from engine.core.severity import Mode, ModeLimit

TEXT = b"""language: 1
rules:
  - id: down
    description: It is down
    severity: P1
    playbook: restart
    with: {host: a, unit: b}
  - id: unmatched
    description: The rest
    severity: P3
"""
SOURCE = SourceFile(Kind.RULES, "shipped/rules/x.yaml", "x.yaml", TEXT, shipped=True)


def parsed() -> Parsed[RulesDocument]:
    found = parse(SOURCE, RulesDocument, [])
    assert found is not None
    return found


DOWN, UNMATCHED = parsed().document.rules


def sources(**overlay: Mapping[str, object]) -> CatalogSources:
    read = {name: RuleOverlay.model_validate(words) for name, words in overlay.items()}
    return CatalogSources(overlay=read, shipped_mode="observe")


def test_only_what_the_overlay_names_is_changed() -> None:
    changed = overlaid(DOWN, RuleOverlay(mode="auto", severity="P2"))
    assert (changed.mode, changed.severity, changed.playbook) == ("auto", "P2", "restart")
    assert overlaid(DOWN, None) is DOWN


def test_parameters_are_added_to_and_begin_anew_for_another_playbook() -> None:
    added = overlaid(DOWN, RuleOverlay.model_validate({"with": {"unit": "c"}}))
    assert added.with_ == {"host": "a", "unit": "c"}
    anew = overlaid(DOWN, RuleOverlay.model_validate({"playbook": "x", "with": {"y": 1}}))
    assert (anew.playbook, anew.with_) == ("x", {"y": 1})


def test_shipped_rules_are_held_down_until_they_get_a_mode() -> None:
    assert caps_of(SOURCE, DOWN, sources()) == (
        ModeLimit(Mode.OBSERVE, "shipped rules observe until quell.yaml gives down a mode"),
    )
    assert caps_of(SOURCE, DOWN, sources(down={"mode": "approve"})) == ()
    assert caps_of(SOURCE, DOWN, sources(down={"severity": "P2"})) != ()
    assert caps_of(SOURCE, UNMATCHED, sources()) == ()
    assert caps_of(SOURCE, DOWN, CatalogSources()) == ()
    assert caps_of(replace(SOURCE, shipped=False), DOWN, sources()) == ()


def test_a_mistake_of_the_overlay_is_shown_as_one() -> None:
    found = parsed()
    found.mistakes.at("rules", 0, "with", "hots").add("unknown")
    found.mistakes.at("rules", 0, "severity").add("wrong")
    told = rule_findings(found, sources(down={"with": {"hots": "x"}}))
    assert [str(each) for each in told] == [
        "quell.yaml: rules.down.with.hots: unknown",
        "x.yaml:5:15: wrong",
    ]


def test_parameters_that_do_not_fit_another_playbook_are_the_overlays_mistake() -> None:
    found = parsed()
    found.mistakes.at("rules", 0, "with", "unit").add("unknown")
    (told,) = rule_findings(found, sources(down={"playbook": "other"}))
    assert told.file == "quell.yaml"


def test_an_overlay_of_a_rule_that_is_not_there_is_a_finding() -> None:
    (finding,) = unknown_rules(sources(donw={"mode": "auto"}), {"down", "unmatched"})
    assert str(finding) == "quell.yaml: rules: unknown rule 'donw', did you mean 'down'?"
