"""What only HTTP/2 has: shared connections, resets, GOAWAY, ALPN."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial

import pytest

import plait
from plait_engine import (
    Accept,
    ConnectionClosed,
    Data,
    EndOfMessage,
    ErrorCode,
    Limits,
    Request,
    Response,
    StreamReset,
)
from plait_engine.engines import EngineName
from plait_engine.policy.retry import RetryPolicy
from tests.adapters.h2_server import H2Peer, h2
from tests.adapters.raw_server import OK, RawConnection, always, raw_server
from tests.conftest import Authority

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["native", "reference"])
def engine(request: pytest.FixtureRequest) -> EngineName:
    name: EngineName = request.param
    return name


@pytest.fixture
async def session(engine: EngineName) -> AsyncIterator[plait.ClientSession]:
    """A session that speaks HTTP/2 by prior knowledge."""
    connector = plait.TCPConnector(http2=True, engine=engine)
    async with plait.ClientSession(connector=connector) as session:
        yield session


def counts(session: plait.ClientSession) -> tuple[int, int, int]:
    connector = session.connector
    assert connector is not None
    stats = connector.stats()
    return stats.streams, stats.idle, stats.waiting


async def answer_all(peer: H2Peer) -> None:
    while True:
        peer.answer((await peer.next_request()).stream_id)


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until ``condition`` holds."""
    for _ in range(100_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("that took too many turns")


def has_come(content: plait.StreamReader, size: int) -> bool:
    return content.total_bytes == size


@pytest.mark.parametrize("how", ["close", "complete", "forget", "cancel"])
async def test_what_is_not_read_takes_nothing_of_the_window_for_ever(
    session: plait.ClientSession, how: str
) -> None:
    body = bytes(Limits().stream_window)
    times = 2 * Limits().max_connection_window // len(body)

    async def script(peer: H2Peer) -> None:
        while True:
            stream = (await peer.next_request()).stream_id
            peer.send(Response(stream, 200), Data(stream, body))
            if how in ("complete", "forget"):
                peer.send(EndOfMessage(stream))

    async with raw_server(h2(script)) as server:
        for _ in range(times):
            response = await session.get(server.url)
            content = response.content
            await until(partial(has_come, content, len(body)))
            if how == "cancel":
                reading = asyncio.create_task(response.read())
                await asyncio.sleep(0)
                reading.cancel()
                await asyncio.wait([reading])
            if how != "forget":
                response.close()
            del response, content


async def test_the_head_of_a_request(session: plait.ClientSession) -> None:
    async def script(peer: H2Peer) -> None:
        request = await peer.next_request()
        assert (request.method, request.scheme, request.target) == ("GET", "http", "/a?b=c")
        assert request.authority == f"localhost:{server.port}"
        names = [name for name, _ in request.headers]
        assert [name for name in names if name != "host"] == [
            "x-one",
            "accept",
            "accept-encoding",
            "user-agent",
        ]
        peer.answer(request.stream_id)
        await peer.run_to_end()

    async with raw_server(h2(script)) as server:
        async with session.get(server.url + "a?b=c", headers={"X-One": "1"}) as response:
            assert response.version == (2, 0)
            assert response.reason == "OK"
            assert await response.text() == "ok"
        await session.close()


async def test_requests_of_the_first_moment_share_one_connection(
    engine: EngineName, authority: Authority
) -> None:
    context = authority.server_context("h2")
    connector = plait.TCPConnector(ssl=authority.client_context(), engine=engine)
    async with (
        raw_server(h2(answer_all), context) as server,
        plait.ClientSession(connector=connector) as session,
    ):
        responses = await asyncio.gather(*[session.get(server.url) for _ in range(20)])
        assert {response.version for response in responses} == {(2, 0)}
        assert server.connections == 1


async def test_the_limit_of_streams_makes_requests_wait_in_line(
    session: plait.ClientSession,
) -> None:
    order: list[str] = []

    async def script(peer: H2Peer) -> None:
        while True:
            first = await peer.next_request()
            second = await peer.next_request()
            order.extend([first.target, second.target])
            assert peer.engine.open_streams == 2
            peer.answer(second.stream_id)
            peer.answer(first.stream_id)

    async with raw_server(h2(script, max_concurrent_streams=2)) as server:
        # The limit is known when the first SETTINGS came: with the first answers.
        await asyncio.gather(*[session.get(server.url) for _ in range(2)])
        order.clear()
        await asyncio.gather(*[session.get(f"{server.url}{number}") for number in range(6)])
        assert server.connections == 1
    assert sorted(order) == [f"/{number}" for number in range(6)]
    assert order[0] in ("/0", "/1")
    assert order[-1] in ("/4", "/5")


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_refused_stream_is_sent_again(session: plait.ClientSession, method: str) -> None:
    async def script(peer: H2Peer) -> None:
        request = await peer.next_request()
        peer.send(StreamReset(request.stream_id, ErrorCode.REFUSED_STREAM))
        await answer_all(peer)

    async with (
        raw_server(h2(script)) as server,
        session.request(method, server.url, data=b"x") as response,
    ):
        assert await response.text() == "ok"
        assert server.connections == 1


async def test_retries_of_refused_streams_have_an_end(session: plait.ClientSession) -> None:
    count = 0

    async def script(peer: H2Peer) -> None:
        nonlocal count
        while True:
            request = await peer.next_request()
            count += 1
            peer.send(StreamReset(request.stream_id, ErrorCode.REFUSED_STREAM))

    async with raw_server(h2(script)) as server:
        with pytest.raises(plait.ClientConnectionResetError, match="REFUSED_STREAM"):
            await session.get(server.url)
        assert count == 1 + RetryPolicy().unprocessed
        assert counts(session) == (0, 1, 0)


async def test_another_reset_is_an_error(session: plait.ClientSession) -> None:
    async def script(peer: H2Peer) -> None:
        request = await peer.next_request()
        peer.send(StreamReset(request.stream_id, ErrorCode.INTERNAL_ERROR))
        await answer_all(peer)

    async with raw_server(h2(script)) as server:
        with pytest.raises(plait.ClientConnectionResetError, match="INTERNAL_ERROR"):
            await session.get(server.url)
        assert await (await session.get(server.url)).text() == "ok"
        assert server.connections == 1


async def test_a_reset_in_the_body_spares_the_connection(session: plait.ClientSession) -> None:
    async def script(peer: H2Peer) -> None:
        stream_id = (await peer.next_request()).stream_id
        peer.send(Response(stream_id, 200, [("content-length", "10")]), Data(stream_id, b"123"))
        peer.send(StreamReset(stream_id, ErrorCode.INTERNAL_ERROR))
        await answer_all(peer)

    async with raw_server(h2(script)) as server:
        async with session.get(server.url) as response:
            with pytest.raises(
                plait.ClientPayloadError, match=r"3 of 10 expected bytes received.*INTERNAL_ERROR"
            ):
                await response.read()
        assert await (await session.get(server.url)).text() == "ok"
        assert server.connections == 1


async def test_a_connection_that_goes_away_finishes_and_is_replaced(
    session: plait.ClientSession,
) -> None:
    going = asyncio.Event()
    asked = asyncio.Event()

    async def script(peer: H2Peer) -> None:
        if peer.number == 2:
            await answer_all(peer)
        request = await peer.next_request()
        asked.set()
        await going.wait()
        peer.close()  # Two GOAWAYs with a PING between: events must be taken for that.
        taking = asyncio.ensure_future(peer.run_to_end())
        await replaced.wait()
        peer.answer(request.stream_id, b"late")
        await taking

    replaced = asyncio.Event()
    async with raw_server(h2(script)) as server:
        first = asyncio.ensure_future(session.get(server.url))
        await asked.wait()
        going.set()
        connector = session.connector
        assert connector is not None
        while server.connections == 1:
            response = await session.get(server.url) if _is_draining(connector) else None
            if response is not None:
                assert await response.text() == "ok"
            await asyncio.sleep(0)
        replaced.set()
        assert await (await first).text() == "late"


async def test_a_server_that_ends_each_connection_after_some_requests(
    session: plait.ClientSession,
) -> None:
    """None of many requests at once fails, and none has to wait for all that come later."""
    taken = 5
    rounds: dict[str, list[int]] = {}

    async def script(peer: H2Peer) -> None:
        answered = 0
        while not isinstance(event := await peer.next_event(), ConnectionClosed):
            if not isinstance(event, Request):
                continue
            rounds.setdefault(event.target, []).append(peer.number)
            answered += 1
            if answered <= taken:
                peer.answer(event.stream_id)
            else:
                peer.send(StreamReset(event.stream_id, ErrorCode.REFUSED_STREAM))
            if answered == taken:
                peer.close()

    async def fetch(number: int) -> None:
        async with session.get(f"{server.url}{number}") as response:
            assert await response.text() == "ok"

    async def fetch_some(numbers: range) -> None:
        for number in numbers:
            await fetch(number)

    async with raw_server(h2(script)) as server:
        await asyncio.gather(*(fetch_some(range(n * 10, n * 10 + 10)) for n in range(20)))
        assert max(len(tries) for tries in rounds.values()) <= 20 // taken


async def test_the_connection_ends_in_the_moment_in_which_a_stream_is_free(
    engine: EngineName, authority: Authority
) -> None:
    """The request that waited got the stream, and the connection is gone when it wakes."""

    async def script(peer: H2Peer) -> None:
        if peer.number == 2:
            await answer_all(peer)
        warm_up = await peer.next_request()  # Until then the client knows no limit.
        peer.answer(warm_up.stream_id)
        peer.answer((await peer.next_request()).stream_id)
        # The closure alert of TLS follows at once: the client reads both in one go.

    connector = plait.TCPConnector(ssl=authority.client_context(), http2=True, engine=engine)
    context = authority.server_context("h2")
    async with (
        raw_server(h2(script, max_concurrent_streams=1), context) as server,
        plait.ClientSession(connector=connector) as session,
    ):
        await session.get(server.url)
        responses = await asyncio.gather(*[session.get(server.url) for _ in range(2)])
        assert [await response.text() for response in responses] == ["ok", "ok"]
        assert server.connections == 2


def _is_draining(connector: plait.BaseConnector) -> bool:
    return any(slot.draining for slot in connector._places.pool._slots.values())


async def test_http_1_1_required(engine: EngineName, authority: Authority) -> None:
    protocols: list[str | None] = []

    async def script(connection: RawConnection) -> None:
        ssl_object = connection.writer.get_extra_info("ssl_object")
        protocol = ssl_object.selected_alpn_protocol()
        protocols.append(protocol)
        if protocol == "h2":
            await h2(refuse)(connection)
        else:
            await always(OK)(connection)

    async def refuse(peer: H2Peer) -> None:
        stream_id = (await peer.next_request()).stream_id
        peer.send(StreamReset(stream_id, ErrorCode.HTTP_1_1_REQUIRED))
        await peer.run_to_end()

    connector = plait.TCPConnector(ssl=authority.client_context(), engine=engine)
    async with (
        raw_server(script, authority.server_context("h2", "http/1.1")) as server,
        plait.ClientSession(connector=connector) as session,
    ):
        for _ in range(2):
            async with session.get(server.url) as response:
                assert response.version == (1, 1)
                await response.read()
    assert protocols == ["h2", "http/1.1"]


@pytest.mark.parametrize("way", ["release", "cancel"])
async def test_what_is_not_wanted_is_reset(session: plait.ClientSession, way: str) -> None:
    resets: asyncio.Queue[int] = asyncio.Queue()
    asked = asyncio.Event()

    async def script(peer: H2Peer) -> None:
        request = await peer.next_request()
        if way == "release":
            peer.send(Response(request.stream_id, 200), Data(request.stream_id, b"x"))
        asked.set()
        event = await peer.next_of(StreamReset)
        assert isinstance(event, StreamReset)
        resets.put_nowait(event.code)
        await answer_all(peer)

    async with raw_server(h2(script)) as server:
        if way == "release":
            (await session.get(server.url)).release()
        else:
            task = asyncio.ensure_future(session.get(server.url))
            await asked.wait()
            task.cancel()
            await asyncio.wait([task])
        assert await resets.get() == ErrorCode.CANCEL
        assert await (await session.get(server.url)).text() == "ok"
        assert counts(session) == (0, 1, 0)
        assert server.connections == 1


async def test_an_early_answer_ends_the_upload(session: plait.ClientSession) -> None:
    stopped = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 10000
        finally:
            stopped.set()

    async def script(peer: H2Peer) -> None:
        stream_id = (await peer.next_request()).stream_id
        peer.answer(stream_id, b"no!")
        peer.send(StreamReset(stream_id, ErrorCode.NO_ERROR))
        await answer_all(peer)

    async with raw_server(h2(script)) as server:
        async with session.post(server.url, data=endless()) as response:
            assert await response.read() == b"no!"
        await stopped.wait()
        assert await (await session.get(server.url)).text() == "ok"
        assert server.connections == 1


async def test_a_connection_that_is_cut_off(session: plait.ClientSession) -> None:
    async def script(connection: RawConnection) -> None:
        peer = H2Peer(connection, Limits())
        stream_id = (await peer.next_request()).stream_id
        if connection.number == 2:
            peer.send(Response(stream_id, 200), Data(stream_id, b"123"))
            await connection.writer.drain()
        connection.close()

    async with raw_server(script) as server:
        with pytest.raises(plait.ServerDisconnectedError):
            await session.post(server.url)
        async with session.get(server.url) as response:
            with pytest.raises(plait.ClientPayloadError, match=r"3 bytes.*closed the connection"):
                await response.read()
        assert counts(session) == (0, 0, 0)


async def test_trailers(session: plait.ClientSession) -> None:
    async def script(peer: H2Peer) -> None:
        stream_id = (await peer.next_request()).stream_id
        peer.send(
            Response(stream_id, 200),
            Data(stream_id, b"x"),
            EndOfMessage(stream_id, [("x-digest", "1")]),
        )
        await peer.run_to_end()

    async with raw_server(h2(script)) as server, session.get(server.url) as response:
        await response.read()
        assert response.trailers["X-Digest"] == "1"
        await session.close()


async def test_a_slow_reader_does_not_stop_the_others(session: plait.ClientSession) -> None:
    async def script(peer: H2Peer) -> None:
        slow = (await peer.next_request()).stream_id
        peer.send(Response(slow, 200), Data(slow, b"x" * 5_000_000), EndOfMessage(slow))
        while True:
            event = await peer.next_event()
            if isinstance(event, Request):
                peer.answer(event.stream_id)

    async with raw_server(h2(script)) as server, session.get(server.url) as slow:
        for _ in range(3):
            assert await (await session.get(server.url)).text() == "ok"
        assert len(await slow.read()) == 5_000_000


async def test_alpn_is_what_was_asked_for(engine: EngineName, authority: Authority) -> None:
    async with raw_server(always(OK), authority.server_context("http/1.1")) as server:
        connector = plait.TCPConnector(ssl=authority.client_context(), http2=True, engine=engine)
        async with plait.ClientSession(connector=connector) as session:
            with pytest.raises(plait.ClientConnectorError, match="h2"):
                await session.get(server.url)
            assert counts(session) == (0, 0, 0)


async def test_close_says_goodbye(session: plait.ClientSession) -> None:
    ended = asyncio.Event()

    async def script(peer: H2Peer) -> None:
        peer.answer((await peer.next_request()).stream_id)
        await peer.run_to_end()
        ended.set()

    async with raw_server(h2(script)) as server:
        await (await session.get(server.url)).read()
        await session.close()
        await ended.wait()


async def test_one_context_offers_different_protocols_at_once(
    engine: EngineName, authority: Authority
) -> None:
    """A WebSocket wants HTTP/1.1 while a request on the same context wants HTTP/2."""
    protocols: list[str | None] = []

    async def script(connection: RawConnection) -> None:
        protocol = connection.writer.get_extra_info("ssl_object").selected_alpn_protocol()
        protocols.append(protocol)
        await (h2(answer_all) if protocol == "h2" else always(OK))(connection)

    async def open_websocket() -> None:
        with pytest.raises(plait.WSServerHandshakeError):
            await session.ws_connect(server.url)

    connector = plait.TCPConnector(ssl=authority.client_context(), engine=engine)
    async with (
        raw_server(script, authority.server_context("h2", "http/1.1")) as server,
        plait.ClientSession(connector=connector) as session,
    ):
        response, *_ = await asyncio.gather(session.get(server.url), open_websocket())
        assert response.version == (2, 0)
    assert sorted(map(str, protocols)) == ["h2", "http/1.1"]


async def test_a_websocket_that_ends_and_is_reset_with_its_handshake(
    session: plait.ClientSession,
) -> None:
    """All of it in one packet: the task that asked for the WebSocket has not run meanwhile."""

    async def script(peer: H2Peer) -> None:
        stream_id = (await peer.next_request()).stream_id
        now = asyncio.get_running_loop().time()
        for event in (
            Accept(stream_id),
            EndOfMessage(stream_id),
            StreamReset(stream_id, ErrorCode.CANCEL),
        ):
            peer.engine.send(event, now=now)
        peer.flush()
        await peer.run_to_end()

    async with raw_server(h2(script)) as server:
        ws = await session.ws_connect(server.url)
        with pytest.raises(plait.ClientConnectionResetError):
            await asyncio.wait_for(ws.send_bytes(bytes(1_000_000)), 10)
        assert await ws.receive() == plait.http.WS_CLOSED_MESSAGE
        assert await ws.close() is False
        assert counts(session) == (0, 1, 0)
