"""Every answer without the secrets that are known, whoever made it."""

from starlette.types import Message, Send

from engine.ports.known_secrets import KNOWN

_LENGTH = b"content-length"


def masked(send: Send) -> Send:
    """Passes an answer on with its body masked.

    One without a declared length is a stream of the journal's entries: they hold no secret, and a
    byte that differed would look like tampering.
    """
    start: Message | None = None

    async def pass_on(message: Message) -> None:
        nonlocal start
        if message["type"] == "http.response.start" and _is_declared(message):
            start = message
            return
        if start is not None:
            # A declared length is that of one piece; whatever follows it is empty.
            body = _masked(message.get("body", b""))
            if body != message.get("body", b""):
                start["headers"] = [*_without_length(start), (_LENGTH, b"%d" % len(body))]
                message = {**message, "body": body}
            await send(start)
            start = None
        await send(message)

    return pass_on


def _masked(body: bytes) -> bytes:
    text = body.decode(errors="surrogateescape")
    return KNOWN.mask(text).encode(errors="surrogateescape")


def _is_declared(start: Message) -> bool:
    return any(name.lower() == _LENGTH for name, _ in start["headers"])


def _without_length(start: Message) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in start["headers"] if name.lower() != _LENGTH]
