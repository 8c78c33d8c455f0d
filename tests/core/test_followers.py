"""What follows a failed run: which playbook, with what, in which mode, and how often."""

from dataclasses import replace

import pytest

from engine.core import events
from engine.core.catalog import Catalog
from engine.core.followers import MAX_RUNS, with_follower
from engine.core.incident import Incident
from engine.core.plan import Plan, PlannedStart
from engine.core.severity import Mode
from tests.doubles.runs import a_plan, a_playbook, an_incident
from tests.doubles.written import RESTART, RULES, a_catalog

FAILOVER = RESTART.replace("id: restart\n", "id: failover\n")


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    folder = tmp_path_factory.mktemp("followers")
    return a_catalog(folder, RULES.replace("%s", "auto"), RESTART, FAILOVER).active


def follows(
    catalog: Catalog,
    outcome: events.RunOutcome = "failed",
    *,
    incident: Incident | None = None,
    start: PlannedStart | None = None,
) -> tuple[events.RunEnded, events.RunCreated | None]:
    wanted = start or PlannedStart(playbook="failover", parameters={"host": "gpu-07"})
    plan: Plan = a_plan(a_playbook()).model_copy(update={"on_failure": wanted})
    ended = events.RunEnded(run_id="run", outcome=outcome, reason="step restart: exit code 1")
    incident = incident or replace(an_incident(), runs=1, mode=Mode.AUTO)
    found, *rest = with_follower(ended, plan, incident, catalog)
    assert isinstance(found, events.RunEnded)
    created = rest[0] if rest else None
    assert created is None or isinstance(created, events.RunCreated)
    return found, created


@pytest.mark.parametrize("outcome", ["failed", "partial", "unknown"])
def test_a_run_that_did_not_help_is_followed_by_a_run_of_its_own(
    catalog: Catalog, outcome: events.RunOutcome
) -> None:
    ended, created = follows(catalog, outcome)
    assert ended.reason == "step restart: exit code 1"
    assert created is not None
    assert (created.playbook_id, created.attempt) == ("failover", 2)
    assert created.parameters == {"host": "gpu-07"}
    assert created.reason == f"the run of restart before ended {outcome}"


@pytest.mark.parametrize("outcome", ["succeeded", "skipped", "not_needed", "cancelled", "expired"])
def test_what_helped_or_what_people_ended_is_followed_by_nothing(
    catalog: Catalog, outcome: events.RunOutcome
) -> None:
    assert follows(catalog, outcome)[1] is None


def test_its_mode_is_the_incident_s_and_a_person_is_asked_where_nobody_knows_what_was_done(
    catalog: Catalog,
) -> None:
    _, created = follows(catalog, "failed")
    assert created is not None
    assert created.mode == "auto"
    _, created = follows(catalog, "unknown")
    assert created is not None
    assert (created.mode, created.mode_decided_by) == (
        "approve",
        "nobody knows what the run before did",
    )


def test_each_run_of_an_incident_has_an_id_of_its_own(catalog: Catalog) -> None:
    ids = set()
    for runs in range(1, MAX_RUNS):
        _, created = follows(catalog, incident=replace(an_incident(), runs=runs))
        assert created is not None
        ids.add((created.run_id, created.trigger))
    assert len(ids) == MAX_RUNS - 1


@pytest.mark.parametrize(
    ("incident", "start", "why_not"),
    [
        pytest.param(
            replace(an_incident(), runs=MAX_RUNS), None, "the incident had 3 runs already", id="cap"
        ),
        pytest.param(
            None,
            PlannedStart(playbook="gone", parameters={}),
            "there is no such playbook any more",
            id="gone",
        ),
        pytest.param(
            None,
            PlannedStart(playbook="failover", parameters={"host": "gpu-99"}),
            "'gpu-99'",
            id="a value that doesn't fit",
        ),
    ],
)
def test_where_none_can_follow_the_end_says_why(
    catalog: Catalog, incident: Incident | None, start: PlannedStart | None, why_not: str
) -> None:
    ended, created = follows(catalog, incident=incident, start=start)
    assert created is None
    name = start.playbook if start else "failover"
    assert ended.reason.startswith(f"step restart: exit code 1; {name} does not follow: ")
    assert why_not in ended.reason


def test_nothing_follows_once_the_incident_is_over(catalog: Catalog) -> None:
    assert follows(catalog, incident=an_incident("resolved"))[1] is None
