"""What the peer's frames do (RFC 9113 sections 4 to 6, RFC 9218 section 7.1).

Strategy
--------
``receive_data`` cuts frames and hands each to a function from a table.  There are three
tables, because what may come next depends on the place in the connection:

* ``FIRST``: nothing but SETTINGS, the second half of the preface (section 3.4);
* ``_FRAMES``: everything;
* ``_IN_BLOCK``: nothing but CONTINUATION, while a header block is open (section 6.10).

So no function asks whether it is its turn.  Functions raise RemoteProtocolError or
FrameError for what the peer did wrong; the loop answers it.

DATA and complete header blocks are given to ``messages``.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from plait_engine.connection import CloseAction, ConnectionState
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

from . import frames, messages
from .core import (
    DRAINED_PING,
    GOAWAY_PING,
    KEEP_ALIVE_PING,
    FrameHandler,
    HTTP2Core,
)
from .errors import connection_error, stream_error
from .flow import PROBE
from .hpack import HPACKError
from .scheduler import parse_priority
from .settings import INITIAL_WINDOW
from .streams import HALF_CLOSED_REMOTE

# On CPython 3.11 a member that is asked of its Enum costs ten times a global.
_CLOSED: Final = ConnectionState.CLOSED
_DRAINING: Final = ConnectionState.DRAINING
_HEAD_TIMER: Final = Timer.HEAD
_OPEN: Final = ConnectionState.OPEN
_PONG_TIMER: Final = Timer.PONG
_SETTINGS_TIMER: Final = Timer.SETTINGS


_MAX_DEBUG_DATA: Final = 1024
_SMALL_INCREMENT: Final = 64
"""A WINDOW_UPDATE below this buys hardly more than its own frame costs."""


def receive_data(core: HTTP2Core, data: bytes | memoryview, now: float) -> None:
    """Bytes came from the peer.  After ``CLOSED`` they are ignored."""
    if core.state is _CLOSED:
        return
    core._tick(now)
    core._received_at = now
    try:
        for kind, flags, stream_id, payload in core._reader.receive(
            data, partial(_room_for_data, core)
        ):
            try:
                if kind <= frames.PRIORITY_UPDATE:
                    core._handlers[kind](core, flags, stream_id, payload, now)
                else:
                    core._handlers[_UNKNOWN](core, flags, stream_id, payload, now)
            except (RemoteProtocolError, frames.FrameError) as error:
                if error.scope is Scope.CONNECTION:
                    raise
                core._reset_for(stream_id, error.message, error.code, now)
            if core.wants_close:
                return
    except (RemoteProtocolError, frames.FrameError) as error:
        core._fail(error.message, error.code)
    except HPACKError as error:
        # Section 4.3: the table is unknown from here on.
        core._fail(str(error), ErrorCode.COMPRESSION_ERROR)
    else:
        if core._is_server:
            _limit_reading(core)
        else:
            core._report_availability()


def _room_for_data(core: HTTP2Core, stream_id: int) -> int:
    """Return how much DATA of a stream may come at once as if it were one frame.

    That is as long as nothing of it can be wrong; and a part of the window only, so that
    it is given back in parts, while the rest is on its way.
    """
    stream = core._streams.get(stream_id)
    inbound = None if stream is None else stream.inbound
    if (
        stream is None
        or inbound is None
        or stream.receiving not in (BODY, TUNNEL)
        or stream.state & HALF_CLOSED_REMOTE
        or stream.bodiless
        or core._handlers is not _FRAMES
    ):
        return 0
    room = min(inbound.size // 4, inbound.available, core._inflow.window.available)
    return room if stream.to_receive == NO_LENGTH else min(room, stream.to_receive)


def _limit_reading(core: HTTP2Core) -> None:
    """Read no more requests from a client that does not read the answers.

    Only a server does that: if both sides stopped reading, they would deadlock.
    """
    if len(core._out) > _MANY_PARTS:
        waiting = sum(map(len, core._out))
        if waiting > core.config.limits.write_high_water:
            core._out.is_paused = True
            core.wants_read = False


# -- header blocks (sections 4.3, 6.2, 6.10) -------------------------------------


def _on_headers(core: HTTP2Core, flags: int, stream_id: int, payload: bytes, now: float) -> None:
    if not stream_id:
        connection_error("HEADERS on stream 0")
    dependency: int | None = None
    if flags & (frames.PADDED | frames.HAS_PRIORITY):
        payload, dependency = frames.parse_headers(flags, payload)
    if dependency == stream_id:
        flags |= messages.DEPENDS_ON_ITSELF
    if flags & frames.END_HEADERS:
        messages.on_header_block(core, flags, stream_id, payload, now)
        return
    core._block = (stream_id, flags, [payload])
    core._handlers = _IN_BLOCK
    if core.config.timeouts.head is not None:
        core._timers.set(_HEAD_TIMER, now + core.config.timeouts.head)


def _on_continuation(
    core: HTTP2Core, flags: int, stream_id: int, payload: bytes, now: float
) -> None:
    if core._block is None or stream_id != core._block[0]:
        connection_error("CONTINUATION of another stream")
    _, first_flags, fragments = core._block
    fragments.append(payload)
    if len(fragments) > 1 + core.config.limits.max_continuations:
        connection_error("too many CONTINUATION frames", ErrorCode.ENHANCE_YOUR_CALM)
    if not payload:
        core._budgets.charge_glitch(now)
    if flags & frames.END_HEADERS:
        core._block = None
        core._handlers = _FRAMES
        core._timers.stop(_HEAD_TIMER)
        messages.on_header_block(core, first_flags, stream_id, b"".join(fragments), now)


def _on_push_promise(
    core: HTTP2Core, flags: int, stream_id: int, payload: bytes, now: float
) -> None:
    """Sections 6.6 and 8.4: we have set SETTINGS_ENABLE_PUSH to 0, and clients never push."""
    connection_error("PUSH_PROMISE is not allowed")


# -- priorities (RFC 9113 section 5.3, RFC 9218 section 7.1) -------------------------


def _on_priority(core: HTTP2Core, flags: int, stream_id: int, payload: bytes, now: float) -> None:
    """The priorities of RFC 7540 are read, so that errors show, and ignored."""
    if not stream_id:
        connection_error("PRIORITY on stream 0")
    if frames.parse_priority(payload) == stream_id:
        stream_error("a stream depends on itself")  # RFC 7540 section 5.3.1
    core._budgets.charge_glitch(now)


def _on_priority_update(
    core: HTTP2Core, flags: int, stream_id: int, payload: bytes, now: float
) -> None:
    if stream_id or not core._is_server:
        connection_error("PRIORITY_UPDATE is not allowed here")
    target, value = frames.parse_priority_update(payload)
    if not target or not target & 1:
        connection_error(f"PRIORITY_UPDATE for stream {target}")
    core._budgets.charge_glitch(now)
    priority = parse_priority(decode_text(value))
    stream = core._streams.get(target)
    if stream is not None:
        stream.priority = priority
        if stream.outbound is not None:
            core._outflow.scheduler.set_priority(stream.outbound, priority)
        core._events.append(PriorityUpdated(target, *priority))
    elif target > core._streams.highest and (
        target in core._outflow.priorities
        or len(core._outflow.priorities) < core.config.limits.max_concurrent_streams
    ):
        core._outflow.priorities[target] = priority  # RFC 9218 section 7.1: bounded


# -- RST_STREAM (section 6.4) -----------------------------------------------------


def _on_rst_stream(core: HTTP2Core, flags: int, stream_id: int, payload: bytes, now: float) -> None:
    code = frames.parse_rst_stream(payload)
    stream = core._streams.get(stream_id)
    if stream is None:
        messages.on_absent(core, stream_id, frames.RST_STREAM, now)
        return
    if core._is_server:
        core._budgets.charge_reset(now)
    # Section 8.7: the server says that it has not processed the request.
    retryable = code == ErrorCode.REFUSED_STREAM
    if not stream.is_over:
        core._events.append(StreamReset(stream_id, code, Initiator.REMOTE, retryable))
    core._drop(stream, now)


# -- SETTINGS (section 6.5) ---------------------------------------------------------


def _on_settings(core: HTTP2Core, flags: int, stream_id: int, payload: bytes, now: float) -> None:
    if stream_id:
        connection_error(f"SETTINGS on stream {stream_id}")
    entries = frames.parse_settings(flags, payload)
    if flags & frames.ACK:
        _on_settings_ack(core, now)
        return
    if len(entries) > core.config.limits.max_settings_entries:
        connection_error("too many settings", ErrorCode.ENHANCE_YOUR_CALM)
    core._budgets.charge_glitch(now)
    window = core._peer.initial_window_size
    changes = core._peer.apply(entries)
    for identifier, value in entries:
        if identifier == frames.SETTINGS_HEADER_TABLE_SIZE:
            core._encoder.set_peer_table_size(value)  # each in turn: the smallest counts
    _move_windows(core, core._peer.initial_window_size - window)
    core._out.answer(frames.SETTINGS_ACK)
    core._events.append(SettingsChanged(changes))


def _on_first_settings(
    core: HTTP2Core, flags: int, stream_id: int, payload: bytes, now: float
) -> None:
    """The preface is complete (section 3.4)."""
    if flags & frames.ACK:
        connection_error("the first frame acknowledges SETTINGS")
    _on_settings(core, flags, stream_id, payload, now)
    core._handlers = _FRAMES
    core._timers.stop(_HEAD_TIMER)


def _move_windows(core: HTTP2Core, delta: int) -> None:
    """The peer's SETTINGS_INITIAL_WINDOW_SIZE changed (section 6.9.2)."""
    if not delta:
        return
    for stream in core._streams.values():
        outbound = stream.outbound
        if outbound is not None:
            outbound.window += delta
            outbound.widest_window = max(outbound.widest_window, outbound.window)
            if outbound.window > frames.MAX_WINDOW:
                connection_error(
                    "SETTINGS_INITIAL_WINDOW_SIZE makes a window too large",
                    ErrorCode.FLOW_CONTROL_ERROR,
                )
            core._outflow.scheduler.update(outbound)


def _on_settings_ack(core: HTTP2Core, now: float) -> None:
    """Our SETTINGS are in force (section 6.5.3)."""
    if core._inflow.is_settled:
        core._budgets.charge_glitch(now)
        return
    core._inflow.is_settled = True
    core._decoder.max_table_size = core.config.limits.header_table_size
    core._streams.max_open = core.config.limits.max_concurrent_streams
    core._timers.stop(_SETTINGS_TIMER)
    surplus = INITIAL_WINDOW - core.config.limits.stream_window
    if surplus > 0:
        for stream in core._streams.values():
            if stream.inbound is not None:
                stream.inbound.available -= surplus


# -- the connection (sections 6.7 to 6.9) -----------------------------------------------


def _on_ping(core: HTTP2Core, flags: int, stream_id: int, payload: bytes, now: float) -> None:
    if stream_id:
        connection_error(f"PING on stream {stream_id}")
    frames.parse_ping(payload)
    if not flags & frames.ACK:
        core._budgets.charge_glitch(now)
        core._out.answer(frames.encode_ping(payload, ack=True))
        return
    sent = core._pings.pop(payload, None)
    if sent is not None:
        core._timers.stop(_PONG_TIMER)
        if core._pings:  # in the order of their times
            oldest = next(iter(core._pings.values()))
            core._timers.set(_PONG_TIMER, oldest + core.config.timeouts.pong)
        if payload != KEEP_ALIVE_PING:
            core._events.append(PingAcknowledged(payload, now - sent))
    elif payload == PROBE:
        _finish_probe(core)
    elif payload == GOAWAY_PING and core.state is _DRAINING:
        if not core._departure.is_announced:
            core._send_last_goaway()
        core._finish_draining()
    elif payload == DRAINED_PING and core._departure.is_waiting:
        core._close_drained()
    else:
        core._budgets.charge_glitch(now)


def _finish_probe(core: HTTP2Core) -> None:
    """A round trip is over: grow the windows that limit the transfer (see ``flow``)."""
    result = core._inflow.tuner.finish_probe()
    if result is None:
        return
    inbound, grow_stream, grow_connection = result
    if grow_connection:
        core._out.announce(0, core._inflow.window.grow())
    if grow_stream:
        for stream in core._streams.values():
            if stream.inbound is inbound and not stream.state & HALF_CLOSED_REMOTE:
                core._out.announce(stream.stream_id, inbound.grow())


def _on_goaway(core: HTTP2Core, flags: int, stream_id: int, payload: bytes, now: float) -> None:
    if stream_id:
        connection_error(f"GOAWAY on stream {stream_id}")
    last, code, debug = frames.parse_goaway(payload)
    core._budgets.charge_glitch(now)
    core._departure.peer_is_leaving = True
    if core.state is _OPEN:
        core.state = _DRAINING
    if not core._is_server:
        last = core._streams.last_accepted = min(
            last, core._streams.last_accepted
        )  # it never grows
    core._events.append(Draining(last, code, debug[:_MAX_DEBUG_DATA]))
    if not core._is_server:
        _drop_above(core, last, code, now)
    core._finish_draining()


def _drop_above(core: HTTP2Core, last: int, reason: int, now: float) -> None:
    """The server has not processed the streams above ``last`` (section 6.8).

    Why it takes no more matters for them if another connection would hear the same.
    Should it answer one of them nevertheless, that is ignored, as after a reset.
    """
    code = reason if reason == ErrorCode.HTTP_1_1_REQUIRED else ErrorCode.REFUSED_STREAM
    for stream in list(core._streams.values()):
        if stream.stream_id > last:
            core._streams.closed.add_reset(stream.stream_id)
            core._events.append(StreamReset(stream.stream_id, code, Initiator.REMOTE, True))
            core._drop(stream, now)


def _on_window_update(
    core: HTTP2Core, flags: int, stream_id: int, payload: bytes, now: float
) -> None:
    increment = frames.parse_window_update(payload)
    if not stream_id:
        core._outflow.window += increment
        if not increment:
            connection_error("WINDOW_UPDATE of 0")
        if core._outflow.window > frames.MAX_WINDOW:
            connection_error("the window is too large", ErrorCode.FLOW_CONTROL_ERROR)
        if core._outflow.window > core._outflow.widest_window:
            core._outflow.widest_window = core._outflow.window
            _check_growth(core, increment, now)
        return
    stream = core._streams.get(stream_id)
    if stream is None:
        messages.on_absent(core, stream_id, frames.WINDOW_UPDATE, now)
    if not increment:
        stream_error("WINDOW_UPDATE of 0")
    if stream is None:
        return
    outbound = core._outflow.queue_of(stream)
    outbound.window += increment
    if outbound.window > frames.MAX_WINDOW:
        stream_error("the window is too large", ErrorCode.FLOW_CONTROL_ERROR)
    if outbound.window > outbound.widest_window:
        outbound.widest_window = outbound.window
        _check_growth(core, increment, now)
    core._outflow.scheduler.update(outbound)


def _check_growth(core: HTTP2Core, increment: int, now: float) -> None:
    """A window got wider than it ever was: by a few bytes, that is odd.

    To give back a few bytes is not: a peer may do so for each small DATA that it got.
    """
    if increment < _SMALL_INCREMENT:
        core._budgets.charge_glitch(now)


def _on_unknown(core: HTTP2Core, flags: int, stream_id: int, payload: bytes, now: float) -> None:
    """Sections 4.1 and 5.5: ignored, and counted."""
    core._budgets.charge_glitch(now)


# -- out of turn ------------------------------------------------------------------------


def _on_missing_settings(
    core: HTTP2Core, flags: int, stream_id: int, payload: bytes, now: float
) -> None:
    connection_error("the first frame is not SETTINGS")


def _on_broken_block(
    core: HTTP2Core, flags: int, stream_id: int, payload: bytes, now: float
) -> None:
    connection_error("another frame inside a header block")


# -- the transport ------------------------------------------------------------------------


def receive_eof(core: HTTP2Core, now: float) -> None:
    """The peer will send nothing more; what it asked for in full is still answered."""
    if core.state is _CLOSED:
        return
    core._tick(now)
    core._departure.peer_is_leaving = core._departure.input_has_ended = True
    core._out.is_paused = False
    core.wants_read = False
    core.state = _DRAINING
    for stream in list(core._streams.values()):
        if not stream.state & HALF_CLOSED_REMOTE:
            core._events.append(StreamReset(stream.stream_id, ErrorCode.CANCEL, Initiator.REMOTE))
            core._drop(stream, now)
    core._finish_draining()


def connection_lost(core: HTTP2Core, error: Exception | None, now: float) -> None:
    """The transport is gone.  Open streams end with ``StreamReset``."""
    if core.state is _CLOSED:
        return
    core._tick(now)
    core._close_streams(ErrorCode.CANCEL, Initiator.REMOTE, None)
    core._out.clear()
    reason = CloseReason.PEER if error is None else CloseReason.LOST
    core._close(reason, error, CloseAction.NONE)


_MANY_PARTS: Final = 64


_UNKNOWN: Final = 0xF  # an index of the tables that is no known type

_FRAMES: Final[tuple[FrameHandler, ...]] = (
    messages.on_data,
    _on_headers,
    _on_priority,
    _on_rst_stream,
    _on_settings,
    _on_push_promise,
    _on_ping,
    _on_goaway,
    _on_window_update,
    _on_continuation,
    *(_on_unknown,) * 6,
    _on_priority_update,
)


def _only(kind: int, handler: FrameHandler, other: FrameHandler) -> tuple[FrameHandler, ...]:
    return tuple(handler if index == kind else other for index in range(len(_FRAMES)))


FIRST: Final = _only(frames.SETTINGS, _on_first_settings, _on_missing_settings)
_IN_BLOCK: Final = _only(frames.CONTINUATION, _on_continuation, _on_broken_block)
