"""The vocabulary of a WebSocket that applications see: messages, types, close codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from enum import IntEnum
from typing import Any, Final, NamedTuple, TypeAlias

__all__ = (
    "WS_CLOSED_MESSAGE",
    "WS_CLOSING_MESSAGE",
    "WS_KEY",
    "WSCloseCode",
    "WSMessage",
    "WSMessageDecodeText",
    "WSMessageNoDecodeText",
    "WSMessageTextBytes",
    "WSMsgType",
    "WebSocketError",
)

WS_KEY: Final[bytes] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""What a key is joined with to prove that the handshake was understood (RFC 6455 1.3)."""


class WSCloseCode(IntEnum):
    """Why a WebSocket is closed (RFC 6455 section 7.4.1)."""

    OK = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    ABNORMAL_CLOSURE = 1006
    INVALID_TEXT = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014


class WSMsgType(IntEnum):
    """What ``receive()`` returned: the opcodes of RFC 6455 section 5.2, and four of its own.

    CLOSING: this side closes.  CLOSED: the WebSocket is closed.  ERROR: it failed, and
    ``data`` is the exception.  The names in lower case are the same members.
    """

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    PING = 0x9
    PONG = 0xA
    CLOSE = 0x8

    CLOSING = 0x100
    CLOSED = 0x101
    ERROR = 0x102

    text = TEXT
    binary = BINARY
    ping = PING
    pong = PONG
    close = CLOSE
    closing = CLOSING
    closed = CLOSED
    error = ERROR


class WSMessage(NamedTuple):
    """A received message.

    ``data`` is ``str`` for TEXT, ``bytes`` for BINARY, PING and PONG, the code for CLOSE,
    the exception for ERROR.  ``extra`` is the reason of a CLOSE.
    """

    type: WSMsgType
    data: Any  # as the API to be compatible with has it
    extra: str | None

    def json(self, *, loads: Callable[[Any], Any] = json.loads) -> Any:
        """Return the data, decoded as JSON."""
        return loads(self.data)


class WSMessageTextBytes(NamedTuple):
    """A received TEXT message where ``decode_text`` is off: ``data`` is UTF-8 ``bytes``."""

    type: WSMsgType
    data: Any  # as in WSMessage
    extra: str | None

    def json(self, *, loads: Callable[[Any], Any] = json.loads) -> Any:
        """Return the data, decoded as JSON."""
        return loads(self.data)


WSMessageDecodeText: TypeAlias = WSMessage
WSMessageNoDecodeText: TypeAlias = WSMessage | WSMessageTextBytes

WS_CLOSED_MESSAGE: Final = WSMessage(WSMsgType.CLOSED, None, None)
WS_CLOSING_MESSAGE: Final = WSMessage(WSMsgType.CLOSING, None, None)


class WebSocketError(Exception):
    """The peer broke the protocol.  ``code`` is the close code that it was sent."""

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        super().__init__(code, message)

    def __str__(self) -> str:
        return str(self.args[1])
