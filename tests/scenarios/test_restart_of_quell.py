"""quell itself ends while a person thinks: the approval outlives it."""

from collections.abc import Callable

import pytest

from tests.scenarios.quell import Quell, bodies
from tests.scenarios.site import APPROVE, ONCALL, StartSite


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(Quell.stop, id="told to stop", marks=pytest.mark.slow),
        pytest.param(Quell.kill, id="killed"),
    ],
)
def test_an_approval_works_after_quell_came_back_and_the_unit_is_restarted_once(
    end: Callable[[Quell], None], start_site: StartSite
) -> None:
    site = start_site()
    site.endpoint.die()
    asking = site.asked()
    incident = site.quell.wait_for_incident(phase="awaiting_approval")

    end(site.quell)
    assert site.only_message() == asking
    site.start_quell()

    site.slack.click(asking, APPROVE, ONCALL)
    site.quell.wait_for_incident(status="resolved", outcome="succeeded")
    site.told("Outcome: succeeded", "resolved")
    story = site.quell.story(incident)
    assert len(bodies(story, "run.created")) == 1
    assert len(bodies(story, "approval.requested")) == 1
    assert len(bodies(story, "attempt.intended")) == 1
    assert site.endpoint.starts() == 2
    assert site.quell.verb("audit", "verify")["faults"] == []
    assert site.quell.verb("balance")["difference"] == 0
    assert site.slack.refusals() == ()
