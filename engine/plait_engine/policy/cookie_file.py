"""Cookies as a text that can be kept: the JSON that aiohttp's cookie jar saves and loads.

The format
----------
An object whose keys are places, ``"domain|path"`` with the path without its last slash.  The
value of each is an object of cookies by name, and a cookie is an object: ``key``, ``value`` and
``coded_value``, the attributes as ``http.cookies`` names them, ``host_only``, and
``expires_timestamp`` in seconds since 1970.  What is false or empty is left out.

Two cookies of one place may have the same name here (one with Domain and one without, or
``/a`` beside ``/a/``).  The second is kept under another name; its ``key`` is the right one.
Cookies come back place by place: only within a place they keep their order.

A text is judged before anything comes of it: what is not as above is an error that says where.
Whether a cookie may be stored is decided by the store, as if its own host had sent it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from math import isfinite
from typing import Any, Final

from .cookie_store import Cookie, CookieStore
from .cookies import SetCookie, unquote_value

_TEXTS: Final = ("domain", "path", "samesite", "expires")
_FLAGS: Final = ("secure", "httponly", "partitioned", "host_only")


def dump_cookies(cookies: Iterable[Cookie]) -> str:
    """Return the text of cookies."""
    places: dict[str, dict[str, dict[str, object]]] = {}
    for cookie in cookies:
        place = places.setdefault(f"{cookie.domain}|{cookie.path.rstrip('/')}", {})
        name = cookie.name
        while name in place:
            name += "'"
        fields = {
            "domain": cookie.domain,
            "path": cookie.path,
            "secure": cookie.secure,
            "httponly": cookie.http_only,
            "samesite": cookie.same_site,
            "partitioned": cookie.partitioned,
            "host_only": cookie.host_only,
            "expires_timestamp": cookie.expires,
        }
        place[name] = {
            "key": cookie.name,
            "value": unquote_value(cookie.value),
            "coded_value": cookie.value,
            **{name: value for name, value in fields.items() if value},
        }
    return json.dumps(places, indent=2)


def load_cookies(text: str | bytes, store: CookieStore, *, now: float) -> None:
    """Put the cookies of ``text`` into ``store``, those that are not to be stored left out.

    Raises ValueError for another text, and TypeError for a value of another type than it must
    have; some cookies may have been stored then.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is not JSON: {error}") from error
    for place, cookies in _items(content, "the file"):
        domain, separator, path = place.partition("|")
        if not separator:
            raise ValueError(f"{place!r} is not a domain and a path with '|' between them")
        for name, record in _items(cookies, repr(place)):
            cookie, deadline = _read(record, domain, path, f"cookie {name!r} in {place!r}")
            store.set(cookie, host=domain, path="/", secure=True, now=now, deadline=deadline)


def _items(value: Any, where: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{where} is no JSON object")
    yield from value.items()


def _read(record: Any, domain: str, path: str, where: str) -> tuple[SetCookie, float | None]:
    """Return the cookie of one record, and its deadline."""
    fields = dict(_items(record, where))
    for name in ("key", "value", "coded_value"):
        if not isinstance(fields.get(name), str):
            raise TypeError(f"{where}: {name} must be text, not {fields.get(name)!r}")
    for name in _TEXTS:
        if not isinstance(fields.setdefault(name, ""), str):
            raise TypeError(f"{where}: {name} must be text, not {fields[name]!r}")
    for name in _FLAGS:
        if not isinstance(fields.setdefault(name, False), bool | str):
            raise TypeError(f"{where}: {name} must be true or false, not {fields[name]!r}")
    max_age = fields.get("max-age", "")
    if not isinstance(max_age, str | int):
        raise TypeError(f"{where}: max-age must be a number of seconds, not {max_age!r}")
    deadline = fields.get("expires_timestamp")
    if deadline is not None:
        try:
            deadline = float(deadline)
        except (TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"{where}: expires_timestamp must be a finite number") from error
        if not isfinite(deadline):
            raise ValueError(
                f"{where}: expires_timestamp must be a finite number, not {deadline!r}"
            )
    cookie = SetCookie(
        fields["key"],
        fields["coded_value"],
        domain=None if fields["host_only"] else fields["domain"] or domain,
        path=fields["path"] or path or "/",
        max_age=str(max_age) or None,
        expires=fields["expires"] or None,
        secure=bool(fields["secure"]),
        http_only=bool(fields["httponly"]),
        same_site=fields["samesite"] or None,
        partitioned=bool(fields["partitioned"]),
    )
    return cookie, deadline
