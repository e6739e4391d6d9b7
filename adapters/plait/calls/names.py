"""From names to addresses: a cache, and one look-up for all who ask at the same time.

A look-up is a task of its own.  So it outlives who asked for it first, should that request be
cancelled while others wait for the same answer.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from aiohappyeyeballs import AddrInfoType

from plait.abc import ResolveResult
from plait_engine.policy.addresses import AddressCache
from plait_engine.policy.hosts import is_ip_literal

from .traces import PlaceTrace

Resolve: TypeAlias = Callable[[str, int], Awaitable[list[ResolveResult]]]
"""Looks a host and a port up.  Raises OSError when there is no such name."""


class Names:
    """See the module.

    Args:
        resolve: asks a resolver.
        cache: what is known already; ``None``: each look-up is made.
    """

    def __init__(
        self,
        resolve: Resolve,
        cache: AddressCache[ResolveResult] | None,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.cache = cache
        self._resolve = resolve
        self._loop = loop
        self._lookups: dict[tuple[str, int], asyncio.Task[list[ResolveResult]]] = {}

    def forget(self, host: str | None, port: int | None) -> None:
        """Forget the addresses of ``host`` and ``port``, or all.

        Raises ValueError when only one of the two is given.
        """
        if (host is None) != (port is None):
            raise ValueError("host and port go together: give both or neither")
        if self.cache is None:
            return
        if host is not None and port is not None:
            self.cache.remove((host, port))
        else:
            self.cache.clear()

    async def find(self, host: str, port: int, trace: PlaceTrace | None) -> list[ResolveResult]:
        """Return the addresses of ``host``.  Raises OSError when there are none."""
        if is_ip_literal(host):
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            return [
                ResolveResult(hostname=host, host=host, port=port, family=family, proto=0, flags=0)
            ]
        trace = trace or PlaceTrace(())
        if self.cache is None:
            await trace.begin_lookup(host)
            found = await self._resolve(host, port)
            await trace.end_lookup(host)
            return found
        key = (host, port)
        known = self.cache.find(key, self._loop.time())
        if known is not None:
            await trace.hit_cache(host)
            return known
        lookup = self._lookups.get(key)
        if lookup is not None:
            found = list(await asyncio.shield(lookup))
            await trace.hit_cache(host)
            return found
        lookup = self._loop.create_task(self._look_up(key, self.cache))
        self._lookups[key] = lookup
        lookup.add_done_callback(lambda task: self._end_lookup(key, task))
        await trace.miss_cache(host)
        await trace.begin_lookup(host)
        found = list(await asyncio.shield(lookup))
        await trace.end_lookup(host)
        return found

    async def close(self) -> None:
        """Give up the look-ups that are under way."""
        lookups = list(self._lookups.values())
        for lookup in lookups:
            lookup.cancel()
        await asyncio.gather(*lookups, return_exceptions=True)

    async def _look_up(
        self, key: tuple[str, int], cache: AddressCache[ResolveResult]
    ) -> list[ResolveResult]:
        host, port = key
        addresses = await self._resolve(host, port)
        if not addresses:
            raise OSError(None, f"no address for {host}")
        cache.add(key, addresses, self._loop.time())
        return addresses

    def _end_lookup(self, key: tuple[str, int], task: asyncio.Task[list[ResolveResult]]) -> None:
        self._lookups.pop(key, None)
        if not task.cancelled():
            task.exception()  # It was raised at whoever waited; nobody else needs it.


def addr_info(address: ResolveResult) -> AddrInfoType:
    """Return what sockets call ``address``.

    The host tells its family: resolvers hand on the ``family`` that they were asked for, which may
    be AF_UNSPEC.
    """
    family = socket.AF_INET6 if ":" in address["host"] else socket.AF_INET
    where: tuple[Any, ...] = (address["host"], address["port"])
    if family is socket.AF_INET6:
        host, _, zone = address["host"].partition("%")
        where = (host, address["port"], 0, socket.if_nametoindex(zone) if zone else 0)
    return (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", where)
