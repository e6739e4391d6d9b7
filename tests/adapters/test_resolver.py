"""AsyncResolver over a stand-in for aiodns: what it asks, what it makes of answers, who shares."""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from plait.resolver import AsyncResolver

pytestmark = pytest.mark.anyio


class Stand:
    """``aiodns``, and the resolvers that were made of it."""

    def __init__(self) -> None:
        self.made: list[Any] = []
        self.nodes: list[Any] = []
        self.asked: list[Any] = []
        stand = self

        class DNSError(Exception):
            pass

        class DNSResolver:
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                self.given = args, kwargs
                self.cancelled = 0
                stand.made.append(self)

            async def getaddrinfo(self, host: str, **kwargs: Any) -> Any:
                stand.asked.append((host, kwargs))
                if host == "unknown.test":
                    raise DNSError(4, "not found")
                return SimpleNamespace(nodes=stand.nodes)

            async def getnameinfo(self, address: Any, flags: int) -> Any:
                assert flags == socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
                if address[3] == 9:
                    raise DNSError(4, "no such zone")
                return SimpleNamespace(node=f"{address[0]}%eth{address[3]}", service="80")

            def cancel(self) -> None:
                self.cancelled += 1

        self.module: Any = ModuleType("aiodns")
        self.module.__spec__ = ModuleSpec("aiodns", None)
        self.module.error = SimpleNamespace(DNSError=DNSError)
        self.module.DNSResolver = DNSResolver


@pytest.fixture
def aiodns(monkeypatch: pytest.MonkeyPatch) -> Stand:
    stand = Stand()
    monkeypatch.setitem(sys.modules, "aiodns", stand.module)
    return stand


async def test_it_asks_for_what_this_host_can_reach(aiodns: Stand) -> None:
    aiodns.nodes = [
        SimpleNamespace(family=socket.AF_INET, addr=(b"192.0.2.1", 80)),
        SimpleNamespace(family=socket.AF_INET6, addr=(b"2001:db8::1", 80, 0, 0)),
        SimpleNamespace(family=socket.AF_INET6, addr=(b"fe80::1", 80, 0, 3)),
    ]
    resolver = AsyncResolver()
    found = await resolver.resolve("a.test", 80, socket.AF_UNSPEC)
    assert [(each["host"], each["port"]) for each in found] == [
        ("192.0.2.1", 80),
        ("2001:db8::1", 80),
        ("fe80::1%eth3", 80),
    ]
    assert {each["hostname"] for each in found} == {"a.test"}
    ((host, asked),) = aiodns.asked
    assert (host, asked["port"], asked["family"]) == ("a.test", 80, socket.AF_UNSPEC)
    assert asked["flags"] == socket.AI_ADDRCONFIG
    await resolver.close()


async def test_a_name_that_is_not_known(aiodns: Stand) -> None:
    resolver = AsyncResolver()
    with pytest.raises(OSError, match="not found"):
        await resolver.resolve("unknown.test")
    with pytest.raises(OSError, match="DNS lookup failed"):
        await resolver.resolve("empty.test")
    aiodns.nodes = [SimpleNamespace(family=socket.AF_INET6, addr=(b"fe80::1", 80, 0, 9))]
    with pytest.raises(OSError, match="no such zone"):
        await resolver.resolve("zone.test")
    await resolver.close()
    with pytest.raises(OSError, match="closed"):
        await resolver.resolve("a.test")


async def test_resolvers_of_a_loop_share_one(aiodns: Stand) -> None:
    first, second = AsyncResolver(), AsyncResolver()
    own = AsyncResolver(nameservers=["192.0.2.53"])
    shared, owned = aiodns.made
    assert shared.given[1]["loop"] is asyncio.get_running_loop()
    assert owned.given[1]["nameservers"] == ["192.0.2.53"]
    await own.close()
    await own.close()
    assert owned.cancelled == 1
    await first.close()
    assert not shared.cancelled
    await second.close()
    await second.close()
    assert shared.cancelled == 1
    await AsyncResolver().close()
    assert len(aiodns.made) == 3, "what was cancelled is not used again"


async def test_a_resolver_that_is_forgotten_keeps_nothing(aiodns: Stand) -> None:
    AsyncResolver()
    gc.collect()
    kept = AsyncResolver()
    await kept.close()
    assert [each.cancelled for each in aiodns.made] == [1]


async def test_loops_do_not_share(aiodns: Stand) -> None:
    async def make() -> None:
        await AsyncResolver().close()

    resolver = AsyncResolver()
    await asyncio.to_thread(asyncio.run, make())
    assert len(aiodns.made) == 2
    await resolver.close()
