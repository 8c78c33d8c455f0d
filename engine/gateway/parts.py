"""What the gateway is made of; engine.app hands it over."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from engine.gateway.access import TrustedProxy
from engine.ports.changes import Changes
from engine.ports.clock import Clock
from engine.ports.commands import By, Commands, Intake, Queries, Replays, Repositions
from engine.ports.metrics import Metrics
from engine.ports.source import Source
from engine.ports.switches import Switches

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request, and all of them together, may take.

    `read_deadline_s` counts from a request's headers to the last byte of its body;
    `in_flight_bytes` is shared by the alert bodies being read or parsed, and past it senders are
    told to come back. `requests_per_s` and `burst` count for each sender of each source, and for
    each address whose callers don't get in.
    """

    read_deadline_s: float = 15.0
    in_flight_bytes: int = 256 * MIB
    order_bytes: int = 64 * 1024
    retry_after_s: float = 5.0
    requests_per_s: float = 1_000.0
    burst: int = 2_000


@dataclass(frozen=True, slots=True)
class GatewayParts:
    """The gateway's collaborators.

    `sources` finds by kind and by name; where a kind has several, the credential chooses.
    `authenticate` tells who holds a token, None when nobody does, in constant time. `loopback` is
    true when only this machine can connect. `ready` and `alive` return what is wrong, `warnings`
    what soon will be, in sentences that anybody may read. `proxy` may say whose certificate it
    checked.
    """

    sources: Mapping[str, Sequence[Source]]
    intake: Intake
    commands: Commands
    queries: Queries
    replays: Replays
    repositions: Repositions
    switches: Switches
    changes: Changes
    clock: Clock
    authenticate: Callable[[str], By | None]
    loopback: bool
    ready: Callable[[], Awaitable[list[str]]]
    warnings: Callable[[], Awaitable[list[str]]]
    alive: Callable[[], list[str]]
    metrics: Metrics
    version: str
    limits: Limits = Limits()
    proxy: TrustedProxy | None = None
