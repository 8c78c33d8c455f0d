"""An address that was never tried doesn't work: the verb tries it, from this machine."""

import json
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest
import yaml

from engine.cli.main import execute
from tests.doubles.emergency_receiver import EmergencyReceiver


@pytest.fixture
def receiver() -> Iterator[EmergencyReceiver]:
    with EmergencyReceiver().running() as receiver:
        yield receiver


@pytest.fixture
def config(tmp_path: Path, receiver: EmergencyReceiver) -> Path:
    path = tmp_path / "quell.yaml"
    path.write_text(yaml.safe_dump(receiver.settings))
    return path


def test_a_test_message_arrives(
    capsys: pytest.CaptureFixture[str], config: Path, receiver: EmergencyReceiver
) -> None:
    assert execute(["emergency-test", "--config", str(config)]) == 0
    assert "see whether it has arrived" in capsys.readouterr().out
    assert execute(["emergency-test", "--config", str(config), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"accepted": True}
    assert len(receiver.texts) == 2
    assert "Nothing is wrong" in receiver.texts[0]


@pytest.mark.parametrize(
    ("status", "code"), [(HTTPStatus.NOT_FOUND, 2), (HTTPStatus.SERVICE_UNAVAILABLE, 3)]
)
def test_a_refusal_is_told_without_the_secret(
    capsys: pytest.CaptureFixture[str],
    config: Path,
    receiver: EmergencyReceiver,
    status: HTTPStatus,
    code: int,
) -> None:
    receiver.status = status
    assert execute(["emergency-test", "--config", str(config)]) == code
    told = capsys.readouterr().err
    assert f"the emergency address at 127.0.0.1: answered {status.value}" in told
    assert "s3cr3t" not in told


def test_without_an_address_it_says_what_to_set(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "quell.yaml").write_text("data: data\n")
    assert execute(["emergency-test", "--config", str(tmp_path / "quell.yaml")]) == 2
    assert "set emergency.url" in capsys.readouterr().err


def test_check_finds_a_mistake_in_its_place(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    config = tmp_path / "quell.yaml"
    config.write_text("emergency:\n  url: http://hooks.example/SECRET\n")
    assert execute(["check", "--config", str(config)]) == 1
    out = capsys.readouterr().out
    assert f"{config}:2:8: " in out
    assert "plain http only goes to a relay on this machine" in out
    assert "SECRET" not in out


def test_no_source_may_be_called_as_quell_s_own(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    config = tmp_path / "quell.yaml"
    config.write_text("sources:\n  quell: {uses: alertmanager}\n")
    assert execute(["check", "--config", str(config)]) == 1
    assert "quell's own alerts come from a source of this name" in capsys.readouterr().out
