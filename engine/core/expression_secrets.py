"""Where an expression may name a secret: alone, where its place takes one, and nowhere else."""

from collections.abc import Sequence

from engine.core.expression_tokens import Token, chain_from, text_at
from engine.core.expression_types import ExpressionError, Scope


def is_secret(text: str, tokens: Sequence[Token], scope: Scope) -> bool:
    """Whether the expression is the name of a secret, in a place that takes one.

    Raises ExpressionError where it names one otherwise. The compiler doesn't know these names at
    all, so what is written so that it isn't seen here fails there.
    """
    for index, token in enumerate(tokens):
        if token.kind != "name" or text_at(tokens, index - 1) == ".":
            continue
        parts = chain_from(tokens, index)
        prefixes = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
        name = next((each for each in prefixes if each in scope.secrets), "")
        if not name:
            continue
        if not scope.takes_secrets:
            raise ExpressionError(
                f"{name!r} is a secret, which doesn't belong here: only inputs that say so take "
                "one, such as `headers` and `body` of http.request",
                token.start + 1,
            )
        if text != name:
            raise ExpressionError(
                f"{name!r} is a secret, and nothing computes with it: let it be the whole "
                f"expression, as `${{{{ {name} }}}}`, with any text around",
                token.start + 1,
            )
        return True
    return False
