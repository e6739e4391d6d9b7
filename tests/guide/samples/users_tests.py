"""Tests of a web application, as its author writes them; pytest runs this file."""

from unittest import mock

import pytest

from plait import web
from plait.test_utils import AioHTTPTestCase, make_mocked_coro, make_mocked_request

value = web.AppKey("value", str)


async def show(request):
    return web.Response(text=f"value: {request.app.get(value, 'unknown')}")


async def count(request):
    ws = web.WebSocketResponse()
    await ws.prepare(request)
    for number in range(3):
        await ws.send_json({"number": number})
    await ws.close()
    return ws


def make_app(known=None):
    app = web.Application()
    if known is not None:
        app[value] = known
    app.router.add_get("/", show)
    app.router.add_get("/count", count)
    return app


# With the fixtures.


@pytest.fixture(params=[False, True], ids=["HTTP/1.1", "HTTP/2"])
async def client(aiohttp_client, request):
    return await aiohttp_client(make_app("known"), http2=request.param)


async def test_show(client):
    response = await client.get("/")
    assert response.status == 200
    assert await response.text() == "value: known"


async def test_not_found(client):
    async with client.get("/nowhere") as response:
        assert response.status == 404


async def test_websocket(client):
    async with client.ws_connect("/count") as ws:
        assert [message.json()["number"] async for message in ws] == [0, 1, 2]


async def test_in_memory(aiohttp_client):
    client = await aiohttp_client(make_app(), server_kwargs={"in_memory": True})
    async with client.get("/") as response:
        assert await response.text() == "value: unknown"


async def test_bare_handler(aiohttp_raw_server, aiohttp_client):
    async def handler(request):
        return web.json_response({"method": request.method})

    server = await aiohttp_raw_server(handler)
    client = await aiohttp_client(server)
    async with client.post("/any") as response:
        assert await response.json() == {"method": "POST"}


def test_synchronous(loop, aiohttp_client):
    client = loop.run_until_complete(aiohttp_client(make_app()))
    assert loop.run_until_complete(client.get("/")).status == 200


# Without a server.


async def test_handler_alone():
    request = make_mocked_request("GET", "/", headers={"token": "x"}, app={value: "mine"})
    response = await show(request)
    assert response.text == "value: mine"


async def test_mocked_coroutine():
    lookup = make_mocked_coro("found")
    assert await lookup("key") == "found"
    assert lookup.mock_calls == [mock.call("key")]


# With unittest.


class TestApp(AioHTTPTestCase):
    async def get_application(self):
        return make_app("of the case")

    async def test_show(self):
        async with self.client.get("/") as response:
            assert await response.text() == "value: of the case"
