"""A small OpenAI-compatible model server without a model: a real process, and a fixed, honest text.

It speaks as much of the API as a client needs to list models and get completions, streamed or not.
"""

import argparse
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from typing_extensions import override

MODEL = "demo-model"
WORDS = ("Ready.", " A", " fixed", " answer:", " no", " model", " runs", " here.")
TEXT = "".join(WORDS)
MAX_BODY_BYTES = 1024 * 1024


class ModelServer(ThreadingHTTPServer):
    """Listens from its construction on; `served` counts completions."""

    daemon_threads = True
    # The demo's host holds the port while the server is down, so that nobody else takes it.
    allow_reuse_port = True

    def __init__(self, port: int, model: str) -> None:
        self.model = model
        self.served = 0
        super().__init__(("127.0.0.1", port), Handler)

    @override
    def handle_error(self, request: object, client_address: object) -> None:
        """Say in one line what went wrong: a client that hangs up is no reason for a trace."""
        say(f"request failed: {sys.exception()!r}")


class Handler(BaseHTTPRequestHandler):
    """The API's paths."""

    protocol_version = "HTTP/1.1"
    server: ModelServer

    def do_GET(self) -> None:
        """Health and the list of models."""
        if self.path == "/health":
            self._send(HTTPStatus.OK, b"", "text/plain")
        elif self.path == "/v1/models":
            model = {"id": self.server.model, "object": "model", "created": 0, "owned_by": "quell"}
            self._json(HTTPStatus.OK, {"object": "list", "data": [model]})
        else:
            self._refuse(HTTPStatus.NOT_FOUND, f"there is no path {self.path!r}")

    def do_POST(self) -> None:
        """Completions, of a chat or of a text."""
        chats = {"/v1/chat/completions": True, "/v1/completions": False}
        body = self._body()
        if body is None:
            return
        if self.path not in chats:
            self._refuse(HTTPStatus.NOT_FOUND, f"there is no path {self.path!r}")
            return
        try:
            request = json.loads(body)
        except ValueError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, f"the body is no JSON: {error}")
            return
        if not isinstance(request, dict):
            self._refuse(HTTPStatus.BAD_REQUEST, "the body is no JSON object")
            return
        self._complete(request, chat=chats[self.path])

    def _complete(self, request: Mapping[str, Any], *, chat: bool) -> None:
        wanted = "messages" if chat else "prompt"
        limit = request.get("max_completion_tokens") or request.get("max_tokens") or len(WORDS)
        if request.get("model") != self.server.model:
            problem = f"the model {request.get('model')!r} does not exist; "
            self._refuse(HTTPStatus.NOT_FOUND, f"{problem}there is {self.server.model!r}")
        elif not request.get(wanted):
            self._refuse(HTTPStatus.BAD_REQUEST, f"{wanted!r} is missing or empty")
        elif not isinstance(limit, int) or limit < 1:
            self._refuse(HTTPStatus.BAD_REQUEST, f"max_tokens is {limit!r}; 1 or more fits")
        else:
            self.server.served += 1
            words = WORDS[:limit]
            reason = "stop" if len(words) == len(WORDS) else "length"
            if request.get("stream"):
                self._stream(words, reason, chat=chat)
            else:
                self._answer(words, reason, chat=chat)

    def _answer(self, words: tuple[str, ...], reason: str, *, chat: bool) -> None:
        text = "".join(words)
        answer = {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
        kind = "chat.completion" if chat else "text_completion"
        # The tokens of a server without a tokenizer are words.
        usage = {"prompt_tokens": 0, "completion_tokens": len(words), "total_tokens": len(words)}
        envelope = self._envelope(kind, answer | {"finish_reason": reason})
        self._json(HTTPStatus.OK, envelope | {"usage": usage})

    def _stream(self, words: tuple[str, ...], reason: str, *, chat: bool) -> None:
        """Server-sent events, one a word; the end of the connection is the end of the answer."""
        self.close_connection = True
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        kind = "chat.completion.chunk" if chat else "text_completion"
        for word in words:
            answer = {"delta": {"role": "assistant", "content": word}} if chat else {"text": word}
            self._event(json.dumps(self._envelope(kind, answer | {"finish_reason": None})))
        end: dict[str, Any] = {"delta": {}} if chat else {"text": ""}
        self._event(json.dumps(self._envelope(kind, end | {"finish_reason": reason})))
        self._event("[DONE]")

    def _event(self, data: str) -> None:
        self.wfile.write(f"data: {data}\n\n".encode())
        self.wfile.flush()

    def _envelope(self, kind: str, answer: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "id": f"cmpl-{os.getpid()}-{self.server.served}",
            "object": kind,
            "created": int(time.time()),  # noqa: TID251 - a process outside the engine
            "model": self.server.model,
            "choices": [{"index": 0, "logprobs": None, **answer}],
        }

    def _body(self) -> bytes | None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            self.close_connection = True
            problem = f"Content-Length is {length!r}; 0 to {MAX_BODY_BYTES} fit"
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, problem)
            return None
        return self.rfile.read(int(length))

    def _refuse(self, status: HTTPStatus, problem: str) -> None:
        error = {"message": problem, "type": "invalid_request_error", "param": None, "code": None}
        self._json(status, {"error": error})

    def _json(self, status: HTTPStatus, body: object) -> None:
        self._send(status, json.dumps(body).encode(), "application/json")

    def _send(self, status: HTTPStatus, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, format: str, *args: object) -> None:
        """A line a request, in the form of the server's other lines."""
        say(format % args)


def say(text: str) -> None:
    """One line of the server's own log."""
    sys.stderr.write(
        f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} model_server[{os.getpid()}]: {text}\n"
    )
    sys.stderr.flush()


def end_with_input() -> None:
    """End this process once whoever holds the other end of its input is gone, however it went."""

    def wait() -> None:
        while sys.stdin.buffer.read(1024):
            pass
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


def main(arguments: list[str] | None = None) -> None:
    """Serve until SIGTERM, or until the end of the input where that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m engine.demo.model_server", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--end-with-input", action="store_true")
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    if given.end_with_input:
        end_with_input()
    server = ModelServer(given.port, given.model)
    say(f"serving {server.model!r} on port {server.server_port}; it is quell's demo, not vLLM")
    server.serve_forever()


if __name__ == "__main__":
    main()
