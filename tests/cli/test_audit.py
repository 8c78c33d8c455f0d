"""Whether the journal is what was written, on the spot and far from its database."""

import json
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from engine.cli.main import execute
from engine.core.audit_export import read_copies
from engine.core.checkpoint import CHAIN
from engine.core.events import CheckpointSigned
from engine.signing import KEY_FILE, made_signer, signer_of
from tests.cli.project import PROGRAM, Project
from tests.doubles.journals import JournalDouble, a_journal
from tests.services.process import wait_until

Output = pytest.CaptureFixture[str]
SOUND = ": all are as they were written"


@pytest.mark.parametrize("place", ["running", "stopped"])
def test_a_sound_journal_is_told_so(
    capsys: Output, request: pytest.FixtureRequest, place: str
) -> None:
    project: Project = request.getfixturevalue(place)
    assert execute(["audit", "verify", "--data", str(project.data)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert " in 3 chains, " in lines[0]
    assert lines[0].endswith(("1 checkpoint" + SOUND, " checkpoints" + SOUND))
    assert lines[1].startswith("checkpoint ")
    assert " UTC is the last that verified: " in lines[1]


def test_an_edited_entry_is_found_and_named(capsys: Output, stopped: Project) -> None:
    with closing(sqlite3.connect(stopped.data / "quell.db")) as store, store:
        store.execute("UPDATE entries SET actor = 'nobody' WHERE chain != 'system' AND seq = 1")
    assert execute(["audit", "verify", "--data", str(stopped.data)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" entry ")[0][:9] for line in lines[:2]] == ["incident/"] * 2
    assert any(line.endswith(": 2 findings") for line in lines)
    assert execute(["audit", "verify", "--data", str(stopped.data), "--json"]) == 1
    assert len(json.loads(capsys.readouterr().out)["faults"]) == 2


def test_a_folder_without_a_store_is_no_sound_journal(capsys: Output, project: Project) -> None:
    assert execute(["audit", "verify", "--data", str(project.folder)]) == 2
    assert "has an engine ever run on this folder?" in capsys.readouterr().err
    assert not (project.folder / "quell.db").exists()
    assert not (project.folder / "stream.db").exists()


@pytest.fixture
def public_key(stopped: Project, capsys: Output) -> Path:
    """As `quell audit key` prints it."""
    assert execute(["audit", "key", "--data", str(stopped.data)]) == 0
    path = stopped.folder / "audit.pub"
    path.write_text(capsys.readouterr().out)
    return path


def exported(project: Project) -> Path:
    path = project.folder / "journal.jsonl"
    assert execute(["audit", "export", "--data", str(project.data), "--output", str(path)]) == 0
    return path


@pytest.mark.parametrize("place", ["running", "stopped"])
def test_an_export_is_verified_without_server_or_database(
    capsys: Output, request: pytest.FixtureRequest, place: str, public_key: Path, tmp_path: Path
) -> None:
    file = exported(request.getfixturevalue(place))
    assert file.stat().st_mode & 0o777 == 0o600
    capsys.readouterr()
    nowhere = str(tmp_path / "nowhere")
    words = ["audit", "verify", str(file), "--key", str(public_key), "--data", nowhere]
    assert execute(words) == 0
    assert "is the last that verified" in capsys.readouterr().out
    assert execute([*words, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["faults"] == []
    assert report["verified_checkpoint"] == report["checkpoints"] >= 1


def test_the_journal_itself_is_verified_by_the_verifiers_own_key(
    capsys: Output, running: Project, public_key: Path
) -> None:
    words = ["audit", "verify", "--data", str(running.data), "--key"]
    assert execute([*words, str(public_key)]) == 0
    other = running.folder / "other.pub"
    (running.folder / "elsewhere").mkdir(exist_ok=True)
    other.write_text(made_signer(running.folder / "elsewhere").public_key)
    capsys.readouterr()
    assert execute([*words, str(other)]) == 1
    assert "no later one by a known key" in capsys.readouterr().out


def test_an_export_goes_to_standard_output_whole(stopped: Project) -> None:
    done = subprocess.run(
        [PROGRAM, "audit", "export", "--data", stopped.data], capture_output=True, check=True
    )
    lines = done.stdout.splitlines(keepends=True)
    assert json.loads(lines[0]) == {"format": "quell-audit@1"}
    assert json.loads(lines[-1])["chains"] == 3


def lines_of(journal: JournalDouble) -> bytes:
    return b"".join(journal.export())


def test_findings_name_chain_entry_and_problem(capsys: Output, tmp_path: Path) -> None:
    journal = a_journal()
    journal.edited("incident/a", 2, actor="local:other")
    file = tmp_path / "journal.jsonl"
    file.write_bytes(lines_of(journal))
    assert execute(["audit", "verify", str(file)]) == 1
    out = capsys.readouterr().out
    assert out.startswith("incident/a entry 2: the entry was changed\n")
    assert "14 entries in 4 chains, 2 checkpoints: 1 finding\n" in out


def test_a_kept_checkpoint_finds_what_was_cut_off(capsys: Output, tmp_path: Path) -> None:
    kept, file = tmp_path / "kept.jsonl", tmp_path / "journal.jsonl"
    kept.write_bytes(lines_of(a_journal()))
    journal = a_journal()
    del journal.chains["incident/a"][4:]
    del journal.chains[CHAIN][3:]
    del journal.chains["incident/c"]
    file.write_bytes(lines_of(journal))
    assert execute(["audit", "verify", str(file)]) == 0
    assert execute(["audit", "verify", str(file), "--checkpoints", str(kept)]) == 1
    out = capsys.readouterr().out
    assert "system entry 4: the chain was cut off: checkpoint 2 names its entry 4" in out
    assert "incident/a entry 5: the chain was cut off: checkpoint 2 names its entry 5" in out
    assert "checkpoint 1 of 2026-03-01 12:00:00 UTC is the last that verified" in out


def test_a_proof_that_was_asked_for_and_is_none_is_a_finding(
    capsys: Output, tmp_path: Path, public_key: Path
) -> None:
    file, empty = tmp_path / "journal.jsonl", tmp_path / "empty.jsonl"
    journal = JournalDouble()
    journal.notes("incident/a", "one")
    file.write_bytes(lines_of(journal))
    empty.write_bytes(b"")
    assert execute(["audit", "verify", str(file)]) == 0
    assert execute(["audit", "verify", str(file), "--key", str(public_key)]) == 1
    assert execute(["audit", "verify", str(file), "--checkpoints", str(empty)]) == 1
    assert "no checkpoint verifies by what was given" in capsys.readouterr().out


def test_damage_in_the_copies_is_told(capsys: Output, tmp_path: Path) -> None:
    file, kept = tmp_path / "journal.jsonl", tmp_path / "kept.jsonl"
    journal = a_journal()
    file.write_bytes(lines_of(journal))
    kept.write_bytes(b"half a li\n" + lines_of(journal))
    assert execute(["audit", "verify", str(file), "--checkpoints", str(kept)]) == 0
    assert "line 1 of the copies isn't whole" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["verify", "missing.jsonl"], "can't be read"),
        (["verify", "quell.yaml", "--key", "missing.pub"], "can't be read"),
        (["verify", "quell.yaml", "--key", "key"], "there is no key in"),
        (["verify", "quell.yaml", "--key", "quell.yaml"], "no public Ed25519 key"),
        (["export", "--data", "data", "--output", "missing/x.jsonl"], "can't be written"),
        (["key", "--data", "missing"], "there is no signing key"),
    ],
)
def test_what_cannot_be_used_is_told(
    capsys: Output,
    stopped: Project,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(stopped.folder)
    assert execute(["audit", *words]) == 2
    assert said in capsys.readouterr().err


def test_a_configured_key_signs_and_its_copies_prove_the_journal(
    capsys: Output, project: Project
) -> None:
    (project.folder / "disk").mkdir()
    (project.folder / "keys").mkdir()
    secret = made_signer(project.folder / "keys")
    key_file = project.folder / "keys" / KEY_FILE
    with project.config.open("a") as config:
        config.write(f"audit: {{signing_key: '${{file:{key_file}}}', copies: [disk/kept.jsonl]}}\n")
    engine, kept = project.engine(), project.folder / "disk" / "kept.jsonl"
    engine.start(project.is_up)
    try:
        wait_until(kept.exists, "a copy of the first checkpoint", 20)
        wait_until(lambda: kept.read_bytes().endswith(b"\n"), "a whole copy", 20)
    finally:
        engine.stop()
    (copy, *_), notes = read_copies(kept.read_bytes().splitlines(keepends=True))
    event = copy.event()
    assert isinstance(event, CheckpointSigned)
    assert (event.key_id, notes) == (secret.key_id, [])
    assert event.key_id == signer_of(key_file.read_text()).key_id
    assert not (project.data / KEY_FILE).exists()
    assert execute(["audit", "key", "--config", str(project.config)]) == 0
    assert capsys.readouterr().out == secret.public_key
    words = ["audit", "verify", "--data", str(project.data), "--checkpoints", str(kept)]
    assert execute(words) == 0
    assert "checkpoint 1 of " in capsys.readouterr().out
