"""What an HTTP/2 connection is made of: its state, and the ways in which things end.

Strategy
--------
``HTTP2Core`` puts the parts of a connection together.  Each has its own state and knows
nothing of the core:

==============  ===========================================================================
``Streams``     the streams that are open, and the memory of those that are not
``Inflow``      receive windows, and what the application has not acknowledged
``Outflow``     send windows, queues, priorities
``Output``      frames that are ready to go
``Budgets``     what a peer may do at no cost to itself
``Departure``   how far the connection is on its way to its end
==============  ===========================================================================

beside ``FrameReader``, ``Decoder`` and ``HeadReader`` for what comes, ``HeadWriter`` and
``Encoder`` for what goes, ``PeerSettings`` and ``Timers``.  What happens is in functions that
take the core:

==============  ===========================================================================
``receiving``   what the frames of the peer do (``receive_data``)
``messages``    what the peer's header blocks and DATA say
``sending``     what the commands of the application do (``send``, ``acknowledge``);
                ``drafts`` works them out
==============  ===========================================================================

The methods of the core say how streams and the connection end, whoever ends them.
``HTTP2Connection`` has the contract's calls, the outputs and the timers.

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
* A side that drains and has no stream left sends a PING, and closes when it is answered.
  By then the peer has read everything, and everything that the peer sent has been read here.
  If a side closed at once, the operating system would answer bytes that are still on their
  way, a WINDOW_UPDATE for example, with a reset of the connection.  The peer could then lose
  the last response (RFC 9112 section 9.6 describes the same for HTTP/1.1).  If both sides
  drain, the client closes first.

A server whose peer does not read its answers stops reading requests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from plait_engine.config import Config
from plait_engine.connection import CloseAction, Connection, ConnectionState, Role
from plait_engine.errors import ErrorCode, RemoteProtocolError, Scope
from plait_engine.events import (
    CloseReason,
    EndOfMessage,
    Initiator,
    StreamReset,
    StreamsAvailable,
)
from plait_engine.semantics.message import DONE
from plait_engine.timers import Timer, Timers

from . import frames
from .abuse import Budgets
from .departure import Departure
from .hpack import Decoder, Encoder
from .inflow import Inflow
from .outflow import Outflow
from .outgoing import HeadWriter
from .output import Output
from .settings import ASSUMED_STREAMS, PeerSettings
from .streams import (
    CLOSED,
    HALF_CLOSED_LOCAL,
    HALF_CLOSED_REMOTE,
    Stream,
    Streams,
)
from .validity import HeadReader

# On CPython 3.11 a member that is asked of its Enum costs ten times a global.
_BODY_TIMER: Final = Timer.BODY
_CLOSE_TIMER: Final = Timer.CLOSE
_DRAINING: Final = ConnectionState.DRAINING
_OPEN: Final = ConnectionState.OPEN


GOAWAY_PING: Final = b"plaitbye"
"""The payload of the PING between the two phases of GOAWAY."""
DRAINED_PING: Final = b"plaitend"
"""The payload of the PING behind the last stream."""
_DRAINED_PATIENCE: Final = 0.1
"""Seconds that a client waits for the answer to that PING."""

KEEP_ALIVE_PING: Final = b"plaitliv"
"""The payload of the PING after ``Timeouts.ping_interval`` of silence."""

_MAX_DEBUG: Final = 128
_PSEUDO_FIELDS: Final = 5  # they do not count: HTTP/1.1 has them in its first line


FrameHandler: TypeAlias = "Callable[[HTTP2Core, int, int, bytes, float], None]"
"""What a frame does, by its flags, stream and payload, at a time (see ``receiving``)."""


class HTTP2Core(Connection):
    """The parts of a connection, and how it ends; see the module."""

    __slots__ = (
        "_block",
        "_budgets",
        "_decoder",
        "_departure",
        "_encoder",
        "_had_streams",
        "_handlers",
        "_heads",
        "_idle_since",
        "_inflow",
        "_is_server",
        "_now",
        "_out",
        "_outflow",
        "_peer",
        "_pings",
        "_reader",
        "_received_at",
        "_streams",
        "_timers",
        "_writer",
    )

    protocol = "h2"

    def __init__(self, role: Role, config: Config) -> None:
        super().__init__(role, config)
        limits = config.limits
        self._is_server = role is Role.SERVER
        self._peer = PeerSettings(role)
        self._budgets = Budgets(limits)
        self._departure = Departure()
        self._streams = Streams(min(limits.max_concurrent_streams, ASSUMED_STREAMS))
        self._had_streams = role is Role.CLIENT  # available, after the last call
        # receiving
        self._reader = frames.FrameReader(
            limits.max_frame_size,
            frames.PREFACE if self._is_server else b"",
            from_server=not self._is_server,
        )
        self._handlers: tuple[FrameHandler, ...]  # of what may come now, by type
        self._block: tuple[int, int, list[bytes]] | None = None  # stream, flags, fragments
        self._decoder = Decoder(  # with the default table until our SETTINGS are acknowledged
            max_header_list_size=limits.max_header_list_size,
            max_fields=limits.max_fields + _PSEUDO_FIELDS,
        )
        self._heads = HeadReader(config)
        # sending
        self._out = Output(limits.max_control_frames)
        self._encoder = Encoder(max_table_size=limits.header_table_size)
        self._writer = HeadWriter()
        self._inflow = Inflow(limits, self._out)
        self._outflow = Outflow(self._peer)
        # time
        self._timers = Timers()
        self._now = 0.0
        self._idle_since = 0.0
        self._received_at = 0.0
        self._pings: dict[bytes, float] = {}  # sent, not answered

    def _tick(self, now: float) -> None:
        """An input or a command comes at ``now``."""
        self._now = now
        if not self._out:
            self._out.empty_at = now

    # -- streams ----------------------------------------------------------------

    @property
    def available_streams(self) -> int:
        """How many more requests this client may send now (section 5.1.2)."""
        if self._is_server or self.state is not _OPEN:
            return 0
        streams = self._streams
        free = self._peer.max_concurrent_streams - len(streams)
        if free <= 0:
            return 0  # The peer may lower its limit below what is open; that has to end first.
        ids_left = (frames.MAX_STREAM_ID - streams.highest) // 2
        return free if free < ids_left else ids_left

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
        running = self._timers.deadline(_BODY_TIMER)
        if running is None or running > deadline:
            self._timers.set(_BODY_TIMER, deadline)

    def _drop(self, stream: Stream, now: float) -> None:
        """Free a stream that was reset, by either side."""
        self._inflow.give_back(stream)
        self._forget(stream, now)

    def _forget(self, stream: Stream, now: float) -> None:
        """Free a stream that is closed."""
        del self._streams[stream.stream_id]
        if stream.inbound is not None:
            self._inflow.close(stream)
        if stream.outbound is not None:
            self._outflow.drop(stream.outbound)
        if not self._streams:
            self._idle_since = now
            if self.state is _DRAINING:
                self._finish_draining()

    def _reset(self, stream: Stream, code: int, now: float) -> None:
        """Reset a stream because this side wants it so."""
        self._streams.closed.add_reset(stream.stream_id)
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
        elif stream_id > self._streams.highest or not stream_id & 1:
            raise RemoteProtocolError(message, code=code)
        else:
            self._answer_reset(stream_id, code, now)  # closed: the application is done with it

    def _refuse(self, stream_id: int, message: str, code: int, now: float) -> None:
        """Refuse a new stream."""
        self._answer_reset(stream_id, code, now)
        self._report_reset(stream_id, message, code)

    def _answer_reset(self, stream_id: int, code: int, now: float) -> None:
        self._budgets.charge_reset(now)
        self._streams.closed.add_reset(stream_id)
        self._out.answer(frames.encode_rst_stream(stream_id, code))

    def _report_reset(
        self, stream_id: int, message: str, code: int, status_hint: int = 400
    ) -> None:
        error = RemoteProtocolError(message, status_hint=status_hint, code=code, scope=Scope.STREAM)
        self._events.append(StreamReset(stream_id, code, Initiator.LOCAL, False, error))

    def _end_of_request(self, stream: Stream) -> None:
        """A tunnel was declined: its request ends, and what follows it is not wanted."""
        stream.receiving = DONE
        self._events.append(EndOfMessage(stream.stream_id))
        self._inflow.give_back(stream)

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
        return (
            max(0, min(self._streams.highest, self._streams.last_accepted))
            if self._is_server
            else 0
        )

    def _close_streams(
        self, code: int, initiator: Initiator, error: RemoteProtocolError | None
    ) -> None:
        for stream_id, stream in self._streams.items():
            if not stream.is_over:
                retryable = stream_id >= self._streams.first_unsent
                self._events.append(StreamReset(stream_id, code, initiator, retryable, error))
        self._streams.clear()
        self._outflow.clear()

    def _close(self, reason: CloseReason, error: Exception | None, action: CloseAction) -> None:
        self._timers.clear()
        self.wants_close = action
        self._emit_closed(reason, error)

    def _finish_draining(self) -> None:
        """Part from the peer, when the last stream of a connection that drains has ended."""
        if self._streams or self.state is not _DRAINING:
            return
        if not self._departure.is_announced and (
            self._departure.peer_is_leaving or not self._is_server
        ):
            self._send_last_goaway()
        if self._departure.input_has_ended or (
            self._departure.peer_is_leaving and not self._is_server
        ):
            self._close_drained()
        elif self._departure.is_announced and not self._departure.is_waiting:
            self._part()

    def _part(self) -> None:
        self._departure.is_waiting = True
        patience = self.config.timeouts.close
        if not self._is_server:
            patience = min(_DRAINED_PATIENCE, patience)
        if not self._departure.peer_is_leaving:
            self._out.append(frames.encode_ping(DRAINED_PING))
        self._timers.set(_CLOSE_TIMER, self._now + patience)

    def _close_drained(self) -> None:
        self._close(self._departure.reason or CloseReason.PEER, None, CloseAction.CLOSE)

    def _send_last_goaway(self) -> None:
        """The second phase of GOAWAY, and the only one of a client (section 6.8)."""
        self._departure.is_announced = True
        last = self._last_processed()
        if self._is_server:
            self._streams.last_accepted = last
        self._out.append(frames.encode_goaway(last, ErrorCode.NO_ERROR))
        self._timers.stop(_CLOSE_TIMER)
