"""Each element of an argv as a pattern, in both dialects."""

from collections.abc import Sequence
from typing import Any

import pytest

from engine.core.command_patterns import (
    EXTENDED,
    SUDOERS,
    Dialect,
    argv_patterns,
    authorized_line,
)
from engine.core.documents import CommandDocument
from engine.core.sudo_patterns import UnsayableError

PIECES = "timeout\t-k\t[0-9]+\t[0-9]+\t"


def command(*argv: str, **args: dict[str, object]) -> CommandDocument:
    document = {"argv": argv, "args": args, "effect": "read", "repeat": "harmless"}
    return CommandDocument.model_validate(document)


@pytest.mark.parametrize(
    ("dialect", "spec", "pattern"),
    [
        (EXTENDED, {"type": "string"}, "[^-[:cntrl:]][^[:cntrl:]]*"),
        (SUDOERS, {"type": "string"}, "[^-[:space:]][^[:space:]]*"),
        (EXTENDED, {"type": "string", "pattern": "^.[^a#]$"}, None),
        (EXTENDED, {"type": "string", "pattern": "^[a#]+$"}, "(([a]|#)+)"),
        (SUDOERS, {"type": "string", "pattern": "^[a#]+$"}, "(([a]|\\#)+)"),
        (EXTENDED, {"type": "string", "pattern": "^.[^a]$"}, "([^[:cntrl:]][^a[:cntrl:]])"),
        (EXTENDED, {"type": "enum", "values": ["a b", "c.d\\"]}, "(a b|c[.]d[\\])"),
        (SUDOERS, {"type": "enum", "values": ["a b"]}, None),
        (EXTENDED, {"type": "integer", "minimum": 1}, "[0-9]+"),
    ],
)
def test_an_argument_is_what_its_dialect_calls_it(
    dialect: Dialect, spec: dict[str, Any], pattern: str | None
) -> None:
    what = command("x", "${{ args.a }}", a=spec)
    if pattern is None:
        with pytest.raises(UnsayableError):
            argv_patterns(what.argv, what, {}, dialect)
    else:
        assert argv_patterns(what.argv, what, {}, dialect) == ["x", pattern]


@pytest.mark.parametrize(
    ("argv", "given", "line"),
    [
        (["date", "${{ args.n }} days ago"], {}, "date\t[0-9]+ days ago"),
        (["date", "${{ args.n }} days ago"], {"n": "7"}, "date\t7 days ago"),
        (["find", "-printf", "%f\\n^"], {}, "find\t-printf\t%f[\\]n\\^"),
        (["sudo", "reboot"], {}, "sudo\t-T\t[0-9]+\treboot"),
        (["/usr/bin/sudo", "reboot"], {}, "/usr/bin/sudo\t-T\t[0-9]+\treboot"),
        (["pseudo", "reboot"], {}, "pseudo\treboot"),
    ],
)
def test_a_line_is_under_timeout_and_has_a_pattern_a_word(
    argv: Sequence[str], given: dict[str, str], line: str
) -> None:
    what = command(*argv, n={"type": "integer", "minimum": 0})
    assert authorized_line(argv, what, given, sudo_timeouts=True) == PIECES + line


@pytest.mark.parametrize("word", ["${{ args.n + 1 }}", "a\u202eb"])
def test_what_no_pattern_says_is_told(word: str) -> None:
    what = command("x", word, n={"type": "integer"})
    with pytest.raises(UnsayableError):
        authorized_line(what.argv, what, {}, sudo_timeouts=False)
