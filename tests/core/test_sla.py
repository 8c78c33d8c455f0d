from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import ValidationError

from engine.core.incident import Incident, opened
from engine.core.severity import Severity
from engine.core.sla import USUAL, Sla, SlaSection, clocks_of
from tests.doubles.runs import START
from tests.doubles.stories import OPENED

MINUTE = timedelta(minutes=1)
USUALLY = Sla.of(USUAL)


def incident() -> Incident:
    return opened(OPENED, START)


def test_each_clock_runs_from_the_opening_until_it_is_met() -> None:
    seen = replace(incident(), acknowledged_at=START + 6 * MINUTE)
    acknowledge, mitigate, resolve = clocks_of(seen, USUALLY)
    assert (acknowledge.due_at, acknowledge.met_at) == (START + 5 * MINUTE, START + 6 * MINUTE)
    assert acknowledge.is_missed(START + 6 * MINUTE)
    assert not mitigate.is_missed(START + 15 * MINUTE)
    assert mitigate.is_missed(START + 15 * MINUTE + timedelta(seconds=1))
    assert resolve.met_at is None


def test_what_clears_by_itself_meets_all() -> None:
    cleared = replace(incident(), resolved_at=START + MINUTE, acknowledged_at=START + 9 * MINUTE)
    assert {clock.met_at for clock in clocks_of(cleared, USUALLY)} == {START + MINUTE}


def test_a_severity_without_promises_has_no_clocks() -> None:
    assert clocks_of(replace(incident(), severity=Severity.P4), USUALLY) == ()


def test_a_time_without_its_clock_is_refused_with_what_to_write() -> None:
    with pytest.raises(ValidationError, match=r"say of what: \{mitigate: 1h\}"):
        SlaSection.model_validate("1h")
    with pytest.raises(ValidationError, match="isn't a duration"):
        SlaSection.model_validate({"mitigate": "soon"})
