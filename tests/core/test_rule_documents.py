"""A rule's document: its keys, by the words of the file."""

import pytest
from pydantic import ValidationError

from engine.core.rule_documents import RuleDocument

RULE = {"id": "down", "description": "It is down", "severity": "P1"}


def test_an_unknown_key_is_refused_and_words_of_python_go_by_their_own_name() -> None:
    rule = RuleDocument.model_validate({**RULE, "for": "1m", "with": {"a": 1}})
    assert (rule.for_, rule.with_) == ("1m", {"a": 1})
    with pytest.raises(ValidationError):
        RuleDocument.model_validate({**RULE, "cron": "daily"})
