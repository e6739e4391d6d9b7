"""Which field sections make a valid message (RFC 9113 section 8); here: when received.

Strategy
--------
``read_*`` turn the fields of a header block into a head, or raise RemoteProtocolError of
stream scope: the message is *malformed* (section 8.1.1), its stream is reset and the
application never sees it.  They are pure functions of their arguments, so the connection
keeps results for blocks that repeat.  ``outgoing`` holds what we send to the same rules.

The scan is bulk where it can be: all values of a section are joined and looked at with two
or three string methods; only when one of these says "maybe" is each value looked at by
itself.  Names are looked up in a table that knows the ordinary ones and those with a rule.

Rules
-----
* 8.2.1: names are tokens in lower case; values have no control character, and neither begin
  nor end with white space.
* 8.2.2: no connection-specific fields; ``te`` only as ``trailers``.
* 8.2.3: ``cookie`` crumbs are joined.
* 8.3: pseudo-header fields come first, once each, and only those defined for the message.
* 8.3.1: ``:method``, ``:scheme`` and ``:path`` are mandatory, ``:path`` is in origin form or
  ``*`` for OPTIONS; ``:authority`` or ``host`` is there, and they agree.  The scheme is
  ``http`` or ``https``, whatever the transport is (a proxy may have ended TLS); whether it
  fits is for the application to say.
* 8.3.2: ``:status`` is mandatory and has three digits.
* 8.5: CONNECT has ``:authority`` with a port and neither ``:scheme`` nor ``:path``.
  RFC 8441 section 4: with ``:protocol`` it has all of them.
* 8.6: no 101.
* 8.1: trailers have no pseudo-header fields.  Fields that RFC 9110 section 6.5.1 forbids
  there are dropped.
* RFC 9110 section 8.6: Content-Length is one decimal number.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NoReturn, TypeAlias

from plait_engine.config import Config
from plait_engine.errors import RemoteProtocolError, Scope
from plait_engine.headers import Headers, find_bad_value_char, is_token

from .scheduler import parse_priority
from .streams import NO_LENGTH

Fields: TypeAlias = Sequence[tuple[str, str]]
"""A header section as HPACK has it: pseudo-header fields and names in lower case."""

# RFC 9113 section 8.2.1, which leaves the upper case of a token out.
_is_name = re.compile(r"[!#$%&'*+\-.^_`|~0-9a-z]+").fullmatch
# RFC 9113 section 8.3.1, RFC 3986 section 3.3: no white space, fragment or raw octets.
is_path = re.compile(r"/[\x21\x22\x24-\x7e]*").fullmatch
# RFC 3986 sections 3.2.2 and 3.2.3; user information is forbidden (RFC 9113 section 8.3.1).
_AUTHORITY = (
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|\[v[0-9A-Fa-f]+\.[A-Za-z0-9._~!$&'()*+,;=:-]+\]"
    r"|(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+)"
    r"(?::(?P<port>[0-9]{0,5}))?"
)
_match_authority = re.compile(_AUTHORITY).fullmatch
is_content_length = re.compile(r"[0-9]{1,18}", re.ASCII).fullmatch
_is_status = re.compile(r"[1-9][0-9]{2}", re.ASCII).fullmatch

_REQUEST_PSEUDO: Final = frozenset({":method", ":scheme", ":authority", ":path", ":protocol"})
_RESPONSE_PSEUDO: Final = frozenset({":status"})
_NO_PSEUDO: Final[frozenset[str]] = frozenset()
MAX_PORT: Final = 65535
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}

# What a name means for validity.
_ORDINARY, FORBIDDEN, TE, LENGTH, HOST, _COOKIE, _EXPECT, _PRIORITY = range(8)
UNKNOWN = -1

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
    "content-encoding",
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
    **dict.fromkeys(_ORDINARY_NAMES, _ORDINARY),
    # RFC 9113 section 8.2.2
    "connection": FORBIDDEN,
    "keep-alive": FORBIDDEN,
    "proxy-connection": FORBIDDEN,
    "transfer-encoding": FORBIDDEN,
    "upgrade": FORBIDDEN,
    "te": TE,
    "content-length": LENGTH,
    "host": HOST,
    "cookie": _COOKIE,
    "expect": _EXPECT,
    "priority": _PRIORITY,
}

# RFC 9110 section 6.5.1: framing, routing, authentication, request modifiers, and what says
# how to process the content.
FORBIDDEN_TRAILERS: Final = frozenset(
    {
        "authorization",
        "cache-control",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "cookie",
        "expect",
        "host",
        "max-forwards",
        "proxy-authorization",
        "range",
        "set-cookie",
        "te",
        "trailer",
    }
)


def is_authority(text: str, *, needs_port: bool = False) -> bool:
    """Tell whether ``text`` is a host and an optional port, without user information."""
    match = _match_authority(text)
    if match is None:
        return False
    port = match["port"]
    return int(port) <= MAX_PORT if port else not needs_port


class RequestHead:
    """A valid request head.  ``fields`` is what it was made from."""

    __slots__ = (
        "authority",
        "content_length",
        "expects_continue",
        "fields",
        "headers",
        "is_tunnel",
        "method",
        "priority",
        "protocol",
        "scheme",
        "target",
    )

    def __init__(self, fields: Fields, method: str, scheme: str, target: str) -> None:
        self.fields = fields
        self.method = method
        self.scheme = scheme
        self.target = target
        self.authority = ""
        self.headers: Headers = ()
        self.protocol: str | None = None
        self.is_tunnel = False
        self.expects_continue = False
        self.content_length = NO_LENGTH
        self.priority: tuple[int, bool] | None = None


class ResponseHead:
    """A valid response head.  ``fields`` is what it was made from."""

    __slots__ = ("content_length", "fields", "headers", "status")

    def __init__(self, fields: Fields, status: int, headers: Headers, content_length: int) -> None:
        self.fields = fields
        self.status = status
        self.headers = headers
        self.content_length = content_length


def _malformed(message: str, status_hint: int = 400) -> NoReturn:
    """RFC 9113 section 8.1.1: a stream error."""
    raise RemoteProtocolError(message, status_hint=status_hint, scope=Scope.STREAM)


# -- received -----------------------------------------------------------------


def read_request(fields: Fields, config: Config) -> RequestHead:
    """Return the head of a request.  Raises RemoteProtocolError when it is malformed."""
    pseudo, headers = _split(fields, _REQUEST_PSEUDO)
    method = pseudo.get(":method", "")
    if not is_token(method):
        _malformed(f"the method is {method!r}" if method else "a request has no :method")
    scheme = pseudo.get(":scheme", "")
    target = pseudo.get(":path", "")
    head = RequestHead(fields, method, scheme, target)
    special = _check_fields(headers)
    head.headers = headers
    if special:
        _read_special(head, special)
    authority = pseudo.get(":authority")
    if method == "CONNECT":
        _read_connect(head, pseudo, config)
    elif ":protocol" in pseudo:
        _malformed("a request other than CONNECT has :protocol")  # RFC 8441 section 4
    else:
        _check_scheme_and_path(head)
    if authority is not None:
        if head.authority and not _same_authority(authority, head.authority, head.scheme):
            _malformed(f"host {head.authority!r} is not :authority {authority!r}")
        head.authority = authority
    if not is_authority(head.authority):
        _malformed(f"the authority is {head.authority!r}")
    return head


def _check_scheme_and_path(head: RequestHead) -> None:
    """RFC 9113 section 8.3.1."""
    if head.scheme not in _DEFAULT_PORTS:
        head.scheme = head.scheme.lower()
        if head.scheme not in _DEFAULT_PORTS:
            _malformed(f"the scheme is {head.scheme!r}")
    if not is_path(head.target) and (head.target != "*" or head.method != "OPTIONS"):
        _malformed(f"the path is {head.target!r}" if head.target else "a request has no :path")


def _read_connect(head: RequestHead, pseudo: dict[str, str], config: Config) -> None:
    """RFC 9113 section 8.5 and RFC 8441 section 4."""
    head.is_tunnel = True
    head.content_length = NO_LENGTH
    if ":authority" not in pseudo:
        _malformed("CONNECT has no :authority")
    protocol = pseudo.get(":protocol")
    if protocol is None:
        if ":scheme" in pseudo or ":path" in pseudo:
            _malformed("CONNECT has :scheme or :path")
        head.target = pseudo[":authority"]
        if not is_authority(head.target, needs_port=True):
            _malformed(f"CONNECT to {head.target!r}, which has no port")
        head.scheme = config.scheme
        return
    if not config.enable_connect_protocol:
        _malformed("extended CONNECT was not offered")
    if not is_token(protocol):
        _malformed(f"the protocol is {protocol!r}")
    _check_scheme_and_path(head)
    head.protocol = protocol.lower()


def _read_special(head: RequestHead, special: Fields) -> None:
    """Look at the fields of a request that have a rule of their own."""
    cookies: list[str] = []
    hosts: list[str] = []
    for name, value in special:
        meaning = NAMES[name]
        if meaning == LENGTH:
            head.content_length = int(value)
        elif meaning == _COOKIE:
            cookies.append(value)
        elif meaning == HOST:
            hosts.append(value)
        elif meaning == _EXPECT:
            head.expects_continue = value.lower() == "100-continue"
        elif meaning == _PRIORITY:
            head.priority = parse_priority(value)
    if hosts:
        if len(hosts) > 1 or not hosts[0]:
            _malformed("host is empty or comes twice")
        head.authority = hosts[0]
    if len(cookies) > 1:
        head.headers = _join_cookies(head.headers, cookies)


def _join_cookies(headers: Headers, cookies: list[str]) -> Headers:
    """Put the crumbs together where the first one was (RFC 9113 section 8.2.3)."""
    joined: list[tuple[str, str]] = []
    for field in headers:
        if field[0] != "cookie":
            joined.append(field)
        elif cookies:
            joined.append(("cookie", "; ".join(cookies)))
            cookies = []
    return joined


def _same_authority(one: str, other: str, scheme: str) -> bool:
    """Compare without case and default port (RFC 9110 section 4.2.3)."""
    if one == other:
        return True
    port = _DEFAULT_PORTS.get(scheme, "")
    return one.lower().removesuffix(port) == other.lower().removesuffix(port)


def read_response(fields: Fields) -> ResponseHead:
    """Return the head of a response.  Raises RemoteProtocolError when it is malformed."""
    pseudo, headers = _split(fields, _RESPONSE_PSEUDO)
    status = pseudo.get(":status", "")
    if not _is_status(status):
        _malformed(f"the status is {status!r}" if status else "a response has no :status")
    if status == "101":
        _malformed("the status is 101, which HTTP/2 does not have")  # section 8.6
    content_length = NO_LENGTH
    for name, value in _check_fields(headers):
        if name == "content-length":
            content_length = int(value)
    return ResponseHead(fields, int(status), headers, content_length)


def read_trailers(fields: Fields) -> Headers:
    """Return the trailers.  Raises RemoteProtocolError when they are malformed."""
    _, headers = _split(fields, _NO_PSEUDO)
    _check_fields(headers)
    return [field for field in headers if field[0] not in FORBIDDEN_TRAILERS]


def _split(fields: Fields, allowed: frozenset[str]) -> tuple[dict[str, str], Fields]:
    """Separate the pseudo-header fields, which come first, from the others (section 8.3)."""
    pseudo: dict[str, str] = {}
    for name, value in fields:
        if name[:1] != ":":
            break
        if name not in allowed:
            _malformed(f"the pseudo-header field {name!r} is not defined here")
        if name in pseudo:
            _malformed(f"{name} comes twice")
        pseudo[name] = value
    return pseudo, fields[len(pseudo) :]


def _check_fields(headers: Fields) -> list[tuple[str, str]]:
    """Check names and values (sections 8.2.1, 8.2.2); return the fields with a rule."""
    special: list[tuple[str, str]] = []
    has_length = False
    for field in headers:
        name = field[0]
        meaning = NAMES.get(name, UNKNOWN)
        if not meaning:
            continue
        if meaning == UNKNOWN:
            if not _is_name(name):
                _malformed(f"a field is named {name!r}")
        elif meaning == FORBIDDEN:
            _malformed(f"the connection-specific field {name} has no place in HTTP/2")
        elif meaning == TE:
            if field[1].lower() != "trailers":
                _malformed(f"te is {field[1]!r}")
        elif meaning == LENGTH:
            if has_length or not is_content_length(field[1]):
                _malformed("content-length is not one decimal number")  # RFC 9110 8.6
            has_length = True
            special.append(field)
        else:
            special.append(field)
    values = [field[1] for field in headers]
    joined = "|".join(values)
    # HTAB is not printable either, so what passes here has no white space but SP.
    if not joined.isprintable() or " |" in joined or "| " in joined or joined != joined.strip(" "):
        _check_values(headers)
    return special


def _check_values(headers: Fields) -> None:
    """RFC 9113 section 8.2.1, value by value."""
    for name, value in headers:
        if find_bad_value_char(value):
            _malformed(f"{name} has a control character")
        if value != value.strip(" \t"):
            _malformed(f"{name} begins or ends with white space")
