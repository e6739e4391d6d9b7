"""Heads and trailers that we send, held to the same rules as received ones (RFC 9113 section 8).

Strategy
--------
``HeadWriter`` turns the application's fields into those of a header block, or raises
LocalProtocolError.  An application sends the same fields again and again, so each
connection keeps the results, by content, within ``_KEPT`` and ``_KEPT_SIZE``; but none that
has credentials.

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

from plait_engine.errors import LocalProtocolError
from plait_engine.events import Request
from plait_engine.headers import FORBIDDEN_TRAILERS, Headers, is_token
from plait_engine.semantics.authority import is_authority
from plait_engine.semantics.cache import CREDENTIALS
from plait_engine.semantics.content import NO_CONTENT, RESET_CONTENT, is_content_length
from plait_engine.semantics.fields import check_fields
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

Fields: TypeAlias = tuple[tuple[str, str], ...]

_KEPT: Final = 64
_KEPT_SIZE: Final = 2048
"""Characters of the longest fields that are kept."""
_CONNECT_FIELDS: Final = 2
"""Pseudo-header fields of a CONNECT without protocol, which has no ``:path`` (section 8.5)."""

_is_scheme = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*").fullmatch  # RFC 3986 section 3.1


class HeadWriter:
    """Makes header blocks' fields, with a memory of the last ones."""

    __slots__ = ("_requests", "_responses")

    def __init__(self) -> None:
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
            kept = _write_request(request)
        else:
            if kept is None:
                kept = _write_request(request)
                if _may_be_kept(request.headers):
                    if len(self._requests) >= _KEPT:
                        self._requests.clear()
                    self._requests[key] = kept
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
            return _write_response(status, headers)
        if response is None:
            response = _write_response(status, headers)
            if _may_be_kept(headers):
                if len(self._responses) >= _KEPT:
                    self._responses.clear()
                self._responses[key] = response
        return response

    def trailers(self, headers: Headers) -> Fields:
        """Return the fields of a trailer section."""
        fields, _, host = _write_section(headers)
        for name, _ in fields:
            if name in FORBIDDEN_TRAILERS:
                raise LocalProtocolError(f"{name} is not allowed in trailers")
        if host is not None:
            raise LocalProtocolError("host is not allowed in trailers")
        return fields


def _may_be_kept(headers: Headers) -> bool:
    size = 0
    for name, value in headers:
        if name.lower() in CREDENTIALS:
            return False
        size += len(name) + len(value)
    return size <= _KEPT_SIZE


def _write_request(request: Request) -> tuple[Fields, Fields, int]:
    """Return the pseudo-header fields but ``:path``, the others, and the Content-Length."""
    fields, content_length, host = _write_section(request.headers)
    authority = request.authority if host is None else host
    if request.method == "CONNECT" and request.protocol is None:
        if not is_authority(authority, needs_port=True):
            raise LocalProtocolError(f"CONNECT to {authority!r}, which is no host and port")
        return ((":method", "CONNECT"), (":authority", authority)), fields, NO_LENGTH
    if not is_authority(authority):
        raise LocalProtocolError(f"the authority is {authority!r}")
    if not is_token(request.method):
        raise LocalProtocolError(f"the method is {request.method!r}")
    if not _is_scheme(request.scheme):
        raise LocalProtocolError(f"the scheme is {request.scheme!r}")
    pseudo = (
        (":method", request.method),
        (":scheme", request.scheme.lower()),
        (":authority", authority),
    )
    protocol = request.protocol
    if protocol is None:
        return pseudo, fields, content_length
    if request.method != "CONNECT" or not is_token(protocol):
        raise LocalProtocolError("only CONNECT takes a protocol, which is a token")
    return (*pseudo, (":protocol", protocol)), fields, NO_LENGTH


def _write_response(status: int, headers: Headers) -> tuple[Fields, int]:
    if not 100 <= status <= 999 or status == 101:  # section 8.6
        raise LocalProtocolError(f"HTTP/2 has no status {status}")
    fields, content_length, _ = _write_section(headers)
    if status < 200 or status in (NO_CONTENT, RESET_CONTENT):
        fields = tuple(field for field in fields if field[0] != "content-length")
        content_length = NO_LENGTH
    if status == RESET_CONTENT:
        fields += (("content-length", "0"),)
    return ((":status", str(status)), *fields), content_length


def _write_section(headers: Headers) -> tuple[Fields, int, str | None]:
    """Check and normalise fields; return them, the Content-Length and the Host field."""
    fields: list[tuple[str, str]] = []
    content_length = NO_LENGTH
    host: str | None = None
    check_fields(headers)
    for name, value in headers:
        name = name.lower()
        value = value.strip(" \t")
        meaning = NAMES.get(name, UNKNOWN)
        if meaning <= ORDINARY:
            fields.append((name, value))
            continue
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
        fields.append((name, value))
    return tuple(fields), content_length, host
