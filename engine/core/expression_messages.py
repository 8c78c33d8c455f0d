"""CEL's compile errors in quell's words: what is wrong, where, and the nearest valid thing."""

from collections.abc import Iterable, Sequence

from engine.core.expression_functions import FUNCTIONS
from engine.core.expression_tokens import Token, chain_from, chain_start, text_at
from engine.core.expression_types import ExpressionError, Scope
from engine.core.findings import nearest

_MARKER = "ERROR: <input>:"
_FOREIGN_WORDS = {
    "success": "no `if`: a step is done only while none before it has failed",
    "and": "&&",
    "or": "||",
    "not": "!",
    "is": "==",
    "True": "true",
    "False": "false",
    "None": "null",
    "nil": "null",
    "cancelled": "`on_cancel` in the playbook: what follows when a person cancels the run",
    "undefined": "null",
}
_FOREIGN_FUNCTIONS = {
    "includes": "contains",
    "len": "size",
    "length": "size",
    "count": "size",
    "lower": "lowerAscii",
    "toLowerCase": "lowerAscii",
    "upper": "upperAscii",
    "toUpperCase": "upperAscii",
    "strip": "trim",
    "regex": "matches",
    "match": "matches",
    "search": "matches",
    "find": "indexOf",
    "any": "exists",
    "some": "exists",
    "every": "all",
    "str": "string",
    "toString": "string",
    "float": "double",
    "parseInt": "int",
}
_OPERATORS = {
    "_==_": "==",
    "_!=_": "!=",
    "_<_": "<",
    "_<=_": "<=",
    "_>_": ">",
    "_>=_": ">=",
    "_+_": "+",
    "_-_": "-",
    "_*_": "*",
    "_/_": "/",
    "_%_": "%",
    "@in": "in",
}
_COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">="})
_MAX_LISTED = 12


def compile_error(
    message: str, text: str, tokens: Sequence[Token], scope: Scope
) -> ExpressionError:
    """The first mistake that CEL reports, in words that say what to write instead."""
    if "recursion" in message:
        return ExpressionError(
            "the expression is nested more than 32 levels deep; split it into several", 1
        )
    for reported in message.split(_MARKER)[1:]:
        line, column, problem = reported.split("\n", 1)[0].split(":", 2)
        if "*error*" in problem:
            continue
        offset = _offset(text, int(line), int(column))
        index = _token_index(tokens, offset)
        problem = problem.removesuffix(" [INVALID_ARGUMENT]").strip()
        for name in ("Timestamp", "Duration"):
            problem = problem.replace(f"google.protobuf.{name}", name.lower())
        return _reworded(problem, offset, index, tokens, scope)
    return ExpressionError(message.splitlines()[0].removesuffix(" [INVALID_ARGUMENT]"), 1)


def _reworded(
    problem: str, offset: int, index: int, tokens: Sequence[Token], scope: Scope
) -> ExpressionError:
    if problem.startswith("undeclared reference"):
        if text_at(tokens, index) == "(" and index > 0:
            return _unknown_function(tokens, index - 1, scope)
        return _unknown_name(tokens, chain_start(tokens, index), scope)
    if problem.startswith("found no matching overload"):
        function, given = problem.split("'")[1], problem.split("'")[3][1:-1]
        return ExpressionError(_type_clash(function, _split_types(given), scope), offset + 1)
    if problem.startswith("Syntax error: "):
        return _syntax_error(problem.removeprefix("Syntax error: "), offset, tokens)
    if "cannot be the operand of a select" in problem:
        kind = problem.split("'")[1]
        field = text_at(tokens, index + 1 if text_at(tokens, index) == "." else index)
        return ExpressionError(f"a {kind} has no field {field!r}", offset + 1)
    if problem.startswith("reserved identifier: "):
        word = problem.removeprefix("reserved identifier: ")
        hint = "; write condition ? value : other" if word == "if" else ""
        return ExpressionError(f"{word!r} is a reserved word{hint}", offset + 1)
    return ExpressionError(problem, offset + 1)


def _unknown_name(tokens: Sequence[Token], index: int, scope: Scope) -> ExpressionError:
    parts = chain_from(tokens, index)
    written, column = ".".join(parts), tokens[index].start + 1
    if parts[0] in _FOREIGN_WORDS:
        return ExpressionError(
            f"{parts[0]!r} isn't a word of expressions; write {_FOREIGN_WORDS[parts[0]]}", column
        )
    hyphenated = _hyphenated_label(tokens, index)
    if hyphenated:
        return ExpressionError(f"a label with '-' is written {hyphenated}", column)
    if any(name.startswith(f"{written}.") for name in scope.names):
        fields = _listed(name for name in scope.names if name.startswith(f"{written}."))
        return ExpressionError(f"{written!r} is a group of values; write one of {fields}", column)
    if any(page.name == written for page in FUNCTIONS) or written in scope.functions:
        return ExpressionError(
            f"{written!r} is a function; call it: {_usage(written, scope)}", column
        )
    known = 1
    while any(name.startswith(".".join(parts[:known]) + ".") for name in scope.names):
        known += 1
    wrong = ".".join(parts[:known])
    group = "".join(f"{part}." for part in parts[: known - 1])
    # Compared by their last words, since a long common group would make every name look alike.
    valid = {name.split(".")[known - 1] for name in scope.names if name.startswith(group)}
    hint = nearest(parts[known - 1], valid).replace("'", f"'{group}", 1)
    if not hint and valid:
        hint = f"; {group.rstrip('.') + ' has' if group else 'known are'} {_listed(valid)}"
    return ExpressionError(f"unknown name {wrong!r}{hint}", column)


def _hyphenated_label(tokens: Sequence[Token], index: int) -> str:
    """`alert.labels["a-b"]` when `b` is the end of an unquoted `alert.labels.a-b`."""
    minus = index - 1
    if minus < 3 or tokens[minus].text != "-" or tokens[minus].end != tokens[index].start:
        return ""
    if tokens[minus - 1].end != tokens[minus].start or tokens[minus - 2].text != ".":
        return ""
    parts = chain_from(tokens, chain_start(tokens, minus - 1))
    return f'{".".join(parts[:-1])}["{parts[-1]}-{tokens[index].text}"]'


def _unknown_function(tokens: Sequence[Token], index: int, scope: Scope) -> ExpressionError:
    name, column = tokens[index].text, tokens[index].start + 1
    known = [page.name for page in FUNCTIONS] + list(scope.functions)
    if name in known:
        return ExpressionError(f"{name} is called as {_usage(name, scope)}", column)
    if name in _FOREIGN_WORDS:
        return ExpressionError(
            f"{name!r} isn't a word of expressions; write {_FOREIGN_WORDS[name]}", column
        )
    if name in _FOREIGN_FUNCTIONS:
        usage = _usage(_FOREIGN_FUNCTIONS[name], scope)
        return ExpressionError(f"unknown function {name!r}; here it is {usage}", column)
    return ExpressionError(f"unknown function {name!r}{nearest(name, known)}", column)


def _usage(name: str, scope: Scope) -> str:
    own = scope.functions.get(name)
    if own is not None:
        return f"{name}({', '.join(map(str, own.parameters))})"
    return next((page.usage for page in FUNCTIONS if page.name == name), f"{name}(...)")


def _type_clash(function: str, given: list[str], scope: Scope) -> str:
    if function == "_?_:_":
        if given[0] not in ("bool", "dyn"):
            return f"the condition before '?' must be a bool, not {given[0]}"
        return f"both sides of ':' must have one type, not {given[1]} and {given[2]}"
    if function in ("_&&_", "_||_"):
        wrong = next((each for each in given if each not in ("bool", "dyn")), given[0])
        return f"{function.strip('_')} needs a bool on each side, not {wrong}; compare it first"
    if function == "!_":
        return f"! needs a bool, not {given[0]}"
    if function == "-_":
        return f"- needs a number, not {given[0]}"
    if function == "_[_]":
        return f"a {given[0]} can't be indexed by {given[1]}"
    if function in _OPERATORS:
        return _operator_clash(_OPERATORS[function], *given)
    own = scope.functions.get(function)
    if own is not None:
        wanted = ", ".join(map(str, own.parameters))
        return f"{function} takes ({wanted}), not ({', '.join(given)})"
    return f"{function} can't take ({', '.join(given)}); it is called as {_usage(function, scope)}"


def _operator_clash(operator: str, left: str, right: str) -> str:
    if operator == "in":
        if right.startswith("list"):
            return f"no {left} can be an element of a {right}"
        return f"'in' needs a list or a map on its right, not {right}"
    kinds = {left, right}
    if operator in _COMPARISONS:
        if "string" in kinds and kinds & {"int", "double"}:
            how = (
                "write both as numbers or both as texts: 0 or '0', int(...) or string(...)"
                if operator in ("==", "!=")
                else "write no quotes around a number, and int(...) around a text that holds one"
            )
            return f"can't compare {left} with {right}; {how}"
        if "duration" in kinds:
            return f'can\'t compare {left} with {right}; write a duration as duration("5m")'
        return f"can't compare {left} with {right} by {operator}"
    if kinds == {"int", "double"}:
        return f"can't calculate {left} {operator} {right}; write both as doubles: 1.0, double(x)"
    if operator == "+" and "string" in kinds:
        return f"can't join {left} and {right}; turn the other value into text with string(...)"
    return f"can't calculate {left} {operator} {right}"


def _syntax_error(problem: str, offset: int, tokens: Sequence[Token]) -> ExpressionError:
    if "'<EOF>'" in problem:
        # Where any expression may follow, CEL lists every kind of word, brackets among them.
        wanted = (
            "" if "IDENTIFIER" in problem else next((c for c in ")]}:" if repr(c) in problem), "")
        )
        closed = f"; {wanted!r} is missing" if wanted else ""
        return ExpressionError(f"the expression ends too early{closed}", offset + 1)
    index = _token_index(tokens, offset)
    before = text_at(tokens, index - 1)
    for at, word in ((index, text_at(tokens, index)), (index - 1, before)):
        if word in _FOREIGN_WORDS:
            return ExpressionError(
                f"{word!r} isn't a word of expressions; write {_FOREIGN_WORDS[word]}",
                tokens[at].start + 1,
            )
    if problem.startswith("token recognition error"):
        return ExpressionError(
            "this text has an escape that expressions don't know; write r'...' for a pattern, "
            "or double the backslash",
            offset + 1,
        )
    found = text_at(tokens, index)
    if before == "." and found in ("in", "true", "false", "null"):
        return ExpressionError(f'{found!r} is a reserved word; write ["{found}"]', offset + 1)
    if found == "=" or before == "=":
        return ExpressionError("a single '=' compares nothing; write '=='", offset + 1)
    behind = f" after {before!r}" if before else ""
    return ExpressionError(f"unexpected {found or 'end'!r}{behind}", offset + 1)


def _listed(names: Iterable[str]) -> str:
    ordered = sorted(names)
    more = f" and {len(ordered) - _MAX_LISTED} more" if len(ordered) > _MAX_LISTED else ""
    return ", ".join(ordered[:_MAX_LISTED]) + more


def _split_types(given: str) -> list[str]:
    """`int, map(string, dyn)` in its top-level parts."""
    parts, depth = [""], 0
    for character in given:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def _offset(text: str, line: int, column: int) -> int:
    if line < 1:
        return 0
    before = text.split("\n")[: line - 1]
    return sum(len(each) + 1 for each in before) + max(column, 1) - 1


def _token_index(tokens: Sequence[Token], offset: int) -> int:
    """The token at an offset, or the one before it."""
    found = 0
    for index, token in enumerate(tokens):
        if token.start <= offset:
            found = index
    return found


def runtime_reason(message: str) -> str:
    """CEL's message without its code and in words about the values."""
    first_line = message.splitlines()[0] if message else "unknown reason"
    code, _, rest = first_line.partition(": ")
    text = rest if code.isupper() and rest else first_line
    for code_suffix in ("INVALID_ARGUMENT", "INTERNAL", "CANCELLED", "NOT_FOUND"):
        text = text.removesuffix(f" [{code_suffix}]")
    if text.startswith("Key not found in map : "):
        return f"there is no key {text.removeprefix('Key not found in map : ')}"
    if text.startswith("No value with name "):
        return f"{text.split(chr(34))[1]!r} has no value here"
    if text.startswith("No matching overloads found : "):
        return f"no way to apply {text.removeprefix('No matching overloads found : ')}"
    if "Iteration budget" in text:
        return "it goes through too many elements"
    return text
