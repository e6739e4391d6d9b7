"""aiohttp's client against plait's server: HTTP/1.1 and WebSocket."""

from __future__ import annotations

import asyncio
import io
import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest

from plait import web
from tests.conftest import Authority
from tests.interop.app import digest, payload
from tests.interop.conftest import Server
from tests.serving import serve

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[False, True], ids=["cleartext", "tls"])
def tls(request: pytest.FixtureRequest) -> bool:
    chosen: bool = request.param
    return chosen


@pytest.fixture
async def session(authority: Authority) -> AsyncIterator[aiohttp.ClientSession]:
    sockets: list[socket.socket] = []

    def make_socket(address: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, protocol, *_ = address
        sockets.append(socket.socket(family, kind, protocol))
        return sockets[-1]

    connector = aiohttp.TCPConnector(ssl=authority.client_context(), socket_factory=make_socket)
    async with aiohttp.ClientSession(connector=connector) as opened:
        yield opened
    # aiohttp does not wait until its transports are closed; the loop must not end before.
    async with asyncio.timeout(10):
        while any(sock.fileno() != -1 for sock in sockets):  # noqa: ASYNC110  # no event tells
            await asyncio.sleep(0)


async def test_requests(session: aiohttp.ClientSession, server: Server, tls: bool) -> None:
    async with session.get(server.url("/version", tls=tls)) as response:
        assert (response.status, await response.text()) == (200, "1.1")
    async with session.post(server.url("/echo", tls=tls), json={"a": [1, 2]}) as response:
        assert await response.json(content_type=None) == {"a": [1, 2]}
    async with session.head(server.url("/", tls=tls)) as response:
        assert response.headers["Content-Length"] == "13"
    async with session.get(server.url("/redirect", tls=tls)) as response:
        assert await response.text() == "1.1"
    async with session.get(server.url("/none", tls=tls)) as response:
        assert response.status == 404
    assert server.connections == 1


async def test_forms(session: aiohttp.ClientSession, server: Server, tls: bool) -> None:
    form = aiohttp.FormData({"a": "\u00e9"})
    content = payload(3_000_000)
    form.add_field("f", io.BytesIO(content), filename="x.bin", content_type="image/x")
    async with session.post(server.url("/form", tls=tls), data=form) as response:
        assert await response.json() == [
            ["a", "\u00e9"],
            ["f", "x.bin", "image/x", digest(content)],
        ]


async def test_parts(session: aiohttp.ClientSession, server: Server, tls: bool) -> None:
    async with session.get(server.url("/parts", tls=tls)) as response:
        reader = aiohttp.MultipartReader.from_response(response)
        part = await reader.next()
        assert isinstance(part, aiohttp.BodyPartReader)
        assert await part.json() == {"a": 1}
        part = await reader.next()
        assert isinstance(part, aiohttp.BodyPartReader)
        assert await part.read(decode=True) == payload(300_000)
        nested = await reader.next()
        assert isinstance(nested, aiohttp.MultipartReader)
        part = await nested.next()
        assert isinstance(part, aiohttp.BodyPartReader)
        assert await part.text() == "two"
        assert await nested.next() is None
        assert await reader.next() is None


async def test_bodies(session: aiohttp.ClientSession, server: Server, tls: bool) -> None:
    body = payload(8_000_000)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 100_000):
            yield body[start : start + 100_000]

    async with session.post(server.url("/upload", tls=tls), data=pieces()) as response:
        assert await response.text() == digest(body)
    async with session.post(server.url("/duplex", tls=tls), data=pieces()) as response:
        assert digest(await response.read()) == digest(body)
    async with session.get(server.url("/download?size=8000000", tls=tls)) as response:
        assert digest(await response.read()) == digest(body)


async def test_expect_continue(session: aiohttp.ClientSession, server: Server, tls: bool) -> None:
    url = server.url("/echo", tls=tls)
    async with session.post(url, data=b"wanted", expect100=True) as response:
        assert await response.read() == b"wanted"


async def test_many_at_once(session: aiohttp.ClientSession, server: Server, tls: bool) -> None:
    async def one(number: int) -> bytes:
        url = server.url("/echo", tls=tls)
        async with session.post(url, data=str(number).encode()) as response:
            return await response.read()

    answers = await asyncio.gather(*(one(number) for number in range(300)))
    assert answers == [str(number).encode() for number in range(300)]


@pytest.mark.parametrize("compress", [0, 15], ids=["plain", "deflate"])
async def test_websocket(
    session: aiohttp.ClientSession, server: Server, tls: bool, compress: int
) -> None:
    url = server.url("/ws", tls=tls)
    options = {"protocols": ("plait",), "compress": compress, "max_msg_size": 0}
    async with session.ws_connect(url, **options) as websocket:
        assert websocket.protocol == "plait"
        assert bool(websocket.compress) is bool(compress)
        await websocket.send_str("héllo")
        assert await websocket.receive_str() == "héllo"
        for size in (0, 1, 125, 126, 65535, 65536, 3_000_000):
            await websocket.send_bytes(payload(size))
            assert await websocket.receive_bytes() == payload(size)
        await websocket.ping(b"are you there")
        await websocket.send_str("close")
        message = await websocket.receive()
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 4000)
        assert message.extra == "as you like"


async def test_websocket_closed_by_the_client(
    session: aiohttp.ClientSession, server: Server, tls: bool
) -> None:
    websocket = await session.ws_connect(server.url("/ws", tls=tls))
    await websocket.send_str("last words")
    assert await websocket.receive_str() == "last words"
    await websocket.close(code=1000)
    assert websocket.close_code == 1000


class Collector:
    """A parser of a program's own, as ``set_parser`` takes it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.received = bytearray()
        self.ended: asyncio.Future[bytes] = loop.create_future()

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self.received += data
        return False, b""

    def feed_eof(self) -> None:
        self.ended.set_result(bytes(self.received))


@pytest.mark.parametrize("content", [None, b"content"])
async def test_a_switch_of_protocols(
    session: aiohttp.ClientSession, authority: Authority, tls: bool, content: bytes | None
) -> None:
    """RFC 9110 section 7.8; aiodocker takes a connection over like this."""
    fields = {"Connection": "Upgrade", "Upgrade": "tcp"}

    async def shout(request: web.Request) -> web.StreamResponse:
        assert await request.read() == (content or b"")
        response = web.StreamResponse(status=101, headers=fields)
        await response.prepare(request)
        await response.write(b"hello\n")
        line = await request.content.readline()
        await response.write(line.upper())
        return response

    app = web.Application()
    app.router.add_post("/", shout)
    async with serve(app, authority.server_context() if tls else None) as served:
        response = await session.post(served.url, headers=fields, data=content)
        assert response.status == 101
        assert response.connection is not None
        protocol = response.connection.protocol
        assert protocol is not None
        collector = Collector(asyncio.get_running_loop())
        protocol.set_parser(collector, None)
        assert protocol.transport is not None
        protocol.transport.write(b"typed\n")
        assert await collector.ended == b"hello\nTYPED\n"
        response.close()
