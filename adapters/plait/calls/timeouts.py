"""Timeouts of requests: what a program says about them, and what it gets when one passes.

Which deadline runs when is decided by ``plait_engine.policy.deadlines``.
"""

from __future__ import annotations

import asyncio
import warnings
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from plait.client_exceptions import ConnectionTimeoutError, SocketTimeoutError
from plait.helpers import _SENTINEL, sentinel
from plait_engine.policy.deadlines import CEIL_THRESHOLD, Deadline, RequestClock


@dataclass(frozen=True)
class ClientTimeout:
    """Timeouts of a request, in seconds.  ``None`` or 0: no limit.

    Args:
        total: everything from the call to the end of the response's body, redirects
            included.
        connect: until a connection is assigned: waiting in the pool and connecting.
        pool: waiting in the pool alone: until there is a place on a connection, or one is
            being opened for the request.  plait's own.
        sock_read: between two pieces of what the server sends, while it can send: the time
            to send the request, and to read what came already, does not count.
        write: between two pieces of the request's content that leave, while content waits
            to be sent: 64 KiB of it at most.  plait's own.
        sock_connect: to set up a new connection: name, TCP and TLS.
        ceil_threshold: deadlines longer than this end on a whole second of the loop's
            clock, so that many of them fire together.

    On HTTP/2, ``sock_read`` and ``write`` are about the request's own stream, not about the
    connection; ``pool`` and ``connect`` end when the request has a place on a connection that
    is there.
    """

    total: float | None = None
    connect: float | None = None
    sock_read: float | None = None
    sock_connect: float | None = None
    ceil_threshold: float = CEIL_THRESHOLD
    pool: float | None = None
    write: float | None = None


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
    return f"timeout parameter cannot be of {type(timeout)} type: give a ClientTimeout"


ClientClock: TypeAlias = RequestClock[ClientTimeout]
"""The deadlines of one call of ``ClientSession.request``."""


def explain_connect(host: str, timeout: float | None) -> str:
    """Say that ``ClientTimeout.connect`` has passed."""
    return (
        f"Connection timeout to host {host}:"
        f" no connection became available within {timeout} s (connect)"
    )


def error_of_deadline(clock: ClientClock, passed: Deadline) -> Exception:
    """Return what the caller gets whose deadline ``passed``."""
    timeout, exchange = clock.timeout, clock.exchange
    server = clock.host if exchange is None else exchange.describe()
    match passed:
        case Deadline.TOTAL:
            to = f" to {server}" if server else ""
            so_far = "" if exchange is None else f": {exchange.describe_progress()}"
            return TimeoutError(f"the request{to} took more than {timeout.total} s (total){so_far}")
        case Deadline.POOL:
            return ConnectionTimeoutError(
                f"Connection timeout to host {server}:"
                f" no connection became free within {timeout.pool} s (pool)"
            )
        case Deadline.CONNECT:
            return ConnectionTimeoutError(explain_connect(server, clock.waits))
        case Deadline.WRITE:
            message = f"{server} took nothing of the request for {timeout.write} s (write)"
        case Deadline.READ:
            message = (
                "Timeout on reading data from socket:"
                f" nothing came from {server} for {timeout.sock_read} s (sock_read)"
            )
    so_far = "no response came" if exchange is None else exchange.describe_progress()
    return SocketTimeoutError(f"{message}: {so_far}")


class TotalWatch:
    """Cancels the task of a call when ``total`` passes, whatever the task waits for then.

    It does what ``asyncio.timeout`` does, at a fifth of the cost.  Make it in the task.
    """

    __slots__ = ("_cancelling", "_clock", "_has_cancelled", "_loop", "_task", "_turn")

    def __init__(self, clock: ClientClock, loop: asyncio.AbstractEventLoop, now: float) -> None:
        task = asyncio.current_task(loop)
        assert task is not None
        self._task = task
        self._cancelling = task.cancelling()
        self._clock = clock
        self._loop = loop
        self._turn: asyncio.Handle | None = None
        self._has_cancelled = False
        clock.on_total = self._on_total
        if now >= clock.ends:
            self._on_total()

    def _on_total(self) -> None:
        # In the next turn: a task that the clock has told says more about it, and ends before.
        self._turn = self._loop.call_soon(self._cancel)

    def _cancel(self) -> None:
        self._has_cancelled = True
        self._task.cancel()

    def end(self) -> bool:
        """Watch no longer; tell whether the task was cancelled, and by nobody else."""
        self._clock.on_total = None
        if self._turn is not None:
            self._turn.cancel()
        return self._has_cancelled and self._task.uncancel() <= self._cancelling
