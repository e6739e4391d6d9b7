"""What the peer's messages say: complete header blocks and DATA (RFC 9113 sections 6.1, 8).

Strategy
--------
``receiving`` cuts frames and joins header blocks; this layer finds the stream, asks what
comes next in it (its *phase*, see ``streams``) and turns what came into events.

A header block is always decoded, whatever becomes of its stream: it may change the HPACK
table (section 4.3).  Heads are validated once for each list that the decoder returns; it
returns the same list for a block that repeats, so a repeated request costs two look-ups.

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
)
from plait_engine.semantics.content import ENDED_BY_HEAD
from plait_engine.semantics.message import BODY, DONE, HEAD, NO_LENGTH, TUNNEL, WAIT
from plait_engine.timers import Timer

from . import frames
from .core import HTTP2Core, connection_error, stream_error
from .hpack import HeaderListTooLarge
from .streams import ABSENT_ERRORS, HALF_CLOSED_REMOTE, OPEN, Absent, Stream
from .validity import ResponseHead

DEPENDS_ON_ITSELF: Final = 0x100
"""A flag beside those of HEADERS: the stream depends on itself."""

_WHOLE: Final = frames.END_HEADERS | frames.END_STREAM
"""The flags of HEADERS that are a whole message."""

_SMALL_DATA: Final = 64
_MANY_FRAMES: Final = 1024
"""Small DATA beyond so many frames that the application has not taken is a glitch."""


class MessageReceiver(HTTP2Core):
    """The layer of the received messages; see the module."""

    __slots__ = ()

    def _absent(self, stream_id: int, kind: int, now: float) -> Absent:
        """A frame came for a stream that is not there: ignore it or raise (section 5.1)."""
        if not stream_id:
            connection_error(f"{frames.FRAME_NAMES[kind]} on stream 0")
        if not stream_id & 1 or stream_id > self._highest:
            absent = Absent.IDLE
        else:
            absent = self._closed.classify(stream_id)
        code = ABSENT_ERRORS.get((absent, kind))
        if code is not None:
            name = frames.FRAME_NAMES[kind]
            connection_error(f"{name} on stream {stream_id}, which is {absent.value}", code)
        self._charge_glitch(now)
        return absent

    # -- DATA (section 6.1) --------------------------------------------------------------

    def _on_data(self, flags: int, stream_id: int, payload: bytes, now: float) -> None:
        size = len(payload)
        if not self._window.receive(size):
            connection_error("DATA exceeds the connection's window", ErrorCode.FLOW_CONTROL_ERROR)
        stream = self._streams.get(stream_id)
        if stream is None:
            self._absent(stream_id, frames.DATA, now)
            self._release(size)
            return
        data = frames.remove_padding(flags, payload) if flags & frames.PADDED else payload
        receiving = stream.receiving
        end = flags & frames.END_STREAM
        if stream.state & HALF_CLOSED_REMOTE:
            self._release(size)
            stream_error("DATA after the end of the message", ErrorCode.STREAM_CLOSED)
        self._check_data(stream, len(data), size, end)
        if receiving == DONE:
            self._give_back(stream)
            if not data and not end:
                self._charge_glitch(now)
        elif not data:
            # Nothing that an application could take.
            self._release(size)
            self._announce(stream_id, self._inbound(stream).release(size))
            if not end:
                self._charge_glitch(now)
        elif receiving == WAIT:
            stream.held.append((data, size))
        else:
            if size < _SMALL_DATA and self._window.frames > _MANY_FRAMES:
                self._charge_glitch(now)  # each costs many times its bytes while it waits
            self._events.append(Data(stream_id, data, size))
        if end:
            self._end_data(stream, now)
        elif stream.is_over:
            self._stop_request(stream, now)
        elif data:
            stream.touched = now

    def _check_data(self, stream: Stream, length: int, size: int, end: int) -> None:
        """Count DATA and check it.  The reset that follows an error gives it back."""
        if end and stream.inbound is None and length and size <= self._first_window:
            # The only DATA of a message needs no window of its own if it fits into any.
            self._unread[stream.stream_id] = size
        elif size and not self._inbound(stream).receive(size):
            stream_error("DATA exceeds the stream's window", ErrorCode.FLOW_CONTROL_ERROR)
        if stream.receiving == HEAD:
            stream_error("DATA before the response")
        if length and stream.bodiless and not self._is_server:
            stream_error("content in a response that has none")
        if stream.to_receive != NO_LENGTH:
            stream.to_receive -= length
            if stream.to_receive < 0 or (end and stream.to_receive):
                stream_error("the content does not have the length of content-length")

    def _end_data(self, stream: Stream, now: float) -> None:
        """END_STREAM came, on DATA or on the head of a message."""
        if stream.receiving == WAIT:
            stream.state |= HALF_CLOSED_REMOTE  # reported when the tunnel is answered
            return
        if stream.receiving != DONE:
            self._events.append(EndOfMessage(stream.stream_id))
        self._end_remote(stream, now)

    # -- header blocks (sections 4.3 and 8) -----------------------------------------------

    def _header_block(self, flags: int, stream_id: int, block: bytes, now: float) -> None:
        """A whole header block came.  It is decoded first, whatever stream it is for."""
        fields: list[tuple[str, str]] = []
        too_large = ""
        try:
            fields = self._decoder.decode(block)
        except HeaderListTooLarge as error:
            too_large = str(error)
        head = self._heads.known_requests.get(id(fields))
        if (
            head is not None
            and head.is_simple
            and flags == _WHOLE
            and stream_id == self._highest + 2
            and stream_id <= self._last_accepted
            and len(self._streams) < self._max_streams
            and not self._priorities
        ):
            # The short cut for the next stream, when its head repeats and has no content.
            self._highest = stream_id
            self._streams[stream_id] = Stream(
                stream_id, HALF_CLOSED_REMOTE, DONE, HEAD, head.method, now
            )
            self._events.append(
                Request(
                    stream_id,
                    head.method,
                    head.scheme,
                    head.authority,
                    head.target,
                    head.headers,
                    None,
                    "2",
                    False,
                    head.expect,
                    True,
                    True,
                )
            )
            self._events.append(EndOfMessage(stream_id))
            return
        stream = self._streams.get(stream_id)
        if stream is not None:
            if flags & DEPENDS_ON_ITSELF:
                stream_error("a stream depends on itself")  # RFC 7540 section 5.3.1
            if too_large:
                stream_error(too_large, ErrorCode.ENHANCE_YOUR_CALM)
            self._on_fields(stream, fields, flags, len(block), now)
        elif not self._is_server or stream_id <= self._highest or not stream_id & 1:
            self._absent(stream_id, frames.HEADERS, now)
        else:
            try:
                self._open(stream_id)
                if flags & DEPENDS_ON_ITSELF:
                    stream_error("a stream depends on itself")
                if too_large:
                    self._answer_request(stream_id, flags, 431, too_large, now)
                else:
                    self._on_request(stream_id, fields, flags, len(block), now)
            except RemoteProtocolError as error:
                if error.scope is Scope.CONNECTION:
                    raise
                self._refuse(stream_id, error.message, error.code, now)

    def _on_fields(
        self, stream: Stream, fields: list[tuple[str, str]], flags: int, size: int, now: float
    ) -> None:
        """Fields for a stream that is there, of a header block of ``size`` bytes."""
        end = flags & frames.END_STREAM
        if stream.state & HALF_CLOSED_REMOTE:
            stream_error("HEADERS after the end of the message", ErrorCode.STREAM_CLOSED)
        stream.touched = now
        if stream.receiving == HEAD:
            self._on_response(stream, self._heads.response(fields, size), end, now)
        elif stream.receiving in (BODY, DONE):
            self._on_trailers(stream, fields, end, now)
        else:
            stream_error("HEADERS in a tunnel")  # section 8.5

    def _open(self, stream_id: int) -> None:
        """Count a new stream of the client (section 5.1.1); raise when it is refused."""
        highest = self._highest
        self._highest = stream_id
        if stream_id > highest + 2:
            self._closed.add_skipped(highest + 1, stream_id - 1)
        if stream_id > self._last_accepted:
            stream_error("a new stream after GOAWAY", ErrorCode.REFUSED_STREAM)
        if len(self._streams) >= self._max_streams:
            stream_error(f"more than {self._max_streams} streams at once", ErrorCode.REFUSED_STREAM)

    def _on_request(
        self, stream_id: int, fields: list[tuple[str, str]], flags: int, size: int, now: float
    ) -> None:
        """A client opens a stream (section 8.3.1)."""
        head = self._heads.request(fields, size)
        if head.protocol is not None and head.protocol not in self.config.upgrade_protocols:
            reason = f"the protocol {head.protocol!r} is not offered"  # RFC 8441 section 4
            self._answer_request(stream_id, flags, 501, reason, now)
            return
        end = flags & frames.END_STREAM
        if end and head.content_length > 0:
            stream_error("content-length, but no content")
        receiving = WAIT if head.is_tunnel else BODY  # section 8.5: a tunnel has no content
        stream = Stream(stream_id, OPEN, receiving, HEAD, head.method, now)
        stream.to_receive = head.content_length
        stream.bodiless = head.method == "HEAD"
        stream.priority = head.priority
        if self._priorities:
            stream.priority = self._priorities.pop(stream_id, head.priority)
        self._streams[stream_id] = stream
        self._events.append(
            Request(
                stream_id,
                head.method,
                head.scheme,
                head.authority,
                head.target,
                head.headers,
                head.protocol,
                "2",
                head.expects_continue and not end,
                head.expect,
                True,
                bool(end) and not head.is_tunnel,
            )
        )
        if end:
            self._end_data(stream, now)
        else:
            self._watch_body(now)

    def _watch_body(self, now: float) -> None:
        """A body is coming: let the timer run, unless it does already."""
        timeout = self.config.timeouts.body
        if timeout is not None and self._timers.deadline(Timer.BODY) is None:
            self._timers.set(Timer.BODY, now + timeout)

    def _answer_request(
        self, stream_id: int, flags: int, status: int, reason: str, now: float
    ) -> None:
        """Answer a request that the application does not get to see."""
        self._charge_reset(now)
        block = self._encoder.encode(((":status", str(status)), ("content-length", "0")))
        self._answer(frames.encode_headers(stream_id, block, end_stream=True))
        code = ErrorCode.NO_ERROR
        if not flags & frames.END_STREAM:
            # Section 8.1: the answer is complete, the rest of the request is not wanted.
            self._closed.add_reset(stream_id)
            self._answer(frames.encode_rst_stream(stream_id, code))
        self._report_reset(stream_id, reason, code, status)

    def _on_response(self, stream: Stream, head: ResponseHead, end: int, now: float) -> None:
        """A server answers, finally or not (section 8.1)."""
        stream_id, status = stream.stream_id, head.status
        if stream.expects is not None and (status == 100 or stream.sending == WAIT):
            self._let_go(stream, now)
        if status < 200:
            if end:
                stream_error("an interim response ends the stream")
            stream.informational += 1
            if stream.informational > self.config.limits.max_informational:
                connection_error("too many interim responses", ErrorCode.ENHANCE_YOUR_CALM)
            self._events.append(InformationalResponse(stream_id, status, head.headers))
            return
        if stream.sending == WAIT:
            if status < 300:
                stream.receiving = stream.sending = TUNNEL
                self._events.append(Accept(stream_id, head.headers))
                if end:
                    self._end_data(stream, now)
                return
            # The tunnel was declined: our half has nothing to say.
            self._out.append(frames.encode_data(stream_id, b"", end_stream=True))
            self._end_local(stream, now)
        if stream.expects is not None:
            self._drop_content(stream)
        stream.receiving = BODY
        if stream.method == "HEAD" or status in ENDED_BY_HEAD:
            stream.bodiless = True
        else:
            stream.to_receive = head.content_length
            if end and head.content_length > 0:
                stream_error("content-length, but no content")
        self._events.append(Response(stream_id, status, head.headers, "", "2"))
        if end:
            self._end_data(stream, now)

    def _on_trailers(
        self, stream: Stream, fields: list[tuple[str, str]], end: int, now: float
    ) -> None:
        """The field section after the content (section 8.1)."""
        if not end:
            stream_error("trailers do not end the stream")
        trailers = self._heads.trailers(fields)
        if stream.to_receive > 0:
            stream_error("the content does not have the length of content-length")
        if stream.receiving != DONE:
            self._events.append(EndOfMessage(stream.stream_id, trailers))
        self._end_remote(stream, now)
