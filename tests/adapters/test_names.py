"""Every name of aiohttp that plait has stands in each module where aiohttp has it.

What plait has not yet, it says that it has not.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys

import aiohttp
import pytest
from aiohttp import web as aiohttp_web

import plait
from plait import web

MODULES = sorted(
    {info.name for info in pkgutil.iter_modules(plait.__path__)}
    & {info.name for info in pkgutil.iter_modules(aiohttp.__path__)}
)
NEED_GUNICORN = ("GunicornUVLoopWebWorker", "GunicornWebWorker")
OURS = {*dir(plait), *dir(web)}


@pytest.mark.parametrize("name", MODULES)
def test_names(name: str) -> None:
    theirs = importlib.import_module(f"aiohttp.{name}")
    ours = importlib.import_module(f"plait.{name}")
    exported = set(getattr(theirs, "__all__", ())) & OURS
    assert exported - set(dir(ours)) == set()


def test_the_workers_are_there_when_they_are_asked_for() -> None:
    for name in NEED_GUNICORN:
        assert getattr(plait, name).__module__ == "plait.worker"


def test_without_gunicorn_they_are_none_for_a_star_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(plait, "worker", raising=False)
    monkeypatch.setitem(sys.modules, "plait.worker", None)  # An import raises ImportError.
    names: dict[str, object] = {}
    exec("from plait import *", names)
    assert [names[name] for name in NEED_GUNICORN] == [None, None]
    assert names["ClientSession"] is plait.ClientSession


def test_no_exported_name_is_missing() -> None:
    assert set(aiohttp.__all__) <= set(plait.__all__)
    assert set(aiohttp_web.__all__) <= set(web.__all__)


@pytest.mark.parametrize("module", ["plait", "plait.web"])
def test_a_name_that_nobody_has(module: str) -> None:
    found = importlib.import_module(module)
    with pytest.raises(AttributeError, match=f"^module '{module}' has no attribute 'Nonsense'$"):
        found.Nonsense  # noqa: B018  # what it raises
    with pytest.raises(ImportError, match="cannot import name 'Nonsense'"):
        exec(f"from {module} import Nonsense")
