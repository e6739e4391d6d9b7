"""Connections in memory: two drivers back to back, with no socket and no asyncio protocol.

``connect`` joins a client's and a server's side of a connection by two ``MemoryTransport``s.
What one writes the other receives, in order and in later iterations of the loop, as if a network
lay between them.

Backpressure is that of a socket: bytes that the other end does not read wait, and above
``HIGH_WATER`` of them the writer is told to pause.  Either direction can end alone.  Bytes that
meet an end that is closed reset the connection.
"""

from __future__ import annotations

import asyncio
import errno
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from .driver import Driver, Owner

HIGH_WATER: Final = 65536
LOW_WATER: Final = 16384

_Client = TypeVar("_Client", bound=Owner)
_Server = TypeVar("_Server", bound=Owner)


def connect(
    client: Callable[[MemoryTransport], _Client],
    server: Callable[[MemoryTransport], _Server],
    *,
    loop: asyncio.AbstractEventLoop,
    client_extra: Mapping[str, Any] | None = None,
    server_extra: Mapping[str, Any] | None = None,
) -> tuple[_Client, _Server]:
    """Make both sides of a connection and start them.

    ``client`` and ``server`` make the owner of a driver on the transport that they are given
    (``BaseConnector.connection_made``, ``Server.connect``).  ``client_extra`` and
    ``server_extra`` are what ``get_extra_info`` tells on each side.
    """
    near = MemoryTransport(loop, client_extra or {})
    far = MemoryTransport(loop, server_extra or {})
    near._peer, far._peer = far, near
    server_side = server(far)
    client_side = client(near)
    far._driver, near._driver = server_side.driver, client_side.driver
    server_side.driver.start()
    client_side.driver.start()
    return client_side, server_side


class MemoryTransport(asyncio.Transport):
    """One end of a connection in memory; made by ``connect``."""

    def __init__(self, loop: asyncio.AbstractEventLoop, extra: Mapping[str, Any]) -> None:
        super().__init__(extra)
        self._loop = loop
        # Both are let go when the connection is lost, so that no cycle is left behind.
        self._peer: MemoryTransport | None = None
        self._driver: Driver | None = None
        self._arrived: deque[bytes] = deque()
        """What the peer wrote; ``b""`` at the end of it."""
        self._waiting = 0
        """Bytes that arrived and were not received."""
        self._reading = True
        self._deliver_scheduled = False
        self._peer_paused = False
        self._eof_sent = False
        self._closing = False

    # -- what an asyncio.Transport does -------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._closing or self._eof_sent or not data:
            return
        peer = self._peer
        if peer is None or peer._closing:
            self._lose(_reset("the other end is closed"))
            return
        peer._arrived.append(bytes(data))
        peer._waiting += len(data)
        if peer._waiting > HIGH_WATER and not peer._peer_paused:
            peer._peer_paused = True
            if self._driver is not None:
                self._driver.pause_writing()
        peer._schedule()

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        if not self._eof_sent and not self._closing:
            self._eof_sent = True
            if self._peer is not None:
                self._peer._arrived.append(b"")
                self._peer._schedule()

    def close(self) -> None:
        self.write_eof()
        self._lose(None)

    @property
    def peer(self) -> MemoryTransport:
        """The other end, until the connection is lost."""
        assert self._peer is not None
        return self._peer

    def abort(self) -> None:
        if self._peer is not None:
            self._peer._arrived.clear()
            self._peer._lose(_reset("the other end dropped the connection"))
        self._lose(None)

    def is_closing(self) -> bool:
        return self._closing

    def is_reading(self) -> bool:
        return self._reading and not self._closing

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True
        self._schedule()

    def get_write_buffer_size(self) -> int:
        return 0 if self._peer is None else self._peer._waiting

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return a protocol that nobody calls: the driver stands right on the transport."""
        return asyncio.BaseProtocol()

    # -- what happens in later iterations of the loop -----------------------------------

    def _schedule(self) -> None:
        if not self._deliver_scheduled and self._arrived and self._reading:
            self._deliver_scheduled = True
            self._loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        """Give the driver the next piece."""
        self._deliver_scheduled = False
        driver = self._driver
        if driver is None or self._closing or not self._reading or not self._arrived:
            return
        data = self._arrived.popleft()
        if data:
            self._waiting -= len(data)
            driver.receive_data(data)
            if self._peer_paused and self._waiting <= LOW_WATER:
                self._peer_paused = False
                if self._peer is not None and self._peer._driver is not None:
                    self._peer._driver.resume_writing()
        else:
            driver.receive_eof()
        self._schedule()

    def _lose(self, error: Exception | None) -> None:
        if not self._closing:
            self._closing = True
            self._loop.call_soon(self._tell_lost, error)

    def _tell_lost(self, error: Exception | None) -> None:
        driver, self._driver = self._driver, None
        peer, self._peer = self._peer, None
        self._arrived.clear()
        if driver is not None:
            driver.connection_lost(error)
        if self._peer_paused and peer is not None and peer._driver is not None:
            peer._driver.resume_writing()  # What it has to write resets the connection.


def _reset(message: str) -> ConnectionResetError:
    return ConnectionResetError(errno.ECONNRESET, message)
