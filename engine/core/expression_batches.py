"""Conditions evaluated at once: to call CEL costs several times what most conditions cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.core.expressions import Bindings, Environment, Expression

# Few enough that one that fails costs the others little, and that CEL takes the longest of them.
BATCH = 20


@dataclass(frozen=True, slots=True)
class ConditionBatch:
    """Conditions of one scope that CEL evaluates at once: a call costs more than most of them."""

    texts: tuple[str, ...]
    _labels: frozenset[str]
    _program: object
    _environment: "Environment"

    def evaluate(self, bindings: Bindings) -> Mapping[str, bool] | None:
        """Whether each holds, by its text; None where one fails: then each is asked alone."""
        try:
            activation = bindings.activation(self._environment, self._labels)
            found = self._program.eval(activation).plain_value()  # type: ignore[attr-defined]
        except (RuntimeError, ValueError, TypeError, OverflowError):
            return None
        if not isinstance(found, list) or len(found) != len(self.texts):
            return None
        return dict(zip(self.texts, found, strict=True))


def compile_batches(conditions: Sequence[Expression]) -> list[ConditionBatch]:
    """Batches of all conditions, each of one scope; what is no bool is left out."""
    by_scope: dict[Environment, dict[str, Expression]] = {}
    for each in conditions:
        if each.type.kind == "bool":
            by_scope.setdefault(each.environment, {})[each.text] = each
    return [
        _batch(environment, list(found.values())[start : start + BATCH])
        for environment, found in by_scope.items()
        for start in range(0, len(found), BATCH)
    ]


def _batch(environment: "Environment", conditions: Sequence[Expression]) -> ConditionBatch:
    # Each on lines of its own, because it may end in a comment.
    text = ",\n".join(f"(\n{each.cel_text}\n)" for each in conditions)
    labels = frozenset(label for each in conditions for label in each.labels)
    program = environment.cel_env.compile(f"[{text}]")
    return ConditionBatch(tuple(each.text for each in conditions), labels, program, environment)
