"""`prometheus.query`: one PromQL query, answered as numbers, for evidence and for verification."""

import asyncio
import math
import ssl
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

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
from engine.core.expressions import ValueType
from engine.core.json_value import Json, JsonObject
from engine.errors import PermanentError, TransientError
from engine.ports.blocking import BoundedThreads

if TYPE_CHECKING:
    import requests
    from prometheus_api_client import PrometheusConnect

THREADS = 4
MAX_ANSWER_BYTES = 8 * 1024 * 1024
MAX_VALUES = 100
MAX_QUERY_CHARACTERS = 8 * 1024
EVIDENCE_VALUES = 10

DECLARATION = Declaration(
    name="prometheus.query",
    version=1,
    description="Evaluates a PromQL expression now.",
    inputs={
        "query": Input(
            ValueType.STRING, description="PromQL giving a scalar or a vector", example="up"
        )
    },
    outputs={
        "value": ValueType.DOUBLE,
        "values": ValueType.list_of(
            ValueType.object_of(
                {"labels": ValueType.map_of(ValueType.STRING), "value": ValueType.DYN}
            )
        ),
        "count": ValueType.INT,
        "empty": ValueType.BOOL,
    },
    effects=frozenset({Effect.READ}),
    connection_kind="prometheus",
)


class PrometheusConfig(BaseModel):
    """A connection of kind `prometheus`; with a bearer token, or a user and a password, or open."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={"example": {"url": "http://prometheus.example:9090"}},
    )

    uses: Literal["prometheus"] = "prometheus"
    url: Annotated[str, Field(pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$")]
    token: SecretStr | None = None
    user: str = ""
    password: SecretStr | None = None
    timeout_s: Annotated[float, Field(gt=0, le=120)] = 10.0

    @model_validator(mode="after")
    def _has_one_credential(self) -> "PrometheusConfig":
        if self.token is not None and self.user:
            raise ValueError("give a `token` or a `user` with a `password`, not both")
        if bool(self.user) != (self.password is not None):
            raise ValueError("`user` and `password` belong together")
        return self


class PrometheusQuery:
    """Queries by prometheus-api-client, in a few threads a connection."""

    def __init__(self, connections: Mapping[str, PrometheusConfig]) -> None:
        self._configs = connections
        self._threads = {name: BoundedThreads(name, THREADS) for name in connections}
        self._clients: dict[str, PrometheusConnect] = {}

    @property
    def declaration(self) -> Declaration:
        """See Action."""
        return DECLARATION

    def prepare(
        self, inputs: Mapping[str, Json], estate: Estate, connection: str | None
    ) -> Prepared:
        """The query as it will be sent; its syntax is Prometheus's to judge."""
        check_inputs(DECLARATION, inputs)
        query = str(inputs["query"]).strip()
        if not 0 < len(query) <= MAX_QUERY_CHARACTERS:
            raise PermanentError(
                f"input 'query' has {len(query)} characters; 1 to {MAX_QUERY_CHARACTERS} fit"
            )
        name = connection or self._only_connection()
        if name not in self._configs or estate.connections.get(name) != "prometheus":
            raise PermanentError(f"{name!r} is no connection that uses prometheus")
        return Prepared(
            effect=Effect.READ,
            repeat=Repeat.HARMLESS,
            connection=name,
            targets=(),
            description=f"{name}: {query}",
            payload={"query": query, "url": self._configs[name].url},
        )

    async def look(self, call: Call) -> JsonObject:
        """Nothing: it changes nothing."""
        return {}

    async def execute(self, call: Call) -> Result:
        """Ask once; an answer without samples is an answer."""
        name, payload = call.prepared.connection, call.prepared.payload
        config = self._configs.get(name)
        if config is None or config.url != payload["url"]:
            raise PermanentError(f"connection {name!r} isn't what it was when this was planned")
        timeout_s = min(call.bound_s, config.timeout_s)
        try:
            # The client bounds each wait for bytes, not the whole.
            async with asyncio.timeout(timeout_s):
                found = await self._threads[name].call(
                    self._asked, name, config, str(payload["query"]), timeout_s
                )
        except TimeoutError as error:
            raise TransientError(f"{name}: no answer within {timeout_s:g} s") from error
        samples = _samples(found)
        outputs: dict[str, Json] = {
            "value": samples[0]["value"] if samples else None,
            "values": samples[:MAX_VALUES],
            "count": len(samples),
            "empty": not samples,
        }
        return Result(succeeded=True, outputs=outputs, evidence=_evidence(samples))

    async def probe(self, call: Call, before: JsonObject) -> ProbeAnswer:
        """A read has nothing to settle."""
        return ProbeAnswer.CANNOT_TELL

    async def close(self) -> None:
        """Take no further queries and close the connections."""
        for threads in self._threads.values():
            threads.close()
        for client in self._clients.values():
            client.close()
        self._clients.clear()

    def _only_connection(self) -> str:
        if len(self._configs) == 1:
            return next(iter(self._configs))
        there = ", ".join(sorted(self._configs)) or "none"
        raise PermanentError(
            f"name the step's connection: {len(self._configs)} use prometheus ({there})"
        )

    def _asked(self, name: str, config: PrometheusConfig, query: str, timeout_s: float) -> Any:
        """Runs in a thread; importing the client takes a while too."""
        import requests

        if name not in self._clients:
            self._clients[name] = _client(config)
        params = {"timeout": f"{max(1, int(timeout_s))}s"}
        try:
            return self._clients[name].custom_query(query, params=params, timeout=timeout_s)
        except (requests.Timeout, requests.ConnectionError) as error:
            if isinstance(error, requests.exceptions.SSLError) or _is_tls(error):
                raise PermanentError(f"{name}: TLS failed: {error}") from error
            raise TransientError(f"{name}: no answer from {config.url}: {error}") from error
        except (requests.RequestException, ValueError, LookupError, TypeError) as error:
            raise PermanentError(f"{name}: the answer isn't Prometheus's: {error}") from error


def _client(config: PrometheusConfig) -> "PrometheusConnect":
    import requests
    from urllib3 import Retry

    client = import_module("prometheus_api_client.prometheus_connect").PrometheusConnect
    session = requests.Session()
    session.trust_env = False  # no proxy and no .netrc of this machine has a say
    session.max_redirects = 0
    session.stream = True  # so that the hook sees the answer before its body is read
    session.hooks["response"].append(_checked)
    token, password = config.token, config.password
    return client(
        url=config.url.rstrip("/"),
        headers={"Authorization": f"Bearer {token.get_secret_value()}"} if token else None,
        auth=(config.user, password.get_secret_value()) if password else None,
        session=session,
        retry=Retry(total=0, redirect=False, raise_on_status=False),
    )


class _Capped:
    """The body of an answer that ends with an error when it is too long to keep."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def stream(self, size: int, decode_content: bool | None = None) -> Iterator[bytes]:  # noqa: FBT001 -- urllib3's own signature
        read = 0
        for chunk in self._raw.stream(size, decode_content=decode_content):
            read += len(chunk)
            if read > MAX_ANSWER_BYTES:
                raise PermanentError(
                    f"the answer is larger than {MAX_ANSWER_BYTES} bytes; aggregate in the query"
                )
            yield chunk

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)


def _checked(response: "requests.Response", **_: object) -> None:
    """Cap the body, and classify by status: the client's own errors hold it only as text."""
    response.raw = _Capped(response.raw)
    if response.status_code == 200:
        return
    said = _problem(response)
    message = f"Prometheus answered {response.status_code}: {said}"
    # 422 says that the query can't be executed; 503 that it took too long or was aborted.
    if response.status_code in (408, 425, 429) or response.status_code >= 500:
        raise TransientError(message)
    raise PermanentError(message)


def _problem(response: "requests.Response") -> str:
    try:
        return str(response.json()["error"])
    except (ValueError, KeyError, TypeError):
        return response.text[:200]


def _is_tls(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return True
        cause = cause.__context__
    return False


def _samples(found: Any) -> list[dict[str, Json]]:
    """Labels and value of each series, or of the scalar; JSON has no NaN and no infinity: None."""
    match found:
        case [int() | float(), str() as number]:
            return [{"labels": {}, "value": _number(number)}]
        case list() if all(isinstance(each, dict) and "value" in each for each in found):
            return [
                {"labels": dict(each["metric"]), "value": _number(each["value"][1])}
                for each in found
            ]
        case _:
            raise PermanentError(
                "the query gives a range or a histogram; one number a series is needed, for "
                "instance by rate() or max_over_time()"
            )


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        raise PermanentError(f"the query gives the text {text!r}; a number is needed") from None
    return number if math.isfinite(number) else None


def _evidence(samples: Sequence[Mapping[str, Json]]) -> str:
    if not samples:
        return "no samples"
    lines = []
    for sample in samples[:EVIDENCE_VALUES]:
        labels = sample["labels"] if isinstance(sample["labels"], Mapping) else {}
        named = ", ".join(f'{name}="{value}"' for name, value in labels.items())
        value = "not a finite number" if sample["value"] is None else sample["value"]
        lines.append(f"{{{named}}} {value}")
    if len(samples) > EVIDENCE_VALUES:
        lines.append(f"and {len(samples) - EVIDENCE_VALUES} more")
    return "\n".join(lines)
