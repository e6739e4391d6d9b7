"""Multipart bodies: parts between boundaries (RFC 2046 section 5.1, RFC 7578 for forms).

Strategy
--------
``MultipartParser`` takes bytes as they come, and gives events: ``PartBegin``, ``PartData``,
``PartEnd`` for each part, then ``MultipartEnd``.  It searches for the next delimiter with one
``bytes.find`` over what is new, and keeps back only a tail that may be the beginning of one.  So
a byte is looked at a bounded number of times, and the parser holds no more than a delimiter line
or the header section of a part.

A part that is itself a multipart is a part like any other: its content is the input of a parser
of its own, which ``nested`` makes.

Rules
-----
* **Lines end with CRLF**, as the RFC has it.  A bare LF or CR ends no line: in content it is
  data, in a header section an error.  One parser that takes a LF for a line end and one that
  does not see different parts.
* **A delimiter is a whole line**: ``--boundary``, perhaps spaces and tabs, CRLF.  A line that only
  begins like that is content: the boundary of an inner multipart may begin with that of the outer
  one.  The last delimiter is ``--boundary--``, and what else stands on its line is skipped.
* The CRLF before a delimiter belongs to it.  It may be the one that ends the header section: such
  a part has no content.
* What stands before the first delimiter and behind the last one is skipped (section 5.1.1).
* There may be no part at all: that is how an empty form is sent.
* Header fields may be folded (RFC 5322 section 2.2.3).  Text is decoded as in ``headers``.
* A Content-Length that a part has must be right: the delimiter ends the part, and a length that
  says otherwise is there to deceive somebody.  In a form it is ignored (RFC 7578 section 4.8).
* A body that ends before its last delimiter is an error; what came of the content before is given
  first.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

from plait_engine.headers import (
    Headers,
    decode,
    encode,
    find_bad_value_char,
    get,
    is_token,
    quote,
)
from plait_engine.semantics.content import is_content_length

from .disposition import quoted_string

MAX_BOUNDARY: Final = 70
"""Characters of a boundary (RFC 2046 section 5.1.1)."""
MAX_PADDING: Final = 128
"""Spaces and tabs behind a boundary."""

# RFC 2046 section 5.1.1: bchars, of which the last is no space.  Senders use more than these.
_is_boundary: Final = re.compile(r"[\x20-\x7e]{0,69}[\x21-\x7e]").fullmatch
# What follows "--boundary" on the line of a delimiter; and what may become that.
_match_rest: Final = re.compile(rb"--|[ \t]{0,%d}+\r\n" % MAX_PADDING).match
_is_incomplete_rest: Final = re.compile(rb"-|[ \t]{0,%d}+\r?" % MAX_PADDING).fullmatch
_unfold: Final = re.compile(rb"\r\n(?=[ \t])").sub


class MultipartError(ValueError):
    """The bytes are no multipart body."""


class MultipartLimitError(MultipartError):
    """A limit was exceeded (``MultipartLimits``)."""


class TooManyPartsError(MultipartLimitError):
    """There are more parts than allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MultipartLimits:
    """What a parser accepts.  The content of parts has no limit: it is given as it comes."""

    parts: int | None = 1000
    """Parts, those in nested multiparts included.  ``None``: any number.  Werkzeug and Django:
    1,000."""
    header_section: int = 16384
    """Bytes of the header section of a part.  As the field sections of a request."""
    field_line: int = 8190
    """Bytes of one header field.  aiohttp: 8,190."""
    fields: int = 128
    """Header fields of a part.  aiohttp: 128."""
    nesting: int = 10
    """Multiparts in one another, the outermost counted."""


DEFAULT_LIMITS: Final = MultipartLimits()


@dataclass(slots=True)
class PartBegin:
    """A part begins.  ``headers``: its header fields, names as they came."""

    headers: Headers


@dataclass(slots=True)
class PartData:
    """Content of the part; never empty."""

    data: bytes


@dataclass(slots=True)
class PartEnd:
    """The part is complete."""


@dataclass(slots=True)
class MultipartEnd:
    """The last delimiter was read.  What follows it is skipped."""


MultipartEvent: TypeAlias = PartBegin | PartData | PartEnd | MultipartEnd


class _State(enum.Enum):
    """What comes next."""

    PREAMBLE = enum.auto()
    HEADERS = enum.auto()
    CONTENT = enum.auto()
    DELIMITER = enum.auto()
    EPILOGUE = enum.auto()


class _Count:
    """How many parts have begun, in a multipart and in those nested in it."""

    __slots__ = ("parts",)

    def __init__(self) -> None:
        self.parts = 0


class MultipartParser:
    """Reads one multipart body.

    Args:
        boundary: the parameter of the media type, without the leading ``--``.
        is_form: the media type is ``multipart/form-data``.
        limits: what is accepted.
        depth: how deep this multipart is nested; 1 is the outermost.

    Raises MultipartError for a boundary that cannot be one, MultipartLimitError if it is too long
    or the nesting too deep.
    """

    __slots__ = (
        "_buffer",
        "_complete",
        "_count",
        "_delimiter",
        "_depth",
        "_is_form",
        "_limits",
        "_missing",
        "_position",
        "_searched",
        "_skip",
        "_state",
    )

    def __init__(
        self,
        boundary: str,
        *,
        is_form: bool = False,
        limits: MultipartLimits = DEFAULT_LIMITS,
        depth: int = 1,
    ) -> None:
        check_boundary(boundary)
        if depth > limits.nesting:
            raise MultipartLimitError(f"more than {limits.nesting} multiparts in one another")
        self._delimiter = b"\r\n--" + boundary.encode("ascii")
        self._is_form = is_form
        self._limits = limits
        self._depth = depth
        self._state = _State.PREAMBLE
        self._complete = False
        self._count = _Count()
        self._buffer = b"\r\n"  # The first delimiter may be the first line.
        self._position = 0
        """Where in the buffer that begins which was not read yet."""
        self._skip = 2
        """How many of these bytes are a line end that was read already: it is no content, but may
        belong to a delimiter."""
        self._searched = 0
        """Where in the buffer the end of the header section may be, at the earliest."""
        self._missing: int | None = None
        """Bytes that the Content-Length of the part announces and that did not come yet."""

    @classmethod
    def inside_part(
        cls,
        boundary: str,
        headers: Headers = (),
        *,
        is_form: bool = False,
        limits: MultipartLimits = DEFAULT_LIMITS,
    ) -> MultipartParser:
        """Return a parser for what follows the header section of a part, which is ``headers``."""
        parser = cls(boundary, is_form=is_form, limits=limits)
        parser._count.parts = 1
        parser._begin_content(headers)
        return parser

    def nested(self, boundary: str, *, is_form: bool = False) -> MultipartParser:
        """Return a parser for the content of a part that is a multipart.

        Its parts count together with those around it.  Raises what the constructor raises.
        """
        parser = MultipartParser(
            boundary, is_form=is_form, limits=self._limits, depth=self._depth + 1
        )
        parser._count = self._count
        return parser

    def receive_data(self, data: bytes) -> None:
        """Take bytes.  Take the events before the next call, or memory grows."""
        rest = self._buffer[self._position :]
        self._buffer = rest + data if rest else data
        self._searched -= self._position
        self._position = 0

    def receive_eof(self) -> None:
        """The body is complete."""
        self._complete = True

    def next_event(self) -> MultipartEvent | None:
        """Return the next event; ``None``: more bytes are needed, or nothing follows.

        Raises MultipartError when the bytes are no multipart body.
        """
        state = self._state
        if state is _State.CONTENT:
            return self._read_content()
        if state is _State.DELIMITER:
            return self._read_delimiter()
        if state is _State.HEADERS:
            return self._read_headers()
        if state is _State.PREAMBLE:
            return self._read_preamble()
        self._position = len(self._buffer)
        return None

    def take_rest(self) -> bytes:
        """Return the bytes that were received and not read yet, and forget them.

        After ``PartEnd`` they begin with the delimiter, but for its line end.
        """
        rest = self._buffer[self._position + self._skip :]
        self._position, self._skip = len(self._buffer), 0
        return rest

    # -- the states ----------------------------------------------------------------------------

    def _read_preamble(self) -> MultipartEvent | None:
        index, end = self._find_delimiter()
        if index > self._position:
            self._position, self._skip = index, 0
        if end:
            return self._read_delimiter()
        if self._complete:
            raise MultipartError("the body has no boundary")
        return None

    def _read_content(self) -> MultipartEvent | None:
        index, end = self._find_delimiter()
        data = self._buffer[self._position + self._skip : index]
        if data:
            self._position, self._skip = index, 0
            if self._missing is not None:
                self._missing -= len(data)
            return PartData(data)
        if not end:
            if self._complete:
                raise MultipartError("the body is malformed: it ends before its last boundary")
            return None
        if self._missing:
            raise MultipartError("a part is malformed: it is not as long as its Content-Length")
        self._position, self._skip = index, 2
        self._state = _State.DELIMITER
        return PartEnd()

    def _read_delimiter(self) -> MultipartEvent | None:
        """Read a delimiter; it stands at the position."""
        _, end = self._find_delimiter()
        rest = self._buffer[self._position + len(self._delimiter) : end]
        self._position = end
        if rest == b"--":
            self._skip = 0
            self._state = _State.EPILOGUE
            return MultipartEnd()
        if not rest.endswith(b"\r\n"):
            raise MultipartError("the body is malformed: it ends before its last boundary")
        limit = self._limits.parts
        if limit is not None and self._count.parts >= limit:
            raise TooManyPartsError(f"more than {limit} parts")
        self._count.parts += 1
        # The line end is kept: together with another one it ends an empty header section.
        self._position = self._searched = end - 2
        self._skip = 2
        self._state = _State.HEADERS
        return self._read_headers()

    def _read_headers(self) -> MultipartEvent | None:
        buffer = self._buffer
        start = self._position + 2
        limit = self._limits.header_section
        end = buffer.find(b"\r\n\r\n", self._searched)
        size = (end if end >= 0 else len(buffer) - 3) - start
        if size > limit:
            raise MultipartLimitError(f"the header section of a part has more than {limit} bytes")
        if end < 0:
            if self._complete:
                raise MultipartError("the body is malformed: it ends in a header section")
            self._searched = max(self._position, len(buffer) - 3)
            return None
        headers = self._parse_fields(buffer[start:end]) if end >= start else ()
        self._position = end + 2
        self._begin_content(headers)
        return PartBegin(headers)

    def _begin_content(self, headers: Headers) -> None:
        """Content follows; the line end before it stands at the position."""
        length = None if self._is_form else get(headers, "content-length")
        if length is not None and not is_content_length(length):
            raise MultipartError(f"invalid Content-Length of a part: {quote(encode(length))}")
        self._missing = None if length is None else int(length)
        self._skip = 2
        self._state = _State.CONTENT

    # -- the pieces ----------------------------------------------------------------------------

    def _find_delimiter(self) -> tuple[int, int]:
        """Return where the next delimiter begins, and where its line ends.

        Without one: up to where there is none in any case, and 0.  At the end of the body a
        delimiter may be cut short.
        """
        buffer, delimiter = self._buffer, self._delimiter
        start = self._position
        while (index := buffer.find(delimiter, start)) >= 0:
            start = index + len(delimiter)
            match = _match_rest(buffer, start)
            if match is not None:
                return index, match.end()
            if _is_incomplete_rest(buffer, start):
                return index, (len(buffer) if self._complete else 0)
        size = len(buffer)
        if self._complete:
            return size, 0
        # A delimiter has one CR, its first byte: one that has only begun begins at the last CR.
        index = buffer.rfind(b"\r", max(start, size - len(delimiter) + 1))
        return (index if index >= 0 and delimiter.startswith(buffer[index:]) else size), 0

    def _parse_fields(self, section: bytes) -> Headers:
        limits = self._limits
        lines = _unfold(b"", section).split(b"\r\n")
        if len(lines) > limits.fields:
            raise MultipartLimitError(f"a part has more than {limits.fields} header fields")
        fields = []
        for line in lines:
            if len(line) > limits.field_line:
                raise MultipartLimitError(
                    f"a header field of a part has more than {limits.field_line} bytes"
                )
            name, colon, value = decode(line).partition(":")
            value = value.strip(" \t")
            if not colon or not is_token(name) or find_bad_value_char(value):
                raise MultipartError(f"malformed header field of a part: {quote(line)}")
            fields.append((name, value))
        return tuple(fields)


def check_boundary(boundary: str) -> None:
    """Raise MultipartError for what cannot be a boundary (RFC 2046 section 5.1.1).

    The characters of the RFC, and the rest of printable ASCII, which some senders use.
    """
    if len(boundary) > MAX_BOUNDARY:
        raise MultipartLimitError(
            f"boundary {quote(encode(boundary))} is too long ({MAX_BOUNDARY} chars max)"
        )
    if not _is_boundary(boundary):
        raise MultipartError(f"{quote(encode(boundary))} cannot be a boundary")


# -- the way out -----------------------------------------------------------------------------


def boundary_parameter(boundary: str) -> str:
    """Return ``boundary`` as the value of the media type's parameter (RFC 2045 section 5.1)."""
    check_boundary(boundary)
    return boundary if is_token(boundary) else f'"{quoted_string(boundary)}"'


def encode_part_head(boundary: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """Return a delimiter and the header section behind it; content follows, then ``PART_TAIL``.

    Raises ValueError for a field that cannot be one: a line end in a value would make another
    field of what follows.
    """
    lines = [f"--{boundary}\r\n"]
    for name, value in headers:
        if not is_token(name) or find_bad_value_char(value):
            raise ValueError(f"not a header field: {name!r}: {value!r}")
        lines.append(f"{name}: {value}\r\n")
    lines.append("\r\n")
    return encode("".join(lines))


PART_TAIL: Final = b"\r\n"
"""What follows the content of a part: the line end that belongs to the next delimiter."""


def encode_end(boundary: str) -> bytes:
    """Return the last delimiter."""
    return f"--{boundary}--\r\n".encode("ascii")
