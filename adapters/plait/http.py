"""What programs import about the protocol itself."""

from __future__ import annotations

import http
import sys
from typing import Final, NamedTuple

from multidict import CIMultiDictProxy
from yarl import URL

from plait_engine import __version__

from .http_exceptions import HttpProcessingError
from .http_websocket import *  # noqa: F403  # programs look for them here, too
from .http_websocket import __all__ as _of_websockets
from .http_writer import HttpVersion, HttpVersion10, HttpVersion11, HttpVersion20, StreamWriter
from .typedefs import RawHeaders

__all__ = (
    "RESPONSES",
    "SERVER_SOFTWARE",
    "HttpProcessingError",
    "HttpVersion",
    "HttpVersion10",
    "HttpVersion11",
    "HttpVersion20",
    "RawRequestMessage",
    "StreamWriter",
    *_of_websockets,
)

SERVER_SOFTWARE: Final = f"Python/{sys.version_info[0]}.{sys.version_info[1]} plait/{__version__}"
"""The ``Server`` field, and the client's ``User-Agent``."""

RESPONSES: Final = {status: (status.phrase, status.description) for status in http.HTTPStatus}
"""Reason phrase and description by status."""


class RawRequestMessage(NamedTuple):
    """The head of a request, as ``request.message`` gives it."""

    method: str
    path: str
    """The target as it came."""
    version: HttpVersion
    headers: CIMultiDictProxy[str]
    raw_headers: RawHeaders
    should_close: bool
    """The connection ends with the response."""
    compression: str | None
    """The content coding, if there is one, and it is known."""
    upgrade: bool
    """Another protocol is asked for."""
    chunked: bool
    """The content comes in chunks of HTTP/1.1."""
    url: URL
    """Path and query."""
