"""Connections of the client: reuse, retries, deadlines, cancellation, and the end."""

from __future__ import annotations

import asyncio
import gc
import gzip
import warnings
import weakref
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from yarl import URL

import plait
from plait import web
from plait.calls.target import ConnectionKey
from plait_engine.engines import EngineName
from plait_engine.policy.retry import RetryPolicy
from plait_engine.policy.stats import HostStats, PoolStats
from tests.adapters.raw_server import OK, RawConnection, RawServer, always, raw_server
from tests.conftest import Authority
from tests.serving import serve
from tests.sessions import H1, H2C, Way

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["native", "reference"])
def engine(request: pytest.FixtureRequest) -> EngineName:
    name: EngineName = request.param
    return name


def counts(session: plait.ClientSession) -> tuple[int, int, int]:
    """Return how many requests have a connection, how many are idle, how many wait."""
    connector = session.connector
    assert connector is not None
    assert not connector._places._waiters.keys() - connector._places.pool._tickets.keys()
    stats = connector.stats()
    return stats.streams, stats.idle, stats.waiting


# -- reuse ------------------------------------------------------------------------


async def test_a_connection_is_used_again(engine: EngineName) -> None:
    async with raw_server(always(OK)) as server, plait.ClientSession(engine=engine) as session:
        for _ in range(3):
            async with session.get(server.url) as response:
                await response.read()
            assert counts(session) == (0, 1, 0)
        assert server.connections == 1


async def test_a_body_that_is_complete_frees_its_connection_by_itself(engine: EngineName) -> None:
    async with raw_server(always(OK)) as server, plait.ClientSession(engine=engine) as session:
        response = await session.get(server.url)
        assert await response.read() == b"ok"
        assert response.connection is None
        assert counts(session) == (0, 1, 0)


async def test_the_figures_of_a_connector(engine: EngineName) -> None:
    answer = asyncio.Event()
    asked = asyncio.Event()

    async def script(connection: RawConnection) -> None:
        while head := await connection.read_head():
            if b"/wait" in head:
                asked.set()
                await answer.wait()
            connection.send(OK)

    connector = plait.TCPConnector(limit=2, engine=engine)
    async with (
        raw_server(script) as one,
        raw_server(script) as other,
        plait.ClientSession(connector=connector) as session,
    ):
        assert connector.stats() == PoolStats()
        for server in (one, other):
            await (await session.get(server.url)).read()
        here, there = (f"http://localhost:{server.port}" for server in (one, other))
        idle = HostStats(open=1, idle=1)
        assert connector.stats() == PoolStats(open=2, idle=2, hosts={here: idle, there: idle})
        tasks = [asyncio.create_task(session.get(one.url + "wait")) for _ in range(3)]
        await asked.wait()
        stats = connector.stats()
        assert (stats.in_use, stats.waiting) == (1, 2)
        assert stats.hosts[here] == HostStats(connecting=1, open=1, streams=1, waiting=2)
        answer.set()
        await asyncio.gather(*tasks)
        # Another option of TLS needs another connection, and it is the same host.
        await (await session.get(one.url, ssl=False)).read()
        assert connector.stats() == PoolStats(
            open=2, idle=2, hosts={here: HostStats(open=2, idle=2)}
        )


def test_the_origin_of_connections() -> None:
    for host, port, secure, origin in (
        ("example.org", 443, True, "https://example.org:443"),
        ("::1", 80, False, "http://[::1]:80"),
        ("localhost", None, False, "http://localhost"),
    ):
        assert ConnectionKey(host, port, secure).origin == origin


async def test_lives_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="age"):
        plait.TCPConnector(max_connection_age=0)
    with pytest.raises(ValueError, match="1 request or more"):
        plait.UnixConnector("path", max_connection_requests=0)


async def test_private_names_that_programs_look_at(engine: EngineName) -> None:
    async with raw_server(always(OK)) as server, plait.ClientSession(engine=engine) as session:
        connector = session.connector
        assert connector is not None
        assert connector._conns == {}
        async with session.get(server.url) as response:
            assert await response.read() == response._body == b"ok"
            assert not response._released
        assert response._released
        ((key, [(client, since)]),) = connector._conns.items()
        assert (key.host, key.port) == ("localhost", server.port)
        assert client.transport is not None
        assert since <= asyncio.get_running_loop().time()


@pytest.mark.parametrize("end", ["release", "close", "del"])
async def test_an_unread_body_costs_the_connection(engine: EngineName, end: str) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbeginning"
    async with raw_server(always(answer)) as server, plait.ClientSession(engine=engine) as session:
        response = await session.get(server.url)
        assert response.connection is not None
        if end == "del":
            del response
            gc.collect()
        else:
            getattr(response, end)()
            with pytest.raises(plait.ClientConnectionError):
                await response.read()
        assert counts(session) == (0, 0, 0)


async def test_a_server_that_closes_is_not_asked_again(engine: EngineName) -> None:
    answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
    async with raw_server(always(answer)) as server, plait.ClientSession(engine=engine) as session:
        for _ in range(2):
            assert await (await session.get(server.url)).read() == b"ok"
        assert server.connections == 2


async def test_bytes_that_nobody_asked_for_end_an_idle_connection(engine: EngineName) -> None:
    async def script(connection: RawConnection) -> None:
        await connection.read_head()
        connection.send(OK + (OK if connection.number == 1 else b""))
        await connection.read_to_end()

    async with raw_server(script) as server, plait.ClientSession(engine=engine) as session:
        for _ in range(2):
            async with session.get(server.url) as response:
                assert await response.read() == b"ok"
        assert server.connections == 2


async def test_the_limit_makes_requests_wait_in_line(engine: EngineName) -> None:
    order: list[str] = []

    async def script(connection: RawConnection) -> None:
        while head := await connection.read_head():
            order.append(head.split(b" ")[1].decode())
            connection.send(OK)

    connector = plait.TCPConnector(limit=1, engine=engine)
    async with raw_server(script) as server, plait.ClientSession(connector=connector) as session:

        async def fetch(number: int) -> bytes:
            async with session.get(f"{server.url}{number}") as response:
                return await response.read()

        assert await asyncio.gather(*map(fetch, range(5))) == [b"ok"] * 5
        assert server.connections == 1
    assert order == [f"/{number}" for number in range(5)]


async def test_force_close(engine: EngineName) -> None:
    connector = plait.TCPConnector(force_close=True, engine=engine)
    async with (
        raw_server(always(OK)) as server,
        plait.ClientSession(connector=connector) as session,
    ):
        for _ in range(2):
            await (await session.get(server.url)).read()
        assert server.connections == 2
        assert counts(session) == (0, 0, 0)


@pytest.mark.parametrize(
    "options",
    [{"ssl": False}, {"server_hostname": "other"}, {"max_field_size": 100}],
)
async def test_other_options_need_another_connection(options: dict[str, Any]) -> None:
    async with raw_server(always(OK)) as server, plait.ClientSession() as session:
        await (await session.get(server.url)).read()
        await (await session.get(server.url, **options)).read()
        assert server.connections == 2


# -- retries ----------------------------------------------------------------------------


def stale() -> Any:
    """Answer the first request of the first connection; close at the second."""

    async def script(connection: RawConnection) -> None:
        while head := await connection.read_head():
            if b"content-length: 4" in head.lower():
                await connection.read(4)
            if connection.number == 1 and head.startswith(b"GET /first"):
                connection.send(OK)
            elif connection.number == 1:
                return
            else:
                connection.send(OK)

    return script


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
async def test_an_idempotent_request_is_retried_once(engine: EngineName, method: str) -> None:
    async with raw_server(stale()) as server, plait.ClientSession(engine=engine) as session:
        await (await session.get(server.url + "first")).read()
        data = b"body" if method == "PUT" else None
        async with session.request(method, server.url + "x", data=data) as response:
            assert response.status == 200
        assert server.connections == 2


@pytest.mark.parametrize("policy", [RetryPolicy(), RetryPolicy(stale=0)])
async def test_what_is_not_retried(engine: EngineName, policy: RetryPolicy) -> None:
    method = "POST" if policy.stale else "GET"
    async with (
        raw_server(stale()) as server,
        plait.ClientSession(engine=engine, retry_policy=policy) as session,
    ):
        await (await session.get(server.url + "first")).read()
        with pytest.raises(plait.ServerDisconnectedError):
            await session.request(method, server.url + "x")
        assert server.connections == 1
        assert counts(session) == (0, 0, 0)


async def test_a_file_is_sent_again_from_its_beginning(engine: EngineName, tmp_path: Any) -> None:
    bodies: list[bytes] = []

    async def script(connection: RawConnection) -> None:
        while head := await connection.read_head():
            if head.startswith(b"PUT"):
                bodies.append(await connection.read(10))
                if connection.number == 1:
                    return
            connection.send(OK)

    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    async with raw_server(script) as server, plait.ClientSession(engine=engine) as session:
        await (await session.get(server.url)).read()
        with path.open("rb") as file:
            async with session.put(server.url, data=file) as response:
                assert response.status == 200
    assert bodies == [b"0123456789"] * 2


async def test_a_body_that_is_used_up_is_not_retried(engine: EngineName) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"once"

    async def script(connection: RawConnection) -> None:
        while head := await connection.read_head():
            if head.startswith(b"PUT"):
                await connection.reader.readuntil(b"0\r\n\r\n")
                return
            connection.send(OK)

    async with raw_server(script) as server, plait.ClientSession(engine=engine) as session:
        await (await session.get(server.url)).read()
        with pytest.raises(plait.ServerDisconnectedError):
            await session.put(server.url, data=body())
        assert server.connections == 1


async def test_a_request_that_failed_is_forgotten_with_its_exception(engine: EngineName) -> None:
    requests: list[weakref.ref[plait.ClientRequest]] = []

    class Watched(plait.ClientRequest):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            requests.append(weakref.ref(self))

    async def script(connection: RawConnection) -> None:
        await connection.read_head()

    async with (
        raw_server(script) as server,
        plait.ClientSession(engine=engine, request_class=Watched) as session,
    ):
        gc.disable()
        try:
            with pytest.raises(plait.ServerDisconnectedError) as caught:
                await session.get(server.url)
            assert requests[0]() is not None
            assert caught.type is plait.ServerDisconnectedError
            del caught
            assert requests[0]() is None, "no cycle keeps it until the collector comes"
        finally:
            gc.enable()


# -- deadlines -----------------------------------------------------------------------------


async def silent(connection: RawConnection) -> None:
    await connection.read_to_end()


@pytest.mark.parametrize(
    ("timeout", "error"),
    [
        (plait.ClientTimeout(total=0.02), TimeoutError),
        (0.02, TimeoutError),
        (plait.ClientTimeout(sock_read=0.02), plait.SocketTimeoutError),
    ],
)
async def test_deadlines_before_the_head(
    engine: EngineName, timeout: Any, error: type[Exception]
) -> None:
    async with raw_server(silent) as server, plait.ClientSession(engine=engine) as session:
        with pytest.raises(error) as caught:
            await session.get(server.url, timeout=timeout)
        assert type(caught.value) is error
        assert counts(session) == (0, 0, 0)
        assert not session._deadlines._timed


async def test_a_deadline_that_passes_between_the_place_and_the_request(
    engine: EngineName,
) -> None:
    class Slow(plait.TCPConnector):
        async def connect(self, *arguments: Any) -> Any:
            connection = await super().connect(*arguments)
            await asyncio.sleep(0.1)
            return connection

    async def answer_once(connection: RawConnection) -> None:
        await connection.read_head()
        connection.send(OK)
        await connection.read_to_end()

    async with (
        raw_server(answer_once) as server,
        plait.ClientSession(connector=Slow(engine=engine)) as session,
    ):
        async with session.get(server.url) as response:
            await response.read()
        with pytest.raises(TimeoutError):  # The connection is there, and takes no time.
            await session.get(server.url, timeout=0.05)
        assert server.connections == 1
        assert counts(session) == (0, 0, 0)
        assert not session._deadlines._timed


async def test_a_connection_that_a_program_drops_gives_its_place_back(engine: EngineName) -> None:
    loop = asyncio.get_running_loop()
    told: list[dict[str, Any]] = []
    connector = plait.TCPConnector(limit=1, engine=engine)
    async with raw_server(always(OK)) as server, connector:
        request = plait.ClientRequest("GET", URL(server.url))
        connection = await connector.connect(request, [], plait.ClientTimeout())
        loop.set_exception_handler(lambda _, context: told.append(context))
        await asyncio.sleep(0)  # The loop has let go of the future that brought it.
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            del connection
            gc.collect()
        assert [str(each.message)[:30] for each in warned] == ["Unclosed connection <Connectio"]
        assert warned[0].category is ResourceWarning
        [context] = told
        assert context["message"] == "Unclosed connection"
        told.clear()
        del context, warned
        connection = await connector.connect(request, [], plait.ClientTimeout(connect=5))
        connection.release()
        del connection
        gc.collect()
        assert told == []


async def test_the_read_deadline_runs_from_the_end_of_the_upload(engine: EngineName) -> None:
    async def body() -> AsyncIterator[bytes]:
        await asyncio.sleep(0.1)
        yield b"content"

    async with raw_server(silent) as server, plait.ClientSession(engine=engine) as session:
        timeout = plait.ClientTimeout(sock_read=0.05)
        before = session._loop.time()
        with pytest.raises(plait.SocketTimeoutError):
            await session.post(server.url, data=body(), timeout=timeout)
        assert session._loop.time() - before >= 0.15


async def test_the_deadline_for_a_place_in_the_pool(engine: EngineName) -> None:
    connector = plait.TCPConnector(limit=1, engine=engine)
    async with raw_server(silent) as server, plait.ClientSession(connector=connector) as session:
        first = asyncio.ensure_future(session.get(server.url))
        await asyncio.sleep(0)
        with pytest.raises(plait.ConnectionTimeoutError):
            await session.get(server.url, timeout=plait.ClientTimeout(connect=0.02))
        first.cancel()
        await asyncio.wait([first])
        assert counts(session) == (0, 0, 0)


# -- cancellation -----------------------------------------------------------------------------


class CancelAt:
    """Runs a coroutine and cancels it when it waits for the ``step``-th time."""

    def __init__(self, coro: Any, step: int) -> None:
        self._coro = coro
        self._step = step
        self.cancelled = False

    def __await__(self) -> Any:
        coro = self._coro.__await__()
        value: Any = None
        while True:
            try:
                waited_for = coro.send(value)
            except StopIteration as stop:
                return stop.value
            if self._step == 0:
                self.cancelled = True
                waited_for.cancel()
            self._step -= 1
            try:
                value = yield waited_for
            except BaseException as error:
                try:
                    coro.throw(error)
                except StopIteration as stop:
                    return stop.value
                raise


async def call(session: plait.ClientSession, url: str, body: Any) -> bytes:
    async with session.post(url, data=body()) as response:
        return await response.read()


@pytest.mark.parametrize("step", range(12))
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_cancel_at_any_await_leaks_nothing(
    engine: EngineName, step: int, streamed: bool
) -> None:
    async def script(connection: RawConnection) -> None:
        while head := await connection.read_head():
            try:
                if b"chunked" in head:
                    await connection.reader.readuntil(b"0\r\n\r\n")
                else:
                    await connection.read(4)
            except asyncio.IncompleteReadError:
                return  # The request was cancelled in the middle of its body.
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
            await asyncio.sleep(0)
            connection.send(b"bo")
            await asyncio.sleep(0)
            connection.send(b"dy")

    async def stream() -> AsyncIterator[bytes]:
        yield b"bo"
        await asyncio.sleep(0)
        yield b"dy"

    body: Callable[[], Any] = stream if streamed else lambda: b"body"
    connector = plait.TCPConnector(limit=1, engine=engine)
    async with raw_server(script) as server, plait.ClientSession(connector=connector) as session:
        task = asyncio.current_task()
        before = asyncio.all_tasks()
        attempt = CancelAt(call(session, server.url, body), step)
        try:
            await attempt
        except asyncio.CancelledError:
            assert attempt.cancelled
        acquired, _, waiting = counts(session)
        assert (acquired, waiting) == (0, 0)
        assert task is not None
        assert not session._deadlines._timed
        assert await call(session, server.url, body) == b"body"
        await asyncio.sleep(0)
        left = {t for t in asyncio.all_tasks() - before if "accept" not in repr(t.get_coro())}
        assert not left
    assert connector._places.pool.connections == 0


async def test_a_cancel_while_waiting_in_line(engine: EngineName) -> None:
    connector = plait.TCPConnector(limit=1, engine=engine)
    asked = asyncio.Event()
    answer = asyncio.Event()

    async def script(connection: RawConnection) -> None:
        while await connection.read_head():
            asked.set()
            await answer.wait()
            connection.send(OK)

    async with raw_server(script) as server, plait.ClientSession(connector=connector) as session:
        first, second, third = (asyncio.ensure_future(session.get(server.url)) for _ in range(3))
        await asked.wait()
        assert counts(session) == (1, 0, 2)
        second.cancel()
        await asyncio.wait([second])
        answer.set()
        for task in (first, third):
            assert await (await task).read() == b"ok"
        assert counts(session) == (0, 1, 0)


# -- the end ---------------------------------------------------------------------------------


async def test_close_leaves_nothing_open(engine: EngineName, authority: Authority) -> None:
    async def script(connection: RawConnection) -> None:
        while await connection.read_head():
            connection.send(OK)
        ends.put_nowait(connection.number)  # A proper end, and no ConnectionError.

    ends: asyncio.Queue[int] = asyncio.Queue()
    async with raw_server(script, authority.server_context("http/1.1")) as server:
        connector = plait.TCPConnector(ssl=authority.client_context(), engine=engine)
        session = plait.ClientSession(connector=connector)
        await asyncio.gather(*[session.get(server.url) for _ in range(3)])
        assert len(connector._places.alive) == 3
        await session.close()
        assert session.closed
        assert not connector._places.alive
        for _ in range(3):
            await ends.get()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            del session, connector
            gc.collect()


async def test_close_fails_what_is_under_way(engine: EngineName) -> None:
    connector = plait.TCPConnector(limit=1, engine=engine)
    asked = asyncio.Event()

    async def script(connection: RawConnection) -> None:
        await connection.read_head()
        asked.set()
        await connection.read_to_end()

    async with raw_server(script) as server:
        session = plait.ClientSession(connector=connector)
        tasks = [asyncio.ensure_future(session.get(server.url)) for _ in range(2)]
        await asked.wait()
        await session.close()
        asking, waiting = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(asking, plait.ClientConnectionError)
        assert isinstance(waiting, plait.ClientConnectionError)
        assert (asking.unprocessed, waiting.unprocessed) == (False, True)
        with pytest.raises(RuntimeError, match="Session is closed"):
            await session.get(server.url)


@pytest.mark.parametrize("way", [H1, H2C], ids=str)
async def test_close_fails_what_would_be_sent_again(way: Way, authority: Authority) -> None:
    """A request on a connection that was used before; the error is one of the client's."""
    asked = asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/never":
            asked.set()
            await asyncio.Event().wait()
        return web.Response()

    app = web.Application()
    app.router.add_get("/{path}", answer)
    async with serve(app, shutdown_timeout=1.0) as site:
        session = way.open_session(authority)
        async with session.get(f"{site.url}/first"):
            pass
        task = asyncio.ensure_future(session.get(f"{site.url}/never"))
        await asked.wait()
        await session.close()
        with pytest.raises(plait.ClientConnectionError, match="closed"):
            await task


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("how", ["read", "stream"])
async def test_requests_leave_no_cycles_behind(engine: EngineName, how: str, packed: bool) -> None:
    body = gzip.compress(b"body") if packed else b"body"
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n" % len(body)
    answer = head + (b"Content-Encoding: gzip\r\n" if packed else b"") + b"\r\n" + body

    async def fetch(session: plait.ClientSession, url: str) -> None:
        async with session.post(url, data=b"") as response:
            assert await (response.read() if how == "read" else response.content.read()) == b"body"

    async with raw_server(always(answer)) as server, plait.ClientSession(engine=engine) as session:
        await fetch(session, server.url)
        gc.collect()
        gc.disable()
        try:
            for _ in range(10):
                await fetch(session, server.url)
            gc.set_debug(gc.DEBUG_SAVEALL)
            gc.collect()
            left = [item for item in gc.garbage if type(item).__module__.startswith("plait")]
            assert not left
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()


async def test_a_session_that_is_not_closed_warns() -> None:
    contexts: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: contexts.append(context))
    try:
        sessions = [plait.ClientSession()]
        with pytest.warns(ResourceWarning, match="Unclosed client session"):
            sessions.clear()
    finally:
        loop.set_exception_handler(None)
    assert contexts[0]["message"] == "Unclosed client session"


async def test_a_connector_of_ones_own_stays_open(engine: EngineName) -> None:
    async with raw_server(always(OK)) as server, plait.TCPConnector(engine=engine) as connector:
        for _ in range(2):
            async with plait.ClientSession(connector=connector, connector_owner=False) as session:
                await (await session.get(server.url)).read()
        session = plait.ClientSession(connector=connector)
        await (await session.get(server.url)).read()
        session.detach()
        assert session.closed
        assert not connector.closed
        assert server.connections == 1


async def test_the_module_level_request() -> None:
    async with raw_server(always(OK)) as server:
        async with plait.request("GET", server.url) as response:
            assert await response.read() == b"ok"
        with pytest.raises(plait.ClientConnectorError):
            async with plait.request("GET", "http://127.0.0.1:1/"):
                pass


async def test_sessions_need_async_with() -> None:
    async with plait.ClientSession() as session:
        with pytest.raises(TypeError, match="async with"), session:  # type: ignore[attr-defined,unused-ignore]  # the point
            pass


# -- both ways at once ---------------------------------------------------------------------------


async def test_an_early_answer_is_returned_while_the_body_is_sent(engine: EngineName) -> None:
    stopped = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 10000
        finally:
            stopped.set()

    async def script(connection: RawConnection) -> None:
        await connection.read_head()
        connection.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nno!")
        await connection.read_to_end()

    async def check(server: RawServer) -> None:
        async with plait.ClientSession(engine=engine) as session:
            async with session.post(server.url, data=endless()) as response:
                assert response.status == 413
                assert await response.read() == b"no!"
            await stopped.wait()
            assert counts(session) == (0, 0, 0)

    async with raw_server(script) as server:
        await check(server)
