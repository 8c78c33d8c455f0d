"""A database, a broker and an issuer refuse what quell was given, and quell says so without it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from tests.scenarios.canaries import canary, forms, leaks
from tests.scenarios.quell import PROGRAM
from tests.services.process import run
from tests.services.secured_kafka import TOPICS, USER, SecuredKafka
from tests.services.secured_postgres import SecuredPostgres

SECRET = canary("the secret", after="é")


def _kafka(kafka: SecuredKafka, **sasl: object) -> dict[str, Any]:
    security = {"tls": {"ca": str(kafka.authority.certificate)}, "sasl": sasl}
    return {
        "uses": "kafka",
        "bootstrap_servers": [kafka.sasl],
        "topic_prefix": TOPICS,
        "security": security,
    }


def postgres_password(request: pytest.FixtureRequest) -> tuple[dict[str, Any], str]:
    postgres: SecuredPostgres = request.getfixturevalue("secured_postgres")
    url = postgres.url(f"quell:{quote(SECRET.value, safe='')}")
    stream = {"uses": "kafka", "bootstrap_servers": ["localhost:9"]}
    return {"store": {"url": url}, "stream": stream}, "password authentication failed"


def kafka_password(mechanism: str) -> Callable[..., tuple[dict[str, Any], str]]:
    def refused(request: pytest.FixtureRequest) -> tuple[dict[str, Any], str]:
        kafka: SecuredKafka = request.getfixturevalue("secured_kafka")
        stream = _kafka(kafka, mechanism=mechanism, user=USER, password=SECRET.value)
        return {"stream": stream}, "check security.sasl"

    return refused


def client_secret(request: pytest.FixtureRequest) -> tuple[dict[str, Any], str]:
    kafka: SecuredKafka = request.getfixturevalue("secured_kafka")
    stream = _kafka(
        kafka,
        mechanism="OAUTHBEARER",
        token_url=f"{kafka.issuer.url}/token",
        client_id=USER,
        client_secret=SECRET.value,
    )
    return {"stream": stream}, "refuses client"


@pytest.mark.parametrize(
    "refused",
    [
        pytest.param(postgres_password, id="postgres"),
        pytest.param(kafka_password("SCRAM-SHA-512"), id="kafka-scram"),
        pytest.param(kafka_password("PLAIN"), id="kafka-plain"),
        pytest.param(client_secret, id="kafka-oauth"),
    ],
)
def test_what_is_refused_is_not_told(
    refused: Callable[[pytest.FixtureRequest], tuple[dict[str, Any], str]],
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    sections, words = refused(request)
    config = tmp_path / "quell.yaml"
    config.write_text(yaml.safe_dump({"listen": "127.0.0.1:0", "data": "data", **sections}))
    told = run([PROGRAM, "serve", "--config", config], statuses=(2, 3))
    assert words in told
    assert found_in(told) == {}
    written = [path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert leaks([SECRET], {"files": b"\n".join(written)}) == {}
    # The search finds it where it is.
    assert found_in(config.read_text()) == {"told": {SECRET.setting}}


def found_in(text: str) -> dict[str, set[str]]:
    return leaks([SECRET], {"told": text.encode()})


def test_the_search_knows_every_form() -> None:
    other = canary("another")
    for form in forms(SECRET.value):
        for before in ("", "x", "xy", "xyz"):
            assert found_in(before + form) == {"told": {SECRET.setting}}, form
            assert leaks([other], {"told": (before + form).encode()}) == {}
