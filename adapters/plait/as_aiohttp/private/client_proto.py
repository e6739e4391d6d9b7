"""``aiohttp.client_proto``: the protocol that libraries put under a ``StreamReader`` of their own.

Mocks make responses with it: ``StreamReader(ResponseHandler(loop), limit)``.  No connection of
plait has one, and it parses nothing.
"""

from __future__ import annotations

import asyncio

from .base_protocol import BaseProtocol

__all__ = ("ResponseHandler",)


class ResponseHandler(BaseProtocol):
    """What stands between a transport and a ``StreamReader``."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._should_close = False
        self._closed: asyncio.Future[None] | None = None

    @property
    def closed(self) -> asyncio.Future[None] | None:
        """Done when the connection has ended; ``None`` if there never was one."""
        return self._closed

    @property
    def should_close(self) -> bool:
        """Whether the connection must not be used again."""
        return self._should_close

    def is_connected(self) -> bool:
        """Tell whether the connection can be used."""
        return self.transport is not None and not self.transport.is_closing()

    def force_close(self) -> None:
        """Never use the connection again."""
        self._should_close = True

    def close(self) -> None:
        """Close the connection when all has been written."""
        if self.transport is not None:
            self.transport.close()
            self.transport = None

    def abort(self) -> None:
        """Close the connection at once."""
        if self.transport is not None:
            self.transport.abort()
            self.transport = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to use ``transport``."""
        super().connection_made(transport)
        self._closed = self._loop.create_future()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the transport, and tell who waits for ``closed``."""
        super().connection_lost(exc)
        self._should_close = True
        if self._closed is not None and not self._closed.done():
            if exc is None:
                self._closed.set_result(None)
            else:
                self._closed.set_exception(exc)
                self._closed.exception()  # nobody need look
