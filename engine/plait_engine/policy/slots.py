"""What the pool knows: the connections of each key, and what becomes of each of them.

A ``Slot`` is an open connection; a ``Host`` is all that there is for one key.  They decide
nothing: that is ``pool``.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Hashable
from typing import Final, Generic, Protocol, TypeVar

from plait_engine.connection import ConnectionState

from .queue import TicketQueue

Key = TypeVar("Key", bound=Hashable)
Ticket = TypeVar("Ticket", bound=Hashable)

UNLIMITED: Final = 2**62
"""More requests than a connection ever has."""


class Carrier(Protocol):
    """What the pool asks of an open connection: the getters of a protocol engine."""

    @property
    def state(self) -> ConnectionState:
        """Whether it takes requests at all."""

    @property
    def available_streams(self) -> int:
        """How many more requests may begin now."""


class Host(Generic[Key, Ticket]):
    """What there is for one key."""

    __slots__ = (
        "connecting",
        "idle",
        "key",
        "refused_at",
        "served_at",
        "shared",
        "sharing",
        "size",
        "undialed",
        "waiting",
    )

    def __init__(self, key: Key, sharing: bool | None) -> None:
        self.key = key
        self.sharing = sharing
        """Whether connections are shared; ``None``: not known yet."""
        self.waiting: TicketQueue[Ticket] = TicketQueue()
        self.undialed: OrderedDict[Ticket, None] = OrderedDict()
        """Those of the waiting tickets for which no connection is being opened."""
        self.connecting: dict[int, Ticket] = {}
        """Connections that are being opened, and for whom; who may have got another."""
        self.idle: list[Slot[Key, Ticket]] = []
        """Connections that are not shared and have no request, the last used last.  May
        hold some that were closed: they are skipped."""
        self.shared: dict[int, Slot[Key, Ticket]] = {}
        """Shared connections that take requests, the oldest first."""
        self.size = 0
        """Connections, those being opened included."""
        self.served_at = 0.0
        """When a waiting ticket got a place, or the first began to wait."""
        self.refused_at = 0
        """How many tickets had come when a peer was last found to take no request."""

    @property
    def turn(self) -> tuple[int, int]:
        """Its place among the keys that wait: the lowest is first."""
        return max(self.waiting.oldest, self.refused_at), self.refused_at


class Slot(Generic[Key, Ticket]):
    """One open connection."""

    __slots__ = (
        "allowance",
        "carrier",
        "draining",
        "end",
        "host",
        "idle_since",
        "number",
        "open",
        "shared",
        "taken",
        "unbegun",
        "used",
    )

    def __init__(
        self, number: int, host: Host[Key, Ticket], carrier: Carrier, shared: bool
    ) -> None:
        self.number = number
        self.host = host
        self.carrier = carrier
        self.shared = shared
        self.taken = 0
        """Places that were assigned and not given back."""
        self.unbegun = 0
        """Those of them on which no request has begun: the engine does not count them."""
        self.used = False
        """It may be stale: a request was done on it, or it was idle."""
        self.allowance = UNLIMITED
        """How many more places on it may be assigned."""
        self.end = math.inf
        """When it is too old for another request."""
        self.draining = False
        self.open = True
        self.idle_since = 0.0

    @property
    def free(self) -> int:
        """How many more requests may be given to the connection."""
        return min(self.carrier.available_streams - self.unbegun, self.allowance)
