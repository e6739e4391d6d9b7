"""Applications that are served: in the loop of the test, or in a thread.

``serve`` is for tests that speak to the server from its own loop; ``ServerThread`` for those
that wait for other programs, and for aiohttp's server.  ``tests.adapters.web_peer`` has
clients that do exactly what a test says, on top of ``serve``.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType, TracebackType
from typing import Any, Self

from plait import web


@dataclass(frozen=True)
class Served:
    """A server that runs."""

    runner: web.BaseRunner
    port: int
    url: str
    """Of its root, without the slash."""


@asynccontextmanager
async def serve(
    app: web.Application | web.Server,
    tls: ssl.SSLContext | None = None,
    *,
    host: str = "127.0.0.1",
    **options: Any,
) -> AsyncIterator[Served]:
    """Serve plait's ``app`` at a port of its own; at the end nothing of it is left.

    Args:
        app: an application, or a bare server.
        tls: for TLS; else it serves cleartext.
        host: the address to listen on.
        options: for ``AppRunner``.
    """
    if isinstance(app, web.Server):
        runner: web.BaseRunner = web.ServerRunner(app)
    else:
        runner = web.AppRunner(app, **{"access_log": None, "shutdown_timeout": 5.0, **options})
    await runner.setup()
    server = runner.server
    try:
        site = web.TCPSite(runner, host, 0, ssl_context=tls)
        await site.start()
        yield Served(runner, site.port, f"{'https' if tls else 'http'}://{host}:{site.port}")
    finally:
        await runner.cleanup()
        assert server is None or not server._connections


class ServerThread:
    """Serves an application on 127.0.0.1, cleartext on ``port`` and TLS on ``tls_port``.

    When it ends, it raises what the event loop was told about: an exception that nobody
    retrieved is a failure of the test that was served.

    Args:
        library: plait or aiohttp.
        app: an application of its ``web``.
        ssl_context: for TLS.
        options: for its ``AppRunner``.
    """

    def __init__(
        self, library: ModuleType, app: Any, ssl_context: ssl.SSLContext, **options: Any
    ) -> None:
        self._library = library
        self._app = app
        self._ssl_context = ssl_context
        self._options = {"shutdown_timeout": 5.0, **options}
        self._ready = threading.Event()
        self._errors: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, name="server")
        self.port = 0
        self.tls_port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait(20)
        if not self.tls_port:
            self._join()
            raise RuntimeError("the server did not start")
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._join()

    def _join(self) -> None:
        self._thread.join(30)
        if self._thread.is_alive():
            raise RuntimeError("the server does not stop")
        if self._errors:
            raise ExceptionGroup("in the server", [_as_exception(e) for e in self._errors])

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:
            self._errors.append(error)
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(self._note)
        self._stop = asyncio.Event()
        web = import_module(f"{self._library.__name__}.web")
        runner = web.AppRunner(self._app, access_log=None, **self._options)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=self._ssl_context).start()
            self.port, self.tls_port = (address[1] for address in runner.addresses)
            self._ready.set()
            await self._stop.wait()
        finally:
            await runner.cleanup()

    def _note(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception") or RuntimeError(context["message"])
        self._errors.append(error)


def _as_exception(error: BaseException) -> Exception:
    return error if isinstance(error, Exception) else RuntimeError(repr(error))
