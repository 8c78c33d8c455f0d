import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr, ValidationError

from connectors.probes.prometheus import (
    MAX_ANSWER_BYTES,
    MAX_VALUES,
    PrometheusConfig,
    PrometheusQuery,
)
from engine.core.actions import Call, Estate, Result
from engine.core.blast_radius import availability_of
from engine.core.inventory import Inventory
from engine.core.json_value import Json, canonical_bytes
from engine.core.run import GuardLook
from engine.errors import PermanentError, QuellError, TransientError
from tests.services.process import free_port
from tests.services.prometheus import Prometheus, running_prometheus

ESTATE = Estate({}, {}, {"prom": "prometheus"})


async def asked(config: PrometheusConfig, query: str, timeout_s: float = 10.0) -> Result:
    action = PrometheusQuery({"prom": config})
    try:
        prepared = action.prepare({"query": query}, ESTATE, None)
        return await action.execute(Call(prepared, "attempt", timeout_s))
    finally:
        await action.close()


# The real server's answers.


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder: Path = tmp_path_factory.mktemp("prometheus")
    with running_prometheus(folder, []) as server:
        yield server


@pytest.mark.parametrize(
    ("query", "values"),
    [
        pytest.param("1.5", [{"labels": {}, "value": 1.5}], id="scalar"),
        pytest.param("vector(2)", [{"labels": {}, "value": 2.0}], id="vector"),
        pytest.param("vector(1) == 2", [], id="nothing"),
        pytest.param("vector(0) / 0", [{"labels": {}, "value": None}], id="NaN"),
        pytest.param("vector(1) / 0", [{"labels": {}, "value": None}], id="infinity"),
        pytest.param(
            'label_replace(vector(3), "unit", "größe", "", "")',
            [{"labels": {"unit": "größe"}, "value": 3.0}],
            id="labels",
        ),
    ],
)
async def test_an_answer_as_numbers(
    prometheus: Prometheus, query: str, values: list[dict[str, Json]]
) -> None:
    result = await asked(PrometheusConfig(url=prometheus.url), query)
    assert result.succeeded
    assert result.outputs == {
        "value": values[0]["value"] if values else None,
        "values": values,
        "count": len(values),
        "empty": not values,
    }


@pytest.mark.parametrize(
    ("comparison", "down", "told"),
    [
        pytest.param("== bool 0", {"gpu-07"}, {"gpu-07", "gpu-08"}, id="with bool"),
        pytest.param("== 0", set(), {"gpu-07"}, id="without it leaves out whatever is well"),
    ],
)
async def test_a_blast_radius_reads_what_a_query_says_of_each_target(
    prometheus: Prometheus, comparison: str, down: set[str], told: set[str]
) -> None:
    ups = [
        f'label_replace(vector({up}), "instance", "{host}:9100", "", "")'
        for host, up in (("gpu-07", 0), ("gpu-08", 1))
    ]
    query = f"({' or '.join(ups)}) {comparison}"
    result = await asked(PrometheusConfig(url=prometheus.url), query)
    aliases = {"gpu-07:9100": "gpu-07", "gpu-08:9100": "gpu-08"}
    kept = json.loads(canonical_bytes(result.outputs))
    look = GuardLook(datetime(2026, 3, 1, tzinfo=UTC), kept, result.error)
    available = availability_of(look, Inventory(aliases=aliases))
    assert (set(available.down), set(available.told)) == (down, told)


async def test_the_evidence_says_what_was_seen(prometheus: Prometheus) -> None:
    config = PrometheusConfig(url=f"{prometheus.url}/")
    result = await asked(config, 'label_replace(vector(3), "unit", "s", "", "")')
    assert result.evidence == '{unit="s"} 3.0'
    assert (await asked(config, "vector(0) / 0")).evidence == "{} not a finite number"
    assert (await asked(config, "vector(1) > 1")).evidence == "no samples"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        pytest.param("sum(", "400: .*parse error", id="syntax"),
        pytest.param("vector(1)[5m:1m]", "gives a range", id="range vector"),
        pytest.param('"text"', "gives the text 'text'", id="string"),
        pytest.param("vector(1) * on() group_left() foo{a=~'('}", "400", id="regex"),
    ],
)
async def test_a_query_that_gives_no_numbers(
    prometheus: Prometheus, query: str, message: str
) -> None:
    with pytest.raises(PermanentError, match=message):
        await asked(PrometheusConfig(url=prometheus.url), query)


# What the real one is hard to bring to.


class Server:
    def __init__(self) -> None:
        self.requests: list[web.Request] = []
        self.answer: Callable[[], web.StreamResponse] = web.Response
        self.release = asyncio.Event()
        self.release.set()
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        await self.release.wait()
        return self.answer()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield server
    server.release.set()
    await runner.cleanup()


def vector(count: int) -> dict[str, Any]:
    series = [{"metric": {"n": str(n)}, "value": [1.0, str(n)]} for n in range(count)]
    return {"status": "success", "data": {"resultType": "vector", "result": series}}


async def test_many_series_are_counted_and_the_first_kept(server: Server) -> None:
    server.answer = lambda: web.json_response(vector(MAX_VALUES + 5))
    result = await asked(PrometheusConfig(url=server.url), "up")
    assert result.outputs["count"] == MAX_VALUES + 5
    assert len(result.outputs["values"]) == MAX_VALUES  # type: ignore[arg-type]
    assert result.evidence.endswith("and 95 more")


@pytest.mark.parametrize(
    ("config", "header"),
    [
        pytest.param({"token": SecretStr("t0ken")}, "Bearer t0ken", id="bearer"),
        pytest.param({"user": "u", "password": SecretStr("p")}, "Basic dTpw", id="basic"),
        pytest.param({}, None, id="none, nor this machine's .netrc"),
    ],
)
async def test_credentials(
    server: Server,
    config: dict[str, Any],
    header: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login someone password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    server.answer = lambda: web.json_response(vector(1))
    await asked(PrometheusConfig(url=server.url, **config), "up")
    assert server.requests[0].headers.get("authorization") == header


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        pytest.param(lambda: web.Response(status=503), TransientError, "503", id="503"),
        pytest.param(lambda: web.Response(status=502), TransientError, "502", id="502"),
        pytest.param(lambda: web.Response(status=429), TransientError, "429", id="429"),
        pytest.param(lambda: web.Response(status=401), PermanentError, "401", id="401"),
        pytest.param(lambda: web.Response(status=404), PermanentError, "404", id="404"),
        pytest.param(
            lambda: web.json_response({"error": "query timed out"}, status=422),
            PermanentError,
            "422: query timed out",
            id="422",
        ),
        pytest.param(
            lambda: web.Response(status=302, headers={"location": "/x"}),
            PermanentError,
            "302",
            id="redirect",
        ),
        pytest.param(lambda: web.Response(text="hello"), PermanentError, "isn't", id="no JSON"),
        pytest.param(lambda: web.json_response([]), PermanentError, "isn't", id="another JSON"),
        pytest.param(
            lambda: web.Response(body=b"[" + b" " * MAX_ANSWER_BYTES),
            PermanentError,
            "larger than",
            id="flood",
        ),
    ],
)
async def test_an_answer_that_is_none(
    server: Server,
    answer: Callable[[], web.StreamResponse],
    error: type[QuellError],
    message: str,
) -> None:
    server.answer = answer
    with pytest.raises(error, match=message):
        await asked(PrometheusConfig(url=server.url), "up")
    assert len(server.requests) == 1  # neither retried nor redirected


async def test_a_server_that_hangs_is_given_up(server: Server) -> None:
    server.release.clear()
    with pytest.raises(TransientError, match="no answer"):
        await asked(PrometheusConfig(url=server.url, timeout_s=0.2), "up")


async def test_a_server_that_is_down_is_tried_again_later() -> None:
    with pytest.raises(TransientError, match="no answer"):
        await asked(PrometheusConfig(url=f"http://127.0.0.1:{free_port()}"), "up")


async def test_a_server_without_tls_is_permanent(server: Server) -> None:
    with pytest.raises(PermanentError, match="TLS failed"):
        await asked(PrometheusConfig(url=server.url.replace("http:", "https:")), "up")


# Planning.


def test_the_plan_names_connection_query_and_server() -> None:
    action = PrometheusQuery({"prom": PrometheusConfig(url="http://prom.example:9090")})
    prepared = action.prepare({"query": " up == 0\n"}, ESTATE, None)
    assert prepared.description == "prom: up == 0"
    assert prepared.payload == {"query": "up == 0", "url": "http://prom.example:9090"}


@pytest.mark.parametrize(
    ("query", "connection", "message"),
    [
        pytest.param("", None, "'query' has 0 characters", id="empty"),
        pytest.param("x" * 10_000, None, "'query' has 10000", id="long"),
        pytest.param("up", "mopr", "'mopr' is no connection", id="unknown connection"),
    ],
)
def test_what_cannot_be_asked(query: str, connection: str | None, message: str) -> None:
    action = PrometheusQuery({"prom": PrometheusConfig(url="http://prom.example")})
    with pytest.raises(PermanentError, match=message):
        action.prepare({"query": query}, ESTATE, connection)


def test_one_of_several_must_be_named() -> None:
    config = PrometheusConfig(url="http://prom.example")
    action = PrometheusQuery({"a": config, "b": config})
    with pytest.raises(PermanentError, match=r"name the step's connection: 2 .* \(a, b\)"):
        action.prepare({"query": "up"}, ESTATE, None)


async def test_a_server_that_moved_since_the_plan_is_not_asked(server: Server) -> None:
    old = PrometheusQuery({"prom": PrometheusConfig(url="http://old.example")})
    prepared = old.prepare({"query": "up"}, ESTATE, None)
    new = PrometheusQuery({"prom": PrometheusConfig(url=server.url)})
    with pytest.raises(PermanentError, match="isn't what it was"):
        await new.execute(Call(prepared, "attempt", 10.0))


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"url": "prom.example"}, id="no scheme"),
        pytest.param({"url": "http://u:p@prom.example"}, id="credentials in the URL"),
        pytest.param({"user": "u"}, id="no password"),
        pytest.param({"token": "t", "user": "u", "password": "p"}, id="two credentials"),
    ],
)
def test_settings_are_checked(settings: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        PrometheusConfig.model_validate({"url": "http://prom.example"} | settings)
