"""A path leads to its place, and a character of a text to its own."""

import pytest

from engine.catalog.yaml_composer import compose
from engine.catalog.yaml_nodes import MappingNode, Scalar, follow, locate

FILE = b"""rules:
  - id: a
    when: alert.nam == 'x'
  - id: 'b'
    when: |
      alert.name ==
        alert.nam
    with: {host: "h\\u0069", model: ' x'}
    text: one
      two
    fold: >
      one
      two
"""
ROOT = compose(FILE, "rules.yaml")


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ((), (1, 1)),
        (("rules",), (2, 3)),
        (("rules", 0), (2, 5)),
        (("rules", 0, "id"), (2, 9)),
        (("rules", 1, "with", "host"), (8, 18)),
        (("rules", 1, "absent"), (4, 5)),
        (("rules", 7), (2, 3)),
        (("rules", 1, "list[Case]", "with"), (8, 11)),
    ],
)
def test_a_path_leads_to_its_place_or_as_far_as_it_goes(
    path: tuple[str | int, ...], place: tuple[int, int]
) -> None:
    assert locate(ROOT, path) == place


def test_parts_that_a_validator_adds_are_passed_over() -> None:
    node, real = follow(ROOT, ("rules", "RulesFile", 0, "function-after", "id"))
    assert isinstance(node, Scalar)
    assert real == ["rules", 0, "id"]


@pytest.mark.parametrize(
    ("path", "offset", "place"),
    [
        (("rules", 0, "when"), 0, (3, 11)),
        (("rules", 0, "when"), 6, (3, 17)),
        (("rules", 1, "id"), 0, (4, 10)),
        (("rules", 1, "when"), 0, (6, 7)),
        (("rules", 1, "when"), 16, (7, 9)),
        (("rules", 1, "with", "model"), 1, (8, 38)),
        (("rules", 1, "with", "host"), 1, (8, 18)),
        (("rules", 1, "text"), 5, (9, 11)),
        (("rules", 1, "fold"), 5, (11, 11)),
    ],
    ids=[
        "plain, first",
        "plain, later",
        "quoted",
        "block, first line",
        "block, second line",
        "in flow",
        "behind an escape: the beginning",
        "on a folded line: the beginning",
        "in a folded block: the beginning",
    ],
)
def test_a_character_of_a_text_has_its_own_place(
    path: tuple[str | int, ...], offset: int, place: tuple[int, int]
) -> None:
    node, _ = follow(ROOT, path)
    assert isinstance(node, Scalar)
    assert node.place_of(offset) == place


def test_an_entry_is_found_by_its_name() -> None:
    assert isinstance(ROOT, MappingNode)
    entry = ROOT.entry("rules")
    assert entry is not None
    assert entry[0].line == 1
    assert ROOT.entry("groups") is None
