"""The libraries that each test of this folder runs on: aiohttp itself, and plait.

A test here says what a program sees of the API, and runs on aiohttp first: where aiohttp
does not what the test says, the test is wrong.  Then it runs on plait, over both versions and
both engines.  What is different on purpose has no test here but in ``tests/adapters``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import pytest

from plait_engine.engines import EngineName
from tests.adapters.web_peer import Answer, Setup, Site


@dataclass(frozen=True)
class Library:
    """A library with aiohttp's API, and how its server is spoken to.

    Its modules are attributes: ``library.web``, ``library.multipart``.  They are not typed, since
    they are one or the other.
    """

    name: str
    """``aiohttp`` or ``plait``."""
    protocol: str = "http/1.1"
    engine: EngineName = "native"

    def __getattr__(self, module: str) -> Any:
        if module.startswith("_"):
            raise AttributeError(module)
        return import_module(f"{self.name}.{module}")

    @property
    def top(self) -> Any:
        """The package itself."""
        return import_module(self.name)

    @property
    def is_h2(self) -> bool:
        return self.protocol == "h2"

    @asynccontextmanager
    async def serve(self, app: Any, **options: Any) -> AsyncIterator[Site]:
        """Serve an application, or a handler of every path, of this library."""
        if not isinstance(app, self.web.Application | self.web.Server):
            handler, app = app, self.web.Application()
            app.router.add_route("*", "/{tail:.*}", handler)
        setup = Setup(self.protocol, self.engine)
        if self.name == "plait":
            async with setup.serve(app, **options) as site:
                yield site
            return
        if isinstance(app, self.web.Server):
            runner = self.web.ServerRunner(app)
        else:
            runner = self.web.AppRunner(app, access_log=None, shutdown_timeout=5.0, **options)
        await runner.setup()
        try:
            place = self.web.TCPSite(runner, "127.0.0.1", 0)
            await place.start()
            site = Site(setup, runner, runner.addresses[0][1])
            yield site
            for client in site.clients:
                await site.close(client)
        finally:
            await runner.cleanup()

    def session(self, **options: Any) -> Any:
        """Return a client of this library that speaks ``protocol``.

        ``connector`` may be a dictionary of options of its ``TCPConnector``.
        """
        connector = options.pop("connector", {})
        if isinstance(connector, dict):
            if self.name == "plait":
                connector = {"http2": self.is_h2, "engine": self.engine, **connector}
            connector = self.top.TCPConnector(**connector)
        return self.top.ClientSession(connector=connector, **options)

    async def fetch(self, app: Any, *args: Any, **options: Any) -> Answer:
        """Return the answer of ``app``, an application or a handler, to one request."""
        async with self.serve(app) as site:
            return await (await site.connect()).fetch(*args, **options)

    async def raw(self, app: Any, data: bytes, **options: Any) -> bytes:
        """Return all that ``app`` answers to bytes, over HTTP/1.1 whatever ``protocol`` is."""
        async with self.serve(app, **options) as site:
            return await site.send_raw(data)


LIBRARIES = [
    Library("aiohttp"),
    *(Library("plait", p, e) for e in ("native", "reference") for p in ("http/1.1", "h2")),
]


def _name(library: Library) -> str:
    version = "h2" if library.is_h2 else "h1"
    return library.name if library.name == "aiohttp" else f"plait-{version}-{library.engine}"


@pytest.fixture(params=LIBRARIES, ids=_name)
def library(request: pytest.FixtureRequest) -> Library:
    """aiohttp, and plait with both versions on both engines."""
    library: Library = request.param
    return library


@pytest.fixture(params=[Library("aiohttp"), Library("plait")], ids=lambda library: library.name)
def plain(request: pytest.FixtureRequest) -> Library:
    """aiohttp and plait, for what has nothing to do with a connection."""
    library: Library = request.param
    return library
