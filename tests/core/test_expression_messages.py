"""Every kind of compile error is said in words that teach, at the right column."""

import pytest

from engine.core.expressions import (
    ExpressionError,
    FunctionType,
    Scope,
    ValueType,
    compile_expression,
)

SCOPE = Scope(
    {
        "alert.name": ValueType.STRING,
        "alert.service": ValueType.STRING,
        "alert.labels": ValueType.LABELS,
        "alert.starts_at": ValueType.TIMESTAMP,
        "params.host": ValueType.STRING,
        "params.count": ValueType.INT,
        "params.window": ValueType.DURATION,
        "params.names": ValueType.list_of(ValueType.STRING),
        "result.latency_s": ValueType.DOUBLE,
        "result.ok": ValueType.BOOL,
    },
    {"target": FunctionType((ValueType.STRING,), ValueType.DYN)},
)
EQUAL_TYPES = (
    "can't compare string with int; write both as numbers or both as texts: 0 or '0', int(...) or "
    "string(...)"
)

MESSAGES = {
    "misspelt field": ("alert.nam", 1, "unknown name 'alert.nam', did you mean 'alert.name'?"),
    "misspelt group": ("alret.name == ''", 1, "unknown name 'alret', did you mean 'alert'?"),
    "strange field": (
        "params.zzz",
        1,
        "unknown name 'params.zzz'; params has count, host, names, window",
    ),
    "strange group": ("q", 1, "unknown name 'q'; known are alert, params, result"),
    "over two lines": (
        "alert.name ==\n  alert.srvice",
        17,
        "unknown name 'alert.srvice', did you mean 'alert.service'?",
    ),
    "behind letters of two bytes": ("'é' == params.hots", 8, "unknown name 'params.hots', did you"),
    "group as a value": (
        "alert",
        1,
        "'alert' is a group of values; write one of alert.labels, alert.name, alert.service",
    ),
    "function as a value": ("size == 1", 1, "'size' is a function; call it: size(x) or x.size()"),
    "label with a hyphen": (
        "alert.labels.a-b == ''",
        16,
        "a label with '-' is written alert.labels[\"a-b\"]",
    ),
    "reserved word as label": ("alert.labels.in", 14, "'in' is a reserved word; write [\"in\"]"),
    "word and": ("result.ok and true", 11, "'and' isn't a word of expressions; write &&"),
    "word not": ("not result.ok", 1, "'not' isn't a word of expressions; write !"),
    "Python's True": ("True", 1, "'True' isn't a word of expressions; write true"),
    "Python's None": ("None == alert.name", 1, "'None' isn't a word of expressions; write null"),
    "function of another language": (
        "alert.name.includes('a')",
        12,
        "unknown function 'includes'; here it is text.contains(\"part\")",
    ),
    "reserved word": ("if", 1, "'if' is a reserved word; write condition ? value : other"),
    "misspelt function": (
        'alert.name.splt(",")',
        12,
        "unknown function 'splt', did you mean 'split'?",
    ),
    "strange function": ("foo()", 1, "unknown function 'foo'"),
    "function without its argument": (
        "alert.name.split()",
        12,
        'split is called as text.split(",")',
    ),
    "function on the wrong side": ("split(alert.name)", 1, 'split is called as text.split(",")'),
    "own function's type": ("target(1)", 7, "target takes (string), not (int)"),
    "own function's arguments": ("target()", 1, "target is called as target(string)"),
    "function's type": (
        'min(1, "a")',
        4,
        "min can't take (int, string); it is called as min(a, b) or min(list)",
    ),
    "text with number": ("alert.name == 5", 12, EQUAL_TYPES),
    "text as a bound": (
        "params.count <= '85'",
        14,
        "can't compare int with string; write no quotes around a number, and int(...) around a text"
        " that holds one",
    ),
    "time with text": ("alert.starts_at == 'x'", 17, "can't compare timestamp with string by =="),
    "duration with number": (
        "params.window < 5",
        15,
        'can\'t compare duration with int; write a duration as duration("5m")',
    ),
    "text and number joined": (
        "alert.name + 5",
        12,
        "can't join string and int; turn the other value into text with string(...)",
    ),
    "mixed calculation": (
        "result.latency_s + 1",
        18,
        "can't calculate double + int; write both as doubles: 1.0, double(x)",
    ),
    "calculation with text": ("alert.name * 2", 12, "can't calculate string * int"),
    "no condition": (
        "params.count ? 1 : 2",
        14,
        "the condition before '?' must be a bool, not int",
    ),
    "two types behind a condition": (
        "result.ok ? 1 : 'a'",
        11,
        "both sides of ':' must have one type, not int and string",
    ),
    "and of a text": (
        "alert.name && true",
        12,
        "&& needs a bool on each side, not string; compare it first",
    ),
    "not of a text": ("!alert.name", 1, "! needs a bool, not string"),
    "minus of a text": ("-alert.name", 1, "- needs a number, not string"),
    "index of a text": ("alert.name[0]", 11, "a string can't be indexed by int"),
    "field of a text": ("alert.name.x", 11, "a string has no field 'x'"),
    "in a text": ("'a' in alert.name", 5, "'in' needs a list or a map on its right, not string"),
    "number in texts": ("1 in params.names", 3, "no int can be an element of a list(string)"),
    "open bracket": ("(result.ok", 11, "the expression ends too early; ')' is missing"),
    "open list": ("[1, 2", 6, "the expression ends too early; ']' is missing"),
    "half a condition": ("result.ok ? 1", 14, "the expression ends too early; ':' is missing"),
    "nothing behind ==": ("alert.name ==", 14, "the expression ends too early"),
    "nothing before ==": ("== alert.name", 1, "unexpected '=='"),
    "two values": ("alert.name params.host", 12, "unexpected 'params' after 'name'"),
    "unknown escape": (
        r"'\q' == alert.name",
        1,
        "this text has an escape that expressions don't know; write r'...' for a pattern, or ",
    ),
    "number too large": ("99999999999999999999", 1, "invalid int literal"),
    "nested too deep": ("(" * 40 + "1" + ")" * 40, 1, "the expression is nested more than 32 "),
}


@pytest.mark.parametrize(("text", "column", "message"), MESSAGES.values(), ids=MESSAGES)
def test_a_mistake_is_said_in_words_that_teach(text: str, column: int, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_expression(text, SCOPE)
    assert caught.value.message.startswith(message)
    assert caught.value.column == column
