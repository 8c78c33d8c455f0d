"""Prometheus alone names quell as its Alertmanager; the alert clears before anybody decides."""

from tests.scenarios.quell import bodies
from tests.scenarios.site import StartSite


def test_what_a_colleague_mended_meanwhile_is_not_restarted_again(start_site: StartSite) -> None:
    site = start_site(watchers="prometheus alone")
    site.endpoint.die()
    site.asked()

    site.endpoint.start_by_hand()
    incident = site.quell.wait_for_incident(status="resolved", outcome="skipped", phase="idle")

    site.told("Outcome: skipped", "the incident cleared before anything was done")
    story = site.quell.story(incident)
    (ended,) = bodies(story, "occurrence.ended")
    assert ended["by"] == "source"
    assert bodies(story, "attempt.intended") == []
    assert not any("restart" in command for command in site.endpoint.commands())
    assert site.endpoint.starts() == 2
    assert site.quell.verb("balance")["difference"] == 0
    assert site.slack.refusals() == ()
