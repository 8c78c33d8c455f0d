from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from engine.ports.file_paths import BesideFile, PresentFile


class Paths(BaseModel):
    later: BesideFile | None = None
    there: PresentFile | None = None


def test_a_relative_path_counts_from_the_file_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    given = {"later": "later.pem", "there": "ca.pem"}
    paths = Paths.model_validate(given, context={"folder": tmp_path})
    assert (paths.later, paths.there) == (tmp_path / "later.pem", tmp_path / "ca.pem")
    alone = Paths.model_validate({"later": "later.pem", "there": tmp_path / "ca.pem"})
    assert (alone.later, alone.there) == (Path("later.pem"), tmp_path / "ca.pem")


@pytest.mark.parametrize("name", ["gone.pem", "."])
def test_a_file_that_has_to_be_there_is_refused_where_it_is_not(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValidationError, match="names a file that isn't there"):
        Paths.model_validate({"there": name}, context={"folder": tmp_path})
