"""The journal as JSON lines, for keeping elsewhere and checking without quell's database.

    {"format":"quell-audit@1"}                              first
    {"chain":…,"entry_hash":…,"seq":…}                      the head of a chain, then its entries
    {"actor":…,"body":"<the exact text>","salt":"<hex>",…}
    {"chains":…,"entries":…}                                last

Chain `system` comes first, the others in the order of their names. A line is canonical JSON: any
other spelling of it is a change. A copy of a checkpoint is the line of its entry.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from engine.core.audit_check import AuditCheck, AuditOutcome
from engine.core.checkpoint import CHAIN, SignatureCheck
from engine.core.events import CheckpointSigned
from engine.core.journal import ChainFault, Entry
from engine.core.json_value import canonical_bytes

FORMAT: Literal["quell-audit@1"] = "quell-audit@1"
# Faults of the file itself, not of a chain: `seq` is then the number of the line.
FILE = "line"


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class FormatLine(_Line):
    """The first line."""

    format: Literal["quell-audit@1"]


class HeadLine(_Line):
    """Where a chain ends; its entries follow."""

    chain: str
    seq: int
    entry_hash: str


class EntryLine(_Line):
    """One entry; `body` is None once erased, and then `salt` is ""."""

    chain: str
    seq: int
    prev_hash: str
    kind: str
    at_us: int
    actor: str
    catalog: str
    salt: str = Field(pattern="^([0-9a-f]{2})*$")
    body: str | None
    body_hash: str
    entry_hash: str


class EndLine(_Line):
    """The last line: how many came."""

    chains: int
    entries: int


_LINE: TypeAdapter[FormatLine | HeadLine | EntryLine | EndLine] = TypeAdapter(
    FormatLine | HeadLine | EntryLine | EndLine
)


def format_line() -> bytes:
    """The first line of an export."""
    return _written(FormatLine(format=FORMAT))


def head_line(chain: str, seq: int, entry_hash: str) -> bytes:
    """Before the entries of a chain."""
    return _written(HeadLine(chain=chain, seq=seq, entry_hash=entry_hash))


def entry_line(entry: Entry) -> bytes:
    """One entry, or one copy of a checkpoint."""
    # quell writes UTF-8 alone: what can't be decoded was changed, and its hash will tell.
    body = None if entry.body is None else entry.body.decode(errors="replace")
    return _written(
        EntryLine(
            chain=entry.chain,
            seq=entry.seq,
            prev_hash=entry.prev_hash,
            kind=entry.kind,
            at_us=entry.at_us,
            actor=entry.actor,
            catalog=entry.catalog,
            salt="" if body is None else entry.salt.hex(),
            body=body,
            body_hash=entry.body_hash,
            entry_hash=entry.entry_hash,
        )
    )


def end_line(chains: int, entries: int) -> bytes:
    """The last line of an export."""
    return _written(EndLine(chains=chains, entries=entries))


def _written(line: _Line) -> bytes:
    return canonical_bytes(line.model_dump(mode="json")) + b"\n"


class ExportCheck:
    """Takes an export's lines one after the other, each with its line feed; `end` tells."""

    def __init__(self, check: SignatureCheck | None = None, held: Sequence[Entry] = ()) -> None:
        """`check` knows the verifier's keys; `held` are the checkpoints that `read_copies` gave."""
        self._audit = AuditCheck(check, held)
        self._chains = self._entries = self._number = 0
        self._ended = False

    def line(self, line: bytes) -> None:
        """The next line."""
        self._number += 1
        parsed = _parsed(line)
        if (self._number == 1) != isinstance(parsed, FormatLine):
            self._fault(
                f"{format_line().decode().strip()} belongs in the first line, and there alone"
            )
        if self._ended:
            self._fault("comes after the end of the export")
        match parsed:
            case None:
                self._fault("isn't a line as quell writes it: the file was changed or cut off")
            case HeadLine():
                self._chains += 1
                self._audit.begin(parsed.chain, parsed.seq, parsed.entry_hash)
            case EntryLine():
                self._entries += 1
                self._audit.entry(_entry(parsed))
            case EndLine():
                self._ended = True
                if (parsed.chains, parsed.entries) != (self._chains, self._entries):
                    wanted = f"{parsed.entries} entries in {parsed.chains} chains"
                    found = f"{self._entries} in {self._chains}"
                    self._fault(f"the export should have {wanted}, and has {found}")
            case FormatLine():
                pass

    def end(self) -> AuditOutcome:
        """The file has ended."""
        if not self._ended:
            self._number += 1
            self._fault("the export is cut off: its last line is missing")
        return self._audit.end()

    def _fault(self, problem: str) -> None:
        self._audit.fault(FILE, self._number, problem)


def verify_export(
    lines: Iterable[bytes], check: SignatureCheck | None = None, held: Sequence[Entry] = ()
) -> AuditOutcome:
    """Check a whole export."""
    export = ExportCheck(check, held)
    for line in lines:
        export.line(line)
    return export.end()


def read_copies(lines: Iterable[bytes]) -> tuple[list[Entry], list[str]]:
    """The checkpoints in a file of copies, and what else was there.

    Lines of an export that are no checkpoints are passed over, so that an older export serves as
    a copy too. A line that was cut off by a crash is told: the writer repeats it whole.
    """
    copies, notes = [], []
    for number, line in enumerate(lines, 1):
        parsed = _parsed(line)
        if parsed is None:
            notes.append(f"line {number} of the copies isn't whole and was passed over")
        elif isinstance(parsed, EntryLine) and _is_checkpoint(parsed):
            copies.append(_entry(parsed))
    return copies, notes


def told(fault: ChainFault) -> str:
    """A fault as a sentence: `incident/x entry 5: the body was changed`, `line 7: …`."""
    place = f"{FILE} {fault.seq}" if fault.chain == FILE else f"{fault.chain} entry {fault.seq}"
    return f"{place}: {fault.problem}"


def _is_checkpoint(line: EntryLine) -> bool:
    return line.chain == CHAIN and line.kind == CheckpointSigned.KIND


def _parsed(line: bytes) -> FormatLine | HeadLine | EntryLine | EndLine | None:
    """None when it isn't the one spelling that quell writes."""
    try:
        parsed = _LINE.validate_json(line)
    except ValidationError:
        return None
    # No hash covers the salt of an erased body.
    salted = isinstance(parsed, EntryLine) and parsed.body is None and parsed.salt != ""
    return parsed if _written(parsed) == line and not salted else None


def _entry(line: EntryLine) -> Entry:
    return Entry(
        chain=line.chain,
        seq=line.seq,
        prev_hash=line.prev_hash,
        kind=line.kind,
        at_us=line.at_us,
        actor=line.actor,
        catalog=line.catalog,
        salt=bytes.fromhex(line.salt),
        body=None if line.body is None else line.body.encode(),
        body_hash=line.body_hash,
        entry_hash=line.entry_hash,
    )
