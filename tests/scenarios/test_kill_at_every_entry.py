"""quell is killed at every entry of a run: right before its commit, and with the commit under way.

The run leaves two marks on a host. Whether the first is there can be looked for, so an interrupted
attempt goes on by itself; of the second nobody can know, so a person is asked. None is left twice.
"""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.gates import SIDES, Gate, Gates
from tests.scenarios.marks import MarkedHost, marked_host
from tests.scenarios.on_kafka import stream_section
from tests.scenarios.quell import Quell, bodies
from tests.scenarios.senders import send_one
from tests.services.kafka import KafkaBroker
from tests.services.postgres import PostgresServer
from tests.services.process import ServiceError, free_port, wait_until
from tests.services.ssh_host import SshHost

# Entries of these kinds are where an effect may be under way; the slow suite takes all kinds.
AROUND_CHANGES = "attempt."
PLAIN = "plain"
MOST_ENTRIES = 20
# Less than a statement may take, which is 30 s.
AT_GATES_WITHIN_S = 25
# A lease of the killed process, or the bound of an attempt, is 30 s; then what is left of the run.
GOES_ON_WITHIN_S = 3 * 35


@dataclass(frozen=True, slots=True)
class Written:
    """An entry of a chain as the database has it, `at_s` by its clock."""

    kind: str
    step: str
    at_s: float


@dataclass(frozen=True, slots=True)
class Expected:
    """How a run that was killed somewhere has to end, and how it gets there."""

    outcome: str = "succeeded"
    intents: Mapping[str, int] = field(default_factory=lambda: {"first": 1, "second": 1})
    probed: tuple[str, ...] = ()
    marks: tuple[str, ...] = ("first", "second")


def kinds(chain: Sequence[Written]) -> list[str]:
    """Of these entries."""
    return [each.kind for each in chain]


def expected(gate: Gate, plain: Sequence[Written]) -> Expected:
    """By what the killed process had done and couldn't say any more."""
    entry = plain[gate.seq - 1]
    match entry.kind, entry.step, gate.side:
        case "attempt.intended", "first", "AFTER":
            return Expected(intents={"first": 2, "second": 1}, probed=("not_done",))
        case "attempt.ended", "first", "BEFORE":
            return Expected(probed=("done",))
        case "attempt.ended", "first", "AFTER":
            # The commit that tells the end of one step intends the next one, too.
            return Expected("unknown", marks=("first",))
        case "attempt.ended", "second", "BEFORE":
            return Expected("unknown")
        case _:
            return Expected()


@dataclass
class Site:
    """One quell on a database and topics of its own, and the gates in them."""

    quell: Quell
    gates: Gates
    marked: MarkedHost
    killed_at_s: float = 0.0
    slowest_s: float = 0.0

    def start(self) -> None:
        self.quell.start()
        self.gates.set_up()

    def send(self, word: str) -> None:
        """An alert that starts a run of this name on a target of its own."""
        name = self.marked.name(word)
        labels = {"alertname": "TwoMarksWanted", "service": "marked", "name": name, "target": word}
        assert send_one(self.quell.url, labels) == 200

    def ended(self, word: str) -> dict[str, Any]:
        """The only incident of this name, once its run has ended."""

        def found() -> list[dict[str, Any]]:
            group = {"name": self.marked.name(word)}
            return [each for each in self.quell.incidents() if each["group"] == group]

        try:
            wait_until(
                lambda: any(each["outcome"] for each in found()),
                f"the run {word} has ended",
                GOES_ON_WITHIN_S,
            )
        except ServiceError as error:
            error.add_note(f"there are: {found()}\n{self.quell.log()[-8000:]}")
            raise
        (incident,) = found()
        return incident

    def chain(self, incident: dict[str, Any]) -> list[Written]:
        """All entries of an incident."""
        rows = self.gates.ask(
            "SELECT split_part(kind, '@', 1), at_us / 1e6, "
            "convert_from(body, 'UTF8')::json ->> 'step_id' "
            f"FROM entries WHERE chain = 'incident/{incident['id']}' ORDER BY seq"
        )
        split = (row.split("|") for row in rows.splitlines())
        return [Written(kind, step, float(at_s)) for kind, at_s, step in split]

    def wait_at(self, gates: Sequence[Gate]) -> None:
        """Have an incident at each gate; the last, which may hold up the pipeline, comes last."""
        self.gates.close(gates)
        self._send_to(gates[:-1])
        self._send_to(gates[-1:])

    def _send_to(self, gates: Sequence[Gate]) -> None:
        words = {gate.word for gate in gates}
        for word in words:
            self.send(word)
        wait_until(lambda: words <= self.gates.reached(), f"{words} at gates", AT_GATES_WITHIN_S)

    def kill_at(self, gates: Sequence[Gate]) -> None:
        """Kill it there; what it had asked the database for ends when the next one is at work."""
        words = {gate.word for gate in gates}
        assert self.gates.reached() == words
        self.quell.kill()
        self.killed_at_s = self.gates.now_s()
        self.quell.start()
        if gates[-1].seq == 1:
            # The pipeline's own transaction: the next process is given its partition, and the same
            # record, while that is open.
            wait_until(self.gates.holds_up_pipeline, "two pipelines at one record", 60)
        assert self.gates.reached() == words, "the database knows nothing of the kill"
        self.gates.open()

    def check(self, gate: Gate, plain: Sequence[Written]) -> Expected:
        """The run was killed just there, and ended as it has to."""
        wanted = expected(gate, plain)
        incident = self.ended(gate.word)
        chain, story = self.chain(incident), self.quell.story(incident)
        (end,) = bodies(story, "run.ended")
        assert end["outcome"] == wanted.outcome, f"{gate}: {end}"
        asks = wanted.outcome == "unknown"
        assert (incident["phase"] == "needs_person") == asks, gate
        if asks:
            assert "the worker stopped before the outcome was known" in end["reason"]

        written = gate.seq - (gate.side == "BEFORE")
        assert kinds(chain[:written]) == kinds(plain[:written]), gate
        self.slowest_s = max(self.slowest_s, chain[-1].at_s - self.killed_at_s)
        before_the_kill = chain[gate.seq - 1].at_s < self.killed_at_s
        assert before_the_kill == (gate.side == "AFTER"), gate

        intents = Counter(each.step for each in chain if each.kind == "attempt.intended")
        assert intents == wanted.intents, gate
        probed = tuple(each["answer"] for each in bodies(story, "attempt.probed"))
        assert probed == wanted.probed, gate
        return wanted


@pytest.fixture
def marked(ssh_host: SshHost) -> MarkedHost:
    return marked_host(ssh_host)


@pytest.fixture
def sites(
    request: pytest.FixtureRequest,
    marked: MarkedHost,
    kafka: KafkaBroker,
    postgres: PostgresServer,
    tmp_path: Path,
) -> Iterator[list[Site]]:
    """So many quells, each to be killed once, at several gates.

    One of these may hold up its pipeline, and all of them together must leave it connections.
    """
    words = [PLAIN, *(gate.word for gate in gates_at(range(1, MOST_ENTRIES + 1)))]
    with ExitStack() as running:
        made = []
        for number in range(request.param):
            database = postgres.create_database()
            running.callback(postgres.drop_database, database)
            folder = tmp_path / str(number)
            folder.mkdir()
            stream = stream_section(kafka, partitions=1)
            store = {"url": postgres.url(database)}
            sections = {**marked.settings(folder, words), "stream": stream, "store": store}
            quell = Quell(folder, f"127.0.0.1:{free_port()}", sections, ["serve"])
            running.callback(quell.kill)
            made.append(Site(quell, Gates(postgres, database), marked))
        yield made


def gates_at(entries: Sequence[int]) -> list[Gate]:
    """Both sides of each entry, the last first."""
    return [
        Gate(f"{seq:02}-{side.lower()}", seq, side) for seq in reversed(entries) for side in SIDES
    ]


@pytest.mark.parametrize(
    ("sites", "at"),
    [
        pytest.param(2, AROUND_CHANGES, id="around the changes"),
        pytest.param(4, "", id="everywhere", marks=pytest.mark.slow),
    ],
    indirect=["sites"],
)
def test_each_run_goes_on_or_asks_and_no_mark_is_left_twice(
    sites: Sequence[Site], marked: MarkedHost, at: str
) -> None:
    for site in sites:
        site.start()
    sites[0].send(PLAIN)
    plain = sites[0].chain(sites[0].ended(PLAIN))
    assert kinds(plain).count("attempt.intended") == 2
    # Entries of one time are of one transaction: it is killed at the first of them.
    firsts = [
        seq
        for seq, (before, entry) in enumerate(zip([None, *plain], plain, strict=False), 1)
        if entry.kind.startswith(at) and (before is None or before.at_s < entry.at_s)
    ]
    gates = gates_at(firsts)
    shares = [gates[number :: len(sites)] for number in range(len(sites))]

    for site, own in zip(sites, shares, strict=True):
        site.wait_at(own)
        site.kill_at(own)
    marks = Counter([f"{PLAIN}-first", f"{PLAIN}-second"])
    for site, own in zip(sites, shares, strict=True):
        for gate in own:
            wanted = site.check(gate, plain)
            marks.update(f"{gate.word}-{step}" for step in wanted.marks)
    sys.stdout.write(
        f"\nkilled at {len(gates)} gates, {len(firsts)} transactions of {len(plain)} entries: "
        f"the slowest run ended {max(site.slowest_s for site in sites):.0f} s after its kill\n"
    )
    assert marked.marks() == marks
    for site, own in zip(sites, shares, strict=True):
        balance = site.quell.get("/v1/balance")
        assert (balance["difference"], balance["waiting"]) == (0, 0)
        became = balance["dispositions"]
        assert became["new"] == len(own) + (site is sites[0])
        assert set(became) <= {"new", "tick"}
        assert site.quell.verb("audit", "verify")["faults"] == []
