"""What of a representation answers a request: all of it, a part, or none.

The decision of RFC 9110 section 13.2.2, without I/O: preconditions first (``conditional``),
then If-Range and Range (``ranges``).  Preconditions and ranges count only where the response
would be a 200 without them (sections 13.2.1 and 14.2; a 2xx with another status has its
preconditions).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from .conditional import (
    OK,
    PARTIAL_CONTENT,
    Conditions,
    Representation,
    check_preconditions,
    holds_if_range,
)
from .ranges import select_span

RANGE_NOT_SATISFIABLE: Final = 416


class Selection(NamedTuple):
    """How to answer.

    ``status``: 304 and 412 have no content, nor has 416.  Else ``length`` bytes from ``start``
    are the content.  ``content_range``: the field Content-Range, if there is to be one.
    """

    status: int
    start: int = 0
    length: int = 0
    content_range: str | None = None


def select(
    method: str,
    conditions: Conditions,
    current: Representation,
    now: float,
    *,
    status: int = OK,
    ranges: bool = True,
) -> Selection:
    """Decide how to answer ``method`` under ``conditions`` with the ``current`` representation.

    Args:
        now: seconds since 1970.
        status: of the response if nothing speaks against it.
        ranges: whether parts can be sent.
    """
    size = current.size
    whole = Selection(status, 0, size)
    if not 200 <= status < 300:
        return whole
    verdict = check_preconditions(method, conditions, current, now)
    if verdict is not None:
        return Selection(verdict)
    asked = conditions.range
    if asked is None or not ranges or method != "GET" or status != OK:
        return whole
    if conditions.if_range is not None and not holds_if_range(conditions.if_range, current, now):
        return whole
    try:
        span = select_span(asked, size)
    except ValueError:
        return Selection(RANGE_NOT_SATISFIABLE, content_range=f"bytes */{size}")
    if span is None:
        return whole
    start, length = span
    return Selection(PARTIAL_CONTENT, start, length, f"bytes {start}-{start + length - 1}/{size}")
