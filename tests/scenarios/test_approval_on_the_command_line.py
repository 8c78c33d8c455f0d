"""Slack is away, or nobody looks at it: the same decision by `quell approve`."""

from tests.scenarios.quell import bodies
from tests.scenarios.site import StartSite


def test_an_approval_by_the_verb_restarts_the_unit_once_and_slack_shows_it(
    start_site: StartSite,
) -> None:
    site = start_site()
    site.endpoint.die()
    site.asked()
    incident = site.quell.wait_for_incident(phase="awaiting_approval")

    answer = site.quell.verb("approve", incident["name"], "--reason", "seen it before")
    assert answer["approval"]["state"] == "approved"
    late = site.quell.verb("reject", incident["name"], statuses=[1])
    assert late["sentence"].startswith("Already approved by local:")

    site.quell.wait_for_incident(status="resolved", outcome="succeeded")
    site.told("Outcome: succeeded", "*Approved* by local:")
    (decided,) = bodies(site.quell.story(incident), "approval.decided")
    assert (decided["via"], decided["reason"]) == ("cli", "seen it before")
    assert site.endpoint.starts() == 2
    assert site.slack.refusals() == ()
