"""The connectors: they open connections and give places on them to requests.

Strategy
--------
Which request gets which place is decided by the pool, and ``calls.places`` does what it
says.  A connector knows how a connection is opened: over TCP, with TLS where the URL says
so, or over a Unix socket.  A name becomes addresses by ``calls.names``; they are tried in the
way of RFC 8305 (aiohappyeyeballs).  ALPN then decides the version.

``connect`` gives a ``Connection``: a lease of one place (see ``calls.lease``).
"""

from __future__ import annotations

import asyncio
import random
import socket
import ssl as ssl_module
import warnings
from collections.abc import Awaitable, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import aiohappyeyeballs
from aiohappyeyeballs import AddrInfoType, SocketFactoryType

from plait_engine.engines import EngineName
from plait_engine.policy.addresses import AddressCache
from plait_engine.policy.pool import Pool
from plait_engine.policy.stats import PoolStats
from plait_engine.policy.versions import Versions

from .abc import AbstractResolver, ResolveResult
from .calls.configs import Configs
from .calls.connection import ClientConnection
from .calls.lease import Lease as Connection
from .calls.lease import Ticket
from .calls.names import Names, addr_info
from .calls.places import Places, TicketPool, in_time
from .calls.target import ConnectionKey
from .calls.timeouts import DEFAULT_TIMEOUT, ClientTimeout
from .calls.tls import Fingerprint, TLSContexts, merge_ssl_params
from .calls.traces import PlaceTrace
from .client_exceptions import (
    ClientConnectionError,
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientConnectorSSLError,
    ConnectionTimeoutError,
    ServerFingerprintMismatch,
    UnixClientConnectorError,
)
from .helpers import _SENTINEL, sentinel
from .resolver import DefaultResolver
from .transport.driver import Driver
from .transport.stream import StreamProtocol

if TYPE_CHECKING:
    from .client_reqrep import ClientRequest
    from .tracing import Trace

__all__ = (
    "AddrInfoType",
    "BaseConnector",
    "Connection",
    "SocketFactoryType",
    "TCPConnector",
    "UnixConnector",
)

KEEP_ALIVE: Final = 15.0
"""Seconds after which an idle connection is closed."""


class _Closing:
    """What ``close()`` returns: await it to wait for the end of all connections."""

    def __init__(self, connector: BaseConnector) -> None:
        self._connector = connector

    def __await__(self) -> Generator[Any, None, None]:
        return self._connector.wait_closed().__await__()


class BaseConnector:
    """What connectors have in common.

    Args:
        keepalive_timeout: seconds after which an idle connection is closed, 15 by
            default; ``None``: never.
        force_close: close each connection after one request.
        limit: connections at most, 0 for no limit.
        limit_per_host: connections to one server at most, 0 for no limit.
        enable_cleanup_closed: has no effect: connections are always closed properly.
        http2: ``None``: HTTP/2 where ALPN chooses it on TLS, HTTP/1.1 on cleartext;
            ``True``: HTTP/2 only, by prior knowledge on cleartext; ``False``: HTTP/1.1
            only.  (plait's own.)
        engine: ``"native"`` or ``"reference"``.  (plait's own.)
        max_connection_age: seconds after which a connection takes no more requests, less up to
            a tenth, so that not all end at once; it is closed when those are done that it has.
            ``None``, the default: never.  (plait's own.)
        max_connection_requests: how many requests a connection takes; ``None``, the default:
            any number.  (plait's own.)

    Raises ValueError for ``force_close`` with ``keepalive_timeout``, and for a maximal age or
    number of requests that is not above 0.
    """

    allowed_protocol_schema_set = frozenset({"", "http", "https", "ws", "wss"})

    _closed = True
    """Until ``__init__`` is through, should that fail."""

    _ssl_shutdown_timeout: float | None = None
    """Seconds for which the closure alert of a server is waited for, if that was said."""

    def __init__(
        self,
        *,
        keepalive_timeout: _SENTINEL | float | None = sentinel,
        force_close: bool = False,
        limit: int = 100,
        limit_per_host: int = 0,
        enable_cleanup_closed: bool = False,
        loop: asyncio.AbstractEventLoop | None = None,
        timeout_ceil_threshold: float = 5,
        http2: bool | None = None,
        engine: EngineName = "native",
        max_connection_age: float | None = None,
        max_connection_requests: int | None = None,
    ) -> None:
        keep_alive = KEEP_ALIVE if keepalive_timeout is sentinel else keepalive_timeout
        if force_close:
            if keepalive_timeout is not None and keepalive_timeout is not sentinel:
                raise ValueError("keepalive_timeout cannot be set if force_close is True")
            keep_alive = 0
        self._loop = loop or asyncio.get_running_loop()
        self._force_close = force_close
        self._engine: EngineName = engine
        pool: TicketPool = Pool(
            limit=limit,
            limit_per_host=limit_per_host,
            keep_alive=keep_alive,
            max_age=max_connection_age,
            max_requests=max_connection_requests,
            random=random.random,
        )
        self._places = Places(pool, self._open, self._loop)
        self._versions: Versions[ConnectionKey] = Versions(http2)
        self._contexts = TLSContexts()
        self._configs = Configs()
        self._closed = False

    def __del__(self, _warn: Any = warnings.warn) -> None:
        if self._closed or not self._places.alive:
            return
        _warn(f"Unclosed connector {self!r}", ResourceWarning, source=self)
        self._places.abort()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    # -- properties ---------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """True after ``close``."""
        return self._closed

    @property
    def force_close(self) -> bool:
        """True when each connection serves one request."""
        return self._force_close

    @property
    def _conns(self) -> dict[ConnectionKey, list[tuple[ClientConnection, float]]]:
        """The idle connections, each with the time since when: programs of others look at them."""
        return self._places.idle()

    @property
    def limit(self) -> int:
        """Connections at most, 0 for no limit."""
        return self._places.pool.limit

    @property
    def limit_per_host(self) -> int:
        """Connections to one server at most, 0 for no limit."""
        return self._places.pool.limit_per_host

    @property
    def http2(self) -> bool | None:
        """The ``http2`` argument."""
        return self._versions.http2

    @property
    def engine(self) -> EngineName:
        """The engine behind the connections."""
        return self._engine

    def stats(self) -> PoolStats:
        """Return how many connections and requests there are now, in all and of each host.

        ``session.connector.stats().hosts["https://example.org:443"].open``, for instance.
        Connections that are being closed do not count.  (plait's own.)
        """
        return PoolStats.of((key.origin, stats) for key, stats in self._places.pool.stats())

    # -- for requests -----------------------------------------------------------------

    async def connect(
        self, req: ClientRequest, traces: list[Trace], timeout: ClientTimeout
    ) -> Connection:
        """Return a place on a connection for ``req``.

        Raises ClientConnectorError and others when there is none to be had,
        ConnectionTimeoutError when it takes too long.
        """
        key = req.connection_key
        if self._versions.requires_http1(key):
            key = key._replace(http1_only=True)
        if not traces and (connection := self._take(key)) is not None:
            return connection
        ticket = Ticket(key, req.clock, req.is_sent_again)
        if traces:
            return await self._place_traced(ticket, traces, timeout)
        return await self._wait(ticket, timeout)

    async def connect_websocket(
        self, req: ClientRequest, traces: list[Trace], timeout: ClientTimeout
    ) -> Connection:
        """Return a place on a connection that can carry a WebSocket.

        That is a stream of an HTTP/2 connection that is open already, has a place free and
        whose server accepts extended CONNECT (RFC 8441), or else an HTTP/1.1 connection of
        its own.
        """
        ticket = Ticket(req.connection_key, req.clock, req.is_sent_again)
        if self.http2 is True or self._places.pool.has_place(ticket.connection_key):
            connection = await self._place_traced(ticket, traces, timeout)
            try:
                if await self._takes_websocket(connection.client, ticket, timeout):
                    return connection
            except BaseException:
                connection.release()
                raise
            connection.release()
            if self.http2 is True:
                raise ClientConnectionError(
                    "the server does not accept WebSockets over HTTP/2 (RFC 8441)"
                )
        key = ticket.connection_key._replace(http1_only=True)
        ticket = Ticket(key, req.clock, req.is_sent_again)
        return await self._place_traced(ticket, traces, timeout)

    async def _place_traced(
        self, ticket: Ticket, traces: list[Trace], timeout: ClientTimeout
    ) -> Connection:
        """Return a place for ``ticket``, and tell ``traces`` how it came to that."""
        trace = ticket.trace = PlaceTrace(traces)
        key = ticket.connection_key
        connection = self._take(key)
        if connection is None:
            if not self._places.pool.would_open(key):
                await trace.queue()
            connection = self._take(key) or await self._wait(ticket, timeout)
        try:
            await trace.place()
        except BaseException:
            connection.release()
            raise
        return connection

    async def _takes_websocket(
        self, client: ClientConnection, ticket: Ticket, timeout: ClientTimeout
    ) -> bool:
        """Tell whether a WebSocket can begin on ``client``, once the peer's SETTINGS came."""
        if client.shared:
            waiter: asyncio.Future[None] = self._loop.create_future()
            client.settings.add_done_callback(lambda _: _end(waiter))
            await in_time(waiter, ticket, timeout.connect)
        return client.extended_connect or not client.shared

    def _take(self, key: ConnectionKey) -> Connection | None:
        if self._closed:
            raise ClientConnectionError("Connector is closed.")
        return self._places.take(key)

    async def _wait(self, ticket: Ticket, timeout: ClientTimeout) -> Connection:
        key = ticket.connection_key
        may_share = self._versions.may_share(secure=key.is_ssl, http1_only=key.http1_only)
        return await self._places.wait(ticket, timeout.connect, may_share=may_share)

    def require_http1(self, key: ConnectionKey) -> None:
        """The server wants HTTP/1.1 (HTTP_1_1_REQUIRED): remember it."""
        self._versions.require_http1(key)

    # -- opening ----------------------------------------------------------------------------

    async def _open(self, ticket: Ticket) -> ClientConnection:
        """Open a connection for ``ticket``, in time."""
        timeout = DEFAULT_TIMEOUT if ticket.clock is None else ticket.clock.timeout
        try:
            async with asyncio.timeout(timeout.sock_connect or None):
                if ticket.trace is None:
                    return await self._create_connection(ticket, [], timeout)
                await ticket.trace.begin_opening()
                client = await self._create_connection(ticket, [], timeout)
                try:
                    await ticket.trace.end_opening()
                except BaseException:
                    client.driver.abort()
                    raise
                return client
        except TimeoutError as exc:
            raise ConnectionTimeoutError(
                f"Connection timeout to host {ticket} after {timeout.sock_connect} s"
            ) from exc

    async def _create_connection(
        self, ticket: Ticket, traces: list[Trace], timeout: ClientTimeout
    ) -> ClientConnection:
        """Open a connection for ``ticket``.  Subclasses do it."""
        raise NotImplementedError

    def _make_protocol(self, ticket: Ticket) -> StreamProtocol[ClientConnection]:
        """Return the protocol of a connection for ``ticket``, for asyncio to connect."""
        key = ticket.connection_key

        def connect(transport: asyncio.Transport, negotiated: str | None) -> ClientConnection:
            protocol = self._versions.spoken(
                negotiated, secure=key.is_ssl, http1_only=key.http1_only
            )
            return self.connection_made(key, transport, protocol)

        return StreamProtocol(connect, loop=self._loop)

    def connection_made(
        self, key: ConnectionKey, transport: asyncio.Transport, protocol: str
    ) -> ClientConnection:
        """Return the client's side of a new connection on ``transport``, whatever that is.

        The caller starts its ``driver`` and gives that what comes.
        """
        client = ClientConnection(
            self._places,
            self._configs.find(key, self._ssl_shutdown_timeout),
            transport,
            loop=self._loop,
            protocol=protocol,
            engine=self._engine,
        )
        self._places.alive.add(client)
        return client

    def _protocols(self, key: ConnectionKey) -> tuple[str, ...]:
        """Return what to offer by ALPN."""
        return self._versions.offers(http1_only=key.http1_only)

    async def _start(
        self,
        ticket: Ticket,
        protocol: StreamProtocol[ClientConnection],
        opening: Awaitable[Any],
    ) -> ClientConnection:
        """Await ``opening`` (of a connection to ``protocol``); say what failed in our words."""
        key = ticket.connection_key
        try:
            await opening
        except ssl_module.CertificateError as exc:
            raise ClientConnectorCertificateError(key, exc) from exc
        except ssl_module.SSLError as exc:
            raise ClientConnectorSSLError(key, exc) from exc
        except OSError as exc:
            if exc.errno is None and isinstance(exc, TimeoutError):
                raise
            raise self._connector_error(key, exc) from exc
        client = protocol.owner
        self._check_protocol(key, client.driver)
        return client

    def _connector_error(self, key: ConnectionKey, error: OSError) -> ClientConnectorError:
        return ClientConnectorError(key, error)

    def _check_protocol(self, key: ConnectionKey, driver: Driver) -> None:
        wanted = self._protocols(key)
        if key.is_ssl and driver.engine.protocol not in wanted:
            driver.abort()
            message = f"the server does not speak {wanted[0]}, which was asked for by ALPN"
            raise ClientConnectorError(key, OSError(None, message))

    # -- the end -----------------------------------------------------------------------------

    def close(self, *, abort_ssl: bool = False) -> Awaitable[None]:
        """Close all connections.  Await the result, which takes a moment, and all are closed.

        Servers are told by the closure alert of TLS and by GOAWAY, and their answers are not
        waited for.  Without awaiting it, the rest goes on in the background: up to 2 seconds.

        ``abort_ssl``: drop TLS connections instead of closing TLS properly.
        """
        if not self._closed:
            self._closed = True
            if not self._loop.is_closed():
                self._places.close(abort_tls=abort_ssl)
        return _Closing(self)

    async def wait_closed(self) -> None:
        """See that no socket is open any more, after ``close``."""
        await self._places.wait_closed(self._ssl_shutdown_timeout or 0.0)


class TCPConnector(BaseConnector):
    """Connects over TCP, with TLS where the URL says so.

    Args:
        ssl: ``True``: verify certificates; ``False``: do not; an ``ssl.SSLContext``; or a
            ``Fingerprint``.  The context's ALPN protocols are set by the connector.
        use_dns_cache: keep addresses for ``ttl_dns_cache`` seconds (``None``: for ever),
            those of ``dns_cache_max_size`` hosts at most.
        family: ``socket.AF_INET`` or ``AF_INET6``; both by default.
        local_addr: the address to connect from.
        resolver: finds addresses; it is not closed with the connector.
        happy_eyeballs_delay: seconds before the next address is tried beside the one
            that does not answer (RFC 8305); ``None``: one after the other.
        interleave: how addresses of both families alternate, see aiohappyeyeballs.
        socket_factory: makes the sockets.
        ssl_shutdown_timeout: deprecated: seconds that ``close()`` waits for the closure alerts
            of servers (RFC 8446 section 6.1), none by default; ours is always sent.

    The other arguments are those of ``BaseConnector``.
    """

    allowed_protocol_schema_set = BaseConnector.allowed_protocol_schema_set | {"tcp"}

    def __init__(
        self,
        *,
        verify_ssl: bool = True,
        fingerprint: bytes | None = None,
        use_dns_cache: bool = True,
        ttl_dns_cache: int | None = 10,
        dns_cache_max_size: int = 1000,
        family: socket.AddressFamily = socket.AF_UNSPEC,
        ssl_context: ssl_module.SSLContext | None = None,
        ssl: bool | Fingerprint | ssl_module.SSLContext = True,
        local_addr: tuple[str, int] | None = None,
        resolver: AbstractResolver | None = None,
        keepalive_timeout: _SENTINEL | float | None = sentinel,
        force_close: bool = False,
        limit: int = 100,
        limit_per_host: int = 0,
        enable_cleanup_closed: bool = False,
        loop: asyncio.AbstractEventLoop | None = None,
        timeout_ceil_threshold: float = 5,
        happy_eyeballs_delay: float | None = 0.25,
        interleave: int | None = None,
        socket_factory: SocketFactoryType | None = None,
        ssl_shutdown_timeout: _SENTINEL | float | None = sentinel,
        http2: bool | None = None,
        engine: EngineName = "native",
        max_connection_age: float | None = None,
        max_connection_requests: int | None = None,
    ) -> None:
        super().__init__(
            keepalive_timeout=keepalive_timeout,
            force_close=force_close,
            limit=limit,
            limit_per_host=limit_per_host,
            enable_cleanup_closed=enable_cleanup_closed,
            loop=loop,
            timeout_ceil_threshold=timeout_ceil_threshold,
            http2=http2,
            engine=engine,
            max_connection_age=max_connection_age,
            max_connection_requests=max_connection_requests,
        )
        if ssl_shutdown_timeout is not sentinel:
            warnings.warn(
                "The ssl_shutdown_timeout parameter is deprecated",
                DeprecationWarning,
                stacklevel=2,
            )
            self._ssl_shutdown_timeout = ssl_shutdown_timeout
        self._ssl = merge_ssl_params(ssl, verify_ssl, ssl_context, fingerprint)
        self._resolver = resolver or DefaultResolver(self._loop)
        self._resolver_owner = resolver is None
        cache: AddressCache[ResolveResult] | None = (
            AddressCache(ttl_dns_cache, dns_cache_max_size) if use_dns_cache else None
        )
        self._names = Names(self._ask_resolver, cache, self._loop)
        self._family = family
        self._local_addr_infos = (
            None if local_addr is None else aiohappyeyeballs.addr_to_addr_infos(local_addr)
        )
        self._happy_eyeballs_delay = happy_eyeballs_delay
        self._interleave = interleave
        self._socket_factory = socket_factory

    @property
    def family(self) -> int:
        """The address family to use."""
        return self._family

    @property
    def use_dns_cache(self) -> bool:
        """True when addresses are kept."""
        return self._names.cache is not None

    def clear_dns_cache(self, host: str | None = None, port: int | None = None) -> None:
        """Forget the addresses of ``host`` and ``port``, or all.

        Raises ValueError when only one of the two is given.
        """
        self._names.forget(host, port)

    async def wait_closed(self) -> None:
        await self._names.close()
        await super().wait_closed()
        if self._resolver_owner:
            await self._resolver.close()

    async def _create_connection(
        self, ticket: Ticket, traces: list[Trace], timeout: ClientTimeout
    ) -> ClientConnection:
        key = ticket.connection_key
        try:
            addresses = await self._find_addresses(key.host, key.port or 0, ticket.trace)
        except OSError as exc:
            if exc.errno is None and isinstance(exc, TimeoutError):
                raise
            raise ClientConnectorDNSError(key, exc) from exc
        while True:
            try:
                return await self._connect_first(ticket, key, addresses)
            except (ClientConnectorError, ServerFingerprintMismatch):
                if not addresses:
                    raise

    async def _find_addresses(
        self, host: str, port: int, trace: PlaceTrace | None
    ) -> list[AddrInfoType]:
        """Return the addresses of ``host``.  Raises OSError when there are none."""
        resolved = await self._resolve_host(host, port, trace)
        found = [addr_info(address) for address in resolved]
        found = [info for info in found if self._family in (socket.AF_UNSPEC, info[0])]
        if not found:
            raise OSError(None, f"no address of the family {self._family!r} for {host}")
        return found

    async def _connect_first(
        self, ticket: Ticket, key: ConnectionKey, addresses: list[AddrInfoType]
    ) -> ClientConnection:
        """Connect to the first of ``addresses`` that answers; take out of them what was tried."""
        protocol = self._make_protocol(ticket)
        if not key.is_ssl:
            return await self._start(
                ticket, protocol, self._connect_tcp(protocol, addresses, None, None)
            )
        option = self._ssl if key.ssl is True else key.ssl
        name = key.server_hostname or key.host.rstrip(".")
        async with self._contexts.offering(option, self._protocols(key)) as context:
            client = await self._start(
                ticket, protocol, self._connect_tcp(protocol, addresses, context, name)
            )
        if isinstance(option, Fingerprint):
            certificate = client.driver.get_extra_info("ssl_object").getpeercert(binary_form=True)
            try:
                option.check_certificate(certificate, key.host, key.port or 0)
            except Exception:
                client.driver.abort()
                raise
        return client

    async def _connect_tcp(
        self,
        protocol: StreamProtocol[ClientConnection],
        addresses: list[AddrInfoType],
        context: ssl_module.SSLContext | None,
        server_hostname: str | None,
    ) -> None:
        tried, addresses[:] = addresses[:], []
        sock = await aiohappyeyeballs.start_connection(
            addr_infos=tried,
            local_addr_infos=self._local_addr_infos,
            happy_eyeballs_delay=self._happy_eyeballs_delay,
            interleave=self._interleave,
            loop=self._loop,
            socket_factory=self._socket_factory,
        )
        factory = _Factory(protocol)
        try:
            peer = sock.getpeername()
            others = [info for info in tried if info[-1] != peer]
            # An address may have been written in another way than the system does.  Then
            # nobody can tell which one it was, and none is tried again.
            addresses[:] = others if len(others) < len(tried) else []
            await self._loop.create_connection(
                factory, sock=sock, ssl=context, server_hostname=server_hostname
            )
        except BaseException:
            if not factory.called:
                sock.close()
            raise

    async def _resolve_host(
        self, host: str, port: int, trace: PlaceTrace | None = None
    ) -> list[ResolveResult]:
        """Return the addresses of ``host``; who asks at the same time shares one look-up."""
        return await self._names.find(host, port, trace)

    async def _ask_resolver(self, host: str, port: int) -> list[ResolveResult]:
        return await self._resolver.resolve(host, port, family=self._family)


class UnixConnector(BaseConnector):
    """Connects to a Unix socket, whatever host the URL names."""

    allowed_protocol_schema_set = BaseConnector.allowed_protocol_schema_set | {"unix"}

    def __init__(
        self,
        path: str,
        force_close: bool = False,
        keepalive_timeout: _SENTINEL | float | None = sentinel,
        limit: int = 100,
        limit_per_host: int = 0,
        loop: asyncio.AbstractEventLoop | None = None,
        *,
        http2: bool | None = None,
        engine: EngineName = "native",
        max_connection_age: float | None = None,
        max_connection_requests: int | None = None,
    ) -> None:
        super().__init__(
            force_close=force_close,
            keepalive_timeout=keepalive_timeout,
            limit=limit,
            limit_per_host=limit_per_host,
            loop=loop,
            http2=http2,
            engine=engine,
            max_connection_age=max_connection_age,
            max_connection_requests=max_connection_requests,
        )
        self._path = path

    @property
    def path(self) -> str:
        """The path of the socket."""
        return self._path

    async def _create_connection(
        self, ticket: Ticket, traces: list[Trace], timeout: ClientTimeout
    ) -> ClientConnection:
        key = ticket.connection_key
        protocol = self._make_protocol(ticket)
        if key.is_ssl:
            async with self._contexts.offering(key.ssl, self._protocols(key)) as context:
                return await self._start(
                    ticket, protocol, self._connect_unix(protocol, key, context)
                )
        return await self._start(ticket, protocol, self._connect_unix(protocol, key, None))

    async def _connect_unix(
        self,
        protocol: StreamProtocol[ClientConnection],
        key: ConnectionKey,
        context: ssl_module.SSLContext | None,
    ) -> None:
        await self._loop.create_unix_connection(
            lambda: protocol,
            self._path,
            ssl=context,
            server_hostname=(key.server_hostname or key.host) if context is not None else None,
        )

    def _connector_error(self, key: ConnectionKey, error: OSError) -> ClientConnectorError:
        return UnixClientConnectorError(self._path, key, error)


class _Factory:
    """A protocol factory that knows whether it was called: then a transport owns the socket."""

    def __init__(self, protocol: StreamProtocol[ClientConnection]) -> None:
        self._protocol = protocol
        self.called = False

    def __call__(self) -> StreamProtocol[ClientConnection]:
        self.called = True
        return self._protocol


def _end(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
