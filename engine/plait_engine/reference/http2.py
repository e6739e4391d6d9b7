"""HTTP/2 of the reference engine: h2 behind the contract of ``Connection``.

Strategy
--------
h2 encodes, decodes and keeps the state of streams; ``http2_machine`` steps around what it
does wrong, ``http2_reading`` turns its events into ours.  This class keeps what h2 leaves
to its user: a send queue, timers, the drain, and the answer to what is wrong with one
stream.

*Commands are atomic*: every event is checked against a copy of the stream's facts before
the first one reaches h2.

Limits: h2 has none of the guards against floods, and treats a malformed message as a
connection error, which RFC 9113 section 5.4.1 allows.  Priorities are ignored.

Rules: RFC 9113; RFC 8441.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

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
    StreamsAvailable,
    Writable,
)
from plait_engine.timers import Timer

from .base import STOPPED
from .http2_machine import MAX_STREAM_ID
from .http2_messages import stream_error
from .http2_reading import DRAIN_PING, PARTING_PING, ReadingConnection
from .http2_streams import WRITERS, Stream

ASSUMED_STREAMS = 100
"""How many streams a server takes that has not said it yet (RFC 9113 section 6.5.2)."""


class ReferenceHTTP2Connection(ReadingConnection):
    """An HTTP/2 connection, either role, over ``h2.connection.H2Connection``."""

    __slots__ = ()

    def connection_made(self, now: float) -> None:
        timeouts = self.config.timeouts
        self._received_at = now
        self._machine.start(self.config)
        self._timers.set(Timer.SETTINGS, now + timeouts.settings)
        self._set_timer(Timer.HEAD, timeouts.head, now)
        keep_alive = timeouts.keep_alive
        if keep_alive is not None and self.role is Role.SERVER:
            # However short it is, the first request gets the time that a head has.
            keep_alive = max(keep_alive, timeouts.head or 0.0)
        self._set_timer(Timer.KEEP_ALIVE, keep_alive, now)
        self._update(now)

    def handle_timeout(self, now: float) -> None:
        super().handle_timeout(now)
        self._update(now)

    # -- commands ---------------------------------------------------------------

    def send(self, *events: Sendable, now: float) -> None:
        if not events:
            return
        stream_id = events[0].stream_id
        if isinstance(events[0], StreamReset) and stream_id not in self._streams:
            self._give_back(stream_id)
            self._update(now)
            return
        if self.state in STOPPED:
            raise LocalProtocolError("the connection is closed")
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
        if declined and stream.tunnel_open:
            self._begin_tunnel(stream)
        elif declined:
            self._end_declined(stream)
        self._release(stream)
        if before is None:
            self._probe(now)
        self._update(now)

    def _probe(self, now: float) -> None:
        """A request begins: ask whether the peer is still there, if it was silent for long."""
        probe = self.config.timeouts.probe
        is_asked = self._timers.deadline(Timer.PONG) is not None
        if probe is not None and now - self._received_at >= probe and not is_asked:
            self._ping_timed_out(now)

    def _begin_tunnel(self, stream: Stream) -> None:
        """The server accepted: hand over what came before."""
        for data, credit in stream.held:
            self._events.append(Data(stream.stream_id, data, credit))
        stream.held = []
        if stream.received_end:
            self._events.append(EndOfMessage(stream.stream_id))

    def _end_declined(self, stream: Stream) -> None:
        """The server declined: the request is over, whatever the client still sends."""
        self._events.append(EndOfMessage(stream.stream_id))
        self._give_back(stream.stream_id)
        stream.held = []
        if not stream.received_end:
            stream.received_end = True
            stream.reset_code = ErrorCode.NO_ERROR

    def _write_blocks(self, stream: Stream) -> None:
        ends = stream.sent_end and not stream.queue and not stream.trailers
        while stream.blocks:
            block = stream.blocks.pop(0)
            stream.flushed = ends and not stream.blocks
            self._h2.send_headers(stream.stream_id, block, end_stream=stream.flushed)

    def acknowledge(self, stream_id: int, credit: int, now: float) -> None:
        if self.state in STOPPED:
            return
        if credit < 0:
            raise LocalProtocolError(f"{credit} bytes acknowledged")
        unread = self._unread.get(stream_id)
        if unread is None:
            return  # it was reset, and all was given back then
        if credit > unread:
            raise LocalProtocolError(f"{credit} bytes acknowledged, which were not received")
        if credit < unread:
            self._unread[stream_id] = unread - credit
        else:
            del self._unread[stream_id]
        self._h2.acknowledge_received_data(credit, stream_id)
        self._update(now)

    def ping(self, payload: bytes, now: float) -> None:
        if len(payload) != 8:
            raise LocalProtocolError("the payload of PING has 8 bytes")
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
            self._reset_all(code, Initiator.LOCAL, None)
            self._finish(CloseAction.CLOSE)
        elif self.state is ConnectionState.OPEN:
            self._leave(now)
            self._update(now)

    def _leave(self, now: float) -> None:
        """Take no more streams, and end when those that are open have ended."""
        self.state = ConnectionState.DRAINING
        if self.role is Role.CLIENT:
            self._machine.write_goaway(0, ErrorCode.NO_ERROR)
        else:  # RFC 9113 section 6.8: warn, and say the last stream a round trip later
            self._machine.write_goaway(MAX_STREAM_ID, ErrorCode.NO_ERROR)
            self._pings[DRAIN_PING] = now
            self._h2.ping(DRAIN_PING)
            self._timers.set(Timer.CLOSE, now + self.config.timeouts.close)

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
        self._update(self._now)
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
        given_up = stream.reset_code not in (None, ErrorCode.NO_ERROR)
        given_up = given_up or stream.drops_content
        if stream.sent_end and not (stream.queue or stream.flushed or given_up):
            stream.flushed = True
            if stream.trailers:
                machine.send_headers(stream.stream_id, stream.trailers, end_stream=True)
            else:
                machine.end_stream(stream.stream_id)
        if stream.reset_code is not None and not stream.queue:
            if not (stream.flushed and stream.received_end and stream.reset_code == 0):
                self._reset_h2(stream.stream_id, stream.reset_code)
            del self._streams[stream.stream_id]
            self._give_back(stream.stream_id)
        elif stream.flushed and stream.received_end:
            del self._streams[stream.stream_id]

    def send_capacity(self, stream_id: int) -> int:
        stream = self._streams.get(stream_id)
        if stream is None or stream.sent_end:
            return 0
        return self.config.limits.write_high_water - stream.queued

    def queued(self, stream_id: int) -> int:
        stream = self._streams.get(stream_id)
        return 0 if stream is None else stream.queued

    @property
    def available_streams(self) -> int:
        if self.role is Role.SERVER or self.state is not ConnectionState.OPEN:
            return 0
        machine = self._h2
        allowed = machine.remote_settings.max_concurrent_streams
        if not self._machine.settings_seen:
            allowed = ASSUMED_STREAMS
        left = allowed - machine.open_outbound_streams
        ids = (MAX_STREAM_ID - machine.highest_outbound_stream_id) // 2
        return max(0, min(left, ids))

    def _report_availability(self) -> None:
        """Say so when a request can begin and none could before (client)."""
        has_streams = self.available_streams > 0
        if has_streams and not self._had_streams:
            self._events.append(StreamsAvailable())
        self._had_streams = has_streams

    @property
    def open_streams(self) -> int:
        return len(self._streams)

    def _end_drained(self) -> None:
        """End a draining connection when its last stream is over."""
        draining = self.state is ConnectionState.DRAINING and DRAIN_PING not in self._pings
        if not draining or self._streams:
            return
        if self.role is Role.SERVER and self.wants_read and not self._is_parting:
            # What the client still says to a closed socket resets the connection, and what
            # it has not read is lost then.
            self._is_parting = True
            if self._last_accepted == MAX_STREAM_ID:  # the client said GOAWAY
                self._finish_drain()
            self._pings[PARTING_PING] = self._now
            self._h2.ping(PARTING_PING)
            self._timers.set(Timer.CLOSE, self._now + self.config.timeouts.close)
        elif PARTING_PING not in self._pings:
            self._finish(CloseAction.CLOSE)

    # -- timers ---------------------------------------------------------------------------

    def _update(self, now: float) -> None:
        """Bring the timers in line with what is open and queued."""
        self._now = now
        self._end_drained()
        self._report_availability()
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
        message = "the peer takes nothing of what there is to send"
        if self._progress:
            return
        if self._machine.collect():
            self._time_out(ErrorCode.NO_ERROR, message, CloseAction.ABORT)
            return
        for stream in list(self._streams.values()):
            if stream.queue and not stream.waits_for_continue:
                self._reset(stream.stream_id, stream_error(message, ErrorCode.CANCEL, 408))

    def _time_out(self, code: int, message: str, action: CloseAction = CloseAction.CLOSE) -> None:
        error = RemoteProtocolError(message, status_hint=408, code=code)
        self._machine.write_goaway(self._h2.highest_inbound_stream_id, code)
        self._reason = CloseReason.TIMEOUT
        self._error = error
        self._reset_all(code, Initiator.LOCAL, error)
        self._finish(action)

    def _idle_timed_out(self, now: float) -> None:
        self._reason = CloseReason.KEEP_ALIVE
        self._leave(now)

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
        if not self._is_parting:
            self._finish_drain()
            self._is_parting = not self._streams
        self._pings.pop(PARTING_PING, None)

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
