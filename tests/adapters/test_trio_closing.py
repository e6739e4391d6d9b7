"""Leaving plait_trio's Session: at once, with every socket closed, whatever the peers do."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

import pytest
import trio
import trio.lowlevel

import plait_trio
from plait_engine.policy.pool_events import PoolClosedError
from tests.adapters.test_client_proxies import Kind, all_ways
from tests.adapters.test_trio_proxies import in_thread, run
from tests.conftest import Authority
from tests.sessions import Way


@all_ways
@pytest.mark.parametrize(
    "kind", [Kind("http"), Kind("https", "Basic"), Kind("socks5", "password")], ids=str
)
def test_what_is_open_is_closed_at_once(way: Way, kind: Kind, authority: Authority) -> None:
    """Idle connections, those in use, and those that are being opened; TLS in TLS included."""
    with in_thread(way, kind, authority) as (url, _, _proxy, session):

        async def listen() -> None:
            async with session.open_websocket(f"{url}/ws") as websocket:
                await websocket.receive()

        async def fails(function: Callable[[], Awaitable[object]]) -> None:
            with suppress(
                plait_trio.StreamError,
                plait_trio.ConnectError,
                plait_trio.WebSocketClosed,
                PoolClosedError,
            ):
                await function()

        async def test() -> None:
            async with trio.open_nursery() as nursery:
                async with session:
                    await session.get(f"{url}/hello")
                    await session.get(f"{url}/hello", proxy="")
                    for _ in range(3):
                        nursery.start_soon(fails, listen)
                        nursery.start_soon(fails, partial(session.get, f"{url}/hello"))
                    await trio.lowlevel.checkpoint()
                    began = trio.current_time()
                # Less than any timeout for the end of a connection.
                assert trio.current_time() - began < 1.5
                places = session._places
                assert places is not None
                assert not places._alive

        run(test)
        gc.collect()  # A socket that nobody closed warns, which is an error.


def test_a_server_that_does_not_answer_the_end_of_tls(authority: Authority) -> None:
    """Its closure alert is not waited for (RFC 9112 section 9.8 allows that)."""
    ended = []

    async def serve(transport: trio.SocketStream) -> None:
        context = authority.server_context("http/1.1")
        stream = trio.SSLStream(transport, context, server_side=True)
        await stream.do_handshake()
        await stream.receive_some(1000)
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        while await transport.receive_some(1000):
            pass  # Never says anything again.
        ended.append(transport)
        await trio.aclose_forcefully(stream)

    async def test() -> None:
        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
            url = f"https://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
            context = authority.client_context()
            async with plait_trio.Session(ssl_context=context) as session:
                assert (await session.get(url)).status == 200
                began = trio.current_time()
            assert trio.current_time() - began < 1.5
            while not ended:
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()

    run(test)
    gc.collect()
