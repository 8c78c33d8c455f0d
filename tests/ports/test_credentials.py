"""Who a source's tokens and users let in."""

import pytest
from pydantic import SecretStr

from engine.ports.credentials import (
    BasicCredentials,
    Credentials,
    CredentialsConfig,
    offered,
)
from engine.ports.source import Sender

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
        "Basic YW0yOnh=",  # the same bytes as YW0yOng=
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


NO_SCHEME = "an Authorization without a known scheme before the secret, such as Bearer"


@pytest.mark.parametrize(
    ("authorization", "shown"),
    [
        ("Bearer s3cret", "Bearer"),
        ("basic czNjcmV0", "Basic"),
        ("Bearer ", "Bearer with nothing behind it"),
        ("", "no credentials"),
        ("s3cret", NO_SCHEME),
        ("s3cret ", NO_SCHEME),
        ("s3cret and more of it", NO_SCHEME),
        ("Bearer: s3cret", NO_SCHEME),
    ],
)
def test_the_log_is_told_the_scheme_alone(authorization: str, shown: str) -> None:
    assert offered(authorization) == shown


BY_NAME = CredentialsConfig.model_validate(
    {
        "bearer": ["own"],
        "certificates": ["am.example"],
        "senders": {
            "fra": {"bearer": ["fra-1", "fra-2"]},
            "muc": {
                "basic": [{"user": "am", "password": "muc"}],
                "certificates": ["spiffe://x/am"],
            },
        },
    }
)


@pytest.mark.parametrize(
    ("authorization", "certificate", "name"),
    [
        ("Bearer own", (), ""),
        ("Bearer fra-2", (), "fra"),
        ("Basic YW06bXVj", (), "muc"),
        ("", ("am.example",), ""),
        ("", ("other", "spiffe://x/am"), "muc"),
        ("Bearer wrong", ("am.example",), ""),
        ("Bearer fra-1", ("spiffe://x/am",), "fra"),
    ],
)
def test_who_gets_in_has_the_name_that_the_settings_give_it(
    authorization: str, certificate: tuple[str, ...], name: str
) -> None:
    sender = Sender({"authorization": authorization}, certificate=certificate)
    admission = Credentials.of(BY_NAME).admit(sender)
    assert (admission.outcome, admission.sender) == ("admitted", name)


def test_who_stays_out_is_told_to_the_log_without_a_secret() -> None:
    sender = Sender({"authorization": "Bearer wr0ng"}, certificate=("x.example", "am.examplE"))
    admission = Credentials.of(BY_NAME).admit(sender)
    assert admission.outcome == "denied"
    assert admission.why.startswith("Bearer and a certificate of x.example, am.examplE, which is")
    assert "wr0ng" not in admission.why
    assert Credentials.of(BY_NAME).admit(Sender()).why.startswith("no credentials, which is")


def test_whether_certificates_are_asked_for() -> None:
    senders = {"fra": {"certificates": ["x"]}}
    assert CredentialsConfig(certificates=("x",)).asks_for_certificates
    assert CredentialsConfig.model_validate({"senders": senders}).asks_for_certificates
    assert not CredentialsConfig(bearer=(SecretStr("x"),)).asks_for_certificates
    assert Credentials(certificates=["x"])
