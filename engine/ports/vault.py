"""Secrets of HashiCorp Vault or OpenBao, read by their HTTP API when a configuration is read.

Source: https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2#read-secret-version
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from engine.core.json_value import Json
from engine.errors import ConfigError, PayloadError
from engine.ports import strict_json

TIMEOUT_S = 10.0
_MEANS: Mapping[int, str] = {
    403: "the token may not read it, or is no token any more",
    404: "there is nothing; version 2 of the KV engine has `data` behind its mount, "
    "as in secret/data/llm",
    503: "it is sealed, or in maintenance",
}


@dataclass(frozen=True, slots=True)
class VaultAccess:
    """Where Vault answers, and who asks; "" where nothing is said.

    Without a token an agent of Vault's own answers, which has one.
    """

    address: str
    token: str = ""
    namespace: str = ""
    ca: str = ""

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """By the variables that Vault's own command reads."""
        names = ("VAULT_ADDR", "VAULT_TOKEN", "VAULT_NAMESPACE", "VAULT_CACERT")
        return cls(*(environment.get(name, "") for name in names))


def read_secret(reference: str, access: VaultAccess) -> str:
    """The field of a secret that `secret/data/llm#token` names: a path of the API and the field.

    Both versions of the KV engine are understood. Raises ConfigError, which shows no value.
    """
    path, _, field = reference.partition("#")
    if not (path and field):
        raise ConfigError(
            f"{_shown(reference)} names no field; write it like ${{vault:secret/data/llm#token}}"
        )
    if not access.address.startswith(("http://", "https://")):
        raise ConfigError(
            f"{_shown(reference)}: the environment has no VAULT_ADDR like https://vault:8200"
        )
    found = _answer(path, reference, access)
    value = found.get(field)
    if field not in found:
        known = ", ".join(sorted(found)) or "none"
        raise ConfigError(f"{_shown(reference)}: there is no field {field!r}; it has {known}")
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{_shown(reference)}: the field {field!r} isn't a text with something")
    return value


def _answer(path: str, reference: str, access: VaultAccess) -> Mapping[str, Json]:
    import httpx

    headers = {"X-Vault-Request": "true"}
    if access.token:
        headers["X-Vault-Token"] = access.token
    if access.namespace:
        headers["X-Vault-Namespace"] = access.namespace
    url = f"{access.address.rstrip('/')}/v1/{path.strip('/')}"
    try:
        verify = ssl.create_default_context(cafile=Path(access.ca) if access.ca else None)
        with httpx.Client(timeout=TIMEOUT_S, verify=verify, trust_env=False) as client:
            response = client.get(url, headers=headers)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        why = str(error) or type(error).__name__
        raise ConfigError(f"{_shown(reference)}: Vault at {access.address}: {why}") from None
    if response.status_code != httpx.codes.OK:
        why = _MEANS.get(response.status_code, "it refuses")
        raise ConfigError(
            f"{_shown(reference)}: Vault at {access.address} answers with status "
            f"{response.status_code}: {why}"
        )
    try:
        answer = strict_json.decode(response.content)
    except PayloadError:
        answer = None
    data = answer.get("data") if isinstance(answer, Mapping) else None
    if isinstance(data, Mapping) and "metadata" in data and isinstance(data.get("data"), Mapping):
        data = data["data"]
    if not isinstance(data, Mapping):
        raise ConfigError(f"{_shown(reference)}: what Vault answers is no secret of a KV engine")
    return data


def _shown(reference: str) -> str:
    return f"${{vault:{reference}}}"
