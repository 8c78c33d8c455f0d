"""The wall clock of one process, which a test moves while the process runs, by libfaketime."""

from collections.abc import Mapping
from pathlib import Path

from tests.services.process import ServiceError, program


def faketime_library() -> Path:
    """The preloaded library; Debian keeps it in a folder of the machine's kind."""
    program("faketime")
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        raise ServiceError("libfaketimeMT.so.1 is not under /usr/lib, where Debian puts it")
    return found[0]


class WallClock:
    """Right until it is moved; a process has it by its `environment`.

    The monotonic clocks are left alone, as by somebody who sets a machine's time.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "faketime"
        self.move(0)

    @property
    def environment(self) -> Mapping[str, str]:
        return {
            "LD_PRELOAD": str(faketime_library()),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def move(self, hours: float) -> None:
        """Be so far off the machine's from now on; 0 sets it right."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{hours * 3600:+.0f}\n")
        new.rename(self._file)
