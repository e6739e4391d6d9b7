"""Server-sent events of the client: of one response, and of a source that is asked again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

import plait
from benchmarks.processes import free_port
from plait import web
from plait_engine.content.event_stream import EventTooLargeError, ServerSentEvent
from tests.adapters.raw_server import RawConnection, raw_server
from tests.conftest import Authority
from tests.serving import serve
from tests.sessions import H1, H2C, Way

pytestmark = pytest.mark.anyio

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture(params=[H1, H2C], ids=str)
def way(request: pytest.FixtureRequest) -> Way:
    chosen: Way = request.param
    return chosen


@pytest.fixture
def site(way: Way, authority: Authority):
    """Return what serves a handler, with a session of one version beside it."""

    @asynccontextmanager
    async def open_site(
        handler: Handler, **options: object
    ) -> AsyncIterator[tuple[plait.ClientSession, str]]:
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", handler)
        async with (
            serve(app, shutdown_timeout=0.1) as served,
            way.open_session(authority, **options) as session,
        ):
            yield session, served.url
            connector = session.connector
            assert connector is not None
            assert connector.stats().streams == 0

    return open_site


def stream_of(text: str) -> web.Response:
    return web.Response(text=text, content_type="text/event-stream")


class Source:
    """Answers one request after the other, and notes what was asked."""

    def __init__(self, *answers: web.StreamResponse | str | None) -> None:
        self.answers = list(answers)
        self.asked: list[str | None] = []
        self.requests: list[web.Request] = []

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.asked.append(request.headers.get("Last-Event-ID"))
        answer = self.answers.pop(0)
        if answer is None:  # The connection breaks in the middle of an event.
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await response.prepare(request)
            await response.write(b"id: cut\ndata: whole\n\nid: lost\ndata: in h")
            await asyncio.sleep(0)
            assert request.transport is not None
            request.transport.abort()
            return response
        return stream_of(answer) if isinstance(answer, str) else answer


def gone() -> web.Response:
    return web.Response(status=204)


# -- a response -------------------------------------------------------------------------


async def test_the_events_of_a_response(site) -> None:
    source = Source("event: a\ndata: 1\nid: x\n\n: ping\n\ndata: 2\ndata: 3\n\ndata: never")
    async with site(source) as (session, url), session.get(url) as response:
        events = [event async for event in response.sse()]
    assert events == [ServerSentEvent("1", "a", "x"), ServerSentEvent("2\n3", id="x")]


async def test_events_come_as_they_are_sent(site) -> None:
    seen = asyncio.Event()

    async def serve_two(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        await response.write(b"data: first\n\n: ")
        await seen.wait()
        await response.write(b"ping\n\ndata: second\n\n")
        return response

    async with site(serve_two) as (session, url), session.post(url, json={}) as response:
        events = response.sse()
        assert (await anext(events)).data == "first"
        seen.set()
        assert (await anext(events)).data == "second"


async def test_a_response_that_has_no_events(site) -> None:
    async def plain(request: web.Request) -> web.Response:
        return web.Response(text="data: a\n\n")

    async with site(plain) as (session, url), session.get(url) as response:
        with pytest.raises(plait.ContentTypeError, match="no stream of events, but text/plain"):
            await anext(response.sse())


async def test_a_response_that_breaks_off(site) -> None:
    async with site(Source(None)) as (session, url), session.get(url) as response:
        events = response.sse()
        assert (await anext(events)).data == "whole"
        with pytest.raises(plait.ClientPayloadError):
            await anext(events)


# -- a source -----------------------------------------------------------------------------


async def test_a_source_is_asked_again_where_it_ended(site) -> None:
    source = Source("retry: 0\nid: 1\ndata: a\n\n", None, "data: b\n\n", "id\n\n", gone())
    async with site(source) as (session, url), session.sse(url, headers={"X-Own": "1"}) as events:
        assert events.response is not None
        assert [event.data async for event in events] == ["a", "whole", "b"]
        assert (events.last_event_id, events.response) == ("", None)
    assert source.asked == [None, "1", "cut", "cut", None]
    for request in source.requests:
        assert request.method == "GET"
        assert request.headers["Accept"] == "text/event-stream"
        assert request.headers["Cache-Control"] == "no-store"
        assert request.headers["X-Own"] == "1"


async def test_a_source_goes_on_from_an_id_that_is_known(site) -> None:
    source = Source(gone())
    async with site(source) as (session, url), session.sse(url, last_event_id="\u2603") as events:
        assert [event async for event in events] == []
    assert source.asked == ["\u2603"]


async def test_leaving_a_source_ends_its_response(site) -> None:
    ended = asyncio.Event()

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            while True:
                await response.write(b"data: tick\n\n")
                await asyncio.sleep(0.01)
        finally:
            ended.set()

    async with site(endless) as (session, url):
        async with session.sse(url) as events:
            async for event in events:
                assert event.data == "tick"
                break
        await asyncio.wait_for(ended.wait(), 10)
        assert [event async for event in events] == []


@pytest.mark.parametrize("turns", [0, 1, 5, 10, 20, 50])
async def test_a_source_that_is_closed_asks_no_more(site, turns: int) -> None:
    """Whether it waits, or a response is on its way: another task may close it."""
    source = Source("retry: 0\ndata: a\n\n", "retry: 3600000\ndata: b\n\n")
    async with site(source) as (session, url), session.sse(url) as events:
        assert (await anext(events)).data == "a"
        task = asyncio.ensure_future(anext(events))
        for _ in range(turns):
            await asyncio.sleep(0)
        events.close()
        with contextlib.suppress(StopAsyncIteration):
            assert (await asyncio.wait_for(task, 10)).data == "b"
        assert [event async for event in events] == []
        assert events.response is None


async def test_closing_a_source_ends_its_pause(site) -> None:
    source = Source("retry: 3600000\ndata: a\n\n")
    async with site(source) as (session, url), session.sse(url) as events:
        assert (await anext(events)).data == "a"
        task = asyncio.ensure_future(anext(events))
        while events.response is not None:  # noqa: ASYNC110  # nothing tells it
            await asyncio.sleep(0)
        events.close()
        with pytest.raises(StopAsyncIteration):
            await asyncio.wait_for(task, 10)
    assert len(source.requests) == 1


async def test_closing_the_session_ends_a_source_at_once(way: Way, authority: Authority) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"retry: 60000\ndata: one\n\n")
        await asyncio.Event().wait()
        return response

    app = web.Application()
    app.router.add_get("/", endless)
    async with asyncio.timeout(10), serve(app, shutdown_timeout=0.1) as served:
        session = way.open_session(authority)
        async with session.sse(served.url) as events:
            assert (await anext(events)).data == "one"
            reading = asyncio.ensure_future(anext(events))
            await asyncio.sleep(0)
            await session.close()
            with pytest.raises(plait.ClientConnectionError, match="closed"):
                await reading


async def test_a_source_without_async_with_is_an_error() -> None:
    async with plait.ClientSession() as session:
        with pytest.raises(RuntimeError, match="async with"):
            aiter(session.sse("http://localhost/"))


async def test_a_source_may_be_cancelled_at_any_point(site) -> None:
    """What was told is not told again, and what was not is not lost."""
    count = 20

    async def serve_from(request: web.Request) -> web.Response:
        last = int(request.headers.get("Last-Event-ID", 0))
        if last == count:
            return gone()
        return stream_of(f"retry: 1\nid: {last + 1}\ndata: {last + 1}\n\n")

    async with site(serve_from) as (session, url), session.sse(url) as events:
        got: list[str] = []
        turns = 0
        while len(got) < count:
            task = asyncio.ensure_future(anext(events))
            for _ in range(turns % 12):
                await asyncio.sleep(0)
            turns += 1
            if not task.done() and turns % 4:
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                got.append((await task).data)
        assert got == [str(number) for number in range(1, count + 1)]
        assert [event async for event in events] == []


@pytest.mark.parametrize("status", [200, 500])
async def test_a_source_that_is_none(site, status: int) -> None:
    async def plain(request: web.Request) -> web.Response:
        return web.Response(status=status, text="no")

    expected = plait.ContentTypeError if status == 200 else plait.ClientResponseError
    async with site(plain) as (session, url):
        with pytest.raises(expected) as caught:
            async with session.sse(url):
                pass
        assert caught.value.status == status


async def test_a_source_that_turns_into_an_error(site) -> None:
    source = Source("retry: 0\ndata: a\n\n", web.Response(status=404))
    async with site(source) as (session, url), session.sse(url) as events:
        assert (await anext(events)).data == "a"
        with pytest.raises(plait.ClientResponseError, match="404"):
            await anext(events)
        assert [event async for event in events] == []


async def test_an_event_that_is_too_large(site) -> None:
    source = Source("data: a\n\ndata: " + "b" * 200 + "\n\n")
    async with site(source) as (session, url), session.sse(url, max_event_size=100) as events:
        assert (await anext(events)).data == "a"
        with pytest.raises(EventTooLargeError):
            await anext(events)


async def test_a_source_follows_redirects_and_has_no_total_timeout(site) -> None:
    async def serve_slowly(request: web.Request) -> web.StreamResponse:
        if request.path == "/":
            raise web.HTTPTemporaryRedirect("/there")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await asyncio.sleep(0.2)
        await response.write(b"data: late\n\n")
        return response

    timeout = plait.ClientTimeout(total=0.1)
    async with (
        site(serve_slowly, timeout=timeout) as (session, url),
        session.sse(url) as events,
    ):
        assert (await anext(events)).data == "late"


async def test_silence_is_a_failure_when_it_has_a_limit(site) -> None:
    asked: list[str | None] = []

    async def falls_silent(request: web.Request) -> web.StreamResponse:
        asked.append(request.headers.get("Last-Event-ID"))
        if asked[-1] == "1":
            return gone()
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"retry: 0\nid: 1\ndata: a\n\n")
        await asyncio.sleep(60)
        return response

    async with site(falls_silent) as (session, url):
        timeout = plait.ClientTimeout(sock_read=0.5)
        async with session.sse(url, timeout=timeout) as events:
            assert [event.data async for event in events] == ["a"]
    assert asked[:2] == [None, "1"]


# -- failures of the network, on HTTP/1.1 ----------------------------------------------------


async def test_failures_are_waited_out_and_counted() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"

    async def script(connection: RawConnection) -> None:
        await connection.read_head()
        if connection.number in (1, 4):
            connection.send(head + b"retry: 1\ndata: %d\n\n" % connection.number)

    async with (
        raw_server(script) as server,
        plait.ClientSession() as session,
        session.sse(server.url, max_failures=3) as events,
    ):
        assert [(await anext(events)).data for _ in range(2)] == ["1", "4"]
        with pytest.raises(plait.ServerDisconnectedError):
            await anext(events)
    assert server.connections == 7


async def test_a_source_that_is_not_there() -> None:
    async with plait.ClientSession() as session:
        source = session.sse(f"http://127.0.0.1:{free_port()}/")
        with pytest.raises(plait.ClientConnectorError):
            await source.__aenter__()
