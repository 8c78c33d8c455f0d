"""What authors get wrong, and exactly what they are told: `broken/NAME.yaml` and `NAME.txt`.

`python -m tests.catalog.test_broken_playbooks` writes the texts anew; each is read before it is
kept, by the question whether it says what is wrong, where, and what to write instead.
"""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from connectors import registry
from engine.catalog import CatalogSources, load_catalog, shipped_folder
from engine.catalog.reference_pages import reference_pages
from engine.core.findings import Finding
from engine.errors import ConfigError

HERE = Path(__file__).with_name("broken")
ROOT = Path(__file__).parents[2]
NAMES = sorted(path.stem for path in HERE.glob("*.yaml"))
INVENTORY = """\
language: 1
targets: {gpu-07: {kind: host, address: gpu-07.example, connection: ssh-fra, service: llm}}
services: {llm: {environment: staging}}
connections:
  ssh-fra: {uses: ssh, user: quell, known_hosts: known_hosts, client_key: key}
  prom-a: {uses: prometheus, url: 'http://a.example:9090'}
  prom-b: {uses: prometheus, url: 'http://b.example:9090'}
"""


@cache
def told() -> Mapping[str, str]:
    """What is said of each file; all are loaded at once, as a project's are."""
    with TemporaryDirectory() as folder:
        inventory = Path(folder) / "inventory.yaml"
        inventory.write_text(INVENTORY)
        return told_with(inventory)


def told_with(inventory: Path) -> Mapping[str, str]:
    sources = CatalogSources(
        playbooks=[HERE],
        shipped=shipped_folder(),
        inventory=inventory,
        roles=frozenset({"oncall"}),
        secrets=frozenset({"balancer-token"}),
    )
    try:
        load_catalog(sources, registry.declarations())
    except ConfigError as error:
        lines: dict[str, str] = {}
        for finding in error.findings:
            assert isinstance(finding, Finding)
            name = Path(finding.file).stem
            line = finding.told.replace(finding.file, f"{name}.yaml")
            lines[name] = f"{lines.get(name, '')}{line}\n"
        return lines
    raise AssertionError("nothing was refused")


def test_there_are_many_and_each_is_refused() -> None:
    assert len(NAMES) >= 60
    assert sorted(told()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_an_author_is_told_exactly_this(name: str) -> None:
    assert told()[name] == (HERE / f"{name}.txt").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_each_line_has_its_place_and_a_section_that_exists(name: str) -> None:
    for line in told()[name].splitlines():
        found = re.fullmatch(r"[a-z-]+\.yaml:[1-9]\d*:[1-9]\d*: .+ \[(\S+?)(?:#(\S+))?\]", line)
        assert found, line
        page = (ROOT / found[1]).read_text()
        headings = re.findall(r"^## (.+)$", page, re.MULTILINE)
        anchors = {each.lower().replace(" ", "-").replace(".", "") for each in headings}
        assert not found[2] or found[2] in anchors, line
        assert Path(found[1]).name in reference_pages(registry.declarations())


if __name__ == "__main__":
    for each, text in told().items():
        (HERE / f"{each}.txt").write_text(text)
