"""The Notifier over Slack: posts an incident's message once, then edits it in place."""

from connectors.people.slack.message import message_of
from connectors.people.slack.web_api import SlackConfig, answer_of, web_client
from engine.core.incident_view import IncidentView
from engine.errors import PermanentError, TransientError


class SlackNotifier:
    """One message per incident in the configured channel."""

    def __init__(self, config: SlackConfig) -> None:
        self._config = config
        self._web = web_client(config)

    @property
    def name(self) -> str:
        """See Notifier."""
        return self._config.name

    async def show(self, view: IncidentView, ref: str) -> str:
        """See Notifier; the reference is `channel/ts`, with the channel's id.

        A post whose answer was lost is transient: the caller posts again, and the channel may
        then hold two messages for one incident. Slack offers no remedy: chat.postMessage takes
        no idempotency key, and looking for the first one needs a scope to read the channel.
        Telling twice beats not telling. The older message stays as it is; its buttons carry the
        same approval, which is decided once, and a later click is told who decided.
        """
        message = message_of(view)
        if not ref:
            posted = await answer_of(
                "chat.postMessage",
                self._web.chat_postMessage(
                    channel=self._config.channel,
                    text=message.text,
                    blocks=message.blocks,
                    unfurl_links=False,
                    unfurl_media=False,
                ),
            )
            channel, ts = posted.get("channel"), posted.get("ts")
            if not (isinstance(channel, str) and isinstance(ts, str)):
                raise TransientError("chat.postMessage was answered without channel and ts")
            return f"{channel}/{ts}"
        channel, _, ts = ref.partition("/")
        if not (channel and ts):
            raise PermanentError(f"{ref!r} is no reference of a Slack message (channel/ts)")
        # Text alone would remove the blocks, and blocks alone would keep the old text.
        await answer_of(
            "chat.update",
            self._web.chat_update(channel=channel, ts=ts, text=message.text, blocks=message.blocks),
        )
        return ref
