"""What an HTTP/2 connection is made of: its state, and the ways in which things end.

Strategy
--------
The connection is one object with plain attributes, written down in five layers, each a
file and a class that extends the one before it:

=================  ========================================================================
``core``           the state; how streams and the connection end, whoever ends them
``messages``       what the peer's header blocks and DATA say
``receiving``      what the frames of the peer do to the state (``receive_data``)
``sending``        what the commands of the application do to it (``send``, ``acknowledge``);
                   ``drafts`` works them out
``connection``     the life of the connection: its start, outputs, timers and end
=================  ========================================================================

Errors of the peer are raised inside as ``RemoteProtocolError`` and caught at one place, the
loop over the frames: one of stream scope resets its stream, one of connection scope ends
the connection (RFC 9113 section 5.4).

Rules
-----
* Section 5.4.1: a connection error is answered by GOAWAY with its code, and whatever comes
  after it is dropped.
* Section 5.4.2: a stream error is answered by RST_STREAM, and counted, for it is the peer
  who makes us do it.  There is no RST_STREAM for an idle stream, so there it is a
  connection error.
* Section 6.8: a server goes away in two phases.  GOAWAY(2**31 - 1) asks the client to stop;
  a PING measures when it has heard; then GOAWAY says which stream was the last.  Streams
  in between are served.  A client that goes away says GOAWAY once.
* Who goes away and has no stream any more sends a PING, and closes when that is answered.
  Then the peer has read all that was said before, and what it sent meanwhile was read here.
  Who closes at once meets the latter, be it only a WINDOW_UPDATE, with a reset of the
  connection, which may undo the last answer (RFC 9112 section 9.6 tells of the same on
  HTTP/1.1).  A client that has said GOAWAY itself is let to close first.

Memory: ``_out`` holds what is ready to go.  DATA gets there only when the transport asks
for it, or when the windows are open for a small message; acknowledgements and resets are
counted, and a server whose peer does not read its answers stops to read requests.
"""

from __future__ import annotations

from typing import Final, NoReturn

from plait_engine.config import Config
from plait_engine.connection import CloseAction, Connection, ConnectionState, Role
from plait_engine.errors import ErrorCode, RemoteProtocolError, Scope
from plait_engine.events import (
    CloseReason,
    EndOfMessage,
    Initiator,
    StreamReset,
    StreamsAvailable,
    Writable,
)
from plait_engine.semantics.message import DONE
from plait_engine.timers import Timer, Timers

from . import frames
from .abuse import TokenBucket
from .flow import ReceiveWindow, WindowTuner
from .hpack import Decoder, Encoder
from .outgoing import HeadWriter
from .scheduler import DEFAULT_PRIORITY, Outbound, Scheduler
from .settings import ASSUMED_STREAMS, INITIAL_WINDOW, PeerSettings
from .streams import CLOSED, HALF_CLOSED_LOCAL, HALF_CLOSED_REMOTE, ClosedStreams, Stream
from .validity import HeadReader

GOAWAY_PING: Final = b"plaitbye"
"""The payload of the PING between the two phases of GOAWAY."""
FAREWELL_PING: Final = b"plaitend"
"""The payload of the PING behind the last stream."""
_FAREWELL: Final = 0.1
"""Seconds that a client waits for the answer to that PING."""

KEEP_ALIVE_PING: Final = b"plaitliv"
"""The payload of the PING after ``Timeouts.ping_interval`` of silence."""

_MAX_DEBUG: Final = 128
_PSEUDO_FIELDS: Final = 5  # they do not count: HTTP/1.1 has them in its first line


def connection_error(message: str, code: ErrorCode = ErrorCode.PROTOCOL_ERROR) -> NoReturn:
    """The peer has broken the connection (section 5.4.1)."""
    raise RemoteProtocolError(message, code=code)


def stream_error(message: str, code: ErrorCode = ErrorCode.PROTOCOL_ERROR) -> NoReturn:
    """The peer has broken the stream (section 5.4.2)."""
    raise RemoteProtocolError(message, code=code, scope=Scope.STREAM)


class HTTP2Core(Connection):
    """State shared by the layers above; see the module."""

    __slots__ = (
        "_block",
        "_closed",
        "_control_frames",
        "_decoder",
        "_encoder",
        "_first_unsent",
        "_first_window",
        "_glitches",
        "_goaway_final",
        "_had_streams",
        "_heads",
        "_highest",
        "_idle_since",
        "_input_ended",
        "_is_parting",
        "_is_paused",
        "_is_server",
        "_is_settled",
        "_last_accepted",
        "_leaving",
        "_max_streams",
        "_now",
        "_out",
        "_peer",
        "_peer_gone",
        "_pings",
        "_priorities",
        "_reader",
        "_received_at",
        "_resets",
        "_scheduler",
        "_send_window",
        "_stalled_since",
        "_streams",
        "_timers",
        "_tuner",
        "_unread",
        "_widest_window",
        "_window",
        "_writer",
    )

    protocol = "h2"

    def __init__(self, role: Role, config: Config) -> None:
        super().__init__(role, config)
        limits = config.limits
        self._is_server = role is Role.SERVER
        # streams
        self._streams: dict[int, Stream] = {}
        self._closed = ClosedStreams()
        self._highest = -1  # the highest id that the client has used
        self._max_streams = min(limits.max_concurrent_streams, ASSUMED_STREAMS)
        self._last_accepted = frames.MAX_STREAM_ID  # what the server's GOAWAY said
        self._first_unsent = frames.MAX_STREAM_ID  # from here on, no request has left
        self._had_streams = role is Role.CLIENT  # available, after the last call
        self._goaway_final = False
        self._is_parting = False  # nothing is left but to wait until the peer has read it all
        self._leaving: CloseReason | None = None  # why this side drains, if it does
        self._peer_gone = False  # GOAWAY or end of input: nothing new comes from the peer
        self._input_ended = False
        # receiving
        self._reader = frames.FrameReader(
            limits.max_frame_size, frames.PREFACE if self._is_server else b""
        )
        self._decoder = Decoder(  # with the default table until our SETTINGS are acknowledged
            max_header_list_size=limits.max_header_list_size,
            max_fields=limits.max_fields + _PSEUDO_FIELDS,
        )
        self._heads = HeadReader(config)
        self._block: tuple[int, int, list[bytes]] | None = None  # stream, flags, fragments
        self._window = ReceiveWindow(
            max(limits.connection_window, INITIAL_WINDOW), limits.max_connection_window
        )
        self._unread: dict[int, int] = {}  # of streams without window: not acknowledged yet
        self._first_window = limits.stream_window
        self._tuner = WindowTuner(self._window)
        self._resets = TokenBucket(limits.reset_burst, limits.reset_rate)
        self._glitches = TokenBucket(limits.glitch_burst, limits.glitch_rate)
        # sending
        self._peer = PeerSettings(role)
        self._is_settled = False  # the peer has acknowledged our SETTINGS
        self._encoder = Encoder(max_table_size=limits.header_table_size)
        self._writer = HeadWriter()
        self._scheduler = Scheduler()
        self._send_window = self._widest_window = INITIAL_WINDOW
        self._priorities: dict[int, tuple[int, bool]] = {}  # of streams that are still idle
        self._out: list[bytes | memoryview] = []
        self._control_frames = 0  # acknowledgements and resets in _out
        self._is_paused = False  # reads no more until _out is taken
        # time
        self._timers = Timers()
        self._now = 0.0
        self._idle_since = 0.0
        self._received_at = 0.0
        self._stalled_since = 0.0  # when _out was empty for the last time
        self._pings: dict[bytes, float] = {}  # sent by the application, not answered

    def _tick(self, now: float) -> None:
        """An input or a command comes at ``now``."""
        self._now = now
        if not self._out:
            self._stalled_since = now

    # -- budgets ----------------------------------------------------------------

    def _charge_glitch(self, now: float) -> None:
        if not self._glitches.take(now):
            connection_error("too many useless or odd frames", ErrorCode.ENHANCE_YOUR_CALM)

    def _charge_reset(self, now: float) -> None:
        if not self._resets.take(now):
            connection_error("too many reset streams", ErrorCode.ENHANCE_YOUR_CALM)

    def _answer(self, frame: bytes) -> None:
        """Queue an answer that the peer can ask for as often as it likes."""
        self._out.append(frame)
        self._control_frames += 1
        if self._control_frames > self.config.limits.max_control_frames:
            connection_error("the peer does not read what it asks for", ErrorCode.ENHANCE_YOUR_CALM)

    # -- windows ----------------------------------------------------------------

    def _inbound(self, stream: Stream) -> ReceiveWindow:
        """Return the receive window of a stream."""
        inbound = stream.inbound
        if inbound is None:
            limits = self.config.limits
            size = self._first_window
            # Section 6.9.2: before the acknowledgement the peer may not know our size yet.
            available = size if self._is_settled else max(size, INITIAL_WINDOW)
            inbound = ReceiveWindow(size, max(size, limits.max_stream_window), available)
            stream.inbound = inbound
        return inbound

    def _outbound(self, stream: Stream) -> Outbound:
        """Return the send queue of a stream."""
        outbound = stream.outbound
        if outbound is None:
            priority = stream.priority or DEFAULT_PRIORITY
            outbound = Outbound(stream.stream_id, self._peer.initial_window_size, priority)
            stream.outbound = outbound
        return outbound

    def _let_go(self, stream: Stream, now: float) -> None:
        """Send content that was held back for 100 Continue (RFC 9110 section 10.1.1)."""
        stream.expects = None
        outbound = self._outbound(stream)
        outbound.is_held = False
        outbound.progress_at = now
        self._scheduler.update(outbound)

    def _drop_content(self, stream: Stream) -> None:
        """A final response came instead of 100 Continue: the content is not sent (10.1.1)."""
        stream.expects = None
        stream.drops_content = True
        outbound = self._outbound(stream)
        outbound.clear()
        self._scheduler.update(outbound)
        if outbound.is_full and stream.sending != DONE:
            outbound.is_full = False
            self._events.append(Writable(stream.stream_id))

    def _release(self, data: int) -> None:
        """Give bytes that no application will take back to the connection's window."""
        self._announce(0, self._window.release(data))

    def _announce(self, stream_id: int, increment: int) -> None:
        if increment:
            self._out.append(frames.encode_window_update(stream_id, increment))

    # -- streams ----------------------------------------------------------------

    @property
    def available_streams(self) -> int:
        """How many more requests this client may send now (section 5.1.2)."""
        if self._is_server or self.state is not ConnectionState.OPEN:
            return 0
        ids_left = (frames.MAX_STREAM_ID - self._highest) // 2
        # The peer may lower its limit below what is open; then it waits for that to end.
        return min(ids_left, max(0, self._peer.max_concurrent_streams - len(self._streams)))

    def _report_availability(self) -> None:
        """Say so when a request can begin and none could before (client)."""
        has_streams = self.available_streams > 0
        if has_streams and not self._had_streams:
            self._events.append(StreamsAvailable())
        self._had_streams = has_streams

    # -- the end of a stream -----------------------------------------------------

    def _end_remote(self, stream: Stream, now: float) -> None:
        """The peer has ended its half."""
        stream.receiving = DONE
        stream.state |= HALF_CLOSED_REMOTE
        if stream.drops_content:
            # END_STREAM would say that the content is complete.
            if stream.sending != DONE:
                reset = StreamReset(stream.stream_id, ErrorCode.NO_ERROR, Initiator.REMOTE)
                self._events.append(reset)
            self._reset(stream, ErrorCode.CANCEL, now)
        elif stream.state == CLOSED:
            self._forget(stream, now)

    def _end_local(self, stream: Stream, now: float) -> None:
        """END_STREAM was sent."""
        stream.sending = DONE
        stream.state |= HALF_CLOSED_LOCAL
        if stream.state == CLOSED:
            self._forget(stream, now)
        elif stream.receiving == DONE:
            stream.touched = now
            self._stop_request(stream, now)

    def _stop_request(self, stream: Stream, now: float) -> None:
        """The answer is complete, and the rest of the request is not wanted (section 8.1).

        A short rest is let in and dropped, so that the client may end the stream by itself
        and hears of what is wrong with it.  A client with much to send is stopped before it
        has to wait for the window, which is not handed out any more; one that sends nothing,
        after a while.
        """
        inbound = stream.inbound
        if inbound is not None and inbound.available * 2 <= inbound.size:
            self._reset(stream, ErrorCode.NO_ERROR, now)
            return
        deadline = now + self.config.timeouts.close
        running = self._timers.deadline(Timer.BODY)
        if running is None or running > deadline:
            self._timers.set(Timer.BODY, deadline)

    def _drop(self, stream: Stream, now: float) -> None:
        """Free a stream that was reset, by either side."""
        self._give_back(stream)
        self._forget(stream, now)

    def _give_back(self, stream: Stream) -> None:
        """Nobody takes what came on ``stream``: return it to the connection (section 6.9)."""
        stream.held = []
        inbound = stream.inbound
        if inbound is None:
            self._give_back_ended(stream.stream_id)
        else:
            self._release(inbound.unacknowledged)
            inbound.unacknowledged = 0  # and its own window stays closed

    def _give_back_ended(self, stream_id: int) -> None:
        """The same for a message that has ended."""
        self._release(self._unread.pop(stream_id, 0))

    def _forget(self, stream: Stream, now: float) -> None:
        """Free a stream that is closed."""
        del self._streams[stream.stream_id]
        inbound = stream.inbound
        if inbound is not None and inbound.unacknowledged:
            self._unread[stream.stream_id] = inbound.unacknowledged
        if stream.outbound is not None:
            self._scheduler.remove(stream.outbound)
            stream.outbound.clear()
        if not self._streams:
            self._idle_since = now
            if self.state is ConnectionState.DRAINING:
                self._finish_draining()

    def _reset(self, stream: Stream, code: int, now: float) -> None:
        """Reset a stream because this side wants it so."""
        self._closed.add_reset(stream.stream_id)
        self._out.append(frames.encode_rst_stream(stream.stream_id, code))
        self._drop(stream, now)

    def _reset_for(self, stream_id: int, message: str, code: int, now: float) -> None:
        """Reset a stream because of what the peer did (section 5.4.2)."""
        stream = self._streams.get(stream_id)
        if stream is not None:
            self._answer_reset(stream_id, code, now)
            if not stream.is_over:
                self._report_reset(stream_id, message, code)
            self._drop(stream, now)
        elif stream_id > self._highest or not stream_id & 1:
            raise RemoteProtocolError(message, code=code)
        else:
            self._answer_reset(stream_id, code, now)  # closed: the application is done with it

    def _refuse(self, stream_id: int, message: str, code: int, now: float) -> None:
        """Refuse a new stream."""
        self._answer_reset(stream_id, code, now)
        self._report_reset(stream_id, message, code)

    def _answer_reset(self, stream_id: int, code: int, now: float) -> None:
        self._charge_reset(now)
        self._closed.add_reset(stream_id)
        self._answer(frames.encode_rst_stream(stream_id, code))

    def _report_reset(
        self, stream_id: int, message: str, code: int, status_hint: int = 400
    ) -> None:
        error = RemoteProtocolError(message, status_hint=status_hint, code=code, scope=Scope.STREAM)
        self._events.append(StreamReset(stream_id, code, Initiator.LOCAL, False, error))

    def _end_of_request(self, stream: Stream) -> None:
        """A tunnel was declined: its request ends, and what follows it is not wanted."""
        stream.receiving = DONE
        self._events.append(EndOfMessage(stream.stream_id))
        self._give_back(stream)

    # -- the end of the connection -------------------------------------------------

    def _fail(self, message: str, code: int) -> None:
        """A connection error (section 5.4.1)."""
        error = RemoteProtocolError(message, code=code)
        self._terminate(code, CloseReason.PROTOCOL_ERROR, error)

    def _terminate(
        self,
        code: int,
        reason: CloseReason,
        error: RemoteProtocolError | None = None,
        action: CloseAction = CloseAction.CLOSE,
    ) -> None:
        """Say GOAWAY, end every stream, and close."""
        debug = error.message.encode("ascii", "backslashreplace")[:_MAX_DEBUG] if error else b""
        self._out.append(frames.encode_goaway(self._last_processed(), code, debug))
        self._close_streams(code, Initiator.LOCAL, error)
        self._close(reason, error, action)

    def _last_processed(self) -> int:
        """The last stream of the peer's that we may have acted on (section 6.8)."""
        return max(0, min(self._highest, self._last_accepted)) if self._is_server else 0

    def _close_streams(
        self, code: int, initiator: Initiator, error: RemoteProtocolError | None
    ) -> None:
        for stream_id, stream in self._streams.items():
            if not stream.is_over:
                retryable = stream_id >= self._first_unsent
                self._events.append(StreamReset(stream_id, code, initiator, retryable, error))
        self._streams.clear()
        self._scheduler = Scheduler()

    def _close(self, reason: CloseReason, error: Exception | None, action: CloseAction) -> None:
        self._timers.clear()
        self.wants_close = action
        self._emit_closed(reason, error)

    def _finish_draining(self) -> None:
        """Part from the peer, when the last stream of a connection that drains has ended."""
        if self._streams or self.state is not ConnectionState.DRAINING:
            return
        if not self._goaway_final and (self._peer_gone or not self._is_server):
            self._send_last_goaway()
        if self._input_ended or (self._peer_gone and not self._is_server):
            self._close_drained()
        elif self._goaway_final and not self._is_parting:
            self._part()

    def _part(self) -> None:
        self._is_parting = True
        patience = self.config.timeouts.close
        if not self._is_server:
            patience = min(_FAREWELL, patience)
        if not self._peer_gone:
            self._out.append(frames.encode_ping(FAREWELL_PING))
        self._timers.set(Timer.CLOSE, self._now + patience)

    def _close_drained(self) -> None:
        self._close(self._leaving or CloseReason.PEER, None, CloseAction.CLOSE)

    def _send_last_goaway(self) -> None:
        """The second phase of GOAWAY, and the only one of a client (section 6.8)."""
        self._goaway_final = True
        last = self._last_processed()
        if self._is_server:
            self._last_accepted = last
        self._out.append(frames.encode_goaway(last, ErrorCode.NO_ERROR))
        self._timers.stop(Timer.CLOSE)
