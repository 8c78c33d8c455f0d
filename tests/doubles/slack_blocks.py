"""Refuses what Slack refuses in Block Kit, judged by slack_sdk's own block models."""

import json
from collections.abc import Iterator

from slack_sdk.errors import SlackObjectFormationError
from slack_sdk.models.blocks import Block

from tests.doubles.traffic import Json, JsonObject

MAX_BLOCKS = 50
# Undocumented; reports put it at 13,200-13,300 characters over all blocks
# (github.com/slackapi/bolt-js/issues/2509 and 2867). The JSON's length is the stricter reading.
MAX_CHARACTERS = 13_200
MAX_TEXT = 3000
MAX_FIELD_TEXT = 2000
TEXT_TYPES = frozenset({"plain_text", "mrkdwn"})
CONTEXT_ELEMENTS = frozenset({"image", *TEXT_TYPES})
# https://docs.slack.dev/reference/block-kit/blocks/actions-block
ACTION_ELEMENTS = frozenset(
    {
        "button",
        "checkboxes",
        "datepicker",
        "datetimepicker",
        "overflow",
        "radio_buttons",
        "timepicker",
        "workflow_button",
        *(
            f"{many}{kind}_select"
            for many in ("", "multi_")
            for kind in ("static", "external", "users", "conversations", "channels")
        ),
    }
)


class RefusedError(Exception):
    """What Slack answers instead: `error`, and the lines of `response_metadata.messages`."""

    def __init__(self, error: str, *problems: str) -> None:
        super().__init__(error, *problems)
        self.error = error
        self.problems = problems


def accept_blocks(blocks: Json) -> list[JsonObject]:
    """The blocks as Slack stores them: with a block_id each, and an action_id per button.

    Raises:
        RefusedError: invalid_blocks_format, invalid_blocks or msg_blocks_too_long.
    """
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        raise RefusedError("invalid_blocks_format")
    problems = list(_problems(blocks))
    if problems:
        raise RefusedError("invalid_blocks", *problems)
    if len(json.dumps(blocks, ensure_ascii=False, separators=(",", ":"))) > MAX_CHARACTERS:
        raise RefusedError("msg_blocks_too_long")
    return [_with_ids(block, number) for number, block in enumerate(blocks)]


def buttons(blocks: list[JsonObject]) -> Iterator[tuple[JsonObject, JsonObject]]:
    """Each button with the block that shows it, top to bottom."""
    for block in blocks:
        for element in (*block.get("elements", ()), block.get("accessory") or {}):
            if element.get("type") == "button":
                yield block, element


def _with_ids(block: JsonObject, number: int) -> JsonObject:
    stored: JsonObject = json.loads(json.dumps(block))
    stored.setdefault("block_id", f"block{number}")
    for place, (_, button) in enumerate(buttons([stored])):
        button.setdefault("action_id", f"action{number}.{place}")
    return stored


def _problems(blocks: list[JsonObject]) -> Iterator[str]:
    if len(blocks) > MAX_BLOCKS:
        yield f"no more than {MAX_BLOCKS} items allowed [json-pointer:/blocks]"
    block_ids: set[str] = set()
    for number, block in enumerate(blocks):
        at = f"/blocks/{number}"
        problem = _not_of_the_model(block, at) or next(_beyond_the_model(block, at), None)
        if problem:
            yield problem
        block_id = block.get("block_id")
        if block_id in block_ids:
            yield f"block_id {block_id!r} is used twice [json-pointer:{at}/block_id]"
        elif block_id is not None:
            block_ids.add(str(block_id))


def _not_of_the_model(block: JsonObject, at: str) -> str | None:
    """Anything that slack_sdk's classes don't give back exactly as they were given it."""
    try:
        parsed = Block.parse(block)
        if parsed is None:
            return f"unsupported type: {block.get('type')} [json-pointer:{at}/type]"
        rebuilt = parsed.to_dict()
    except SlackObjectFormationError as error:
        return f"{error} [json-pointer:{at}]"
    except (TypeError, AttributeError, KeyError, ValueError) as error:
        # The models check members by their constructors and lengths, so that is how they fail.
        return f"invalid member: {error} [json-pointer:{at}]"
    where = _first_difference(block, rebuilt, at)
    return None if where is None else f"invalid additional property or value [json-pointer:{where}]"


def _first_difference(given: Json, kept: Json, at: str) -> str | None:
    if isinstance(given, dict) and isinstance(kept, dict):
        for key in (*given, *kept):
            if key not in given or key not in kept:
                return f"{at}/{key}"
            if found := _first_difference(given[key], kept[key], f"{at}/{key}"):
                return found
        return None
    if isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        pairs = enumerate(zip(given, kept, strict=True))
        return next(
            (found for i, pair in pairs if (found := _first_difference(*pair, f"{at}/{i}"))), None
        )
    # `True == 1` in Python, but not in JSON.
    return None if given == kept and type(given) is type(kept) else at


def _beyond_the_model(block: JsonObject, at: str) -> Iterator[str]:
    """Slack's rules that slack_sdk leaves to the server."""
    yield from _bad_texts(block, at)
    if block["type"] == "header" and block["text"]["type"] != "plain_text":
        yield f"must be plain_text [json-pointer:{at}/text/type]"
    for i, field in enumerate(block.get("fields", ())):
        if len(field["text"]) > MAX_FIELD_TEXT:
            yield f"more than {MAX_FIELD_TEXT} characters [json-pointer:{at}/fields/{i}/text]"
    allowed = {"actions": ACTION_ELEMENTS, "context": CONTEXT_ELEMENTS}.get(block["type"])
    action_ids: set[str] = set()
    for i, element in enumerate(block.get("elements", ())):
        if allowed is not None and element["type"] not in allowed:
            yield f"unsupported type: {element['type']} [json-pointer:{at}/elements/{i}/type]"
        action_id = element.get("action_id")
        if action_id in action_ids:
            yield f"action_id {action_id!r} is used twice [json-pointer:{at}/elements/{i}]"
        elif action_id is not None:
            action_ids.add(str(action_id))
    for _, button in buttons([block]):
        if button["text"]["type"] != "plain_text":
            yield f"a button's text must be plain_text [json-pointer:{at}]"


def _bad_texts(node: Json, at: str) -> Iterator[str]:
    if isinstance(node, list):
        for i, item in enumerate(node):
            yield from _bad_texts(item, f"{at}/{i}")
    elif isinstance(node, dict):
        text = node.get("text")
        if node.get("type") in TEXT_TYPES and not (
            isinstance(text, str) and 1 <= len(text) <= MAX_TEXT
        ):
            yield f"must be 1 to {MAX_TEXT} characters [json-pointer:{at}/text]"
        for key, value in node.items():
            yield from _bad_texts(value, f"{at}/{key}")
