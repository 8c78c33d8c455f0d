"""Enough of JQL to find issues by project, label, type, status, key and words of the summary."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

TOKEN = re.compile(
    r"""\s*(?:(?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<sign>!=|!~|=|~|\(|\)|,)"""
    r"""|(?P<word>[^\s"'=!~(),]+))"""
)
TEXT_OPERATORS = frozenset({"~", "!~"})
VALUE_OPERATORS = frozenset({"=", "!=", "in", "not in"})
# https://support.atlassian.com/jira-software-cloud/docs/jql-fields/
OPERATORS = {
    "project": VALUE_OPERATORS,
    "labels": VALUE_OPERATORS,
    "issuetype": VALUE_OPERATORS,
    "status": VALUE_OPERATORS,
    "key": VALUE_OPERATORS,
    "summary": TEXT_OPERATORS,
}
ALIASES = {"label": "labels", "type": "issuetype", "issue": "key", "id": "key"}
ORDER = re.compile(r"\border\s+by\s+(?P<field>\w+)(?:\s+(?P<way>asc|desc))?\s*$", re.IGNORECASE)


class JqlError(Exception):
    """What Jira says about a query that it can't run."""


class Indexed(Protocol):
    """An issue as the search index knows it: the values of one field."""

    def values(self, field: str) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True)
class Clause:
    """`field operator values`; an issue is found when all clauses of a query hold."""

    field: str
    operator: str
    wanted: tuple[str, ...]

    def holds(self, issue: Indexed) -> bool:
        values = [value.casefold() for value in issue.values(self.field)]
        wanted = [value.casefold() for value in self.wanted]
        if self.operator in TEXT_OPERATORS:
            words = set(re.findall(r"\w+", " ".join(values)))
            found = set(re.findall(r"\w+", wanted[0])) <= words
        else:
            found = any(value in wanted for value in values)
        return found is not (self.operator in {"!=", "!~", "not in"})


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query; without clauses it asks for everything. Newest first unless it says else."""

    clauses: tuple[Clause, ...]
    oldest_first: bool = False

    def holds(self, issue: Indexed) -> bool:
        return all(clause.holds(issue) for clause in self.clauses)


def parse_jql(text: str) -> Query:
    """Clauses joined by AND, perhaps with ORDER BY created or key.

    Raises:
        JqlError: an unknown field or operator, or what this double can't evaluate (OR, NOT, …).
    """
    ordered = ORDER.search(text)
    oldest_first = False
    if ordered:
        if ordered["field"].lower() not in {"created", "key"}:
            raise JqlError(f"Not able to sort using field '{ordered['field']}'.")
        oldest_first = (ordered["way"] or "asc").lower() == "asc"
        text = text[: ordered.start()]
    tokens = _Tokens(text)
    clauses: list[Clause] = []
    while not tokens.ended:
        if clauses:
            tokens.expect("and")
        clauses.append(_clause(tokens))
    return Query(tuple(clauses), oldest_first)


class _Tokens:
    """The query's words; a quoted one is never an operator."""

    def __init__(self, text: str) -> None:
        self._left: list[tuple[str, bool]] = []
        at = 0
        text = text.strip()
        while at < len(text):
            match = TOKEN.match(text, at)
            if match is None:
                raise JqlError(f"Error in the JQL Query: unexpected character at {at + 1}.")
            if quoted := match["quoted"]:
                self._left.append((re.sub(r"\\(.)", r"\1", quoted[1:-1]), True))
            else:
                self._left.append((match["sign"] or match["word"], False))
            at = match.end()

    @property
    def ended(self) -> bool:
        return not self._left

    def take(self, fits: Callable[[str, bool], bool], expected: str) -> str:
        if self.ended:
            raise JqlError(f"Error in the JQL Query: Expecting {expected} before the end.")
        text, quoted = self._left[0]
        if not fits(text, quoted):
            raise JqlError(f"Error in the JQL Query: Expecting {expected} but got '{text}'.")
        self._left.pop(0)
        return text

    def expect(self, word: str) -> None:
        self.take(lambda text, quoted: not quoted and text.lower() == word, repr(word))

    def follows(self, word: str) -> bool:
        return bool(self._left) and self._left[0] == (word, False)


def _clause(tokens: _Tokens) -> Clause:
    named = tokens.take(lambda text, _: text not in "()=,", "a field name").lower()
    field = ALIASES.get(named, named)
    if field not in OPERATORS:
        raise JqlError(f"Field '{named}' does not exist or you do not have permission to view it.")
    operator = tokens.take(lambda _, quoted: not quoted, "an operator").lower()
    if operator == "not":
        tokens.expect("in")
        operator = "not in"
    if operator not in OPERATORS[field]:
        raise JqlError(f"The operator '{operator}' is not supported by the '{named}' field.")
    if not operator.endswith("in"):
        return Clause(field, operator, (_value(tokens),))
    tokens.expect("(")
    wanted = [_value(tokens)]
    while tokens.follows(","):
        tokens.expect(",")
        wanted.append(_value(tokens))
    tokens.expect(")")
    return Clause(field, operator, tuple(wanted))


def _value(tokens: _Tokens) -> str:
    return tokens.take(lambda text, quoted: quoted or text not in {"(", ")", ",", "="}, "a value")
