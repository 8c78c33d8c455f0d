"""`quell new action` writes a package that is found and tested."""

from pathlib import Path

import pytest

from engine.cli.main import execute


def test_a_package_is_written_and_never_over_another(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert execute(["new", "action", "lab.port_open"]) == 0
    folder = tmp_path / "quell-lab-port-open"
    assert sorted(path.name for path in folder.iterdir()) == [
        "lab_port_open.py",
        "pyproject.toml",
        "test_lab_port_open.py",
    ]
    assert (
        '"lab.port_open" = "lab_port_open:LabPortOpen"' in (folder / "pyproject.toml").read_text()
    )
    assert "a step may use lab.port_open" in capsys.readouterr().out
    assert execute(["new", "action", "lab.port_open"]) == 2
    assert "is there already" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["port", "Lab.x", "lab.x.y", "lab._x", "../x.y"])
def test_a_name_that_no_step_could_use_is_refused(
    capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert execute(["new", "action", name]) == 2
    assert "isn't like lab.port_open" in capsys.readouterr().err
