"""The life of an HTTP/2 connection: its start, its outputs, its timers and its end.

``core`` says what a connection is made of.

Timers (see ``timers.Timer``; times are ``config.Timeouts``)
------------------------------------------------------------
==========  ============================================================================
HEAD        the client's preface or a header block takes too long: connection error
SETTINGS    ours were not acknowledged: SETTINGS_TIMEOUT (section 6.5.3)
KEEP_ALIVE  no stream is open: a server goes away as with ``close``, for a request may be on
            its way, or the last answer; a client says GOAWAY and closes
PING, PONG  silence on a connection with open streams, or before a request: PING; nothing
            comes: the peer is gone
BODY        a request's body does not come, though the application has taken all there is:
            the stream is reset.  Also: the end of a request that is not wanted
WRITE       a response has bytes queued and its windows let none (or next to none) go:
            the stream is reset.  A server may take its time for a request's content.
            The transport takes nothing: the connection is dropped
CONTINUE    a client has waited long enough for 100 Continue
CLOSE       the PING between the two phases of GOAWAY, or behind the last stream, is not
            answered; or a client that has said GOAWAY does not close
==========  ============================================================================

BODY, WRITE and CONTINUE are deadlines of many streams behind one timer: it is set for the
first stream that needs it, and when it fires all streams are looked at and it is set for
the earliest that is left.  KEEP_ALIVE, PING and the stall of the transport follow from
two times that are written down anyway, so that a request costs no timer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from plait_engine.config import Config
from plait_engine.connection import CloseAction, ConnectionState, Role
from plait_engine.errors import ErrorCode, RemoteProtocolError
from plait_engine.events import CloseReason, Sendable
from plait_engine.semantics.message import BODY, DONE
from plait_engine.timers import Timer

from . import frames, receiving, sending, settings
from .core import GOAWAY_PING, KEEP_ALIVE_PING, HTTP2Core
from .settings import INITIAL_WINDOW
from .streams import HALF_CLOSED_REMOTE, Stream

# On CPython 3.11 a member that is asked of its Enum costs ten times a global.
_BODY_TIMER: Final = Timer.BODY
_CLOSED: Final = ConnectionState.CLOSED
_CLOSE_TIMER: Final = Timer.CLOSE
_CONTINUE_TIMER: Final = Timer.CONTINUE
_DRAINING: Final = ConnectionState.DRAINING
_HEAD_TIMER: Final = Timer.HEAD
_OPEN: Final = ConnectionState.OPEN
_PONG_TIMER: Final = Timer.PONG
_SETTINGS_TIMER: Final = Timer.SETTINGS
_WRITE_TIMER: Final = Timer.WRITE


_Deadline: TypeAlias = tuple[float, ErrorCode, str]
"""When a stream is to be reset, with which code, and why; ``""`` if nobody needs to know."""


_IDLE_PATIENCE: Final = 1.0
"""Seconds that a client has at least to hear GOAWAY, as a server of Go gives it.  One that
reads nothing while it is idle, as many pools do, must not hold up a shutdown for longer."""


class HTTP2Connection(HTTP2Core):
    """One HTTP/2 connection, either role (see ``plait_engine.connection.Connection``)."""

    __slots__ = ()

    def __init__(self, role: Role, config: Config) -> None:
        super().__init__(role, config)
        self._handlers = receiving.FIRST

    # -- inputs, outputs and commands that other modules carry out -------------------------

    # Functions of a core are its methods: to call them through another would take time.
    receive_data = receiving.receive_data
    receive_eof = receiving.receive_eof
    connection_lost = receiving.connection_lost
    send_response = sending.send_whole
    send_request = sending.send_bare
    acknowledge = sending.acknowledge
    ping = sending.ping
    next_stream_id = sending.next_stream_id

    def send(self, *events: Sendable, now: float) -> None:
        sending.send(self, events, now)

    def send_data(self, stream_id: int, data: bytes, now: float) -> bytes | None:
        return self.data_to_send() if sending.frame_data(self, stream_id, data, now) else None

    # -- start and end -------------------------------------------------------------------

    def connection_made(self, now: float) -> None:
        """Queue the preface (RFC 9113 section 3.4) and start the timers."""
        self._tick(now)
        self._idle_since = self._received_at = now
        if not self._is_server:
            self._out.append(frames.PREFACE)
        self._out.append(frames.encode_settings(settings.announced(self.role, self.config)))
        self._out.announce(0, self._inflow.window.size - INITIAL_WINDOW)
        timeouts = self.config.timeouts
        self._timers.set(_SETTINGS_TIMER, now + timeouts.settings)
        if timeouts.head is not None:
            self._timers.set(_HEAD_TIMER, now + timeouts.head)

    def close(self, code: int | None = None, *, now: float) -> None:
        """End the connection: gracefully (``None``), or at once with an error code."""
        if self.state is _CLOSED:
            return
        self._tick(now)
        if code is not None:
            self._terminate(code, CloseReason.LOCAL)
        elif self._departure.reason is None:
            self._leave(CloseReason.LOCAL, now)

    def _leave(self, reason: CloseReason, now: float) -> None:
        """Take no more streams, and close when those that are open have ended."""
        self._departure.reason = reason
        self.state = _DRAINING
        if self._is_server and not self._departure.peer_is_leaving:
            self._out.append(frames.encode_goaway(frames.MAX_STREAM_ID, ErrorCode.NO_ERROR))
            self._out.append(frames.encode_ping(GOAWAY_PING))
            self._timers.set(_CLOSE_TIMER, now + self._patience(now))
        else:
            if not self._departure.is_announced:
                self._send_last_goaway()
            self._finish_draining()

    def _patience(self, now: float) -> float:
        """How long a client may take to answer the PING between the phases of GOAWAY."""
        patience = self.config.timeouts.close
        if self._streams:
            return patience
        # It has had the time since its last stream to read what was said on it.
        return max(patience - (now - self._idle_since), min(_IDLE_PATIENCE, patience))

    # -- outputs ---------------------------------------------------------------------------

    def data_to_send(self) -> bytes:
        """Return the next bytes for the transport; ``b""`` when there are none."""
        if self._outflow.scheduler.ready:
            sending.frame_queued(self)
            if not self._is_server:
                self._report_availability()
        out = self._out
        if not out:
            return b""
        self._streams.first_unsent = frames.MAX_STREAM_ID
        if out.is_paused:
            out.is_paused = False
            self.wants_read = self.state is not _CLOSED
        return out.take()

    def next_timeout(self) -> float | None:
        """Return when ``handle_timeout`` is wanted next, or ``None``."""
        if self.state is _CLOSED:
            return None
        deadline = self._timers.next_timeout()
        other = self._ping_deadline() if self._streams else self._idle_deadline()
        if other is not None and (deadline is None or other < deadline):
            deadline = other
        if self._out:
            other = self._stall_deadline()
            if other is not None and (deadline is None or other < deadline):
                deadline = other
        return deadline

    # -- getters ---------------------------------------------------------------------------

    @property
    def has_output(self) -> bool:
        return bool(self._out or self._outflow.scheduler.ready)

    def send_capacity(self, stream_id: int) -> int:
        """Return how many body bytes the stream takes before it is full."""
        stream = self._streams.get(stream_id)
        if stream is None or stream.sending == DONE:
            return 0
        queued = 0 if stream.outbound is None else stream.outbound.queued
        return self.config.limits.write_high_water - queued

    def queued(self, stream_id: int) -> int:
        """Return how many body bytes of the stream wait in the engine."""
        stream = self._streams.get(stream_id)
        return 0 if stream is None or stream.outbound is None else stream.outbound.queued

    @property
    def open_streams(self) -> int:
        """How many exchanges are not finished yet."""
        return len(self._streams)

    # -- timers ------------------------------------------------------------------------------

    def handle_timeout(self, now: float) -> None:
        """Time has passed.  A call with nothing due is a no-op."""
        if self.state is _CLOSED:
            return
        self._tick(now)
        for timer in self._timers.pop_expired(now):
            _ON_TIMER[timer](self, now)
            if self.wants_close:
                return
        if _is_due(self._stall_deadline(), now):
            self._out.clear()
            self._time_out("the transport takes nothing", CloseAction.ABORT)
        elif _is_due(self._idle_deadline(), now):
            if self._is_server:
                self._leave(CloseReason.KEEP_ALIVE, now)
            else:
                self._terminate(ErrorCode.NO_ERROR, CloseReason.KEEP_ALIVE)
        elif _is_due(self._ping_deadline(), now):
            self.ping(KEEP_ALIVE_PING, now)
        self._report_availability()

    def _idle_deadline(self) -> float | None:
        timeouts = self.config.timeouts
        keep_alive = timeouts.keep_alive
        if self._streams or keep_alive is None or self.state is not _OPEN:
            return None
        if self._is_server and self._streams.highest < 0:
            # However short it is, the first request gets the time that a head has.
            keep_alive = max(keep_alive, timeouts.head or 0.0)
        return self._idle_since + keep_alive

    def _ping_deadline(self) -> float | None:
        interval = self.config.timeouts.ping_interval
        if interval is None or not self._streams or self._pings:
            return None
        return self._received_at + interval

    def _stall_deadline(self) -> float | None:
        """When the transport has taken nothing for too long."""
        timeout = self.config.timeouts.write
        if timeout is None or not self._out:
            return None
        return self._out.empty_at + timeout

    def _time_out(
        self,
        message: str,
        action: CloseAction = CloseAction.CLOSE,
        code: ErrorCode = ErrorCode.NO_ERROR,
    ) -> None:
        error = RemoteProtocolError(message, status_hint=408, code=code)
        self._terminate(code, CloseReason.TIMEOUT, error, action)

    def _on_head_timer(self, now: float) -> None:
        self._time_out("a header block or the preface was not completed in time")

    def _on_settings_timer(self, now: float) -> None:
        self._time_out("SETTINGS was not acknowledged", code=ErrorCode.SETTINGS_TIMEOUT)

    def _on_pong_timer(self, now: float) -> None:
        # A peer that lives may have much to send before the answer.
        deadline = self._received_at + self.config.timeouts.pong
        if deadline > now:
            self._timers.set(_PONG_TIMER, deadline)
        else:
            self._time_out("PING was not answered")

    def _on_close_timer(self, now: float) -> None:
        if not self._departure.is_announced:
            self._send_last_goaway()
        if not self._streams:
            self._close_drained()

    def _on_body_timer(self, now: float) -> None:
        self._check_streams(_BODY_TIMER, now, self._body_deadline)

    def _body_deadline(self, stream: Stream, now: float) -> _Deadline | None:
        """When a request's body, or the end of one that is not wanted, is overdue."""
        timeouts = self.config.timeouts
        if stream.state & HALF_CLOSED_REMOTE:
            return None
        if stream.is_over:
            return stream.touched + timeouts.close, ErrorCode.NO_ERROR, ""
        if stream.receiving != BODY or timeouts.body is None or not self._is_server:
            return None
        is_slow = stream.inbound is not None and stream.inbound.unacknowledged > 0
        since = now if is_slow else stream.touched  # the application takes its time
        return since + timeouts.body, ErrorCode.CANCEL, "the body stalled"

    def _on_write_timer(self, now: float) -> None:
        self._check_streams(_WRITE_TIMER, now, self._write_deadline)

    def _write_deadline(self, stream: Stream, now: float) -> _Deadline | None:
        """When a stream has made no progress for too long."""
        timeout = self.config.timeouts.write
        outbound = stream.outbound
        if timeout is None or outbound is None or not outbound.queued or outbound.is_held:
            return None
        return outbound.progress_at + timeout, ErrorCode.CANCEL, "the window stays closed"

    def _check_streams(
        self,
        timer: Timer,
        now: float,
        deadline_of: Callable[[Stream, float], _Deadline | None],
    ) -> None:
        """Reset the streams that have waited too long, and wait for the others."""
        earliest: float | None = None
        for stream in list(self._streams.values()):
            due = deadline_of(stream, now)
            if due is None:
                continue
            deadline, code, message = due
            if deadline > now:
                earliest = deadline if earliest is None else min(earliest, deadline)
                continue
            if message:
                self._report_reset(stream.stream_id, message, code, 408)
            self._reset(stream, code, now)
        if earliest is not None and not self.wants_close:
            self._timers.set(timer, earliest)

    def _on_continue_timer(self, now: float) -> None:
        """RFC 9110 section 10.1.1: a client does not wait for ever."""
        earliest: float | None = None
        for stream in self._streams.values():
            if stream.expects is None:
                continue
            if stream.expects > now:
                earliest = stream.expects if earliest is None else min(earliest, stream.expects)
                continue
            self._outflow.let_go(stream, now)
        if earliest is not None:
            self._timers.set(_CONTINUE_TIMER, earliest)


def _is_due(deadline: float | None, now: float) -> bool:
    return deadline is not None and deadline <= now


_ON_TIMER: Final[dict[Timer, Callable[[HTTP2Connection, float], None]]] = {
    Timer.HEAD: HTTP2Connection._on_head_timer,
    Timer.BODY: HTTP2Connection._on_body_timer,
    Timer.CONTINUE: HTTP2Connection._on_continue_timer,
    Timer.PONG: HTTP2Connection._on_pong_timer,
    Timer.SETTINGS: HTTP2Connection._on_settings_timer,
    Timer.CLOSE: HTTP2Connection._on_close_timer,
    Timer.WRITE: HTTP2Connection._on_write_timer,
}
