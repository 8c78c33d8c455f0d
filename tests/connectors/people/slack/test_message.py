import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.people.slack.message import MAX_CHARACTERS, escaped, message_of
from engine.core.incident_view import IncidentView
from tests.connectors.people.slack.views import APPROVAL, VIEW, view
from tests.doubles.slack_blocks import accept_blocks, buttons

HOSTILE = "<!channel> <@U1> *bold* `code` ```fence``` <https://evil.example|ok> & \\ \" '"


def texts(shown: IncidentView, kind: str) -> list[str]:
    """All texts in elements of a kind, top to bottom."""
    return list(_texts(message_of(shown).blocks, kind))


def _texts(node: Any, kind: str) -> Iterable[str]:
    if isinstance(node, list):
        for each in node:
            yield from _texts(each, kind)
    elif isinstance(node, dict):
        if node.get("type") == kind and isinstance(node.get("text"), str):
            yield node["text"]
        elif node.get("type") == kind:
            yield from _texts(node.get("elements"), "text")
        else:
            yield from _texts(list(node.values()), kind)


def code(shown: IncidentView) -> list[str]:
    return texts(shown, "rich_text_preformatted")


def sections(shown: IncidentView) -> str:
    return "\n".join(texts(shown, "mrkdwn"))


def lines(shown: IncidentView) -> str:
    return "\n".join(texts(shown, "rich_text_section"))


def button_ids(shown: IncidentView) -> list[str]:
    return [button["action_id"] for _, button in buttons(message_of(shown).blocks)]


def test_a_pending_approval_shows_all_that_an_approver_needs() -> None:
    message = message_of(view())
    assert message.text == "P1 INC-12 (open, awaiting approval): llm-70b does not answer"
    assert message.blocks[0]["text"]["text"] == "P1 INC-12: open, awaiting approval"
    assert "llm-70b does not answer" in lines(view())
    assert [*APPROVAL.commands, *APPROVAL.verification] == code(view())[1:4]
    assert code(view())[0] == "GPU 0: 79 GiB of 80 GiB used"
    assert "Rollback\nnone" in lines(view())
    assert "*Mode*\napprove (decided by policy ceiling 1)" in sections(view())
    assert "*Who may approve:* role:oncall, <@U2>" in sections(view())
    expiry = "<!date^1772367000^{date_short_pretty} {time_secs}|2026-03-01 12:10:00 UTC>"
    assert f"*Expires:* {expiry}" in sections(view())
    assert "quell incidents show INC-12" in sections(view())
    accept_blocks(message.blocks)


def test_the_buttons_carry_what_was_shown_and_ask_again() -> None:
    shown = list(buttons(message_of(view()).blocks))
    (_, approve), (_, reject) = shown
    assert (approve["action_id"], approve["style"]) == ("quell_approve", "primary")
    assert (reject["action_id"], reject["style"]) == ("quell_reject", "danger")
    carried = {"approval": APPROVAL.id, "plan": APPROVAL.plan_hash}
    assert json.loads(approve["value"]) == json.loads(reject["value"]) == carried
    assert approve["confirm"]["text"]["text"].startswith("2 commands run, exactly")
    assert "confirm" not in reject


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        pytest.param(
            view({"decision": "approved", "decided_by": "slack:T1/U1"}),
            "*Approved* by <@U1>",
            id="approved",
        ),
        pytest.param(
            view({"decision": "rejected", "decided_by": "local:<root>"}),
            "*Rejected* by local:&lt;root&gt;",
            id="rejected",
        ),
        pytest.param(view({"decision": "expired"}), "*Expired* without a decision", id="expired"),
        pytest.param(view(outcome="cancelled"), "role:oncall", id="ended without a decision"),
    ],
)
def test_no_buttons_once_nothing_is_to_decide(changed: IncidentView, said: str) -> None:
    assert button_ids(view()) == ["quell_approve", "quell_reject"]
    assert button_ids(changed) == []
    assert said in sections(changed)
    assert code(changed)[1:3] == list(APPROVAL.commands)


def test_an_incident_without_a_plan_is_shown_too() -> None:
    bare = replace(
        VIEW, approval=None, evidence=(), lines=(), environment="", phase="idle", title=""
    )
    accept_blocks(message_of(bare).blocks)
    assert button_ids(bare) == []
    assert "Environment" not in sections(bare)
    assert message_of(bare).text.startswith("P1 INC-12 (open):")


def test_the_end_names_the_outcome_the_reason_and_the_ticket() -> None:
    ended = view(
        status="resolved",
        outcome="not_needed",
        outcome_reason="it <serves> again",
        ticket_url="https://jira.example/browse/OPS-1?a=1&b=2",
    )
    assert "Outcome: not needed\nit <serves> again" in lines(ended)
    assert "<https://jira.example/browse/OPS-1?a=1&amp;b=2|Ticket>" in sections(ended)
    accept_blocks(message_of(ended).blocks)


@pytest.mark.parametrize("url", ["javascript:x", "https://a|b>", "https://x/" + "y" * 600, "a b"])
def test_an_address_that_is_none_is_no_link(url: str) -> None:
    assert "Ticket" not in sections(view(ticket_url=url))


def test_nothing_from_outside_is_parsed() -> None:
    hostile = view(
        {"commands": (HOSTILE,), "ask": (f"role:{HOSTILE}",)},
        title=HOSTILE,
        service=HOSTILE,
        environment=HOSTILE,
        rule_id=HOSTILE,
        mode_decided_by=HOSTILE,
        evidence=((HOSTILE, HOSTILE),),
        lines=(HOSTILE,),
        outcome_reason=HOSTILE,
    )
    message = message_of(hostile)
    accept_blocks(message.blocks)
    for parsed in (message.text, sections(hostile)):
        assert "&lt;!channel&gt;" in parsed
        assert "<!channel>" not in parsed
        assert "<@U1>" not in parsed
        assert "<https:" not in parsed
    # What is shown as it is needs no escapes: the command stays exact, backticks and all.
    assert code(hostile) == [HOSTILE, HOSTILE, *APPROVAL.verification, HOSTILE]


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        pytest.param("rm \u202e/tmp", "rm \\u202e/tmp", id="turned direction"),
        pytest.param("rm\u200b x", "rm\\u200b x", id="invisible"),
        pytest.param("a\rb\x1b[2K", "a\\u000db\\u001b[2K", id="controls"),
        pytest.param("a\tb\nc", "a\tb\nc", id="tab and new line stay"),
        pytest.param("größe 🚨", "größe 🚨", id="letters stay"),
    ],
)
def test_what_would_deceive_an_approver_is_spelled_out(command: str, shown: str) -> None:
    assert code(view({"commands": (command,)}))[1] == shown


def test_evidence_gives_way_before_a_command_does() -> None:
    command = "x" * 7_500
    crowded = view({"commands": (command,)}, evidence=(("look", "y" * 50_000),))
    assert command in code(crowded)
    assert "more characters don't fit here; see them by quell incidents show" in lines(crowded)
    (approve, _) = [button for _, button in buttons(message_of(crowded).blocks)]
    assert "NOT shown" not in approve["confirm"]["text"]["text"]
    accept_blocks(message_of(crowded).blocks)


def test_a_command_that_does_not_fit_says_what_is_missing() -> None:
    long = view({"commands": ("short", "x" * 10_000)}, evidence=())
    short, cut = code(long)[:2]
    assert short == "short"
    missing = 10_000 - len(cut)
    assert missing > 0
    assert f"✂ {missing:,} more characters don't fit here; see them by quell" in lines(long)
    (approve, _) = [button for _, button in buttons(message_of(long).blocks)]
    assert f"{missing:,} characters of this are NOT shown" in approve["confirm"]["text"]["text"]


NASTY = st.text(
    st.sampled_from("ab\"\\\n\t\r\0<>&*`'\u202e\ud800🚨") | st.characters(), max_size=400
).map(lambda text: text * 50)


@given(st.lists(NASTY, max_size=60), NASTY)
def test_every_message_fits_slack(many: list[str], one: str) -> None:
    crowded = view(
        {
            "commands": tuple(many),
            "rollback": tuple(many),
            "verification": tuple(many),
            "ask": tuple(many),
        },
        title=one,
        service=one,
        environment=one,
        rule_id=one,
        mode_decided_by=one,
        evidence=tuple((text, text) for text in many),
        lines=(one,) * 8,
        outcome_reason=one,
    )
    for shown in (crowded, view(outcome="failed", outcome_reason=one, title=one)):
        message = message_of(shown)
        accept_blocks(message.blocks)
        dumped = json.dumps(message.blocks, ensure_ascii=False, separators=(",", ":"))
        assert len(dumped) <= MAX_CHARACTERS
        assert len(message.text) <= 4_000


@pytest.mark.parametrize(
    ("text", "limit", "shown"),
    [("a<b", 6, "a&lt;b"), ("a<b", 5, "a…"), ("abc", 3, "abc"), ("abcd", 3, "ab…"), ("&&", 5, "…")],
)
def test_an_escape_is_never_cut_in_two(text: str, limit: int, shown: str) -> None:
    assert escaped(text, limit) == shown
