"""What every tracker keeps: the suite of the Tracker port, over each implementation."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace

import pytest
from pydantic import SecretStr

from connectors.records.jira import JiraConfig, JiraTracker
from engine.errors import OutcomeUnknownError, TransientError
from engine.ports.tracker import TicketDraft, Tracker
from tests.doubles.jira_server import JiraServer

DRAFT = TicketDraft(
    key="incidentincidentincident12",
    title="INC-12 P1: llm-70b does not answer",
    body_markdown="# INC-12\n\nRestarted.\n",
    severity="P1",
    service="llm-70b",
)


@dataclass(frozen=True)
class Desk:
    """A tracker, the titles and texts of its tickets, and ways to make its next create go wrong."""

    tracker: Tracker
    tickets: Callable[[], list[tuple[str, str]]]
    refuse_next: Callable[[], None]
    lose_next_answer: Callable[[], None]
    settle: Callable[[], None]


@asynccontextmanager
async def jira_desk() -> AsyncIterator[Desk]:
    with JiraServer() as jira:
        tracker = JiraTracker(
            JiraConfig(url=jira.url, email=jira.email, token=SecretStr(jira.token), project="OPS")
        )
        yield Desk(
            tracker,
            lambda: [(issue.summary, issue.description) for issue in jira.issues()],
            lambda: jira.fail_next("create_issue"),
            lambda: jira.lose_next_reply("create_issue"),
            jira.index_now,
        )
        await tracker.close()
        assert jira.refusals() == ()


DESKS: dict[str, Callable[[], AbstractAsyncContextManager[Desk]]] = {"jira": jira_desk}
each_desk = pytest.mark.parametrize("make", DESKS.values(), ids=DESKS)


@each_desk
async def test_a_ticket_holds_the_draft(
    make: Callable[[], AbstractAsyncContextManager[Desk]],
) -> None:
    async with make() as desk:
        ticket = await desk.tracker.open(DRAFT, may_exist=False)
        ((title, text),) = desk.tickets()
        assert title == DRAFT.title
        assert "Restarted." in text
        assert ticket.url.endswith(ticket.key)


@each_desk
async def test_a_lost_answer_is_unknown_and_ends_in_one_ticket(
    make: Callable[[], AbstractAsyncContextManager[Desk]],
) -> None:
    async with make() as desk:
        desk.lose_next_answer()
        with pytest.raises(OutcomeUnknownError):
            await desk.tracker.open(DRAFT, may_exist=False)
        desk.settle()
        found = await desk.tracker.open(DRAFT, may_exist=True)
        assert await desk.tracker.open(DRAFT, may_exist=True) == found
        assert len(desk.tickets()) == 1


@each_desk
async def test_a_refusal_for_now_is_transient_and_makes_nothing(
    make: Callable[[], AbstractAsyncContextManager[Desk]],
) -> None:
    async with make() as desk:
        desk.refuse_next()
        with pytest.raises(TransientError):
            await desk.tracker.open(DRAFT, may_exist=False)
        assert desk.tickets() == []
        await desk.tracker.open(DRAFT, may_exist=True)
        assert len(desk.tickets()) == 1


@each_desk
async def test_two_incidents_have_two_tickets(
    make: Callable[[], AbstractAsyncContextManager[Desk]],
) -> None:
    async with make() as desk:
        keys = {
            (await desk.tracker.open(replace(DRAFT, key=key), may_exist=True)).key
            for key in ("one", "two")
        }
        assert len(keys) == len(desk.tickets()) == 2
