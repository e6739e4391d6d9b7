"""Every name of aiohttp that plait has stands in each module where aiohttp has it."""

from __future__ import annotations

import importlib
import pkgutil

import aiohttp
import pytest
from aiohttp import web as aiohttp_web

import plait
from plait import web

MODULES = sorted(
    {info.name for info in pkgutil.iter_modules(plait.__path__)}
    & {info.name for info in pkgutil.iter_modules(aiohttp.__path__)}
)
OURS = {*dir(plait), *dir(web)}


@pytest.mark.parametrize("name", MODULES)
def test_names(name: str) -> None:
    theirs = importlib.import_module(f"aiohttp.{name}")
    ours = importlib.import_module(f"plait.{name}")
    exported = set(getattr(theirs, "__all__", ())) & OURS
    assert exported - set(dir(ours)) == set()


def test_packages() -> None:
    assert (set(aiohttp.__all__) & OURS) - set(dir(plait)) == set()
    assert (set(aiohttp_web.__all__) & OURS) - set(web.__all__) == set()
