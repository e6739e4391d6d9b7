"""The writer that ``StreamResponse.prepare`` returns."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
from multidict import CIMultiDict

from plait import web
from plait.abc import AbstractStreamWriter
from plait.http_writer import StreamWriter
from plait_engine import LocalProtocolError
from tests.adapters.web_handlers import answer_of, names
from tests.adapters.web_peer import Setup

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
        with pytest.raises(RuntimeError, match="after write_eof"):
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
        with pytest.raises(KeyError):
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
        writer = StreamWriter(request._exchange)
        headers = CIMultiDict({"X-A": "1", "Content-Length": "2"})
        with pytest.raises(ValueError, match="invalid literal"):
            await writer.write_headers("HTTP/1.1", headers)
        await writer.write_headers("HTTP/1.1 201 Made", headers)
        with pytest.raises(RuntimeError, match="sent before"):
            await writer.write_headers("HTTP/1.1 200 OK", headers)
        with pytest.raises(LocalProtocolError):
            await writer.write(b"too much")
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
