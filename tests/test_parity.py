"""plait has what aiohttp has: names, parameters, attributes, by introspection of the installed one.

What is different is listed here below the words of ``docs/differences.md`` that say why.  What is
listed must be different: who adds a name to plait takes it out.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import pkgutil
import subprocess
import sys
import types
from fnmatch import fnmatchcase
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web as aiohttp_web

from tests.parity import differences, public_names

ROOT = Path(__file__).resolve().parent.parent
DIFFERENCES = ROOT / "docs" / "differences.md"
MODULES = (
    "",
    *sorted(m.name for m in pkgutil.iter_modules(aiohttp.__path__) if not m.name.startswith("_")),
)

# The words of docs/differences.md -> what is different; "*" stands for any text.
ON_PURPOSE = {
    "`ATTRS`": ["*.ATTRS"],
    "the patterns of its dates": ["*CookieJar.DATE_*"],
    "return an awaitable and are not `async def`": [
        "*ClientWebSocketResponse.receive: async",
        "*TCPConnector.close: async",
        "*.WebSocketResponse.receive: async",
    ],
    "made from the engine's events": [
        "*.BaseRequest(*",
        "*.Request(*",
    ],
    "are what stands over a transport": [
        "*.RequestHandler(*",
        "*.RequestHandler.*",
    ],
    "names every option": ["*.Server(kwargs)"],
    "`None` where aiohttp has a value of its own": [
        "*RequestInfo(real_url): a sentinel is None",
        "*DataQueue.set_exception(exc_cause): BaseException() is None",
        "*StreamReader.set_exception(exc_cause): BaseException() is None",
        "*.Application(debug): Ellipsis is None",
    ],
    "take a path": ["*.Resource(path): is needed"],
    "`base_protocol`, `client_proto`, `http_parser` and `tcp_helpers`": [
        "base_protocol",
        "client_proto",
        "http_parser",
        "tcp_helpers",
    ],
    "what only aiohttp's own parts use": [
        "http.*Parser",
        "http.RawResponseMessage",
        "http*.WebSocketReader",
        "http*.WebSocketWriter",
        "http*.ws_ext_*",
        "http_websocket.WSHandshakeError",
        "client_middleware_digest_auth.DigestAuthChallenge",
        "client_middleware_digest_auth.*escape_quotes",
        "client_middleware_digest_auth.parse_header_pairs",
        "compression_utils.CompressObjArgs",
        "compression_utils.ConcatDecompressionHandler",
        "compression_utils.*Protocol*",
        "compression_utils.ZLibBackendWrapper.*",
        "web_log.AccessLogger.CLEANUP_RE",
    ],
}

# -- the lists -----------------------------------------------------------------------------


def found() -> list[str]:
    """Return all that is different; a module that is missing is one difference."""
    different = []
    for name in MODULES:
        address = f".{name}" if name else ""
        if importlib.util.find_spec(f"plait{address}") is None:
            different.append(name)
            continue
        theirs = importlib.import_module(f"aiohttp{address}")
        ours = importlib.import_module(f"plait{address}")
        different += differences(theirs, ours, name)
    return different


FOUND = found()


def test_what_is_different_is_listed() -> None:
    patterns = [pattern for patterns in ON_PURPOSE.values() for pattern in patterns]
    assert [name for name in FOUND if not any(fnmatchcase(name, p) for p in patterns)] == []


@pytest.mark.parametrize("words", ON_PURPOSE)
def test_what_is_listed_is_different(words: str) -> None:
    assert [p for p in ON_PURPOSE[words] if not any(fnmatchcase(name, p) for name in FOUND)] == []


@pytest.mark.parametrize("words", ON_PURPOSE)
def test_users_are_told(words: str) -> None:
    assert words in " ".join(DIFFERENCES.read_text().split())


# -- the names that classes say under the alias --------------------------------------------

_MODULES_OF_CLASSES = """
import inspect, json, plait
plait.install_as_aiohttp()
import aiohttp, aiohttp.web
print(json.dumps({
    f"{place.__name__}.{name}": value.__module__
    for place in (aiohttp, aiohttp.web)
    for name, value in vars(place).items()
    if inspect.isclass(value) and value.__module__.partition(".")[0] in {"aiohttp", "plait"}
}))
"""


def test_classes_say_the_module_that_aiohttps_say() -> None:
    path = [str(ROOT / folder) for folder in ("engine", "adapters")]
    output = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {path}\n{_MODULES_OF_CLASSES}"],
        capture_output=True,
        check=True,
        timeout=60,
    ).stdout
    ours: dict[str, str] = json.loads(output)
    wrong = {}
    for theirs, place in ((aiohttp, "aiohttp"), (aiohttp_web, "plait.web")):
        for name in public_names(theirs):
            value = getattr(theirs, name, None)
            said = ours.get(f"{place}.{name}")
            # aiohttp has the types of WebSocket messages in a private module.
            private = "aiohttp._websocket.models"
            if not inspect.isclass(value) or said in {None, value.__module__}:
                continue
            if (value.__module__, said) != (private, "aiohttp.http_websocket"):
                wrong[name] = (value.__module__, said)
    assert wrong == {}


# -- the tests of the tests ----------------------------------------------------------------


def module(source: str) -> types.ModuleType:
    made = types.ModuleType("made")
    exec(source, vars(made))
    vars(made).setdefault("__all__", [name for name in vars(made) if not name.startswith("_")])
    return made


@pytest.mark.parametrize(
    ("theirs", "ours", "different"),
    [
        ("def f(a, b=1): pass", "def f(a, b=1): pass", []),
        ("x = 1", "", ["x"]),
        ("def f(a): pass", "def f(b=0): pass", ["f(a)"]),
        ("def f(a): pass", "def f(a, b): pass", ["f(b): is needed"]),
        ("def f(a): pass", "def f(a, b=1): pass", []),
        ("def f(a, b): pass", "def f(b, a): pass", ["f(a): place", "f(b): place"]),
        ("def f(a): pass", "def f(*, a): pass", ["f(a): place"]),
        ("def f(*, a): pass", "def f(a): pass", []),
        ("def f(*, a): pass", "def f(a, /): pass", ["f(a): positional-only"]),
        ("def f(a=1): pass", "def f(a=2): pass", ["f(a): 1 is 2"]),
        ("def f(a=1): pass", "def f(a): pass", ["f(a): 1 is needed"]),
        ("def f(a): pass", "def f(a=1): pass", []),
        ("def f(**k): pass", "def f(a): pass", []),
        ("def f(a, **k): pass", "def f(a): pass", ["f(k)"]),
        ("async def f(): pass", "def f(): pass", ["f: async"]),
        ("class A:\n def m(self, a): pass", "class A:\n def m(self): pass", ["A.m(a)"]),
        ("class A:\n a: int", "class A: pass", ["A.a"]),
        ("class A:\n def __init__(self, a=1): pass", "class A: pass", ["A(a)"]),
    ],
)
def test_differences_are_found(theirs: str, ours: str, different: list[str]) -> None:
    assert list(differences(module(theirs), module(ours))) == different


class Theirs:
    """Has an attribute that no class has, but each instance."""

    def __init__(self) -> None:
        self.attribute = 1


def test_attributes_of_instances() -> None:
    theirs, ours = module("__all__ = ['A']"), module("class A: pass")
    vars(theirs)["A"] = Theirs
    assert list(differences(theirs, ours)) == ["A.attribute"]


def test_the_parameters_of_a_typed_dict() -> None:
    theirs = module("def f(a, *, b=1): pass")
    ours = module(
        "from __future__ import annotations\nfrom typing import *\n"
        "class O(TypedDict): b: int\ndef f(a, **k: Unpack[O]): pass\n__all__ = ['f']"
    )
    assert list(differences(theirs, ours)) == []
