"""Which blocks the Slack double refuses, and where it says that they are wrong."""

from typing import Any

import pytest

from tests.doubles.slack_blocks import RefusedError, accept_blocks
from tests.doubles.traffic import Json, JsonObject


def button(action_id: str = "approve", value: str = "v1", **members: Any) -> JsonObject:
    text = {"type": "plain_text", "text": "Approve"}
    return {"type": "button", "action_id": action_id, "text": text, "value": value, **members}


def actions(*elements: JsonObject) -> JsonObject:
    return {"type": "actions", "block_id": "decision", "elements": list(elements)}


def section(text: str, **members: Any) -> JsonObject:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}, **members}


LONG_SECTIONS = [section("x" * 2990) for _ in range(5)]
BAD_BLOCKS = [
    pytest.param([{"type": "sektion"}], "/blocks/0/type", id="unknown type"),
    pytest.param([section("x", colour="red")], "/blocks/0/colour", id="unknown member"),
    pytest.param([{"type": "section"}], "/blocks/0", id="empty section"),
    pytest.param([{"type": "section", "text": "x"}], "/blocks/0/text", id="bare text"),
    pytest.param([section("x" * 3001)], "/blocks/0", id="section over 3000"),
    pytest.param([section("")], "/blocks/0", id="empty text"),
    pytest.param(
        [{"type": "section", "fields": [{"type": "mrkdwn", "text": "x" * 2001}]}],
        "/blocks/0/fields/0/text",
        id="field over 2000",
    ),
    pytest.param(
        [{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}],
        "/blocks/0",
        id="header over 150",
    ),
    pytest.param(
        [{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}],
        "/blocks/0/text/type",
        id="header in mrkdwn",
    ),
    pytest.param([actions(button(value="x" * 2001))], "/blocks/0", id="value over 2000"),
    pytest.param([actions(button("x" * 256))], "/blocks/0", id="action_id over 255"),
    pytest.param([section("x", block_id="x" * 256)], "/blocks/0", id="block_id over 255"),
    pytest.param(
        [actions(button(colour="red"))], "/blocks/0/elements/0/colour", id="button member"
    ),
    pytest.param([actions(button(style="loud"))], "/blocks/0", id="button style"),
    pytest.param([actions(button(), button())], "/blocks/0/elements/1", id="action_id twice"),
    pytest.param(
        [actions(button(text={"type": "mrkdwn", "text": "x"}))], "/blocks/0", id="button in mrkdwn"
    ),
    pytest.param(
        [{"type": "context", "elements": [button()]}], "/elements/0", id="button in context"
    ),
    pytest.param(
        [section("a", block_id="b"), section("c", block_id="b")],
        "/blocks/1/block_id",
        id="block_id twice",
    ),
    pytest.param(
        [{"type": "context", "elements": [{"type": "mrkdwn", "text": "x" * 3001}]}],
        "/blocks/0/elements/0/text",
        id="context over 3000",
    ),
    pytest.param([{"type": "divider"}] * 51, "/blocks", id="51 blocks"),
]


@pytest.mark.parametrize(("blocks", "pointer"), BAD_BLOCKS)
def test_a_block_is_refused_where_it_is_wrong(blocks: list[JsonObject], pointer: str) -> None:
    with pytest.raises(RefusedError) as caught:
        accept_blocks(blocks)
    assert caught.value.error == "invalid_blocks"
    assert pointer in caught.value.problems[0]


@pytest.mark.parametrize(
    ("blocks", "error"),
    [
        pytest.param(LONG_SECTIONS, "msg_blocks_too_long", id="each fine, all too long"),
        pytest.param(["x"], "invalid_blocks_format", id="no objects"),
        pytest.param("x", "invalid_blocks_format", id="no list"),
    ],
)
def test_blocks_are_refused_as_a_whole(blocks: Json, error: str) -> None:
    with pytest.raises(RefusedError) as caught:
        accept_blocks(blocks)
    assert caught.value.error == error


GOOD_BLOCKS = [
    pytest.param([{"type": "divider"}] * 50, id="50 blocks"),
    pytest.param(LONG_SECTIONS[:4], id="12,000 characters"),
    pytest.param([actions(button("x" * 255, "x" * 2000))], id="a button at its limits"),
    pytest.param([section("a", accessory=button())], id="an accessory"),
    pytest.param(
        [
            actions(
                button(
                    confirm={
                        "title": {"type": "plain_text", "text": "Restart?"},
                        "text": {"type": "mrkdwn", "text": "*gpu-07*"},
                        "confirm": {"type": "plain_text", "text": "Yes"},
                        "deny": {"type": "plain_text", "text": "No"},
                    }
                )
            )
        ],
        id="a confirmation",
    ),
    pytest.param(
        [
            {
                "type": "rich_text",
                "elements": [
                    {
                        "type": "rich_text_preformatted",
                        "elements": [{"type": "text", "text": "systemctl restart vllm"}],
                    }
                ],
            }
        ],
        id="preformatted text",
    ),
]


@pytest.mark.parametrize("blocks", GOOD_BLOCKS)
def test_blocks_within_the_limits_are_kept_as_they_are(blocks: list[JsonObject]) -> None:
    kept = accept_blocks(blocks)
    assert [block | {"block_id": 0} for block in kept] == [
        block | {"block_id": 0} for block in blocks
    ]


def test_what_has_no_id_gets_one() -> None:
    unnamed = button()
    del unnamed["action_id"]
    kept = accept_blocks([{"type": "divider"}, {"type": "actions", "elements": [unnamed]}])
    assert [block["block_id"] for block in kept] == ["block0", "block1"]
    assert kept[1]["elements"][0]["action_id"] == "action1.0"
    assert "action_id" not in unnamed
