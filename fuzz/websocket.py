"""What the two WebSocket targets share: a run of one connection, and what always holds.

* No input raises.
* ``WebSocketClose`` is the last event and comes exactly once, however the stream ends.
* A message is no longer than ``max_message_size``; text is valid UTF-8.
* In whatever pieces the bytes come, by the short path for a whole message or the general one:
  the same events, the same bytes sent.
* Timeouts come to an end, and what is sent is bounded by what came.
"""

from __future__ import annotations

from collections.abc import Callable

from fuzz.choices import Choices, Cuts
from fuzz.frames import read_websocket_frames
from fuzz.harness import MAX_TIMEOUTS, START, InvariantError, check, comparable, config
from plait_engine.config import Config
from plait_engine.connection import Role
from plait_engine.websocket import (
    BytesMessage,
    CloseCode,
    Deflate,
    Ping,
    TextMessage,
    WebSocketClose,
    WebSocketConnection,
    WebSocketEvent,
)

RAW = 0x01
DEFLATE = 0x02
NO_CONTEXT_TAKEOVER = 0x04
MANUAL = 0x08
BYTES = 0x10
CLOSES_FIRST = 0x20
LARGE = 0x40
SHORT_PATH = 0x80
"""The pieces are given to ``receive_whole`` first."""

SMALL_MESSAGE = 300
LARGE_MESSAGE = 65536


def run(role: Role, data: bytes) -> None:
    """Run one input of a target: options (a byte), cuts, then frames or raw bytes."""
    choices = Choices(data)
    options = choices.byte()
    cuts = Cuts(choices)
    masked = role is Role.SERVER
    wire = choices.rest() if options & RAW else read_websocket_frames(choices, masked=masked)
    limit = LARGE_MESSAGE if options & LARGE else SMALL_MESSAGE
    settings = config()

    def make_connection() -> WebSocketConnection:
        return _connection(role, settings, options, limit)

    whole = _observe(make_connection, [wire], options & ~SHORT_PATH, limit)
    cut = _observe(make_connection, cuts(wire), options, limit)
    if _is_fault(whole[0][-1]) and _is_fault(cut[0][-1]) and options & DEFLATE:
        # Of several faults in a compressed message, the cuts decide which is met first.
        check(whole[0][:-1] == cut[0][:-1], "events do not depend on the cuts", whole, cut)
    else:
        check(whole == cut, "events and output do not depend on the cuts", whole, cut)
    check(len(whole[1]) <= 512 + 4 * len(wire), "output is bounded by input", len(whole[1]))


def _is_fault(event: object) -> bool:
    """Whether a comparable event says that this side failed the connection."""
    codes = (CloseCode.PROTOCOL_ERROR, CloseCode.INVALID_TEXT, CloseCode.MESSAGE_TOO_BIG)
    return isinstance(event, tuple) and event[1] in codes and event[3] is not None


def _connection(role: Role, settings: Config, options: int, limit: int) -> WebSocketConnection:
    forgets = bool(options & NO_CONTEXT_TAKEOVER)
    deflate = Deflate(server_no_context_takeover=forgets, client_no_context_takeover=forgets)
    automatic = not options & MANUAL
    return WebSocketConnection(
        role,
        settings,
        now=START,
        deflate=deflate if options & DEFLATE else None,
        auto_pong=automatic,
        auto_close=automatic,
        decode_text=not options & BYTES,
        max_message_size=limit,
        ping_interval=20.0,
    )


def _observe(
    make_connection: Callable[[], WebSocketConnection],
    pieces: list[bytes],
    options: int,
    limit: int,
) -> tuple[list[object], bytes]:
    """Return the events, as values that can be compared, and what was sent.

    The output is taken at the end only: a flood of pings is answered by as many pongs as
    the transport takes, which would depend on the cuts.
    """
    connection = make_connection()
    if options & CLOSES_FIRST:
        connection.send(WebSocketClose(1000, "bye"), now=START)
    events: list[WebSocketEvent] = []
    for piece in pieces:
        message = connection.receive_whole(piece, START) if options & SHORT_PATH else None
        if message is None:
            connection.receive_data(piece, START)
        else:
            _take_message(message, events, limit)
        _take(connection, events, limit)
    output = _output(connection)
    connection.receive_eof(START)
    _take(connection, events, limit)
    output += _output(connection)
    now = START
    for _ in range(MAX_TIMEOUTS):
        deadline = connection.next_timeout()
        if deadline is None:
            break
        now = max(now, deadline)
        connection.handle_timeout(now)
        _take(connection, events, limit)
        output += _output(connection)
    else:
        raise InvariantError("timeouts come to an end")
    connection.connection_lost(OSError("lost"), now)
    connection.receive_data(b"\x81\x00", now)
    _take(connection, events, limit)
    closes = [event for event in events if isinstance(event, WebSocketClose)]
    check(len(closes) == 1 and events[-1] is closes[0], "WebSocketClose is last, once", events)
    return [comparable(event) for event in events], output


def _take(connection: WebSocketConnection, events: list[WebSocketEvent], limit: int) -> None:
    while (event := connection.next_event()) is not None:
        events.append(event)
        if isinstance(event, TextMessage | BytesMessage):
            _check_message(event, limit)
        elif isinstance(event, Ping):
            check(len(event.payload) <= 125, "a ping is short", event)


def _take_message(message: str | bytes, events: list[WebSocketEvent], limit: int) -> None:
    event = TextMessage(message) if isinstance(message, str) else BytesMessage(message)
    _check_message(event, limit)
    events.append(event)


def _check_message(event: TextMessage | BytesMessage, limit: int) -> None:
    data = event.data.encode() if isinstance(event.data, str) else event.data
    check(len(data) <= limit, "a message is within max_message_size", len(data))
    if isinstance(event, TextMessage):
        data.decode()  # raises when it is not UTF-8


def _output(connection: WebSocketConnection) -> bytes:
    output = b""
    while data := connection.data_to_send():
        output += data
    return output
