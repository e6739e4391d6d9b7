"""Header and trailer sections: names, values, and the fields with a rule (RFC 9113, 8.2).

Strategy
--------
The scan is bulk where it can be: all values of a section are joined and looked at with two
or three string methods; only when one of these says "maybe" is each value looked at by
itself.  Names are looked up in a table that knows the ordinary ones and those with a rule;
only the others are matched against the grammar.

Rules
-----
* 8.2.1: names are tokens in lower case; values have no control character, and neither begin
  nor end with white space.
* 8.2.2: no connection-specific fields; ``te`` only as ``trailers``.
* 8.2.3: ``cookie`` crumbs are joined.
* RFC 9110 section 8.6: Content-Length is one decimal number.
* RFC 9110 section 6.5.1: some fields are forbidden in trailers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NoReturn, TypeAlias

from plait_engine.errors import RemoteProtocolError, Scope
from plait_engine.headers import Headers, find_bad_value_char
from plait_engine.semantics.content import is_content_length
from plait_engine.semantics.fields import CONNECTION_FIELDS, asks_for_continue
from plait_engine.semantics.message import NO_LENGTH

from .scheduler import parse_priority

Fields: TypeAlias = Sequence[tuple[str, str]]
"""A header section as HPACK has it: pseudo-header fields first, names in lower case."""

# RFC 9113 section 8.2.1, which leaves the upper case of a token out.
_is_name = re.compile(r"[!#$%&'*+\-.^_`|~0-9a-z]+").fullmatch

# What a name means for validity.
ORDINARY, FORBIDDEN, TE, LENGTH, HOST, _COOKIE, _EXPECT, _ENCODING, _PRIORITY = range(9)
UNKNOWN: Final = -1

_ORDINARY_NAMES: Final = (
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "age",
    "allow",
    "authorization",
    "cache-control",
    "content-disposition",
    "content-language",
    "content-location",
    "content-range",
    "content-type",
    "date",
    "dnt",
    "etag",
    "expires",
    "from",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "last-modified",
    "link",
    "location",
    "max-forwards",
    "origin",
    "pragma",
    "proxy-authenticate",
    "proxy-authorization",
    "range",
    "referer",
    "refresh",
    "retry-after",
    "sec-ch-ua",
    "sec-ch-ua-mobile",
    "sec-ch-ua-platform",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "sec-fetch-user",
    "server",
    "set-cookie",
    "strict-transport-security",
    "trailer",
    "upgrade-insecure-requests",
    "user-agent",
    "vary",
    "via",
    "www-authenticate",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-request-id",
)

NAMES: Final[dict[str, int]] = {
    **dict.fromkeys(_ORDINARY_NAMES, ORDINARY),
    **dict.fromkeys(CONNECTION_FIELDS, FORBIDDEN),
    "te": TE,
    "content-length": LENGTH,
    "host": HOST,
    "cookie": _COOKIE,
    "expect": _EXPECT,
    "content-encoding": _ENCODING,
    "priority": _PRIORITY,
}


class Section:
    """A valid section without pseudo-header fields.

    ``headers``: its fields, cookies joined.  ``host``: the Host field, if there is one.
    ``expect``, ``content_encoding``: these fields, lines joined.
    ``priority``: the Priority field (RFC 9218), if there is one.
    """

    __slots__ = (
        "content_encoding",
        "content_length",
        "expect",
        "expects_continue",
        "headers",
        "host",
        "priority",
    )

    def __init__(self, headers: Headers) -> None:
        self.headers = headers
        self.content_length = NO_LENGTH
        self.host: str | None = None
        self.expect: str | None = None
        self.content_encoding: str | None = None
        self.expects_continue = False
        self.priority: tuple[int, bool] | None = None


def malformed(message: str) -> NoReturn:
    """RFC 9113 section 8.1.1: a stream error."""
    raise RemoteProtocolError(message, scope=Scope.STREAM)


def read_section(headers: Fields) -> Section:
    """Check a section.  Raises RemoteProtocolError of stream scope when it is malformed."""
    section = Section(headers)
    special: list[tuple[str, str]] = []
    values: list[str] = []
    for field in headers:
        name, value = field
        meaning = NAMES.get(name, UNKNOWN)
        if meaning:
            if meaning <= FORBIDDEN:
                _check_name(name, meaning)
            else:
                special.append(field)
        values.append(value)
    # HTAB is not printable either, so what passes here has no white space but SP.
    joined = "|" + "|".join(values) + "|"
    if not joined.isprintable() or " |" in joined or "| " in joined:
        _check_values(headers)
    if special:
        _read_special(section, special)
    return section


def _check_name(name: str, meaning: int) -> None:
    """Check a name that is not one of those with a place in HTTP/2."""
    if meaning == FORBIDDEN:
        malformed(f"the connection-specific field {name} has no place in HTTP/2")
    if not _is_name(name):
        malformed(f"a field is named {name!r}")


def _check_values(headers: Fields) -> None:
    """RFC 9113 section 8.2.1, value by value."""
    for name, value in headers:
        if find_bad_value_char(value):
            malformed(f"{name} has a control character")
        if value != value.strip(" \t"):
            malformed(f"{name} begins or ends with white space")


def _read_special(section: Section, special: Fields) -> None:
    cookies: list[str] = []
    priorities: list[str] = []
    for name, value in special:
        meaning = NAMES[name]
        if meaning == LENGTH:
            if section.content_length != NO_LENGTH or not is_content_length(value):
                malformed("content-length is not one decimal number")
            section.content_length = int(value)
        elif meaning == _COOKIE:
            cookies.append(value)
        elif meaning == HOST:
            section.host = value
        elif meaning == TE:
            if value.lower() != "trailers":
                malformed(f"te is {value!r}")
        elif meaning == _EXPECT:
            section.expect = _join(section.expect, value)
            section.expects_continue |= asks_for_continue(value)
        elif meaning == _ENCODING:
            section.content_encoding = _join(section.content_encoding, value)
        else:
            priorities.append(value)
    if priorities:
        section.priority = parse_priority(",".join(priorities))
    if len(cookies) > 1:
        section.headers = _join_cookies(section.headers, cookies)


def _join(before: str | None, value: str) -> str:
    """RFC 9110 section 5.3: several lines are one list."""
    return value if before is None else f"{before}, {value}"


def _join_cookies(headers: Headers, cookies: list[str]) -> Headers:
    """Put the crumbs together where the first one was (section 8.2.3)."""
    joined: list[tuple[str, str]] = []
    for field in headers:
        if field[0] != "cookie":
            joined.append(field)
        elif cookies:
            joined.append(("cookie", "; ".join(cookies)))
            cookies = []
    return joined
