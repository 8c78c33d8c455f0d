"""Checkpoints: a signed root over the heads of the chains that grew, each naming the one before.

    root      = SHA-256(canonical JSON of the sorted [[chain, seq, entry_hash], …])
    statement = canonical JSON of ["quell-checkpoint@1", number, previous, at, root, key_id]
    hash      = SHA-256(statement), the `previous` of the next one
    signature = Ed25519 over the statement

A signature covers all earlier checkpoints too, because each names the one before it.
"""

import base64
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Literal, TypeAlias

from pydantic import ValidationError

from engine.core.events import CheckpointSigned
from engine.core.ids import sha256_hex
from engine.core.journal import GENESIS, Entry
from engine.core.json_value import canonical_bytes

# Where checkpoints are journaled, among the other entries of the installation itself.
CHAIN = "system"

Head: TypeAlias = tuple[str, int, str]
SignatureState = Literal["valid", "wrong", "unknown_key", "unsigned"]
# (key id, statement, signature) → what it is worth; the keys are the caller's.
SignatureCheck: TypeAlias = Callable[[str, bytes, bytes], Literal["valid", "wrong", "unknown_key"]]


def next_checkpoint(
    previous: CheckpointSigned | None, heads: Sequence[Head], at: datetime, key_id: str
) -> CheckpointSigned:
    """The checkpoint after `previous`, without its signature; `key_id` is "" without a key."""
    ordered = tuple(sorted(heads))
    return CheckpointSigned(
        number=1 if previous is None else previous.number + 1,
        previous=GENESIS if previous is None else checkpoint_hash(previous),
        at=at.astimezone(UTC).isoformat(),
        heads=ordered,
        root=root_of(ordered),
        key_id=key_id,
    )


def with_signature(checkpoint: CheckpointSigned, signature: bytes) -> CheckpointSigned:
    """The same, signed."""
    return checkpoint.model_copy(update={"signature": base64.b64encode(signature).decode()})


def root_of(heads: Sequence[Head]) -> str:
    """One hash for all of them; their order doesn't matter."""
    return sha256_hex(canonical_bytes([list(head) for head in sorted(heads)]))


def statement_of(checkpoint: CheckpointSigned) -> bytes:
    """The bytes that are signed and hashed."""
    return canonical_bytes(
        [
            "quell-checkpoint@1",
            checkpoint.number,
            checkpoint.previous,
            checkpoint.at,
            checkpoint.root,
            checkpoint.key_id,
        ]
    )


def checkpoint_hash(checkpoint: CheckpointSigned) -> str:
    """What the next one names as its `previous`."""
    return sha256_hex(statement_of(checkpoint))


def checkpoint_of(entry: Entry) -> CheckpointSigned | None:
    """The checkpoint in an entry of that kind; None when it was erased or can't be read."""
    try:
        event = entry.event()
    except ValidationError:
        return None
    return event if isinstance(event, CheckpointSigned) else None


def root_problem(checkpoint: CheckpointSigned) -> str:
    """Why it can't be true by itself; "" when it can."""
    chains = [chain for chain, _, _ in checkpoint.heads]
    if len(chains) != len(set(chains)):
        return f"checkpoint {checkpoint.number} names a chain twice"
    if root_of(checkpoint.heads) != checkpoint.root:
        return f"checkpoint {checkpoint.number}: its root isn't that of its heads"
    return ""


def link_problem(checkpoint: CheckpointSigned, previous: CheckpointSigned | None) -> str:
    """Why it doesn't follow `previous` (None: it is the first); "" when it does."""
    expected = 1 if previous is None else previous.number + 1
    if checkpoint.number != expected:
        return f"expected checkpoint {expected}, found {checkpoint.number}"
    if checkpoint.previous != (GENESIS if previous is None else checkpoint_hash(previous)):
        return f"checkpoint {checkpoint.number} doesn't name the one before it"
    return ""


def signature_state(checkpoint: CheckpointSigned, check: SignatureCheck) -> SignatureState:
    """What its signature is worth to who holds these keys."""
    if not checkpoint.key_id and not checkpoint.signature:
        return "unsigned"
    try:
        signature = base64.b64decode(checkpoint.signature, validate=True)
    except ValueError:
        return "wrong"
    return check(checkpoint.key_id, statement_of(checkpoint), signature)
