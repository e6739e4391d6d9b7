"""The static table of HPACK (RFC 7541 appendix A), and what is derived from it."""

from __future__ import annotations

from typing import TypeAlias

Field: TypeAlias = tuple[str, str]
Entry: TypeAlias = tuple[Field, int]
"""A field and its size: the bytes of both parts and ``ENTRY_OVERHEAD``."""

ENTRY_OVERHEAD = 32
"""What RFC 7541 section 4.1 adds to the bytes of each entry."""

_APPENDIX_A = """
:authority
:method: GET
:method: POST
:path: /
:path: /index.html
:scheme: http
:scheme: https
:status: 200
:status: 204
:status: 206
:status: 304
:status: 400
:status: 404
:status: 500
accept-charset
accept-encoding: gzip, deflate
accept-language
accept-ranges
accept
access-control-allow-origin
age
allow
authorization
cache-control
content-disposition
content-encoding
content-language
content-length
content-location
content-range
content-type
cookie
date
etag
expect
expires
from
host
if-match
if-modified-since
if-none-match
if-range
if-unmodified-since
last-modified
link
location
max-forwards
proxy-authenticate
proxy-authorization
range
referer
refresh
retry-after
server
set-cookie
strict-transport-security
transfer-encoding
user-agent
vary
via
www-authenticate
"""


def _parse_appendix() -> list[Entry]:
    entries = [(("", ""), 0)]
    for line in _APPENDIX_A.split("\n")[1:-1]:
        name, _, value = line.partition(": ")
        entries.append(((name, value), len(name) + len(value) + ENTRY_OVERHEAD))
    return entries


STATIC_TABLE: list[Entry] = _parse_appendix()
"""By index, from 1; index 0 is not used (RFC 7541 section 6.1) and holds a blank."""

STATIC_LENGTH = len(STATIC_TABLE) - 1

STATIC_INDEXES: dict[Field, int] = {
    field: index for index, (field, _) in enumerate(STATIC_TABLE) if index
}
"""The index of each field."""

STATIC_NAMES: dict[str, int] = {
    field[0]: index for field, index in reversed(STATIC_INDEXES.items())
}
"""The lowest index of each name."""
