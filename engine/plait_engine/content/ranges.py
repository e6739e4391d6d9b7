"""A part of a representation: Range and Content-Range (RFC 9110 section 14).

Rules
-----
* Only GET has ranges, and only of bytes; another unit is ignored (section 14.2).
* ``bytes=5-`` is all but the first five bytes, ``bytes=-5`` the last five, or all if there are
  fewer (section 14.1.2).  A last position behind the end is the end.
* A range that begins behind the end, or has no bytes, cannot be satisfied: 416.  So is the
  answer to a field that cannot be read, which section 14.2 allows.
* Several ranges are ignored, which section 14.2 allows, too: all of it is sent.  A client would
  have to take multipart/byteranges apart, and many small or overlapping ranges are an attack
  (section 17.15).
* Nothing of an empty representation can be named by Content-Range.  A suffix of it is all of it.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_match_range: Final = re.compile(r"([0-9]*)-([0-9]*)").fullmatch
_match_unit: Final = re.compile(r"bytes=", re.IGNORECASE).match
_BEYOND: Final = 10**20
"""More bytes than any representation has; what is written with more digits is this."""


class ByteRange(NamedTuple):
    """A range as it is asked for: from ``first`` to ``last``, both included.

    ``last`` is ``None``: up to the end.  ``first`` is ``None``: the last ``last`` bytes.
    """

    first: int | None
    last: int | None


class Span(NamedTuple):
    """Some bytes of a representation: where they begin, and how many they are."""

    start: int
    length: int


def has_byte_unit(field: str) -> bool:
    """Tell whether a Range field is about bytes (section 14.1)."""
    return _match_unit(field) is not None


def parse_range(field: str) -> ByteRange:
    """Return the one range of a Range field.

    Raises ValueError for another unit than bytes, several ranges, and what is no range.
    """
    match = _match_range(field[len("bytes=") :]) if has_byte_unit(field) else None
    if match is None:
        raise ValueError("range not in acceptable format")
    first, last = (_number(digits) if digits else None for digits in match.groups())
    if first is None and last is None:
        raise ValueError("the range has neither a first nor a last position")
    if first is not None and last is not None and first > last:
        raise ValueError("the range ends before it starts")  # section 14.1.1: then it is invalid
    return ByteRange(first, last)


def _number(digits: str) -> int:
    digits = digits.lstrip("0") or "0"
    return int(digits) if len(digits) <= 20 else _BEYOND


def select_span(field: str, size: int) -> Span | None:
    """Return the bytes that a Range field selects; ``None``: all, the field is ignored.

    Raises ValueError when the range cannot be satisfied, or is none.
    """
    if not has_byte_unit(field) or "," in field:
        return None
    first, last = parse_range(field)
    if first is None:
        assert last is not None
        if not last:
            raise ValueError("a suffix of no bytes")
        return Span(max(size - last, 0), min(size, last)) if size else None
    if first >= size:
        raise ValueError("the range begins behind the end")
    end = size if last is None else min(last + 1, size)
    return Span(first, end - first)
