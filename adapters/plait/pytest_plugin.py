"""A plugin of pytest: coroutine tests and fixtures, and servers and clients for them.

Load it in ``conftest.py`` with ``pytest_plugins = ["plait.pytest_plugin"]``, or by
``pytest -p plait.pytest_plugin``.  It is not loaded by itself: it has the options and fixtures of
``aiohttp.pytest_plugin``, by the same names, and pytest takes each option once.  Load one of the
two.

Rules
-----
* A coroutine test runs on the loop of its fixture ``loop``, or on a loop of its own.  A
  coroutine fixture, or an async generator, runs on ``loop``, which it or its test must have.
* What another plugin runs (anyio, pytest-asyncio) is left to it, the fixtures of this module
  too.
* A coroutine that is never awaited fails its test.
* The fixtures of plait's names use none of aiohttp's, which another plugin may have, too.
"""

from __future__ import annotations

import asyncio
import inspect
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from functools import partial
from importlib import import_module
from typing import Any, Final, Protocol, Self, TypeVar, cast, overload

import pytest

from .test_utils import (
    BaseTestServer,
    LoopFactory,
    RawTestServer,
    TestClient,
    TestServer,
    loop_context,
)
from .test_utils import unused_port as _unused_port
from .web_app import Application
from .web_request import BaseRequest, Request
from .web_server import RequestCallback

_Made = TypeVar("_Made", BaseTestServer, TestServer, RawTestServer, TestClient[Any, Any])

_LOOP_FIXTURES: Final = ("proactor_loop", "selector_loop", "uvloop_loop", "loop")
"""Fixtures that are a loop; the first that a test has runs it."""


class AiohttpClient(Protocol):
    """The fixture ``aiohttp_client``."""

    @overload
    async def __call__(
        self,
        app: Application,
        /,
        *,
        server_kwargs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> TestClient[Request, Application]: ...
    @overload
    async def __call__(
        self,
        server: BaseTestServer,
        /,
        *,
        server_kwargs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> TestClient[BaseRequest, None]: ...
    @overload
    async def __call__(
        self,
        factory: Callable[..., Application | BaseTestServer],
        /,
        *args: Any,
        server_kwargs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> TestClient[Any, Any]: ...


class AiohttpServer(Protocol):
    """The fixture ``aiohttp_server``."""

    def __call__(
        self, app: Application, *, host: str = ..., port: int | None = None, **kwargs: Any
    ) -> Awaitable[TestServer]: ...


class AiohttpRawServer(Protocol):
    """The fixture ``aiohttp_raw_server``."""

    def __call__(
        self, handler: RequestCallback, *, port: int | None = None, **kwargs: Any
    ) -> Awaitable[RawTestServer]: ...


# -- options -------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("plait")
    group.addoption(
        "--aiohttp-fast",
        action="store_true",
        default=False,
        help="do not collect garbage after each test",
    )
    group.addoption(
        "--aiohttp-loop",
        default="pyloop",
        help="the loops of the tests: pyloop, uvloop, a comma-separated list, or all",
    )
    group.addoption(
        "--aiohttp-enable-loop-debug",
        action="store_true",
        default=False,
        help="switch the debug mode of the loops on",
    )


@pytest.fixture
def fast(request: pytest.FixtureRequest) -> bool:
    """The option ``--aiohttp-fast``."""
    return bool(request.config.getoption("--aiohttp-fast"))


@pytest.fixture
def loop_debug(request: pytest.FixtureRequest) -> bool:
    """The option ``--aiohttp-enable-loop-debug``."""
    return bool(request.config.getoption("--aiohttp-enable-loop-debug"))


# -- loops ---------------------------------------------------------------------------------


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what has a ``loop`` once on each kind of loop that was asked for."""
    if "loop_factory" in metafunc.fixturenames:
        factories = _find_factories(metafunc.config.getoption("--aiohttp-loop"))
        metafunc.parametrize("loop_factory", factories.values(), ids=factories.keys())


def _find_factories(names: str) -> dict[str, LoopFactory]:
    """Return what makes the loops of these names.

    Raises UsageError for one that is not known or not installed; ``?`` behind it allows that.
    """
    known: dict[str, LoopFactory] = {"pyloop": asyncio.new_event_loop}
    with suppress(ImportError):
        known["uvloop"] = import_module("uvloop").new_event_loop
    if names == "all":
        names = ",".join(known)
    found = {}
    for item in names.split(","):
        name = item.strip(" ?")
        if name in known:
            found[name] = known[name]
        elif "?" not in item:
            raise pytest.UsageError(
                f"--aiohttp-loop: there is no loop {name!r}, only {', '.join(known)}"
            )
    return found


@pytest.fixture
def loop(
    loop_factory: LoopFactory, fast: bool, loop_debug: bool
) -> Iterator[asyncio.AbstractEventLoop]:
    """The loop of the test, current in its thread."""
    with loop_context(loop_factory, fast=fast) as made:
        if loop_debug:
            made.set_debug(True)
        yield made


@pytest.fixture
def proactor_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """The loop of Windows that has pipes and subprocesses; elsewhere the test is skipped."""
    factory = getattr(asyncio, "ProactorEventLoop", None)
    if factory is None:
        pytest.skip("only Windows has a ProactorEventLoop")
    with loop_context(factory) as made:
        yield made


# -- coroutines ----------------------------------------------------------------------------


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a coroutine test, unless another plugin did."""
    if not inspect.iscoroutinefunction(pyfuncitem.function):
        return None
    given: dict[str, Any] = pyfuncitem.funcargs
    arguments = {name: given[name] for name in pyfuncitem._fixtureinfo.argnames}
    loops = (given[name] for name in _LOOP_FIXTURES if name in given)
    loop: asyncio.AbstractEventLoop | None = next(loops, None)
    with _no_runtime_warnings():
        if loop is not None:
            loop.run_until_complete(pyfuncitem.obj(**arguments))
        else:
            with loop_context(fast=pyfuncitem.config.getoption("--aiohttp-fast")) as made:
                made.run_until_complete(pyfuncitem.obj(**arguments))
    return True


@contextmanager
def _no_runtime_warnings() -> Iterator[None]:
    """Raise RuntimeError for a RuntimeWarning, such as that of a coroutine nobody awaited.

    Python gives that one where nothing can be raised.  The others are passed on.
    """
    with warnings.catch_warnings(record=True) as caught:
        yield
    found = []
    for warning in caught:
        if issubclass(warning.category, RuntimeWarning):
            found.append(f"{warning.filename}:{warning.lineno}:{warning.message}")
        else:
            warnings.showwarning(
                warning.message, warning.category, warning.filename, warning.lineno
            )
    if found:
        raise RuntimeError(f"{len(found)} Runtime Warning(s)\n" + "\n".join(found))


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    """Run a coroutine fixture or an async generator, unless another plugin does.

    Those wrap the function before: this one is called last.
    """
    function = fixturedef.func
    if inspect.isasyncgenfunction(function):
        run: Callable[..., Any] = _run_generator
    elif inspect.iscoroutinefunction(function):
        run = _run_coroutine
    else:
        return (yield)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fixturedef, "func", partial(run, request, function))
        return (yield)


def _run_coroutine(
    request: pytest.FixtureRequest, function: Callable[..., Any], /, **arguments: Any
) -> Any:
    return _loop_of(request).run_until_complete(_bind(function, request)(**arguments))


def _run_generator(
    request: pytest.FixtureRequest, function: Callable[..., Any], /, **arguments: Any
) -> Any:
    loop = _loop_of(request)
    generator = _bind(function, request)(**arguments)

    def finish() -> None:
        try:
            loop.run_until_complete(anext(generator))
        except StopAsyncIteration:
            return
        raise RuntimeError(f"fixture {request.fixturename!r} yields more than once")

    request.addfinalizer(finish)
    return loop.run_until_complete(anext(generator))


def _loop_of(request: pytest.FixtureRequest) -> asyncio.AbstractEventLoop:
    if "loop" not in request.fixturenames:
        raise RuntimeError(
            "Asynchronous fixtures must depend on the 'loop' fixture or "
            "be used in tests depending from it."
        )
    loop: asyncio.AbstractEventLoop = request.getfixturevalue("loop")
    return loop


def _bind(function: Callable[..., Any], request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Return a fixture that is a method bound to the instance whose test runs."""
    instance = request.instance
    if inspect.ismethod(function) and isinstance(instance, type(function.__self__)):
        bound: Callable[..., Any] = function.__func__.__get__(instance)
        return bound
    return function


# -- servers and clients -------------------------------------------------------------------


class _Opened(AsyncExitStack):
    """What a fixture opened for a test, and closes behind it, in the loop of the fixture."""

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        return await super().__aenter__()

    async def start(self, make: Callable[[], _Made]) -> _Made:
        """Make a server or a client and start it; raises RuntimeError in another loop."""
        if asyncio.get_running_loop() is not self._loop:
            raise RuntimeError(
                "the test runs in another event loop than its fixtures: one plugin must run both"
            )
        made = make()
        self.push_async_callback(made.close)
        await made.start_server()
        return made


@asynccontextmanager
async def _clients(kind: type[TestClient[Any, Any]]) -> AsyncIterator[AiohttpClient]:
    """What ``plait_client`` is, for clients of a class."""
    async with _Opened() as clients:

        async def connect(
            target: Any,  # see plait_client
            *args: Any,
            server_kwargs: dict[str, Any] | None = None,
            **kwargs: Any,
        ) -> TestClient[Any, Any]:
            if not isinstance(target, Application | BaseTestServer) and callable(target):
                target = target(asyncio.get_running_loop(), *args, **kwargs)
                kwargs = {}
            elif args:
                raise AssertionError(
                    "positional arguments are for a factory only: give the rest by name"
                )
            if isinstance(target, Application):
                target = TestServer(target, **(server_kwargs or {}))
            elif not isinstance(target, BaseTestServer):
                raise ValueError(f"expected an Application or a test server, not {type(target)!r}")
            return await clients.start(lambda: kind(target, **kwargs))

        yield cast("AiohttpClient", connect)


@pytest.fixture
def plait_unused_port() -> Callable[[], int]:
    """A function that returns a free TCP port."""
    return _unused_port


@pytest.fixture
async def plait_server(loop: asyncio.AbstractEventLoop) -> AsyncIterator[AiohttpServer]:
    """Serves an application: ``await plait_server(app, **kwargs)`` returns a ``TestServer``.

    The keywords are those of ``TestServer`` and of its ``start_server``.
    """
    async with _Opened() as servers:

        async def serve(app: Application, **kwargs: Any) -> TestServer:
            return await servers.start(lambda: TestServer(app, **kwargs))

        yield serve


@pytest.fixture
async def plait_raw_server(loop: asyncio.AbstractEventLoop) -> AsyncIterator[AiohttpRawServer]:
    """Serves a bare handler: ``await plait_raw_server(handler, **kwargs)`` returns a
    ``RawTestServer``."""
    async with _Opened() as servers:

        async def serve(handler: RequestCallback, **kwargs: Any) -> RawTestServer:
            return await servers.start(lambda: RawTestServer(handler, **kwargs))

        yield serve


@pytest.fixture
async def plait_client(loop: asyncio.AbstractEventLoop) -> AsyncIterator[AiohttpClient]:
    """Makes clients: ``await plait_client(app, **kwargs)`` returns a ``TestClient``.

    Takes an application, a test server, or a function that returns one of them, which is
    called with the loop and the arguments behind it.  The keywords are those of
    ``TestClient``, and ``server_kwargs`` those of ``TestServer``.
    """
    async with _clients(TestClient) as connect:
        yield connect


# -- aiohttp's names -----------------------------------------------------------------------


@pytest.fixture
def aiohttp_unused_port(plait_unused_port: Callable[[], int]) -> Callable[[], int]:
    """``plait_unused_port``."""
    return plait_unused_port


@pytest.fixture
def aiohttp_server(plait_server: AiohttpServer) -> AiohttpServer:
    """``plait_server``."""
    return plait_server


@pytest.fixture
def aiohttp_raw_server(plait_raw_server: AiohttpRawServer) -> AiohttpRawServer:
    """``plait_raw_server``."""
    return plait_raw_server


@pytest.fixture
def aiohttp_client_cls() -> type[TestClient[Any, Any]]:
    """The class of what ``aiohttp_client`` makes; override it to use your own."""
    return TestClient


@pytest.fixture
async def aiohttp_client(
    loop: asyncio.AbstractEventLoop, aiohttp_client_cls: type[TestClient[Any, Any]]
) -> AsyncIterator[AiohttpClient]:
    """``plait_client``, for clients of the class ``aiohttp_client_cls``."""
    async with _clients(aiohttp_client_cls) as connect:
        yield connect


def _warn_of_old_name(name: str) -> None:
    warnings.warn(f"Deprecated, use {name} fixture instead", DeprecationWarning, stacklevel=3)


@pytest.fixture
def unused_port(aiohttp_unused_port: Callable[[], int]) -> Callable[[], int]:
    """Deprecated: ``aiohttp_unused_port``."""
    _warn_of_old_name("aiohttp_unused_port")
    return aiohttp_unused_port


@pytest.fixture
def test_server(aiohttp_server: AiohttpServer) -> AiohttpServer:
    """Deprecated: ``aiohttp_server``."""
    _warn_of_old_name("aiohttp_server")
    return aiohttp_server


@pytest.fixture
def raw_test_server(aiohttp_raw_server: AiohttpRawServer) -> AiohttpRawServer:
    """Deprecated: ``aiohttp_raw_server``."""
    _warn_of_old_name("aiohttp_raw_server")
    return aiohttp_raw_server


@pytest.fixture
def test_client(aiohttp_client: AiohttpClient) -> AiohttpClient:
    """Deprecated: ``aiohttp_client``."""
    _warn_of_old_name("aiohttp_client")
    return aiohttp_client
