"""Connections to a server by way of a proxy.

The key says what the proxy is asked for (``ConnectionKey.way``): it forwards each request, or it
carries a tunnel, in which the connection is like any other.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from functools import partial

from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from plait.client_exceptions import (
    ClientConnectorDNSError,
    ClientHttpProxyError,
    ClientProxyConnectionError,
)
from plait.http import SERVER_SOFTWARE
from plait_engine import LocalProtocolError
from plait_engine.headers import Headers
from plait_engine.proxy.attempts import TunnelAttempts
from plait_engine.proxy.choice import Way, choose_addresses, resolves_names
from plait_engine.proxy.forward import Forwarding
from plait_engine.proxy.handshake import Handshake, TunnelError, TunnelRefusedError
from plait_engine.proxy.login import ProxyLogin, ProxyLogins

from .connection import ClientConnection
from .dialing import Dialer
from .lease import Ticket
from .target import ConnectionKey, RequestInfo, proxy_key
from .tunnel import ClientProtocol, Tunnel


class ProxyDialer:
    """Opens such connections; see the module."""

    def __init__(self, dialer: Dialer, loop: asyncio.AbstractEventLoop) -> None:
        self._dialer = dialer
        self._loop = loop
        self._logins = ProxyLogins(os.urandom)

    async def open(
        self, ticket: Ticket, make_protocol: Callable[[], ClientProtocol]
    ) -> ClientConnection:
        """Open a connection for ``ticket``.

        Raises ClientProxyConnectionError when the proxy cannot be reached, or gives no tunnel;
        ClientHttpProxyError when it refuses CONNECT; and the errors of any connection for what
        happens in the tunnel.
        """
        key = ticket.connection_key
        headers = list((ticket.proxy_headers or {}).items())
        login = self._logins.find(key.proxy, key.proxy_auth)
        if key.way is not Way.FORWARD:
            return await self._open_tunnel(ticket, make_protocol, headers, login)
        protocol = await self._dialer.reach_proxy(key, make_protocol, ticket.trace)
        protocol.owner.forwarding = Forwarding(headers, login)
        return protocol.owner

    async def _open_tunnel(
        self,
        ticket: Ticket,
        make_protocol: Callable[[], ClientProtocol],
        headers: Headers,
        login: ProxyLogin | None,
    ) -> ClientConnection:
        key = ticket.connection_key
        assert key.way is not None
        assert key.proxy is not None
        attempts = TunnelAttempts(
            key.way,
            key.proxy.scheme,
            await self._find_hosts(ticket, key.proxy.scheme),
            key.port or 0,
            headers=headers,
            login=login,
            user_agent=SERVER_SOFTWARE,
        )
        while True:
            try:
                return await self._try(ticket, make_protocol, attempts.begin())
            except TunnelError as error:
                if attempts.goes_on(error):
                    continue
                if isinstance(error, TunnelRefusedError):
                    raise _refused(key, attempts.headers, error) from error
                failed = OSError(None, f"{error}, when asked for {key.host}:{key.port}")
                raise ClientProxyConnectionError(proxy_key(key), failed) from error

    async def _find_hosts(self, ticket: Ticket, scheme: str) -> list[str]:
        """Return what to ask the proxy for: the name of the server, or addresses of it."""
        key = ticket.connection_key
        if resolves_names(scheme):
            return [key.host]
        found = await self._dialer.look_up(key, ticket.trace)
        try:
            return choose_addresses(scheme, [str(info[-1][0]) for info in found])
        except OSError as error:
            raise ClientConnectorDNSError(key, error) from error

    async def _try(
        self, ticket: Ticket, make_protocol: Callable[[], ClientProtocol], handshake: Handshake
    ) -> ClientConnection:
        """Open a connection in a tunnel.  Raises TunnelError when there is none."""
        key = ticket.connection_key
        tunnel = await self._dialer.reach_proxy(
            key, partial(Tunnel, handshake, self._loop), ticket.trace
        )
        try:
            try:
                await tunnel.open()
            except LocalProtocolError as error:
                raise ValueError(str(error)) from error
            protocol = make_protocol()
            async with self._dialer.connecting(key) as tls:
                await tunnel.enter(protocol, **tls)
            return self._dialer.check(key, protocol.owner)
        except BaseException:
            tunnel.abort()
            raise


def _refused(
    key: ConnectionKey, headers: Headers, refusal: TunnelRefusedError
) -> ClientHttpProxyError:
    url = URL.build(scheme="https" if key.is_ssl else "http", host=key.host, port=key.port)
    error = ClientHttpProxyError(
        RequestInfo(url, "CONNECT", CIMultiDictProxy(CIMultiDict(headers))),
        (),
        status=refusal.status,
        message=refusal.reason,
        headers=CIMultiDictProxy(CIMultiDict(refusal.headers)),
    )
    proxy = proxy_key(key)
    error.add_note(
        f"The proxy {proxy.host}:{proxy.port} refused a tunnel to {key.host}:{key.port};"
        " the server was sent nothing"
    )
    return error
