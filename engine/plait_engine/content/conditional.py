"""Conditional requests: is what the client knows of the representation still true?

Rules
-----
* Preconditions are looked at in the order of RFC 9110 section 13.2.2: If-Match, without it
  If-Unmodified-Since; then If-None-Match, without it If-Modified-Since.
* If-Match compares strongly (section 13.1.1): a weak tag never matches.  If-None-Match compares
  weakly (section 13.1.2).  ``*`` matches any representation that there is.
* A precondition that fails is answered 412; one that says that the client's copy is current 304
  to GET and HEAD, and 412 to other methods.
* A date that is none, or several of them, is ignored; If-Modified-Since counts with GET and HEAD
  only (sections 13.1.3 and 13.1.4).
* If-Range (section 13.1.5) holds for a strong tag that is equal, and for a date that is exactly
  Last-Modified and is strong (section 8.8.2.2): its second is over, so that what was served with
  this date cannot have changed within it after the client got it.
* Entity tags are read up to the first that is none.  All is linear in its input.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, NamedTuple, Self

from plait_engine.headers import Headers
from plait_engine.semantics.dates import parse_date

OK: Final = 200
PARTIAL_CONTENT: Final = 206
NOT_MODIFIED: Final = 304
PRECONDITION_FAILED: Final = 412

_match_tag: Final = re.compile(r'[ \t,]*(W/)?"([!\x23-\x7e\x80-\U0010ffff]*)"[ \t]*(?:,|$)').match
"""A member of a list of entity tags (RFC 9110 section 8.8.3)."""


class EntityTag(NamedTuple):
    """An entity tag (RFC 9110 section 8.8.3); ``value`` is what stands between the quotes."""

    value: str
    weak: bool = False


class Representation(NamedTuple):
    """What would be sent: its bytes and its validators.

    ``last_modified``: seconds since 1970, not in the future (RFC 9110 section 8.8.2.1).
    """

    size: int
    etag: EntityTag
    last_modified: int


@dataclass(frozen=True, slots=True)
class Conditions:
    """The fields that make a request conditional, and Range; ``None``: there is none.

    Several fields of a name are one, joined by commas.
    """

    if_match: str | None = None
    if_unmodified_since: str | None = None
    if_none_match: str | None = None
    if_modified_since: str | None = None
    if_range: str | None = None
    range: str | None = None

    @classmethod
    def of(cls, headers: Headers) -> Self:
        """Return the conditions of a request with these fields."""
        found: dict[str, str] = {}
        for name, value in headers:
            attribute = _ATTRIBUTES.get(name.lower())
            if attribute is not None:
                known = found.get(attribute)
                found[attribute] = value if known is None else f"{known}, {value}"
        return cls(**found) if found else _UNCONDITIONAL  # type: ignore[return-value]


_UNCONDITIONAL: Final = Conditions()
_ATTRIBUTES: Final = {
    "if-match": "if_match",
    "if-unmodified-since": "if_unmodified_since",
    "if-none-match": "if_none_match",
    "if-modified-since": "if_modified_since",
    "if-range": "if_range",
    "range": "range",
}


def parse_entity_tags(field: str) -> tuple[EntityTag, ...]:
    """Return the tags of a list, such as If-None-Match, up to the first that is none."""
    tags = []
    position = 0
    while match := _match_tag(field, position):
        weak, value = match.groups()
        tags.append(EntityTag(value, weak is not None))
        position = match.end()
    return tuple(tags)


def is_any(field: str) -> bool:
    """Tell whether a list of tags is ``*``, which any representation matches."""
    return field.strip(" \t") == "*"


def check_preconditions(
    method: str, conditions: Conditions, current: Representation, now: float
) -> int | None:
    """Return 412 or 304 if a precondition says so, ``None`` to go on.

    ``now``: seconds since 1970.
    """
    if conditions.if_match is not None:
        if not _matches_strongly(conditions.if_match, current.etag):
            return PRECONDITION_FAILED
    elif conditions.if_unmodified_since is not None:
        date = parse_date(conditions.if_unmodified_since, now)
        if date is not None and current.last_modified > date:
            return PRECONDITION_FAILED
    safe = method in ("GET", "HEAD")
    if conditions.if_none_match is not None:
        if _matches_weakly(conditions.if_none_match, current.etag):
            return NOT_MODIFIED if safe else PRECONDITION_FAILED
    elif conditions.if_modified_since is not None and safe:
        date = parse_date(conditions.if_modified_since, now)
        if date is not None and current.last_modified <= date:
            return NOT_MODIFIED
    return None


def holds_if_range(field: str, current: Representation, now: float) -> bool:
    """Tell whether If-Range lets a part be sent: the client has another part of the same."""
    if field.startswith(('"', "W/")):
        tags = parse_entity_tags(field)
        return len(tags) == 1 and _is_strong_match(tags[0], current.etag)
    date = parse_date(field, now)
    return date is not None and date == current.last_modified and now - date >= 1


def _matches_strongly(field: str, current: EntityTag) -> bool:
    return is_any(field) or any(_is_strong_match(tag, current) for tag in parse_entity_tags(field))


def _matches_weakly(field: str, current: EntityTag) -> bool:
    return is_any(field) or any(tag.value == current.value for tag in parse_entity_tags(field))


def _is_strong_match(tag: EntityTag, current: EntityTag) -> bool:
    return tag == current and not tag.weak
