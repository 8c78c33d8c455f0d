"""Real programs under test: found or named as missing, started, waited for, and surely ended."""

import os
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

START_DEADLINE_S = 60.0
STOP_DEADLINE_S = 10.0
POLL_S = 0.02


class ServiceError(Exception):
    """A service is missing or doesn't come up; the message says which, why, and its last lines."""


def program(name: str) -> str:
    """Absolute path of the installed program `name`; ServiceError when it isn't there."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        raise ServiceError(
            f"{name!r} is not installed; `make system-packages` installs it or says how"
        )
    return found


def free_port() -> int:
    """A loopback port that nobody listens on.

    Below the range that the kernel gives to outgoing connections, so that a service that was
    stopped finds its port still free when it is started again.
    """
    for _ in range(200):
        port = random.randint(15_000, 32_000)
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ServiceError("no free loopback port between 15000 and 32000")


def listens(port: int) -> bool:
    """Whether something accepts connections on the loopback `port`."""
    with socket.socket() as client:
        client.settimeout(1.0)
        return client.connect_ex(("127.0.0.1", port)) == 0


def wait_until(holds: Callable[[], bool], what: str, deadline_s: float = START_DEADLINE_S) -> None:
    """Return as soon as `holds` does; ServiceError naming `what` after the deadline."""
    end = time.monotonic() + deadline_s
    while not holds():
        if time.monotonic() > end:
            raise ServiceError(f"not within {deadline_s:g} s: {what}")
        time.sleep(POLL_S)


class Process:
    """One program, started and stopped as often as a test likes, writing to one log."""

    def __init__(
        self,
        argv: Sequence[str | Path],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        user: str = "",
    ) -> None:
        """`env` is added to the test run's own; `user` needs root, "" keeps the current one."""
        self.log = log
        self._argv = [*_ends_with_us(user), *map(str, argv)]
        self._env = dict(os.environ) | dict(env or {})
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    @property
    def pid(self) -> int:
        if self._child is None:
            raise ServiceError(f"{self._argv} was never started")
        return self._child.pid

    def start(self, ready: Callable[[], bool], deadline_s: float = START_DEADLINE_S) -> None:
        """Start it and return when `ready` says so."""
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                self._argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._env,
                cwd=self.log.parent,
                start_new_session=True,
            )
        try:
            wait_until(lambda: not self.running or ready(), f"{self._argv} ready", deadline_s)
        except ServiceError as error:
            self.kill()
            raise ServiceError(f"{error}\n{self.log_tail()}") from None
        if not self.running:
            raise ServiceError(
                f"{self._argv} ended with {self._child.returncode}\n{self.log_tail()}"
            )

    def stop(self) -> None:
        """Ask it to end (SIGTERM), insist after STOP_DEADLINE_S; fine when it has ended already."""
        if self._child is None:
            return
        self._child.terminate()
        try:
            self._child.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def signal(self, number: int) -> None:
        """Send it a signal, and wait for nothing."""
        if self._child is not None:
            self._child.send_signal(number)

    def wait(self, deadline_s: float) -> int:
        """Wait until it has ended by itself; its exit code, negative by a signal."""
        if self._child is None:
            raise ServiceError(f"{self._argv} was never started")
        try:
            return self._child.wait(deadline_s)
        except subprocess.TimeoutExpired:
            raise ServiceError(f"not ended within {deadline_s:g} s: {self.log_tail()}") from None

    def kill(self) -> None:
        """End it and its children without a chance to tidy up (SIGKILL)."""
        if self._child is None or self._child.poll() is not None:
            return
        family = [psutil.Process(self._child.pid)]
        family += family[0].children(recursive=True)
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        psutil.wait_procs(family, timeout=STOP_DEADLINE_S)
        self._child.wait()

    def log_tail(self, lines: int = 40) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def run(
    argv: Sequence[str | Path],
    *,
    user: str = "",
    deadline_s: float = 60.0,
    statuses: Collection[int] = (0,),
) -> str:
    """Run a program to its end and return what it printed.

    ServiceError when it ends with none of `statuses`.
    """
    command = [*_ends_with_us(user), *map(str, argv)]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=deadline_s,
    )
    if done.returncode not in statuses:
        raise ServiceError(f"{command} ended with {done.returncode}\n{done.stdout[-4000:]}")
    return done.stdout


def _ends_with_us(user: str) -> list[str]:
    """What to put before a command so that it ends with the test run, even one that is killed."""
    if shutil.which("setpriv") is None:
        return []  # not Linux: an orderly end still stops it
    prefix = ["setpriv", "--pdeathsig", "TERM"]
    if user:
        prefix += ["--reuid", user, "--regid", user, "--init-groups"]
    return [*prefix, "--"]
