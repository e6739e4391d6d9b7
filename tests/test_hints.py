"""``typing.get_type_hints`` knows the types of every public function and class.

Frameworks call it: for the injection of dependencies, for documents, for checks at run time.
"""

from __future__ import annotations

import importlib
import inspect
import os
import pkgutil
import subprocess
import sys
import textwrap
from collections.abc import Awaitable, Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, get_type_hints

import pytest

import plait
import plait_engine
import plait_trio
from plait import web
from plait.typedefs import Handler

OWN = ("plait.", "plait_engine.", "plait_trio.")
ROOT = Path(__file__).parent.parent
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join(str(ROOT / folder) for folder in ("engine", "adapters")),
}
# The worker needs gunicorn, the plugin brings fixtures.
NOT_HERE = {"plait.pytest_plugin", "plait.worker"}


def public_modules() -> list[str]:
    """Return the modules that programs import."""
    found = ["plait", "plait_engine", "plait_trio"]
    for package in (plait, plait_engine, plait_trio):
        for info in pkgutil.iter_modules(package.__path__):
            name = f"{package.__name__}.{info.name}"
            if name not in NOT_HERE and hasattr(import_module(name), "__all__"):
                found.append(name)
    return found


def annotated(value: object) -> Iterator[Callable[..., object] | type]:
    """Yield what of ``value`` has annotations that are written here."""
    if inspect.isfunction(value):
        yield value
    if not inspect.isclass(value):
        return
    yield value
    for base in value.__mro__:
        if not base.__module__.startswith(OWN):
            continue
        for member in vars(base).values():
            if isinstance(member, property):
                found = [member.fget, member.fset]
            else:
                found = [getattr(member, "__func__", member)]
            for each in found:
                # Not the methods that typing and dataclasses have made.
                if inspect.isfunction(each) and each.__module__ == base.__module__:
                    yield each


@pytest.mark.parametrize("module", public_modules())
def test_the_types_of_all_that_is_public_are_known(module: str) -> None:
    names = import_module(module)
    unknown = set()
    for name in names.__all__:
        for each in annotated(getattr(names, name)):
            try:
                get_type_hints(each)
            except NameError as error:
                unknown.add(f"{each.__module__}.{each.__qualname__}: {error}")
    assert unknown == set()


def test_a_type_is_the_one_that_is_meant() -> None:
    hints = get_type_hints(plait.ClientSession.__init__)
    assert hints["app"] == web.Application | None
    assert get_type_hints(web.Request.app.fget)["return"] is web.Application  # type: ignore[attr-defined]
    assert get_type_hints(plait.ClientResponse.connection.fget)["return"] == (  # type: ignore[attr-defined]
        importlib.import_module("plait.connector").Connection | None
    )


def test_a_handler_can_be_named_in_any_module() -> None:
    def middleware(request: web.Request, handler: Handler) -> None: ...

    hints = get_type_hints(middleware)
    assert hints["handler"] == Callable[[web.Request], Awaitable[web.StreamResponse]]


def run(code: str) -> str:
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(code)]
    return subprocess.run(
        command, env=ENVIRONMENT, check=True, capture_output=True, text=True
    ).stdout


def test_a_client_loads_no_server_for_its_types() -> None:
    printed = run("""
        import sys, typing
        import plait
        typing.get_type_hints(plait.ClientSession.__init__)
        print([name for name in sys.modules if name.startswith("plait.web_")])
    """)
    assert printed == "[]\n"


def test_under_the_name_of_aiohttp() -> None:
    printed = run("""
        import typing
        from plait import install_as_aiohttp
        install_as_aiohttp()
        import aiohttp
        from aiohttp import web
        hints = typing.get_type_hints(web.Request.app.fget)
        print(hints["return"].__module__)
        for each in (web.Response, web.HTTPNotFound, aiohttp.ClientRequest, aiohttp.RequestInfo):
            typing.get_type_hints(each)
        typing.get_type_hints(aiohttp.TraceRequestEndParams)
    """)
    assert printed == "aiohttp.web_app\n"


def test_a_name_that_is_unknown_is_found() -> None:
    namespace: dict[str, Any] = {"__name__": "plait.made_up"}
    exec("class Made:\n    def up(self) -> 'Nothing': ...", namespace)
    found = list(annotated(namespace["Made"]))
    assert [each.__qualname__ for each in found] == ["Made", "Made.up"]
    with pytest.raises(NameError):
        get_type_hints(found[1])
