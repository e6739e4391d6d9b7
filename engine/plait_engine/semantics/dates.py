"""The dates of HTTP fields, such as Last-Modified (RFC 9110 section 5.6.7).

A recipient takes three forms: ``Sun, 06 Nov 1994 08:49:37 GMT`` is the one that is sent; the
forms of RFC 850 and of C's asctime are old.  A day of one digit, as mail has it, is taken, too.
A date that has none of these forms, or that no calendar has, is no date, and a field with no
date is ignored (sections 13.1.3 and 13.1.4).
"""

from __future__ import annotations

import calendar
import re
from typing import Final

_MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)
_MONTH: Final = f"(?P<month>{'|'.join(_MONTHS)})"
_TIME: Final = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_FORMS: Final = tuple(
    re.compile(form).fullmatch
    for form in (
        rf"[A-Z][a-z]{{2}}, (?P<day>[0-9]{{1,2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_TIME} GMT",
        rf"[A-Z][a-z]{{5,8}}, (?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_TIME} GMT",
        rf"[A-Z][a-z]{{2}} {_MONTH} (?P<day>[ 0-9][0-9]) {_TIME} (?P<year>[0-9]{{4}})",
    )
)


def parse_date(field: str, now: float) -> int | None:
    """Return an HTTP date in seconds since 1970, or ``None`` if it is none.

    ``now``: the time on the same scale.  It gives a year of two digits its century: the date is
    not more than 50 years ahead.
    """
    for form in _FORMS:
        match = form(field)
        if match is not None:
            break
    else:
        return None
    parts = match.groupdict()
    month = _MONTHS.index(parts["month"]) + 1
    year, day, hour, minute, second = (
        int(parts[name]) for name in ("year", "day", "hour", "minute", "second")
    )
    if len(parts["year"]) == 2:
        year = _full_year(year, now)
    # A second of 60 is a leap second, and the first one of the next minute here.
    if not (year >= 1 and hour < 24 and minute < 60 and second <= 60):
        return None
    if not 1 <= day <= calendar.monthrange(year, month)[1]:
        return None
    return calendar.timegm((year, month, day, hour, minute, second))


def _full_year(short: int, now: float) -> int:
    latest = 1970 + int(now / 31_556_952) + 50  # seconds of a year of the calendar
    return latest - (latest - short) % 100
