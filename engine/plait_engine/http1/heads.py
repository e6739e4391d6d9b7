"""Message heads: where a head ends, and what its first line says.

Strategy
--------
``SectionScanner`` finds the empty line that ends a head, looking at no byte twice.  The
first line is taken apart here, the field section in ``fields``.  Both depend on nothing but
their bytes, so ``RequestHeads`` and ``ResponseHeads`` keep what the last ones said.

The functions raise RemoteProtocolError, which the connection catches.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from plait_engine.config import Limits
from plait_engine.errors import RemoteProtocolError
from plait_engine.headers import decode, is_token, quote
from plait_engine.semantics.authority import is_authority
from plait_engine.semantics.cache import FieldCache

from . import grammar
from .fields import NO_FIELDS, REQUESTS, RESPONSES, FieldFacts, check_host


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


# The constructor of a named tuple is a function in Python; this one is not.
_new = tuple.__new__

_METHODS: Final = {
    method.encode(): method
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")
}
# Those of a path and a query in ``grammar.match_request_line``.
_TARGET_BYTES: Final = bytes({*range(0x21, 0x7F)} - {*b"#\\"})

_status_lines: Final[FieldCache[bytes, StatusLine]] = FieldCache()


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


def parse_request_line(data: bytes) -> RequestLine:
    """Return the facts of a request line without its CRLF (RFC 9112 section 3)."""
    parts = data.split(b" ")
    if len(parts) == 3:
        # The short path: a method that is known, the origin form, HTTP/1.1.
        raw_method, raw_target, version = parts
        method = _METHODS.get(raw_method)
        if (
            method is not None
            and version == b"HTTP/1.1"
            and raw_target.startswith(b"/")
            and not raw_target.translate(None, _TARGET_BYTES)
        ):
            facts = (method, None, None, raw_target.decode(), "1.1", method != "HEAD")
            return _new(RequestLine, facts)
    return read_request_line(decode(data))


def read_request_line(line: str) -> RequestLine:
    """Return the facts of a request line; the general path of ``parse_request_line``."""
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


def parse_status_line(data: bytes) -> StatusLine:
    """Return the facts of a status line without its line end (RFC 9112 section 4)."""
    line = _status_lines.entries.get(data)
    if line is None:
        match = grammar.match_status_line(decode(data))
        if match is None:
            raise explain_status_line(data)
        minor, status, reason = match.groups()
        line = StatusLine(int(status), reason or "", "1.0" if minor == "0" else "1.1")
        _status_lines.add(data, line, len(data))
    return line


def check_status_line_start(buffer: bytearray) -> None:
    """Raise RemoteProtocolError if ``buffer`` cannot become a response, whatever follows."""
    if not grammar.match_status_line_start(buffer[: grammar.STATUS_LINE_START]):
        raise explain_status_line(buffer)


def explain_status_line(data: bytes | bytearray) -> RemoteProtocolError:
    """Say that ``data`` does not begin with a status line."""
    return RemoteProtocolError(f"not a status line of HTTP/1.1: {quote(data)}")


class RequestHeads:
    """Reads the request heads of one connection.

    Clients often send the same head again, or one that differs in its first line: the last
    line and the last field section are kept, by their bytes.
    """

    __slots__ = ("_fields", "_limits", "_line", "_line_bytes", "_section", "_small")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._small = smallest_limit(limits)
        self._line_bytes = b""
        self._line = RequestLine("", None, None, "", "", False)
        self._section = b""
        """The last field section with its empty line; empty at first."""
        self._fields = NO_FIELDS

    def find_end(self, data: bytes, line_end: int) -> int:
        """Return the index behind the head that ``data`` begins with, or 0.

        ``line_end``: the index of the first CRLF.  0 says that the head is not whole, or that
        it must be looked at line by line: it may exceed a limit, or be the HTTP/2 preface.
        """
        section = self._section
        if section and data.startswith(section, line_end + 2) and 0 < line_end <= self._small:
            return line_end + 2 + len(section)
        end = data.find(b"\r\n\r\n", line_end) + 4
        if 0 < line_end < end <= self._small and not data.startswith(b"PRI "):
            return end
        return 0

    def read_line(self, data: bytes) -> RequestLine:
        """Return the facts of a request line, given without its CRLF."""
        if data != self._line_bytes or not data:
            self._line = parse_request_line(data)
            self._line_bytes = data
        return self._line

    def read_fields(self, section: bytes) -> FieldFacts:
        """Return the facts of a field section, given with its empty line."""
        if section != self._section:
            self._fields = REQUESTS.read(section[:-2], self._limits)
            self._section = section
        return self._fields


class ResponseHeads:
    """Reads the response heads of one connection.

    Servers often send the same head again: the last one is kept, by its bytes.
    """

    __slots__ = ("_facts", "_head", "_limits", "_small")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._small = smallest_limit(limits)
        self._head = b""
        """The last head with its empty line; empty at first."""
        self._facts = (StatusLine(0, "", "1.1"), NO_FIELDS)

    def find_end(self, data: bytes) -> int:
        """Return the index behind the head that ``data`` begins with, or 0.

        0 says that the head is not whole, or that it must be looked at line by line: it may
        exceed a limit, or end earlier with a line that ends in LF alone.
        """
        head = self._head
        if head and data.startswith(head):
            return len(head)
        end = data.find(b"\r\n\r\n") + 4
        if 4 < end <= self._small and data.count(b"\n", 0, end) == data.count(b"\r\n", 0, end):
            return end
        return 0

    def read(self, head: bytes) -> tuple[StatusLine, FieldFacts]:
        """Return the facts of a response head, given with its empty line."""
        if head != self._head:
            line, _, section = head.partition(b"\n")
            section = section[: -2 if section.endswith(b"\r\n") else -1]
            status_line = parse_status_line(line.removesuffix(b"\r"))
            self._facts = (status_line, RESPONSES.read(section, self._limits))
            self._head = head
        return self._facts


def smallest_limit(limits: Limits) -> int:
    """Return the size up to which a head cannot exceed any limit on sizes."""
    return min(limits.max_line_size, limits.max_field_size, limits.max_header_list_size)
