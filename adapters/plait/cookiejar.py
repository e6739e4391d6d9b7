"""Cookie jars: the cookies of a session, under aiohttp's interface.

The rules are those of ``plait_engine.policy.cookies`` and ``cookie_store``, the format of a file
is ``cookie_file``; here they meet the clock, the file system, and the classes of ``http.cookies``.
"""

from __future__ import annotations

import asyncio
import os
import stat
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from email.utils import formatdate
from http.cookies import Morsel, SimpleCookie
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from yarl import URL

from plait_engine.policy.cookie_file import dump_cookies, load_cookies
from plait_engine.policy.cookie_store import Cookie, CookieStore, domain_matches, specificity
from plait_engine.policy.cookies import (
    SetCookie,
    is_sendable,
    keeps_prefix_promise,
    parse_set_cookie,
    unquote_value,
)
from plait_engine.policy.hosts import is_ip_literal

from .abc import AbstractCookieJar
from .calls.cookies import (
    MAX_COOKIES_PER_RESPONSE,
    FreeCookie,
    cookie_pairs,
    make_morsel,
    mark_partitioned,
    quoted,
)
from .log import internal_logger
from .typedefs import LooseCookies, PathLike, StrOrURL

__all__ = ("CookieJar", "DummyCookieJar")

_SECURE_SCHEMES: Final = frozenset({"https", "wss"})
_NO_URL: Final = URL()
_MAX_PARSED: Final = 64
_PICKLE: Final = b"\x80"
"""What a pickle begins with (since protocol 2)."""


class CookieJar(AbstractCookieJar):
    """Keeps cookies in memory (RFC 6265bis).

    Args:
        unsafe: hosts that are IP addresses may set cookies.
        quote_cookie: send values in quotes, by the rules of ``http.cookies``, and those of a
            server as it wrote them.  False: send each without quotes, if it can be sent so.
        treat_as_secure_origin: origins that get Secure cookies over cleartext too.
        is_public_suffix: whether a domain is one under which everybody can register, such
            as ``co.uk`` (plait's own; domains of one label always are).

    What is refused, dropped or left out of a request is told to the logger ``plait.internal``.
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
        self._store = CookieStore(
            allow_ip=unsafe,
            is_public_suffix=is_public_suffix,
            one_per_name=True,
            tell=internal_logger.debug,
        )
        self._parsed: dict[str, SetCookie] = {}
        """What servers set of late: many set the same cookie again with each response."""
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
        """What is stored, by domain and path without its last slash.

        It changes with the jar.  Of two cookies with the same place and name, the more
        specific one is here.
        """
        return MappingProxyType(_Places(self._store))

    @property
    def host_only_cookies(self) -> frozenset[tuple[str, str, str]]:
        """Domain, path and name of cookies that go to no subdomain; see ``cookies``."""
        return frozenset(
            (*_place(cookie), cookie.name) for cookie in self._store if cookie.host_only
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
        for name, value in cookie_pairs(cookies):
            self._set(
                self._from_morsel(value)
                if isinstance(value, Morsel)
                else _named(name, self._coded(value)),
                response_url,
            )

    def update_cookies_from_headers(self, headers: Sequence[str], response_url: URL) -> None:
        """Store the cookies of Set-Cookie fields."""
        if not self.unsafe and is_ip_literal(response_url.raw_host or ""):
            internal_logger.debug("Dropped the cookies of %s: it is an address", response_url.host)
            return
        for field in headers[:MAX_COOKIES_PER_RESPONSE]:
            cookie = self._parsed.get(field)
            if cookie is None:
                cookie = parse_set_cookie(field)
                if cookie is None:
                    continue
                if len(self._parsed) >= _MAX_PARSED:
                    self._parsed.clear()
                self._parsed[field] = cookie
            self._set(cookie, response_url)

    def _from_morsel(self, morsel: Morsel[Any]) -> SetCookie:
        coded_value = str(morsel.coded_value)
        return SetCookie(
            morsel.key,
            coded_value if coded_value.startswith('"') else self._coded(morsel.value),
            domain=morsel["domain"] or None,
            path=morsel["path"] or None,
            max_age=str(morsel["max-age"]) or None,
            expires=morsel["expires"] or None,
            secure=bool(morsel["secure"]),
            http_only=bool(morsel["httponly"]),
            same_site=morsel["samesite"] or None,
            partitioned=bool(morsel.get("partitioned")),
        )

    def _coded(self, value: str) -> str:
        """Return a value of the application as it is sent."""
        if self._quote_cookie or value.startswith('"') or not is_sendable(SetCookie("_", value)):
            return quoted(value)
        return value

    def _set(self, cookie: SetCookie, url: URL) -> None:
        self._store.set(
            cookie,
            host=url.raw_host or "",
            path=url.raw_path,
            secure=self._is_secure(url),
            now=time.time(),
        )

    def _is_secure(self, url: URL) -> bool:
        if url.scheme in _SECURE_SCHEMES:
            return True
        if not self._treat_as_secure_origin or not url.absolute or not url.scheme:
            return False
        return url.origin() in self._treat_as_secure_origin

    # -- sending ------------------------------------------------------------------------

    def filter_cookies(self, request_url: URL = _NO_URL) -> SimpleCookie:
        """Return the cookies to send to ``request_url``, in order."""
        if isinstance(request_url, str):
            warnings.warn(
                "filter_cookies expects a yarl.URL, not str", DeprecationWarning, stacklevel=2
            )
            request_url = URL(request_url)
        found = FreeCookie()
        selected = self._store.select(
            host=request_url.raw_host or "",
            path=request_url.raw_path or "/",
            secure=self._is_secure(request_url),
            now=time.time(),
        )
        for cookie in selected:
            if cookie.form is None:
                cookie.form = self._sent_morsel(cookie)
            dict.__setitem__(found, cookie.name, cookie.form)
        return found

    def _sent_morsel(self, cookie: Cookie) -> Morsel[str]:
        value = unquote_value(cookie.value)
        if not self._quote_cookie and is_sendable(SetCookie(cookie.name, value)):
            return make_morsel(cookie.name, value, value)
        return make_morsel(cookie.name, value, cookie.value)

    # -- removing -------------------------------------------------------------------------

    def clear(self, predicate: Callable[[Morsel[str]], bool] | None = None) -> None:
        """Remove all cookies, or those for which ``predicate`` is true."""
        self._parsed.clear()
        if predicate is None:
            self._store.clear()
            return
        self._store.expire(time.time())
        for cookie in list(self._store):
            if predicate(_to_morsel(cookie)):
                self._store.remove(cookie)

    def clear_domain(self, domain: str) -> None:
        """Remove the cookies of ``domain`` and its subdomains."""
        self._parsed.clear()
        for cookie in list(self._store):
            if domain_matches(cookie.domain, domain):
                self._store.remove(cookie)

    # -- files ------------------------------------------------------------------------------

    def save(self, file_path: PathLike) -> None:
        """Write the cookies as JSON into a file, as aiohttp does.

        A new one only its owner may read; whose file exists already has said who may.  The
        file is replaced as a whole: whoever reads it meets the old cookies or the new ones.
        """
        self._store.expire(time.time())
        path = Path(os.path.realpath(file_path))
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:  # Mode 0600.
                file.write(dump_cookies(sorted(self._store, key=lambda cookie: cookie.created)))
            with suppress(FileNotFoundError):
                os.chmod(name, stat.S_IMODE(path.stat().st_mode))
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise

    def load(self, file_path: PathLike) -> None:
        """Replace the cookies by those of a file that ``save`` wrote, or that of aiohttp.

        Cookies that have expired, and those that the jar would not accept, are left out.
        Raises ValueError, or TypeError for a value of the wrong type, and changes nothing, when
        the file is something else.  Pickles, which aiohttp wrote before 3.14, are refused:
        reading one can run any code.
        """
        data = Path(file_path).read_bytes()
        if data.startswith(_PICKLE):
            raise ValueError(
                f"{file_path} is a pickle, which is never loaded: open it with the CookieJar of"
                " aiohttp 3.14 once, whose save() writes JSON"
            )
        store = CookieStore(
            allow_ip=self.unsafe,
            is_public_suffix=self._store.is_public_suffix,
            tell=self._store.tell,
        )
        try:
            load_cookies(data, store, now=time.time())
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"{file_path} has no cookies that save() wrote: {error}") from error
        self._store.replace(store)


class _Places(Mapping[tuple[str, str], SimpleCookie]):
    """The cookies of a store by place, as they are when somebody looks."""

    def __init__(self, store: CookieStore) -> None:
        self._store = store

    def _now(self) -> dict[tuple[str, str], SimpleCookie]:
        places: dict[tuple[str, str], FreeCookie] = {}
        for cookie in sorted(self._store, key=specificity):
            places.setdefault(_place(cookie), FreeCookie()).put(_to_morsel(cookie))
        return dict(places)

    def __getitem__(self, place: tuple[str, str]) -> SimpleCookie:
        return self._now()[place]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._now())

    def __len__(self) -> int:
        return len(self._now())

    def __repr__(self) -> str:
        return repr(self._now())


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


def _place(cookie: Cookie) -> tuple[str, str]:
    return cookie.domain, cookie.path.rstrip("/")


def _named(name: str, value: str) -> SetCookie:
    """Return a cookie of the application, with what the prefix of its name promises."""
    cookie = SetCookie(name, value)
    if not keeps_prefix_promise(cookie):
        cookie.secure, cookie.path = True, "/"
    return cookie


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
    if cookie.partitioned:
        mark_partitioned(morsel)
    return morsel
