"""What takes time, on the virtual clock: no machine is too slow for it, and nobody waits.

A real session against a real application on the virtual network, over both versions.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest

import plait
from plait import web
from plait_engine.engines import EngineName
from tests.simulation.network import Network, VirtualLoop, Weather

SEED = 7
Use = Callable[[plait.ClientSession], Awaitable[None]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Simulate = Callable[..., Network]


@pytest.fixture(params=["native", "reference"])
def engine(request: pytest.FixtureRequest) -> EngineName:
    name: EngineName = request.param
    return name


@pytest.fixture(params=["http/1.1", "h2"])
def simulate(request: pytest.FixtureRequest, engine: EngineName) -> Simulate:
    """Serve a handler, and let a session use it; afterwards nothing is left.

    ``options`` are those of the server, ``connector`` those of the session's connector.
    """

    async def run(
        network: Network,
        handler: Handler,
        use: Use,
        connector_options: dict[str, Any],
        options: dict[str, Any],
    ) -> None:
        app = web.Application()
        app.router.add_route("*", "/", handler)
        runner = web.AppRunner(
            app, access_log=None, engine=engine, handler_cancellation=True, **options
        )
        await runner.setup()
        assert runner.server is not None
        network.listen(runner.server)
        connector = plait.UnixConnector(
            "simulated", http2=request.param == "h2", engine=engine, **connector_options
        )
        async with plait.ClientSession("http://localhost", connector=connector) as session:
            await use(session)
            await asyncio.sleep(1)
            stats = connector.stats()
            assert (stats.in_use, stats.streams, stats.waiting) == (0, 0, 0)
            assert not session._deadlines._timed
        await runner.cleanup()
        await asyncio.sleep(1)

    def simulate(
        handler: Handler, use: Use, connector: dict[str, Any] | None = None, **options: Any
    ) -> Network:
        loop = VirtualLoop(end=20_000)
        network = Network(loop, SEED, Weather())
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(run(network, handler, use, connector or {}, options))
            assert loop.timers() == []
        assert network.open_ends() == []
        assert loop.errors == []
        return network

    return simulate


# -- deadlines of a request ------------------------------------------------------------------


@pytest.mark.parametrize("read", ["read", "content"])
@pytest.mark.parametrize(
    ("timeout", "error"),
    [
        (plait.ClientTimeout(total=5), TimeoutError),
        (plait.ClientTimeout(sock_read=5), plait.SocketTimeoutError),
    ],
    ids=["total", "sock_read"],
)
def test_deadlines_in_the_body(
    simulate: Simulate, timeout: plait.ClientTimeout, error: type[Exception], read: str
) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = 9
        await response.prepare(request)
        await asyncio.sleep(2)
        await response.write(b"beg")
        await asyncio.sleep(1000)
        raise AssertionError("the client has left")

    async def use(session: plait.ClientSession) -> None:
        begun = session._loop.time()
        async with session.get("/", timeout=timeout) as response:
            with pytest.raises(error):
                await (response.read() if read == "read" else response.content.read())
            waited = session._loop.time() - begun
        assert waited == pytest.approx(5 if timeout.total else 7, abs=0.1)

    simulate(handler, use)


def test_the_read_deadline_runs_again_when_what_came_is_read(simulate: Simulate) -> None:
    size = 300_000

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = 999_999
        await response.prepare(request)
        await response.write(bytes(size))
        await asyncio.sleep(1000)
        raise AssertionError("the client has left")

    async def use(session: plait.ClientSession) -> None:
        async with session.get("/", timeout=plait.ClientTimeout(sock_read=5)) as response:
            await asyncio.sleep(20)
            begun = session._loop.time()
            assert len(await response.content.readexactly(size)) == size
            with pytest.raises(plait.SocketTimeoutError):
                await response.content.readany()
            assert session._loop.time() - begun == pytest.approx(5, abs=0.1)

    simulate(handler, use)


@pytest.mark.parametrize("simulate", ["h2"], indirect=True)
def test_a_request_that_timed_out_is_reset(simulate: Simulate) -> None:
    ended: list[BaseException] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        if "wait" not in request.query:
            return web.Response(text="ok")
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError as error:
            ended.append(error)
            raise
        raise AssertionError("the client has left")

    async def use(session: plait.ClientSession) -> None:
        with pytest.raises(TimeoutError):
            await session.get("/?wait", timeout=plait.ClientTimeout(total=5))
        async with session.get("/") as response:
            assert await response.text() == "ok"
        assert len(ended) == 1

    network = simulate(handler, use)
    assert len(network.ends) == 2, "one connection"


@pytest.mark.parametrize("simulate", ["http/1.1"], indirect=True)
@pytest.mark.parametrize("late", [False, True])
def test_the_time_in_the_queue_of_the_pool(simulate: Simulate, late: bool) -> None:
    """It ends with a place, and with a connection that is being opened for the request."""

    async def handler(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(8 if late else 3)
        return web.Response(text="ok")

    async def fetch(session: plait.ClientSession) -> str:
        async with session.get("/", timeout=plait.ClientTimeout(pool=5)) as response:
            return await response.text()

    async def use(session: plait.ClientSession) -> None:
        first = asyncio.create_task(fetch(session))
        await asyncio.sleep(0)
        begun = session._loop.time()
        if late:
            with pytest.raises(plait.ConnectionTimeoutError) as caught:
                await fetch(session)
            assert session._loop.time() - begun == pytest.approx(5, abs=0.1)
            assert str(caught.value) == (
                "Connection timeout to host localhost:80: no connection became free within 5 s (pool)"
            )
            assert caught.value.unprocessed
        else:
            assert await fetch(session) == "ok"
        assert await first == "ok"

    simulate(handler, use, connector={"limit": 1})


@pytest.mark.parametrize("how", ["pieces", "bytes"])
def test_content_that_nobody_takes(simulate: Simulate, how: str) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        await request.content.readany()
        await asyncio.sleep(1000)
        raise AssertionError("the client has left")

    async def pieces() -> AsyncIterator[bytes]:
        while True:
            yield bytes(50_000)

    async def use(session: plait.ClientSession) -> None:
        begun = session._loop.time()
        data = pieces() if how == "pieces" else bytes(1_000_000)
        with pytest.raises(plait.SocketTimeoutError) as caught:
            await session.get("/", data=data, timeout=plait.ClientTimeout(write=5))
        assert 5 <= session._loop.time() - begun < 11
        assert "took nothing of the request for 5 s (write): no response" in str(caught.value)
        assert str(caught.value).startswith("localhost:80 (")

    simulate(handler, use)


@pytest.mark.parametrize("simulate", ["h2"], indirect=True)
def test_the_last_content_that_nobody_takes(simulate: Simulate) -> None:
    """It is less than a stream takes at once, and waits for the window of the connection."""
    size = 60_000

    async def handler(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(1000)
        raise AssertionError("the client has left")

    async def use(session: plait.ClientSession) -> None:
        timeout = plait.ClientTimeout(total=None, write=5)
        filling = [  # Together they are more than the server reads ahead.
            asyncio.ensure_future(session.post("/", data=bytes(size))) for _ in range(20)
        ]
        await asyncio.sleep(1)
        begun = session._loop.time()
        with pytest.raises(plait.SocketTimeoutError, match=r"5 s \(write\)"):
            await session.post("/", data=bytes(size), timeout=timeout)
        assert 5 <= session._loop.time() - begun < 6
        for task in filling:
            task.cancel()
        await asyncio.gather(*filling, return_exceptions=True)

    simulate(handler, use)


def test_content_that_is_taken_slowly(simulate: Simulate) -> None:
    size = 1_000_000

    async def handler(request: web.Request) -> web.StreamResponse:
        received = 0
        async for piece in request.content.iter_any():
            received += len(piece)
            await asyncio.sleep(4)
        return web.Response(text=str(received))

    async def use(session: plait.ClientSession) -> None:
        timeout = plait.ClientTimeout(write=5)
        async with session.get("/", data=bytes(size), timeout=timeout) as response:
            assert await response.text() == str(size)

    simulate(handler, use)


def test_the_program_may_take_its_time_with_the_content(simulate: Simulate) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(text=str(len(await request.read())))

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"piece"
            await asyncio.sleep(20)

    async def use(session: plait.ClientSession) -> None:
        timeout = plait.ClientTimeout(write=5, sock_read=5)
        async with session.get("/", data=pieces(), timeout=timeout) as response:
            assert await response.text() == "15"

    simulate(handler, use)


@pytest.mark.parametrize("packed", [False, True])
def test_the_program_may_take_its_time_with_the_response(simulate: Simulate, packed: bool) -> None:
    content = bytes(range(256)) * 12_000

    async def handler(request: web.Request) -> web.StreamResponse:
        if not packed:
            return web.Response(body=content)
        body = gzip.compress(content, mtime=0)
        return web.Response(body=body, headers={"Content-Encoding": "gzip"})

    async def use(session: plait.ClientSession) -> None:
        timeout = plait.ClientTimeout(sock_read=5)
        async with session.get("/", timeout=timeout, read_bufsize=1000) as response:
            await asyncio.sleep(20)
            assert await response.content.readexactly(200_000) == content[:200_000]
            await asyncio.sleep(20)
            assert await response.read() == content[200_000:]

    simulate(handler, use)


def test_the_total_is_for_all_redirects_and_the_body(simulate: Simulate) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(2)
        hops = int(request.query.get("hops", 0))
        if hops < 3:
            raise web.HTTPFound(f"/?hops={hops + 1}")
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"beginning")
        await asyncio.sleep(1000)
        raise AssertionError("the client has left")

    async def use(session: plait.ClientSession) -> None:
        for total in (5, 9.5):
            begun = session._loop.time()
            with pytest.raises(TimeoutError, match=rf"more than {total} s \(total\)") as caught:
                await (await session.get("/", timeout=plait.ClientTimeout(total=total))).read()
            assert type(caught.value) is TimeoutError
            waited = session._loop.time() - begun
            assert total - 0.01 <= waited <= total + 1.1, "it may end on a whole second"

    simulate(handler, use)


@pytest.mark.parametrize("simulate", ["http/1.1"], indirect=True)
@pytest.mark.parametrize("name", ["connect", "total", "pool"])
def test_deadlines_of_a_request_that_waits_for_a_place(simulate: Simulate, name: str) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(100)
        return web.Response(text="ok")

    async def use(session: plait.ClientSession) -> None:
        first = asyncio.create_task(session._request("GET", "/"))
        await asyncio.sleep(0.1)
        begun = session._loop.time()
        with pytest.raises(TimeoutError, match=rf"localhost:80.* 4 s \({name}\)") as caught:
            await session.get("/", timeout=plait.ClientTimeout(**{name: 4}))
        assert session._loop.time() - begun == pytest.approx(4, abs=0.1)
        is_plain = type(caught.value) is TimeoutError
        assert is_plain if name == "total" else type(caught.value) is plait.ConnectionTimeoutError
        assert await (await first).text() == "ok"

    simulate(handler, use, connector={"limit": 1})


# -- idle connections ------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["client", "server"])
def test_idle_connections_are_closed(simulate: Simulate, who: str) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response()

    async def use(session: plait.ClientSession) -> None:
        pool = session.connector._places.pool
        for _ in range(2):
            async with session.get("/") as response:
                assert response.status == 200
            await asyncio.sleep(9 if who == "server" else 14)
            assert pool.connections == 1
        await asyncio.sleep(2)
        assert pool.connections == 0

    network = simulate(handler, use, keepalive_timeout=10 if who == "server" else 75)
    assert len(network.ends) == 2, "one connection"


# -- the age of connections ------------------------------------------------------------------


def test_an_old_connection_ends_behind_what_it_carries(simulate: Simulate) -> None:
    """Requests that come meanwhile have another one, and nothing is refused."""
    peers: dict[str, object] = {}

    async def handler(request: web.Request) -> web.StreamResponse:
        peers[request.query["name"]] = request.transport
        await asyncio.sleep(float(request.query.get("seconds", 0)))
        return web.Response(text="ok")

    async def fetch(session: plait.ClientSession, name: str, seconds: float = 0) -> None:
        async with session.get("/", params={"name": name, "seconds": seconds}) as response:
            assert await response.text() == "ok"

    async def use(session: plait.ClientSession) -> None:
        assert session.connector is not None
        stats = session.connector.stats
        long = asyncio.create_task(fetch(session, "long", seconds=100))
        await asyncio.sleep(70)
        await fetch(session, "after")
        assert (stats().in_use, stats().idle) == (1, 1)
        await long
        await asyncio.sleep(1)
        assert (stats().in_use, stats().idle) == (0, 1), "the old one is closed"
        await asyncio.sleep(70)
        assert stats().open == 0, "the other one, too, though it was idle for ever"
        assert peers["long"] is not peers["after"]

    network = simulate(
        handler, use, connector={"max_connection_age": 60, "keepalive_timeout": None}
    )
    assert len(network.ends) == 4


def test_connections_of_a_moment_do_not_end_in_one_moment(simulate: Simulate) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(1)
        return web.Response(text="ok")

    async def use(session: plait.ClientSession) -> None:
        assert session.connector is not None
        http1 = session.connector.http2 is not True
        count = 50 if http1 else 1
        await asyncio.gather(*[session.get("/") for _ in range(count)])
        left = [session.connector.stats().open]
        for _ in range(5):
            await asyncio.sleep(100 if len(left) == 1 else 2.5)
            left.append(session.connector.stats().open)
            assert left[-1] <= left[-2]
        assert left[0] == count
        assert left[-1] == 0
        if http1:
            assert len(set(left)) > 2

    ends = {"max_connection_age": 111, "keepalive_timeout": None}
    simulate(handler, use, connector=ends)


def test_a_connection_takes_so_many_requests(simulate: Simulate) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(text="ok")

    async def use(session: plait.ClientSession) -> None:
        for _ in range(7):
            async with session.get("/") as response:
                assert await response.text() == "ok"

    network = simulate(handler, use, connector={"max_connection_requests": 3})
    assert len(network.ends) == 2 * 3


# -- RetryMiddleware ------------------------------------------------------------------------


def test_the_server_says_when_to_come_back(simulate: Simulate) -> None:
    came: list[float] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        came.append(asyncio.get_running_loop().time())
        status, wait = ((503, "20"), (429, "0"), (200, ""))[len(came) - 1]
        return web.Response(status=status, headers={"Retry-After": wait})

    async def use(session: plait.ClientSession) -> None:
        retry = plait.RetryMiddleware(pause=4, jitter=0)
        async with session.get("/", middlewares=[retry]) as response:
            assert response.status == 200

    simulate(handler, use)
    assert [after - before for before, after in pairwise(came)] == [
        pytest.approx(20, abs=0.1),
        pytest.approx(8, abs=0.1),
    ]


@pytest.mark.parametrize("answers", [True, False])
def test_a_pause_that_total_cuts_short_is_not_begun(simulate: Simulate, answers: bool) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        if not answers:
            assert request.transport is not None
            request.transport.abort()
        return web.Response(status=503)

    async def use(session: plait.ClientSession) -> None:
        begun = session._loop.time()
        get = session.get(
            "/",
            middlewares=[plait.RetryMiddleware(99, pause=1, jitter=0)],
            timeout=plait.ClientTimeout(total=10),
        )
        if answers:
            async with get as response:
                assert response.status == 503
        else:
            with pytest.raises(plait.ClientConnectionError):
                await get
        assert session._loop.time() - begun == pytest.approx(7, abs=0.9)

    simulate(handler, use)


def test_a_request_is_cancelled_in_a_pause(simulate: Simulate) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(status=503)

    async def use(session: plait.ClientSession) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await session.get("/", middlewares=[plait.RetryMiddleware(pause=10, jitter=0)])

    simulate(handler, use)


# -- WebSockets ------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["both", "client", "server"])
def test_a_heartbeat_keeps_a_silent_peer(simulate: Simulate, who: str) -> None:
    ended: list[web.WSMsgType] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        ws = web.WebSocketResponse(heartbeat=None if who == "client" else 10)
        await ws.prepare(request)
        ended.append((await ws.receive()).type)
        return ws

    async def use(session: plait.ClientSession) -> None:
        async with session.ws_connect("/", heartbeat=None if who == "server" else 10) as ws:
            with pytest.raises(TimeoutError):
                await ws.receive(timeout=1000)
            assert not ws.closed
            assert not ended
        assert ws.close_code == 1000

    simulate(handler, use)
    assert ended == [web.WSMsgType.CLOSE]
