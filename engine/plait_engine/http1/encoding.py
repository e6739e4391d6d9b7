"""Field sections to send: checked, encoded, and what they say about the message.

Strategy
--------
Whether a field may be sent, and its bytes, depend on the field alone: they are looked up in
a cache (see ``semantics.cache``), and only a field that is new is checked and encoded.  Its
bit says whether it decides something, so one pass over the fields collects a
``PreparedFields``.

Rules
-----
* Only valid fields go out: tokens as names, no control character in a value (RFC 9110
  section 5.5).  What the application says can never become a line of its own (RFC 9112
  section 11.1).
* At most one Content-Length, never beside Transfer-Encoding (RFC 9112 section 6.2), and
  chunked is the only coding.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from plait_engine.errors import LocalProtocolError
from plait_engine.headers import FORBIDDEN_TRAILERS, Headers, encode, tokens
from plait_engine.semantics.cache import FieldCache, names_credentials
from plait_engine.semantics.content import is_content_length
from plait_engine.semantics.fields import asks_for_continue, check_field, check_fields

# The bits of names that mean something here.
HOST, LENGTH, CODINGS, CONNECTION, EXPECT, UPGRADE = (1 << bit for bit in range(6))
_BITS: Final = {
    "host": HOST,
    "content-length": LENGTH,
    "transfer-encoding": CODINGS,
    "connection": CONNECTION,
    "expect": EXPECT,
    "upgrade": UPGRADE,
}
FRAMING: Final = LENGTH | CODINGS
_DECIDES: Final = LENGTH | CODINGS | CONNECTION | EXPECT


class PreparedFields(NamedTuple):
    """A field section to send, and what it says about framing and persistence."""

    headers: Headers
    block: bytes
    content_length: int | None
    chunked: bool
    close: bool
    keep_alive: bool
    seen: int
    """The bits of the names that are there."""
    expects_continue: bool
    plain: bool
    """Nothing that decides about framing or persistence."""


# The constructor of a named tuple is a function in Python; this one is not.
_new = tuple.__new__

_fields: Final[FieldCache[tuple[str, str], tuple[bytes, int]]] = FieldCache()
_known = _fields.entries.get
_names: Final[FieldCache[str, tuple[bool, int]]] = FieldCache()
"""Valid names: in lower case, and the bit."""


def prepare_fields(headers: Headers) -> PreparedFields:
    """Check and encode a field section.  Raises LocalProtocolError."""
    lines: list[bytes] = []
    append = lines.append
    seen = 0
    try:
        for field in headers:
            line, bit = _known(field) or _encode_field(field)
            append(line)
            if bit:
                if seen & bit == HOST:
                    raise LocalProtocolError("two Host fields")
                seen |= bit
    except TypeError:
        # No pairs, or what cannot be looked up.  It says which field, or that all is well.
        check_fields(headers)
        return prepare_fields([(str(name), str(value)) for name, value in headers])
    block = b"".join(lines)
    if not seen & _DECIDES:
        facts = (headers, block, None, False, False, False, seen, False, True)
        return _new(PreparedFields, facts)
    return _collect(headers, block, seen)


def _encode_field(field: tuple[str, str]) -> tuple[bytes, int]:
    """Return a field line and the bit of its name.  Raises LocalProtocolError."""
    try:
        name, value = field
    except ValueError:
        raise TypeError from None
    known = _names.entries.get(name)
    # Printable ASCII in a name that is known needs no other look.
    if known is None or type(value) is not str or not (value.isascii() and value.isprintable()):
        check_field(name, value)
        known = (names_credentials(name), _BITS.get(name.lower(), 0))
        _names.add(name, known, len(name))
    is_secret, bit = known
    # "+" takes the characters that were checked; a subclass of str may format itself otherwise.
    text = name + ": " + value + "\r\n"
    line = text.encode() if text.isascii() else encode(text)
    entry = (line, bit)
    if not is_secret:
        _fields.add(field, entry, len(line))
    return entry


def _collect(headers: Headers, block: bytes, seen: int) -> PreparedFields:
    """Read the fields that decide about framing and persistence."""
    content_length: int | None = None
    codings: list[str] = []
    connection: list[str] = []
    expects_continue = False
    for name, value in headers:
        bit = _BITS.get(name.lower())
        if bit == LENGTH:
            if content_length is not None:
                raise LocalProtocolError("two Content-Length fields")
            content_length = _parse_content_length(value)
        elif bit == CODINGS:
            codings.extend(tokens(value))
        elif bit == CONNECTION:
            connection.extend(tokens(value))
        elif bit == EXPECT:
            expects_continue = asks_for_continue(value)
    if seen & CODINGS:
        if codings != ["chunked"]:
            raise LocalProtocolError("chunked is the only transfer coding that can be sent")
        if content_length is not None:
            raise LocalProtocolError("both Content-Length and Transfer-Encoding")
    close = "close" in connection
    plain = not (close or codings or expects_continue) and content_length is None
    return PreparedFields(
        headers,
        block,
        content_length,
        bool(codings),
        close,
        "keep-alive" in connection,
        seen,
        expects_continue,
        plain,
    )


def without_fields(fields: PreparedFields, bits: int) -> PreparedFields:
    """Return ``fields`` without those whose names have one of ``bits``."""
    if not fields.seen & bits:
        return fields
    return prepare_fields(
        [field for field in fields.headers if not _BITS.get(field[0].lower(), 0) & bits]
    )


def encode_trailers(trailers: Headers) -> bytes:
    """Return the lines of a trailer section.  Raises LocalProtocolError."""
    check_fields(trailers)
    forbidden = FORBIDDEN_TRAILERS.intersection(name.lower() for name, _ in trailers)
    if forbidden:
        raise LocalProtocolError(f"not allowed as a trailer: {', '.join(sorted(forbidden))}")
    return prepare_fields(trailers).block


def _parse_content_length(value: str) -> int:
    if is_content_length(value) is None:
        raise LocalProtocolError(f"invalid Content-Length: {value!r}")
    return int(value)
