"""Pools of tests, and their connections."""

from __future__ import annotations

from typing import TypeAlias

from plait_engine.connection import ConnectionState
from plait_engine.policy.pool import Pool
from plait_engine.policy.pool_events import PoolEvent

StrPool: TypeAlias = Pool[str, str]
Events: TypeAlias = list[PoolEvent[str, str]]


class Engine:
    """As much of a connection's engine as the pool asks, with a limit that the test sets."""

    def __init__(self, limit: int = 1) -> None:
        self.state = ConnectionState.OPEN
        self.limit = limit
        self.streams = 0

    @property
    def available_streams(self) -> int:
        return max(0, self.limit - self.streams) if self.state is ConnectionState.OPEN else 0


class Opened:
    """A connection of a pool, as its driver sees it."""

    def __init__(self, pool: StrPool, number: int, now: float = 0.0, limit: int | None = None):
        self.engine = Engine(1 if limit is None else limit)
        self._pool = pool
        self._number = number
        pool.connected(number, self.engine, now, shared=limit is not None)

    def begin(self, count: int = 1) -> None:
        for _ in range(count):
            self._pool.begun(self._number)
            self.engine.streams += 1

    def end(self, now: float, count: int = 1) -> None:
        for _ in range(count):
            self.engine.streams -= 1
            self._pool.released(self._number, now)

    def use(self, now: float) -> None:
        """Do a whole request on a place that was assigned."""
        self.begin()
        self.end(now)

    def change_limit(self, limit: int, now: float) -> None:
        self.engine.limit = limit
        self._pool.changed(self._number, now)

    def leave(self, now: float) -> None:
        """Take no further request."""
        self.engine.state = ConnectionState.DRAINING
        self._pool.changed(self._number, now)


def drain(pool: StrPool) -> Events:
    events: Events = []
    while (event := pool.next_event()) is not None:
        events.append(event)
    return events
