"""Received field sections: from bytes to fields, and what they say about the message.

Strategy
--------
A section is split at its line ends once.  What a line means depends on its bytes alone, so
it is looked up in a cache by them (see ``semantics.cache``); only a line that is new is
taken apart and checked.  A line that decides something about the message carries a bit and
the fact, already read: so one pass over the lines collects the ``FieldFacts``.

Rules
-----
* Requests and trailers are read strictly: a bare LF, a bare CR, folded lines, white space
  before a colon, a second line of a field that has one value are refused (400).
* Responses may end lines with LF alone (RFC 9112 section 2.2) and may fold (section 5.2);
  both are normalised when the strict reading fails.  Nothing else is forgiven.
* A request's Host is a host and a port (RFC 9112 section 3.2).

The functions raise RemoteProtocolError, which the connection catches.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, TypeAlias

from plait_engine.config import Limits
from plait_engine.errors import RemoteProtocolError
from plait_engine.headers import FORBIDDEN_TRAILERS, Headers, decode, is_token, tokens
from plait_engine.semantics.authority import is_authority
from plait_engine.semantics.cache import FieldCache, names_credentials
from plait_engine.semantics.content import is_content_length
from plait_engine.semantics.fields import SINGLETON_FIELDS

from . import grammar

ONCE_IN_A_REQUEST: Final = SINGLETON_FIELDS | {"expect", "transfer-encoding"}
"""Of Expect and Transfer-Encoding, which are lists, a client has no use for two."""

# The bits of names that mean something here.  Those of the facts come first.
HOST, CONNECTION, LENGTH, CODINGS, EXPECT, UPGRADE, ENCODING = (1 << bit for bit in range(7))
_FACTS: Final = {
    "host": HOST,
    "content-length": LENGTH,
    "transfer-encoding": CODINGS,
    "expect": EXPECT,
    "connection": CONNECTION,
    "upgrade": UPGRADE,
    "content-encoding": ENCODING,
}
_BITS: Final = _FACTS | {
    name: 1 << bit
    for bit, name in enumerate(sorted(ONCE_IN_A_REQUEST - _FACTS.keys()), len(_FACTS))
}
_LISTS: Final = CONNECTION | UPGRADE | ENCODING
# The members of Connection that mean something here.
_CLOSE, _KEEP_ALIVE, _UPGRADE = 1, 2, 4
_CONNECTION_FLAGS: Final = {"close": _CLOSE, "keep-alive": _KEEP_ALIVE, "upgrade": _UPGRADE}
_LAST_FACT: Final = ENCODING

# RFC 9110 section 5.5, narrowed as in ``headers``: any byte but controls, and HTAB.
_CONTROLS: Final = bytes([*range(9), *range(10, 32), 127])


class FieldFacts(NamedTuple):
    """A field section and what it says about framing and persistence."""

    headers: Headers
    host: str | None
    content_length: int | None
    codings: tuple[str, ...] | None
    """The members of Transfer-Encoding, in lower case; ``None`` without the field."""
    close: bool
    keep_alive: bool
    upgrades: tuple[str, ...]
    """The members of Upgrade, where Connection lists "upgrade"."""
    expect: str | None
    content_encoding: str | None
    """Of a request; that of a response decides nothing here."""
    plain: bool
    """Host, and nothing that decides about framing or ends the connection."""


NO_FIELDS: Final = FieldFacts((), None, None, None, False, False, (), None, None, False)
"""An empty field section."""

# The constructor of a named tuple is a function in Python; this one is not.
_new = tuple.__new__


# Any: what a fact is depends on the name.
Line: TypeAlias = tuple[tuple[str, str], int, Any]
"""A field line: the field, the bit of its name or 0, and what its value says that decides
something: Content-Length as a number, Connection as flags, other lists as their members."""


class FieldReader:
    """Reads sections of one kind, for all connections: what it keeps belongs to none of them.

    ``strict``: see the rules of the module.  ``is_request``: Host is checked.
    """

    __slots__ = ("_is_request", "_lines", "_names", "_strict")

    def __init__(self, *, strict: bool, is_request: bool = False) -> None:
        self._strict = strict
        self._is_request = is_request
        self._lines: FieldCache[bytes, Line] = FieldCache()
        self._names: FieldCache[bytes, tuple[str, bool, int]] = FieldCache()

    def read(self, section: bytes, limits: Limits) -> FieldFacts:
        """Return the facts of a section: lines each with its line end, no empty line."""
        if not section:
            return NO_FIELDS
        lines = section.split(b"\r\n")
        if lines.pop():
            raise _explain_line(lines, b"\n")
        if len(lines) > limits.max_fields:
            raise RemoteProtocolError(f"more than {limits.max_fields} fields", status_hint=431)
        known = self._lines.entries.get
        headers: list[tuple[str, str]] = []
        append = headers.append
        seen = connection = 0
        host: str | None = None
        length: int | None = None
        decisive: list[Line] = []
        for line in lines:
            field, bit, fact = known(line) or self._read_line(line, lines)
            append(field)
            if bit:
                if seen & bit and self._strict and not bit & _LISTS:
                    raise RemoteProtocolError(f"more than one {field[0]} field")
                if bit <= _LAST_FACT:
                    if bit == HOST:
                        host = host or field[1]
                    elif bit == CONNECTION:
                        connection |= fact
                    elif bit == LENGTH and type(fact) is int and not seen & LENGTH:
                        length = fact
                    else:
                        decisive.append((field, bit, fact))
                seen |= bit
        if decisive:
            return self._collect(tuple(headers), host, length, connection, decisive)
        close = bool(connection & _CLOSE)
        keep_alive = bool(connection & _KEEP_ALIVE)
        plain = host is not None and length is None and not close
        facts = (tuple(headers), host, length, None, close, keep_alive, (), None, None, plain)
        return _new(FieldFacts, facts)

    def _read_line(self, line: bytes, lines: list[bytes]) -> Line:
        """Take one of ``lines`` apart (RFC 9112 section 5)."""
        raw_name, colon, raw_value = line.partition(b":")
        known = self._names.entries.get(raw_name)
        if known is None:
            name = decode(raw_name)
            if not is_token(name):
                raise _explain_line(lines, line)
            known = (name, names_credentials(name), _BITS.get(name.lower(), 0))
            self._names.add(raw_name, known, len(raw_name))
        name, is_secret, bit = known
        if bit == ENCODING and not self._is_request:
            bit = 0
        if not colon or len(raw_value.translate(None, _CONTROLS)) != len(raw_value):
            raise _explain_line(lines, line)
        value = raw_value.strip(b" \t").decode("utf-8", "surrogateescape")
        fact = self._read_fact(bit, value) if 0 < bit <= _LAST_FACT else None
        entry = ((name, value), bit, fact)
        if not is_secret:
            self._lines.add(line, entry, len(line))
        return entry

    def _read_fact(self, bit: int, value: str) -> Any:
        if bit == HOST:
            if self._is_request:
                check_host(value)
            return None
        if bit in (EXPECT, ENCODING):
            return value
        if bit == LENGTH:
            if self._strict or grammar.match_strict_content_length(value):
                return _parse_content_length(value, strict=True)
            return value  # A response may say it several times.
        members = tuple(tokens(value))
        if bit == CONNECTION:
            return sum({_CONNECTION_FLAGS.get(member, 0) for member in members})
        return members

    def _collect(
        self,
        headers: tuple[tuple[str, str], ...],
        host: str | None,
        length: int | None,
        connection: int,
        lines: list[Line],
    ) -> FieldFacts:
        """Put together what the fields say that are not as usual."""
        lengths: list[str] = []
        codings: tuple[str, ...] | None = None
        upgrades: tuple[str, ...] = ()
        expect: str | None = None
        encodings: list[str] = []
        for _, bit, fact in lines:
            if bit == LENGTH:
                lengths.append(str(fact))
            elif bit == UPGRADE:
                upgrades += fact
            elif bit == CODINGS:
                codings = fact if codings is None else codings + fact
            elif bit == ENCODING:
                encodings.append(fact)
            else:
                expect = fact  # Once: a request that repeats it was refused.
        if lengths:
            if length is not None:
                lengths.append(str(length))
            length = _parse_content_lengths(lengths)
        return FieldFacts(
            headers,
            host,
            length,
            codings,
            bool(connection & _CLOSE),
            bool(connection & _KEEP_ALIVE),
            upgrades if connection & _UPGRADE else (),
            expect,
            ", ".join(encodings) if encodings else None,
            False,
        )


class LenientFieldReader(FieldReader):
    """Reads the sections of responses."""

    __slots__ = ()

    def read(self, section: bytes, limits: Limits) -> FieldFacts:
        try:
            return super().read(section, limits)
        except RemoteProtocolError:
            normal = _normalise(section)
            if normal == section:
                raise
        return super().read(normal, limits)


REQUESTS: Final = FieldReader(strict=True, is_request=True)
RESPONSES: Final = LenientFieldReader(strict=False)
TRAILERS: Final = FieldReader(strict=True)


def read_trailers(section: bytes, limits: Limits) -> Headers:
    """Return the trailer fields, without those that must not be there.

    RFC 9110 section 6.5.1: a recipient ignores fields that are not defined as trailers,
    or whose meaning would change how the message was read already.
    """
    headers = TRAILERS.read(section, limits).headers
    return tuple([field for field in headers if field[0].lower() not in FORBIDDEN_TRAILERS])


def check_host(host: str) -> None:
    """Raise if ``host`` is no valid Host of an "http" URI (RFC 9112 section 3.2)."""
    if not is_authority(host):
        raise RemoteProtocolError("invalid host")


def _normalise(section: bytes) -> bytes:
    """Return a response's section with CRLF line ends and without folds.

    RFC 9112 section 2.2: LF alone may end a line.  Section 5.2: obs-fold becomes SP.
    """
    section = section.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    if section[:1] in (b" ", b"\t"):
        raise RemoteProtocolError("white space before the first field")
    return grammar.replace_obs_fold(b" ", section)


def _parse_content_length(value: str, *, strict: bool) -> int:
    """Return a Content-Length (RFC 9110 section 8.6); ``strict``: without leading zeros."""
    match = grammar.match_strict_content_length if strict else is_content_length
    if match(value) is None:
        raise RemoteProtocolError("invalid Content-Length")
    return int(value)


def _parse_content_lengths(values: list[str]) -> int:
    """Return a response's Content-Length, which may be said several times.

    RFC 9112 section 6.3, item 5: all must say the same.
    """
    members = {member.strip(" \t") for value in values for member in value.split(",")}
    value = members.pop()
    if members:
        raise RemoteProtocolError("invalid Content-Length")
    return _parse_content_length(value, strict=False)


def _explain_line(lines: list[bytes], line: bytes) -> RemoteProtocolError:
    """Say what is wrong with a field line, without repeating it."""
    number = lines.index(line) + 1 if line in lines else len(lines) + 1
    name, colon, _ = line.partition(b":")
    if line[:1] in (b" ", b"\t"):
        problem = "is folded or begins with white space"
    elif b"\n" in line or b"\r" in line:
        problem = "has a bare CR or LF"
    elif not colon:
        problem = "has no colon"
    elif name.rstrip(b" \t") != name:
        problem = "has white space before the colon"
    elif not is_token(decode(name)):
        problem = "has an invalid name"
    else:
        problem = "has a control character in its value"
    return RemoteProtocolError(f"field line {number} {problem}")
