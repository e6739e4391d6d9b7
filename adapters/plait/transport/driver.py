"""asyncio's driver: the law of the contract, and the exchanges of a connection.

``Driver`` is the engine's driver (``plait_engine.driver``, which has the rules), scheduled by
an asyncio loop.  It stands over any ``Transport``: asyncio's own (``stream``), one in memory
(``memory``), a tunnel through another.  It tells its owner, a connection of the server or of the
client, all that comes, and keeps the table of the ``Exchange``s that hear what concerns one
stream (``plait_engine.streams``).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

import plait_engine.driver
from plait_engine import Config, Event, LocalProtocolError, Role, create_connection
from plait_engine.driver import Listener
from plait_engine.engines import EngineName

from . import sendfile
from .exchange import Exchange


class Owner(Listener, Protocol):
    """What a driver belongs to: the server's or the client's side of a connection.

    What concerns one stream goes to that of ``Driver.exchanges`` which has it.
    """

    driver: Driver

    def on_eof(self) -> None:
        """The peer sends nothing more; the events of that were told."""

    def on_lost(self, error: Exception | None) -> None:
        """The transport is gone; the last event was told."""


class _Nobody:
    """Hears nothing any more."""

    driver: Driver

    def on_event(self, event: Event) -> None:
        pass

    def on_batch_end(self) -> None:
        pass

    def on_eof(self) -> None:
        pass

    def on_lost(self, error: Exception | None) -> None:
        pass


_NOBODY: Final = _Nobody()


class Driver(plait_engine.driver.Driver):
    """Drives an engine and tells what comes of it.  Call ``start`` when ``owner`` can hear.

    Args:
        role: the side of the connection.
        config: the engine's configuration; ``scheme``, ``half_close`` and ``detect_http2``
            say what the transport is.
        transport: what carries the bytes; it is up.
        owner: what it belongs to.
        protocol: ``"http/1.1"`` or ``"h2"``.
        engine: ``"native"`` or ``"reference"``.
    """

    __slots__ = (
        "__weakref__",
        "_copy",
        "_lost",
        "_writable",
        "exchanges",
        "loop",
        "lost",
    )

    # It is this, whatever carries the bytes: ``web.Request.transport`` shows it to users.
    transport: asyncio.Transport | None
    listener: Owner

    def __init__(
        self,
        role: Role,
        config: Config,
        transport: asyncio.Transport,
        owner: Owner,
        *,
        loop: asyncio.AbstractEventLoop,
        protocol: str = "http/1.1",
        engine: EngineName = "native",
    ) -> None:
        connection = create_connection(role, protocol, config, engine=engine)
        self.exchanges: dict[int, Exchange] = {}
        """Who hears the events of which stream."""
        super().__init__(connection, transport, owner, loop, http2=engine, streams=self.exchanges)
        self.clock = clock_of(loop)
        below = getattr(getattr(transport, "_ssl_protocol", None), "_transport", None)
        if below is not None:
            # asyncio's transport of TLS does not tell that the one below it has failed.
            self._has_failed = lambda: transport.is_closing() or below.is_closing()
        self.loop = loop
        self.lost: Exception | None = None
        """The error with which the transport was lost."""
        self._lost: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._copy: sendfile.FileCopy | None = None
        """A file on its way: until it is sent nothing else is written."""

    def receive_eof(self) -> None:
        super().receive_eof()
        self.listener.on_eof()

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = error
        if self._copy is not None:
            self._copy.fail(ConnectionResetError("Connection lost"))
        super().connection_lost(error)
        owner, self.listener = self.listener, _NOBODY  # No cycle is left behind.
        owner.on_lost(error)
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(None)
        self._tell_writable()

    def abort(self) -> None:
        super().abort()
        self.end_if_taken()

    def close_transport(self) -> None:
        super().close_transport()
        self.end_if_taken()

    def end_if_taken(self) -> None:
        """Take the connection for ended if a program gave the transport a protocol of its own.

        It may do that behind a switch of protocols.  Then that protocol hears of the end.
        """
        if self.transport is not None and self._is_taken(self.transport):
            self.loop.call_soon(self.connection_lost, None)

    def _is_taken(self, transport: asyncio.Transport) -> bool:
        try:
            protocol = transport.get_protocol()
        except (AttributeError, NotImplementedError):  # Not every transport tells.
            return False
        if protocol is None:  # It has heard of the end.
            return True
        return (
            isinstance(protocol, asyncio.BaseProtocol)
            and type(protocol) is not asyncio.BaseProtocol  # That of a transport in memory.
            and getattr(protocol, "driver", None) is not self
        )

    def resume_writing(self) -> None:
        super().resume_writing()
        self._tell_writable()

    def _tell_writable(self) -> None:
        waiter, self._writable = self._writable, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def wait_writable(self) -> None:
        """Wait until the transport takes bytes, or is gone."""
        while not self.can_write and self.transport is not None:
            if self._writable is None:
                self._writable = self.loop.create_future()
            await asyncio.shield(self._writable)

    async def send_file(self, stream_id: int, file: int, offset: int, size: int) -> bool:
        """Let the kernel send ``size`` bytes of ``file``, an open descriptor, as content.

        Returns false, with nothing done, where that cannot be: on TLS, on HTTP/2, for content of
        unknown length, behind bytes that the peer has not taken.  Send it as ``Data`` then.

        Raises ConnectionResetError when the peer is gone or takes nothing for
        ``Timeouts.write``, EOFError when the file has fewer bytes, OSError when it cannot be
        read.  Then, and when it is cancelled, the connection is dropped: it owes bytes that
        nobody has.
        """
        transport = self.transport
        if self._dispatching or transport is None or self._has_failed() or not self._has_socket():
            return False
        self.drain()
        if not self.can_write or transport.get_write_buffer_size():
            return False
        try:
            self.engine.reserve(stream_id, size, self.clock())
        except LocalProtocolError:
            return False
        socket = transport.get_extra_info("socket").fileno()
        self.can_write = False
        patience = self.config.timeouts.write
        copy = self._copy = sendfile.FileCopy(self.loop, socket, file, offset, size, patience)
        try:
            await copy.done
        except BaseException:
            self.abort()
            raise
        finally:
            self._copy = None
            copy.close()
            self.can_write = self.transport is not None
        self.drain()
        return True

    def _has_socket(self) -> bool:
        """Tell whether what is written goes into a socket as it is."""
        return (
            sendfile.AVAILABLE
            and self.get_extra_info("socket") is not None
            and self.get_extra_info("ssl_object") is None
        )

    async def wait_closed(self) -> None:
        """Wait until the transport is gone."""
        if self.transport is not None:
            if self._lost is None:
                self._lost = self.loop.create_future()
            await asyncio.shield(self._lost)

    def forget(self, exchange: Exchange) -> None:
        """Hear no more events of this exchange."""
        if self.exchanges.get(exchange.stream_id) is exchange:
            del self.exchanges[exchange.stream_id]

    # -- getters ----------------------------------------------------------------

    @property
    def config(self) -> Config:
        """The engine's configuration."""
        return self.engine.config

    @property
    def engine_name(self) -> EngineName:
        """``"native"`` or ``"reference"``."""
        assert self._http2 is not None
        return self._http2

    @property
    def tls(self) -> bool:
        """True when the connection is secure."""
        return self.engine.config.scheme == "https"

    @property
    def shared(self) -> bool:
        """True when the connection carries many exchanges at once."""
        return self.engine.protocol == "h2"

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what the transport knows under ``name`` (``asyncio.BaseTransport``)."""
        return default if self.transport is None else self.transport.get_extra_info(name, default)


def clock_of(loop: asyncio.AbstractEventLoop) -> Callable[[], float]:
    """Return ``loop.time``, or what asyncio's own method of that name calls."""
    if getattr(type(loop), "time", None) is asyncio.BaseEventLoop.time:
        return time.monotonic
    return loop.time
