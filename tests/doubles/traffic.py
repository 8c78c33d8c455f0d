"""What a double saw, what it refused, and which misbehaviour comes next; safe from any thread."""

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from aiohttp import web

Json: TypeAlias = Any
JsonObject: TypeAlias = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it arrived; `call` is the double's name for what was asked."""

    number: int
    call: str
    arguments: Json


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that the vendor would have refused: the caller's mistake, never a planned fault."""

    request: Request
    status: int
    answer: Json


@dataclass(frozen=True, slots=True)
class Failure:
    """Answer this and do nothing."""

    status: int
    headers: Mapping[str, str]
    body: Json


@dataclass(frozen=True, slots=True)
class LostReply:
    """Do what was asked, then cut the connection before the answer."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Do what was asked, then answer only once the test calls `release`."""

    done: threading.Event = field(default_factory=threading.Event)
    released: Future[None] = field(default_factory=Future)

    def wait_until_done(self, deadline_s: float) -> None:
        """Wait until the request came and was carried out."""
        if not self.done.wait(deadline_s):
            raise TimeoutError(f"no request to hold came within {deadline_s} s")

    def release(self) -> None:
        self.released.set_result(None)


Fault: TypeAlias = Failure | LostReply | Hold


class Traffic:
    """The double's memory of its callers. `changed` guards the double's own state too."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self._requests: list[Request] = []
        self._refusals: list[Refusal] = []
        self._faults: dict[str, deque[Fault]] = {}

    def requests(self, since: int = 0) -> tuple[Request, ...]:
        """All requests in order of arrival, from the one numbered `since`."""
        with self.changed:
            return tuple(self._requests[since:])

    def refusals(self) -> tuple[Refusal, ...]:
        with self.changed:
            return tuple(self._refusals)

    def plan(self, call: str, fault: Fault) -> None:
        """Misbehave at the next request of this name that has no fault planned before it."""
        with self.changed:
            self._faults.setdefault(call, deque()).append(fault)

    def record(self, call: str, arguments: Json) -> Request:
        with self.changed:
            request = Request(len(self._requests), call, arguments)
            self._requests.append(request)
            self.changed.notify_all()
        return request

    def refuse(self, request: Request, status: int, answer: Json) -> None:
        with self.changed:
            self._refusals.append(Refusal(request, status, answer))
            self.changed.notify_all()

    def wait_for(self, predicate: Callable[[], T], deadline_s: float) -> T:
        """The first truthy answer of `predicate`, asked again whenever anything changed.

        Raises:
            TimeoutError: naming the last requests, so that the failure shows what came instead.
        """
        with self.changed:
            found = self.changed.wait_for(predicate, deadline_s)
            if not found:
                seen = [(request.call, request.arguments) for request in self._requests[-3:]]
                raise TimeoutError(
                    f"not so within {deadline_s} s; the last of {len(self._requests)} requests: "
                    f"{seen!r}; refused: {self._refusals[-3:]!r}"
                )
            return found

    async def answer(
        self,
        request: web.Request,
        call: str,
        respond: Callable[[], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        """Answer as `respond` does, or as the fault planned for this call says."""
        with self.changed:
            planned = self._faults.get(call)
            fault = planned.popleft() if planned else None
        if isinstance(fault, Failure):
            return web.json_response(fault.body, status=fault.status, headers=fault.headers)
        response = await respond()
        if isinstance(fault, LostReply) and request.transport is not None:
            request.transport.abort()
        if isinstance(fault, Hold):
            fault.done.set()
            await asyncio.wrap_future(fault.released)
        return response
