"""A WebSocket connection (RFC 6455) on one stream, whatever carries it.

Strategy
--------
``WebSocketConnection`` is a state machine on the tunnel of one exchange, after ``Accept``:
give it the bytes of ``Data`` and send what it returns as ``Data``.  It does not know whether
HTTP/1.1 or HTTP/2 carries it (RFC 8441 section 5).  The contract is that of
``plait_engine.connection``: inputs never raise, commands raise LocalProtocolError, and after
each of them drain the outputs.

*A Close frame is answered when its event is taken.*  The peer's Close frame, or a fault, is
answered when ``next_event`` returns it, not when the bytes came.  So what the application
sends for the messages before it still goes out before our Close frame, even if the
application is slower than the network.  An application that reads late may leave the events
here, and acknowledge their bytes when it takes them: that is all the backpressure there is.
Pings do not wait: they are answered at once.

*Short paths.*  Most reads bring one whole message, and most messages leave alone.
``receive_whole`` takes such a read without an event, and ``whole_frame`` makes such a frame
without a queue.  Both return ``None`` for all else, which goes the general way.

::

    OPEN ----- we send Close, or take the peer's ----> CLOSING ---- both done ---> CLOSED
      |                                                   |                          ^
      +------------ fault, lost transport, no pong -------+--- close timer ----------+

Rules
-----
* Closing handshake: sections 5.5.1 and 7.1.  The server ends the stream first; the client
  gives it ``close_timeout`` seconds for that (7.1.1).
* What arrives after the peer's Close frame is dropped (1.4).  Messages can still be sent,
  until our own Close frame is sent: nothing is sent after that (5.5.1), though the peer's
  messages still arrive.
* A ping is answered with the same payload.  When ``max_pending_pongs`` answers wait to be
  sent, only the latest of the further ones is kept (5.5.3), so a flood costs nothing.

Heartbeat
---------
After ``ping_interval`` seconds without a byte from the peer a Ping is sent.  If nothing comes
within ``pong_timeout`` seconds after that, the peer is gone.  Any byte is a sign of life, not
only the Pong.  While events wait to be taken the adapter may have stopped reading, so the
peer is not declared dead then.
"""

from __future__ import annotations

import enum

from plait_engine.config import Config
from plait_engine.connection import Role
from plait_engine.errors import LocalProtocolError, RemoteProtocolError, Scope
from plait_engine.timers import Timer, Timers

from .deflate import Deflate, Deflater, Inflater
from .events import BytesMessage, Ping, Pong, TextMessage, WebSocketClose, WebSocketEvent
from .frames import MAX_CONTROL_PAYLOAD, CloseCode, Opcode, is_wire_close_code
from .reader import MessageReader, fault
from .writer import MessageWriter

_TEXT = int(Opcode.TEXT)
_BINARY = int(Opcode.BINARY)


class PongTimeout(RemoteProtocolError):
    """The heartbeat's ping was not answered in time."""


class WebSocketState(enum.Enum):
    """Where the connection is in its life; it only ever moves down this list."""

    OPEN = "open"
    CLOSING = "closing"
    """One side has sent its Close frame."""
    CLOSED = "closed"
    """Nothing more is sent or received."""


class WebSocketConnection:
    """One WebSocket, either role.

    ``deflate`` and ``subprotocol`` are what the handshake agreed on.  ``auto_pong``:
    answer pings here; they are then not reported.  ``auto_close``: answer the peer's
    Close frame with its own code; when off, send a ``WebSocketClose`` yourself.
    ``decode_text``: when off, ``TextMessage.data`` is ``bytes``; that they are UTF-8 is
    checked all the same.  ``ping_interval`` and ``pong_timeout`` (half the interval by
    default) are the heartbeat, in seconds; ``None`` switches it off.  ``close_timeout``
    and ``max_message_size`` (0: no limit) default to those of ``config``.

    ``now`` is the time of the handshake's end; the heartbeat counts from there.
    """

    __slots__ = (
        "_auto_close",
        "_auto_pong",
        "_close_timeout",
        "_config",
        "_eof",
        "_events",
        "_heard",
        "_next_events",
        "_now",
        "_ping_interval",
        "_ping_payload",
        "_pinged",
        "_pong_timeout",
        "_reader",
        "_role",
        "_timers",
        "_writer",
        "can_send",
        "close_code",
        "close_reason",
        "closed",
        "deflate",
        "lost",
        "state",
        "subprotocol",
        "wants_close",
    )

    def __init__(
        self,
        role: Role,
        config: Config,
        *,
        now: float = 0.0,
        deflate: Deflate | None = None,
        subprotocol: str | None = None,
        ping_interval: float | None = None,
        pong_timeout: float | None = None,
        close_timeout: float | None = None,
        auto_pong: bool = True,
        auto_close: bool = True,
        decode_text: bool = True,
        max_message_size: int | None = None,
    ) -> None:
        server = role is Role.SERVER
        limits = config.limits
        if max_message_size is None:
            max_message_size = limits.max_message_size
        self._role = role
        self._config = config
        self.deflate = deflate
        self.subprotocol = subprotocol
        self.state = WebSocketState.OPEN
        self.can_send = True
        """False once our Close frame was sent (5.5.1), or the connection is lost."""
        self.closed = False
        """True when this side is done: it sent its Close frame, took the last event, or
        found the peer dead.  A connection that was lost is not closed before the
        application has taken what came."""
        self.close_code: int | None = None
        """The code of the ``WebSocketClose`` that was taken, or 1006 when the peer was found
        dead; ``None`` before."""
        self.close_reason = ""
        self.lost: Exception | None = None
        """Why the connection ended abnormally (1006), known before the event is taken."""
        self.wants_close = False
        """The stream is of no more use: write what there is to send, then end it."""

        self._auto_pong = auto_pong
        self._auto_close = auto_close
        # Lists, since a deque takes 700 bytes even when the connection is idle.
        self._events: list[WebSocketEvent] = []
        self._next_events: list[WebSocketEvent] = []  # those before them, the first one last
        self._reader = MessageReader(
            self._events,
            self._receive_control,
            masked=server,
            max_message_size=max_message_size,
            max_fragments=max_message_size
            and max(limits.max_frame_fragments, max_message_size // 256),
            inflater=None if deflate is None else _inflater(deflate, server),
            decode_text=decode_text,
        )

        self._writer = MessageWriter(
            random=None if server else config.random,
            deflater=None if deflate is None else _deflater(deflate, server),
            max_pending_pongs=limits.max_pending_pongs,
        )
        self._eof = False

        self._timers = Timers()
        self._close_timeout = config.timeouts.close if close_timeout is None else close_timeout
        self._ping_interval = ping_interval
        self._pong_timeout = (ping_interval or 0) / 2 if pong_timeout is None else pong_timeout
        self._ping_payload: bytes | None = None
        self._pinged = now
        self._heard = now
        self._now = now  # of the last input or command that has a time
        if ping_interval is not None:
            self._timers.set(Timer.PING, now + ping_interval)

    # -- inputs -----------------------------------------------------------------

    def receive_data(self, data: bytes | memoryview, now: float) -> None:
        """Bytes of the tunnel came.  After the peer's Close frame they are dropped.

        ``data`` is the caller's again when this returns.
        """
        self._now = self._heard = now
        try:
            self._reader.feed(data)
        except RemoteProtocolError as error:
            self._fail(error)

    def receive_whole(self, data: bytes | memoryview, now: float) -> str | bytes | None:
        """Short path of ``receive_data`` and ``next_event``: return the message that ``data`` is.

        ``str`` is a ``TextMessage``, ``bytes`` a ``BytesMessage``; it is not reported again.
        ``None`` when ``data`` is not one message, whole, with nothing before it:
        ``receive_data`` takes it then.
        """
        if self._events or self._next_events:
            return None
        try:
            message = self._reader.take_whole(data)
        except RemoteProtocolError as error:
            self._now = self._heard = now
            self._fail(error)
            return None
        if message is not None:
            self._now = self._heard = now
        return message

    def receive_eof(self, now: float) -> None:
        """The peer ended the stream."""
        self._now = now
        self._eof = True
        error = fault(CloseCode.ABNORMAL_CLOSURE, "the peer sent no Close frame")
        self._receive_close(WebSocketClose(CloseCode.ABNORMAL_CLOSURE, "", error))
        if self.state is WebSocketState.CLOSED:  # a client that waited for this
            self._timers.clear()
            self.wants_close = True

    def connection_lost(self, error: Exception | None, now: float) -> None:
        """The stream or its transport is gone; events that wait can still be taken."""
        self._lose(error or fault(CloseCode.ABNORMAL_CLOSURE, "the connection was lost"))
        self._writer.clear()

    def handle_timeout(self, now: float) -> None:
        """Time has passed.  A call with nothing due is a no-op."""
        for timer in self._timers.pop_expired(now):
            if timer is Timer.PING:
                self._ping_when_silent(now)
            elif timer is Timer.PONG:
                self._check_alive(now)
            else:
                message = "the closing handshake took too long"
                self._lose(fault(CloseCode.ABNORMAL_CLOSURE, message))

    # -- commands -----------------------------------------------------------------

    def send(self, event: WebSocketEvent, *, now: float) -> None:
        """Send a message or a fragment, a ping, a pong or the Close frame.

        Raises LocalProtocolError when that is not allowed; then nothing was sent.
        After this call, drain the outputs.
        """
        if isinstance(event, TextMessage):
            self.send_text(event.data, event.finished, event.compress)
        elif isinstance(event, BytesMessage):
            self.send_bytes(event.data, event.finished, event.compress)
        elif isinstance(event, WebSocketClose):
            self._send_close(event, now)
        else:
            if not self.can_send:
                raise _closing()
            opcode = Opcode.PING if isinstance(event, Ping) else Opcode.PONG
            self._writer.control(opcode, event.payload)

    def send_text(
        self, data: str | bytes, finished: bool = True, compress: bool | None = None
    ) -> None:
        """Send a ``TextMessage`` of these fields: the same as ``send``, without the event."""
        if not self.can_send:
            raise _closing()
        self._writer.message(_TEXT, _encode_text(data), finished, compress)

    def send_bytes(self, data: bytes, finished: bool = True, compress: bool | None = None) -> None:
        """Send a ``BytesMessage`` of these fields: the same as ``send``, without the event."""
        if not self.can_send:
            raise _closing()
        self._writer.message(_BINARY, data, finished, compress)

    def whole_frame(self, data: str | bytes) -> bytes | None:
        """Short path of ``send`` and ``data_to_send``: return the frame of a whole message.

        Write it at once.  ``None`` when it cannot be sent by itself, now or at all: nothing
        has changed then, and ``send`` says why or queues it.
        """
        if not self.can_send:
            return None
        if isinstance(data, bytes):
            return self._writer.whole_frame(_BINARY, data)
        try:
            payload = data.encode()
        except UnicodeEncodeError:
            return None
        return self._writer.whole_frame(_TEXT, payload)

    # -- outputs ------------------------------------------------------------------

    @property
    def waiting_events(self) -> int:
        """How many events ``next_event`` would return."""
        return len(self._events) + len(self._next_events)

    @property
    def waiting_output(self) -> bool:
        """True while ``data_to_send`` would return bytes."""
        return bool(self._writer.outgoing)

    def data_to_send(self) -> bytes:
        """Return the next bytes for the stream, ``b""`` when there are none.

        Call it only while the stream takes bytes, and until it returns ``b""``.
        """
        return self._writer.data_to_send()

    def next_event(self) -> WebSocketEvent | None:
        """Return the next event, or ``None``.  Taking a ``WebSocketClose`` answers it."""
        following = self._next_events
        if not following:
            if not self._events:
                return None
            following += reversed(self._events)
            self._events.clear()
        event = following.pop()
        if isinstance(event, WebSocketClose):
            self._take_close(event)
        return event

    def next_timeout(self) -> float | None:
        """Return when ``handle_timeout`` is wanted next, or ``None``."""
        return self._timers.next_timeout()

    # -- receiving ----------------------------------------------------------------

    def _receive_control(self, opcode: int, payload: bytes) -> None:
        if opcode == Opcode.CLOSE:
            self._receive_close(_parse_close(payload))
        elif opcode == Opcode.PONG:
            if payload == self._ping_payload:
                self._ping_payload = None  # the heartbeat's own
            else:
                self._events.append(Pong(payload))
        elif not self._auto_pong:
            self._events.append(Ping(payload))
        elif self.can_send:
            self._writer.answer_ping(payload)

    def _fail(self, error: RemoteProtocolError) -> None:
        """The peer broke the protocol (RFC 6455 section 7.1.7)."""
        # A kept traceback would keep alive every frame that the error went through, and
        # with them this connection.
        error.__traceback__ = error.__context__ = error.__cause__ = None
        self._receive_close(WebSocketClose(error.code, error.message, error))

    def _receive_close(self, event: WebSocketClose) -> None:
        """Queue the last event; nothing is received behind it."""
        if not self._reader.stopped:
            self._reader.stopped = True
            self._events.append(event)

    def _take_close(self, event: WebSocketClose) -> None:
        """The application takes the last event: answer it."""
        self.close_code = int(event.code)
        self.close_reason = event.reason
        if self.state is WebSocketState.CLOSED:
            self.closed = True
            return
        if event.error is None:
            if self.can_send and not self._auto_close:
                self._begin_closing()
                return
            self._queue_close(event.code, "")  # RFC 6455 section 5.5.1: echo the code
            self._close()
            self._leave_ending_to_server()
        else:
            if event.code != CloseCode.ABNORMAL_CLOSURE:
                self._queue_close(event.code, event.reason)
            self._close()
            self.closed = True
            self.wants_close = True  # RFC 6455 section 7.1.7: fail the connection

    def _lose(self, error: Exception) -> None:
        """The peer is gone: the abnormal end (RFC 6455 section 7.1.5)."""
        if not self._reader.stopped:
            self.lost = error
        self._receive_close(WebSocketClose(CloseCode.ABNORMAL_CLOSURE, "", error))
        self._close()
        self.wants_close = True

    # -- the closing handshake ------------------------------------------------------

    def _send_close(self, event: WebSocketClose, now: float) -> None:
        if not self.can_send:
            raise LocalProtocolError("the WebSocket is closed already")
        if event.code != CloseCode.NO_STATUS and not is_wire_close_code(event.code):
            raise LocalProtocolError(f"{event.code} is not a close code that can be sent")
        if not isinstance(event.reason, str):
            raise TypeError(f"a close reason must be str, not {type(event.reason).__name__}")
        if len(_encode_text(event.reason)) > MAX_CONTROL_PAYLOAD - 2:
            raise LocalProtocolError("a close reason has more than 123 bytes")
        self._now = now
        self._queue_close(event.code, event.reason)
        if self.state is WebSocketState.CLOSING:  # the peer's Close frame was taken before
            self._close()
            self._leave_ending_to_server()
        else:
            self._begin_closing()
            self._timers.set(Timer.CLOSE, now + self._close_timeout)

    def _queue_close(self, code: int, reason: str) -> None:
        """Queue a Close frame, if none was sent, as the last frame."""
        if not self.can_send:
            return
        self.can_send = False
        self.closed = True
        payload = b""
        if code != CloseCode.NO_STATUS:
            text = reason.encode("utf-8", "replace")[: MAX_CONTROL_PAYLOAD - 2]
            payload = code.to_bytes(2, "big") + text
        self._writer.control(Opcode.CLOSE, payload)

    def _begin_closing(self) -> None:
        self.state = WebSocketState.CLOSING
        self._timers.stop(Timer.PING)
        self._timers.stop(Timer.PONG)

    def _close(self) -> None:
        self.state = WebSocketState.CLOSED
        self.can_send = False
        self._writer.drop_pong()
        self._timers.clear()

    def _leave_ending_to_server(self) -> None:
        """Both Close frames are out: the server ends the stream (RFC 6455 section 7.1.1)."""
        if self._role is Role.SERVER or self._eof:
            self.wants_close = True
        else:
            self._timers.set(Timer.CLOSE, self._now + self._close_timeout)

    # -- the heartbeat --------------------------------------------------------------

    def _ping_when_silent(self, now: float) -> None:
        assert self._ping_interval is not None
        due = (now if self.waiting_events else self._heard) + self._ping_interval
        if now < due:
            self._timers.set(Timer.PING, due)
            return
        self._ping_payload = self._config.random(4)
        self._writer.control(Opcode.PING, self._ping_payload)
        self._pinged = now
        self._timers.set(Timer.PONG, now + self._pong_timeout)

    def _check_alive(self, now: float) -> None:
        if self._heard > self._pinged or self.waiting_events:
            self._ping_when_silent(now)
        else:
            message = f"No PONG received after {self._pong_timeout} seconds"
            code = CloseCode.ABNORMAL_CLOSURE
            self._lose(PongTimeout(message, code=code, scope=Scope.STREAM))
            self.close_code = int(code)
            self.closed = True


def _closing() -> LocalProtocolError:
    return LocalProtocolError("the WebSocket is closing")


def _encode_text(text: str | bytes) -> bytes:
    """Return the bytes of ``text``.  Raises LocalProtocolError when they are not UTF-8."""
    try:
        if isinstance(text, str):
            return text.encode()
        if isinstance(text, bytes):
            text.decode()
            return text
    except UnicodeError as error:
        raise LocalProtocolError("text that is not UTF-8 cannot be sent") from error
    raise TypeError(f"text must be str or bytes, not {type(text).__name__}")


def _parse_close(payload: bytes) -> WebSocketClose:
    """Return the event for a Close frame's payload (RFC 6455 section 5.5.1)."""
    if not payload:
        return WebSocketClose(CloseCode.NO_STATUS)
    code = int.from_bytes(payload[:2], "big")
    if len(payload) == 1 or not is_wire_close_code(code):
        raise fault(CloseCode.PROTOCOL_ERROR, "a Close frame has no valid code")
    try:
        return WebSocketClose(code, payload[2:].decode())
    except UnicodeDecodeError as error:
        raise fault(CloseCode.INVALID_TEXT, "a close reason is not UTF-8") from error


def _deflater(deflate: Deflate, server: bool) -> Deflater:
    """Return the compressor for what this side sends."""
    return Deflater(
        deflate.server_max_window_bits if server else deflate.client_max_window_bits,
        not (deflate.server_no_context_takeover if server else deflate.client_no_context_takeover),
        deflate.level,
        deflate.memory_level,
    )


def _inflater(deflate: Deflate, server: bool) -> Inflater:
    """Return the decompressor for what the peer sends."""
    return Inflater(
        deflate.client_max_window_bits if server else deflate.server_max_window_bits,
        not (deflate.client_no_context_takeover if server else deflate.server_no_context_takeover),
    )
