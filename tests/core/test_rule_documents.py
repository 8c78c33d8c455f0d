"""A rule's document: its keys, by the words of the file."""

import pytest
from pydantic import ValidationError

from engine.core.rule_documents import RuleDocument, RulesDocument

RULE = {"id": "down", "description": "It is down", "severity": "P1"}


def test_an_unknown_key_is_refused_and_words_of_python_go_by_their_own_name() -> None:
    rule = RuleDocument.model_validate({**RULE, "for": "1m", "with": {"a": 1}})
    assert (rule.for_, rule.with_) == ("1m", {"a": 1})
    with pytest.raises(ValidationError):
        RuleDocument.model_validate({**RULE, "cron": "daily"})


def test_people_are_told_unless_the_rule_says_otherwise() -> None:
    # A rule that asks for approval, and tells nobody that it does, waits in vain.
    file = RulesDocument.model_validate({"language": 1, "rules": [RULE]})
    assert file.defaults.notify == ("team",)
    quiet = {"language": 1, "defaults": {"notify": []}, "rules": [RULE]}
    assert RulesDocument.model_validate(quiet).defaults.notify == ()
