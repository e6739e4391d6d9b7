"""Status lines and the engine's own answers."""

from __future__ import annotations

from typing import Final

from plait_engine.errors import LocalProtocolError
from plait_engine.headers import encode, find_bad_value_char
from plait_engine.semantics.reasons import REASONS

STATUS_LINES: Final = {
    status: f"HTTP/1.1 {status} {reason}\r\n".encode() for status, reason in REASONS.items()
}


def refusal(status: int, *, with_body: bool = True) -> bytes:
    """Return the whole answer to a request that the engine refuses.

    It repeats nothing of the request, and no browser may read anything else into it.
    """
    body = f"{status} {REASONS[status]}\n".encode()
    head = (
        b"Content-Type: text/plain; charset=utf-8\r\n"
        b"X-Content-Type-Options: nosniff\r\n"
        b"Content-Length: %d\r\n"
        b"Connection: close\r\n"
        b"\r\n" % len(body)
    )
    return STATUS_LINES[status] + head + (body if with_body else b"")


def status_line(status: int, reason: str | None) -> bytes:
    """Return the status line to send.  Raises LocalProtocolError for a bad ``reason``."""
    if reason is None:
        line = STATUS_LINES.get(status)
        # RFC 9112 section 4: the SP is there even if the phrase is empty.
        return b"HTTP/1.1 %d \r\n" % status if line is None else line
    if find_bad_value_char(reason):
        raise LocalProtocolError(f"control character in the reason phrase: {reason!r}")
    try:
        return encode(f"HTTP/1.1 {status} " + reason + "\r\n")
    except UnicodeEncodeError as error:
        raise LocalProtocolError(f"UTF-8 cannot encode the reason phrase: {reason!r}") from error
