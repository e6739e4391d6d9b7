"""Set-Cookie fields: what a server asks to be stored (RFC 6265bis section 5).

This module reads one field and judges it; ``cookie_store`` keeps the cookies.

Rules (draft-ietf-httpbis-rfc6265bis)
-------------------------------------
* Section 5.6: anything with a control character is ignored, as are names and values of more
  than 4096 bytes together and attributes of more than 1024.  Nothing is decoded: what the
  server wrote is what it gets back.
* Two mistakes of servers are forgiven where only they gain by it: quotes around the value of an
  attribute, which RFC 2109 had, and a semicolon that is missing before an attribute.
* A cookie without a name is ignored.  Browsers keep such, and have been tricked with
  ``=__Host-x=y``.
* Section 5.6.1: dates are read by their parts, as servers write them in any form.
* Section 5.6.2: Max-Age wins over Expires.  No cookie lives longer than 400 days (5.5).
* Section 4.1.3: ``__Secure-`` and ``__Host-`` promise attributes; in any case of letters.
"""

from __future__ import annotations

import re
from calendar import timegm
from dataclasses import dataclass
from typing import Final

MAX_COOKIE_SIZE: Final = 4096
"""Bytes of name and value together."""
MAX_ATTRIBUTE_SIZE: Final = 1024
"""Bytes of an attribute's value."""
_FLAGS: Final = ("secure", "httponly", "partitioned")
"""They have no value, so theirs cannot be too long to count."""
MAX_ATTRIBUTES: Final = 32
"""Attributes that are looked at."""
MAX_AGE: Final = 400 * 24 * 3600
"""Seconds that a cookie may live."""

# In a Cookie field these would end it, or a cookie, or a name.  Surrogates are bytes that a server
# sent (headers.py); others cannot be encoded.
_UNSENDABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f;\ud800-\udc7f\udd00-\udfff]")
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# One blank, so that the search is linear.
_ATTRIBUTE_END = re.compile(
    r";|[ \t](?=(?:domain|expires|max-age|path|samesite)[ \t]*=)", re.IGNORECASE
)
_QUOTED_PAIR = re.compile(r"\\(?:([0-3][0-7][0-7])|(.))")


@dataclass(slots=True)
class SetCookie:
    """One Set-Cookie field.  ``None``: the attribute was not given."""

    name: str
    value: str
    """As the server wrote it, quotes included."""
    domain: str | None = None
    path: str | None = None
    max_age: str | None = None
    expires: str | None = None
    secure: bool = False
    http_only: bool = False
    same_site: str | None = None
    partitioned: bool = False
    """It is one of a page, not of all pages that use its server; nothing here has pages."""


def parse_set_cookie(field: str) -> SetCookie | None:
    """Return what a Set-Cookie field says, or ``None`` if it is to be ignored."""
    if _CONTROLS.search(field):
        return None
    pair, _, rest = field.partition(";")
    name, separator, value = pair.partition("=")
    name, value = name.strip(" \t"), value.strip(" \t")
    if not separator or not name or len(name) + len(value) > MAX_COOKIE_SIZE:
        return None
    cookie = SetCookie(name, value)
    for attribute in _attributes(rest):
        key, _, text = attribute.partition("=")
        key, text = key.strip(" \t").lower(), unquote_value(text.strip(" \t"))
        if len(text) <= MAX_ATTRIBUTE_SIZE or key in _FLAGS:
            _set_attribute(cookie, key, text)
    return cookie


def _attributes(text: str) -> list[str]:
    attributes = _ATTRIBUTE_END.split(text) if " " in text or "\t" in text else text.split(";")
    return [attribute for attribute in attributes if attribute.strip(" \t")][:MAX_ATTRIBUTES]


def _set_attribute(cookie: SetCookie, name: str, text: str) -> None:
    """Apply one attribute; the last one of a name wins (section 5.6)."""
    if name == "domain":
        cookie.domain = text
    elif name == "path":
        cookie.path = text
    elif name == "max-age":
        cookie.max_age = text
    elif name == "expires":
        cookie.expires = text
    elif name == "secure":
        cookie.secure = True
    elif name == "httponly":
        cookie.http_only = True
    elif name == "samesite":
        cookie.same_site = text
    elif name == "partitioned":
        cookie.partitioned = True


def unquote_value(value: str) -> str:
    """Return what a quoted value means to ``http.cookies``; another value as it is.

    Browsers know no such quoting: this is for applications, and never for what is sent
    back.  The cost is linear, which that of ``http.cookies`` is not (CVE-2024-7592).
    """
    if len(value) < 2 or value[0] != '"' or value[-1] != '"':
        return value
    return _QUOTED_PAIR.sub(_unquote_pair, value[1:-1])


def _unquote_pair(match: re.Match[str]) -> str:
    octal, char = match.groups()
    return chr(int(octal, 8)) if octal else char


def is_sendable(cookie: SetCookie) -> bool:
    """Tell whether name and value can stand in a Cookie field, and mean themselves there."""
    name = cookie.name
    return bool(name) and "=" not in name and not _UNSENDABLE.search(name + cookie.value)


def keeps_prefix_promise(cookie: SetCookie) -> bool:
    """Tell whether a cookie has the attributes that its name promises (section 4.1.3)."""
    name = cookie.name.lower()
    if name.startswith("__host-"):
        return cookie.secure and cookie.path == "/" and not cookie.domain
    return cookie.secure or not name.startswith("__secure-")


def expiry(cookie: SetCookie, now: float) -> float | None:
    """Return when a cookie expires, in seconds since 1970; ``None``: with the session.

    Zero or below: at once.
    """
    if cookie.max_age is not None and re.fullmatch(r"-?[0-9]+", cookie.max_age, re.ASCII):
        seconds = float(cookie.max_age[:20])
        return 0.0 if seconds <= 0 else now + min(seconds, MAX_AGE)
    if cookie.expires is not None:
        when = parse_cookie_date(cookie.expires)
        if when is not None:
            return min(when, now + MAX_AGE)
    return None


_DELIMITER = re.compile(r"[\x09\x20-\x2f\x3b-\x40\x5b-\x60\x7b-\x7e]+")
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?:[^0-9].*)?", re.ASCII | re.DOTALL)
_DAY = re.compile(r"([0-9]{1,2})(?:[^0-9].*)?", re.ASCII | re.DOTALL)
_YEAR = re.compile(r"([0-9]{2,4})(?:[^0-9].*)?", re.ASCII | re.DOTALL)
_MONTHS: Final = (
    "jan",
    "feb",
    "mar",
    "apr",
    "may",
    "jun",
    "jul",
    "aug",
    "sep",
    "oct",
    "nov",
    "dec",
)
_DAYS_IN_MONTH: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def parse_cookie_date(text: str) -> float | None:
    """Return a date in seconds since 1970, or ``None`` (section 5.6.1)."""
    time: tuple[int, int, int] | None = None
    day: int | None = None
    month: int | None = None
    year: int | None = None
    for token in _DELIMITER.split(text):
        if time is None and (match := _TIME.fullmatch(token)):
            hour, minute, second = match.groups()
            time = int(hour), int(minute), int(second)
        elif day is None and (match := _DAY.fullmatch(token)):
            day = int(match[1])
        elif month is None and token[:3].lower() in _MONTHS:
            month = _MONTHS.index(token[:3].lower()) + 1
        elif year is None and (match := _YEAR.fullmatch(token)):
            year = int(match[1])
    if time is None or day is None or month is None or year is None:
        return None
    if 70 <= year <= 99:
        year += 1900
    elif year <= 69:
        year += 2000
    hours, minutes, seconds = time
    if year < 1601 or hours > 23 or minutes > 59 or seconds > 59:
        return None
    leap = month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if not 1 <= day <= _DAYS_IN_MONTH[month - 1] + leap:
        return None
    return float(timegm((year, month, day, hours, minutes, seconds)))
