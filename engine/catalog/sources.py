"""Which files make a catalog, and their texts in the order in which they count."""

import errno
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from engine.core.documents import ModeName
from engine.core.findings import Finding
from engine.core.rule_documents import RuleOverlay

COMMANDS_FILE = "commands.yaml"
POLICY_FILE = "policy.yaml"
TEST_SUFFIX = ".test.yaml"


@dataclass(frozen=True, slots=True)
class CatalogSources:
    """Where a catalog is read from. A path is a folder with everything below it, or one file.

    `shipped` holds `rules` and `playbooks` of quell itself, None leaves them out; `shipped_mode`
    is the most that shipped rules with a playbook do unless the overlay gives them a mode.
    `commands.yaml` in a folder of playbooks belongs to `commands`. Without `policy` the shipped one
    counts. `roles` are those that approvals may name; empty when they aren't known. `secrets` are
    the names of those that playbooks may use, None when they aren't known. `kept` are the texts of
    an earlier version, None reads the paths.
    """

    rules: Sequence[Path] = ()
    playbooks: Sequence[Path] = ()
    shipped: Path | None = None
    shipped_mode: ModeName | None = None
    commands: Sequence[Path] = ()
    inventory: Path | None = None
    policy: Path | None = None
    overlay: Mapping[str, RuleOverlay] = field(default_factory=dict)
    overlay_file: str = "quell.yaml"
    roles: frozenset[str] = frozenset()
    secrets: frozenset[str] | None = None
    kept: "Sequence[SourceFile] | None" = None


class Kind(Enum):
    """What a file says, which its place decides."""

    RULES = "rules"
    PLAYBOOK = "playbook"
    COMMANDS = "commands"
    INVENTORY = "inventory"
    POLICY = "policy"
    REHEARSALS = "rehearsals"
    MAPPING = "mapping"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One text. `name` is the same on every replica, `path` is what people open."""

    kind: Kind
    name: str
    path: str
    text: bytes
    shipped: bool

    @property
    def stem(self) -> str:
        """The file's own name without `.yaml`."""
        return Path(self.path).name.removesuffix(".yaml").removesuffix(".yml")


def read_sources(sources: CatalogSources, findings: list[Finding]) -> list[SourceFile]:
    """All files, the user's before the shipped, each folder in byte order of its paths.

    What is missing or can't be read becomes a finding.
    """
    if sources.kept is not None:
        return list(sources.kept)
    reader = _Reader(findings)
    for kind, roots in (
        (Kind.RULES, sources.rules),
        (Kind.PLAYBOOK, sources.playbooks),
        (Kind.COMMANDS, sources.commands),
    ):
        for root in roots:
            reader.read_root(kind, root, shipped=False)
    if sources.inventory is not None:
        reader.read_root(Kind.INVENTORY, sources.inventory, shipped=False)
    if sources.policy is not None:
        reader.read_root(Kind.POLICY, sources.policy, shipped=False)
    if sources.shipped is not None:
        reader.read_root(Kind.RULES, sources.shipped / "rules", shipped=True)
        reader.read_root(Kind.PLAYBOOK, sources.shipped / "playbooks", shipped=True)
    if sources.policy is not None:
        return [f for f in reader.files if not (f.shipped and f.kind is Kind.POLICY)]
    return reader.files


class _Reader:
    def __init__(self, findings: list[Finding]) -> None:
        self._findings = findings
        self._names: set[str] = set()
        self.files: list[SourceFile] = []

    def read_root(self, kind: Kind, root: Path, *, shipped: bool) -> None:
        folder = {Kind.RULES: "rules/", Kind.PLAYBOOK: "playbooks/"}.get(kind, "")
        try:
            for path, relative in _paths(root):
                own = kind_within(kind, path.name, shipped=shipped)
                name = self._unique(f"{'shipped/' if shipped else ''}{folder}{relative}")
                self.files.append(SourceFile(own, name, str(path), _text_of(path), shipped))
        except OSError as error:
            problem = error.strerror or str(error)
            is_gone = isinstance(error, FileNotFoundError)
            what_to_do = "create it" if is_gone else "let quell's account read it"
            message = f"{problem}; {what_to_do}, or take it out of the settings"
            self._findings.append(Finding(str(error.filename or root), 0, 0, message))

    def _unique(self, name: str) -> str:
        """Two folders may hold files of one name; the later one gets a number."""
        found, number = name, 2
        while found in self._names:
            found = f"{name}#{number}"
            number += 1
        self._names.add(found)
        return found


def _paths(root: Path) -> Iterator[tuple[Path, str]]:
    if not root.is_dir():
        yield root, root.name
        return
    found: list[tuple[Path, str]] = []
    seen: set[Path] = set()
    for folder, folders, names in os.walk(root, onerror=_raise, followlinks=True):
        here = Path(folder)
        # A link may lead back to a folder above it.
        if here.resolve() in seen:
            folders.clear()
            continue
        seen.add(here.resolve())
        # A mounted ConfigMap keeps its files twice, once below a folder that begins with a dot.
        folders[:] = [each for each in folders if not each.startswith(".")]
        for name in names:
            path = here / name
            if path.suffix in (".yaml", ".yml") and not name.startswith("."):
                found.append((path, path.relative_to(root).as_posix()))
    yield from sorted(found, key=lambda pair: pair[1].encode("utf-8", "surrogateescape"))


def _raise(error: OSError) -> None:
    """A folder that can't be read may hold rules: to pass it over would be to drop them."""
    raise error


def _text_of(path: Path) -> bytes:
    """A file's text. Raises OSError, also for what isn't a file: a pipe may never end."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "it is neither a file nor a folder", str(path))
    return path.read_bytes()


def kind_within(kind: Kind, name: str, *, shipped: bool) -> Kind:
    """What a file of this name says in a folder of this kind."""
    if kind in (Kind.RULES, Kind.PLAYBOOK) and name.endswith(TEST_SUFFIX):
        return Kind.REHEARSALS
    if kind is Kind.PLAYBOOK and name == COMMANDS_FILE:
        return Kind.COMMANDS
    if kind is Kind.PLAYBOOK and name == POLICY_FILE and shipped:
        return Kind.POLICY
    return kind
