"""The main job: a model server dies, and is restarted, verified and written up after one click."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.endpoint import TARGET
from tests.scenarios.on_kafka import stream_section
from tests.scenarios.quell import bodies
from tests.scenarios.site import APPROVE, ONCALL, StartSite, has_buttons, text_of
from tests.services.kafka import KafkaBroker
from tests.services.process import wait_until

# What quell puts before each command, so that it ends by itself whoever is still there.
BOUND = r"timeout -k \d+ \d+ "


@pytest.fixture(params=["embedded", "kafka-and-postgres"])
def storage(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The sections of quell.yaml that say where the stream and the state are."""
    if request.param == "embedded":
        return {}
    kafka: KafkaBroker = request.getfixturevalue("kafka")
    return {
        "stream": stream_section(kafka),
        "store": {"url": request.getfixturevalue("postgres_url")},
    }


def test_a_dead_endpoint_is_restarted_verified_and_written_up_after_one_click(
    storage: dict[str, Any], start_site: StartSite
) -> None:
    site = start_site(
        watchers="prometheus and alertmanager", environment="production", more=storage
    )
    endpoint, quell = site.endpoint, site.quell
    restart = f"sudo systemctl restart {endpoint.unit.name}"

    endpoint.die()
    asking = site.asked()
    waiting = quell.wait_for_incident(phase="awaiting_approval", severity="P1")
    assert f"{TARGET}$ {restart}" in text_of(asking)
    assert endpoint.starts() == 1

    site.slack.click(asking, APPROVE, ONCALL)
    quell.wait_for_incident(status="resolved", outcome="succeeded", phase="idle")
    wait_until(lambda: len(site.jira.issues()) > 0, "the issue in Jira", 30)
    final = site.told("Outcome: succeeded", "resolved", f"<@{ONCALL}>", "Ticket")
    incident = quell.wait_for_incident()

    # The host is the witness of what was done there, and the unit of its own starts.
    assert endpoint.starts() == 2
    expected = [
        f"systemctl is-active {endpoint.unit.name}",
        f"systemctl show {endpoint.unit.name} --property=InvocationID",
        restart,
    ]
    arrived = endpoint.commands()
    assert len(arrived) == len(expected), arrived
    for command, wanted in zip(arrived, expected, strict=True):
        assert re.fullmatch(BOUND + re.escape(wanted), command), command

    story = quell.verb("incidents", "show", incident["name"])
    assert incident["id"] == waiting["id"]
    (verified,) = bodies(story, "verification.ended")
    assert verified["holds"] is True
    assert len(bodies(story, "attempt.intended")) == 1

    written = Path(incident["postmortem"]).read_text()
    assert Path(incident["postmortem"]) == quell.data / "postmortems" / f"{incident['name']}.md"
    for part in (
        f"{TARGET}$ {restart}",
        "`restart`: succeeded",
        "failed\n",  # what is-active answered before
        'up{instance="gpu-07:9100"}',
        f"slack:T1/{ONCALL}",
        "It held",
        "run succeeded",
    ):
        assert part in written, f"{part!r} is not in\n{written}"
    promises = {"acknowledged": "5m", "mitigated (verified)": "15m", "resolved": "4h"}
    for moment, within in promises.items():
        row = rf"\| {re.escape(moment)} \| [\d.ms]+ \| kept \({within}\) \|"
        assert re.search(row, written), moment

    (issue,) = site.jira.issues()
    assert incident["ticket"] == issue.key
    assert incident["name"] in issue.summary
    assert restart in str(issue.description)
    assert len(final.revisions) > 1
    assert not has_buttons(final)

    assert quell.verb("audit", "verify")["faults"] == []
    balance = quell.verb("balance")
    assert balance["difference"] == 0
    assert (balance["dispositions"]["new"], balance["dispositions"]["resolved"]) == (1, 1)
    assert site.slack.refusals() == ()
    assert site.jira.refusals() == ()
