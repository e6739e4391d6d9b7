"""What comes before and behind a response: informational responses, and trailers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from multidict import CIMultiDictProxy

import plait
from plait import web
from plait_engine import (
    Data,
    EndOfMessage,
    ErrorCode,
    InformationalResponse,
    Request,
    Response,
    StreamReset,
)
from plait_engine.engines import EngineName
from tests.adapters.h2_server import H2Peer, h2
from tests.adapters.raw_server import OK, RawConnection, raw_server
from tests.serving import serve
from tests.sessions import H1, H2C, Way

pytestmark = pytest.mark.anyio

HINTS = {"Link": "</style.css>; rel=preload; as=style"}


@pytest.fixture(params=["native", "reference"])
def engine(request: pytest.FixtureRequest) -> EngineName:
    name: EngineName = request.param
    return name


@pytest.fixture(params=[H1, H2C], ids=str)
def way(request: pytest.FixtureRequest) -> Way:
    way: Way = request.param
    return way


class Heard:
    """A callback that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[int, dict[str, str]]] = []

    def __call__(self, status: int, headers: CIMultiDictProxy[str]) -> None:
        assert isinstance(headers, CIMultiDictProxy)
        self.told.append((status, {name.title(): value for name, value in headers.items()}))


@asynccontextmanager
async def connected(way: Way, engine: EngineName) -> AsyncIterator[tuple[str, plait.ClientSession]]:
    """plait's own server, and a session."""

    async def hints(request: web.Request) -> web.Response:
        await request.send_informational(102)
        await request.send_informational(103, HINTS)
        return web.Response(text="styled")

    async def moved(request: web.Request) -> web.Response:
        await request.send_informational(103, {"Link": "</moved>"})
        raise web.HTTPFound("/hints")

    async def upload(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    async def trailers(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Trailer": "X-Digest"})
        await response.prepare(request)
        await response.write(b"body")
        response.set_trailers({"X-Digest": "abc"})
        await response.write_eof()
        return response

    app = web.Application()
    app.router.add_get("/hints", hints)
    app.router.add_get("/moved", moved)
    app.router.add_post("/upload", upload)
    app.router.add_get("/trailers", trailers)
    connector = plait.TCPConnector(http2=way.version == "2.0", engine=engine)
    async with (
        serve(app, engine=engine) as served,
        plait.ClientSession(served.url, connector=connector) as session,
    ):
        yield served.url, session
        stats = connector.stats()
        assert (stats.in_use, stats.streams) == (0, 0)


async def test_each_informational_response_is_told(way: Way, engine: EngineName) -> None:
    async with connected(way, engine) as (_, session):
        heard = Heard()
        async with session.get("/hints", on_informational=heard) as response:
            assert heard.told == [(102, {}), (103, HINTS)]
            assert await response.text() == "styled"
        async with session.get("/hints") as response:
            assert await response.text() == "styled"
        assert len(heard.told) == 2


async def test_those_before_a_redirect_too(way: Way, engine: EngineName) -> None:
    async with connected(way, engine) as (_, session):
        heard = Heard()
        async with session.get("/moved", on_informational=heard) as response:
            assert response.status == 200
        assert [status for status, _ in heard.told] == [103, 102, 103]


async def test_100_is_not_told(way: Way, engine: EngineName) -> None:
    async with connected(way, engine) as (_, session):
        heard = Heard()
        async with session.post(
            "/upload", data=b"x" * 10, expect100=True, on_informational=heard
        ) as response:
            assert await response.read() == b"x" * 10
        assert heard.told == []


async def test_what_the_callback_raises_is_raised_by_the_request(
    way: Way, engine: EngineName
) -> None:
    class Mine(Exception):
        pass

    def fail(status: int, headers: CIMultiDictProxy[str]) -> None:
        raise Mine(status)

    async with connected(way, engine) as (_, session):
        with pytest.raises(Mine, match="102"):
            await session.get("/hints", on_informational=fail)
        async with session.get("/hints") as response:
            assert await response.text() == "styled"


async def test_they_are_told_before_the_response_comes(way: Way, engine: EngineName) -> None:
    heard = asyncio.Event()

    async def http1(connection: RawConnection) -> None:
        await connection.read_head()
        connection.send(b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n")
        await heard.wait()
        connection.send(OK)
        await connection.read_to_end()

    async def http2(peer: H2Peer) -> None:
        stream_id = (await peer.next_request()).stream_id
        peer.send(InformationalResponse(stream_id, 103, [("link", "<a>")]))
        await heard.wait()
        peer.answer(stream_id)
        await peer.run_to_end()

    def told(status: int, headers: CIMultiDictProxy[str]) -> None:
        assert (status, headers["LINK"]) == (103, "<a>")
        heard.set()

    connector = plait.TCPConnector(http2=way.version == "2.0", engine=engine)
    async with (
        raw_server(h2(http2) if way.version == "2.0" else http1) as server,
        plait.ClientSession(connector=connector) as session,
        session.get(server.url, on_informational=told) as response,
    ):
        assert await response.read() == b"ok"


async def test_each_attempt_tells_its_own(engine: EngineName) -> None:
    """A request that is sent again tells what comes then, and what came before was told."""

    async def script(peer: H2Peer) -> None:
        for attempt in (1, 2):
            stream_id = (await peer.next_request()).stream_id
            peer.send(InformationalResponse(stream_id, 103, [("link", f"<{attempt}>")]))
            if attempt == 1:
                peer.send(StreamReset(stream_id, ErrorCode.REFUSED_STREAM))
            else:
                peer.answer(stream_id)
        await peer.run_to_end()

    heard = Heard()
    connector = plait.TCPConnector(http2=True, engine=engine)
    async with (
        raw_server(h2(script)) as server,
        plait.ClientSession(connector=connector) as session,
        session.get(server.url, on_informational=heard) as response,
    ):
        assert await response.read() == b"ok"
    assert heard.told == [(103, {"Link": "<1>"}), (103, {"Link": "<2>"})]


async def test_trailers(way: Way, engine: EngineName) -> None:
    async with (
        connected(way, engine) as (_, session),
        session.get("/trailers", headers={"TE": "trailers"}) as response,
    ):
        assert await response.read() == b"body"
        assert response.trailers["x-digest"] == "abc"
        assert "X-Digest" not in response.headers


async def test_trailers_of_a_scripted_server(way: Way, engine: EngineName) -> None:
    async def http1(connection: RawConnection) -> None:
        await connection.read_head()
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n")
        connection.send(b"X-One: 1\r\nX-One: 2\r\n\r\n")
        await connection.read_to_end()

    async def http2(peer: H2Peer) -> None:
        event = await peer.next_of(Request)
        assert isinstance(event, Request)
        stream_id = event.stream_id
        peer.send(
            Response(stream_id, 200),
            Data(stream_id, b"body"),
            EndOfMessage(stream_id, [("x-one", "1"), ("x-one", "2")]),
        )
        await peer.run_to_end()

    connector = plait.TCPConnector(http2=way.version == "2.0", engine=engine)
    async with (
        raw_server(h2(http2) if way.version == "2.0" else http1) as server,
        plait.ClientSession(connector=connector) as session,
        session.get(server.url) as response,
    ):
        assert await response.read() == b"body"
        assert response.trailers.getall("X-One") == ["1", "2"]
