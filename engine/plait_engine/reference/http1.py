"""HTTP/1.1 of the reference engine: h11 behind the contract of ``Connection``.

Strategy
--------
h11 parses, writes and keeps the state of both sides; this class keeps what h11 leaves to
its user: queues, timers, credit, tunnels, the answer to a bad request, and the end of the
connection.  One exchange is open at a time and its facts stand in ``Exchange``.

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

from plait_engine.config import Config
from plait_engine.connection import CloseAction, ConnectionState, Role
from plait_engine.errors import ErrorCode, LocalProtocolError, RemoteProtocolError
from plait_engine.events import (
    Accept,
    CloseReason,
    Data,
    Draining,
    EndOfMessage,
    InformationalResponse,
    Initiator,
    PriorKnowledge,
    Request,
    Sendable,
    StreamReset,
    Writable,
)
from plait_engine.headers import Headers, has_token
from plait_engine.timers import Timer

from .base import STOPPED, ReferenceConnection
from .fields import to_text
from .http1_reading import is_last, read_request, read_response
from .http1_writing import (
    WRITERS,
    Exchange,
    Reserved,
    write_refusal,
)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"  # RFC 9113 section 3.4


class ReferenceHTTP1Connection(ReferenceConnection):
    """An HTTP/1.1 connection, either role, over ``h11.Connection``."""

    __slots__ = (
        "_behind",
        "_ended",
        "_exchange",
        "_full",
        "_machine",
        "_out",
        "_sniffed",
        "_unread",
    )

    protocol = "http/1.1"

    def __init__(self, role: Role, config: Config) -> None:
        super().__init__(role, config)
        self._machine = h11.Connection(
            h11.SERVER if role is Role.SERVER else h11.CLIENT,
            max_incomplete_event_size=config.limits.max_header_list_size,
        )
        self._exchange = Exchange()
        self._out = bytearray()
        self._full = False
        self._unread = 0
        self._behind = 0
        self._ended = False
        self._sniffed: bytes | None = b"" if config.detect_http2 else None

    # -- inputs ---------------------------------------------------------------

    def connection_made(self, now: float) -> None:
        timeouts = self.config.timeouts
        if self.role is Role.SERVER:
            self._set_timer(Timer.HEAD, timeouts.head, now)
        else:
            self._set_timer(Timer.KEEP_ALIVE, timeouts.keep_alive, now)

    def receive_data(self, data: bytes, now: float) -> None:
        if not data or self._ended or self.state in STOPPED:
            return
        if self._exchange.tunnel_open:
            self._emit_data(bytes(data))
            return
        if self.role is Role.SERVER and self._sniffed is not None and not self._sniff(data):
            return
        if self._sniffed:
            data, self._sniffed = self._sniffed, None
        if self.role is Role.SERVER:
            self._expect_head(now)
        elif not self._exchange.open:
            self._refuse(RemoteProtocolError("octets came that no request asked for"), now)
            return
        self._machine.receive_data(data)
        self._pump(now)

    def receive_eof(self, now: float) -> None:
        if self._ended or self.state is ConnectionState.CLOSED:
            return
        self._ended = True
        if self.state is ConnectionState.CLOSING:
            self._finish(CloseAction.CLOSE)
        elif self._exchange.tunnel_open:
            self._receive_tunnel_end(now)
        else:
            if self._sniffed:
                self._machine.receive_data(self._sniffed)
                self._sniffed = None
            self._machine.receive_data(b"")
            self._pump(now)

    def connection_lost(self, error: Exception | None, now: float) -> None:
        if self.state is ConnectionState.CLOSED:
            return
        if self.state is not ConnectionState.CLOSING:
            if self._exchange.open:
                lost = RemoteProtocolError("the connection was lost in the middle of an exchange")
                self._reset_exchange(ErrorCode.CANCEL, lost, Initiator.REMOTE)
                error = error or lost
            self._reason = CloseReason.LOST if error else CloseReason.PEER
            self._error = error
        self._out.clear()
        self._finish(CloseAction.ABORT)

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
        error = RemoteProtocolError("the peer takes nothing of what there is to send")
        self._error = error
        self._reset_exchange(ErrorCode.CANCEL, error, Initiator.LOCAL)
        self._out.clear()
        self._finish(CloseAction.ABORT)

    def _close_timed_out(self, now: float) -> None:
        self._finish(CloseAction.CLOSE)

    # -- what h11 reads ---------------------------------------------------------

    def _sniff(self, data: bytes) -> bool:
        """Tell whether ``data`` is for h11 (RFC 9113 section 3.3)."""
        seen = self._sniffed = (self._sniffed or b"") + data
        if seen.startswith(PREFACE):
            self._timers.clear()
            self._events.append(PriorKnowledge(seen))
            self.state = ConnectionState.CLOSED
            self.wants_read = False
            return False
        return not PREFACE.startswith(seen)

    def _pump(self, now: float) -> None:
        """Let h11 read what there is, and turn its events into ours."""
        try:
            while self.state not in STOPPED:
                event = self._machine.next_event()
                if event is h11.NEED_DATA or event is h11.PAUSED or self._exchange.tunnel_open:
                    break
                self.READERS[type(event)](self, event, now)
                if isinstance(event, h11.ConnectionClosed):  # h11 would repeat it for ever
                    break
                self._end_exchange(now)
        except h11.RemoteProtocolError as error:
            self._refuse(RemoteProtocolError(str(error), status_hint=error.error_status_hint), now)
        except RemoteProtocolError as error:
            self._refuse(error, now)
        if self.state not in STOPPED:
            self._behind = 0 if event is h11.NEED_DATA else len(self._machine.trailing_data[0])
            self._update_reading(now)

    def _read_request(self, event: h11.Request, now: float) -> None:
        exchange = self._exchange
        waits = self._machine.they_are_waiting_for_100_continue
        request = read_request(event, exchange.stream_id, self.config, waits)
        exchange.open = True
        exchange.method = request.method
        exchange.protocol = request.protocol
        exchange.http_version = request.http_version
        exchange.tunnel_offered = request.method == "CONNECT" or request.protocol is not None
        self._timers.stop(Timer.HEAD)
        self._timers.stop(Timer.KEEP_ALIVE)
        self._events.append(request)
        exchange.last = is_last(request)

    def _read_informational(self, event: h11.InformationalResponse, now: float) -> None:
        exchange = self._exchange
        headers = to_text(event.headers.raw_items())
        if event.status_code == 101:
            if not has_token(headers, "upgrade", exchange.protocol or ""):
                raise RemoteProtocolError("101 to a protocol that was not asked for")
            self._open_tunnel(headers, now)
            return
        if event.status_code == 100:
            self._release_content(now)
        self._events.append(InformationalResponse(exchange.stream_id, event.status_code, headers))

    def _read_response(self, event: h11.Response, now: float) -> None:
        exchange = self._exchange
        if not exchange.open:
            raise RemoteProtocolError("a response without a request")
        response = read_response(event, exchange.stream_id)
        if exchange.method == "CONNECT" and 200 <= response.status < 300:
            self._open_tunnel(response.headers, now)
            return
        exchange.tunnel_offered = False
        if is_last(response):
            self._drain()
        if exchange.waits_for_continue:
            self._abandon_content()
        self._events.append(response)

    def _read_data(self, event: h11.Data, now: float) -> None:
        exchange = self._exchange
        if not exchange.discards:
            self._emit_data(bytes(event.data))
            return
        exchange.discarded += len(event.data)
        if exchange.discarded > self.config.limits.max_drain:
            self._linger(now)

    def _read_end(self, event: h11.EndOfMessage, now: float) -> None:
        exchange = self._exchange
        trailers = to_text(event.headers.raw_items())
        exchange.received_end = True
        self._timers.stop(Timer.BODY)
        if not exchange.tunnel_offered and not exchange.discards:
            self._events.append(EndOfMessage(exchange.stream_id, trailers))

    def _read_closed(self, event: h11.ConnectionClosed, now: float) -> None:
        if not self._exchange.open:
            self._reason = CloseReason.PEER
            self._finish(CloseAction.CLOSE)
        elif self.role is Role.CLIENT and not self._exchange.received_end:
            raise RemoteProtocolError("the connection closed before a response came")
        else:  # the peer has said all and waits for the rest of our message
            self._exchange.last = True

    READERS: ClassVar[dict[type, Callable[..., None]]] = {
        h11.Request: _read_request,
        h11.InformationalResponse: _read_informational,
        h11.Response: _read_response,
        h11.Data: _read_data,
        h11.EndOfMessage: _read_end,
        h11.ConnectionClosed: _read_closed,
    }

    # -- commands: what h11 writes ------------------------------------------------

    def send(self, *events: Sendable, now: float) -> None:
        if self.state in STOPPED:
            raise LocalProtocolError("the connection is closed")
        machine, exchange = copy.deepcopy((self._machine, self._exchange))
        out = bytearray()
        try:
            for index, event in enumerate(events):
                self._check_stream(exchange, event)
                octets = WRITERS[type(event)](machine, exchange, event, events[index + 1 :])
                if exchange.waits_for_continue and not isinstance(event, Request):
                    exchange.held += octets
                elif not exchange.drops_content:
                    out += octets
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
            if ended or (accepted and exchange.sent_end):
                self._half_close(now)
        elif exchange.refuses_content and exchange.sent_end:
            self._linger(now)
        else:
            if declined:
                self._events.append(EndOfMessage(exchange.stream_id))
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
        if not exchange.tunnel_open:
            placeholder = Reserved(size)
            try:
                written = machine.send_with_data_passthrough(h11.Data(data=placeholder))
            except h11.LocalProtocolError as error:
                raise LocalProtocolError(str(error)) from error
            if written is None or written[0] is not placeholder:
                raise LocalProtocolError("the body has no known length")
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
            self._linger(now)

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

    @property
    def available_streams(self) -> int:
        idle = self.state is ConnectionState.OPEN and not self._exchange.open
        return int(idle and self.role is Role.CLIENT)

    @property
    def open_streams(self) -> int:
        return int(self._exchange.open)

    # -- the exchange ---------------------------------------------------------------

    def _emit_writable(self) -> None:
        if self._exchange.open and not self._exchange.sent_end and not self._full:
            self._events.append(Writable(self._exchange.stream_id))

    def _emit_data(self, data: bytes) -> None:
        self._unread += len(data)
        self._events.append(Data(self._exchange.stream_id, data, len(data)))
        self.wants_read = self._unread <= self.config.limits.read_high_water

    def _end_exchange(self, now: float) -> None:
        """Go on to the next exchange, or to the end, when both messages are complete."""
        exchange = self._exchange
        if not (exchange.open and exchange.sent_end and exchange.received_end):
            return
        self._exchange = Exchange(exchange.stream_id + 2)
        self._timers.stop(Timer.BODY)
        if self.role is Role.SERVER:
            if exchange.last or self._machine.our_state is not h11.DONE:
                self._linger(now)
                return
        elif exchange.last or self._machine.our_state is not h11.DONE:
            if self._reason is not CloseReason.LOCAL or self._ended:
                self._reason = CloseReason.PEER
            self._finish(CloseAction.CLOSE)
            return
        elif self._machine.trailing_data[0]:
            self._refuse(RemoteProtocolError("octets came that no request asked for"), now)
            return
        self._machine.start_next_cycle()
        self._set_timer(Timer.KEEP_ALIVE, self.config.timeouts.keep_alive, now)
        if self.role is Role.SERVER and self._machine.trailing_data[0]:
            self._expect_head(now)

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

    def _open_tunnel(self, headers: Headers, now: float) -> None:
        exchange = self._exchange
        exchange.tunnel_offered = exchange.received_end = exchange.sent_end = False
        exchange.tunnel_open = True
        self._events.append(Accept(exchange.stream_id, headers))
        self._receive_trailing_data(now)

    def _receive_trailing_data(self, now: float) -> None:
        """Hand over what came behind the switch."""
        data, ended = self._machine.trailing_data
        self._behind = 0
        self.wants_read = True
        if data:
            self._emit_data(data)
        if ended:
            self._receive_tunnel_end(now)

    def _receive_tunnel_end(self, now: float) -> None:
        exchange = self._exchange
        if not exchange.received_end:
            exchange.received_end = True
            self._events.append(EndOfMessage(exchange.stream_id))
            if exchange.sent_end:
                self._end_tunnel(CloseReason.PEER)

    def _half_close(self, now: float) -> None:
        if self._exchange.received_end:
            self._end_tunnel(CloseReason.LOCAL)
        else:
            self.wants_close = CloseAction.WRITE_EOF

    def _end_tunnel(self, reason: CloseReason) -> None:
        self._exchange.open = False
        self._reason = reason
        self._finish(CloseAction.CLOSE)

    def _reset_exchange(
        self, code: int, error: RemoteProtocolError | None, initiator: Initiator
    ) -> None:
        exchange = self._exchange
        if exchange.open and not exchange.discards:
            self._events.append(StreamReset(exchange.stream_id, code, initiator, False, error))
        exchange.open = False

    # -- the end of the connection -----------------------------------------------------

    def _drain(self) -> None:
        """The server takes no more requests (RFC 9112 section 9.6)."""
        self._exchange.last = True
        if self.state is ConnectionState.OPEN:
            self.state = ConnectionState.DRAINING
            self._reason = CloseReason.PEER
            self._events.append(Draining(self._exchange.stream_id))

    def _refuse(self, error: RemoteProtocolError, now: float) -> None:
        """Answer the peer's mistake if that is still possible, and end the connection."""
        if self._reason is not CloseReason.TIMEOUT:
            at_end = self._ended and self.role is Role.CLIENT
            self._reason = CloseReason.PEER if at_end else CloseReason.PROTOCOL_ERROR
        self._error = error
        self._reset_exchange(
            error.code, error, Initiator.REMOTE if self._ended else Initiator.LOCAL
        )
        if self.role is Role.CLIENT:
            self._finish(CloseAction.CLOSE)
            return
        if self._machine.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            silent = self._exchange.method == "HEAD"
            self._queue(write_refusal(self._machine, error, silent), now)
        self._linger(now)

    def _linger(self, now: float) -> None:
        """Close the own side and read on, so that the answer arrives (RFC 9112 9.6)."""
        self._exchange.open = False
        if self._ended:
            self._finish(CloseAction.CLOSE)
            return
        self.state = ConnectionState.CLOSING
        self.wants_close = CloseAction.WRITE_EOF
        self.wants_read = True
        self._timers.clear()
        self._timers.set(Timer.CLOSE, now + self.config.timeouts.close)

    def _finish(self, action: CloseAction) -> None:
        self._exchange.open = False
        super()._finish(action)

    # -- queues and timers ---------------------------------------------------------------

    def _queue(self, octets: bytes | bytearray, now: float) -> None:
        if not octets:
            return
        self._out += octets
        if len(self._out) >= self.config.limits.write_high_water:
            self._full = True
        self._expect_progress(now)

    def _update_reading(self, now: float) -> None:
        """Say whether more octets are wanted, and time the body while they are."""
        limits = self.config.limits
        machine = self._machine
        self.wants_read = (
            self._unread <= limits.read_high_water and self._behind < limits.max_pipelined
        )
        in_body = machine.their_state is h11.SEND_BODY
        if in_body and self.wants_read and not machine.they_are_waiting_for_100_continue:
            self._set_timer(Timer.BODY, self.config.timeouts.body, now)
        else:
            self._timers.stop(Timer.BODY)

    def _expect_head(self, now: float) -> None:
        """The first octets of a request came, or are already here."""
        if self._exchange.open:
            return
        self._timers.stop(Timer.KEEP_ALIVE)
        if self._timers.deadline(Timer.HEAD) is None:
            self._set_timer(Timer.HEAD, self.config.timeouts.head, now)

    TIMEOUTS: ClassVar[dict[Timer, Callable[[ReferenceHTTP1Connection, float], None]]] = {
        Timer.HEAD: _head_timed_out,
        Timer.BODY: _head_timed_out,
        Timer.KEEP_ALIVE: _idle_timed_out,
        Timer.CONTINUE: _release_content,
        Timer.CLOSE: _close_timed_out,
        Timer.WRITE: _write_timed_out,
    }
