"""Message heads: from bytes to facts, and where a head ends.

Strategy
--------
A head is found, decoded and checked in bulk.  ``SectionScanner`` finds the empty line that
ends it, looking at no byte twice; one regular expression then says whether the field
lines are all well-formed, and only if it says no does somebody look for the line that is
wrong.  What decides about framing and persistence is collected in one pass over the
fields into a ``FieldFacts``, which depends on nothing but the bytes of the field section,
so that a connection can keep it and use it again when the peer repeats itself.

Rules
-----
* Requests are read strictly: a bare LF, a bare CR, folded lines, white space before a
  colon, a second line of a field that has one value are refused (400).
* Responses may end lines with LF alone (RFC 9112 section 2.2) and may fold (section 5.2);
  both are normalised, then the strict check follows.  Nothing else is forgiven.

The functions raise RemoteProtocolError, which the connection catches.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from plait_engine.authority import is_authority
from plait_engine.config import Limits
from plait_engine.errors import RemoteProtocolError
from plait_engine.headers import (
    FORBIDDEN_TRAILERS,
    Headers,
    decode,
    encode,
    find_bad_value_char,
    is_token,
    quote,
    tokens,
)

from . import grammar

SINGLETON_FIELDS: Final = frozenset(
    {
        "host",
        "content-length",
        "content-type",
        "content-location",
        "content-range",
        "etag",
        "expect",
        "if-modified-since",
        "if-unmodified-since",
        "last-modified",
        "max-forwards",
        "authorization",
        "proxy-authorization",
        "referer",
        "from",
        "user-agent",
        "transfer-encoding",
    }
)
"""Fields that a request has once: they are no lists (RFC 9110 section 5.3), and two lines
that disagree are how one recipient is made to read what another did not.  Of
Transfer-Encoding, which is a list, a client has no use for two."""


class RequestLine(NamedTuple):
    """The facts of a request line.  ``scheme`` and ``authority`` are set for the absolute
    form, ``authority`` also for ``CONNECT``."""

    method: str
    scheme: str | None
    authority: str | None
    target: str
    version: str
    plain: bool
    """HTTP/1.1, origin form, and a method whose answers are framed as usual."""


class StatusLine(NamedTuple):
    """The facts of a status line."""

    status: int
    reason: str
    version: str


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
    plain: bool
    """Only Host, and nothing that decides about framing or persistence."""


NO_FIELDS: Final = FieldFacts((), None, None, None, False, False, (), None, False)
"""An empty field section."""


class SectionScanner:
    """Find the end of a section of lines (a head, or trailers) in a growing buffer.

    ``find_end`` is called with the same buffer each time something was added to it.  It
    looks only at what is new, so the cost is linear however the bytes arrive.  It refuses
    at once what no later byte can mend: a line too long, too many lines, and in a request
    a line end that is not CRLF.
    """

    __slots__ = (
        "_is_head",
        "_line_start",
        "_lines",
        "_max_lines",
        "_name",
        "_scanned",
        "_section_start",
        "_sizes",
        "_strict",
    )

    def __init__(self, limits: Limits, *, strict: bool, trailers: bool = False) -> None:
        self._strict = strict
        self._max_lines = limits.max_fields + (0 if trailers else 1)
        # The limits of the first line, of a field line, and of the field section.
        self._sizes = (limits.max_line_size, limits.max_field_size, limits.max_header_list_size)
        self._is_head = not trailers
        self._name = "trailer section" if trailers else "head"
        self.reset()

    def reset(self) -> None:
        """Begin a new section at the start of the buffer."""
        self._scanned = 0
        self._line_start = 0
        self._lines = 0
        self._section_start = 0

    @property
    def untouched(self) -> bool:
        """True when nothing of the section was looked at."""
        return self._scanned == 0

    @property
    def first_line_end(self) -> int:
        """The index behind the first line of a head, or 0."""
        return self._section_start

    def find_end(self, buffer: bytearray) -> int:
        """Return the index behind the empty line that ends the section, or 0."""
        while True:
            newline = buffer.find(b"\n", self._scanned)
            end = len(buffer) if newline < 0 else newline
            # RFC 9112 section 2.2: a CR is followed by LF, or the line is invalid.
            if buffer.find(b"\r", self._scanned, max(end - 1, 0)) >= 0:
                raise RemoteProtocolError(f"bare CR in line {self._lines + 1} of the {self._name}")
            has_cr = end > self._line_start and buffer[end - 1] == 0x0D
            line = end - self._line_start - has_cr
            if newline < 0:
                self._check_size(buffer, line, self._line_start + line)
                # A CR at the end may be half of a CRLF: look at it again.
                self._scanned = end - has_cr
                return 0
            self._scanned = self._line_start = newline + 1
            if self._strict and not has_cr:
                raise RemoteProtocolError(f"line {self._lines + 1} of the {self._name} ends in LF")
            if line == 0:
                return newline + 1
            self._check_size(buffer, line, newline + 1)
            if self._lines == 0 and self._is_head:
                self._section_start = newline + 1
            self._lines += 1
            if self._lines > self._max_lines:
                raise RemoteProtocolError(
                    f"more than {self._max_lines} lines in the {self._name}", status_hint=431
                )

    def _check_size(self, buffer: bytearray, line: int, section: int) -> None:
        first, field, total = self._sizes
        if self._lines == 0 and self._is_head:
            if line > first:
                # RFC 9112 section 3: 414 is for a long target; a method is never that long.
                raise RemoteProtocolError(
                    f"the first line is longer than {first} bytes",
                    status_hint=414 if b" " in buffer[:first] else 400,
                )
            return
        if line > field:
            raise RemoteProtocolError(
                f"line {self._lines + 1} of the {self._name} is longer than {field} bytes",
                status_hint=431,
            )
        if section - self._section_start > total:
            raise RemoteProtocolError(
                f"the {self._name} is longer than {total} bytes", status_hint=431
            )


def parse_request_line(line: str) -> RequestLine:
    """Return the facts of a request line without its CRLF (RFC 9112 section 3)."""
    match = grammar.match_request_line(line)
    if match is None:
        raise explain_request_line(line)
    method, target, minor = match.groups()
    # RFC 9110 section 2.5: a higher minor version is read as the highest that we know.
    version = "1.0" if minor == "0" else "1.1"
    if target[0] == "/":
        if method != "CONNECT":
            plain = version == "1.1" and method != "HEAD"
            return RequestLine(method, None, None, target, version, plain)
    elif target == "*":
        # RFC 9112 section 3.2.4: the asterisk form is only for OPTIONS.
        if method == "OPTIONS":
            return RequestLine(method, None, None, target, version, False)
    elif method == "CONNECT":
        # RFC 9112 section 3.2.3: authority-form = uri-host ":" port
        if is_authority(target, needs_port=True):
            return RequestLine(method, None, target, target, version, False)
    elif (absolute := grammar.match_absolute_form(target)) is not None:
        scheme, authority, path, query = absolute.groups()
        check_host(authority)
        if path is None and query is None and method == "OPTIONS":
            path = "*"  # RFC 9112 section 3.2.4
        return RequestLine(
            method, scheme.lower(), authority, (path or "/") + (query or ""), version, False
        )
    raise RemoteProtocolError("the request target has none of the four forms")


def explain_request_line(line: str) -> RemoteProtocolError:
    """Say what is wrong with a request line, without repeating it."""
    method, _, rest = line.partition(" ")
    version = rest.rpartition(" ")[2]
    known = grammar.match_version(version)
    # A bare CR or LF comes before the version, so it is what is answered, at any cuts.
    has_line_end = "\r" in line or "\n" in line
    if is_token(method) and known is not None and known[1] != "1" and not has_line_end:
        return RemoteProtocolError("the HTTP version is not supported", status_hint=505)
    if line.startswith("\x16\x03"):
        return RemoteProtocolError("the client speaks TLS to a cleartext port")
    return RemoteProtocolError("malformed request line")


def parse_status_line(line: str) -> StatusLine:
    """Return the facts of a status line without its line end (RFC 9112 section 4)."""
    match = grammar.match_status_line(line)
    if match is None:
        raise explain_status_line(encode(line))
    minor, status, reason = match.groups()
    return StatusLine(int(status), reason or "", "1.0" if minor == "0" else "1.1")


def check_status_line_start(buffer: bytearray) -> None:
    """Raise RemoteProtocolError if ``buffer`` cannot become a response, whatever follows."""
    if not grammar.match_status_line_start(buffer[: grammar.STATUS_LINE_START]):
        raise explain_status_line(buffer)


def explain_status_line(data: bytes | bytearray) -> RemoteProtocolError:
    """Say that ``data`` does not begin with a status line."""
    return RemoteProtocolError(f"not a status line of HTTP/1.1: {quote(data)}")


def parse_field_section(block: bytes, limits: Limits, *, strict: bool) -> FieldFacts:
    """Return the facts of a field section: lines each with its line end, no empty line."""
    text = decode(block)
    if not strict and "\n" in text:
        # RFC 9112 section 2.2: LF alone may end a line.  Section 5.2: obs-fold becomes SP.
        if "\n" in text.replace("\r\n", ""):
            text = text.replace("\r\n", "\n").replace("\n", "\r\n")
        if "\n " in text or "\n\t" in text:
            if text[0] in " \t":
                raise RemoteProtocolError("white space before the first field")
            text = grammar.replace_obs_fold(" ", text)
    if grammar.match_field_section(text) is None:
        raise _explain_field_section(text)
    if not text:
        return NO_FIELDS
    lines = text.split("\r\n")
    lines.pop()
    if len(lines) > limits.max_fields:
        raise RemoteProtocolError(f"more than {limits.max_fields} fields", status_hint=431)
    headers = []
    for line in lines:
        name, _, value = line.partition(":")
        headers.append((name, value.strip(" \t")))
    return _collect_facts(tuple(headers), strict=strict)


def parse_trailers(block: bytes, limits: Limits) -> Headers:
    """Return the trailer fields, without those that must not be there.

    RFC 9110 section 6.5.1: a recipient ignores fields that are not defined as trailers,
    or whose meaning would change how the message was read already.
    """
    headers = parse_field_section(block, limits, strict=True).headers
    return tuple([pair for pair in headers if pair[0].lower() not in FORBIDDEN_TRAILERS])


def _explain_field_section(text: str) -> RemoteProtocolError:
    """Find the first malformed field line and say what is wrong with it."""
    for number, line in enumerate(text.split("\r\n"), 1):
        name, colon, value = line.partition(":")
        if line[:1] in (" ", "\t"):
            problem = "is folded or begins with white space"
        elif "\n" in line or "\r" in line:
            problem = "has a bare CR or LF"
        elif not colon:
            problem = "has no colon"
        elif name.rstrip(" \t") != name:
            problem = "has white space before the colon"
        elif not is_token(name):
            problem = "has an invalid name"
        elif find_bad_value_char(value):
            problem = "has a control character in its value"
        else:
            continue
        return RemoteProtocolError(f"field line {number} {problem}")
    return RemoteProtocolError("malformed field section")


def _collect_facts(headers: Headers, *, strict: bool) -> FieldFacts:
    """Read what decides about framing and persistence, in one pass over the fields."""
    seen: dict[str, str] = {}
    upgrades: list[str] = []
    connection: list[str] = []
    for name, value in headers:
        key = name.lower()
        if key == "connection":
            connection.extend(tokens(value))
        elif key == "upgrade":
            upgrades.extend(tokens(value))
        elif key in SINGLETON_FIELDS:
            if key not in seen:
                seen[key] = value
            elif strict:
                raise RemoteProtocolError(f"more than one {name} field")
            elif key in ("content-length", "transfer-encoding"):
                seen[key] += "," + value
    host = seen.get("host")
    length = seen.get("content-length")
    codings = seen.get("transfer-encoding")
    close = "close" in connection
    upgrades = upgrades if "upgrade" in connection else []
    expect = seen.get("expect")
    return FieldFacts(
        headers,
        host,
        None if length is None else _parse_content_length(length, strict=strict),
        None if codings is None else tuple(tokens(codings)),
        close,
        "keep-alive" in connection,
        tuple(upgrades),
        expect,
        host is not None
        and length is None
        and codings is None
        and not (close or upgrades or expect),
    )


def _parse_content_length(value: str, *, strict: bool) -> int:
    """Return a Content-Length (RFC 9110 section 8.6).

    A request's has no leading zeros and is no list.  A response may repeat the same value
    (RFC 9112 section 6.3, item 5).
    """
    if strict:
        match = grammar.match_strict_content_length(value)
    else:
        values = {member.strip(" \t") for member in value.split(",")}
        match = grammar.match_content_length(values.pop()) if len(values) == 1 else None
    if match is None:
        raise RemoteProtocolError("invalid Content-Length")
    return int(match[0])


def check_host(host: str) -> None:
    """Raise if ``host`` is no valid Host of an "http" URI (RFC 9112 section 3.2)."""
    if not is_authority(host):
        raise RemoteProtocolError("invalid host")
