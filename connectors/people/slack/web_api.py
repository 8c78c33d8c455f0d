"""Slack's Web API by slack-sdk: a client that asks once, and every failure classified."""

import logging
from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator

from engine.core.json_value import Json
from engine.errors import PermanentError, TransientError

if TYPE_CHECKING:
    from slack_sdk.web.async_client import AsyncWebClient
    from slack_sdk.web.async_slack_response import AsyncSlackResponse

_PREFIXES = {"app_token": "xapp-", "bot_token": "xoxb-"}
# https://docs.slack.dev/reference/methods/chat.postMessage lists the errors of a call.
_LATER = frozenset(
    {
        "fatal_error",
        "internal_error",
        "rate_limited",
        "ratelimited",
        "request_timeout",
        "service_unavailable",
        "team_added_to_org",
    }
)
_TOKEN = "check people.slack.app_token and people.slack.bot_token"
_HINTS = {
    **dict.fromkeys(
        ("account_inactive", "invalid_auth", "not_authed", "token_expired", "token_revoked"), _TOKEN
    ),
    "not_allowed_token_type": _TOKEN,
    "channel_not_found": "check people.slack.channel, and invite the app to a private channel",
    "is_archived": "people.slack.channel is archived; name another one",
    "message_not_found": "somebody deleted the message; decide by `quell approve|reject`",
    "missing_scope": "docs/slack.md lists the scopes; add them and install the app again",
    "not_in_channel": "invite the app to people.slack.channel",
}
_MAX_DETAIL = 500


class SlackConfig(BaseModel):
    """The section `people.slack`: one app in one workspace, and the channel that it tells."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: Annotated[str, Field(min_length=1)] = "slack"
    app_token: SecretStr
    bot_token: SecretStr
    channel: Annotated[str, Field(min_length=1)]
    base_url: Annotated[str, Field(pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$")] = (
        "https://slack.com/api/"
    )
    timeout_s: Annotated[int, Field(ge=1, le=60)] = 10

    @field_validator("app_token", "bot_token")
    @classmethod
    def _is_of_its_kind(cls, token: SecretStr, info: ValidationInfo) -> SecretStr:
        prefix = _PREFIXES[info.field_name or ""]
        if not token.get_secret_value().startswith(prefix):
            raise ValueError(f"it must begin with {prefix!r}; docs/slack.md says where it is")
        return token


def web_client(config: SlackConfig) -> "AsyncWebClient":
    """A client without the SDK's retries: one of chat.postMessage would post a second message."""
    from slack_sdk.web.async_client import AsyncWebClient

    return AsyncWebClient(
        token=config.bot_token.get_secret_value(),
        base_url=config.base_url,
        timeout=config.timeout_s,
        retry_handlers=[],
        logger=silent_logger(),
    )


def silent_logger() -> logging.Logger:
    """For the SDK, whose lines hold one-time websocket addresses and whole payloads."""
    silent = logging.getLogger(f"{__name__}.sdk")
    silent.setLevel(logging.CRITICAL + 1)
    return silent


async def answer_of(method: str, request: "Awaitable[AsyncSlackResponse]") -> Mapping[str, Json]:
    """Slack's answer to a call. Raises TransientError or PermanentError, without any token."""
    import aiohttp
    from slack_sdk.errors import SlackApiError

    try:
        data = (await request).data
    except SlackApiError as error:
        raise _refusal(method, error.response) from None
    except (aiohttp.ClientError, OSError) as error:
        raise TransientError(f"no answer from Slack to {method}: {_said(error)}") from None
    except (AttributeError, TypeError, ValueError) as error:
        # How the SDK fails on bodies that aren't Slack's, say a proxy's page.
        raise TransientError(f"{method} got no answer of Slack's: {_said(error)}") from None
    if not isinstance(data, dict):
        raise TransientError(f"{method} got no answer of Slack's: no JSON object")
    return data


def _refusal(method: str, response: object) -> TransientError | PermanentError:
    """`response` is the SDK's, or aiohttp's where the body was no JSON."""
    status: int = getattr(response, "status_code", 0) or getattr(response, "status", 0)
    data = getattr(response, "data", None)
    body = data if isinstance(data, dict) else {}
    error = str(body.get("error", ""))
    said = f"Slack answered {method} with {status} {error!r}"
    if status == 429 or status >= 500 or error in _LATER or not error:
        return TransientError(said, _retry_after_s(getattr(response, "headers", {})))
    metadata = body.get("response_metadata")
    details = metadata.get("messages") if isinstance(metadata, dict) else None
    if details:
        said = f"{said} {str(details)[:_MAX_DETAIL]}"
    return PermanentError(f"{said}; {_HINTS[error]}" if error in _HINTS else said)


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    try:
        return float(headers["Retry-After"])
    except (KeyError, ValueError):
        return None


def _said(error: Exception) -> str:
    """The kind of an error: the text of some holds addresses or parts of an answer."""
    return type(error).__name__
