"""`make install` on a machine that has only Python and make, and what it says when it hasn't."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TREE = ("Makefile", "README.md", "pyproject.toml", "uv.lock", "tools", "engine", "connectors")
SHIPPED = ("rules", "playbooks")


def write_program(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def install(path: str, cache: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", ROOT / "tools" / "install"],
        env={"PATH": path, "HOME": str(cache), "XDG_CACHE_HOME": str(cache)} | env,
        capture_output=True,
        text=True,
        timeout=30,
    )


@pytest.fixture
def bare_path(tmp_path: Path) -> Path:
    """A folder of programs without any Python."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in ("dirname", "mkdir", "mktemp", "rm"):
        found = shutil.which(name)
        assert found is not None
        (folder / name).symlink_to(found)
    return folder


def test_an_old_python_is_named_with_what_to_do(tmp_path: Path, bare_path: Path) -> None:
    write_program(bare_path, "python3", '[ "$1" = -V ] && echo Python 3.9.18')
    done = install(str(bare_path), tmp_path)
    assert done.returncode == 1
    assert done.stderr == (
        "quell: needs Python 3.11 or newer, and found Python 3.9.18. "
        "Install one, or name it: make install PYTHON=/path/to/python3.11\n"
    )


def test_no_python_at_all_is_said(tmp_path: Path, bare_path: Path) -> None:
    done = install(str(bare_path), tmp_path)
    assert done.returncode == 1
    assert "needs Python 3.11 or newer, and found none." in done.stderr


def test_a_python_that_was_named_is_not_replaced_by_another(
    tmp_path: Path, bare_path: Path
) -> None:
    write_program(bare_path, "old", '[ "$1" = -V ] && echo Python 3.9.18')
    (bare_path / "python3").symlink_to(sys.executable)
    done = install(str(bare_path), tmp_path, PYTHON="old")
    assert done.returncode == 1
    assert "PYTHON=old is no Python 3.11 or newer: Python 3.9.18" in done.stderr


def test_a_python_without_venv_names_the_package(tmp_path: Path, bare_path: Path) -> None:
    fake = bare_path / "python3"
    write_program(
        bare_path,
        "python3",
        f'case "$2" in *executable*) echo {fake};; *ensurepip*) exit 1;; esac',
    )
    done = install(str(bare_path), tmp_path)
    assert done.returncode == 1
    assert "has no venv module. On Debian and Ubuntu: apt-get install python3-venv" in done.stderr


@pytest.mark.slow
def test_a_new_machine_installs_and_then_needs_no_network(tmp_path: Path) -> None:
    """Everything is fetched into an empty cache once; the second time from that alone."""
    tree = tmp_path / "tree"
    for name in (*TREE, *SHIPPED):
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        tree.mkdir(exist_ok=True)
        copy(source, tree / name)
    env = {name: text for name, text in os.environ.items() if name != "VIRTUAL_ENV"}
    env |= {"XDG_CACHE_HOME": str(tmp_path / "cache"), "PYTHON": sys.executable}

    def make(*prefix: str) -> None:
        subprocess.run([*prefix, "make", "install"], cwd=tree, env=env, check=True, timeout=600)

    make()
    assert (tree / ".venv/bin/quell").exists()
    shutil.rmtree(tree / ".venv")
    if sys.platform == "linux" and os.getuid() == 0:
        make("unshare", "-n")
    else:
        make("env", "UV_OFFLINE=1")
    subprocess.run([tree / ".venv/bin/quell", "--help"], check=True, timeout=60)
