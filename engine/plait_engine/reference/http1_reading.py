"""How the reference's HTTP/1.1 engine reads, and how exchanges and the connection end.

One function for each event of h11.  h11 reads on only while the peer's message is not
complete: what comes behind it belongs to the next exchange, or to the tunnel.

Rules: RFC 9112 sections 6 to 9; RFC 9110 section 7.8.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import h11

from plait_engine.config import Config
from plait_engine.connection import CloseAction, ConnectionState, Role
from plait_engine.errors import ErrorCode, RemoteProtocolError
from plait_engine.events import (
    Accept,
    CloseReason,
    Data,
    Draining,
    EndOfMessage,
    InformationalResponse,
    Initiator,
    PriorKnowledge,
    StreamReset,
    StreamsAvailable,
)
from plait_engine.headers import Headers, quote
from plait_engine.http1.grammar import STATUS_LINE_START, match_status_line_start
from plait_engine.preface import PREFACE
from plait_engine.semantics.fields import named_upgrades, offered_upgrades
from plait_engine.timers import Timer

from .base import STOPPED, ReferenceConnection
from .fields import to_text
from .http1_heads import read_reason, read_request, read_response
from .http1_writing import Exchange, write_refusal


class ReadingConnection(ReferenceConnection):
    """The receiving half of ``ReferenceHTTP1Connection``."""

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

    # -- inputs ----------------------------------------------------------------

    def receive_data(self, data: bytes | memoryview, now: float) -> None:
        if type(data) is not bytes:
            data = bytes(data)
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
        else:
            error = self._explain_start(data)
            if error is not None:
                self._refuse(error, now)
                return
        self._machine.receive_data(data)
        self._pump(now)

    def _explain_start(self, data: bytes) -> RemoteProtocolError | None:
        """Return what is wrong if ``data`` cannot be part of a response, whatever follows.

        h11 looks at a response head when all of it has come.
        """
        if not self._exchange.open:
            return RemoteProtocolError(f"bytes came that no request asked for: {quote(data)}")
        start = self._machine.trailing_data[0] + data
        if self._machine.their_state is h11.SEND_RESPONSE and not match_status_line_start(
            start[:STATUS_LINE_START]
        ):
            return RemoteProtocolError(f"not a status line of HTTP/1.1: {quote(start)}")
        return None

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
            exchange = self._exchange
            if exchange.received_end and not self._machine.trailing_data[0]:
                exchange.last = True  # nothing can follow
                if self.role is Role.CLIENT and not exchange.sent_end:
                    self._stop_request()
                    return
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

    # -- what h11 reads --------------------------------------------------------

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
            while self._reads_on():
                event = self._machine.next_event()
                if event is h11.NEED_DATA or event is h11.PAUSED:
                    break
                self.READERS[type(event)](self, event, now)
                self._end_exchange(now)
        except h11.RemoteProtocolError as error:
            error.__traceback__ = None  # Its frames hold the error: a cycle with this connection.
            self._refuse(RemoteProtocolError(str(error), status_hint=error.error_status_hint), now)
        except RemoteProtocolError as error:
            self._refuse(error.without_frames(), now)
        if self.state not in STOPPED:
            self._behind = len(self._machine.trailing_data[0]) if self._exchange.received_end else 0
            self._update_reading(now)

    def _reads_on(self) -> bool:
        """Tell whether h11 may read on: not behind the message of an open exchange."""
        exchange = self._exchange
        return self.state not in STOPPED and not (
            exchange.open and (exchange.received_end or exchange.tunnel_open)
        )

    def _read_request(self, event: h11.Request, now: float) -> None:
        exchange = self._exchange
        waits = self._machine.they_are_waiting_for_100_continue
        request = read_request(event, exchange.stream_id, self.config, waits)
        exchange.open = True
        exchange.method = request.method
        exchange.protocol = request.protocol
        exchange.http_version = request.http_version
        exchange.tunnel_offered = request.method == "CONNECT" or request.protocol is not None
        if request.method != "CONNECT" and request.http_version != "1.0":
            exchange.upgrades = offered_upgrades(request.headers)
        self._timers.stop(Timer.HEAD)
        self._timers.stop(Timer.KEEP_ALIVE)
        self._events.append(request)
        exchange.last = not request.keep_alive

    def _read_informational(self, event: h11.InformationalResponse, now: float) -> None:
        exchange = self._exchange
        read_reason(event)  # for its checks: nobody reads the phrase of a 1xx
        headers = to_text(event.headers.raw_items())
        if event.status_code == 101:
            self._read_switch(headers, now)
            return
        if event.status_code == 100:
            self._release_content(now)
        self._events.append(InformationalResponse(exchange.stream_id, event.status_code, headers))

    def _read_switch(self, headers: Headers, now: float) -> None:
        """RFC 9110 section 7.8: only to what was asked for, and behind the end of the request."""
        exchange = self._exchange
        asked = {exchange.protocol} if exchange.protocol else exchange.upgrades
        protocols = named_upgrades(headers)
        if not protocols or not asked.issuperset(protocols):
            raise RemoteProtocolError("101 to a protocol that was not asked for")
        if not exchange.sent_end or exchange.waits_for_continue:
            raise RemoteProtocolError("101 before the end of the request")
        if exchange.discards:
            self._reason = CloseReason.LOCAL
            self._finish(CloseAction.CLOSE)
        else:
            self._open_tunnel(headers, now)

    def _read_response(self, event: h11.Response, now: float) -> None:
        exchange = self._exchange
        response = read_response(event, exchange.stream_id, exchange.method)
        if exchange.method == "CONNECT" and 200 <= response.status < 300:
            self._open_tunnel(response.headers, now)
            return
        exchange.tunnel_offered = False
        if response.close:
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
        if exchange.server_leaves and not exchange.sent_end:
            self._stop_request()

    def _stop_request(self) -> None:
        """The response is complete, and no more of the request is read.

        As on HTTP/2 (RFC 9113 section 8.1) the application hears NO_ERROR.
        """
        self._reset_exchange(ErrorCode.NO_ERROR, None, Initiator.REMOTE)
        self._reason = CloseReason.PEER
        self._finish(CloseAction.CLOSE)

    def _read_closed(self, event: h11.ConnectionClosed, now: float) -> None:
        self._reason = CloseReason.PEER
        self._finish(CloseAction.CLOSE)

    READERS: ClassVar[dict[type, Callable[..., None]]] = {
        h11.Request: _read_request,
        h11.InformationalResponse: _read_informational,
        h11.Response: _read_response,
        h11.Data: _read_data,
        h11.EndOfMessage: _read_end,
        h11.ConnectionClosed: _read_closed,
    }

    def _emit_data(self, data: bytes) -> None:
        self._unread += len(data)
        self._events.append(Data(self._exchange.stream_id, data, len(data)))
        self.wants_read = self._unread <= self.config.limits.read_high_water

    def _update_reading(self, now: float) -> None:
        """Say whether more bytes are wanted, and time the body while they are."""
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
        """The first bytes of a request came, or are already here."""
        if self._exchange.open:
            return
        self._timers.stop(Timer.KEEP_ALIVE)
        if self._timers.deadline(Timer.HEAD) is None:
            self._set_timer(Timer.HEAD, self.config.timeouts.head, now)

    # -- the end of an exchange ------------------------------------------------

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
            rest = self._machine.trailing_data[0]
            error = RemoteProtocolError(f"bytes came that no request asked for: {quote(rest)}")
            self._refuse(error, now)
            return
        self._machine.start_next_cycle()
        self._set_timer(Timer.KEEP_ALIVE, self.config.timeouts.keep_alive, now)
        if self.role is Role.CLIENT:
            self._events.append(StreamsAvailable())
        if self.role is Role.SERVER and self._machine.trailing_data[0]:
            self._expect_head(now)

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
        exchange.received_end = True
        self._events.append(EndOfMessage(exchange.stream_id))
        if exchange.sent_end:
            self._end_tunnel(CloseReason.PEER)

    def _end_tunnel(self, reason: CloseReason) -> None:
        self._exchange.open = False
        self._reason = reason
        self._finish(CloseAction.CLOSE)

    # -- the end of the connection ---------------------------------------------

    def _reset_exchange(
        self, code: int, error: RemoteProtocolError | None, initiator: Initiator
    ) -> None:
        exchange = self._exchange
        if exchange.open and not exchange.discards:
            self._events.append(StreamReset(exchange.stream_id, code, initiator, False, error))
        exchange.open = False

    def _drain(self) -> None:
        """The server takes no more requests (RFC 9112 section 9.6)."""
        self._exchange.last = self._exchange.server_leaves = True
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

    # -- what the writing half does ------------------------------------------------

    def _queue(self, data: bytes | bytearray, now: float) -> None:
        """Put bytes into the output."""
        raise NotImplementedError  # pragma: no cover: the class that writes has it

    def _release_content(self, now: float) -> None:
        """Send the content that this client held back."""
        raise NotImplementedError  # pragma: no cover: the class that writes has it

    def _abandon_content(self) -> None:
        """The final response is here: the held content is not wanted any more."""
        raise NotImplementedError  # pragma: no cover: the class that writes has it
