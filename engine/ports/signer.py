"""What signs checkpoints, and where copies of them are kept."""

from typing import Protocol


class Signer(Protocol):
    """Holds one private key."""

    @property
    def key_id(self) -> str:
        """What verifiers know the public key by."""
        ...

    def sign(self, statement: bytes) -> bytes:
        """The signature over these bytes; fast enough for a transaction."""
        ...


class CheckpointCopy(Protocol):
    """A place outside the database. Raises TransientError, or PermanentError, when it can't now."""

    @property
    def name(self) -> str:
        """How people know it."""
        ...

    async def last_seq(self) -> int:
        """The journal's sequence number of the newest copy; 0 when there is none."""
        ...

    async def append(self, lines: bytes) -> None:
        """Add whole lines, each with its line feed, and return when they are durable."""
        ...

    async def close(self) -> None:
        """Give everything back."""
        ...
