"""Google Cloud Monitoring as a source: who gets in, what is read, what is fetched and asked."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from typing_extensions import override

from connectors.sources.cloud_monitoring.config import CloudMonitoringConfig, PushConfig
from connectors.sources.cloud_monitoring.firing import ask
from connectors.sources.cloud_monitoring.google_api import GoogleApi
from connectors.sources.cloud_monitoring.notification import Reader
from connectors.sources.cloud_monitoring.pull import Puller
from engine.core.alert import Occurrence
from engine.core.json_value import Json
from engine.core.still_firing import Confirmation, by_last_notice
from engine.errors import ConfigError
from engine.ports.credentials import Credentials, offered
from engine.ports.extras import is_installed
from engine.ports.json_web_tokens import KeySet, TokenCheck, WrongTokenError
from engine.ports.source import (
    ADMITTED,
    BY_BODY,
    NOBODY,
    Admission,
    Feed,
    Parsed,
    Sender,
    Source,
    denied,
)

TOKEN_PARAMETER = "auth_token"
# Google writes its own name in both ways.
ISSUERS = frozenset({"https://accounts.google.com", "accounts.google.com"})
# Where the subscription is told when the message comes without its envelope.
SUBSCRIPTION_HEADER = "x-goog-pubsub-subscription-name"


class CloudMonitoringSource(Source):
    """The Source port over one configuration; `keys` are Google's, where they are at hand."""

    def __init__(self, config: CloudMonitoringConfig, keys: KeySet | None = None) -> None:
        """Raises ConfigError where Google is to be asked and google-auth isn't installed."""
        if (config.pull or config.api) and not is_installed("google.oauth2"):
            raise ConfigError(
                f"the source {config.name!r} asks Google, which needs google-auth: install quell "
                "with its extra `gcp`"
            )
        self._config = config
        # A token in the address is compared like one in the header.
        self._tokens = Credentials(bearer=config.tokens)
        self._basic = Credentials(basic=config.basic)
        self._push = None if config.push is None else PushCheck(config.push, keys)
        self._api = GoogleApi(config.name, config.credentials_file)
        lasts = timedelta(seconds=config.log_match_lasts_s)
        self._reader = Reader(config.name, config.labels, lasts)

    @property
    @override
    def name(self) -> str:
        return self._config.name

    @property
    @override
    def has_credentials(self) -> bool:
        """Also where all is pulled: then nobody elsewhere is meant to get in."""
        doors = (self._tokens, self._basic, self._push, self._config.pull)
        return any(map(bool, doors))

    @property
    @override
    def acknowledges_dead_letters(self) -> bool:
        return True

    @override
    async def admit(self, sender: Sender, now: datetime) -> Admission:
        authorization = sender.headers.get("authorization", "")
        token = sender.query.get(TOKEN_PARAMETER, "")
        # Both are compared whatever the first says, and neither is in the log.
        by_token = self._tokens.accept(f"Bearer {token}")
        by_basic = self._basic.accept(authorization)
        if by_token or by_basic:
            return ADMITTED
        if self._push is not None and authorization[:7].lower() == "bearer ":
            return await self._push.admit(authorization[7:].strip(), now)
        what = offered(authorization)
        if token and not authorization:
            what = f"?{TOKEN_PARAMETER}="
        return denied(f"{what}, which is none of this source's credentials")

    @override
    async def admit_body(self, sender: Sender, body: bytes, now: datetime) -> Admission:
        admission = await self.admit(sender, now)
        if self._push is None or admission.outcome != "by_body":
            return admission
        return self._push.admit_from(subscription_of(sender, body))

    @override
    def parse(self, body: Json, received_at: datetime, sender: Sender = NOBODY) -> Parsed:
        return self._reader.read(body, received_at)

    @override
    async def still_firing(self, occurrence: Occurrence, now: datetime) -> Confirmation:
        if self._config.api is not None:
            return await ask(self._config.api, self._api, occurrence)
        ttl = timedelta(seconds=self._config.last_notice_counts_s)
        return by_last_notice(occurrence, now, ttl)

    @override
    def feeds(self) -> Sequence[Feed]:
        if self._config.pull is None:
            return ()
        return Puller(self, self._api, self._config.pull).feeds()

    @override
    async def close(self) -> None:
        await self._api.close()


class PushCheck:
    """Whether a push comes from the configured service account and subscriptions.

    https://docs.cloud.google.com/pubsub/docs/authenticate-push-subscriptions
    """

    def __init__(self, config: PushConfig, keys: KeySet | None = None) -> None:
        self._config = config
        keys = keys or KeySet(config.keys, config.ca)
        self._tokens = TokenCheck(keys, ISSUERS, frozenset({config.audience}))

    async def admit(self, token: str, now: datetime) -> Admission:
        """Raises TransientError where Google's keys can't be had."""
        try:
            claims = await self._tokens.claims(token, now)
        except WrongTokenError as wrong:
            return denied(f"{wrong}; `push.audience` is {self._config.audience!r}")
        if claims.get("email") != self._config.email or claims.get("email_verified") is not True:
            return denied(f"a token of another account than {self._config.email!r}")
        return BY_BODY if self._config.subscriptions else ADMITTED

    def admit_from(self, subscription: str) -> Admission:
        """Whether its messages are taken, for a sender whose token is in order."""
        if subscription in self._config.subscriptions:
            return ADMITTED
        what = f"{subscription[:300]!r}" if subscription else "no subscription's name"
        return denied(f"{what}, which is none of push.subscriptions")


def subscription_of(sender: Sender, body: bytes) -> str:
    """The subscription that a push names, "" for none."""
    try:
        value: Any = json.loads(body)
        wrapped = value["subscription"]
    except (ValueError, RecursionError, KeyError, TypeError, IndexError):
        wrapped = sender.headers.get(SUBSCRIPTION_HEADER, "")
    return wrapped if isinstance(wrapped, str) else ""
