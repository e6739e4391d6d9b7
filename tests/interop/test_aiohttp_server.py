"""plait's client against aiohttp's server: HTTP/1.1 and WebSocket."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest
from aiohttp import web

import plait
from tests.conftest import Authority
from tests.interop.app import Seen, digest, make_app, payload
from tests.interop.conftest import Server
from tests.serving import ServerThread
from tests.sessions import H1, H1_TLS, Way

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def running_aiohttp(authority: Authority) -> Iterator[Server]:
    record: list[Seen] = []
    app = make_app(aiohttp, record)
    with ServerThread(aiohttp, app, authority.server_context("http/1.1")) as thread:
        yield Server("", thread.port, thread.tls_port, record)


@pytest.fixture
def aiohttp_server(running_aiohttp: Server) -> Server:
    running_aiohttp.record.clear()
    return running_aiohttp


@pytest.fixture(params=[H1, H1_TLS], ids=str)
def way(request: pytest.FixtureRequest) -> Way:
    chosen: Way = request.param
    return chosen


@pytest.fixture
async def session(authority: Authority, way: Way) -> AsyncIterator[plait.ClientSession]:
    async with way.open_session(authority) as opened:
        yield opened


async def test_requests(session: plait.ClientSession, aiohttp_server: Server, way: Way) -> None:
    async with session.get(aiohttp_server.url("/version", tls=way.tls)) as response:
        assert (response.status, await response.text()) == (200, "1.1")
    async with session.post(
        aiohttp_server.url("/echo", tls=way.tls), json={"a": [1, 2]}
    ) as response:
        assert await response.json(content_type=None) == {"a": [1, 2]}
    async with session.head(aiohttp_server.url("/", tls=way.tls)) as response:
        assert response.headers["Content-Length"] == "13"
    async with session.get(aiohttp_server.url("/redirect", tls=way.tls)) as response:
        assert await response.text() == "1.1"
    async with session.get(aiohttp_server.url("/none", tls=way.tls)) as response:
        assert response.status == 404
    assert aiohttp_server.connections == 1


async def test_forms(session: plait.ClientSession, aiohttp_server: Server, way: Way) -> None:
    form = plait.FormData({"a": "\u00e9"})
    content = payload(3_000_000)
    form.add_field("f", io.BytesIO(content), filename="x.bin", content_type="image/x")
    form.add_field('n "\u00e9"', "raw \r\n--")
    url = aiohttp_server.url("/form", tls=way.tls)
    async with session.post(url, data=form) as response:
        assert await response.json() == [
            ["a", "\u00e9"],
            ["f", "x.bin", "image/x", digest(content)],
            ['n "\u00e9"', "raw \r\n--"],
        ]


async def test_parts(session: plait.ClientSession, aiohttp_server: Server, way: Way) -> None:
    async with session.get(aiohttp_server.url("/parts", tls=way.tls)) as response:
        reader = plait.MultipartReader.from_response(response)
        part = await reader.next()
        assert isinstance(part, plait.BodyPartReader)
        assert await part.json() == {"a": 1}
        part = await reader.next()
        assert isinstance(part, plait.BodyPartReader)
        assert await part.read(decode=True) == payload(300_000)
        nested = await reader.next()
        assert isinstance(nested, plait.MultipartReader)
        part = await nested.next()
        assert isinstance(part, plait.BodyPartReader)
        assert await part.text() == "two"
        assert await reader.next() is None


async def test_bodies(session: plait.ClientSession, aiohttp_server: Server, way: Way) -> None:
    body = payload(8_000_000)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 100_000):
            yield body[start : start + 100_000]

    for path, expected in (("/upload", digest(body).encode()), ("/duplex", body)):
        url = aiohttp_server.url(path, tls=way.tls)
        async with session.post(url, data=pieces()) as response:
            assert digest(await response.read()) == digest(expected)
    for query in ("size=8000000", "size=8000000&length"):
        url = aiohttp_server.url(f"/download?{query}", tls=way.tls)
        async with session.get(url) as response:
            assert digest(await response.read()) == digest(body)


async def test_refused_while_sending(
    session: plait.ClientSession, aiohttp_server: Server, way: Way
) -> None:
    url = aiohttp_server.url("/refuse", tls=way.tls)
    async with session.post(url, data=payload(1_000_000), expect100=True) as response:
        assert (response.status, await response.text()) == (413, "too much")


async def test_many_at_once(session: plait.ClientSession, aiohttp_server: Server, way: Way) -> None:
    async def one(number: int) -> bytes:
        url = aiohttp_server.url("/echo", tls=way.tls)
        async with session.post(url, data=str(number).encode()) as response:
            return await response.read()

    answers = await asyncio.gather(*(one(number) for number in range(300)))
    assert answers == [str(number).encode() for number in range(300)]


@pytest.mark.parametrize("compress", [0, 15], ids=["plain", "deflate"])
async def test_websocket(
    session: plait.ClientSession, aiohttp_server: Server, way: Way, compress: int
) -> None:
    async with session.ws_connect(
        aiohttp_server.url("/ws", tls=way.tls),
        protocols=("other", "plait"),
        compress=compress,
        max_msg_size=0,
    ) as websocket:
        assert websocket.protocol == "plait"
        await websocket.send_str("héllo")
        assert await websocket.receive_str() == "héllo"
        for size in (0, 1, 125, 126, 65535, 65536, 3_000_000):
            await websocket.send_bytes(payload(size))
            assert await websocket.receive_bytes() == payload(size)
        await websocket.ping(b"are you there")
        await websocket.send_str("close")
        message = await websocket.receive()
        assert (message.type, message.data) == (plait.WSMsgType.CLOSE, 4000)
        assert message.extra == "as you like"


async def test_websocket_that_is_none(
    session: plait.ClientSession, aiohttp_server: Server, way: Way
) -> None:
    with pytest.raises(plait.WSServerHandshakeError) as caught:
        await session.ws_connect(aiohttp_server.url("/", tls=way.tls))
    assert caught.value.status == 200


@pytest.mark.parametrize("content", [None, b"content"])
async def test_a_switch_of_protocols(
    session: plait.ClientSession, way: Way, authority: Authority, content: bytes | None
) -> None:
    """RFC 9110 section 7.8; aiohttp's handlers take the transport over for that."""
    fields = {"Connection": "Upgrade", "Upgrade": "tcp"}

    class Shouter(asyncio.Protocol):
        def __init__(self, transport: asyncio.Transport) -> None:
            self.transport = transport
            self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def data_received(self, data: bytes) -> None:
            self.transport.write(data.upper())
            if data.endswith(b"\n"):
                self.transport.close()

        def connection_lost(self, exc: Exception | None) -> None:
            self.ended.set_result(None)

    async def shout(request: web.Request) -> web.StreamResponse:
        assert await request.read() == (content or b"")
        response = web.StreamResponse(status=101, headers=fields)
        await response.prepare(request)
        await response.write(b"hello\n")
        transport = request.transport
        assert transport is not None
        shouter = Shouter(transport)
        transport.set_protocol(shouter)
        await shouter.ended
        return response

    app = web.Application()
    app.router.add_post("/", shout)
    with ServerThread(aiohttp, app, authority.server_context("http/1.1")) as thread:
        url = (
            f"https://localhost:{thread.tls_port}" if way.tls else f"http://localhost:{thread.port}"
        )
        async with session.post(url, headers=fields, data=content) as response:
            assert response.status == 101
            assert await response.content.readline() == b"hello\n"
            assert response.connection is not None
            assert response.connection.transport is not None
            response.connection.transport.write(b"typed\n")
            assert await response.content.read() == b"TYPED\n"
