"""Forwarded: what proxies say of a request that they passed on (RFC 7239).

A client may write anything into the field, and proxies add to it.  So each field stands for itself,
and behind a mistake reading goes on at the next comma: a client cannot hide what a proxy puts
behind its own.  The cost is linear.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

# A port may stand unquoted behind an address, though RFC 7239 section 6 wants quotes then.
FORWARDED_PAIR: Final = re.compile(
    r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+)="
    r"(?:([!#$%&'*+\-.^_`|~0-9A-Za-z:]+)"
    r'|"((?:[^"\\]|\\.)*+)")'
)


def parse_forwarded(fields: Iterable[str]) -> Iterator[dict[str, str]]:
    """Yield the elements of the Forwarded ``fields`` (section 4), names in lower case."""
    for field in fields:
        yield from _elements(field)


def _elements(field: str) -> Iterator[dict[str, str]]:
    pairs: dict[str, str] = {}
    complete = False
    """A pair was read, and no separator yet."""
    position = 0
    while position < len(field):
        byte = field[position]
        match = None if complete else FORWARDED_PAIR.match(field, position)
        if match is not None:
            name, token, quoted = match.groups()
            pairs[name.lower()] = token if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            complete = True
            position = match.end()
        elif byte in " \t;,":
            if byte == ",":
                yield pairs
                pairs = {}
            complete = complete and byte in " \t"
            position += 1
        else:
            comma = field.find(",", position)
            position = len(field) if comma < 0 else comma
    yield pairs
