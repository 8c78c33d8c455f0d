"""Access tokens by OAuth 2's client credentials (RFC 6749, 4.4), shared by all clients."""

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import quote_plus

from pydantic import BaseModel, Field, ValidationError

from connectors.streams.kafka.security import OAuthSasl, client_context
from engine.errors import TransientError
from engine.ports.known_secrets import KNOWN

if TYPE_CHECKING:
    import httpx

TIMEOUT_S = 5.0
# So long before its end a token is renewed, or in its last fifth where that is less.
RENEW_BEFORE_S = 60.0


class _Granted(BaseModel):
    """A token endpoint's answer (RFC 6749, 5.1); one without a lifetime is used once."""

    access_token: str = Field(min_length=1, pattern=r"^[\x21-\x7e]+$")
    expires_in: float = Field(default=0, ge=0)


class _Refused(BaseModel):
    """Its refusal (RFC 6749, 5.2)."""

    error: str = Field(pattern="^[a-z_]{1,40}$")


class ClientCredentials:
    """Asks for a token when none is at hand that lasts; a TokenProvider to aiokafka.

    Its errors are aiokafka's, which alone pass through its clients in good order.
    """

    def __init__(self, config: OAuthSasl) -> None:
        from aiokafka.abc import AbstractTokenProvider

        AbstractTokenProvider.register(ClientCredentials)  # inheriting would import aiokafka
        self._config = config
        self._fetching = asyncio.Lock()
        self._token = ""
        # On the event loop's clock.
        self._renew_at = self._ends_at = 0.0

    async def token(self) -> str:
        """Raises AuthenticationFailedError when refused, else KafkaConnectionError."""
        from aiokafka.errors import KafkaConnectionError

        async with self._fetching:
            now = asyncio.get_running_loop().time()
            if now >= self._renew_at:
                try:
                    granted = await self._fetch()
                except KafkaConnectionError:
                    if now >= self._ends_at:
                        raise
                    return self._token
                lasts_s = granted.expires_in
                self._token = granted.access_token
                KNOWN.keep("stream.security.sasl", self._token)
                self._ends_at = now + lasts_s
                self._renew_at = self._ends_at - min(RENEW_BEFORE_S, lasts_s / 5)
            return self._token

    async def _fetch(self) -> _Granted:
        import httpx
        from aiokafka.errors import KafkaConnectionError

        config, form = self._config, {"grant_type": "client_credentials"}
        if config.scope:
            form["scope"] = config.scope
        # RFC 6749, 2.3.1: both are form-encoded before they go into the header.
        basic = [quote_plus(v) for v in (config.client_id, config.client_secret.get_secret_value())]
        try:
            context = client_context(config.ca)
            async with httpx.AsyncClient(
                verify=context, timeout=TIMEOUT_S, trust_env=False
            ) as client:
                answer = await client.post(
                    str(config.token_url), data=form, auth=httpx.BasicAuth(*basic)
                )
        except (httpx.HTTPError, TransientError) as error:
            raise KafkaConnectionError(
                f"no token from {config.token_url}: {str(error) or type(error).__name__}"
            ) from None
        return self._granted(answer)

    def _granted(self, answer: "httpx.Response") -> _Granted:
        from aiokafka.errors import AuthenticationFailedError, KafkaConnectionError

        place, status = self._config.token_url, answer.status_code
        if status in (400, 401, 403):
            try:
                why = _Refused.model_validate_json(answer.content).error
            except ValidationError:
                why = f"status {status}"
            raise AuthenticationFailedError(
                f"{place} refuses client {self._config.client_id!r}: {why}"
            )
        try:
            if status == 200:
                return _Granted.model_validate_json(answer.content)
        except ValidationError:
            pass
        # The body may hold a token, so it isn't shown.
        raise KafkaConnectionError(f"no token from {place}: status {status} with another answer")
