import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from connectors.probes.llm import LlmComplete, LlmConfig
from engine.core.actions import Call, Estate, Result
from engine.core.documents import TargetDocument
from engine.core.json_value import Json
from engine.errors import PermanentError
from tests.services.model_server import model_server_argv
from tests.services.process import Process, free_port, listens

SECRET = "k3y-canary"


def estate(**target: Any) -> Estate:
    targets = {"gpu-07": TargetDocument(kind="host", **target)}
    return Estate({}, targets, {"vendor": "llm", "ssh-fra": "ssh"})


async def completed(url: str, timeout_s: float = 10.0, **inputs: Json) -> Result:
    return await with_key(None, url, timeout_s, **inputs)


async def with_key(
    connection: str | None, url: str, timeout_s: float = 10.0, **inputs: Json
) -> Result:
    action = LlmComplete({"vendor": LlmConfig(api_key=SecretStr(SECRET))})
    given: dict[str, Json] = {"target": "gpu-07", "model": "llama", **inputs}
    prepared = action.prepare(given, estate(url=url), connection)
    try:
        return await action.execute(Call(prepared, "attempt", timeout_s))
    finally:
        await action.close()


# A model server run as a program.


@pytest.fixture(scope="module")
def model_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    folder: Path = tmp_path_factory.mktemp("model")
    process = Process(model_server_argv(port, "llama"), log=folder / "log")
    process.start(lambda: listens(port))
    yield f"http://127.0.0.1:{port}"
    process.stop()


async def test_a_completion_with_its_times(model_server: str) -> None:
    result = await completed(model_server)
    assert result.succeeded
    outputs = dict(result.outputs)
    first, latency = outputs.pop("time_to_first_token_s"), outputs.pop("latency_s")
    assert 0 <= float(str(first)) <= float(str(latency)) < 10
    assert outputs == {"ok": True, "text": "I am here.", "status": 200, "error": ""}
    assert result.evidence.startswith("'I am here.' in ")


async def test_a_model_that_is_not_there_is_an_answer(model_server: str) -> None:
    outputs = (await completed(f"{model_server}/v1/", model="mistral")).outputs
    assert (outputs["ok"], outputs["status"]) == (False, 404)
    assert "does not exist" in str(outputs["error"])


async def test_a_server_that_is_down_is_an_answer() -> None:
    result = await completed(f"http://127.0.0.1:{free_port()}")
    assert result.succeeded
    assert (result.outputs["ok"], result.outputs["status"]) == (False, 0)
    assert result.outputs["error"]
    assert result.evidence.startswith("no completion after ")


# What a sound server doesn't do.


class Server:
    def __init__(self) -> None:
        self.status = 200
        self.lines: list[str] = []
        self.hangs = False
        self.requests: list[tuple[web.Request, Any]] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request, await request.json()))
        response = web.StreamResponse(
            status=self.status, headers={"content-type": "text/event-stream"}
        )
        await response.prepare(request)
        for line in self.lines:
            await response.write(f"data: {line}\n\n".encode())
        if self.hangs:
            await asyncio.Event().wait()
        return response


def chunk(delta: dict[str, str], finish: str | None = None) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return json.dumps(
        {
            "id": "x",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "llama",
            "choices": [choice],
        }
    )


WHOLE = [chunk({"role": "assistant", "content": "ready"}), chunk({}, "stop"), "[DONE]"]


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
    await runner.cleanup()


async def test_what_is_sent(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    # What this machine's environment says to the SDK is meant for another endpoint.
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.setenv("OPENAI_ORG_ID", SECRET)
    monkeypatch.setenv("OPENAI_PROJECT_ID", SECRET)
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", f"Authorization: {SECRET}\nX-A: {SECRET}")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    server.lines = WHOLE
    assert (await completed(server.url, prompt="Hi", max_tokens=3)).outputs["ok"] is True
    ((request, body),) = server.requests
    assert request.path == "/v1/chat/completions"
    assert body == {
        "model": "llama",
        "messages": [{"role": "user", "content": "Hi"}],
        "max_tokens": 3,
        "stream": True,
    }
    assert "authorization" not in request.headers
    assert SECRET not in str(request.headers)


async def test_the_key_is_sent_where_the_step_names_it(server: Server) -> None:
    server.lines = WHOLE
    assert (await with_key("vendor", server.url)).outputs["ok"] is True
    assert server.requests[0][0].headers["authorization"] == f"Bearer {SECRET}"


@pytest.mark.parametrize(
    ("status", "lines", "error"),
    [
        pytest.param(500, [], "HTTP 500", id="500"),
        pytest.param(503, [], "HTTP 503", id="503"),
        pytest.param(429, [], "HTTP 429", id="429"),
        pytest.param(401, [], "HTTP 401", id="401"),
        pytest.param(302, [], "HTTP 302", id="redirect"),
        pytest.param(200, [], "without a token", id="nothing"),
        pytest.param(200, ["[DONE]"], "without a token", id="an empty stream"),
        pytest.param(200, WHOLE[:1], "before its end", id="cut short"),
        pytest.param(200, WHOLE[1:], "without a token", id="an end without a token"),
        pytest.param(200, ["{"], "", id="broken JSON"),
        pytest.param(200, ["[]", "7", '{"choices": 7}'], "", id="another JSON"),
        pytest.param(
            200, ['{"error": {"message": "engine is dead"}}'], "engine is dead", id="error amid"
        ),
    ],
)
async def test_a_failing_endpoint_is_an_answer(
    server: Server, status: int, lines: list[str], error: str
) -> None:
    server.status, server.lines = status, lines
    result = await completed(server.url)
    assert result.succeeded
    assert result.outputs["ok"] is False
    assert result.outputs["status"] == status
    assert error in str(result.outputs["error"])
    assert result.outputs["error"]
    assert len(server.requests) == 1  # never asked twice


@pytest.mark.parametrize("lines", [[], WHOLE[:1]], ids=["at once", "after a token"])
async def test_a_hanging_endpoint_is_an_answer_in_time(server: Server, lines: list[str]) -> None:
    server.lines, server.hangs = lines, True
    outputs = (await completed(server.url, 1.5)).outputs
    assert outputs["ok"] is False
    assert outputs["error"] == "no end within 1.35 s"
    assert outputs["text"] == ("ready" if lines else "")
    assert float(str(outputs["latency_s"])) < 5


async def test_a_thought_is_a_token_too(server: Server) -> None:
    server.lines = [chunk({"reasoning_content": "Hm"}), chunk({}, "length"), "[DONE]"]
    outputs = (await completed(server.url)).outputs
    assert (outputs["ok"], outputs["text"]) == (True, "")


async def test_a_flood_is_kept_up_to_a_limit(server: Server) -> None:
    server.lines = [chunk({"content": "x" * 10_000})] * 20 + WHOLE[1:]
    outputs = (await completed(server.url)).outputs
    assert outputs["ok"] is True
    assert len(str(outputs["text"])) == 4096


# Planning.


@pytest.mark.parametrize(
    ("target", "base_url"),
    [
        pytest.param({"url": "http://a:8000"}, "http://a:8000/v1", id="url"),
        pytest.param({"url": "https://a/openai/v1/"}, "https://a/openai/v1", id="url with /v1"),
        pytest.param({"address": "gpu", "port": 8000}, "http://gpu:8000/v1", id="address"),
        pytest.param({"address": "fd00::7", "port": 8}, "http://[fd00::7]:8/v1", id="IPv6"),
        pytest.param(
            {"url": "http://a", "address": "b", "port": 22}, "http://a/v1", id="url before address"
        ),
    ],
)
def test_the_endpoint_comes_from_the_inventory(target: dict[str, Any], base_url: str) -> None:
    given = {"target": "gpu-07", "model": "llama"}
    prepared = LlmComplete({}).prepare(given, estate(**target), None)
    assert prepared.payload["base_url"] == base_url
    assert prepared.targets == ("gpu-07",)
    assert prepared.description == "completion of at most 8 tokens by 'llama' on gpu-07"


@pytest.mark.parametrize(
    ("inputs", "connection", "message"),
    [
        pytest.param({"target": "gpu-70"}, None, "did you mean 'gpu-07'", id="unknown target"),
        pytest.param({"model": ""}, None, "'model' is ''", id="no model"),
        pytest.param({"prompt": ""}, None, "'prompt' has 0", id="no prompt"),
        pytest.param({"max_tokens": 0}, None, "'max_tokens' is 0", id="no tokens"),
        pytest.param({"max_tokens": 1000}, None, "'max_tokens' is 1000", id="many tokens"),
        pytest.param({}, "ssh-fra", "'ssh-fra' is no connection", id="another kind"),
    ],
)
def test_what_cannot_be_asked(
    inputs: dict[str, Json], connection: str | None, message: str
) -> None:
    good: dict[str, Json] = {"target": "gpu-07", "model": "llama"}
    with pytest.raises(PermanentError, match=message):
        LlmComplete({}).prepare(good | inputs, estate(url="http://a"), connection)


def test_a_target_without_an_endpoint_is_named() -> None:
    given = {"target": "gpu-07", "model": "llama"}
    with pytest.raises(PermanentError, match="'gpu-07' has neither"):
        LlmComplete({}).prepare(given, estate(address="gpu"), None)


def test_the_sdk_loads_with_the_first_use_alone() -> None:
    module = sys.modules["connectors.probes.llm"]
    assert "openai" not in vars(module)
