"""Which stored position fits the log that is there, and what is said of one that doesn't."""

import pytest

from engine.core.positions import (
    Destination,
    PartitionState,
    Placed,
    Refused,
    destination,
    passed_over,
    placement,
    state_of,
    stream_of,
)

LOG = "kafka/quell.alerts@new"


@pytest.mark.parametrize(
    ("log", "stream"),
    [
        ("kafka/quell.alerts@b7ck-ovSSsqXJM9QTxA0xg", "kafka/quell.alerts"),
        ("kafka/quell.alerts", "kafka/quell.alerts"),
        ("embedded@0123456789abcdef", "embedded"),
        ("memory", "memory"),
    ],
)
def test_the_stream_of_a_log_is_its_name_without_the_id(log: str, stream: str) -> None:
    assert stream_of(log) == stream


@pytest.mark.parametrize(
    ("log", "stored", "offset", "adopted"),
    [
        pytest.param(LOG, {}, 0, False, id="nothing was processed yet"),
        pytest.param(LOG, {LOG: 7}, 7, False, id="of this log"),
        pytest.param(LOG, {LOG: 0}, 0, False, id="set to its beginning"),
        pytest.param(LOG, {LOG: 7, "kafka/quell.alerts@old": 90}, 7, False, id="accepted before"),
        pytest.param(LOG, {"kafka/quell.alerts": 90}, 90, True, id="its id wasn't known then"),
        pytest.param(
            "kafka/quell.alerts", {"kafka/quell.alerts": 90}, 90, False, id="brokers can't tell"
        ),
        pytest.param("memory", {"memory": 3}, 3, False, id="a stream without ids"),
    ],
)
def test_a_position_that_fits_is_where_it_goes_on(
    log: str, stored: dict[str, int], offset: int, adopted: bool
) -> None:
    assert placement(log, 0, stored) == Placed(offset, is_adopted=adopted)


@pytest.mark.parametrize(
    ("log", "stored", "says"),
    [
        pytest.param(
            LOG,
            {"kafka/quell.alerts@old": 90},
            "processed up to 90 in log old, and log new is there now",
            id="made anew",
        ),
        pytest.param(
            LOG,
            {"kafka/quell.alerts@old": 90, "kafka/quell.alerts": 5},
            "processed up to 5 in a log without an id and 90 in log old",
            id="made anew after its id became known",
        ),
        pytest.param(
            "kafka/quell.alerts",
            {"kafka/quell.alerts@old": 90},
            "and a log without an id is there now",
            id="brokers can't tell any more",
        ),
        pytest.param(
            "embedded@new", {"embedded@old": 4}, "partition 3 of 'embedded'", id="a new file"
        ),
    ],
)
def test_a_position_of_another_log_is_refused_with_the_way_out(
    log: str, stored: dict[str, int], says: str
) -> None:
    refused = placement(log, 3, stored)
    assert isinstance(refused, Refused)
    assert says in refused.reason
    assert "quell positions set 3 first" in refused.reason


@pytest.mark.parametrize(
    ("stored", "position", "says"),
    [
        pytest.param({LOG: 5}, 5, "", id="at the first record"),
        pytest.param({LOG: 9}, 9, "", id="at the end"),
        pytest.param({LOG: 4}, 4, "go on at 4 and holds 5 to 9: records expired", id="expired"),
        pytest.param({}, 0, "go on at 0 and holds 5 to 9: records expired", id="from the start"),
        pytest.param({LOG: 10}, 10, "records that were processed are gone", id="cut off"),
        pytest.param({"kafka/quell.alerts@old": 7}, None, "log new is there now", id="another"),
    ],
)
def test_the_state_of_a_partition_says_why_it_is_stopped(
    stored: dict[str, int], position: int | None, says: str
) -> None:
    state = state_of(LOG, 2, stored, 5, 9)
    assert (state.partition, state.position, state.first, state.end) == (2, position, 5, 9)
    assert says in state.stopped
    assert bool(state.stopped) == bool(says)


STOPPED = PartitionState(2, 4, 5, 9, "records expired")


@pytest.mark.parametrize(
    ("to", "offset", "passed"),
    [
        pytest.param("first", 5, 1, id="the expired one alone"),
        pytest.param("end", 9, 5, id="all"),
        pytest.param(7, 7, 3, id="an offset"),
    ],
)
def test_a_stopped_partition_can_be_sent_to_what_is_there(
    to: Destination, offset: int, passed: int
) -> None:
    assert destination(STOPPED, to) == Placed(offset)
    assert passed_over(STOPPED, offset, ()) == passed


@pytest.mark.parametrize(
    ("state", "offset", "passed"),
    [
        pytest.param(PartitionState(0, None, 0, 9, "another log"), 0, 0, id="another log, all"),
        pytest.param(PartitionState(0, None, 3, 9, "another log"), 3, 3, id="it lost some too"),
        pytest.param(PartitionState(0, 20, 0, 9, "cut off"), 9, 0, id="back, before its position"),
    ],
)
def test_what_is_passed_over_counts_from_the_position_in_this_log(
    state: PartitionState, offset: int, passed: int
) -> None:
    assert passed_over(state, offset, ()) == passed


def test_what_was_processed_ahead_of_its_turn_is_not_passed_over() -> None:
    # What another release left below the position isn't of this part of the log.
    assert passed_over(STOPPED, 9, [2, 6, 8]) == 3


@pytest.mark.parametrize(
    ("state", "to", "says"),
    [
        pytest.param(STOPPED, 4, "partition 2 holds 5 to 9, and not 4", id="before the first"),
        pytest.param(STOPPED, 10, "partition 2 holds 5 to 9, and not 10", id="behind the end"),
        pytest.param(PartitionState(2, 7, 5, 9, ""), "end", "isn't stopped", id="it works"),
    ],
)
def test_a_partition_is_not_sent_elsewhere(
    state: PartitionState, to: Destination, says: str
) -> None:
    refused = destination(state, to)
    assert isinstance(refused, Refused)
    assert says in refused.reason
