"""Cookie jars: the cookies of a session, under aiohttp's interface.

The rules are those of ``plait_engine.policy.cookies`` and ``cookie_store``; here they meet
the clock, the file system, and the classes of ``http.cookies``.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from email.utils import formatdate
from http.cookies import BaseCookie, Morsel, SimpleCookie
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from yarl import URL

from plait_engine.policy.cookie_store import Cookie, CookieStore, domain_matches, specificity
from plait_engine.policy.cookies import SetCookie, parse_set_cookie, unquote_value

from .abc import AbstractCookieJar
from .typedefs import LooseCookies, PathLike, StrOrURL

__all__ = ("CookieJar", "DummyCookieJar")

MAX_COOKIES_PER_RESPONSE: Final = 50
"""Set-Cookie fields that are looked at."""

_SECURE_SCHEMES: Final = frozenset({"https", "wss"})
_NO_URL: Final = URL()


class _LooseCookie(SimpleCookie):
    """A ``SimpleCookie`` whose cookies may have any name that a server gave them."""

    def put(self, morsel: Morsel[str]) -> None:
        dict.__setitem__(self, morsel.key, morsel)


def make_morsel(name: str, value: str, coded_value: str) -> Morsel[str]:
    """Return a morsel; unlike ``Morsel.set``, with any name."""
    morsel: Morsel[str] = Morsel()
    state = {"key": name, "value": value, "coded_value": coded_value}
    morsel.__setstate__(state)  # type: ignore[attr-defined]  # typeshed lacks it
    return morsel


def parse_set_cookies(fields: Sequence[str]) -> SimpleCookie:
    """Return the cookies of Set-Cookie fields; what cannot be stored is left out."""
    cookies = _LooseCookie()
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
            cookies.put(morsel)
    return cookies


def _from_morsel(morsel: Morsel[Any]) -> SetCookie:
    max_age = str(morsel["max-age"])
    return SetCookie(
        morsel.key,
        morsel.coded_value,
        domain=morsel["domain"] or None,
        path=morsel["path"] or None,
        max_age=max_age if max_age else None,
        expires=morsel["expires"] or None,
        secure=bool(morsel["secure"]),
        http_only=bool(morsel["httponly"]),
        same_site=morsel["samesite"] or None,
    )


class CookieJar(AbstractCookieJar):
    """Keeps cookies in memory (RFC 6265bis).

    Args:
        unsafe: hosts that are IP addresses may set cookies.
        quote_cookie: quote the values that the application sets, by the rules of
            ``http.cookies``.  What a server set is sent back as it wrote it.
        treat_as_secure_origin: origins that get Secure cookies over cleartext too.
        is_public_suffix: whether a domain is one under which everybody can register, such
            as ``co.uk`` (plait's own; domains of one label always are).
    """

    MAX_TIME: Final = 253402300799
    SUB_MAX_TIME: Final = 253402300798

    def __init__(
        self,
        *,
        unsafe: bool = False,
        quote_cookie: bool = True,
        treat_as_secure_origin: StrOrURL | Iterable[StrOrURL] | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
        is_public_suffix: Callable[[str], bool] | None = None,
    ) -> None:
        super().__init__(loop=loop)
        self._store = CookieStore(allow_ip=unsafe, is_public_suffix=is_public_suffix)
        self._quote_cookie = quote_cookie
        if treat_as_secure_origin is None:
            origins: Iterable[StrOrURL] = ()
        elif isinstance(treat_as_secure_origin, str | URL):
            origins = (treat_as_secure_origin,)
        else:
            origins = treat_as_secure_origin
        self._treat_as_secure_origin = frozenset(URL(origin).origin() for origin in origins)

    # -- properties -----------------------------------------------------------------

    @property
    def unsafe(self) -> bool:
        """True when hosts that are IP addresses may set cookies."""
        return self._store.allow_ip

    @property
    def quote_cookie(self) -> bool:
        """True when values are quoted by the rules of ``http.cookies``."""
        return self._quote_cookie

    @property
    def treat_as_secure_origin(self) -> frozenset[URL]:
        """Origins that get Secure cookies over cleartext too."""
        return self._treat_as_secure_origin

    @property
    def cookies(self) -> MappingProxyType[tuple[str, str], SimpleCookie]:
        """What is stored, by domain and path."""
        found: dict[tuple[str, str], SimpleCookie] = {}
        for cookie in self._store:
            place = found.setdefault((cookie.domain, cookie.path), _LooseCookie())
            assert isinstance(place, _LooseCookie)
            place.put(_to_morsel(cookie))
        return MappingProxyType(found)

    @property
    def host_only_cookies(self) -> frozenset[tuple[str, str, str]]:
        """Domain, path and name of cookies that go to no subdomain."""
        return frozenset(
            (cookie.domain, cookie.path, cookie.name) for cookie in self._store if cookie.host_only
        )

    def __len__(self) -> int:
        return len(self._store)

    def __iter__(self) -> Iterator[Morsel[str]]:
        self._store.expire(time.time())
        for cookie in list(self._store):
            yield _to_morsel(cookie)

    # -- storing ----------------------------------------------------------------------

    def update_cookies(self, cookies: LooseCookies, response_url: URL = _NO_URL) -> None:
        """Store cookies, as if a response from ``response_url`` had set them.

        Without a URL they go to every host.
        """
        quoting: BaseCookie[str] = SimpleCookie() if self._quote_cookie else BaseCookie()
        for name, value in cookies.items() if isinstance(cookies, Mapping) else cookies:
            if isinstance(value, Morsel):
                cookie = _from_morsel(value)
                cookie.name = value.key or name
            elif isinstance(value, BaseCookie):
                raise TypeError("a cookie's value is text or a Morsel")
            else:
                cookie = SetCookie(name, quoting.value_encode(value)[1])
            self._set(cookie, response_url)

    def update_cookies_from_headers(self, headers: Sequence[str], response_url: URL) -> None:
        """Store the cookies of Set-Cookie fields."""
        for field in headers[:MAX_COOKIES_PER_RESPONSE]:
            cookie = parse_set_cookie(field)
            if cookie is not None:
                self._set(cookie, response_url)

    def _set(self, cookie: SetCookie, url: URL) -> None:
        self._store.set(
            cookie,
            host=url.raw_host or "",
            path=url.raw_path if url.raw_host else "/",
            secure=self._is_secure(url),
            now=time.time(),
        )

    def _is_secure(self, url: URL) -> bool:
        if url.scheme in _SECURE_SCHEMES:
            return True
        return bool(self._treat_as_secure_origin) and (
            url.absolute and url.origin() in self._treat_as_secure_origin
        )

    # -- sending ------------------------------------------------------------------------

    def filter_cookies(self, request_url: URL = _NO_URL) -> SimpleCookie:
        """Return the cookies to send to ``request_url``, in order."""
        if isinstance(request_url, str):
            warnings.warn(
                "filter_cookies expects a yarl.URL, not str", DeprecationWarning, stacklevel=2
            )
            request_url = URL(request_url)
        selected = self._store.select(
            host=request_url.raw_host or "",
            path=request_url.raw_path or "/",
            secure=self._is_secure(request_url),
            now=time.time(),
        )
        # A SimpleCookie has one of each name: that of the host before that of its domain.
        winners: dict[str, Cookie] = {}
        for cookie in selected:
            rival = winners.get(cookie.name)
            if rival is None or specificity(cookie) > specificity(rival):
                winners[cookie.name] = cookie
        found = _LooseCookie()
        for cookie in selected:
            if winners[cookie.name] is cookie:
                found.put(make_morsel(cookie.name, unquote_value(cookie.value), cookie.value))
        return found

    # -- removing -------------------------------------------------------------------------

    def clear(self, predicate: Callable[[Morsel[str]], bool] | None = None) -> None:
        """Remove all cookies, or those for which ``predicate`` is true."""
        if predicate is None:
            self._store.clear()
            return
        self._store.expire(time.time())
        for cookie in list(self._store):
            if predicate(_to_morsel(cookie)):
                self._store.remove(cookie)

    def clear_domain(self, domain: str) -> None:
        """Remove the cookies of ``domain`` and its subdomains."""
        for cookie in list(self._store):
            if domain_matches(cookie.domain, domain):
                self._store.remove(cookie)

    # -- files ------------------------------------------------------------------------------

    def save(self, file_path: PathLike) -> None:
        """Write the cookies as JSON into a file.

        A new one only its owner may read; whose file exists already has said who may.
        """
        path = Path(file_path)
        text = json.dumps([asdict(cookie) for cookie in self._store], indent=2)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)

    def load(self, file_path: PathLike) -> None:
        """Replace the cookies by those that ``save`` wrote, this one or aiohttp's.

        Raises ValueError, and changes nothing, when the file is something else.  Pickles
        are refused: reading one can run any code.
        """
        data = Path(file_path).read_bytes()
        try:
            content = json.loads(data)
            items = _translate(content) if isinstance(content, dict) else content
            cookies = [_from_json(item) for item in items]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{file_path} has no cookies that save() wrote") from error
        self._store.clear()
        now = time.time()
        for cookie in cookies:
            self._store.add(cookie, now)


class DummyCookieJar(AbstractCookieJar):
    """Keeps nothing."""

    def __iter__(self) -> Iterator[Morsel[str]]:
        yield from ()

    def __len__(self) -> int:
        return 0

    @property
    def unsafe(self) -> bool:
        """False."""
        return False

    @property
    def quote_cookie(self) -> bool:
        """True."""
        return True

    @property
    def treat_as_secure_origin(self) -> frozenset[URL]:
        """None."""
        return frozenset()

    @property
    def cookies(self) -> MappingProxyType[tuple[str, str], SimpleCookie]:
        """Nothing."""
        return MappingProxyType({})

    @property
    def host_only_cookies(self) -> frozenset[tuple[str, str, str]]:
        """Nothing."""
        return frozenset()

    def clear(self, predicate: Callable[[Morsel[str]], bool] | None = None) -> None:
        """Nothing to remove."""

    def clear_domain(self, domain: str) -> None:
        """Nothing to remove."""

    def update_cookies(self, cookies: LooseCookies, response_url: URL = _NO_URL) -> None:
        """Stores nothing."""

    def update_cookies_from_headers(self, headers: Sequence[str], response_url: URL) -> None:
        """Stores nothing."""

    def filter_cookies(self, request_url: URL) -> SimpleCookie:
        """Return no cookies."""
        return SimpleCookie()


def _translate(content: dict[str, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield what aiohttp saved as ``save`` of this module writes it.

    aiohttp's keys are "domain|path" and then the name.  May fail in any way, lazily, for
    content of another kind.
    """
    number = 0
    for scope, cookies in content.items():
        domain, _, path = scope.partition("|")
        for name, item in cookies.items():
            number += 1
            yield {
                "name": name,
                "value": item["coded_value"],
                "domain": domain,
                "path": path or "/",
                "host_only": item.get("host_only", False),
                "secure": item.get("secure", False),
                "http_only": item.get("httponly", False),
                "same_site": item.get("samesite"),
                "expires": item.get("expires_timestamp"),
                "created": number,
                "used": number,
            }


def _from_json(item: Any) -> Cookie:  # whatever the file has
    """Return the cookie that ``save`` wrote.  Raises TypeError or ValueError for another item."""
    cookie = Cookie(**item)
    for name, types in _TYPES.items():
        if type(getattr(cookie, name)) not in types:
            raise ValueError(f"{name} of a cookie is {getattr(cookie, name)!r}")
    return cookie


_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "name": (str,),
    "value": (str,),
    "domain": (str,),
    "path": (str,),
    "host_only": (bool,),
    "secure": (bool,),
    "http_only": (bool,),
    "same_site": (str, type(None)),
    "expires": (float, int, type(None)),
    "created": (int,),
    "used": (int,),
}


def _to_morsel(cookie: Cookie) -> Morsel[str]:
    morsel = make_morsel(cookie.name, unquote_value(cookie.value), cookie.value)
    morsel["domain"] = cookie.domain
    morsel["path"] = cookie.path
    if cookie.expires is not None:
        morsel["expires"] = formatdate(cookie.expires, usegmt=True)
    if cookie.secure:
        morsel["secure"] = True
    if cookie.http_only:
        morsel["httponly"] = True
    if cookie.same_site is not None:
        morsel["samesite"] = cookie.same_site
    return morsel
