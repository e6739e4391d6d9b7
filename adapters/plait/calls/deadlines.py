"""Timeouts of requests: many deadlines on one timer.

Strategy
--------
Nearly every request has a deadline (``ClientTimeout.total``) and nearly none reaches it.
So a deadline is an entry in a dictionary, and the loop has one timer for all of them, set
to the earliest that was known when it was armed.  When it fires, everybody whose time has
come is told, and the timer is armed again for the next one.  To start and to stop a
deadline costs a dictionary access; moving one costs nothing until the timer fires.
"""

from __future__ import annotations

import asyncio
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Protocol

from plait.client_exceptions import ConnectionTimeoutError, SocketTimeoutError
from plait.helpers import _SENTINEL, sentinel

if TYPE_CHECKING:
    from .exchange import ClientExchange

NEVER: Final = math.inf


@dataclass(frozen=True)
class ClientTimeout:
    """Timeouts of a request, in seconds.  ``None`` or 0: no limit.

    Args:
        total: everything from the call to the end of the response's body, redirects
            included.
        connect: until a connection is assigned: waiting in the pool and connecting.
        sock_read: between two pieces of what the server sends, while it can send: the time
            to send the request, and to read what came already, does not count.
        sock_connect: to set up a new connection: name, TCP and TLS.
        ceil_threshold: deadlines longer than this end on a whole second of the loop's
            clock, so that many of them fire together.
    """

    total: float | None = None
    connect: float | None = None
    sock_read: float | None = None
    sock_connect: float | None = None
    ceil_threshold: float = 5


DEFAULT_TIMEOUT: Final = ClientTimeout(total=5 * 60, sock_connect=30)


def timeout_of_session(
    timeout: ClientTimeout | _SENTINEL | None,
    total: float | _SENTINEL | None,
    connect: float | None,
) -> ClientTimeout:
    """Return the timeouts that a session's arguments mean.

    ``total`` and ``connect`` are the deprecated ``read_timeout`` and ``conn_timeout``.
    Raises ValueError for one of them beside ``timeout``, and for a ``timeout`` of another
    type.
    """
    if timeout is sentinel or timeout is None:
        result = DEFAULT_TIMEOUT
        if total is not sentinel:
            warnings.warn("read_timeout is deprecated, use timeout", DeprecationWarning, 3)
            result = replace(result, total=total)
        if connect is not None:
            warnings.warn("conn_timeout is deprecated, use timeout", DeprecationWarning, 3)
            result = replace(result, connect=connect)
        return result
    if not isinstance(timeout, ClientTimeout):
        raise ValueError(_wrong_type(timeout))
    if total is not sentinel or connect is not None:
        raise ValueError("read_timeout and conn_timeout are parts of timeout: give timeout only")
    return timeout


def as_timeout(timeout: ClientTimeout | _SENTINEL | float | None) -> ClientTimeout:
    """Return the timeouts that a request's argument means; a number is for all of it.

    Raises ValueError for another type.
    """
    if isinstance(timeout, ClientTimeout):
        return timeout
    if timeout is None or isinstance(timeout, int | float):
        return ClientTimeout(total=timeout)
    raise ValueError(_wrong_type(timeout))


def _wrong_type(timeout: object) -> str:
    return (
        f"timeout parameter cannot be of {type(timeout)} type,"
        " please use 'timeout=ClientTimeout(...)'"
    )


def deadline(now: float, timeout: float | None, ceil_threshold: float = 5) -> float:
    """Return when ``timeout`` passes; ``NEVER`` if there is none."""
    if not timeout or timeout < 0:
        return NEVER
    when = now + timeout
    return math.ceil(when) if timeout > ceil_threshold else when


class Timed(Protocol):
    """Something with a deadline."""

    def on_deadline(self, now: float) -> float:
        """Do what is due at ``now``; return the next deadline, or ``NEVER``."""


class Handle(Protocol):
    """A timer that can be stopped (``asyncio.TimerHandle``)."""

    def cancel(self) -> None:
        """Stop it."""


class Clock(Protocol):
    """As much of an event loop as deadlines need."""

    def time(self) -> float:
        """Return the time in seconds."""

    def call_at(self, when: float, callback: Callable[[], None]) -> Handle:
        """Call ``callback`` at ``when``."""


class Deadlines:
    """The deadlines of a session; see the module."""

    __slots__ = ("_armed", "_at", "_loop", "_timed")

    def __init__(self, loop: Clock) -> None:
        self._loop = loop
        self._timed: dict[Timed, float] = {}
        self._armed: Handle | None = None
        self._at = NEVER

    def set(self, timed: Timed, when: float) -> None:
        """Set or move the deadline of ``timed``."""
        self._timed[timed] = when
        if when < self._at:
            if self._armed is not None:
                self._armed.cancel()
            self._at = when
            self._armed = self._loop.call_at(when, self._fire)

    def stop(self, timed: Timed) -> None:
        """Forget the deadline of ``timed``."""
        self._timed.pop(timed, None)

    def close(self) -> None:
        """Let go of the timer."""
        if self._armed is not None:
            self._armed.cancel()
        self._armed = None
        self._at = NEVER

    def _fire(self) -> None:
        self._armed = None
        self._at = NEVER
        now = self._loop.time()
        timed = self._timed
        for each, when in list(timed.items()):
            if when <= now and each in timed:
                timed[each] = each.on_deadline(now)
                if timed[each] == NEVER:
                    del timed[each]
        if timed:
            when = min(timed.values())
            self._at = when
            self._armed = self._loop.call_at(when, self._fire)


class RequestClock:
    """The deadlines of one call of ``ClientSession.request``, through all its hops.

    What passes is told to whatever the call waits for at that time: a place in the pool
    (``waiter``) or a response (``exchange``).
    """

    __slots__ = (
        "_deadlines",
        "_final",
        "_missed",
        "_total",
        "connect",
        "exchange",
        "host",
        "timeout",
        "waiter",
        "waits",
    )

    def __init__(self, deadlines: Deadlines, timeout: ClientTimeout, now: float) -> None:
        self._deadlines = deadlines
        self.timeout = timeout
        self._final = False
        self._missed = False
        """A deadline passed when there was a place in the pool, and no exchange yet."""
        self._total = deadline(now, timeout.total, timeout.ceil_threshold)
        self.connect = NEVER
        self.waits: float | None = None
        """How long the call waits for a connection at most."""
        self.host = ""
        """The host and port that it wants to reach, for messages."""
        self.waiter: asyncio.Future[Any] | None = None
        self.exchange: ClientExchange | None = None
        if self._total != NEVER:
            deadlines.set(self, self._total)

    def begin_waiting(
        self, waiter: asyncio.Future[Any], timeout: float | None, host: str = ""
    ) -> None:
        """The call waits for a connection to ``host``, at most ``timeout`` seconds."""
        self.waiter = waiter
        self.waits = timeout
        self.host = host
        now = waiter.get_loop().time()
        self.connect = deadline(now, timeout, self.timeout.ceil_threshold)
        self._update()

    def end_waiting(self) -> None:
        """The call waits for a connection no longer."""
        self.waiter = None
        self.connect = NEVER

    async def sleep(self, delay: float, loop: asyncio.AbstractEventLoop) -> None:
        """Wait between two attempts.  Raises TimeoutError when ``total`` passes."""
        waiter: asyncio.Future[None] = loop.create_future()
        timer = loop.call_later(delay, _end, waiter)
        self.begin_waiting(waiter, None)
        try:
            await waiter
        finally:
            timer.cancel()
            self.end_waiting()

    def begin_exchange(self, exchange: ClientExchange) -> None:
        """The call waits for a response."""
        self.exchange = exchange
        if self.timeout.sock_read or self._missed:
            self._missed = False
            self._update()

    def end_exchange(self) -> None:
        """The exchange is over; another may follow."""
        self.exchange = None
        if self._final:
            self.stop()

    def hand_over(self) -> None:
        """The response is the caller's: the clock runs until its body is complete."""
        self._final = True
        if self.exchange is None:
            self.stop()

    def stop(self) -> None:
        """The call is over."""
        self.exchange = None
        if self._total != NEVER or self.timeout.sock_read:
            self._deadlines.stop(self)

    def on_deadline(self, now: float) -> float:
        """Tell whoever waits that the time is up."""
        waiter, exchange = self.waiter, self.exchange
        if exchange is not None and exchange.keeps_server_waiting():
            exchange.last_activity = now
        if now >= self._total:
            error: Exception = TimeoutError(f"the request took more than {self.timeout.total} s")
        elif now >= self.connect:
            error = ConnectionTimeoutError(
                f"no connection to {self.host} became available within {self.waits} s"
            )
        elif exchange is not None and now >= self._sock_read(exchange):
            error = SocketTimeoutError(
                f"nothing came from the server for {self.timeout.sock_read} s"
            )
        else:
            return self._next()
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)
        elif exchange is not None:
            exchange.fail(error)
        else:
            self._missed = True
        return NEVER

    def _sock_read(self, exchange: ClientExchange) -> float:
        return deadline(exchange.last_activity, self.timeout.sock_read)

    def _next(self) -> float:
        when = min(self._total, self.connect)
        if self.exchange is not None:
            when = min(when, self._sock_read(self.exchange))
        return when

    def _update(self) -> None:
        when = self._next()
        if when != NEVER:
            self._deadlines.set(self, when)


def _end(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
