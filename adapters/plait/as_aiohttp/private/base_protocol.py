"""``aiohttp.base_protocol``: flow control between a transport and whoever reads and writes.

A transport that cannot stop reading, or is closed, says so by an exception; then there is nothing
to stop, so these are ignored.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import cast

from plait.client_exceptions import ClientConnectionResetError

from .http_parser import HttpParser

__all__ = ("BaseProtocol",)


class BaseProtocol(asyncio.Protocol):
    """A protocol over a transport that can be told to stop reading, and says when it is full.

    ``parser``: stops, too, while the protocol does not read.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, parser: HttpParser | None = None) -> None:
        self._loop = loop
        self._parser = parser
        self._paused = False
        self._drain_waiter: asyncio.Future[None] | None = None
        self._reading_paused = False
        self.transport: asyncio.Transport | None = None

    @property
    def connected(self) -> bool:
        """Whether there is a connection."""
        return self.transport is not None

    @property
    def writing_paused(self) -> bool:
        """Whether the transport has more to write than it wants."""
        return self._paused

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to use ``transport``."""
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the transport; who waits for it to take more waits no longer."""
        self.transport = None
        error = None
        if exc is not None:
            error = ConnectionError("Connection lost")
            error.__cause__ = exc
        self._end_drain(error)

    def pause_writing(self) -> None:
        """Note that the transport is full."""
        self._paused = True

    def resume_writing(self) -> None:
        """Note that the transport takes bytes again."""
        self._paused = False
        self._end_drain(None)

    async def _drain_helper(self) -> None:
        """Wait until the transport takes bytes.

        Raises ClientConnectionResetError without one, ConnectionError when it fails meanwhile.
        """
        if self.transport is None:
            raise ClientConnectionResetError("Connection lost")
        if self._paused:
            if self._drain_waiter is None:
                self._drain_waiter = self._loop.create_future()
            await self._drain_waiter

    def _end_drain(self, error: ConnectionError | None) -> None:
        waiter, self._drain_waiter = self._drain_waiter, None
        if waiter is None or waiter.done():
            return
        if error is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(error)

    def pause_reading(self) -> None:
        """Read no more from the transport, if there is one."""
        self._reading_paused = True
        if self._parser is not None:
            self._parser.pause_reading()
        if self.transport is not None:
            with suppress(AttributeError, NotImplementedError, RuntimeError):
                self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again from the transport, if there is one, and first what the parser holds."""
        self._reading_paused = False
        if self._parser is not None:
            self.data_received(b"")
            if self._reading_paused:
                return
        if self.transport is not None:
            with suppress(AttributeError, NotImplementedError, RuntimeError):
                self.transport.resume_reading()
