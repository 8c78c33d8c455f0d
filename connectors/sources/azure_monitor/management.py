"""Asks Azure's Alerts Management whether an alert's condition still holds.

GET {scope}/providers/Microsoft.AlertsManagement/alerts/{alertId}, version 2019-03-01 (stable):
https://github.com/Azure/azure-rest-api-specs/tree/main/specification/alertsmanagement
"""

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connectors.sources.azure_monitor.config import AlertsApiConfig
from connectors.sources.azure_monitor.resource_ids import AlertId, alert_id
from engine.core.still_firing import Confirmation
from engine.errors import PermanentError, QuellError, TransientError
from engine.ports.blocking import BoundedThreads
from engine.ports.http_reads import read

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

API_VERSION = "2019-03-01"
# A run asks about five alerts at most, one after the other.
SIGN_IN_THREADS = 2


class AlertsManagement:
    """Asked only about alerts of the configured subscriptions, at the configured address."""

    def __init__(self, config: AlertsApiConfig) -> None:
        self._config = config
        self._threads = BoundedThreads("azure-identity", SIGN_IN_THREADS)
        self._credential: TokenCredential | None = None

    async def ask(self, text: str) -> Confirmation:
        """About the alert of this id, as a sender wrote it; what can't be told says why."""
        config = self._config
        which = alert_id(text)
        if which is None or which.subscription not in config.subscriptions:
            return _cannot_tell("its id names no alert of the configured subscriptions")
        try:
            body = await read(
                _address(config.management, which),
                timeout_s=config.timeout_s,
                headers={"authorization": f"Bearer {await self._token()}"},
                ca=config.ca,
            )
            return _told(body, which, config.management)
        except QuellError as error:
            return _cannot_tell(f"{config.management}: {error}")

    def close(self) -> None:
        """Give the threads back."""
        self._threads.close()

    async def _token(self) -> str:
        """Raises TransientError or PermanentError where there is none."""
        if self._config.token_file is not None:
            return await asyncio.to_thread(_token_in, self._config.token_file)
        # azure-identity keeps a token until shortly before it expires.
        return await self._threads.call(self._sign_in)

    def _sign_in(self) -> str:
        from azure.core.exceptions import AzureError

        try:
            if self._credential is None:
                self._credential = credential_of(self._config)
            return self._credential.get_token(f"{self._config.management}/.default").token
        except (AzureError, ValueError, OSError) as error:
            first_line = (str(error).splitlines() or [type(error).__name__])[0]
            raise TransientError(f"signing in failed: {first_line[:300]}") from error


def credential_of(config: AlertsApiConfig) -> "TokenCredential":
    """The credential of azure-identity that the settings name."""
    from azure import identity

    ca = None if config.ca is None else str(config.ca)
    # The caller has seconds and comes again, so there is no time for retries here.
    bounds: dict[str, Any] = {
        "connection_timeout": config.timeout_s,
        "read_timeout": config.timeout_s,
        "retry_total": 0,
        **({} if ca is None else {"connection_verify": ca}),
    }
    # Which sign-in service is right is the operator's word, not a question to another one.
    entra: dict[str, Any] = {"authority": config.login, "disable_instance_discovery": True}
    match config.sign_in:
        case "managed_identity":
            return identity.ManagedIdentityCredential(client_id=config.client_id, **bounds)
        case "workload_identity":
            return identity.WorkloadIdentityCredential(
                tenant_id=config.tenant, client_id=config.client_id, **entra, **bounds
            )
        case "client_secret":
            secret = config.client_secret
            return identity.ClientSecretCredential(
                config.tenant or "",
                config.client_id or "",
                "" if secret is None else secret.get_secret_value(),
                **entra,
                **bounds,
            )
        case "default":
            return identity.DefaultAzureCredential(
                managed_identity_client_id=config.client_id, authority=config.login, **bounds
            )


def _token_in(path: Path) -> str:
    try:
        token = path.read_text("ascii").strip()
    except (OSError, ValueError) as error:
        raise PermanentError(f"no token can be read from {str(path)!r}") from error
    if not token or not token.isprintable():
        raise PermanentError(f"{str(path)!r} holds no token")
    return token


def _address(management: str, which: AlertId) -> str:
    # From its checked parts alone: what a sender wrote never becomes an address.
    scope = f"subscriptions/{which.subscription}"
    path = f"{scope}/providers/Microsoft.AlertsManagement/alerts/{which.name}"
    return f"{management}/{path}?api-version={API_VERSION}"


def _told(body: bytes, which: AlertId, management: str) -> Confirmation:
    """Raises TransientError for an answer that isn't about this alert."""
    try:
        value = json.loads(body)
        told, essentials = alert_id(value["id"]), value["properties"]["essentials"]
        condition, state = essentials["monitorCondition"], essentials.get("alertState")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise TransientError(f"the answer isn't Alerts Management's ({error!r})") from error
    if told is None or told.name != which.name:
        raise TransientError("the answer is about another alert")
    asked = f"asked {management}"
    match condition, state:
        case "Resolved", _:
            return Confirmation("resolved", "source", asked)
        case "Fired", "Closed":
            return _cannot_tell(f"{asked}: its condition holds, but somebody closed it in Azure")
        case "Fired", _:
            return Confirmation("firing", "source", asked)
        case _:
            raise TransientError(f"the answer's monitorCondition is {condition!r}")


def _cannot_tell(why: str) -> Confirmation:
    return Confirmation("cannot_tell", "source", why)
