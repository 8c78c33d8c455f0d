"""What every notifier keeps: the suite of the Notifier port, over each implementation."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from connectors.people.slack import SlackConfig, SlackNotifier
from engine.core.incident_view import ApprovalView, IncidentView
from engine.errors import TransientError
from engine.ports.notifier import Notifier
from tests.doubles.slack_server import SlackServer

APPROVAL = ApprovalView(
    id="a1",
    plan_hash="h1",
    commands=("ssh gpu-07: sudo systemctl restart vllm",),
    rollback=(),
    verification=("llm.complete gpu-07 until result.ok",),
    ask=("role:oncall",),
    expires_at=datetime(2026, 3, 1, 12, 10, tzinfo=UTC),
)
VIEW = IncidentView(
    incident_id="i12",
    name="INC-12",
    severity="P1",
    status="open",
    phase="awaiting_approval",
    title="llm-70b does not answer",
    rule_id="vllm-not-answering",
    service="llm-70b",
    environment="production",
    mode="approve",
    mode_decided_by="rule vllm-not-answering",
    evidence=(),
    lines=(),
    outcome="",
    outcome_reason="",
    ticket_url="",
    approval=APPROVAL,
    revision=4,
)


@dataclass(frozen=True)
class Surface:
    """A notifier, all that people see of it (a text a message), and a way to make it fail once."""

    notifier: Notifier
    seen: Callable[[], list[str]]
    fail_next: Callable[[], None]


@contextmanager
def slack_surface() -> Iterator[Surface]:
    with SlackServer() as slack:
        config = SlackConfig(
            app_token=SecretStr(slack.app_token),
            bot_token=SecretStr(slack.bot_token),
            channel="C1",
            base_url=slack.base_url,
        )

        def fail_next() -> None:
            for method in ("chat.postMessage", "chat.update"):
                slack.fail_next(method, status=503)

        yield Surface(
            SlackNotifier(config),
            lambda: [message.text + repr(message.blocks) for message in slack.messages("C1")],
            fail_next,
        )
        assert slack.refusals() == ()


SURFACES = {"slack": slack_surface}


@pytest.fixture(params=list(SURFACES))
def surface(request: pytest.FixtureRequest) -> Iterator[Surface]:
    with SURFACES[request.param]() as made:
        yield made


async def test_an_incident_has_one_message_that_is_updated(surface: Surface) -> None:
    ref = await surface.notifier.show(VIEW, "")
    assert ref
    ended = replace(VIEW, status="resolved", phase="idle", outcome="succeeded")
    assert await surface.notifier.show(ended, ref) == ref
    (seen,) = surface.seen()
    assert "INC-12" in seen
    assert "succeeded" in seen
    assert APPROVAL.commands[0] in seen
    assert "awaiting approval" not in seen


async def test_two_incidents_have_two_messages(surface: Surface) -> None:
    refs = {
        await surface.notifier.show(replace(VIEW, name=name), "") for name in ("INC-1", "INC-2")
    }
    assert len(refs) == len(surface.seen()) == 2


async def test_an_approver_sees_severity_commands_verification_and_who(surface: Surface) -> None:
    await surface.notifier.show(VIEW, "")
    (seen,) = surface.seen()
    for needed in ("P1", VIEW.title, *APPROVAL.commands, *APPROVAL.verification, "role:oncall"):
        assert needed in seen


@pytest.mark.parametrize("ref", [False, True], ids=["first", "update"])
async def test_a_failing_vendor_is_transient_and_leaves_what_was(
    surface: Surface, ref: bool
) -> None:
    shown = await surface.notifier.show(VIEW, "")
    before = surface.seen()
    surface.fail_next()
    with pytest.raises(TransientError):
        await surface.notifier.show(replace(VIEW, outcome="failed"), shown if ref else "")
    assert surface.seen() == before
