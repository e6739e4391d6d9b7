"""Responses that are written piece by piece or compressed, on aiohttp and on plait."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from tests.adapters.web_peer import Answer
from tests.same.conftest import Library
from tests.same.tools import answer_of, fields

pytestmark = pytest.mark.anyio


# -- streams -----------------------------------------------------------------------------------


async def run_stream(
    library: Library, run: Callable[[Any, Any], Any], *args: Any, **options: Any
) -> Answer:
    """Return the answer of a handler that calls ``run`` with a request and a stream."""

    async def handler(request: Any) -> Any:
        response = library.web.StreamResponse()
        await run(request, response)
        return response

    return await library.fetch(handler, *args, **options)


async def test_a_stream(library: Library) -> None:
    async def run(request: Any, response: Any) -> None:
        assert response.prepared is False
        writer = await response.prepare(request)
        assert writer is not None
        assert await response.prepare(request) is writer
        assert response.prepared is True
        assert response.task is request.task
        assert response.keep_alive is True
        await response.write(b"ab")
        await response.write(bytearray(b"cd"))
        await response.write(memoryview(b"ef"))
        await response.write(b"")
        await response.write_eof(b"g")
        assert response.body_length in (7, 0) or response.body_length > 7
        await response.write_eof()
        with pytest.raises(RuntimeError):
            await response.write(b"h")

    answer = await run_stream(library, run)
    assert (answer.status, answer.body) == (200, b"abcdefg")
    assert fields(answer) == {"content-type": "application/octet-stream"}


async def test_chunks_are_not_announced_for_head(library: Library) -> None:
    async def run(request: Any, response: Any) -> None:
        if request.version < (2, 0):
            response.enable_chunked_encoding()
            response.headers["Transfer-Encoding"] = "chunked"
        await response.prepare(request)
        await response.write_eof()

    answer = await run_stream(library, run, "HEAD")
    assert answer.status == 200
    assert {"transfer-encoding", "content-length"} & set(fields(answer)) == set()


async def test_the_end_of_a_stream_comes_by_itself(library: Library) -> None:
    async def run(request: Any, response: Any) -> None:
        await response.prepare(request)
        await response.write(b"ab")

    assert (await run_stream(library, run)).body == b"ab"


async def test_a_stream_that_is_only_returned(library: Library) -> None:
    async def run(request: Any, response: Any) -> None:
        response.content_type = "text/plain"

    answer = await run_stream(library, run)
    assert (answer.status, answer.body) == (200, b"")
    assert answer.header("content-type") == "text/plain"


async def test_a_stream_with_a_length(library: Library) -> None:
    async def run(request: Any, response: Any) -> None:
        response.content_length = 3
        await response.prepare(request)
        await response.write(b"abc")

    answer = await run_stream(library, run)
    assert answer.body == b"abc"
    assert answer.header("content-length") == "3"


async def test_more_than_the_length(library: Library) -> None:
    """The client gets what was announced.  In plait the handler is told, too."""

    async def run(request: Any, response: Any) -> None:
        response.content_length = 3
        await response.prepare(request)
        with suppress(Exception):
            await response.write(b"ab")
            await response.write(b"cd")

    assert (await run_stream(library, run)).body == b"abc"


async def test_more_than_the_length_at_the_end(library: Library) -> None:
    async def run(request: Any, response: Any) -> None:
        response.content_length = 3
        await response.prepare(request)
        with suppress(Exception):
            await response.write_eof(b"abcd")

    assert (await run_stream(library, run)).body == b"abc"


async def test_a_stream_before_its_time(library: Library) -> None:
    async def run(request: Any, response: Any) -> None:
        with pytest.raises(RuntimeError):
            await response.write(b"a")
        with pytest.raises(AssertionError):
            await response.write_eof()
        await response.prepare(request)
        with pytest.raises((AssertionError, TypeError)):
            await response.write("text")
        with pytest.raises(AssertionError):
            response.set_status(404)

    assert (await run_stream(library, run)).status == 200


async def test_writing_nothing_is_nothing(library: Library) -> None:
    async def run(request: Any, response: Any) -> None:
        await response.prepare(request)
        await response.write(b"")
        await response.write(b"a")

    assert (await run_stream(library, run)).body == b"a"


async def test_a_head_has_no_body(library: Library) -> None:
    async def run(request: Any, response: Any) -> None:
        await response.prepare(request)
        await response.write(b"a")

    answer = await run_stream(library, run, "HEAD")
    assert (answer.status, answer.body) == (200, b"")


async def test_repr(library: Library) -> None:
    async def run(request: Any, response: Any) -> None:
        assert repr(response) == "<StreamResponse OK not prepared>"
        await response.prepare(request)
        assert repr(response) == "<StreamResponse OK GET /a >"
        await response.write_eof()
        assert repr(response) == "<StreamResponse OK eof>"

    await run_stream(library, run, "GET", "/a")


async def test_chunks_are_not_for_http_1_0(plain: Library) -> None:
    async def handler(request: Any) -> Any:
        response = plain.web.StreamResponse()
        response.enable_chunked_encoding()
        with pytest.raises(RuntimeError):
            await response.prepare(request)
        return plain.web.Response(text="refused")

    assert (await plain.raw(handler, b"GET / HTTP/1.0\r\n\r\n")).endswith(b"refused")


async def test_a_stream_to_http_1_0_ends_with_the_connection(plain: Library) -> None:
    async def handler(request: Any) -> Any:
        response = plain.web.StreamResponse()
        await response.prepare(request)
        await response.write(b"abc")
        return response

    answer = await plain.raw(handler, b"GET / HTTP/1.0\r\n\r\n")
    assert answer.endswith(b"\r\n\r\nabc")
    assert b"transfer-encoding" not in answer.lower()


async def test_a_chunk_for_each_write(plain: Library) -> None:
    async def handler(request: Any) -> Any:
        response = plain.web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(b"abc")
        await response.write(b"de")
        return response

    head = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    assert (await plain.raw(handler, head)).endswith(b"\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")


# -- compression -------------------------------------------------------------------------------


def inflate(coding: str | None, body: bytes) -> bytes:
    return {"gzip": gzip.decompress, "deflate": zlib.decompress}[coding](body) if coding else body


@pytest.mark.parametrize(
    ("accept", "coding"),
    [("gzip", "gzip"), ("deflate", "deflate"), ("gzip, deflate", "deflate"), (None, None)],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_compression(
    library: Library, accept: str | None, coding: str | None, stream: bool
) -> None:
    async def handler(request: Any) -> Any:
        response = library.web.StreamResponse() if stream else library.web.Response(text="a" * 999)
        response.enable_compression()
        assert response.compression is True
        if stream:
            await response.prepare(request)
            await response.write(b"a" * 999)
        return response

    asked = [("Accept-Encoding", accept)] if accept else []
    answer = await library.fetch(handler, "GET", "/", asked)
    assert answer.header("content-encoding") == coding
    assert inflate(coding, answer.body) == b"a" * 999
    if not stream:
        assert answer.header("content-length") == str(len(answer.body))


@pytest.mark.parametrize("name", ["gzip", "deflate", "identity"])
async def test_compression_by_force(library: Library, name: str) -> None:
    def make(web: Any) -> Any:
        response = web.Response(text="a" * 999)
        response.enable_compression(web.ContentCoding[name])
        return response

    answer = await answer_of(library, make)
    coding = None if name == "identity" else name
    assert answer.header("content-encoding") == coding
    assert inflate(coding, answer.body) == b"a" * 999


async def test_compression_in_chunks(library: Library) -> None:
    def make(web: Any) -> Any:
        response = web.Response(body=b"a" * 9999)
        response.enable_compression(web.ContentCoding.gzip)
        response.enable_chunked_encoding()
        return response

    answer = await answer_of(library, make)
    assert gzip.decompress(answer.body) == b"a" * 9999
    assert library.is_h2 or answer.header("content-length") is None


async def test_a_long_body_is_compressed_in_an_executor(library: Library) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as executor:

        def make(web: Any) -> Any:
            response = web.Response(body=b"a" * 99, zlib_executor_size=9, zlib_executor=executor)
            response.enable_compression(web.ContentCoding.gzip)
            return response

        answer = await answer_of(library, make)
        assert gzip.decompress(answer.body) == b"a" * 99
        assert executor._threads


# -- on_response_prepare -----------------------------------------------------------------------


async def test_the_signal_sees_and_changes_the_head(library: Library) -> None:
    web = library.web
    seen: list[Any] = []

    async def look(request: Any, response: Any) -> None:
        seen.append((request.path, response.headers.get("Content-Type")))
        assert response.task is request.task
        response.headers["X-Signal"] = "1"

    async def handler(request: Any) -> Any:
        return web.Response(text="a")

    app = web.Application()
    app.on_response_prepare.append(look)
    app.router.add_get("/a", handler)
    answer = await library.fetch(app, "GET", "/a")
    assert answer.header("x-signal") == "1"
    assert seen == [("/a", "text/plain; charset=utf-8")]


async def test_from_the_outer_application_to_the_inner_one(library: Library) -> None:
    web = library.web
    seen: list[str] = []

    async def outer(request: Any, response: Any) -> None:
        seen.append("outer")

    async def inner(request: Any, response: Any) -> None:
        seen.append("inner")

    async def handler(request: Any) -> Any:
        return web.Response()

    app, sub = web.Application(), web.Application()
    app.on_response_prepare.append(outer)
    sub.on_response_prepare.append(inner)
    sub.router.add_get("/a", handler)
    app.add_subapp("/sub", sub)
    assert (await library.fetch(app, "GET", "/sub/a")).status == 200
    assert seen == ["outer", "inner"]


# -- deprecated --------------------------------------------------------------------------------


async def test_what_is_deprecated_works_and_warns(library: Library) -> None:
    async def run(request: Any, response: Any) -> None:
        with pytest.warns(DeprecationWarning, match="deprecated"):
            response.enable_chunked_encoding(chunk_size=8)
        await response.prepare(request)
        await response.write(b"a")
        with pytest.warns(DeprecationWarning, match="deprecated"):
            await response.drain()
        with pytest.warns(DeprecationWarning, match="deprecated"):
            assert response.output_length >= 1

    assert (await run_stream(library, run)).body == b"a"


async def test_compression_by_a_boolean(library: Library) -> None:
    def make(web: Any) -> Any:
        response = web.Response(text="a" * 99)
        with pytest.warns(DeprecationWarning, match="deprecated"):
            response.enable_compression(True)
        return response

    answer = await answer_of(library, make)
    assert answer.header("content-encoding") == "deflate"
    assert zlib.decompress(answer.body) == b"a" * 99


def test_compression_by_something_else(plain: Library) -> None:
    with pytest.raises((AssertionError, TypeError)):
        plain.web.Response().enable_compression("gzip")
