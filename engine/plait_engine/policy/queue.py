"""The queue of tickets that wait for a connection of one key.

First come, first served, with one exception.  A ticket that comes again, because a
connection took its request and did not process it, is served before all tickets that come
for the first time.  They arrived after it.  If they overtook it now, the server's limits
could hit the same request again and again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from itertools import chain, islice
from typing import Final, Generic, TypeVar

Ticket = TypeVar("Ticket", bound=Hashable)

_BEFORE_ALL: Final = 0


class TicketQueue(Generic[Ticket]):
    """Tickets in the order in which they are served.

    Every call is O(1) but iteration and ``first``.
    """

    __slots__ = ("_again", "_first_time")

    def __init__(self) -> None:
        self._again: OrderedDict[Ticket, None] = OrderedDict()
        self._first_time: OrderedDict[Ticket, int] = OrderedDict()
        """With their arrivals, which are counted over all queues."""

    def __len__(self) -> int:
        return len(self._again) + len(self._first_time)

    def __contains__(self, ticket: Ticket) -> bool:
        return ticket in self._first_time or ticket in self._again

    def __iter__(self) -> Iterator[Ticket]:
        return chain(self._again, self._first_time)

    def first(self, count: int) -> list[Ticket]:
        """Return the ``count`` tickets that are served next, or as many as there are."""
        return list(islice(self, max(count, 0)))

    def push(self, ticket: Ticket, arrival: int, *, again: bool) -> None:
        """Let ``ticket`` wait; ``arrival`` counts from 1 over all queues."""
        if again:
            self._again[ticket] = None
        else:
            self._first_time[ticket] = arrival

    def remove(self, ticket: Ticket) -> None:
        """``ticket``, which is in the queue, waits no longer."""
        if ticket in self._first_time:
            del self._first_time[ticket]
        else:
            del self._again[ticket]

    @property
    def oldest(self) -> int:
        """The arrival of the ticket that is served next; of two queues, the lower is first."""
        return _BEFORE_ALL if self._again else next(iter(self._first_time.values()))
