"""From a server to a connection: addresses, proxies, TLS.

What a proxy is asked for, and what is said to it, is decided by ``plait_engine.proxy``.  It forwards
each request, which then have another form (``Driver.forwarding``), or it carries a tunnel, in which
the connection is as any other.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

import trio
import yarl

from plait_engine import Config, Headers, Role
from plait_engine.engines import EngineName
from plait_engine.policy.hosts import is_host, unquote_zone
from plait_engine.policy.secrecy import without_credentials
from plait_engine.policy.versions import Versions
from plait_engine.proxy.attempts import TunnelAttempts
from plait_engine.proxy.choice import (
    DEFAULT_PORTS,
    Way,
    choose_addresses,
    choose_way,
    resolves_names,
)
from plait_engine.proxy.forward import Forwarding
from plait_engine.proxy.handshake import (
    HANDSHAKE_TIME,
    Handshake,
    HandshakeState,
    TunnelError,
    TunnelRefusedError,
)
from plait_engine.proxy.login import ProxyLogin, ProxyLogins

from .driver import Driver
from .transport import RECEIVE_SIZE, TrioStream

_PROXY_OFFERS: Final = ("http/1.1",)


class ConnectError(OSError):
    """There is no connection to a server; the message says to which and why."""


class TLSError(ConnectError):
    """The handshake of TLS failed: a certificate is not trusted, for example.

    ``__cause__`` is the ``ssl.SSLError``, if there was one.
    """


class ProxyError(ConnectError):
    """A proxy cannot be reached, or gives no tunnel.

    ``status`` and ``headers`` are those of its answer, if it refused CONNECT.
    """

    status: int | None = None
    headers: Headers = ()


@dataclass(frozen=True)
class Proxy:
    """A proxy; ``read_proxy`` makes it of a URL.

    ``fields``: what an HTTP proxy is told beside the request (``plait_engine.proxy.forward``).
    Raises ValueError for a login with a colon.
    """

    scheme: str
    host: str
    port: int
    login: tuple[str, str] | None = field(default=None, repr=False)
    fields: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if self.login is not None and ":" in self.login[0]:
            raise ValueError("a login must not have a colon (RFC 7617 section 2)")

    def __str__(self) -> str:
        return f"proxy {_join(self.host, self.port)}"


class Server(NamedTuple):
    """What makes two connections interchangeable: to whom they lead, and how.

    ``http1_only``: HTTP/2 must not be spoken on it.  ``opaque``: what is said on it is nothing that
    a proxy could forward.
    """

    host: str
    port: int
    secure: bool
    http1_only: bool = False
    proxy: Proxy | None = None
    opaque: bool = False

    def __str__(self) -> str:
        return _join(self.host, self.port)

    @property
    def origin(self) -> str:
        """What the connections are to, as in ``https://example.org:443``."""
        return f"{'https' if self.secure else 'http'}://{self}"


def _join(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def read_proxy(text: str) -> Proxy:
    """Return the proxy that ``text`` names, a URL; without a scheme it is an HTTP proxy.

    Raises ValueError, whose message has no credentials.
    """
    text = text if "://" in text else f"http://{text}"
    shown = without_credentials(text)
    try:
        url = yarl.URL(text)
        host = unquote_zone((url.raw_host or "").removesuffix("."))
        port = url.explicit_port
    except ValueError:
        raise ValueError(f"{shown!r} is no URL") from None
    if url.scheme not in DEFAULT_PORTS or not is_host(host):
        raise ValueError(
            f"{shown!r} is not the URL of a proxy with one of the schemes"
            f" {', '.join(DEFAULT_PORTS)}"
        )
    login = None
    if url.raw_user or url.raw_password:
        login = (url.user or "", url.password or "")
    return Proxy(url.scheme, host, DEFAULT_PORTS[url.scheme] if port is None else port, login)


class Dialer:
    """Opens connections; see the module.

    Args:
        versions: what to offer to servers.
        ssl_context: the system's trusted certificates by default, which are read in a thread.
        config: of the engine.
        engine: ``"native"`` or ``"reference"``.
    """

    def __init__(
        self,
        versions: Versions[Server],
        ssl_context: ssl.SSLContext | None,
        config: Config,
        engine: EngineName,
    ) -> None:
        self._versions = versions
        self._ssl_context = ssl_context
        self._config = config
        self._engine = engine
        self._logins = ProxyLogins(os.urandom)
        self._loading = trio.Lock()

    async def connect(self, server: Server) -> Driver:
        """Open a connection to ``server``; whoever gets the driver runs it.

        Raises ConnectError, and ValueError for what cannot be said to a proxy.
        """
        versions = self._versions
        proxy = server.proxy
        forwarding: Forwarding | None = None
        surplus = b""
        if proxy is None:
            stream = await _open_tcp(server.host, server.port, ConnectError, str(server))
        else:
            way = self._way(server, proxy)
            login = self._logins.find(
                (proxy.scheme, proxy.host, proxy.port),
                None if proxy.login is None else (*proxy.login, "utf-8"),
            )
            if way is Way.FORWARD:
                stream = await self._reach_proxy(proxy)
                forwarding = Forwarding(proxy.fields, login)
            else:
                stream, surplus = await self._open_tunnel(server, proxy, way, login)
        try:
            negotiated = None
            if server.secure:
                offers = versions.offers(http1_only=server.http1_only)
                stream, negotiated = await self._start_tls(stream, server.host, str(server), offers)
            config = replace(self._config, scheme="https" if server.secure else "http")
            protocol = versions.spoken(
                negotiated, secure=server.secure, http1_only=server.http1_only
            )
            driver = Driver(stream, Role.CLIENT, config, protocol=protocol, engine=self._engine)
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise
        driver.forwarding = forwarding
        driver.peer = f"{server}, {'HTTP/2' if protocol == 'h2' else 'HTTP/1.1'}"
        if surplus:
            driver.receive_data(surplus)
        return driver

    def _way(self, server: Server, proxy: Proxy) -> Way:
        shares = self._versions.may_share(secure=server.secure, http1_only=server.http1_only)
        return choose_way(proxy.scheme, secure=server.secure, opaque=server.opaque or shares)

    # -- proxies --------------------------------------------------------------------

    async def _reach_proxy(self, proxy: Proxy) -> TrioStream:
        """Connect to ``proxy`` itself."""
        stream = await _open_tcp(proxy.host, proxy.port, ProxyError, f"the {proxy}")
        if proxy.scheme != "https":
            return stream
        try:
            return (await self._start_tls(stream, proxy.host, f"the {proxy}", _PROXY_OFFERS))[0]
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise

    async def _open_tunnel(
        self, server: Server, proxy: Proxy, way: Way, login: ProxyLogin | None
    ) -> tuple[TrioStream, bytes]:
        """Return a tunnel to ``server``, and the first bytes that came in it."""
        hosts = [server.host] if resolves_names(proxy.scheme) else await _look_up(server, proxy)
        attempts = TunnelAttempts(
            way, proxy.scheme, hosts, server.port, headers=proxy.fields, login=login
        )
        while True:
            stream = await self._reach_proxy(proxy)
            try:
                surplus = await _shake_hands(stream, attempts.begin())
                if surplus and server.secure:
                    # A server waits for the client's hello, so the proxy sent it itself.
                    raise TunnelError("the proxy sent something before TLS began")
                return stream, surplus
            except TunnelError as error:
                await trio.aclose_forcefully(stream)
                if attempts.goes_on(error):
                    continue
                failure = ProxyError(f"no tunnel to {server} by the {proxy}: {error}")
                if isinstance(error, TunnelRefusedError):
                    failure.status, failure.headers = error.status, error.headers
                raise failure from error
            except BaseException:
                await trio.aclose_forcefully(stream)
                raise

    # -- TLS --------------------------------------------------------------------------

    async def _start_tls(
        self, transport: TrioStream, host: str, whom: str, offers: tuple[str, ...]
    ) -> tuple[TrioStream, str | None]:
        """Return the stream inside TLS, and what was chosen by ALPN.  Raises TLSError."""
        context = await self._trusted()
        context.set_alpn_protocols(list(offers))  # The next line takes them over.
        stream = trio.SSLStream(transport, context, server_hostname=host, https_compatible=True)
        try:
            await stream.do_handshake()
        except trio.BrokenResourceError as error:
            cause = error.__cause__
            if isinstance(cause, ssl.SSLCertVerificationError):
                reason = f"its certificate is not trusted: {cause.verify_message}"
            else:
                reason = str(cause or "") or "the connection was closed"
            raise TLSError(f"no TLS with {whom}: {reason}") from cause
        negotiated = stream.selected_alpn_protocol()
        if (negotiated or "http/1.1") not in offers:
            raise TLSError(f"no TLS with {whom}: the server does not speak {offers[0]}")
        return stream, negotiated

    async def _trusted(self) -> ssl.SSLContext:
        """Return the context that says whom to trust."""
        async with self._loading:
            if self._ssl_context is None:
                # It reads the certificates from files.
                load = ssl.create_default_context
                self._ssl_context = await trio.to_thread.run_sync(load, abandon_on_cancel=True)
            return self._ssl_context


async def _open_tcp(host: str, port: int, error_class: type[ConnectError], whom: str) -> TrioStream:
    try:
        return await trio.open_tcp_stream(host, port)
    except OSError as error:
        raise error_class(f"no connection to {whom}: {error}") from error


async def _look_up(server: Server, proxy: Proxy) -> list[str]:
    """Return the addresses of ``server`` that ``proxy`` can be asked for."""
    try:
        found = await trio.socket.getaddrinfo(
            server.host, server.port, type=trio.socket.SOCK_STREAM
        )
        return choose_addresses(proxy.scheme, [str(info[4][0]) for info in found])
    except OSError as error:
        raise ConnectError(f"no connection to {server}: {error}") from error


async def _shake_hands(stream: TrioStream, handshake: Handshake) -> bytes:
    """Carry ``handshake`` out; return the first bytes of the tunnel.  Raises TunnelError."""
    with trio.move_on_after(HANDSHAKE_TIME):
        handshake.start(trio.current_time())
        try:
            await _exchange(stream, handshake)
        except trio.BrokenResourceError:
            handshake.receive_eof(trio.current_time())
        if handshake.error is not None:
            raise handshake.error
        return handshake.surplus
    raise TunnelError(f"the proxy did not answer within {HANDSHAKE_TIME:g} s")


async def _exchange(stream: TrioStream, handshake: Handshake) -> None:
    while True:
        if output := handshake.data_to_send():
            await stream.send_all(output)
        if handshake.state is not HandshakeState.PENDING:
            return
        data = bytes(await stream.receive_some(RECEIVE_SIZE))
        if data:
            handshake.receive_data(data, trio.current_time())
        else:
            handshake.receive_eof(trio.current_time())
