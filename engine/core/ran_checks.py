"""Outputs of steps that may not have run: who uses one asks first how that step ended."""

from collections.abc import Iterator, Mapping, Sequence

from engine.core.expression_tokens import Token, chain_from, read_tokens, text_at
from engine.core.expressions import Expression
from engine.core.mistakes import Mistakes
from engine.core.scopes import OUTCOME


def check_ran(expression: Expression, conditions: Mapping[str, str], mistakes: Mistakes) -> None:
    """Record each output that the expression takes for there.

    `conditions` are the `if` of the steps before, by their ids. It is enough to ask for the
    step's outcome, or to begin with the same `if`.
    """
    tokens = read_tokens(expression.text)
    named = list(_outputs(tokens))
    asked = {step for _, step, output in named if output == OUTCOME}
    for token, step, _ in named:
        condition = conditions.get(step)
        if condition is None or step in asked or _is_behind(expression.text, tokens, condition):
            continue
        mistakes.add(
            f"step {step!r} has an `if` and may not have run: ask first, like "
            f'steps.{step}.{OUTCOME} == "succeeded" && …',
            token.start + 1,
        )
        asked.add(step)


def _outputs(tokens: Sequence[Token]) -> Iterator[tuple[Token, str, str]]:
    """Each `steps.<id>.<output>`, from where it begins."""
    for index, token in enumerate(tokens):
        if token.kind == "name" and token.text == "steps" and text_at(tokens, index - 1) != ".":
            parts = chain_from(tokens, index)
            if len(parts) > 2:
                yield token, parts[1], parts[2]


def _is_behind(text: str, tokens: Sequence[Token], condition: str) -> bool:
    """Whether it holds only where the condition does: it begins with it, and more must hold."""
    begins = any(
        text.startswith(written) and text.removeprefix(written).lstrip().startswith("&&")
        for written in (condition, f"({condition})")
    )
    return begins and _outer(tokens).isdisjoint({"||", "?"})


def _outer(tokens: Sequence[Token]) -> frozenset[str]:
    """The marks outside of every bracket."""
    depth = 0
    found: set[str] = set()
    for token in tokens:
        depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(token.text, 0)
        if depth == 0 and token.kind == "mark":
            found.add(token.text)
    return frozenset(found)
