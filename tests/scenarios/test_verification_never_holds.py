"""A remedy that doesn't help: it is undone, the run has failed, and a person is needed."""

from tests.scenarios.quell import bodies
from tests.scenarios.site import APPROVE, ONCALL, StartSite

BALANCER = """#!/bin/sh
case $1 in
drain) touch "$HOME/drained-$2" ;;
put-back) rm "$HOME/drained-$2" ;;
esac
"""
# In quell.yaml, over the team's own rule: another remedy, with all that it needs.
OVERLAY = {
    "endpoint-down": {
        "playbook": "drain-endpoint",
        "with": {
            "host": "${{ alert.target }}",
            "unit": "${{ alert.labels.unit }}",
            "instance": "${{ alert.labels.instance }}",
        },
    }
}


def test_it_is_rolled_back_and_ends_failed_with_a_person_needed(start_site: StartSite) -> None:
    site = start_site(more={"rules": OVERLAY})
    endpoint = site.endpoint
    endpoint.host.add_program("balancer", BALANCER)
    endpoint.die()

    site.slack.click(site.asked(), APPROVE, ONCALL)
    incident = site.quell.wait_for_incident(outcome="failed", phase="needs_person")

    drained, put_back = endpoint.commands()
    assert drained.endswith(f" balancer drain {endpoint.unit.name}")
    assert put_back.endswith(f" balancer put-back {endpoint.unit.name}")
    assert not (endpoint.host.folder / "home" / f"drained-{endpoint.unit.name}").exists()
    assert endpoint.starts() == 1

    story = site.quell.story(incident)
    assert story["status"] == "open"
    assert [each["outcome"] for each in bodies(story, "attempt.ended")] == ["succeeded"] * 2
    (verified,) = bodies(story, "verification.ended")
    assert verified["holds"] is False
    site.told("Outcome: failed", "scraped did not hold within 2 s", "put_back succeeded")
    assert site.slack.refusals() == ()
