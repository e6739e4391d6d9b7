"""The server's side: requests in, responses out, one exchange at a time.

An exchange and its states (``_read`` is about the request, ``_outgoing.phase`` about the
response; see ``connection``)::

    HEAD / IDLE --request head--> BODY or HELD / HEAD --Response--> ... / BODY
        ^                                                              |
        |                     both complete, and the connection        v
        +---------------------- may be used again -------------- HELD / DONE

Rules
-----
* The engine itself answers a request that breaks the rules, with ``Connection: close``.  It
  parses nothing behind it, since nobody can know where the next request would begin.
* A pipelined request surfaces when the exchange before it is over (RFC 9112 section
  9.3.2), so answers are in order by construction.
* A request for a tunnel (CONNECT, or an Upgrade that ``Config.upgrade_protocols`` lists)
  has no content; what follows is held until the application decides.
* Any other request with Upgrade is an ordinary one, to which the application may answer with
  a switch when the request is complete (RFC 9110 section 7.8).  What follows it is held until
  then, as behind every request: after a switch it is the tunnel's, else the next request.
"""

from __future__ import annotations

from typing import ClassVar, Final

from plait_engine.config import Config
from plait_engine.connection import CloseAction, ConnectionState, Role
from plait_engine.errors import ErrorCode, LocalProtocolError, RemoteProtocolError
from plait_engine.events import (
    Accept,
    CloseReason,
    Data,
    EndOfMessage,
    InformationalResponse,
    PriorKnowledge,
    Request,
    Response,
    Sendable,
)
from plait_engine.headers import Headers, decode
from plait_engine.preface import PREFACE
from plait_engine.semantics.content import WITHOUT_CONTENT
from plait_engine.semantics.fields import asks_for_continue
from plait_engine.semantics.message import BODY, DONE, HEAD, IDLE
from plait_engine.timers import Timer

from . import grammar
from .body import ChunkedReader, LengthReader
from .connection import (
    BODY_TIMER,
    HEAD_TIMER,
    KEEP_ALIVE_TIMER,
    NEVER,
    READ_BODY,
    READ_DISCARD,
    READ_HEAD,
    READ_HELD,
    READ_TUNNEL,
    Handler,
    HTTP1Connection,
    Read,
    Receiver,
    seconds,
)
from .fields import FieldFacts
from .framing import (
    AS_TUNNEL,
    BY_LENGTH,
    NO_BODY,
    UNTIL_CLOSE,
    Framing,
    frame_request,
)
from .heads import RequestHeads, RequestLine, explain_request_line
from .outgoing import Outgoing
from .responses import write_accept, write_informational, write_response
from .status import STATUS_LINES, refusal

USUAL_STATUS_LINES: Final = {
    status: line
    for status, line in STATUS_LINES.items()
    if status >= 200 and status not in WITHOUT_CONTENT
}
"""Of final responses that have content."""

# Cheaper than the member (see ``connection``).
_OPEN: Final = ConnectionState.OPEN


class HTTP1Server(HTTP1Connection):
    """A server of HTTP/1.1 (RFC 9112)."""

    __slots__ = (
        "_empty_lines",
        "_expecting",
        "_heads",
        "_plain",
        "_switch",
        "_upgrades",
        "_version",
    )

    def __init__(self, config: Config) -> None:
        super().__init__(Role.SERVER, config)
        self._read = READ_HEAD
        self._empty_lines = 0
        self._plain = False
        """Nothing about the request is special for its response, so the short path may do."""
        self._expecting = False
        """The client waits for 100 Continue, and has sent nothing of its content."""
        self._switch: str | None = None
        """The tunnel that the request asks for, until it is decided: "CONNECT" or a protocol."""
        self._upgrades: tuple[str, ...] = ()
        """The protocols that the request offers to switch to, until it is answered."""
        self._version = "1.1"
        self._heads = RequestHeads(config.limits)

    def connection_made(self, now: float) -> None:
        self._set_timer(HEAD_TIMER, now + seconds(self.config.timeouts.head))

    # -- the request head ---------------------------------------------------------

    def _receive_fresh(self, data: bytes, now: float) -> None:
        heads = self._heads
        line_end = data.find(b"\r\n")
        end = heads.find_end(data, line_end)
        if not end:
            self._receive(data, now)
            return
        # The line first: if both are wrong, the answer is about the line, as it is when the
        # head comes in pieces.
        line = heads.read_line(data[:line_end])
        self._method = line.method  # Also for the refusal of a field section.
        self._begin_exchange(line, heads.read_fields(data[line_end + 2 : end]), now)
        if end < len(data):
            if self._reader is not None:
                self._expecting = False  # The content does not wait for 100 Continue.
            self._receive_rest(data[end:], now)

    def _receive_head(self, now: float) -> None:
        buffer = self._buffer
        if not buffer:
            return
        if self._timer is not HEAD_TIMER or self._deadline == NEVER:
            self._set_timer(HEAD_TIMER, now + seconds(self.config.timeouts.head))
        if self._scanner.untouched:
            self._skip_empty_lines(buffer)
            if self._stream_id < 0 and self._is_preface(buffer):
                return
        try:
            end = self._scanner.find_end(buffer)
        except RemoteProtocolError:
            self._check_first_line(buffer)  # The answer is about the first fault.
            raise
        if not end:
            # A bad line is refused at once: an HTTP/0.9 client sends no more and waits.
            self._check_first_line(buffer)
            return
        self._scanner.reset()
        line, _, data = bytes(buffer[:end]).partition(b"\r\n")
        del buffer[:end]
        self._begin_exchange(self._read_line(line), self._heads.read_fields(data), now)
        if self._read is READ_BODY and buffer:
            rest = bytes(buffer)
            buffer.clear()
            self._receive_body(rest, now)

    def _check_first_line(self, buffer: bytearray) -> None:
        """Read the request line, if all of it is there.  Raises RemoteProtocolError."""
        line_end = self._scanner.first_line_end
        if line_end:
            self._read_line(bytes(buffer[: line_end - 2]))

    def _skip_empty_lines(self, buffer: bytearray) -> None:
        """RFC 9112 section 2.2: a server ignores at least one empty line before a request."""
        while buffer.startswith(b"\r\n"):
            del buffer[:2]
            self._empty_lines += 1
            if self._empty_lines > self._limits.max_empty_lines:
                raise RemoteProtocolError("empty lines instead of a request")
        if buffer and buffer[0] not in grammar.TCHARS and buffer[0] != 0x0D:
            raise explain_request_line(decode(bytes(buffer[:2])))

    def _is_preface(self, buffer: bytearray) -> bool:
        """Tell whether the connection begins with the HTTP/2 preface, or may yet."""
        if not self.config.detect_http2 or not PREFACE.startswith(buffer[: len(PREFACE)]):
            return False
        if len(buffer) >= len(PREFACE):
            self._events.append(PriorKnowledge(bytes(buffer)))
            buffer.clear()
            self._read = READ_DISCARD
            self._deadline = NEVER
            self.state = ConnectionState.CLOSED
            self.wants_read = False
        return True

    def _read_line(self, data: bytes) -> RequestLine:
        line = self._heads.read_line(data)
        self._method = line.method  # Also for the refusal of a field section.
        return line

    def _begin_exchange(self, line: RequestLine, fields: FieldFacts, now: float) -> None:
        method, scheme, authority, target, version, plain = line
        self._empty_lines = 0
        self._version = version
        if plain and fields.plain:
            framing = NO_BODY
            self._plain = True
        else:
            framing = self._interpret(line, fields)
            self._plain = (
                plain
                and self._reusable
                and self._switch is None
                and not self._upgrades
                and not self._expecting
            )
        self._stream_id = stream_id = self._stream_id + 2
        self._open = True
        self._deadline = NEVER
        self._outgoing.phase = HEAD
        self._read = READ_HELD
        switch = self._switch
        self._events.append(
            Request(
                stream_id,
                method,
                scheme or self.config.scheme,
                authority or fields.host or "",
                target,
                fields.headers,
                None if switch == "CONNECT" else switch,
                version,
                self._expecting,
                fields.expect,
                self._reusable,
                framing is NO_BODY and switch is None,
                fields.content_encoding,
            )
        )
        if framing is not NO_BODY:
            self._expect_body(framing, fields, now)
        elif switch is None and not self.config.implied_end:
            self._events.append(EndOfMessage(stream_id))

    def _interpret(self, line: RequestLine, fields: FieldFacts) -> Framing:
        """Read what the head says about framing, persistence, 100 Continue and tunnels.

        Raises RemoteProtocolError.
        """
        version = line.version
        if fields.host is None and version != "1.0":
            raise RemoteProtocolError("no Host field")  # RFC 9112 section 3.2
        framing = frame_request(line.method, version, fields)
        # RFC 9112 section 9.3
        self._reusable = not fields.close and (version != "1.0" or fields.keep_alive)
        self._expecting = (
            fields.expect is not None
            and asks_for_continue(fields.expect)
            and version != "1.0"
            and framing is not NO_BODY
        )
        self._switch = None
        self._upgrades = ()
        if line.method == "CONNECT":
            self._switch = "CONNECT"
        elif fields.upgrades and version != "1.0":  # RFC 9110 section 7.8: ignored in HTTP/1.0.
            # RFC 9113 section 3.1: h2c is none any more.
            self._upgrades = tuple(name for name in fields.upgrades if name != "h2c")
            if framing is NO_BODY:
                self._switch = self._offered_switch()
        return framing

    def _expect_body(self, framing: Framing, fields: FieldFacts, now: float) -> None:
        self._read = READ_BODY
        if framing is BY_LENGTH:
            assert fields.content_length is not None
            self._reader = LengthReader(fields.content_length)
        else:
            self._reader = ChunkedReader(self._limits)
        if not self._expecting:
            self._set_timer(BODY_TIMER, now + seconds(self.config.timeouts.body))

    def _offered_switch(self) -> str | None:
        """Return the first protocol of the request that ``Config.upgrade_protocols`` lists."""
        for protocol in self._upgrades:
            if protocol in self.config.upgrade_protocols:
                return protocol
        return None

    def _receive_body(self, data: bytes, now: float) -> None:
        self._expecting = False
        super()._receive_body(data, now)

    def _end_in_head(self, now: float) -> None:
        if self._buffer:
            raise RemoteProtocolError("the connection closed in the middle of a request head")
        self._close_now(CloseReason.PEER)

    # -- the response ---------------------------------------------------------------

    def send(self, *events: Sendable, now: float) -> None:
        if not (self._plain and self._answer_plainly(events, now)):
            super().send(*events, now=now)

    def _answer_plainly(self, events: tuple[Sendable, ...], now: float) -> bool:
        """Short path of ``send``: a whole response that is as simple as most.

        Returns false when it is not; then nothing was done.
        """
        stream_id = self._stream_id
        data = b""
        if len(events) == 3:
            head, body, end = events
            if type(body) is not Data or body.stream_id != stream_id:
                return False
            data = body.data
        elif len(events) == 2:
            head, end = events
        else:
            return False
        if (
            type(head) is not Response
            or type(end) is not EndOfMessage
            or not head.stream_id == end.stream_id == stream_id
            or head.reason is not None
            or head.close
            or end.trailers
        ):
            return False
        piece = self._write_plainly(head.status, head.headers, data)
        if piece is None:
            return False
        self._out.put(piece, now)
        self._finish(now)
        return True

    def send_response(
        self, stream_id: int, status: int, headers: Headers, body: bytes, now: float
    ) -> bytes | None:
        if not self._plain or stream_id != self._stream_id or self._out.size:
            return None
        piece = self._write_plainly(status, headers, body)
        if piece is not None:
            self._finish(now)
        return piece

    def _write_plainly(self, status: int, headers: Headers, body: bytes) -> bytes | None:
        """Return a whole response to a whole request, if nothing about it is special.

        The exchange is over then, but for ``_finish``.
        """
        if not (
            self._read is READ_HELD
            and not self._peer_eof
            and self._outgoing.phase == HEAD
            and self.state is _OPEN
        ):
            return None
        fields = self._prepare(headers)
        line = USUAL_STATUS_LINES.get(status)
        size = len(body)
        if (
            line is None
            or fields.close
            or fields.chunked
            or size >= self._limits.write_quantum
            or fields.content_length not in (None, size)
        ):
            return None
        self._outgoing.close = False
        if fields.content_length is None:
            return b"%b%bContent-Length: %d\r\n\r\n%b" % (line, fields.block, size, body)
        return b"%b%b\r\n%b" % (line, fields.block, body)

    def send_data(self, stream_id: int, data: bytes, now: float) -> bytes | None:
        if stream_id != self._stream_id or not self._open or self._out.size or not data:
            return None
        return self._outgoing.write_data(data, self._limits.write_quantum)

    def _check_stream(self, events: tuple[Sendable, ...]) -> None:
        for event in events:
            if event.stream_id != self._stream_id or not self._open:
                raise LocalProtocolError(f"stream {event.stream_id} is not open")

    def _add_head(
        self, event: Sendable, draft: Outgoing, pieces: list[bytes], length: int | None
    ) -> None:
        draft.check_turn(event)
        if type(event) is Response:
            closing = (
                event.close
                or not self._reusable
                or (self._peer_eof and not self._buffer)
                or self.state is not _OPEN
                # RFC 9110 section 10.1.1: the client may send the content or leave it out.
                or self._expecting
                or (length is not None and self._has_too_much_unread())
            )
            pieces.append(
                write_response(
                    event,
                    self._prepare(event.headers),
                    draft,
                    length=length,
                    method=self._method,
                    version=self._version,
                    closing=closing,
                )
            )
        elif type(event) is InformationalResponse:
            data = write_informational(event)
            # RFC 9110 section 15.2: no 1xx to an HTTP/1.0 client.  Section 10.1.1: 100 may be
            # left out when content has come, or when the client did not ask for it.
            if self._version != "1.0" and (event.status != 100 or self._expecting):
                pieces.append(data)
        elif type(event) is not Accept:
            raise LocalProtocolError(f"a server does not send {type(event).__name__}")
        else:
            pieces.append(write_accept(event, draft, self._switch_to(event.protocol)))

    def _switch_to(self, protocol: str | None) -> str:
        """Return the tunnel that begins: "CONNECT" or a protocol.

        ``protocol``: the one that the application names.  Raises LocalProtocolError.
        """
        if protocol is None:
            if self._switch is None:
                raise LocalProtocolError("this request does not ask for a tunnel")
            return self._switch
        # RFC 9110 section 7.8: only to what the client asked for, and behind its request.
        if self._plain or not protocol.isascii() or protocol.lower() not in self._upgrades:
            raise LocalProtocolError(f"this request does not ask to switch to {protocol!r}")
        if self._read is not READ_HELD:
            raise LocalProtocolError("protocols are switched behind the end of the request")
        return protocol

    def _has_too_much_unread(self) -> bool:
        """Tell whether the rest of the content is longer than the engine reads to keep the
        connection.

        RFC 9112 section 9.6: a server that is going to close should say so.
        """
        reader = self._reader
        return (
            self._read is READ_BODY
            and type(reader) is LengthReader
            and reader.remaining > self._limits.max_drain
        )

    def _commit(self, first: Sendable, before: Outgoing, pieces: list[bytes], now: float) -> None:
        if pieces:
            self._enqueue(pieces, now)
        if type(first) is InformationalResponse and first.status == 100 and self._expecting:
            self._expecting = False  # No content has come yet.
            self._set_timer(BODY_TIMER, now + seconds(self.config.timeouts.body))
        outgoing = self._outgoing
        if before.phase == HEAD and outgoing.phase != HEAD:
            self._reusable = not outgoing.close
            accepted = outgoing.framing is AS_TUNNEL
            if accepted or self._switch is not None:
                self._decide_switch(accepted=accepted, now=now)
        if outgoing.phase == DONE and before.phase != DONE:
            if outgoing.framing is AS_TUNNEL and self._read is READ_TUNNEL:
                self.wants_close = CloseAction.WRITE_EOF
            elif self._read is READ_HELD:
                self._finish(now)
            elif self._expecting:
                self._begin_close(CloseReason.LOCAL, now)
            elif self._deadline == NEVER:
                # The rest of the request has a time limit, even if the application stops reading.
                self._set_timer(BODY_TIMER, now + seconds(self.config.timeouts.body))

    def _decide_switch(self, *, accepted: bool, now: float) -> None:
        """The application accepted or declined the tunnel; go on with what was held."""
        self._switch = None
        if not accepted:
            self._events.append(EndOfMessage(self._stream_id))
            return
        self._read = READ_TUNNEL
        if self._buffer:
            self._emit_data(bytes(self._buffer))
            self._buffer.clear()
        if self._peer_eof:
            self._end_message(None, now)
        else:
            self._update_wants_read()

    def _finish(self, now: float) -> None:
        if not self._reusable or self.state is not _OPEN:
            self._close_after_exchange(now)
            return
        self._unread = 0
        self._unwanted = False
        self._plain = False
        self._open = False
        self._method = ""
        self._read = READ_HEAD
        self._outgoing.phase = IDLE
        if self._buffer or self._peer_eof or not self.wants_read:
            self._take_held(now)
        if self._read is READ_HEAD and not self._buffer:
            self._timer = KEEP_ALIVE_TIMER
            self._deadline = now + self._keep_alive_time

    def _take_held(self, now: float) -> None:
        """Read on in what came behind the last request."""
        try:
            self._receive_head(now)
            if self._peer_eof and self._read is READ_HEAD:
                self._end_in_head(now)
            else:
                self._update_wants_read()
        except RemoteProtocolError as error:
            self._refuse(error.without_frames(), now)

    def _close_after_exchange(self, now: float) -> None:
        if self._peer_eof or self._outgoing.framing is AS_TUNNEL:
            self._close_now(CloseReason.PEER)
        else:
            self._begin_close(CloseReason.LOCAL, now)

    def _close_unread(self, now: float) -> None:
        """The answer is complete, and the rest of the request is not worth reading."""
        reader = self._reader
        self._begin_close(CloseReason.LOCAL, now)
        lingers = self.state is ConnectionState.CLOSING
        if lingers and self._outgoing.framing not in (UNTIL_CLOSE, AS_TUNNEL):
            self.state = ConnectionState.DRAINING
            self._still_coming = reader.remaining if type(reader) is LengthReader else NEVER

    def _refuse(
        self,
        error: RemoteProtocolError,
        now: float,
        reason: CloseReason = CloseReason.PROTOCOL_ERROR,
    ) -> None:
        self._end_stream(error.code, self._culprit(), error)
        outgoing = self._outgoing
        if outgoing.phase in (IDLE, HEAD):
            self._out.put(refusal(error.status_hint, with_body=self._method != "HEAD"), now)
        elif outgoing.phase == BODY and outgoing.framing is UNTIL_CLOSE:
            # A normal close would tell the client that the response is complete.
            self._abort(None, reason, error)
            return
        outgoing.phase = DONE
        self._begin_close(reason, now, error)

    # -- time -------------------------------------------------------------------------

    def _on_head_timeout(self, now: float) -> None:
        error = RemoteProtocolError(
            "the request head took too long", status_hint=408, code=ErrorCode.CANCEL
        )
        if not self._buffer:
            self._close_now(CloseReason.TIMEOUT, error)  # Nothing came: nothing to answer.
            return
        self._refuse(error, now, CloseReason.TIMEOUT)

    def _on_body_timeout(self, now: float) -> None:
        error = RemoteProtocolError(
            "nothing of the request's body came for too long",
            status_hint=408,
            code=ErrorCode.CANCEL,
        )
        self._refuse(error, now, CloseReason.TIMEOUT)

    def _end_held(self, now: float) -> None:
        """The client waits for the rest of the response, and gets it."""

    _RECEIVE: ClassVar[dict[Read, Receiver]] = {
        **HTTP1Connection._RECEIVE,
        READ_BODY: _receive_body,
    }
    _AT_END: ClassVar[dict[Read, Handler]] = {
        **HTTP1Connection._AT_END,
        READ_HEAD: _end_in_head,
        READ_HELD: _end_held,
    }
    _TIMEOUTS: ClassVar[dict[Timer, Handler]] = {
        **HTTP1Connection._TIMEOUTS,
        HEAD_TIMER: _on_head_timeout,
        BODY_TIMER: _on_body_timeout,
    }
