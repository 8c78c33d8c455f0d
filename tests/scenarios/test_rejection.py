"""A plan that people don't want: nothing is done, and everybody sees who said no."""

from tests.scenarios.quell import bodies
from tests.scenarios.site import APPROVE, ONCALL, REJECT, STRANGER, StartSite


def test_a_rejected_plan_leaves_the_host_alone_and_says_by_whom(start_site: StartSite) -> None:
    site = start_site()
    site.endpoint.die()

    site.slack.click(site.asked(), REJECT, ONCALL)
    site.told("Outcome: cancelled", f"*Rejected* by <@{ONCALL}>")

    incident = site.quell.wait_for_incident(outcome="cancelled", phase="needs_person")
    story = site.quell.story(incident)
    (ended,) = bodies(story, "run.ended")
    assert ended["reason"] == f"rejected by slack:T1/{ONCALL}"
    assert bodies(story, "attempt.intended") == []
    assert not any("restart" in command for command in site.endpoint.commands())
    assert site.endpoint.starts() == 1
    assert site.slack.refusals() == ()


def test_a_click_by_somebody_who_is_not_on_call_changes_nothing(start_site: StartSite) -> None:
    site = start_site()
    site.endpoint.die()
    asking = site.asked()

    site.slack.click(asking, APPROVE, STRANGER)
    (whisper,) = site.slack.wait_for(site.slack.ephemerals, 10)
    assert whisper.user == STRANGER
    assert "slack:T1/U3 is none of role:oncall" in whisper.text

    story = site.quell.story(site.quell.wait_for_incident(phase="awaiting_approval"))
    assert bodies(story, "approval.decided") == []
    assert site.endpoint.starts() == 1
    assert site.slack.refusals() == ()
