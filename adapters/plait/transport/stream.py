"""Where asyncio meets a driver: the protocol of asyncio's stream transports.

``StreamProtocol`` is what asyncio calls.  It makes the driver when the transport is up, since
only then it is known what was negotiated, and turns asyncio's callbacks into the driver's
inputs.

All connections of a loop read into one buffer: asyncio fills it and hands it over in one go.
A plain ``asyncio.Protocol`` has 256 KiB allocated for every read, which costs more than all
the rest of a small request.  For long content it is the other way round: what was allocated
for the read is the content, which out of the shared buffer must be copied.  So a read that
fills the buffer puts a ``ContentProtocol`` in the place of the ``StreamProtocol``, and a short
one puts that back.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar, cast
from weakref import WeakKeyDictionary

from plait_engine import Role

from .driver import Driver, Owner

_Owner = TypeVar("_Owner", bound=Owner)

_BUFFER_SIZE: Final = 262144

_LARGE: Final = 32768
"""A read of more bytes is given to the engine without being copied first: most of it is content,
which the engine copies anyhow."""

_read_buffers: WeakKeyDictionary[asyncio.AbstractEventLoop, memoryview] = WeakKeyDictionary()


def _read_buffer(loop: asyncio.AbstractEventLoop) -> memoryview:
    """Return the buffer into which the connections of ``loop`` read."""
    buffer = _read_buffers.get(loop)
    if buffer is None:
        buffer = _read_buffers[loop] = memoryview(bytearray(_BUFFER_SIZE))
    return buffer


class StreamProtocol(asyncio.BufferedProtocol, Generic[_Owner]):
    """The protocol of one asyncio transport (TCP, TLS, Unix socket, pipe).

    ``connect`` makes the owner of the driver, on a transport that is up.  Its second argument
    is what was negotiated on TLS by ALPN, ``None`` if nothing was.  Then ``owner`` and
    ``driver`` are set.
    """

    __slots__ = ("_buffer", "_connect", "driver", "owner")

    owner: _Owner
    driver: Driver

    def __init__(
        self,
        connect: Callable[[asyncio.Transport, str | None], _Owner],
        *,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._connect = connect
        self._buffer = _read_buffer(loop)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods of asyncio.Transport, but are no such class.
        transport = cast(asyncio.Transport, transport)
        tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        negotiated = None if tls is None else tls.selected_alpn_protocol()
        self.owner = self._connect(transport, negotiated)
        self.driver = self.owner.driver
        self.driver.start()

    def give_up(self) -> None:
        """Drop a connection whose making was cancelled.

        The transport may be there already, and uvloop closes it then without a word.
        """
        owner: Owner | None = getattr(self, "owner", None)
        transport = None if owner is None else owner.driver.transport
        if transport is not None:
            transport.set_protocol(asyncio.Protocol())
            transport.abort()
            self.connection_lost(None)

    def data_received(self, data: bytes) -> None:
        """Take bytes from a protocol that stands in front of this one."""
        self.driver.receive_data(data)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        if nbytes == _BUFFER_SIZE:
            self._expect_content()
        data = self._buffer[:nbytes]
        self.driver.receive_data(data if nbytes > _LARGE else data.tobytes())

    def _expect_content(self) -> None:
        """The peer sends faster than is read: have the next reads come uncopied.

        Not on HTTP/2, whose frames are cut out of what is read, nor where asyncio does not read
        from a socket right into ``bytes``: TLS, uvloop.
        """
        driver = self.driver
        transport = driver.transport
        if isinstance(transport, asyncio.Transport) and not (driver.shared or driver.tls):
            transport.set_protocol(ContentProtocol(self, transport))

    def eof_received(self) -> bool:
        driver = self.driver
        tls: ssl.SSLObject | None = driver.get_extra_info("ssl_object")
        if tls is None:
            driver.receive_eof()
            return True  # The engine decides when to close.
        if driver.engine.role is Role.CLIENT and not _has_closure_alert(tls):
            # RFC 9112 section 9.8: anybody may have cut this off.
            driver.engine.connection_lost(None, driver.clock())
            driver.drain()
        else:
            driver.receive_eof()
        return False  # A TLS transport cannot stay half-open.

    def connection_lost(self, exc: Exception | None) -> None:
        self.driver.connection_lost(exc)

    def pause_writing(self) -> None:
        self.driver.pause_writing()

    def resume_writing(self) -> None:
        self.driver.resume_writing()


class ContentProtocol(asyncio.Protocol):
    """Short path of ``StreamProtocol``: content that comes fast is not copied (see the module).

    It stands in for ``stream`` on ``transport``, until a read is short.
    """

    __slots__ = ("_stream", "_transport", "driver")

    def __init__(self, stream: StreamProtocol[Any], transport: asyncio.Transport) -> None:
        self.driver = stream.driver
        self._stream = stream
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if len(data) < _LARGE:
            self._transport.set_protocol(self._stream)
        self.driver.receive_data(data)

    def eof_received(self) -> bool:
        return self._stream.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stream.connection_lost(exc)

    def pause_writing(self) -> None:
        self.driver.pause_writing()

    def resume_writing(self) -> None:
        self.driver.resume_writing()


def _has_closure_alert(tls: ssl.SSLObject) -> bool:
    """Tell whether the peer ended TLS in order, now that all it sent was read."""
    try:
        return tls.read(1) == b""
    except ssl.SSLError:
        return False
