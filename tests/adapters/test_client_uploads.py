"""``upload_tracker=``: what a program is told about the content that it sends."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from typing import NoReturn

import pytest

import plait
from plait import web
from plait.client_middlewares import ClientHandlerType
from plait_engine.engines import EngineName
from tests.adapters.raw_server import OK, RawConnection, always, raw_server
from tests.serving import serve

pytestmark = pytest.mark.anyio

MANY = b"0123456789abcdef" * 30_000
"""More than the buffers of the client."""


@pytest.fixture(params=[(False, "native"), (True, "native"), (False, "reference")], ids=str)
async def site(request: pytest.FixtureRequest) -> AsyncIterator[tuple[str, plait.ClientSession]]:
    http2: bool
    engine: EngineName
    http2, engine = request.param

    async def echo_size(request: web.Request) -> web.Response:
        return web.Response(text=str(len(await request.read())))

    async def moved(request: web.Request) -> NoReturn:
        await request.read()
        raise web.HTTPTemporaryRedirect("/")

    async def elsewhere(request: web.Request) -> NoReturn:
        await request.read()
        raise web.HTTPSeeOther("/")

    async def unreachable(request: web.Request) -> NoReturn:
        await request.read()
        raise web.HTTPTemporaryRedirect("http://127.0.0.1:1/")

    async def early(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"head start")
        await request.read()
        return response

    async def rude(request: web.Request) -> web.Response:
        return web.Response(text="no, thanks")

    app = web.Application(client_max_size=2**24)
    app.router.add_route("*", "/", echo_size)
    app.router.add_post("/moved", moved)
    app.router.add_post("/elsewhere", elsewhere)
    app.router.add_post("/unreachable", unreachable)
    app.router.add_post("/early", early)
    app.router.add_post("/rude", rude)
    async with (
        serve(app, engine=engine) as served,
        plait.ClientSession(served.url, http2=http2, engine=engine) as session,
    ):
        yield served.url, session


Site = tuple[str, plait.ClientSession]


async def pieces(count: int = 3, size: int = 1000) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"p" * size


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("kind", ["none", "small", "large", "pieces"])
async def test_all_of_it_is_sent(site: Site, kind: str, compress: bool) -> None:
    data, size = {
        "none": (None, 0),
        "small": (b"small", 5),
        "large": (MANY, len(MANY)),
        "pieces": (pieces(), 3000),
    }[kind]
    tracker = plait.UploadTracker()
    assert (tracker.bytes_written, tracker.attempts) == (0, 0)
    assert not tracker.upload_complete.done()
    options = {"compress": compress} if data else {}
    async with site[1].post("/", data=data, upload_tracker=tracker, **options) as response:  # type: ignore[misc]  # a choice
        assert await response.text() == str(size)
    await tracker.upload_complete
    assert (tracker.bytes_written, tracker.attempts) == (size, 1)


async def test_progress_is_seen() -> None:
    read_on = asyncio.Event()

    async def script(connection: RawConnection) -> None:
        await connection.read_head()
        await read_on.wait()
        await connection.read(len(MANY) * 20)
        connection.send(OK)

    seen = []
    tracker = plait.UploadTracker()

    async def content() -> AsyncIterator[bytes]:
        for number in range(20):
            seen.append(tracker.bytes_written)
            if number == 3:
                read_on.set()
            yield MANY

    async with raw_server(script) as server, plait.ClientSession() as session:
        headers = {"Content-Length": str(len(MANY) * 20)}
        async with session.post(
            server.url, data=content(), headers=headers, upload_tracker=tracker
        ) as response:
            assert response.status == 200
    assert seen == sorted(seen)
    assert seen[0] == 0
    assert 0 < seen[2] <= 2 * len(MANY)
    assert tracker.bytes_written == 20 * len(MANY)


async def test_bytes_that_wait_in_the_transport_are_not_written() -> None:
    async def script(connection: RawConnection) -> None:
        connection.reader._transport.pause_reading()  # type: ignore[attr-defined]  # not even the head
        await asyncio.Event().wait()

    async with raw_server(script) as server, plait.ClientSession() as session:
        tracker = plait.UploadTracker()
        request = asyncio.ensure_future(
            session.post(server.url, data=pieces(10_000, 60_000), upload_tracker=tracker)
        )
        before = -1
        while tracker.bytes_written != before or not before:
            before = tracker.bytes_written
            for _ in range(100):
                await asyncio.sleep(0)
        attempt = tracker._upload.attempt
        assert attempt is not None
        assert 0 < before < attempt.taken
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        with pytest.raises(plait.UploadAbortedError):
            await tracker.upload_complete
        assert tracker.bytes_written >= before


async def test_what_was_written_before_the_connection_was_lost() -> None:
    size = 1_000_000

    async def script(connection: RawConnection) -> None:
        await connection.read_head()
        await connection.read(size)
        connection.abort()

    async with raw_server(script) as server, plait.ClientSession() as session:
        tracker = plait.UploadTracker()
        with pytest.raises(plait.ClientConnectionError):
            await session.post(
                server.url, data=io.BytesIO(bytes(50 * size)), upload_tracker=tracker
            )
        with pytest.raises(plait.ClientError):
            await tracker.upload_complete
        assert size // 2 < tracker.bytes_written < 50 * size


async def test_bytes_that_wait_for_a_window_are_not_written() -> None:
    asked: asyncio.Future[web.Request] = asyncio.get_running_loop().create_future()

    async def take_nothing(request: web.Request) -> web.Response:
        asked.set_result(request)
        await asyncio.Event().wait()
        return web.Response()

    app = web.Application()
    app.router.add_post("/", take_nothing)
    async with plait.ClientSession(app=app, http2=True) as session:
        tracker = plait.UploadTracker()
        upload = asyncio.ensure_future(
            session.post("/", data=io.BytesIO(bytes(5_000_000)), upload_tracker=tracker)
        )
        content = (await asked).content
        before = -1
        while content.total_bytes != before or not before:
            before = content.total_bytes
            for _ in range(100):
                await asyncio.sleep(0)
        assert 0 < tracker.bytes_written <= content.total_bytes < 5_000_000
        upload.cancel()
        with pytest.raises(asyncio.CancelledError):
            await upload


@pytest.mark.parametrize(
    ("path", "received", "written"), [("/moved", "5", 5), ("/elsewhere", "0", 0)]
)
async def test_redirects_are_attempts(site: Site, path: str, received: str, written: int) -> None:
    tracker = plait.UploadTracker()
    async with site[1].post(path, data=b"small", upload_tracker=tracker) as response:
        assert await response.text() == received
    assert (tracker.attempts, tracker.bytes_written) == (2, written)
    assert tracker.upload_complete.result() is None


async def test_an_attempt_that_finds_no_server(site: Site) -> None:
    tracker = plait.UploadTracker()
    with pytest.raises(plait.ClientConnectorError):
        await site[1].post("/unreachable", data=b"small", upload_tracker=tracker)
    assert (tracker.attempts, tracker.bytes_written) == (2, 0)
    assert isinstance(tracker.upload_complete.exception(), plait.UploadAbortedError)


async def test_the_answer_comes_before_the_content_is_sent(site: Site) -> None:
    go_on = asyncio.Event()

    async def content() -> AsyncIterator[bytes]:
        yield b"one"
        await go_on.wait()
        yield b"two"

    tracker = plait.UploadTracker()
    async with site[1].post("/early", data=content(), upload_tracker=tracker) as response:
        assert not tracker.upload_complete.done()
        go_on.set()
        await tracker.upload_complete
        assert tracker.bytes_written == 6
        assert await response.read() == b"head start"


async def test_the_server_does_not_want_the_rest(site: Site) -> None:
    async def content() -> AsyncIterator[bytes]:
        yield b"one"
        await asyncio.Event().wait()

    tracker = plait.UploadTracker()
    async with site[1].post("/rude", data=content(), upload_tracker=tracker) as response:
        assert await response.text() == "no, thanks"
    with pytest.raises(plait.ClientError):
        await tracker.upload_complete


async def test_content_that_fails(site: Site) -> None:
    async def content() -> AsyncIterator[bytes]:
        yield b"one"
        raise ValueError("no more")

    tracker = plait.UploadTracker()
    with pytest.raises(plait.ClientConnectionError, match="no more") as caught:
        await site[1].post("/", data=content(), upload_tracker=tracker)
    assert tracker.upload_complete.exception() is caught.value


async def test_content_that_fails_behind_the_head(site: Site) -> None:
    go_on = asyncio.Event()

    async def content() -> AsyncIterator[bytes]:
        yield b"one"
        await go_on.wait()
        raise ValueError("no more")

    tracker = plait.UploadTracker()
    async with site[1].post("/early", data=content(), upload_tracker=tracker):
        go_on.set()
        with pytest.raises(plait.ClientConnectionError, match="no more"):
            await tracker.upload_complete


async def test_a_request_that_is_cancelled_or_never_sent(site: Site) -> None:
    session = site[1]

    async def refuse(request: plait.ClientRequest, send: ClientHandlerType) -> plait.ClientResponse:
        raise LookupError("not today")

    closed = plait.ClientSession()
    await closed.close()
    for owner, options, error in [
        (session, {"middlewares": (refuse,)}, LookupError),
        (session, {"json": 1, "data": b"x"}, ValueError),
        (session, {"headers": {"A": "b\n"}}, ValueError),
        (closed, {}, RuntimeError),
    ]:
        tracker = plait.UploadTracker()
        with pytest.raises(error):
            await owner.post(site[0], upload_tracker=tracker, **options)  # type: ignore[arg-type]  # several
        with pytest.raises(plait.UploadAbortedError):
            await tracker.upload_complete


async def test_a_middleware_that_sends_again(site: Site) -> None:
    async def twice(request: plait.ClientRequest, send: ClientHandlerType) -> plait.ClientResponse:
        (await send(request)).release()
        return await send(request)

    tracker = plait.UploadTracker()
    async with site[1].post(
        "/", data=b"small", middlewares=(twice,), upload_tracker=tracker
    ) as response:
        assert await response.text() == "5"
    assert (tracker.attempts, tracker.bytes_written) == (2, 5)
    await tracker.upload_complete


async def test_one_tracker_is_for_one_request(site: Site) -> None:
    tracker = plait.UploadTracker()
    await (await site[1].post("/", upload_tracker=tracker)).read()
    with pytest.raises(RuntimeError, match="already bound"):
        await site[1].post("/", upload_tracker=tracker)
    assert tracker.upload_complete.result() is None


async def test_a_future_that_the_program_cancelled(site: Site) -> None:
    tracker = plait.UploadTracker()
    tracker.upload_complete.cancel()
    async with site[1].post("/", data=b"small", upload_tracker=tracker) as response:
        assert await response.text() == "5"


@pytest.mark.parametrize("data", [b"small", MANY])
async def test_the_deprecated_attributes_of_a_response(site: Site, data: bytes) -> None:
    async with site[1].post("/", data=data) as response:
        assert await response.text() == str(len(data))
        with pytest.warns(DeprecationWarning, match="output_size is deprecated"):
            assert response.output_size == len(data)
        with pytest.warns(DeprecationWarning, match="upload_complete is deprecated"):
            await response.upload_complete


async def test_the_deprecated_future_while_the_content_is_sent(site: Site) -> None:
    go_on = asyncio.Event()

    async def content() -> AsyncIterator[bytes]:
        yield b"one"
        await go_on.wait()

    async with site[1].post("/early", data=content()) as response:
        with pytest.warns(DeprecationWarning, match="UploadTracker"):
            future = response.upload_complete
        assert not future.done()
        go_on.set()
        await future
        with pytest.warns(DeprecationWarning, match="UploadTracker"):
            assert response.upload_complete is future


async def test_content_whose_own_waiting_is_cancelled_fails_the_request(site: Site) -> None:
    """The task that sends it is cancelled by nobody, but its content ends in CancelledError."""
    awaited = asyncio.get_running_loop().create_future()

    async def content() -> AsyncIterator[bytes]:
        yield b"some"
        await awaited

    asyncio.get_running_loop().call_later(0.01, awaited.cancel)
    tracker = plait.UploadTracker()
    with pytest.raises(plait.ClientConnectionError, match="Failed to send the request body"):
        await asyncio.wait_for(site[1].post("/", data=content(), upload_tracker=tracker), 5)
    with pytest.raises(plait.ClientConnectionError):
        await tracker.upload_complete
    async with site[1].post("/", data=b"next") as response:
        assert await response.text() == "4"


class SlowToClose(plait.BytesPayload):
    """Content whose closing takes its time."""

    def __init__(self) -> None:
        super().__init__(b"content")
        self.closing = asyncio.Event()

    async def close(self) -> None:
        self.closing.set()
        await asyncio.Event().wait()


async def test_cancelled_while_the_content_is_closed() -> None:
    """The response has come by then, and nobody is going to get it."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
    async with raw_server(always(head)) as server, plait.ClientSession() as session:
        payload = SlowToClose()
        request = asyncio.ensure_future(session.post(server.url, data=payload))
        await payload.closing.wait()
        request.cancel()
        # The error keeps the frames, and so the response, from the garbage collector.
        with pytest.raises(asyncio.CancelledError) as caught:
            await request
        connector = session.connector
        assert connector is not None
        assert connector.stats().in_use == 0
        del caught


async def test_waiting_for_the_upload_can_be_cancelled(site: Site) -> None:
    async def content() -> AsyncIterator[bytes]:
        yield b"some"
        await asyncio.Event().wait()

    response = await site[1].post("/early", data=content())
    waiting = asyncio.ensure_future(response.wait_for_close())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    connector = site[1].connector
    assert connector is not None
    assert connector.stats().in_use == 0
