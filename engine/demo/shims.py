"""The programs on the demo host's PATH that a host with systemd and GPUs would have itself.

A file by itself, on the standard library alone: the host runs it as a script for each program.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

# systemctl's and nvidia-smi's own exit codes.
NOT_ACTIVE, NO_SUCH_UNIT, NO_DRIVER = 3, 5, 9
TIMED_OUT = 124

SOCKET_TIMEOUT_S = 30.0


def ask_supervisor(socket_path: Path, order: str, unit: str) -> dict[str, str]:
    """Tell the host's supervisor `show` or `restart`, and return the unit's properties after it.

    They are empty when there is no such unit. Raises OSError when nobody supervises.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(SOCKET_TIMEOUT_S)
        connection.connect(str(socket_path))
        with connection.makefile("rw", encoding="utf-8") as line:
            line.write(json.dumps({"order": order, "unit": unit}) + "\n")
            line.flush()
            answer = json.loads(line.readline())
    return {str(name): str(value) for name, value in answer.items()}


def systemctl(folder: Path, arguments: Sequence[str]) -> int:
    """restart, show, is-active and status of one unit, with systemctl's words and exit codes."""
    parser = _parser("systemctl", "restart, show, is-active or status of the demo's one unit")
    parser.add_argument("verb", choices=["restart", "show", "is-active", "status"])
    parser.add_argument("unit")
    parser.add_argument("-p", "--property", default="", help="only these, with commas")
    given = parser.parse_args(arguments)
    unit = given.unit.removesuffix(".service")
    order = "restart" if given.verb == "restart" else "show"
    facts = ask_supervisor(folder / "supervisor.sock", order, unit)
    if not facts:
        sys.stderr.write(f"Unit {unit}.service not found. (the systemctl of quell's demo)\n")
        return NO_SUCH_UNIT
    match given.verb:
        case "show":
            wanted = given.property.split(",") if given.property else list(facts)
            sys.stdout.writelines(f"{name}={facts[name]}\n" for name in wanted if name in facts)
            return 0
        case "is-active":
            sys.stdout.write(f"{facts['ActiveState']}\n")
        case "status":
            sys.stdout.write(
                f"{unit}.service - {facts['Description']}\n"
                f"   Active: {facts['ActiveState']}\n Main PID: {facts['MainPID']}\n"
                "   (the systemctl of quell's demo)\n"
            )
        case _:
            return 0
    return 0 if facts["ActiveState"] == "active" else NOT_ACTIVE


def journalctl(folder: Path, arguments: Sequence[str]) -> int:
    """The last lines that the unit and its supervisor wrote."""
    parser = _parser("journalctl", "the last lines of a unit's log")
    parser.add_argument("-u", "--unit", required=True)
    parser.add_argument("-n", "--lines", type=int, default=10)
    parser.add_argument("--no-pager", action="store_true")
    parser.add_argument("-o", "--output", choices=["short-iso"], default="short-iso")
    given = parser.parse_args(arguments)
    log = folder / f"{given.unit.removesuffix('.service')}.log"
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    if not lines:
        sys.stdout.write("-- No entries -- (the journalctl of quell's demo)\n")
    sys.stdout.writelines(f"{line}\n" for line in lines[max(0, len(lines) - given.lines) :])
    return 0


def nvidia_smi(_folder: Path, arguments: Sequence[str]) -> int:
    """What nvidia-smi does where no GPU is: it fails, and says so."""
    if {"-h", "--help"} & set(arguments):
        sys.stdout.write("The nvidia-smi of quell's demo: it says that this host has no GPU.\n")
        return 0
    sys.stdout.write("This demo host has no GPU, so there is nothing to show.\n")
    return NO_DRIVER


def sudo(_folder: Path, arguments: Sequence[str]) -> int:
    """Run the command as who is there already: the demo's host has one user."""
    parser = _parser("sudo", "runs the command as the same user; nothing needs root here")
    parser.add_argument("-n", "--non-interactive", action="store_true")
    parser.add_argument("-T", "--command-timeout", help="taken and not needed")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    command = parser.parse_args(arguments).command
    if not command:
        parser.error("a command is needed")
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.stderr.write(f"sudo: {command[0]}: {error.strerror} (the sudo of quell's demo)\n")
    return 127


def timeout(_folder: Path, arguments: Sequence[str]) -> int:
    """`timeout -k K N COMMAND...`, for systems that have none."""
    parser = _parser("timeout", "runs a command for so long at most")
    parser.add_argument("-k", "--kill-after", type=float, default=0.0)
    parser.add_argument("duration", type=float)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    given = parser.parse_args(arguments)
    if not given.command:
        parser.error("a command is needed")
    try:
        child = subprocess.Popen(given.command)
    except OSError as error:
        sys.stderr.write(f"timeout: {given.command[0]}: {error.strerror}\n")
        return 127
    try:
        return _exit_code(child.wait(given.duration))
    except subprocess.TimeoutExpired:
        child.terminate()
    try:
        child.wait(given.kill_after or None)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
        return 128 + signal.SIGKILL
    return TIMED_OUT


PROGRAMS: dict[str, Callable[[Path, Sequence[str]], int]] = {
    "systemctl": systemctl,
    "journalctl": journalctl,
    "nvidia-smi": nvidia_smi,
    "sudo": sudo,
    "timeout": timeout,
}


def _parser(program: str, what: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog=program, description=f"The {program} of quell's demo: {what}"
    )


def _exit_code(status: int) -> int:
    return 128 - status if status < 0 else status


if __name__ == "__main__":
    sys.exit(PROGRAMS[sys.argv[1]](Path(sys.argv[2]), sys.argv[3:]))
