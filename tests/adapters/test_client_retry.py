"""RetryMiddleware: what is sent again, and what the caller gets."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock

import plait
from plait import RetryMiddleware, web
from plait.log import client_logger
from plait.test_utils import unused_port
from plait_engine import ErrorCode, StreamReset
from plait_engine.policy.backoff import Attempts, Backoff, RetryBudget
from plait_engine.policy.retry import RetryPolicy
from tests.adapters.h2_server import H2Peer, h2
from tests.adapters.raw_server import raw_server
from tests.conftest import Authority
from tests.serving import serve
from tests.sessions import H1, H2C, Way

pytestmark = pytest.mark.anyio

SOON = {"pause": 0.001, "jitter": 0.0}


@pytest.fixture(params=[H1, H2C], ids=str)
def way(request: pytest.FixtureRequest) -> Way:
    chosen: Way = request.param
    return chosen


class Server:
    """Gives each request the next of ``outcomes``, and 200 when there is none left.

    A number is a status, ``None`` the end of the connection.
    """

    def __init__(self, *outcomes: int | None) -> None:
        self.outcomes = list(outcomes)
        self.seen: list[tuple[str, bytes]] = []

    async def answer(self, request: web.Request) -> web.Response:
        content = await request.read()
        self.seen.append((request.method, content))
        outcome = self.outcomes.pop(0) if self.outcomes else 200
        if outcome is None:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        return web.Response(status=outcome, text=f"{outcome} after {len(self.seen)}")

    async def moved(self, request: web.Request) -> web.Response:
        await self.answer(request)
        raise web.HTTPTemporaryRedirect("/")


@asynccontextmanager
async def session_of(
    way: Way, authority: Authority, server: Server, **options: Any
) -> AsyncIterator[tuple[plait.ClientSession, str]]:
    app = web.Application()
    app.router.add_route("*", "/", server.answer)
    app.router.add_route("*", "/moved", server.moved)
    async with serve(app) as site, way.open_session(authority, **options) as session:
        yield session, site.url
        connector = session.connector
        assert connector is not None
        assert connector.stats().in_use == connector.stats().streams == 0


async def test_a_response_that_says_not_now(way: Way, authority: Authority) -> None:
    server = Server(503, 429)
    retry = RetryMiddleware(**SOON)
    async with session_of(way, authority, server, middlewares=[retry]) as (session, url):
        async with session.get(url) as response:
            assert (response.status, await response.text()) == (200, "200 after 3")
        assert len(server.seen) == 3


async def test_the_last_response_is_the_callers(way: Way, authority: Authority) -> None:
    server = Server(503, 502, 504, 503)
    retry = RetryMiddleware(**SOON)
    async with session_of(way, authority, server, middlewares=[retry]) as (session, url):
        async with session.get(url) as response:
            assert (response.status, await response.text()) == (504, "504 after 3")
        async with session.get(url, raise_for_status=True) as response:
            assert await response.text() == "200 after 5"


async def test_the_last_error_is_the_callers(way: Way, authority: Authority) -> None:
    server = Server(None, None, None, None)
    async with session_of(way, authority, server) as (session, url):
        with pytest.raises(plait.ClientConnectionError) as caught:
            await session.get(url, middlewares=[RetryMiddleware(2, **SOON)])
        assert caught.value.__notes__ == ["GET is not sent again: it was sent 2 times"]
        assert len(server.seen) == 2
        async with session.get(url, middlewares=[RetryMiddleware(**SOON)]) as response:
            assert await response.text() == "200 after 5"


@pytest.mark.parametrize("outcome", [503, None])
async def test_what_may_have_had_an_effect_is_sent_once(
    way: Way, authority: Authority, outcome: int | None
) -> None:
    server = Server(outcome)
    async with session_of(way, authority, server, middlewares=[RetryMiddleware(**SOON)]) as (
        session,
        url,
    ):
        if outcome is None:
            with pytest.raises(plait.ClientConnectionError) as caught:
                await session.post(url, data=b"x")
            assert caught.value.__notes__ == ["POST is not sent again: POST may have had an effect"]
        else:
            async with session.post(url, data=b"x") as response:
                assert response.status == outcome
        assert server.seen == [("POST", b"x")]


async def test_any_method_may_be_named(way: Way, authority: Authority) -> None:
    server = Server(503, None, 418)
    retry = RetryMiddleware(methods=["post"], statuses={503}, **SOON)
    async with session_of(way, authority, server, middlewares=[retry]) as (session, url):
        async with session.post(url, data=b"x") as response:
            assert response.status == 418
        assert server.seen == [("POST", b"x")] * 3
        server.outcomes = [503]
        async with session.get(url) as response:
            assert response.status == 503


async def pieces() -> AsyncIterator[bytes]:
    yield b"con"
    yield b"tent"


@pytest.mark.parametrize("make", [lambda: b"content", lambda: io.BytesIO(b"content")])
async def test_content_that_can_be_sent_again(
    way: Way, authority: Authority, make: Callable[[], Any]
) -> None:
    server = Server(503)
    retry = RetryMiddleware(**SOON)
    async with session_of(way, authority, server, middlewares=[retry]) as (session, url):
        async with session.put(url, data=make()) as response:
            assert response.status == 200
        assert server.seen == [("PUT", b"content")] * 2


@pytest.mark.parametrize(("outcome", "words"), [(503, "status 503"), (None, "Server")])
async def test_content_that_is_used_up(
    way: Way, authority: Authority, outcome: int | None, words: str
) -> None:
    server = Server(outcome)
    retry = RetryMiddleware(**SOON)
    async with session_of(way, authority, server, middlewares=[retry]) as (session, url):
        with pytest.raises(plait.ClientPayloadError, match="its content is used up") as caught:
            await session.put(url, data=pieces())
        assert f"PUT {url}" in str(caught.value)
        assert words in str(caught.value)
        assert (caught.value.__cause__ is None) is (outcome is not None)
        assert server.seen == [("PUT", b"content")]


class Connecting(plait.TraceConfig):
    """Counts how often a connection is tried."""

    def __init__(self) -> None:
        super().__init__()
        self.tried = 0
        self.on_connection_create_start.append(self._count)

    async def _count(self, *_: object) -> None:
        self.tried += 1


async def test_what_was_never_sent_is_sent_again_whatever_it_is(
    way: Way, authority: Authority
) -> None:
    trace = Connecting()
    async with way.open_session(
        authority, middlewares=[RetryMiddleware(**SOON)], trace_configs=[trace]
    ) as session:
        with pytest.raises(plait.ClientConnectorError):
            await session.post(f"http://127.0.0.1:{unused_port()}/", data=pieces())
    assert trace.tried == 3


async def test_what_the_server_did_not_process_is_sent_again(authority: Authority) -> None:
    """RFC 9113 section 8.7, here when the session's own retries are over."""

    async def script(peer: H2Peer) -> None:
        for _ in range(2):
            request = await peer.next_request()
            peer.send(StreamReset(request.stream_id, ErrorCode.REFUSED_STREAM))
        request = await peer.next_request()
        peer.answer(request.stream_id)
        await peer.next_event()

    retry_policy = RetryPolicy(stale=0, unprocessed=0)
    async with (
        raw_server(h2(script)) as server,
        H2C.open_session(
            authority, middlewares=[RetryMiddleware(**SOON)], retry_policy=retry_policy
        ) as session,
        session.post(server.url, data=b"x") as response,
    ):
        assert await response.text() == "ok"


async def test_a_certificate_is_the_same_next_time(authority: Authority) -> None:
    trace = Connecting()
    async with (
        serve(web.Application(), authority.server_context()) as site,
        plait.ClientSession(
            middlewares=[RetryMiddleware(**SOON)], trace_configs=[trace]
        ) as session,
    ):
        with pytest.raises(plait.ClientConnectorCertificateError):
            await session.get(site.url)
    assert trace.tried == 1


async def test_a_session_that_is_closed_tries_nothing_more(way: Way, authority: Authority) -> None:
    asked = asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        asked.set()
        await asyncio.Event().wait()
        return web.Response()

    app = web.Application()
    app.router.add_get("/", answer)
    async with asyncio.timeout(10), serve(app, shutdown_timeout=0.1) as site:
        session = way.open_session(authority, middlewares=[RetryMiddleware(pause=60)])
        task = asyncio.ensure_future(session.get(site.url))
        await asked.wait()
        await session.close()
        with pytest.raises(plait.ClientConnectionError, match="closed"):
            await task


async def test_each_redirect_has_its_own_attempts(way: Way, authority: Authority) -> None:
    server = Server(200, 503, 503)
    retry = RetryMiddleware(**SOON)
    async with session_of(way, authority, server, middlewares=[retry]) as (session, url):
        async with session.get(f"{url}/moved") as response:
            assert (response.status, len(response.history)) == (200, 1)
        assert len(server.seen) == 4


async def test_what_stands_inside_sees_each_attempt(way: Way, authority: Authority) -> None:
    server = Server(503)
    log: list[str] = []

    def tell(name: str) -> Any:
        async def middleware(request: Any, handler: Any) -> Any:
            response = await handler(request)
            log.append(f"{name} {response.status}")
            return response

        return middleware

    middlewares = [tell("outer"), RetryMiddleware(**SOON), tell("inner")]
    async with session_of(way, authority, server, middlewares=middlewares) as (session, url):
        await session.get(url)
    assert log == ["inner 503", "inner 200", "outer 200"]


async def test_a_session_has_one_budget(way: Way, authority: Authority) -> None:
    server = Server(*[503] * 100)
    retry = RetryMiddleware(
        budget=lambda: RetryBudget(capacity=2.0, per_request=0.0, per_second=0.0), **SOON
    )
    async with session_of(way, authority, server, middlewares=[retry]) as (session, url):
        for _ in range(10):
            async with session.get(url) as response:
                assert response.status == 503
        assert len(server.seen) == 12
        async with way.open_session(authority, middlewares=[retry]) as other:
            async with other.get(url):
                pass
            assert len(server.seen) == 15, "another session has its own"


async def test_what_is_sent_again_is_told(
    way: Way, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, client_logger.name)
    retry = RetryMiddleware(**SOON)
    async with session_of(way, authority, Server(503), middlewares=[retry]) as (session, url):
        async with session.get(f"{url}/"):
            pass
        assert [record.getMessage() for record in caplog.records if "attempt" in record.msg] == [
            f"GET {url}/: status 503; attempt 2 of 3 in 0.001 s"
        ]


async def test_numbers_that_make_no_sense() -> None:
    with pytest.raises(ValueError, match="attempts must be 1 or more"):
        RetryMiddleware(0)


async def test_a_websocket_is_asked_for_again(way: Way, authority: Authority) -> None:
    asked = 0

    async def chat(request: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        if asked < 3:
            raise web.HTTPServiceUnavailable
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        await ws.send_str(await ws.receive_str())
        return ws

    app = web.Application()
    app.router.add_get("/", chat)
    async with (
        serve(app) as site,
        way.open_session(authority, middlewares=[RetryMiddleware(**SOON)]) as session,
        session.ws_connect(site.url) as ws,
    ):
        await ws.send_str("hello")
        assert await ws.receive_str() == "hello"
    assert asked == 3


def test_the_policy_on_another_loop() -> None:
    """What trio has to do is to wait: ``Attempts`` decides."""
    waited: list[float] = []
    answers = [503, 429, 200]

    async def call(attempts: Attempts) -> int:
        while True:
            status = answers.pop(0)
            pause = attempts.after_response(
                status, None, now=trio.current_time(), wall=0.0, chance=0.0
            )
            if pause is None:
                return status
            waited.append(pause)
            await trio.sleep(pause)

    async def main() -> int:
        return await call(Attempts(Backoff(), RetryBudget(), "GET", trio.current_time()))

    assert trio.run(main, clock=MockClock(autojump_threshold=0)) == 200
    assert waited == [0.5, 1.0]
