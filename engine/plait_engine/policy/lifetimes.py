"""How many connections a server has, how long each may live, and how many requests it may carry.

A connection whose time is over takes no more requests: it ends gracefully, behind the answers
to those that are open.  So clients come back through the load balancer, and what a connection
gathers in memory is bounded (nginx: ``keepalive_time`` and ``keepalive_requests``).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Generic, TypeVar

ConnectionT = TypeVar("ConnectionT")


class Lifetimes(Generic[ConnectionT]):
    """The open connections of a server; iterating gives them, the oldest first.

    Args:
        max_connections: those that are open at a time, at most; ``None``: any number.
        max_age: seconds after which a connection ends; ``None``: never.
        max_requests: requests after which a connection ends; ``None``: never.
    """

    def __init__(
        self,
        max_connections: int | None = None,
        max_age: float | None = None,
        max_requests: int | None = None,
    ) -> None:
        self.max_connections = math.inf if max_connections is None else max_connections
        self.max_age = math.inf if max_age is None else max_age
        # A client's requests have the odd ids from 1 on, on either version of HTTP.
        self.last_stream_id = 2**31 if max_requests is None else 2 * max_requests - 1
        """The id of the last request of a connection."""
        self._young: dict[ConnectionT, float] = {}
        """When the time of each connection is over."""
        self._old: dict[ConnectionT, None] = {}
        """Those that were told."""

    def __iter__(self) -> Iterator[ConnectionT]:
        yield from self._old
        yield from self._young

    def __len__(self) -> int:
        return len(self._old) + len(self._young)

    @property
    def is_full(self) -> bool:
        """True when another connection would be one too many."""
        return len(self) >= self.max_connections

    def began(self, connection: ConnectionT, now: float) -> None:
        """A connection was opened."""
        self._young[connection] = now + self.max_age

    def ended(self, connection: ConnectionT) -> None:
        """A connection is gone.  Later calls do nothing."""
        if self._young.pop(connection, None) is None:
            self._old.pop(connection, None)

    def expired(self, now: float) -> list[ConnectionT]:
        """Return the connections whose time is over, each once."""
        expired = []
        for connection, end in self._young.items():
            if end > now:
                break
            expired.append(connection)
        for connection in expired:
            del self._young[connection]
            self._old[connection] = None
        return expired

    def next_timeout(self) -> float | None:
        """Return when to ask which connections are ``expired``."""
        end = next(iter(self._young.values()), math.inf)
        return None if end == math.inf else end
