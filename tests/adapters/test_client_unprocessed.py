"""Requests that an HTTP/2 server did not process: GOAWAY, HTTP_1_1_REQUIRED, servers that are gone.

A request is sent again when it is known that nothing came of it, whatever its method (RFC 9113
sections 6.8 and 8.7), if its content can be sent again; else the error says that it may be.
"""

from __future__ import annotations

import asyncio
import io
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

import plait
from plait import web
from plait_engine import Data, EndOfMessage, ErrorCode, Limits, Response
from plait_engine.engines import EngineName
from plait_engine.testing import frames as wire
from tests.adapters.h2_server import H2Peer, h2
from tests.adapters.raw_server import OK, RawConnection, always, raw_server
from tests.adapters.test_client_closing import freeze
from tests.adapters.test_client_http2 import answer_all, counts, until
from tests.conftest import Authority
from tests.serving import serve

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["native", "reference"])
def engine(request: pytest.FixtureRequest) -> EngineName:
    name: EngineName = request.param
    return name


@pytest.fixture
async def session(engine: EngineName) -> AsyncIterator[plait.ClientSession]:
    """A session that speaks HTTP/2 by prior knowledge."""
    connector = plait.TCPConnector(http2=True, engine=engine)
    timeout = plait.ClientTimeout(total=20)
    async with plait.ClientSession(connector=connector, timeout=timeout) as session:
        yield session


async def pieces() -> AsyncIterator[bytes]:
    yield b"content"


# -- GOAWAY -------------------------------------------------------------------------------


async def leave_behind_the_first(peer: H2Peer) -> None:
    """Process the first of three requests and say so; another connection takes the others."""
    if peer.number == 2:
        await answer_all(peer)
    first, *_ = [await peer.next_request() for _ in range(3)]
    peer._raw.send(wire.goaway(first.stream_id))
    peer.answer(first.stream_id, b"first")
    await peer._raw.read_to_end()


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
@pytest.mark.parametrize("data", [None, b"content", io.BytesIO])
async def test_requests_above_the_last_id_of_goaway_are_sent_again(
    session: plait.ClientSession, method: str, data: Any
) -> None:
    async def fetch() -> str:
        content = data(b"content") if callable(data) else data
        async with session.request(method, server.url, data=content) as response:
            return await response.text()

    async with raw_server(h2(leave_behind_the_first)) as server:
        answers = await asyncio.gather(*[fetch() for _ in range(3)])
        assert Counter(answers) == {"first": 1, "ok": 2}
        assert server.connections == 2


async def test_content_that_is_used_up_is_not_sent_again(session: plait.ClientSession) -> None:
    """The caller can do so, and is told that it is safe."""

    async def refuse(peer: H2Peer) -> None:
        await peer.next_request()
        await peer.next_of(EndOfMessage)
        peer._raw.send(wire.goaway(0))
        await peer._raw.read_to_end()

    async with raw_server(h2(refuse)) as server:
        with pytest.raises(plait.ClientConnectionError, match=r"did nothing .* may be sent again"):
            await session.post(server.url, data=pieces())
        assert server.connections == 1
        assert counts(session) == (0, 0, 0)


@pytest.mark.parametrize(
    ("debug", "shown"),
    [
        (b"too_many_pings", r"ENHANCE_YOUR_CALM, too_many_pings\)"),
        (b"", r"GOAWAY: ENHANCE_YOUR_CALM\)"),
        (b"\r\n" + b"x" * 1000, r"ENHANCE_YOUR_CALM, '\\r\\nx{98}'\)"),
    ],
)
async def test_the_reason_of_goaway_is_told(
    session: plait.ClientSession, debug: bytes, shown: str
) -> None:
    async def leave(peer: H2Peer) -> None:
        stream_id = (await peer.next_request()).stream_id
        peer._raw.send(wire.goaway(stream_id, ErrorCode.ENHANCE_YOUR_CALM, debug))

    async with raw_server(h2(leave)) as server:
        with pytest.raises(plait.ServerDisconnectedError, match=shown):
            await session.post(server.url)


async def test_requests_that_a_server_of_plait_refuses_are_sent_again(engine: EngineName) -> None:
    """It ends each connection after a few requests; no request is lost, none comes twice."""
    seen: Counter[str] = Counter()

    async def handler(request: web.Request) -> web.Response:
        seen[request.path] += 1
        await asyncio.sleep(0)
        return web.Response(body=await request.read())

    app = web.Application()
    app.router.add_post("/{name}", handler)
    connector = plait.TCPConnector(http2=True, engine=engine)
    async with (
        serve(app, engine=engine, max_connection_requests=7) as served,
        plait.ClientSession(served.url, connector=connector) as session,
    ):

        async def post(number: int) -> None:
            async with session.post(f"/{number}", data=b"%d" % number) as response:
                assert await response.read() == b"%d" % number

        await asyncio.gather(*map(post, range(40)))
    assert seen == {f"/{number}": 1 for number in range(40)}


# -- HTTP_1_1_REQUIRED --------------------------------------------------------------------


@pytest.mark.parametrize("processed", [False, True])
async def test_goaway_with_http_1_1_required(
    engine: EngineName, authority: Authority, processed: bool
) -> None:
    """``processed``: the server may have done something, so only what is idempotent goes again."""
    protocols: list[str] = []

    async def script(connection: RawConnection) -> None:
        protocol = connection.writer.get_extra_info("ssl_object").selected_alpn_protocol()
        protocols.append(protocol)
        await (h2(refuse) if protocol == "h2" else always(OK))(connection)

    async def refuse(peer: H2Peer) -> None:
        stream_id = (await peer.next_request()).stream_id
        last = stream_id if processed else 0
        peer._raw.send(wire.goaway(last, ErrorCode.HTTP_1_1_REQUIRED))

    connector = plait.TCPConnector(ssl=authority.client_context(), engine=engine)
    async with (
        raw_server(script, authority.server_context("h2", "http/1.1")) as server,
        plait.ClientSession(connector=connector) as session,
    ):
        if processed:
            with pytest.raises(plait.ServerDisconnectedError):
                await session.post(server.url)
        for method in ("GET", "GET"):
            async with session.request(method, server.url) as response:
                assert response.version == (1, 1)
                assert await response.read() == b"ok"
    assert protocols == ["h2", "http/1.1"]


async def test_http2_that_was_asked_for_is_not_given_up(session: plait.ClientSession) -> None:
    async def refuse(peer: H2Peer) -> None:
        await peer.next_request()
        peer._raw.send(wire.goaway(0, ErrorCode.HTTP_1_1_REQUIRED))
        await peer._raw.read_to_end()

    async with raw_server(h2(refuse)) as server:
        with pytest.raises(plait.ClientConnectionError, match="http2=True forbids it"):
            await session.get(server.url)
        assert server.connections == 1


# -- servers that are gone ----------------------------------------------------------------


async def die_after_the_first_answer(peer: H2Peer) -> None:
    """The first connection is forgotten by the network, say."""
    if peer.number > 1:
        await answer_all(peer)
    peer.answer((await peer.next_request()).stream_id)
    freeze(peer._raw)
    await asyncio.Event().wait()


def make_session(engine: EngineName, interval: float | None) -> plait.ClientSession:
    connector = plait.TCPConnector(http2=True, engine=engine, http2_ping_interval=interval)
    return plait.ClientSession(connector=connector, timeout=plait.ClientTimeout(total=20))


async def test_a_request_on_a_dead_connection_is_sent_again(engine: EngineName) -> None:
    async with (
        raw_server(h2(die_after_the_first_answer)) as server,
        make_session(engine, 0.1) as session,
    ):
        for _ in range(2):
            async with session.get(server.url) as response:
                assert await response.text() == "ok"
        assert server.connections == 2


async def test_a_request_that_may_have_been_processed_is_not(engine: EngineName) -> None:
    async with (
        raw_server(h2(die_after_the_first_answer)) as server,
        make_session(engine, 0.1) as session,
    ):
        await (await session.get(server.url)).read()
        with pytest.raises(plait.SocketTimeoutError, match="PING was not answered"):
            await session.post(server.url, data=b"x")
        async with session.get(server.url) as response:
            assert await response.text() == "ok"
        assert server.connections == 2


async def test_a_server_that_dies_in_a_body(engine: EngineName) -> None:
    async def script(peer: H2Peer) -> None:
        stream_id = (await peer.next_request()).stream_id
        peer.send(Response(stream_id, 200), Data(stream_id, b"begin"))
        freeze(peer._raw)
        await asyncio.Event().wait()

    async with (
        raw_server(h2(script)) as server,
        make_session(engine, 0.1) as session,
        session.get(server.url, timeout=plait.ClientTimeout()) as response,
    ):
        assert await response.content.readany() == b"begin"
        with pytest.raises(plait.SocketTimeoutError, match="PING was not answered"):
            await response.content.readany()


async def test_a_server_that_takes_its_time_is_left_in_peace(engine: EngineName) -> None:
    async def script(peer: H2Peer) -> None:
        stream_id = (await peer.next_request()).stream_id
        taking = asyncio.create_task(peer.run_to_end())  # Its engine answers each PING.
        await asyncio.sleep(0.5)
        peer.answer(stream_id)
        await taking

    async with (
        raw_server(h2(script)) as server,
        make_session(engine, 0.05) as session,
        session.get(server.url) as response,
    ):
        assert await response.text() == "ok"


async def test_intervals_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="interval"):
        plait.TCPConnector(http2_ping_interval=0)


# -- a server that takes so many streams ---------------------------------------------------


@pytest.mark.parametrize("options", [{"limit": 2}, {"limit_per_host": 2}, {}], ids=str)
async def test_a_server_of_plait_that_takes_two_streams(
    engine: EngineName, options: dict[str, int]
) -> None:
    """Long requests and WebSockets fill connections; others join, as the limits allow."""
    leave = asyncio.Event()

    async def long(request: web.Request) -> web.Response:
        await leave.wait()
        return web.Response(text="ok")

    async def chat(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        async for message in ws:
            await ws.send_str(message.data)
        return ws

    async def fetch() -> str:
        async with session.get("/long") as response:
            return await response.text()

    app = web.Application()
    app.router.add_get("/long", long)
    app.router.add_get("/chat", chat)
    connector = plait.TCPConnector(http2=True, engine=engine, **options)
    async with (
        serve(app, engine=engine, limits=Limits(max_concurrent_streams=2)) as served,
        plait.ClientSession(served.url, connector=connector) as session,
    ):
        sockets = []
        for number in range(3):
            ws = await session.ws_connect("/chat")
            sockets.append(ws)
            await ws.send_str(str(number))
            assert await ws.receive_str() == str(number)
        assert connector.stats().open == 2
        requests = [asyncio.create_task(fetch()) for _ in range(3)]
        wanted = 3 if not options else 2
        await until(lambda: connector.stats().open == wanted and not connector.stats().connecting)
        for ws in sockets:
            assert await ws.close()
        leave.set()
        assert await asyncio.gather(*requests) == ["ok"] * 3
        assert connector.stats().open == wanted
