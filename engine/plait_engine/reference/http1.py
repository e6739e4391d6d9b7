"""HTTP/1.1 of the reference engine: h11 behind the contract of ``Connection``.

Strategy
--------
h11 parses, writes and keeps the state of both sides; plait keeps what h11 leaves to its
user.  ``http1_reading`` turns h11's events into ours, ``http1_writing`` ours into bytes;
this class has the commands, the queue and the timers.  One exchange is open at a time and
its facts stand in ``Exchange``.

*Commands are atomic.*  h11 goes into an error state for good when a ``send`` fails, so a
command works on copies of the machine and the exchange, which replace the originals when
every event was taken.  That costs time, and is certain.

*Traps of h11*: control characters in values (checked in ``fields``); ``Data`` is a
bytearray; HTTP/1.0 is never kept alive; any ``HTTP/d.d`` is accepted; a request target
has no meaning; a message with Content-Length and Transfer-Encoding is accepted.

Rules: RFC 9112, all sections; RFC 9110 sections 7.8, 9.3.6 and 10.1.1.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import ClassVar

import h11

from plait_engine.connection import CloseAction, ConnectionState, Role
from plait_engine.errors import ErrorCode, LocalProtocolError, RemoteProtocolError
from plait_engine.events import (
    CloseReason,
    Data,
    EndOfMessage,
    Initiator,
    Request,
    Sendable,
    StreamReset,
    Writable,
)
from plait_engine.timers import Timer

from .base import STOPPED
from .http1_reading import ReadingConnection
from .http1_writing import WRITERS, Exchange, Reserved


class ReferenceHTTP1Connection(ReadingConnection):
    """An HTTP/1.1 connection, either role, over ``h11.Connection``."""

    __slots__ = ()

    def connection_made(self, now: float) -> None:
        timeouts = self.config.timeouts
        if self.role is Role.SERVER:
            self._set_timer(Timer.HEAD, timeouts.head, now)
        else:
            self._set_timer(Timer.KEEP_ALIVE, timeouts.keep_alive, now)

    # -- commands: what h11 writes ------------------------------------------------

    def send(self, *events: Sendable, now: float) -> None:
        if not events:
            return
        ended = not self._exchange.open or events[0].stream_id < self._exchange.stream_id
        if isinstance(events[0], StreamReset) and ended:
            return
        if self.state in STOPPED:
            raise LocalProtocolError("the connection is closed")
        machine, exchange = copy.deepcopy((self._machine, self._exchange))
        out = bytearray()
        try:
            for index, event in enumerate(events):
                self._check_stream(exchange, event)
                data = WRITERS[type(event)](machine, exchange, event, events[index + 1 :])
                if exchange.waits_for_continue and not isinstance(event, Request):
                    exchange.held += data
                elif not exchange.drops_content:
                    out += data
        except h11.LocalProtocolError as error:
            raise LocalProtocolError(str(error)) from error
        self._commit(machine, exchange, out, now)

    def _check_stream(self, exchange: Exchange, event: Sendable) -> None:
        if event.stream_id != exchange.stream_id:
            raise LocalProtocolError(f"stream {event.stream_id} is not the open one")
        if isinstance(event, Request):
            if self.role is Role.SERVER or exchange.open or self.state is not ConnectionState.OPEN:
                raise LocalProtocolError("no request can be sent now")
        elif not exchange.open:
            raise LocalProtocolError(f"stream {event.stream_id} is not open")

    def _commit(
        self, machine: h11.Connection, exchange: Exchange, out: bytearray, now: float
    ) -> None:
        """Every event of a command was taken: make it so."""
        accepted = exchange.tunnel_open and not self._exchange.tunnel_open
        ended = exchange.sent_end and not self._exchange.sent_end
        declined = self._exchange.tunnel_offered and not exchange.tunnel_offered
        self._machine, self._exchange = machine, exchange
        self._queue(out, now)
        if exchange.waits_for_continue and self._timers.deadline(Timer.CONTINUE) is None:
            self._timers.set(Timer.CONTINUE, now + self.config.timeouts.expect_continue)
        self._timers.stop(Timer.KEEP_ALIVE)
        if exchange.aborted:
            self._finish(CloseAction.ABORT)
        elif exchange.tunnel_open:
            if accepted:
                self._receive_trailing_data(now)
            if exchange.discards:
                self._end_tunnel(CloseReason.LOCAL)
            elif ended or (accepted and exchange.sent_end):
                self._half_close(now)
        elif exchange.refuses_content and exchange.sent_end:
            self._linger(now)
        else:
            if declined:
                self._events.append(EndOfMessage(exchange.stream_id))
            if exchange.discards:
                self._unread = 0
                self._update_reading(now)
            self._end_exchange(now)
            self._pump(now)

    def acknowledge(self, stream_id: int, credit: int, now: float) -> None:
        self._unread = max(0, self._unread - credit)
        if self.state not in STOPPED:
            self._update_reading(now)

    def reserve(self, stream_id: int, size: int, now: float) -> None:
        machine, exchange = copy.deepcopy((self._machine, self._exchange))
        if self._out or exchange.waits_for_continue:
            raise LocalProtocolError("drain data_to_send first")
        self._check_stream(exchange, Data(stream_id, b""))
        if not exchange.has_length:
            raise LocalProtocolError("only a body with Content-Length can be reserved")
        try:
            machine.send_with_data_passthrough(h11.Data(data=Reserved(size)))
        except h11.LocalProtocolError as error:
            raise LocalProtocolError(str(error)) from error
        self._machine = machine

    def close(self, code: int | None = None, *, now: float) -> None:
        if self.state in STOPPED:
            return
        self._reason = CloseReason.LOCAL
        if code is not None:
            action = CloseAction.ABORT if self._exchange.open else CloseAction.CLOSE
            self._reset_exchange(code, None, Initiator.LOCAL)
            self._finish(action)
        elif self._exchange.open:
            self.state = ConnectionState.DRAINING
            self._exchange.last = True
        else:
            self._finish(CloseAction.CLOSE)

    def next_stream_id(self) -> int:
        if not self.available_streams:
            raise LocalProtocolError("no request can be sent now")
        return self._exchange.stream_id

    # -- outputs and getters ------------------------------------------------------

    def data_to_send(self) -> bytes:
        out = self._out
        if not out:
            return b""
        quantum = self.config.limits.write_quantum
        data = bytes(out[:quantum])
        del out[:quantum]
        self._progress = True
        if not out:
            self._timers.stop(Timer.WRITE)
        if self._full and len(out) <= self.config.limits.write_low_water:
            self._full = False
            self._emit_writable()
        return data

    def send_capacity(self, stream_id: int) -> int:
        exchange = self._exchange
        if stream_id != exchange.stream_id or not exchange.open or exchange.sent_end:
            return 0
        return (
            0
            if exchange.waits_for_continue
            else (self.config.limits.write_high_water - len(self._out))
        )

    def queued(self, stream_id: int) -> int:
        return len(self._out) if stream_id == self._exchange.stream_id else 0

    @property
    def available_streams(self) -> int:
        idle = self.state is ConnectionState.OPEN and not self._exchange.open
        return int(idle and self.role is Role.CLIENT)

    @property
    def open_streams(self) -> int:
        return int(self._exchange.open)

    # -- the exchange ---------------------------------------------------------------

    def _emit_writable(self) -> None:
        if not self._full and self.send_capacity(self._exchange.stream_id) > 0:
            self._events.append(Writable(self._exchange.stream_id))

    def _abandon_content(self) -> None:
        """The final response is here, so the held content is not wanted any more.

        It was announced, so the connection cannot be used again (RFC 9110 section 10.1.1).
        """
        exchange = self._exchange
        exchange.waits_for_continue = False
        exchange.held.clear()
        exchange.drops_content = True
        self._timers.stop(Timer.CONTINUE)
        self._drain()
        self._emit_writable()

    def _release_content(self, now: float) -> None:
        exchange = self._exchange
        if exchange.waits_for_continue:
            exchange.waits_for_continue = False
            self._timers.stop(Timer.CONTINUE)
            self._queue(exchange.held, now)
            exchange.held = bytearray()
            self._emit_writable()

    def _half_close(self, now: float) -> None:
        if self._exchange.received_end:
            self._end_tunnel(CloseReason.LOCAL)
        else:
            self.wants_close = CloseAction.WRITE_EOF

    # -- queues and timers ---------------------------------------------------------------

    def _queue(self, data: bytes | bytearray, now: float) -> None:
        if not data:
            return
        self._out += data
        if len(self._out) >= self.config.limits.write_high_water:
            self._full = True
        self._expect_progress(now)

    def _head_timed_out(self, now: float) -> None:
        self._reason = CloseReason.TIMEOUT
        error = RemoteProtocolError(
            "the peer took too long", status_hint=408, code=ErrorCode.CANCEL
        )
        if self._exchange.open or self._machine.trailing_data[0]:
            self._refuse(error, now)
        else:  # nothing came, so there is nothing to answer
            self._error = error
            self._finish(CloseAction.CLOSE)

    def _idle_timed_out(self, now: float) -> None:
        self._reason = CloseReason.KEEP_ALIVE
        self._finish(CloseAction.CLOSE)

    def _write_timed_out(self, now: float) -> None:
        if self._progress:
            self._progress = False
            self._set_timer(Timer.WRITE, self.config.timeouts.write, now)
            return
        self._reason = CloseReason.TIMEOUT
        error = RemoteProtocolError("write timed out: the peer stopped reading")
        self._error = error
        self._reset_exchange(ErrorCode.CANCEL, error, Initiator.LOCAL)
        self._out.clear()
        self._finish(CloseAction.ABORT)

    def _close_timed_out(self, now: float) -> None:
        self._finish(CloseAction.CLOSE)

    TIMEOUTS: ClassVar[dict[Timer, Callable[[ReferenceHTTP1Connection, float], None]]] = {
        Timer.HEAD: _head_timed_out,
        Timer.BODY: _head_timed_out,
        Timer.KEEP_ALIVE: _idle_timed_out,
        Timer.CONTINUE: _release_content,
        Timer.CLOSE: _close_timed_out,
        Timer.WRITE: _write_timed_out,
    }
