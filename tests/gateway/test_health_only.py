"""A process without a gateway shows whether it is well, and takes neither alerts nor orders."""

from dataclasses import replace

import httpx
import pytest

from engine.gateway.app import build_gateway
from engine.gateway.health_only import HealthOnly
from tests.doubles.gateway import TOKEN, gateway_parts


async def asked(
    method: str, path: str, *, loopback: bool = True, token: str = ""
) -> httpx.Response:
    parts = replace(gateway_parts(), loopback=loopback)
    transport = httpx.ASGITransport(HealthOnly(build_gateway(parts)))
    headers = {"authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        return await http.request(method, path, headers=headers)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/-/healthy", "/-/ready", "/metrics"])
async def test_its_pages_are_there(path: str) -> None:
    assert (await asked("GET", path)).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/alerts/alertmanager"), ("GET", "/v1/incidents"), ("GET", "/")],
)
async def test_all_else_is_named_as_somebody_else_s(method: str, path: str) -> None:
    response = await asked(method, path, token=TOKEN)
    assert response.status_code == 404
    assert "has no gateway" in response.json()["detail"]


async def test_metrics_are_shown_to_other_machines_only_with_the_token() -> None:
    assert (await asked("GET", "/metrics", loopback=False)).status_code == 401
    assert (await asked("GET", "/metrics", loopback=False, token=TOKEN)).status_code == 200
    assert (await asked("GET", "/healthz", loopback=False)).status_code == 200
