"""An OAuth 2 issuer: a token endpoint for client credentials, and the keys to check tokens with."""

import base64
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote_plus

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from typing_extensions import override

from tests.services.certificates import Certificate

ISSUER = "https://issuer.test"
AUDIENCE = "kafka"
KEY_ID = "key-1"


class TokenIssuer:
    """Issues ES256-signed tokens to one client, in whose name they are."""

    def __init__(self, client_id: str, client_secret: str) -> None:
        self.client_id = client_id
        self.client_secret = client_secret
        self.audience = AUDIENCE
        self.lasts_s: float | None = 3600
        """None: the answer doesn't say."""
        self.answers_instead: tuple[int, bytes] | None = None
        self.requests: list[dict[str, list[str]]] = []
        """The forms that it was sent."""
        self.issued = 0
        self.url = ""
        self._key = ec.generate_private_key(ec.SECP256R1())

    @contextmanager
    def serving(self, certificate: Certificate | None = None) -> Iterator["TokenIssuer"]:
        """On a loopback port of its own, by HTTPS when it has a certificate."""
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(200, json.dumps({"keys": [issuer._public_key()]}).encode())

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                self._answer(*issuer._grant(self.headers.get("Authorization", ""), body))

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            @override
            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate.certificate, certificate.key)
            server.socket = context.wrap_socket(server.socket, server_side=True)
            scheme = "https"
        self.url = f"{scheme}://localhost:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def _grant(self, authorization: str, body: str) -> tuple[int, bytes]:
        form = parse_qs(body, strict_parsing=True)
        self.requests.append(form)
        if self.answers_instead is not None:
            return self.answers_instead
        pair = f"{quote_plus(self.client_id)}:{quote_plus(self.client_secret)}"
        if authorization != f"Basic {base64.b64encode(pair.encode()).decode()}":
            return 401, b'{"error": "invalid_client", "error_description": "for eyes elsewhere"}'
        if form.get("grant_type") != ["client_credentials"]:
            return 400, b'{"error": "unsupported_grant_type"}'
        self.issued += 1
        answer: dict[str, object] = {"access_token": self._token(), "token_type": "Bearer"}
        if self.lasts_s is not None:
            answer["expires_in"] = self.lasts_s
        return 200, json.dumps(answer).encode()

    def _token(self) -> str:
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": self.audience,
            "sub": self.client_id,
            "iat": now,
            "exp": now + int(self.lasts_s or 60),
            "jti": str(self.issued),
        }
        header = {"alg": "ES256", "typ": "JWT", "kid": KEY_ID}
        signed = ".".join(_encoded(json.dumps(part).encode()) for part in (header, claims))
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{_encoded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    def _public_key(self) -> dict[str, str]:
        point = self._key.public_key().public_numbers()
        return {
            "kty": "EC",
            "crv": "P-256",
            "use": "sig",
            "alg": "ES256",
            "kid": KEY_ID,
            "x": _encoded(point.x.to_bytes(32, "big")),
            "y": _encoded(point.y.to_bytes(32, "big")),
        }


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
