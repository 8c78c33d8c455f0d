"""A secret is known from where it enters, whatever it is a part of, and only while it is one."""

from pathlib import Path
from typing import Annotated

import pytest
from pydantic import BaseModel, Field, JsonValue, SecretBytes, SecretStr

from engine.ports.known_secrets import HOLDS_SECRET, KNOWN, MAX_VALUES, KnownSecrets

PEM = """-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIPq3mRZ5v0YcKk4sL2Hq8wTn7xUeJdGfB1aVoXiNyMzS
-----END PRIVATE KEY-----
"""
CERTIFICATE = """-----BEGIN CERTIFICATE-----
MIIBszCCAVmgAwIBAgIUQ29tZSBvbiwgdGhpcyBpcyBub3QgYSByZWFsIG9uZQ==
-----END CERTIFICATE-----
"""


class Inner(BaseModel):
    user: str
    password: SecretStr


class Config(BaseModel):
    channel: str = "C0123-ABCD"
    token: SecretStr = SecretStr("tok-en-1234")
    raw: SecretBytes = SecretBytes(b"raw-bytes-12345678")
    many: tuple[SecretStr, ...] = ()
    inner: Inner | None = None
    named: dict[str, Inner] = {}
    key: Annotated[Path | None, HOLDS_SECRET] = None
    other_file: Path | None = None
    foreign: dict[str, JsonValue] = Field(default={}, repr=False)


@pytest.fixture
def known() -> KnownSecrets:
    return KnownSecrets()


def masked(known: KnownSecrets, text: str) -> str:
    return known.mask(f"<{text}>")


def test_every_secret_of_a_configuration_is_known_by_its_place(
    known: KnownSecrets, tmp_path: Path
) -> None:
    (tmp_path / "key.pem").write_text(PEM)
    (tmp_path / "public.txt").write_text("nothing-secret-1")
    config = Config(
        many=(SecretStr("first-of-many"), SecretStr("second-of-many")),
        inner=Inner(user="inner-user-1", password=SecretStr("inner-pass-1")),
        named={"a": Inner(user="named-user-1", password=SecretStr("named-pass-1"))},
        key=Path("key.pem"),
        other_file=Path("public.txt"),
    )
    known.declare(config, "x", tmp_path)
    places = {
        "tok-en-1234": "x.token",
        "first-of-many": "x.many.0",
        "second-of-many": "x.many.1",
        "inner-pass-1": "x.inner.password",
        "named-pass-1": "x.named.a.password",
        PEM.splitlines()[1]: "x.key",
    }
    for text, place in places.items():
        assert known.masker.found(text) == place
    for text in ("C0123-ABCD", "inner-user-1", "named-user-1", "key.pem", "nothing-secret-1"):
        assert known.masker.found(text) == ""


def test_what_a_reference_brought_is_secret_until_its_field_says_otherwise(
    known: KnownSecrets, tmp_path: Path
) -> None:
    known.keep("x.channel", "C0123-ABCD")
    known.keep("x.foreign.token", "foreign-1234")
    assert known.masker.found("C0123-ABCD") == "x.channel"
    known.declare(Config(foreign={"token": "foreign-1234"}), "x", tmp_path)
    assert known.masker.found("C0123-ABCD") == ""
    # A section that belongs to a connector is that connector's to declare.
    assert known.masker.found("foreign-1234") == "x.foreign.token"


@pytest.mark.parametrize(
    ("value", "secret", "public"),
    [
        pytest.param(
            "postgresql://quell:p%40ss-w0rd@db.example:5432/quell?sslkey=/etc/quell/client.key",
            "p@ss-w0rd",
            ["db.example:5432", "quell:x@", "/etc/quell/client.key"],
            id="password",
        ),
        pytest.param(
            "https://hooks.example/x?api_key=abc-1234-def&channel=operations-1",
            "abc-1234-def",
            ["operations-1", "hooks.example"],
            id="parameter",
        ),
        pytest.param(
            "https://hooks.example/T0/B0/abcdef", "hooks.example/T0/B0/abcdef", [], id="0"
        ),
        pytest.param("postgresql://[broken:pass-word-1", "pass-word-1", [], id="not-a-url"),
    ],
)
def test_of_a_url_its_secret_parts_are_secret(
    known: KnownSecrets, value: str, secret: str, public: list[str]
) -> None:
    known.keep("store.url", value)
    assert secret not in masked(known, value)
    for text in public:
        assert masked(known, text) == f"<{text}>"


def test_of_a_file_only_private_keys_are_secret(known: KnownSecrets, tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_text(CERTIFICATE + PEM)
    known.keep_file("tls", both)
    assert masked(known, CERTIFICATE) == f"<{CERTIFICATE}>"
    assert "Pq3mRZ5v0YcKk4s" not in masked(known, both.read_text())

    (tmp_path / "certificate.pem").write_text(CERTIFICATE)
    known.keep_file("tls", tmp_path / "certificate.pem")
    assert masked(known, CERTIFICATE) == f"<{CERTIFICATE}>"

    (tmp_path / "token").write_text("a-token-in-a-file\n")
    known.keep_file("token", tmp_path / "token")
    assert masked(known, "a-token-in-a-file") == "<[masked token]>"


def test_a_file_that_is_not_there_is_told_by_who_uses_it(
    known: KnownSecrets, tmp_path: Path
) -> None:
    known.keep_file("key", tmp_path / "absent")
    assert known.masker.unmasked == ()


def test_of_a_secret_that_is_renewed_the_last_ones_are_known(known: KnownSecrets) -> None:
    for number in range(MAX_VALUES + 1):
        known.keep("token", f"{number:04}-token-number")
    assert masked(known, "0000-token-number") == "<0000-token-number>"
    assert masked(known, f"{MAX_VALUES:04}-token-number") == "<[masked token]>"
    assert masked(known, "0001-token-number") == "<[masked token]>"


def test_keeping_a_known_secret_again_costs_nothing(known: KnownSecrets) -> None:
    known.keep("token", "tok-en-1234")
    before = known.masker
    known.keep("token", "tok-en-1234")
    known.keep("empty", "")
    assert known.masker is before


def test_the_process_has_one() -> None:
    KNOWN.keep("token", "tok-en-1234")
    assert KNOWN.mask("tok-en-1234") == "[masked]"
    KNOWN.forget()
    assert KNOWN.mask("tok-en-1234") == "tok-en-1234"


def test_one_secret_under_many_names_is_looked_for_once() -> None:
    known = KnownSecrets()
    for number in range(200):
        known.keep(f"connections.{number}.key", "s3cret-of-them-all-0123456789")
    once = KnownSecrets()
    once.keep("connections.0.key", "s3cret-of-them-all-0123456789")
    assert known.masker.found("<s3cret-of-them-all-0123456789>") == "connections.0.key"
    assert len(known.masker._forms) == len(once.masker._forms)
