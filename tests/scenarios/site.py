"""Everything around one endpoint: what watches it, the quell that mends it, people and records."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import yaml

from tests.doubles.jira_server import JiraServer
from tests.doubles.slack_blocks import buttons
from tests.doubles.slack_server import SlackServer
from tests.doubles.slack_workspace import Message
from tests.scenarios.endpoint import Endpoint
from tests.scenarios.quell import Quell
from tests.services.process import wait_until
from tests.services.prometheus import Prometheus

FILES = Path(__file__).parent / "files"
CHANNEL = "C1"
# Users of the double's workspace: one may approve, the other may not.
ONCALL, STRANGER = "U1", "U3"
APPROVE, REJECT = "quell_approve", "quell_reject"
WEBHOOK_TOKEN = "webhook-token"
DEADLINE_S = 30.0

Watchers = Literal["prometheus and alertmanager", "prometheus alone"]


@dataclass(frozen=True, slots=True)
class Site:
    """What a story works with; the fixture `start_site` makes it."""

    endpoint: Endpoint
    quell: Quell
    slack: SlackServer
    jira: JiraServer

    def start_quell(self) -> None:
        """Start quell, or start it again, and wait until it hears what people click."""
        before = set(self.slack.connections())
        self.quell.start()
        wait_until(lambda: bool(set(self.slack.connections()) - before), "quell hears Slack")

    def asked(self) -> Message:
        """The message that asks for approval, once its buttons are there."""
        self.slack.wait_for(lambda: self._find(asks=True), DEADLINE_S)
        return self.only_message()

    def told(self, *texts: str) -> Message:
        """The message, once it shows all of these texts and no button any more."""
        self.slack.wait_for(lambda: self._find(*texts, asks=False), DEADLINE_S)
        return self.only_message()

    def only_message(self) -> Message:
        (message,) = self.slack.messages(CHANNEL)
        return message

    def _find(self, *texts: str, asks: bool) -> Message | None:
        for message in self.slack.messages(CHANNEL):
            shown = text_of(message)
            if has_buttons(message) == asks and all(text in shown for text in texts):
                return message
        return None


class StartSite(Protocol):
    """What the `start_site` fixture gives; quell ends with the test.

    `more` are sections of quell.yaml. Alone, Prometheus names quell as its Alertmanager.
    """

    def __call__(
        self,
        *,
        watchers: Watchers = "prometheus alone",
        environment: str = "staging",
        more: Mapping[str, object] | None = None,
    ) -> Site: ...


class Watch(Protocol):
    """What the `watch` fixture gives: a Prometheus over the endpoint, whose alerts reach quell."""

    def __call__(self, quell_address: str, watchers: Watchers) -> Prometheus: ...


def text_of(message: Message) -> str:
    """All that the message shows, in one string."""
    return json.dumps(message.blocks, ensure_ascii=False)


def has_buttons(message: Message) -> bool:
    return any(True for _ in buttons(list(message.blocks)))


def sections(
    folder: Path, inventory: Mapping[str, object], slack: SlackServer, jira: JiraServer
) -> dict[str, Any]:
    """quell.yaml of a team that wrote its own rules and playbooks; secrets are in files."""

    def secret(name: str, value: str) -> str:
        (folder / name).write_text(value)
        return f"${{file:{folder / name}}}"

    (folder / "inventory.yaml").write_text(yaml.safe_dump(dict(inventory)))
    return {
        "rules_dir": str(FILES / "rules"),
        "playbooks_dir": str(FILES / "playbooks"),
        "commands": str(FILES / "commands.yaml"),
        "inventory": "inventory.yaml",
        "sources": {
            "alertmanager": {
                "uses": "alertmanager",
                "bearer": [secret("webhook-token", WEBHOOK_TOKEN)],
            }
        },
        "people": {
            "roles": {"oncall": [f"slack:T1/{ONCALL}"]},
            "slack": {
                "app_token": secret("slack-app-token", slack.app_token),
                "bot_token": secret("slack-bot-token", slack.bot_token),
                "channel": CHANNEL,
                "base_url": slack.base_url,
            },
        },
        "records": {
            "jira": {
                "url": jira.url,
                "email": jira.email,
                "token": secret("jira-token", jira.token),
                "project": "OPS",
            }
        },
    }
