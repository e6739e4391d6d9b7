"""The connectors that programs use: over TCP, with TLS where the URL says so, and over Unix
sockets.  What they have in common is in ``connector_base``.

Strategy
--------
A name becomes addresses through a cache; who asks for the same name at the same time shares
one look-up.  The addresses are tried in the way of RFC 8305 (aiohappyeyeballs).  ALPN then
decides the version.
"""

from __future__ import annotations

import asyncio
import socket
import ssl as ssl_module
import warnings
from typing import TYPE_CHECKING, Any

import aiohappyeyeballs
from aiohappyeyeballs import AddrInfoType, SocketFactoryType

from plait_engine.engines import EngineName
from plait_engine.policy.hosts import is_ip_literal

from .abc import AbstractResolver, ResolveResult
from .calls.deadlines import ClientTimeout
from .calls.driver import ClientConnection
from .calls.tls import Fingerprint, merge_ssl_params
from .client_exceptions import (
    ClientConnectorDNSError,
    ClientConnectorError,
    ServerFingerprintMismatch,
    UnixClientConnectorError,
)
from .connector_base import BaseConnector, Connection
from .helpers import _SENTINEL, sentinel
from .resolver import DefaultResolver, DNSCache
from .transport.stream import StreamProtocol

if TYPE_CHECKING:
    from .client_reqrep import ClientRequest, ConnectionKey

__all__ = (
    "AddrInfoType",
    "BaseConnector",
    "Connection",
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
        ssl_shutdown_timeout: deprecated: TLS is always closed properly.

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
        )
        if ssl_shutdown_timeout is not sentinel:
            warnings.warn(
                "The ssl_shutdown_timeout parameter is deprecated and has no effect",
                DeprecationWarning,
                stacklevel=2,
            )
        self._ssl = merge_ssl_params(ssl, verify_ssl, ssl_context, fingerprint)
        self._resolver = resolver or DefaultResolver(self._loop)
        self._resolver_owner = resolver is None
        self._cache = DNSCache(ttl_dns_cache, dns_cache_max_size) if use_dns_cache else None
        self._lookups: dict[tuple[str, int], asyncio.Task[list[ResolveResult]]] = {}
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
        return self._cache is not None

    def clear_dns_cache(self, host: str | None = None, port: int | None = None) -> None:
        """Forget the addresses of ``host`` and ``port``, or all.

        Raises ValueError when only one of the two is given.
        """
        if (host is None) != (port is None):
            raise ValueError("either both host and port or none of them are allowed")
        if self._cache is None:
            return
        if host is not None and port is not None:
            self._cache.remove((host, port))
        else:
            self._cache.clear()

    async def wait_closed(self) -> None:
        lookups = list(self._lookups.values())
        for lookup in lookups:
            lookup.cancel()
        await asyncio.gather(*lookups, return_exceptions=True)
        await super().wait_closed()
        if self._resolver_owner:
            await self._resolver.close()

    async def _create_connection(
        self, req: ClientRequest, traces: list[Any], timeout: ClientTimeout
    ) -> ClientConnection:
        key = req.connection_key
        try:
            addresses = await self._find_addresses(key.host, key.port or 0)
        except OSError as exc:
            if exc.errno is None and isinstance(exc, TimeoutError):
                raise
            raise ClientConnectorDNSError(key, exc) from exc
        while True:
            try:
                return await self._connect_first(req, key, addresses)
            except (ClientConnectorError, ServerFingerprintMismatch):
                if not addresses:
                    raise

    async def _find_addresses(self, host: str, port: int) -> list[AddrInfoType]:
        """Return the addresses of ``host``.  Raises OSError when there are none."""
        found = [_addr_info(address) for address in await self._resolve_host(host, port)]
        found = [info for info in found if self._family in (socket.AF_UNSPEC, info[0])]
        if not found:
            raise OSError(None, f"no address of the family {self._family!r} for {host}")
        return found

    async def _connect_first(
        self, req: ClientRequest, key: ConnectionKey, addresses: list[AddrInfoType]
    ) -> ClientConnection:
        """Connect to the first of ``addresses`` that answers; take out of them what was tried."""
        protocol = self._make_protocol(req)
        if not key.is_ssl:
            return await self._start(
                req, protocol, self._connect_tcp(protocol, addresses, None, None)
            )
        option = self._ssl if key.ssl is True else key.ssl
        name = key.server_hostname or key.host.rstrip(".")
        async with self._contexts.offering(option, self._protocols(key)) as context:
            client = await self._start(
                req, protocol, self._connect_tcp(protocol, addresses, context, name)
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
            addresses[:] = [info for info in tried if info[-1] != peer]
            await self._loop.create_connection(
                factory, sock=sock, ssl=context, server_hostname=server_hostname
            )
        except BaseException:
            if not factory.called:
                sock.close()
            raise

    async def _resolve_host(self, host: str, port: int) -> list[ResolveResult]:
        """Return the addresses of ``host``; who asks at the same time shares one look-up."""
        if is_ip_literal(host):
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            return [
                ResolveResult(hostname=host, host=host, port=port, family=family, proto=0, flags=0)
            ]
        if self._cache is None:
            return await self._resolver.resolve(host, port, family=self._family)
        key = (host, port)
        found = self._cache.find(key, self._loop.time())
        if found is not None:
            return found
        lookup = self._lookups.get(key)
        if lookup is None:
            lookup = self._loop.create_task(self._look_up(key))
            self._lookups[key] = lookup
            lookup.add_done_callback(lambda task: self._end_lookup(key, task))
        return list(await asyncio.shield(lookup))

    async def _look_up(self, key: tuple[str, int]) -> list[ResolveResult]:
        host, port = key
        addresses = await self._resolver.resolve(host, port, family=self._family)
        if not addresses:
            raise OSError(None, f"no address for {host}")
        if self._cache is not None:
            self._cache.add(key, addresses, self._loop.time())
        return addresses

    def _end_lookup(self, key: tuple[str, int], task: asyncio.Task[list[ResolveResult]]) -> None:
        self._lookups.pop(key, None)
        if not task.cancelled():
            task.exception()  # It was raised at whoever waited; nobody else needs it.


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
    ) -> None:
        super().__init__(
            force_close=force_close,
            keepalive_timeout=keepalive_timeout,
            limit=limit,
            limit_per_host=limit_per_host,
            loop=loop,
            http2=http2,
            engine=engine,
        )
        self._path = path

    @property
    def path(self) -> str:
        """The path of the socket."""
        return self._path

    async def _create_connection(
        self, req: ClientRequest, traces: list[Any], timeout: ClientTimeout
    ) -> ClientConnection:
        key = req.connection_key
        protocol = self._make_protocol(req)
        if key.is_ssl:
            async with self._contexts.offering(key.ssl, self._protocols(key)) as context:
                return await self._start(req, protocol, self._connect_unix(protocol, key, context))
        return await self._start(req, protocol, self._connect_unix(protocol, key, None))

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


def _addr_info(address: ResolveResult) -> AddrInfoType:
    family = socket.AddressFamily(address["family"])
    where: tuple[Any, ...] = (address["host"], address["port"])
    if family is socket.AF_INET6:
        host, _, zone = address["host"].partition("%")
        where = (host, address["port"], 0, socket.if_nametoindex(zone) if zone else 0)
    return (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", where)
