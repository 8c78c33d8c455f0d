"""Loopback in a network namespace of its own, as `unshare -n` makes one."""

import errno
import os
import subprocess
import sys

import pytest

from engine.demo import loopback
from engine.errors import ConfigError
from tests.demo.demos import QUELL, tell
from tests.services.process import program


def unshared() -> list[str]:
    """The start of a command that runs in a new network namespace, as root of it."""
    return [program("unshare"), "--net" if os.getuid() == 0 else "--map-root-user", "--net"]


def test_what_works_is_left_alone() -> None:
    assert loopback.open_loopback() == ""


def test_what_is_off_is_switched_on_once() -> None:
    script = (
        "from engine.demo.loopback import open_loopback, reachable\n"
        "print([reachable(), open_loopback() != '', reachable(), open_loopback()])"
    )
    argv = [*unshared(), sys.executable, "-c", script]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30)
    assert done.stdout == "[False, True, True, '']\n", done.stderr


def test_who_may_not_switch_it_on_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(loopback, "reachable", lambda: False)
    monkeypatch.setattr(loopback, "switch_on", refuse)
    with pytest.raises(ConfigError, match=r"not permitted.*ip link set lo up"):
        loopback.open_loopback()


def test_the_demo_needs_no_network() -> None:
    told = tell("--yes", argv=[*unshared(), *QUELL])
    assert told.code == 0, told.output + told.errors
    assert "Loopback was off" in told.output
