"""Azure Resource Manager's Alerts Management, as far as one alert is read, and Entra ID before it.

Each answer is checked against the published schema, which lies beside it in azure/.
"""

import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from jsonschema import Draft202012Validator
from typing_extensions import override

from tests.services.certificates import Certificate

SCHEMA = json.loads((Path(__file__).parent / "azure/alertsmanagement-2019-03-01.json").read_text())
API_VERSION = "2019-03-01"
PROVIDER = "/providers/Microsoft.AlertsManagement/alerts/"


@dataclass
class AzureManagement:
    """Alerts by their id, and who may read them; `statuses` are answered before anything else.

    As Azure does, it answers 404 for what it doesn't keep, 401 to a token that it doesn't know,
    and 403 to one that may not read the subscription.
    """

    alerts: dict[str, dict[str, Any]] = field(default_factory=dict)
    readers: dict[str, frozenset[str]] = field(default_factory=dict)
    """Subscriptions by the token that may read them."""
    clients: dict[tuple[str, str], str] = field(default_factory=dict)
    """The token that a client and its secret get."""
    statuses: list[int] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    url: str = ""

    def add(self, alert_id: str, **essentials: Any) -> None:
        """Keep an alert that fires, with other essentials."""
        self.alerts[alert_id.lower()] = {
            "id": alert_id,
            "name": "cpu",
            "type": "Microsoft.AlertsManagement/alerts",
            "properties": {
                "essentials": {
                    "severity": "Sev3",
                    "signalType": "Metric",
                    "alertState": "New",
                    "monitorCondition": "Fired",
                    "monitorService": "Platform",
                    "startDateTime": "2026-03-01T11:00:00.1234567Z",
                    "lastModifiedUserName": "System",
                    "actionStatus": {"isSuppressed": False},
                    **essentials,
                }
            },
        }

    def answer(self, path: str, authorization: str) -> tuple[int, Mapping[str, Any]]:
        """What GET of a path with its query gives."""
        self.requests.append(path)
        if self.statuses:
            return self._error(self.statuses.pop(0))
        found = urlsplit(path)
        if parse_qs(found.query) != {"api-version": [API_VERSION]}:
            return self._error(400, "InvalidApiVersionParameter")
        scope, _, name = found.path.partition(PROVIDER)
        segments = scope.split("/")
        if not name or "/" in name or segments[:2] != ["", "subscriptions"]:
            return self._error(404, "InvalidResourceType")
        subscriptions = self.readers.get(authorization.removeprefix("Bearer "))
        if subscriptions is None:
            return self._error(401, "InvalidAuthenticationToken")
        if segments[2] not in subscriptions:
            return self._error(403, "AuthorizationFailed")
        alert = self.alerts.get(found.path.lower())
        if alert is None:
            return self._error(404, "AlertNotFound")
        return 200, _checked(alert, "Alert")

    def _error(self, status: int, code: str = "") -> tuple[int, Mapping[str, Any]]:
        error = {"code": code or str(status), "message": "for people"}
        return status, _checked({"error": error}, "ErrorResponse")

    def token(self, form: Mapping[str, list[str]]) -> tuple[int, Mapping[str, Any]]:
        """The answer of the token endpoint.

        https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
        """
        client = form["client_id"][0], form.get("client_secret", [""])[0]
        right = (
            form["grant_type"] == ["client_credentials"]
            and form["scope"][0].split()[0] == f"{self.url}/.default"
        )
        if not right or client not in self.clients:
            told = "AADSTS7000215: Invalid client secret provided."
            return 401, {"error": "invalid_client", "error_description": told}
        return 200, {
            "token_type": "Bearer",
            "expires_in": 3599,
            "access_token": self.clients[client],
        }

    def metadata(self, tenant: str) -> Mapping[str, Any]:
        """What the tenant's discovery document says."""
        return {
            "issuer": f"{self.url}/{tenant}/v2.0",
            "token_endpoint": f"{self.url}/{tenant}/oauth2/v2.0/token",
            "authorization_endpoint": f"{self.url}/{tenant}/oauth2/v2.0/authorize",
            "jwks_uri": f"{self.url}/{tenant}/discovery/v2.0/keys",
        }


def _checked(answer: dict[str, Any], what: str) -> Mapping[str, Any]:
    Draft202012Validator({**SCHEMA, "$ref": f"#/definitions/{what}"}).validate(answer)
    return answer


@contextmanager
def azure_management(certificate: Certificate | None = None) -> Iterator[AzureManagement]:
    """On a loopback port of its own, by HTTPS when it has a certificate, which sign-in needs."""
    azure = AzureManagement()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.endswith("/v2.0/.well-known/openid-configuration"):
                self._answer(200, azure.metadata(self.path.split("/")[1]))
            else:
                self._answer(*azure.answer(self.path, self.headers.get("Authorization", "")))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self._answer(*azure.token(parse_qs(body, strict_parsing=True)))

        def _answer(self, status: int, answer: Mapping[str, Any]) -> None:
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            if status == 429:
                self.send_header("Retry-After", "17")
            self.end_headers()
            self.wfile.write(body)

        @override
        def log_message(self, format: str, *args: object) -> None:
            """It says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate.certificate, certificate.key)
            server.socket = context.wrap_socket(server.socket, server_side=True)
            scheme = "https"
        azure.url = f"{scheme}://localhost:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield azure
        finally:
            server.shutdown()
            thread.join()
