"""Takes secrets out of a text, in every form in which they travel.

It never fails, takes time in proportion to the text, and never makes a text longer. What it gives
holds no secret: masking it again changes nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import re2

from engine.core.json_value import Json
from engine.core.secret_forms import forms_of

# What stands in place of a secret. `[masked NAME]` tells which one it was, where that is no longer
# than the secret was: an operator must know what to renew.
MASK = "[masked]"
MARK = "[masked"
UNMASKED = "too short or too plain to be taken out of texts; use 12 random characters or more"
_MAX_NAME = 60

# 200 secrets of 40 characters need 12 MiB of it.
_MAX_PATTERN_BYTES = 256 << 20
# A command that wraps its output breaks a secret in two.
_BREAKS = (b"\r", b"\n", b"\\r", b"\\n")

_Span = tuple[int, int]


class _Match(Protocol):
    def span(self) -> _Span: ...


class _Pattern(Protocol):
    def search(self, text: bytes, pos: int = 0) -> _Match | None: ...


class Masker:
    """Knows secrets by their names; frozen. Without secrets it does nothing."""

    def __init__(self, secrets: Iterable[tuple[str, str | bytes]] = ()) -> None:
        """Of each secret its name, which may be shown, and its value; bytes are a key's."""
        forms: list[str] = []
        self._names: list[str] = []
        unmasked: list[str] = []
        # Where two begin at one place, the longer one gives its name.
        for name, value in sorted(secrets, key=lambda each: -len(each[1])):
            found = list(forms_of(value))
            forms += found
            self._names += [name] * len(found)
            if not found and value:
                unmasked.append(name)
        self._unmasked = tuple(dict.fromkeys(unmasked))
        self._pattern: _Pattern | None = None
        if forms:
            self._pattern = re2.compile("|".join(forms).encode(), _options())
        self._forms = forms
        self._by_form: re2.Set | None = None

    @property
    def unmasked(self) -> tuple[str, ...]:
        """The names of secrets that are too short, or too plain, to be taken out of texts."""
        return self._unmasked

    def found(self, text: str) -> str:
        """The name of a secret that is in the text, "" when none is."""
        data = _encoded(text)
        spans = self._spans(data)
        return self._name_of(data, spans[0]) if spans else ""

    def mask(self, text: str) -> str:
        """The text without any secret; the very same object where there was none."""
        data = _encoded(text)
        spans = self._spans(data)
        if not spans:
            return text
        pieces, end = [], 0
        for span in spans:
            pieces += [data[end : span[0]], self._label(data, span)]
            end = span[1]
        masked = _decoded(b"".join([*pieces, data[end:]]))
        # A secret that begins like our own word ends could stand there anew.
        return MASK if self._spans(_encoded(masked)) else masked

    def mask_values(self, value: Json) -> Json:
        """The same with every text in it masked, names of members too."""
        if isinstance(value, str):
            return self.mask(value)
        if isinstance(value, Mapping):
            return {self.mask(key): self.mask_values(each) for key, each in value.items()}
        if isinstance(value, Sequence):
            return [self.mask_values(each) for each in value]
        return value

    def _spans(self, data: bytes) -> list[_Span]:
        """Where secrets are, in order, apart from each other."""
        pattern = self._pattern
        if pattern is None:
            return []
        found = _all_spans(pattern, data)
        whole = _unbroken(data)
        if len(whole) < len(data) and (broken := _all_spans(pattern, whole)):
            places = _places(data)
            found += [(places[start], places[end - 1] + 1) for start, end in broken]
        return _joined(found)

    def _label(self, data: bytes, span: _Span) -> bytes:
        replaced = len(_decoded(data[span[0] : span[1]]))
        label = f"{MARK} {self._name_of(data, span)[:_MAX_NAME]}]"
        return (label if len(label) <= replaced else MASK).encode()

    def _name_of(self, data: bytes, span: _Span) -> str:
        if self._by_form is None:
            by_form = re2.Set.SearchSet(_options())
            for form in self._forms:
                by_form.Add(form.encode())
            by_form.Compile()
            self._by_form = by_form
        text = data[span[0] : span[1]]
        indices = self._by_form.Match(text) or self._by_form.Match(_unbroken(text))
        return self._names[min(indices)] if indices else ""


NO_SECRETS = Masker()


def _options() -> re2.Options:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.longest_match = True
    options.never_capture = True
    options.log_errors = False
    options.max_mem = _MAX_PATTERN_BYTES
    return options


def _all_spans(pattern: _Pattern, data: bytes) -> list[_Span]:
    """Those that overlap, too: two secrets may share an end."""
    found = []
    match = pattern.search(data)
    while match is not None:
        span = match.span()
        found.append(span)
        match = pattern.search(data, span[0] + 1)
    return found


def _joined(spans: Iterable[_Span]) -> list[_Span]:
    joined: list[_Span] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined


def _unbroken(data: bytes) -> bytes:
    """Without line breaks, as they are and as JSON writes them."""
    for each in _BREAKS:
        data = data.replace(each, b"")
    return data


def _places(data: bytes) -> Sequence[int]:
    """Where each byte of `_unbroken(data)` stands in `data`."""
    places = list(range(len(data)))
    for each in _BREAKS:
        kept: list[int] = []
        end = 0
        while (at := data.find(each, end)) >= 0:
            kept += places[end:at]
            end = at + len(each)
        places = kept + places[end:]
        data = data.replace(each, b"")
    return places


def _encoded(text: str) -> bytes:
    # Half of a surrogate pair can come out of JSON.
    return text.encode("utf-8", "surrogatepass")


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")
