"""A WebSocket on a stream of a driver: where bytes and awaits meet the engine's part of it.

Strategy
--------
``WebSocketExchange`` takes the place of the exchange that made the handshake.  It gives its
``connection`` (``plait_engine.websocket``) the bytes of the tunnel and the time, writes what
that has to send, and lets one task at a time wait for the next event.  Events stay in the
connection until the application takes them, since a Close frame is answered only then.

Short path
----------
An HTTP/1.1 connection carries nothing else once it is a tunnel, so its engine has nothing to
say about the bytes.  While a task waits for them, ``TunnelProtocol`` gives them to the
``WebSocketConnection`` and runs the task in the same call.  While the transport takes bytes,
frames are written to it at once (``Driver.write_tunnel``).  At any other time the bytes go
through the engine, as on HTTP/2: it stops the reading and times the writing.

Several messages of one read are answered in one write: what the task sends is collected
while more of them wait.

Backpressure
------------
*Inbound:* bytes are acknowledged when no event waits to be taken any more.
*Outbound:* the connection is asked for bytes only while the transport or the stream takes
them; ``drain`` waits for that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from plait.transport.driver import Driver
from plait.transport.exchange import Exchange
from plait.transport.stream import StreamProtocol
from plait.transport.waiter import Waiter
from plait_engine import Data, EndOfMessage, ErrorCode, Role, StreamReset
from plait_engine.driver import LazyTimer
from plait_engine.engines import websocket_class
from plait_engine.websocket import Negotiated, WebSocketConnection, WebSocketEvent

_LARGE = 512
"""Bytes of a read that are not worth another copy: what is shorter is faster as bytes."""
_COLLECT = 65536
"""Bytes of messages that are collected for one write."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the application asks of its WebSocket, by aiohttp's names.

    ``heartbeat``: seconds of silence after which the peer is pinged, ``None`` for never.
    ``close_timeout``: seconds that the peer may take to answer our Close frame.
    ``max_msg_size``: bytes of a message, inflated; 0 for no limit.
    """

    heartbeat: float | None
    close_timeout: float
    autoping: bool
    autoclose: bool
    decode_text: bool
    max_msg_size: int


def open_websocket(
    driver: Driver, stream_id: int, role: Role, negotiated: Negotiated, options: Options
) -> WebSocketExchange:
    """Return the exchange of a WebSocket whose handshake is done."""
    connection = websocket_class(driver.engine_name)(
        role,
        driver.config,
        now=driver.clock(),
        deflate=negotiated.deflate,
        subprotocol=negotiated.subprotocol,
        ping_interval=options.heartbeat,
        close_timeout=options.close_timeout,
        auto_pong=options.autoping,
        auto_close=options.autoclose,
        decode_text=options.decode_text,
        max_message_size=options.max_msg_size,
    )
    return WebSocketExchange(driver, stream_id, connection)


class WebSocketExchange(Exchange):
    """A WebSocket's stream.  Hand the tunnel's stream over to it; then ``start`` it.

    Take events from ``connection``, and call ``answer_close`` after the last one.  When there
    is none, call ``acknowledge_all`` if there is ``credit``, and await ``waiter``.  It gives a
    message that came at once (``str`` for a text), ``True`` when there is an event, ``False``
    when ``interrupt`` came first.

    ``on_lost`` is called when the stream or the connection was cut short, ``on_finished``
    once, when nothing more happens on the stream.
    """

    __slots__ = (
        "_clock",
        "_collected",
        "_collecting",
        "_end_received",
        "_end_sent",
        "_is_tunnel",
        "_linger_timer",
        "_timer",
        "connection",
        "credit",
        "loop",
        "on_finished",
        "on_go_away",
        "on_lost",
        "waiter",
    )

    def __init__(self, driver: Driver, stream_id: int, connection: WebSocketConnection) -> None:
        super().__init__(driver, stream_id)
        self.loop = driver.loop
        self._clock = driver.clock
        self.connection = connection
        self.on_lost: Callable[[], None] | None = None
        self.on_finished: Callable[[], None] | None = None
        self.on_go_away: Callable[[], Awaitable[object]] | None = None
        self.credit = 0
        """Bytes received and not acknowledged."""
        self.waiter: Waiter[str | bytes | bool] = Waiter(driver.loop)
        self._is_tunnel = driver.engine.protocol == "http/1.1"
        """The connection carries nothing else."""
        self._collecting = False
        self._collected = 0
        self._end_sent = False
        self._end_received = False
        self._timer = LazyTimer(driver.loop)
        self._linger_timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to keep the connection's time; where there is a short path, take it."""
        transport = self.driver.transport
        if self._is_tunnel and transport is not None:
            protocol = transport.get_protocol()
            if isinstance(protocol, StreamProtocol):
                transport.set_protocol(TunnelProtocol(protocol, self))
        self._arm()

    # -- for one task at a time ---------------------------------------------------

    def acknowledge_all(self) -> None:
        """Acknowledge all bytes that came: their events were taken, or are dropped.

        Nothing is kept back to be acknowledged together with more: the windows may be small,
        and that of an HTTP/2 connection is shared by many streams.  The engine decides when
        it is worth a WINDOW_UPDATE.
        """
        credit, self.credit = self.credit, 0
        self.acknowledge(credit)

    def answer_close(self) -> None:
        """Write the answer to the last event, once that was taken."""
        self.flush()
        self._arm()

    def interrupt(self) -> None:
        """Wake who waits for an event, without one."""
        self.waiter.wake(False)

    def send_message(self, data: str | bytes, compress: bool | None) -> bool:
        """Send a text or a binary message.

        Returns false when the transport or the stream is full: ``drain`` then.  Raises
        LocalProtocolError (see ``WebSocketConnection.send``).
        """
        connection = self.connection
        driver = self.driver
        collects = self._collecting and connection.waiting_events and self._collected < _COLLECT
        if self._is_tunnel and driver.can_write and compress is None and not collects:
            frame = connection.whole_frame(data)
            if frame is not None:
                if not driver.write_tunnel(frame):
                    self.send(Data(self.stream_id, frame))
                return driver.can_write
        if isinstance(data, str):
            connection.send_text(data, True, compress)
        else:
            connection.send_bytes(data, True, compress)
        if collects:
            self._collected += len(data)
            return True
        return self.flush()

    def transmit(self, event: WebSocketEvent) -> None:
        """Send a control frame or the Close frame.

        Raises LocalProtocolError (see ``WebSocketConnection.send``).
        """
        self.connection.send(event, now=self._clock())
        self.flush()
        self._arm()

    async def go_away(self) -> None:
        """Close with 1001 (RFC 6455 section 7.4.1), unless it is closing already."""
        if self.on_go_away is not None:
            await self.on_go_away()

    def can_send(self) -> bool:
        """Tell whether the stream takes bytes; if not, ``drain`` waits until it does."""
        if self._is_tunnel and self.driver.can_write:
            return True
        # When our direction has ended there is nothing left to wait for.
        return self._end_sent or super().can_send()

    def reset(self, code: int = ErrorCode.CANCEL) -> None:
        """Give up the stream, unless it is ending by itself."""
        self.flush()  # what was collected
        if not self._end_sent:
            self.abort()

    def abort(self) -> None:
        """Give up the stream, and on HTTP/1.1 the connection with it."""
        error = ConnectionResetError("the WebSocket was given up")
        if self.exception is None:
            self.exception = error
        self.connection.connection_lost(error, self._clock())
        super().reset()
        self._finish()
        self._tell()
        super().wake()

    def lose(self, error: Exception) -> None:
        """The stream is gone; messages that came can still be received."""
        self.exception = ConnectionResetError(str(error))
        self.connection.connection_lost(error, self._clock())
        self._finish()
        self._tell()
        if self.on_lost is not None:
            self.on_lost()

    # -- between stream and connection ------------------------------------------------

    def receive(self, data: bytes | memoryview, credit: int) -> bool:
        """Bytes came; tell whether there is an event now."""
        connection = self.connection
        connection.receive_data(data, self._clock())
        self.credit += credit
        if connection.waiting_output:
            self.flush()
        if connection.waiting_events:
            return True
        if self.credit:
            self.acknowledge_all()
        return False

    def receive_now(self, data: bytes | memoryview) -> None:
        """Bytes came while a task can run at once: run it if there is an event."""
        if self.receive(data, 0):
            self._collecting = True
            self.waiter.wake_now(True)
            self._collecting = False
            self._collected = 0
            self.flush()

    def flush(self) -> bool:
        """Write what the connection has, and end the stream when it says so.

        Returns false when the transport or the stream is full: ``drain`` then.
        """
        connection = self.connection
        can_send = self.can_send()
        while can_send and connection.waiting_output:
            can_send = self._write(connection.data_to_send())
        if connection.wants_close and not connection.waiting_output:
            self._end()
        return can_send

    def _write(self, data: bytes) -> bool:
        """Write ``data``; tell whether the transport or the stream takes more."""
        driver = self.driver
        if self._is_tunnel and driver.write_tunnel(data):
            return driver.can_write
        self.send(Data(self.stream_id, data))
        return self.can_send()

    def _end(self) -> None:
        """End our direction, and see that the peer's ends soon."""
        if self._end_sent or self.driver.exchanges.get(self.stream_id) is not self:
            return
        self._end_sent = True
        driver = self.driver
        driver.send(EndOfMessage(self.stream_id))
        if self._end_received:
            self._finish()
            return
        self._stop_timers()
        self._linger_timer = self.loop.call_later(driver.config.timeouts.close, self.abort)
        if self._is_tunnel and not driver.config.half_close:
            driver.close_transport()  # TLS cannot half-close: what was the end of the stream?

    def _finish(self) -> None:
        """Nothing more happens on the stream."""
        self._stop_timers()
        if self.credit:  # of what nobody takes any more; the connection's window needs it
            self.acknowledge_all()
        self.forget()
        finished, self.on_finished = self.on_finished, None
        if finished is not None:
            finished()

    # -- hooks --------------------------------------------------------------------------

    def on_data(self, event: Data) -> None:
        if self.receive(event.data, event.credit):
            self.waiter.wake(True)

    def on_end(self, event: EndOfMessage) -> None:
        self._end_received = True
        self.connection.receive_eof(self._clock())
        if self._end_sent:
            self._finish()
        self._tell()

    def on_reset(self, event: StreamReset) -> None:
        self.lose(event.error or ConnectionResetError("the WebSocket's stream was reset"))

    def wake(self) -> None:
        self.flush()
        super().wake()

    def _tell(self) -> None:
        """Something else than bytes happened."""
        self.flush()
        if self.connection.waiting_events:
            self.waiter.wake(True)

    # -- time ---------------------------------------------------------------------------

    def _arm(self) -> None:
        deadline = self.connection.next_timeout()
        if deadline is not None:
            self._timer.arm(deadline, self._handle_timeout)

    def _handle_timeout(self) -> None:
        connection = self.connection
        connection.handle_timeout(self._clock())
        self._tell()
        if connection.lost is None:
            self._arm()
        else:
            self.abort()

    def _stop_timers(self) -> None:
        self._timer.cancel()
        if self._linger_timer is not None:
            self._linger_timer.cancel()
            self._linger_timer = None


class TunnelProtocol(StreamProtocol[Any]):
    """Short path of ``StreamProtocol`` for an HTTP/1.1 connection that is a WebSocket.

    While no task waits, bytes go the general way, through the driver and its engine.
    """

    __slots__ = ("_clock", "_connection", "_exchange", "_waiter")

    def __init__(self, protocol: StreamProtocol[Any], exchange: WebSocketExchange) -> None:
        self.owner = protocol.owner
        self.driver = protocol.driver
        self._buffer = protocol.get_buffer(-1)
        self._clock = protocol.driver.clock
        self._exchange = exchange
        self._connection = exchange.connection
        self._waiter = exchange.waiter

    def buffer_updated(self, nbytes: int) -> None:
        waiter = self._waiter
        view = self._buffer[:nbytes]
        data = view if nbytes > _LARGE else view.tobytes()
        if not waiter.is_ready():
            self.driver.receive_data(data)
            return
        message = self._connection.receive_whole(data, self._clock())
        if message is not None:
            waiter.wake_now(message)
        else:
            self._exchange.receive_now(data)
