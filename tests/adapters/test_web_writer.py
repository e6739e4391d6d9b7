"""The writer that ``StreamResponse.prepare`` returns."""

from __future__ import annotations

import asyncio
import gzip
import io
from collections.abc import Callable
from typing import Any

import pytest
from multidict import CIMultiDict

import plait
from plait import web
from plait.abc import AbstractStreamWriter
from plait.http_writer import StreamWriter
from plait.serving.response_writer import ResponseWriter
from tests.adapters.web_handlers import answer_of, names
from tests.adapters.web_peer import Setup, app_of
from tests.serving import serve

pytestmark = pytest.mark.anyio


async def test_prepare_returns_it(setup: Setup) -> None:
    seen: list[Any] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "10"})
        writer = await response.prepare(request)
        seen.append(await response.prepare(request) is writer)
        assert isinstance(writer, StreamWriter)
        assert isinstance(writer, AbstractStreamWriter)
        seen.append((writer.length, writer.output_size))
        await writer.write(b"abc")
        await response.write(memoryview(b"def"))
        await writer.drain()
        seen.append((writer.length, writer.output_size, response.body_length))
        await writer.write_eof(b"ghij")
        await writer.write_eof(b"again")
        await writer.drain()
        with pytest.raises(RuntimeError, match="before write_eof"):
            await writer.write(b"more")
        seen.append((writer.length, writer.output_size, response.body_length))
        await response.write_eof()
        seen.append(await response.prepare(request))
        return response

    answer = await answer_of(setup, handler)
    assert answer.body == b"abcdefghij"
    assert answer.header("content-length") == "10"
    assert seen == [True, (10, 0), (4, 6, 6), (0, 10, 10), None]


async def test_the_writer_of_a_whole_response(setup: Setup) -> None:
    """The head waits, so the writer may still change how the body is sent."""

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.Response(text="Hello")
        writer = await response.prepare(request)
        assert writer is not None
        assert writer.length == 5
        await writer.write(b"Say: ") if "more" in request.query else None
        return response

    answer = await answer_of(setup, handler)
    assert (answer.body, answer.header("content-length")) == (b"Hello", "5")


async def test_no_length(setup: Setup) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.Response(text="Hello")
        writer = await response.prepare(request)
        assert writer is not None
        writer.enable_chunking()
        assert writer.length is None
        writer.enable_chunking()
        return response

    answer = await answer_of(setup, handler)
    assert answer.body == b"Hello"
    assert "content-length" not in names(answer)
    assert ("transfer-encoding" in names(answer)) is not setup.is_h2


async def test_it_is_too_late_for_chunks(setup: Setup) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1"})
        writer = await response.prepare(request)
        assert writer is not None
        with pytest.raises(RuntimeError, match="Content-Length was sent"):
            writer.enable_chunking()
        await writer.write_eof(b"x")
        return response

    assert (await answer_of(setup, handler)).body == b"x"


async def test_compression(setup: Setup) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Encoding": "gzip"})
        writer = await response.prepare(request)
        assert writer is not None
        with pytest.raises(ValueError, match="no coding"):
            writer.enable_compression("unknown")
        writer.enable_compression("gzip")
        await writer.write(b"a" * 1000)
        await writer.write_eof(b"b")
        assert writer.output_size < 100
        return response

    answer = await answer_of(setup, handler)
    assert gzip.decompress(answer.body) == b"a" * 1000 + b"b"


async def test_a_head_written_by_hand(setup: Setup) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        writer = ResponseWriter(request._exchange)
        headers = CIMultiDict({"X-A": "1", "Content-Length": "2"})
        with pytest.raises(ValueError, match="invalid literal"):
            await writer.write_headers("HTTP/1.1", headers)
        await writer.write_headers("HTTP/1.1 201 Made", headers)
        with pytest.raises(RuntimeError, match="sent before"):
            await writer.write_headers("HTTP/1.1 200 OK", headers)
        await writer.write_eof(b"ok")
        return web.StreamResponse()

    answer = await answer_of(setup, handler)
    assert (answer.status, answer.body, answer.header("x-a")) == (201, b"ok", "1")


@pytest.mark.parametrize("status", [204, 304])
async def test_a_status_without_a_body(setup: Setup, status: int) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=status)
        writer = await response.prepare(request)
        assert writer is not None
        await writer.write(b"x")
        await writer.write_eof(b"y")
        assert writer.output_size == 0
        return response

    answer = await answer_of(setup, handler)
    assert (answer.status, answer.body) == (status, b"")


async def test_the_writer_of_a_request(setup: Setup) -> None:
    seen: list[Any] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        writer = request.writer
        assert isinstance(writer, StreamWriter)
        assert (writer.transport, writer.protocol) == (request.transport, request.protocol)
        assert writer.loop is asyncio.get_running_loop()
        writer.on_body_write = lambda size, sent: seen.append((size, sent))
        response = web.StreamResponse()
        assert await response.prepare(request) is writer is request.clone().writer
        await writer.write(b"abc", drain=False)
        assert writer.buffer_size == 3
        await writer.write(b"def")
        assert writer.buffer_size == 0
        writer.set_eof()
        writer.set_eof()
        return response

    answer = await answer_of(setup, handler)
    assert (answer.status, answer.body) == (200, b"abcdef")
    assert seen == [(3, 3), (3, 6)]


async def test_a_response_written_with_it_alone(setup: Setup) -> None:
    """In the order in which aiohttp calls the methods."""

    async def handler(request: web.Request) -> web.StreamResponse:
        writer = request.writer
        writer.enable_chunking()
        writer.enable_compression("gzip")
        await writer.write_headers("HTTP/1.1 202 OK", CIMultiDict({"Content-Encoding": "gzip"}))
        await writer.write(b"abc")
        writer.set_eof()
        return web.StreamResponse()

    answer = await answer_of(setup, handler)
    assert (answer.status, gzip.decompress(answer.body)) == (202, b"abc")


async def test_a_response_that_fails_leaves_nothing_for_the_next(setup: Setup) -> None:
    """The head that waits, and its compression, belong to the one that failed."""

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.Response(body=io.BytesIO(b"x"))
        response.enable_compression(web.ContentCoding.gzip)
        await response.prepare(request)
        raise web.HTTPConflict(text="no")

    answer = await answer_of(setup, handler)
    assert (answer.status, answer.body) == (409, b"no")


class Recorder(AbstractStreamWriter):
    """A writer of somebody else's, as the tools for tests put one into a request."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    async def write(self, chunk: bytes | bytearray | memoryview) -> None:
        self.calls.append(("write", bytes(chunk)))

    async def write_eof(self, chunk: bytes = b"") -> None:
        self.calls.append(("write_eof", bytes(chunk)))

    async def drain(self) -> None:
        self.calls.append("drain")

    def enable_compression(self, encoding: str = "deflate", strategy: int | None = None) -> None:
        self.calls.append(("enable_compression", encoding, strategy))

    def enable_chunking(self) -> None:
        self.calls.append("enable_chunking")

    async def write_headers(self, status_line: str, headers: CIMultiDict[str]) -> None:
        self.calls.append((status_line, [name for name in headers if name not in ("Date",)]))

    def send_headers(self) -> None:
        self.calls.append("send_headers")


async def recorded(
    make: Callable[[], web.StreamResponse], data: bytes = b""
) -> tuple[list[Any], int | None]:
    recorder = Recorder()
    done = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        request._payload_writer = recorder
        response = make()
        assert await response.prepare(request) is recorder
        await response.write_eof(data)
        done.set()
        return web.Response()

    app = app_of(handler)
    async with Setup("http/1.1", "native").serve(app) as site:
        client = await site.connect()
        client.request(headers=(("Accept-Encoding", "gzip"), ("TE", "trailers")))
        await asyncio.wait_for(done.wait(), 20)
        await site.close(client)
    return recorder.calls, recorder.length


async def test_another_writer_gets_the_head_and_the_body_apart() -> None:
    calls, length = await recorded(lambda: web.Response(status=201, reason="Made", text="Hello"))
    assert calls == [
        ("HTTP/1.1 201 Made", ["Content-Type", "Server", "Content-Length"]),
        ("write_eof", b"Hello"),
    ]
    assert length == 5


async def test_another_writer_compresses_and_chunks() -> None:
    def make() -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_compression(strategy=2)
        response.set_cookie("a", "b")
        response.set_trailers({"X-T": "lost"})
        return response

    calls, length = await recorded(make, b"abc")
    assert calls == [
        "enable_chunking",
        (
            "HTTP/1.1 200 OK",
            ["Content-Encoding", "Content-Type", "Set-Cookie", "Server", "Transfer-Encoding"],
        ),
        ("enable_compression", "gzip", 2),
        "send_headers",
        ("write_eof", b"abc"),
    ]
    assert length is None


async def test_the_writer_of_a_websocket(setup: Setup) -> None:
    """It writes to the tunnel: whatever it is given must be frames."""

    async def handler(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        writer = await socket.prepare(request)
        assert writer is request.writer is await socket.prepare(request)
        assert isinstance(writer, AbstractStreamWriter)
        assert writer.transport is request.transport
        await writer.write(b"\x81\x02hi")
        await socket.receive()
        return socket

    async with serve(app_of(handler), engine=setup.engine) as served:
        connector = plait.TCPConnector(http2=setup.is_h2)
        async with (
            plait.ClientSession(connector=connector) as session,
            session.ws_connect(served.url) as socket,
        ):
            assert await socket.receive_str() == "hi"
