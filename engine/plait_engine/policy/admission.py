"""Which requests of a connection get a handler now, which wait, and which are refused.

The peer bounds nothing by itself: it may reset a stream as soon as the request is sent, which
makes room for the next one while the handler of the first goes on (CVE-2023-44487).  So what
is counted is handlers that run, and not streams that are open.

* A request waits from its arrival to the end of its batch.  One that is reset in between
  never gets a handler.
* No more than ``limit`` handlers run at a time.  A request beyond that waits for one of them
  to end, in the order in which the requests came.
* A request that has waited for ``patience`` seconds is refused.  It was not processed, so the
  client may send it again (REFUSED_STREAM, RFC 9113 section 8.7).
"""

from __future__ import annotations

import math
from typing import Final, Generic, TypeVar

PATIENCE: Final = 1.0
"""Seconds that a request waits for one of too many handlers to end."""

RequestT = TypeVar("RequestT")


class Admission(Generic[RequestT]):
    """The requests of one connection of a server.

    Args:
        limit: handlers that run at a time, at most.
        patience: seconds that a request waits for a handler to end, at most.
    """

    __slots__ = ("limit", "patience", "running", "waiting")

    def __init__(self, limit: int, patience: float = PATIENCE) -> None:
        self.limit = limit
        self.patience = patience
        self.running: set[RequestT] = set()
        """Requests whose handler runs."""
        self.waiting: dict[RequestT, float] = {}
        """Requests that have no handler yet, the oldest first, and when each is refused."""

    def arrived(self, request: RequestT) -> None:
        """A request came."""
        self.waiting[request] = math.inf

    def withdrawn(self, request: RequestT) -> None:
        """The client reset ``request``; nothing happens if it has a handler."""
        self.waiting.pop(request, None)

    def ended(self, request: RequestT) -> None:
        """The handler of ``request`` has ended."""
        self.running.discard(request)

    def start_next(self) -> RequestT | None:
        """Return the next request whose handler starts now, if there is one.

        Ask until there is none, when a batch of events is over and when a handler has ended.
        """
        if not self.waiting or len(self.running) >= self.limit:
            return None
        request = next(iter(self.waiting))
        del self.waiting[request]
        self.running.add(request)
        return request

    def next_timeout(self, now: float) -> float | None:
        """Return when to ask which requests are ``refused``, if any waits.

        The patience with a request begins when this is called for the first time.
        """
        for request in reversed(self.waiting):
            if self.waiting[request] < math.inf:
                break
            self.waiting[request] = now + self.patience
        return next(iter(self.waiting.values()), None)

    def refused(self, now: float = math.inf) -> list[RequestT]:
        """Return the requests that have waited too long, and forget them; without ``now``: all."""
        refused = [request for request, when in self.waiting.items() if when <= now]
        for request in refused:
            del self.waiting[request]
        return refused
