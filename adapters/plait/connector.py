"""The connectors: how connections are opened.

``TCPConnector`` opens them over TCP, with TLS where the URL says so (``calls.dialing``), perhaps by
a proxy (``calls.proxy_dialing``); ``calls.names`` looks addresses up.  The others open them over
what has a path: a Unix socket, a named pipe.  ``calls.base_connector`` is what they have in common.
"""

from __future__ import annotations

import asyncio
import functools
import socket
import ssl as ssl_module
import warnings
from typing import TYPE_CHECKING, Any

import aiohappyeyeballs
from aiohappyeyeballs import AddrInfoType, SocketFactoryType

from plait_engine.engines import EngineName
from plait_engine.policy.addresses import AddressCache
from plait_engine.policy.client_config import PING_INTERVAL

from .abc import AbstractResolver, ResolveResult
from .calls.base_connector import BaseConnector
from .calls.connection import ClientConnection
from .calls.dialing import Dialer, check_server
from .calls.lease import Lease as Connection
from .calls.lease import Ticket
from .calls.names import Names, addr_info
from .calls.proxy_dialing import ProxyDialer
from .calls.target import ConnectionKey
from .calls.timeouts import ClientTimeout
from .calls.traces import PlaceTrace
from .calls.verification import Fingerprint, merge_ssl_params
from .client_exceptions import ClientConnectorError, UnixClientConnectorError
from .helpers import _SENTINEL, sentinel
from .resolver import DefaultResolver
from .transport.pipes import check_has_pipes

if TYPE_CHECKING:
    from .tracing import Trace

__all__ = (
    "AddrInfoType",
    "BaseConnector",
    "Connection",
    "NamedPipeConnector",
    "SocketFactoryType",
    "TCPConnector",
    "UnixConnector",
)


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

    _uses_proxies = True

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
        http2_ping_interval: float | None = PING_INTERVAL,
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
            http2_ping_interval=http2_ping_interval,
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
        self._dialer = Dialer(
            self._find_addresses,
            self._protocols,
            self._contexts,
            self._loop,
            ssl=self._ssl,
            local_addr_infos=self._local_addr_infos,
            happy_eyeballs_delay=happy_eyeballs_delay,
            interleave=interleave,
            socket_factory=socket_factory,
        )
        self._proxy_dialer = ProxyDialer(self._dialer, self._loop)

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
        if key.port is None:
            reason = "the URL names no port, and its scheme has no default one"
            raise ClientConnectorError(key, OSError(None, reason))
        make_protocol = functools.partial(self._make_protocol, key)
        if key.proxy is not None:
            return await self._proxy_dialer.open(ticket, make_protocol)
        return await self._dialer.reach_server(key, make_protocol, ticket.trace)

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

    async def _resolve_host(
        self, host: str, port: int, trace: PlaceTrace | None = None
    ) -> list[ResolveResult]:
        """Return the addresses of ``host``; who asks at the same time shares one look-up."""
        return await self._names.find(host, port, trace)

    async def _ask_resolver(self, host: str, port: int) -> list[ResolveResult]:
        return await self._resolver.resolve(host, port, family=self._family)


class _PathConnector(BaseConnector):
    """Connects to what has a path, whatever host the URL names."""

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
        http2_ping_interval: float | None = PING_INTERVAL,
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
            http2_ping_interval=http2_ping_interval,
        )
        self._path = path

    @property
    def path(self) -> str:
        """The path."""
        return self._path


class UnixConnector(_PathConnector):
    """Connects to a Unix socket, whatever host the URL names."""

    allowed_protocol_schema_set = BaseConnector.allowed_protocol_schema_set | {"unix"}

    async def _create_connection(
        self, ticket: Ticket, traces: list[Trace], timeout: ClientTimeout
    ) -> ClientConnection:
        key = ticket.connection_key
        protocol = self._make_protocol(key)
        async with self._contexts.connecting(
            key, key.ssl, self._protocols(key), self._connector_error
        ) as tls:
            try:
                await self._loop.create_unix_connection(lambda: protocol, self._path, **tls)
            except BaseException:
                protocol.give_up()
                raise
        if key.is_ssl:
            check_server(key, protocol.owner, self._protocols(key), key.ssl)
        return protocol.owner

    def _connector_error(self, key: ConnectionKey, error: OSError) -> ClientConnectorError:
        return UnixClientConnectorError(self._path, key, error)


class NamedPipeConnector(_PathConnector):
    """Connects to a named pipe of Windows, whatever host the URL names.

    There is no TLS: ``https`` raises ClientConnectorError.  Raises RuntimeError when the loop
    has no pipes: asyncio's proactor loop has them, on Windows.
    """

    allowed_protocol_schema_set = BaseConnector.allowed_protocol_schema_set | {"npipe"}

    _half_close = False

    def __init__(
        self,
        path: str,
        force_close: bool = False,
        keepalive_timeout: _SENTINEL | float | None = sentinel,
        limit: int = 100,
        limit_per_host: int = 0,
        loop: asyncio.AbstractEventLoop | None = None,
        **options: Any,  # plait's own, those of BaseConnector
    ) -> None:
        check_has_pipes(loop or asyncio.get_running_loop())
        super().__init__(
            path, force_close, keepalive_timeout, limit, limit_per_host, loop, **options
        )

    async def _create_connection(
        self, ticket: Ticket, traces: list[Trace], timeout: ClientTimeout
    ) -> ClientConnection:
        key = ticket.connection_key
        if key.is_ssl:
            raise ClientConnectorError(key, OSError(None, "there is no TLS on a named pipe"))
        protocol = self._make_protocol(key)
        loop: Any = self._loop  # typeshed has these loops on Windows only.
        async with self._contexts.connecting(key, False, (), ClientConnectorError):
            transport, _ = await loop.create_pipe_connection(lambda: protocol, self._path)
        try:
            await asyncio.sleep(0)  # Until asyncio has told the protocol.
        except BaseException:
            transport.abort()
            raise
        return protocol.owner
