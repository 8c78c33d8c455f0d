"""What a run's decisions are made of."""

from typing import Literal

import pytest

from engine.core.inventory import Inventory
from engine.core.run_world import World
from tests.doubles.runs import START, a_playbook, an_incident


@pytest.mark.parametrize(("status", "open_"), [("open", True), ("resolved", False)])
def test_there_is_something_to_mend_while_the_incident_is_open(
    status: Literal["open", "resolved"], open_: bool
) -> None:
    world = World(START, an_incident(status), a_playbook(), Inventory())
    assert world.incident_open is open_
