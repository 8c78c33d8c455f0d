"""The `quell` process as an operator has it: configured by files, asked by its own verbs."""

import json
import os
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.services.process import Process, ServiceError, run, wait_until

PROGRAM = Path(sys.executable).with_name("quell")
FILES = Path(__file__).parent / "files"

Json = dict[str, Any]


class Quell:
    """One installation: its folder and address outlive its process, so that it can come back."""

    def __init__(
        self,
        folder: Path,
        address: str,
        sections: Mapping[str, object],
        verb: Sequence[str],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`sections` are quell.yaml's; `verb` is `serve` or `up`, with more words where needed.

        `environment` is added to the test run's own.
        """
        self.data = folder / "data"
        self.url = f"http://{address}"
        config = folder / "quell.yaml"
        config.write_text(yaml.safe_dump({"listen": address, "data": "data", **sections}))
        self._process = Process(
            [PROGRAM, *verb, "--config", config], log=folder / "quell.log", env=environment
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.running

    def start(self, up: Callable[[], bool] | None = None) -> None:
        """Start it, or start it again with the data that it had, and wait until it is ready.

        `up` is what to wait for instead.
        """
        self._process.start(up or self.ready)

    def stop(self) -> None:
        """Ask it to end (SIGTERM) and wait."""
        self._process.stop()

    def signal(self, number: int) -> None:
        """Send it a signal, and wait for nothing."""
        self._process.signal(number)

    def wait(self, deadline_s: float) -> int:
        """Wait until it has ended by itself; its exit code."""
        return self._process.wait(deadline_s)

    def log(self) -> str:
        """All that it logged."""
        return self._process.log.read_text()

    def kill(self) -> None:
        """Let it die without a chance to tidy up (SIGKILL)."""
        self._process.kill()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It stands still (SIGSTOP), as on a machine that is paused, and then goes on."""
        os.kill(self._process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._process.pid, signal.SIGCONT)

    def ready(self) -> bool:
        return self._answers("/readyz")

    def alive(self) -> bool:
        return self._answers("/healthz")

    def health(self, path: str) -> tuple[int, str]:
        """What a health page answers, and what it says is wrong."""
        try:
            with urllib.request.urlopen(f"{self.url}{path}", timeout=30) as answer:
                return answer.status, ""
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)["detail"]
        except OSError:
            return 0, "nobody listens"

    def _answers(self, path: str) -> bool:
        try:
            urllib.request.urlopen(f"{self.url}{path}", timeout=10).close()
        except OSError:
            return False
        return True

    def verb(self, *words: str, statuses: Collection[int] = (0,)) -> Json:
        """What `quell WORDS --json` answers; it finds the running engine by its data folder."""
        answer = run([PROGRAM, *words, "--data", self.data, "--json"], statuses=statuses)
        found: Json = json.loads(answer)
        return found

    def get(self, path: str) -> Json:
        """What the API answers; much faster than a verb, which is a process of its own."""
        with urllib.request.urlopen(f"{self.url}{path}", timeout=10) as answer:
            found: Json = json.load(answer)
        return found

    def incidents(self) -> list[Json]:
        """All incidents, newest first."""
        found: list[Json] = self.get("/v1/incidents")["incidents"]
        return found

    def wait_for_incident(self, rule_id: str = "endpoint-down", **wanted: str) -> Json:
        """The only incident of a rule, once these of its fields have these values."""

        def matching() -> list[Json]:
            return [
                each
                for each in self.incidents()
                if each["rule_id"] == rule_id and all(each[k] == v for k, v in wanted.items())
            ]

        try:
            wait_until(lambda: len(matching()) > 0, f"an incident with {wanted}", 30)
        except ServiceError as error:
            error.add_note(f"there are: {self.incidents()}\n{self._process.log_tail()}")
            raise
        (found,) = (each for each in self.incidents() if each["rule_id"] == rule_id)
        return found

    def story(self, incident: Json) -> Json:
        """The incident with its timeline."""
        return self.get(f"/v1/incidents/{incident['id']}")


def bodies(story: Json, kind: str) -> list[Json]:
    """What the journal's entries of one kind (`run.ended`) say, oldest first."""
    return [each["body"] for each in story["timeline"] if each["kind"].split("@")[0] == kind]
