"""The cache of addresses: what names meant when they were last looked up.

An entry is good for ``ttl`` seconds, and the entry that was used least recently makes room for
a new one.  Each look-up begins with another address, so that connections spread over all of
them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Generic, TypeVar

AddressT = TypeVar("AddressT")


class AddressCache(Generic[AddressT]):
    """Addresses by host and port.

    Args:
        ttl: seconds for which an answer is good; ``None``: for ever.
        max_size: entries at most.

    Raises ValueError for a ``max_size`` that has room for none.
    """

    __slots__ = ("_entries", "_max_size", "_ttl")

    def __init__(self, ttl: float | None, max_size: int) -> None:
        if max_size < 1:
            raise ValueError("max_size must be at least 1")
        self._ttl = ttl
        self._max_size = max_size
        self._entries: OrderedDict[tuple[str, int], _Entry[AddressT]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, key: tuple[str, int], addresses: Sequence[AddressT], now: float) -> None:
        """Remember ``addresses``, which were found at ``now``."""
        self._entries.pop(key, None)
        if len(self._entries) >= self._max_size:
            self._entries.popitem(last=False)
        self._entries[key] = _Entry(addresses, now)

    def find(self, key: tuple[str, int], now: float) -> list[AddressT] | None:
        """Return the addresses of ``key``, or ``None`` when they are not known any more."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if self._ttl is not None and now - entry.since > self._ttl:
            del self._entries[key]
            return None
        self._entries.move_to_end(key)
        return entry.rotate()

    def remove(self, key: tuple[str, int]) -> None:
        """Forget ``key``."""
        self._entries.pop(key, None)

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()


class _Entry(Generic[AddressT]):
    """The addresses of one name."""

    __slots__ = ("_addresses", "_first", "since")

    def __init__(self, addresses: Sequence[AddressT], since: float) -> None:
        self._addresses = tuple(addresses)
        self._first = 0
        self.since = since

    def rotate(self) -> list[AddressT]:
        """Return all of them, beginning with another one each time."""
        first = self._first
        if self._addresses:
            self._first = (first + 1) % len(self._addresses)
        return [*self._addresses[first:], *self._addresses[:first]]
