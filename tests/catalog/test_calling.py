"""Playbooks that call each other, whatever the order of their files."""

from itertools import pairwise
from pathlib import Path

import pytest

from engine.catalog import CatalogSources, load_catalog
from engine.core.catalog import Catalog
from engine.errors import ConfigError
from tests.doubles.declarations import ACTIONS

VERIFY = """
verify:
  - id: serves
    uses: http.request
    with: {method: GET, url: 'http://a.example/'}
    until: result.ok
    within: 1m
"""


def playbook(folder: Path, name: str, *calls: str) -> None:
    steps = "".join(f"\n  - {{id: s{n}, call: {each}}}" for n, each in enumerate(calls))
    look = "\n  - {id: look, uses: http.request, with: {method: GET, url: 'http://a.example/'}"
    look += ", rollback: none}"
    text = f"language: 1\nid: {name}\ndescription: d\nsteps:{steps or look}{VERIFY}"
    (folder / f"{name}.yaml").write_text(text)


def load(folder: Path) -> Catalog:
    return load_catalog(CatalogSources(playbooks=[folder]), ACTIONS)


def test_a_playbook_may_stand_before_those_that_it_calls(tmp_path: Path) -> None:
    playbook(tmp_path, "a", "b", "c")
    playbook(tmp_path, "b", "c")
    playbook(tmp_path, "c")
    found = load(tmp_path).playbooks
    assert {name: set(each.called) for name, each in found.items()} == {
        "a": {"b", "c"},
        "b": {"c"},
        "c": set(),
    }
    assert found["a"].called_texts["c"] == found["c"].text_hash


@pytest.mark.parametrize(
    ("calls", "circle"),
    [
        pytest.param({"a": "a"}, "a → a", id="itself"),
        pytest.param({"a": "b", "b": "a"}, "a → b → a", id="two"),
        pytest.param({"a": "b", "b": "c", "c": "a"}, "a → b → c → a", id="three"),
    ],
)
def test_a_circle_is_told_once_with_its_path(
    tmp_path: Path, calls: dict[str, str], circle: str
) -> None:
    for name, callee in calls.items():
        playbook(tmp_path, name, callee)
    with pytest.raises(ConfigError) as told:
        load(tmp_path)
    (finding,) = told.value.findings
    names = circle.split(" → ")
    said = str(finding).partition("circle: ")[2].split(" → ")
    assert sorted(said[1:]) == sorted(names[1:])
    assert said[0] == said[-1]
    # Behind one that is in its circle: each calls the next.
    assert all(calls[one] == other for one, other in pairwise(said))


def test_a_row_of_calls_has_an_end(tmp_path: Path) -> None:
    for number in range(1500):
        playbook(tmp_path, f"p{number}", f"p{number + 1}")
    playbook(tmp_path, "p1500")
    with pytest.raises(ConfigError) as told:
        load(tmp_path)
    (finding,) = told.value.findings
    assert "calls are 5 deep here, 4 is the most: p1496 → p1497" in str(finding)


def test_who_calls_what_is_temporary_says_how_that_ends(tmp_path: Path) -> None:
    playbook(tmp_path, "a", "b")
    playbook(tmp_path, "b")
    with (tmp_path / "b.yaml").open("a") as file:
        file.write("temporary: true\nkeep: until March\n")
    with pytest.raises(ConfigError) as told:
        load(tmp_path)
    (finding,) = told.value.findings
    assert "a.yaml" in str(finding)
    assert "playbook 'b', which is called, is temporary" in str(finding)
    with (tmp_path / "a.yaml").open("a") as file:
        file.write("keep: until March\n")
    assert load(tmp_path).playbooks["a"].keep == "until March"
