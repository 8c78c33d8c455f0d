"""The emergency address: one POST of `{"text": …}`, as chat systems' incoming webhooks take it.

https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks/
https://developers.mattermost.com/integrate/webhooks/incoming/
"""

import asyncio
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
)
from typing_extensions import override

from engine.core.egress import EgressConfig
from engine.errors import ConfigError, OutcomeUnknownError, PermanentError, TransientError
from engine.ports.emergency import Emergency
from engine.ports.file_paths import PresentFile
from engine.ports.resolving import PORTS, checked_address, origin

if TYPE_CHECKING:
    import httpx

# These follow from the URL and the body.
_OWN_HEADERS = frozenset(
    {"host", "connection", "content-length", "content-type", "transfer-encoding", "upgrade"}
)
_TOO_MANY, _SERVER_ERROR = 429, 500
# Of an answer that isn't 2xx, for people: chat systems say in a word what is wrong.
_SHOWN_CHARACTERS = 100


class EmergencyConfig(BaseModel):
    """The section `emergency`. Its url is a secret: who has it can write to the channel.

    `headers` are added (an Authorization, for instance); `ca` is a PEM file with the authority of
    an own receiver.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: SecretStr
    headers: Mapping[str, SecretStr] = {}
    ca: PresentFile | None = None
    timeout_s: Annotated[int, Field(ge=1, le=25)] = 10

    @field_validator("url")
    @classmethod
    def _leads_somewhere(cls, url: SecretStr) -> SecretStr:
        text = url.get_secret_value()
        try:
            parts = urlsplit(text)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise ValueError("is no URL") from None
        clean = text.isascii() and text.isprintable() and " " not in text and "\\" not in text
        if parts.scheme not in PORTS or not host or port == 0 or not clean:
            raise ValueError("needs an https URL with a host, in ASCII")
        if parts.scheme == "http" and host not in ("127.0.0.1", "localhost", "::1"):
            raise ValueError("needs https: plain http only goes to a relay on this machine")
        if "@" in parts.netloc:
            raise ValueError("holds a user or password; put it into a header")
        return url

    @field_validator("headers")
    @classmethod
    def _can_be_sent(cls, headers: Mapping[str, SecretStr]) -> Mapping[str, SecretStr]:
        for name, value in headers.items():
            text = value.get_secret_value()
            if not name.replace("-", "").isalnum() or not name.isascii():
                raise ValueError(f"{name!r} is no header's name")
            if name.lower() in _OWN_HEADERS:
                raise ValueError(f"{name!r} is set by quell itself")
            if not (text.isascii() and text.isprintable()):
                raise ValueError(f"{name!r} has a value that isn't printable ASCII")
        return headers


class EmergencyWebhook(Emergency):
    """The setting names the host; a guarded address has to stand in egress too."""

    def __init__(self, config: EmergencyConfig, egress: EgressConfig) -> None:
        """Load what a message needs, because the disk may be full later. Raises ConfigError."""
        self._config = config
        self._egress = egress
        self._parts = urlsplit(config.url.get_secret_value())
        self._tls = _context(config.ca)

    @override
    async def tell(self, text: str) -> None:
        """As the port says, within `timeout_s`."""
        sent = _Sent()
        try:
            async with asyncio.timeout(self._config.timeout_s):
                await self._post(text, sent)
        except TimeoutError:
            raise sent.failed(
                f"{self._where}: no answer within {self._config.timeout_s} s"
            ) from None

    @property
    def _where(self) -> str:
        """For messages: the path of a webhook is its secret."""
        return f"the emergency address at {self._parts.hostname}"

    async def _post(self, text: str, sent: "_Sent") -> None:
        import httpx

        host, port = origin(self._parts)
        address = await checked_address(self._egress, host, port)
        headers = {each: value.get_secret_value() for each, value in self._config.headers.items()}
        client = httpx.AsyncClient(
            verify=self._tls,
            trust_env=False,
            follow_redirects=False,
            timeout=self._config.timeout_s,
        )
        try:
            async with client:
                response = await client.post(
                    httpx.URL(self._parts.geturl()).copy_with(host=str(address), port=port),
                    headers={"host": self._parts.netloc, "user-agent": "quell", **headers},
                    json={"text": text},
                    extensions={"sni_hostname": host, "trace": sent.follow},
                )
        except httpx.HTTPError as error:
            raise sent.failed(f"{self._where}: {type(error).__name__}: {error}") from None
        self._judge(response)

    def _judge(self, response: "httpx.Response") -> None:
        if response.is_success:
            return
        words = response.text[:_SHOWN_CHARACTERS].encode("ascii", "replace").decode()
        said = f"{self._where}: answered {response.status_code}"
        if words.strip() and words.isprintable():
            said += f" ({words.strip()})"
        if response.status_code == _TOO_MANY or response.status_code >= _SERVER_ERROR:
            raise TransientError(said)
        raise PermanentError(said)


class _Sent:
    """How far a request came; `begun` once its first byte may have left."""

    def __init__(self) -> None:
        self.begun = False

    async def follow(self, event: str, info: Mapping[str, object]) -> None:
        if event.endswith("send_request_headers.started"):
            self.begun = True

    def failed(self, problem: str) -> TransientError | OutcomeUnknownError:
        if self.begun:
            return OutcomeUnknownError(f"{problem}; it may have been delivered")
        return TransientError(problem)


def _context(ca: Path | None) -> ssl.SSLContext:
    import httpx

    try:
        return httpx.create_ssl_context() if ca is None else ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"emergency.ca: {str(ca)!r} can't be used: {getattr(error, 'strerror', None) or error}"
        ) from None
