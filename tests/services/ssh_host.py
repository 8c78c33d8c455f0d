"""A host as quell reaches it: a real OpenSSH sshd, and units that a real supervisord runs.

It has its own port, host key, accounts' key and logs; systemd is played by a shim over supervisord.
"""

import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.services.process import Process, free_port, listens, program, run

SHIMS = Path(__file__).parent / "shims"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class RecordedCommand:
    """A command that arrived at the host; `at` is the host's Unix time in seconds."""

    at: float
    command: str


class Unit:
    """A supervised program. It isn't restarted by itself: that is what quell is for."""

    def __init__(self, name: str, starts_file: Path, supervisor_config: Path) -> None:
        self.name = name
        self.starts_file = starts_file
        self._supervisor_config = supervisor_config

    def starts(self) -> int:
        """How often it started, as it counted itself."""
        return len(self.starts_file.read_text().split()) if self.starts_file.exists() else 0

    def running(self) -> bool:
        return self._pid() != 0

    def kill(self) -> None:
        """Let it die at once (SIGKILL), if it runs."""
        if pid := self._pid():
            os.kill(pid, 9)

    def _pid(self) -> int:
        # It answers 0 and ends with 7 when the unit doesn't run.
        control = program("supervisorctl")
        ask = ("-c", self._supervisor_config, "pid", self.name)
        return int(run([control, *ask], statuses=(0, 7)).strip())


class SshHost:
    """See the module; `running_ssh_host` starts and ends one."""

    def __init__(self, folder: Path, *, records: bool = True) -> None:
        """With `records` it keeps each command, which takes the place of a key's `command=`."""
        self._records = records
        self.folder = folder
        self.address = "127.0.0.1"
        self.port = free_port()
        self.user = pwd.getpwuid(os.getuid()).pw_name
        self.client_key = folder / "client_key"
        self.known_hosts = folder / "known_hosts"
        self.log = folder / "sshd.log"
        self._commands_log = folder / "commands.log"
        self._programs = folder / "programs"
        self._units = folder / "units"
        self._supervisor_config = folder / "supervisord.conf"
        self._sshd = Process(
            [program("sshd"), "-D", "-e", "-f", folder / "sshd_config"], log=self.log
        )
        self._supervisord = Process(
            [program("supervisord"), "-n", "-c", self._supervisor_config],
            log=folder / "supervisord.log",
        )

    def start(self) -> None:
        """Make its files where there are none yet, and start sshd and supervisord."""
        if not self._units.exists():
            self._make_files()
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self._supervisord.start((self.folder / "supervisor.sock").exists)
        self._sshd.start(lambda: listens(self.port))

    def stop(self) -> None:
        """End sshd, supervisord and all units."""
        self._sshd.stop()
        self._supervisord.stop()

    def stop_sshd(self) -> None:
        """Be unreachable; `start_sshd` ends that. Open connections stay."""
        self._sshd.stop()

    def start_sshd(self) -> None:
        self._sshd.start(lambda: listens(self.port))

    def add_program(self, name: str, script: str) -> None:
        """Put an executable on the path of the host's sessions, before the system's own."""
        path = self._programs / name
        path.write_text(script)
        path.chmod(0o755)

    def starts_file(self, unit: str) -> Path:
        """Where the program of `unit` must write a line with a new id each time it starts."""
        return self._units / f"{unit}.starts"

    def add_unit(self, name: str, argv: Sequence[str]) -> Unit:
        """Supervise `argv` as the unit `name` and start it; see `starts_file`."""
        words = " ".join(f'"{word}"'.replace("%", "%%") for word in argv)
        (self._units / f"{name}.ini").write_text(
            f"[program:{name}]\n"
            f"command={words}\n"
            f"stdout_logfile={self._units / name}.log\n"
            "redirect_stderr=true\n"
            "autostart=true\n"
            "autorestart=false\n"
            "startsecs=0\n"
            "stopwaitsecs=5\n"
            "stopasgroup=true\n"
            "killasgroup=true\n"
        )
        run([program("supervisorctl"), "-c", self._supervisor_config, "update", name])
        return Unit(name, self.starts_file(name), self._supervisor_config)

    def commands(self) -> list[RecordedCommand]:
        """What arrived, in order: the host's own record."""
        if not self._commands_log.exists():
            return []
        records = self._commands_log.read_text().split("\0")[:-1]
        split = (record.split(" ", 1) for record in records)
        return [RecordedCommand(float(at), command) for at, command in split]

    def _make_files(self) -> None:
        for folder in (self._units, self._programs, self.folder / "home"):
            folder.mkdir()
        for shim in ("systemctl", "sudo"):
            shutil.copy(SHIMS / shim, self._programs)
        host_key = self.folder / "host_key"
        for key in (host_key, self.client_key):
            run([program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key])
        shutil.copy(self.client_key.with_suffix(".pub"), self.folder / "authorized_keys")
        public = host_key.with_suffix(".pub").read_text()
        self.known_hosts.write_text(f"[{self.address}]:{self.port} {public}")
        (self.folder / "sshd_config").write_text(self._sshd_config())
        self._supervisor_config.write_text(
            "[supervisord]\n"
            f"logfile=/dev/null\nlogfile_maxbytes=0\npidfile={self.folder}/supervisord.pid\n"
            f"[unix_http_server]\nfile={self.folder}/supervisor.sock\n"
            f"[supervisorctl]\nserverurl=unix://{self.folder}/supervisor.sock\n"
            "[rpcinterface:supervisor]\n"
            "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
            f"[include]\nfiles={self._units}/*.ini\n"
        )

    def _sshd_config(self) -> str:
        # HOME is set so that no start-up file of the person who runs the tests has a say.
        environment = (
            f'SetEnv "PATH={self._programs}:{SYSTEM_PATH}" "HOME={self.folder}/home"'
            f' "UNITS={self._units}" "SUPERVISOR_CONFIG={self._supervisor_config}"'
            f' "COMMANDS_LOG={self._commands_log}"'
        )
        return f"""
Port {self.port}
ListenAddress {self.address}
HostKey {self.folder}/host_key
PidFile none
AuthorizedKeysFile {self.folder}/authorized_keys
AllowUsers {self.user}
PermitRootLogin prohibit-password
AuthenticationMethods publickey
StrictModes no
UsePAM no
PrintMotd no
LogLevel VERBOSE
MaxStartups 200
MaxSessions 200
{f"ForceCommand {SHIMS}/record" if self._records else ""}
{environment}
"""


@contextmanager
def running_ssh_host(*, records: bool = True) -> Iterator[SshHost]:
    """A host in a folder with a short path (a Unix socket's may have 100 characters)."""
    folder = Path(tempfile.mkdtemp(prefix="quell-host-"))
    host = SshHost(folder, records=records)
    try:
        host.start()
        yield host
    finally:
        host.stop()
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def ssh_host() -> Iterator[SshHost]:
    """One host a test worker; tests give their units names of their own."""
    with running_ssh_host() as host:
        yield host
