"""Clicks through the real Socket Mode client, from the double's button to the acknowledgement."""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from connectors.people.slack import SlackApprover, SlackNotifier
from engine.errors import TransientError
from engine.ports.notifier import Click
from tests.connectors.people.slack.views import APPROVAL, config, view
from tests.doubles.server_thread import ServerThread
from tests.doubles.slack_server import SlackServer
from tests.doubles.slack_sockets import NotConnectedError
from tests.doubles.slack_workspace import Message, Workspace

DEADLINE_S = 10.0
CLICKS = 200
# A person presses again when nothing came for so long.
PATIENCE_S = 6.0
PEOPLE = [f"U{number}" for number in range(1, 11)]

Decide = Callable[[Click], Awaitable[str]]


@asynccontextmanager
async def listening(slack: SlackServer, decide: Decide) -> AsyncIterator[None]:
    """A listener until the end of the block; it must leave no task behind."""
    before = asyncio.all_tasks()
    async with asyncio.TaskGroup() as group:
        listener = group.create_task(SlackApprover(config(slack)).listen(decide))
        try:
            await until(slack, slack.connections)
            yield
        finally:
            listener.cancel()
    left = {task for task in asyncio.all_tasks() - before if not task.done()}
    assert left == set()


async def until(slack: SlackServer, predicate: Callable[[], object]) -> None:
    await asyncio.to_thread(slack.wait_for, predicate, DEADLINE_S)


async def posted(slack: SlackServer) -> Message:
    await SlackNotifier(config(slack)).show(view(), "")
    return slack.messages("C1")[0]


async def click(slack: SlackServer, message: Message, action: str = "quell_approve") -> None:
    await asyncio.to_thread(slack.click, message, action, "U1", DEADLINE_S)


def envelope(number: str, **changes: Any) -> dict[str, Any]:
    return {"envelope_id": number, "type": "interactive", "payload": {}} | changes


async def push(slack: SlackServer, frame: dict[str, Any]) -> None:
    """Send a frame that no person's click makes."""
    sockets = slack._sockets

    async def send() -> None:
        from tests.doubles.slack_sockets import Delivery

        connection = sockets.live()[0]
        sockets._deliveries[frame["envelope_id"]] = Delivery(connection.number)
        await connection.socket.send_json(frame)

    await asyncio.to_thread(slack._server.run, send(), DEADLINE_S)


def acknowledged(slack: SlackServer, number: str) -> Callable[[], object]:
    return lambda: slack._sockets.latency_s(number) is not None


@pytest.mark.parametrize(
    ("action", "decision"), [("quell_approve", "approved"), ("quell_reject", "rejected")]
)
async def test_a_click_is_decided_acknowledged_and_answered(
    slack: SlackServer, action: str, decision: str
) -> None:
    heard: list[Click] = []

    async def decide(click: Click) -> str:
        heard.append(click)
        return "Noted <!channel>."

    message = await posted(slack)
    async with listening(slack, decide):
        await click(slack, message, action)
        await until(slack, slack.ephemerals)
    (one,) = heard
    assert (one.approval_id, one.plan_hash) == (APPROVAL.id, APPROVAL.plan_hash)
    assert (one.decision, one.actor, one.via) == (decision, "slack:T1/U1", "slack")
    (whisper,) = slack.ephemerals()
    assert (whisper.channel, whisper.user) == ("C1", "U1")
    assert whisper.text == "Noted &lt;!channel&gt;."
    assert slack.refusals() == ()


async def test_nothing_is_acknowledged_before_it_is_durable(slack: SlackServer) -> None:
    asked, durable = asyncio.Event(), asyncio.Event()

    async def decide(click: Click) -> str:
        asked.set()
        await durable.wait()
        return "ok"

    message = await posted(slack)
    async with listening(slack, decide), asyncio.TaskGroup() as group:
        clicking = group.create_task(click(slack, message))
        await asked.wait()
        # Frames keep their order: an acknowledgement would be there before the pong.
        await asyncio.to_thread(slack.ping, DEADLINE_S)
        assert not any(request.call == "socket-mode" for request in slack.requests())
        assert not clicking.done()
        durable.set()
    assert slack.refusals() == ()


async def test_an_undecided_click_stays_open_and_another_one_goes_through(
    slack: SlackServer,
) -> None:
    answers: list[Exception | str] = [
        TransientError("the store is away"),
        RuntimeError("a mistake"),
        "ok",
    ]

    async def decide(click: Click) -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    message = await posted(slack)
    with capture_logs() as logged:
        async with listening(slack, decide):
            for _ in range(2):
                with pytest.raises(TimeoutError):
                    await asyncio.to_thread(slack.click, message, "quell_approve", "U1", 0.3)
            await click(slack, message)
    events = [entry["event"] for entry in logged]
    assert [event for event in events if event.startswith("slack_click")] == [
        "slack_click_undecided",
        "slack_click_failed",
    ]
    assert slack.refusals() == ()


async def test_the_same_envelope_twice_is_decided_and_acknowledged_twice(
    slack: SlackServer,
) -> None:
    heard: list[Click] = []

    async def decide(click: Click) -> str:
        heard.append(click)
        return "ok"

    message = await posted(slack)
    async with listening(slack, decide):
        again = slack._envelope(message, "quell_approve", "U1")
        for _ in range(2):
            await asyncio.to_thread(slack._server.run, slack._sockets.deliver(again), DEADLINE_S)
            await until(slack, acknowledged(slack, again.envelope_id))
    assert heard[0] == heard[1]
    assert slack.refusals() == ()


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(envelope("x", type="events_api"), id="another kind"),
        pytest.param(envelope("x", payload=7), id="payload is a number"),
        pytest.param({"envelope_id": "x"}, id="nothing but an id"),
        pytest.param(envelope("x", payload={"type": "block_actions", "actions": 1}), id="no list"),
    ],
)
async def test_what_is_not_understood_is_acknowledged_and_ignored(
    slack: SlackServer, frame: dict[str, Any]
) -> None:
    async def decide(click: Click) -> str:
        raise AssertionError("there is nothing to decide")

    async with listening(slack, decide):
        await push(slack, frame)
        await until(slack, acknowledged(slack, "x"))
    assert slack.refusals() == ()
    assert slack.ephemerals() == ()


async def test_a_failed_whisper_harms_nothing(slack: SlackServer) -> None:
    async def decide(click: Click) -> str:
        return "ok"

    message = await posted(slack)
    slack.fail_next("chat.postEphemeral", status=500)
    async with listening(slack, decide):
        await click(slack, message)
        await click(slack, message)
        await until(slack, slack.ephemerals)
    assert len(slack.ephemerals()) == 1
    assert slack.refusals() == ()


@pytest.mark.parametrize("leave", [SlackServer.disconnect_all, SlackServer.cut_all])
async def test_it_comes_back_by_itself(
    slack: SlackServer, leave: Callable[[SlackServer], None]
) -> None:
    async def decide(click: Click) -> str:
        return "ok"

    message = await posted(slack)
    async with listening(slack, decide):
        first = slack.connections()
        slack.fail_next("apps.connections.open", status=500)
        await asyncio.to_thread(leave, slack)
        await until(slack, lambda: slack.connections() and slack.connections() != first)
        await eventually_clicked(slack, message)
    assert slack.refusals() == ()


async def eventually_clicked(slack: SlackServer, message: Message) -> None:
    """A person who presses again where nothing happens: a websocket may just be replaced."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            try:
                await asyncio.to_thread(slack.click, message, "quell_approve", "U1", 2.0)
                return
            except (TimeoutError, NotConnectedError):
                continue


async def test_it_waits_for_a_slack_that_refuses(slack: SlackServer) -> None:
    async def decide(click: Click) -> str:
        return "ok"

    slack.fail_next("apps.connections.open", status=429, retry_after=0)
    with capture_logs() as logged:
        async with listening(slack, decide):
            pass
    assert "slack_unreachable" in [entry["event"] for entry in logged]


async def test_a_wrong_token_is_said_and_ends_nothing(slack: SlackServer) -> None:
    async def decide(click: Click) -> str:
        return "ok"

    approver = SlackApprover(config(slack, app_token="xapp-stale"))
    with capture_logs() as logged:
        async with asyncio.TaskGroup() as group:
            listener = group.create_task(approver.listen(decide))
            await until(slack, slack.refusals)
            async with asyncio.timeout(DEADLINE_S):
                while not logged:
                    await asyncio.sleep(0.01)
            assert not listener.done()
            listener.cancel()
    (entry,) = logged
    assert (entry["event"], entry["log_level"]) == ("slack_refused", "error")
    assert "app_token" in entry["error"]
    assert "xapp-stale" not in repr(logged)


async def test_cancelling_does_not_wait_for_a_click_that_hangs(slack: SlackServer) -> None:
    asked = threading.Event()

    async def decide(click: Click) -> str:
        asked.set()
        await asyncio.Event().wait()
        return "never"

    message = await posted(slack)
    with ThreadPoolExecutor(1) as person:
        async with listening(slack, decide):
            person.submit(slack.click, message, "quell_approve", "U1", 0.1)
            assert await asyncio.to_thread(asked.wait, DEADLINE_S)


async def test_a_websocket_that_never_says_goodbye_leaves_nothing_behind(
    slack: SlackServer,
) -> None:
    closing = asyncio.Event()

    async def link(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await closing.wait()
        return socket

    async def decide(click: Click) -> str:
        return "ok"

    async def opened(request: web.Request) -> web.Response:
        return web.json_response({"ok": True, "url": f"ws://{request.host}/link"})

    app = web.Application()
    app.router.add_get("/link", link)
    app.router.add_post("/api/apps.connections.open", opened)
    server = ServerThread(app, "silent-slack")
    server.start()
    before = asyncio.all_tasks()
    approver = SlackApprover(config(slack, base_url=f"http://{server.address}/api/"))
    try:
        with capture_logs() as logged:
            async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
                listener = group.create_task(approver.listen(decide))
                while not logged:
                    await asyncio.sleep(0.01)
                listener.cancel()
        assert [entry["event"] for entry in logged] == ["slack_connected"]
        assert {task for task in asyncio.all_tasks() - before if not task.done()} == set()
    finally:
        server.stop()


async def test_two_hundred_clicks_of_ten_people_are_all_decided_then_acknowledged() -> None:
    decided: Counter[str] = Counter()
    refused_once: set[str] = set()

    async def decide(click: Click) -> str:
        # Each person's first click meets a store that is away; they press again.
        if click.actor not in refused_once:
            refused_once.add(click.actor)
            raise TransientError("the store is away")
        await asyncio.sleep(0.01)
        decided[click.actor] += 1
        return "ok"

    workspace = Workspace(users={user: user.lower() for user in PEOPLE})
    with SlackServer(workspace) as slack, ThreadPoolExecutor(CLICKS) as people:
        message = await posted(slack)

        def press(user: str) -> float:
            while True:
                try:
                    return slack.click(message, "quell_approve", user, PATIENCE_S).latency_s
                except TimeoutError:
                    continue

        async with listening(slack, decide):
            loop = asyncio.get_running_loop()
            presses = [
                loop.run_in_executor(people, press, PEOPLE[number % len(PEOPLE)])
                for number in range(CLICKS)
            ]
            latencies_s = [await press for press in presses]
            await until(slack, lambda: len(slack.ephemerals()) == CLICKS)
        assert len(refused_once) == len(PEOPLE)
        assert decided == {f"slack:T1/{user}": CLICKS // len(PEOPLE) for user in PEOPLE}
        assert max(latencies_s) < 3.0
        assert slack.refusals() == ()
