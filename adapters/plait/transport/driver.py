"""The driver: the one place where an asyncio transport meets a protocol engine.

Strategy
--------
``Driver`` is an ``asyncio.BufferedProtocol``.  It serves both roles and both HTTP versions: the
engine behind it is chosen when the transport is up (ALPN on TLS; on cleartext HTTP/1.1,
whose engine recognises the HTTP/2 preface).  It follows the law of
``plait_engine.connection``: after each input or command, dispatch the events, write what
there is to send, obey ``wants_read`` and ``wants_close``, arm the deadline.

``Exchange`` is one request and its response on a driver, whatever the version.  The
server and the client subclass both: the driver's hooks take what concerns the connection,
the exchange's hooks what concerns one stream.

Rules
-----
* Hooks are called synchronously and must not raise.  They may send: a command issued
  while events are being dispatched is written when the dispatch ends, in order.
* On HTTP/1.1 a command is written at once.  On HTTP/2 it is written in the loop's next
  turn, so that the answers of all the streams of a batch leave in one system call.
* One timer handle a connection, re-armed lazily: a deadline that moved later costs
  nothing until the handle fires.
* ``data_to_send`` is called only while the transport takes bytes, which is what makes
  ``send_capacity`` and the engine's write timer work.
* All connections of a loop read into one buffer, since asyncio fills it and hands it over
  in one go.  A plain ``asyncio.Protocol`` has 256 KiB allocated for every read, which costs
  more than all the rest of a small request.
* A transport that does not finish closing within ``Timeouts.close`` is aborted.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from typing import Any, Final, cast
from weakref import WeakKeyDictionary

from plait_engine import (
    Accept,
    CloseAction,
    Config,
    Connection,
    ConnectionClosed,
    ConnectionState,
    Data,
    Draining,
    EndOfMessage,
    ErrorCode,
    Event,
    InformationalResponse,
    PingAcknowledged,
    PriorityUpdated,
    PriorKnowledge,
    Request,
    Response,
    Role,
    SettingsChanged,
    StreamReset,
    StreamsAvailable,
    Writable,
    create_connection,
)
from plait_engine.engines import EngineName
from plait_engine.events import Sendable

ALPN_PROTOCOLS: Final = ("h2", "http/1.1")
"""What we offer and accept on TLS, the best first (RFC 7301; RFC 9113 section 3.2)."""


class Exchange:
    """One stream of a connection: what the adapters hold instead of sockets and ids.

    Subclasses override the ``on_*`` hooks.  ``exception`` is what ``drain`` and later
    sends should raise, once the stream was cut short; ``on_reset`` of the subclass sets it.
    """

    __slots__ = ("_waiters", "driver", "exception", "stream_id")

    def __init__(self, driver: Driver, stream_id: int) -> None:
        self.driver = driver
        self.stream_id = stream_id
        self.exception: BaseException | None = None
        self._waiters: list[asyncio.Future[None]] | None = None

    # -- commands -------------------------------------------------------------

    def send(self, *events: Sendable) -> None:
        """Give ``events`` of this stream to the engine (see ``Connection.send``)."""
        self.driver.send(*events)

    def acknowledge(self, credit: int) -> None:
        """Give back the credit of ``Data`` that the application took."""
        self.driver.acknowledge(self.stream_id, credit)

    def reset(self, code: int = ErrorCode.CANCEL) -> None:
        """Give up the stream; no-op when it or the connection has ended."""
        if self.driver.exchanges.get(self.stream_id) is self:
            self.driver.send(StreamReset(self.stream_id, code))

    def forget(self) -> None:
        """Hear no more events of this stream; what still arrives is acknowledged."""
        self.driver.forget(self)

    def can_send(self) -> bool:
        """Tell whether the stream takes body bytes; if not, ``drain`` waits until it does."""
        return self.driver.engine.send_capacity(self.stream_id) > 0

    async def drain(self) -> None:
        """Wait until the stream takes more body bytes.

        Raises ``exception`` when the stream was cut short before that.
        """
        driver = self.driver
        while self.exception is None:
            if driver.exchanges.get(self.stream_id) is not self:
                return  # Complete: there is nothing left to wait for.
            if self.can_send():
                return
            waiter = driver.loop.create_future()
            if self._waiters is None:
                self._waiters = []
            self._waiters.append(waiter)
            try:
                await waiter
            finally:
                if self._waiters and waiter in self._waiters:
                    self._waiters.remove(waiter)
        raise self.exception

    def wake(self) -> None:
        """Wake whoever waits in ``drain``, to look again."""
        waiters, self._waiters = self._waiters, None
        if waiters:
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    # -- hooks ----------------------------------------------------------------

    def on_informational(self, event: InformationalResponse) -> None:
        """A 1xx response came (client)."""

    def on_response(self, event: Response) -> None:
        """The head of the final response came (client)."""

    def on_accept(self, event: Accept) -> None:
        """The server accepted the tunnel (client)."""

    def on_data(self, event: Data) -> None:
        """Bytes came; acknowledge ``event.credit`` when they are taken."""
        self.acknowledge(event.credit)

    def on_end(self, event: EndOfMessage) -> None:
        """The peer's message, or its direction of the tunnel, is complete."""

    def on_reset(self, event: StreamReset) -> None:
        """The stream was cut short.  The driver has forgotten it; ``wake`` follows."""

    def on_priority(self, event: PriorityUpdated) -> None:
        """The client changed the priority (server, HTTP/2)."""


NEVER: Final = math.inf

_BUFFER_SIZE: Final = 262144

_read_buffers: WeakKeyDictionary[asyncio.AbstractEventLoop, memoryview] = WeakKeyDictionary()


def _read_buffer(loop: asyncio.AbstractEventLoop) -> memoryview:
    """Return the buffer into which the connections of ``loop`` read."""
    buffer = _read_buffers.get(loop)
    if buffer is None:
        buffer = _read_buffers[loop] = memoryview(bytearray(_BUFFER_SIZE))
    return buffer


def _clock(loop: asyncio.AbstractEventLoop) -> Callable[[], float]:
    """Return ``loop.time``, or what asyncio's own method of that name calls."""
    if getattr(type(loop), "time", None) is asyncio.BaseEventLoop.time:
        return time.monotonic
    return loop.time


class Driver(asyncio.BufferedProtocol):
    """An asyncio protocol that moves bytes between a transport and an engine.

    Args:
        role: the side of the connection.
        config: the engine's configuration; ``scheme`` and ``detect_http2`` are as given.
        protocol: ``"http/1.1"`` or ``"h2"`` to speak it whatever the transport says;
            ``None``: what ALPN chose, else HTTP/1.1.
        engine: ``"native"`` or ``"reference"``.
    """

    __slots__ = (
        "__weakref__",
        "_abort_timer",
        "_buffer",
        "_coalesce",
        "_dispatching",
        "_flush_scheduled",
        "_lost",
        "_protocol",
        "_reading",
        "_timer",
        "_timer_at",
        "_writing_paused",
        "_wrote_eof",
        "clock",
        "close_event",
        "config",
        "engine",
        "engine_name",
        "exchanges",
        "loop",
        "role",
        "tls",
        "transport",
    )

    def __init__(
        self,
        role: Role,
        config: Config,
        *,
        loop: asyncio.AbstractEventLoop,
        protocol: str | None = None,
        engine: EngineName = "native",
    ) -> None:
        self.role = role
        self.config = config
        self.loop = loop
        self.clock = _clock(loop)
        """The time in seconds, as the engine is told it."""
        self.engine_name: EngineName = engine
        self.exchanges: dict[int, Exchange] = {}
        self.transport: asyncio.Transport | None = None
        self.engine: Connection = create_connection(
            role, protocol or "http/1.1", config, engine=engine
        )
        self.tls = False
        self.close_event: ConnectionClosed | None = None
        """How the connection ended, once it has."""
        self._buffer = _read_buffer(loop)
        self._protocol = protocol
        self._coalesce = False
        self._flush_scheduled = False
        self._dispatching = False
        self._writing_paused = False
        self._reading = True
        self._wrote_eof = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = NEVER
        self._abort_timer: asyncio.TimerHandle | None = None
        self._lost: asyncio.Future[None] | None = None

    # -- asyncio.BufferedProtocol: the inputs -------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods of asyncio.Transport, but are no such class.
        self.transport = transport = cast(asyncio.Transport, transport)
        ssl_object = transport.get_extra_info("ssl_object")
        self.tls = ssl_object is not None
        protocol = self._protocol
        if protocol is None and ssl_object is not None:
            protocol = ssl_object.selected_alpn_protocol()
        self._use_engine(protocol or "http/1.1")
        self._drain()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.engine.receive_data(self._buffer[:nbytes].tobytes(), self.clock())
        self._drain()

    def data_received(self, data: bytes) -> None:
        """Bytes came, as ``asyncio.Protocol`` has it."""
        self.engine.receive_data(data, self.clock())
        self._drain()

    def eof_received(self) -> bool:
        self.engine.receive_eof(self.clock())
        self._drain()
        # The engine decides when to close, but a TLS transport cannot stay half-open.
        return not self.tls

    def connection_lost(self, exc: Exception | None) -> None:
        self.engine.connection_lost(exc, self.clock())
        event = self.engine.next_event()
        if event is not None:
            self._dispatch(event)
        for handle in (self._timer, self._abort_timer):
            if handle is not None:
                handle.cancel()
        self._timer = self._abort_timer = None
        self._timer_at = NEVER
        self.transport = None
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(None)

    def pause_writing(self) -> None:
        self._writing_paused = True

    def resume_writing(self) -> None:
        self._writing_paused = False
        self._drain()

    # -- commands ---------------------------------------------------------------

    def send(self, *events: Sendable) -> None:
        """Give events of one stream to the engine and see that they are written.

        Raises LocalProtocolError (see ``Connection.send``).
        """
        self.engine.send(*events, now=self.clock())
        if self._coalesce:
            self._flush()
        else:
            self._drain()

    def acknowledge(self, stream_id: int, credit: int) -> None:
        """Give back the credit of ``Data``."""
        self.engine.acknowledge(stream_id, credit, self.clock())
        self._flush()

    def ping(self, payload: bytes) -> None:
        """Send an HTTP/2 PING; ``on_ping_acknowledged`` has the answer."""
        self.engine.ping(payload, self.clock())
        self._flush()

    def close(self, code: int | None = None) -> None:
        """End the connection: gracefully, or at once with an HTTP/2 error code."""
        if self.transport is not None:
            self.engine.close(code, now=self.clock())
            self._drain()

    def abort(self) -> None:
        """Drop the connection now.  ``connection_lost`` follows in the next loop turn."""
        if self.transport is not None:
            self.transport.abort()

    def close_transport(self) -> None:
        """Close the transport when it has written what it has."""
        # Not twice: asyncio's transport of TLS then forgets what it is, even for its getters.
        if self.transport is not None and not self.transport.is_closing():
            self.transport.close()

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
    def is_closing(self) -> bool:
        """True when no new exchange can begin."""
        return self.transport is None or self.engine.state is not ConnectionState.OPEN

    @property
    def can_write(self) -> bool:
        """True while the transport takes bytes."""
        return self.transport is not None and not self._writing_paused

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what the transport knows under ``name`` (``asyncio.BaseTransport``)."""
        return default if self.transport is None else self.transport.get_extra_info(name, default)

    # -- hooks for the server and the client --------------------------------------

    def on_request(self, event: Request) -> None:
        """A request came (server): make an exchange and put it into ``exchanges``."""

    def on_settings_changed(self, event: SettingsChanged) -> None:
        """The peer's SETTINGS took effect (HTTP/2)."""

    def on_streams_available(self, event: StreamsAvailable) -> None:
        """Another request can begin, and none could before (client)."""

    def on_draining(self, event: Draining) -> None:
        """The peer takes no more requests on this connection."""

    def on_ping_acknowledged(self, event: PingAcknowledged) -> None:
        """The answer to ``ping`` came (HTTP/2)."""

    def on_closed(self, event: ConnectionClosed) -> None:
        """The engine is done; the last event of the connection."""

    def on_batch_end(self) -> None:
        """All events of one input or command were dispatched."""

    # -- the law ------------------------------------------------------------------

    def _use_engine(self, protocol: str) -> None:
        if protocol != self.engine.protocol:
            self.engine = create_connection(
                self.role, protocol, self.config, engine=self.engine_name
            )
        self._coalesce = protocol == "h2"
        self.engine.connection_made(self.clock())

    def _flush(self) -> None:
        """See that the outputs are drained: now, or once for all streams of a batch."""
        if not self._coalesce:
            self._drain()
        elif not self._flush_scheduled:
            self._flush_scheduled = True
            self.loop.call_soon(self._flush_now)

    def _flush_now(self) -> None:
        self._flush_scheduled = False
        self._drain()

    def _drain(self) -> None:
        if self._dispatching:
            return  # The drain that dispatches goes on until nothing is left.
        event = self.engine.next_event()
        if event is not None:
            self._dispatch(event)
        engine = self.engine
        data = b"" if self._writing_paused else engine.data_to_send()
        if data:
            self._write(data)
        if engine.wants_close:
            self._close_transport(engine.wants_close)
        if engine.wants_read is not self._reading:
            self._set_reading(engine.wants_read)
        deadline = engine.next_timeout()
        if deadline is not None and deadline < self._timer_at:
            self._arm(deadline)

    def _write(self, data: bytes) -> None:
        """Give the transport ``data``, and what follows while it takes it."""
        transport = self.transport
        if transport is None:
            return
        engine = self.engine
        while data:
            transport.write(data)
            # What was written may make room, of which an event tells.
            event = engine.next_event()
            if event is not None:
                self._dispatch(event)
            data = b"" if self._writing_paused else engine.data_to_send()

    def _dispatch(self, event: Event | None) -> None:
        """Give ``event`` and every one behind it to its hook."""
        self._dispatching = True
        try:
            # What the end of a batch does may bring the next batch: an answer that is sent
            # there, the next of pipelined requests.
            while event is not None:
                while event is not None:
                    _DISPATCH[type(event)](self, event)
                    # A hook may have put another engine in the place of this one.
                    event = self.engine.next_event()
                self.on_batch_end()
                event = self.engine.next_event()
        finally:
            self._dispatching = False

    def _set_reading(self, wanted: bool) -> None:
        self._reading = wanted
        if self.transport is not None and not self.transport.is_closing():
            if wanted:
                self.transport.resume_reading()
            else:
                self.transport.pause_reading()

    def _close_transport(self, action: CloseAction) -> None:
        transport = self.transport
        if transport is None:
            return
        if action is CloseAction.ABORT:
            transport.abort()
            return
        if action is CloseAction.WRITE_EOF and not transport.can_write_eof():
            if self.engine.state is not ConnectionState.CLOSING:
                return
            action = CloseAction.CLOSE
        if action is CloseAction.CLOSE and self._abort_timer is None:
            self._abort_timer = self.loop.call_later(self.config.timeouts.close, self.abort)
        if self._writing_paused:
            return  # resume_writing drains the rest and comes back here.
        if action is CloseAction.CLOSE:
            self.close_transport()
        elif not self._wrote_eof:
            self._wrote_eof = True
            try:
                transport.write_eof()
            except OSError:  # The peer reset the connection; the loop has not noticed yet.
                transport.abort()

    def _arm(self, deadline: float) -> None:
        if self.transport is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = deadline
        self._timer = self.loop.call_at(deadline, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._timer_at = NEVER
        self.engine.handle_timeout(self.clock())
        self._drain()

    # -- dispatch: one small function an event ------------------------------------------

    def _dispatch_request(self, event: Request) -> None:
        self.on_request(event)

    def _dispatch_data(self, event: Data) -> None:
        exchange = self.exchanges.get(event.stream_id)
        if exchange is not None:
            exchange.on_data(event)
        else:
            self.acknowledge(event.stream_id, event.credit)

    def _dispatch_end(self, event: EndOfMessage) -> None:
        exchange = self.exchanges.get(event.stream_id)
        if exchange is not None:
            exchange.on_end(event)

    def _dispatch_informational(self, event: InformationalResponse) -> None:
        exchange = self.exchanges.get(event.stream_id)
        if exchange is not None:
            exchange.on_informational(event)

    def _dispatch_response(self, event: Response) -> None:
        exchange = self.exchanges.get(event.stream_id)
        if exchange is not None:
            exchange.on_response(event)

    def _dispatch_accept(self, event: Accept) -> None:
        exchange = self.exchanges.get(event.stream_id)
        if exchange is not None:
            exchange.on_accept(event)

    def _dispatch_reset(self, event: StreamReset) -> None:
        exchange = self.exchanges.pop(event.stream_id, None)
        if exchange is not None:
            exchange.on_reset(event)
            exchange.wake()

    def _dispatch_writable(self, event: Writable) -> None:
        exchange = self.exchanges.get(event.stream_id)
        if exchange is not None:
            exchange.wake()

    def _dispatch_priority(self, event: PriorityUpdated) -> None:
        exchange = self.exchanges.get(event.stream_id)
        if exchange is not None:
            exchange.on_priority(event)

    def _dispatch_settings(self, event: SettingsChanged) -> None:
        self.on_settings_changed(event)

    def _dispatch_streams_available(self, event: StreamsAvailable) -> None:
        self.on_streams_available(event)

    def _dispatch_draining(self, event: Draining) -> None:
        self.on_draining(event)

    def _dispatch_ping(self, event: PingAcknowledged) -> None:
        self.on_ping_acknowledged(event)

    def _dispatch_prior_knowledge(self, event: PriorKnowledge) -> None:
        self._use_engine("h2")
        self.engine.receive_data(event.data, self.clock())

    def _dispatch_closed(self, event: ConnectionClosed) -> None:
        self.close_event = event
        self.on_closed(event)


_DISPATCH: Final[dict[type[Event], Callable[[Driver, Any], None]]] = {
    Request: Driver._dispatch_request,
    Data: Driver._dispatch_data,
    EndOfMessage: Driver._dispatch_end,
    InformationalResponse: Driver._dispatch_informational,
    Response: Driver._dispatch_response,
    Accept: Driver._dispatch_accept,
    StreamReset: Driver._dispatch_reset,
    Writable: Driver._dispatch_writable,
    PriorityUpdated: Driver._dispatch_priority,
    SettingsChanged: Driver._dispatch_settings,
    StreamsAvailable: Driver._dispatch_streams_available,
    Draining: Driver._dispatch_draining,
    PingAcknowledged: Driver._dispatch_ping,
    PriorKnowledge: Driver._dispatch_prior_knowledge,
    ConnectionClosed: Driver._dispatch_closed,
}
"""Which method takes which event; a table, because it is on the path of every request."""
