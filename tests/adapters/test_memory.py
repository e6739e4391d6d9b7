"""A session and an application over a connection in memory: no socket, no asyncio protocol."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

import plait
from plait import web
from plait.calls.connection import ClientConnection
from plait.inprocess.connector import MemoryConnector
from plait.transport.memory import HIGH_WATER, MemoryTransport, connect
from plait_engine.engines import EngineName
from plait_engine.testing import TEST_CONFIG

from .web_peer import Owner, app_of

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["native", "reference"])
def engine(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(params=[False, True], ids=["h1", "h2"])
def http2(request: pytest.FixtureRequest) -> Any:
    return request.param


class Connector(MemoryConnector):
    """Keeps the transports of the client's side."""

    def __init__(self, server: web.Server, **options: Any) -> None:
        super().__init__(lambda: server, **options)
        self.made: list[MemoryTransport] = []

    def connection_made(self, key: Any, transport: Any, protocol: str) -> ClientConnection:
        self.made.append(transport)
        return super().connection_made(key, transport, protocol)


@asynccontextmanager
async def serve(
    app: web.Application, http2: bool, engine: EngineName
) -> AsyncIterator[tuple[plait.ClientSession, Connector]]:
    runner = web.AppRunner(app, access_log=None, engine=engine)
    await runner.setup()
    server = runner.server
    assert server is not None
    connector = Connector(server, http2=http2, engine=engine)
    async with plait.ClientSession(connector=connector) as session:
        yield session, connector
    await runner.cleanup()
    assert not server._connections


async def test_requests_and_bodies(http2: bool, engine: EngineName) -> None:
    async def handler(request: web.Request) -> web.Response:
        assert isinstance(request.transport, MemoryTransport)
        assert request.remote == "127.0.0.1"
        return web.Response(body=await request.read(), headers={"X-Path": request.path})

    async with serve(app_of(handler, "/{tail:.*}"), http2, engine) as (session, connector):
        for size in (0, 1, 5 * HIGH_WATER):
            async with session.post(f"http://host/{size}", data=bytes(size)) as response:
                assert response.headers["X-Path"] == f"/{size}"
                assert await response.read() == bytes(size)
                assert response.version == ((2, 0) if http2 else (1, 1))
        assert len(connector.made) == 1


async def test_a_websocket(http2: bool, engine: EngineName) -> None:
    async def handler(request: web.Request) -> web.WebSocketResponse:
        ws: Any = web.WebSocketResponse()
        await ws.prepare(request)
        async for message in ws:
            await ws.send_str(message.data[::-1])
        return ws

    async with (
        serve(app_of(handler), http2, engine) as (session, _),
        session.ws_connect("http://host/") as ws,
    ):
        for text in ("abc", "x" * 3 * HIGH_WATER):
            await ws.send_str(text)
            assert await ws.receive_str() == text[::-1]


async def test_a_writer_waits_for_a_reader(http2: bool, engine: EngineName) -> None:
    written = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal written
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(300):
            await response.write(bytes(65536))
            written += 65536
        return response

    async with (
        serve(app_of(handler), http2, engine) as (session, _),
        session.get("http://host/") as response,
    ):
        before = -1
        while before != written:
            before = written
            for _ in range(100):
                await asyncio.sleep(0)
        assert written < 300 * 65536 / 4
        assert len(await response.read()) == 300 * 65536


async def test_a_connection_that_is_dropped_breaks_the_response(
    http2: bool, engine: EngineName
) -> None:
    broken = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"part")
        await broken.wait()
        with pytest.raises(ConnectionResetError):
            await response.write(b"rest")
        raise ConnectionResetError

    async with (
        serve(app_of(handler), http2, engine) as (session, connector),
        session.get("http://host/") as response,
    ):
        assert await response.content.readany() == b"part"
        connector.made[0].peer.abort()
        with pytest.raises(plait.ClientError):
            await response.read()
        broken.set()


async def test_bytes_that_meet_a_closed_end_reset_the_connection() -> None:
    loop = asyncio.get_running_loop()

    def side(transport: MemoryTransport) -> Owner:
        return Owner(transport, "http/1.1", TEST_CONFIG)

    client, server = connect(side, side, loop=loop)
    near, far = client.driver.transport, server.driver.transport
    assert isinstance(near, MemoryTransport)
    assert isinstance(far, MemoryTransport)
    far.close()
    near.write(b"late")
    assert near.is_closing()
    await client.driver.wait_closed()
    assert isinstance(client.driver.lost, ConnectionResetError)
    await server.driver.wait_closed()
    assert server.driver.lost is None
