"""The REST API's errors are problem+json throughout, and its description is complete."""

import json
from dataclasses import replace
from typing import Any

import httpx
import pytest

from engine.errors import ConflictError, QuellError, TransientError
from engine.gateway.api import build_api
from engine.gateway.parts import GatewayParts
from tests.doubles.gateway import MemoryQueries, gateway_parts


async def get(parts: GatewayParts, path: str, method: str = "GET") -> httpx.Response:
    transport = httpx.ASGITransport(build_api(parts), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        return await http.request(method, path)


WRONG = [
    pytest.param("GET", "/v1/nothing", 404, "'/v1/nothing'", id="no such path"),
    pytest.param("GET", "/v1/incidents/", 404, "'/v1/incidents/'", id="a slash too many"),
    pytest.param("DELETE", "/v1/incidents", 405, "Method Not Allowed", id="no such method"),
    pytest.param("GET", "/v1/incidents/INC-99", 404, "no incident 'INC-99'", id="no such incident"),
    pytest.param("GET", "/v1/incidents?limit=0", 422, "query.limit: ", id="a limit too low"),
    pytest.param("GET", "/v1/incidents?limit=x", 422, "query.limit: ", id="a limit of letters"),
    pytest.param("GET", "/v1/incidents?status=odd", 422, "query.status: ", id="no such status"),
    pytest.param("GET", "/v1/incidents?cursor=-1", 422, "query.cursor: ", id="a forged cursor"),
]


@pytest.mark.parametrize(("method", "path", "status", "says"), WRONG)
async def test_every_error_is_a_problem(method: str, path: str, status: int, says: str) -> None:
    response = await get(gateway_parts(), path, method)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert (body["status"], body["type"]) == (status, "about:blank")
    assert says in body["detail"]


async def test_405_says_what_is_allowed() -> None:
    assert (await get(gateway_parts(), "/v1/incidents", "DELETE")).headers["allow"] == "GET"


@pytest.mark.parametrize(
    ("fault", "status"), [(TransientError("no store"), 503), (ConflictError("decided"), 409)]
)
async def test_quell_s_own_errors_keep_their_status(fault: QuellError, status: int) -> None:
    parts = replace(gateway_parts(), queries=MemoryQueries(fault=fault))
    response = await get(parts, "/v1/incidents")
    assert (response.status_code, response.json()["detail"]) == (status, str(fault))


async def test_an_unforeseen_error_shows_nothing_of_itself() -> None:
    parts = replace(gateway_parts(), queries=MemoryQueries(fault=RuntimeError("password=hunter2")))
    response = await get(parts, "/v1/incidents")
    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert "hunter2" not in response.text
    assert "Traceback" not in response.text


async def test_the_description_names_every_route_and_the_form_of_its_errors() -> None:
    described: dict[str, Any] = json.loads((await get(gateway_parts(), "/openapi.json")).content)
    assert {
        "/v1/incidents",
        "/v1/incidents/{incident}",
        "/v1/incidents/{incident}/acknowledge",
        "/v1/approvals/{approval}",
        "/v1/approvals/{approval}/decision",
        "/v1/runs",
        "/v1/runs/{run}/cancel",
        "/v1/balance",
        "/v1/audit/verify",
        "/metrics",
        "/healthz",
        "/readyz",
    } <= set(described["paths"])
    for path, operations in described["paths"].items():
        for operation in operations.values():
            assert operation["summary"], path
            assert "default" in operation["responses"], path
    assert described["info"]["version"] == "1.2.3"
