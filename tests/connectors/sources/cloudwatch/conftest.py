"""AWS for these tests: no credentials but theirs, and no address but loopback."""

from collections.abc import Iterator

import pytest

from tests.doubles.aws_server import AwsServer, aws_server


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIAOFTHETEST0000000",
        "AWS_SECRET_ACCESS_KEY": "secret-of-the-test",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/nonexistent",
        "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def aws(credentials: None) -> Iterator[AwsServer]:
    with aws_server() as server:
        yield server
