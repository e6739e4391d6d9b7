"""What connectors have in common: they give places on connections to requests.

The pool decides which request gets which place, and ``calls.places`` does what it says.  A
subclass opens connections (``_create_connection``).  ALPN decides the version.

``connect`` gives a ``Connection``: a lease of one place (see ``calls.lease``).
"""

from __future__ import annotations

import asyncio
import os
import random
import warnings
from collections.abc import Awaitable, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from plait.client_exceptions import ClientConnectionError, ConnectionTimeoutError
from plait.helpers import _SENTINEL, sentinel
from plait.transport.stream import StreamProtocol
from plait_engine.engines import EngineName
from plait_engine.policy.client_config import PING_INTERVAL, client_config, client_timeouts
from plait_engine.policy.pool import Pool
from plait_engine.policy.stats import PoolStats
from plait_engine.policy.versions import Versions
from plait_engine.proxy.choice import choose_way

from .connection import ClientConnection
from .lease import Lease as Connection
from .lease import Ticket
from .places import Places, TicketPool, in_time
from .target import ConnectionKey
from .timeouts import ClientTimeout
from .tls import contexts_of
from .traces import PlaceTrace
from .tunnel import ClientProtocol

if TYPE_CHECKING:
    from plait.client_reqrep import ClientRequest
    from plait.tracing import Trace

__all__ = ("BaseConnector",)

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
        http2_ping_interval: seconds, 60 by default, for which an HTTP/2 server may be silent
            while it owes answers, before it is asked by PING whether it lives; a request that
            begins after 10 seconds of silence asks, too.  If nothing comes for 20 seconds, the
            connection is over: its requests are sent again where that is safe, and fail with
            SocketTimeoutError where not.  A shorter interval holds for all three; ``None``:
            servers are not asked.  (plait's own.)

    Raises ValueError for ``force_close`` with ``keepalive_timeout``, and for an age, a number of
    requests or an interval that is not above 0.
    """

    allowed_protocol_schema_set = frozenset({"", "http", "https", "ws", "wss"})

    _closed = True
    """Until ``__init__`` is through, should that fail."""

    _half_close = True
    """What is below, where there is no TLS, can end what it sends and go on reading."""

    _uses_proxies = False
    """A proxy can reach the server, too."""

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
        http2_ping_interval: float | None = PING_INTERVAL,
    ) -> None:
        keep_alive = KEEP_ALIVE if keepalive_timeout is sentinel else keepalive_timeout
        if force_close:
            if keepalive_timeout is not None and keepalive_timeout is not sentinel:
                raise ValueError(
                    "force_close=True keeps no connection: leave keepalive_timeout out"
                )
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
        self._contexts = contexts_of(self._loop)
        self._timeouts = client_timeouts(http2_ping_interval)
        self._closed = False

    def __del__(self, _warn: Any = warnings.warn) -> None:
        if self._closed or not self._places.alive:
            return
        _warn(f"Unclosed connector {self!r}", ResourceWarning, source=self)
        self._places.abort()

    def __enter__(self) -> Self:
        warnings.warn(
            "with Connector() is deprecated, use async with Connector()",
            DeprecationWarning,
            stacklevel=2,
        )
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

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
    def _acquired(self) -> set[ClientConnection]:
        """The connections with a request: programs of others count them."""
        return self._places.busy()

    @property
    def limit(self) -> int:
        """Connections at most, 0 for no limit."""
        return self._places.pool.limit

    @property
    def limit_per_host(self) -> int:
        """Connections to one server at most, 0 for no limit."""
        return self._places.pool.limit_per_host

    # By these names google-auth copies them to another connector.
    _limit = limit
    _limit_per_host = limit_per_host

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

        ``timeout``: its ``connect`` and ``sock_connect``; the other deadlines are those of the
        request's call, if it has one.  Raises ClientConnectorError and others when there is none to be had,
        ConnectionTimeoutError when it takes too long.
        """
        key = req.connection_key
        if self._versions.requires_http1(key) or (
            # Later versions have no Upgrade (RFC 9113 section 8.6).
            key.is_ssl and self.http2 is None and "Upgrade" in req.headers
        ):
            key = key._replace(http1_only=True)
        if key.proxy is not None:
            key = self._by_proxy(key, opaque=False)
        if not traces and (connection := self._places.take(key)) is not None:
            return connection
        ticket = self._make_ticket(key, req, timeout)
        if traces:
            return await self._place_traced(ticket, traces)
        return await self._wait(ticket)

    async def connect_websocket(
        self, req: ClientRequest, traces: list[Trace], timeout: ClientTimeout
    ) -> Connection:
        """Return a place on a connection that can carry a WebSocket.

        That is a stream of an HTTP/2 connection that is open already, has a place free and
        whose server accepts extended CONNECT (RFC 8441), or else an HTTP/1.1 connection of
        its own.
        """
        key = req.connection_key
        if key.proxy is not None:
            key = self._by_proxy(key, opaque=True)
        ticket = self._make_ticket(key, req, timeout)
        if self.http2 is True or self._places.pool.has_place(ticket.connection_key):
            connection = await self._place_traced(ticket, traces)
            try:
                if await self._takes_websocket(connection.client, ticket):
                    return connection
            except BaseException:
                connection.release()
                raise
            connection.release()
            if self.http2 is True:
                raise ClientConnectionError(
                    "the server does not accept WebSockets over HTTP/2 (RFC 8441)"
                )
        ticket = self._make_ticket(key._replace(http1_only=True), req, timeout)
        return await self._place_traced(ticket, traces)

    def _make_ticket(
        self, key: ConnectionKey, req: ClientRequest, timeout: ClientTimeout
    ) -> Ticket:
        return Ticket(key, req.clock, timeout, req.is_sent_again, proxy_headers=req.proxy_headers)

    def _by_proxy(self, key: ConnectionKey, *, opaque: bool) -> ConnectionKey:
        """Return ``key`` with what its proxy is asked for; ``opaque``: see ``choose_way``."""
        if not self._uses_proxies or key.proxy is None:
            raise ClientConnectionError(f"{type(self).__name__} reaches its server without a proxy")
        opaque = opaque or self.http2 is True
        return key._replace(way=choose_way(key.proxy.scheme, secure=key.is_ssl, opaque=opaque))

    async def _place_traced(self, ticket: Ticket, traces: list[Trace]) -> Connection:
        """Return a place for ``ticket``, and tell ``traces`` how it came to that."""
        trace = ticket.trace = PlaceTrace(traces)
        key = ticket.connection_key
        connection = self._take(key)
        if connection is None:
            if not self._places.pool.would_open(key):
                await trace.queue()
            connection = self._take(key) or await self._wait(ticket)
        try:
            await trace.place()
        except BaseException:
            connection.release()
            raise
        return connection

    async def _takes_websocket(self, client: ClientConnection, ticket: Ticket) -> bool:
        """Tell whether a WebSocket can begin on ``client``, once the peer's SETTINGS came."""
        if client.shared:
            waiter: asyncio.Future[None] = self._loop.create_future()
            client.settings.add_done_callback(lambda _: _end(waiter))
            await in_time(waiter, ticket)
        return client.extended_connect or not client.shared

    def _take(self, key: ConnectionKey) -> Connection | None:
        if self._closed:
            raise ClientConnectionError("Connector is closed.")
        return self._places.take(key)

    async def _wait(self, ticket: Ticket) -> Connection:
        key = ticket.connection_key
        may_share = self._versions.may_share(secure=key.is_ssl, http1_only=key.http1_only)
        return await self._places.wait(ticket, may_share=may_share)

    def require_http1(self, key: ConnectionKey) -> None:
        """The server wants HTTP/1.1 (HTTP_1_1_REQUIRED): remember it."""
        self._versions.require_http1(key)

    # -- opening ----------------------------------------------------------------------------

    async def _open(self, ticket: Ticket) -> ClientConnection:
        """Open a connection for ``ticket``, in time."""
        timeout = ticket.timeout
        try:
            async with asyncio.timeout(timeout.sock_connect or None) as deadline:
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
            why = f"after {timeout.sock_connect} s (sock_connect)"
            if not deadline.expired():  # A resolver, or a connector of the program's own.
                why = f"on the way to a connection: {exc!r}"
            raise ConnectionTimeoutError(f"Connection timeout to host {ticket} {why}") from exc

    async def _create_connection(
        self, ticket: Ticket, traces: list[Trace], timeout: ClientTimeout
    ) -> ClientConnection:
        """Open a connection for ``ticket``.  Subclasses do it."""
        raise NotImplementedError

    def _make_protocol(self, key: ConnectionKey) -> ClientProtocol:
        """Return the protocol of a connection for ``key``, for asyncio to connect."""

        def connect(transport: asyncio.Transport, negotiated: str | None) -> ClientConnection:
            protocol = self._versions.spoken(
                negotiated if key.is_ssl else None,  # A proxy may have chosen it.
                secure=key.is_ssl,
                http1_only=key.http1_only,
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
            client_config(
                secure=key.over_tls,
                half_close=self._half_close and not key.over_tls,
                limits=key.limits,
                tls_close=self._ssl_shutdown_timeout,
                random=os.urandom,
                timeouts=self._timeouts,
            ),
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

    # -- the end -----------------------------------------------------------------------------

    def close(self, *, abort_ssl: bool = False) -> Awaitable[None]:
        """Close all connections.  Await the result, which takes a moment, and all are closed.

        Servers are told by the closure alert of TLS and by GOAWAY, and their answers are not
        waited for.  Without awaiting it, the rest goes on in the background: up to 2 seconds.

        ``abort_ssl``: drop TLS connections instead of closing TLS properly.
        """
        self._close(abort_ssl=abort_ssl)
        return _Closing(self)

    def _close(self, *, abort_ssl: bool = False) -> None:
        """Do what needs no loop that runs: fsspec and litellm call it when theirs has stopped."""
        if not self._closed:
            self._closed = True
            if not self._loop.is_closed():
                self._places.close(abort_tls=abort_ssl)

    async def wait_closed(self) -> None:
        """See that no socket is open any more, after ``close``."""
        await self._places.wait_closed(self._ssl_shutdown_timeout or 0.0)


def _end(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
