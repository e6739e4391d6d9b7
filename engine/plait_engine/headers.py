"""Field names and values: their type, their grammar, and the lists inside them.

Strategy
--------
A header section is a sequence of ``(name, value)`` pairs of ``str``, in order,
duplicates kept, names as they came (HTTP/1.1) or in lower case (HTTP/2).  The bytes
are decoded once, in bulk, as UTF-8 with ``surrogateescape``: for the ASCII that nearly
all fields are, that costs nothing; UTF-8 reads as what it means; and any other byte
survives the way back.  ``decode`` and ``encode`` are the only two places that know.

Rules (RFC 9110 section 5)
--------------------------
* A name is a token of ASCII characters; there is no other spelling of it.
* A value has no CR, LF, NUL and no other control character but HTAB.  RFC 9110 section
  5.5 lets a recipient keep the other controls; we refuse them in both directions, since
  every one of them has carried an attack.
* Comparing names and tokens folds ASCII letters only.  ``str.lower`` would also fold
  U+212A KELVIN SIGN to ``k``, so compare only after a check for ASCII.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

Headers: TypeAlias = Sequence[tuple[str, str]]
"""A header or trailer section: ``(name, value)`` pairs in order."""

MAX_QUOTED: Final = 64
"""Bytes of the peer that a message repeats at most."""

# RFC 9110 section 5.6.2: token = 1*tchar
TOKEN_CHARS = r"!#$%&'*+\-.^_`|~0-9A-Za-z"
is_token = re.compile(rf"[{TOKEN_CHARS}]+", re.ASCII).fullmatch
"""Match if the whole string is a token (RFC 9110 section 5.6.2)."""

# RFC 9110 section 5.5, narrowed: every control character but HTAB is forbidden.
find_bad_value_char = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]").search
"""Find the first control character that a field value must not have."""


def decode(data: bytes) -> str:
    """Return the text of ``bytes``; every byte string has one, and ``encode`` undoes it."""
    return data.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    """Return the bytes of ``text``.  Raises UnicodeEncodeError for a lone surrogate
    that did not come from ``decode``."""
    return text.encode("utf-8", "surrogateescape")


def quote(data: bytes | bytearray) -> str:
    """Return the first bytes of what the peer sent for a message: escaped, and not many."""
    more = " ..." if len(data) > MAX_QUOTED else ""
    return f"{bytes(data[:MAX_QUOTED])!r}{more}"


def get(headers: Headers, name: str) -> str | None:
    """Return the first value of the field ``name`` (in lower case), or ``None``."""
    for key, value in headers:
        if key.lower() == name:
            return value
    return None


def get_all(headers: Headers, name: str) -> list[str]:
    """Return all values of the field ``name`` (in lower case), in order."""
    return [value for key, value in headers if key.lower() == name]


def get_joined(headers: Headers, name: str) -> str | None:
    """Return all values of the field ``name`` (in lower case) as one list, or ``None``.

    RFC 9110 section 5.3: lines of one name are joined by commas, in order.
    """
    values = get_all(headers, name)
    return ", ".join(values) if values else None


def tokens(value: str) -> Iterator[str]:
    """Yield the members of a comma-separated list, in lower case, without empty ones.

    RFC 9110 section 5.6.1: a recipient ignores a reasonable number of empty members.
    Members that are not ASCII are yielded as they are, so that they equal no token.
    """
    for member in value.split(","):
        member = member.strip(" \t")
        if member:
            yield member.lower() if member.isascii() else member


def has_token(headers: Headers, name: str, token: str) -> bool:
    """Tell whether the list-valued field ``name`` (in lower case) contains ``token``."""
    return any(token in tokens(value) for value in get_all(headers, name))


FORBIDDEN_TRAILERS: Final = frozenset(
    {
        "transfer-encoding",
        "content-length",
        "host",
        "connection",
        "keep-alive",
        "proxy-connection",
        "upgrade",
        "te",
        "trailer",
        "expect",
        "max-forwards",
        "cache-control",
        "pragma",
        "range",
        "if-match",
        "if-none-match",
        "if-modified-since",
        "if-unmodified-since",
        "if-range",
        "authorization",
        "proxy-authorization",
        "www-authenticate",
        "proxy-authenticate",
        "cookie",
        "set-cookie",
        "content-encoding",
        "content-type",
        "content-range",
        "age",
        "expires",
        "date",
        "location",
        "retry-after",
        "vary",
        "warning",
    }
)
"""Fields that must not be trailers, in lower case (RFC 9110 section 6.5.1): framing, routing,
request modifiers, authentication, response control, and what says how to read the content.
Received, they are dropped; sending them is refused."""
