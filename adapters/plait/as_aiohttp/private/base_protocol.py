"""``aiohttp.base_protocol``: flow control between a transport and whoever reads and writes.

A transport that cannot stop reading, or is closed, says so by an exception; then there is nothing
to stop, so these are ignored.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import cast

__all__ = ("BaseProtocol",)


class BaseProtocol(asyncio.Protocol):
    """A protocol over a transport that can be told to stop reading."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._paused = False
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
        """Forget the transport."""
        self.transport = None

    def pause_writing(self) -> None:
        """Note that the transport is full."""
        self._paused = True

    def resume_writing(self) -> None:
        """Note that the transport takes bytes again."""
        self._paused = False

    def pause_reading(self) -> None:
        """Read no more from the transport, if there is one."""
        self._reading_paused = True
        if self.transport is not None:
            with suppress(AttributeError, NotImplementedError, RuntimeError):
                self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again from the transport, if there is one."""
        self._reading_paused = False
        if self.transport is not None:
            with suppress(AttributeError, NotImplementedError, RuntimeError):
                self.transport.resume_reading()
