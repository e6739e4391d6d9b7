"""Small things that the client and the server share: authentication, header values, keys."""

from __future__ import annotations

import asyncio
import codecs
import enum
import functools
import math
import netrc
import os
import re
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate
from pathlib import Path, PurePath
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, Self, TypeVar, overload
from urllib.request import getproxies, getproxies_environment, proxy_bypass
from warnings import warn

from multidict import MultiDict, MultiDictProxy, MultiMapping
from propcache.api import under_cached_property
from yarl import URL

from plait_engine.content.disposition import format_disposition
from plait_engine.content.disposition import quoted_string as quoted_string
from plait_engine.content.media_types import parse_content_type
from plait_engine.policy.auth import (
    decode_basic_credentials,
    encode_basic_credentials,
    find_netrc_login,
)
from plait_engine.policy.hosts import is_canonical_ipv4, is_ip_literal
from plait_engine.proxy.choice import find_proxy, read_no_proxy
from plait_engine.semantics.cache import MAX_FIELD

from . import hdrs
from .log import client_logger

__all__ = ("BasicAuth", "ChainMapProxy", "ETag", "encode_basic_auth", "reify")

_T = TypeVar("_T")


class _SENTINEL(enum.Enum):
    sentinel = "not given"


sentinel: Final = _SENTINEL.sentinel
"""The default of arguments for which ``None`` has a meaning of its own."""

DEFAULT_CHUNK_SIZE: Final = 2**18
"""Bytes of a file that are read at once."""

_PROXIED_SCHEMES: Final = ("http", "https", "ws", "wss")

_NETRC: Final = "_netrc" if sys.platform == "win32" else ".netrc"

DEBUG: Final = sys.flags.dev_mode or (
    not sys.flags.ignore_environment and bool(os.environ.get("PYTHONASYNCIODEBUG"))
)
"""Python runs in its development mode, or asyncio in its debug mode."""


class noop:  # aiohttp's name
    """An awaitable that is done."""

    __slots__ = ()

    def __await__(self) -> Generator[None, None, None]:
        return
        yield


NOOP: Final = noop()


# -- timeouts, for packages that build on aiohttp's helpers -------------------------


def ceil_timeout(delay: float | None, ceil_threshold: float = 5) -> asyncio.Timeout:
    """Return a timeout after ``delay`` seconds, for ``async with``; ``None``, or 0 and less: never.

    A delay above ``ceil_threshold`` ends with a whole second of the loop's clock, so that many of
    them end at the same time.  Needs a running loop.
    """
    if delay is None or delay <= 0:
        return asyncio.timeout(None)
    when = asyncio.get_running_loop().time() + delay
    return asyncio.timeout_at(math.ceil(when) if delay > ceil_threshold else when)


class TimerNoop:
    """A timer that never fires, where a context manager is wanted."""

    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass

    def assert_timeout(self) -> None:
        """Raises TimeoutError when the time is over, which it never is."""


# -- authentication ---------------------------------------------------------------


class _BasicAuthFields(NamedTuple):
    login: str
    password: str = ""
    encoding: str = "latin1"


class BasicAuth(_BasicAuthFields):
    """A login and password for Basic authentication (RFC 7617).

    Deprecated as in aiohttp: send ``encode_basic_auth(login, password)`` as the
    ``Authorization`` header.  Raises ValueError for ``None`` and for a colon in ``login``.
    """

    def __new__(cls, login: str, password: str = "", encoding: str = "latin1") -> Self:
        made = cls._make_checked(login, password, encoding)
        warn(
            "BasicAuth is deprecated and will be removed in aiohttp 4.0;"
            " use aiohttp.encode_basic_auth() as the Authorization header",
            DeprecationWarning,
            stacklevel=2,
        )
        return made

    @classmethod
    def _make_checked(cls, login: str, password: str, encoding: str) -> Self:
        if login is None:
            raise ValueError("a login must be a str, not None")
        if password is None:
            raise ValueError("a password must be a str, not None")
        if ":" in login:
            raise ValueError("a login must not have a colon (RFC 7617 section 2)")
        return super().__new__(cls, login, password, encoding)

    def __repr__(self) -> str:
        # It is a part of other reprs, those of errors for instance, which end up in logs.
        return (
            f"{type(self).__name__}(login={self.login!r}, password=***, encoding={self.encoding!r})"
        )

    @classmethod
    def decode(cls, auth_header: str, encoding: str = "latin1") -> Self:
        """Return the credentials of an ``Authorization`` value.

        Raises ValueError when it is no Basic authentication.
        """
        login, password = decode_basic_credentials(auth_header, encoding)
        return cls._make_checked(login, password, encoding)

    @classmethod
    def from_url(cls, url: URL, *, encoding: str = "latin1") -> Self | None:
        """Return the credentials of ``url``, or ``None`` when it has none."""
        if not isinstance(url, URL):
            raise TypeError("url must be a yarl.URL")
        if url.user is None and url.password is None:
            return None
        return cls._make_checked(url.user or "", url.password or "", encoding)

    def encode(self) -> str:
        """Return the value for ``Authorization``."""
        return encode_basic_credentials(self.login, self.password, self.encoding)


def _basic_auth_no_warn(login: str, password: str = "", encoding: str = "latin1") -> BasicAuth:
    """Return a login and password without the warning; others know it by this name of aiohttp."""
    return BasicAuth._make_checked(login, password, encoding)


def encode_basic_auth(login: str, password: str = "", encoding: str = "utf-8") -> str:
    """Return the value of ``Authorization`` for Basic authentication (RFC 7617).

    Raises ValueError for a colon in ``login``.
    """
    return encode_basic_credentials(login, password, encoding)


def strip_auth_from_url(url: URL) -> tuple[URL, BasicAuth | None]:
    """Return ``url`` without credentials, and the credentials that it had."""
    auth = BasicAuth.from_url(url)
    return (url, None) if auth is None else (url.with_user(None), auth)


# -- the environment ------------------------------------------------------------------


class ProxyInfo(NamedTuple):
    """A proxy of the environment, and the credentials for it."""

    proxy: URL
    proxy_auth: BasicAuth | None


def netrc_from_env() -> netrc.netrc | None:
    """Return the netrc file that ``NETRC`` names, or the one in the home directory.

    ``None``, with a warning in the log, when it cannot be read.  This reads a file: call it in
    a thread.
    """
    named = os.environ.get("NETRC")
    try:
        path = Path(named) if named is not None else Path.home() / _NETRC
    except RuntimeError as error:
        client_logger.debug("There is no home directory to look for a netrc file in: %s", error)
        return None
    try:
        return netrc.netrc(str(path))
    except netrc.NetrcParseError as error:
        # Its message may quote a password.
        client_logger.warning(
            "The netrc file %s has an error in line %s", error.filename, error.lineno
        )
    except (OSError, UnicodeError) as error:
        if named is not None or not isinstance(error, FileNotFoundError):
            client_logger.warning("A netrc file cannot be read: %s", error)
    return None


def basicauth_from_netrc(netrc_obj: netrc.netrc | None, host: str) -> BasicAuth:
    """Return what a netrc file says for ``host``.  Raises LookupError when that is nothing."""
    if netrc_obj is None:
        raise LookupError("there is no readable .netrc file")
    login = find_netrc_login(netrc_obj.hosts, host)
    if login is None:
        raise LookupError(f"No entry for {host} found in the `.netrc` file.")
    return _basic_auth_no_warn(*login)


def proxies_from_env() -> dict[str, ProxyInfo]:
    """Return the proxies that the environment names, by the scheme of the URLs they are for.

    Credentials are those in the URL of the proxy, or those of a netrc file for its host.
    """
    named = getproxies()
    found = {}
    netrc_obj = None
    for scheme in _PROXIED_SCHEMES:
        text = find_proxy(named, scheme)
        if text is None:
            continue
        proxy, auth = strip_auth_from_url(URL(text if "://" in text else f"http://{text}"))
        if auth is None and proxy.host is not None:
            netrc_obj = netrc_obj or netrc_from_env()
            with suppress(LookupError):
                auth = basicauth_from_netrc(netrc_obj, proxy.host)
        found[scheme] = ProxyInfo(proxy, auth)
    return found


def get_env_proxy_for_url(url: URL) -> tuple[URL, BasicAuth | None]:
    """Return the proxy of the environment for ``url``, and the credentials for it.

    Raises LookupError when there is none, or ``url`` is to be reached without one.
    """
    host = (url.raw_host or "").partition("%")[0]
    if getproxies_environment():
        bypass = read_no_proxy(getproxies().get("no", "")).covers(host, url.port)
    else:
        bypass = bool(proxy_bypass(host))  # Systems have settings of their own.
    if bypass:
        raise LookupError(f"Proxying is disallowed for `{host!r}`")
    info = proxies_from_env().get(url.scheme)
    if info is None:
        raise LookupError(f"No proxies found for `{url!s}` in the env")
    return info.proxy, info.proxy_auth


# -- header values -----------------------------------------------------------------


class MimeType(NamedTuple):
    """A media type (RFC 9110 section 8.3.1), in lower case but for parameter values."""

    type: str
    subtype: str
    suffix: str
    parameters: MultiDictProxy[str]


_Meaning = TypeVar("_Meaning")


def _remember_short(read: Callable[[str], _Meaning]) -> Callable[[str], _Meaning]:
    """Remember what field values mean, of which a peer may send any: few, and no long ones."""
    remembered = functools.lru_cache(maxsize=256)(read)

    @functools.wraps(read)
    def look_up(value: str) -> _Meaning:
        return remembered(value) if len(value) <= MAX_FIELD else read(value)

    return look_up


@_remember_short
def parse_mimetype(mimetype: str) -> MimeType:
    """Return the parts of a media type.  What is not understood is left out."""
    if not mimetype:
        return MimeType("", "", "", MultiDictProxy(MultiDict()))
    full, *items = mimetype.split(";")
    parameters: MultiDict[str] = MultiDict()
    for item in items:
        name, _, value = item.partition("=")
        if name.strip():
            parameters.add(name.lower().strip(), value.strip(' "'))
    full = full.strip().lower()
    main, _, rest = ("*/*" if full == "*" else full).partition("/")
    subtype, _, suffix = rest.partition("+")
    return MimeType(main, subtype, suffix, MultiDictProxy(parameters))


_content_type_and_charset: Final = _remember_short(parse_content_type)


def printable(text: str) -> str:
    """Return ``text`` in printable ASCII, backslashes and all else escaped."""
    return text.encode("unicode_escape").decode("ascii")


def find_charset(name: str) -> str | None:
    """Return Python's name of a charset, or ``None`` for one that it cannot decode text by."""
    try:
        info = codecs.lookup(name)
        " ".encode(info.name)  # "base64" and "undefined" are codecs, but no charsets.
    except (LookupError, ValueError):
        return None
    return info.name


def content_type_of(headers: MultiMapping[str]) -> str:
    """Return the media type, ``application/octet-stream`` when none is given."""
    raw = headers.get(hdrs.CONTENT_TYPE)
    return "application/octet-stream" if raw is None else _content_type_and_charset(raw)[0]


def charset_of(headers: MultiMapping[str]) -> str | None:
    """Return the ``charset`` parameter of the media type, or ``None``."""
    raw = headers.get(hdrs.CONTENT_TYPE)
    return None if raw is None else _content_type_and_charset(raw)[1]


def content_length_of(headers: MultiMapping[str]) -> int | None:
    """Return the value of Content-Length, or ``None``."""
    raw = str(headers.get(hdrs.CONTENT_LENGTH, ""))  # A program's own may be an int.
    return int(raw) if raw.isascii() and raw.isdigit() else None


class HeadersMixin:
    """What a received message says in its framing and type fields."""

    __slots__ = ()

    if TYPE_CHECKING:
        # Of the class that this is mixed into.
        @property
        def headers(self) -> MultiMapping[str]: ...

    @property
    def content_type(self) -> str:
        """The media type, ``application/octet-stream`` when none is given."""
        return content_type_of(self.headers)

    @property
    def charset(self) -> str | None:
        """The ``charset`` parameter of the media type."""
        return charset_of(self.headers)

    @property
    def content_length(self) -> int | None:
        """The value of Content-Length, or ``None``."""
        return content_length_of(self.headers)


_ETAG = re.compile(r"[!\x23-\x7e\x80-\xff]*")


@dataclass(frozen=True, slots=True)
class ETag:
    """An entity tag (RFC 9110 section 8.8.3)."""

    value: str
    is_weak: bool = False


def validate_etag_value(value: str) -> None:
    """Raise ValueError unless ``value`` can stand between the quotes of an entity tag."""
    if value != "*" and not _ETAG.fullmatch(value):
        raise ValueError(f"{value!r} is not a valid etag: no quotes or control characters")


def parse_etag(field: str) -> ETag | None:
    """Return the entity tag of an ETag field (RFC 9110 section 8.8.3), or ``None``."""
    if field == "*":
        return ETag("*")
    quoted = field.removeprefix("W/")
    tag = quoted[1:-1]
    if len(quoted) < 2 or quoted != f'"{tag}"' or not _ETAG.fullmatch(tag):
        return None
    return ETag(tag, is_weak=quoted != field)


def parse_http_date(date_str: str | None) -> datetime | None:
    """Return the time of an HTTP date (RFC 9110 section 5.6.7), or ``None``."""
    if date_str is None:
        return None
    parsed = parsedate(date_str)
    if parsed is None:
        return None
    try:
        return datetime(*parsed[:6], tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


@functools.lru_cache(maxsize=2)
def _format_date(timestamp: int) -> str:
    year, month, day, hour, minute, second, weekday, *_ = time.gmtime(timestamp)
    return (
        f"{_DAYS[weekday]}, {day:02} {_MONTHS[month - 1]} {year:04}"
        f" {hour:02}:{minute:02}:{second:02} GMT"
    )


def rfc822_formatted_time() -> str:
    """Return the time of day as an HTTP date."""
    return _format_date(int(time.time()))


def content_disposition_header(
    disptype: str, quote_fields: bool = True, _charset: str = "utf-8", **params: str
) -> str:
    """Return a Content-Disposition value (RFC 6266; for forms RFC 7578 section 4.2).

    ``quote_fields``: percent-encode file names, and what a quoted string cannot hold; else send
    text raw.  Raises ValueError for a name that is no token, and for control characters in raw
    text.
    """
    return format_disposition(disptype, params, quote_fields=quote_fields, charset=_charset)


def guess_filename(obj: Any, default: str | None = None) -> str | None:
    """Return the last part of the name of an open file, if it has one."""
    name = getattr(obj, "name", None)
    if isinstance(name, str) and name and name[0] != "<" and name[-1] != ">":
        return PurePath(name).name
    return default


def is_ip_address(host: str | None) -> bool:
    """Tell whether ``host`` is the literal of an IPv4 or IPv6 address.

    Raises TypeError for what is neither text nor ``None``.
    """
    if host is None:
        return False
    if not isinstance(host, str):
        raise TypeError(f"a host is text, not {host!r}")
    return bool(host) and is_ip_literal(host)


def is_canonical_ipv4_address(host: str) -> bool:
    """Tell whether ``host`` is an IPv4 address of four decimal numbers."""
    return is_canonical_ipv4(host)


def should_remove_content_length(method: str, code: int) -> bool:
    """Tell whether a response has no Content-Length (RFC 9110 section 8.6)."""
    return 100 <= code < 200 or code == 204 or (200 <= code < 300 and method == "CONNECT")


# -- mappings and keys ----------------------------------------------------------------


@functools.total_ordering
class BaseKey(Generic[_T]):
    """A key that says of what type its value is; each one is unique."""

    __slots__ = ("__orig_class__", "_name", "_t")

    __orig_class__: type[object]

    def __init__(self, name: str, t: type[_T] | None = None) -> None:
        module = _calling_module()
        self._name = f"{module}.{name}"
        self._t = t

    def __lt__(self, other: object) -> bool:
        if isinstance(other, BaseKey):
            return self._name < other._name
        return True  # Keys order before strings.

    def __repr__(self) -> str:
        kind = self._t
        if kind is None:
            # ``AppKey[int]("x")``: typing puts the parameter there after __init__.
            original = getattr(self, "__orig_class__", None)
            kind = original.__args__[0] if original is not None else None
        if kind is None:
            text = "<<Unknown>>"
        elif isinstance(kind, type):
            text = (
                kind.__qualname__
                if kind.__module__ == "builtins"
                else f"{kind.__module__}.{kind.__qualname__}"
            )
        else:
            text = repr(kind)
        return f"<{type(self).__name__}({self._name}, type={text})>"


def _calling_module() -> str:
    """Return the name of the module whose body runs, which makes a key or calls what does."""
    frame = sys._getframe(2)
    while frame.f_code.co_name != "<module>" and frame.f_back is not None:
        frame = frame.f_back
    return str(frame.f_globals.get("__name__", "<unknown>"))


class AppKey(BaseKey[_T]):
    """A key of an ``Application``."""

    __slots__ = ()


class RequestKey(BaseKey[_T]):
    """A key of a request."""

    __slots__ = ()


class ResponseKey(BaseKey[_T]):
    """A key of a response."""

    __slots__ = ()


class ChainMapProxy(Mapping[str | BaseKey[Any], Any]):
    """A read-only view of several mappings; the first that has a key wins.

    It is not made to be extended: a subclass is a TypeError.
    """

    __slots__ = ("_maps",)

    def __init_subclass__(cls) -> None:
        raise TypeError(f"{cls.__name__} cannot derive from ChainMapProxy, which is final")

    def __init__(self, maps: Iterable[Mapping[str | BaseKey[Any], Any]]) -> None:
        self._maps = tuple(maps)

    @overload
    def __getitem__(self, key: BaseKey[_T]) -> _T: ...
    @overload
    def __getitem__(self, key: str) -> Any: ...
    def __getitem__(self, key: str | BaseKey[_T]) -> Any:
        for mapping in self._maps:
            if key in mapping:
                return mapping[key]
        raise KeyError(key)

    @overload  # type: ignore[override]  # likewise
    def get(self, key: BaseKey[_T], default: _T) -> _T: ...
    @overload
    def get(self, key: BaseKey[_T], default: None = ...) -> _T | None: ...
    @overload
    def get(self, key: str, default: Any = ...) -> Any: ...
    def get(self, key: str | BaseKey[_T], default: Any = None) -> Any:
        try:
            return self[key]
        except KeyError:
            return default

    def __len__(self) -> int:
        return len(set().union(*self._maps))

    def __iter__(self) -> Iterator[str | BaseKey[Any]]:
        merged: dict[str | BaseKey[Any], Any] = {}
        for mapping in reversed(self._maps):
            merged.update(mapping)
        return iter(merged)

    def __contains__(self, key: object) -> bool:
        return any(key in mapping for mapping in self._maps)

    def __bool__(self) -> bool:
        return any(self._maps)

    def __repr__(self) -> str:
        return f"ChainMapProxy({', '.join(map(repr, self._maps))})"


reify = under_cached_property  # aiohttp's name
"""A property that is computed once; the value is kept in the owner's ``_cache``."""
