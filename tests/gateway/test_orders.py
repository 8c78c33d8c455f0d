"""Orders: each reaches its command with the token's holder; a decision that came late is 409."""

from dataclasses import replace
from datetime import UTC, datetime

import httpx
import pytest

from engine.core.recent_changes import OutsideChange
from engine.gateway.app import build_gateway
from engine.gateway.parts import GatewayParts
from engine.ports.commands import WantedSilence
from tests.doubles.gateway import (
    HOLDER,
    TOKEN,
    MemoryCommands,
    gateway_parts,
)
from tests.doubles.gateway_orders import (
    MemoryChanges,
    MemoryReplays,
    MemoryRepositions,
    MemorySwitches,
)


async def post(parts: GatewayParts, path: str, order: object = None) -> httpx.Response:
    transport = httpx.ASGITransport(build_gateway(parts))
    headers = {"authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        return await http.post(path, json=order, headers=headers)


def orders(parts: GatewayParts) -> list[tuple[object, ...]]:
    assert isinstance(parts.commands, MemoryCommands)
    return parts.commands.orders


async def test_a_decision_is_given_with_its_hash_and_reason() -> None:
    parts = gateway_parts()
    order = {"decision": "reject", "plan_hash": "hash1", "reason": "not now"}
    response = await post(parts, "/v1/approvals/approval1/decision", order)
    assert response.status_code == 200
    assert response.json()["approval"]["state"] == "rejected"
    assert response.json()["sentence"] == "rejected by local:token"
    assert orders(parts) == [("decide", "approval1", "rejected", "hash1", HOLDER, "not now")]


async def test_a_decision_after_another_is_a_conflict_that_says_which_stands() -> None:
    parts = replace(gateway_parts(), commands=MemoryCommands(accepted=False))
    order = {"decision": "approve", "plan_hash": "hash1"}
    response = await post(parts, "/v1/approvals/approval1/decision", order)
    assert (response.status_code, response.json()["detail"]) == (409, "approved by local:token")


async def test_a_run_by_hand() -> None:
    parts = gateway_parts()
    order = {"playbook": "restart-vllm", "parameters": {"host": "gpu-07"}, "reason": "slow"}
    response = await post(parts, "/v1/runs", order)
    assert (response.status_code, response.json()["name"]) == (202, "INC-7")
    dry = await post(parts, "/v1/runs", {**order, "dry_run": True})
    assert dry.status_code == 202
    told = ("restart-vllm", {"host": "gpu-07"}, HOLDER, "slow")
    assert orders(parts) == [("run", *told), ("dry run", *told)]


async def test_a_stop_and_its_end_answer_with_what_is_stopped_now() -> None:
    parts = gateway_parts()
    order = {"scope": "rule", "name": "slow", "reason": "a drill"}
    stopped = await post(parts, "/v1/stops", order)
    assert (stopped.status_code, stopped.json()["stops"]) == (
        200,
        [{**order, "actor": "local:token", "at": "2026-03-01T12:00:00Z"}],
    )
    lifted = await post(parts, "/v1/resume", {"scope": "all"})
    assert (lifted.status_code, lifted.json()["stops"][0]["name"]) == (200, "slow")
    assert orders(parts) == [
        ("stop", "rule", "slow", HOLDER, "a drill"),
        ("resume", "all", "", HOLDER, ""),
    ]


@pytest.mark.parametrize(
    "order",
    [
        pytest.param({"scope": "rule", "reason": "x"}, id="which rule?"),
        pytest.param({"scope": "all", "name": "slow", "reason": "x"}, id="all, or one?"),
        pytest.param({"scope": "all"}, id="no reason"),
        pytest.param({"scope": "everything", "reason": "x"}, id="no such scope"),
    ],
)
async def test_a_stop_that_is_not_clear_is_refused(order: dict[str, str]) -> None:
    parts = gateway_parts()
    assert (await post(parts, "/v1/stops", order)).status_code == 422
    assert orders(parts) == []


async def test_acknowledging_and_cancelling_need_no_body() -> None:
    parts = gateway_parts()
    seen = await post(parts, "/v1/incidents/INC-1/acknowledge")
    assert (seen.status_code, seen.json()["acknowledged_at"]) == (200, "2026-03-01T12:00:00Z")
    assert (await post(parts, "/v1/runs/run1/cancel")).status_code == 204
    assert (await post(parts, "/v1/runs/run1/cancel", {"reason": "wrong host"})).content == b""
    back = await post(parts, "/v1/runs/run1/rollback", {"reason": "worse than before"})
    assert back.json()["number"] == 7
    kept = await post(parts, "/v1/runs/run1/keep", {"reason": "until March"})
    assert kept.json()["number"] == 7
    assert (await post(parts, "/v1/runs/run1/keep", {"reason": ""})).status_code == 422
    assert orders(parts) == [
        ("acknowledge", "INC-1", HOLDER, ""),
        ("cancel", "run1", HOLDER, ""),
        ("cancel", "run1", HOLDER, "wrong host"),
        ("roll_back", "run1", HOLDER, "worse than before"),
        ("keep", "run1", HOLDER, "until March"),
    ]


async def test_a_replay_tells_what_it_came_to() -> None:
    parts = gateway_parts()
    taken = await post(parts, "/v1/dead-letters/letter1/replay")
    assert taken.status_code == 200
    answer = taken.json()
    assert (answer["replayed"], answer["alerts"], answer["sentence"]) == (True, 1, "Taken in.")
    assert answer["dead_letter"]["replayed_at"] == "2026-03-01T12:00:00Z"
    refused = (await post(parts, "/v1/dead-letters/letter2/replay", {})).json()
    assert (refused["replayed"], refused["dead_letter"]["reason"]) == (False, "no object")
    assert isinstance(parts.replays, MemoryReplays)
    assert parts.replays.orders == [("letter1", HOLDER), ("letter2", HOLDER)]


async def test_a_replay_needs_a_token() -> None:
    transport = httpx.ASGITransport(build_gateway(gateway_parts()))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        assert (await http.post("/v1/dead-letters/letter1/replay")).status_code == 401


async def test_a_lock_is_let_go_with_a_reason_or_without() -> None:
    parts = gateway_parts()
    response = await post(parts, "/v1/locks/gpu-07/release", {"reason": "looked at it"})
    assert (response.status_code, response.json()["locks"][0]["target"]) == (200, "gpu-07")
    await post(parts, "/v1/locks/gpu-07/release")
    assert orders(parts) == [
        ("release", "gpu-07", HOLDER, "looked at it"),
        ("release", "gpu-07", HOLDER, ""),
    ]


async def test_one_more_run_may_try_everywhere_or_on_one_target() -> None:
    parts = gateway_parts()
    response = await post(parts, "/v1/breakers/restart/try", {"target": "gpu-07", "reason": "new"})
    assert (response.status_code, response.json()) == (
        200,
        {"playbook": "restart", "excused": ["INC-7"]},
    )
    await post(parts, "/v1/breakers/restart/try")
    assert orders(parts) == [
        ("try", "restart", "gpu-07", HOLDER, "new"),
        ("try", "restart", "", HOLDER, ""),
    ]


async def test_a_raise_is_confirmed_by_its_version() -> None:
    parts = gateway_parts()
    sent = await post(parts, "/v1/raises/confirm", {"version": "abcdef", "reason": "reviewed"})
    assert sent.status_code == 204
    assert isinstance(parts.switches, MemorySwitches)
    assert parts.switches.orders == [("abcdef", HOLDER, "reviewed")]
    assert (await post(parts, "/v1/raises/confirm", {"version": ""})).status_code == 422


async def test_the_storm_brake_is_lifted() -> None:
    parts = gateway_parts()
    lifted = await post(parts, "/v1/brake/lift", {"reason": "it is over"})
    assert (lifted.status_code, lifted.json()["on"]) == (200, True)
    assert isinstance(parts.switches, MemorySwitches)
    assert parts.switches.orders == [(HOLDER, "it is over")]


async def test_what_somebody_changed_is_kept_by_its_id() -> None:
    parts = gateway_parts()
    order = {"what": "a release", "targets": ["gpu-07:9100"], "services": ["llm"], "reason": "v2"}
    told = await post(parts, "/v1/changes", order)
    assert (told.status_code, told.json()) == (
        200,
        {"what": "a release", "targets": ["gpu-07"], "services": ["llm"]},
    )
    assert isinstance(parts.changes, MemoryChanges)
    change = OutsideChange("a release", ("gpu-07:9100",), ("llm",))
    assert parts.changes.told == [(change, HOLDER, "v2")]
    unknown = await post(parts, "/v1/changes", {**order, "targets": ["gpu-9"]})
    assert (unknown.status_code, unknown.json()["detail"]) == (
        404,
        "the inventory has no target 'gpu-9'",
    )


@pytest.mark.parametrize(
    "order",
    [
        pytest.param({"targets": ["gpu-07"]}, id="nobody knows what"),
        pytest.param({"what": "", "targets": ["gpu-07"]}, id="what is empty"),
        pytest.param({"what": "x" * 201, "targets": ["gpu-07"]}, id="no short words"),
        pytest.param({"what": "a release"}, id="nobody knows where"),
        pytest.param({"what": "a release", "targets": [""]}, id="a name that is empty"),
    ],
)
async def test_a_change_that_says_too_little_is_refused(order: dict[str, object]) -> None:
    parts = gateway_parts()
    assert (await post(parts, "/v1/changes", order)).status_code == 422
    assert isinstance(parts.changes, MemoryChanges)
    assert parts.changes.told == []


@pytest.mark.parametrize("to", ["first", "end", 5])
async def test_a_stopped_partition_is_sent_on(to: object) -> None:
    parts = gateway_parts()
    sent = await post(parts, "/v1/positions/1", {"to": to, "reason": "a new disk"})
    assert (sent.status_code, sent.json()) == (
        200,
        {"partition": 1, "position": 5, "passed_over": 3},
    )
    assert isinstance(parts.repositions, MemoryRepositions)
    assert parts.repositions.orders == [(1, to, HOLDER, "a new disk")]
    assert (await post(parts, "/v1/positions/0", {"to": to, "reason": "x"})).status_code == 409


@pytest.mark.parametrize(
    "order",
    [
        pytest.param({"to": "first"}, id="no reason"),
        pytest.param({"to": -1, "reason": "x"}, id="below the first offset of all"),
        pytest.param({"to": "start", "reason": "x"}, id="no such place"),
        pytest.param({"to": True, "reason": "x"}, id="no number"),
    ],
)
async def test_a_position_that_is_not_clear_is_refused(order: dict[str, object]) -> None:
    assert (await post(gateway_parts(), "/v1/positions/1", order)).status_code == 422


async def test_a_silence_is_set_and_ended() -> None:
    parts = gateway_parts()
    order = {"matchers": ["service=llm"], "ends_at": "2026-03-01T14:00:00Z", "comment": "a drill"}
    answer = await post(parts, "/v1/silences", order)
    assert (answer.status_code, answer.json()["id"]) == (200, "silence1")
    ended = await post(parts, "/v1/silences/silence1/end", {"reason": "over"})
    assert ended.status_code == 200
    wanted = WantedSilence(("service=llm",), datetime(2026, 3, 1, 14, tzinfo=UTC), "a drill")
    assert orders(parts) == [
        ("silence", wanted, HOLDER),
        ("end_silence", "silence1", HOLDER, "over"),
    ]
    naive = await post(parts, "/v1/silences", {**order, "ends_at": "2026-03-01T14:00:00"})
    assert naive.status_code == 422


async def test_a_run_is_judged() -> None:
    parts = gateway_parts()
    order = {"verdict": "right", "reason": "as I would have"}
    answer = await post(parts, "/v1/incidents/INC-1/judgement", order)
    assert answer.status_code == 204
    assert orders(parts) == [("judge", "INC-1", "right", HOLDER, "as I would have")]


async def test_a_question_is_answered() -> None:
    parts = gateway_parts()
    answer = await post(parts, "/v1/runs/INC-1/answer", {"answer": "v2", "step": "which"})
    assert answer.status_code == 204
    assert orders(parts) == [("answer", "INC-1", "v2", HOLDER, "which", "")]
    refused = await post(parts, "/v1/runs/INC-1/answer", {"step": "which"})
    assert refused.status_code == 422
