"""plait_trio's requests cancelled anywhere: over both versions, by proxies of every kind.

Afterwards nothing is in use, nobody waits, the next request succeeds, and no socket is left.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TypeAlias

import anyio.from_thread
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

import plait_trio
from tests.adapters.proxy_peer import ProxyPeer
from tests.adapters.test_client_proxies import KINDS, Kind, all_kinds, all_ways, running
from tests.adapters.test_trio_proxies import in_thread, open_session, run
from tests.adapters.trio_site import CancelAt, assert_at_rest
from tests.conftest import Authority
from tests.sessions import H1, H1_TLS, H2, H2C, Way


@all_kinds
@all_ways
def test_cancelled_at_every_step(way: Way, kind: Kind, authority: Authority) -> None:
    with in_thread(way, kind, authority) as (url, _, proxy, _unused):

        async def test() -> None:
            for steps in range(1, 300):
                async with open_session(way, authority, proxy, limit=1) as session:
                    with trio.CancelScope() as scope, CancelAt(steps, scope) as instrument:
                        await session.post(f"{url}/hello", body=b"content")
                    assert (session.pool.acquired, session.pool.waiting) == (0, 0)
                    assert (await session.get(f"{url}/hello")).status == 200
                    assert_at_rest(session)
                if not scope.cancelled_caught and instrument.left > 0:
                    assert steps > 10
                    return
            raise AssertionError("a request does not end")

        run(test)


class Servers:
    """A server and a proxy for each way and kind, which run in a thread and are kept."""

    def __init__(self, stack: ExitStack, authority: Authority) -> None:
        self.authority = authority
        self._stack = stack
        self._portal = stack.enter_context(anyio.from_thread.start_blocking_portal())
        self._running: dict[tuple[Way, Kind], tuple[str, ProxyPeer, str]] = {}

    def find(self, way: Way, kind: Kind) -> tuple[str, ProxyPeer, str]:
        """Return the URL of the server, the proxy and its URL."""
        if (way, kind) not in self._running:
            opened = running(way, kind, self.authority)
            url, peer, proxy = self._stack.enter_context(
                self._portal.wrap_async_context_manager(opened)
            )
            self._running[way, kind] = url, peer, str(proxy)
        return self._running[way, kind]


@pytest.fixture(scope="module")
def servers(authority: Authority) -> Iterator[Servers]:
    with ExitStack() as stack:
        yield Servers(stack, authority)


Plan: TypeAlias = list[tuple[int, bool, bool, bool]]
"""For each of several requests at once: before which step it is cancelled, whether the steps of
all tasks count and not only its own, whether it goes by the proxy, and whether it opens a
WebSocket."""

PLANS = st.lists(
    st.tuples(st.integers(1, 90), st.booleans(), st.booleans(), st.booleans()),
    min_size=1,
    max_size=4,
)


@given(
    way=st.sampled_from([H1, H1_TLS, H2C, H2]),
    kind=st.sampled_from(KINDS),
    limit=st.integers(1, 3),
    plan=PLANS,
)
@settings(max_examples=100, deadline=None)
def test_requests_at_once_are_cancelled_anywhere(
    servers: Servers, way: Way, kind: Kind, limit: int, plan: Plan
) -> None:
    url, _, proxy = servers.find(way, kind)

    async def one(
        session: plait_trio.Session,
        step: int,
        counts_all: bool,
        by_proxy: bool,
        opens_websocket: bool,
    ) -> None:
        named = None if by_proxy else ""
        with trio.CancelScope() as scope, CancelAt(step, scope, all_tasks=counts_all):
            if opens_websocket:
                async with session.open_websocket(f"{url}/ws", proxy=named) as websocket:
                    await websocket.send("hello")
                    assert await websocket.receive() == "hello"
                return
            response = await session.post(f"{url}/hello", body=b"content", proxy=named)
            assert response.status == 200

    async def test() -> None:
        async with open_session(way, servers.authority, proxy, limit=limit) as session:
            async with trio.open_nursery() as nursery:
                for entry in plan:
                    nursery.start_soon(one, session, *entry)
            assert (session.pool.acquired, session.pool.waiting) == (0, 0)
            for direct in (None, ""):
                assert (await session.get(f"{url}/hello", proxy=direct)).status == 200
            places = session._places
            assert places is not None
            while session.stats().connecting:  # Its request was served by another.
                await places._pool_changed.wait()
            assert_at_rest(session)
            assert not places._opening
        assert not places._alive
        assert session.pool.connections == 0

    run(test)
    gc.collect()  # A socket that nobody closed warns, which is an error.
