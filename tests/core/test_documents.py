import pytest
from pydantic import TypeAdapter, ValidationError

from engine.core.documents import Id, Name, TargetId


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
