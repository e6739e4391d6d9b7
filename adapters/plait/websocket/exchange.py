"""A WebSocket on a stream of a driver: where bytes and awaits meet the engine's machine.

Strategy
--------
``WebSocketExchange`` takes the place of whatever exchange made the handshake.  It gives
the machine (``plait_engine.websocket``) the bytes of the tunnel and the time, writes what
the machine has to send, and lets one task at a time wait for the next event.  Events stay
in the machine until the application takes them, since the machine answers a Close frame
only then.

On HTTP/2 the bytes go through the connection's engine, as for every stream.  An HTTP/1.1
connection carries nothing else once it is a tunnel, so there they take the short way:
``_Tunnel`` is put in the driver's place as the transport's protocol, and bytes go
straight between transport and machine.  The end of the connection is the driver's again.

Backpressure
------------
*Inbound:* bytes are acknowledged (HTTP/2), or reading goes on (HTTP/1.1), when no event
waits to be taken, or while few bytes do.  *Outbound:* the machine is asked for bytes only
while the transport or the stream takes them; ``drain`` waits for that.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

from plait.transport.driver import Driver
from plait.transport.exchange import Exchange
from plait.transport.stream import StreamProtocol
from plait.transport.waiter import Waiter
from plait_engine import Data, EndOfMessage, ErrorCode, StreamReset
from plait_engine.websocket import WebSocketConnection, WebSocketEvent

_ACKNOWLEDGE_AT = 32768
"""Bytes that are acknowledged together; far below the smallest useful window."""


class WebSocketExchange(Exchange):
    """A WebSocket's stream.  Hand the tunnel's stream over to it; then ``start`` it.

    Take events from ``machine``, and call ``answer_close`` after the last one.  When there
    is none, await ``arrival()``; it gives false when ``interrupt`` came first.

    ``on_timed_out`` is called with the error when the machine declared the peer dead,
    ``on_lost`` when the stream or the connection was cut short, ``on_finished`` once, when
    nothing more happens on the stream.
    """

    __slots__ = (
        "_clock",
        "_end_received",
        "_end_sent",
        "_linger_timer",
        "_timer",
        "_timer_at",
        "_tunnel",
        "credit",
        "loop",
        "machine",
        "on_finished",
        "on_lost",
        "on_timed_out",
        "waiter",
    )

    def __init__(self, driver: Driver, stream_id: int, machine: WebSocketConnection) -> None:
        super().__init__(driver, stream_id)
        self.loop = driver.loop
        self._clock = driver.clock
        self.machine = machine
        self.on_timed_out: Callable[[Exception], None] | None = None
        self.on_lost: Callable[[], None] | None = None
        self.on_finished: Callable[[], None] | None = None
        self.credit = 0  # bytes received and not acknowledged
        self.waiter = Waiter(driver.loop)
        self._end_sent = False
        self._end_received = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        self._linger_timer: asyncio.TimerHandle | None = None
        self._tunnel: _Tunnel | None = None

    def start(self) -> None:
        """Begin to keep the machine's time; on HTTP/1.1, take the short way soon.

        Not at once: the driver may still have the answer to the handshake to write.
        """
        if self.driver.engine.protocol == "http/1.1":
            self.loop.call_soon(self._take_short_way)
        self._arm()

    def _take_short_way(self) -> None:
        driver = self.driver
        transport = driver.transport
        alive = driver.exchanges.get(self.stream_id) is self and not self._end_sent
        if transport is None or not alive or not driver.can_write:
            return
        self.acknowledge(self.credit)
        self.credit = 0
        protocol = transport.get_protocol()
        if isinstance(protocol, StreamProtocol):
            self._tunnel = _Tunnel(self, transport, protocol)
            transport.set_protocol(self._tunnel)

    # -- for one task at a time ---------------------------------------------------

    def arrival(self) -> Waiter:
        """Return what to await when no event waits to be taken."""
        if self.credit >= _ACKNOWLEDGE_AT:
            self._acknowledge_all()
        return self.waiter

    def answer_close(self) -> None:
        """Write what the machine answered, when its last event was taken."""
        self.flush()
        self._arm()

    def interrupt(self) -> None:
        """Wake who waits for an event, without one."""
        self.waiter.wake(False)

    def transmit(self, event: WebSocketEvent) -> None:
        """Send a control frame or the Close frame.

        Raises LocalProtocolError (see ``WebSocketConnection.send``).
        """
        self.machine.send(event, now=self._clock())
        self.flush()
        self._arm()

    def can_send(self) -> bool:
        if self._tunnel is not None:
            return not self._tunnel.paused
        # When our direction has ended there is nothing left to wait for.
        return self._end_sent or super().can_send()

    def reset(self, code: int = ErrorCode.CANCEL) -> None:
        """Give up the stream, unless it is ending by itself."""
        if not self._end_sent:
            self.abort()

    def abort(self) -> None:
        """Give up the stream, and on HTTP/1.1 the connection with it."""
        error = ConnectionResetError("the WebSocket was given up")
        if self.exception is None:
            self.exception = error
        self.machine.connection_lost(error, self._clock())
        super().reset()
        self._finish()
        self._tell()
        super().wake()

    def lose(self, error: Exception) -> None:
        """The stream is gone; messages that came can still be received."""
        self.exception = ConnectionResetError(str(error))
        self.machine.connection_lost(error, self._clock())
        self._finish()
        self._tell()
        if self.on_lost is not None:
            self.on_lost()

    # -- between transport and machine ----------------------------------------------

    def receive(self, data: bytes, credit: int) -> bool:
        """Bytes came; tell whether there is an event now."""
        machine = self.machine
        machine.receive_data(data, self._clock())
        self.credit += credit
        if machine.waiting_output:
            self.flush()
        if machine.waiting_events:
            return True
        if self.credit >= _ACKNOWLEDGE_AT:
            self._acknowledge_all()
        return False

    def flush(self) -> bool:
        """Write what the machine has, and end the stream when it says so.

        Returns false when the transport or the stream is full: ``drain`` then.
        """
        machine = self.machine
        tunnel = self._tunnel
        while machine.waiting_output:
            if tunnel is not None:
                if tunnel.paused:
                    return False
                tunnel.write(machine.data_to_send())
            elif self.can_send():
                self.send(Data(self.stream_id, machine.data_to_send()))
            else:
                return False
        if machine.wants_close:
            self._end()
        return self.can_send() if tunnel is None else not tunnel.paused

    def _acknowledge_all(self) -> None:
        credit, self.credit = self.credit, 0
        if self._tunnel is None:
            self.acknowledge(credit)
        else:
            self._tunnel.resume_reading()

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
        if not driver.config.half_close and driver.engine.protocol == "http/1.1":
            driver.close_transport()  # TLS cannot half-close: what was the end of the stream?

    def _finish(self) -> None:
        """Nothing more happens on the stream."""
        self._stop_timers()
        if self.credit:  # of what nobody takes any more; the connection's window needs it
            self._acknowledge_all()
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
        self.machine.receive_eof(self._clock())
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
        if self.machine.waiting_events:
            self.waiter.wake(True)

    # -- time ---------------------------------------------------------------------------

    def _arm(self) -> None:
        deadline = self.machine.next_timeout()
        if deadline is None or deadline >= self._timer_at or deadline == math.inf:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = deadline
        self._timer = self.loop.call_at(deadline, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._timer_at = math.inf
        machine = self.machine
        machine.handle_timeout(self._clock())
        if machine.lost is None:
            self._tell()
            self._arm()
            return
        if self.on_timed_out is not None:
            self.on_timed_out(machine.lost)
        self._tell()
        self.abort()

    def _stop_timers(self) -> None:
        for timer in (self._timer, self._linger_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._linger_timer = None
        self._timer_at = math.inf


class _Tunnel(asyncio.BufferedProtocol):
    """Stand in for the driver of an HTTP/1.1 connection that has become a WebSocket."""

    def __init__(
        self,
        exchange: WebSocketExchange,
        transport: asyncio.Transport,
        protocol: StreamProtocol[Any],
    ) -> None:
        self.transport = transport
        self.write = transport.write
        self.paused = False
        """The transport takes no more bytes for now."""
        self.high_water = exchange.driver.config.limits.read_high_water
        self._exchange = exchange
        self._driver = exchange.driver
        self._protocol = protocol
        self._buffer = protocol.get_buffer(-1)
        self._reading = True
        self._stall_timer: asyncio.TimerHandle | None = None
        self._unsent = 0

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        exchange = self._exchange
        if exchange.receive(self._buffer[:nbytes].tobytes(), nbytes):
            if exchange.credit >= self.high_water:
                self.pause_reading()
            exchange.waiter.wake_now(True)

    def eof_received(self) -> bool | None:
        return self._protocol.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_stall_timer()
        self._driver.connection_lost(exc)

    # -- backpressure ---------------------------------------------------------------------

    def pause_reading(self) -> None:
        if self._reading and not self.transport.is_closing():
            self._reading = False
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._reading and not self.transport.is_closing():
            self._reading = True
            self.transport.resume_reading()

    def pause_writing(self) -> None:
        self.paused = True
        self._driver.pause_writing()
        self._watch_for_stall()

    def resume_writing(self) -> None:
        self.paused = False
        self._stop_stall_timer()
        self._driver.resume_writing()
        # Not from inside asyncio's own writing (see ``plait_engine.driver``).
        self._driver.loop.call_soon(self._exchange.wake)

    def _watch_for_stall(self) -> None:
        """As the engine does for what it has queued: ``Timeouts.write``."""
        timeout = self._driver.config.timeouts.write
        if timeout is not None:
            self._unsent = self.transport.get_write_buffer_size()
            self._stall_timer = self._driver.loop.call_later(timeout, self._check_stall)

    def _check_stall(self) -> None:
        if self.transport.get_write_buffer_size() >= self._unsent:
            self._exchange.abort()
        else:
            self._watch_for_stall()

    def _stop_stall_timer(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None
