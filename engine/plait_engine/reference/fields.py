"""The fields of both reference engines: bytes to text and back, with the checks.

h11 and h2 hand over control characters in values, in both directions (h11 refuses only
NUL and white space, h2 nothing).  The two functions here close that gap before an event is
emitted and before anything is handed to a library.

Rules: RFC 9110 sections 5.1 and 5.5; RFC 9113 section 8.2.
"""

from __future__ import annotations

from collections.abc import Iterable

from plait_engine.errors import RemoteProtocolError
from plait_engine.headers import Headers, decode, encode, find_bad_value_char, is_token
from plait_engine.semantics.fields import check_fields

RawHeaders = list[tuple[bytes, bytes]]


def to_text(raw: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    """Return received fields as text.

    Raises RemoteProtocolError (400) for a name that is no token or a control character in
    a value (RFC 9110 sections 5.1 and 5.5).
    """
    headers = [(decode(bytes(name)), decode(bytes(value))) for name, value in raw]
    for name, value in headers:
        if not is_token(name.removeprefix(":")):
            raise RemoteProtocolError(f"field name {name!r} is not a token")
        if find_bad_value_char(value):
            raise RemoteProtocolError(f"field {name} has a control character in its value")
    return headers


def to_raw(headers: Headers, *, lower: bool = False) -> RawHeaders:
    """Return fields to send as bytes; ``lower`` for HTTP/2 (RFC 9113 section 8.2.1).

    Raises LocalProtocolError for what must not be sent (RFC 9110 sections 5.1 and 5.5).
    """
    check_fields(headers)
    return [
        (encode(name.lower() if lower else name), encode(value.strip(" \t")))
        for name, value in headers
    ]
