"""Health, metrics, and what Alertmanager's tools ask."""

from dataclasses import replace

import httpx
import pytest

from engine.gateway.api import build_api
from engine.gateway.app import build_gateway
from engine.gateway.parts import GatewayParts
from tests.doubles.gateway import gateway_parts


async def get(parts: GatewayParts, path: str) -> httpx.Response:
    transport = httpx.ASGITransport(build_gateway(parts))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        return await http.get(path)


async def store_is_down() -> list[str]:
    return ["the store can't be reached", "the stream is full"]


@pytest.mark.parametrize("path", ["/readyz", "/-/ready"])
async def test_a_fault_of_store_or_stream_fails_readiness_alone(path: str) -> None:
    parts = replace(gateway_parts(), ready=store_is_down)
    response = await get(parts, path)
    assert response.status_code == 503
    assert response.json()["problems"] == ["the store can't be reached", "the stream is full"]
    assert (await get(parts, "/healthz")).json() == {"status": "alive"}


async def nearly_full() -> list[str]:
    return ["dead letters are 93% full"]


async def test_what_only_some_senders_would_notice_is_a_warning_and_keeps_no_traffic_away() -> None:
    response = await get(replace(gateway_parts(), warnings=nearly_full), "/readyz")
    assert response.status_code == 200
    assert response.json() == {"status": "ready", "warnings": ["dead letters are 93% full"]}
    both = replace(gateway_parts(), ready=store_is_down, warnings=nearly_full)
    assert "warnings" not in (await get(both, "/readyz")).json()


@pytest.mark.parametrize("path", ["/healthz", "/-/healthy"])
async def test_no_progress_fails_health(path: str) -> None:
    parts = replace(gateway_parts(), alive=lambda: ["no batch for 120 s"])
    response = await get(parts, path)
    assert (response.status_code, response.json()["detail"]) == (503, "no batch for 120 s")
    assert (await get(parts, "/readyz")).json() == {"status": "ready"}


async def test_metrics_are_prometheus_s_text() -> None:
    response = await get(gateway_parts(), "/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=")
    assert 'quell_build_info{version="1.2.3"} 1.0' in response.text


async def test_the_status_has_every_member_that_amtool_s_client_requires() -> None:
    status = (await get(gateway_parts(), "/api/v2/status")).json()
    assert set(status) == {"cluster", "config", "uptime", "versionInfo"}
    assert (status["cluster"], status["config"]) == (
        {"status": "disabled", "peers": []},
        {"original": ""},
    )
    assert status["versionInfo"]["version"] == "1.2.3"
    assert status["uptime"] == "2026-03-01T12:00:00+00:00"


def test_all_of_it_is_in_the_api_s_description() -> None:
    described = build_api(gateway_parts()).openapi()["paths"]
    assert {"/healthz", "/readyz", "/-/healthy", "/-/ready", "/metrics"} <= set(described)
