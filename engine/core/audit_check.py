"""Whether a journal is what was written: chains, checkpoints and what the verifier holds of them.

Entries come one after the other, so that a journal of any length is checked in one pass: chain
`system` first, because its checkpoints tell what to find in the others.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from engine.core.checkpoint import (
    CHAIN,
    SignatureCheck,
    SignatureState,
    checkpoint_of,
    link_problem,
    root_problem,
    signature_state,
)
from engine.core.events import CheckpointSigned
from engine.core.journal import GENESIS, ChainFault, Entry, problem_of


@dataclass(frozen=True, slots=True)
class AuditOutcome:
    """What was found; `faults` is empty when all is as it was written.

    `verified` is the number of the last checkpoint that verified, by a signature or by a copy,
    with all that it covers; 0 when none did. `uncovered` counts the entries after it: those may
    have been cut off or rewritten by who can write to the database, and nobody could tell.
    """

    chains: int
    entries: int
    checkpoints: int
    faults: tuple[ChainFault, ...]
    notes: tuple[str, ...]
    verified: int
    verified_at: str
    uncovered: int


class _Expected(NamedTuple):
    entry_hash: str
    number: int


class _Seen(NamedTuple):
    number: int
    seq: int
    at: str
    state: SignatureState
    key_id: str


class AuditCheck:
    """Takes `begin` and the `entry`s of each chain, in order; `end` tells.

    Of each chain the first fault is told.
    """

    def __init__(self, check: SignatureCheck | None = None, held: Sequence[Entry] = ()) -> None:
        """`check` knows the verifier's keys; `held` are checkpoints that the verifier kept."""
        self._check = check
        self._expected: dict[str, dict[int, _Expected]] = {}
        self._lengths: dict[str, int] = {}
        self._faults: dict[str, ChainFault] = {}
        self._more: list[ChainFault] = []
        self._seen: list[_Seen] = []
        self._anchors: set[int] = set()
        self._broken: set[int] = set()
        self._previous: CheckpointSigned | None = None
        self._last_checkpoint_seq = 0
        self._chain = ""
        self._head: tuple[int, str] | None = None
        self._seq, self._prev_hash = 0, GENESIS
        self._held: dict[int, int] = {}
        for entry in held:
            self._hold(entry)

    def begin(self, chain: str, seq: int, entry_hash: str) -> None:
        """The entries of this chain follow, and should end at this head."""
        self._close()
        if self._lengths and _place(chain) <= _place(self._chain):
            self._fault(chain, 1, f"chain {chain!r} comes twice or after {self._chain!r}")
        self._chain, self._head = chain, (seq, entry_hash)
        self._seq, self._prev_hash = 0, GENESIS

    def entry(self, entry: Entry) -> None:
        """The next entry of the chain that was begun."""
        if self._head is None:
            self._fault(entry.chain, entry.seq, "comes before the head of its chain")
            return
        chain, seq = self._chain, self._seq + 1
        if chain not in self._faults:
            problem = problem_of(entry, chain, seq, self._prev_hash)
            if problem:
                self._fault(chain, seq, problem)
        expected = self._expected.get(chain, {}).get(seq)
        if expected is not None and entry.entry_hash != expected.entry_hash:
            whose = f"checkpoint {expected.number}"
            self._fault(chain, seq, f"isn't the entry that {whose} names: it was replaced")
        if chain == CHAIN and entry.kind == CheckpointSigned.KIND:
            self._checkpoint(entry, seq)
        self._seq, self._prev_hash = seq, entry.entry_hash

    def fault(self, chain: str, seq: int, problem: str) -> None:
        """Add what the reader of the journal found itself."""
        self._more.append(ChainFault(chain, seq, problem))

    def end(self) -> AuditOutcome:
        """All has come."""
        self._close()
        for chain in sorted(self._expected.keys() - self._lengths.keys()):
            seq, expected = max(self._expected[chain].items())
            problem = f"the whole chain is gone: checkpoint {expected.number} names entry {seq}"
            self._fault(chain, 1, problem)
        first_broken = min(self._broken, default=None)
        sound = [n for n in self._anchors if first_broken is None or n < first_broken]
        verified = max(sound, default=0)
        self._judge_tail()
        last = next((each for each in self._seen if each.number == verified), None)
        return AuditOutcome(
            chains=len(self._lengths),
            entries=sum(self._lengths.values()),
            checkpoints=len(self._seen),
            faults=(*self._faults.values(), *self._more),
            notes=tuple(self._notes(verified)),
            verified=verified,
            verified_at="" if last is None else last.at,
            uncovered=self._uncovered(last),
        )

    def _hold(self, entry: Entry) -> None:
        checkpoint = checkpoint_of(entry)
        problem = problem_of(entry, CHAIN, entry.seq, entry.prev_hash)
        if checkpoint is None or problem:
            self.fault(CHAIN, entry.seq, f"the copy of this checkpoint is damaged: {problem}")
            return
        problem = root_problem(checkpoint)
        if self._check and signature_state(checkpoint, self._check) == "wrong":
            problem = f"checkpoint {checkpoint.number}: its signature is wrong"
        if self._held.setdefault(checkpoint.number, entry.seq) != entry.seq:
            problem = f"checkpoint {checkpoint.number} has two different copies"
        if not problem:
            problem = self._expect(CHAIN, entry.seq, entry.entry_hash, checkpoint.number)
        for head in () if problem else checkpoint.heads:
            problem = self._expect(*head, checkpoint.number) or problem
        if problem:
            self.fault(CHAIN, entry.seq, f"in the copy: {problem}")
            self._broken.add(checkpoint.number)

    def _expect(self, chain: str, seq: int, entry_hash: str, number: int) -> str:
        """What is wrong with expecting it: "" unless another checkpoint names another entry."""
        known = self._expected.setdefault(chain, {}).setdefault(seq, _Expected(entry_hash, number))
        if known.entry_hash == entry_hash:
            return ""
        return (
            f"checkpoint {number} names another entry {seq} of {chain} than "
            f"checkpoint {known.number}"
        )

    def _checkpoint(self, entry: Entry, seq: int) -> None:
        checkpoint = checkpoint_of(entry)
        if checkpoint is None:
            self._fault(CHAIN, seq, "the checkpoint was erased or can't be read")
            return
        number, previous = checkpoint.number, self._previous
        own = next((head for head in checkpoint.heads if head[0] == CHAIN), None)
        expected_own = (CHAIN, seq - 1, entry.prev_hash)
        problem = link_problem(checkpoint, previous) or root_problem(checkpoint)
        if not problem and own != expected_own and (own or self._last_checkpoint_seq != seq - 1):
            problem = f"checkpoint {number} leaves out entries of its own chain"
        state: SignatureState = "unknown_key" if checkpoint.key_id else "unsigned"
        if self._check is not None:
            state = signature_state(checkpoint, self._check)
        if state == "wrong":
            problem = problem or f"checkpoint {number}: its signature is wrong"
        for head in checkpoint.heads:
            if head[0] != CHAIN:
                problem = self._expect(*head, number) or problem
        if problem:
            self._fault(CHAIN, seq, problem)
        if CHAIN in self._faults:
            self._broken.add(number)
        if state == "valid" or self._held.get(number) == seq:
            self._anchors.add(number)
        self._seen.append(_Seen(number, seq, checkpoint.at, state, checkpoint.key_id))
        self._previous, self._last_checkpoint_seq = checkpoint, seq

    def _close(self) -> None:
        """The chain that was begun has ended."""
        if self._head is None:
            return
        chain, length = self._chain, self._seq
        if self._head != (length, self._prev_hash):
            self._fault(chain, length + 1, f"the chain should end at entry {self._head[0]}")
        missing = [
            (seq, expected.number)
            for seq, expected in self._expected.get(chain, {}).items()
            if seq > length
        ]
        if missing:
            seq, number = min(missing)
            problem = f"the chain was cut off: checkpoint {number} names its entry {seq}"
            self._fault(chain, length + 1, problem)
        self._lengths[chain] = length
        self._head = None

    def _fault(self, chain: str, seq: int, problem: str) -> None:
        if chain in self._faults:
            return
        self._faults[chain] = ChainFault(chain, seq, problem)
        for at, expected in self._expected.get(chain, {}).items():
            if at >= seq:
                self._broken.add(expected.number)

    def _judge_tail(self) -> None:
        """Who holds keys expects the newest checkpoints to be signed by one of them."""
        if self._check is None:
            return
        newest = max(self._anchors, default=0)
        for each in self._seen:
            if each.number > newest and each.state in ("unsigned", "unknown_key"):
                how = "isn't signed" if each.state == "unsigned" else f"is signed by {each.key_id}"
                problem = f"checkpoint {each.number} {how}, and no later one by a known key"
                self.fault(CHAIN, each.seq, problem)
                return

    def _notes(self, verified: int) -> Iterable[str]:
        states = Counter(each.state for each in self._seen)
        if not self._seen:
            yield "there is no checkpoint: only the chains themselves could be checked"
        elif self._check is None and states["unknown_key"]:
            yield "no key was given: the signatures of checkpoints were not checked"
        if states["unsigned"]:
            yield f"{states['unsigned']} of {len(self._seen)} checkpoints are not signed"
        if self._check is not None and states["unknown_key"]:
            keys = sorted({each.key_id for each in self._seen if each.state == "unknown_key"})
            yield (
                f"{states['unknown_key']} of {len(self._seen)} checkpoints are signed by keys that "
                f"were not given: {', '.join(keys)}"
            )
        if self._seen and not verified:
            yield "no checkpoint verified, so what was cut off at an end can't be told"

    def _uncovered(self, last: _Seen | None) -> int:
        count = 0
        for chain, length in self._lengths.items():
            named = self._expected.get(chain, {}).items()
            verified = 0 if last is None else last.number
            covered = max((seq for seq, each in named if each.number <= verified), default=0)
            if chain == CHAIN and last is not None:
                covered = last.seq
            count += max(length - covered, 0)
        return count


def _place(chain: str) -> tuple[bool, str]:
    """Chains come in this order: `system`, then by their names."""
    return chain != CHAIN, chain
