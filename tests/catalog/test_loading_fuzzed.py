"""Whatever stands in a file, loading ends soon: with a catalog, or with findings that have a place.

Texts that ship are broken at random: bytes, lines, words of the language in wrong places.
"""

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter

import pytest

from connectors import registry
from engine.catalog import CatalogSources, load_catalog, shipped_folder
from engine.core.findings import Finding
from engine.errors import ConfigError

# A whole catalog takes a fraction of it; a hang takes forever.
LIMIT_S = 15.0
WORDS = """
id steps verify rollback uses with if until within timeout retry parameters default type
when is severity matchers for null true ~ 1e9 0x1F - : # ! & * | > ' " [ ] { } , ? % @ `
${{ }} alert.labels params.host steps.restart.ok result. failure() [[[ ]] {{ <<:
!!python/object \\u0000 \\ufeff \\u202e 999999999999999999999 1h1h -5m P9 (( && ! size( .
""".split()  # noqa: SIM905 - a list of quoted words can't be read


def _bytes(text: bytes, dice: random.Random) -> bytes:
    place = dice.randrange(len(text) + 1)
    return text[:place] + dice.randbytes(dice.randrange(1, 4)) + text[place + dice.randrange(3) :]


def _word(text: bytes, dice: random.Random) -> bytes:
    place = dice.randrange(len(text) + 1)
    return text[:place] + dice.choice(WORDS).encode() + text[place + dice.randrange(12) :]


def _lines(text: bytes, dice: random.Random) -> bytes:
    lines = text.split(b"\n")
    first, second = dice.randrange(len(lines)), dice.randrange(len(lines))
    match dice.randrange(4):
        case 0:
            del lines[first]
        case 1:
            lines.insert(second, lines[first])
        case 2:
            lines[first] = b"  " * dice.randrange(4) + lines[first].lstrip()
        case _:
            lines[first], lines[second] = lines[second], lines[first]
    return b"\n".join(lines)


def _repeated(text: bytes, dice: random.Random) -> bytes:
    place = dice.randrange(len(text) + 1)
    part = text[place : place + dice.randrange(1, 30)]
    return text[:place] + part * dice.choice((2, 50, 5_000)) + text[place:]


BREAKS: tuple[Callable[[bytes, random.Random], bytes], ...] = (_bytes, _word, _lines, _repeated)


def _seeds() -> Mapping[str, bytes]:
    shipped = shipped_folder()
    files = sorted(shipped.glob("playbooks/[rc]*-*.yaml"))
    files += sorted(path for path in shipped.glob("rules/*.yaml") if ".test." not in path.name)[:3]
    found = {f"{path.parent.name}/{path.name}": path.read_bytes() for path in files}
    commands = {"playbooks/commands.yaml": (shipped / "playbooks" / "commands.yaml").read_bytes()}
    inventory = (
        b"language: 1\ntargets: {gpu-07: {kind: host, address: a, connection: lab, service: llm}}\n"
        b"services: {llm: {environment: staging}}\nconnections: {lab: {uses: ssh, user: quell}}\n"
    )
    policy = b"language: 1\nceilings: [{when: 'environment == \"production\"', mode: approve}]\n"
    return {**found, **commands, "inventory.yaml": inventory, "policy.yaml": policy}


# What others name; every other file is there only while it is the broken one, for time's sake.
ALWAYS = (
    "inventory.yaml",
    "policy.yaml",
    "playbooks/commands.yaml",
    "playbooks/restart-unit.yaml",
)


def _placed(folder: Path, seeds: Mapping[str, bytes], name: str, text: bytes) -> None:
    """The file with this text; beside a test, the playbook that it is of."""
    of = name.replace(".test.yaml", ".yaml")
    (folder / of).write_bytes(seeds[of])
    (folder / name).write_bytes(text)


def _cleared(folder: Path, seeds: Mapping[str, bytes], name: str) -> None:
    for each in (name, name.replace(".test.yaml", ".yaml")):
        if each in ALWAYS:
            (folder / each).write_bytes(seeds[each])
        else:
            (folder / each).unlink(missing_ok=True)


def fuzz(folder: Path, seconds: float) -> int:
    """Break and load for so long; how many catalogs that were."""
    seeds, declared = _seeds(), registry.declarations()
    (folder / "rules").mkdir()
    (folder / "playbooks").mkdir()
    for name in ALWAYS:
        (folder / name).write_bytes(seeds[name])
    sources = CatalogSources(
        rules=[folder / "rules"],
        playbooks=[folder / "playbooks"],
        inventory=folder / "inventory.yaml",
        policy=folder / "policy.yaml",
    )
    for name, text in seeds.items():
        _placed(folder, seeds, name, text)
        load_catalog(sources, declared)  # what is whole is right, so the breaks are what is found
        _cleared(folder, seeds, name)
    began, number = perf_counter(), 0
    while perf_counter() - began < seconds:
        dice = random.Random(number)
        name = dice.choice(list(seeds))
        text = seeds[name]
        for _ in range(dice.randrange(1, 4)):
            text = dice.choice(BREAKS)(text, dice)
        _placed(folder, seeds, name, text)
        started = perf_counter()
        try:
            load_catalog(sources, declared)
        except ConfigError as error:
            assert error.findings, f"seed {number}: {error}"
            for finding in error.findings:
                assert isinstance(finding, Finding), f"seed {number}: {finding}"
                assert finding.line >= 1, f"seed {number}: {finding}"
                assert finding.message.strip(), f"seed {number}: {finding}"
        except Exception as error:
            error.add_note(f"seed {number}, {name}")
            raise
        assert perf_counter() - started < LIMIT_S, f"seed {number} took too long"
        _cleared(folder, seeds, name)
        number += 1
    return number


def test_a_broken_file_never_crashes_or_hangs_the_loader(tmp_path: Path) -> None:
    assert fuzz(tmp_path, seconds=20.0) > 30


@pytest.mark.slow
def test_ten_minutes_of_broken_files(tmp_path: Path) -> None:
    assert fuzz(tmp_path, seconds=600.0) > 1_000
