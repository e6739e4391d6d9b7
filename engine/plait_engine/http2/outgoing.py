"""Heads and trailers that we send, held to the same rules as received ones (RFC 9113 section 8).

Strategy
--------
``HeadWriter`` turns the application's fields into those of a header block, or raises
LocalProtocolError.  What a single field becomes depends on that field alone, and most fields
come again though heads differ: it is looked up in a cache of all connections (see
``semantics.cache``), and only a field that is new is checked and normalised.  An application
that sends the same head again and again pays less still, for each connection keeps whole
heads, by content, within ``_KEPT`` and ``_KEPT_SIZE``; but none that has credentials.

What belongs to HTTP/1.1 is not an error, since applications are written for both:

* names are put into lower case (section 8.2.1), white space around values is dropped;
* connection-specific fields are dropped (section 8.2.2), and ``te`` but for ``trailers``;
* a Host field becomes ``:authority`` (section 8.3.1);
* 1xx and 204 lose their Content-Length (RFC 9110 section 8.6), 205 says 0 (section 15.3.6).

Everything else that ``fields`` and ``validity`` would refuse is refused here: a name that is no token,
control characters, a target in another form than the origin's, trailers of RFC 9110
section 6.5.1.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

from plait_engine.errors import FieldTypeError, LocalProtocolError
from plait_engine.events import Request
from plait_engine.headers import FORBIDDEN_TRAILERS, Headers, encode, is_token
from plait_engine.semantics.authority import is_authority
from plait_engine.semantics.cache import CREDENTIALS, FieldCache, keep, names_credentials
from plait_engine.semantics.content import NO_CONTENT, RESET_CONTENT, is_content_length
from plait_engine.semantics.fields import check_field, check_fields
from plait_engine.semantics.message import NO_LENGTH
from plait_engine.semantics.targets import is_origin_form

from .fields import (
    FORBIDDEN,
    HOST,
    LENGTH,
    NAMES,
    ORDINARY,
    TE,
    UNKNOWN,
)

Field: TypeAlias = tuple[str, str]
Fields: TypeAlias = tuple[Field, ...]

_KEPT: Final = 64
_KEPT_SIZE: Final = 2048
"""Bytes of the longest fields that are kept."""
_NEVER_KEPT: Final = _KEPT_SIZE + 1
"""The size of a field whose head is not to be kept."""
_CONNECT_FIELDS: Final = 2
"""Pseudo-header fields of a CONNECT without protocol, which has no ``:path`` (section 8.5)."""
_ORDINARY_FIELDS: Final = 3
"""Pseudo-header fields of a request for no tunnel, but ``:path``."""

_fields: Final[FieldCache[Field, tuple[Field, int, int]]] = FieldCache()
"""Valid fields: as they are sent, what their names mean, and their sizes."""
_known_field = _fields.entries.get
_names: Final[FieldCache[str, tuple[str, int, bool]]] = FieldCache()
"""Valid names: in lower case, what they mean, and whether they name credentials."""

_is_scheme = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*").fullmatch  # RFC 3986 section 3.1


class HeadWriter:
    """Makes header blocks' fields, with a memory of the last ones."""

    __slots__ = ("_pseudo", "_requests", "_responses")

    def __init__(self) -> None:
        self._pseudo: dict[tuple[str, str, str, str | None], Fields] = {}
        self._requests: dict[tuple[object, ...], tuple[Fields, Fields, int]] = {}
        self._responses: dict[tuple[object, ...], tuple[Fields, int]] = {}

    def request(self, request: Request) -> tuple[Fields, int]:
        """Return the fields of a request and its Content-Length, or ``NO_LENGTH``."""
        pseudo, fields, content_length = self.parts(request)
        if len(pseudo) == _CONNECT_FIELDS:
            return pseudo + fields, content_length
        return (*pseudo, (":path", request.target), *fields), content_length

    def parts(self, request: Request) -> tuple[Fields, Fields, int]:
        """Return what stands before ``:path``, what stands behind it, and the Content-Length.

        That is the same for requests that differ in their target alone.
        """
        # All but the target is kept, which is what differs from request to request.
        try:
            key = (
                request.method,
                request.scheme,
                request.authority,
                request.protocol,
                *request.headers,
            )
            kept = self._requests.get(key)
        except TypeError:  # No pairs of text, or lists, which cannot be looked up.
            kept, _ = self._write_request(request)
        else:
            if kept is None:
                kept, size = self._write_request(request)
                if size <= _KEPT_SIZE:
                    keep(self._requests, key, kept, _KEPT)
        target = request.target
        if (
            not is_origin_form(target)
            and (target != "*" or request.method != "OPTIONS")
            and len(kept[0]) != _CONNECT_FIELDS
        ):
            raise LocalProtocolError(f"the target is {target!r}, which is not in origin form")
        return kept

    def response(self, status: int, headers: Headers) -> tuple[Fields, int]:
        """Return the fields of a response and its Content-Length, or ``NO_LENGTH``."""
        try:
            key = (status, *headers)
            response = self._responses.get(key)
        except TypeError:  # As for a request.
            return _write_response(status, headers)[0]
        if response is None:
            response, size = _write_response(status, headers)
            if size <= _KEPT_SIZE:
                keep(self._responses, key, response, _KEPT)
        return response

    def trailers(self, headers: Headers) -> Fields:
        """Return the fields of a trailer section."""
        fields, _, host, _ = _write_section(headers)
        for name, _ in fields:
            if name in FORBIDDEN_TRAILERS:
                raise LocalProtocolError(f"{name} is not allowed in trailers")
        if host is not None:
            raise LocalProtocolError("host is not allowed in trailers")
        return fields

    def _write_request(self, request: Request) -> tuple[tuple[Fields, Fields, int], int]:
        """Return what ``parts`` does, and the size of the fields."""
        fields, content_length, host, size = _write_section(request.headers)
        authority = request.authority if host is None else host
        start = (request.method, request.scheme, authority, request.protocol)
        pseudo = self._pseudo.get(start)
        if pseudo is None:
            pseudo = _write_pseudo(*start)
            if len(authority) <= _KEPT_SIZE:
                keep(self._pseudo, start, pseudo, _KEPT)
        if len(pseudo) != _ORDINARY_FIELDS:
            content_length = NO_LENGTH  # RFC 9110 section 9.3.6: a tunnel has no content.
        return (pseudo, fields, content_length), size


def _write_pseudo(method: str, scheme: str, authority: str, protocol: str | None) -> Fields:
    """Return the pseudo-header fields of a request but ``:path``."""
    if method == "CONNECT" and protocol is None:
        if not is_authority(authority, needs_port=True):
            raise LocalProtocolError(f"CONNECT to {authority!r}, which is no host and port")
        return ((":method", "CONNECT"), (":authority", authority))
    if not is_authority(authority):
        raise LocalProtocolError(f"the authority is {authority!r}")
    if not is_token(method):
        raise LocalProtocolError(f"the method is {method!r}")
    if not _is_scheme(scheme):
        raise LocalProtocolError(f"the scheme is {scheme!r}")
    pseudo = ((":method", method), (":scheme", scheme.lower()), (":authority", authority))
    if protocol is None:
        return pseudo
    if method != "CONNECT" or not is_token(protocol):
        raise LocalProtocolError("only CONNECT takes a protocol, which is a token")
    return (*pseudo, (":protocol", protocol))


def _write_response(status: int, headers: Headers) -> tuple[tuple[Fields, int], int]:
    """Return what ``HeadWriter.response`` does, and the size of the fields."""
    if not 100 <= status <= 999 or status == 101:  # section 8.6
        raise LocalProtocolError(f"HTTP/2 has no status {status}")
    fields, content_length, _, size = _write_section(headers)
    if status < 200 or status in (NO_CONTENT, RESET_CONTENT):
        fields = tuple(field for field in fields if field[0] != "content-length")
        content_length = NO_LENGTH
    if status == RESET_CONTENT:
        fields += (("content-length", "0"),)
    return (((":status", str(status)), *fields), content_length), size


def _write_section(headers: Headers) -> tuple[Fields, int, str | None, int]:
    """Check and normalise fields.

    Return them, the Content-Length, the Host field, and the size of all, which is more than
    ``_KEPT_SIZE`` if they have credentials.
    """
    fields: list[Field] = []
    append = fields.append
    content_length = NO_LENGTH
    host: str | None = None
    size = 0
    try:
        for given in headers:
            field, meaning, field_size = _known_field(given) or _write_field(given)
            size += field_size
            if meaning <= ORDINARY:
                append(field)
                continue
            value = field[1]
            if meaning == FORBIDDEN or (meaning == TE and value.lower() != "trailers"):
                continue
            if meaning == LENGTH:
                if not is_content_length(value) or content_length != NO_LENGTH:
                    raise LocalProtocolError("content-length is not one decimal number")
                content_length = int(value)
            elif meaning == HOST:
                if host is not None:
                    raise LocalProtocolError("host comes twice")
                host = value
                continue
            append(field)
    except TypeError as error:
        if isinstance(error, FieldTypeError):
            raise
        # No pairs, or what cannot be looked up.  It says which field, or that all is well.
        check_fields(headers)
        return _write_section([(str(name), str(value)) for name, value in headers])
    return tuple(fields), content_length, host, size


def _write_field(field: Field) -> tuple[Field, int, int]:
    """Return a field as it is sent, what its name means, and its size.

    Raises LocalProtocolError when it cannot be sent.
    """
    try:
        name, value = field
    except ValueError:
        raise TypeError from None
    known = _names.entries.get(name)
    # Printable ASCII in a name that is known needs no other look.
    if known is None or type(value) is not str or not (value.isascii() and value.isprintable()):
        check_field(name, value)
        lower = name.lower()
        known = (lower, NAMES.get(lower, UNKNOWN), names_credentials(name))
        _names.add(name, known, len(name))
    lower, meaning, is_secret = known
    size = len(name) + (len(value) if value.isascii() else len(encode(value)))
    written = ((lower, value.strip(" \t")), meaning, size)
    if not is_secret:
        _fields.add(field, written, size)
    elif lower in CREDENTIALS:
        return written[0], meaning, _NEVER_KEPT
    return written
