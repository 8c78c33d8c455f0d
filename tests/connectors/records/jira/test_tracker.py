import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from pydantic import SecretStr

from connectors.records.jira import JiraConfig, JiraTracker
from engine.errors import OutcomeUnknownError, PermanentError, QuellError, TransientError
from engine.ports.tracker import Ticket, TicketDraft
from tests.doubles.jira_server import JiraServer
from tests.doubles.server_thread import ServerThread

DRAFT = TicketDraft(
    key="incidentincidentincident12",
    title="INC-12 P1: llm-70b does not answer",
    body_markdown="# INC-12\n\n## Times\n\n| a | b |\n|---|---|\n| **c** | `d` |\n",
    severity="P1",
    service="llm-70b",
)
LABEL = "quell-incidentincidentincident12"


def config(jira: JiraServer, **changes: Any) -> JiraConfig:
    values: dict[str, Any] = {
        "url": jira.url,
        "email": jira.email,
        "token": SecretStr(jira.token),
        "project": "OPS",
    }
    return JiraConfig(**(values | changes))


@asynccontextmanager
async def tracking(jira: JiraServer, **changes: Any) -> AsyncIterator[JiraTracker]:
    tracker = JiraTracker(config(jira, **changes))
    try:
        yield tracker
    finally:
        await tracker.close()


def calls(jira: JiraServer) -> list[str]:
    return [request.call for request in jira.requests()]


async def test_a_ticket_is_an_issue_with_the_postmortem(jira: JiraServer) -> None:
    async with tracking(jira) as tracker:
        ticket = await tracker.open(DRAFT, may_exist=False)
        assert tracker.name == "jira"
    assert ticket == Ticket("OPS-1", f"{jira.url}/browse/OPS-1")
    (issue,) = jira.issues()
    assert issue.summary == "INC-12 P1: llm-70b does not answer"
    assert issue.description == "h1. INC-12\n\nh2. Times\n\n||a||b||\n|*c*|{{d}}|"
    assert issue.labels == ("quell", LABEL)
    assert calls(jira) == ["server_info", "create_issue"]
    assert jira.refusals() == ()


async def test_settings_reach_the_issue(jira: JiraServer) -> None:
    changes = {
        "url": jira.url + "/",
        "email": "",
        "project": "PM",
        "issue_type": "Postmortem",
        "labels": ("a", "b"),
        "priorities": {"P1": "Highest"},
    }
    async with tracking(jira, **changes) as tracker:
        ticket = await tracker.open(DRAFT, may_exist=False)
        await tracker.open(replace(DRAFT, severity="P2"), may_exist=False)
    assert ticket == Ticket("PM-1", f"{jira.url}/browse/PM-1")
    first, second = jira.issues()
    assert (first.project, first.issue_type, first.priority) == ("PM", "10004", "1")
    assert first.labels == ("a", "b", LABEL)
    assert second.priority == "3"
    assert jira.refusals() == ()


@pytest.mark.parametrize("deployment", ["Cloud", "Server"])
@pytest.mark.parametrize("lose", ["reply", "time"])
async def test_an_unknown_outcome_leads_to_one_issue(deployment: Any, lose: str) -> None:
    with JiraServer(deployment=deployment) as jira:
        async with tracking(jira, timeout_s=1.5) as tracker:
            hold = None
            if lose == "reply":
                jira.lose_next_reply()
            else:
                hold = jira.hold_next()
            with pytest.raises(OutcomeUnknownError):
                await tracker.open(DRAFT, may_exist=False)
            if hold is not None:
                hold.wait_until_done(10)
                hold.release()
            jira.index_now()
            ticket = await tracker.open(DRAFT, may_exist=True)
            assert await tracker.open(DRAFT, may_exist=True) == ticket
        assert ticket.key == "OPS-1"
        assert len(jira.issues()) == 1
        assert calls(jira).count("create_issue") == 1
        assert jira.refusals() == ()


async def test_another_incidents_issue_is_not_this_ones(jira: JiraServer) -> None:
    async with tracking(jira) as tracker:
        await tracker.open(replace(DRAFT, key="other"), may_exist=False)
        jira.index_now()
        ticket = await tracker.open(DRAFT, may_exist=True)
    assert ticket.key == "OPS-2"
    assert jira.refusals() == ()


async def test_the_oldest_of_several_is_the_ticket(jira: JiraServer) -> None:
    async with tracking(jira) as tracker:
        for _ in range(2):
            await tracker.open(DRAFT, may_exist=False)
        jira.index_now()
        assert (await tracker.open(DRAFT, may_exist=True)).key == "OPS-1"


@pytest.mark.parametrize(
    ("call", "status", "kind", "retry_after_s", "made"),
    [
        ("create_issue", 429, TransientError, 7.0, 0),
        ("create_issue", 500, OutcomeUnknownError, None, 0),
        ("create_issue", 503, OutcomeUnknownError, None, 0),
        ("server_info", 429, TransientError, 7.0, 0),
        ("server_info", 500, TransientError, None, 0),
        ("search", 429, TransientError, 7.0, 0),
        ("search", 502, TransientError, None, 0),
    ],
)
async def test_failures_of_jira_are_classified(
    jira: JiraServer,
    call: str,
    status: int,
    kind: type[QuellError],
    retry_after_s: float | None,
    made: int,
) -> None:
    jira.fail_next(call, status=status, retry_after=7)
    async with tracking(jira) as tracker:
        with pytest.raises(kind) as caught:
            await tracker.open(DRAFT, may_exist=call == "search")
        assert getattr(caught.value, "retry_after_s", None) == retry_after_s
        assert len(jira.issues()) == made
        assert calls(jira).count(call) == 1
        # It goes on as soon as Jira does.
        assert (await tracker.open(DRAFT, may_exist=True)).key == "OPS-1"
    assert jira.refusals() == ()


@pytest.mark.parametrize("call", ["server_info", "search"])
async def test_a_lost_answer_to_a_question_is_transient(jira: JiraServer, call: str) -> None:
    jira.lose_next_reply(call)
    async with tracking(jira) as tracker:
        with pytest.raises(TransientError):
            await tracker.open(DRAFT, may_exist=True)
    assert jira.issues() == ()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"project": "NO"}, "project: Specify a valid project", id="project"),
        pytest.param({"issue_type": "No"}, "issuetype: Specify a valid issue type", id="type"),
        pytest.param({"priorities": {"P1": "No"}}, "priority: Specify", id="priority"),
        pytest.param({"token": "s3cret"}, r"401.*records\.jira\.token", id="token"),
        pytest.param({"email": "", "token": "s3cret"}, "401", id="bearer"),
    ],
)
async def test_what_jira_refuses_is_permanent_and_says_why(
    jira: JiraServer, changes: dict[str, Any], said: str
) -> None:
    async with tracking(jira, **changes) as tracker:
        with pytest.raises(PermanentError, match=said) as caught:
            await tracker.open(DRAFT, may_exist=False)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert jira.issues() == ()


async def test_a_query_that_jira_refuses_is_permanent(jira: JiraServer) -> None:
    async with tracking(jira, project="NO") as tracker:
        with pytest.raises(PermanentError, match="The value 'NO' does not exist"):
            await tracker.open(DRAFT, may_exist=True)


async def test_an_incident_that_no_label_can_name_is_refused(jira: JiraServer) -> None:
    async with tracking(jira) as tracker:
        with pytest.raises(PermanentError, match="a label"):
            await tracker.open(replace(DRAFT, key='x" OR "1'), may_exist=True)
    assert jira.requests() == ()


async def test_nobody_listening_is_transient() -> None:
    with ExitStack() as running:
        gone = running.enter_context(JiraServer())
        async with tracking(gone) as connected, tracking(gone) as fresh:
            await connected.open(DRAFT, may_exist=False)
            running.close()
            # The connection that was open may just have carried the request: that is unknown.
            with pytest.raises((TransientError, OutcomeUnknownError)):
                await connected.open(DRAFT, may_exist=False)
            for tracker in (connected, fresh):
                with pytest.raises(TransientError):
                    await tracker.open(DRAFT, may_exist=False)


async def test_hostile_texts_arrive_as_words(jira: JiraServer) -> None:
    draft = replace(
        DRAFT,
        title="INC-12\n<!channel> *bold* {noformat}\x00 " + "x" * 300,
        body_markdown="```text\n{noformat}\nh1. *x*\n```\n" + "y" * 40_000,
    )
    async with tracking(jira) as tracker:
        await tracker.open(draft, may_exist=False)
    (issue,) = jira.issues()
    assert issue.summary.startswith("INC-12 <!channel> *bold* {noformat}\ufffd xxx")
    assert len(issue.summary) == 255
    assert issue.description.count("{noformat}") == 2
    assert "quell incidents show incidentincidentincident12" in issue.description
    assert jira.refusals() == ()


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"null", b"{}", b'{"versionNumbers": 1}'])
async def test_what_is_not_jiras_is_never_taken_for_an_issue(body: bytes) -> None:
    async def serve(request: web.Request) -> web.Response:
        if request.path.endswith("/serverInfo") and body == b"{}":
            return web.json_response({"versionNumbers": [10], "deploymentType": "Server"})
        return web.Response(body=body, content_type="application/json")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", serve)
    server = ServerThread(app, "no-jira")
    server.start()
    try:
        tracker = JiraTracker(
            JiraConfig(url=f"http://{server.address}", token=SecretStr("s3cret"), project="OPS")
        )
        with pytest.raises((TransientError, OutcomeUnknownError)):
            await tracker.open(DRAFT, may_exist=False)
        await tracker.close()
    finally:
        server.stop()


async def test_tickets_of_a_storm_are_each_made_once(jira: JiraServer) -> None:
    drafts = [replace(DRAFT, key=f"incident{number}") for number in range(20)]
    async with tracking(jira) as tracker, asyncio.TaskGroup() as group:
        opened = [group.create_task(tracker.open(d, may_exist=False)) for d in drafts]
        tickets = [await each for each in opened]
    assert len({ticket.key for ticket in tickets}) == len(drafts) == len(jira.issues())
    assert jira.refusals() == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "jira.example"},
        {"url": "https://user@jira.example"},
        {"project": "ops"},
        {"project": 'OPS" OR 1=1'},
        {"labels": ("a b",)},
        {"priorities": {"P5": "High"}},
        {"token": ""},
        {"unknown": 1},
    ],
)
def test_a_wrong_configuration_is_refused_without_its_token(changes: dict[str, Any]) -> None:
    values = {"url": "https://jira.example", "token": "s3cret", "project": "OPS"}
    JiraConfig.model_validate(values)
    with pytest.raises(ValueError, match="JiraConfig") as caught:
        JiraConfig.model_validate(values | changes)
    assert "s3cret" not in str(caught.value)


def test_the_page_configures_what_the_code_takes() -> None:
    page = (Path(__file__).parents[4] / "docs" / "jira.md").read_text()
    (block,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    JiraConfig.model_validate(yaml.safe_load(block)["records"]["jira"])
    assert [key for key in JiraConfig.model_fields if f"`{key}`" not in page] == []
