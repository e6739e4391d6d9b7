"""A connection that is over is freed at once: nothing in plait that is kept holds it.

An error that is kept and raised gets a traceback, and that holds each frame that it went
through, so an exchange that keeps its error would keep itself and its connection alive until
the garbage collector comes.  These tests switch that off.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

import plait
from plait import web
from plait_engine.engines import EngineName
from tests.adapters.test_memory import Connector

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["native", "reference"])
def engine(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(params=[False, True], ids=["h1", "h2"])
def http2(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def no_gc() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(bytes(65536))


async def read(request: web.Request) -> web.Response:
    return web.Response(body=await request.read())


async def fail(request: web.Request) -> web.Response:
    raise web.HTTPBadRequest


async def sent_slowly() -> AsyncIterator[bytes]:
    yield b"part"
    await asyncio.Event().wait()


async def download(session: plait.ClientSession, drop: Callable[[], None]) -> None:
    async with session.get("http://host/stream") as response:
        await response.content.readany()
        drop()
        with contextlib.suppress(plait.ClientError):
            await response.read()


async def upload(session: plait.ClientSession, drop: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_later(0.01, drop)
    with contextlib.suppress(plait.ClientError):
        async with session.post("http://host/read", data=sent_slowly()):
            pass


async def whole(session: plait.ClientSession, drop: Callable[[], None]) -> None:
    for path in ("read", "fail"):
        async with session.post(f"http://host/{path}", data=b"body") as response:
            await response.read()
    drop()


@pytest.mark.parametrize("use", [download, upload, whole])
@pytest.mark.parametrize("by", ["client", "server"])
async def test_a_dropped_connection_is_freed(
    http2: bool, engine: EngineName, use: Any, by: str, no_gc: None
) -> None:
    app = web.Application()
    app.router.add_get("/stream", stream)
    app.router.add_post("/read", read)
    app.router.add_post("/fail", fail)
    runner = web.AppRunner(app, access_log=None, engine=engine)
    await runner.setup()
    server = runner.server
    assert server is not None
    connector = Connector(server, http2=http2, engine=engine)
    seen: list[weakref.ref[Any]] = []

    def drop() -> None:
        for transport in connector.made:
            for end in (transport, transport.peer):
                driver = end._driver
                assert driver is not None
                seen.extend(weakref.ref(each) for each in (driver, driver.listener))
            (transport if by == "client" else transport.peer).abort()
        connector.made.clear()

    async with plait.ClientSession(connector=connector) as session:
        await use(session, drop)
        for _ in range(20):
            await asyncio.sleep(0)
        assert seen
        alive = [reference() for reference in seen if reference() is not None]
        assert not alive, [gc.get_referrers(each) for each in alive]
    await runner.cleanup()
