"""The Cookie field of a request (RFC 6265 section 5.4)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http.cookies import BaseCookie, Morsel, SimpleCookie
from typing import Final

from plait.typedefs import LooseCookies

# A quoted value may have semicolons.
_COOKIE_PAIR: Final = re.compile(r'(([^=;]*+)(?:="[^"]*"|[^;]*+))(?:;|$)')


def cookie_field(before: str, cookies: LooseCookies) -> str:
    """Return ``before``, a Cookie field, with ``cookies`` in the place of their namesakes."""
    jar: SimpleCookie = SimpleCookie()
    pairs = cookies.items() if isinstance(cookies, Mapping) else cookies
    for name, value in pairs:
        if isinstance(value, Morsel):
            # A Morsel may have a name that SimpleCookie refuses, but browsers accept.
            dict.__setitem__(jar, name, value)
        elif isinstance(value, BaseCookie):
            raise TypeError("a cookie's value is text or a Morsel")
        else:
            jar[name] = value
    sent = {morsel.key: f"{morsel.key}={morsel.coded_value}" for morsel in jar.values()}
    kept = [
        pair.strip()
        for pair, name in _COOKIE_PAIR.findall(before)
        if pair and name.strip() not in sent
    ]
    return "; ".join([*kept, *sent.values()])
