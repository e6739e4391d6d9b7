"""``ClientSession(app=app)``: requests to an application of the same loop, without sockets."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import pytest

import plait
from plait import web
from plait_engine.engines import EngineName

pytestmark = pytest.mark.anyio

Open = Callable[..., plait.ClientSession]


@pytest.fixture(params=["native", "reference"])
def engine(request: pytest.FixtureRequest) -> EngineName:
    name: EngineName = request.param
    return name


@pytest.fixture(params=[False, True], ids=["h1", "h2"])
def http2(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def open_session(http2: bool, engine: EngineName) -> Open:
    """Return ``ClientSession`` for one version on one engine."""
    return partial(plait.ClientSession, http2=http2, engine=engine)


class Site:
    """An application that notes what happens to it."""

    def __init__(self) -> None:
        self.happened: list[str] = []
        self.startup = asyncio.Event()
        self.startup.set()
        self.fails = False
        self.begins, self.waits = asyncio.Event(), asyncio.Event()
        self.app = web.Application()
        self.app.add_routes(
            [
                web.get("/", self.hello),
                web.post("/echo", self.echo),
                web.get("/login", self.login),
                web.get("/wait", self.wait),
                web.get("/socket", self.socket),
            ]
        )
        self.app.cleanup_ctx.append(self.context)
        self.app.on_startup.append(self.start)
        self.app.on_shutdown.append(self.note("shutdown"))
        self.app.on_cleanup.append(self.note("cleanup"))

    def note(self, what: str) -> Any:
        async def noted(app: web.Application) -> None:
            self.happened.append(what)

        return noted

    async def context(self, app: web.Application) -> AsyncIterator[None]:
        self.happened.append("context begins")
        self.begins.set()
        yield
        self.happened.append("context ends")

    async def start(self, app: web.Application) -> None:
        await self.startup.wait()
        if self.fails:
            raise KeyError("a bug at startup")
        self.happened.append("startup")

    async def hello(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        assert request.transport.get_extra_info("socket") is None
        version = f"{request.version.major}.{request.version.minor}"
        cookies = ",".join(request.cookies)
        return web.Response(text=f"{version} {request.host} {request.query_string} {cookies}")

    async def echo(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        async for piece in request.content.iter_any():
            await response.write(piece)
        return response

    async def login(self, request: web.Request) -> web.Response:
        response = web.HTTPFound("/?in")
        response.set_cookie("user", "me")
        raise response

    async def wait(self, request: web.Request) -> web.Response:
        self.happened.append("waits")
        self.waits.set()
        try:
            await asyncio.sleep(60)
        finally:
            self.happened.append("waits no more")
        raise AssertionError

    async def socket(self, request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        async for message in ws:
            await ws.send_str(message.data.upper())
        return ws


ALIVE = ["context begins", "startup"]
ENDED = ["shutdown", "context ends", "cleanup"]


@pytest.fixture
async def site() -> Site:
    return Site()


async def test_requests(site: Site, open_session: Open, http2: bool) -> None:
    version = "2.0" if http2 else "1.1"
    async with open_session(app=site.app) as session:
        assert site.happened == []
        async with session.get("/?a=b") as response:
            assert await response.text() == f"{version} localhost a=b "
        assert site.happened == ALIVE
        async with session.get("/login") as response:
            assert await response.text() == f"{version} localhost in user"
            assert response.url == plait.client.URL("http://localhost/?in")
        async with session.get("http://other.example:81/") as response:
            assert await response.text() == f"{version} other.example:81  "
    assert site.happened == [*ALIVE, *ENDED]


async def test_bodies_stream_both_ways(site: Site, open_session: Open) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield b"x" * 100_000

    async with (
        open_session(app=site.app) as session,
        session.post("/echo", data=pieces()) as response,
    ):
        assert len(await response.read()) == 3_000_000


async def test_a_websocket(site: Site, open_session: Open) -> None:
    async with open_session(app=site.app) as session, session.ws_connect("/socket") as ws:
        for text in ("a", "b" * 100_000):
            await ws.send_str(text)
            assert await ws.receive_str() == text.upper()


async def test_many_at_once_start_the_application_once(
    site: Site, open_session: Open, http2: bool
) -> None:
    async with open_session(app=site.app) as session:
        responses = await asyncio.gather(*[session.get("/") for _ in range(20)])
        assert [response.status for response in responses] == [200] * 20
        connector = session.connector
        assert connector is not None
        assert connector.stats().open == (1 if http2 else 20)
    assert site.happened == [*ALIVE, *ENDED]


async def test_an_application_that_is_not_used_is_not_started(
    site: Site, open_session: Open
) -> None:
    async with open_session(app=site.app):
        pass
    assert site.happened == []


async def test_what_starting_raises_every_request_raises(site: Site, open_session: Open) -> None:
    site.fails = True
    async with open_session(app=site.app) as session:
        for _ in range(2):
            with pytest.raises(KeyError, match="a bug at startup"):
                await session.get("/")
    assert site.happened == ["context begins", "context ends"]


async def test_who_waits_for_the_start_may_give_up(site: Site, open_session: Open) -> None:
    site.startup.clear()
    async with open_session(app=site.app) as session:
        with pytest.raises(TimeoutError):
            await session.get("/", timeout=plait.ClientTimeout(total=0.01))
        site.startup.set()
        async with session.get("/") as response:
            assert response.status == 200
    assert site.happened == [*ALIVE, *ENDED]


async def test_closing_ends_a_start_that_is_under_way(site: Site, open_session: Open) -> None:
    site.startup.clear()
    session = open_session(app=site.app)
    request = asyncio.ensure_future(session.get("/"))
    await site.begins.wait()
    await session.close()
    with pytest.raises(plait.ClientConnectionError):
        await request
    assert site.happened == ["context begins", "context ends"]


async def test_closing_that_is_cancelled_is_cancelled(site: Site, open_session: Open) -> None:
    stops = asyncio.Event()

    async def start(app: web.Application) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stops.set()
            await asyncio.sleep(0.01)

    site.app.on_startup.append(start)
    session = open_session(app=site.app)
    request = asyncio.ensure_future(session.get("/"))
    await site.begins.wait()
    closing = asyncio.ensure_future(session.close())
    await stops.wait()
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    with pytest.raises(plait.ClientConnectionError):
        await request
    assert site.happened[-1] in ("context ends", "cleanup")


async def test_closing_ends_the_handlers(site: Site, open_session: Open) -> None:
    session = open_session(app=site.app)
    request = asyncio.ensure_future(session.get("/wait"))
    await site.waits.wait()
    async with asyncio.timeout(5):
        await session.close()
    with pytest.raises(plait.ClientConnectionError):
        await request
    assert site.happened.index("waits no more") < site.happened.index("context ends")
    site.happened.remove("waits no more")
    assert site.happened == [*ALIVE, "waits", *ENDED]


async def test_closing_ends_responses_that_nobody_reads(site: Site, open_session: Open) -> None:
    """The server has filled all windows and buffers, and a WebSocket is open beside it."""

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 100_000)

    site.app.router.add_get("/endless", endless)
    session = open_session(app=site.app)
    ws = await session.ws_connect("/socket")
    response = await session.get("/endless")
    await response.content.read(1000)
    async with asyncio.timeout(5):
        await session.close()
    with pytest.raises(ConnectionError):
        await ws.send_str("late")
    assert site.happened == [*ALIVE, *ENDED]


async def test_a_session_of_its_own_base(site: Site) -> None:
    async with (
        plait.ClientSession("http://a.example/", app=site.app) as session,
        session.get("?x") as response,
    ):
        assert await response.text() == "1.1 a.example x "


async def test_there_is_no_tls(site: Site) -> None:
    async with plait.ClientSession(app=site.app) as session:
        with pytest.raises(plait.ClientConnectorError, match="there is no TLS in memory"):
            await session.get("https://localhost/")


async def test_arguments_that_are_wrong(site: Site) -> None:
    with pytest.raises(ValueError, match="app and connector contradict each other"):
        plait.ClientSession(app=site.app, connector=plait.TCPConnector())
    with pytest.raises(TypeError, match=r"web\.Application"):
        plait.ClientSession(app="app")  # type: ignore[arg-type]


def test_the_server_is_loaded_for_those_who_need_it() -> None:
    code = "import sys, plait; assert 'plait.web_app' not in sys.modules"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=60)
