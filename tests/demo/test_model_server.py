"""The demo's model server over HTTP, in a thread and as a process of its own."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator

import httpx
import pytest

from engine.demo.model_server import MODEL, TEXT, ModelServer
from tests.services.process import free_port, listens, wait_until

CHAT = {"model": MODEL, "messages": [{"role": "user", "content": "Are you there?"}]}
PLAIN = {"model": MODEL, "prompt": "Are you there?"}


@pytest.fixture
def url() -> Iterator[str]:
    with ModelServer(0, MODEL) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_it_is_healthy_and_lists_its_model(url: str) -> None:
    assert httpx.get(f"{url}/health").status_code == 200
    listed = httpx.get(f"{url}/v1/models").json()
    assert [model["id"] for model in listed["data"]] == [MODEL]


def test_a_chat_is_completed_with_the_same_text_each_time(url: str) -> None:
    answers = [httpx.post(f"{url}/v1/chat/completions", json=CHAT).json() for _ in range(2)]
    for answer in answers:
        (choice,) = answer["choices"]
        assert choice["message"] == {"role": "assistant", "content": TEXT}
        assert choice["finish_reason"] == "stop"
        assert answer["object"] == "chat.completion"
    assert answers[0]["id"] != answers[1]["id"]


def test_a_text_is_completed(url: str) -> None:
    answer = httpx.post(f"{url}/v1/completions", json=PLAIN).json()
    assert answer["choices"][0]["text"] == TEXT
    assert answer["object"] == "text_completion"


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
def test_no_more_tokens_come_than_were_asked_for(url: str, limit: str) -> None:
    answer = httpx.post(f"{url}/v1/chat/completions", json={**CHAT, limit: 2}).json()
    assert answer["choices"][0]["message"]["content"] == "Ready. A"
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 2


@pytest.mark.parametrize(
    ("path", "request_", "text_of"),
    [
        ("chat/completions", CHAT, lambda choice: choice["delta"].get("content", "")),
        ("completions", PLAIN, lambda choice: choice["text"]),
    ],
    ids=["chat", "text"],
)
def test_a_completion_is_streamed_event_by_event(
    url: str, path: str, request_: dict[str, object], text_of: object
) -> None:
    assert callable(text_of)
    answer = httpx.post(f"{url}/v1/{path}", json={**request_, "stream": True})
    assert answer.headers["content-type"] == "text/event-stream"
    events = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
    assert events.pop() == "[DONE]"
    choices = [json.loads(event)["choices"][0] for event in events]
    assert "".join(text_of(choice) for choice in choices) == TEXT
    assert [choice["finish_reason"] for choice in choices] == [None] * 8 + ["stop"]


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("/v1/embeddings", b"{}", 404, "'/v1/embeddings'"),
        ("/v1/completions", b"{", 400, "no JSON"),
        ("/v1/completions", b"[]", 400, "no JSON object"),
        ("/v1/completions", b'{"model": "gpt", "prompt": "x"}', 404, "'gpt' does not exist"),
        ("/v1/completions", b'{"model": "demo-model"}', 400, "'prompt' is missing"),
        ("/v1/chat/completions", b'{"model": "demo-model"}', 400, "'messages' is missing"),
        (
            "/v1/completions",
            b'{"model": "demo-model", "prompt": "x", "max_tokens": -1}',
            400,
            "max_tokens is -1",
        ),
        ("/v1/completions", b" " * (1024 * 1024 + 1), 413, "1048577"),
    ],
    ids=["path", "broken", "list", "model", "prompt", "messages", "tokens", "too large"],
)
def test_what_it_does_not_understand_is_refused_with_the_reason(
    url: str, path: str, body: bytes, status: int, said: str
) -> None:
    answer = httpx.post(url + path, content=body)
    assert answer.status_code == status
    assert said in answer.json()["error"]["message"]


@pytest.mark.parametrize("end", ["terminate", "end of input"])
def test_the_process_ends_when_it_is_told_and_with_its_input(end: str) -> None:
    port = free_port()
    argv = [sys.executable, "-m", "engine.demo.model_server", "--port", str(port)]
    with subprocess.Popen(
        [*argv, "--end-with-input"], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        wait_until(lambda: listens(port), "the model server listens")
        assert process.stderr is not None
        assert b"it is quell's demo, not vLLM" in process.stderr.readline()
        if end == "terminate":
            process.terminate()
        else:
            assert process.stdin is not None
            process.stdin.close()
        assert process.wait(10) == 0
    assert not listens(port)
