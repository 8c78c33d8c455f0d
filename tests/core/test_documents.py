import pytest
from pydantic import TypeAdapter, ValidationError

from engine.core.documents import Id, Name, RuleDocument, TargetId

RULE = {"id": "down", "description": "It is down", "severity": "P1"}


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        pytest.param(Id, "restart-vllm", "Restart", id="id"),
        pytest.param(Name, "gpu_1", "gpu-1", id="name"),
        pytest.param(TargetId, "GPU-07.fra", "-rf", id="target"),
    ],
)
def test_names_have_one_form(kind: type[str], right: str, wrong: str) -> None:
    adapter = TypeAdapter(kind)
    assert adapter.validate_python(right) == right
    with pytest.raises(ValidationError):
        adapter.validate_python(wrong)


@pytest.mark.parametrize("word", ["in", "true", "false", "null"])
def test_a_name_that_no_expression_could_say_is_refused(word: str) -> None:
    with pytest.raises(ValidationError, match="choose another name"):
        TypeAdapter(Name).validate_python(word)


def test_an_unknown_key_is_refused_and_words_of_python_go_by_their_own_name() -> None:
    rule = RuleDocument.model_validate({**RULE, "for": "1m", "with": {"a": 1}})
    assert (rule.for_, rule.with_) == ("1m", {"a": 1})
    with pytest.raises(ValidationError):
        RuleDocument.model_validate({**RULE, "cron": "daily"})
