"""What the documents name exists: functions, methods, modules, files, tests.

In backticks, ``plait.x.Y.z`` is looked up (also under ``plait_engine`` and ``plait_trio``),
and so is what looks like a file of the project, with or without a pattern.  The walks of
``docs/architecture.md`` have five stops each, and every stop names who does the work.
"""

from __future__ import annotations

import ast
import pkgutil
import re
from pathlib import Path

import pytest

from tests.house import ROOT, modules

DOCUMENTS = [
    path.relative_to(ROOT)
    for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *ROOT.glob("*/README.md"))
]
NAME = re.compile(r"(?:plait|plait_engine|plait_trio|tests)(?:\.\w+)+")
FILE = re.compile(r"[\w.*-]+(?:/[\w.*-]+)*/?(?:::\w+)?")
FOLDERS = tuple(
    f"{path.name}/" for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")
)


def quoted(text: str) -> list[str]:
    """Return what stands in backticks, outside of blocks of code."""
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"`([^`\n]+)`", prose)


def exists(name: str) -> bool:
    """Tell whether ``name`` is a module, or something that can be reached from one."""
    try:
        pkgutil.resolve_name(name)
    except (ImportError, AttributeError):
        return False
    return True


def is_file(name: str) -> bool:
    """Tell whether a file, a pattern of files or ``FILE::TEST`` exists."""
    path, _, test = name.partition("::")
    found = [match for match in ROOT.glob(path.rstrip("/")) if match.name != "__pycache__"]
    if not test:
        return bool(found)
    return any(
        isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and node.name == test
        for match in found
        for node in ast.walk(ast.parse(match.read_text()))
    )


def faults(text: str) -> list[str]:
    """Return what ``text`` names and does not exist."""
    missing = []
    for part in quoted(text):
        name = part.removesuffix("()")
        if NAME.fullmatch(name):
            if not exists(name):
                missing.append(name)
        elif FILE.fullmatch(part) and part.startswith(FOLDERS) and not is_file(part):
            missing.append(part)
    return missing


@pytest.mark.parametrize("path", DOCUMENTS, ids=str)
def test_what_a_document_names_exists(path: Path) -> None:
    assert faults((ROOT / path).read_text()) == []


def walks() -> dict[str, list[str]]:
    """Return the stops of each walk of the architecture page, by its heading."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    section = page.partition("\n## Three walks\n")[2].partition("\n## ")[0]
    found = {}
    for walk in section.split("\n### ")[1:]:
        heading, _, text = walk.partition("\n")
        found[heading] = re.split(r"^\d\. ", text, flags=re.MULTILINE)[1:]
    return found


def test_each_walk_has_five_stops_that_name_functions() -> None:
    assert [len(stops) for stops in walks().values()] == [5, 5, 5]
    for heading, stops in walks().items():
        for number, stop in enumerate(stops, 1):
            functions = [name for name in quoted(stop) if NAME.fullmatch(name.removesuffix("()"))]
            assert functions, f"{heading}: stop {number} names no function"


@pytest.mark.parametrize(
    "room",
    [
        path.parent.relative_to(ROOT)
        for folder in ("engine/plait_engine", "adapters/plait")
        for path in (ROOT / folder).glob("*/__init__.py")
    ],
    ids=str,
)
def test_a_package_says_what_each_of_its_modules_is(room: Path) -> None:
    docstring = ast.get_docstring(ast.parse((ROOT / room / "__init__.py").read_text())) or ""
    listed = re.findall(r"^``(\w+)``  +\S", docstring, flags=re.MULTILINE)
    found = [path.stem for path in (ROOT / room).glob("*.py") if not path.stem.startswith("_")]
    assert sorted(listed) == sorted(found)


def short_paths() -> list[list[str]]:
    """Return the cells of each row of the table of short paths."""
    page = (ROOT / "docs" / "short-paths.md").read_text()
    rows = [line.strip("|").split("|") for line in page.splitlines() if line.startswith("| `")]
    assert rows
    return rows


def test_every_short_path_is_on_its_page() -> None:
    listed = {name for row in short_paths() for name in quoted(row[0])}
    named = {
        name
        for name, path in modules().items()
        if re.search(r"[Ss]hort\s+path", path.read_text()) and "reference" not in name
    }
    assert listed == named


def test_every_short_path_has_a_test() -> None:
    for row in short_paths():
        tests = quoted(row[-1])
        assert tests, row
        assert [name for name in tests if "::test_" not in name] == []


# -- the tests of the tests --------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "`plait.web.Application` and `plait.web.Application.add_routes()`",
        "`plait_engine.connection` `plait_engine.connection.Connection.receive_data`",
        "`tests/test_docs.py`, `tests/`, `tests/engine/http1/*.py`, `docs/*.md`",
        "`tests/test_docs.py::test_what_a_document_names_exists`",
        "`response.write` `asyncio.Protocol` `and/or` `PING` `Timeouts.head`",
        "```\n`plait.nothing`\n```\n",
    ],
)
def test_names_that_exist(text: str) -> None:
    assert faults(text) == []


@pytest.mark.parametrize(
    "name",
    [
        "plait.nothing",
        "plait.web.Application.add_nothing()",
        "plait_engine.connection.Connection.receive_nothing",
        "plait.MultipartWriting",
        "tests/test_nothing.py",
        "engine/plait_engine/nothing/",
        "adapters/plait/nothing_*.py",
        "tests/test_docs.py::test_nothing",
    ],
)
def test_names_that_do_not_exist(name: str) -> None:
    assert faults(f"It is `{name}`.") == [name.removesuffix("()")]
