"""The guide's samples of the server, under plait's client."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

import plait
from tests.conftest import Authority
from tests.guide.conftest import ServeSample
from tests.sessions import H1, H2C, Way

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[H1, H2C], ids=str)
def way(request: pytest.FixtureRequest) -> Way:
    chosen: Way = request.param
    return chosen


@pytest.fixture
async def session(authority: Authority, way: Way) -> AsyncIterator[plait.ClientSession]:
    async with way.open_session(authority) as opened:
        yield opened


async def test_hello(serve_sample: ServeSample, session: plait.ClientSession) -> None:
    url = serve_sample("hello_server")
    async with session.get(f"{url}/") as response:
        assert await response.text() == "Hello, World!"
    async with session.get(f"{url}/Ada") as response:
        assert await response.text() == "Hello, Ada!"
    async with session.get(f"{url}/Ada/Lovelace") as response:
        assert response.status == 404


async def test_route_table(serve_sample: ServeSample, session: plait.ClientSession) -> None:
    url = serve_sample("routes_server")
    async with session.get(f"{url}/") as response:
        assert await response.json() == {"message": "Home"}
    async with session.post(f"{url}/users", json={"name": "Ada"}) as response:
        assert response.status == 201
        assert await response.json() == {"user": {"name": "Ada"}}


async def test_middleware(serve_sample: ServeSample, session: plait.ClientSession) -> None:
    url = serve_sample("routes_server")
    async with session.get(f"{url}/broken") as response:
        assert response.status == 500
        assert await response.json() == {"error": "out of order"}


async def test_websocket(serve_sample: ServeSample, session: plait.ClientSession) -> None:
    url = serve_sample("routes_server")
    async with session.ws_connect(f"{url}/ws") as websocket:
        await websocket.send_str("one")
        assert await websocket.receive_str() == "Echo: one"
        await websocket.send_str("two")
        assert await websocket.receive_str() == "Echo: two"
