"""What a request says in its query and in some fields: cookies, entity tags, a range.

A client may write anything: what cannot be read is left out, at linear cost, and only a
range that cannot be read raises.
"""

from __future__ import annotations

from urllib.parse import parse_qsl

from plait.helpers import ETag
from plait_engine.content import ranges
from plait_engine.content.conditional import is_any, parse_entity_tags
from plait_engine.policy.cookies import unquote_value

__all__ = ("parse_cookies", "parse_etags", "parse_query", "parse_range")


def parse_query(query: str) -> list[tuple[str, str]]:
    """Return the parameters of a query, decoded, as ``yarl.URL.query`` has them.

    Short path: a query without percent-encoding needs no decoding but that of ``+``.
    """
    if "%" in query:
        return parse_qsl(query, keep_blank_values=True)
    pairs = []
    for item in query.replace("+", " ").split("&"):
        if item:
            name, _, value = item.partition("=")
            pairs.append((name, value))
    return pairs


def parse_cookies(field: str) -> dict[str, str]:
    """Return the cookies of a Cookie field (RFC 6265bis section 4.2.1).

    Of one name the first counts.  A name alone has the value "", and counts after all pairs:
    browsers send the value of a cookie without a name like that, which is no reason to lose one.
    """
    cookies: dict[str, str] = {}
    alone: list[str] = []
    for pair in field.split(";"):
        name, mark, value = pair.partition("=")
        name = name.strip(" \t")
        if name and not mark:
            alone.append(name)
        elif name and name not in cookies:
            value = value.strip(" \t")
            cookies[name] = unquote_value(value) if value.startswith('"') else value
    for name in alone:
        cookies.setdefault(name, "")
    return cookies


def parse_etags(field: str) -> tuple[ETag, ...]:
    """Return the tags of If-Match or If-None-Match (RFC 9110 sections 13.1.1 and 13.1.2).

    Reading ends at the first that is none.
    """
    if is_any(field):
        return (ETag("*"),)
    return tuple(ETag(value, is_weak=weak) for value, weak in parse_entity_tags(field))


def parse_range(field: str) -> slice:
    """Return a Range of bytes as a slice (RFC 9110 section 14.1.2): ``-5:`` are the last five.

    Raises ValueError for another unit, several ranges, or an empty one.
    """
    first, last = ranges.parse_range(field)
    if first is not None:
        return slice(first, None if last is None else last + 1, 1)
    if not last:
        raise ValueError("the range is of the last 0 bytes: ask for 1 or more")
    return slice(-last, None, 1)
