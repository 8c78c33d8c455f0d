"""Actions of other packages fit, or it is told whose doesn't."""

from importlib.metadata import EntryPoint

import pytest

from connectors.outside import load, outside_actions
from engine.errors import ConfigError
from engine.ports.outside_action import ENTRY_POINTS


class Old:
    """Made for another version of connectors."""

    API_VERSION = 0


def entry(value: str) -> EntryPoint:
    return EntryPoint("lab.look", value, ENTRY_POINTS)


def test_none_is_installed_here() -> None:
    assert list(outside_actions()) == []


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("nowhere:X", "can't be loaded: ModuleNotFoundError: No module named 'nowhere'"),
        (f"{__name__}:Gone", "can't be loaded: AttributeError"),
        (f"{__name__}:Old", "made for version 0 of connectors, and this quell has 1"),
        ("json:dumps", "made for version None of connectors"),
    ],
)
def test_one_that_does_not_fit_is_named(value: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=r"'lab\.look'") as caught:
        load([entry(value)])
    assert problem in str(caught.value)
