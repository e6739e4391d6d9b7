"""Client middlewares: their order, what they may change, and sending again."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

import plait
from plait import ClientHandlerType, ClientRequest, ClientResponse, web
from plait.client_middlewares import build_client_middlewares
from tests.conftest import Authority
from tests.serving import serve
from tests.sessions import H1, H2C, Way

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[H1, H2C], ids=str)
def way(request: pytest.FixtureRequest) -> Way:
    chosen: Way = request.param
    return chosen


class Server:
    """Answers with what it got; the first ``failures`` requests get 503."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.seen: list[tuple[str, str, bytes]] = []

    async def answer(self, request: web.Request) -> web.Response:
        content = await request.read()
        self.seen.append((request.method, request.headers.get("X-Put", ""), content))
        if self.failures:
            self.failures -= 1
            raise web.HTTPServiceUnavailable
        return web.Response(body=content, headers={"Set-Cookie": "seen=1"})

    async def moved(self, request: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect("/")


@asynccontextmanager
async def session_of(
    way: Way, authority: Authority, server: Server, *middlewares: Any, **options: Any
) -> AsyncIterator[tuple[plait.ClientSession, str]]:
    app = web.Application()
    app.router.add_route("*", "/", server.answer)
    app.router.add_route("*", "/moved", server.moved)
    async with (
        serve(app) as site,
        way.open_session(authority, middlewares=middlewares, **options) as session,
    ):
        yield session, site.url


def tell(name: str, log: list[str]) -> Any:
    async def middleware(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        log.append(f"{name} {request.url.path}")
        request.headers["X-Put"] = request.headers.get("X-Put", "") + name
        response = await handler(request)
        log.append(f"{name} {response.status}")
        return response

    return middleware


async def test_the_first_is_the_outermost(way: Way, authority: Authority) -> None:
    log: list[str] = []
    server = Server()
    a, b = tell("a", log), tell("b", log)
    async with session_of(way, authority, server, a, b) as (session, url):
        async with session.get(url):
            pass
        assert log == ["a /", "b /", "b 200", "a 200"]
        assert server.seen[-1][1] == "ab"
        log.clear()
        async with session.get(url, middlewares=[b]), session.get(url, middlewares=()):
            pass
        assert log == ["b /", "b 200"]
        assert [put for _, put, _ in server.seen[1:]] == ["b", ""]


async def test_each_hop_goes_through_them(way: Way, authority: Authority) -> None:
    log: list[str] = []
    async with session_of(way, authority, Server(), tell("a", log)) as (session, url):
        async with session.get(f"{url}/moved"):
            pass
        assert log == ["a /moved", "a 307", "a /", "a 200"]


async def pieces() -> AsyncIterator[bytes]:
    yield b"con"
    yield b"tent"


async def send_twice(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    response = await handler(request)
    if response.status == 503:
        response.release()
        response = await handler(request)
    return response


@pytest.mark.parametrize(
    "make", [lambda: b"content", lambda: {"a": "b"}, lambda: io.BytesIO(b"content")]
)
async def test_sending_again(way: Way, authority: Authority, make: Any) -> None:
    server = Server(failures=1)
    async with session_of(way, authority, server, send_twice) as (session, url):
        async with session.post(url, data=make()) as response:
            assert response.status == 200
        (first, second) = server.seen
        assert first == second
        assert first[2] in {b"content", b"a=b"}


async def test_what_cannot_be_sent_twice(way: Way, authority: Authority) -> None:
    server = Server(failures=1)
    async with session_of(way, authority, server, send_twice) as (session, url):
        with pytest.raises(plait.ClientPayloadError, match="cannot be sent twice"):
            await session.post(url, data=pieces())
        assert [content for _, _, content in server.seen] == [b"content"]
        connector = session.connector
        assert connector is not None
        assert connector._places.pool.acquired == 0


@pytest.mark.parametrize("given", [b"first", pieces, None], ids=["bytes", "pieces", "none"])
async def test_another_content(way: Way, authority: Authority, given: Any) -> None:
    closed: list[bytes] = []

    class Payload(plait.BytesPayload):
        async def close(self) -> None:
            closed.append(self.content_bytes())

    async def middleware(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        await request.update_body(Payload(b"second"))
        return await handler(request)

    server = Server()
    async with session_of(way, authority, server, middleware) as (session, url):
        data = given() if callable(given) else given
        async with session.post(url, data=data) as response:
            assert await response.read() == b"second"
    assert closed == [b"second"]


async def test_an_answer_without_the_server(way: Way, authority: Authority) -> None:
    """The response of another request, here."""

    async def middleware(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        if request.url.path == "/cached":
            return await request.session.get(request.url.with_path("/"), middlewares=())
        return await handler(request)

    server = Server()
    async with session_of(way, authority, server, middleware) as (session, url):
        async with session.post(f"{url}/cached", data=b"x") as response:
            assert (response.status, await response.read()) == (200, b"")
        assert [method for method, _, _ in server.seen] == ["GET"]


async def test_a_failure_and_another_attempt(authority: Authority) -> None:
    """A middleware may try again where the session's policy would not."""
    attempts = 0

    async def answer(request: web.Request) -> web.Response:
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            assert request.transport is not None
            request.transport.abort()
        return web.Response(text="at last")

    async def middleware(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        while True:
            try:
                return await handler(request)
            except plait.ServerDisconnectedError:
                await asyncio.sleep(0)

    app = web.Application()
    app.router.add_post("/", answer)
    async with (
        serve(app) as site,
        plait.ClientSession(middlewares=[middleware]) as session,
        session.post(site.url, data=b"x") as response,
    ):
        assert await response.text() == "at last"
    assert attempts == 3


async def test_what_a_middleware_raises(way: Way, authority: Authority) -> None:
    class Broken(Exception):
        pass

    async def after(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        await handler(request)
        raise Broken

    async with session_of(way, authority, Server(), after) as (session, url):
        with pytest.raises(Broken):
            await session.post(url, data=b"x")
        connector = session.connector
        assert connector is not None
        assert connector._places.pool.acquired == 0


async def test_cookies_of_the_response_that_is_returned(way: Way, authority: Authority) -> None:
    jar = plait.CookieJar(unsafe=True)
    log: list[str] = []
    async with session_of(way, authority, Server(), tell("a", log), cookie_jar=jar) as made:
        session, url = made
        async with session.get(url):
            pass
        assert [cookie.value for cookie in jar] == ["1"]


async def test_without_any_the_handler_stays_itself() -> None:
    async def handler(request: ClientRequest) -> ClientResponse:
        raise AssertionError("it is not called here")

    assert build_client_middlewares(handler, []) is handler
