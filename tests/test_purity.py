"""The import rules of the project, held by parsing every file.

* ``plait_engine`` uses the pure part of the standard library: nothing that does I/O, waits,
  reads a clock or draws randomness.  ``reference`` may use the libraries that it wraps,
  ``testing.strategies`` may use hypothesis.
* ``plait`` and ``plait_trio`` build on the engine, never the other way, and not on each other.
* Nothing that ships imports ``tests``, ``fuzz``, ``benchmarks`` or ``examples``.

Every file also opens with a docstring.  One of more than 800 lines is looked at again: it
may hold two concepts.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ENGINE = ROOT / "engine" / "plait_engine"
ADAPTERS = ROOT / "adapters"
MAX_LINES = 800

# What the engine may import of the standard library.  A module is added here when it is
# needed and does no I/O, has no clock, no waiting and no randomness.
PURE_MODULES = frozenset(
    {
        "__future__",
        "abc",
        "base64",
        "binascii",
        "bisect",
        "calendar",
        "codecs",
        "collections",
        "collections.abc",
        "contextlib",
        "copy",
        "dataclasses",
        "enum",
        "fractions",
        "functools",
        "hashlib",
        "heapq",
        "hmac",
        "html",
        "http",
        "ipaddress",
        "itertools",
        "json",
        "math",
        "operator",
        "re",
        "string",
        "struct",
        "types",
        "typing",
        "unicodedata",
        "urllib.parse",
        "zlib",
    }
)
# Builtins that leave the process, or hide what a file imports.
IMPURE_BUILTINS = frozenset(
    {"open", "input", "print", "exec", "eval", "compile", "__import__", "breakpoint"}
)
# Part of the engine -> the libraries, or their modules, that only it may import.
EXCEPTIONS = {
    "reference": frozenset({"h11", "h2", "hpack", "wsproto"}),
    "testing/strategies.py": frozenset({"hypothesis"}),
    "websocket/masking.py": frozenset({"websockets.speedups"}),
}
NEVER_SHIPPED = frozenset({"tests", "fuzz", "benchmarks", "examples"})
# Package -> what it must not import.
FORBIDDEN = {
    "plait": frozenset({"plait_trio", "trio"}) | NEVER_SHIPPED,
    "plait_trio": frozenset({"plait", "asyncio"}) | NEVER_SHIPPED,
}


def imported(tree: ast.Module, package: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the full name of every module that is imported, wherever it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")
                base = ".".join([*parts[: len(parts) - node.level + 1], *filter(None, [base])])
            modules = [f"{base}.{alias.name}".lstrip(".") for alias in node.names]
            modules = [name for name in modules if is_module(name)]
            # ``from urllib import parse`` is about urllib.parse alone.
            names = modules if len(modules) == len(node.names) else [base or ".", *modules]
            yield from ((node.lineno, name) for name in names)


def is_module(name: str) -> bool:
    """Tell whether ``name`` is a module, and not something inside of one."""
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def top(name: str) -> str:
    return name.partition(".")[0]


def engine_faults(source: str, path: str) -> list[str]:
    """Return what is wrong with a file of the engine; ``path`` is relative to the package."""
    package = ".".join(("plait_engine", *Path(path).parent.parts))
    libraries = frozenset({"plait_engine"})
    for part, exceptions in EXCEPTIONS.items():
        if path == part or path.startswith(part + "/"):
            libraries |= exceptions
    tree = ast.parse(source)
    faults = [
        f"{path}:{line}: imports {name}"
        for line, name in imported(tree, package)
        if name not in PURE_MODULES and libraries.isdisjoint({name, top(name)})
    ]
    faults += [
        f"{path}:{node.lineno}: uses {node.id}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Name)
        and isinstance(node.ctx, ast.Load)
        and node.id in IMPURE_BUILTINS
    ]
    return faults


def adapter_faults(source: str, path: str) -> list[str]:
    """Return what is wrong with a file of an adapter; ``path`` begins with its package."""
    parent = Path(path).parent
    forbidden = FORBIDDEN[parent.parts[0]]
    return [
        f"{path}:{line}: imports {name}"
        for line, name in imported(ast.parse(source), ".".join(parent.parts))
        if top(name) in forbidden
    ]


def shape_faults(source: str, path: str) -> list[str]:
    """Return what is wrong with the shape of a file."""
    faults = []
    lines = source.count("\n")
    if lines > MAX_LINES:
        faults.append(f"{path}: has {lines} lines: is it two concepts?")
    if ast.get_docstring(ast.parse(source)) is None:
        faults.append(f"{path}: has no docstring")
    return faults


def files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*.py") if "__pycache__" not in path.parts)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", files(ENGINE), ids=name_of)
def test_the_engine_is_pure(path: Path) -> None:
    assert engine_faults(path.read_text(), path.relative_to(ENGINE).as_posix()) == []


@pytest.mark.parametrize("path", files(ADAPTERS), ids=name_of)
def test_adapters_build_on_the_engine_alone(path: Path) -> None:
    assert adapter_faults(path.read_text(), path.relative_to(ADAPTERS).as_posix()) == []


@pytest.mark.parametrize("path", files(ENGINE) + files(ADAPTERS), ids=name_of)
def test_files_are_short_and_say_what_they_are(path: Path) -> None:
    assert shape_faults(path.read_text(), name_of(path)) == []


# -- the tests of the tests ------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "import asyncio",
        "import os.path",
        "import time",
        "from time import monotonic",
        "import random as r",
        "from secrets import token_bytes",
        "import socket, struct",
        "import threading",
        "import logging",
        "import urllib",
        "import urllib.request",
        "from urllib import request",
        "from urllib import parse, request",
        "import http.client as c",
        "from http import client",
        "import importlib",
        "import plait",
        "from plait import web",
        "import plait_trio",
        "import tests",
        "from fuzz import targets",
        "import multidict",
        "import h11",
        "def f():\n    import selectors",
        "if True:\n    from ssl import SSLContext",
        "def f(p):\n    return open(p)",
        "x = eval('1')",
        "m = __import__('os')",
        "print('debug')",
    ],
)
def test_an_impure_file_of_the_engine_is_found(source: str) -> None:
    assert engine_faults(source, "http1/sample.py")


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("import re, struct\nfrom collections.abc import Callable", "sample.py"),
        ("from urllib.parse import urlsplit", "sample.py"),
        ("from urllib import parse", "sample.py"),
        ("from http import HTTPStatus", "sample.py"),
        ("class A:\n    open: bool = False", "sample.py"),
        ("from ..config import Config\nfrom . import grammar", "http1/sample.py"),
        ("from plait_engine.events import Data", "http1/sample.py"),
        ("import h11\nfrom h2.connection import H2Connection", "reference/sample.py"),
        ("import hypothesis.strategies as st", "testing/strategies.py"),
        ("from websockets.speedups import apply_mask", "websocket/masking.py"),
        ("def f(stream):\n    return stream.open", "sample.py"),
    ],
)
def test_a_pure_file_of_the_engine_passes(source: str, path: str) -> None:
    assert engine_faults(source, path) == []


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("import h11", "testing/sample.py"),
        ("import hypothesis", "testing/pair.py"),
        ("import hypothesis", "reference/sample.py"),
        ("from websockets.speedups import apply_mask", "websocket/frames.py"),
        ("from websockets import frames", "websocket/masking.py"),
        ("import websockets.asyncio.client", "websocket/masking.py"),
        ("from ... import plait", "http1/sample.py"),
    ],
)
def test_an_exception_holds_only_where_it_is_made(source: str, path: str) -> None:
    assert engine_faults(source, path)


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("import trio", "plait/sample.py"),
        ("from plait_trio import serve", "plait/web/sample.py"),
        ("from tests.helpers import x", "plait/sample.py"),
        ("import asyncio", "plait_trio/sample.py"),
        ("import plait", "plait_trio/sample.py"),
        ("def f():\n    import fuzz.http1", "plait_trio/sample.py"),
    ],
)
def test_an_adapter_that_reaches_too_far_is_found(source: str, path: str) -> None:
    assert adapter_faults(source, path)


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("import asyncio\nfrom plait_engine import Config", "plait/sample.py"),
        ("from .. import web\nfrom ..client import x", "plait/web/sample.py"),
        ("import trio\nimport plait_engine", "plait_trio/sample.py"),
    ],
)
def test_an_adapter_that_keeps_to_itself_passes(source: str, path: str) -> None:
    assert adapter_faults(source, path) == []


def test_a_file_without_shape_is_found() -> None:
    assert shape_faults("import re\n", "sample.py") == ["sample.py: has no docstring"]
    assert shape_faults('"""Doc."""\n' * 801, "sample.py") == [
        "sample.py: has 801 lines: is it two concepts?"
    ]
    assert shape_faults('"""Doc."""\n' * 800, "sample.py") == []
