"""The Slack double, driven by the real slack_sdk."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from inspect import signature
from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from tests.doubles import slack_wire as wire
from tests.doubles.slack_server import Ack, ButtonMissingError, SlackServer
from tests.doubles.slack_sockets import NotConnectedError
from tests.doubles.slack_workspace import Message, Workspace
from tests.doubles.traffic import JsonObject

DEADLINE_S = 5.0


def button(action_id: str = "approve", value: str = "v1", **members: Any) -> JsonObject:
    text = {"type": "plain_text", "text": action_id.title()}
    return {"type": "button", "action_id": action_id, "text": text, "value": value, **members}


def actions(*elements: JsonObject) -> JsonObject:
    return {"type": "actions", "block_id": "decision", "elements": list(elements)}


def section(text: str, **members: Any) -> JsonObject:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}, **members}


CARD = [
    {"type": "header", "text": {"type": "plain_text", "text": "P1 llm-70b"}},
    section("*restart-unit* `systemctl restart vllm`"),
    {"type": "context", "elements": [{"type": "mrkdwn", "text": "expires in 10 min"}]},
    actions(button("approve", style="primary"), button("reject", style="danger")),
]


def web_client(slack: SlackServer, token: str | None = None) -> AsyncWebClient:
    return AsyncWebClient(
        token=token or slack.bot_token, base_url=slack.base_url, retry_handlers=[]
    )


async def post_card(slack: SlackServer) -> Message:
    await web_client(slack).chat_postMessage(channel="C1", text="P1", blocks=CARD)
    return slack.messages("C1")[-1]


async def refused(call: Any) -> JsonObject:
    with pytest.raises(SlackApiError) as caught:
        await call
    assert isinstance(caught.value.response.data, dict)
    return caught.value.response.data


@asynccontextmanager
async def app_connected(
    slack: SlackServer, *, acknowledges: bool = True
) -> AsyncIterator[list[SocketModeRequest]]:
    """The real Socket Mode client, collecting what it is sent."""
    received: list[SocketModeRequest] = []

    async def listen(client: Any, request: SocketModeRequest) -> None:
        received.append(request)
        if acknowledges:
            await client.send_socket_mode_response(SocketModeResponse(request.envelope_id))

    client = SocketModeClient(slack.app_token, web_client=web_client(slack), ping_interval=0.2)
    client.socket_mode_request_listeners.append(listen)
    async with asyncio.timeout(DEADLINE_S):
        await client.connect()  # type: ignore[no-untyped-call]
    await asyncio.to_thread(slack.wait_for, slack.connections, DEADLINE_S)
    try:
        yield received
    finally:
        await client.close()  # type: ignore[no-untyped-call]


async def click(slack: SlackServer, message: Message, action: str, user: str = "U1") -> Ack:
    return await asyncio.to_thread(slack.click, message, action, user)


async def test_the_bot_learns_who_it_is(slack: SlackServer) -> None:
    answer = await web_client(slack).auth_test()
    assert (answer["team_id"], answer["user_id"], answer["bot_id"]) == ("T1", "UBOT", "B1")


async def test_a_posted_message_is_seen_with_its_blocks(slack: SlackServer) -> None:
    answer = await web_client(slack).chat_postMessage(channel="#oncall", text="P1", blocks=CARD)
    (message,) = slack.messages("C1")
    assert (answer["channel"], answer["ts"]) == ("C1", message.ts)
    assert message.text == "P1"
    assert message.blocks[0]["text"]["text"] == "P1 llm-70b"
    assert all(block["block_id"] for block in message.blocks)
    assert slack.messages("C2") == ()
    assert slack.refusals() == ()


async def test_a_form_is_taken_like_json(slack: SlackServer) -> None:
    form = {"channel": "C1", "text": "x", "blocks": json.dumps(CARD), "unfurl_links": "0"}
    await web_client(slack).api_call("chat.postMessage", data=form)
    assert len(slack.messages("C1")[0].blocks) == len(CARD)


async def test_an_edit_keeps_what_was_shown_before(slack: SlackServer) -> None:
    message = await post_card(slack)
    client = web_client(slack)
    await client.chat_update(channel="C1", ts=message.ts, text="approved", blocks=CARD[:2])
    await client.chat_update(channel="C1", ts=message.ts, text="done")
    (edited,) = slack.messages("C1")
    assert [revision.text for revision in edited.revisions] == ["P1", "approved", "done"]
    assert [len(revision.blocks) for revision in edited.revisions] == [4, 2, 0]
    assert edited.ts == message.ts


async def test_a_whisper_is_seen_by_one_user(slack: SlackServer) -> None:
    await web_client(slack).chat_postEphemeral(channel="C1", user="U2", text="not you")
    (whisper,) = slack.ephemerals()
    assert (whisper.user, whisper.text, slack.messages("C1")) == ("U2", "not you", ())


async def test_a_user_group_lists_its_users(slack: SlackServer) -> None:
    client = web_client(slack)
    assert (await client.usergroups_users_list(usergroup="S1"))["users"] == ["U1", "U2"]
    answer = await refused(client.usergroups_users_list(usergroup="S9"))
    assert answer["error"] == "no_such_subteam"


REFUSED_CALLS = [
    pytest.param(
        "chat.postMessage", {"channel": "C9", "text": "x"}, "channel_not_found", id="channel"
    ),
    pytest.param("chat.postMessage", {"channel": "C1"}, "no_text", id="nothing to show"),
    pytest.param("chat.postMessage", {"text": "x"}, "invalid_arguments", id="no channel"),
    pytest.param(
        "chat.postMessage",
        {"channel": "C1", "text": "x", "colour": "red"},
        "invalid_arguments",
        id="unknown argument",
    ),
    pytest.param(
        "chat.postMessage", {"channel": "C1", "text": "x" * 40_001}, "msg_too_long", id="long text"
    ),
    pytest.param(
        "chat.postMessage",
        {"channel": "C1", "text": "x", "thread_ts": "1790000099.000099"},
        "cannot_reply_to_message",
        id="thread without a root",
    ),
    pytest.param(
        "chat.update",
        {"channel": "C1", "ts": "1790000099.000099", "text": "x"},
        "message_not_found",
        id="update of nothing",
    ),
    pytest.param(
        "chat.postEphemeral",
        {"channel": "C1", "user": "U9", "text": "x"},
        "user_not_in_channel",
        id="unknown user",
    ),
    pytest.param("chat.scream", {"channel": "C1"}, "unknown_method", id="unknown method"),
]


@pytest.mark.parametrize(("method", "arguments", "error"), REFUSED_CALLS)
async def test_a_wrong_call_is_refused_and_remembered(
    slack: SlackServer, method: str, arguments: JsonObject, error: str
) -> None:
    answer = await refused(web_client(slack).api_call(method, json=dict(arguments)))
    assert answer["error"] == error
    (refusal,) = slack.refusals()
    assert (refusal.request.call, refusal.answer["error"]) == (method, error)
    assert slack.messages("C1") == ()


@pytest.mark.parametrize(
    ("token", "method", "error"),
    [
        ("", "auth.test", "not_authed"),
        ("xoxb-stale", "auth.test", "invalid_auth"),
        ("xapp-double", "auth.test", "not_allowed_token_type"),
        ("xoxb-double", "apps.connections.open", "not_allowed_token_type"),
    ],
)
async def test_a_wrong_token_is_refused(
    slack: SlackServer, token: str, method: str, error: str
) -> None:
    client = AsyncWebClient(token=token, base_url=slack.base_url)
    assert (await refused(client.api_call(method)))["error"] == error


async def test_the_app_is_told_where_its_blocks_are_wrong(slack: SlackServer) -> None:
    call = web_client(slack).chat_postMessage(channel="C1", text="x", blocks=[{"type": "sektion"}])
    answer = await refused(call)
    assert answer["error"] == "invalid_blocks"
    (problem,) = answer["response_metadata"]["messages"]
    assert problem == "[ERROR] unsupported type: sektion [json-pointer:/blocks/0/type]"
    assert slack.messages("C1") == ()


async def test_a_click_reaches_the_app_as_slack_sends_it(slack: SlackServer) -> None:
    message = await post_card(slack)
    async with app_connected(slack) as received:
        ack = await click(slack, message, "approve", "U2")
        await asyncio.to_thread(slack.ping, DEADLINE_S)
    (request,) = received
    assert (request.type, request.envelope_id) == ("interactive", ack.envelope_id)
    assert 0 < ack.latency_s < 3
    payload = request.payload
    assert payload["type"] == "block_actions"
    assert payload["user"] == {"id": "U2", "username": "two", "name": "two", "team_id": "T1"}
    assert payload["enterprise"] is None
    assert (payload["channel"]["id"], payload["message"]["ts"]) == ("C1", message.ts)
    (action,) = payload["actions"]
    assert {key: action[key] for key in ("type", "action_id", "block_id", "value")} == {
        "type": "button",
        "action_id": "approve",
        "block_id": "decision",
        "value": "v1",
    }
    assert slack.refusals() == ()


async def test_a_button_that_is_gone_cannot_be_clicked(slack: SlackServer) -> None:
    message = await post_card(slack)
    await web_client(slack).chat_update(channel="C1", ts=message.ts, text="x", blocks=CARD[:2])
    async with app_connected(slack):
        with pytest.raises(ButtonMissingError, match=r"no button 'approve', only \[\]"):
            await click(slack, message, "approve")


async def test_a_button_for_others_cannot_be_clicked(slack: SlackServer) -> None:
    card = [actions(button(visible_to_user_ids=["U2"]))]
    await web_client(slack).chat_postMessage(channel="C1", text="x", blocks=card)
    async with app_connected(slack):
        with pytest.raises(ButtonMissingError):
            await click(slack, slack.messages("C1")[0], "approve", "U1")
        await click(slack, slack.messages("C1")[0], "approve", "U2")


async def test_a_click_without_an_app_fails(slack: SlackServer) -> None:
    message = await post_card(slack)
    with pytest.raises(NotConnectedError):
        await click(slack, message, "approve")


async def test_a_click_that_is_not_acknowledged_times_out(slack: SlackServer) -> None:
    message = await post_card(slack)
    async with app_connected(slack, acknowledges=False):
        with pytest.raises(TimeoutError):
            await asyncio.to_thread(slack.click, message, "approve", "U1", 0.1)


@pytest.mark.parametrize("reconnect", [SlackServer.disconnect_all, SlackServer.cut_all])
async def test_the_app_comes_back_on_a_new_connection(
    slack: SlackServer, reconnect: Callable[[SlackServer], None]
) -> None:
    message = await post_card(slack)
    async with app_connected(slack) as received:
        first = slack.connections()
        await asyncio.to_thread(reconnect, slack)
        await asyncio.to_thread(
            slack.wait_for,
            lambda: slack.connections() and slack.connections() != first,
            DEADLINE_S,
        )
        await click(slack, message, "approve")
    assert len(received) == 1


async def test_clicks_are_spread_over_the_connections(slack: SlackServer) -> None:
    message = await post_card(slack)
    async with app_connected(slack) as first, app_connected(slack) as second:
        await asyncio.to_thread(slack.wait_for, lambda: len(slack.connections()) == 2, DEADLINE_S)
        for _ in range(4):
            await click(slack, message, "approve")
    assert (len(first), len(second)) == (2, 2)


async def test_the_response_url_replaces_the_card_and_whispers(slack: SlackServer) -> None:
    message = await post_card(slack)
    async with app_connected(slack) as received:
        await click(slack, message, "reject")
    reply = AsyncWebhookClient(received[0].payload["response_url"])
    assert (await reply.send(text="rejected", replace_original=True)).status_code == 200
    await reply.send(text="noted", response_type="ephemeral")
    assert slack.messages("C1")[0].text == "rejected"
    assert slack.ephemerals()[0].user == "U1"
    answers = [await reply.send(text="again") for _ in range(4)]
    assert [json.loads(answer.body).get("error") for answer in answers] == [*[None] * 3, "used_url"]


async def test_a_planned_failure_answers_once_and_does_nothing(slack: SlackServer) -> None:
    slack.fail_next("chat.postMessage", retry_after=7)
    slack.fail_next("usergroups.users.list", status=200, error="plan_upgrade_required")
    client = web_client(slack)
    with pytest.raises(SlackApiError) as caught:
        await client.chat_postMessage(channel="C1", text="x")
    assert caught.value.response.status_code == 429
    assert caught.value.response.headers["Retry-After"] == "7"
    assert slack.messages("C1") == ()
    await client.chat_postMessage(channel="C1", text="x")
    answer = await refused(client.usergroups_users_list(usergroup="S1"))
    assert answer["error"] == "plan_upgrade_required"
    assert slack.refusals() == ()


async def test_a_lost_reply_leaves_the_message_behind(slack: SlackServer) -> None:
    slack.drop_reply_next("chat.postMessage")
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await web_client(slack).chat_postMessage(channel="C1", text="x")
    assert [message.text for message in slack.messages("C1")] == ["x"]


async def test_a_late_answer_comes_when_it_is_released(slack: SlackServer) -> None:
    hold = slack.hold_next("chat.postMessage")
    async with asyncio.TaskGroup() as group:
        late = group.create_task(web_client(slack).chat_postMessage(channel="C1", text="x"))
        await asyncio.to_thread(hold.wait_until_done, DEADLINE_S)
        assert len(slack.messages("C1")) == 1
        assert not late.done()
        hold.release()
    assert late.result()["ok"] is True


async def test_requests_are_listed_from_where_a_test_left_off(slack: SlackServer) -> None:
    client = web_client(slack)
    await client.auth_test()
    seen = len(slack.requests())
    await client.chat_postMessage(channel="C1", text="x")
    (request,) = slack.requests(since=seen)
    assert (request.call, request.arguments) == ("chat.postMessage", {"channel": "C1", "text": "x"})


def test_waiting_fails_with_what_came_instead(slack: SlackServer) -> None:
    with pytest.raises(TimeoutError, match="the last of 0 requests"):
        slack.wait_for(lambda: slack.messages("C1"), 0.05)


def test_a_server_stops_while_an_answer_is_held() -> None:
    async def give_up(slack: SlackServer) -> None:
        hold = slack.hold_next("auth.test")
        asking = asyncio.create_task(web_client(slack).auth_test())
        await asyncio.to_thread(hold.wait_until_done, DEADLINE_S)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    with SlackServer(Workspace()) as slack:
        asyncio.run(give_up(slack))


@pytest.mark.parametrize(
    ("model", "method"),
    [
        (wire.PostMessage, AsyncWebClient.chat_postMessage),
        (wire.UpdateMessage, AsyncWebClient.chat_update),
        (wire.PostEphemeral, AsyncWebClient.chat_postEphemeral),
        (wire.UsersOfGroup, AsyncWebClient.usergroups_users_list),
        (wire.ReplyToAction, AsyncWebhookClient.send),
    ],
)
def test_the_requests_hold_only_members_that_the_sdk_knows(
    model: type[wire.Wire], method: Callable[..., object]
) -> None:
    unknown = set(model.model_fields) - set(signature(method).parameters)
    # The SDK's webhook client has no arguments for these two, which Slack documents.
    assert unknown <= {"link_names", "parse"}
