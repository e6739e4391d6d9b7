"""Errors of message syntax, under the names that aiohttp gives them.

The engine reports a peer's mistake as ``plait_engine.RemoteProtocolError``; these classes
are what the asyncio adapter raises where aiohttp's callers expect them, such as a line
that ``StreamReader.readline`` finds too long.
"""

from __future__ import annotations

import textwrap

from multidict import CIMultiDict

__all__ = ("HttpProcessingError",)


class HttpProcessingError(Exception):
    """A message could not be processed; ``code`` is the status that answers it."""

    code = 0
    message = ""
    headers: CIMultiDict[str] | None = None

    def __init__(
        self,
        *,
        code: int | None = None,
        message: str = "",
        headers: CIMultiDict[str] | None = None,
    ) -> None:
        if code is not None:
            self.code = code
        self.headers = headers
        self.message = message

    def __str__(self) -> str:
        return f"{self.code}, message:\n{textwrap.indent(self.message, '  ')}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.code}, message={self.message!r}>"


class BadHttpMessage(HttpProcessingError):
    """The message breaks the grammar."""

    code = 400
    message = "Bad Request"

    def __init__(self, message: str, *, headers: CIMultiDict[str] | None = None) -> None:
        super().__init__(message=message, headers=headers)
        self.args = (message,)


class HttpBadRequest(BadHttpMessage):
    """The request breaks the grammar."""


class PayloadEncodingError(BadHttpMessage):
    """The body is not what its header fields say."""


class ContentEncodingError(PayloadEncodingError):
    """The body cannot be decoded by its Content-Encoding."""


class TransferEncodingError(PayloadEncodingError):
    """The chunks of the body are malformed."""


class ContentLengthError(PayloadEncodingError):
    """The body is not as long as its Content-Length says."""


class DecompressSizeError(PayloadEncodingError):
    """The body decompresses to more than is allowed."""


class LineTooLong(BadHttpMessage):
    """A line is longer than its limit."""

    def __init__(
        self, line: str | bytes, limit: str | int = "Unknown", actual_size: str = "Unknown"
    ) -> None:
        super().__init__(f"Got more than {limit} bytes when reading: {line!r}.")
        self.args = (line, limit, actual_size)


class InvalidHeader(BadHttpMessage):
    """A header field is malformed."""

    def __init__(self, hdr: bytes | str) -> None:
        self.hdr = hdr.decode(errors="backslashreplace") if isinstance(hdr, bytes) else hdr
        super().__init__(f"Invalid HTTP header: {self.hdr!r}")
        self.args = (hdr,)


class BadStatusLine(BadHttpMessage):
    """The first line of a message is malformed."""

    def __init__(self, line: str = "", error: str | None = None) -> None:
        line = line if isinstance(line, str) else repr(line)
        super().__init__(error or f"Bad status line {line!r}")
        self.args = (line,)
        self.line = line


class BadHttpMethod(BadStatusLine):
    """The method is malformed."""

    def __init__(self, line: str = "", error: str | None = None) -> None:
        super().__init__(line, error or f"Bad HTTP method in status line {line!r}")


class InvalidURLError(BadHttpMessage):
    """The target is malformed."""
