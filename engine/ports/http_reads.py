"""Reads from an address that the operator configured, within a time and a size."""

import asyncio
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import TransientError

if TYPE_CHECKING:
    import httpx

# Of thousands of alerts; more can't be looked through while somebody waits.
MAX_ANSWER_BYTES = 16 * 1024 * 1024


async def read(
    url: str,
    *,
    timeout_s: float,
    headers: Mapping[str, str] | None = None,
    basic: tuple[str, str] | None = None,
    ca: Path | None = None,
    max_bytes: int = MAX_ANSWER_BYTES,
) -> bytes:
    """The body that GET gives, unless it redirects.

    `basic` is user and password, `ca` the authority that signed the server's certificate. Raises
    TransientError for all that can go wrong, any status but 200 included.
    """
    import httpx

    try:
        verify = await asyncio.to_thread(_tls, url, ca)
        async with (
            httpx.AsyncClient(timeout=timeout_s, verify=verify, trust_env=False) as client,
            client.stream(
                "GET",
                url,
                headers=dict(headers or {}),
                auth=None if basic is None else httpx.BasicAuth(*basic),
            ) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise TransientError(f"answered with status {response.status_code}")
            return await bounded_body(response, max_bytes)
    except (httpx.HTTPError, OSError) as error:
        raise TransientError(str(error) or type(error).__name__) from error


def _tls(url: str, ca: Path | None) -> ssl.SSLContext | bool:
    # Reading the system's authorities takes a while, and plain HTTP needs none.
    return ssl.create_default_context(cafile=ca) if url.startswith("https") else False


async def bounded_body(response: "httpx.Response", max_bytes: int) -> bytes:
    """The body of an answer that is being streamed. Raises TransientError."""
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > max_bytes:
            raise TransientError(f"the answer has more than {max_bytes} bytes")
    return bytes(body)
