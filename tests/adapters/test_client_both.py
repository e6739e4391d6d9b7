"""The client against plait's own server: every protocol, both engines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import pytest

import plait
from plait import web
from plait_engine.engines import EngineName
from tests.conftest import Authority
from tests.serving import serve
from tests.sessions import H1, H1_TLS, H2, H2C, Way

pytestmark = pytest.mark.anyio

BIG = bytes(range(256)) * 12_000
"""Three megabytes: more than any window or buffer on the way."""


async def hello(request: web.Request) -> web.Response:
    return web.Response(
        text=f"{request.method} {request.path_qs} {(await request.read()).decode()}"
    )


async def digest(request: web.Request) -> web.Response:
    found = sha256()
    async for piece in request.content.iter_any():
        found.update(piece)
    return web.Response(text=found.hexdigest())


async def echo(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    async for piece in request.content.iter_any():
        await response.write(piece)
    await response.write_eof()
    return response


async def big(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for start in range(0, len(BIG), 100_000):
        await response.write(BIG[start : start + 100_000])
    return response


async def packed(request: web.Request) -> web.Response:
    response = web.Response(body=BIG, content_type="text/plain")
    response.enable_compression()
    return response


async def moved(request: web.Request) -> web.Response:
    raise web.HTTPTemporaryRedirect("/hello?moved")


async def broken(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"beginning")
    await asyncio.sleep(0)  # HTTP/2 writes in the loop's next turn.
    assert request.transport is not None
    request.transport.abort()
    return response


@dataclass
class Site:
    url: str
    session: plait.ClientSession

    @property
    def counts(self) -> tuple[int, int]:
        """How many requests have a connection, and how many wait."""
        connector = self.session.connector
        assert connector is not None
        stats = connector.stats()
        return stats.streams, stats.waiting


@asynccontextmanager
async def serve_site(way: Way, engine: EngineName, authority: Authority) -> AsyncIterator[Site]:
    app = web.Application()
    app.router.add_route("*", "/hello", hello)
    app.router.add_post("/digest", digest)
    app.router.add_post("/echo", echo)
    app.router.add_get("/big", big)
    app.router.add_get("/packed", packed)
    app.router.add_route("*", "/moved", moved)
    app.router.add_get("/broken", broken)
    context = authority.server_context("h2", "http/1.1") if way.tls else None
    connector = plait.TCPConnector(
        ssl=authority.client_context(), http2=way.version == "2.0", engine=engine
    )
    async with serve(app, context, engine=engine) as served:
        async with plait.ClientSession(connector=connector) as session:
            yield Site(served.url.replace("127.0.0.1", "localhost"), session)
        assert not connector._places.alive
        assert connector._places.pool.connections == 0


@pytest.fixture(params=["native", "reference"])
def engine(request: pytest.FixtureRequest) -> EngineName:
    name: EngineName = request.param
    return name


@pytest.fixture(params=[H1, H1_TLS, H2C, H2], ids=str)
def way(request: pytest.FixtureRequest) -> Way:
    chosen: Way = request.param
    return chosen


@pytest.fixture
async def site(way: Way, engine: EngineName, authority: Authority) -> AsyncIterator[Site]:
    async with serve_site(way, engine, authority) as made:
        yield made
        assert made.counts == (0, 0)


async def pieces(count: int, size: int = 50_000) -> AsyncIterator[bytes]:
    for number in range(count):
        yield bytes([number % 256]) * size


async def test_a_request(site: Site, way: Way) -> None:
    async with site.session.post(site.url + "/hello?a=b", data="text") as response:
        assert response.version is not None
        assert response.version == tuple(map(int, way.version.split(".")))
        assert await response.text() == "POST /hello?a=b text"
        assert response.connection is None


async def test_a_response_without_content_can_be_read_when_it_is_closed(site: Site) -> None:
    response = await site.session.head(site.url + "/hello")
    response.close()
    assert await response.content.read() == b""


async def test_many_at_once(site: Site, way: Way) -> None:
    async def fetch(number: int) -> str:
        async with site.session.get(f"{site.url}/hello?{number}") as response:
            return await response.text()

    answers = await asyncio.gather(*map(fetch, range(150)))
    assert answers == [f"GET /hello?{number} " for number in range(150)]
    connector = site.session.connector
    assert connector is not None
    assert (connector._places.pool.connections == 1) is (way.version == "2.0")


async def test_a_large_upload(site: Site) -> None:
    expected = sha256(b"".join([piece async for piece in pieces(60)])).hexdigest()
    async with site.session.post(site.url + "/digest", data=pieces(60)) as response:
        assert await response.text() == expected


@pytest.mark.parametrize("how", ["read", "iter_any", "iter_chunked", "readexactly"])
async def test_a_large_download(site: Site, how: str) -> None:
    async with site.session.get(site.url + "/big") as response:
        content = response.content if how != "read" else None
        if content is None:
            body = await response.read()
        elif how == "readexactly":
            body = await content.readexactly(len(BIG))
        else:
            iterator: Any = content.iter_any() if how == "iter_any" else content.iter_chunked(999)
            body = b"".join([piece async for piece in iterator])
        assert body == BIG


async def test_a_packed_download(site: Site) -> None:
    async with site.session.get(site.url + "/packed") as response:
        assert response.headers["Content-Encoding"] in ("gzip", "deflate")
        assert await response.read() == BIG


async def test_both_ways_at_once(site: Site) -> None:
    """The server echoes; nothing is sent before its echo came."""
    came: asyncio.Queue[bytes] = asyncio.Queue()

    async def ping_pong() -> AsyncIterator[bytes]:
        for number in range(20):
            yield b"%02d" % number
            assert await came.get() == b"%02d" % number

    async with site.session.post(site.url + "/echo", data=ping_pong()) as response:
        async for piece in response.content.iter_chunked(2):
            came.put_nowait(piece)
    assert came.empty()


async def test_a_body_follows_a_redirect(site: Site) -> None:
    async with site.session.put(site.url + "/moved", data=b"body") as response:
        assert await response.text() == "PUT /hello?moved body"
        assert [old.status for old in response.history] == [307]


async def test_a_response_nobody_reads(site: Site) -> None:
    for _ in range(3):
        async with site.session.get(site.url + "/big"):
            pass
        assert site.counts == (0, 0)
    async with site.session.get(site.url + "/hello") as response:
        assert await response.text() == "GET /hello "


async def test_a_server_that_breaks_off(site: Site) -> None:
    async with site.session.get(site.url + "/broken") as response:
        with pytest.raises(plait.ClientPayloadError, match="bytes received"):
            await response.read()
    async with site.session.get(site.url + "/hello") as response:
        assert response.status == 200


async def test_a_head_request(site: Site) -> None:
    async with site.session.head(site.url + "/hello") as response:
        assert response.status == 200
        assert await response.read() == b""


async def test_content_after_expect(site: Site) -> None:
    async with site.session.post(site.url + "/hello", data=b"body", expect100=True) as response:
        assert await response.text() == "POST /hello body"


async def test_a_cancelled_download_leaves_room(site: Site) -> None:
    response = await site.session.get(site.url + "/big")
    task = asyncio.ensure_future(response.read())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert site.counts == (0, 0)
    async with site.session.get(site.url + "/hello") as again:
        assert again.status == 200


@pytest.mark.parametrize("size", [65_536, 65_537, 1_000_000])
async def test_bodies_in_one_slice_and_in_many(site: Site, size: int) -> None:
    for _ in range(2):
        async with site.session.post(site.url + "/digest", data=BIG[:size]) as response:
            assert await response.text() == sha256(BIG[:size]).hexdigest()
