"""An incident as one Slack message that fits Slack's limits, and no text in it is parsed by Slack.

What an approver needs is never left out silently: evidence gives way first, and a command that
doesn't fit says how much of it is missing and where it is.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from engine.core.incident_view import ApprovalView, IncidentView

APPROVE, REJECT = "quell_approve", "quell_reject"

# Slack refuses a message somewhere above 13,200 characters of blocks with msg_blocks_too_long; the
# limit isn't documented (github.com/slackapi/bolt-js/issues/2509), so stay well below it.
MAX_CHARACTERS = 12_500
MAX_TITLE = 500
MAX_FIELD = 200
MAX_REASON = 600
MAX_FALLBACK = 300
MAX_URL = 500
MAX_ASKED = 10

Block = dict[str, Any]

# Controls, invisible characters and changes of writing direction: a command that holds them would
# look like another one.
_DECEPTIVE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
_PERSON = re.compile(r"(?:user:)?slack:[A-Z0-9]+/([UW][A-Z0-9]+)")
_URL = re.compile(r"https?://[^\s<>|]+")
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
# What a character costs in JSON; after `_clean` these four are all that are escaped.
_COSTS = {'"': 2, "\\": 2, "\n": 2, "\t": 2}
# Of `{"type":"rich_text_preformatted",...}` around a text, and of a line around a description.
_ELEMENT_COST = 90


@dataclass(frozen=True, slots=True)
class SlackMessage:
    """`text` is what notifications and screen readers get; `blocks` is what people see."""

    text: str
    blocks: list[Block]


@dataclass(frozen=True, slots=True)
class _Room:
    """Characters for each part; `checks` is for the rollback, and once more for verification."""

    commands: int
    checks: int
    evidence: int
    lines: int


# From the widest on, the first that fits; the last always does.
_ROOMS = (
    _Room(commands=8_000, checks=1_500, evidence=5_000, lines=1_500),
    _Room(commands=8_000, checks=1_500, evidence=1_500, lines=800),
    _Room(commands=8_000, checks=700, evidence=300, lines=300),
    _Room(commands=4_000, checks=700, evidence=300, lines=300),
)


def message_of(view: IncidentView) -> SlackMessage:
    """The message for this state. Buttons are there until the decision or the end is journaled."""
    title = escaped(_one_line(view.title), MAX_FALLBACK)
    text = f"{view.severity} {view.name} ({_state(view)}): {title}"
    blocks: list[Block] = []
    for room in _ROOMS:
        blocks = list(_blocks(view, room))
        if len(json.dumps(blocks, ensure_ascii=False, separators=(",", ":"))) <= MAX_CHARACTERS:
            break
    return SlackMessage(text, blocks)


def escaped(text: str, limit: int) -> str:
    """Text for mrkdwn: no mention, link or date in it works; at most `limit` characters."""
    pieces = [_ESCAPES.get(char, char) for char in _clean(text)]
    if sum(map(len, pieces)) <= limit:
        return "".join(pieces)
    kept = ""
    for piece in pieces:
        if len(kept) + len(piece) >= limit:
            break
        kept += piece
    return kept + "…"


def _blocks(view: IncidentView, room: _Room) -> Iterable[Block]:
    more = f"quell incidents show {view.name}"
    header = f"{view.severity} {view.name}: {_state(view)}"
    yield {"type": "header", "text": _plain(header[:150])}
    yield _rich(_line(_text(view.title, MAX_TITLE) or "(no title)", bold=True))
    yield _fields(view)
    if view.outcome:
        outcome = f"Outcome: {view.outcome.replace('_', ' ')}"
        reason = _text(view.outcome_reason, MAX_REASON)
        yield _rich(_line(outcome, bold=True), *([_line(reason)] if reason else []))
    if view.evidence:
        yield _rich(_line("Evidence", bold=True), *_evidence(view.evidence, room.evidence, more))
    if view.approval is not None:
        open_yet = view.approval.decision is None and not view.outcome
        yield from _approval(view.approval, room, more, open_yet=open_yet)
    if view.lines:
        latest = _fit(["\n".join(view.lines)], room.lines)
        yield _rich(_line("Latest", bold=True), *_listed(latest, more))
    whole = f"{_ticket(view.ticket_url)}All of it: `{more}`"
    yield {"type": "context", "elements": [_mrkdwn(whole)]}


def _approval(approval: ApprovalView, room: _Room, more: str, *, open_yet: bool) -> Iterable[Block]:
    commands = _fit(approval.commands, room.commands)
    yield _rich(_line("Commands, exactly as they run", bold=True), *_listed(commands, more))
    for title, texts in (("Rollback", approval.rollback), ("Verification", approval.verification)):
        yield _rich(_line(title, bold=True), *_listed(_fit(texts, room.checks), more))
    yield {"type": "section", "text": _mrkdwn(_decision(approval))}
    if open_yet:
        yield _buttons(approval, commands)


def _state(view: IncidentView) -> str:
    doing = view.outcome or ("" if view.phase == "idle" else view.phase)
    return ", ".join(filter(None, (view.status, doing.replace("_", " "))))


def _fields(view: IncidentView) -> Block:
    pairs = (
        ("Service", view.service),
        ("Environment", view.environment),
        ("Rule", view.rule_id),
        ("Mode", f"{view.mode} (decided by {view.mode_decided_by})"),
    )
    return {
        "type": "section",
        "fields": [
            _mrkdwn(f"*{name}*\n{escaped(_one_line(value), MAX_FIELD)}")
            for name, value in pairs
            if value
        ],
    }


def _evidence(
    evidence: Sequence[tuple[str, str]], room: int, more: str
) -> Iterable[dict[str, Any]]:
    left_out = 0
    for step, seen in evidence:
        about = _clean(_one_line(step))
        text = _clean(seen.replace("\r\n", "\n")) or "(nothing)"
        room -= 2 * _ELEMENT_COST
        kept_about = _cut(about, room)
        room -= _cost(kept_about)
        kept = _cut(text, room)
        room -= _cost(kept)
        left_out += len(about) - len(kept_about) + len(text) - len(kept)
        if kept_about:
            yield _line(kept_about)
        if kept:
            yield _code(kept)
    if left_out:
        yield _line(_missing(left_out, more))


@dataclass(frozen=True, slots=True)
class _Fitted:
    """What is shown of some texts, and how many characters of them aren't."""

    shown: tuple[str, ...]
    left_out: int


def _fit(texts: Sequence[str], room: int) -> _Fitted:
    shown, left_out = [], 0
    for text in map(_clean, texts):
        room -= _ELEMENT_COST
        kept = _cut(text, room)
        room -= _cost(kept)
        left_out += len(text) - len(kept)
        if kept:
            shown.append(kept)
    return _Fitted(tuple(shown), left_out)


def _listed(texts: _Fitted, more: str) -> Iterable[dict[str, Any]]:
    yield from map(_code, texts.shown)
    if texts.left_out:
        yield _line(_missing(texts.left_out, more))
    elif not texts.shown:
        yield _line("none")


def _missing(characters: int, more: str) -> str:
    return f"✂ {characters:,} more characters don't fit here; see them by {more}"


def _decision(approval: ApprovalView) -> str:
    who = _person(approval.decided_by)
    match approval.decision:
        case "approved":
            return f"*Approved* by {who}"
        case "rejected":
            return f"*Rejected* by {who}"
        case "expired":
            return "*Expired* without a decision"
        case None:
            asked = ", ".join(map(_person, approval.ask[:MAX_ASKED])) or "an administrator"
            if len(approval.ask) > MAX_ASKED:
                asked += f" and {len(approval.ask) - MAX_ASKED} more"
            at = approval.expires_at
            # https://docs.slack.dev/messaging/formatting-message-text#date-formatting
            spelled = f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
            date = f"<!date^{int(at.timestamp())}^{{date_short_pretty}} {{time_secs}}|{spelled}>"
            return f"*Who may approve:* {asked}\n*Expires:* {date}"


def _person(actor: str) -> str:
    """An actor or a role; a user of Slack as a mention."""
    found = _PERSON.fullmatch(actor)
    return f"<@{found[1]}>" if found else escaped(_one_line(actor), 80)


def _buttons(approval: ApprovalView, commands: _Fitted) -> Block:
    value = json.dumps({"approval": approval.id, "plan": approval.plan_hash})
    count = len(approval.commands)
    what = "1 command runs" if count == 1 else f"{count} commands run"
    what += ", exactly as this message shows."
    if commands.left_out:
        what += f" {commands.left_out:,} characters of this are NOT shown; read them first."
    return {
        "type": "actions",
        "elements": [
            {
                "type": "button",
                "action_id": APPROVE,
                "style": "primary",
                "text": _plain("Approve"),
                "value": value,
                "confirm": {
                    "title": _plain("Run this plan?"),
                    "text": _plain(what),
                    "confirm": _plain("Approve"),
                    "deny": _plain("Not yet"),
                },
            },
            {
                "type": "button",
                "action_id": REJECT,
                "style": "danger",
                "text": _plain("Reject"),
                "value": value,
            },
        ],
    }


def _ticket(url: str) -> str:
    if len(url) > MAX_URL or not _URL.fullmatch(url):
        return ""
    return f"<{url.replace('&', '&amp;')}|Ticket> · "


def _clean(text: str) -> str:
    """The text with deceptive characters spelled out, so that what is seen is what there is."""
    return _DECEPTIVE.sub(lambda m: f"\\u{ord(m[0]):04x}", text)


def _text(text: str, limit: int) -> str:
    """One line of rich text."""
    whole = _clean(_one_line(text))
    return whole if len(whole) <= limit else whole[: limit - 1] + "…"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _cost(text: str) -> int:
    return sum(_COSTS.get(char, 1) for char in text)


def _cut(text: str, room: int) -> str:
    """The longest beginning of a clean text that costs at most `room`."""
    for place, char in enumerate(text):
        room -= _COSTS.get(char, 1)
        if room < 0:
            return text[:place]
    return text


# Rich text is shown as it is: it has no escapes and nothing in it is parsed. So it takes every
# text that must stay exact. https://docs.slack.dev/reference/block-kit/blocks/rich-text-block


def _rich(*elements: dict[str, Any]) -> Block:
    return {"type": "rich_text", "elements": list(elements)}


def _line(text: str, *, bold: bool = False) -> dict[str, Any]:
    element: dict[str, Any] = {"type": "text", "text": text}
    if bold:
        element["style"] = {"bold": True}
    return {"type": "rich_text_section", "elements": [element]}


def _code(text: str) -> dict[str, Any]:
    return {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": text}]}


def _mrkdwn(text: str) -> dict[str, str]:
    return {"type": "mrkdwn", "text": text}


def _plain(text: str) -> dict[str, str]:
    return {"type": "plain_text", "text": text}
