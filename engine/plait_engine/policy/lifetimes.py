"""How long a server's connections live, and how many requests each may carry.

A connection whose time is over takes no more requests: it ends gracefully, behind the answers
to those that are open.  So clients come back through the load balancer, and what a connection
gathers in memory is bounded (nginx: ``keepalive_time`` and ``keepalive_requests``).
"""

from __future__ import annotations

import math
from collections.abc import MutableMapping
from typing import Final, TypeVar

ConnectionT = TypeVar("ConnectionT")

RETIRED: Final = -math.inf
"""In the place of its end: the time of this connection is over, and it was told."""


def last_request_id(max_requests: int | None) -> int:
    """Return the stream id of the last request of a connection.

    A client's requests have the odd ids from 1 on, on either version of HTTP.
    """
    return 2**31 if max_requests is None else 2 * max_requests - 1


def retire(
    ends: MutableMapping[ConnectionT, float], now: float
) -> tuple[list[ConnectionT], float | None]:
    """Return the connections whose time is over, each once, and when the next one's is.

    ``ends``: when the time of each open connection is over, the oldest first.
    """
    due = []
    upcoming = None
    for connection, end in ends.items():
        if end > now:
            upcoming = None if end == math.inf else end
            break
        if end != RETIRED:
            due.append(connection)
    for connection in due:
        ends[connection] = RETIRED
    return due, upcoming
