"""Status lines and the engine's own answers.

The reason phrases are those of RFC 9110 section 15 and of the registry that it founds.  A
phrase is for people; no program may look at it (RFC 9112 section 4).
"""

from __future__ import annotations

from typing import Final

from plait_engine.errors import LocalProtocolError
from plait_engine.headers import encode, find_bad_value_char

REASONS: Final = {
    100: "Continue",
    101: "Switching Protocols",
    102: "Processing",
    103: "Early Hints",
    200: "OK",
    201: "Created",
    202: "Accepted",
    203: "Non-Authoritative Information",
    204: "No Content",
    205: "Reset Content",
    206: "Partial Content",
    207: "Multi-Status",
    208: "Already Reported",
    226: "IM Used",
    300: "Multiple Choices",
    301: "Moved Permanently",
    302: "Found",
    303: "See Other",
    304: "Not Modified",
    305: "Use Proxy",
    307: "Temporary Redirect",
    308: "Permanent Redirect",
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    409: "Conflict",
    410: "Gone",
    411: "Length Required",
    412: "Precondition Failed",
    413: "Content Too Large",
    414: "URI Too Long",
    415: "Unsupported Media Type",
    416: "Range Not Satisfiable",
    417: "Expectation Failed",
    418: "I'm a Teapot",
    421: "Misdirected Request",
    422: "Unprocessable Content",
    423: "Locked",
    424: "Failed Dependency",
    425: "Too Early",
    426: "Upgrade Required",
    428: "Precondition Required",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    451: "Unavailable For Legal Reasons",
    500: "Internal Server Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
    506: "Variant Also Negotiates",
    507: "Insufficient Storage",
    508: "Loop Detected",
    510: "Not Extended",
    511: "Network Authentication Required",
}

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
        return encode(f"HTTP/1.1 {status} {reason}\r\n")
    except UnicodeEncodeError as error:
        raise LocalProtocolError(f"UTF-8 cannot encode the reason phrase: {reason!r}") from error
