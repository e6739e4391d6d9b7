"""The websockets library both ways: its client and plait's server, and the reverse."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import websockets
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

import plait
from tests.conftest import Authority
from tests.interop.app import payload
from tests.interop.conftest import Server
from tests.sessions import H1, H1_TLS, Way

pytestmark = pytest.mark.anyio

SIZES = (0, 1, 125, 126, 65535, 65536, 3_000_000)


@pytest.fixture(params=[H1, H1_TLS], ids=str)
def way(request: pytest.FixtureRequest) -> Way:
    chosen: Way = request.param
    return chosen


@pytest.fixture(params=[None, "deflate"], ids=["plain", "deflate"])
def compression(request: pytest.FixtureRequest) -> str | None:
    chosen: str | None = request.param
    return chosen


# -- its client, plait's server --------------------------------------------------------


def _connect(server: Server, authority: Authority, way: Way, compression: str | None) -> connect:
    return connect(
        server.url("/ws", tls=way.tls).replace("http", "ws", 1),
        ssl=authority.client_context() if way.tls else None,
        compression=compression,
        subprotocols=["plait"],
        max_size=None,
    )


async def test_client(
    server: Server, authority: Authority, way: Way, compression: str | None
) -> None:
    async with _connect(server, authority, way, compression) as client:
        assert client.subprotocol == "plait"
        assert len(client.protocol.extensions) == (1 if compression else 0)
        await client.send("héllo")
        assert await client.recv() == "héllo"
        for size in SIZES:
            await client.send(payload(size))
            assert await client.recv() == payload(size)


async def test_client_sends_fragments(
    server: Server, authority: Authority, way: Way, compression: str | None
) -> None:
    async with _connect(server, authority, way, compression) as client:
        # The euro sign's three bytes come in two fragments.
        await client.send(["caf", "é ", "€", "", "!"])
        assert await client.recv() == "café €!"
        await client.send([payload(100_000)[:7], payload(100_000)[7:]])
        assert await client.recv() == payload(100_000)


async def test_client_pings(server: Server, authority: Authority, way: Way) -> None:
    async with _connect(server, authority, way, None) as client:
        answered = await client.ping(b"are you there")
        assert await answered >= 0


async def test_client_closes(server: Server, authority: Authority, way: Way) -> None:
    async with _connect(server, authority, way, None) as client:
        await client.close(4001, "enough")
    # RFC 6455 section 5.5.1: the answer typically has the same code; it need not.
    assert client.close_code in {4001, 1000}


async def test_server_closes(server: Server, authority: Authority, way: Way) -> None:
    async with _connect(server, authority, way, None) as client:
        await client.send("close")
        with pytest.raises(websockets.ConnectionClosedError) as caught:
            await client.recv()
    assert caught.value.rcvd is not None
    assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (4000, "as you like")


async def test_client_is_told_of_a_page_that_is_no_websocket(
    server: Server, authority: Authority, way: Way
) -> None:
    url = server.url("/none", tls=way.tls).replace("http", "ws", 1)
    context = authority.client_context() if way.tls else None
    with pytest.raises(websockets.InvalidStatus) as caught:
        await connect(url, ssl=context)
    assert caught.value.response.status_code == 404


# -- plait's client, its server --------------------------------------------------------


async def _echo(connection: ServerConnection) -> None:
    async for message in connection:
        if message == "close":
            await connection.close(4000, "as you like")
        elif message == "ping":
            await (await connection.ping(b"are you there"))
            await connection.send("pong")
        elif message == "fragments":
            await connection.send(["caf", "é ", "€", "", "!"])
        else:
            await connection.send(message)


@pytest.fixture
async def origin(authority: Authority, way: Way, compression: str | None) -> AsyncIterator[str]:
    context = authority.server_context() if way.tls else None
    async with serve(
        _echo,
        "127.0.0.1",
        0,
        ssl=context,
        compression=compression,
        subprotocols=["plait"],
        max_size=None,
    ) as running:
        port = next(iter(running.sockets)).getsockname()[1]
        yield f"{'wss' if way.tls else 'ws'}://127.0.0.1:{port}/"


async def test_server(origin: str, authority: Authority, way: Way, compression: str | None) -> None:
    async with (
        way.open_session(authority) as session,
        session.ws_connect(
            origin, protocols=("plait",), compress=15 if compression else 0, max_msg_size=0
        ) as websocket,
    ):
        assert websocket.protocol == "plait"
        assert bool(websocket.compress) is bool(compression)
        await websocket.send_str("héllo")
        assert await websocket.receive_str() == "héllo"
        for size in SIZES:
            await websocket.send_bytes(payload(size))
            assert await websocket.receive_bytes() == payload(size)
        await websocket.send_str("ping")
        assert await websocket.receive_str() == "pong"
        await websocket.send_str("fragments")
        assert await websocket.receive_str() == "café €!"
        await websocket.send_str("close")
        message = await websocket.receive()
        assert (message.type, message.data) == (plait.WSMsgType.CLOSE, 4000)
        assert message.extra == "as you like"


async def test_server_is_closed(origin: str, authority: Authority, way: Way) -> None:
    async with way.open_session(authority) as session:
        websocket = await session.ws_connect(origin, protocols=("plait",))
        await websocket.close(code=4001, message=b"enough")
        assert websocket.close_code == 4001
