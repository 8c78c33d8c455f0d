"""A host that counts what was done to it: each mark that quell leaves there is a line of a file."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml

from tests.scenarios.quell import FILES, Quell, bodies
from tests.services.process import wait_until
from tests.services.ssh_host import SshHost

# All of them are the one host, so that runs don't wait for each other's locks.
TARGETS = tuple(f"gpu-{n:02}" for n in range(1, 9))
MARKS = FILES / "marks"
# Long enough for a test to do something meanwhile, and less than the step's bound on the host.
SLOWLY_S = 4
MARK = f"""#!/bin/sh
if [ "$1" = slowly ]; then
    echo "$2" >> "$HOME/begun"
    sleep {SLOWLY_S}
fi
if [ "$1" = held ]; then
    echo "$2" >> "$HOME/begun"
    echo $$ > "$HOME/pid-$2"
    while [ ! -e "$HOME/let-go-${{2%%-*}}" ]; do sleep 0.1; done
fi
echo "$2" >> "$HOME/marks"
"""
MARKED = """#!/bin/sh
grep -qx -- "$1" "$HOME/marks" 2>/dev/null
"""


@dataclass(frozen=True, slots=True)
class MarkedHost:
    """The host's side; names carry a prefix of this test's own, because tests share the host."""

    host: SshHost
    prefix: str

    def name(self, word: str) -> str:
        """A mark's name."""
        return f"{self.prefix}-{word}"

    def labels(self, word: str, how: str = "quickly", target: str = TARGETS[0]) -> dict[str, str]:
        """Of an alert that wants this mark."""
        return {
            "alertname": "MarkWanted",
            "service": "marked",
            "target": target,
            "name": self.name(word),
            "how": how,
        }

    def marks(self) -> Counter[str]:
        """How often each of this test's marks was left, by word."""
        return self._lines("marks")

    def begun(self) -> Counter[str]:
        """How often each slow mark was begun."""
        return self._lines("begun")

    def process(self, word: str) -> int:
        """The id of the process that is held before this mark, once it has begun."""
        return int((self.host.folder / "home" / f"pid-{self.name(word)}").read_text())

    def let_go(self) -> None:
        """Hold no further process of this test's marks."""
        (self.host.folder / "home" / f"let-go-{self.prefix}").touch()

    def settings(self, folder: Path, targets: Sequence[str] = TARGETS) -> dict[str, Any]:
        """The sections of quell.yaml that reach this host, and leave marks without asking.

        It may stand for several targets: a run locks its own.
        """
        host = {
            "kind": "host",
            "address": self.host.address,
            "port": self.host.port,
            "connection": "lab",
        }
        ssh = {
            "uses": "ssh",
            "user": self.host.user,
            "client_key": str(self.host.client_key),
            "known_hosts": str(self.host.known_hosts),
        }
        inventory = {
            "language": 1,
            # Each of a service of its own: of one service, what follows a change may follow from
            # it, and asks a person.
            "targets": {target: {**host, "service": f"marked-{target}"} for target in targets},
            "services": {
                name: {"environment": "staging"}
                for name in ("marked", *(f"marked-{target}" for target in targets))
            },
            "connections": {"lab": ssh},
        }
        (folder / "inventory.yaml").write_text(yaml.safe_dump(inventory))
        return {
            "rules_dir": str(MARKS / "rules"),
            "playbooks_dir": str(MARKS / "playbooks"),
            "commands": str(MARKS / "commands.yaml"),
            "policy": str(MARKS / "policy.yaml"),
            "inventory": "inventory.yaml",
        }

    def _lines(self, name: str) -> Counter[str]:
        path = self.host.folder / "home" / name
        lines = path.read_text().split() if path.exists() else []
        own = [line for line in lines if line.startswith(f"{self.prefix}-")]
        return Counter(line.removeprefix(f"{self.prefix}-") for line in own)


def marked_host(host: SshHost) -> MarkedHost:
    """The host with its programs."""
    host.add_program("mark", MARK)
    host.add_program("marked", MARKED)
    return MarkedHost(host, uuid4().hex[:8])


def wait_for_runs(quell: Quell, count: int, deadline_s: float = 60.0) -> list[dict[str, Any]]:
    """Wait until so many runs of `mark` have ended; their ends."""

    def ended() -> list[dict[str, Any]]:
        wanted = [each for each in quell.incidents() if each["rule_id"] == "mark-wanted"]
        return [each for each in wanted if each["outcome"]]

    wait_until(lambda: len(ended()) == count, f"{count} runs have ended", deadline_s)
    stories = [quell.story(each) for each in ended()]
    return [end for story in stories for end in bodies(story, "run.ended")]
