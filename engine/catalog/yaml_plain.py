"""Plain values out of nodes: only what every reader of YAML takes alike, the rest is refused."""

import re
from functools import lru_cache

from engine.catalog.yaml_hints import quoted_at
from engine.catalog.yaml_nodes import MappingNode, Node, Scalar, SequenceNode
from engine.core.findings import Finding
from engine.core.json_value import Json
from engine.errors import ConfigError

_WORDS: dict[str, Json] = {"": None, "~": None, "null": None, "true": True, "false": False}
_INT = re.compile(r"-?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"-?(0|[1-9][0-9]*)\.[0-9]+([eE][-+]?[0-9]+)?")
_MAX_DIGITS = 18
_DISPUTED_WORDS = {"yes": "true", "on": "true", "no": "false", "off": "false"}
_DISPUTED = (
    (re.compile(r"[-+]?0[0-9][0-9_]*"), "a number with a leading zero is octal for some readers"),
    (re.compile(r"[-+]?0o[0-7_]+"), "an octal number isn't read alike everywhere"),
    (re.compile(r"[-+]?0[xX][0-9a-fA-F_]+"), "a hexadecimal number isn't read alike everywhere"),
    (re.compile(r"[-+]?0b[01_]+"), "a binary number isn't read alike everywhere"),
    (
        re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"),
        "numbers with ':' are counted in sixties by some readers",
    ),
    (
        re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ].*)?"),
        "a date becomes a time for some readers and stays text for others",
    ),
    (
        re.compile(r"[-+]?([0-9][0-9_]*\.?[0-9_]*|\.[0-9_]+)([eE][-+]?[0-9]+)?"),
        "this number isn't read alike everywhere",
    ),
    (re.compile(r"[-+]?\.(inf|Inf|INF|nan|NaN|NAN)"), "infinity and NaN aren't values here"),
)


def to_plain(node: Node) -> Json:
    """Texts, numbers, bools, None, lists and dicts; quoted values and keys are always texts.

    Raises ConfigError with a finding for every plain value that readers of YAML take differently:
    `no`, `010`, `22:22`, `0x1F`, a date.
    """
    findings: list[Finding] = []
    value = _plain(node, findings)
    if findings:
        raise ConfigError(f"{node.source.file} has values that are read in two ways", findings)
    return value


def _plain(node: Node, findings: list[Finding]) -> Json:
    # Composing has bounded the depth.
    match node:
        case Scalar():
            return node.text if node.is_quoted else _typed(node, findings)
        case SequenceNode():
            return [_plain(each, findings) for each in node.elements]
        case MappingNode():
            return {key.text: _plain(each, findings) for key, each in node.entries}


def _typed(scalar: Scalar, findings: list[Finding]) -> Json:
    value, problem = typed(scalar.text)
    if problem:
        line = scalar.source.shown(scalar.line)
        message = f"{problem}: {quoted_at(line, scalar.column - 1, scalar.text)}"
        findings.append(Finding(scalar.source.file, scalar.line, scalar.column, message))
    return value


@lru_cache(maxsize=4096)
def typed(text: str) -> tuple[Json, str]:
    """What a plain text is, and why that is disputed, "" where it isn't.

    Kept for a while: the same few words are most of what authors write.
    """
    if text in _WORDS:
        return _WORDS[text], ""
    if text[0].isalpha():
        return text, _disputed_word(text)
    if text[0] not in "0123456789-+.":
        return text, ""
    if _INT.fullmatch(text) and len(text) <= _MAX_DIGITS:
        return int(text), ""
    if _FLOAT.fullmatch(text):
        return float(text), ""
    return text, _disputed_number(text)


def _disputed_word(text: str) -> str:
    word = text.lower()
    if word in _DISPUTED_WORDS:
        meant = _DISPUTED_WORDS[word]
        return f"{text!r} is {meant} for some readers, text for others; write {meant}, or quote it"
    if word in _WORDS:
        return f"{text!r} is text for some readers; write {word}, or quote it"
    return ""


def _disputed_number(text: str) -> str:
    if _INT.fullmatch(text):
        return f"a number of more than {_MAX_DIGITS} digits isn't kept exactly; quote it"
    return next((f"{why}; quote it" for form, why in _DISPUTED if form.fullmatch(text)), "")
