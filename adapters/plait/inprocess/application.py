"""A connector that leads to an application: ``ClientSession(app=app)``.

The application is started by the first request, as ``AppRunner`` does it (``on_startup``,
``cleanup_ctx``), and ended with the connector (``on_shutdown``, ``on_cleanup``).  Requests and
responses go through both engines, as bytes over a connection in memory: what a handler sees, and what
a client gets, is what they would over a socket, WebSockets and HTTP/2 included.  There is no TLS.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from plait.web_runner import AppRunner

from .connector import MemoryConnector

if TYPE_CHECKING:
    from plait.calls.connection import ClientConnection
    from plait.calls.lease import Ticket
    from plait.calls.timeouts import ClientTimeout
    from plait.tracing import Trace
    from plait.web_app import Application


class AppConnector(MemoryConnector):
    """Connects to ``app``, whatever host the URL names.

    A request of a client that has gone is cancelled.  Nothing is written to the access log.  What
    starting the application raises, every request raises.

    Args:
        app: the application; nobody else runs it.
        options: those of ``BaseConnector``.  ``http2=True`` speaks HTTP/2, else HTTP/1.1.
    """

    def __init__(self, app: Application, **options: Any) -> None:  # those of BaseConnector
        self._runner = AppRunner(
            app,
            handler_cancellation=True,
            access_log=None,
            engine=options.get("engine", "native"),
        )
        self._startup: asyncio.Task[None] | None = None
        super().__init__(lambda: self._runner.server, **options)

    async def _create_connection(
        self, ticket: Ticket, traces: list[Trace], timeout: ClientTimeout
    ) -> ClientConnection:
        if self._startup is None:
            self._startup = self._loop.create_task(self._runner.setup())
        await asyncio.shield(self._startup)  # Others wait for it, too.
        return await super()._create_connection(ticket, traces, timeout)

    async def wait_closed(self) -> None:
        """End the application, after ``close``."""
        await super().wait_closed()
        startup, self._startup = self._startup, None
        if startup is not None:
            startup.cancel()
            try:
                await asyncio.wait([startup])
                if not startup.cancelled():
                    startup.exception()  # Every request has raised it.
            finally:
                await self._runner.cleanup()
