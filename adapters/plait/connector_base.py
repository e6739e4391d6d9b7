"""What connectors have in common: they open connections and give them to requests.

Strategy
--------
All decisions are the pool's (``plait_engine.policy.pool``); a connector does what it says
and tells it what happened.  A connection is opened in a task of its own, so that it
outlives the request which asked for it; apart from that nothing here runs in a task.

``connect`` gives a ``Connection``: a lease of one place on a ``ClientConnection``, which is
the whole connection on HTTP/1.1 and one stream of it on HTTP/2.  Whoever has it gives it back:
first the call that asked for it, and from ``begin`` on the exchange of its request.  So
whatever is raised or cancelled on the way, ``Connection.close`` is the one thing to call.
"""

from __future__ import annotations

import asyncio
import copy
import os
import ssl as ssl_module
import warnings
from collections import OrderedDict
from collections.abc import Awaitable, Generator
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from plait_engine import Config, ConnectionState, ErrorCode, Limits, Timeouts
from plait_engine.engines import ALPN_PROTOCOLS, EngineName
from plait_engine.policy.pool import Assign, Close, Connect, Pool, PoolClosedError, PoolEvent

from .calls.deadlines import DEFAULT_TIMEOUT, NEVER, ClientTimeout
from .calls.driver import ClientConnection, ClientExchange
from .calls.tls import HTTP1_ONLY, HTTP2_ONLY, TLSContexts
from .client_exceptions import (
    ClientConnectionError,
    ClientConnectorCertificateError,
    ClientConnectorError,
    ClientConnectorSSLError,
    ConnectionTimeoutError,
    ServerDisconnectedError,
)
from .helpers import _SENTINEL, sentinel
from .transport.driver import Driver
from .transport.stream import StreamProtocol

if TYPE_CHECKING:
    from .client_reqrep import ClientRequest, ConnectionKey

_Result = TypeVar("_Result")

KEEP_ALIVE: Final = 15.0
"""Seconds after which an idle connection is closed."""

MAX_HTTP1_KEYS: Final = 1024
"""Servers that asked for HTTP/1.1 (HTTP_1_1_REQUIRED) that are remembered."""

CLIENT_TIMEOUTS: Final = Timeouts(head=None, body=None, keep_alive=None, write=None, close=2.0)
"""Deadlines of requests are the session's, and those of idle connections the pool's."""


CLIENT_LIMITS: Final = Limits(
    stream_window=1048576, connection_window=67108864, max_connection_window=67108864
)
"""Windows of HTTP/2, in bytes.  A response comes while others are read if it fits into its
first window, as it does over HTTP/1.1 into the buffers of the kernel (Go: 4 MiB, Chromium: 6,
curl: 10).  One that nobody reads keeps its window full, and then a wider one is dearer: what a
connection may hold in all is bounded, and 64 of them must not stop the others (Go: 1 GiB for
256 of them, Chromium: 15 MiB for 2)."""


class Connection:
    """A place on a connection, for one request."""

    __slots__ = (
        "_begun",
        "_connector",
        "_released",
        "client",
        "driver",
        "exchange",
        "key",
        "reused",
    )

    def __init__(
        self, connector: BaseConnector, key: ConnectionKey, client: ClientConnection, reused: bool
    ) -> None:
        self._connector = connector
        self._released = False
        self._begun = False
        self.key = key
        self.client = client
        self.driver = client.driver
        self.reused = reused
        """A request was done before on the connection: it may be stale."""
        self.exchange: ClientExchange | None = None

    def __repr__(self) -> str:
        return f"<Connection {self.key.host}:{self.key.port} {self.driver.engine.protocol}>"

    @property
    def transport(self) -> asyncio.Transport | None:
        """The transport; on HTTP/2, other requests use it too."""
        return self.driver.transport

    @property
    def protocol(self) -> ClientConnection | None:
        """The client's side of the connection, until the place is given back."""
        return None if self._released else self.client

    @property
    def closed(self) -> bool:
        """True when the place was given back or the connection is gone."""
        return self._released or self.driver.transport is None

    def begin(self) -> int:
        """Return the id of the stream for the request, which is sent to the engine next.

        Raises LocalProtocolError when the place is gone: the peer lowered its limit, or ends
        the connection.
        """
        stream_id = self.driver.engine.next_stream_id()
        self._begun = True
        self._connector.begin(self.client)
        return stream_id

    def release(self) -> None:
        """Give the place back."""
        if not self._released:
            self._released = True
            self._connector.release(self.client, begun=self._begun)

    def close(self) -> None:
        """Give the place back and end the exchange on it, if one has begun.

        On HTTP/1.1 that ends the connection, unless the exchange was complete.
        """
        if self.exchange is not None:
            self.exchange.abandon()
        self.release()


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

    Raises ValueError for ``force_close`` with ``keepalive_timeout``.
    """

    allowed_protocol_schema_set = frozenset({"", "http", "https", "ws", "wss"})

    _closed = True
    """Until ``__init__`` is through, should that fail."""

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
    ) -> None:
        keep_alive = KEEP_ALIVE if keepalive_timeout is sentinel else keepalive_timeout
        if force_close:
            if keepalive_timeout is not None and keepalive_timeout is not sentinel:
                raise ValueError("keepalive_timeout cannot be set if force_close is True")
            keep_alive = 0
        self._loop = loop or asyncio.get_running_loop()
        self._force_close = force_close
        self._http2 = http2
        self._engine: EngineName = engine
        self._pool: Pool[ConnectionKey, ClientRequest] = Pool(
            limit=limit, limit_per_host=limit_per_host, keep_alive=keep_alive
        )
        self._clients: dict[int, ClientConnection] = {}
        """Connections that the pool knows."""
        self._alive: set[ClientConnection] = set()
        """Connections whose transport is not closed yet."""
        self._opening: dict[int, asyncio.Task[None]] = {}
        self._given_up: set[asyncio.Task[None]] = set()
        self._waiters: dict[ClientRequest, asyncio.Future[Connection]] = {}
        self._http1_keys: OrderedDict[ConnectionKey, None] = OrderedDict()
        self._contexts = TLSContexts()
        self._configs: dict[tuple[object, ...], Config] = {}
        self._following = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = NEVER
        self._closed = False

    def __del__(self, _warn: Any = warnings.warn) -> None:
        if self._closed or not self._alive:
            return
        _warn(f"Unclosed connector {self!r}", ResourceWarning, source=self)
        for client in self._alive:
            client.driver.abort()

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
    def limit(self) -> int:
        """Connections at most, 0 for no limit."""
        return self._pool.limit

    @property
    def limit_per_host(self) -> int:
        """Connections to one server at most, 0 for no limit."""
        return self._pool.limit_per_host

    @property
    def engine(self) -> EngineName:
        """The engine behind the connections."""
        return self._engine

    # -- for requests -----------------------------------------------------------------

    async def connect(
        self, req: ClientRequest, traces: list[Any], timeout: ClientTimeout
    ) -> Connection:
        """Return a place on a connection for ``req``.

        Raises ClientConnectorError and others when there is none to be had,
        ConnectionTimeoutError when it takes too long.
        """
        if self._closed:
            raise ClientConnectionError("Connector is closed.")
        key = req.connection_key
        may_share = self._may_share(key)
        if may_share and key in self._http1_keys:
            req.http1_only = True
            key, may_share = req.connection_key, False
        self._pool.acquire(
            req, key, self._loop.time(), may_share=may_share, again=req.is_sent_again
        )
        assigned = self._follow_pool(req)
        if assigned is None:
            return await self._wait(req, timeout)
        return self._take_place(assigned)

    async def connect_websocket(
        self, req: ClientRequest, traces: list[Any], timeout: ClientTimeout
    ) -> Connection:
        """Return a place on a connection that can carry a WebSocket.

        That is a stream of an HTTP/2 connection that is open already and whose server
        accepts extended CONNECT (RFC 8441), or else an HTTP/1.1 connection of its own.
        """
        if self._http2 is True or self._pool.has_place(req.connection_key):
            connection = await self.connect(req, traces, timeout)
            try:
                if await self._takes_websocket(connection.client, req, timeout):
                    return connection
            except BaseException:
                connection.release()
                raise
            connection.release()
            if self._http2 is True:
                raise ClientConnectionError(
                    "the server does not accept WebSockets over HTTP/2 (RFC 8441)"
                )
        req.http1_only = True
        return await self.connect(req, traces, timeout)

    async def _takes_websocket(
        self, client: ClientConnection, req: ClientRequest, timeout: ClientTimeout
    ) -> bool:
        """Tell whether a WebSocket can begin on ``client``, once the peer's SETTINGS came."""
        if client.shared:
            waiter: asyncio.Future[None] = self._loop.create_future()
            client.settings.add_done_callback(lambda _: _finish(waiter))
            await _in_time(waiter, req, timeout)
        return client.extended_connect or not client.shared

    def require_http1(self, key: ConnectionKey) -> None:
        """The server wants HTTP/1.1 (HTTP_1_1_REQUIRED): remember it."""
        self._http1_keys[key] = None
        if len(self._http1_keys) > MAX_HTTP1_KEYS:
            self._http1_keys.popitem(last=False)

    @property
    def http2(self) -> bool | None:
        """The ``http2`` argument."""
        return self._http2

    def begin(self, client: ClientConnection) -> None:
        """A request begins on ``client``."""
        self._pool.begun(client.number)

    def release(self, client: ClientConnection, *, begun: bool) -> None:
        """A place on ``client`` is free; ``begun``: a request had begun on it."""
        now = self._loop.time()
        if begun:
            self._pool.released(client.number, now)
        else:
            self._pool.returned(client.number, now)
        self._follow_pool()

    def _may_share(self, key: ConnectionKey) -> bool:
        if key.http1_only or self._http2 is False:
            return False
        return key.is_ssl or self._http2 is True

    async def _wait(self, req: ClientRequest, timeout: ClientTimeout) -> Connection:
        waiter: asyncio.Future[Connection] = self._loop.create_future()
        self._waiters[req] = waiter
        try:
            return await _in_time(waiter, req, timeout)
        except BaseException:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                # Cancelled in the moment when it was served.
                waiter.result().release()
            else:
                self._pool.cancel(req, self._loop.time())
                self._follow_pool()
            raise
        finally:
            self._waiters.pop(req, None)

    # -- what connections report -------------------------------------------------------

    def on_changed(self, client: ClientConnection) -> None:
        """The engine takes another number of requests now."""
        self._pool.changed(client.number, self._loop.time())
        self._follow_pool()

    def on_closed(self, client: ClientConnection) -> None:
        """The engine is done with the connection."""
        self._clients.pop(client.number, None)
        self._pool.closed(client.number, self._loop.time())
        self._follow_pool()

    def on_lost(self, client: ClientConnection) -> None:
        """The transport is closed."""
        self._alive.discard(client)

    # -- doing what the pool says ---------------------------------------------------------

    def _follow_pool(self, req: ClientRequest | None = None) -> Assign[ClientRequest] | None:
        """Do everything that the pool wants done; return what it assigned to ``req``."""
        if self._following:
            return None  # Closing a connection led back here; the loop below goes on.
        self._following = True
        assigned: Assign[ClientRequest] | None = None
        pool = self._pool
        try:
            while (event := pool.next_event()) is not None:
                if type(event) is Assign and event.ticket is req:
                    assigned = event
                else:
                    self._follow(event)
        finally:
            self._following = False
        when = pool.next_timeout()
        if when is not None and when < self._timer_at and not self._closed:
            self._arm(when)
        return assigned

    def _follow(self, event: PoolEvent[ConnectionKey, ClientRequest]) -> None:
        if isinstance(event, Assign):
            waiter = self._waiters.pop(event.ticket, None)
            if waiter is None or waiter.done():
                self._pool.returned(event.connection, self._loop.time())
            else:
                # Now, for the connection may be gone when the waiter wakes.
                waiter.set_result(self._take_place(event))
        elif isinstance(event, Connect):
            task = self._loop.create_task(self._open(event))
            self._opening[event.connection] = task
        elif isinstance(event, Close):
            self._close_connection(event.connection)
        else:
            waiter = self._waiters.pop(event.ticket, None)
            if waiter is not None and not waiter.done():
                # Each gets its own, for each adds its own traceback.
                waiter.set_exception(_copy_error(event.error))

    def _take_place(self, event: Assign[ClientRequest]) -> Connection:
        client = self._clients[event.connection]
        return Connection(self, event.ticket.connection_key, client, event.reused)

    def _close_connection(self, number: int) -> None:
        task = self._opening.pop(number, None)
        if task is not None:
            self._given_up.add(task)
            task.add_done_callback(self._given_up.discard)
            task.cancel()
        client = self._clients.pop(number, None)
        if client is not None:
            client.driver.close(ErrorCode.NO_ERROR)

    def _arm(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = when
        self._timer = self._loop.call_at(when, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._timer_at = NEVER
        self._pool.handle_timeout(self._loop.time())
        self._follow_pool()

    # -- opening ----------------------------------------------------------------------------

    async def _open(self, event: Connect[ConnectionKey, ClientRequest]) -> None:
        """Open a connection for the pool."""
        number = event.connection
        req = event.ticket
        timeout = DEFAULT_TIMEOUT if req.clock is None else req.clock.timeout
        error: Exception | None = None
        client: ClientConnection | None = None
        try:
            async with asyncio.timeout(timeout.sock_connect or None):
                client = await self._create_connection(req, [], timeout)
        except TimeoutError as exc:
            error = ConnectionTimeoutError(
                f"Connection timeout to host {req.host}:{req.port} after {timeout.sock_connect} s"
            )
            error.__cause__ = exc
        except Exception as exc:
            error = exc
        if self._opening.pop(number, None) is None:
            # The pool gave it up while the last step was under way.
            if client is not None:
                client.driver.abort()
            return
        now = self._loop.time()
        if client is not None and client.driver.engine.state is ConnectionState.CLOSED:
            error = ServerDisconnectedError("Server disconnected at once")
            client.driver.abort()
        if error is not None:
            self._pool.connect_failed(number, error, now)
        elif client is not None:
            client.number = number
            self._clients[number] = client
            self._pool.connected(number, client.driver.engine, now, shared=client.shared)
        self._follow_pool()

    async def _create_connection(
        self, req: ClientRequest, traces: list[Any], timeout: ClientTimeout
    ) -> ClientConnection:
        """Open a connection for ``req``.  Subclasses do it."""
        raise NotImplementedError

    def _make_protocol(self, req: ClientRequest) -> StreamProtocol[ClientConnection]:
        """Return the protocol of a connection for ``req``, for asyncio to connect."""
        key = req.connection_key
        http2 = self._http2 is True and not key.http1_only

        def connect(transport: asyncio.Transport, negotiated: str | None) -> ClientConnection:
            return self.connection_made(
                key, transport, negotiated or ("h2" if http2 and not key.is_ssl else "http/1.1")
            )

        return StreamProtocol(connect, loop=self._loop)

    def connection_made(
        self, key: ConnectionKey, transport: asyncio.Transport, protocol: str
    ) -> ClientConnection:
        """Return the client's side of a new connection on ``transport``, whatever that is.

        The caller starts its ``driver`` and gives that what comes.
        """
        client = ClientConnection(
            self,
            self._config(key),
            transport,
            loop=self._loop,
            protocol=protocol,
            engine=self._engine,
        )
        self._alive.add(client)
        return client

    def _config(self, key: ConnectionKey) -> Config:
        """Return the engine's configuration for ``key``."""
        name = (key.is_ssl, key.limits)
        config = self._configs.get(name)
        if config is None:
            config = Config(
                limits=CLIENT_LIMITS,
                timeouts=CLIENT_TIMEOUTS,
                scheme="https" if key.is_ssl else "http",
                half_close=not key.is_ssl,
                random=os.urandom,
            )
            if key.limits is not None:
                max_line_size, max_field_size, max_headers = key.limits
                limits = replace(
                    config.limits,
                    max_line_size=max_line_size,
                    max_field_size=max_field_size,
                    max_fields=max_headers,
                    max_header_list_size=max(
                        config.limits.max_header_list_size, max_field_size + max_line_size
                    ),
                )
                config = replace(config, limits=limits)
            self._configs[name] = config
        return config

    def _protocols(self, key: ConnectionKey) -> tuple[str, ...]:
        """Return what to offer by ALPN."""
        if key.http1_only or self._http2 is False:
            return HTTP1_ONLY
        return HTTP2_ONLY if self._http2 is True else ALPN_PROTOCOLS

    async def _start(
        self,
        req: ClientRequest,
        protocol: StreamProtocol[ClientConnection],
        opening: Awaitable[Any],
    ) -> ClientConnection:
        """Await ``opening`` (of a connection to ``protocol``); say what failed in our words."""
        key = req.connection_key
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
        """Close all connections.  Await the result to wait until they are closed.

        ``abort_ssl``: drop TLS connections instead of closing TLS properly.
        """
        if not self._closed:
            self._closed = True
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if not self._loop.is_closed():
                self._pool.close(self._loop.time())
                self._follow_pool()
                if abort_ssl:
                    for client in self._alive:
                        if client.driver.tls:
                            client.driver.abort()
        return _Closing(self)

    async def wait_closed(self) -> None:
        """Wait until no connection is open any more, after ``close``."""
        await asyncio.gather(
            *self._given_up,
            *(client.driver.wait_closed() for client in list(self._alive)),
            return_exceptions=True,
        )


async def _in_time(
    waiter: asyncio.Future[_Result], req: ClientRequest, timeout: ClientTimeout
) -> _Result:
    """Await ``waiter`` under the deadlines of ``req``."""
    clock = req.clock
    if clock is None:
        return await waiter
    clock.begin_waiting(waiter, timeout.connect, f"{req.host}:{req.port}")
    try:
        return await waiter
    finally:
        clock.end_waiting()


def _finish(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _copy_error(error: BaseException) -> BaseException:
    if isinstance(error, PoolClosedError):
        return ClientConnectionError("Connector is closed.")
    copied = copy.copy(error)
    copied.__cause__ = error.__cause__
    return copied
