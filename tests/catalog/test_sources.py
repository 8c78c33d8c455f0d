import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.catalog.sources import CatalogSources, Kind, read_sources
from engine.core.findings import Finding


def write(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def read(sources: CatalogSources) -> list[tuple[Kind, str]]:
    findings: list[Finding] = []
    files = read_sources(sources, findings)
    assert not findings
    return [(each.kind, each.name) for each in files]


def test_files_come_in_byte_order_of_their_path_the_users_before_the_shipped(
    tmp_path: Path,
) -> None:
    write(tmp_path / "mine", "b.yaml", "B.yaml", "a/z.yml", "notes.txt", ".hidden/x.yaml")
    write(tmp_path / "quell", "rules/a.yaml", "playbooks/p.yaml")
    sources = CatalogSources(rules=[tmp_path / "mine"], shipped=tmp_path / "quell")
    assert read(sources) == [
        (Kind.RULES, "rules/B.yaml"),
        (Kind.RULES, "rules/a/z.yml"),
        (Kind.RULES, "rules/b.yaml"),
        (Kind.RULES, "shipped/rules/a.yaml"),
        (Kind.PLAYBOOK, "shipped/playbooks/p.yaml"),
    ]


def test_commands_tests_and_the_shipped_policy_lie_among_the_playbooks(tmp_path: Path) -> None:
    names = ("commands.yaml", "p.test.yaml", "p.yaml", "policy.yaml")
    write(tmp_path, "rules/r.test.yaml", *(f"playbooks/{name}" for name in names))
    assert read(CatalogSources(shipped=tmp_path)) == [
        (Kind.REHEARSALS, "shipped/rules/r.test.yaml"),
        (Kind.COMMANDS, "shipped/playbooks/commands.yaml"),
        (Kind.REHEARSALS, "shipped/playbooks/p.test.yaml"),
        (Kind.PLAYBOOK, "shipped/playbooks/p.yaml"),
        (Kind.POLICY, "shipped/playbooks/policy.yaml"),
    ]


def test_a_policy_of_ones_own_takes_the_place_of_the_shipped(tmp_path: Path) -> None:
    write(tmp_path, "rules/r.yaml", "playbooks/policy.yaml", "mine.yaml", "inventory.yaml")
    sources = CatalogSources(
        shipped=tmp_path, policy=tmp_path / "mine.yaml", inventory=tmp_path / "inventory.yaml"
    )
    assert read(sources) == [
        (Kind.INVENTORY, "inventory.yaml"),
        (Kind.POLICY, "mine.yaml"),
        (Kind.RULES, "shipped/rules/r.yaml"),
    ]


def test_files_of_two_folders_keep_names_of_their_own(tmp_path: Path) -> None:
    write(tmp_path, "one/a.yaml", "two/a.yaml")
    sources = CatalogSources(rules=[tmp_path / "one", tmp_path / "two" / "a.yaml"])
    assert read(sources) == [(Kind.RULES, "rules/a.yaml"), (Kind.RULES, "rules/a.yaml#2")]


def test_a_file_that_is_not_there_is_a_finding(tmp_path: Path) -> None:
    findings: list[Finding] = []
    missing = tmp_path / "inventory.yaml"
    assert read_sources(CatalogSources(inventory=missing), findings) == []
    (finding,) = findings
    assert finding.file == str(missing)
    assert "No such file" in finding.message


def test_a_folder_behind_a_link_is_read_once_also_where_links_go_in_a_circle(
    tmp_path: Path,
) -> None:
    write(tmp_path, "rules/a.yaml", "team/b.yaml")
    (tmp_path / "rules" / "team").symlink_to(tmp_path / "team")
    (tmp_path / "team" / "back").symlink_to(tmp_path / "rules")
    assert read(CatalogSources(rules=[tmp_path / "rules"])) == [
        (Kind.RULES, "rules/a.yaml"),
        (Kind.RULES, "rules/team/b.yaml"),
    ]


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        pytest.param(lambda path: path.symlink_to("gone.yaml"), "No such file", id="broken link"),
        pytest.param(os.mkfifo, "neither a file nor a folder", id="pipe"),
    ],
)
def test_what_looks_like_a_file_and_cannot_be_read_is_never_passed_over(
    tmp_path: Path, make: Callable[[Path], None], problem: str
) -> None:
    # Rules that vanish in silence would be a working set replaced by less.
    write(tmp_path, "a.yaml")
    make(tmp_path / "b.yaml")
    findings: list[Finding] = []
    read_sources(CatalogSources(rules=[tmp_path]), findings)
    (finding,) = findings
    assert finding.file == str(tmp_path / "b.yaml")
    assert problem in finding.message


@pytest.mark.parametrize("locked", ["team", "team/b.yaml"])
def test_a_part_that_this_account_may_not_read_is_a_finding(
    tmp_path: Path, locked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "a.yaml", "team/b.yaml")
    path = tmp_path / locked

    # Who tests as root may read everything, whatever its mode.
    def refusing(real: Callable[[Path], object]) -> Callable[[Path], object]:
        def read(at: Path) -> object:
            if str(at) == str(path):
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return real(at)

        return read

    monkeypatch.setattr(os, "scandir", refusing(os.scandir))
    monkeypatch.setattr(Path, "read_bytes", refusing(Path.read_bytes))
    findings: list[Finding] = []
    read_sources(CatalogSources(rules=[tmp_path]), findings)
    (finding,) = findings
    assert finding.file == str(path)
    assert "let quell's account read it" in finding.message
