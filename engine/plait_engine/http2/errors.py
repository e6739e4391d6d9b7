"""How the parts of HTTP/2 say that the peer broke the protocol (RFC 9113 section 5.4).

They raise, and the loop over the frames in ``receiving`` answers: a stream error resets its
stream, a connection error ends the connection.
"""

from __future__ import annotations

from typing import NoReturn

from plait_engine.errors import ErrorCode, RemoteProtocolError, Scope


class HPACKError(Exception):
    """A block cannot be decoded.  The table is unknown from here on: COMPRESSION_ERROR."""


def connection_error(message: str, code: ErrorCode = ErrorCode.PROTOCOL_ERROR) -> NoReturn:
    """The peer has broken the connection (section 5.4.1)."""
    raise RemoteProtocolError(message, code=code)


def stream_error(message: str, code: ErrorCode = ErrorCode.PROTOCOL_ERROR) -> NoReturn:
    """The peer has broken the stream (section 5.4.2)."""
    raise RemoteProtocolError(message, code=code, scope=Scope.STREAM)
