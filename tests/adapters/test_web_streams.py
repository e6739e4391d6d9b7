"""What goes back to the client piece by piece: streams, 1xx, trailers, compression."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from typing import Any

import pytest

from plait import web
from plait_engine import LocalProtocolError
from tests.adapters.web_handlers import always, answer_of
from tests.adapters.web_peer import Setup, app_of

pytestmark = pytest.mark.anyio


# -- StreamResponse --------------------------------------------------------------------------------


async def test_a_stream(setup: Setup) -> None:
    go = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/x"})
        assert not response.prepared
        await response.prepare(request)
        assert response.prepared
        await response.prepare(request)
        await response.write(b"one,")
        await go.wait()
        await response.write(bytearray(b"two,"))
        await response.write(memoryview(b"three"))
        await response.write(b"")
        await response.write_eof(b".")
        await response.write_eof()
        assert response.body_length == 14
        with pytest.raises(RuntimeError, match="before write_eof"):
            await response.write(b"x")
        return response

    async with setup.serve(app_of(handler)) as site:
        client = await site.connect()
        answer = client.request()
        await answer.head_came.wait()
        assert not answer.ended.is_set()
        go.set()
        await answer.complete()
        assert answer.body == b"one,two,three."
        assert answer.header("content-length") is None
        assert answer.header("transfer-encoding") == (None if setup.is_h2 else "chunked")


async def test_a_stream_of_known_length(setup: Setup) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = 3
        await response.prepare(request)
        await response.write(b"abc")
        return response

    answer = await answer_of(setup, handler)
    assert answer.body == b"abc"
    assert answer.header("content-length") == "3"
    assert answer.header("transfer-encoding") is None


async def test_http_1_0_gets_no_chunks() -> None:
    """RFC 9112 section 6.1: the end of the connection ends the body."""

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"abc")
        return response

    async def chunked(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        with pytest.raises(RuntimeError, match=r"HTTP/1\.0"):
            await response.prepare(request)
        return web.Response(text="refused")

    setup = Setup("http/1.1", "native")
    app = app_of(handler)
    app.router.add_get("/chunked", chunked)
    async with setup.serve(app) as site:
        answer = await site.send_raw(b"GET / HTTP/1.0\r\n\r\n")
        head, _, body = answer.partition(b"\r\n\r\n")
        assert body == b"abc"
        assert b"chunked" not in head
        answer = await site.send_raw(b"GET /chunked HTTP/1.0\r\n\r\n")
        assert answer.endswith(b"refused")


async def test_misuse(setup: Setup) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        with pytest.raises(RuntimeError, match="has not started"):
            await response.write(b"x")
        with pytest.raises(RuntimeError, match="not prepared"):
            await response.write_eof()
        response.enable_chunked_encoding()
        with pytest.raises(RuntimeError, match="chunked"):
            response.content_length = 3
        await response.prepare(request)
        with pytest.raises(TypeError):
            await response.write("x")  # type: ignore[arg-type]  # that is the point
        with pytest.raises(RuntimeError, match="headers have been sent"):
            response.set_status(404)
        await response.write_eof()
        return response

    assert (await answer_of(setup, handler)).status == 200


async def test_a_body_that_is_not_as_long_as_announced(setup: Setup) -> None:
    """Attack S72: too little cuts the response short."""

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = 3
        await response.prepare(request)
        await response.write(b"xx")
        return response

    async with setup.serve(app_of(handler)) as site:
        client = await site.connect()
        answer = client.request()
        await answer.broken()
        # The end of an HTTP/1.1 connection may overtake the head.
        assert answer.status in (200, 0)
        assert not site.exchanges()


async def test_too_much_is_told_to_the_handler(setup: Setup) -> None:
    """Attack S72.  What was announced is sent: the client gets a whole message (RFC 9110 section 8.6)."""

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = 3
        await response.prepare(request)
        await response.write(b"a")
        with pytest.raises(LocalProtocolError, match="Content-Length"):
            await response.write(b"bcd")
        with pytest.raises(RuntimeError, match="before write_eof"):
            await response.write(b"e")
        return response

    async with setup.serve(app_of(handler)) as site:
        client = await site.connect()
        for _ in range(2):
            answer = await client.fetch()
            assert (answer.status, answer.body) == (200, b"abc")


@pytest.mark.parametrize("size", [4, 100_000])
async def test_too_much_at_the_end(setup: Setup, size: int) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "3"})
        await response.prepare(request)
        with pytest.raises(LocalProtocolError, match="Content-Length"):
            await response.write_eof(b"x" * size)
        return response

    async with setup.serve(app_of(handler)) as site:
        client = await site.connect()
        for _ in range(2):
            answer = await client.fetch()
            assert (answer.status, answer.body) == (200, b"xxx")


async def test_too_much_that_the_handler_does_not_catch(
    setup: Setup, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "3"})
        await response.prepare(request)
        await response.write(b"abcd")
        return response

    async with setup.serve(app_of(handler)) as site:
        client = await site.connect()
        for _ in range(2):
            assert (await client.fetch()).body == b"abc"
        assert not site.exchanges()
    messages = [record.exc_text or "" for record in caplog.records]
    assert len(messages) == 2
    assert all("LocalProtocolError" in message for message in messages)


async def test_head_has_no_content_that_could_be_too_long(setup: Setup) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "3"})
        await response.prepare(request)
        await response.write(b"abcd")
        return response

    answer = await answer_of(setup, handler, "HEAD")
    assert (answer.status, answer.body, answer.header("content-length")) == (200, b"", "3")


@pytest.mark.parametrize(
    "make",
    [
        lambda: web.Response(text="x", headers={"A": "b\r\nSet-Cookie: evil=1"}),
        lambda: web.Response(text="x", headers={"A\r\nB": "c"}),
        lambda: web.Response(text="x", headers={"A": "\x00"}),
        lambda: web.Response(text="x", content_type="text/x\r\nA: b"),
        lambda: web.Response(text="x", headers={"Content-Length": "7"}),
        lambda: web.Response(status=99),
    ],
)
async def test_heads_that_cannot_be_sent(setup: Setup, make: Any) -> None:
    """Attacks S70, S72: nothing of it is sent, the client gets a clean 500."""
    app = app_of(always(make))
    async with setup.serve(app) as site:
        answer = await (await site.connect()).fetch()
        assert answer.status == 500
        assert "evil" not in str(answer.headers)


async def test_a_slow_reader_holds_the_handler_up(setup: Setup) -> None:
    written = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal written
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(400):
            await response.write(b"x" * 50_000)
            written += 50_000
        return response

    async with setup.serve(app_of(handler)) as site:
        client = await site.connect()
        answer = client.request(hold=True)
        before, turns = 0, 0
        while turns < 500:  # of the loop without progress
            await asyncio.sleep(0)
            turns = turns + 1 if before == written > 0 else 0
            before = written
        assert written < 10_000_000
        answer.hold = False
        answer.acknowledge(len(answer.body))
        await answer.complete()
        assert len(answer.body) == 20_000_000


async def test_what_fills_a_stream_is_written_at_once(setup: Setup) -> None:
    turns: list[int] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        loop = asyncio.get_running_loop()
        turn = loop.call_soon(turns.append, 1)
        # The high-water mark, and about the window that a client gives at first.
        await response.write(bytes(65536))
        assert not turns, "it waited, although the transport takes the bytes"
        turn.cancel()
        return response

    async with setup.serve(app_of(handler)) as site:
        client = await site.connect()
        answer = await client.fetch()
        assert (answer.status, len(answer.body)) == (200, 65536)


async def test_writing_to_a_client_that_is_gone(setup: Setup) -> None:
    failed: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 10_000)
        except ConnectionResetError as error:
            failed.set_result(error)
            raise
        return response

    async with setup.serve(app_of(handler)) as site:
        client = await site.connect()
        answer = client.request(hold=True)
        await answer.head_came.wait()
        client.abort()
        error = await asyncio.wait_for(failed, 20)
        assert "lost" in str(error) or "closing" in str(error)


# -- 1xx, trailers, compression --------------------------------------------------------------------


async def test_early_hints(setup: Setup) -> None:
    """RFC 8297."""

    async def handler(request: web.Request) -> web.StreamResponse:
        await request.send_informational(103, {"Link": "</style.css>; rel=preload"})
        await request.send_informational(102)
        return web.Response(text="x")

    answer = await answer_of(setup, handler)
    assert [event.status for event in answer.informational] == [103, 102]
    assert [(n.lower(), v) for n, v in answer.informational[0].headers] == [
        ("link", "</style.css>; rel=preload")
    ]
    assert answer.body == b"x"


async def test_early_hints_of_a_response(setup: Setup) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.Response(text="page")
        with pytest.raises(RuntimeError, match="give the request"):
            await response.send_informational(103)
        await response.send_informational(103, {"Link": "</a.css>"}, request=request)
        await response.prepare(request)
        await response.send_informational(103, {"Link": "</b.css>"})
        await response.write_eof()
        with pytest.raises(LocalProtocolError):
            await response.send_informational(103)
        return response

    answer = await answer_of(setup, handler)
    assert (answer.status, answer.body) == (200, b"page")
    hints = [dict(event.headers) for event in answer.informational]
    assert [list(fields.values()) for fields in hints] == [["</a.css>"], ["</b.css>"]]


async def test_an_error_behind_early_hints_is_answered(setup: Setup) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        await request.send_informational(103)
        raise KeyError("x")

    answer = await answer_of(setup, handler)
    assert answer.status == 500


async def test_http_1_0_gets_no_1xx() -> None:
    """RFC 9110 section 15.2."""

    async def handler(request: web.Request) -> web.StreamResponse:
        await request.send_informational(103)
        return web.Response(text="x")

    setup = Setup("http/1.1", "native")
    async with setup.serve(app_of(handler)) as site:
        answer = await site.send_raw(b"GET / HTTP/1.0\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize("complete", [True, False])
async def test_trailers(setup: Setup, wanted: bool, complete: bool) -> None:
    """RFC 9110 section 6.5.1: on HTTP/1.1 only to who says ``TE: trailers``."""

    async def handler(request: web.Request) -> web.StreamResponse:
        if complete:
            response: web.StreamResponse = web.Response(text="body")
            response.set_trailers({"X-Sum": "7"})
            return response
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"body")
        response.set_trailers([("X-Sum", "7")])
        await response.write_eof()
        with pytest.raises(RuntimeError):
            response.set_trailers({})
        return response

    answer = await answer_of(setup, handler, headers=[("te", "trailers")] if wanted else [])
    assert answer.body == b"body"
    expected = [("x-sum", "7")] if wanted or setup.is_h2 else []
    assert [(name.lower(), value) for name, value in answer.trailers] == expected


@pytest.mark.parametrize(
    ("accept", "force", "coding"),
    [
        ("gzip, deflate", None, "deflate"),
        ("gzip", None, "gzip"),
        ("gzip;q=0.5, deflate;q=0.1", None, "gzip"),
        ("gzip;q=0", None, None),
        ("xgzip", None, None),
        ("not-deflate-at-all", None, None),
        ("*;q=0.5, identity;q=0", None, "deflate"),
        ("deflate;q=0.5, identity", None, None),
        ("br", None, None),
        ("", None, None),
        ("", web.ContentCoding.gzip, "gzip"),
        ("gzip", web.ContentCoding.identity, None),
    ],
)
@pytest.mark.parametrize("kind", ["small", "large", "stream"])
async def test_compression(setup: Setup, accept: str, force: Any, coding: Any, kind: str) -> None:
    text = "text" * (100 if kind == "small" else 100_000)

    async def handler(request: web.Request) -> web.StreamResponse:
        if kind != "stream":
            response: web.StreamResponse = web.Response(text=text)
            response.enable_compression(force)
            return response
        response = web.StreamResponse()
        response.enable_compression(force)
        assert response.compression
        await response.prepare(request)
        await response.write(text[:1000].encode())
        await response.write(text[1000:].encode())
        return response

    answer = await answer_of(setup, handler, headers=[("accept-encoding", accept)])
    undo = {None: bytes, "gzip": gzip.decompress, "deflate": zlib.decompress}[coding]
    assert undo(answer.body) == text.encode()
    assert answer.header("content-encoding") == coding
    length = None if kind == "stream" else str(len(answer.body))
    assert answer.header("content-length") == length


async def test_force_close(setup: Setup) -> None:
    def make() -> web.Response:
        response = web.Response(text="x")
        response.force_close()
        return response

    async with setup.serve(app_of(always(make))) as site:
        client = await site.connect()
        answer = await client.fetch()
        # HTTP/2 has no such field (RFC 9113 section 8.2.2).
        assert answer.header("connection") == (None if setup.is_h2 else "close")
        if setup.is_h2:
            assert (await client.fetch()).status == 200
        else:
            await client.wait_closed()
