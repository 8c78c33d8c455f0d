import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The script and a list of its own, on a machine that has no apt-get."""
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools/system-packages", tmp_path / "tools")
    (tmp_path / "tests/services").mkdir(parents=True)
    (tmp_path / "programs").mkdir()
    for name in ("dirname", "grep", "tr", "id"):
        found = shutil.which(name)
        assert found is not None
        (tmp_path / "programs" / name).symlink_to(found)
    return tmp_path


def system_packages(tree: Path, listed: str) -> subprocess.CompletedProcess[str]:
    (tree / "tests/services/debian-packages.txt").write_text(listed)
    return subprocess.run(
        ["/bin/sh", tree / "tools/system-packages"],
        env={"PATH": str(tree / "programs")},
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_what_is_missing_is_said_and_fails(tree: Path) -> None:
    listed = (
        f"# packages\nthere grep\nthere-too {tree}/prog*/grep\ngone nonesuch\nlost {tree}/no*/x\n"
    )
    done = system_packages(tree, listed)
    assert done.returncode == 1
    assert done.stderr == (
        "The tests run real services, and these are missing (by their Debian names): gone lost \n"
        "On Debian, as root: apt-get install --no-install-recommends gone lost \n"
    )


def test_nothing_missing_is_silent(tree: Path) -> None:
    done = system_packages(tree, "# packages\nthere grep\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_projects_own_list_names_a_program_for_each_package() -> None:
    lines = (ROOT / "tests/services/debian-packages.txt").read_text().splitlines()
    packages = [line.split() for line in lines if not line.startswith("#")]
    assert packages
    assert all(len(words) == 2 for words in packages)
