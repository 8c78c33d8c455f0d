import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.people.slack.click import Pressed, pressed_in
from engine.errors import PayloadError
from engine.ports.notifier import Click

VALUE = json.dumps({"approval": "a1", "plan": "h1"})
ENVELOPE: dict[str, Any] = {
    "envelope_id": "e1",
    "type": "interactive",
    "accepts_response_payload": False,
    "payload": {
        "type": "block_actions",
        "user": {"id": "U1", "username": "one", "team_id": "T1"},
        "team": {"id": "T0", "domain": "workspace"},
        "channel": {"id": "C1", "name": "oncall"},
        "actions": [
            {"action_id": "quell_approve", "block_id": "b", "type": "button", "value": VALUE}
        ],
    },
}


def changed(*path: str | int, to: Any) -> dict[str, Any]:
    """The envelope with one member changed, or left out where `to` is None."""
    envelope = copy.deepcopy(ENVELOPE)
    place: Any = envelope
    for step in path[:-1]:
        place = place[step]
    if to is None:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    return envelope


def test_a_press_is_a_decision_by_workspace_and_user() -> None:
    assert pressed_in(ENVELOPE) == Pressed(
        Click("a1", "h1", "approved", "slack:T1/U1", "slack"), "C1", "U1"
    )


def test_the_other_button_rejects() -> None:
    envelope = changed("payload", "actions", 0, "action_id", to="quell_reject")
    assert pressed_in(envelope).click.decision == "rejected"


def test_a_person_of_the_apps_own_workspace_may_come_without_it() -> None:
    envelope = changed("payload", "user", "team_id", to=None)
    assert pressed_in(envelope).click.actor == "slack:T0/U1"


@pytest.mark.parametrize(
    ("envelope", "field"),
    [
        pytest.param([], "", id="no object"),
        pytest.param(changed("type", to="slash_commands"), "type", id="another kind of envelope"),
        pytest.param(changed("payload", to=None), "payload", id="no payload"),
        pytest.param(changed("payload", to="text"), "payload", id="payload is text"),
        pytest.param(changed("payload", "type", to="view_submission"), "payload.type", id="a view"),
        pytest.param(changed("payload", "user", to=None), "payload.user", id="nobody"),
        pytest.param(changed("payload", "user", "id", to="U1/T2"), "payload.user.id", id="bad id"),
        pytest.param(changed("payload", "actions", to=[]), "actions", id="nothing pressed"),
        pytest.param(
            changed("payload", "actions", 0, "action_id", to="other"), "actions", id="not ours"
        ),
        pytest.param(changed("payload", "actions", 0, "value", to=""), "", id="empty value"),
        pytest.param(changed("payload", "actions", 0, "value", to="{"), "", id="value no JSON"),
        pytest.param(
            changed("payload", "actions", 0, "value", to='{"approval": "a1"}'), "plan", id="no hash"
        ),
        pytest.param(
            changed("payload", "actions", 0, "value", to='{"approval":"a","plan":"p","x":1}'),
            "x",
            id="unknown member",
        ),
    ],
)
def test_anything_else_is_refused_with_the_place(envelope: Any, field: str) -> None:
    with pytest.raises(PayloadError) as caught:
        pressed_in(envelope)
    assert caught.value.field == field


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(st.sampled_from(["type", "payload"]), JSON)
def test_no_envelope_raises_anything_else(member: str, value: Any) -> None:
    with pytest.raises(PayloadError):
        pressed_in(ENVELOPE | {member: value})
