import pytest

from engine.ports.extras import is_installed


@pytest.mark.parametrize(
    ("module", "there"),
    [
        pytest.param("json", True, id="there"),
        pytest.param("json.decoder", True, id="there below its package"),
        pytest.param("json.nothing", False, id="its package alone is there"),
        pytest.param("nothing_of_this_name", False, id="not there"),
        pytest.param("nothing_of_this_name.below", False, id="not even its package is there"),
    ],
)
def test_a_package_is_there_or_not(module: str, *, there: bool) -> None:
    assert is_installed(module) is there
