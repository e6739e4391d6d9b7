"""The vocabulary of a WebSocket: the same classes come out and go in.

``WebSocketConnection.next_event()`` returns them when the peer did something;
``WebSocketConnection.send()`` takes them when the application wants something done.

Received messages are always whole.  On sending, ``finished=False`` makes a message the
first or a middle fragment (RFC 6455 section 5.4); the next message of the same type goes
on with it, and the one with ``finished=True`` ends it.  ``compress`` overrides for this
message whether it is compressed where permessage-deflate was negotiated (``None``: it
is); a message's first fragment decides (RFC 7692 section 6.1).

Like the events of a connection, they are slotted, not frozen, and nobody changes one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(slots=True)
class TextMessage:
    """A text message, or a fragment of one to send.

    ``data`` is ``str``; it is UTF-8 ``bytes`` when the connection was made with
    ``decode_text=False``.  Both can be sent.
    """

    data: str | bytes
    finished: bool = True
    compress: bool | None = None


@dataclass(slots=True)
class BytesMessage:
    """A binary message, or a fragment of one to send."""

    data: bytes
    finished: bool = True
    compress: bool | None = None


@dataclass(slots=True)
class Ping:
    """A ping, at most 125 bytes.  Received only where ``auto_pong`` is off."""

    payload: bytes = b""


@dataclass(slots=True)
class Pong:
    """A pong, asked for or not (RFC 6455 section 5.5.3), at most 125 bytes."""

    payload: bytes = b""


@dataclass(slots=True)
class WebSocketClose:
    """The end.  Received, it is the last event and comes exactly once.

    ``code`` is what the peer's Close frame said, 1005 if it said nothing.  If the
    connection ended without the peer's Close frame, ``error`` says why and ``code`` is
    1006, or the code with which this side failed the connection (1002, 1007, 1009).

    To send, 1005 means a Close frame without a code (RFC 6455 section 7.4.1).  ``reason``
    is at most 123 bytes of UTF-8.
    """

    code: int = 1000
    reason: str = ""
    error: Exception | None = None


WebSocketEvent: TypeAlias = TextMessage | BytesMessage | Ping | Pong | WebSocketClose
