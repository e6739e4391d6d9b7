"""The line of tickets that wait for a connection of one key.

First come, first served; but who comes again, because a connection took the request and did
not process it, goes before all who come for the first time.  Those were behind it already:
would they overtake it now, the limits of the server could hit it again and again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from itertools import chain
from typing import Final, Generic, TypeVar

Ticket = TypeVar("Ticket", bound=Hashable)

_OLDEST: Final = 0


class Line(Generic[Ticket]):
    """Tickets in the order in which they are served; every call is O(1) but iteration."""

    __slots__ = ("_again", "_first_time")

    def __init__(self) -> None:
        self._again: OrderedDict[Ticket, None] = OrderedDict()
        self._first_time: OrderedDict[Ticket, int] = OrderedDict()
        """With their numbers in the order of all lines."""

    def __len__(self) -> int:
        return len(self._again) + len(self._first_time)

    def __contains__(self, ticket: Ticket) -> bool:
        return ticket in self._first_time or ticket in self._again

    def __iter__(self) -> Iterator[Ticket]:
        return chain(self._again, self._first_time)

    def join(self, ticket: Ticket, turn: int, *, again: bool) -> None:
        """Let ``ticket`` wait; ``turn`` counts from 1 in all lines together."""
        if again:
            self._again[ticket] = None
        else:
            self._first_time[ticket] = turn

    def leave(self, ticket: Ticket) -> None:
        """``ticket``, which is in the line, waits no longer."""
        if ticket in self._first_time:
            del self._first_time[ticket]
        else:
            del self._again[ticket]

    @property
    def turn(self) -> int:
        """When it is the line's turn: the lines with the lowest number are first."""
        return _OLDEST if self._again else next(iter(self._first_time.values()))
