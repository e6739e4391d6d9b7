"""The places on connections: the pool's decisions, carried out on a loop.

All decisions are the pool's (``plait_engine.policy.pool``).  ``Places`` does what it says
and tells it what happened.  A connection is opened in a task of its own, so that it outlives
the request which asked for it; apart from that nothing here runs in a task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias, TypeVar

from plait.client_exceptions import (
    ClientConnectionError,
    ConnectionTimeoutError,
    ServerDisconnectedError,
)
from plait.transport.driver import clock_of
from plait.transport.waiter import next_turn
from plait_engine import ConnectionState, ErrorCode
from plait_engine.driver import NEVER, LazyTimer
from plait_engine.errors import copy_error
from plait_engine.policy.pool import Pool
from plait_engine.policy.pool_events import Assign, Close, Connect, PoolClosedError, PoolEvent

from .connection import ClientConnection
from .lease import Lease, Ticket
from .target import ConnectionKey
from .timeouts import explain_connect

_Result = TypeVar("_Result")

_ALIVE: Final = frozenset({ConnectionState.OPEN, ConnectionState.DRAINING})

TicketPool: TypeAlias = Pool[ConnectionKey, Ticket]


class Places:
    """See the module.  ``connect`` opens a connection that is good for a ticket."""

    def __init__(
        self,
        pool: TicketPool,
        connect: Callable[[Ticket], Awaitable[ClientConnection]],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.pool = pool
        self.alive: set[ClientConnection] = set()
        """Connections whose transport is not closed yet."""
        self._connect = connect
        self._loop = loop
        self._now = clock_of(loop)
        self._clients: dict[int, ClientConnection] = {}
        """Connections that the pool knows."""
        self._opening: dict[int, asyncio.Task[None]] = {}
        self._given_up: set[asyncio.Task[None]] = set()
        self._waiters: dict[Ticket, asyncio.Future[Lease]] = {}
        self._following = False
        self._timer = LazyTimer(loop)
        self._closed = False

    def take(self, key: ConnectionKey) -> Lease | None:
        """Return a place that is free now, or ``None``: then ``wait`` for one."""
        pool = self.pool
        taken = pool.take(key, self._now())
        lease = (
            None
            if taken is None
            else Lease(self, key, self._clients[taken[0]], self._loop, taken[1])
        )
        if pool.events:
            self._follow_pool()
        return lease

    def begin(self, client: ClientConnection) -> None:
        """A request begins on ``client``."""
        self.pool.begun(client.number)

    def release(self, client: ClientConnection, *, begun: bool) -> None:
        """A place on ``client`` is free; ``begun``: a request had begun on it."""
        now = self._now()
        if begun:
            self.pool.released(client.number, now)
        else:
            self.pool.returned(client.number, now)
        if self.pool.events or self._waiters or self._timer.at == NEVER:
            self._follow_pool()

    async def wait(self, ticket: Ticket, *, may_share: bool) -> Lease:
        """Return a place when it is free, if that is in time.

        ``may_share``: the connection may speak HTTP/2.  Raises what opening a connection
        raises, and ConnectionTimeoutError.
        """
        waiter: asyncio.Future[Lease] = self._loop.create_future()
        self._waiters[ticket] = waiter
        self.pool.acquire(
            ticket,
            ticket.connection_key,
            self._now(),
            may_share=may_share,
            again=ticket.again,
        )
        try:
            self._follow_pool()
            return await in_time(waiter, ticket)
        except BaseException:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                # Cancelled in the moment when it was served.
                waiter.result().release()
            else:
                self.pool.cancel(ticket, self._now())
                self._follow_pool()
            raise
        finally:
            del self._waiters[ticket]

    # -- what connections report -------------------------------------------------------

    def on_streams_available(self, client: ClientConnection) -> None:
        """The engine takes another request: for whoever waits."""
        if self._waiters:
            self.on_changed(client)

    def on_changed(self, client: ClientConnection) -> None:
        """The engine takes another number of requests now."""
        self.pool.changed(client.number, self._now())
        self._follow_pool()

    def on_closed(self, client: ClientConnection) -> None:
        """The engine is done with the connection."""
        self._clients.pop(client.number, None)
        self.pool.closed(client.number, self._now())
        self._follow_pool()

    def on_lost(self, client: ClientConnection) -> None:
        """The transport is closed."""
        self.alive.discard(client)

    # -- doing what the pool says ---------------------------------------------------------

    def _follow_pool(self) -> None:
        """Do everything that the pool wants done."""
        if self._following:
            return  # Closing a connection led back here; the loop below goes on.
        pool = self.pool
        if pool.events:
            self._following = True
            try:
                while (event := pool.next_event()) is not None:
                    self._follow(event)
            finally:
                self._following = False
        # While nobody waits and nothing is opened, the next deadline only moves later, since
        # connections become idle one after the other.  A timer that was armed for a waiting
        # ticket is PATIENCE late at most.
        if self._waiters or self._timer.at == NEVER:
            self._arm_timer()

    def _arm_timer(self) -> None:
        when = self.pool.next_timeout()
        if when is not None and not self._closed:
            self._timer.arm(when, self._on_timer)

    def _follow(self, event: PoolEvent[ConnectionKey, Ticket]) -> None:
        if isinstance(event, Assign):
            waiter = self._waiters.get(event.ticket)
            if waiter is None or waiter.done():
                self.pool.returned(event.connection, self._now())
            else:
                # Now, for the connection may be gone when the waiter wakes.
                key = event.ticket.connection_key
                client = self._clients[event.connection]
                waiter.set_result(Lease(self, key, client, self._loop, event.reused))
        elif isinstance(event, Connect):
            event.ticket.has_opened = True
            if event.ticket.clock is not None:
                event.ticket.clock.end_queueing()
            task = self._loop.create_task(self._open(event))
            self._opening[event.connection] = task
        elif isinstance(event, Close):
            self._close_connection(event.connection)
        else:
            waiter = self._waiters.get(event.ticket)
            if waiter is not None and not waiter.done():
                # Each gets its own, for each adds its own traceback.
                waiter.set_exception(_copy_error(event.error))

    def _close_connection(self, number: int) -> None:
        task = self._opening.pop(number, None)
        if task is not None:
            self._given_up.add(task)
            task.add_done_callback(self._given_up.discard)
            task.cancel()
        client = self._clients.pop(number, None)
        if client is not None:
            client.driver.close(ErrorCode.NO_ERROR)

    def _on_timer(self) -> None:
        self.pool.handle_timeout(self._now())
        self._follow_pool()

    # -- opening ----------------------------------------------------------------------------

    async def _open(self, event: Connect[ConnectionKey, Ticket]) -> None:
        """Open a connection for the pool."""
        number = event.connection
        error: Exception | None = None
        client: ClientConnection | None = None
        try:
            client = await self._connect(event.ticket)
        except Exception as exc:
            error = exc
        except asyncio.CancelledError as exc:
            if number not in self._opening:
                raise
            # Not by the pool: a resolver, say, was closed meanwhile.  The request is not cancelled.
            error = _nothing_was_sent(
                ClientConnectionError(f"Connecting to {event.ticket} was cancelled")
            )
            error.__cause__ = exc
        if self._opening.pop(number, None) is None:
            # The pool gave it up while the last step was under way.
            if client is not None:
                client.driver.abort()
            return
        now = self._now()
        if client is not None and client.driver.engine.state not in _ALIVE:
            error = _nothing_was_sent(
                ServerDisconnectedError(f"Server disconnected at once: {event.ticket}")
            )
            client.driver.abort()
        if error is not None:
            self.pool.connect_failed(number, error, now)
        elif client is not None:
            client.number = number
            self._clients[number] = client
            self.pool.connected(number, client.driver.engine, now, shared=client.shared)
        self._follow_pool()
        self._arm_timer()

    def idle(self) -> dict[ConnectionKey, list[tuple[ClientConnection, float]]]:
        """Return the connections without a request, and since when, by what they are good for."""
        found: dict[ConnectionKey, list[tuple[ClientConnection, float]]] = {}
        for key, number, since in self.pool.idle_connections():
            found.setdefault(key, []).append((self._clients[number], since))
        return found

    def busy(self) -> set[ClientConnection]:
        """Return the connections with a request."""
        idle = {self._clients[number] for _, number, _ in self.pool.idle_connections()}
        return set(self._clients.values()) - idle

    # -- the end --------------------------------------------------------------------------

    def close(self, *, abort_tls: bool = False) -> None:
        """Close all connections; ``abort_tls``: those with TLS at once."""
        self._closed = True
        self._timer.cancel()
        self.pool.close(self._now())
        self._follow_pool()
        if abort_tls:
            for client in self.alive:
                if client.driver.tls:
                    client.driver.abort()

    def abort(self) -> None:
        """Drop all connections, unless the loop has ended and the sockets with it."""
        if self._loop.is_closed():
            return
        for client in self.alive:
            client.driver.abort()

    async def wait_closed(self, tls_patience: float) -> None:
        """Drop what is open still, after ``close``, and wait until no socket is open any more.

        Each server that reads was told of the end by then, and nobody waits for what it may
        still say: RFC 8446 section 6.1 lets us close without its closure alert.  That is waited
        for only if ``tls_patience`` is above 0.
        """
        await next_turn()  # A transport that has written what it has is closed by now.
        for client in list(self.alive):
            if not (tls_patience and client.driver.tls):
                client.driver.abort()
        given_up = list(self._given_up)
        await asyncio.gather(
            *given_up,
            *(client.driver.wait_closed() for client in list(self.alive)),
            return_exceptions=True,
        )
        if given_up:  # What they dropped is closed in the next turn.
            await next_turn()


async def in_time(waiter: asyncio.Future[_Result], ticket: Ticket) -> _Result:
    """Await ``waiter`` under the deadlines of ``ticket``.  Raises ConnectionTimeoutError."""
    clock, timeout = ticket.clock, ticket.timeout.connect
    if clock is None:  # A program asks the connector itself.
        try:
            async with asyncio.timeout(timeout or None) as deadline:
                return await waiter
        except TimeoutError as error:
            if not deadline.expired():
                raise
            raise ConnectionTimeoutError(explain_connect(str(ticket), timeout)) from error
    now = waiter.get_loop().time()
    clock.begin_waiting(waiter, timeout, now, str(ticket), queues=not ticket.has_opened)
    try:
        return await waiter
    finally:
        clock.end_waiting()


def _copy_error(error: BaseException) -> BaseException:
    if isinstance(error, PoolClosedError):
        return _nothing_was_sent(ClientConnectionError("Connector is closed."))
    return copy_error(error)


def _nothing_was_sent(error: ClientConnectionError) -> ClientConnectionError:
    error.unprocessed = True
    return error
