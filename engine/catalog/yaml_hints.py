"""What YAML reads differently than meant, said with the line as it should be written."""

import re

_VALUE_AT = re.compile(
    r"""\s*(?:-\s+)*                                   # list items in one line
    (?:(?:"[^"]*"|'[^']*'|[\w./$ -]+?):\s+)?   # a key
    """,
    re.VERBOSE,
)
_VALUE_CHARACTER = re.compile(r"\w")
_COMMENT = re.compile(r"\s+\#[^'\"}\])]*$")
_INDICATORS = {
    "!": "a tag",
    "&": "an anchor",
    "*": "an alias",
    "@": "no value",
    "`": "no value",
    "}": "no value",
    "]": "no value",
    ",": "no value",
    "?": "a key",
    "%": "a directive",
    "|": "a block",
    ">": "a block",
}
# Longer lines are no longer readable in a message, and mending them would take its time.
_MAX_SHOWN = 400
_NEEDS_QUOTES = re.compile(r"[{}\[\],]|:\s|:$|\s#|^[!&*@`%|>?\"'-]")


def value_start(line: str) -> int:
    """The offset in a line at which its value begins, behind dashes and a key."""
    found = _VALUE_AT.match(line)
    return found.end() if found else 0


def disguised(line: str) -> str:
    """The line with an x for each letter and digit of its value, which may be a secret."""
    start = value_start(line)
    return line[:start] + _VALUE_CHARACTER.sub("x", line[start:])


def quoted_line(line: str) -> str:
    """The line with its whole value in single quotes; "" when it is too long to show."""
    if len(line) > _MAX_SHOWN:
        return ""
    start = value_start(line)
    value = _COMMENT.sub("", line[start:].rstrip())
    return f"{line[:start]}{_quoted(value)}".strip()


def quoted_at(line: str, offset: int, text: str) -> str:
    """The line with a plain value in quotes, or the value alone where more stands in its line."""
    whole = quoted_line(line) if value_start(line) == offset else ""
    return whole or _quoted(line[offset : offset + len(text)])


def quoted_flow_line(line: str) -> str:
    """The line with every value inside `[ ]` and `{ }` quoted that needs it; "" if it's unclear."""
    if len(line) > _MAX_SHOWN:
        return ""
    start = value_start(line)
    value = _COMMENT.sub("", line[start:].rstrip())
    fixed = _quoted_flow(value)
    return f"{line[:start]}{fixed}".strip() if fixed else ""


def syntax_hint(problem: str, line: str, offset: int, *, in_flow: bool) -> str:
    """The message for a syntax error, from the parser's problem and the line where it is."""
    if "cannot start any token" in problem and line[offset : offset + 1] == "\t":
        return "a tab can't indent or stand before a value; use blanks"
    if in_flow:
        return _flow_hint(problem, line)
    if "unknown escape" in problem:
        return f"in double quotes \\ begins an escape; use single ones{_shown(_requoted(line))}"
    if "unexpected end of stream" in problem:
        return "the quote that begins here isn't closed"
    return _block_hint(problem, line, offset)


def _flow_hint(problem: str, line: str) -> str:
    fixed = quoted_flow_line(line)
    if not fixed and (bracket := _unclosed(line)):
        return f"the {bracket!r} that opens in this line isn't closed"
    shown = _shown(fixed if fixed != line.strip() else "")
    if "${{" in line or "quoted" in problem:
        return f"inside [ ] and {{ }} an expression or a pattern must be quoted{shown}"
    return (
        "inside [ ] and { } a value with one of , : [ ] { } must be quoted, "
        f"and each bracket closed{shown}"
    )


def _unclosed(line: str) -> str:
    """The outermost bracket of a line's value that nothing closes, "" where each one is."""
    waiting, quote = [], ""
    for character in line[value_start(line) :]:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "[{":
            waiting.append(character)
        elif character in "]}" and waiting:
            waiting.pop()
    return "" if quote or not waiting else waiting[0]


def _block_hint(problem: str, line: str, offset: int) -> str:
    start = value_start(line)
    value = line[start:].strip()
    if value[:1] in _INDICATORS:
        return indicator_hint(line)
    if "mapping values are not allowed" in problem:
        if offset < start:
            return "this line is indented deeper than the one above, which has a value already"
        return f"': ' ends a key; quote the value that holds it{_shown(quoted_line(line))}"
    if value[:1] in ("'", '"') and offset > start:
        return (
            f"the text goes on behind its closing quote; quote all of it{_shown(_requoted(line))}"
        )
    if "block sequence entries are not allowed" in problem:
        return f"a list begins on a line of its own; quote a text{_shown(quoted_line(line))}"
    if "did not find expected" in problem:
        return "this line's indentation fits nothing above it"
    return problem


def indicator_hint(line: str) -> str:
    """The message for a value that begins with one of YAML's own characters."""
    first = line[value_start(line) :][:1]
    meaning = _INDICATORS.get(first, "a tag, an anchor or an alias")
    return f"{first!r} begins {meaning} in YAML; quote the value{_shown(quoted_line(line))}"


def cut_by_comment(line: str, end: int, text: str) -> str:
    """The message when ` #` cut a plain value in the middle, else "".

    `end` is the offset behind the value. A comment cuts when the value leaves something open that
    the comment closes.
    """
    if end >= len(line) or not line[end : end + _MAX_SHOWN].lstrip().startswith("#"):
        return ""
    rest = line[end:]
    open_parts = (
        "${{" in text and "}}" not in text.rpartition("${{")[2],
        text.count('"') % 2 == 1 and '"' in rest,
        text.count("(") > text.count(")") and ")" in rest,
        text.count("[") > text.count("]") and "]" in rest,
    )
    if not any(open_parts):
        return ""
    start = value_start(line)
    whole = f"{line[:start]}{_quoted(line[start:].rstrip())}".strip()
    shown = _shown(whole if len(line) <= _MAX_SHOWN else "")
    return f"' #' begins a comment and cuts the value; quote it{shown}"


def _shown(line: str) -> str:
    return f": {line}" if line else ""


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _requoted(line: str) -> str:
    """The line's value quoted as a whole, without quotes that were meant as those of YAML."""
    if len(line) > _MAX_SHOWN:
        return ""
    start = value_start(line)
    value = _COMMENT.sub("", line[start:].rstrip())
    apostrophe_inside = value[0] == "'" == value[-1] and value.count("'") % 2 == 1
    escape_inside = value[0] == '"' == value[-1] and value.count('"') == 2
    if apostrophe_inside or escape_inside:
        return f"{line[:start]}{_quoted(value[1:-1])}".strip()
    return quoted_line(line)


def _quoted_flow(value: str) -> str:
    """`{host: ${{ x }}}` as `{host: '${{ x }}'}`; "" when its brackets don't pair up."""
    closing = {"[": "]", "{": "}"}.get(value[:1])
    if closing is None or not value.endswith(closing) or len(value) < 2:
        return ""
    parts = _split_flow(value[1:-1])
    if not parts:
        return ""
    fixed = []
    for part in parts:
        written = part.strip()
        key = ""
        if closing == "}":
            found = re.match(r"[^:'\"]+:\s+", written)
            key = found[0] if found else ""
        fixed.append(key + _quoted_element(written[len(key) :]))
    return f"{value[0]}{', '.join(fixed)}{closing}"


def _quoted_element(value: str) -> str:
    if value[:1] in ("'", '"') and value.endswith(value[0]) and len(value) > 1:
        return value
    nested = _quoted_flow(value)
    if nested:
        return nested
    return _quoted(value) if _NEEDS_QUOTES.search(value) else value


def _split_flow(content: str) -> list[str]:
    """The elements between the commas that are in no quotes and no brackets."""
    parts, depth, quote = [""], 0, ""
    for character in content:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        else:
            depth += {"[": 1, "{": 1, "(": 1, "]": -1, "}": -1, ")": -1}.get(character, 0)
        if character == "," and depth == 0 and not quote:
            parts.append("")
        else:
            parts[-1] += character
    return parts if depth == 0 and not quote else []
