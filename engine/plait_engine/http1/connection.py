"""What both roles of an HTTP/1.1 connection share: buffers, bodies, timers and the end.

Strategy
--------
HTTP/1.1 has one exchange at a time (RFC 9112 section 9).  Two small states describe it:
``_read``, how far the peer's message is, and ``_outgoing``, how far ours is.  When both
are done the exchange is over, and the connection is idle again or closes.  ``server`` and
``client`` add what differs: who speaks first, how a head is read and written, what is said
to a peer that breaks the rules.

==========  ====================================================================
``_read``   what bytes from the peer are
==========  ====================================================================
IDLE        (client) nobody asked for them: the connection is not usable any more
HEAD        part of a head; they collect in ``_buffer``
BODY        body; a reader takes them (see ``body``), nothing is buffered
HELD        behind the message: held in ``_buffer`` until the exchange is over or,
            on a server with a tunnel to decide about, until it is decided
TUNNEL      tunnel bytes
DISCARD     too late: the connection is closing, they are counted and dropped
==========  ====================================================================

Time
----
At most one of the timers HEAD, BODY, KEEP_ALIVE, CONTINUE and CLOSE runs at any moment:
they belong to states that exclude each other.  So they are one attribute, and the write
timer, which can run beside each of them, is another.  Arming one costs an addition.

The end
-------
A server closes in stages (RFC 9112 section 9.6): half-close, then read and drop what is on
its way, until the peer closes, ``max_drain`` bytes came, or the CLOSE timer passes.
Otherwise the operating system could reset the connection and destroy the response on its
way.  TLS cannot be half-closed: there a server that has sent its response reads the rest of
the request first, and is DRAINING until then (see ``CloseAction.WRITE_EOF``).
"""

from __future__ import annotations

import enum
import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Final, TypeAlias

from plait_engine.config import Config
from plait_engine.connection import CloseAction, Connection, ConnectionState, Role
from plait_engine.errors import ErrorCode, LocalProtocolError, RemoteProtocolError
from plait_engine.events import (
    CloseReason,
    Data,
    EndOfMessage,
    Initiator,
    Sendable,
    StreamReset,
    Writable,
)
from plait_engine.headers import Headers, quote
from plait_engine.semantics.fields import check_fields
from plait_engine.semantics.message import BODY, DONE, IDLE, TUNNEL, complete_length
from plait_engine.timers import Timer

from .body import BodyReader, LengthReader
from .encoding import PreparedFields, prepare_fields
from .framing import (
    BY_LENGTH,
)
from .heads import SectionScanner
from .outgoing import Outgoing
from .output import WriteQueue

NEVER: Final = math.inf

# Any: the methods are of the class that owns the table.
Receiver: TypeAlias = Callable[[Any, bytes, float], None]
Handler: TypeAlias = Callable[[Any, float], None]


class Read(enum.IntEnum):  # Those of an Enum hash themselves in Python.
    """How far the peer's message is; see the table above."""

    IDLE = 0
    HEAD = 1
    BODY = 2
    HELD = 3
    TUNNEL = 4
    DISCARD = 5


# On CPython 3.11 a member that is asked of its Enum costs ten times a global.
READ_IDLE, READ_HEAD, READ_BODY, READ_HELD, READ_TUNNEL, READ_DISCARD = Read
BODY_TIMER: Final = Timer.BODY
HEAD_TIMER: Final = Timer.HEAD
KEEP_ALIVE_TIMER: Final = Timer.KEEP_ALIVE


class HTTP1Connection(Connection):
    """What ``HTTP1Server`` and ``HTTP1Client`` share.

    Three tables say what is done in which state: ``_RECEIVE`` with bytes, ``_AT_END`` at the
    end of input, ``_TIMEOUTS`` when a timer passes.  A role puts its own entries into them.
    """

    __slots__ = (
        "_buffer",
        "_deadline",
        "_discarded",
        "_error",
        "_keep_alive_time",
        "_limits",
        "_method",
        "_open",
        "_out",
        "_outgoing",
        "_peer_eof",
        "_read",
        "_reader",
        "_reason",
        "_reusable",
        "_scanner",
        "_sent",
        "_still_coming",
        "_stream_id",
        "_timer",
        "_unread",
        "_unwanted",
    )

    protocol = "http/1.1"

    def __init__(self, role: Role, config: Config) -> None:
        super().__init__(role, config)
        self._limits = config.limits
        # The exchange
        self._stream_id = -1
        self._open = False
        self._method = ""
        self._outgoing = Outgoing(IDLE)
        self._reusable = True
        """The connection can carry another exchange after this one."""
        # Input
        self._read = READ_IDLE
        self._buffer = bytearray()
        self._scanner = SectionScanner(config.limits, strict=role is Role.SERVER)
        self._reader: BodyReader | None = None
        self._unread = 0
        """Bytes of Data that the application has not acknowledged."""
        self._unwanted = False
        """The rest of the peer's message is read and dropped."""
        self._discarded = 0
        self._still_coming = NEVER
        """How much of the peer's message is to come when the connection closes."""
        self._peer_eof = False
        # Output
        self._sent: PreparedFields | None = None
        """The last field section sent: applications often send the same one again."""
        self._out = WriteQueue(config)
        # Time
        self._timer = KEEP_ALIVE_TIMER
        self._deadline = NEVER
        self._keep_alive_time = seconds(config.timeouts.keep_alive)
        # The end
        self._reason = CloseReason.LOCAL
        self._error: RemoteProtocolError | None = None

    # -- inputs ---------------------------------------------------------------

    def receive_data(self, data: bytes | memoryview, now: float) -> None:
        if type(data) is not bytes:
            data = bytes(data)
        try:
            if self._read is READ_HEAD and not self._buffer:
                self._receive_fresh(data, now)
            else:
                self._receive(data, now)
        except RemoteProtocolError as error:
            self._refuse(error.without_frames(), now)

    def receive_eof(self, now: float) -> None:
        if self.state is ConnectionState.CLOSED or self._peer_eof:
            return
        self._peer_eof = True
        self.wants_read = False
        try:
            self._AT_END[self._read](self, now)
        except RemoteProtocolError as error:
            self._refuse(error.without_frames(), now, CloseReason.PEER)

    def connection_lost(self, error: Exception | None, now: float) -> None:
        if self.state is ConnectionState.CLOSED:
            return
        self._peer_eof = True
        self._out.clear()
        if self._read is READ_DISCARD:
            self._close_now(self._reason, self._error)
            return
        if self._open:
            lost = RemoteProtocolError("the connection was lost in the middle of an exchange")
            self._end_stream(ErrorCode.CANCEL, Initiator.REMOTE, lost)
            error = error or lost
        self._close_now(CloseReason.PEER if error is None else CloseReason.LOST, error)

    def handle_timeout(self, now: float) -> None:
        if now >= self._out.deadline and self._out.has_stalled(now):
            self._fail_timeout("write timed out: the peer stopped reading")
            return
        if now >= self._deadline:
            timer = self._timer
            self._deadline = NEVER
            self._TIMEOUTS[timer](self, now)

    # -- commands -------------------------------------------------------------

    def send(self, *events: Sendable, now: float) -> None:
        if not events:
            return
        if type(events[0]) is StreamReset and self._has_ended(events[0].stream_id):
            return  # The stream has ended in the meantime.
        self._check_stream(events)
        pieces: list[bytes] = []
        first = events[0]
        if type(first) is Data and len(events) == 1:
            # A piece of a body is all or nothing in itself: it needs no draft.
            self._outgoing.add_data(first, pieces)
            self._commit(first, self._outgoing, pieces, now)
            return
        draft = self._outgoing.copy()
        length = complete_length(events)
        reset: StreamReset | None = None
        for event in events:
            if reset is not None:
                raise LocalProtocolError("nothing can follow StreamReset")
            if type(event) is Data:
                draft.add_data(event, pieces)
            elif type(event) is EndOfMessage:
                draft.add_end(event, pieces)
            elif type(event) is StreamReset:
                reset = event
            else:
                self._add_head(event, draft, pieces, length)
        # Everything is allowed: from here on, nothing raises.
        before = self._outgoing
        self._outgoing = draft
        self._commit(first, before, pieces, now)
        if reset is not None:
            self._reset(reset, now)

    def acknowledge(self, stream_id: int, credit: int, now: float) -> None:
        if stream_id != self._stream_id or not self._unread:
            return
        self._unread = max(self._unread - credit, 0)
        if not self.wants_read:
            self._update_wants_read()
            if self.wants_read and self._read is READ_BODY:
                self._set_timer(BODY_TIMER, now + seconds(self.config.timeouts.body))

    def reserve(self, stream_id: int, size: int, now: float) -> None:
        outgoing = self._outgoing
        if stream_id != self._stream_id or not self._open or outgoing.phase not in (BODY, TUNNEL):
            raise LocalProtocolError("no body is being sent on this stream")
        if outgoing.framing is not BY_LENGTH or outgoing.bodiless:
            raise LocalProtocolError("only a body with Content-Length can be reserved")
        outgoing.count(size)

    def close(self, code: int | None = None, *, now: float) -> None:
        if self._read is READ_DISCARD:  # It is closing, or closed.
            return
        if not self._open:
            self._close_now(CloseReason.LOCAL)
        elif code is not None:
            self._abort(code, CloseReason.LOCAL)
        else:
            self.state = ConnectionState.DRAINING

    # -- outputs --------------------------------------------------------------

    def data_to_send(self) -> bytes:
        out = self._out
        if not out.size:
            return b""
        was_full = out.is_full
        data = out.take()
        if was_full and not out.is_full:
            self._emit_writable()
        return data

    def next_timeout(self) -> float | None:
        deadline = self._deadline
        if self._out.deadline < deadline:
            deadline = self._out.deadline
        return None if deadline == NEVER else deadline

    # -- getters --------------------------------------------------------------

    def send_capacity(self, stream_id: int) -> int:
        if stream_id != self._stream_id or not (self._open and self._outgoing.expects_data):
            return 0
        return self._limits.write_high_water - self._out.size

    def queued(self, stream_id: int) -> int:
        return self._out.size if stream_id == self._stream_id else 0

    def next_stream_id(self) -> int:
        raise LocalProtocolError("a server sends no requests")

    @property
    def available_streams(self) -> int:
        return 0

    @property
    def open_streams(self) -> int:
        return 1 if self._open else 0

    def _has_ended(self, stream_id: int) -> bool:
        return stream_id < self._stream_id or (stream_id == self._stream_id and not self._open)

    # -- what the roles fill in -------------------------------------------------

    @abstractmethod
    def _receive_fresh(self, data: bytes, now: float) -> None:
        """Short path of ``_receive``: take bytes that begin a head, which is usually whole."""

    @abstractmethod
    def _receive_head(self, now: float) -> None:
        """Look for a head in ``_buffer`` and take it."""

    @abstractmethod
    def _check_stream(self, events: tuple[Sendable, ...]) -> None:
        """Raise LocalProtocolError if ``events`` are not of the one stream that is open."""

    @abstractmethod
    def _add_head(
        self, event: Sendable, draft: Outgoing, pieces: list[bytes], length: int | None
    ) -> None:
        """Write a head into ``pieces``; ``length`` is that of the body, if all is there."""

    @abstractmethod
    def _commit(self, first: Sendable, before: Outgoing, pieces: list[bytes], now: float) -> None:
        """Queue ``pieces`` and do what follows from the events; ``before`` was the state."""

    @abstractmethod
    def _finish(self, now: float) -> None:
        """The exchange is over in both directions."""

    @abstractmethod
    def _close_unread(self, now: float) -> None:
        """Close although the peer's message is not read to its end."""

    @abstractmethod
    def _refuse(
        self,
        error: RemoteProtocolError,
        now: float,
        reason: CloseReason = CloseReason.PROTOCOL_ERROR,
    ) -> None:
        """The peer broke the protocol, or was too slow: answer it if possible, and close."""

    # -- receiving ----------------------------------------------------------------

    def _receive(self, data: bytes, now: float) -> None:
        """Take what the peer sent.  Raises RemoteProtocolError."""
        if data:
            self._RECEIVE[self._read](self, data, now)

    def _receive_rest(self, data: bytes, now: float) -> None:
        """Take what came behind a head in the same read.

        Short path of ``_receive``: it may be all of the content, of known length.
        """
        reader = self._reader
        if type(reader) is LengthReader and reader.remaining == len(data) and not self._unwanted:
            self._emit_data(data)
            self._end_message(reader, now)
        else:
            self._receive(data, now)

    def _receive_unasked(self, data: bytes, now: float) -> None:
        raise unasked(data)

    def _receive_in_head(self, data: bytes, now: float) -> None:
        self._buffer += data
        self._receive_head(now)

    def _receive_behind(self, data: bytes, now: float) -> None:
        self._buffer += data
        self._update_wants_read()

    def _receive_in_tunnel(self, data: bytes, now: float) -> None:
        self._emit_data(data)

    def _receive_body(self, data: bytes, now: float) -> None:
        reader = self._reader
        assert reader is not None
        content = reader.feed(data)
        if self._unwanted:
            self._discarded += len(content)
            if self._discarded > self._limits.max_drain:
                self._close_unread(now)
                return
        elif content:
            self._emit_data(content)
        if reader.error is not None:
            raise reader.error
        if reader.done:
            self._buffer += reader.rest
            self._end_message(reader, now)
        elif self.wants_read:
            self._set_timer(BODY_TIMER, now + seconds(self.config.timeouts.body))
        else:
            self._deadline = NEVER

    def _end_message(self, reader: BodyReader | None, now: float) -> None:
        """The peer's message is complete."""
        self._reader = None
        self._read = READ_HELD
        self._deadline = NEVER
        if not self._unwanted:
            self._events.append(
                EndOfMessage(self._stream_id, () if reader is None else reader.trailers)
            )
        if self._outgoing.phase == DONE:
            self._finish(now)
        else:
            self._update_wants_read()

    def _end_body(self, now: float) -> None:
        assert self._reader is not None
        self._reader.end()
        self._end_message(self._reader, now)

    def _end_tunnel(self, now: float) -> None:
        self._end_message(None, now)

    def _end_idle(self, now: float) -> None:
        self._close_now(CloseReason.PEER)

    def _end_discarding(self, now: float) -> None:
        self._close_now(self._reason, self._error)

    def _emit_data(self, data: bytes) -> None:
        size = len(data)
        self._unread += size
        self._events.append(Data(self._stream_id, data, size))
        if self._unread > self._limits.read_high_water:
            self.wants_read = False

    def _update_wants_read(self) -> None:
        self.wants_read = (
            not self._peer_eof
            and self._unread <= self._limits.read_high_water
            and (self._read is not READ_HELD or len(self._buffer) < self._limits.max_pipelined)
        )

    def _discard(self, data: bytes, now: float) -> None:
        if self.state is ConnectionState.CLOSED:
            return
        self._discarded += len(data)
        if self._discarded > self._limits.max_drain:
            self._close_now(self._reason, self._error)
        elif self._discarded >= self._still_coming:
            self.state = ConnectionState.CLOSING

    # -- sending --------------------------------------------------------------------

    def _prepare(self, headers: Headers) -> PreparedFields:
        sent = self._sent
        if type(headers) is not tuple:
            try:
                headers = tuple(headers)
            except TypeError:
                check_fields(headers)
                raise  # pragma: no cover: what is no iterable has been refused
        if sent is None or headers != sent.headers:
            sent = self._sent = prepare_fields(headers)
        return sent

    def _enqueue(self, pieces: list[bytes], now: float) -> None:
        for piece in pieces:
            self._out.put(piece, now)

    def _emit_writable(self) -> None:
        if self._open and self._outgoing.expects_data:
            self._events.append(Writable(self._stream_id))

    def _reset(self, event: StreamReset, now: float) -> None:
        """Do what a StreamReset of the application says."""
        if event.code == ErrorCode.NO_ERROR and self._has_ended(event.stream_id):
            return  # What stood before it in the same command was the end.
        if event.code != ErrorCode.NO_ERROR or self._outgoing.phase != DONE:
            # RFC 9112 has no way to give up a message but to close the connection.
            self._open = False
            self._abort(None, CloseReason.LOCAL)
        else:
            self._unwanted = True
            self._unread = self._discarded = 0
            if self._reusable:
                self._update_wants_read()
            else:
                self._close_unread(now)

    # -- the end ----------------------------------------------------------------------

    def _culprit(self) -> Initiator:
        """Who ends a stream on which something goes wrong: the peer if it has sent its last."""
        return Initiator.REMOTE if self._peer_eof else Initiator.LOCAL

    def _end_stream(
        self, code: int, initiator: Initiator, error: RemoteProtocolError | None
    ) -> None:
        """Emit StreamReset for the open exchange, if there is one."""
        if self._open:
            self._open = False
            if not self._unwanted:
                self._events.append(StreamReset(self._stream_id, code, initiator, False, error))

    def _begin_close(
        self, reason: CloseReason, now: float, error: RemoteProtocolError | None = None
    ) -> None:
        """Close in stages (RFC 9112 section 9.6)."""
        self._open = False
        self._reader = None
        self._buffer.clear()
        self._reason = reason
        self._error = error
        if self._peer_eof:
            self._close_now(reason, error)
            return
        self.state = ConnectionState.CLOSING
        self._read = READ_DISCARD
        self._discarded = 0
        self.wants_read = True
        self.wants_close = CloseAction.WRITE_EOF
        self._set_timer(Timer.CLOSE, now + self.config.timeouts.close)

    def _close_now(self, reason: CloseReason, error: Exception | None = None) -> None:
        """Close as soon as everything is written."""
        self._open = False
        self._read = READ_DISCARD
        self._reader = None
        self._buffer.clear()
        self._unread = 0
        self._deadline = NEVER
        self._out.deadline = NEVER
        if self.wants_close is not CloseAction.ABORT:
            self.wants_close = CloseAction.CLOSE
        self._emit_closed(reason, error)

    def _abort(
        self,
        code: int | None,
        reason: CloseReason,
        error: RemoteProtocolError | None = None,
    ) -> None:
        """Drop the connection.  ``code``: for the StreamReset of an open exchange."""
        if code is not None:
            self._end_stream(code, Initiator.LOCAL, error)
        self._out.clear()
        self.wants_close = CloseAction.ABORT
        self._close_now(reason, error)

    # -- time -------------------------------------------------------------------------

    def _set_timer(self, timer: Timer, deadline: float) -> None:
        self._timer = timer
        self._deadline = deadline

    def _fail_timeout(self, message: str) -> None:
        error = RemoteProtocolError(message, status_hint=408, code=ErrorCode.CANCEL)
        self._abort(ErrorCode.CANCEL, CloseReason.TIMEOUT, error)

    def _on_keep_alive_timeout(self, now: float) -> None:
        self._close_now(CloseReason.KEEP_ALIVE)

    def _on_close_timeout(self, now: float) -> None:
        if self._out.size:
            # The peer still takes the answer; the write timer watches over it.
            self._set_timer(Timer.CLOSE, now + self.config.timeouts.close)
        else:
            self._close_now(self._reason, self._error)

    _RECEIVE: ClassVar[dict[Read, Receiver]] = {
        READ_IDLE: _receive_unasked,
        READ_HEAD: _receive_in_head,
        READ_BODY: _receive_body,
        READ_HELD: _receive_behind,
        READ_TUNNEL: _receive_in_tunnel,
        READ_DISCARD: _discard,
    }
    _AT_END: ClassVar[dict[Read, Handler]] = {
        READ_IDLE: _end_idle,
        READ_BODY: _end_body,
        READ_TUNNEL: _end_tunnel,
        READ_DISCARD: _end_discarding,
    }
    _TIMEOUTS: ClassVar[dict[Timer, Handler]] = {
        KEEP_ALIVE_TIMER: _on_keep_alive_timeout,
        Timer.CLOSE: _on_close_timeout,
    }


def unasked(data: bytes | bytearray) -> RemoteProtocolError:
    """Say that ``data`` came to a client that waits for nothing."""
    return RemoteProtocolError(f"bytes came that no request asked for: {quote(data)}")


def seconds(timeout: float | None) -> float:
    """Return a timeout as a number: infinite when it is switched off."""
    return NEVER if timeout is None else timeout
