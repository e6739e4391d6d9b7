"""The suite of a project that tests with pytest-aiohttp, which runs on plait by no word of its own."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import ClientSession, WSMsgType, web
from aiohttp.test_utils import BaseTestServer, TestClient


async def test_a_client_of_an_application(client: TestClient) -> None:
    for number in (1, 2):
        async with client.get("/count") as response:
            assert (response.status, await response.json()) == (200, number)
    assert (await client.get("/none")).status == 404


async def test_a_client_sees_its_application(client: TestClient, app: web.Application) -> None:
    assert client.app is app
    assert isinstance(client.server, BaseTestServer)
    assert client.make_url("/count").path == "/count"


async def test_what_is_cleaned_up(
    cleaned: list[str], aiohttp_client: Any, app: web.Application
) -> None:
    made = await aiohttp_client(app)
    assert (await made.get("/count")).status == 200
    await made.close()
    assert cleaned == ["cleanup"]


async def test_a_server(aiohttp_server: Any, app: web.Application) -> None:
    server = await aiohttp_server(app)
    async with ClientSession() as session, session.get(server.make_url("/count")) as response:
        assert await response.json() == 1


async def test_a_raw_server(aiohttp_raw_server: Any, aiohttp_client: Any) -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(text=f"{request.method} {request.path}")

    made = await aiohttp_client(await aiohttp_raw_server(handler))
    async with made.post("/raw") as response:
        assert await response.text() == "POST /raw"


async def test_a_websocket(aiohttp_client: Any) -> None:
    async def handler(request: web.Request) -> web.WebSocketResponse:
        websocket = web.WebSocketResponse()
        await websocket.prepare(request)
        await websocket.send_str(f"hello {(await websocket.receive()).data}")
        await websocket.close()
        return websocket

    app = web.Application()
    app.router.add_get("/ws", handler)
    websocket = await (await aiohttp_client(app)).ws_connect("/ws")
    await websocket.send_str("ann")
    assert await websocket.receive_str() == "hello ann"
    assert (await websocket.receive()).type is WSMsgType.CLOSE


class TestOwnClient:
    """``aiohttp_client_cls`` is for a module or a class to override."""

    @pytest.fixture
    def aiohttp_client_cls(self) -> type[TestClient]:
        from conftest import OwnClient

        return OwnClient

    async def test_it_is_used(self, aiohttp_client: Any) -> None:
        async def handler(request: web.Request) -> web.Response:
            return web.Response(text=request.headers["User-Agent"])

        app = web.Application()
        app.router.add_get("/", handler)
        async with (await aiohttp_client(app)).get("/") as response:
            assert await response.text() == "own"
