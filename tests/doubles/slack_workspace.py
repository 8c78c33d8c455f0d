"""The state behind the Slack double: channels, messages with their edits, user groups."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from tests.doubles import slack_wire as wire
from tests.doubles.slack_blocks import RefusedError, accept_blocks
from tests.doubles.traffic import JsonObject

# https://docs.slack.dev/reference/methods/chat.postMessage and chat.update
MAX_POST_TEXT = 40_000
MAX_UPDATE_TEXT = 4_000
FIRST_TS_S = 1_790_000_000


@dataclass(frozen=True, slots=True)
class Revision:
    """What a message showed for a while; `ts` is when it began to."""

    ts: str
    text: str
    blocks: tuple[JsonObject, ...]


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it is shown now, and every revision of it, the present one last."""

    channel: str
    ts: str
    revisions: tuple[Revision, ...]
    thread_ts: str | None = None
    metadata: wire.Metadata | None = None
    deleted: bool = False

    @property
    def text(self) -> str:
        return self.revisions[-1].text

    @property
    def blocks(self) -> tuple[JsonObject, ...]:
        return self.revisions[-1].blocks


@dataclass(frozen=True, slots=True)
class Ephemeral:
    """What one user alone was shown."""

    channel: str
    user: str
    text: str
    blocks: tuple[JsonObject, ...]


@dataclass(slots=True)
class Workspace:
    """One team with one installed app. Not locked: the server's Traffic guards it."""

    team_id: str = "T1"
    app_id: str = "A1"
    bot_id: str = "B1"
    bot_user: str = "UBOT"
    channels: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType({"C1": "oncall", "C2": "elsewhere"})
    )
    users: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType({"U1": "one", "U2": "two", "U3": "three"})
    )
    groups: Mapping[str, Sequence[str]] = field(
        default_factory=lambda: MappingProxyType({"S1": ("U1", "U2")})
    )
    messages: dict[tuple[str, str], Message] = field(default_factory=dict)
    ephemerals: list[Ephemeral] = field(default_factory=list)
    _ticks: int = 0

    def next_ts(self) -> str:
        """A fresh timestamp, later than every earlier one."""
        self._ticks += 1
        return f"{FIRST_TS_S + self._ticks}.{self._ticks:06d}"

    def identity(self, _: wire.Nothing) -> wire.Identity:
        return wire.Identity(
            url="https://workspace.slack.example/",
            team="workspace",
            user="quell",
            team_id=self.team_id,
            user_id=self.bot_user,
            bot_id=self.bot_id,
            is_enterprise_install=False,
        )

    def post(self, asked: wire.PostMessage) -> wire.Posted:
        channel = self._channel_by_id_or_name(asked.channel)
        if asked.thread_ts is not None and (channel, asked.thread_ts) not in self.messages:
            raise RefusedError("cannot_reply_to_message")
        revision = self._revision(asked, MAX_POST_TEXT)
        message = Message(channel, revision.ts, (revision,), asked.thread_ts, asked.metadata)
        self.messages[channel, message.ts] = message
        return wire.Posted(channel=channel, ts=message.ts, message=self.stored(message))

    def update(self, asked: wire.UpdateMessage) -> wire.Updated:
        self._known_channel(asked.channel)
        shown = self.message(asked.channel, asked.ts)
        if shown is None:
            raise RefusedError("message_not_found")
        if asked.blocks is None and not asked.text:
            raise RefusedError("no_text")
        # Text without blocks removes the blocks; blocks without text keep the text.
        revision = self._revision(asked, MAX_UPDATE_TEXT, kept_text=shown.text)
        message = replace(
            shown,
            revisions=(*shown.revisions, revision),
            metadata=asked.metadata or shown.metadata,
        )
        self.messages[asked.channel, asked.ts] = message
        return wire.Updated(
            channel=asked.channel, ts=asked.ts, text=revision.text, message=self.stored(message)
        )

    def whisper(self, asked: wire.PostEphemeral) -> wire.PostedEphemeral:
        channel = self._channel_by_id_or_name(asked.channel)
        if asked.user not in self.users:
            raise RefusedError("user_not_in_channel")
        revision = self._revision(asked, MAX_POST_TEXT)
        self.ephemerals.append(Ephemeral(channel, asked.user, revision.text, revision.blocks))
        return wire.PostedEphemeral(message_ts=revision.ts)

    def users_of_group(self, asked: wire.UsersOfGroup) -> wire.GroupUsers:
        if asked.usergroup not in self.groups:
            raise RefusedError("no_such_subteam")
        return wire.GroupUsers(users=list(self.groups[asked.usergroup]))

    def reply_to_action(
        self, asked: wire.ReplyToAction, channel: str, ts: str, user: str
    ) -> wire.Done:
        """What a post to a response_url does to the message that was clicked."""
        if asked.delete_original:
            self.messages[channel, ts] = replace(self.messages[channel, ts], deleted=True)
        elif asked.replace_original:
            self.update(
                wire.UpdateMessage(channel=channel, ts=ts, text=asked.text, blocks=asked.blocks)
            )
        elif asked.response_type == "in_channel":
            self.post(wire.PostMessage(channel=channel, text=asked.text, blocks=asked.blocks))
        else:
            self.whisper(
                wire.PostEphemeral(channel=channel, user=user, text=asked.text, blocks=asked.blocks)
            )
        return wire.Done()

    def message(self, channel: str, ts: str) -> Message | None:
        """The message that people see there; None where it never was or is deleted."""
        found = self.messages.get((channel, ts))
        return None if found is None or found.deleted else found

    def stored(self, message: Message) -> wire.StoredMessage:
        """The message as Slack's answers and payloads carry it."""
        edited = message.revisions[-1].ts if len(message.revisions) > 1 else None
        return wire.StoredMessage(
            user=self.bot_user,
            bot_id=self.bot_id,
            app_id=self.app_id,
            team=self.team_id,
            text=message.text,
            ts=message.ts,
            bot_profile=wire.BotProfile(
                id=self.bot_id,
                app_id=self.app_id,
                name="quell",
                updated=FIRST_TS_S,
                deleted=False,
                team_id=self.team_id,
            ),
            blocks=list(message.blocks) or None,
            thread_ts=message.thread_ts,
            edited=wire.Edited(user=self.bot_user, ts=edited) if edited else None,
            metadata=message.metadata,
        )

    def _revision(
        self, asked: wire.Content, max_text: int, kept_text: str | None = None
    ) -> Revision:
        if not asked.text and not asked.blocks and kept_text is None:
            raise RefusedError("no_text")
        text = (asked.text or "") if kept_text is None or asked.text is not None else kept_text
        if len(text) > max_text:
            raise RefusedError("msg_too_long")
        blocks = accept_blocks(asked.blocks) if asked.blocks else []
        return Revision(self.next_ts(), text, tuple(blocks))

    def _channel_by_id_or_name(self, name: str) -> str:
        if name in self.channels:
            return name
        for channel, shown in self.channels.items():
            if shown == name.removeprefix("#"):
                return channel
        raise RefusedError("channel_not_found")

    def _known_channel(self, channel: str) -> None:
        if channel not in self.channels:
            raise RefusedError("channel_not_found")


@dataclass(frozen=True, slots=True)
class Method:
    """One Web API method: what it takes and what answers it."""

    request: type[wire.Wire]
    answer: Callable[..., wire.Wire]
    token: str
    http_verbs: frozenset[str] = frozenset({"POST"})


def methods(workspace: Workspace) -> dict[str, Method]:
    """The Web API methods that need the bot's token; `token` is the prefix that it must have."""
    either = frozenset({"GET", "POST"})
    return {
        "auth.test": Method(wire.Nothing, workspace.identity, "xoxb-", either),
        "chat.postMessage": Method(wire.PostMessage, workspace.post, "xoxb-"),
        "chat.update": Method(wire.UpdateMessage, workspace.update, "xoxb-"),
        "chat.postEphemeral": Method(wire.PostEphemeral, workspace.whisper, "xoxb-"),
        "usergroups.users.list": Method(
            wire.UsersOfGroup, workspace.users_of_group, "xoxb-", either
        ),
    }
