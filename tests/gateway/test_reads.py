"""Reads: filters, pages, timelines."""

from typing import Any

import httpx
import pytest

from engine.gateway.api import build_api
from tests.doubles.gateway import gateway_parts


async def get(path: str) -> Any:
    transport = httpx.ASGITransport(build_api(gateway_parts()))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        response = await http.get(path)
    assert response.status_code == 200
    return response.json()


async def test_incidents_come_in_pages_until_there_is_no_cursor() -> None:
    pages, cursor = [], ""
    while cursor is not None:
        page = await get(f"/v1/incidents?limit=2&cursor={cursor}")
        pages.append([incident["number"] for incident in page["incidents"]])
        cursor = page["next_cursor"]
    assert pages == [[5, 4], [3, 2], [1]]


async def test_a_full_last_page_has_no_cursor() -> None:
    page = await get("/v1/incidents?limit=5")
    assert (len(page["incidents"]), page["next_cursor"]) == (5, None)


@pytest.mark.parametrize(
    ("query", "count"),
    [("status=open", 5), ("status=closed", 0), ("service=llm-70b", 5), ("service=x", 0)],
)
async def test_filters_reach_the_query(query: str, count: int) -> None:
    assert len((await get(f"/v1/incidents?{query}"))["incidents"]) == count


async def test_a_timeline_comes_in_pages() -> None:
    first = await get("/v1/incidents/INC-1?limit=1")
    assert ([each["seq"] for each in first["timeline"]], first["next_cursor"]) == ([1], "1")
    last = await get(f"/v1/incidents/INC-1?limit=1&cursor={first['next_cursor']}")
    assert ([each["seq"] for each in last["timeline"]], last["next_cursor"]) == ([2], None)
    assert (await get("/v1/incidents/INC-1?cursor=2"))["timeline"] == []


async def test_an_incident_shows_what_people_need_and_its_timeline() -> None:
    story = await get("/v1/incidents/INC-1")
    assert story["name"] == "INC-1"
    assert (story["severity"], story["mode"], story["open_occurrences"]) == ("P1", "approve", 1)
    first, erased = story["timeline"]
    assert (first["kind"], first["actor"]) == ("incident.acknowledged@1", "slack:T1/U1")
    assert first["body"] == {"note": "looking"}
    assert first["at"] == "2026-03-01T12:00:00Z"
    assert erased["body"] is None


async def test_an_approval_is_found_by_its_run() -> None:
    approval = await get("/v1/approvals/run1")
    assert (approval["id"], approval["state"], approval["ask"]) == (
        "approval1",
        "pending",
        ["role:oncall"],
    )


async def test_what_is_stopped_and_on_whose_order() -> None:
    assert (await get("/v1/stops"))["stops"] == [
        {
            "scope": "rule",
            "name": "slow",
            "actor": "local:me",
            "reason": "a drill",
            "at": "2026-03-01T12:00:00Z",
        }
    ]


async def test_balance_and_audit() -> None:
    assert (await get("/v1/balance"))["dispositions"] == {"new": 2, "repeat": 1}
    audit = await get("/v1/audit/verify")
    assert (audit["chains"], audit["entries"], audit["faults"]) == (2, 9, [])


async def test_the_journal_is_exported_line_by_line() -> None:
    transport = httpx.ASGITransport(build_api(gateway_parts()))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        response = await http.get("/v1/audit/export")
    assert response.headers["content-type"] == "application/x-ndjson"
    assert response.content == b"one\ntwo\n"


async def test_dead_letters_come_in_pages_without_what_they_hold() -> None:
    page = await get("/v1/dead-letters?limit=2")
    assert [each["id"] for each in page["dead_letters"]] == ["letter1", "letter2"]
    assert all("body" not in each for each in page["dead_letters"])
    last = await get(f"/v1/dead-letters?limit=2&cursor={page['next_cursor']}")
    assert ([each["size"] for each in last["dead_letters"]], last["next_cursor"]) == ([70000], None)
    waiting = await get("/v1/dead-letters?waiting=true")
    assert [each["count"] for each in waiting["dead_letters"]] == [1, 3]


@pytest.mark.parametrize(
    ("letter", "body", "left_out"),
    [("letter1", "{}", 0), ("letter2", "\0\\xff", 0), ("letter3", "x" * 65536, 70000 - 65536)],
    ids=["text", "bytes that are no text", "more than is shown"],
)
async def test_a_dead_letter_shows_what_it_holds_as_text(
    letter: str, body: str, left_out: int
) -> None:
    shown = await get(f"/v1/dead-letters/{letter}")
    assert (shown["body"], shown["left_out_bytes"]) == (body, left_out)


async def test_locks_say_who_holds_what_since_when() -> None:
    assert await get("/v1/locks") == {
        "locks": [
            {
                "target": "gpu-07",
                "incident": "INC-1",
                "incident_id": "incident1",
                "run_id": "run1",
                "playbook_id": "restart",
                "since": "2026-03-01T12:00:00Z",
                "kept": True,
            }
        ]
    }


async def test_where_the_stream_is_read_and_what_is_stopped() -> None:
    assert (await get("/v1/positions"))["positions"] == [
        {"partition": 0, "position": 7, "first": 0, "end": 9, "stopped": ""},
        {"partition": 1, "position": None, "first": 5, "end": 8, "stopped": "made anew"},
    ]


async def test_the_storm_brake_says_since_when_and_why() -> None:
    assert await get("/v1/brake") == {
        "on": True,
        "since": "2026-03-01T12:00:00Z",
        "reason": "incidents opened on 5 services within 5m",
    }


async def test_what_waits_for_a_second_person_is_told() -> None:
    assert await get("/v1/raises") == {
        "version": "abcdef123",
        "activated_by": "local:me",
        "raised": ["rule down: auto, and keeps approve"],
    }
