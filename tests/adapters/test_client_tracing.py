"""Tracing: which signals a request sends, in which order, with what."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import fields
from types import SimpleNamespace
from typing import Any

import pytest
from yarl import URL

import plait
from plait import web
from tests.conftest import Authority
from tests.serving import serve
from tests.sessions import H1, H2C, Way

pytestmark = pytest.mark.anyio

SIGNALS = [name for name in vars(plait.TraceConfig) if name.startswith("on_")]

OPENED = ["connection_create_start", "connection_create_end"]
SENT = ["request_headers_sent"]


@pytest.fixture(params=[H1, H2C], ids=str)
def way(request: pytest.FixtureRequest) -> Way:
    chosen: Way = request.param
    return chosen


class Recorder:
    """A config with receivers for all signals, and what they were called with."""

    def __init__(self) -> None:
        self.config = plait.TraceConfig()
        self.heard: list[tuple[str, SimpleNamespace, Any]] = []
        for name in SIGNALS:
            getattr(self.config, name).append(self._receiver(name.removeprefix("on_")))

    def _receiver(self, name: str) -> Any:
        async def receive(session: plait.ClientSession, ctx: SimpleNamespace, params: Any) -> None:
            assert isinstance(session, plait.ClientSession)
            await asyncio.sleep(0)  # A receiver may wait for something.
            self.heard.append((name, ctx, params))

        return receive

    @property
    def names(self) -> list[str]:
        return [name for name, _, _ in self.heard]

    def take(self) -> list[str]:
        """Return the names so far, and forget them."""
        names = self.names
        self.heard.clear()
        return names

    def params(self, name: str) -> Any:
        """Return the params of the only signal ``name``."""
        (params,) = [params for heard, _, params in self.heard if heard == name]
        return params


async def answer(request: web.Request) -> web.Response:
    return web.Response(
        body=await request.read(), headers={"X-Seen": request.headers.get("X-Put", "")}
    )


async def moved(request: web.Request) -> web.Response:
    raise web.HTTPSeeOther("/?moved")


async def echo(request: web.Request) -> web.StreamResponse:
    made = web.WebSocketResponse()
    await made.prepare(request)
    async for message in made:
        await made.send_str(message.data)
    return made


@asynccontextmanager
async def session_of(
    way: Way, authority: Authority, recorder: Recorder, **options: Any
) -> AsyncIterator[tuple[plait.ClientSession, str]]:
    app = web.Application()
    app.router.add_route("*", "/", answer)
    app.router.add_route("*", "/moved", moved)
    app.router.add_get("/socket", echo)
    async with (
        serve(app) as site,
        way.open_session(authority, trace_configs=[recorder.config], **options) as session,
    ):
        yield session, site.url


async def test_a_request(way: Way, authority: Authority) -> None:
    recorder = Recorder()
    async with session_of(way, authority, recorder) as (session, url):
        async with session.get(url, params={"a": "b"}, headers={"X-Put": "1"}) as response:
            assert recorder.names == ["request_start", *OPENED, *SENT, "request_end"]
            start = recorder.params("request_start")
            assert (start.method, start.url) == ("GET", URL(f"{url}/?a=b"))
            assert start.headers["x-put"] == "1"
            end = recorder.params("request_end")
            assert (end.method, end.url, end.response) == ("GET", start.url, response)
            assert end.headers is start.headers
            sent = recorder.params("request_headers_sent")
            assert (sent.method, sent.url, sent.headers["X-Put"]) == ("GET", start.url, "1")
            assert "User-Agent" in sent.headers
            recorder.take()
            assert await response.read() == b""
            assert await response.read() == b""
        assert recorder.take() == ["response_chunk_received"]
        async with session.get(url) as response:
            pass
        expected = ["request_start", "connection_reuseconn", *SENT, "request_end"]
        assert recorder.take() == expected


async def pieces() -> AsyncIterator[bytes]:
    yield b"one"
    yield b"two"


@pytest.mark.parametrize(
    ("data", "chunks"),
    [
        (b"content", [b"content"]),
        ({"a": "b"}, [b"a=b"]),
        (bytes(200_000), [bytes(200_000)]),
        (pieces, [b"one", b"two"]),
    ],
    ids=["bytes", "form", "long", "pieces"],
)
@pytest.mark.parametrize("compress", [None, "gzip"])
async def test_content(
    way: Way, authority: Authority, data: Any, chunks: list[bytes], compress: str | None
) -> None:
    recorder = Recorder()
    async with session_of(way, authority, recorder) as (session, url):
        given = data() if callable(data) else data
        async with session.post(url, data=given, compress=compress) as response:
            assert await response.read() == b"".join(chunks)
        sent = [params for name, _, params in recorder.heard if name == "request_chunk_sent"]
        assert [params.chunk for params in sent] == chunks
        assert {(params.method, params.url) for params in sent} == {("POST", URL(f"{url}/"))}
        received = recorder.params("response_chunk_received")
        assert received.chunk == b"".join(chunks)
        assert recorder.names.index("request_headers_sent") < recorder.names.index(
            "request_chunk_sent"
        )


async def test_a_redirect(way: Way, authority: Authority) -> None:
    recorder = Recorder()
    async with session_of(way, authority, recorder) as (session, url):
        async with session.post(f"{url}/moved", data=b"x") as response:
            assert response.status == 200
        expected = [
            *("request_start", *OPENED, *SENT, "request_chunk_sent", "request_redirect"),
            *("connection_reuseconn", *SENT, "request_end"),
        ]
        assert recorder.names == expected
        redirect = recorder.params("request_redirect")
        assert (redirect.method, redirect.url) == ("POST", URL(f"{url}/moved"))
        assert redirect.response.status == 303
        end = recorder.params("request_end")
        assert (end.method, end.url) == ("GET", URL(f"{url}/?moved"))


async def test_a_websocket(way: Way, authority: Authority) -> None:
    recorder = Recorder()
    async with session_of(way, authority, recorder) as (session, url):
        async with session.ws_connect(f"{url}/socket") as websocket:
            await websocket.send_str("a")
            assert await websocket.receive_str() == "a"
        assert recorder.take() == ["request_start", *OPENED, *SENT, "request_end"]


# -- failures -------------------------------------------------------------------------------


async def test_what_fails(way: Way, authority: Authority, unused_port: int) -> None:
    recorder = Recorder()
    async with session_of(way, authority, recorder) as (session, _):
        with pytest.raises(plait.ClientConnectorError) as raised:
            await session.get(f"http://127.0.0.1:{unused_port}/")
        expected = ["request_start", "connection_create_start", "request_exception"]
        assert recorder.names == expected
        assert recorder.params("request_exception").exception is raised.value


async def test_a_status_that_is_an_error(way: Way, authority: Authority) -> None:
    recorder = Recorder()
    async with session_of(way, authority, recorder, raise_for_status=True) as (session, url):
        with pytest.raises(plait.ClientResponseError):
            await session.get(f"{url}/nothing")
        assert recorder.take() == ["request_start", *OPENED, *SENT, "request_exception"]
        connector = session.connector
        assert connector is not None
        assert connector._places.pool.acquired == 0


async def test_a_cancelled_request(way: Way, authority: Authority) -> None:
    recorder = Recorder()
    opening = asyncio.Event()

    async def wait(*_: Any) -> None:
        opening.set()
        await asyncio.get_running_loop().create_future()

    recorder.config.on_request_headers_sent.append(wait)
    async with session_of(way, authority, recorder) as (session, url):
        task = asyncio.ensure_future(session.get(url))
        await opening.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        error = recorder.params("request_exception").exception
        assert isinstance(error, asyncio.CancelledError)
        connector = session.connector
        assert connector is not None
        assert connector._places.pool.acquired == 0


@pytest.mark.parametrize("signal", SIGNALS)
async def test_what_a_receiver_raises(authority: Authority, way: Way, signal: str) -> None:
    """The request raises it, and leaves nothing behind."""
    if way is H2C and "queued" in signal:
        pytest.skip("requests share the one connection that the limit allows")
    recorder = Recorder()

    class Broken(Exception):
        pass

    async def raise_broken(*_: Any) -> None:
        raise Broken

    getattr(recorder.config, signal).append(raise_broken)
    async with session_of(way, authority, recorder) as (session, url):
        by_name = url.replace("127.0.0.1", "localhost")
        connector = session.connector
        assert isinstance(connector, plait.TCPConnector)
        pool = connector._places.pool
        pool.limit = 1

        async def read(method: str, url: str, **options: Any) -> None:
            async with session.request(method, url, **options) as response:
                await response.read()

        async def do_everything() -> None:
            await read("POST", f"{by_name}/moved", data=b"x")
            await read("GET", by_name, server_hostname="other")
            async with asyncio.TaskGroup() as group:
                group.create_task(read("GET", url))
                group.create_task(read("GET", url))
            await read("GET", "http://127.0.0.1:1/")

        with pytest.raises((Broken, ExceptionGroup)) as raised:
            await do_everything()
        error = raised.value
        assert isinstance(error, Broken) or error.subgroup(Broken)
        assert (pool.acquired, pool.waiting) == (0, 0)


# -- the way to a connection ------------------------------------------------------------------


async def test_names(way: Way, authority: Authority) -> None:
    recorder = Recorder()
    async with session_of(way, authority, recorder) as (session, url):
        by_name = url.replace("127.0.0.1", "localhost")
        async with session.get(by_name) as response:
            await response.read()
        looked_up = ["dns_cache_miss", "dns_resolvehost_start", "dns_resolvehost_end"]
        opened = [OPENED[0], *looked_up, OPENED[1]]
        assert recorder.names[1:-2] == [*opened, *SENT]
        assert recorder.params("dns_cache_miss").host == "localhost"
        assert recorder.params("dns_resolvehost_end").host == "localhost"
        recorder.take()
        async with session.get(by_name, server_hostname="other") as response:
            await response.read()
        assert recorder.names[1:-2] == [OPENED[0], "dns_cache_hit", OPENED[1], *SENT]


async def test_without_a_cache(authority: Authority) -> None:
    recorder = Recorder()
    connector = plait.TCPConnector(use_dns_cache=False)
    app = web.Application()
    app.router.add_get("/", answer)
    async with (
        serve(app) as site,
        plait.ClientSession(connector=connector, trace_configs=[recorder.config]) as session,
    ):
        await session.get(site.url.replace("127.0.0.1", "localhost"))
    looked_up = ["dns_resolvehost_start", "dns_resolvehost_end"]
    assert recorder.names == [
        "request_start",
        OPENED[0],
        *looked_up,
        OPENED[1],
        *SENT,
        "request_end",
    ]


async def test_a_queue() -> None:
    """The second request waits until the first one gives its connection back."""
    recorder = Recorder()
    came, go, queued = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        came.set()
        await go.wait()
        return web.Response()

    async def note(*_: Any) -> None:
        queued.set()

    recorder.config.on_connection_queued_start.append(note)
    app = web.Application()
    app.router.add_get("/", slow)
    async with (
        serve(app) as site,
        plait.ClientSession(
            connector=plait.TCPConnector(limit=1, http2=False), trace_configs=[recorder.config]
        ) as session,
    ):
        first = asyncio.ensure_future(session.get(site.url, trace_request_ctx="first"))
        await came.wait()
        second = asyncio.ensure_future(session.get(site.url, trace_request_ctx="second"))
        await queued.wait()
        go.set()
        (await first).release()
        (await second).release()
    second_heard = [name for name, ctx, _ in recorder.heard if ctx.trace_request_ctx == "second"]
    assert second_heard == [
        *("request_start", "connection_queued_start", "connection_queued_end"),
        *("connection_reuseconn", *SENT, "request_end"),
    ]


# -- configs ----------------------------------------------------------------------------------


async def test_a_start_that_fails_ends_those_before_it() -> None:
    first, third = Recorder(), Recorder()
    second = plait.TraceConfig()
    failure = RuntimeError("no start")

    async def fail(*args: object) -> None:
        raise failure

    async def hear_of_it(*args: object) -> None:
        pytest.fail("it has not begun")

    second.on_request_start.append(fail)
    second.on_request_exception.append(hear_of_it)
    configs = [first.config, second, third.config]
    async with plait.ClientSession(trace_configs=configs) as session:
        with pytest.raises(RuntimeError, match="no start"):
            await session.get("http://a.test/")
    assert first.names == ["request_start", "request_exception"]
    assert first.params("request_exception").exception is failure
    assert not third.names


async def test_a_field_that_cannot_be_sent_is_told_to_who_put_it_in() -> None:
    recorder = Recorder()

    async def put(session: plait.ClientSession, ctx: object, params: Any) -> None:
        params.headers["X-Put"] = 1

    recorder.config.on_request_start.append(put)
    async with plait.ClientSession(trace_configs=[recorder.config]) as session:
        with pytest.raises(TypeError, match="X-Put"):
            await session.get("http://a.test/")
    assert recorder.names == ["request_start", "request_exception"]


async def test_arguments_that_are_refused_begin_nothing() -> None:
    recorder = Recorder()
    async with plait.ClientSession(trace_configs=[recorder.config]) as session:
        for wrong in ({"proxy": "gopher://a.test"}, {"headers": {"X-Put": 1}}, {"timeout": "5"}):
            with pytest.raises((ValueError, TypeError)):
                await session.get("http://a.test/", **wrong)  # type: ignore[arg-type]
    assert not recorder.names


async def test_each_request_has_a_context(way: Way, authority: Authority) -> None:
    recorder = Recorder()
    async with session_of(way, authority, recorder) as (session, url):
        await session.get(url, trace_request_ctx={"number": 1})
        await session.get(url)
        contexts = [ctx for name, ctx, _ in recorder.heard if name == "request_start"]
        assert [ctx.trace_request_ctx for ctx in contexts] == [{"number": 1}, None]
        assert {id(ctx) for _, ctx, _ in recorder.heard} == set(map(id, contexts))


async def test_a_factory_makes_the_context() -> None:
    def make(trace_request_ctx: Any) -> SimpleNamespace:
        return SimpleNamespace(got=trace_request_ctx)

    config = plait.TraceConfig(make)
    assert config.trace_config_ctx("a") == SimpleNamespace(got="a")
    assert plait.TraceConfig().trace_config_ctx() == SimpleNamespace(trace_request_ctx=None)


async def test_fields_put_in_at_the_start_are_sent(way: Way, authority: Authority) -> None:
    recorder = Recorder()

    @recorder.config.on_request_start
    async def put(session: Any, ctx: Any, params: plait.TraceRequestStartParams) -> None:
        params.headers["X-Put"] = "by a receiver"

    async with session_of(way, authority, recorder, headers={"X-Own": "1"}) as (session, url):
        async with session.get(url) as response:
            assert response.headers["X-Seen"] == "by a receiver"
        assert "X-Put" not in session.headers


async def test_configs_are_told_one_after_the_other(authority: Authority) -> None:
    first, second = Recorder(), Recorder()
    async with session_of(H1, authority, first) as (_, url):
        configs = [first.config, second.config]
        async with plait.ClientSession(trace_configs=configs) as session:
            assert session.trace_configs == configs
            await session.get(url)
    assert first.names == second.names
    assert first.heard[0][1] is not second.heard[0][1]


async def test_a_session_freezes_its_configs() -> None:
    config = plait.TraceConfig()
    async with plait.ClientSession(trace_configs=[config]):
        for name in SIGNALS:
            signal = getattr(config, name)
            assert signal.frozen
            with pytest.raises(RuntimeError):
                signal.append(None)


def test_params_cannot_be_changed() -> None:
    params = plait.TraceDnsCacheHitParams("a")
    assert [field.name for field in fields(params)] == ["host"]
    with pytest.raises(AttributeError, match=re.escape("host")):
        params.host = "b"  # type: ignore[misc]  # that is what is tested


@pytest.fixture
def unused_port() -> Iterator[int]:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]  # Bound, and nobody listens.
