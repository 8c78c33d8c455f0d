import logging
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from aiohttp import web

from connectors.people.slack.web_api import SlackConfig, answer_of, silent_logger, web_client
from engine.errors import PermanentError, TransientError
from tests.connectors.people.slack.views import config
from tests.doubles.server_thread import ServerThread
from tests.doubles.slack_server import SlackServer

METHOD = "auth.test"


async def asked(base_url: str, slack: SlackServer) -> Mapping[str, object]:
    client = web_client(config(slack, base_url=base_url))
    return await answer_of(METHOD, client.auth_test())


async def test_an_answer_is_what_slack_said(slack: SlackServer) -> None:
    assert (await asked(slack.base_url, slack))["team_id"] == "T1"


@pytest.mark.parametrize(
    ("status", "error", "kind", "retry_after_s"),
    [
        (429, None, TransientError, 3.0),
        (500, None, TransientError, None),
        (503, None, TransientError, None),
        (200, "ratelimited", TransientError, None),
        (200, "internal_error", TransientError, None),
        (200, "invalid_auth", PermanentError, None),
        (200, "channel_not_found", PermanentError, None),
        (200, "msg_blocks_too_long", PermanentError, None),
        (200, "a_new_error", PermanentError, None),
    ],
)
async def test_each_refusal_is_classified(
    slack: SlackServer,
    status: int,
    error: str | None,
    kind: type[TransientError | PermanentError],
    retry_after_s: float | None,
) -> None:
    slack.fail_next(METHOD, status=status, retry_after=3, error=error)
    with pytest.raises(kind) as caught:
        await asked(slack.base_url, slack)
    assert METHOD in str(caught.value)
    assert getattr(caught.value, "retry_after_s", None) == retry_after_s
    assert len(slack.requests()) == 1


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        pytest.param(b"<html>", "text/html", 200, id="a page"),
        pytest.param(b"<html>", "text/html", 502, id="a page of a proxy's error"),
        pytest.param(b"busy", "text/plain", 200, id="text"),
        pytest.param(b"busy", "text/plain", 503, id="text of an error"),
        pytest.param(b"{", "application/json", 200, id="half an object"),
        pytest.param(b"{", "application/json", 500, id="half an object of an error"),
        pytest.param(b"[1]", "application/json", 200, id="a list"),
        pytest.param(b"null", "application/json", 200, id="null"),
        pytest.param(b"\xff\xfe", "application/json", 200, id="no text"),
        pytest.param(b"\x1f\x8b", "application/gzip", 200, id="compressed"),
    ],
)
async def test_what_is_not_slacks_is_tried_again(
    slack: SlackServer, body: bytes, content_type: str, status: int
) -> None:
    async def serve(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type=content_type, status=status)

    app = web.Application()
    app.router.add_route("*", "/api/{method}", serve)
    server = ServerThread(app, "no-slack")
    server.start()
    try:
        with pytest.raises(TransientError):
            await asked(f"http://{server.address}/api/", slack)
    finally:
        server.stop()


def test_the_sdk_says_nothing_whatever_level_is_set(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    silent_logger().critical("wss://wss-primary.slack.com/link/?ticket=secret")
    assert caplog.records == []


def test_the_page_configures_what_the_code_takes() -> None:
    page = (Path(__file__).parents[4] / "docs" / "slack.md").read_text()
    manifest, settings = (
        yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    )
    assert manifest["oauth_config"]["scopes"] == {"bot": ["chat:write"]}
    assert manifest["settings"]["socket_mode_enabled"] is True
    assert manifest["settings"]["interactivity"]["is_enabled"] is True
    given = settings["people"]["slack"] | {"app_token": "xapp-1", "bot_token": "xoxb-1"}
    SlackConfig.model_validate(given)
    assert [key for key in SlackConfig.model_fields if f"`{key}`" not in page] == []
