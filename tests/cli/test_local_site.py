"""A folder without an engine answers like the engine's API."""

import pytest

from engine.cli.local_site import LocalSite
from engine.errors import ConfigError, ConflictError, NotFoundError, TransientError
from tests.cli.project import Project


def test_it_answers_what_an_engine_would(running: Project, stopped: Project) -> None:
    site = LocalSite(stopped.data)
    with running.client() as client:
        assert site.incidents() == client.incidents()
        assert site.incidents(limit=1) == client.incidents(limit=1)
        assert site.incident("INC-1") == client.incident("INC-1")
        assert site.approval("INC-1") == client.approval("INC-1")
        assert site.balance().dispositions == client.balance().dispositions
        assert site.verify_audit().faults == client.verify_audit().faults == ()
        here: list[bytes] = []
        there: list[bytes] = []
        site.export_audit(here.append)
        client.export_audit(there.append)
        entries = {line for line in here if b'"salt"' in line}
        assert len(entries) == len(here) - 5  # the ends of the file, and three heads
        assert entries <= set(there)


def test_asking_changes_no_file(stopped: Project) -> None:
    site, store = LocalSite(stopped.data), stopped.data / "quell.db"
    before = store.read_bytes()
    site.incidents()
    site.balance()
    site.verify_audit()
    assert store.read_bytes() == before


def test_a_decision_is_kept_and_the_first_one_stands(stopped: Project) -> None:
    site = LocalSite(stopped.data)
    asked = site.approval("INC-1")
    with pytest.raises(ConflictError, match="not the one that was shown"):
        site.decide(asked.id, "approve", plan_hash="other")
    first = site.decide(asked.id, "approve", plan_hash=asked.plan_hash, reason="seen")
    second = site.decide(asked.id, "reject", plan_hash=asked.plan_hash)
    assert first.approval.state == second.approval.state == "approved"
    assert second.sentence.startswith("Already approved by local:")
    last = site.incident("INC-1").timeline[-1]
    assert last.body is not None
    assert (last.body["via"], last.body["reason"]) == ("cli", "seen")
    assert site.verify_audit().faults == ()


def test_a_folder_in_use_is_left_alone(running: Project) -> None:
    site = LocalSite(running.data)
    asked = site.approval("INC-1")
    with pytest.raises(ConfigError, match="in use by a running engine"):
        site.decide(asked.id, "approve", plan_hash=asked.plan_hash)


def test_nothing_runs_and_nothing_is_invented(stopped: Project) -> None:
    site = LocalSite(stopped.data)
    with pytest.raises(TransientError, match="no engine runs on"):
        site.run_playbook("restart-llm", {})
    with pytest.raises(NotFoundError, match="INC-9"):
        site.incident("INC-9")
