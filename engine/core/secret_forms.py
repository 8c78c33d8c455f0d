r"""The ways in which a secret is written where it leaks, each as a regular expression of RE2.

A password in a JSON text inside another one, in a URL, in a header of HTTP Basic or in a shell's
trace is still that password: `p"w` is also `p\"w`, `p\\\"w`, `p%22w` and `p&quot;w`.

A text that was cut holds a part of it: every form is also found from its beginning on, as long as
at least half of it is there, and enough not to be the beginning of something else.
"""

import base64
from collections.abc import Iterator, Sequence
from functools import cache

# A shorter text would be found in words and numbers that have nothing to do with it, and masking
# them would destroy what people read and tell everybody what the secret is.
MIN_LENGTH = 8
# Only letters of one case, or only digits: `postgres` is a part of `postgresql`, and eight digits
# are a part of a time.
MIN_PLAIN_LENGTH = 12
# Of a secret that was cut; `quell-pr` is the beginning of a password, and of many names.
MIN_CUT_LENGTH = 12
# A line of a secret with several; a shorter one may be of any JSON.
MIN_LINE_LENGTH = 16

_ARMOR = "-----"
_QUOTES = "'\""
# How many characters more or less of a secret that was cut are masked or not.
_STEP = 4
# RE2 refuses more than 1,000 groups in each other.
_MAX_NESTED = 200

_ENTITIES = {'"': "quot", "&": "amp", "'": "apos", "<": "lt", ">": "gt"}
_ESCAPES = {"\0": "0", "\a": "a", "\b": "b", "\t": "t", "\v": "v", "\f": "f", "\x1b": "e"}
_BREAK = (
    r"(?:[\r\n]|\\+(?:[rn]|[xu](?i:00)?0[aAdD])|%(?:25)*0[aAdD]|&(?:amp;)*#(?:1[03]|[xX][aAdD]);)*"
)


def is_maskable(text: str) -> bool:
    """Whether a secret is long enough, without blanks, not to be a part of other texts."""
    shown = "".join(text.split())
    plain = shown.isascii() and (
        shown.isdigit() or (shown.isalpha() and (shown.islower() or shown.isupper()))
    )
    return len(shown) >= (MIN_PLAIN_LENGTH if plain else MIN_LENGTH)


def forms_of(secret: str | bytes) -> Iterator[str]:
    """Patterns for a secret, over UTF-8 as RE2 reads Latin-1; none where it isn't maskable.

    Bytes are those of a key, which never travel as they are.
    """
    if isinstance(secret, bytes):
        if len(secret) >= MIN_LENGTH:
            yield from _encoded(secret)
        return
    text = secret.strip()
    if not is_maskable(text):
        return
    for each in dict.fromkeys([text, *_lines(text)]):
        parts = list(map(spelled, each))
        parts[0], parts[-1] = spelled(each[0], at_edge=True), spelled(each[-1], at_edge=True)
        yield _cut(parts)
        yield from _encoded(each.encode("utf-8", "surrogatepass"))


def _lines(text: str) -> Iterator[str]:
    for line in map(str.strip, text.splitlines()):
        # The lines that begin and end a key are everybody's.
        if len(line) >= MIN_LINE_LENGTH and is_maskable(line) and not line.startswith(_ARMOR):
            yield line


def _encoded(raw: bytes) -> Iterator[str]:
    """In hexadecimal, and in base64 whatever stands before and after it (`user:` for instance)."""
    yield f"(?i:{_cut(list(raw.hex()))})"
    for before in range(3):
        text = base64.b64encode(bytes(before) + raw).decode()
        # Only the characters that no neighbour has a part in.
        own = text[(before * 8 + 5) // 6 : (before + len(raw)) * 8 // 6]
        yield _cut([_IN_BASE64.get(each, each) for each in own])


def _cut(parts: Sequence[str]) -> str:
    """The parts in order, of which those of the second half may be missing from one on."""
    least = min(len(parts), max(MIN_CUT_LENGTH, (len(parts) + 1) // 2))
    while least < len(parts) and parts[:least].count(_BREAK) > least - MIN_LENGTH:
        least += 1
    rest = parts[least:]
    step = max(_STEP, len(rest) // _MAX_NESTED)
    pattern = ""
    for place in reversed(range(0, len(rest), step)):
        pattern = f"(?:{''.join(rest[place : place + step])}{pattern})?"
    return "".join(parts[:least]) + pattern


@cache
def spelled(character: str, *, at_edge: bool = False) -> str:
    """One character in all its spellings: as it is, escaped at any depth, quoted for a URL…

    A quote `at_edge` of a secret is that one alone: those around it may be JSON's.
    """
    if character.isascii() and character.isalnum():
        return character
    if character in "\r\n":
        return _BREAK
    return f"(?:{'|'.join(_spellings(character, at_edge=at_edge))})"


def _spellings(character: str, *, at_edge: bool) -> Iterator[str]:
    raw = character.encode("utf-8", "surrogatepass")
    number = ord(character)
    as_it_is = "".join(f"\\x{byte:02x}" for byte in raw)
    if character == "\\":
        yield r"\\+"
    elif character in _QUOTES and not at_edge:
        # A shell closes a quotation, writes the quote in another one, and goes on.
        yield rf"(?:\\*[{_QUOTES}])+"
    else:
        yield rf"\\*{as_it_is}"
    if character == " ":
        yield r"\+"
    if character in _ESCAPES:
        yield rf"\\+{_ESCAPES[character]}"
    yield "".join(f"%(?:25)*(?i:{byte:02x})" for byte in raw)
    yield "".join(rf"\\+x(?i:{byte:02x})" for byte in raw)
    yield "".join(rf"\\+{byte:03o}" for byte in raw)
    units = character.encode("utf-16-be", "surrogatepass").hex()
    yield "".join(rf"\\+u(?i:{units[at : at + 4]})" for at in range(0, len(units), 4))
    yield rf"\\+U(?i:{number:08x})"
    if number < 256:
        yield rf"\\+x(?i:{number:02x})"
    entity = rf"#0*{number}|#[xX]0*(?i:{number:x})"
    if character in _ENTITIES:
        entity += f"|{_ENTITIES[character]}"
    yield f"&(?:amp;)*(?:{entity});"


_IN_BASE64 = {"+": rf"(?:{spelled('+')}|-)", "/": rf"(?:{spelled('/')}|_)"}
