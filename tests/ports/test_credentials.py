"""Who a source's tokens and users let in."""

import pytest
from pydantic import SecretStr

from engine.ports.credentials import BasicCredentials, Credentials, offered

GUARDED = Credentials(
    bearer=(SecretStr("new-token"), SecretStr("old-token")),
    basic=(
        BasicCredentials(user="am", password=SecretStr("pä:ss")),
        BasicCredentials(user="am2", password=SecretStr("x")),
    ),
)


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
    assert GUARDED.accept(authorization)


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
    assert not GUARDED.accept(authorization)


def test_without_credentials_nobody_gets_in() -> None:
    assert not Credentials()
    assert not Credentials().accept("Bearer ")
    assert not Credentials().accept("")


@pytest.mark.parametrize(
    ("authorization", "shown"),
    [("Bearer s3cret", "Bearer"), ("", "no credentials"), ("x" * 50, "x" * 20)],
)
def test_the_log_is_told_the_scheme_alone(authorization: str, shown: str) -> None:
    assert offered(authorization) == shown
