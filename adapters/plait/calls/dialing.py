"""From a host to a transport with a protocol on it: addresses, TCP, TLS.

The addresses of a host are tried in the way of RFC 8305 (aiohappyeyeballs).  One whose TLS fails
is taken out, and the others are tried again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeVar

import aiohappyeyeballs
from aiohappyeyeballs import AddrInfoType, SocketFactoryType

from plait.client_exceptions import (
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientProxyConnectionError,
    ServerFingerprintMismatch,
)
from plait.transport.stream import StreamProtocol

from .connection import ClientConnection
from .target import ConnectionKey, proxy_key
from .tls import TLSContexts
from .traces import PlaceTrace
from .tunnel import ClientProtocol
from .verification import Fingerprint, TLSOption

_ProtocolT = TypeVar("_ProtocolT", bound=asyncio.BaseProtocol)
_Result = TypeVar("_Result")

_PROXY_PROTOCOLS = ("http/1.1",)


class FindAddresses(Protocol):
    """Finds the addresses of a host."""

    async def __call__(self, host: str, port: int, trace: PlaceTrace | None) -> list[AddrInfoType]:
        """Return them.  Raises OSError when there are none."""


class Dialer:
    """See the module.

    Args:
        find_addresses: the way from a name to addresses.
        offers: what to offer by ALPN to a server.
        ssl: how TLS verifies where a request does not say it.
        local_addr_infos: the addresses to connect from, if it matters.

    The others are those of ``TCPConnector``.
    """

    def __init__(
        self,
        find_addresses: FindAddresses,
        offers: Callable[[ConnectionKey], tuple[str, ...]],
        contexts: TLSContexts,
        loop: asyncio.AbstractEventLoop,
        *,
        ssl: TLSOption,
        local_addr_infos: list[AddrInfoType] | None,
        happy_eyeballs_delay: float | None,
        interleave: int | None,
        socket_factory: SocketFactoryType | None,
    ) -> None:
        self._find_addresses = find_addresses
        self._offers = offers
        self._contexts = contexts
        self._loop = loop
        self._ssl = ssl
        self._local_addr_infos = local_addr_infos
        self._delay = happy_eyeballs_delay
        self._interleave = interleave
        self._socket_factory = socket_factory

    async def reach_server(
        self,
        key: ConnectionKey,
        make_protocol: Callable[[], ClientProtocol],
        trace: PlaceTrace | None,
    ) -> ClientConnection:
        """Connect to the server of ``key``."""

        async def connect(addresses: list[AddrInfoType]) -> ClientConnection:
            protocol = make_protocol()
            async with self.connecting(key) as tls:
                await self._connect(protocol, addresses, **tls)
            return self.check(key, protocol.owner)

        return await self._try_addresses(key, trace, connect)

    async def reach_proxy(
        self,
        key: ConnectionKey,
        make_protocol: Callable[[], _ProtocolT],
        trace: PlaceTrace | None,
    ) -> _ProtocolT:
        """Connect to the proxy of ``key``."""
        option = self._option(key)
        verified = True if isinstance(option, Fingerprint) else option  # That of the server.
        hop = proxy_key(key)

        async def connect(addresses: list[AddrInfoType]) -> _ProtocolT:
            protocol = make_protocol()
            async with self._contexts.connecting(
                hop, verified, _PROXY_PROTOCOLS, ClientProxyConnectionError
            ) as tls:
                await self._connect(protocol, addresses, **tls)
            return protocol

        return await self._try_addresses(hop, trace, connect)

    def connecting(self, key: ConnectionKey) -> AbstractAsyncContextManager[dict[str, Any]]:
        """Give what is needed for TLS to the server of ``key`` (``TLSContexts.connecting``)."""
        return self._contexts.connecting(
            key, self._option(key), self._offers(key), ClientConnectorError
        )

    def check(self, key: ConnectionKey, client: ClientConnection) -> ClientConnection:
        """Return ``client`` if it has reached the server of ``key``."""
        if key.is_ssl:
            check_server(key, client, self._offers(key), self._option(key))
        return client

    def _option(self, key: ConnectionKey) -> TLSOption:
        return self._ssl if key.ssl is True else key.ssl

    async def look_up(self, key: ConnectionKey, trace: PlaceTrace | None) -> list[AddrInfoType]:
        """Return the addresses of the host of ``key``.  Raises ClientConnectorDNSError."""
        try:
            return await self._find_addresses(key.host, key.port or 0, trace)
        except OSError as exc:
            if exc.errno is None and isinstance(exc, TimeoutError):
                raise
            raise ClientConnectorDNSError(key, exc) from exc

    async def _try_addresses(
        self,
        key: ConnectionKey,
        trace: PlaceTrace | None,
        connect: Callable[[list[AddrInfoType]], Awaitable[_Result]],
    ) -> _Result:
        """Return what ``connect`` makes of the addresses of ``key``.

        It takes out of the list what it tried.
        """
        addresses = await self.look_up(key, trace)
        while True:
            try:
                return await connect(addresses)
            except (ClientConnectorError, ServerFingerprintMismatch):
                if not addresses:
                    raise

    async def _connect(
        self,
        protocol: asyncio.BaseProtocol,
        addresses: list[AddrInfoType],
        **tls: Any,
    ) -> None:
        """Connect ``protocol`` to the first of ``addresses`` that answers."""
        tried, addresses[:] = addresses[:], []
        sock = await aiohappyeyeballs.start_connection(
            addr_infos=tried,
            local_addr_infos=self._local_addr_infos,
            happy_eyeballs_delay=self._delay,
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
            await self._loop.create_connection(factory, sock=sock, **tls)
        except BaseException:
            if not factory.called:
                sock.close()
            elif isinstance(protocol, StreamProtocol):
                protocol.give_up()
            raise


class _Factory:
    """A protocol factory that knows whether it was called: then a transport owns the socket."""

    def __init__(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol
        self.called = False

    def __call__(self) -> asyncio.BaseProtocol:
        self.called = True
        return self._protocol


def check_server(
    key: ConnectionKey, client: ClientConnection, offered: tuple[str, ...], option: TLSOption
) -> None:
    """Drop ``client`` unless TLS has reached the server that was wanted.

    Raises ClientConnectorError when it speaks nothing of what was offered,
    ServerFingerprintMismatch when ``option`` is the fingerprint of another one.
    """
    if client.driver.engine.protocol not in offered:
        client.driver.abort()
        message = f"the server does not speak {offered[0]}, which was asked for by ALPN"
        raise ClientConnectorError(key, OSError(None, message))
    if isinstance(option, Fingerprint):
        certificate = client.driver.get_extra_info("ssl_object").getpeercert(binary_form=True)
        try:
            option.check_certificate(certificate, key.host, key.port or 0)
        except ServerFingerprintMismatch:
            client.driver.abort()
            raise
