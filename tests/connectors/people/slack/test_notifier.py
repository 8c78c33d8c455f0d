import pytest

from connectors.people.slack import SlackConfig, SlackNotifier
from engine.errors import PermanentError, TransientError
from tests.connectors.people.slack.views import config, view
from tests.doubles.slack_blocks import buttons
from tests.doubles.slack_server import SlackServer


async def test_the_message_is_posted_once_and_then_kept_up_to_date(slack: SlackServer) -> None:
    notifier = SlackNotifier(config(slack, channel="#oncall"))
    ref = await notifier.show(view(), "")
    (posted,) = slack.messages("C1")
    assert ref == f"C1/{posted.ts}"
    assert len(list(buttons(list(posted.blocks)))) == 2

    ended = view({"decision": "approved"}, outcome="succeeded", status="resolved")
    assert await notifier.show(ended, ref) == ref
    (updated,) = slack.messages("C1")
    assert updated.ts == posted.ts
    assert updated.text == "P1 INC-12 (resolved, succeeded): llm-70b does not answer"
    assert list(buttons(list(updated.blocks))) == []
    assert "Outcome: succeeded" in repr(updated.blocks)
    assert slack.requests()[0].arguments["unfurl_links"] is False
    assert notifier.name == "slack"
    assert slack.refusals() == ()


@pytest.mark.parametrize("ref", ["", "C1/1790000001.000001"], ids=["post", "update"])
async def test_too_many_requests_say_when_to_come_back(slack: SlackServer, ref: str) -> None:
    notifier = SlackNotifier(config(slack))
    await notifier.show(view(), "")
    slack.fail_next("chat.update" if ref else "chat.postMessage", retry_after=7)
    with pytest.raises(TransientError) as caught:
        await notifier.show(view(), ref)
    assert caught.value.retry_after_s == 7.0
    assert len(slack.messages("C1")) == 1
    assert slack.refusals() == ()


async def test_a_lost_answer_is_tried_again(slack: SlackServer) -> None:
    notifier = SlackNotifier(config(slack))
    slack.drop_reply_next("chat.postMessage")
    with pytest.raises(TransientError, match=r"no answer from Slack to chat\.postMessage"):
        await notifier.show(view(), "")
    # The connector itself asked once: whether to ask again is its caller's decision.
    assert [request.call for request in slack.requests()] == ["chat.postMessage"]


async def test_a_late_answer_is_given_up(slack: SlackServer) -> None:
    notifier = SlackNotifier(config(slack, timeout_s=1))
    hold = slack.hold_next("chat.postMessage")
    with pytest.raises(TransientError):
        await notifier.show(view(), "")
    hold.release()


async def test_nobody_listening_is_transient(slack: SlackServer) -> None:
    with SlackServer() as gone:
        unreachable = config(gone)
    with pytest.raises(TransientError, match="ClientConnectorError"):
        await SlackNotifier(unreachable).show(view(), "")


@pytest.mark.parametrize(
    ("changes", "ref", "said"),
    [
        pytest.param({"channel": "C9"}, "", "channel_not_found.*people.slack.channel", id="where"),
        pytest.param({"bot_token": "xoxb-stale"}, "", "invalid_auth.*bot_token", id="who"),
        pytest.param({}, "C1/1790000099.000099", "message_not_found.*quell approve", id="deleted"),
        pytest.param({}, "nonsense", "no reference", id="no reference"),
    ],
)
async def test_what_never_goes_through_is_permanent(
    slack: SlackServer, changes: dict[str, str], ref: str, said: str
) -> None:
    notifier = SlackNotifier(config(slack, **changes))
    with pytest.raises(PermanentError, match=said) as caught:
        await notifier.show(view(), ref)
    assert "xoxb-" not in str(caught.value)


async def test_an_unknown_configuration_is_refused() -> None:
    with pytest.raises(ValueError, match="must begin with 'xapp-'") as caught:
        SlackConfig.model_validate({"app_token": "xoxb-1", "bot_token": "xapp-1", "channel": "C1"})
    assert "xoxb-1" not in str(caught.value)
