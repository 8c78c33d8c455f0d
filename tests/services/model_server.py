"""A small OpenAI-compatible model server, run as a program: what the tests restart and verify.

It appends an invocation id to its --starts file each time it starts, and dies on POST /die.
"""

import argparse
import json
import os
import secrets
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

METRICS = """\
# HELP model_server_up Whether the server answers.
# TYPE model_server_up gauge
model_server_up{{model="{model}"}} 1
# HELP model_server_requests_total Completions answered.
# TYPE model_server_requests_total counter
model_server_requests_total{{model="{model}"}} {requests}
"""
WORDS = ("I ", "am ", "here", ".")


def model_server_argv(port: int, model: str, starts: Path | None = None) -> list[str]:
    """The command that runs it; `starts` is the file in which it counts its starts."""
    argv = [sys.executable, __file__, "--port", str(port), "--model", model]
    return argv if starts is None else [*argv, "--starts", str(starts)]


class ModelServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int, model: str) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.model = model
        self.requests = 0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ModelServer

    def do_GET(self) -> None:
        model = self.server.model
        if self.path == "/metrics":
            text = METRICS.format(model=model, requests=self.server.requests)
            self._send(200, text.encode(), "text/plain; version=0.0.4")
        elif self.path == "/health":
            self._send(200, b"")
        elif self.path == "/v1/models":
            self._json(200, {"object": "list", "data": [{"id": model, "object": "model"}]})
        else:
            self._error(404, f"no such path: {self.path}")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/die":
            os._exit(1)
        elif self.path in ("/v1/completions", "/v1/chat/completions"):
            self._complete(json.loads(body), chat=self.path.endswith("/chat/completions"))
        else:
            self._error(404, f"no such path: {self.path}")

    def _complete(self, request: dict[str, Any], *, chat: bool) -> None:
        if request.get("model") != self.server.model:
            self._error(404, f"The model `{request.get('model')}` does not exist.")
            return
        self.server.requests += 1
        if request.get("stream"):
            self._stream(chat=chat)
            return
        text = "".join(WORDS)
        answer = {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
        usage = {"prompt_tokens": 1, "completion_tokens": len(WORDS)}
        kind = "chat.completion" if chat else "text_completion"
        self._json(
            200,
            self._envelope(kind, answer | {"finish_reason": "stop"})
            | {"usage": usage | {"total_tokens": 1 + len(WORDS)}},
        )

    def _stream(self, *, chat: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        kind = "chat.completion.chunk" if chat else "text_completion"
        for word in WORDS:
            answer = {"delta": {"role": "assistant", "content": word}} if chat else {"text": word}
            event = json.dumps(self._envelope(kind, answer | {"finish_reason": None}))
            self.wfile.write(f"data: {event}\n\n".encode())
            self.wfile.flush()
        end: dict[str, Any] = {"delta": {}} if chat else {"text": ""}
        event = json.dumps(self._envelope(kind, end | {"finish_reason": "stop"}))
        self.wfile.write(f"data: {event}\n\ndata: [DONE]\n\n".encode())
        self.close_connection = True

    def _envelope(self, kind: str, answer: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": f"cmpl-{self.server.requests}",
            "object": kind,
            "created": int(time.time()),
            "model": self.server.model,
            "choices": [{"index": 0, "logprobs": None} | answer],
        }

    def _json(self, status: int, body: object) -> None:
        self._send(status, json.dumps(body).encode(), "application/json")

    def _error(self, status: int, message: str) -> None:
        error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
        self._json(status, {"error": error})

    def _send(self, status: int, body: bytes, content_type: str = "text/plain") -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--starts", type=Path, help="file that gets one invocation id a start")
    options = parser.parse_args()
    server = ModelServer(options.port, options.model)
    if options.starts is not None:
        with options.starts.open("a") as starts:
            starts.write(f"{secrets.token_hex(16)}\n")
    server.serve_forever()


if __name__ == "__main__":
    main()
