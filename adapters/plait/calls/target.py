"""What a URL means for a request: where to connect, and as whom.

That depends on the scheme and the authority alone, so it is worked out once for each server
and kept, but for URLs with credentials.
"""

from __future__ import annotations

import ssl as ssl_module
from typing import Final, NamedTuple, Self

from multidict import CIMultiDictProxy
from yarl import URL

from plait.client_exceptions import (
    InvalidURL,
    InvalidUrlClientError,
    InvalidUrlRedirectClientError,
    NonHttpUrlRedirectClientError,
)
from plait.helpers import BasicAuth, strip_auth_from_url
from plait_engine.policy.auth import encode_basic_credentials
from plait_engine.policy.hosts import is_host, is_legacy_ipv4, unquote_zone, without_zone
from plait_engine.policy.redirect import Origin
from plait_engine.policy.secrecy import show_fields, without_credentials
from plait_engine.proxy.choice import DEFAULT_PORTS, Way
from plait_engine.semantics.cache import FieldCache

from .verification import Fingerprint

HTTP_SCHEMES: Final = frozenset({"http", "https", ""})
"""Where redirects may lead."""

_SECURE_SCHEMES: Final = frozenset({"https", "wss"})


class ConnectionKey(NamedTuple):
    """What makes two connections interchangeable.

    ``http1_only``: HTTP/2 must not be spoken on it.  ``limits``: the largest line, the
    largest field, and the most fields of a response, or ``None`` for the defaults.  ``way``:
    what the proxy is asked for; the connector knows.
    """

    host: str
    port: int | None
    is_ssl: bool
    ssl: ssl_module.SSLContext | bool | Fingerprint = True
    proxy: URL | None = None
    proxy_auth: BasicAuth | None = None
    proxy_headers_hash: int | None = None
    server_hostname: str | None = None
    http1_only: bool = False
    limits: tuple[int, int, int] | None = None
    way: Way | None = None

    @property
    def over_tls(self) -> bool:
        """True when the bytes of the connection are carried by TLS, to whomever."""
        return self.is_ssl or (self.proxy is not None and self.proxy.scheme == "https")

    @property
    def origin(self) -> str:
        """What the connections are to, as in ``https://example.org:443``."""
        scheme = "https" if self.is_ssl else "http"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}" if self.port is None else f"{scheme}://{host}:{self.port}"


class _RequestInfo(NamedTuple):
    url: URL
    method: str
    headers: CIMultiDictProxy[str]
    real_url: URL


class RequestInfo(_RequestInfo):
    """What was asked for.  ``real_url`` still has its fragment; by default it is ``url``."""

    __slots__ = ()

    def __new__(
        cls,
        url: URL,
        method: str,
        headers: CIMultiDictProxy[str],
        real_url: URL | None = None,
    ) -> Self:
        return super().__new__(cls, url, method, headers, url if real_url is None else real_url)

    def __repr__(self) -> str:
        # Errors show it, and they end up in logs.
        url, real_url = (without_credentials(repr(url)) for url in (self.url, self.real_url))
        return (
            f"RequestInfo(url={url}, method={self.method!r},"
            f" headers={show_fields(self.headers)}, real_url={real_url})"
        )


class Server(NamedTuple):
    """What the scheme and the authority of a URL mean for a request."""

    host: str
    port: int | None
    is_ssl: bool
    authority: str
    """The value of Host, or ``:authority``."""
    authorization: str | None
    """The Authorization that the credentials in the URL mean."""
    key: ConnectionKey


_known: Final[FieldCache[tuple[str, str], Server]] = FieldCache()
"""Servers by scheme and authority: redirects may lead to any number of them."""


def find_server(url: URL) -> Server:
    """Return who answers for ``url``, and as whom to ask.  Raises InvalidUrlClientError."""
    authority = url.raw_authority
    key = (url.scheme, authority)
    server = _known.entries.get(key)
    if server is None:
        server = _take_apart(url)
        if "@" not in authority:  # Credentials are not kept.
            _known.add(key, server, len(authority))
    return server


def _take_apart(url: URL) -> Server:
    host = url.raw_host
    if not host:
        raise InvalidUrlClientError(url, "there is no host")
    if is_legacy_ipv4(host):
        raise InvalidUrlClientError(url, "the host is a number, but no IPv4 address")
    host = host.removesuffix(".")
    if not is_host(host):
        raise InvalidUrlClientError(url, "the host is neither a name nor an address")
    host = unquote_zone(host)
    is_ssl = url.scheme in _SECURE_SCHEMES
    return Server(
        host=host,
        port=url.port,
        is_ssl=is_ssl,
        authority=without_zone(url.host_port_subcomponent or host),
        authorization=_url_credentials(url),
        key=ConnectionKey(host, url.port, is_ssl),
    )


def _url_credentials(url: URL) -> str | None:
    """Return the Authorization that a URL means.  Raises InvalidUrlClientError."""
    if not (url.raw_user or url.raw_password):
        return None
    try:
        return encode_basic_credentials(url.user or "", url.password or "", "latin1")
    except ValueError as error:
        raise InvalidUrlClientError(url, f"the credentials cannot be sent: {error}") from error


def check_proxy(url: URL) -> URL:
    """Return ``url`` if it is one of a proxy, with its port.  Raises InvalidURL."""
    if url.scheme not in DEFAULT_PORTS:
        raise InvalidURL(strip_auth_from_url(url)[0], "the scheme is none of a proxy")
    if not is_host((url.raw_host or "").removesuffix(".")):
        raise InvalidURL(
            strip_auth_from_url(url)[0], "there is no host, or none that can be looked up"
        )
    return url if url.port is not None else url.with_port(DEFAULT_PORTS[url.scheme])


def proxy_key(key: ConnectionKey) -> ConnectionKey:
    """Return the key of a connection to the proxy of ``key`` itself.

    The certificate of a proxy is verified as that of a server is, but a fingerprint and another
    name for it are the server's.
    """
    proxy = key.proxy
    assert proxy is not None
    ssl = key.ssl if isinstance(key.ssl, bool | ssl_module.SSLContext) else True
    host = unquote_zone((proxy.raw_host or "").removesuffix("."))
    return ConnectionKey(host, proxy.port, proxy.scheme == "https", ssl)


def origin(url: URL) -> Origin:
    """Return who answers for ``url``."""
    return Origin(url.scheme, url.raw_host or "", url.port)


class RedirectUrls:
    """What the machine of a call asks of URLs (``plait_engine.policy.call.Urls``).

    ``requote``: quote what a server wrote into Location again.
    """

    def __init__(self, requote: bool) -> None:
        self._requote = requote

    def join(self, url: URL, location: str) -> URL:
        """Return where ``location`` leads from ``url`` (RFC 9110 section 10.2.2).

        Raises InvalidUrlRedirectClientError, and NonHttpUrlRedirectClientError for another
        scheme.
        """
        try:
            there = URL(location, encoded=not self._requote)
        except ValueError as error:
            raise InvalidUrlRedirectClientError(
                location, "Server attempted redirecting to a location that does not look like a URL"
            ) from error
        if there.scheme not in HTTP_SCHEMES:
            raise NonHttpUrlRedirectClientError(location)
        try:
            rest = location.strip().partition(":")[2]
            if there.scheme == url.scheme and rest and not rest.startswith("//"):
                # "http:path", as RFC 3986 section 5.2.2 lets clients read it; with an empty
                # authority it stays invalid (RFC 9110 section 4.2.1).
                there = URL.build(
                    path=there.raw_path,
                    query_string=there.raw_query_string,
                    fragment=there.raw_fragment,
                    encoded=True,
                )
            if not there.scheme:
                there = url.join(there)
            if url.raw_fragment and not there.raw_fragment:
                there = there.with_fragment(url.fragment)
            there.origin()
        except ValueError as error:
            raise InvalidUrlRedirectClientError(there, "Invalid redirect URL origin") from error
        return there

    def origin(self, url: URL) -> Origin:
        """Return who answers for ``url``."""
        return origin(url)

    def has_credentials(self, url: URL) -> bool:
        """Tell whether ``url`` says who asks."""
        return bool(url.raw_user or url.raw_password)


REQUOTED: Final = RedirectUrls(True)
VERBATIM: Final = RedirectUrls(False)
