"""What an idle connection costs in memory: the adapter's and the engine's objects for it."""

from __future__ import annotations

import asyncio
import gc
import socket
import tracemalloc
from pathlib import Path

import pytest

import plait
import plait_engine
from plait import web

from .web_peer import app_of

pytestmark = pytest.mark.anyio

CONNECTIONS = 100
MOST = 3400
"""Bytes that our own code allocates for one.  With asyncio's transport it is 4,700 on Python
3.11, where aiohttp takes 8,400 (``h1-memory`` of the benchmarks); a deque alone takes 760."""


def allocated() -> int:
    """Return the bytes that the code of plait has allocated and not freed."""
    gc.collect()
    packages = [Path(module.__file__ or "").parent / "*" for module in (plait, plait_engine)]
    ours = [tracemalloc.Filter(True, str(package)) for package in packages]
    statistics = tracemalloc.take_snapshot().filter_traces(ours).statistics("filename")
    return sum(statistic.size for statistic in statistics)


async def test_an_idle_connection_is_small() -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text="Hello, World!")

    loop = asyncio.get_running_loop()
    runner = web.AppRunner(app_of(handler), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    sockets = [socket.socket() for _ in range(2 * CONNECTIONS)]

    async def use(sock: socket.socket) -> None:
        sock.setblocking(False)
        await loop.sock_connect(sock, ("127.0.0.1", site.port))
        await loop.sock_sendall(sock, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await loop.sock_recv(sock, 65536)).startswith(b"HTTP/1.1 200")

    for sock in sockets[:CONNECTIONS]:  # What is made once, caches and tables, is there then.
        await use(sock)
    tracemalloc.start()
    try:
        before = allocated()
        for sock in sockets[CONNECTIONS:]:
            await use(sock)
        await asyncio.sleep(0)
        taken = (allocated() - before) / CONNECTIONS
    finally:
        tracemalloc.stop()
        for sock in sockets:
            sock.close()
        await runner.cleanup()
    assert taken < MOST, taken
    assert taken > 1000, "it measures nothing"
