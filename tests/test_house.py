"""The shape of the house: no rings, addresses that mean something, one law, thin adapters.

* No module imports itself by way of others when it is run, in any package that ships.
* A module at the top of ``plait`` has a name that aiohttp has, because programs import
  ``aiohttp.web_request``.  What is only plait's lives in packages below it.
* The engine has three lines of code, at least, for each line of the transport around it.
* The law of the contract (one input or command, then drain all three outputs) is written
  in one place, for adapters, test tools, fuzzers and examples.

``tests/house.py`` measures and says what is counted.  ``tests/test_purity.py`` holds who may
import whom.
"""

from __future__ import annotations

import importlib.util
import re
import tomllib

import pytest

from tests.house import (
    ROOT,
    TRANSPORT,
    count_code,
    files,
    import_graph,
    imports,
    is_in,
    measure,
    methods_called,
    modules,
    rings,
)

# A module at the top of plait that aiohttp has not -> why it stands there all the same.
OTHER_ADDRESSES: dict[str, str] = {}

LAW = "plait_engine.driver"
# Who takes bytes and deadlines and is not the law -> why.
NOT_THE_LAW = {
    "plait.websocket.exchange": "carries a WebSocket's machine over one stream of a connection",
    "plait_trio.websocket": "carries a WebSocket's machine over one stream of a connection",
    "fuzz/operations.py": "looks at each output alone: a refused command must change none",
    "fuzz/websocket.py": "has no transport: it compares what a machine says, however bytes are cut",
}

# -- rings -------------------------------------------------------------------------------


@pytest.mark.parametrize("package", ["plait_engine", "plait", "plait_trio"])
def test_nothing_imports_itself(package: str) -> None:
    assert [ring for ring in rings(import_graph()) if is_in(ring[0], [package])] == []


# -- addresses ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    sorted(path.stem for path in (ROOT / "adapters" / "plait").glob("*.py")),
)
def test_a_module_at_the_top_has_a_name_of_aiohttp(name: str) -> None:
    if name in OTHER_ADDRESSES:
        assert importlib.util.find_spec(f"aiohttp.{name}") is None, "no exception is needed"
    else:
        assert importlib.util.find_spec(f"aiohttp.{name}") is not None


# -- thin adapters -----------------------------------------------------------------------


def test_the_engine_is_three_times_the_transport() -> None:
    sizes = measure()
    assert sizes["engine"] >= 3 * sizes["transport"]


def test_the_parts_of_the_transport_exist() -> None:
    assert [part for part in TRANSPORT if not any(is_in(name, [part]) for name in modules())] == []


# -- the law -----------------------------------------------------------------------------


def drainers() -> list[str]:
    """Return the modules that take bytes and deadlines of a connection, both.

    A machine that has outputs of its own, and asks its parts for theirs, is none.
    """
    shipped = {path: name for name, path in modules().items()}
    others = [
        path for folder in ("examples", "fuzz", "benchmarks") for path in files(ROOT / folder)
    ]
    return sorted(
        shipped.get(path) or path.relative_to(ROOT).as_posix()
        for path in [*shipped, *others]
        if {"data_to_send", "next_timeout"} <= methods_called(path.read_text())
        and "def next_timeout(" not in path.read_text()
    )


def test_the_law_is_written_once() -> None:
    assert drainers() == sorted([LAW, *NOT_THE_LAW])


# -- what a newcomer is told -------------------------------------------------------------


def test_types_are_checked_for_the_oldest_and_the_newest_python() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    promised = re.findall(r":: (3\.\d+)", "\n".join(project["classifiers"]))
    checked = re.findall(r"mypy --python-version (\S+)", (ROOT / "Makefile").read_text())
    assert project["requires-python"] == f">={promised[0]}"
    assert checked == [promised[0], promised[-1]]


def test_what_is_left_out_of_coverage_says_why() -> None:
    bare = [
        f"{name}: {line.strip()}"
        for name, path in modules().items()
        for line in path.read_text().splitlines()
        if re.search(r"# pragma: no (cover|branch)(?!: \S)", line)
    ]
    assert bare == []


# -- the tests of the tests --------------------------------------------------------------

KNOWN = ("a", "a.b", "a.c", "a.d", "z")


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import z", {"z"}),
        ("import z.y", set()),
        ("from . import c, d", {"a.c", "a.d"}),
        ("from . import something", {"a"}),
        ("from .c import thing", {"a.c"}),
        ("from a.c import thing", {"a.c"}),
        ("from a import c", {"a.c"}),
        ("def f():\n    from . import c", {"a.c"}),
        ("class C:\n    import z", {"z"}),
        ("try:\n    import z\nexcept ImportError:\n    from . import c", {"a.c", "z"}),
        ("if TYPE_CHECKING:\n    import z", set()),
        ("if typing.TYPE_CHECKING:\n    import z\nelse:\n    from . import c", {"a.c"}),
        ("if not TYPE_CHECKING:\n    import z", {"z"}),
        ("from . import b", set()),
    ],
)
def test_imports_at_run_time(source: str, found: set[str]) -> None:
    assert imports(source, "a.b", is_package=False, known=KNOWN) == found


def test_a_package_is_its_own_parent() -> None:
    assert imports("from . import c", "a", is_package=True, known=KNOWN) == {"a.c"}


def test_rings_are_found() -> None:
    graph = {"a": {"b"}, "b": {"c", "d"}, "c": {"a"}, "d": {"e"}, "e": {"d"}, "f": {"a", "e"}}
    assert rings(graph) == [["a", "b", "c"], ["d", "e"]]
    assert rings({"a": {"b"}, "b": {"c"}, "c": set()}) == []


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("", 0),
        ('"""A docstring.\n\nOf three lines."""\n', 0),
        ("# a comment\n\nx = 1  # another\n", 1),
        ("x = (\n    1,\n\n    # two\n    2,\n)\n", 4),
        ('class A:\n    """Doc."""\n\n    b: int = 1\n    """What b is."""\n', 2),
        ('x = """text\n\nof three lines"""\n', 3),
    ],
)
def test_lines_of_code(source: str, lines: int) -> None:
    assert count_code(source) == lines


def test_methods_called() -> None:
    source = "a.b(c.d)\ne.f = 1\ndef g(): h()\n"
    assert methods_called(source) == {"b", "d"}
