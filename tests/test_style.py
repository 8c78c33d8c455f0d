"""What the linters can't say about this tree: sizes, names, mirrored tests, no machine's paths."""

import ast
import re
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CODE = ("engine", "connectors")
MEASURED = (*CODE, "tests", "benchmarks")
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 70
VAGUE_WORDS = frozenset({"util", "utils", "common", "helper", "helpers", "manager", "base", "impl"})

# Each exemption says why.
UNMIRRORED = {
    "engine/errors.py": "one tree of exceptions; each is tested where it is raised",
}
UNMIRRORED_FOLDERS = {
    "engine/app": "its parts make one engine and are tested as one, in tests/app",
    "engine/ports": "Protocols have no behaviour; tests/contracts has the suite of each",
    "engine/store/migrations": "run as a whole, up and down, by the tests of the store",
}
PACKAGE_FILES = frozenset({"__init__.py", "__main__.py"})

MACHINE_PATH = re.compile(
    r"(?<![\w.~$}/-])/(?:work|root|home/\w+|Users/\w+)(?:/[\w.]|\b(?![\w/-]))"
)


def too_long(root: Path) -> Iterator[str]:
    """Files and functions over the limits, as `path: N lines`."""
    for path in python_files(root, MEASURED):
        text = path.read_text()
        name = path.relative_to(root).as_posix()
        if (lines := text.count("\n")) > MAX_FILE_LINES:
            yield f"{name}: {lines} lines, at most {MAX_FILE_LINES}"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > MAX_FUNCTION_LINES:
                    at = f"{name}:{node.lineno}: {node.name}"
                    yield f"{at} has {lines} lines, at most {MAX_FUNCTION_LINES}"


def vaguely_named(root: Path) -> Iterator[str]:
    """Modules and folders whose name has a part that says nothing about the domain."""
    for path in python_files(root, MEASURED):
        for part in path.relative_to(root).with_suffix("").parts:
            for word in VAGUE_WORDS & set(part.split("_")):
                yield f"{path.relative_to(root)}: {word!r} names no thing of the domain"


def unmirrored(root: Path) -> Iterator[str]:
    """Modules with code that have no test file of the same name in the same place under tests/."""
    for path in python_files(root, CODE):
        module = path.relative_to(root)
        exempt = module.as_posix() in UNMIRRORED or any(
            parent.as_posix() in UNMIRRORED_FOLDERS for parent in module.parents
        )
        if path.name in PACKAGE_FILES or exempt or not has_code(path):
            continue
        # engine's modules drop its name; a connector keeps `connectors/`.
        place = module.relative_to("engine") if module.parts[0] == "engine" else module
        test = Path("tests", place).with_name(f"test_{module.name}")
        if not (root / test).exists():
            yield f"{module}: no {test}"


def unlayered(root: Path) -> Iterator[str]:
    """Parts of engine that no layer of the import contracts names, so that nothing checks them."""
    settings = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = next(c["layers"] for c in settings["contracts"] if c["type"] == "layers")
    named = {name.strip(" ()") for layer in layers for name in layer.split("|")}
    for path in python_files(root, ("engine",)):
        part = path.relative_to(root / "engine").parts[0].removesuffix(".py")
        if part not in {"__init__", "__main__"} and f"engine.{part}" not in named:
            yield f"{path.relative_to(root)}: engine.{part} has no layer in pyproject.toml"


def early_vendor_imports(root: Path) -> Iterator[str]:
    """Imports of a vendor's kit that run when a connector is imported, not when it is used."""
    settings = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["importlinter"]
    vendors = next(
        set(c["forbidden_modules"])
        for c in settings["contracts"]
        if c["id"] == "vendors-stay-outside"
    )
    for path in python_files(root, ("connectors",)):
        for node in imports_at_import_time(ast.parse(path.read_text()).body):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
            )
            for name in names:
                if name.split(".")[0] in vendors:
                    yield f"{path.relative_to(root)}:{node.lineno}: import {name} where it is used"


def machine_paths(root: Path) -> Iterator[str]:
    """Lines of tracked text that name a folder of one person's machine."""
    for path in tracked_files(root):
        try:
            lines = path.read_text().splitlines()
        except UnicodeDecodeError:
            continue  # not text
        for number, line in enumerate(lines, 1):
            if found := MACHINE_PATH.search(line):
                yield f"{path.relative_to(root)}:{number}: {found[0]!r} is a place on one machine"


def python_files(root: Path, folders: tuple[str, ...]) -> list[Path]:
    return sorted(path for folder in folders for path in (root / folder).rglob("*.py"))


def has_code(path: Path) -> bool:
    """Whether the file defines a function or method: types and constants alone do nothing."""
    nodes = ast.walk(ast.parse(path.read_text()))
    return any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) for node in nodes)


def imports_at_import_time(body: list[ast.stmt]) -> Iterator[ast.Import | ast.ImportFrom]:
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from imports_at_import_time(node.orelse)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for field in ("body", "orelse", "handlers", "finalbody"):
                yield from imports_at_import_time(getattr(node, field, []))


def tracked_files(root: Path) -> list[Path]:
    """What git tracks or would track; in a tree that is no checkout, all but hidden folders."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        text=True,
    )
    if listed.returncode == 0:
        paths = [root / name for name in listed.stdout.split("\0") if name]
    else:
        hidden = {path for path in root.glob(".*") if path.is_dir()}
        paths = [path for path in root.rglob("*") if hidden.isdisjoint(path.parents)]
    return sorted(path for path in paths if path.is_file())


CHECKS: tuple[Callable[[Path], Iterator[str]], ...] = (
    too_long,
    vaguely_named,
    unmirrored,
    unlayered,
    early_vendor_imports,
    machine_paths,
)
CONTRACTS = """
[[tool.importlinter.contracts]]
id = "layers"
type = "layers"
layers = ["(engine.cli) | (engine.app)", "engine.core", "engine.ports", "engine.errors"]
[[tool.importlinter.contracts]]
id = "vendors-stay-outside"
type = "forbidden"
forbidden_modules = ["asyncssh", "slack_sdk"]
"""
METHOD = "class A:\n    def f(self) -> None: ...\n"
LONG_FUNCTION = "def long() -> None:\n" + "    print()\n" * MAX_FUNCTION_LINES
VIOLATIONS: tuple[tuple[Callable[[Path], Iterator[str]], str, str], ...] = (
    (too_long, "connectors/a.py", "#\n" * (MAX_FILE_LINES + 1)),
    (too_long, "tests/test_a.py", LONG_FUNCTION),
    (too_long, "benchmarks/a.py", "class A:\n    async " + LONG_FUNCTION.replace("\n", "\n    ")),
    (vaguely_named, "engine/core/time_utils.py", ""),
    (vaguely_named, "tests/helpers/files.py", ""),
    (unmirrored, "engine/core/matchers.py", METHOD),
    (unmirrored, "connectors/actions/ssh.py", "async def run() -> None: ...\n"),
    (unlayered, "engine/orphan.py", ""),
    (early_vendor_imports, "connectors/a.py", "import asyncssh\n"),
    (
        early_vendor_imports,
        "connectors/a.py",
        "try:\n    from slack_sdk.web import x\nfinally: ...\n",
    ),
    (machine_paths, "docs/a.md", "Run it in " + "/" + "work/main.\n"),
    (machine_paths, "tools/a", 'cp x "' + "/" + 'root/.cache"\n'),
    (machine_paths, "a.toml", "x = '/" + "home/someone/x'\n"),
)
PERMITTED: tuple[tuple[Callable[[Path], Iterator[str]], str, str], ...] = (
    (too_long, "engine/a.py", "#\n" * MAX_FILE_LINES),
    (too_long, "engine/a.py", LONG_FUNCTION.removesuffix("    print()\n")),
    (vaguely_named, "engine/core/database.py", ""),
    (unmirrored, "engine/core/__init__.py", METHOD),
    (unmirrored, "engine/core/names.py", "LIMIT = 3\nclass A:\n    name: str\n"),
    (unmirrored, "engine/ports/clock.py", METHOD),
    (unlayered, "engine/core/matchers.py", ""),
    (early_vendor_imports, "connectors/a.py", "def f() -> None:\n    import asyncssh\n"),
    (early_vendor_imports, "connectors/a.py", "if TYPE_CHECKING:\n    import asyncssh\n"),
    (machine_paths, "docs/a.md", "GET https://host/work/a, ~/work/b, $DIR/root/c and ./root\n"),
)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_tree_keeps_the_rules(check: Callable[[Path], Iterator[str]]) -> None:
    found = list(check(ROOT))
    assert not found, "\n".join(found)


@pytest.mark.parametrize(("check", "path", "text"), VIOLATIONS)
def test_a_violation_is_found(
    tmp_path: Path, check: Callable[[Path], Iterator[str]], path: str, text: str
) -> None:
    write(tmp_path, path, text)
    found = list(check(tmp_path))
    assert [line.split(":")[0] for line in found] == [path]


@pytest.mark.parametrize(("check", "path", "text"), PERMITTED)
def test_what_is_permitted_is_not_found(
    tmp_path: Path, check: Callable[[Path], Iterator[str]], path: str, text: str
) -> None:
    write(tmp_path, path, text)
    assert list(check(tmp_path)) == []


def test_a_mirrored_test_satisfies(tmp_path: Path) -> None:
    write(tmp_path, "engine/core/matchers.py", METHOD)
    write(tmp_path, "connectors/actions/ssh.py", METHOD)
    write(tmp_path, "tests/core/test_matchers.py", "")
    write(tmp_path, "tests/connectors/actions/test_ssh.py", "")
    assert list(unmirrored(tmp_path)) == []


def write(root: Path, name: str, text: str) -> None:
    (root / "pyproject.toml").write_text(CONTRACTS)
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
