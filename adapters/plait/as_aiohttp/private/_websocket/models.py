"""``aiohttp._websocket.models``: the vocabulary of ``aiohttp.http_websocket``."""

from __future__ import annotations

from typing import Final

from plait.http_websocket import (
    WS_CLOSED_MESSAGE,
    WS_CLOSING_MESSAGE,
    WebSocketError,
    WSCloseCode,
    WSMessage,
    WSMessageDecodeText,
    WSMessageNoDecodeText,
    WSMessageTextBytes,
    WSMsgType,
)

__all__ = (
    "WS_CLOSED_MESSAGE",
    "WS_CLOSING_MESSAGE",
    "WS_DEFLATE_TRAILING",
    "WSCloseCode",
    "WSMessage",
    "WSMessageDecodeText",
    "WSMessageNoDecodeText",
    "WSMessageTextBytes",
    "WSMsgType",
    "WebSocketError",
)

WS_DEFLATE_TRAILING: Final = b"\x00\x00\xff\xff"
"""What a compressed message leaves out at its end (RFC 7692 section 7.2.1)."""
