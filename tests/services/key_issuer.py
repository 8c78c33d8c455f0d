"""An issuer of signed tokens: publishes its keys and signs what a test wants, also wrongly."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from typing_extensions import override


@cache
def _made(name: str) -> rsa.RSAPrivateKey:
    """One of each name a process: making one takes a second."""
    return rsa.generate_private_key(65537, 2048)


@dataclass
class KeyIssuer:
    """Keys by id; `fetches` counts how often they were asked for, `status` is what it answers."""

    name: str = "issuer"
    keys: dict[str, rsa.RSAPrivateKey] = field(default_factory=dict)
    fetches: int = 0
    status: int = 200
    url: str = ""

    def add(self, key_id: str) -> rsa.RSAPrivateKey:
        key = self.keys[key_id] = _made(f"{self.name}/{key_id}")
        return key

    def token(self, claims: Mapping[str, Any], key_id: str, **headers: Any) -> str:
        """Signed by one of its keys, RS256."""
        # By the layer below jwt.encode, which refuses claims that mean nothing.
        return jwt.api_jws.encode(
            json.dumps(claims).encode(), self.keys[key_id], "RS256", {"kid": key_id, **headers}
        )

    def public_pem(self, key_id: str) -> bytes:
        public = self.keys[key_id].public_key()
        return public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def published(self) -> bytes:
        keys = [
            {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": key_id, "use": "sig"}
            for key_id, key in self.keys.items()
        ]
        return json.dumps({"keys": keys}).encode()


@contextmanager
def key_issuer() -> Iterator[KeyIssuer]:
    """On a loopback port of its own, with the key `key-1`."""
    issuer = KeyIssuer()
    issuer.add("key-1")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.fetches += 1
            body = issuer.published()
            self.send_response(issuer.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        @override
        def log_message(self, format: str, *args: object) -> None:
            """It says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            issuer.url = f"http://127.0.0.1:{server.server_port}/keys"
            yield issuer
        finally:
            server.shutdown()
            thread.join()
