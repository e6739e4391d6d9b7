"""101 Switching Protocols to other protocols than WebSocket, on aiohttp and on plait."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.adapters.raw_server import RawConnection, raw_server
from tests.same.conftest import Library

pytestmark = pytest.mark.anyio

UPGRADE = {"Connection": "Upgrade", "Upgrade": "tcp"}
SWITCH = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"


@pytest.fixture(
    params=[Library("aiohttp"), Library("plait"), Library("plait", engine="reference")],
    ids=["aiohttp", "plait-native", "plait-reference"],
)
def http1(request: pytest.FixtureRequest) -> Library:
    """HTTP/2 has no 101."""
    library: Library = request.param
    return library


@pytest.mark.parametrize("content", [None, b"content"])
@pytest.mark.parametrize("options", [{}, {"read_until_eof": False}])
async def test_a_client(http1: Library, content: bytes | None, options: dict[str, Any]) -> None:
    received: asyncio.Queue[bytes] = asyncio.Queue()

    async def script(connection: RawConnection) -> None:
        head = await connection.read_head()
        assert b"\r\nUpgrade: tcp\r\n" in head
        await connection.read(len(content or b""))
        connection.send(SWITCH)
        received.put_nowait(await connection.read_to_end())

    async with raw_server(script) as server, http1.session(connector={"limit": 1}) as session:
        for number in (1, 2):
            response = await session.post(server.url, headers=UPGRADE, data=content, **options)
            assert response.status == 101
            assert response.headers["Upgrade"] == "tcp"
            assert await response.read() == b""
            assert await response.text() == ""
            assert not response.closed
            assert response.connection is not None
            assert response.connection.protocol.transport is response.connection.transport
            assert response.connection.transport.get_extra_info("socket") is not None
            response.connection.transport.write(b"typed")
            response.close()
            assert response.closed
            assert await received.get() == b"typed"
            assert server.connections == number


async def test_a_context_ends_it(http1: Library) -> None:
    ended = asyncio.Event()

    async def script(connection: RawConnection) -> None:
        await connection.read_head()
        connection.send(SWITCH)
        assert await connection.read_to_end() == b""
        ended.set()

    async with raw_server(script) as server, http1.session() as session:
        async with session.get(server.url, headers=UPGRADE) as response:
            assert response.status == 101
        await ended.wait()


@pytest.mark.parametrize("kind", ["stream", "whole"])
async def test_a_server(http1: Library, kind: str) -> None:
    async def handler(request: Any) -> Any:
        if kind == "whole":
            return http1.web.Response(status=101, headers=UPGRADE)
        response = http1.web.StreamResponse(status=101, headers=UPGRADE)
        await response.prepare(request)
        await response.write(b"\0raw")
        await response.write(b"bytes\0")
        request.transport.close()
        return response

    request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, close\r\nUpgrade: tcp\r\n\r\n"
    answer = await http1.raw(handler, request)
    head, _, rest = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert b"\r\nUpgrade: tcp" in head
    assert b"\r\nConnection: Upgrade" in head
    assert b"Content-Length" not in head
    assert b"Transfer-Encoding" not in head
    assert rest == (b"\0rawbytes\0" if kind == "stream" else b"")


# -- a protocol of the program's own on the transport ----------------------------------------------


class Shouter(asyncio.Protocol):
    """Answers in capitals, until the peer ends its half."""

    def __init__(self, transport: Any) -> None:
        self.transport = transport
        self.received = b""
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.bid_farewell = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.received += data
        self.transport.write(data.upper())
        if self.received.endswith(b"bye"):
            self.bid_farewell.set()

    def eof_received(self) -> None:
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set_result(None)


@pytest.mark.parametrize("prepares", [False, True])
async def test_a_server_whose_handler_takes_the_transport(http1: Library, prepares: bool) -> None:
    async def handler(request: Any) -> Any:
        transport = request.transport
        response = http1.web.StreamResponse(status=101, headers=UPGRADE)
        if prepares:
            await response.prepare(request)
        else:
            transport.write(SWITCH)
        shouter = Shouter(transport)
        transport.set_protocol(shouter)
        await shouter.ended
        return response if prepares else http1.web.Response()

    async with http1.serve(handler) as site:
        for _ in range(2):
            reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
            writer.write(
                b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
            )
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"HELLO"
            writer.write_eof()
            assert await reader.read() == b""
            writer.close()


async def test_a_client_that_takes_the_transport(http1: Library) -> None:
    async def script(connection: RawConnection) -> None:
        await connection.read_head()
        connection.send(SWITCH)
        await connection.read(5)
        connection.send(b"typed")
        assert await connection.read(5) == b"TYPED"
        connection.send(b"bye")
        await connection.read_to_end()

    async with raw_server(script) as server, http1.session(connector={"limit": 1}) as session:
        for _ in range(2):
            response = await session.get(server.url, headers=UPGRADE)
            transport = response.connection.transport
            shouter = Shouter(transport)
            transport.set_protocol(shouter)
            transport.write(b"hello")
            await shouter.bid_farewell.wait()
            response.close()
            await shouter.ended


async def test_a_mocked_request(http1: Library) -> None:
    request = http1.test_utils.make_mocked_request("GET", "/", headers=UPGRADE)
    response = http1.web.StreamResponse(status=101, headers=UPGRADE)
    assert await response.prepare(request) is not None
    await response.write(b"raw")
    assert response.prepared
