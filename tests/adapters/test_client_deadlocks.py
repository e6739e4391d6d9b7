"""The deadlocks and races that users of other clients met, each with the test that finds it here.

Each test was seen to fail with a line of plait broken as a naive client has it; that is what
"broken" says.  Tests of other files are named with their file.

Pool and cancellation
---------------------
a cancel at any await leaks a place or a waiter
    ``simulation/test_cancellation.py``;
    ``test_client_pool.py``: ``test_a_cancel_at_any_await_leaks_nothing``,
    ``test_a_cancel_while_waiting_in_line``; ``engine/policy/test_pool_model.py``
deadlines that pass lock the pool
    ``test_deadlines_leave_the_pool_as_it_was``; broken: ``Places.wait`` does not tell the pool
a connection goes on with the rest of a body that was cancelled
    ``test_a_cancelled_body_is_not_taken_for_the_next``; broken: ``ClientExchange.abandon`` resets
    nothing, and an HTTP/1.1 engine says that it takes a request

The stale keep-alive connection
-------------------------------
a request is not sent again, though that is safe
    ``test_client_pool.py``: ``test_an_idempotent_request_is_retried_once``
it is sent again, though that is not safe, or nobody wants it
    ``test_client_pool.py``: ``test_what_is_not_retried``, which has the switch:
    ``ClientSession(retry_policy=RetryPolicy(stale=0))``; ``test_client_places.py``:
    ``test_a_reset_on_a_connection_that_goes_on_is_not_answered_by_a_retry``
the rest of a file is sent again, or nothing of what is used up
    ``test_client_pool.py``: ``test_a_file_is_sent_again_from_its_beginning``,
    ``test_a_body_that_is_used_up_is_not_retried``

HTTP/2: windows
---------------
an upload waits for a WINDOW_UPDATE that another task has read
    ``test_window_updates_reach_every_upload``; broken: ``Writable`` wakes nobody
    (``plait_engine.streams``)
a stream that cannot send holds a share of the connection's window, or the turn
    ``test_a_blocked_stream_holds_nothing_of_the_window``; broken: ``Scheduler.update`` does not
    look at the stream's window
requests that wait for a stream hold a share, too
    ``test_requests_that_wait_hold_nothing_of_the_window``; broken: ``available_streams`` and
    ``next_stream_id`` do not ask for the peer's limit
a window that is smaller than a frame is not used
    ``test_an_upload_goes_on_byte_by_byte``; broken: ``frame_queued``, or ``Scheduler.update``,
    goes on from 2 bytes only
the connection's window follows SETTINGS_INITIAL_WINDOW_SIZE
    ``test_the_first_window_of_a_connection``; broken: ``_move_windows`` moves it, too
a window that becomes negative counts as empty
    ``test_a_window_that_becomes_negative``; broken: ``_move_windows`` stops at 0
what comes on a stream that is over is not given back
    ``test_data_of_streams_that_are_over_is_given_back``; broken: ``on_data`` without ``release``
what nobody reads is not given back
    ``test_client_http2.py``: ``test_what_is_not_read_takes_nothing_of_the_window_for_ever``
a reader that stops, stops the others
    ``test_a_thousand_at_once``; broken: ``CLIENT_LIMITS`` with a stream's window as large as the
    connection's; ``test_client_http2.py``: ``test_a_slow_reader_does_not_stop_the_others``

HTTP/2: streams
---------------
the peer's limit falls below what is open
    ``test_client_places.py``: ``test_a_request_waits_when_the_limit_was_lowered``,
    ``test_a_place_that_goes_before_its_request_begins_is_waited_for``;
    ``engine/policy/test_pool.py``: ``test_a_lowered_limit_stops_new_requests_only``
the ids of streams are mixed up
    ``test_each_stream_has_its_own_answer``; broken: ``next_stream_id`` leaves one out
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

import plait
from plait import web
from plait_engine import Limits
from plait_engine.engines import EngineName
from plait_engine.policy.client_config import CLIENT_LIMITS
from plait_engine.testing import frames as wire
from tests.adapters.frame_server import (
    INITIAL_WINDOW,
    INITIAL_WINDOW_SIZE,
    MAX_CONCURRENT_STREAMS,
    FramePeer,
    frames,
)
from tests.adapters.raw_server import OK, RawConnection, raw_server
from tests.adapters.test_client_http2 import until
from tests.serving import serve

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["native", "reference"])
def engine(request: pytest.FixtureRequest) -> EngineName:
    name: EngineName = request.param
    return name


@asynccontextmanager
async def connected(
    script: Callable[[FramePeer], Awaitable[None]], engine: EngineName
) -> AsyncIterator[Callable[..., Awaitable[bytes]]]:
    """A server of ``script``, and a function that uploads so many bytes and returns the answer."""
    done = asyncio.Event()

    async def run(peer: FramePeer) -> None:
        await script(peer)
        done.set()
        await peer.until(lambda: False)

    connector = plait.TCPConnector(http2=True, limit=1, engine=engine)
    timeout = plait.ClientTimeout(total=10)
    async with (
        raw_server(frames(run)) as server,
        plait.ClientSession(connector=connector, timeout=timeout) as session,
    ):

        async def upload(size: int) -> bytes:
            async with session.post(server.url, data=bytes(size)) as response:
                return await response.read()

        assert await (await session.get(server.url)).read() == b"1"
        yield upload
        async with asyncio.timeout(10):
            await done.wait()
        stats = connector.stats()
        assert (stats.in_use, stats.streams, stats.waiting) == (0, 0, 0)
        assert server.connections == 1


# -- the pool ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["total", "connect", "sock_read"])
async def test_deadlines_leave_the_pool_as_it_was(engine: EngineName, kind: str) -> None:
    silent = True

    async def script(connection: RawConnection) -> None:
        while await connection.read_head():
            if not silent:
                connection.send(OK)

    connector = plait.TCPConnector(limit=2, engine=engine)
    timeout = plait.ClientTimeout(**{"total": 0.1, kind: 0.05})
    async with raw_server(script) as server, plait.ClientSession(connector=connector) as session:
        calls = [session.get(server.url, timeout=timeout) for _ in range(7)]
        for result in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(result, TimeoutError)
        stats = connector.stats()
        assert (stats.in_use, stats.streams, stats.waiting) == (0, 0, 0)
        silent = False
        async with asyncio.timeout(10), session.get(server.url) as response:
            assert await response.read() == b"ok"


async def test_a_cancelled_body_is_not_taken_for_the_next(engine: EngineName) -> None:
    async def script(connection: RawConnection) -> None:
        while await connection.read_head():
            if connection.number == 1:
                connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nbegin")
            else:
                connection.send(OK)

    connector = plait.TCPConnector(limit=1, engine=engine)
    async with raw_server(script) as server, plait.ClientSession(connector=connector) as session:
        response = await session.get(server.url)
        reading = asyncio.create_task(response.read())
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait([reading])
        response.release()
        async with asyncio.timeout(10), session.get(server.url) as response:
            assert await response.read() == b"ok"
        assert server.connections == 2


# -- windows ---------------------------------------------------------------------------------


async def test_window_updates_reach_every_upload(engine: EngineName) -> None:
    """All uploads stand still, and one write of the server opens all their windows."""
    count, size, step = 20, 90_000, 30_000  # More than the engine queues for each.

    async def script(peer: FramePeer) -> None:
        await peer.begin([(INITIAL_WINDOW_SIZE, 0)])
        await peer.until(lambda: len(peer.windows) == count)
        for sent in range(step, size + 1, step):
            streams = [(stream_id, step) for stream_id in reversed(peer.windows)]
            peer.grant([*streams, (0, count * step)])
            await peer.until(lambda sent=sent: set(peer.received.values()) == {sent})
        await peer.until(lambda: len(peer.ended) == count)
        peer.answer(*peer.windows)

    async with connected(script, engine) as upload:
        answers = await asyncio.gather(*[upload(size) for _ in range(count)])
        assert answers == [b"%d" % number for number in range(3, 2 * count + 3, 2)]


async def test_a_blocked_stream_holds_nothing_of_the_window(engine: EngineName) -> None:
    """The last of three uploads gets all of the connection's window: it alone may send."""

    async def script(peer: FramePeer) -> None:
        await peer.begin([(INITIAL_WINDOW_SIZE, 0)])
        await peer.until(lambda: len(peer.windows) == 3)
        peer.grant([(7, INITIAL_WINDOW)])
        await peer.until(lambda: peer.received[7] == INITIAL_WINDOW)
        peer.grant([(0, INITIAL_WINDOW), (3, 50_000), (5, 50_000), (7, 50_000)])
        await peer.until(lambda: peer.window == 0)
        peer.grant([(0, 3 * INITIAL_WINDOW), (3, 50_000), (5, 50_000)])
        await peer.until(lambda: len(peer.ended) == 3)
        peer.answer(3, 5, 7)

    async with connected(script, engine) as upload:
        sizes = (70_000, 70_000, INITIAL_WINDOW + 1)
        assert await asyncio.gather(*map(upload, sizes)) == [b"3", b"5", b"7"]


async def test_requests_that_wait_hold_nothing_of_the_window(engine: EngineName) -> None:
    """Each upload needs the whole window, and one at a time is allowed."""

    async def script(peer: FramePeer) -> None:
        await peer.begin([(MAX_CONCURRENT_STREAMS, 1)])
        for stream_id in range(3, 15, 2):
            await peer.until(lambda stream_id=stream_id: stream_id in peer.ended)
            assert peer.window == 0
            peer.grant([(0, INITIAL_WINDOW)])
            peer.answer(stream_id)

    async with connected(script, engine) as upload:
        answers = await asyncio.gather(*[upload(INITIAL_WINDOW) for _ in range(6)])
        assert answers == [b"3", b"5", b"7", b"9", b"11", b"13"]


@pytest.mark.parametrize("where", ["connection", "stream"])
async def test_an_upload_goes_on_byte_by_byte(engine: EngineName, where: str) -> None:
    async def script(peer: FramePeer) -> None:
        size = INITIAL_WINDOW if where == "connection" else 1000
        await peer.begin([(INITIAL_WINDOW_SIZE, size)])
        await peer.until(lambda: peer.received.get(3) == size)
        if where == "connection":
            peer.grant([(3, 50)])
        for byte in range(1, 51):
            peer.grant([(0 if where == "connection" else 3, 1)])
            await peer.until(lambda byte=byte: peer.received[3] == size + byte)
        await peer.until(lambda: 3 in peer.ended)
        peer.answer(3)

    async with connected(script, engine) as upload:
        assert await upload((INITIAL_WINDOW if where == "connection" else 1000) + 50) == b"3"


@pytest.mark.parametrize("announced", [1_000_000, 6000])
async def test_the_first_window_of_a_connection(engine: EngineName, announced: int) -> None:
    """It is 65,535 bytes, more or less whatever those of streams are (RFC 9113 section 6.9.2)."""
    count, size = (3, 40_000) if announced > INITIAL_WINDOW else (10, 6000)

    async def script(peer: FramePeer) -> None:
        await peer.begin([(INITIAL_WINDOW_SIZE, announced)])
        await peer.until(lambda: sum(peer.received.values()) == min(INITIAL_WINDOW, count * size))
        await peer.settle()
        peer.grant([(0, count * size)])
        await peer.until(lambda: len(peer.ended) == count)
        peer.answer(*peer.windows)

    async with connected(script, engine) as upload:
        answers = await asyncio.gather(*[upload(size) for _ in range(count)])
        assert len(answers) == count


async def test_a_window_that_becomes_negative(engine: EngineName) -> None:
    async def script(peer: FramePeer) -> None:
        await peer.begin([(INITIAL_WINDOW_SIZE, 20_000)])
        await peer.until(lambda: peer.received.get(3) == 20_000)
        peer.resize_windows(5000)
        assert peer.windows[3] == -15_000
        peer.grant([(3, 15_000)])
        await peer.settle()
        peer.grant([(3, 1)])
        await peer.until(lambda: peer.received[3] == 20_001)
        peer.grant([(3, 20_000)])
        await peer.until(lambda: 3 in peer.ended)
        peer.answer(3)

    async with connected(script, engine) as upload:
        assert await upload(30_000) == b"3"


async def test_data_of_streams_that_are_over_is_given_back(engine: EngineName) -> None:
    """The server goes on with what the client has given up, more than its window lets it have."""
    piece = bytes(16384)
    total = CLIENT_LIMITS.connection_window * 3 // 2

    async def script(peer: FramePeer) -> None:
        await peer.begin()
        await peer.until(lambda: 3 in peer.windows)
        given_up.set()
        await peer.until(lambda: 3 in peer.reset)
        for sent in range(0, total, len(piece)):
            if sent % 2**20 == 0:
                await peer.settle()
            assert sent + len(piece) <= peer.given, "its window is closed for ever"
            peer.send(wire.data(3, piece))
        await peer.until(lambda: 5 in peer.ended)
        peer.answer(5)

    given_up = asyncio.Event()
    async with connected(script, engine) as upload:
        task = asyncio.create_task(upload(10))
        await given_up.wait()
        task.cancel()
        await asyncio.wait([task])
        assert await upload(10) == b"5"


# -- streams ---------------------------------------------------------------------------------


async def test_each_stream_has_its_own_answer(engine: EngineName) -> None:
    """They have the odd ids in order (which ``FramePeer`` holds), and are answered in reverse."""
    count = 50

    async def script(peer: FramePeer) -> None:
        await peer.begin()
        await peer.until(lambda: len(peer.ended) == count)
        peer.answer(*reversed(peer.windows))

    async with connected(script, engine) as upload:
        answers = await asyncio.gather(*[upload(3) for _ in range(count)])
        assert answers == [b"%d" % number for number in range(3, 2 * count + 3, 2)]


# -- all at once --------------------------------------------------------------------------------


async def test_a_thousand_at_once(engine: EngineName) -> None:
    """Downloads and uploads, a thousand of each, share a connection with who reads nothing."""
    count, size = (1000 if engine == "native" else 250), 20_000
    everybody = asyncio.Event()
    here = 0

    async def arrive() -> None:
        nonlocal here
        here += 1
        if here == 2 * count:
            everybody.set()
        await everybody.wait()

    async def download(request: web.Request) -> web.Response:
        await arrive()
        return web.Response(body=bytes(size))

    async def upload(request: web.Request) -> web.Response:
        await arrive()
        return web.Response(text=str(len(await request.read())))

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(bytes(65536))

    async def get(session: plait.ClientSession) -> int:
        async with session.get("/download") as response:
            return len(await response.read())

    async def post(session: plait.ClientSession) -> int:
        async with session.post("/upload", data=bytes(size)) as response:
            return int(await response.text())

    app = web.Application()
    app.router.add_get("/download", download)
    app.router.add_post("/upload", upload)
    app.router.add_get("/endless", endless)
    connector = plait.TCPConnector(http2=True, limit=1, engine=engine)
    limits = Limits(max_concurrent_streams=3 * count, connection_window=INITIAL_WINDOW)
    async with (
        serve(app, limits=limits, max_handlers=3 * count, engine=engine) as served,
        plait.ClientSession(served.url, connector=connector) as session,
        session.get("/endless") as stopped,
    ):
        await until(lambda: stopped.content.total_bytes >= CLIENT_LIMITS.stream_window)
        calls = [call(session) for _ in range(count) for call in (get, post)]
        async with asyncio.timeout(60):
            assert await asyncio.gather(*calls) == [size] * 2 * count
        stats = connector.stats()
        assert (stats.open, stats.streams) == (1, 1)
        assert await stopped.content.readany()
