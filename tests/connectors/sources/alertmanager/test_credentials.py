"""Who the Alertmanager source lets in, and which settings it refuses."""

from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from connectors.sources.alertmanager import (
    AlertmanagerConfig,
    AlertmanagerSource,
    BasicCredentials,
)

BEARERS = (SecretStr("new-token"), SecretStr("old-token"))
BASICS = (
    BasicCredentials(user="am", password=SecretStr("pä:ss")),
    BasicCredentials(user="am2", password=SecretStr("x")),
)
OPEN = AlertmanagerSource(AlertmanagerConfig())
GUARDED = AlertmanagerSource(AlertmanagerConfig(bearer=BEARERS, basic=BASICS))


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer new-token",
        "bearer old-token",
        "BEARER  new-token ",
        "Basic YW06cMOkOnNz",
        "basic YW0yOng=",
    ],
)
def test_any_of_the_credentials_lets_in(authorization: str) -> None:
    assert GUARDED.authenticated({"authorization": authorization})


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer new-toke",
        "Bearer new-token2",
        "Bearer new-token, Bearer old-token",
        "Basic new-token",
        "new-token",
        "Bearer am2:x",
        "Basic YW0yOng",
        "Basic !!!!",
        "Basic YW0y!Ong=",
        "Basic YW0yOnk=",
        "Digest new-token",
        "Bearer n\xe9w",
        "Bearer \u2603",
    ],
)
def test_nothing_else_does(authorization: str) -> None:
    assert not GUARDED.authenticated({"authorization": authorization})
    assert not GUARDED.authenticated({"x-authorization": "Bearer new-token"})


def test_without_credentials_nobody_is_authenticated() -> None:
    assert not OPEN.authenticated({"authorization": "Bearer "})
    assert not OPEN.authenticated({})


@pytest.mark.parametrize(
    "settings",
    [
        {"bearer": [""]},
        {"basic": [{"user": "am", "password": ""}]},
        {"basic": [{"user": "a:m", "password": "x"}]},
        {"name": "No Spaces"},
        {"max_body_mib": 0},
        {"tokens": ["x"]},
    ],
    ids=str,
)
def test_a_setting_that_would_let_everybody_in_or_means_nothing_is_refused(settings: Any) -> None:
    with pytest.raises(ValidationError):
        AlertmanagerConfig.model_validate(settings)


def test_credentials_show_nowhere() -> None:
    assert "new-token" not in repr(AlertmanagerConfig(bearer=BEARERS, basic=BASICS))
