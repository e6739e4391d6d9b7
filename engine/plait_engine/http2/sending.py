"""What the application's commands do (RFC 9113 sections 5.1, 6.9 and 8.1; RFC 8441).

Strategy
--------
A command is all or nothing, so ``send`` works in two steps: a ``Draft`` (see ``drafts``)
goes through the events and collects what is to be done, or raises; then it is carried out,
and nothing in that can fail.

Heads are encoded at once and leave in the order of the commands, since HPACK demands it.
Bodies are queued in the stream's ``Outbound`` and framed when the transport asks for them.
There are two short paths: for a request without content, and for a whole small response for
which the windows are open while no other stream waits for its turn.

Rules (those for the order of a message are in ``drafts``)
-----------------------------------------------------------
* RFC 9110 section 10.1.1: after ``Expect: 100-continue`` a client holds the content back,
  until 100 comes or ``Timeouts.expect_continue`` is over.  If a final response comes first,
  the content is not sent, and the stream is reset when the response is complete.
* Section 5.1.1: client ids are odd and grow; when they run out, the connection drains.
"""

from __future__ import annotations

from typing import Final

from plait_engine.connection import ConnectionState
from plait_engine.errors import ErrorCode, LocalProtocolError
from plait_engine.events import (
    CloseReason,
    Data,
    Draining,
    EndOfMessage,
    Request,
    Response,
    Sendable,
    StreamReset,
    Writable,
)
from plait_engine.headers import Headers, tokens
from plait_engine.semantics.content import METHODS_WITHOUT_CONTENT, WITHOUT_CONTENT
from plait_engine.semantics.message import BODY, DONE, HEAD, NO_LENGTH, TUNNEL, WAIT
from plait_engine.timers import Timer

from . import frames
from .core import KEEP_ALIVE_PING, HTTP2Core
from .drafts import Draft
from .outgoing import Fields
from .scheduler import DEFAULT_PRIORITY, Outbound, parse_priority
from .streams import HALF_CLOSED_LOCAL, HALF_CLOSED_REMOTE, OPEN, Stream

# On CPython 3.11 a member that is asked of its Enum costs ten times a global.
_CLOSED: Final = ConnectionState.CLOSED
_CONTINUE_TIMER: Final = Timer.CONTINUE
_DRAINING: Final = ConnectionState.DRAINING
_OPEN: Final = ConnectionState.OPEN
_PONG_TIMER: Final = Timer.PONG
_WRITE_TIMER: Final = Timer.WRITE


def send(core: HTTP2Core, events: tuple[Sendable, ...], now: float) -> None:
    """Do what ``events`` say: one or more of one stream, in order, as one command.

    Raises LocalProtocolError when any of them is not allowed; then none is done.
    After this call, drain the outputs.
    """
    if len(events) == 3 and _send_three(core, *events, now):
        return
    if len(events) == 2 and _send_two(core, *events, now):
        return
    core._tick(now)
    if not events:
        return
    first = events[0]
    stream_id = first.stream_id
    stream = core._streams.get(stream_id)
    for event in events:
        if event.stream_id != stream_id:
            raise LocalProtocolError("one command is for one stream")
    last = events[-1]
    reset = last if type(last) is StreamReset else None
    if reset is not None:
        events = events[:-1]
        if not events and stream is None and 0 < stream_id <= core._streams.highest:
            core._inflow.give_back_ended(stream_id)
            return  # it has ended meanwhile, which is as good
    if stream is None and type(first) is Request:
        _send_request(core, first, events[1:], now)
    elif stream is None:
        raise LocalProtocolError(f"stream {stream_id} is not open")
    elif events:
        _send_on(core, stream, events, now)
    if reset is not None:
        _send_reset(core, stream_id, reset.code, now)
    if not core._is_server:
        core._report_availability()


def _send_three(core: HTTP2Core, head: Sendable, data: Sendable, end: Sendable, now: float) -> bool:
    """Send the events of a whole small response (see ``send_whole``)."""
    return (
        type(head) is Response
        and type(data) is Data
        and type(end) is EndOfMessage
        and not end.trailers
        and data.stream_id == end.stream_id == head.stream_id
        and send_whole(core, head.stream_id, head.status, head.headers, data.data, now) is not None
    )


def _send_two(core: HTTP2Core, head: Sendable, end: Sendable, now: float) -> bool:
    """Send the events of a request without content (see ``send_bare``)."""
    return (
        type(head) is Request
        and type(end) is EndOfMessage
        and not end.trailers
        and end.stream_id == head.stream_id
        and send_bare(core, head, now) is not None
    )


def send_bare(core: HTTP2Core, request: Request, now: float) -> bytes | None:
    """Send a request without content that nothing stands in the way of.

    This is the short path beside ``send``.  Returns ``b""``: ``data_to_send`` has it; ``None``
    when it is not that case, and then nothing was done.  Raises LocalProtocolError where ``send`` does.
    """
    streams = core._streams
    stream_id = request.stream_id
    max_open = core._peer.max_concurrent_streams
    if (
        core._is_server
        or core.state is not _OPEN
        or stream_id != streams.highest + 2
        or stream_id + 2 > frames.MAX_STREAM_ID
        or len(streams) >= max_open
        or request.method not in METHODS_WITHOUT_CONTENT
        or request.protocol is not None
    ):
        return None
    pseudo, fields, content_length = core._writer.parts(request)
    if content_length != NO_LENGTH:
        return None
    core._tick(now)
    block = core._encoder.encode_request(pseudo, request.target, fields)
    size = len(block)
    max_frame_size = core._peer.max_frame_size
    if size <= max_frame_size:
        core._out += (frames.frame_header(frames.HEADERS, frames.WHOLE, stream_id, size), block)
    else:
        core._out.append(
            frames.encode_headers(stream_id, block, end_stream=True, max_frame_size=max_frame_size)
        )
    streams[stream_id] = Stream(stream_id, HALF_CLOSED_LOCAL, HEAD, DONE, request.method, now)
    _probe_if_silent(core, now)
    streams.highest = stream_id
    if stream_id < streams.first_unsent:
        streams.first_unsent = stream_id
    core._had_streams = len(streams) < max_open
    return b""


def send_whole(
    core: HTTP2Core, stream_id: int, status: int, headers: Headers, body: bytes, now: float
) -> bytes | None:
    """Send a whole small response that nothing stands in the way of.

    This is the short path beside ``send``.  Returns ``b""``: ``data_to_send`` has it; ``None``
    when it is not that case, and then nothing was done.
    """
    stream = core._streams.get(stream_id)
    outflow = core._outflow
    size = len(body)
    if (
        stream is None
        or stream.sending != HEAD
        or stream.receiving == WAIT
        or stream.outbound is not None
        or stream.bodiless
        or not 0 < size <= frames.MIN_MAX_FRAME_SIZE
        or size > outflow.window
        or size > core._peer.initial_window_size
        or status in WITHOUT_CONTENT
        or status < 200
        or outflow.scheduler.ready
    ):
        return None
    fields, content_length = core._writer.response(status, headers)
    if content_length != size:
        if content_length != NO_LENGTH:
            return None
        fields += (("content-length", str(size)),)
    core._tick(now)
    block = core._encoder.encode(fields)
    block_size = len(block)
    max_frame_size = core._peer.max_frame_size
    end = frames.frame_header(frames.DATA, frames.END_STREAM, stream_id, size)
    if block_size > max_frame_size:
        head = frames.encode_headers(stream_id, block, max_frame_size=max_frame_size)
        core._out += (head, end, body)
    else:
        header = frames.frame_header(frames.HEADERS, frames.END_HEADERS, stream_id, block_size)
        core._out += (header, block, end, body)
    outflow.window -= size
    if stream.state == HALF_CLOSED_REMOTE:
        core._forget(stream, now)
    else:
        core._end_local(stream, now)
    return b""


def _send_on(core: HTTP2Core, stream: Stream, events: tuple[Sendable, ...], now: float) -> None:
    """Go on with a stream that is there."""
    drops = stream.bodiless if core._is_server else stream.drops_content
    draft = Draft(stream, core._writer, drops)
    for event in events:
        draft.add(event)
    if draft.accepts:
        _accept_tunnel(core, stream, draft, now)
    elif draft.is_tunnel and draft.phase == BODY:
        core._end_of_request(stream)
    if draft.heads and core._is_server:
        _read_response_fields(stream, draft.heads)
    _carry_out(core, stream, draft, now)


def _accept_tunnel(core: HTTP2Core, stream: Stream, draft: Draft, now: float) -> None:
    """From here on, DATA is for the tunnel; what came too early comes now."""
    stream.receiving = TUNNEL
    for data, credit in stream.held:
        core._events.append(Data(stream.stream_id, data, credit))
    stream.held = []
    if stream.state & HALF_CLOSED_REMOTE:
        core._events.append(EndOfMessage(stream.stream_id))
        stream.receiving = DONE


def _send_request(
    core: HTTP2Core, request: Request, events: tuple[Sendable, ...], now: float
) -> None:
    """Open a stream (section 5.1.1)."""
    stream_id = next_stream_id(core)
    if request.stream_id != stream_id:
        raise LocalProtocolError(f"the next stream is {stream_id}")
    if request.protocol is not None and not core._peer.enable_connect_protocol:
        raise LocalProtocolError("the server has not offered extended CONNECT (RFC 8441)")
    fields, content_length = core._writer.request(request)
    sending = WAIT if request.method == "CONNECT" else BODY
    stream = Stream(stream_id, OPEN, HEAD, sending, request.method, now)
    stream.to_send = content_length
    draft = Draft(stream, core._writer, False)
    draft.heads.append(fields)
    for event in events:
        draft.add(event)
    core._streams[stream_id] = stream
    if not draft.ended or draft.pieces:
        _read_request_fields(core, stream, fields, now)
    _carry_out(core, stream, draft, now)
    _probe_if_silent(core, now)
    core._streams.highest = stream_id
    core._streams.first_unsent = min(core._streams.first_unsent, stream_id)
    if stream_id + 2 > frames.MAX_STREAM_ID and core.state is _OPEN:
        core._departure.reason = CloseReason.LOCAL
        core.state = _DRAINING
        core._events.append(Draining(stream_id))


def _probe_if_silent(core: HTTP2Core, now: float) -> None:
    """Before a request goes to a peer that was silent for long: see whether it is there."""
    probe = core.config.timeouts.probe
    if probe is not None and now - core._received_at >= probe and not core._pings:
        ping(core, KEEP_ALIVE_PING, now)


def _read_request_fields(core: HTTP2Core, stream: Stream, fields: Fields, now: float) -> None:
    """Obey what the application asks of its own content."""
    priority = [value for name, value in fields if name == "priority"]
    if priority:
        stream.priority = parse_priority(",".join(priority))
    for name, value in fields:
        if name == "expect" and "100-continue" in tokens(value):
            deadline = now + core.config.timeouts.expect_continue
            stream.expects = deadline
            core._outflow.queue_of(stream).is_held = True
            if core._timers.deadline(_CONTINUE_TIMER) is None:
                core._timers.set(_CONTINUE_TIMER, deadline)


def _read_response_fields(stream: Stream, heads: list[Fields]) -> None:
    """Obey what the application says of its own response (RFC 9218 section 8)."""
    priority = [value for fields in heads for name, value in fields if name == "priority"]
    if priority:
        base = stream.priority or DEFAULT_PRIORITY
        stream.priority = parse_priority(",".join(priority), base)


# -- carrying out -----------------------------------------------------------------


def _carry_out(core: HTTP2Core, stream: Stream, draft: Draft, now: float) -> None:
    """Do what the draft says.  Nothing here can fail."""
    stream.to_send = draft.to_send
    stream.sending = DONE if draft.ended else draft.phase
    if stream.drops_content:
        return
    stream.bodiless = stream.bodiless or draft.bodiless
    outbound = stream.outbound
    is_empty = not draft.pieces and (outbound is None or not outbound.queued)
    ends_now = draft.ended and is_empty
    for index, fields in enumerate(draft.heads):
        is_last = index == len(draft.heads) - 1
        _send_head(core, stream, fields, ends_now and is_last and not draft.trailers)
    if ends_now:
        if draft.trailers:
            _send_head(core, stream, draft.trailers, True)
        elif not draft.heads:
            core._out.append(frames.encode_data(stream.stream_id, b"", end_stream=True))
        core._end_local(stream, now)
    elif draft.pieces or draft.ended:
        _queue(core, stream, draft, now)


def _queue(core: HTTP2Core, stream: Stream, draft: Draft, now: float) -> None:
    outbound = core._outflow.queue_of(stream)
    for piece in draft.pieces:
        outbound.append(piece, now)
    outbound.ended = draft.ended
    outbound.trailers = draft.trailers
    if outbound.queued >= core.config.limits.write_high_water:
        outbound.is_full = True
    core._outflow.scheduler.update(outbound)
    timeout = core.config.timeouts.write
    if core._is_server and timeout is not None and core._timers.deadline(_WRITE_TIMER) is None:
        core._timers.set(_WRITE_TIMER, now + timeout)


def _send_head(core: HTTP2Core, stream: Stream, fields: Headers, end_stream: bool) -> None:
    block = core._encoder.encode(fields)
    core._out.append(
        frames.encode_headers(
            stream.stream_id,
            block,
            end_stream=end_stream,
            max_frame_size=core._peer.max_frame_size,
        )
    )


def _send_reset(core: HTTP2Core, stream_id: int, code: int, now: float) -> None:
    stream = core._streams.get(stream_id)
    if stream is None:
        return
    if code == ErrorCode.NO_ERROR and stream.sending == DONE and core._is_server:
        # Section 8.1: the answer goes out first; ``_end_local`` sees to the rest.
        stream.receiving = DONE
        core._inflow.give_back(stream)
        if stream.state & HALF_CLOSED_LOCAL:
            stream.touched = now
            core._stop_request(stream, now)
    else:
        core._reset(stream, code, now)


# -- framing what is queued -----------------------------------------------------------


def frame_queued(core: HTTP2Core) -> None:
    """Frame about ``Limits.write_quantum`` bytes of what may go (see ``scheduler``)."""
    limits = core.config.limits
    room = limits.write_quantum
    max_size = min(core._peer.max_frame_size, room)
    scheduler = core._outflow.scheduler
    while room > 0 and core._outflow.window > 0:
        outbound = scheduler.next()
        if outbound is None:
            return
        # A stream that is alone has every turn: whole frames, until the quantum is reached.
        turn = max_size if len(scheduler.ready) > 1 else -(-room // max_size) * max_size
        size = min(outbound.queued, outbound.window, core._outflow.window, turn)
        core._outflow.window -= size
        room -= size
        _frame(core, outbound, size, max_size)
        # A message that is complete has nobody who waits.
        if outbound.is_full and not outbound.ended and outbound.queued <= limits.write_low_water:
            outbound.is_full = False
            core._events.append(Writable(outbound.stream_id))


def frame_data(core: HTTP2Core, stream_id: int, data: bytes, now: float) -> bool:
    """Short path of ``send`` and ``frame_queued``: frame content that nobody has to wait for.

    Returns false when it is not as simple as that; then nothing was done.
    """
    stream = core._streams.get(stream_id)
    outflow = core._outflow
    size = len(data)
    if (
        stream is None
        or not core._is_server
        or stream.sending != BODY
        or stream.bodiless
        or core._out
        or outflow.scheduler.ready
        or not 0 < size <= core.config.limits.write_quantum
        or size > outflow.window
        or (stream.to_send != NO_LENGTH and size > stream.to_send)
    ):
        return False
    outbound = outflow.queue_of(stream)
    if outbound.queued or outbound.window < size:
        return False
    core._tick(now)
    if stream.to_send != NO_LENGTH:
        stream.to_send -= size
    outflow.window -= size
    outbound.append(data, now)
    _frame(core, outbound, size, min(core._peer.max_frame_size, size))
    return True


def _frame(core: HTTP2Core, outbound: Outbound, size: int, max_size: int) -> None:
    """Move ``size`` bytes of a stream to the output, and its end if that is reached.

    ``max_size``: of a frame's content.
    """
    stream_id = outbound.stream_id
    is_last = outbound.ended and size == outbound.queued
    end_stream = is_last and not outbound.trailers
    flags = frames.END_STREAM if end_stream else 0
    if size > max_size:
        header = frames.frame_header(frames.DATA, 0, stream_id, max_size)
        while size > max_size:
            core._out.append(header)
            outbound.take(max_size, core._out, core._now)
            size -= max_size
    core._out.append(frames.frame_header(frames.DATA, flags, stream_id, size))
    outbound.take(size, core._out, core._now)
    core._outflow.scheduler.update(outbound)
    if is_last:
        stream = core._streams[stream_id]
        if outbound.trailers:
            _send_head(core, stream, outbound.trailers, True)
        core._end_local(stream, core._now)


# -- the other commands ------------------------------------------------------------------


def acknowledge(core: HTTP2Core, stream_id: int, credit: int, now: float) -> None:
    """The application took ``credit`` bytes of ``Data`` (see ``flow``).

    Raises LocalProtocolError for more than was received and not acknowledged yet.
    """
    if core.state is _CLOSED:
        return
    core._tick(now)
    if credit < 0:
        raise LocalProtocolError(f"{credit} bytes acknowledged")
    stream = core._streams.get(stream_id)
    inbound = None if stream is None else stream.inbound
    if stream is None or inbound is None:
        core._inflow.acknowledge_ended(stream_id, credit)
    elif not stream.is_unwanted:  # else it was given back already
        stream.touched = now
        core._inflow.acknowledge(stream, inbound, credit)


def ping(core: HTTP2Core, payload: bytes, now: float) -> None:
    """Send a PING of 8 bytes; the answer comes as ``PingAcknowledged`` (section 6.7)."""
    if core.state is _CLOSED:
        raise LocalProtocolError("the connection is closed")
    if len(payload) != 8 or payload in core._pings:
        raise LocalProtocolError("a PING has 8 bytes that no unanswered PING has")
    core._tick(now)
    core._pings[payload] = now
    core._out.append(frames.encode_ping(payload))
    if core._timers.deadline(_PONG_TIMER) is None:
        core._timers.set(_PONG_TIMER, now + core.config.timeouts.pong)


def next_stream_id(core: HTTP2Core) -> int:
    """Return the id for the next request (section 5.1.1)."""
    if (
        core._is_server
        or core.state is not _OPEN
        or len(core._streams) >= core._peer.max_concurrent_streams
    ):
        raise LocalProtocolError("no stream can be opened now")
    return core._streams.highest + 2
