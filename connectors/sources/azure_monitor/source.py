"""Azure Monitor: what action groups send, by webhook or secure webhook.

Formats and what they mean for quell are in docs/sources/azure-monitor.md.
"""

from datetime import datetime, timedelta
from typing import cast

from typing_extensions import override

from connectors.sources.azure_monitor.config import AzureMonitorConfig
from connectors.sources.azure_monitor.entra import EntraDoor
from connectors.sources.azure_monitor.identities import without_identities
from connectors.sources.azure_monitor.kinds import ASKED_KINDS, Kind
from connectors.sources.azure_monitor.management import AlertsManagement
from connectors.sources.azure_monitor.payload import (
    ALERT_ID,
    is_stateless,
    read_notice,
    ttl_of,
)
from connectors.sources.azure_monitor.resource_ids import alert_id
from engine.core.alert import Occurrence
from engine.core.json_value import Json
from engine.core.still_firing import Confirmation, by_last_notice
from engine.ports.credentials import Credentials
from engine.ports.json_web_tokens import KeySet
from engine.ports.source import (
    ADMITTED,
    NOBODY,
    Admission,
    Parsed,
    Sender,
    Source,
    denied,
)

TOKEN_IN_QUERY = "token"


class AzureMonitorSource(Source):
    """The Source port over one configuration."""

    def __init__(self, config: AzureMonitorConfig, keys: KeySet | None = None) -> None:
        """`keys` are the tenant's, where somebody has them already."""
        self._config = config
        self._credentials = Credentials.of(config)
        self._url_tokens = Credentials(config.url_tokens)
        self._entra = None if config.entra is None else EntraDoor(config.entra, keys)
        self._management = None if config.api is None else AlertsManagement(config.api)

    @property
    @override
    def name(self) -> str:
        return self._config.name

    @property
    @override
    def has_credentials(self) -> bool:
        return bool(self._credentials) or bool(self._url_tokens) or self._entra is not None

    @override
    async def admit(self, sender: Sender, now: datetime) -> Admission:
        token_in_url = sender.query.get(TOKEN_IN_QUERY, "")
        # Both are compared, so that the time doesn't tell which one it was.
        admission = self._credentials.admit(sender)
        has_url_token = self._url_tokens.accept(f"Bearer {token_in_url}")
        if admission.outcome == "admitted" or has_url_token:
            return ADMITTED if has_url_token else admission
        scheme, _, token = sender.headers.get("authorization", "").strip().partition(" ")
        if self._entra is not None and scheme.lower() == "bearer":
            return await self._entra.admit(token.strip(), now)
        if token_in_url:
            return denied("a token in the address, which is none of this source's credentials")
        return admission

    @override
    def parse(self, body: Json, received_at: datetime, sender: Sender = NOBODY) -> Parsed:
        return Parsed((read_notice(self._config, body, received_at),))

    @override
    def keepable(self, body: bytes) -> bytes:
        return without_identities(body)

    @override
    async def still_firing(self, occurrence: Occurrence, now: datetime) -> Confirmation:
        alert = occurrence.alert
        kind = cast(Kind, alert.labels.get("kind", "other"))
        told_id = alert.annotations.get(ALERT_ID, "")
        lasting = kind in ASKED_KINDS and not is_stateless(self._config, alert.name)
        if self._management is not None and lasting and alert_id(told_id):
            return await self._management.ask(told_id)
        ttl = ttl_of(self._config, kind, alert.name)
        counts = ttl or timedelta(seconds=self._config.last_notice_counts_s)
        return by_last_notice(occurrence, now, counts)

    @override
    async def close(self) -> None:
        if self._management is not None:
            self._management.close()
