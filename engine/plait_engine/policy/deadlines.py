"""Deadlines of a client's calls: many of them on one timer.

Strategy
--------
Nearly every call has a deadline and nearly none reaches it.  So a deadline is an entry in a
dictionary, and there is one timer for all of them (``Deadlines``), set to the earliest that
was known when it was armed.  When it fires, everybody whose time has come is told, and the
timer is armed again for the next one.  To start and to stop a deadline costs a dictionary
access; moving one costs nothing until the timer fires.

A call has several deadlines (``Deadline``).  Which of them runs when, and who is told that it
has passed, is decided by a ``RequestClock``, through all the requests of the call.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

from plait_engine.driver import LazyTimer, Scheduler

NEVER: Final = math.inf

CEIL_THRESHOLD: Final = 5.0
"""Seconds.  A longer timeout ends on a whole second, so that many of them fire together."""


def deadline(now: float, timeout: float | None, ceil_threshold: float = CEIL_THRESHOLD) -> float:
    """Return when ``timeout`` passes; ``NEVER`` if there is none (``None``, or not positive)."""
    if not timeout or timeout < 0:
        return NEVER
    when = now + timeout
    return math.ceil(when) if timeout > ceil_threshold else when


class Timed(Protocol):
    """Something with a deadline."""

    def on_deadline(self, now: float) -> float:
        """Do what is due at ``now``; return the next deadline, or ``NEVER``."""


class Deadlines:
    """The deadlines of a client; see the module."""

    __slots__ = ("_scheduler", "_timed", "_timer")

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._timed: dict[Timed, float] = {}
        self._timer = LazyTimer(scheduler)

    def set(self, timed: Timed, when: float) -> None:
        """Set or move the deadline of ``timed``."""
        self._timed[timed] = when
        if when < self._timer.at:
            self._timer.arm(when, self._fire)

    def stop(self, timed: Timed) -> None:
        """Forget the deadline of ``timed``."""
        self._timed.pop(timed, None)

    def close(self) -> None:
        """Let go of the timer."""
        self._timer.cancel()

    def rest(self) -> None:
        """Let go of the timer, unless somebody has a deadline."""
        if not self._timed:
            self._timer.cancel()

    def _fire(self) -> None:
        now = self._scheduler.time()
        timed = self._timed
        for each, when in list(timed.items()):
            if when <= now and each in timed:
                timed[each] = each.on_deadline(now)
                if timed[each] == NEVER:
                    del timed[each]
        if timed:
            self._timer.arm(min(timed.values()), self._fire)


class Deadline(enum.Enum):
    """A deadline of a call."""

    TOTAL = "from the call to the end of the response's body"
    POOL = "until there is a place, or a connection is being opened for the call"
    CONNECT = "until there is a connection"
    WRITE = "while content waits to be sent"
    READ = "between two pieces of what the server sends, while it can send"


class CallTimeouts(Protocol):
    """The timeouts of a call, in seconds.  ``None`` or 0: no limit."""

    @property
    def total(self) -> float | None:
        """See ``Deadline.TOTAL``."""

    @property
    def pool(self) -> float | None:
        """See ``Deadline.POOL``."""

    @property
    def write(self) -> float | None:
        """See ``Deadline.WRITE``."""

    @property
    def sock_read(self) -> float | None:
        """See ``Deadline.READ``."""

    @property
    def ceil_threshold(self) -> float:
        """Longer timeouts end on a whole second (but for ``write`` and ``sock_read``)."""


TimeoutsT = TypeVar("TimeoutsT", bound=CallTimeouts)


class Waiter(Protocol):
    """Where a call waits for a place on a connection (``asyncio.Future``)."""

    def done(self) -> bool:
        """Tell whether the waiting is over."""

    def set_exception(self, error: Exception, /) -> object:
        """End the waiting with ``error``."""


class TimedExchange(Protocol):
    """The request of a call that is sent, and its response."""

    last_activity: float
    """When something came from the server, or its turn began."""

    def keeps_server_waiting(self) -> bool:
        """Tell whether it may be this side's turn: ``Deadline.READ`` does not run then."""

    def describe(self) -> str:
        """Say with whom the exchange is, for messages."""

    def describe_progress(self) -> str:
        """Say how much of the response came, for messages."""

    def unsent(self) -> int | None:
        """Return a number that changes when content leaves that waits; ``None``: none waits."""

    def fail(self, error: BaseException) -> None:
        """Give up: whoever waits gets ``error``."""


class RequestClock(Generic[TimeoutsT]):
    """The deadlines of one call, through all its requests.

    What passes is told to whatever the call waits for at that time: a place in the pool
    (``waiter``) or a response (``exchange``).

    Args:
        deadlines: those of the client.
        timeout: the timeouts of the call, but for that of connecting (``begin_waiting``).
        now: when the call began.
        explain: returns the error for a deadline of this clock that passed.
    """

    __slots__ = (
        "_deadlines",
        "_explain",
        "_final",
        "_missed",
        "_pool",
        "_total",
        "_unsent",
        "_write",
        "connect",
        "exchange",
        "host",
        "on_total",
        "timeout",
        "waiter",
        "waits",
    )

    def __init__(
        self,
        deadlines: Deadlines,
        timeout: TimeoutsT,
        now: float,
        explain: Callable[[RequestClock[TimeoutsT], Deadline], Exception],
    ) -> None:
        self._deadlines = deadlines
        self._explain = explain
        self.timeout = timeout
        self._final = False
        self._missed = False
        """A deadline passed when there was a place in the pool, and no exchange yet."""
        self._total = deadline(now, timeout.total, timeout.ceil_threshold)
        self._pool = NEVER
        self._write = NEVER
        self._unsent: int | None = None
        self.connect = NEVER
        self.waits: float | None = None
        """How long the call waits for a connection at most."""
        self.host = ""
        """The host and port that it wants to reach, for messages."""
        self.waiter: Waiter | None = None
        self.exchange: TimedExchange | None = None
        self.on_total: Callable[[], object] | None = None
        """Called when ``total`` passes, behind whoever waits for a place or a response: for a call
        that may wait for something else."""
        if self._total != NEVER:
            deadlines.set(self, self._total)

    @property
    def ends(self) -> float:
        """When the call must be over (``total``), ``NEVER`` without a limit."""
        return self._total

    def begin_waiting(
        self,
        waiter: Waiter,
        timeout: float | None,
        now: float,
        host: str = "",
        *,
        queues: bool = False,
    ) -> None:
        """The call waits for a connection to ``host``, at most ``timeout`` seconds.

        ``queues``: none is being opened for it.
        """
        self.waiter = waiter
        if queues:
            self._pool = deadline(now, self.timeout.pool, self.timeout.ceil_threshold)
        self.waits = timeout
        self.host = host
        self.connect = deadline(now, timeout, self.timeout.ceil_threshold)
        self._update()

    def end_queueing(self) -> None:
        """A connection is being opened for the call."""
        self._pool = NEVER

    def end_waiting(self) -> None:
        """The call waits for a connection no longer."""
        self.waiter = None
        self._pool = self.connect = NEVER

    def watch_writing(self, exchange: TimedExchange, now: float) -> None:
        """Content of ``exchange`` may wait to be sent: some of it has to leave in time."""
        self._measure(exchange, now)
        self._update()

    def begin_exchange(self, exchange: TimedExchange) -> None:
        """The call waits for a response."""
        self.exchange = exchange
        timeout = self.timeout
        if timeout.sock_read or timeout.write or self._missed:
            self._missed = False
            self._update()

    def end_exchange(self) -> None:
        """The exchange is over; another may follow."""
        self.exchange = None
        self._write = NEVER
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
        timeout = self.timeout
        if self._total != NEVER or timeout.sock_read or timeout.write or timeout.pool or self.waits:
            self._deadlines.stop(self)

    def on_deadline(self, now: float) -> float:
        """Tell whoever waits that the time is up (see ``Timed``)."""
        waiter, exchange = self.waiter, self.exchange
        if exchange is not None and exchange.keeps_server_waiting():
            exchange.last_activity = now
        passed = self._passed(now)
        if passed is None:
            return self._next()
        error = self._explain(self, passed)
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)
        elif exchange is not None:
            exchange.fail(error)
        else:
            self._missed = True
        if passed is Deadline.TOTAL and self.on_total is not None:
            self.on_total()
        return NEVER

    def _passed(self, now: float) -> Deadline | None:
        """Return the deadline that has passed."""
        if now >= self._total:
            return Deadline.TOTAL
        if now >= self._pool:
            return Deadline.POOL
        if now >= self.connect:
            return Deadline.CONNECT
        exchange = self.exchange
        if exchange is not None:
            if now >= self._write:
                if self._unsent is not None and self._unsent == exchange.unsent():
                    return Deadline.WRITE
                self._measure(exchange, now)
            if now >= self._read(exchange):
                return Deadline.READ
        return None

    def _measure(self, exchange: TimedExchange, now: float) -> None:
        self._unsent = exchange.unsent()
        self._write = NEVER if self._unsent is None else deadline(now, self.timeout.write, math.inf)

    def _read(self, exchange: TimedExchange) -> float:
        return deadline(exchange.last_activity, self.timeout.sock_read)

    def _next(self) -> float:
        when = min(self._total, self._pool, self.connect)
        if self.exchange is not None:
            when = min(when, self._write, self._read(self.exchange))
        return when

    def _update(self) -> None:
        when = self._next()
        if when != NEVER:
            self._deadlines.set(self, when)
