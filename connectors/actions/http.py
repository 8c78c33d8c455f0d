"""`http.request`: one request to a host that egress allows, over the address that was checked."""

import asyncio
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from engine.core.action_inputs import check_inputs
from engine.core.actions import (
    Call,
    Declaration,
    Effect,
    Estate,
    Input,
    Prepared,
    ProbeAnswer,
    Repeat,
    Result,
)
from engine.core.documents import Argument
from engine.core.egress import EgressConfig
from engine.core.expressions import ValueType
from engine.core.json_value import Json, JsonObject, canonical_bytes
from engine.core.secret_references import OPENING
from engine.errors import OutcomeUnknownError, PermanentError, QuellError, TransientError
from engine.ports.resolving import PORTS, checked_address, origin

if TYPE_CHECKING:
    import httpx

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
READS = frozenset({"GET", "HEAD"})
# These say where a request goes and where it ends; they follow from the URL and the body alone.
OWN_HEADERS = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "upgrade", "te", "trailer"}
    | {"accept-encoding", "expect", "idempotency-key", "proxy-authorization", "proxy-connection"}
)
MAX_BODY_BYTES = 64 * 1024
ANSWER_LIMIT_BYTES = 64 * 1024
EVIDENCE_CHARACTERS = 4 * 1024

DECLARATION = Declaration(
    name="http.request",
    version=1,
    description="Sends one HTTP request; redirects are not followed.",
    inputs={
        "method": Input(
            ValueType.STRING,
            description=", ".join(METHODS),
            form=Argument(type="enum", values=METHODS),
            example="POST",
        ),
        "url": Input(
            ValueType.STRING,
            description="http or https, to a host that egress allows",
            example="https://example.com/",
        ),
        "headers": Input(ValueType.map_of(ValueType.STRING), required=False, takes_secrets=True),
        "body": Input(
            ValueType.DYN,
            required=False,
            description="text, or a value sent as JSON",
            takes_secrets=True,
        ),
        "idempotency_key": Input(
            ValueType.BOOL, required=False, description="send one, which the server must honour"
        ),
    },
    outputs={
        "status": ValueType.INT,
        "ok": ValueType.BOOL,
        "body": ValueType.STRING,
        "json": ValueType.DYN,
        "truncated": ValueType.BOOL,
        "latency_s": ValueType.DOUBLE,
    },
    effects=frozenset({Effect.READ, Effect.CHANGE}),
)


class HttpRequest:
    """Requests by httpx, each over a connection of its own."""

    def __init__(self, egress: EgressConfig) -> None:
        self._egress = egress

    @property
    def declaration(self) -> Declaration:
        """See Action."""
        return DECLARATION

    def prepare(
        self, inputs: Mapping[str, Json], estate: Estate, connection: str | None
    ) -> Prepared:
        """The request as it will be sent; a target of the inventory on the same origin is its."""
        check_inputs(DECLARATION, inputs)
        method, url = str(inputs["method"]), str(inputs["url"])
        if method not in METHODS:
            raise PermanentError(f"input 'method' is {method!r}; {', '.join(METHODS)} fit")
        parts = _parts(url)
        host, port = origin(parts)
        self._require_allowed(host, port)
        keyed = inputs.get("idempotency_key") is True
        reads = method in READS
        if reads and (keyed or "body" in inputs):
            raise PermanentError(f"{method} takes neither the input 'body' nor 'idempotency_key'")
        headers, body = _headers(inputs.get("headers", {})), _body(inputs.get("body"))
        if not isinstance(inputs.get("body", ""), str):
            headers = {"content-type": "application/json", **headers}
        same = [
            name
            for name, target in estate.targets.items()
            if target.url and _same_origin(target.url, parts)
        ]
        return Prepared(
            effect=Effect.READ if reads else Effect.CHANGE,
            # Even a PUT may undo what somebody did since; only a key makes repeating safe.
            repeat=Repeat.HARMLESS if reads else Repeat.KEYED if keyed else Repeat.NEVER,
            connection="",
            targets=tuple(sorted(same)),
            description=f"{method} {url}{_secrets_told(headers)}"
            + (f" {body[:200]}" if body else ""),
            payload={
                "method": method,
                "url": url,
                "headers": headers,
                # As a value: what a secret holds is quoted when it is in its place.
                "body": inputs.get("body"),
                "keyed": keyed,
            },
        )

    async def look(self, call: Call) -> JsonObject:
        """Nothing: there is no probe."""
        return {}

    async def execute(self, call: Call) -> Result:
        """Send it once. A read that was answered succeeded; a change did if the status is 2xx."""
        exchange = _Exchange(reads=call.prepared.effect is Effect.READ)
        where = f"{call.prepared.payload['method']} {call.prepared.payload['url']}"
        try:
            async with asyncio.timeout(call.bound_s):
                return await self._send(call, exchange)
        except TimeoutError as error:
            raise exchange.ended(f"{where}: no answer within {call.bound_s:g} s") from error

    async def probe(self, call: Call, before: JsonObject) -> ProbeAnswer:
        """Nobody can tell: what a request did isn't seen by sending it."""
        return ProbeAnswer.CANNOT_TELL

    async def close(self) -> None:
        """Nothing: no connection outlives its request."""

    def _require_allowed(self, host: str, port: int) -> None:
        if not self._egress.allows(host, port):
            raise PermanentError(
                f"input 'url': egress doesn't allow {host}:{port}; add {host!r} to egress.allow"
            )

    async def _send(self, call: Call, exchange: "_Exchange") -> Result:
        import httpx

        payload = call.prepared.payload
        parts = _parts(str(payload["url"]))
        host, port = origin(parts)
        self._require_allowed(host, port)  # it may have been taken back since the plan
        where = f"{payload['method']} {payload['url']}"
        address = await checked_address(self._egress, host, port)
        headers = {"host": parts.netloc, "accept-encoding": "identity", "user-agent": "quell"}
        headers |= _headers(payload["headers"])
        body = _body(payload["body"])
        if payload["keyed"]:
            headers["idempotency-key"] = call.attempt_id
        client = await asyncio.to_thread(_client, call.bound_s)
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with (
                client,
                client.stream(
                    str(payload["method"]),
                    httpx.URL(str(payload["url"])).copy_with(host=str(address), port=port),
                    headers=headers,
                    content=body.encode(),
                    extensions={"sni_hostname": host, "trace": exchange.follow},
                ) as response,
            ):
                answer, truncated = await _read(response)
        except httpx.HTTPError as error:
            if _is_tls(error) and not exchange.begun:
                raise PermanentError(f"{where}: TLS failed: {error}") from error
            said = str(error) or type(error).__name__
            raise exchange.ended(f"{where}: {said}") from error
        return _result(response, answer, exchange, truncated=truncated, latency=loop.time() - began)


@dataclass(slots=True)
class _Exchange:
    """How far a request came; `begun` is set just before its first byte is sent."""

    reads: bool
    begun: bool = False

    async def follow(self, event: str, info: Mapping[str, object]) -> None:
        if event.endswith("send_request_headers.started"):
            self.begun = True

    def ended(self, problem: str) -> QuellError:
        if self.begun and not self.reads:
            return OutcomeUnknownError(f"{problem}; it was sent, and may have been done")
        return TransientError(problem)


def _client(timeout_s: float) -> "httpx.AsyncClient":
    """Made in a thread: loading the certificate authorities takes a while."""
    import httpx

    # A pooled connection would be found by its address alone, and lent to another host's name.
    return httpx.AsyncClient(
        trust_env=False,
        follow_redirects=False,
        timeout=timeout_s,
        limits=httpx.Limits(max_keepalive_connections=0),
    )


async def _read(response: "httpx.Response") -> tuple[bytes, bool]:
    body = bytearray()
    async for chunk in response.aiter_raw():  # as sent: what is packed stays packed
        body += chunk[: ANSWER_LIMIT_BYTES + 1 - len(body)]
        if len(body) > ANSWER_LIMIT_BYTES:
            return bytes(body[:ANSWER_LIMIT_BYTES]), True
    return bytes(body), False


def _result(
    response: "httpx.Response",
    body: bytes,
    exchange: _Exchange,
    *,
    truncated: bool,
    latency: float,
) -> Result:
    status = response.status_code
    where = f"{response.request.method} {response.request.headers['host']}"
    if not exchange.reads and status == 429:
        raise TransientError(f"{where}: answered 429, nothing was done", _retry_after(response))
    if not exchange.reads and status in (502, 504):
        raise OutcomeUnknownError(f"{where}: a proxy answered {status}; it may have been done")
    text = body.decode(errors="replace").replace("\0", "\ufffd")
    ok = 200 <= status < 300
    outputs: dict[str, Json] = {
        "status": status,
        "ok": ok,
        "body": text,
        "json": None if truncated else _json(text),
        "truncated": truncated,
        "latency_s": round(latency, 3),
    }
    succeeded = ok or exchange.reads
    return Result(
        succeeded=succeeded,
        outputs=outputs,
        evidence=f"HTTP {status}\n{text[:EVIDENCE_CHARACTERS]}".rstrip(),
        error="" if succeeded else f"{where}: answered {status}",
    )


def _json(text: str) -> Json:
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON")

    try:
        value: Json = json.loads(text, parse_constant=refuse)
        canonical_bytes(value)  # a lone surrogate or an infinity can't be journaled
    except (ValueError, RecursionError):
        return None
    return value


def _retry_after(response: "httpx.Response") -> float | None:
    text = response.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() else None


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise PermanentError(f"input 'url' is {url!r}: {error}") from error
    # A blank or control character is dropped by urlsplit, so it is looked for in the text itself.
    clean = url.isascii() and url.isprintable() and " " not in url and "\\" not in url
    if parts.scheme not in PORTS or not parts.hostname or port == 0 or not clean:
        raise PermanentError(
            f"input 'url' is {url!r}; an http or https URL with a host, in ASCII, is needed"
        )
    if "@" in parts.netloc:
        raise PermanentError("input 'url' holds a user or password; put it into a header")
    return parts


def _same_origin(url: str, parts: SplitResult) -> bool:
    other = urlsplit(url)
    return other.scheme == parts.scheme and origin(other) == origin(parts)


def _headers(given: Json) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in given.items() if isinstance(given, Mapping) else ():
        text = str(value)
        if not name.replace("-", "").isalnum() or not (name + text).isascii():
            raise PermanentError(f"input 'headers': {name!r} is no header's name, or isn't ASCII")
        # Without the value: it may be a secret by now.
        if name.lower() in OWN_HEADERS or not text.isprintable() or text != text.strip():
            raise PermanentError(
                f"input 'headers': {name!r} is set by quell itself, or its value holds "
                "unprintable characters, or blanks at an end"
            )
        headers[name.lower()] = text
    return headers


def _secrets_told(headers: Mapping[str, str]) -> str:
    """The headers with references to secrets: who approves sees where a secret goes."""
    told = [f"{name}: {text}" for name, text in headers.items() if OPENING in text]
    return f" ({', '.join(told)})" if told else ""


def _body(given: Json) -> str:
    body = given if isinstance(given, str) else ""
    if given is not None and not isinstance(given, str):
        body = canonical_bytes(given).decode()
    if len(body.encode()) > MAX_BODY_BYTES:
        raise PermanentError(f"input 'body' is longer than {MAX_BODY_BYTES} bytes")
    return body


def _is_tls(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
