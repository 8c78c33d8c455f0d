import pytest
from pydantic import ValidationError

from engine.ports.question_api import AnswerOrder


def test_an_answer_says_something() -> None:
    assert AnswerOrder(answer="v2") == AnswerOrder(answer="v2", step="", reason="")
    with pytest.raises(ValidationError):
        AnswerOrder(answer="")
