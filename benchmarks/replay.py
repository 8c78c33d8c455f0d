"""`quell replay` against ansible-rulebook's command: one file of alerts, the same 1,000 rules.

`python -m benchmarks.replay`, from the root of the repository, with Java 17 installed. It makes an
environment for ansible-rulebook (Apache-2.0) in the cache on its first run, beside quell's own.

One alert in a hundred is for one of the rules, and no two are of one fingerprint, which is quell's
most costly kind. Rules are an equality and an inequality each; what they start does nothing. The
rate is from the first alert that was read to the end of the process: ansible-rulebook takes half a
minute to load the rules. quell opens the incidents that the rules say, ansible-rulebook has none.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from datetime import timedelta
from pathlib import Path

from msgspec import structs

from benchmarks.harness import Variant, compare
from benchmarks.rule_evaluation import events
from engine.core.ids import derived_id
from engine.core.records import alert_json

RULES = 1_000
EVENTS = 20_000
# A body of alerts as one Alertmanager sends it; they share the time of receipt.
EVENTS_A_SECOND = 50
PAIRS = 5
WANTED = ("ansible-rulebook==1.3.2", "ansible-core>=2.15,<2.20")
CACHE = Path.home() / ".cache" / "quell" / "ansible-rulebook"
# What a pipe holds while nobody reads; Linux's own bound.
PIPE_BYTES = 65_536

# An event source of ansible-rulebook's: a line is an event, and the first one is stamped.
SOURCE = """
import json, time

async def main(queue, args):
    with open(args["path"]) as lines:
        for number, line in enumerate(lines):
            if not number:
                open(args["began"], "w").write(str(time.monotonic()))
            await queue.put(json.loads(line))
"""


def write_alerts(path: Path, count: int) -> None:
    """A line each, as `quell normalize` prints them."""
    with path.open("w") as file:
        for at, event in enumerate(events(count, RULES)):
            received = event.received_at + timedelta(seconds=at // EVENTS_A_SECOND)
            alert = structs.replace(
                event, fingerprint=derived_id("event", str(at)), received_at=received
            )
            file.write(alert_json(alert) + "\n")


def write_rules(folder: Path) -> None:
    """quell's form, in a folder of its own."""
    rules = [
        {
            "id": f"r{number}",
            "description": "d",
            "severity": "P3",
            "matchers": [f'alertname="Alert{number}"', 'tier!="dev"'],
        }
        for number in range(RULES)
    ]
    folder.mkdir()
    (folder / "rules.yaml").write_text(json.dumps({"language": 1, "rules": rules}))


def write_rulebook(path: Path, alerts: Path, began: Path) -> None:
    """The same for ansible-rulebook."""
    label = "event.labels"
    rules = [
        {
            "name": f"r{number}",
            "condition": f'{label}.alertname == "Alert{number}" and {label}.tier != "dev"',
            "action": {"none": {}},
        }
        for number in range(RULES)
    ]
    source = {"lines": {"path": str(alerts), "began": str(began)}}
    book = {"name": "replay", "hosts": "all", "gather_facts": False, "sources": [source]}
    path.write_text(json.dumps([{**book, "rules": rules}]))
    (path.parent / "sources").mkdir()
    (path.parent / "sources" / "lines.py").write_text(SOURCE)


def quell_rate(rules: Path, alerts: Path) -> float:
    """Alerts a second; they come by a pipe, which is emptied once quell reads."""
    quell = Path(sys.executable).with_name("quell")
    argv: list[str | Path] = [quell, "replay", "--rules", rules, "--alone"]
    text = alerts.read_bytes()
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        place = os.write(process.stdin.fileno(), text[:PIPE_BYTES])
        place += os.write(process.stdin.fileno(), text[place : place + 1])
        began = time.monotonic()
        process.stdin.write(text[place:])
        process.stdin.close()
        told = process.stdout.read().decode()
    took_s = time.monotonic() - began
    count = text.count(b"\n")
    expected = f"{count - count // 100} unmatched, {count // 100} new"
    assert expected in told, told
    return count / took_s


def rulebook_rate(home: Path, book: Path, began: Path, count: int) -> float:
    """Alerts a second; it reads the file itself."""
    command, sources = home / "bin" / "ansible-rulebook", book.parent / "sources"
    argv: list[str | Path] = [command, "--rulebook", book, "-S", sources]
    path = f"{home / 'bin'}:/usr/local/bin:/usr/bin:/bin"
    subprocess.run(argv, check=True, env={"PATH": path, "HOME": str(book.parent)})
    return count / (time.monotonic() - float(began.read_text()))


def ansible_rulebook() -> Path:
    """Its environment, made where there is none."""
    if not (CACHE / "bin" / "ansible-rulebook").exists():
        print(f"installing {' '.join(WANTED)} into {CACHE}")
        venv.create(CACHE, with_pip=True)
        subprocess.run([CACHE / "bin" / "pip", "install", "-q", *WANTED], check=True)
    return CACHE


def main() -> None:
    """Print the comparison."""
    home = ansible_rulebook()
    with tempfile.TemporaryDirectory(prefix="quell-replay-") as name:
        folder = Path(name)
        alerts, book, began = (folder / each for each in ("alerts.jsonl", "book.yml", "began"))
        write_alerts(alerts, EVENTS)
        write_rules(folder / "rules")
        write_rulebook(book, alerts, began)
        other = Variant("ansible-rulebook", lambda: rulebook_rate(home, book, began, EVENTS))
        own = Variant("quell replay", lambda: quell_rate(folder / "rules", alerts))
        print(f"{EVENTS:,} alerts, {RULES:,} rules:")
        print(compare(other, own, unit="alerts/s", pairs=PAIRS).table())


if __name__ == "__main__":
    main()
