"""Rules for fields that are the same in every version (RFC 9110 sections 5, 10.1.1)."""

from __future__ import annotations

from typing import Final

from plait_engine.errors import FieldTypeError, LocalProtocolError
from plait_engine.headers import (
    Headers,
    encode,
    find_bad_value_char,
    get_all,
    has_token,
    is_token,
    tokens,
)

CONNECTION_FIELDS: Final = frozenset(
    {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"}
)
"""Fields of an HTTP/1.1 connection, which later versions do not have (RFC 9113 section 8.2.2)."""

SINGLETON_FIELDS: Final = frozenset(
    {
        "authorization",
        "content-length",
        "content-location",
        "content-range",
        "content-type",
        "etag",
        "from",
        "host",
        "if-modified-since",
        "if-unmodified-since",
        "last-modified",
        "max-forwards",
        "proxy-authorization",
        "referer",
        "user-agent",
    }
)
"""Fields that a request has once: they are no lists (RFC 9110 section 5.3), and two lines
that disagree are how one recipient is made to read what another did not."""


def find_repeated_singleton(headers: Headers) -> str | None:
    """Return the name of a field that a request has twice and must not; names in lower case."""
    if len(dict(headers)) == len(headers):
        return None
    seen: set[str] = set()
    for name, _ in headers:
        if name in seen and name in SINGLETON_FIELDS:
            return name
        seen.add(name)
    return None


def asks_for_continue(expect: str) -> bool:
    """Tell whether an Expect field has "100-continue" (RFC 9110 section 10.1.1: a list)."""
    return "100-continue" in tokens(expect)


def named_upgrades(headers: Headers) -> frozenset[str]:
    """Return the members of Upgrade in lower case, if Connection lists it (RFC 9110 section 7.8)."""
    if not has_token(headers, "connection", "upgrade"):
        return frozenset()
    lines = get_all(headers, "upgrade")
    return frozenset(member for line in lines for member in tokens(line))


def offered_upgrades(headers: Headers) -> frozenset[str]:
    """Return the protocols that a request offers to switch to.

    ``h2c`` is none any more (RFC 9113 section 3.1).
    """
    return named_upgrades(headers) - {"h2c"}


def check_fields(headers: Headers) -> None:
    """Raise LocalProtocolError for the first field of ``headers`` that cannot be sent."""
    try:
        for name, value in headers:
            check_field(name, value)
    except (TypeError, ValueError) as error:
        if isinstance(error, FieldTypeError):
            raise
        raise FieldTypeError("headers must be pairs of a name and a value") from None


def check_field(name: str, value: str) -> None:
    """Raise LocalProtocolError if a field cannot be sent, and say which one and why.

    A name or value that is no ``str`` is a ``FieldTypeError``, which is a TypeError too.
    """
    if not isinstance(name, str):
        raise FieldTypeError(f"a field name must be a str, not {type(name).__name__}: {name!r}")
    if not is_token(name):
        raise LocalProtocolError(f"a field name must be a token: {name!r}")
    if not isinstance(value, str):
        raise FieldTypeError(f"the value of {name} must be a str, not {type(value).__name__}")
    # Printable ASCII, which nearly all is, needs no other look.
    if type(value) is str and value.isascii() and value.isprintable():
        return
    if find_bad_value_char(value):
        raise LocalProtocolError(f"control character in the value of {name}")
    try:
        encode(value)
    except UnicodeEncodeError:
        raise LocalProtocolError(f"UTF-8 cannot encode the value of {name}") from None
