"""Somebody pulls the plug while a command runs on the host: it is cut short, nothing follows."""

from collections.abc import Callable

import pytest

from tests.scenarios.quell import Json, Quell, bodies
from tests.scenarios.site import APPROVE, ONCALL, StartSite
from tests.services.process import wait_until

# It goes on until nobody listens to it any more, and notes that.
BALANCER = """#!/bin/sh
case $1 in
drain)
    trap '' PIPE
    touch "$HOME/draining-$2"
    while echo draining; do sleep 0.05; done 2>/dev/null
    touch "$HOME/cut-short-$2"
    ;;
put-back) rm "$HOME/draining-$2" ;;
esac
"""
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


def by_verb(quell: Quell) -> None:
    (stop,) = quell.verb("stop", "--all", "--reason", "wrong region")["stops"]
    assert (stop["scope"], stop["reason"]) == ("all", "wrong region")


def by_file(quell: Quell) -> None:
    (quell.data / "STOP").write_text("wrong region\n")


@pytest.mark.parametrize(
    ("pull", "actor"),
    [
        pytest.param(by_verb, "local:", id="verb"),
        pytest.param(by_file, "file", id="file", marks=pytest.mark.slow),
    ],
)
def test_a_command_under_way_is_cut_short_and_the_host_sees_nothing_more(
    start_site: StartSite, pull: Callable[[Quell], None], actor: str
) -> None:
    site = start_site(more={"rules": OVERLAY})
    endpoint, home = site.endpoint, site.endpoint.host.folder / "home"
    endpoint.host.add_program("balancer", BALANCER)
    endpoint.die()
    site.slack.click(site.asked(), APPROVE, ONCALL)
    wait_until(lambda: (home / f"draining-{endpoint.unit.name}").exists(), "it drains", 20)

    pull(site.quell)
    # A second to the signal; the rest is for a busy machine.
    cut_short = home / f"cut-short-{endpoint.unit.name}"
    wait_until(cut_short.exists, "the command is cut short", 5)
    incident = site.quell.wait_for_incident()

    def told(kind: str) -> list[Json]:
        return bodies(site.quell.story(incident), kind)

    wait_until(lambda: bool(told("attempt.ended")), "the attempt ends", 30)
    (attempt,) = told("attempt.ended")
    assert attempt["outcome"] == "unknown"
    assert "may be under way on the target until" in attempt["error"]
    assert told("run.ended") == [], "it may be under way until its bound"
    wait_until(lambda: bool(told("run.ended")), "the run ends behind the bound", 120)
    incident = site.quell.wait_for_incident(outcome="cancelled", phase="needs_person")

    story = site.quell.story(incident)
    (ended,) = bodies(story, "run.ended")
    assert ended["reason"].startswith(f"stopped by {actor}")
    assert ": wrong region; it was under way, so gpu-07 stays locked" in ended["reason"]
    site.told("Outcome: cancelled", "wrong region")

    assert site.quell.verb("resume", "--all")["stops"] == []
    (lock,) = site.quell.verb("locks", "list")["locks"]
    assert (lock["target"], lock["incident"], lock["kept"]) == ("gpu-07", incident["name"], True)
    site.quell.verb("locks", "release", "gpu-07", "--reason", "drained by hand")
    assert site.quell.verb("locks", "list")["locks"] == []
    (drained,) = endpoint.commands()
    assert drained.endswith(f" balancer drain {endpoint.unit.name}")
    assert endpoint.starts() == 1
    assert site.quell.verb("audit", "verify")["faults"] == []
    assert site.slack.refusals() == ()
