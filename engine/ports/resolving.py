"""Which address of a host a request goes to: resolved once, checked, and then connected to."""

import asyncio
import socket
from ipaddress import ip_address
from urllib.parse import SplitResult

from engine.core.egress import Address, EgressConfig, is_guarded
from engine.errors import PermanentError, TransientError

# The schemes that requests may have, each with its usual port.
PORTS = {"http": 80, "https": 443}


def origin(parts: SplitResult) -> tuple[str, int]:
    """Host and port of a URL, however it is spelled."""
    return (parts.hostname or "").rstrip("."), parts.port or PORTS[parts.scheme]


async def checked_address(egress: EgressConfig, host: str, port: int) -> Address:
    """The first address of the host that isn't guarded, or that egress names itself.

    Raises TransientError when the host can't be resolved now, PermanentError when there is none
    that may be used.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        if isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN:
            raise TransientError(f"{host!r} can't be resolved now: {error.strerror}") from error
        raise PermanentError(f"there is no host {host!r}: {error}") from error
    addresses = [ip_address(str(info[4][0]).partition("%")[0]) for info in found]
    for address in addresses:
        if not is_guarded(address) or egress.allows(str(address), port):
            return address
    raise PermanentError(
        f"{host!r} leads to {', '.join(sorted({str(each) for each in addresses}))}: this "
        "machine, its link or a metadata service; egress.allow must name the address itself"
    )
