"""Secrets by Vault's HTTP API, from a server that answers as its documentation says."""

import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from typing_extensions import override

from engine.errors import ConfigError
from engine.ports.known_secrets import KNOWN
from engine.ports.vault import VaultAccess, read_secret
from engine.settings import resolve_secrets

TOKEN = "hvs.CAESIB8KI2dw9xkYz"
PASSWORD = "cedar-Lantern-42"
# As https://developer.hashicorp.com/vault/api-docs/secret/kv shows them.
VERSION_2 = {
    "data": {
        "data": {"token": PASSWORD, "port": 8200, "empty": ""},
        "metadata": {
            "created_time": "2018-03-22T02:24:06.945319214Z",
            "custom_metadata": None,
            "deletion_time": "",
            "destroyed": False,
            "version": 2,
        },
    }
}
VERSION_1 = {
    "auth": None,
    "data": {"token": PASSWORD, "metadata": "a field like another"},
    "lease_duration": 2764800,
    "lease_id": "",
    "renewable": False,
}
# A version that was deleted is told with status 404, and null where the data was.
ANSWERS: Mapping[str, tuple[int, object]] = {
    "/v1/secret/data/llm": (200, VERSION_2),
    "/v1/kv1/llm": (200, VERSION_1),
    "/v1/secret/data/gone": (404, {"data": {"data": None, "metadata": {"destroyed": False}}}),
    "/v1/secret/data/others": (403, {"errors": ["1 error occurred:\n\t* permission denied\n\n"]}),
    "/v1/secret/data/sealed": (503, {"errors": ["Vault is sealed"]}),
    "/v1/secret/data/odd": (200, ["no object"]),
}


class Vault(BaseHTTPRequestHandler):
    """Answers who has the token; keeps what it was asked with."""

    asked: list[Mapping[str, str]]

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.asked.append(headers)
        status, answer = ANSWERS.get(self.path, (404, {"errors": []}))
        if headers.get("x-vault-token") != TOKEN:
            status, answer = 403, {"errors": ["permission denied"]}
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    Vault.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Vault) as served:
        thread = threading.Thread(target=served.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{served.server_port}"
        served.shutdown()
        thread.join()


@pytest.mark.parametrize("path", ["secret/data/llm", "/secret/data/llm", "kv1/llm"])
def test_a_field_of_either_version_is_read(server: str, path: str) -> None:
    assert read_secret(f"{path}#token", VaultAccess(f"{server}/", TOKEN)) == PASSWORD


def test_a_field_called_metadata_is_one_like_another(server: str) -> None:
    access = VaultAccess(server, TOKEN)
    assert read_secret("kv1/llm#metadata", access) == "a field like another"


def test_a_namespace_is_sent_where_there_is_one(server: str) -> None:
    read_secret("secret/data/llm#token", VaultAccess(server, TOKEN, namespace="ml/serving"))
    assert Vault.asked[-1]["x-vault-namespace"] == "ml/serving"
    read_secret("secret/data/llm#token", VaultAccess(server, TOKEN))
    assert "x-vault-namespace" not in Vault.asked[-1]
    # Vault refuses requests without it where `require_request_header` is on.
    assert Vault.asked[-1]["x-vault-request"] == "true"


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("secret/data/llm", "names no field; write it like ${vault:secret/data/llm#token}"),
        ("secret/data/llm#tok", "there is no field 'tok'; it has empty, port, token"),
        ("secret/data/llm#port", "the field 'port' isn't a text"),
        ("secret/data/llm#empty", "the field 'empty' isn't a text"),
        ("secret/llm#token", "status 404: there is nothing; version 2"),
        ("secret/data/gone#token", "status 404"),
        ("secret/data/others#token", "status 403: the token may not read it"),
        ("secret/data/sealed#token", "status 503: it is sealed"),
        ("secret/data/odd#token", "no secret of a KV engine"),
    ],
)
def test_what_can_not_be_read_is_told_without_a_value(
    server: str, reference: str, says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read_secret(reference, VaultAccess(server, TOKEN))
    assert says in str(caught.value)
    assert f"${{vault:{reference}}}" in str(caught.value)
    assert TOKEN not in str(caught.value)
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "says"),
    [("", "no VAULT_ADDR"), ("vault:8200", "no VAULT_ADDR"), ("http://127.0.0.1:9", "refused")],
)
def test_a_vault_that_is_not_there_is_told(address: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        read_secret("secret/data/llm#token", VaultAccess(address, TOKEN))


def test_a_reference_in_a_configuration_asks_where_the_environment_says(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULT_ADDR", server)
    monkeypatch.setenv("VAULT_TOKEN", TOKEN)
    written = {"secrets": {"balancer": "${vault:secret/data/llm#token}"}}
    assert resolve_secrets(written, "quell.yaml") == {"secrets": {"balancer": PASSWORD}}
    monkeypatch.setenv("VAULT_TOKEN", "another")
    at = r"^quell\.yaml: secrets\.balancer: \$\{vault:secret/data/llm#token\}: "
    with pytest.raises(ConfigError, match=at):
        resolve_secrets(written, "quell.yaml")


def test_the_token_that_asks_is_masked_from_then_on(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = "hvs.never-shown-0c1d2e3f"
    monkeypatch.setenv("VAULT_ADDR", server)
    monkeypatch.setenv("VAULT_TOKEN", token)
    with pytest.raises(ConfigError, match="status 403"):
        resolve_secrets("${vault:secret/data/llm#token}", "quell.yaml")
    assert KNOWN.mask(f"it is {token}") == "it is [masked VAULT_TOKEN]"
