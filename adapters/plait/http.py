"""What programs import about the protocol itself."""

from __future__ import annotations

import http
import sys
from typing import Final

from plait_engine import __version__

from .http_exceptions import HttpProcessingError
from .http_websocket import (
    WS_CLOSED_MESSAGE,
    WS_CLOSING_MESSAGE,
    WS_KEY,
    WebSocketError,
    WSCloseCode,
    WSMessage,
    WSMessageDecodeText,
    WSMessageNoDecodeText,
    WSMessageTextBytes,
    WSMsgType,
)
from .http_writer import HttpVersion, HttpVersion10, HttpVersion11, HttpVersion20, StreamWriter

__all__ = (
    "RESPONSES",
    "SERVER_SOFTWARE",
    "WS_CLOSED_MESSAGE",
    "WS_CLOSING_MESSAGE",
    "WS_KEY",
    "HttpProcessingError",
    "HttpVersion",
    "HttpVersion10",
    "HttpVersion11",
    "HttpVersion20",
    "StreamWriter",
    "WSCloseCode",
    "WSMessage",
    "WSMessageDecodeText",
    "WSMessageNoDecodeText",
    "WSMessageTextBytes",
    "WSMsgType",
    "WebSocketError",
)

SERVER_SOFTWARE: Final = f"Python/{sys.version_info[0]}.{sys.version_info[1]} plait/{__version__}"
"""The ``Server`` field, and the client's ``User-Agent``."""

RESPONSES: Final = {status: (status.phrase, status.description) for status in http.HTTPStatus}
"""Reason phrase and description by status."""
