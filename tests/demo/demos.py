"""The demo as a process, with nobody at its input or with somebody at a terminal."""

import os
import pty
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

QUELL = (sys.executable, "-c", "from engine.cli.main import main; main()")
DEADLINE_S = 120.0


@dataclass(frozen=True, slots=True)
class Told:
    """What a demo printed and how it ended; `folder` is where it was kept, if it was."""

    code: int
    output: str
    errors: str

    @property
    def folder(self) -> Path:
        found = re.search(r"The demo's files are kept in (\S+)", self.output)
        assert found is not None, self.output
        return Path(found[1])

    @property
    def stages(self) -> list[str]:
        return re.findall(r"^── \d+ (.+?) ─", self.output, re.MULTILINE)


def tell(
    *arguments: str,
    argv: Sequence[str] = QUELL,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Told:
    """Run the demo with an empty input."""
    done = subprocess.run(
        [*argv, "demo", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        env={**os.environ, **(env or {})},
        cwd=cwd,
    )
    return Told(done.returncode, done.stdout, done.stderr)


def tell_on_a_terminal(answer: bytes, *arguments: str) -> Told:
    """Run the demo on a terminal on which somebody types `answer` when asked."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*QUELL, "demo", *arguments], stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        output = b""
        with suppress(OSError):  # Linux's way to say that the other end is closed
            while chunk := os.read(ours, 4096):
                asked = b"[y/N]" in output
                output += chunk
                if not asked and b"[y/N]" in output:
                    os.write(ours, answer)
        os.close(ours)
        code = process.wait(DEADLINE_S)
    plain = re.sub(rb"\x1b\[[0-9;]*m", b"", output).replace(b"\r\n", b"\n")
    return Told(code, plain.decode(), "")
