"""What would fail only when it is called is told by the type checker."""

from pathlib import Path

from mypy import api

ROOT = Path(__file__).parents[2]
SOURCE = """\
import dataclasses
from dataclasses import asdict, dataclass, fields, replace
from msgspec import Struct, structs

class Struck(Struct, frozen=True):
    name: str

@dataclass(frozen=True)
class Plain:
    name: str

structs.replace(Struck("a"), name="b")
replace(Plain("a"), name="b")
fields(Plain)
replace(Struck("a"), name="b")
dataclasses.replace(Struck("a"), name="b")
asdict(Struck("a"))
fields(Struck)
"""


def test_a_struct_given_to_a_function_of_dataclasses_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "mypy.ini").write_text(f"[mypy]\nplugins = {ROOT}/tools/mypy_structs.py\n")
    (tmp_path / "source.py").write_text(SOURCE)
    told, _, _ = api.run(
        [
            *("--config-file", str(tmp_path / "mypy.ini")),
            *("--cache-dir", str(tmp_path)),
            str(tmp_path / "source.py"),
        ]
    )
    errors = [line for line in told.splitlines() if "Struck is a struct" in line]
    assert [int(line.split(":")[1]) for line in errors] == [15, 16, 17, 18], told
