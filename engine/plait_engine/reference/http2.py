"""HTTP/2 of the reference engine: h2 behind the contract of ``Connection``.

Strategy
--------
h2 encodes, decodes and keeps the state of streams; ``http2_machine`` steps around what it does
wrong.  This class keeps what h2 leaves to its user: a send queue, timers, the drain, and
the answer to what is wrong with one stream.

*Commands are atomic*: every event is checked against a copy of the stream's facts before
the first one reaches h2.

Limits: h2 has none of the guards against floods, and treats a malformed message as a
connection error, which RFC 9113 section 5.4.2 allows.  Priorities are ignored.

Rules: RFC 9113; RFC 8441.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import ClassVar

import h2.events
import h2.exceptions

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
    PingAcknowledged,
    Request,
    Response,
    Sendable,
    SettingsChanged,
    StreamReset,
    Writable,
)
from plait_engine.timers import Timer

from .base import STOPPED, ReferenceConnection
from .http2_machine import MAX_STREAM_ID, GoAway, Machine
from .http2_messages import malformed, read_request, read_response, read_trailers
from .http2_streams import WRITERS, Stream

DRAIN_PING = b"draining"


class ReferenceHTTP2Connection(ReferenceConnection):
    """An HTTP/2 connection, either role, over ``h2.connection.H2Connection``."""

    __slots__ = (
        "_h2",
        "_last_accepted",
        "_machine",
        "_pings",
        "_streams",
    )

    protocol = "h2"

    def __init__(self, role: Role, config: Config) -> None:
        super().__init__(role, config)
        self._machine = Machine(role, config)
        self._h2 = self._machine.h2
        self._streams: dict[int, Stream] = {}
        self._pings: dict[bytes, float] = {}
        self._last_accepted = MAX_STREAM_ID

    # -- inputs ---------------------------------------------------------------

    def connection_made(self, now: float) -> None:
        timeouts = self.config.timeouts
        self._machine.start(self.config)
        self._timers.set(Timer.SETTINGS, now + timeouts.settings)
        self._set_timer(Timer.HEAD, timeouts.head, now)
        self._set_timer(Timer.KEEP_ALIVE, timeouts.keep_alive, now)
        self._update(now)

    def receive_data(self, data: bytes, now: float) -> None:
        if self.state in STOPPED:
            return
        self._timers.stop(Timer.PONG)
        try:
            for event in self._machine.receive(data):
                reader = self.READERS.get(type(event))
                if reader is not None:
                    reader(self, event, now)
        except RemoteProtocolError as error:
            self._fail(error)
        if self._machine.settings_seen:
            self._timers.stop(Timer.HEAD)
        self._update(now)

    def receive_eof(self, now: float) -> None:
        self._lose(CloseReason.PEER, None, CloseAction.CLOSE)

    def connection_lost(self, error: Exception | None, now: float) -> None:
        self._lose(CloseReason.LOST if error else CloseReason.PEER, error, CloseAction.ABORT)

    def handle_timeout(self, now: float) -> None:
        super().handle_timeout(now)
        self._update(now)

    # -- what h2 reads ----------------------------------------------------------

    def _read_request(self, event: h2.events.RequestReceived, now: float) -> None:
        stream_id = event.stream_id
        limit = self.config.limits.max_concurrent_streams
        if len(self._streams) >= limit or stream_id > self._last_accepted:
            self._reset_h2(stream_id, ErrorCode.REFUSED_STREAM)
            return
        ended = event.stream_ended is not None
        try:
            request = read_request(event.headers, stream_id, ended, self.config)
        except RemoteProtocolError as error:
            self._reset_h2(stream_id, error.code)
            return
        if request.protocol is not None and request.protocol not in self.config.upgrade_protocols:
            self._h2.send_headers(stream_id, [(b":status", b"501")], end_stream=True)
            self._reset_h2(stream_id, ErrorCode.NO_ERROR)
            return
        stream = self._streams[stream_id] = Stream(
            stream_id, is_client=False, method=request.method
        )
        stream.tunnel_offered = request.method == "CONNECT"
        self._events.append(request)

    def _read_informational(
        self, event: h2.events.InformationalResponseReceived, now: float
    ) -> None:
        stream = self._streams.get(event.stream_id)
        if stream is None:
            return
        response = self._parse(stream, lambda: read_response(event.headers, stream.stream_id))
        if response is None:
            return
        if response.status == 101:  # RFC 9113 section 8.6
            self._reset(stream, malformed("101 in HTTP/2"))
            return
        if response.status == 100:
            stream.waits_for_continue = False
        self._events.append(
            InformationalResponse(stream.stream_id, response.status, response.headers)
        )

    def _read_response(self, event: h2.events.ResponseReceived, now: float) -> None:
        stream = self._streams.get(event.stream_id)
        if stream is None:
            return
        response = self._parse(stream, lambda: read_response(event.headers, stream.stream_id))
        if response is None:
            return
        if stream.tunnel_offered and 200 <= response.status < 300:
            stream.tunnel_offered, stream.tunnel_open = False, True
            self._events.append(Accept(stream.stream_id, response.headers))
            return
        if stream.tunnel_offered:  # declined: the request is over
            stream.tunnel_offered = False
            stream.sent_end = True
        if stream.waits_for_continue:  # the content is not wanted (RFC 9110 section 10.1.1)
            stream.waits_for_continue = False
            stream.drop_queue()
            stream.sent_end = True
        self._events.append(response)

    def _parse(self, stream: Stream, parse: Callable[[], Response]) -> Response | None:
        try:
            return parse()
        except RemoteProtocolError as error:
            self._reset(stream, error)
            return None

    def _read_data(self, event: h2.events.DataReceived, now: float) -> None:
        stream = self._streams.get(event.stream_id)
        if stream is None:
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif event.data:
            self._events.append(Data(event.stream_id, event.data, event.flow_controlled_length))
        else:
            self.acknowledge(event.stream_id, event.flow_controlled_length, now)

    def _read_trailers(self, event: h2.events.TrailersReceived, now: float) -> None:
        stream = self._streams.get(event.stream_id)
        if stream is None:
            return
        try:
            trailers = read_trailers(event.headers)
        except RemoteProtocolError as error:
            self._reset(stream, error)
            return
        stream.received_end = True
        self._events.append(EndOfMessage(event.stream_id, trailers))

    def _read_end(self, event: h2.events.StreamEnded, now: float) -> None:
        stream = self._streams.get(event.stream_id)
        if stream is None:
            return
        if not stream.received_end and not (stream.tunnel_offered and self.role is Role.SERVER):
            self._events.append(EndOfMessage(event.stream_id))
        stream.received_end = True
        self._release(stream)

    def _read_reset(self, event: h2.events.StreamReset, now: float) -> None:
        stream = self._streams.pop(event.stream_id, None)
        if stream is None:
            return
        code = int(event.error_code)
        remote = bool(event.remote_reset)
        self._events.append(
            StreamReset(
                event.stream_id,
                code,
                Initiator.REMOTE if remote else Initiator.LOCAL,
                remote and code == ErrorCode.REFUSED_STREAM,  # RFC 9113 section 8.7
                None if remote else malformed("a frame on a stream that had ended"),
            )
        )

    def _read_settings(self, event: h2.events.RemoteSettingsChanged, now: float) -> None:
        changed = {int(code): change.new_value for code, change in event.changed_settings.items()}
        self._events.append(SettingsChanged(changed))

    def _read_settings_ack(self, event: h2.events.SettingsAcknowledged, now: float) -> None:
        self._timers.stop(Timer.SETTINGS)

    def _read_pong(self, event: h2.events.PingAckReceived, now: float) -> None:
        sent = self._pings.pop(event.ping_data, None)
        if sent is None:
            return
        if event.ping_data == DRAIN_PING:
            self._finish_drain()
        else:
            self._events.append(PingAcknowledged(event.ping_data, now - sent))

    def _read_goaway(self, event: GoAway, now: float) -> None:
        if self.state is ConnectionState.OPEN:
            self.state = ConnectionState.DRAINING
            self._reason = CloseReason.PEER
        self._events.append(Draining(event.last_stream_id, event.code, event.debug_data))
        if self.role is Role.SERVER:
            return
        for stream_id in list(self._streams):
            if stream_id > event.last_stream_id:  # RFC 9113 section 6.8: not processed
                del self._streams[stream_id]
                self._events.append(
                    StreamReset(
                        stream_id, ErrorCode.REFUSED_STREAM, Initiator.REMOTE, retryable=True
                    )
                )

    READERS: ClassVar[dict[type, Callable[..., None]]] = {
        GoAway: _read_goaway,
        h2.events.RequestReceived: _read_request,
        h2.events.InformationalResponseReceived: _read_informational,
        h2.events.ResponseReceived: _read_response,
        h2.events.DataReceived: _read_data,
        h2.events.TrailersReceived: _read_trailers,
        h2.events.StreamEnded: _read_end,
        h2.events.StreamReset: _read_reset,
        h2.events.RemoteSettingsChanged: _read_settings,
        h2.events.SettingsAcknowledged: _read_settings_ack,
        h2.events.PingAckReceived: _read_pong,
    }

    # -- commands ---------------------------------------------------------------

    def send(self, *events: Sendable, now: float) -> None:
        if not events:
            return
        if self.state in STOPPED:
            raise LocalProtocolError("the connection is closed")
        stream_id = events[0].stream_id
        stream = self._stream_for(events[0])
        for event in events:
            if event.stream_id != stream_id:
                raise LocalProtocolError("a command is for one stream")
            WRITERS[type(event)](stream, event)
        self._commit(stream, now)

    def _stream_for(self, event: Sendable) -> Stream:
        """Return a copy of the stream that a command is for."""
        if not isinstance(event, Request):
            if event.stream_id not in self._streams:
                raise LocalProtocolError(f"stream {event.stream_id} is not open")
            return self._streams[event.stream_id].copy()
        if event.stream_id != self.next_stream_id():
            raise LocalProtocolError(f"{event.stream_id} is not the next stream id")
        if event.protocol is not None and not self._h2.remote_settings.enable_connect_protocol:
            raise LocalProtocolError("the server did not announce extended CONNECT")  # RFC 8441
        return Stream(event.stream_id, is_client=True)

    def _commit(self, stream: Stream, now: float) -> None:
        """Every event of a command was taken: make it so."""
        before = self._streams.get(stream.stream_id)
        declined = before is not None and before.tunnel_offered and not stream.tunnel_offered
        self._streams[stream.stream_id] = stream
        if stream.waits_for_continue and not stream.continue_deadline:
            stream.continue_deadline = now + self.config.timeouts.expect_continue
        self._write_blocks(stream)
        if stream.queued >= self.config.limits.write_high_water:
            stream.full = True
        if declined and not stream.tunnel_open:
            # The request is over, whatever the client still sends.
            self._events.append(EndOfMessage(stream.stream_id))
            if not stream.received_end:
                stream.received_end = True
                stream.reset_code = ErrorCode.NO_ERROR
        elif declined and stream.received_end:
            self._events.append(EndOfMessage(stream.stream_id))
        self._release(stream)
        self._update(now)

    def _write_blocks(self, stream: Stream) -> None:
        ends = stream.sent_end and not stream.queue and not stream.trailers
        while stream.blocks:
            block = stream.blocks.pop(0)
            stream.flushed = ends and not stream.blocks
            self._h2.send_headers(stream.stream_id, block, end_stream=stream.flushed)

    def acknowledge(self, stream_id: int, credit: int, now: float) -> None:
        if credit <= 0 or self.state in STOPPED:
            return
        try:
            self._h2.acknowledge_received_data(credit, stream_id)
        except h2.exceptions.NoSuchStreamError:
            return
        self._update(now)

    def ping(self, payload: bytes, now: float) -> None:
        if len(payload) != 8:
            raise LocalProtocolError("the payload of PING has 8 octets")
        if self.state in STOPPED:
            raise LocalProtocolError("the connection is closed")
        self._pings[payload] = now
        self._h2.ping(payload)
        self._update(now)

    def close(self, code: int | None = None, *, now: float) -> None:
        if self.state in STOPPED:
            return
        self._reason = CloseReason.LOCAL
        if code is not None:
            self._machine.write_goaway(self._h2.highest_inbound_stream_id, code)
            for stream_id in self._streams:
                self._events.append(StreamReset(stream_id, code, Initiator.LOCAL))
            self._finish(CloseAction.CLOSE)
        elif self.state is ConnectionState.OPEN:
            self.state = ConnectionState.DRAINING
            if self.role is Role.CLIENT:
                self._machine.write_goaway(0, ErrorCode.NO_ERROR)
            else:  # RFC 9113 section 6.8: warn, and say the last stream a round trip later
                self._machine.write_goaway(MAX_STREAM_ID, ErrorCode.NO_ERROR)
                self._pings[DRAIN_PING] = now
                self._h2.ping(DRAIN_PING)
                self._timers.set(Timer.CLOSE, now + self.config.timeouts.close)
            self._update(now)

    def _finish_drain(self) -> None:
        self._timers.stop(Timer.CLOSE)
        self._pings.pop(DRAIN_PING, None)
        self._last_accepted = self._h2.highest_inbound_stream_id
        self._machine.write_goaway(self._last_accepted, ErrorCode.NO_ERROR)

    def next_stream_id(self) -> int:
        if not self.available_streams:
            raise LocalProtocolError("no request can be sent now")
        return self._h2.get_next_available_stream_id()

    # -- outputs and getters ------------------------------------------------------

    def data_to_send(self) -> bytes:
        quantum = self.config.limits.write_quantum
        self._flush(quantum)
        data = self._machine.take(quantum)
        if data:
            self._progress = True
        if not self._wants_to_send():
            self._timers.stop(Timer.WRITE)
        self._end_drained()
        return data

    def _flush(self, budget: int) -> None:
        """Frame what the windows and ``budget`` allow, one frame of each stream in turn."""
        if self.state in STOPPED:
            return
        moved = True
        while moved and budget > 0:
            moved = False
            for stream in list(self._streams.values()):
                if stream.queue and budget > 0 and not stream.waits_for_continue:
                    sent = self._flush_frame(stream)
                    budget -= sent
                    moved = moved or sent > 0
        for stream in list(self._streams.values()):
            self._release(stream)

    def _flush_frame(self, stream: Stream) -> int:
        machine = self._h2
        window = machine.local_flow_control_window(stream.stream_id)
        size = min(window, machine.max_outbound_frame_size)
        if size <= 0:
            return 0
        piece = stream.queue.popleft()
        if len(piece) > size:
            stream.queue.appendleft(piece[size:])
            piece = piece[:size]
        stream.queued -= len(piece)
        stream.flushed = stream.sent_end and not stream.queue and not stream.trailers
        machine.send_data(stream.stream_id, piece, end_stream=stream.flushed)
        if stream.full and stream.queued <= self.config.limits.write_low_water:
            stream.full = False
            if not stream.sent_end:
                self._events.append(Writable(stream.stream_id))
        return len(piece)

    def _release(self, stream: Stream) -> None:
        """End the own side when everything is sent, and forget the stream when it is over."""
        machine = self._h2
        if stream.stream_id not in self._streams:
            return
        if stream.sent_end and not stream.queue and not stream.flushed:
            stream.flushed = True
            if stream.trailers:
                machine.send_headers(stream.stream_id, stream.trailers, end_stream=True)
            else:
                machine.end_stream(stream.stream_id)
        if stream.reset_code is not None and not stream.queue:
            if not (stream.flushed and stream.received_end and stream.reset_code == 0):
                self._reset_h2(stream.stream_id, stream.reset_code)
            del self._streams[stream.stream_id]
        elif stream.flushed and stream.received_end:
            del self._streams[stream.stream_id]

    def send_capacity(self, stream_id: int) -> int:
        stream = self._streams.get(stream_id)
        if stream is None or stream.sent_end:
            return 0
        return self.config.limits.write_high_water - stream.queued

    @property
    def available_streams(self) -> int:
        if self.role is Role.SERVER or self.state is not ConnectionState.OPEN:
            return 0
        machine = self._h2
        left = machine.remote_settings.max_concurrent_streams - machine.open_outbound_streams
        ids = (MAX_STREAM_ID - machine.highest_outbound_stream_id) // 2
        return max(0, min(left, ids))

    @property
    def open_streams(self) -> int:
        return len(self._streams)

    # -- the end of a stream and of the connection -----------------------------------------

    def _reset(self, stream: Stream, error: RemoteProtocolError) -> None:
        """End a stream because of what the peer sent on it."""
        del self._streams[stream.stream_id]
        self._reset_h2(stream.stream_id, error.code)
        self._events.append(
            StreamReset(stream.stream_id, error.code, Initiator.LOCAL, False, error)
        )

    def _reset_h2(self, stream_id: int, code: int) -> None:
        with contextlib.suppress(h2.exceptions.StreamClosedError):
            self._h2.reset_stream(stream_id, code)

    def _fail(self, error: RemoteProtocolError) -> None:
        """End the connection because of what the peer sent; GOAWAY is written already."""
        self._reason = CloseReason.PROTOCOL_ERROR
        self._error = error
        self._reset_all(error.code, error)
        self._finish(CloseAction.CLOSE)

    def _lose(self, reason: CloseReason, error: Exception | None, action: CloseAction) -> None:
        if self.state is ConnectionState.CLOSED:
            return
        self._reason = reason
        self._error = error
        self._reset_all(ErrorCode.CANCEL, None)
        self._finish(action)

    def _reset_all(self, code: int, error: RemoteProtocolError | None) -> None:
        for stream_id in self._streams:
            self._events.append(StreamReset(stream_id, code, Initiator.REMOTE, False, error))

    def _finish(self, action: CloseAction) -> None:
        self._streams.clear()
        super()._finish(action)

    def _end_drained(self) -> None:
        """End a draining connection when its last stream is over."""
        draining = self.state is ConnectionState.DRAINING and DRAIN_PING not in self._pings
        if draining and not self._streams:
            self._finish(CloseAction.CLOSE)

    # -- timers ---------------------------------------------------------------------------

    def _update(self, now: float) -> None:
        """Bring the timers in line with what is open and queued."""
        self._end_drained()
        if self.state in STOPPED:
            return
        timers, timeouts = self._timers, self.config.timeouts
        if self._streams:
            timers.stop(Timer.KEEP_ALIVE)
            self._set_timer(Timer.PING, timeouts.ping_interval, now)
        else:
            timers.stop(Timer.PING)
            if timers.deadline(Timer.KEEP_ALIVE) is None:
                self._set_timer(Timer.KEEP_ALIVE, timeouts.keep_alive, now)
        waiting = [
            stream.continue_deadline
            for stream in self._streams.values()
            if stream.waits_for_continue
        ]
        if waiting:
            timers.set(Timer.CONTINUE, min(waiting))
        else:
            timers.stop(Timer.CONTINUE)
        if self._wants_to_send():
            self._expect_progress(now)

    def _wants_to_send(self) -> bool:
        return bool(self._machine.collect()) or any(
            stream.queue and not stream.waits_for_continue for stream in self._streams.values()
        )

    def _settings_timed_out(self, now: float) -> None:
        self._time_out(ErrorCode.SETTINGS_TIMEOUT, "SETTINGS was not acknowledged")

    def _head_timed_out(self, now: float) -> None:
        self._time_out(ErrorCode.PROTOCOL_ERROR, "no SETTINGS came")

    def _pong_timed_out(self, now: float) -> None:
        self._time_out(ErrorCode.NO_ERROR, "PING was not answered")

    def _write_timed_out(self, now: float) -> None:
        if not self._progress:
            self._time_out(ErrorCode.NO_ERROR, "the peer takes nothing of what there is to send")

    def _time_out(self, code: int, message: str) -> None:
        error = RemoteProtocolError(message, status_hint=408, code=code)
        self._machine.write_goaway(self._h2.highest_inbound_stream_id, code)
        self._reason = CloseReason.TIMEOUT
        self._error = error
        self._reset_all(ErrorCode.CANCEL, error)
        self._finish(CloseAction.CLOSE)

    def _idle_timed_out(self, now: float) -> None:
        self._reason = CloseReason.KEEP_ALIVE
        self._machine.write_goaway(self._h2.highest_inbound_stream_id, ErrorCode.NO_ERROR)
        self._finish(CloseAction.CLOSE)

    def _continue_timed_out(self, now: float) -> None:
        for stream in self._streams.values():
            if stream.continue_deadline <= now:
                stream.waits_for_continue = False

    def _ping_timed_out(self, now: float) -> None:
        payload = self.config.random(8)
        self._pings[payload] = now
        self._h2.ping(payload)
        self._timers.set(Timer.PONG, now + self.config.timeouts.pong)

    def _close_timed_out(self, now: float) -> None:
        self._finish_drain()

    TIMEOUTS: ClassVar[dict[Timer, Callable[[ReferenceHTTP2Connection, float], None]]] = {
        Timer.SETTINGS: _settings_timed_out,
        Timer.HEAD: _head_timed_out,
        Timer.PONG: _pong_timed_out,
        Timer.WRITE: _write_timed_out,
        Timer.KEEP_ALIVE: _idle_timed_out,
        Timer.CONTINUE: _continue_timed_out,
        Timer.PING: _ping_timed_out,
        Timer.CLOSE: _close_timed_out,
    }
