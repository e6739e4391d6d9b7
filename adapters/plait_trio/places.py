"""The places on connections: the pool's decisions, carried out on trio.

All decisions are the pool's (``plait_engine.policy.pool``).  A connection lives in a task of
the session's nursery, so that it outlives the request for which it was opened; whoever waits
for a place waits in its own task, under its own cancel scopes.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeAlias

import trio

from plait_engine import ConnectionState, ErrorCode
from plait_engine.errors import copy_error
from plait_engine.policy.pool import Pool
from plait_engine.policy.pool_events import Assign, Close, Connect, Fail, PoolEvent

from .dialing import Server
from .driver import Driver, Exchange


class Ticket:
    """A request that waits for a place."""

    def __init__(self) -> None:
        self.done = trio.Event()
        self.place: Place | None = None
        self.error: BaseException | None = None


class Place:
    """A place on a connection, for one request: all of it on HTTP/1.1, a stream on HTTP/2.

    ``reused``: a request was done before on the connection, so it may be stale.
    """

    def __init__(self, pool: TicketPool, number: int, driver: Driver, reused: bool) -> None:
        self.driver = driver
        self.reused = reused
        self.exchange: Exchange | None = None
        self._pool = pool
        self._number = number

    def begin(self) -> Exchange:
        """Return the exchange for the request, which is sent next.

        Raises LocalProtocolError when the place is gone: the peer lowered its limit, or ends
        the connection.
        """
        self.exchange = self.driver.open_exchange()
        self._pool.begun(self._number)
        return self.exchange

    def give_back(self) -> None:
        """The request is done, or was not begun."""
        now = trio.current_time()
        if self.exchange is None:
            self._pool.returned(self._number, now)
        else:
            self._pool.released(self._number, now)


TicketPool: TypeAlias = Pool[Server, Ticket]


class Places:
    """See the module.  ``connect`` opens a connection; ``run`` is a task for as long as it lives."""

    def __init__(
        self,
        pool: TicketPool,
        connect: Callable[[Server], Awaitable[Driver]],
        nursery: trio.Nursery,
    ) -> None:
        self.pool = pool
        self._connect = connect
        self._nursery = nursery
        self._drivers: dict[int, Driver] = {}
        """Connections that the pool knows."""
        self._opening: dict[int, trio.CancelScope] = {}
        self._alive: set[trio.Event] = set()
        """Of each connection that is not closed yet, what is set when it is."""
        self._pool_changed = trio.Event()

    async def run(self) -> None:
        """Tell the pool when something is due."""
        while True:
            self._pool_changed = trio.Event()
            when = self.pool.next_timeout()
            with trio.move_on_at(math.inf if when is None else when):
                await self._pool_changed.wait()
            self.pool.handle_timeout(trio.current_time())
            self._follow_pool()

    @asynccontextmanager
    async def place(self, server: Server, *, may_share: bool, again: bool) -> AsyncIterator[Place]:
        """Wait for a place, and give it back when the ``async with`` ends.

        ``may_share``: the connection may speak HTTP/2.  ``again``: the request had a place
        before.  Raises what opening a connection raises, and PoolClosedError.
        """
        place = await self._take(server, may_share=may_share, again=again)
        try:
            yield place
        finally:
            place.give_back()
            self._follow_pool()

    async def _take(self, server: Server, *, may_share: bool, again: bool) -> Place:
        ticket = Ticket()
        now = trio.current_time()
        self.pool.acquire(ticket, server, now, may_share=may_share, again=again)
        self._follow_pool()
        try:
            await ticket.done.wait()
        except BaseException:
            if ticket.place is not None:  # Cancelled in the moment when it was served.
                ticket.place.give_back()
            else:
                self.pool.cancel(ticket, trio.current_time())
            self._follow_pool()
            raise
        if ticket.place is None:
            assert ticket.error is not None
            raise copy_error(ticket.error)  # Each ticket adds its own traceback.
        return ticket.place

    async def close(self, timeout: float) -> None:
        """Close all connections, within ``timeout`` seconds."""
        self.pool.close(trio.current_time())
        self._follow_pool()
        with trio.move_on_after(timeout, shield=True):
            for closed in list(self._alive):
                await closed.wait()

    # -- doing what the pool says ---------------------------------------------------

    def _follow_pool(self) -> None:
        while (event := self.pool.next_event()) is not None:
            self._follow(event)
        self._pool_changed.set()

    def _follow(self, event: PoolEvent[Server, Ticket]) -> None:
        if isinstance(event, Assign):
            driver = self._drivers[event.connection]
            event.ticket.place = Place(self.pool, event.connection, driver, event.reused)
            event.ticket.done.set()
        elif isinstance(event, Fail):
            event.ticket.error = event.error
            event.ticket.done.set()
        elif isinstance(event, Connect):
            scope = self._opening[event.connection] = trio.CancelScope()
            self._nursery.start_soon(self._keep_connection, event, scope)
        elif isinstance(event, Close):
            self._close_connection(event.connection)

    def _close_connection(self, number: int) -> None:
        opening = self._opening.pop(number, None)
        if opening is not None:
            opening.cancel()
        driver = self._drivers.pop(number, None)
        if driver is not None:
            driver.close(ErrorCode.NO_ERROR)

    # -- a connection -----------------------------------------------------------------

    async def _keep_connection(
        self, event: Connect[Server, Ticket], scope: trio.CancelScope
    ) -> None:
        """Open a connection for the pool, and move its bytes until it is closed."""
        closed = trio.Event()
        self._alive.add(closed)
        try:
            driver = await self._open(event, scope)
            if driver is not None:
                await driver.run()
        finally:
            closed.set()
            self._alive.discard(closed)

    async def _open(self, event: Connect[Server, Ticket], scope: trio.CancelScope) -> Driver | None:
        """Open a connection and tell the pool; ``None``: it failed, or was given up."""
        number = event.connection
        driver: Driver | None = None
        error: Exception | None = None
        with scope:
            try:
                driver = await self._connect(event.key)
            except Exception as exc:
                error = exc
        if self._opening.pop(number, None) is None:
            # The pool gave it up while the last step was under way.
            if driver is not None:
                driver.abort()
            return driver
        now = trio.current_time()
        if error is not None:
            self.pool.connect_failed(number, error, now)
        elif driver is not None:
            self._drivers[number] = driver
            driver.on_change = partial(self._on_change, number)
            shared = driver.engine.protocol == "h2"
            self.pool.connected(number, driver.engine, now, shared=shared)
        self._follow_pool()
        return driver

    def _on_change(self, number: int) -> None:
        """The engine takes another number of requests now, or is done."""
        driver = self._drivers.get(number)
        if driver is None:
            return  # The pool had it closed.
        now = trio.current_time()
        if driver.engine.state is ConnectionState.CLOSED:
            del self._drivers[number]
            self.pool.closed(number, now)
        else:
            self.pool.changed(number, now)
        self._follow_pool()
