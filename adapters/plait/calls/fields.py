"""Header fields as callers give them: checked once, where they come in.

A field of a wrong type must not get as far as the engine: there a place on a connection is
taken already, and the message could not say whose mistake it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias, cast

from multidict import CIMultiDict, CIMultiDictProxy, MultiDict, MultiDictProxy

from plait.typedefs import LooseHeaders

InformationalCallback: TypeAlias = Callable[[int, CIMultiDictProxy[str]], object]
"""Is told the status and the fields of an informational response."""

_MAPPINGS: Final = (dict, Mapping, MultiDict, MultiDictProxy)


class FieldPairs(list[tuple[str, str]]):
    """Names and values in order, which ``field_pairs`` has checked."""

    __slots__ = ()


def field_pairs(headers: LooseHeaders | None) -> FieldPairs:
    """Return names and values in order.

    Raises TypeError for what is neither a mapping nor pairs, and for a name or value that is
    not text; the message has the field's name.  A Content-Length may be an int.
    """
    if type(headers) is FieldPairs:
        return headers
    if not headers:
        return FieldPairs()
    if isinstance(headers, _MAPPINGS):
        pairs: Iterable[object] = headers.items()
    elif isinstance(headers, str | bytes) or not isinstance(headers, Iterable):
        raise TypeError(
            "headers must be a mapping or an iterable of (name, value) pairs, "
            f"not {type(headers).__name__}"
        )
    else:
        pairs = headers
    found = list(pairs)
    for pair in found:
        if type(pair) is not tuple or len(pair) != 2 or type(pair[1]) is not str:
            break
        if type(pair[0]) is not str and not isinstance(pair[0], str):
            break
    else:
        return FieldPairs(cast("list[tuple[str, str]]", found))  # As nearly all are.
    return FieldPairs(_checked(pair) for pair in found)


def join_fields(own: CIMultiDict[str], headers: LooseHeaders | None) -> FieldPairs:
    """Return the session's fields with those of a request, which win by name.

    Raises TypeError as ``field_pairs`` does.
    """
    if not own or not headers:
        return field_pairs(headers or own)
    result = CIMultiDict(own)
    replaced: set[str] = set()
    for name, value in field_pairs(headers):
        key = name.lower()
        if key in replaced:
            result.add(name, value)
        else:
            result[name] = value
            replaced.add(key)
    return field_pairs(result)


def _checked(pair: object) -> tuple[str, str]:
    if type(pair) is not tuple or len(pair) != 2:
        pair = _as_pair(pair)
    name, value = pair
    if isinstance(name, str) and isinstance(value, str):
        return cast("tuple[str, str]", pair)
    if not isinstance(name, str):
        raise TypeError(f"the name of a header must be str, not {type(name).__name__}: {name!r}")
    if type(value) is int and name.lower() == "content-length":
        return name, str(value)
    raise TypeError(f"the value of header {name!r} must be str, not {type(value).__name__}")


def _as_pair(pair: object) -> tuple[object, object]:
    # Only the name is shown: the value may be a secret, and errors end up in logs.
    if isinstance(pair, str):
        name = pair.partition(":")[0]
        raise TypeError(f"headers must be (name, value) pairs, not str: {name!r} ...")
    if isinstance(pair, bytes) or not isinstance(pair, Iterable):
        raise TypeError(f"headers must be (name, value) pairs, not {type(pair).__name__}")
    items = tuple(pair)
    if len(items) != 2:
        first = f": {items[0]!r} ..." if items else ""
        raise TypeError(f"headers must be (name, value) pairs, not {len(items)} items{first}")
    return items
