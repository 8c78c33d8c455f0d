"""Each minute a signed checkpoint over what the journal gained, and its copies elsewhere."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import structlog

from engine.core.audit_export import entry_line
from engine.core.checkpoint import (
    CHAIN,
    Head,
    checkpoint_of,
    next_checkpoint,
    statement_of,
    with_signature,
)
from engine.core.events import CheckpointSigned
from engine.core.journal import Entry, NewEntry
from engine.errors import PermanentError, TransientError
from engine.ports.metrics import Metrics
from engine.ports.rows import Task
from engine.ports.signer import CheckpointCopy, Signer
from engine.ports.store import Store, Tx

log = structlog.get_logger(__name__)

CHECKPOINT_EVERY = timedelta(minutes=1)
# Some 800 KB as one entry; what is left goes into another checkpoint at once.
MAX_HEADS = 5_000
# Well below a lease's worth of patience: a disk that hangs must not keep checkpoints waiting.
COPY_WITHIN_S = 15.0
_COPIED_AT_ONCE = 100


def schedule_checkpoints(tx: Tx) -> None:
    """Make sure that there is the task, and that it is due now.

    It is urgent however severe the incidents are: it takes moments, and a storm of them is when
    the record of what quell did matters most.
    """
    tx.put_task(Task("checkpoint", "checkpoint", tx.now, 1, {}))


@dataclass(frozen=True, slots=True)
class CheckpointStage:
    """Signs with `signer`; without one checkpoints are chained, but unsigned."""

    store: Store
    signer: Signer | None
    copies: Sequence[CheckpointCopy]
    metrics: Metrics

    async def sign(self, task: Task) -> None:
        """Handle the `checkpoint` task, which comes back each minute."""
        # What an earlier execution couldn't copy comes before anything new.
        await self._copy()
        while await self._sign_next(task):
            log.info("checkpoint_full", heads=MAX_HEADS)
        await self.store.write(lambda tx: tx.release_task(task, tx.now + CHECKPOINT_EVERY))

    async def _sign_next(self, task: Task) -> bool:
        """Make the next checkpoint if anything was appended; True when there is more to name."""
        # Outside of the transaction, because it looks at every chain.
        grown = await self.store.read(lambda tx: tx.grown_chains(MAX_HEADS))
        if not await self.store.write(partial(self._append, task, grown)):
            return False
        self.metrics.checkpoints.inc()
        await self._copy()
        return len(grown) == MAX_HEADS

    def _append(self, task: Task, grown: Sequence[Head], tx: Tx) -> bool:
        tx.hold_task(task)
        seq, entry_hash = tx.head(CHAIN)
        last = _last(tx)
        heads = [head for head in grown if head[0] != CHAIN]
        # The last checkpoint is no news: else each would be reason enough for another.
        if seq > (0 if last is None else last.seq):
            heads.append((CHAIN, seq, entry_hash))
        if not heads:
            return False
        made = next_checkpoint(
            _read(last), heads, tx.now, self.signer.key_id if self.signer else ""
        )
        if self.signer is not None:
            made = with_signature(made, self.signer.sign(statement_of(made)))
        (entry,) = tx.append(CHAIN, [NewEntry(made, tx.now)])
        tx.mark_checkpointed({**{chain: seq for chain, seq, _ in heads}, CHAIN: entry.seq})
        return True

    async def _copy(self) -> None:
        """Bring every copy up to date; one that can't be written is told, and tried again."""
        for copy in self.copies:
            try:
                async with asyncio.timeout(COPY_WITHIN_S):
                    await self._bring_up_to_date(copy)
            except (TimeoutError, TransientError, PermanentError) as error:
                self.metrics.checkpoint_copy_failures.labels(copy=copy.name).inc()
                reason = str(error) or f"no end within {COPY_WITHIN_S} s"
                log.error("checkpoint_copy_failed", copy=copy.name, error=reason)

    async def _bring_up_to_date(self, copy: CheckpointCopy) -> None:
        seq = await copy.last_seq()
        if seq == 0:
            # The newest names, by its hash, all that were before it.
            newest = await self.store.read(_last)
            seq = 0 if newest is None else newest.seq - 1
        while missing := await self.store.read(partial(_checkpoints, after_seq=seq)):
            await copy.append(b"".join(map(entry_line, missing)))
            seq = missing[-1].seq


def _last(tx: Tx) -> Entry | None:
    return tx.last_entry(CHAIN, CheckpointSigned.KIND)


def _checkpoints(tx: Tx, after_seq: int) -> Sequence[Entry]:
    kind = CheckpointSigned.KIND
    return tx.page(CHAIN, after_seq=after_seq, kind=kind, limit=_COPIED_AT_ONCE)


def _read(last: Entry | None) -> CheckpointSigned | None:
    if last is None:
        return None
    checkpoint = checkpoint_of(last)
    if checkpoint is None:
        raise PermanentError(
            f"the last checkpoint (system entry {last.seq}) can't be read, so none can follow it: "
            "see what `quell audit verify` says"
        )
    return checkpoint
