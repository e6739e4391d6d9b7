"""What the peer's frames do (RFC 9113 sections 4 to 6, RFC 9218 section 7.1).

Strategy
--------
``receive_data`` cuts frames and hands each to a function from a table.  There are three
tables, because what may come next depends on the place in the connection:

* ``_FIRST``: nothing but SETTINGS, the second half of the preface (section 3.4);
* ``_FRAMES``: everything;
* ``_IN_BLOCK``: nothing but CONTINUATION, while a header block is open (section 6.10).

So no function asks whether it is its turn.  Functions raise RemoteProtocolError or
FrameError for what the peer did wrong; the loop answers it.

DATA and complete header blocks are handed down to ``messages``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from plait_engine.config import Config
from plait_engine.connection import CloseAction, ConnectionState, Role
from plait_engine.errors import ErrorCode, RemoteProtocolError, Scope
from plait_engine.events import (
    CloseReason,
    Draining,
    Initiator,
    PingAcknowledged,
    PriorityUpdated,
    SettingsChanged,
    StreamReset,
)
from plait_engine.headers import decode as decode_text
from plait_engine.semantics.message import BODY, NO_LENGTH, TUNNEL
from plait_engine.timers import Timer

from . import frames
from .core import FAREWELL_PING, GOAWAY_PING, KEEP_ALIVE_PING, connection_error, stream_error
from .flow import PROBE
from .hpack import HPACKError
from .messages import DEPENDS_ON_ITSELF, MessageReceiver
from .scheduler import parse_priority
from .settings import INITIAL_WINDOW
from .streams import HALF_CLOSED_REMOTE

_MAX_DEBUG_DATA: Final = 1024
_SMALL_INCREMENT: Final = 64
"""A WINDOW_UPDATE below this buys hardly more than its own frame costs."""


class Receiver(MessageReceiver):
    """The receiving layer; see the module."""

    __slots__ = ("_table",)

    def __init__(self, role: Role, config: Config) -> None:
        super().__init__(role, config)
        self._table: tuple[_Handler, ...] = _FIRST

    def receive_data(self, data: bytes, now: float) -> None:
        """Bytes came from the peer.  After ``CLOSED`` they are ignored."""
        if self.state is ConnectionState.CLOSED:
            return
        self._tick(now)
        self._received_at = now
        try:
            for kind, flags, stream_id, payload in self._reader.receive(data, self._room_for_data):
                try:
                    if kind <= frames.PRIORITY_UPDATE:
                        self._table[kind](self, flags, stream_id, payload, now)
                    else:
                        self._table[_UNKNOWN](self, flags, stream_id, payload, now)
                except (RemoteProtocolError, frames.FrameError) as error:
                    if error.scope is Scope.CONNECTION:
                        raise
                    self._reset_for(stream_id, error.message, error.code, now)
                if self.wants_close:
                    return
        except (RemoteProtocolError, frames.FrameError) as error:
            self._fail(error.message, error.code)
        except HPACKError as error:
            # Section 4.3: the table is unknown from here on.
            self._fail(str(error), ErrorCode.COMPRESSION_ERROR)
        else:
            if self._is_server:
                self._limit_reading()
            else:
                self._report_availability()

    def _room_for_data(self, stream_id: int) -> int:
        """Return how much DATA of a stream may come at once as if it were one frame.

        That is as long as nothing of it can be wrong; and a part of the window only, so that
        it is given back in parts, while the rest is on its way.
        """
        stream = self._streams.get(stream_id)
        inbound = None if stream is None else stream.inbound
        if (
            stream is None
            or inbound is None
            or stream.receiving not in (BODY, TUNNEL)
            or stream.state & HALF_CLOSED_REMOTE
            or stream.bodiless
            or self._table is not _FRAMES
        ):
            return 0
        room = min(inbound.size // 4, inbound.available, self._window.available)
        return room if stream.to_receive == NO_LENGTH else min(room, stream.to_receive)

    def _limit_reading(self) -> None:
        """Read no more requests from a client that does not read the answers.

        Only a server does that: two peers that both stop to read would wait for ever.
        """
        if len(self._out) > _MANY_PARTS:
            waiting = sum(map(len, self._out))
            if waiting > self.config.limits.write_high_water:
                self._is_paused = True
                self.wants_read = False

    # -- header blocks (sections 4.3, 6.2, 6.10) -------------------------------------

    def _on_headers(self, flags: int, stream_id: int, payload: bytes, now: float) -> None:
        if not stream_id:
            connection_error("HEADERS on stream 0")
        dependency: int | None = None
        if flags & (frames.PADDED | frames.HAS_PRIORITY):
            payload, dependency = frames.parse_headers(flags, payload)
        if dependency == stream_id:
            flags |= DEPENDS_ON_ITSELF
        if flags & frames.END_HEADERS:
            self._header_block(flags, stream_id, payload, now)
            return
        self._block = (stream_id, flags, [payload])
        self._table = _IN_BLOCK
        if self.config.timeouts.head is not None:
            self._timers.set(Timer.HEAD, now + self.config.timeouts.head)

    def _on_continuation(self, flags: int, stream_id: int, payload: bytes, now: float) -> None:
        if self._block is None or stream_id != self._block[0]:
            connection_error("CONTINUATION of another stream")
        _, first_flags, fragments = self._block
        fragments.append(payload)
        if len(fragments) > 1 + self.config.limits.max_continuations:
            connection_error("too many CONTINUATION frames", ErrorCode.ENHANCE_YOUR_CALM)
        if not payload:
            self._charge_glitch(now)
        if flags & frames.END_HEADERS:
            self._block = None
            self._table = _FRAMES
            self._timers.stop(Timer.HEAD)
            self._header_block(first_flags, stream_id, b"".join(fragments), now)

    def _on_push_promise(self, flags: int, stream_id: int, payload: bytes, now: float) -> None:
        """Sections 6.6 and 8.4: we have set SETTINGS_ENABLE_PUSH to 0, and clients never push."""
        connection_error("PUSH_PROMISE is not allowed")

    # -- priorities (RFC 9113 section 5.3, RFC 9218 section 7.1) -------------------------

    def _on_priority(self, flags: int, stream_id: int, payload: bytes, now: float) -> None:
        """The priorities of RFC 7540 are read, so that errors show, and ignored."""
        if not stream_id:
            connection_error("PRIORITY on stream 0")
        if frames.parse_priority(payload) == stream_id:
            stream_error("a stream depends on itself")  # RFC 7540 section 5.3.1
        self._charge_glitch(now)

    def _on_priority_update(self, flags: int, stream_id: int, payload: bytes, now: float) -> None:
        if stream_id or not self._is_server:
            connection_error("PRIORITY_UPDATE is not allowed here")
        target, value = frames.parse_priority_update(payload)
        if not target or not target & 1:
            connection_error(f"PRIORITY_UPDATE for stream {target}")
        self._charge_glitch(now)
        priority = parse_priority(decode_text(value))
        stream = self._streams.get(target)
        if stream is not None:
            stream.priority = priority
            if stream.outbound is not None:
                self._scheduler.set_priority(stream.outbound, priority)
            self._events.append(PriorityUpdated(target, *priority))
        elif target > self._highest and (
            target in self._priorities
            or len(self._priorities) < self.config.limits.max_concurrent_streams
        ):
            self._priorities[target] = priority  # RFC 9218 section 7.1: bounded

    # -- RST_STREAM (section 6.4) -----------------------------------------------------

    def _on_rst_stream(self, flags: int, stream_id: int, payload: bytes, now: float) -> None:
        code = frames.parse_rst_stream(payload)
        stream = self._streams.get(stream_id)
        if stream is None:
            self._absent(stream_id, frames.RST_STREAM, now)
            return
        if self._is_server:
            self._charge_reset(now)
        # Section 8.7: the server says that it has not processed the request.
        retryable = code == ErrorCode.REFUSED_STREAM
        if not stream.is_over:
            self._events.append(StreamReset(stream_id, code, Initiator.REMOTE, retryable))
        self._drop(stream, now)

    # -- SETTINGS (section 6.5) ---------------------------------------------------------

    def _on_settings(self, flags: int, stream_id: int, payload: bytes, now: float) -> None:
        if stream_id:
            connection_error(f"SETTINGS on stream {stream_id}")
        entries = frames.parse_settings(flags, payload)
        if flags & frames.ACK:
            self._on_settings_ack(now)
            return
        if len(entries) > self.config.limits.max_settings_entries:
            connection_error("too many settings", ErrorCode.ENHANCE_YOUR_CALM)
        self._charge_glitch(now)
        window = self._peer.initial_window_size
        changes = self._peer.apply(entries)
        for identifier, value in entries:
            if identifier == frames.SETTINGS_HEADER_TABLE_SIZE:
                self._encoder.set_peer_table_size(value)  # each in turn: the smallest counts
        self._move_windows(self._peer.initial_window_size - window)
        self._answer(frames.SETTINGS_ACK)
        self._events.append(SettingsChanged(changes))

    def _on_first_settings(self, flags: int, stream_id: int, payload: bytes, now: float) -> None:
        """The preface is complete (section 3.4)."""
        if flags & frames.ACK:
            connection_error("the first frame acknowledges SETTINGS")
        self._on_settings(flags, stream_id, payload, now)
        self._table = _FRAMES
        self._timers.stop(Timer.HEAD)

    def _move_windows(self, delta: int) -> None:
        """The peer's SETTINGS_INITIAL_WINDOW_SIZE changed (section 6.9.2)."""
        if not delta:
            return
        for stream in self._streams.values():
            outbound = stream.outbound
            if outbound is not None:
                outbound.window += delta
                outbound.widest_window = max(outbound.widest_window, outbound.window)
                if outbound.window > frames.MAX_WINDOW:
                    connection_error(
                        "SETTINGS_INITIAL_WINDOW_SIZE makes a window too large",
                        ErrorCode.FLOW_CONTROL_ERROR,
                    )
                self._scheduler.update(outbound)

    def _on_settings_ack(self, now: float) -> None:
        """Our SETTINGS are in force (section 6.5.3)."""
        if self._is_settled:
            self._charge_glitch(now)
            return
        self._is_settled = True
        self._decoder.max_table_size = self.config.limits.header_table_size
        self._max_streams = self.config.limits.max_concurrent_streams
        self._timers.stop(Timer.SETTINGS)
        surplus = INITIAL_WINDOW - self.config.limits.stream_window
        if surplus > 0:
            for stream in self._streams.values():
                if stream.inbound is not None:
                    stream.inbound.available -= surplus

    # -- the connection (sections 6.7 to 6.9) -----------------------------------------------

    def _on_ping(self, flags: int, stream_id: int, payload: bytes, now: float) -> None:
        if stream_id:
            connection_error(f"PING on stream {stream_id}")
        frames.parse_ping(payload)
        if not flags & frames.ACK:
            self._charge_glitch(now)
            self._answer(frames.encode_ping(payload, ack=True))
            return
        sent = self._pings.pop(payload, None)
        if sent is not None:
            self._timers.stop(Timer.PONG)
            if self._pings:  # in the order of their times
                oldest = next(iter(self._pings.values()))
                self._timers.set(Timer.PONG, oldest + self.config.timeouts.pong)
            if payload != KEEP_ALIVE_PING:
                self._events.append(PingAcknowledged(payload, now - sent))
        elif payload == PROBE:
            self._finish_probe()
        elif payload == GOAWAY_PING and self.state is ConnectionState.DRAINING:
            if not self._goaway_final:
                self._send_last_goaway()
            self._finish_draining()
        elif payload == FAREWELL_PING and self._is_parting:
            self._close_drained()
        else:
            self._charge_glitch(now)

    def _finish_probe(self) -> None:
        """A round trip is over: grow the windows that limit the transfer (see ``flow``)."""
        result = self._tuner.finish_probe()
        if result is None:
            return
        inbound, grow_stream, grow_connection = result
        if grow_connection:
            self._announce(0, self._window.grow())
        if grow_stream:
            for stream in self._streams.values():
                if stream.inbound is inbound and not stream.state & HALF_CLOSED_REMOTE:
                    self._announce(stream.stream_id, inbound.grow())

    def _on_goaway(self, flags: int, stream_id: int, payload: bytes, now: float) -> None:
        if stream_id:
            connection_error(f"GOAWAY on stream {stream_id}")
        last, code, debug = frames.parse_goaway(payload)
        self._charge_glitch(now)
        self._peer_gone = True
        if self.state is ConnectionState.OPEN:
            self.state = ConnectionState.DRAINING
        if not self._is_server:
            last = self._last_accepted = min(last, self._last_accepted)  # it never grows
        self._events.append(Draining(last, code, debug[:_MAX_DEBUG_DATA]))
        if not self._is_server:
            self._drop_above(last, now)
        self._finish_draining()

    def _drop_above(self, last: int, now: float) -> None:
        """The server has not processed the streams above ``last`` (section 6.8)."""
        for stream in list(self._streams.values()):
            if stream.stream_id > last:
                reset = StreamReset(
                    stream.stream_id, ErrorCode.REFUSED_STREAM, Initiator.REMOTE, True
                )
                self._events.append(reset)
                self._drop(stream, now)

    def _on_window_update(self, flags: int, stream_id: int, payload: bytes, now: float) -> None:
        increment = frames.parse_window_update(payload)
        if not stream_id:
            self._send_window += increment
            if not increment:
                connection_error("WINDOW_UPDATE of 0")
            if self._send_window > frames.MAX_WINDOW:
                connection_error("the window is too large", ErrorCode.FLOW_CONTROL_ERROR)
            if self._send_window > self._widest_window:
                self._widest_window = self._send_window
                self._check_growth(increment, now)
            return
        stream = self._streams.get(stream_id)
        if stream is None:
            self._absent(stream_id, frames.WINDOW_UPDATE, now)
        if not increment:
            stream_error("WINDOW_UPDATE of 0")
        if stream is None:
            return
        outbound = self._outbound(stream)
        outbound.window += increment
        if outbound.window > frames.MAX_WINDOW:
            stream_error("the window is too large", ErrorCode.FLOW_CONTROL_ERROR)
        if outbound.window > outbound.widest_window:
            outbound.widest_window = outbound.window
            self._check_growth(increment, now)
        self._scheduler.update(outbound)

    def _check_growth(self, increment: int, now: float) -> None:
        """A window got wider than it ever was: by a few bytes, that is odd.

        To give back a few bytes is not: a peer may do so for each small DATA that it got.
        """
        if increment < _SMALL_INCREMENT:
            self._charge_glitch(now)

    def _on_unknown(self, flags: int, stream_id: int, payload: bytes, now: float) -> None:
        """Sections 4.1 and 5.5: ignored, and counted."""
        self._charge_glitch(now)

    # -- out of turn ------------------------------------------------------------------------

    def _on_missing_settings(self, flags: int, stream_id: int, payload: bytes, now: float) -> None:
        connection_error("the first frame is not SETTINGS")

    def _on_broken_block(self, flags: int, stream_id: int, payload: bytes, now: float) -> None:
        connection_error("another frame inside a header block")

    # -- the transport ------------------------------------------------------------------------

    def receive_eof(self, now: float) -> None:
        """The peer will send nothing more; what it asked for in full is still answered."""
        if self.state is ConnectionState.CLOSED:
            return
        self._tick(now)
        self._peer_gone = self._input_ended = True
        self._is_paused = False
        self.wants_read = False
        self.state = ConnectionState.DRAINING
        for stream in list(self._streams.values()):
            if not stream.state & HALF_CLOSED_REMOTE:
                self._events.append(
                    StreamReset(stream.stream_id, ErrorCode.CANCEL, Initiator.REMOTE)
                )
                self._drop(stream, now)
        self._finish_draining()

    def connection_lost(self, error: Exception | None, now: float) -> None:
        """The transport is gone.  Open streams end with ``StreamReset``."""
        if self.state is ConnectionState.CLOSED:
            return
        self._tick(now)
        self._close_streams(ErrorCode.CANCEL, Initiator.REMOTE, None)
        self._out.clear()
        reason = CloseReason.PEER if error is None else CloseReason.LOST
        self._close(reason, error, CloseAction.NONE)


_Handler: TypeAlias = Callable[[Receiver, int, int, bytes, float], None]

_MANY_PARTS: Final = 64


_UNKNOWN: Final = 0xF  # an index of the tables that is no known type

_FRAMES: Final[tuple[_Handler, ...]] = (
    Receiver._on_data,
    Receiver._on_headers,
    Receiver._on_priority,
    Receiver._on_rst_stream,
    Receiver._on_settings,
    Receiver._on_push_promise,
    Receiver._on_ping,
    Receiver._on_goaway,
    Receiver._on_window_update,
    Receiver._on_continuation,
    *(Receiver._on_unknown,) * 6,
    Receiver._on_priority_update,
)


def _only(kind: int, handler: _Handler, other: _Handler) -> tuple[_Handler, ...]:
    return tuple(handler if index == kind else other for index in range(len(_FRAMES)))


_FIRST: Final = _only(frames.SETTINGS, Receiver._on_first_settings, Receiver._on_missing_settings)
_IN_BLOCK: Final = _only(frames.CONTINUATION, Receiver._on_continuation, Receiver._on_broken_block)
