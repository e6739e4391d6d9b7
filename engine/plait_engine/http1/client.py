"""The client's side: one request out, its response in, then the next.

An exchange and its states (``_read`` is about the response, ``_outgoing.phase`` about the
request; see ``connection``)::

    IDLE / IDLE --Request--> HEAD / BODY or SWITCHING --> BODY / DONE
        ^                                                     |
        |                both complete, and the server        v
        +------------------ keeps the connection -------- HELD / DONE

Rules
-----
* Bytes that no request asked for end the connection: they would be taken for the answer
  to the next request.
* With ``Expect: 100-continue`` the content is held until 100 comes or the CONTINUE timer
  passes (RFC 9110 section 10.1.1).  If a final response comes first, the content is not
  sent at all, and the connection is not used again: the server cannot know whether what
  follows is content.
* 101 is believed behind a whole request only, and to a protocol that it asked for (RFC 9110
  section 7.8): as a request for a tunnel, or by its fields Connection and Upgrade.
* A response is believed complete only when its framing says so; one that the close of the
  connection cuts short is an error (RFC 9112 section 8).
"""

from __future__ import annotations

import enum
from typing import ClassVar, Final

from plait_engine.config import Config
from plait_engine.connection import CloseAction, ConnectionState, Role
from plait_engine.errors import ErrorCode, LocalProtocolError, RemoteProtocolError
from plait_engine.events import (
    Accept,
    CloseReason,
    Draining,
    EndOfMessage,
    InformationalResponse,
    Initiator,
    Request,
    Response,
    Sendable,
    StreamsAvailable,
)
from plait_engine.headers import encode
from plait_engine.semantics.authority import is_authority
from plait_engine.semantics.content import METHODS_WITH_CONTENT, METHODS_WITHOUT_CONTENT
from plait_engine.semantics.fields import offered_upgrades
from plait_engine.semantics.http10 import check_http10_request
from plait_engine.semantics.message import DONE, IDLE, WAIT
from plait_engine.timers import Timer

from . import grammar
from .body import BodyReader, ChunkedReader, LengthReader, UntilCloseReader
from .connection import (
    BODY_TIMER,
    HEAD_TIMER,
    KEEP_ALIVE_TIMER,
    NEVER,
    READ_BODY,
    READ_HEAD,
    READ_HELD,
    READ_IDLE,
    READ_TUNNEL,
    Handler,
    HTTP1Connection,
    Read,
    seconds,
    unasked,
)
from .encoding import CONNECTION, HOST, UPGRADE, PreparedFields
from .fields import FieldFacts
from .framing import (
    AS_TUNNEL,
    BY_LENGTH,
    IN_CHUNKS,
    NO_BODY,
    UNTIL_CLOSE,
    frame_response,
)
from .heads import ResponseHeads, StatusLine, check_status_line_start
from .outgoing import Outgoing, check_token


class Hold(enum.Enum):
    """What happens to the content of the request."""

    NO = "it is sent"
    WAIT = "it waits for 100 Continue"
    DROP = "a final response came instead: it is not sent"


# Cheaper than the members (see ``connection``).
NOT_HELD, HELD_BACK, DROPPED = Hold
_OPEN: Final = ConnectionState.OPEN
_AVAILABLE: Final = StreamsAvailable()


class HTTP1Client(HTTP1Connection):
    """A client of HTTP/1.1 (RFC 9112)."""

    __slots__ = (
        "_authority",
        "_heads",
        "_held",
        "_hold",
        "_informational",
        "_protocol",
    )

    def __init__(self, config: Config) -> None:
        super().__init__(Role.CLIENT, config)
        self._protocol: str | None = None
        """The protocol of the Upgrade that was asked for."""
        self._informational = 0
        self._hold = NOT_HELD
        self._held: list[bytes] = []
        self._heads = ResponseHeads(config.limits)
        self._authority = ""

    def connection_made(self, now: float) -> None:
        self._set_timer(KEEP_ALIVE_TIMER, now + self._keep_alive_time)

    def next_stream_id(self) -> int:
        if not self.available_streams:
            raise LocalProtocolError("the connection is not free for another request")
        return self._stream_id + 2

    @property
    def available_streams(self) -> int:
        return 1 if not self._open and self.state is _OPEN else 0

    def send_capacity(self, stream_id: int) -> int:
        if self._hold is HELD_BACK:
            return 0
        return super().send_capacity(stream_id)

    def reserve(self, stream_id: int, size: int, now: float) -> None:
        if self._hold is not NOT_HELD:
            raise LocalProtocolError(f"the content cannot be sent now: {self._hold.value}")
        super().reserve(stream_id, size, now)

    # -- the request -----------------------------------------------------------------

    def send(self, *events: Sendable, now: float) -> None:
        if not (len(events) == 2 and self._request_plainly(events, now)):
            super().send(*events, now=now)

    def _request_plainly(self, events: tuple[Sendable, ...], now: float) -> bool:
        """Short path of ``send``: a whole request without content.

        Returns false when it is not as simple as most; then nothing was done.
        """
        request, end = events
        if (
            type(request) is not Request
            or type(end) is not EndOfMessage
            or end.stream_id != request.stream_id
            or end.trailers
        ):
            return False
        piece = self._write_plainly(request)
        if piece is None:
            return False
        self._begin_exchange(request, [piece], now)
        return True

    def send_request(self, request: Request, now: float) -> bytes | None:
        if self._out.size:
            return None
        piece = self._write_plainly(request)
        if piece is not None:
            self._begin_exchange(request, [], now)
        return piece

    def _write_plainly(self, request: Request) -> bytes | None:
        """Return a whole request without content, if nothing about it is special.

        The exchange is to begin then.
        """
        if not (
            request.stream_id == self._stream_id + 2
            and request.method in METHODS_WITHOUT_CONTENT
            and request.protocol is None
            and request.http_version != "1.0"
            and not self._open
            and self.state is _OPEN
            and grammar.match_target(request.target)
        ):
            return None
        fields = self._prepare(request.headers)
        authority = request.authority
        if authority != self._authority:
            if not is_authority(authority):
                return None
            self._authority = authority
        if not fields.plain:
            return None
        line = request_line(request.method, request.target)
        if not fields.seen & HOST:
            line += "Host: " + authority + "\r\n"
        outgoing = self._outgoing
        outgoing.phase = DONE
        outgoing.framing = NO_BODY
        outgoing.close = False
        return line.encode() + fields.block + b"\r\n"

    def _check_stream(self, events: tuple[Sendable, ...]) -> None:
        first = events[0]
        stream_id = self._stream_id
        if type(first) is Request:
            stream_id = self.next_stream_id()
        elif not self._open:
            raise LocalProtocolError(f"stream {first.stream_id} is not open")
        for event in events:
            if event.stream_id != stream_id:
                raise LocalProtocolError(f"stream {event.stream_id} is not open")

    def _add_head(
        self, event: Sendable, draft: Outgoing, pieces: list[bytes], length: int | None
    ) -> None:
        if type(event) is not Request:
            raise LocalProtocolError(f"a client does not send {type(event).__name__}")
        if draft.phase != IDLE:
            raise LocalProtocolError("a request was sent already on this stream")
        check_token(event.method, "method")
        if grammar.match_target(event.target) is None:
            raise LocalProtocolError(f"invalid request target: {event.target!r}")
        fields = self._prepare(event.headers)
        line = request_line(event.method, event.target, event.http_version)
        if not fields.seen & HOST:
            authority = event.authority
            # RFC 9110 section 7.2: empty, or a host and a port, without user information.
            if authority and not is_authority(authority):
                raise LocalProtocolError(f"invalid authority: {authority!r}")
            line += "Host: " + authority + "\r\n"  # RFC 9112 section 3.2: it comes first.
        if event.protocol is not None or event.method == "CONNECT":
            self._frame_tunnel(event, fields, draft)
            if event.protocol is not None:
                check_token(event.protocol, "protocol")
                if not fields.seen & UPGRADE:
                    line += "Upgrade: " + event.protocol + "\r\n"
                if not fields.seen & CONNECTION:
                    line += "Connection: Upgrade\r\n"
        else:
            line += self._frame_content(event, fields, draft, length)
        if event.http_version == "1.0":
            check_http10_request(event, chunked=draft.framing is IN_CHUNKS)
        # RFC 9112 section 9.3: HTTP/1.0 persists only if both sides say so.
        once = fields.close or (event.http_version == "1.0" and not fields.keep_alive)
        draft.close = once or self.state is not _OPEN
        pieces.append(encode(line) + fields.block + b"\r\n")

    def _frame_tunnel(self, event: Request, fields: PreparedFields, draft: Outgoing) -> None:
        if fields.content_length or fields.chunked:
            raise LocalProtocolError("a request for a tunnel has no content")
        if event.method == "CONNECT":
            if event.protocol is not None:
                raise LocalProtocolError("HTTP/1.1 has no extended CONNECT: send GET")
            if not is_authority(event.target, needs_port=True):
                raise LocalProtocolError(f"not a host and port to connect to: {event.target!r}")
        draft.begin_body(NO_BODY)
        draft.phase = WAIT

    def _frame_content(
        self, event: Request, fields: PreparedFields, draft: Outgoing, length: int | None
    ) -> str:
        """Choose how the content is framed; return the field line that says so."""
        if fields.content_length is not None:
            draft.begin_body(BY_LENGTH, fields.content_length)
        elif fields.chunked:
            draft.begin_body(IN_CHUNKS)
        elif length is not None:
            draft.begin_body(BY_LENGTH if length else NO_BODY, length)
            if length or event.method in METHODS_WITH_CONTENT:
                return f"Content-Length: {length}\r\n"
        elif event.method in METHODS_WITHOUT_CONTENT:
            draft.begin_body(NO_BODY)
        else:
            draft.begin_body(IN_CHUNKS)
            return "Transfer-Encoding: chunked\r\n"
        return ""

    def _commit(self, first: Sendable, before: Outgoing, pieces: list[bytes], now: float) -> None:
        outgoing = self._outgoing
        if type(first) is Request:
            self._begin_exchange(first, pieces, now)
        elif self._hold is HELD_BACK:
            self._held += pieces
        elif self._hold is NOT_HELD and pieces:
            self._enqueue(pieces, now)
        if outgoing.phase == DONE and before.phase != DONE:
            if self._read is READ_TUNNEL:
                self.wants_close = CloseAction.WRITE_EOF
            elif self._read is READ_HELD:
                self._finish(now)

    def _begin_exchange(self, request: Request, pieces: list[bytes], now: float) -> None:
        self._stream_id = request.stream_id
        self._open = True
        self._unwanted = False
        self._unread = 0
        self._method = request.method
        self._protocol = None if request.protocol is None else request.protocol.lower()
        self._reusable = not self._outgoing.close
        self._informational = 0
        self._read = READ_HEAD
        self._deadline = NEVER
        self._hold = NOT_HELD
        if self._expects_continue():
            self._hold = HELD_BACK
            self._held = pieces[1:]
            del pieces[1:]
            self._set_timer(Timer.CONTINUE, now + self.config.timeouts.expect_continue)
        self._enqueue(pieces, now)

    def _expects_continue(self) -> bool:
        """Tell whether the request just written asks for 100 Continue, and has content."""
        outgoing = self._outgoing
        return (
            self._sent is not None
            and self._sent.expects_continue
            and (outgoing.framing is IN_CHUNKS or outgoing.content_length > 0)
        )

    def _release(self, now: float) -> None:
        """Send the content that was held."""
        self._hold = NOT_HELD
        held, self._held = self._held, []
        if held:
            self._enqueue(held, now)
        self._emit_writable()

    def _emit_writable(self) -> None:
        if self._hold is not HELD_BACK and not self._out.is_full:
            super()._emit_writable()

    # -- the response -----------------------------------------------------------------

    def _receive_fresh(self, data: bytes, now: float) -> None:
        end = self._heads.find_end(data)
        if not end:
            self._receive(data, now)
            return
        self._take_head(data[:end], now)
        if end < len(data):
            self._receive_rest(data[end:], now)

    def _receive_head(self, now: float) -> None:
        buffer = self._buffer
        while self._read is READ_HEAD and buffer:
            if self._hold is not HELD_BACK and self._deadline == NEVER:
                self._set_timer(HEAD_TIMER, now + seconds(self.config.timeouts.head))
            if not self._scanner.first_line_end:
                check_status_line_start(buffer)
            end = self._scanner.find_end(buffer)
            if not end:
                return
            self._scanner.reset()
            head = bytes(buffer[:end])
            del buffer[:end]
            self._take_head(head, now)
        if buffer and self._read is not READ_HEAD:
            rest = bytes(buffer)
            buffer.clear()
            self._receive(rest, now)

    def _take_head(self, head: bytes, now: float) -> None:
        """Take a response head, given with its empty line."""
        line, fields = self._heads.read(head)
        if line.status >= 200:
            self._take_response(line, fields, now)
        elif line.status == 101:
            self._take_switch(fields, now)
        else:
            self._take_informational(line.status, fields, now)

    def _take_informational(self, status: int, fields: FieldFacts, now: float) -> None:
        self._informational += 1
        if self._informational > self._limits.max_informational:
            raise RemoteProtocolError(
                f"more than {self._limits.max_informational} informational responses"
            )
        if not self._unwanted:
            self._events.append(InformationalResponse(self._stream_id, status, fields.headers))
        if self._hold is not HELD_BACK:
            self._deadline = NEVER
        elif status == 100:
            self._deadline = NEVER
            self._release(now)

    def _take_switch(self, fields: FieldFacts, now: float) -> None:
        """RFC 9110 section 7.8: only to a protocol that the client asked for."""
        asked = self._asked_upgrades()
        if not asked:
            raise RemoteProtocolError("101 Switching Protocols, but nothing asked for it")
        if self._outgoing.phase not in (WAIT, DONE) or self._hold is HELD_BACK:
            raise RemoteProtocolError("101 Switching Protocols before the end of the request")
        if not fields.upgrades or not asked.issuperset(fields.upgrades):
            raise RemoteProtocolError("101 Switching Protocols to another protocol")
        if self._unwanted:
            self._close_unread(now)
        else:
            self._begin_tunnel(fields)

    def _asked_upgrades(self) -> frozenset[str]:
        if self._outgoing.phase == WAIT:  # The request is for this tunnel, and no other.
            return frozenset(() if self._protocol is None else (self._protocol,))
        sent = self._sent
        if sent is None or not sent.seen & UPGRADE:
            return frozenset()
        return offered_upgrades(sent.headers)

    def _begin_tunnel(self, fields: FieldFacts) -> None:
        self._deadline = NEVER
        self._reusable = False
        self._read = READ_TUNNEL
        self._outgoing.begin_body(AS_TUNNEL)
        self._events.append(Accept(self._stream_id, fields.headers))

    def _take_response(self, line: StatusLine, fields: FieldFacts, now: float) -> None:
        framing = frame_response(self._method, line.status, fields)
        if framing is AS_TUNNEL:
            self._begin_tunnel(fields)
            return
        self._deadline = NEVER
        close = (
            fields.close
            or (line.version == "1.0" and not fields.keep_alive)
            or framing is UNTIL_CLOSE
            # RFC 9112 sections 6.1 and 6.3: the framing is suspect.
            or (
                fields.codings is not None
                and (fields.content_length is not None or line.version == "1.0")
            )
        )
        if close:
            self._drain()
        if self._outgoing.phase == WAIT:
            self._outgoing.phase = DONE  # The server declined.
        if not self._unwanted:
            self._events.append(
                Response(
                    self._stream_id, line.status, fields.headers, line.reason, line.version, close
                )
            )
        if self._hold is HELD_BACK:
            self._hold = DROPPED
            self._held = []
            self._drain()
            self._emit_writable()
        if framing is NO_BODY:
            self._end_message(None, now)
            return
        self._read = READ_BODY
        if framing is BY_LENGTH:
            assert fields.content_length is not None
            self._reader = LengthReader(fields.content_length)
        elif framing is IN_CHUNKS:
            self._reader = ChunkedReader(self._limits)
        else:
            self._reader = UntilCloseReader()
        self._set_timer(BODY_TIMER, now + seconds(self.config.timeouts.body))

    def _drain(self) -> None:
        """The connection ends with this exchange."""
        self._reusable = False
        self._reason = CloseReason.PEER
        if self.state is _OPEN:
            self.state = ConnectionState.DRAINING
            self._events.append(Draining(self._stream_id))

    def _end_message(self, reader: BodyReader | None, now: float) -> None:
        super()._end_message(reader, now)
        if self._read is READ_HELD and not self._reusable:
            self._stop_request()

    def _end_held(self, now: float) -> None:
        self._stop_request()

    def _stop_request(self) -> None:
        """The response is complete, and the server does not read the rest of the request.

        As on HTTP/2 (RFC 9113 section 8.1) the application hears NO_ERROR.
        """
        if self._outgoing.framing is not AS_TUNNEL:
            self._end_stream(ErrorCode.NO_ERROR, Initiator.REMOTE, None)
            self._close_now(CloseReason.PEER)

    def _end_in_head(self, now: float) -> None:
        if self._buffer:
            raise RemoteProtocolError("the connection closed in the middle of a response head")
        raise RemoteProtocolError("the connection closed before a response came")

    def _finish(self, now: float) -> None:
        if self._outgoing.framing is AS_TUNNEL or not self._reusable:
            self._close_now(self._reason)
            return
        if self._peer_eof or self.state is not _OPEN:
            self._close_now(CloseReason.PEER if self._peer_eof else CloseReason.LOCAL)
            return
        self._open = False
        self._unread = 0
        self._outgoing.phase = IDLE
        self._read = READ_IDLE
        self._hold = NOT_HELD
        if self._buffer:
            error = unasked(self._buffer)
            self._close_now(CloseReason.PROTOCOL_ERROR, error)
            return
        self._set_timer(KEEP_ALIVE_TIMER, now + self._keep_alive_time)
        if not self.wants_read:
            self._update_wants_read()
        self._events.append(_AVAILABLE)

    def _close_unread(self, now: float) -> None:
        self._close_now(CloseReason.LOCAL)

    def _refuse(
        self,
        error: RemoteProtocolError,
        now: float,
        reason: CloseReason = CloseReason.PROTOCOL_ERROR,
    ) -> None:
        self._end_stream(error.code, self._culprit(), error)
        self._close_now(reason, error)

    # -- time --------------------------------------------------------------------------

    def _on_continue_timeout(self, now: float) -> None:
        self._release(now)

    def _on_head_timeout(self, now: float) -> None:
        self._fail_timeout("the response head took too long")

    def _on_body_timeout(self, now: float) -> None:
        self._fail_timeout("nothing of the response's body came for too long")

    _AT_END: ClassVar[dict[Read, Handler]] = {
        **HTTP1Connection._AT_END,
        READ_HEAD: _end_in_head,
        READ_HELD: _end_held,
    }
    _TIMEOUTS: ClassVar[dict[Timer, Handler]] = {
        **HTTP1Connection._TIMEOUTS,
        HEAD_TIMER: _on_head_timeout,
        BODY_TIMER: _on_body_timeout,
        Timer.CONTINUE: _on_continue_timeout,
    }


def request_line(method: str, target: str, version: str = "1.1") -> str:
    """Return the request line with its CRLF (RFC 9112 section 3)."""
    # "+" takes the characters that were checked; a subclass of str may format itself otherwise.
    return method + " " + target + (" HTTP/1.0\r\n" if version == "1.0" else " HTTP/1.1\r\n")
