"""A replica loses store and stream in the middle of a step, and comes back when others went on."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import psutil
import pytest

from tests.scenarios.marks import TARGETS, MarkedHost, marked_host, wait_for_runs
from tests.scenarios.quell import Json, Quell, bodies
from tests.scenarios.replicas import Replicas, running_replicas
from tests.scenarios.senders import send_one
from tests.services.kafka import KafkaBroker
from tests.services.postgres import PostgresServer
from tests.services.process import wait_until
from tests.services.relay import Relay, running_relay, running_relayed_kafka
from tests.services.ssh_host import SshHost

# A lease, or the step's bound and what nobody looks before: 10 + 15 + 5 s; what comes after it is
# quick.
TAKEN_OVER_S = 35
# So many questions at once open so many connections.
AT_ONCE = 8
# On the host: what `timeout` leaves the step of its 10 s.
CUT_ON_THE_HOST_S = 7
# Three times what the store's silence is borne, and what is asked for again after it.
GIVEN_UP_S = 3 * 65


@dataclass(frozen=True, slots=True)
class Partition:
    """Two replicas; everything that `cut_off` has of the others goes through relays."""

    replicas: Replicas
    cut_off: Quell
    other: Quell
    relays: tuple[Relay, Relay]

    @property
    def marked(self) -> MarkedHost:
        return self.replicas.marked

    def begin(self, how: str) -> None:
        """One alert; return when its step is under way, by the replica that is then cut off."""
        self.cut_off.start()
        assert send_one(self.cut_off.url, self.marked.labels("one", how)) == 200
        wait_until(lambda: self.marked.begun()["one"] == 1, "the step has begun on the host", 30)
        # It keeps connections to the store, so it waits on them, and what it asks arrives late.
        with ThreadPoolExecutor(AT_ONCE) as askers:
            list(askers.map(self.cut_off.get, ["/v1/balance"] * AT_ONCE))
        for relay in self.relays:
            relay.cut()
        self.other.start()

    def taken_over(self) -> Json:
        """The other replica's story of the run, once it has ended it."""
        (end,) = wait_for_runs(self.other, 1, 3 * TAKEN_OVER_S)
        assert end["outcome"] == "succeeded", end
        return self.other.story(self.other.wait_for_incident("mark-wanted"))

    def check_wrote_nothing(self, story: Json) -> None:
        """It is back at work, and the story is as it was before."""

        def gave_up() -> bool:
            # The second where it took so long that it no longer waited for the store.
            ends = ('"event": "lease_lost"', '"event": "task_put_off"')
            return any(end in self.cut_off.log() for end in ends)

        wait_until(gave_up, "it met its fence", 30)
        wait_until(self.cut_off.ready, "it is back", 60)
        assert self.cut_off.story(story)["timeline"] == story["timeline"]
        assert self.marked.marks() == {"one": 1}
        self.replicas.check(runs=1)


@pytest.fixture(scope="module")
def relayed_kafka(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[KafkaBroker, Relay]]:
    with running_relayed_kafka(tmp_path_factory.mktemp("kafka")) as found:
        yield found


@pytest.fixture
def partition(
    ssh_host: SshHost,
    relayed_kafka: tuple[KafkaBroker, Relay],
    postgres: PostgresServer,
    tmp_path: Path,
) -> Iterator[Partition]:
    kafka, to_kafka = relayed_kafka
    with (
        running_relay(postgres.port) as to_postgres,
        running_replicas(tmp_path, marked_host(ssh_host), kafka, postgres) as replicas,
    ):
        url = postgres.url(replicas.database)
        own_way = {
            "stream": {**replicas.stream, "bootstrap_servers": [f"127.0.0.1:{to_kafka.port}"]},
            "store": {"url": url.replace(f":{postgres.port}/", f":{to_postgres.port}/")},
        }
        cut_off, other = replicas.add("cut-off", own_way), replicas.add("other")
        try:
            yield Partition(replicas, cut_off, other, (to_postgres, to_kafka))
        finally:
            to_kafka.mend()


def probes(story: Json) -> list[str]:
    """What was found on the host, none of it before the interrupted attempt was surely over."""
    intent = bodies(story, "attempt.intended")[0]
    over_at = datetime.fromisoformat(intent["not_after"]) + timedelta(seconds=5)
    probed = [each for each in story["timeline"] if each["kind"].startswith("attempt.probed")]
    assert all(datetime.fromisoformat(each["at"]) >= over_at for each in probed)
    return [each["body"]["answer"] for each in probed]


@pytest.mark.slow
def test_what_it_did_while_it_was_away_is_found_and_not_done_again(partition: Partition) -> None:
    marked = partition.marked
    partition.begin("slowly")
    wait_until(lambda: marked.marks()["one"] == 1, "the command goes on without quell", 20)
    assert (
        bodies(
            partition.other.story(partition.other.wait_for_incident("mark-wanted")), "attempt.ended"
        )
        == []
    )
    story = partition.taken_over()
    assert probes(story) == ["done"]
    assert len(bodies(story, "attempt.intended")) == 1
    for relay in partition.relays:
        relay.mend()
    partition.check_wrote_nothing(story)
    assert marked.begun() == {"one": 1}


def test_what_its_host_cut_short_meanwhile_is_done_by_the_other_once(partition: Partition) -> None:
    marked = partition.marked
    partition.begin("held")
    held = marked.process("one")
    wait_until(
        lambda: not psutil.pid_exists(held), "the host ended the command", 3 * CUT_ON_THE_HOST_S
    )
    marked.let_go()
    assert not marked.marks()
    story = partition.taken_over()
    assert probes(story) == ["not_done"]
    assert [each["number"] for each in bodies(story, "attempt.intended")] == [1, 2]
    for relay in partition.relays:
        relay.mend()
    partition.check_wrote_nothing(story)
    assert marked.begun() == {"one": 2}


@pytest.mark.slow
def test_it_works_again_although_its_connections_to_the_store_are_never_heard_of(
    partition: Partition,
) -> None:
    marked = partition.marked
    partition.begin("slowly")
    story = partition.taken_over()
    to_postgres, to_kafka = partition.relays
    to_postgres.mend_for_new()
    to_kafka.mend_for_new()
    wait_until(partition.cut_off.ready, "it is ready", GIVEN_UP_S)
    partition.other.stop()
    assert send_one(partition.cut_off.url, marked.labels("two", target=TARGETS[1])) == 200
    ends = wait_for_runs(partition.cut_off, 2, GIVEN_UP_S)
    assert [end["outcome"] for end in ends] == ["succeeded"] * 2
    assert marked.marks() == {"one": 1, "two": 1}
    assert partition.cut_off.story(story)["timeline"] == story["timeline"]
    assert partition.cut_off.alive()


@pytest.mark.slow
def test_what_it_says_while_the_other_one_still_waits_is_not_heard(partition: Partition) -> None:
    tokens = "SELECT token FROM tasks WHERE kind = 'run'"
    partition.begin("slowly")
    held = partition.replicas.ask(tokens)
    wait_until(
        lambda: partition.replicas.ask(tokens) != held, "its lease is taken", 3 * TAKEN_OVER_S
    )
    for relay in partition.relays:
        relay.mend()
    story = partition.taken_over()
    # It knew how its command ended; what counts is what was found after the bound.
    assert bodies(story, "attempt.ended") == []
    assert probes(story) == ["done"]
    partition.check_wrote_nothing(story)
    assert partition.marked.begun() == {"one": 1}
