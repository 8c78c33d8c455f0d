"""Calls of Google's APIs as one account: tokens, refusals, and that no secret shows."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from connectors.sources.cloud_monitoring.google_api import GoogleApi
from engine.errors import NotFoundError, PermanentError, TransientError
from engine.ports.known_secrets import KNOWN
from tests.services.google_cloud import GoogleCloud, google_cloud
from tests.services.process import free_port

SUBSCRIPTION = "projects/acme-ops/subscriptions/quell"


@pytest.fixture
def cloud() -> Iterator[GoogleCloud]:
    with google_cloud() as running:
        running.messages[SUBSCRIPTION] = []
        yield running


@pytest.fixture
async def api(cloud: GoogleCloud, tmp_path: Path) -> AsyncIterator[GoogleApi]:
    api = GoogleApi("gcp", cloud.key_file(tmp_path))
    yield api
    await api.close()


def pull(api: GoogleApi, cloud: GoogleCloud) -> "asyncio.Future[object]":
    url = f"{cloud.url}/v1/{SUBSCRIPTION}:pull"
    return asyncio.ensure_future(api.post(url, {"maxMessages": 1}, timeout_s=5))


async def test_a_token_is_asked_for_once_and_is_a_secret(
    api: GoogleApi, cloud: GoogleCloud
) -> None:
    assert [await pull(api, cloud) for _ in range(3)] == [{}, {}, {}]
    assert cloud.issued == 1
    [token] = cloud.tokens
    assert token not in KNOWN.masker.mask(f"it was {token}")


async def test_calls_at_once_share_a_token(api: GoogleApi, cloud: GoogleCloud) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(5):
            group.create_task(_await(pull(api, cloud)))
    assert cloud.issued == 1


async def _await(called: "asyncio.Future[object]") -> None:
    await called


async def test_a_token_that_was_withdrawn_is_renewed_once(
    api: GoogleApi, cloud: GoogleCloud
) -> None:
    await pull(api, cloud)
    cloud.tokens.clear()
    assert await pull(api, cloud) == {}
    assert cloud.issued == 2
    cloud.faults += [401, 401]
    with pytest.raises(PermanentError, match="UNAUTHENTICATED"):
        await pull(api, cloud)
    assert cloud.issued == 3


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, PermanentError),
        (403, PermanentError),
        (404, NotFoundError),
        (429, TransientError),
        (500, TransientError),
        (503, TransientError),
    ],
)
async def test_a_refusal_says_what_google_said(
    api: GoogleApi, cloud: GoogleCloud, status: int, error: type[Exception]
) -> None:
    cloud.faults.append(status)
    with pytest.raises(error, match=f"status {status}, .*: said by the fake"):
        await pull(api, cloud)


@pytest.mark.parametrize("answer", [b"<html>", b"[]", b"[" * 100_000, b"{" + b" " * (17 << 20)])
async def test_an_answer_that_is_none_is_asked_for_again(
    api: GoogleApi, cloud: GoogleCloud, answer: bytes
) -> None:
    cloud.answers_instead = answer
    with pytest.raises(TransientError):
        await pull(api, cloud)


async def test_silence_is_a_fault_that_passes(api: GoogleApi, cloud: GoogleCloud) -> None:
    await pull(api, cloud)
    with pytest.raises(TransientError, match="127"):
        await api.get(f"http://127.0.0.1:{free_port()}/v3/x", timeout_s=5)


async def test_a_token_that_cannot_be_had_says_so_without_a_secret(
    api: GoogleApi, cloud: GoogleCloud
) -> None:
    cloud.token_faults += [400]
    with pytest.raises(PermanentError, match="no access token: "):
        await pull(api, cloud)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "No such file"),
        ("{", "no key of a service account"),
        ("[]", "no key of a service account"),
        ('{"type": "service_account", "private_key": "s3cret"}', "no key of a service account"),
        ('{"type": "authorized_user"}', "leave it out and set GOOGLE_APPLICATION_CREDENTIALS"),
    ],
    ids=["no file", "no JSON", "a list", "half a key", "a person's"],
)
async def test_a_file_that_is_no_server_s_account_is_told(
    tmp_path: Path, cloud: GoogleCloud, text: str | None, problem: str
) -> None:
    path = tmp_path / "key.json"
    if text is not None:
        path.write_text(text)
    api = GoogleApi("gcp", path)
    with pytest.raises(PermanentError, match=problem) as told:
        await pull(api, cloud)
    assert "s3cret" not in str(told.value)
    await api.close()


async def test_a_workload_s_identity_is_exchanged_for_a_token(
    tmp_path: Path, cloud: GoogleCloud
) -> None:
    (tmp_path / "subject").write_text("a-kubernetes-token")
    path = tmp_path / "federation.json"
    path.write_text(
        json.dumps(
            {
                "type": "external_account",
                "audience": "//iam.googleapis.com/projects/1/locations/global/"
                "workloadIdentityPools/p/providers/k",
                "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
                "token_url": f"{cloud.url}/exchange",
                "credential_source": {"file": str(tmp_path / "subject")},
            }
        )
    )
    api = GoogleApi("gcp", path)
    assert await pull(api, cloud) == {}
    assert cloud.exchanged == ["a-kubernetes-token"]
    await api.close()
