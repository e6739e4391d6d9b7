"""What the peer's messages say: complete header blocks and DATA (RFC 9113 sections 6.1, 8).

Strategy
--------
``receiving`` cuts frames and joins header blocks; this module finds the stream, asks what
comes next in it (its *phase*, see ``streams``) and turns what came into events.

A header block is always decoded, whatever becomes of its stream: it may change the HPACK
table (section 4.3).  Heads are validated once for each list that the decoder returns; it
returns the same list for a block that repeats, so a repeated request costs two look-ups.
Requests that differ in nothing but their target are validated once, but for that.

Rules
-----
* Section 5.1.1: a client's new stream has an odd id above all others.
* Section 5.1.2: one above ``Limits.max_concurrent_streams`` is refused; and before the
  client acknowledged our SETTINGS, one above ``settings.ASSUMED_STREAMS``.
* Section 6.8: one above the last id that we announced is refused.
* Section 8.1.1: content has the length of Content-Length.
* Section 8.5: a request for a tunnel has no content; DATA that comes before the server has
  answered is held, within the window, until ``Accept``.
* Section 8.1: where the end of a request is not wanted (a tunnel was declined, or the
  application said so), its DATA is dropped, and behind the end of the response the stream
  is reset with NO_ERROR if the client does not end it soon.

A request that the server refuses by itself (431, 501) is answered in full, and reported as
``StreamReset``; it never comes as ``Request``.
"""

from __future__ import annotations

from typing import Final

from plait_engine.errors import ErrorCode, RemoteProtocolError, Scope
from plait_engine.events import (
    Accept,
    Data,
    EndOfMessage,
    InformationalResponse,
    Request,
    Response,
    Writable,
)
from plait_engine.semantics.content import ENDED_BY_HEAD
from plait_engine.semantics.message import BODY, DONE, HEAD, NO_LENGTH, TUNNEL, WAIT
from plait_engine.timers import Timer

from . import frames
from .core import HTTP2Core
from .errors import connection_error, stream_error
from .hpack import HeaderListTooLarge
from .streams import ABSENT_ERRORS, CLOSED, HALF_CLOSED_REMOTE, OPEN, Absent, Stream
from .validity import KEPT_SIZE, KnownRequest, ResponseHead

# On CPython 3.11 a member that is asked of its Enum costs ten times a global.
_BODY_TIMER: Final = Timer.BODY


DEPENDS_ON_ITSELF: Final = 0x100
"""A flag beside those of HEADERS: the stream depends on itself."""


_SMALL_DATA: Final = 64
_MANY_FRAMES: Final = 1024
"""Small DATA beyond so many frames that the application has not taken is a glitch."""


def on_absent(core: HTTP2Core, stream_id: int, kind: int, now: float) -> Absent:
    """A frame came for a stream that is not there: ignore it or raise (section 5.1)."""
    if not stream_id:
        connection_error(f"{frames.FRAME_NAMES[kind]} on stream 0")
    if not stream_id & 1 or stream_id > core._streams.highest:
        absent = Absent.IDLE
    else:
        absent = core._streams.closed.classify(stream_id)
    code = ABSENT_ERRORS.get((absent, kind))
    if code is not None:
        name = frames.FRAME_NAMES[kind]
        connection_error(f"{name} on stream {stream_id}, which is {absent.value}", code)
    core._budgets.charge_glitch(now)
    return absent


# -- DATA (section 6.1) --------------------------------------------------------------


def on_data(core: HTTP2Core, flags: int, stream_id: int, payload: bytes, now: float) -> None:
    size = len(payload)
    if not core._inflow.window.receive(size):
        connection_error("DATA exceeds the connection's window", ErrorCode.FLOW_CONTROL_ERROR)
    stream = core._streams.get(stream_id)
    if stream is None:
        on_absent(core, stream_id, frames.DATA, now)
        core._inflow.release(size)
        return
    if flags == frames.END_STREAM and _on_whole_content(core, stream, payload, now):
        return
    data = frames.remove_padding(flags, payload) if flags & frames.PADDED else payload
    receiving = stream.receiving
    end = flags & frames.END_STREAM
    if stream.state & HALF_CLOSED_REMOTE:
        core._inflow.release(size)
        stream_error("DATA after the end of the message", ErrorCode.STREAM_CLOSED)
    _check_data(core, stream, len(data), size, end)
    if receiving == DONE:
        core._inflow.give_back(stream)
        if not data and not end:
            core._budgets.charge_glitch(now)
    elif not data:
        # Nothing that an application could take.
        core._inflow.release(size)
        core._out.announce(stream_id, core._inflow.window_of(stream).release(size))
        if not end:
            core._budgets.charge_glitch(now)
    elif receiving == WAIT:
        stream.held.append((data, size))
    else:
        if size < _SMALL_DATA and core._inflow.window.frames > _MANY_FRAMES:
            core._budgets.charge_glitch(now)  # each costs many times its bytes while it waits
        core._events.append(Data(stream_id, data, size))
    if end:
        _end_data(core, stream, now)
    elif stream.is_over:
        core._stop_request(stream, now)
    elif data:
        stream.touched = now


def _on_whole_content(core: HTTP2Core, stream: Stream, content: bytes, now: float) -> bool:
    """Take DATA that is all the content of a message.

    This is the short path beside the rest of ``on_data``.  Returns false when it is not that case;
    then nothing was done.
    """
    size = len(content)
    inflow = core._inflow
    if (
        stream.receiving != BODY
        or stream.inbound is not None
        or stream.bodiless
        or stream.drops_content
        or not 0 < size <= inflow.first_window
        or (stream.to_receive != size and stream.to_receive != NO_LENGTH)
        or (size < _SMALL_DATA and inflow.window.frames > _MANY_FRAMES)
    ):
        return False
    inflow.receive_last(stream, size)
    core._events += (Data(stream.stream_id, content, size), EndOfMessage(stream.stream_id))
    stream.receiving = DONE
    stream.state |= HALF_CLOSED_REMOTE
    if stream.state == CLOSED:
        core._forget(stream, now)
    return True


def _check_data(core: HTTP2Core, stream: Stream, length: int, size: int, end: int) -> None:
    """Count DATA and check it.  The reset that follows an error gives it back."""
    if end and stream.inbound is None and length and size <= core._inflow.first_window:
        # The only DATA of a message needs no window of its own if it fits into any.
        core._inflow.receive_last(stream, size)
    elif size and not core._inflow.window_of(stream).receive(size):
        stream_error("DATA exceeds the stream's window", ErrorCode.FLOW_CONTROL_ERROR)
    if stream.receiving == HEAD:
        stream_error("DATA before the response")
    if length and stream.bodiless and not core._is_server:
        stream_error("content in a response that has none")
    if stream.to_receive != NO_LENGTH:
        stream.to_receive -= length
        if stream.to_receive < 0 or (end and stream.to_receive):
            stream_error("the content does not have the length of content-length")


def _end_data(core: HTTP2Core, stream: Stream, now: float, *, implied: bool = False) -> None:
    """END_STREAM came, on DATA or on the head of a message.

    ``implied``: the event of the head says so, and no other is wanted.
    """
    if stream.receiving == WAIT:
        stream.state |= HALF_CLOSED_REMOTE  # reported when the tunnel is answered
        return
    if stream.receiving != DONE and not implied:
        core._events.append(EndOfMessage(stream.stream_id))
    core._end_remote(stream, now)


# -- header blocks (sections 4.3 and 8) -----------------------------------------------


def on_header_block(core: HTTP2Core, flags: int, stream_id: int, block: bytes, now: float) -> None:
    """A whole header block came.  It is decoded first, whatever stream it is for."""
    fields: list[tuple[str, str]] = []
    too_large = ""
    try:
        fields = core._decoder.decode(block)
    except HeaderListTooLarge as error:
        too_large = str(error)
    keeps = len(block) <= KEPT_SIZE and not core._decoder.saw_secrets
    known = core._heads.known_request(fields, keeps) if core._is_server else None
    if (
        flags == frames.WHOLE
        and known is not None
        and _on_known_request(core, stream_id, known, now)
    ):
        return
    stream = core._streams.get(stream_id)
    if stream is not None:
        if flags & DEPENDS_ON_ITSELF:
            stream_error("a stream depends on itself")  # RFC 7540 section 5.3.1
        if too_large:
            stream_error(too_large, ErrorCode.ENHANCE_YOUR_CALM)
        _on_fields(core, stream, fields, flags, keeps, now)
    elif not core._is_server or stream_id <= core._streams.highest or not stream_id & 1:
        on_absent(core, stream_id, frames.HEADERS, now)
    else:
        try:
            _open(core, stream_id)
            if flags & DEPENDS_ON_ITSELF:
                stream_error("a stream depends on itself")
            if too_large:
                _answer_request(core, stream_id, flags, 431, too_large, now)
            else:
                request = known or core._heads.request(fields, keeps)
                _on_request(core, stream_id, request, flags, now)
        except RemoteProtocolError as error:
            if error.scope is Scope.CONNECTION:
                raise
            core._refuse(stream_id, error.message, error.code, now)


def _on_known_request(core: HTTP2Core, stream_id: int, request: KnownRequest, now: float) -> bool:
    """Open the next stream for a request without content, whose head is known but for its target.

    This is the short path beside ``_open`` and ``_on_request``.  Returns false when it is not
    that case; then nothing was done.
    """
    streams = core._streams
    _, head, target = request
    if (
        not head.is_simple
        or stream_id != streams.highest + 2
        or stream_id > streams.last_accepted
        or len(streams) >= streams.max_open
        or core._outflow.priorities
    ):
        return False
    streams.highest = stream_id
    streams[stream_id] = Stream(stream_id, HALF_CLOSED_REMOTE, DONE, HEAD, head.method, now)
    core._events.append(
        Request(
            stream_id,
            head.method,
            head.scheme,
            head.authority,
            target,
            head.headers,
            None,
            "2",
            False,
            head.expect,
            True,
            True,
            head.content_encoding,
        )
    )
    if not core.config.implied_end:
        core._events.append(EndOfMessage(stream_id))
    return True


def _on_fields(
    core: HTTP2Core,
    stream: Stream,
    fields: list[tuple[str, str]],
    flags: int,
    keeps: bool,
    now: float,
) -> None:
    """Fields for a stream that is there.  ``keeps``: what they mean may be remembered."""
    end = flags & frames.END_STREAM
    if stream.state & HALF_CLOSED_REMOTE:
        stream_error("HEADERS after the end of the message", ErrorCode.STREAM_CLOSED)
    stream.touched = now
    if stream.receiving == HEAD:
        _on_response(core, stream, core._heads.response(fields, keeps), end, now)
    elif stream.receiving in (BODY, DONE):
        _on_trailers(core, stream, fields, end, now)
    else:
        stream_error("HEADERS in a tunnel")  # section 8.5


def _open(core: HTTP2Core, stream_id: int) -> None:
    """Count a new stream of the client (section 5.1.1); raise when it is refused."""
    highest = core._streams.highest
    core._streams.highest = stream_id
    if stream_id > highest + 2:
        core._streams.closed.add_skipped(highest + 1, stream_id - 1)
    if stream_id > core._streams.last_accepted:
        stream_error("a new stream after GOAWAY", ErrorCode.REFUSED_STREAM)
    if len(core._streams) >= core._streams.max_open:
        stream_error(
            f"more than {core._streams.max_open} streams at once", ErrorCode.REFUSED_STREAM
        )


def _on_request(
    core: HTTP2Core, stream_id: int, request: KnownRequest, flags: int, now: float
) -> None:
    """A client opens a stream (section 8.3.1)."""
    _, head, target = request
    if head.protocol is not None and head.protocol not in core.config.upgrade_protocols:
        reason = f"the protocol {head.protocol!r} is not offered"  # RFC 8441 section 4
        _answer_request(core, stream_id, flags, 501, reason, now)
        return
    end = flags & frames.END_STREAM
    if end and head.content_length > 0:
        stream_error("content-length, but no content")
    receiving = WAIT if head.is_tunnel else BODY  # section 8.5: a tunnel has no content
    stream = Stream(stream_id, OPEN, receiving, HEAD, head.method, now)
    stream.to_receive = head.content_length
    stream.bodiless = head.method == "HEAD"
    stream.priority = head.priority
    if core._outflow.priorities:
        stream.priority = core._outflow.priorities.pop(stream_id, head.priority)
    core._streams[stream_id] = stream
    core._events.append(
        Request(
            stream_id,
            head.method,
            head.scheme,
            head.authority,
            target,
            head.headers,
            head.protocol,
            "2",
            head.expects_continue and not end,
            head.expect,
            True,
            bool(end) and not head.is_tunnel,
            head.content_encoding,
        )
    )
    if end:
        _end_data(core, stream, now, implied=core.config.implied_end)
    else:
        _watch_body(core, now)


def _watch_body(core: HTTP2Core, now: float) -> None:
    """A body is coming: let the timer run, unless it does already."""
    timeout = core.config.timeouts.body
    if timeout is not None and core._timers.deadline(_BODY_TIMER) is None:
        core._timers.set(_BODY_TIMER, now + timeout)


def _answer_request(
    core: HTTP2Core, stream_id: int, flags: int, status: int, reason: str, now: float
) -> None:
    """Answer a request that the application does not get to see."""
    core._budgets.charge_reset(now)
    block = core._encoder.encode(((":status", str(status)), ("content-length", "0")))
    core._out.answer(frames.encode_headers(stream_id, block, end_stream=True))
    code = ErrorCode.NO_ERROR
    if not flags & frames.END_STREAM:
        # Section 8.1: the answer is complete, the rest of the request is not wanted.
        core._streams.closed.add_reset(stream_id)
        core._out.answer(frames.encode_rst_stream(stream_id, code))
    core._report_reset(stream_id, reason, code, status)


def _on_response(core: HTTP2Core, stream: Stream, head: ResponseHead, end: int, now: float) -> None:
    """A server answers, finally or not (section 8.1)."""
    stream_id, status = stream.stream_id, head.status
    if stream.expects is not None and (status == 100 or stream.sending == WAIT):
        core._outflow.let_go(stream, now)
    if status < 200:
        if end:
            stream_error("an interim response ends the stream")
        stream.informational += 1
        if stream.informational > core.config.limits.max_informational:
            connection_error("too many interim responses", ErrorCode.ENHANCE_YOUR_CALM)
        core._events.append(InformationalResponse(stream_id, status, head.headers))
        return
    if stream.sending == WAIT:
        if status < 300:
            stream.receiving = stream.sending = TUNNEL
            core._events.append(Accept(stream_id, head.headers))
            if end:
                _end_data(core, stream, now)
            return
        # The tunnel was declined: our half has nothing to say.
        core._out.append(frames.encode_data(stream_id, b"", end_stream=True))
        core._end_local(stream, now)
    if stream.expects is not None:
        was_full = core._outflow.drop_content(stream)
        if was_full and stream.sending != DONE:
            core._events.append(Writable(stream.stream_id))
    stream.receiving = BODY
    if stream.method == "HEAD" or status in ENDED_BY_HEAD:
        stream.bodiless = True
    else:
        stream.to_receive = head.content_length
        if end and head.content_length > 0:
            stream_error("content-length, but no content")
    core._events.append(Response(stream_id, status, head.headers, "", "2"))
    if end:
        _end_data(core, stream, now)


def _on_trailers(
    core: HTTP2Core, stream: Stream, fields: list[tuple[str, str]], end: int, now: float
) -> None:
    """The field section after the content (section 8.1)."""
    if not end:
        stream_error("trailers do not end the stream")
    trailers = core._heads.trailers(fields)
    if stream.to_receive > 0:
        stream_error("the content does not have the length of content-length")
    if stream.receiving != DONE:
        core._events.append(EndOfMessage(stream.stream_id, trailers))
    core._end_remote(stream, now)
