"""Cookies of one message, in the classes of ``http.cookies``.

What a response sets (its Set-Cookie fields), and what a request sends (its Cookie field).  What
is kept between them is the jar's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from http.cookies import BaseCookie, Morsel, SimpleCookie
from typing import Any, Final

from plait.typedefs import LooseCookies
from plait_engine.policy.cookies import parse_set_cookie, unquote_value

MAX_COOKIES_PER_RESPONSE: Final = 50
"""Set-Cookie fields that are looked at."""

_QUOTING: Final[SimpleCookie] = SimpleCookie()
# A quoted value may have semicolons.
_COOKIE_PAIR: Final = re.compile(r'(([^=;]*+)(?:="[^"]*"|[^;]*+))(?:;|$)')


class FreeCookie(SimpleCookie):
    """A ``SimpleCookie`` whose cookies may have any name that a server gave them.

    It may share its Morsels with others: ``SimpleCookie`` changes a Morsel that gets a new
    value, this one changes another in its place.
    """

    def put(self, morsel: Morsel[str]) -> None:
        """Add a cookie."""
        dict.__setitem__(self, morsel.key, morsel)

    def __setitem__(self, name: str, value: str | Morsel[str]) -> None:
        if name in self and not isinstance(value, Morsel):
            dict.__setitem__(self, name, Morsel())
        super().__setitem__(name, value)

    def load(self, rawdata: Any) -> None:  # text or a mapping
        """Add the cookies of a text or a mapping."""
        for name, morsel in self.items():
            dict.__setitem__(self, name, morsel.copy())
        super().load(rawdata)


def make_morsel(name: str, value: str, coded_value: str) -> Morsel[str]:
    """Return a morsel; unlike ``Morsel.set``, with any name."""
    morsel: Morsel[str] = Morsel()
    state = {"key": name, "value": value, "coded_value": coded_value}
    morsel.__setstate__(state)  # type: ignore[attr-defined]  # typeshed lacks it
    return morsel


def mark_partitioned(morsel: Morsel[Any]) -> None:
    """Set the attribute Partitioned, which ``Morsel`` refuses before Python 3.14."""
    dict.__setitem__(morsel, "partitioned", True)


def quoted(value: str) -> str:
    """Return ``value`` as ``http.cookies`` writes it: in quotes if it has special characters."""
    return _QUOTING.value_encode(value)[1]


def cookie_pairs(cookies: LooseCookies) -> Iterator[tuple[str, str | Morsel[Any]]]:
    """Yield names and values; the cookies of a ``BaseCookie`` that is a value are its Morsels.

    Raises TypeError for what is neither a mapping nor pairs.
    """
    if isinstance(cookies, str | bytes) or not isinstance(cookies, Iterable):
        raise TypeError(
            "cookies must be a mapping or an iterable of (name, value) pairs,"
            f" not {type(cookies).__name__}"
        )
    for name, value in cookies.items() if isinstance(cookies, Mapping) else cookies:
        if isinstance(value, BaseCookie):
            yield from value.items()
        elif not isinstance(value, Morsel) or value.key is not None:
            yield name, value


def parse_set_cookies(fields: Sequence[str]) -> SimpleCookie:
    """Return the cookies of Set-Cookie fields; what cannot be stored is left out."""
    cookies = FreeCookie()
    for field in fields[:MAX_COOKIES_PER_RESPONSE]:
        cookie = parse_set_cookie(field)
        if cookie is not None:
            morsel = make_morsel(cookie.name, unquote_value(cookie.value), cookie.value)
            morsel["domain"] = cookie.domain or ""
            morsel["path"] = cookie.path or ""
            morsel["max-age"] = cookie.max_age or ""
            morsel["expires"] = cookie.expires or ""
            morsel["samesite"] = cookie.same_site or ""
            if cookie.secure:
                morsel["secure"] = True
            if cookie.http_only:
                morsel["httponly"] = True
            if cookie.partitioned:
                mark_partitioned(morsel)
            cookies.put(morsel)
    return cookies


def cookie_field(before: str, cookies: LooseCookies) -> str:
    """Return ``before``, a Cookie field, with ``cookies`` in the place of their namesakes.

    Raises CookieError for text under a name that ``http.cookies`` refuses (RFC 6265 section
    4.1.1); a Morsel may have any name that browsers accept.
    """
    sent = {morsel.key: f"{morsel.key}={morsel.coded_value}" for morsel in _morsels(cookies)}
    if before:
        kept = [
            pair.strip()
            for pair, name in _COOKIE_PAIR.findall(before)
            if pair and name.strip() not in sent
        ]
        return "; ".join([*kept, *sent.values()])
    return "; ".join(sent.values())


def _morsels(cookies: LooseCookies) -> Iterable[Morsel[Any]]:
    if type(cookies) is FreeCookie:
        return cookies.values()
    return [_as_morsel(name, value) for name, value in cookie_pairs(cookies)]


def _as_morsel(name: str, value: str | Morsel[Any]) -> Morsel[Any]:
    if isinstance(value, Morsel):
        return value
    morsel: Morsel[Any] = Morsel()
    morsel.set(name, value, quoted(value))
    return morsel
