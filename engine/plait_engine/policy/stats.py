"""What a pool has at this moment, in figures: for dashboards, and for tests that look for leaks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self


@dataclass(frozen=True)
class HostStats:
    """The connections to one host, and the requests for it.

    Without a request and with no connection being opened, ``streams``, ``waiting``,
    ``connecting`` and ``in_use`` are 0: what is not, has leaked.
    """

    connecting: int = 0
    """Connections that are being opened."""
    open: int = 0
    """Connections that are open."""
    idle: int = 0
    """Those of them that have no request."""
    streams: int = 0
    """Requests that have a place on a connection, of which HTTP/2 has many."""
    waiting: int = 0
    """Requests that wait for a place."""

    @property
    def in_use(self) -> int:
        """Connections that have a request."""
        return self.open - self.idle


@dataclass(frozen=True)
class PoolStats(HostStats):
    """The same for all hosts together."""

    hosts: Mapping[str, HostStats] = field(default_factory=dict)
    """The figures of each host, by its origin: ``https://example.org:443``."""

    @classmethod
    def of(cls, counted: Iterable[tuple[str, HostStats]]) -> Self:
        """Return the figures of all; an origin may come several times."""
        hosts: dict[str, HostStats] = {}
        for origin, each in counted:
            hosts[origin] = _sum([hosts.get(origin, HostStats()), each])
        total = _sum(list(hosts.values()))
        return cls(
            total.connecting, total.open, total.idle, total.streams, total.waiting, hosts=hosts
        )


def _sum(counted: list[HostStats]) -> HostStats:
    return HostStats(
        sum(each.connecting for each in counted),
        sum(each.open for each in counted),
        sum(each.idle for each in counted),
        sum(each.streams for each in counted),
        sum(each.waiting for each in counted),
    )
