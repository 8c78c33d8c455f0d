"""A validator's errors become short findings at the right place."""

import re
from enum import StrEnum
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from engine.catalog.yaml_composer import compose
from engine.catalog.yaml_findings import MAX_MISTAKES, findings_of
from engine.catalog.yaml_plain import to_plain


class Level(StrEnum):
    LOW = "low"
    HIGH = "high"


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Case(Strict):
    when: str = ""
    is_: str = Field(alias="is")


class Loop(Strict):
    in_: list[str] = Field(alias="in")
    name: str = Field(alias="as")
    serial: int = 1


class Inner(Strict):
    port: int = 1
    hosts: list[str] = []


class Pair(Strict):
    user: str = ""
    password: str = ""

    @model_validator(mode="after")
    def _complete(self) -> "Pair":
        if not self.password:
            raise ValueError(f"{self.user!r} has no password; give both")
        return self


class File(Strict):
    id: Annotated[str, Field(pattern="^[a-z]+$", min_length=1)] = "a"
    mode: Literal["observe", "approve", "auto"] = "approve"
    level: Annotated[Level, Field(strict=False)] = Level.LOW
    severity: str | list[Case] = "P1"
    enabled: bool = True
    ratio: Annotated[float, Field(ge=0, le=1)] = 0.5
    inner: Inner | None = None
    loop: Loop | None = None
    named: dict[str, Inner] = {}
    pair: Pair | None = None
    parts: Annotated[list[str], Field(min_length=2)] = ["a", "b"]

    @field_validator("id")
    @classmethod
    def _not_taken(cls, value: str) -> str:
        if value == "taken":
            raise ValueError("'taken' is in use; choose another id")
        return value


def found(text: str, *, show_values: bool = True) -> list[str]:
    node = compose(text.encode(), "f.yaml")
    with pytest.raises(ValidationError) as caught:
        File.model_validate(to_plain(node))
    findings = findings_of(caught.value, node, File, show_values=show_values)
    return [str(each).removeprefix("f.yaml:") for each in findings]


KNOWN = "known are enabled, id, inner, level, loop, mode, named, pair, parts, ratio, severity"
TABLE = {
    "misspelt key": ("id: a\nmod: auto", "2:1: unknown key 'mod', did you mean 'mode'?"),
    "strange key": ("zzz: 1", f"1:1: unknown key 'zzz'; {KNOWN}"),
    "key of an inner model": (
        "inner:\n  prot: 1",
        "2:3: unknown key 'prot', did you mean 'port'?",
    ),
    "key in a dictionary of models": (
        "named:\n  a: {prot: 1}",
        "2:7: unknown key 'prot', did you mean 'port'?",
    ),
    "key in a union's list": (
        "severity:\n  - whn: x\n    is: P1",
        "2:5: unknown key 'whn', did you mean 'when'?",
    ),
    "missing in a union's list": ("severity:\n  - when: x", "2:5: key 'is' is missing"),
    "neither branch of a union": (
        "severity: 5",
        "1:11: 5 isn't text here; quote it: severity: '5'; or a list must be here, not 5",
    ),
    "number for text": ("id: 1.10", "1:5: 1.10 isn't text here; quote it: id: '1.10'"),
    "number for text in flow": (
        "inner: {hosts: [a, 5]}",
        "1:20: 5 isn't text here; quote it: '5'",
    ),
    "nothing for text": ("id:", "1:4: text is missing here"),
    "map for text": (
        "inner:\n  hosts:\n    - a ? b : c",
        "3:7: ': ' makes this a key and a value; quote it: - 'a ? b : c'",
    ),
    "list for text": ("id: [a]", "1:5: text must be here, not a list"),
    "text for list": ("inner: {hosts: a}", "1:16: a list must be here, not 'a'"),
    "text for map": ("inner: a", "1:8: keys and values must be here, not 'a'"),
    "text for keys that are needed": (
        "loop: a",
        "1:7: keys and values must be here, not 'a'; write it like {in: …, as: …}",
    ),
    "a list for keys that are needed": (
        "loop: [a]",
        "1:7: keys and values must be here, not a list; write it like {in: …, as: …}",
    ),
    "keys that are missing": ("loop: {}", "1:7: key 'in' is missing; key 'as' is missing"),
    "a list for a literal": ("mode: [auto]", "1:7: write one of observe, approve, auto"),
    "no blank behind a key": (
        "inner: port:5",
        "1:8: 'port:5' is one text; write a blank behind the ':' of a key",
    ),
    "text for a number": (
        "inner: {port: '5'}",
        "1:15: '5' is text; write a whole number without quotes",
    ),
    "double for an int": ("inner: {port: 1.5}", "1:15: a whole number must be here, not 1.5"),
    "text for a bool": (
        "enabled: 'true'",
        "1:10: 'true' is text; write true or false without quotes",
    ),
    "literal": (
        "mode: aprove",
        "1:7: 'aprove' isn't one of observe, approve, auto, did you mean 'approve'?",
    ),
    "enum": ("level: medium", "1:8: 'medium' isn't one of low, high"),
    "pattern": ("id: A1", "1:5: 'A1' doesn't have the form ^[a-z]+$"),
    "empty": ("id: ''", "1:5: this must not be empty"),
    "too few": ("parts: [a]", "1:8: at least 2 must be here"),
    "own validator": ("id: taken", "1:5: 'taken' is in use; choose another id"),
    "bound": ("ratio: 2.5", "1:8: 2.5 isn't right: it must be less than or equal to 1"),
}


@pytest.mark.parametrize(("text", "finding"), TABLE.values(), ids=TABLE)
def test_an_error_says_what_to_write(text: str, finding: str) -> None:
    assert found(text) == [finding]


def test_all_errors_are_found_in_the_order_of_the_file() -> None:
    places = [each.split(" ")[0] for each in found("zzz: 1\nmode: x\ninner: {port: a, prot: 1}")]
    assert places == ["1:1:", "2:7:", "3:15:", "3:18:"]


def test_a_long_value_is_cut() -> None:
    (finding,) = found(f"enabled: {'x' * 500}")
    assert len(finding) < 150


SECRET = "hunter2"
SILENT = {
    "type": (f"id: [{SECRET}]", "1:5: text must be here"),
    "literal": (f"mode: {SECRET}", "1:7: this must be one of observe, approve, auto"),
    "enum": (f"level: {SECRET}", "1:8: this must be one of low, high"),
    "bool": (f"enabled: {SECRET}", "1:10: true or false must be here"),
    "number": (f"ratio: '{SECRET}'", "1:8: a number must be here"),
    "bound": ("ratio: 2.5", "1:8: this must be less than or equal to 1"),
    "pattern": (f"id: {SECRET}", "1:5: this must have the form ^[a-z]+$"),
    "empty": ("id: ''", "1:5: this must not be empty"),
    "too few": (f"parts: [{SECRET}]", "1:8: at least 2 must be here"),
    "own validator": ("id: taken", "1:5: this is in use; choose another id"),
    "own validator of a whole section": (
        f"pair: {{user: {SECRET}}}",
        "1:7: this has no password; give both",
    ),
}


@pytest.mark.parametrize(("text", "finding"), SILENT.values(), ids=SILENT)
def test_where_the_file_may_hold_secrets_it_says_what_to_write_without_the_value(
    text: str, finding: str
) -> None:
    assert found(text, show_values=False) == [finding]


def test_of_thousands_of_mistakes_as_many_are_told_as_somebody_reads() -> None:
    told = found("".join(f"k{number}: 1\n" for number in range(10_000)))
    assert len(told) == MAX_MISTAKES + 1
    assert re.search(r"\d+ more mistakes aren't shown; mend those that are first", told[-1])
