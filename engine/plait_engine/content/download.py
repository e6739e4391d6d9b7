"""A download that goes on where it was cut short (RFC 9110 sections 13.1.5, 14 and 15.3.7).

Strategy
--------
One machine for one download.  It knows how much of the content there is, and the entity tag of
what that is a part of; it says which fields the next request has, and what to do with what comes
back.  Where the bytes are kept is not its business.

==================  ======================================================================
``request_fields``  the fields of the next request
``on_response``     its head came: see ``Step``
``receive_data``    so many bytes of its content were kept
``on_end``          its content is complete: ``DONE`` or ``ASK_AGAIN``
==================  ======================================================================

Rules
-----
* Only a strong entity tag says that two parts are of the same bytes (section 13.1.5): without
  one nothing can be resumed.  A date is no strong validator to a client that does not know when
  it was served (section 8.8.2.2).
* The content is asked for without a coding: a part of encoded content is of no use, for the
  coding may be done otherwise the next time.  Content that comes encoded all the same cannot be
  resumed.
* ``206`` must say that it begins where the part ends, that it has the same strong tag, and a
  length that fits (sections 14.4 and 15.3.7); else all is asked for anew.  A server may send
  less than it was asked for: then the rest is asked for.
* ``200`` is all of it: what was there before is void.
* ``416`` with the same strong tag, and a complete length that is just what there is: nothing was
  missing (section 15.5.17).  Any other: all is asked for anew.
"""

from __future__ import annotations

import enum
import re
from typing import Final, NamedTuple

from plait_engine.headers import Headers, get, get_joined

from .conditional import parse_entity_tags

_match_content_range: Final = re.compile(
    r"bytes[ \t]+(?:(\d{1,18})-(\d{1,18})|\*)/(\d{1,18}|\*)", re.ASCII | re.IGNORECASE
).fullmatch


class Part(NamedTuple):
    """What there is from before: so many bytes of what has this strong tag, quotes included."""

    size: int
    etag: str


class Step(enum.Enum):
    """What to do next."""

    BEGIN = "keep the content from its first byte on, and nothing that was there before"
    APPEND = "keep the content behind what there is"
    ASK_AGAIN = "send another request"
    DONE = "all of it is there"
    REFUSED = "the response is no answer to the request"


class ContentLengthError(Exception):
    """A response had more content, or less, than it said."""


class Download:
    """The machine; see the module.  ``part``: what there is from before."""

    def __init__(self, part: Part | None = None) -> None:
        self.size = 0
        """Bytes that there are."""
        self.total: int | None = None
        """Bytes of all of it, if the server said so."""
        self.etag: str | None = None
        """The strong tag of what there is; ``None``: it cannot be resumed."""
        self._end: int | None = None
        """Bytes that there will be when the response is complete."""
        self._has_asked_for_part = False
        if part is not None and part.size:
            self.size, self.etag = part

    def request_fields(self) -> list[tuple[str, str]]:
        """Return the fields of the next request."""
        fields = [("Accept-Encoding", "identity")]
        self._has_asked_for_part = self.size > 0 and self.etag is not None
        if self._has_asked_for_part:
            assert self.etag is not None
            fields += [("Range", f"bytes={self.size}-"), ("If-Range", self.etag)]
        return fields

    def on_response(self, status: int, headers: Headers) -> Step:
        """A final response came, behind redirects."""
        if status == 200:
            is_encoded = _is_encoded(headers)
            length = _length(headers)
            self.size = 0
            self.etag = None if is_encoded else _strong_tag(headers)
            self.total = self._end = None if is_encoded else length
            return Step.BEGIN
        if not self._has_asked_for_part or status not in (206, 416):
            return Step.REFUSED
        span, total = _content_range(get(headers, "content-range") or "")
        if status == 206 and span is not None and self._fits(span, total, headers):
            self.total = total
            self._end = span.stop
            return Step.APPEND
        same = self.etag is not None and _strong_tag(headers) == self.etag
        if status == 416 and span is None and total == self.size and same:
            self.total = total
            return Step.DONE
        self.size = 0
        self.etag = None
        return Step.ASK_AGAIN

    def receive_data(self, size: int) -> None:
        """``size`` bytes of the content were kept.  Raises ContentLengthError for too many."""
        self.size += size
        if self._end is not None and self.size > self._end:
            raise ContentLengthError(f"{self.size} bytes came, {self._end} were announced")

    def on_end(self) -> Step:
        """The content of the response is complete.  Raises ContentLengthError if it is short."""
        if self._end is not None and self.size < self._end:
            raise ContentLengthError(f"{self.size} bytes came, {self._end} were announced")
        if self._has_asked_for_part and self._end is not None and self.size != self.total:
            return Step.ASK_AGAIN
        return Step.DONE

    def _fits(self, span: range, total: int | None, headers: Headers) -> bool:
        """Tell whether a part goes on where that which is there ends."""
        return (
            span.start == self.size
            and len(span) > 0
            and (total is None or span.stop <= total)
            and _length(headers) in (None, len(span))
            and not _is_encoded(headers)
            and _strong_tag(headers) == self.etag
        )


def _content_range(field: str) -> tuple[range | None, int | None]:
    """Return which bytes a Content-Range says, and of how many; ``None``: it does not."""
    match = _match_content_range(field)
    if match is None:
        return None, None
    first, last, total = match.groups()
    span = None if first is None else range(int(first), int(last) + 1)
    return span, None if total == "*" else int(total)


def _is_encoded(headers: Headers) -> bool:
    coding = get_joined(headers, "content-encoding")
    return coding is not None and coding.strip(" \t").lower() not in ("", "identity")


def _length(headers: Headers) -> int | None:
    value = get(headers, "content-length")
    return int(value) if value is not None and re.fullmatch(r"\d{1,18}", value, re.ASCII) else None


def _strong_tag(headers: Headers) -> str | None:
    tags = parse_entity_tags(get(headers, "etag") or "")
    return f'"{tags[0].value}"' if len(tags) == 1 and not tags[0].weak else None
