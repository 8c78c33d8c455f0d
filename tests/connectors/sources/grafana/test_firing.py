"""What fires, asked at Grafana's path of a real Alertmanager, and of what answers wrongly."""

import json
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr, ValidationError

from connectors.sources.grafana import GrafanaApiConfig, GrafanaConfig, GrafanaSource
from connectors.sources.grafana.firing import PATH, shown_labels
from engine.core.still_firing import Confirmation
from tests.doubles.server_thread import ServerThread
from tests.services.process import Process, free_port, program, run, wait_until
from tests.store.values import an_occurrence

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LABELS = {
    "alertname": 'GPU "memory" größe',
    "grafana_folder": "llm",
    "instance": "gpu-07:9100",
}
TOKEN = "glsa_s3cret"
PREFIX = PATH.removesuffix("/api/v2/alerts")


async def still_firing(url: str, labels: Mapping[str, str] = LABELS) -> Confirmation:
    api = GrafanaApiConfig(url=url, token=SecretStr(TOKEN))
    source = GrafanaSource(GrafanaConfig(api=api))
    occurrence = an_occurrence("f", labels=labels)
    return await source.still_firing(occurrence, NOW)


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[str]:
    """Grafana's is an Alertmanager below a path; so is this one."""
    (tmp_path / "a.yml").write_text("route: {receiver: r}\nreceivers: [{name: r}]\n")
    address = f"127.0.0.1:{free_port()}"
    server = Process(
        [
            program("prometheus-alertmanager"),
            f"--config.file={tmp_path / 'a.yml'}",
            f"--storage.path={tmp_path / 'data'}",
            f"--web.listen-address={address}",
            f"--web.route-prefix={PREFIX}",
            "--cluster.listen-address=",
        ],
        log=tmp_path / "alertmanager.log",
    )

    def answers() -> bool:
        try:
            urllib.request.urlopen(f"http://{address}{PREFIX}/-/ready", timeout=10).close()
        except OSError:
            return False
        return True

    server.start(answers)
    yield f"http://{address}"
    server.stop()


async def test_a_real_alertmanager_at_grafana_s_path_says_what_fires(alertmanager: str) -> None:
    amtool = [program("amtool"), f"--alertmanager.url={alertmanager}{PREFIX}"]
    private = {**LABELS, "__alert_rule_uid__": "cdeqmlhvflz40f"}
    added = [f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in private.items()]
    assert (await still_firing(alertmanager)).answer == "resolved"
    run([*amtool, "alert", "add", *added])
    found = await still_firing(alertmanager)
    told = (found.answer, found.basis, found.detail)
    assert told == ("firing", "source", f"asked {alertmanager}")
    other = {**LABELS, "instance": "gpu-08:9100"}
    assert (await still_firing(alertmanager, other)).answer == "resolved", "another host's"
    run([*amtool, "silence", "add", "--comment=c", "grafana_folder=llm"])
    wait_until(lambda: _silenced(alertmanager), "the alert is silenced")
    assert (await still_firing(alertmanager)).answer == "firing", "silenced, and yet it fires"
    run([*amtool, "alert", "add", *added, "--end=2026-01-01T00:00:00Z"])
    assert (await still_firing(alertmanager)).answer == "resolved"


def _silenced(url: str) -> bool:
    with urllib.request.urlopen(f"{url}{PATH}", timeout=10) as answer:
        return [each["status"]["state"] for each in json.load(answer)] == ["suppressed"]


@contextmanager
def answering(status: int, body: bytes, asked: list[web.Request]) -> Iterator[str]:
    async def answer(request: web.Request) -> web.Response:
        asked.append(request)
        return web.Response(status=status, body=body)

    app = web.Application()
    app.router.add_get(PATH, answer)
    server = ServerThread(app, "grafana")
    server.start()
    try:
        yield f"http://{server.address}"
    finally:
        server.stop()


async def test_it_is_asked_for_the_name_alone_with_the_token() -> None:
    asked: list[web.Request] = []
    with answering(200, b"[]", asked) as url:
        assert (await still_firing(f"{url}/")).detail == f"asked {url}"
        await still_firing(url, {"alertname": "x" * 201})
        await still_firing(url, {"alertname": "x\ny"})
    assert [each.headers["authorization"] for each in asked] == [f"Bearer {TOKEN}"] * 3
    assert [list(each.query.items()) for each in asked] == [
        [("filter", 'alertname="GPU \\"memory\\" größe"')],
        [],
        [],
    ]


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (200, b"{}", "isn't Grafana's"),
        (200, b"not JSON", "isn't Grafana's"),
        (200, b"[1]", "isn't Grafana's"),
        (200, b'[{"labels": []}]', "isn't Grafana's"),
        (401, b"[]", "status 401"),
        (403, b"[]", "status 403"),
        (302, b"[]", "status 302"),
        (500, b"[]", "status 500"),
    ],
)
async def test_an_answer_that_is_none_tells_nothing(status: int, body: bytes, told: str) -> None:
    with answering(status, body, []) as url:
        found = await still_firing(url)
    assert found.answer == "cannot_tell"
    assert told in found.detail
    assert TOKEN not in found.detail


async def test_nobody_there_tells_nothing() -> None:
    found = await still_firing(f"http://127.0.0.1:{free_port()}")
    assert found.answer == "cannot_tell"


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "grafana.example", "token": "t"},
        {"url": "https://u:p@grafana.example", "token": "t"},
        {"url": "https://grafana.example", "token": ""},
        {"url": "https://grafana.example"},
        {"url": "https://grafana.example", "token": "t", "timeout_s": 60},
    ],
    ids=str,
)
def test_a_configuration_that_cannot_work_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        GrafanaApiConfig.model_validate(wrong)


def test_private_and_empty_labels_are_not_shown() -> None:
    assert shown_labels({"a": "1", "__b__": "2", "__c": "3", "d__": "4", "e": ""}) == {
        "a": "1",
        "__c": "3",
        "d__": "4",
    }
