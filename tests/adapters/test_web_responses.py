"""What goes back to the client."""

from __future__ import annotations

import asyncio
import gzip
import io
import zlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from plait import web
from plait.helpers import ETag
from plait.http import SERVER_SOFTWARE
from plait.payload import BytesPayload
from plait_engine import LocalProtocolError
from tests.adapters.web_peer import Answer, Setup, app_of

pytestmark = pytest.mark.anyio

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def answer_of(setup: Setup, handler: Handler, *args: Any, **options: Any) -> Answer:
    """Return the whole answer of ``handler`` to one request."""
    async with setup.serve(app_of(handler)) as site:
        client = await site.connect()
        answer = await client.fetch(*args, **options)
        assert not site.exchanges()
        return answer


def always(make: Callable[[], web.StreamResponse]) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        return make()

    return handler


def names(answer: Answer) -> list[str]:
    return [name.lower() for name, _ in answer.headers]


# -- Response ------------------------------------------------------------------------------------


async def test_text(setup: Setup) -> None:
    answer = await answer_of(setup, always(lambda: web.Response(text="grüß")))
    assert answer.status == 200
    assert answer.body == "grüß".encode()
    assert answer.header("content-type") == "text/plain; charset=utf-8"
    assert answer.header("content-length") == "6"
    assert answer.header("server") == SERVER_SOFTWARE
    date = datetime.strptime(answer.header("date") or "", "%a, %d %b %Y %H:%M:%S GMT")
    assert abs((datetime.now(UTC) - date.replace(tzinfo=UTC)).total_seconds()) < 60


@pytest.mark.parametrize(
    ("make", "content_type", "body"),
    [
        (lambda: web.Response(), None, b""),
        (lambda: web.Response(body=b"x"), "application/octet-stream", b"x"),
        (lambda: web.Response(body=bytearray(b"x")), "application/octet-stream", b"x"),
        (lambda: web.Response(body=memoryview(b"x")), "application/octet-stream", b"x"),
        (lambda: web.Response(text="é", charset="latin-1"), "text/plain; charset=latin-1", b"\xe9"),
        (
            lambda: web.Response(text="é", headers={"Content-Type": "text/x; charset=latin-1"}),
            "text/x; charset=latin-1",
            b"\xe9",
        ),
        (lambda: web.Response(body=b"x", content_type="image/png"), "image/png", b"x"),
        (lambda: web.json_response([1]), "application/json; charset=utf-8", b"[1]"),
        (lambda: web.json_response(text="2"), "application/json; charset=utf-8", b"2"),
        (
            lambda: web.json_bytes_response({}, dumps=lambda data: b"{}"),
            "application/json",
            b"{}",
        ),
        (lambda: web.Response(text="x" * 200_000), "text/plain; charset=utf-8", b"x" * 200_000),
    ],
)
async def test_bodies(setup: Setup, make: Any, content_type: str | None, body: bytes) -> None:
    answer = await answer_of(setup, always(make))
    assert answer.header("content-type") == content_type
    assert answer.header("content-length") == str(len(body))
    assert answer.body == body


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: web.Response(body=b"", text=""), ValueError),
        (lambda: web.Response(text=b"x"), TypeError),
        (lambda: web.Response(body=object()), ValueError),
        (lambda: web.Response(text="", content_type="text/x; charset=a"), ValueError),
        (
            lambda: web.Response(text="", content_type="a/b", headers={"Content-Type": "a/c"}),
            ValueError,
        ),
        (lambda: web.Response(charset="a", headers={"Content-Type": "a/c"}), ValueError),
        (lambda: web.Response(reason="a\r\nb"), ValueError),
        (lambda: web.json_response(1, text="1"), ValueError),
        (lambda: web.json_bytes_response(1, dumps=bytes, body=b"1"), ValueError),
    ],
)
def test_arguments_that_contradict_each_other(make: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        make()


async def test_own_headers_come_first_and_win(setup: Setup) -> None:
    headers = {"X-Own": "1", "Server": "mine", "Date": "today"}
    answer = await answer_of(setup, always(lambda: web.Response(text="x", headers=headers)))
    assert names(answer) == ["content-type", "x-own", "server", "date", "content-length"]
    assert (answer.header("server"), answer.header("date")) == ("mine", "today")


async def test_reason(setup: Setup) -> None:
    app = app_of(always(lambda: web.Response(status=299, reason="Fine")))
    async with setup.serve(app) as site:
        answer = await (await site.connect()).fetch()
        assert answer.status == 299
        if not setup.is_h2:
            octets = await site.send_octets(b"GET / HTTP/1.0\r\n\r\n")
            assert octets.startswith(b"HTTP/1.1 299 Fine\r\n")


async def test_connections_of_http10_clients() -> None:
    """RFC 9112 appendix C.2.2: they live on only if both sides say so, and the end of the
    body can be seen."""

    async def closing(request: web.Request) -> web.Response:
        response = web.Response()
        response.force_close()
        return response

    async def failing(request: web.Request) -> web.Response:
        raise KeyError

    async def streaming(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"x")
        return response

    async def special(request: web.Request) -> web.Response:
        return web.Response(headers={"X-Special": "1"})

    app = web.Application()
    for handler in (closing, failing, streaming, special):
        app.router.add_get("/" + handler.__name__, handler)
    async with Setup("http/1.1", "native").serve(app) as site:
        ask = "GET /{} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".format
        last = b"GET /special HTTP/1.0\r\n\r\n"
        for name in ("closing", "failing", "streaming"):
            octets = await site.send_octets(ask(name).encode() + last)
            assert octets.count(b"HTTP/1.1 ") == 1
            assert octets.count(b"\r\nConnection: ") == 1
            assert b"\r\nConnection: close\r\n" in octets
        octets = await site.send_octets(ask("special").encode() + last)
        first, second = octets.split(b"HTTP/1.1 ")[1:]
        assert b"\r\nConnection: keep-alive\r\n" in first
        assert b"\r\nConnection: close\r\n" in second


async def test_a_response_of_ones_own_is_prepared_once(setup: Setup) -> None:
    prepared = []

    class Own(web.StreamResponse):
        async def prepare(self, request: web.BaseRequest) -> None:
            prepared.append(request)
            await super().prepare(request)

    async def handler(request: web.Request) -> web.StreamResponse:
        response = Own()
        await response.prepare(request)
        await response.write(b"x")
        return response

    assert (await answer_of(setup, handler)).body == b"x"
    assert len(prepared) == 1


async def test_transfer_encoding_among_the_headers(setup: Setup) -> None:
    """Of a response that is passed on, say: the framing is that of this connection."""
    handler = always(lambda: web.Response(text="x", headers={"Transfer-Encoding": "chunked"}))
    answer = await answer_of(setup, handler)
    assert (answer.status, answer.body) == (200, b"x")
    assert answer.header("transfer-encoding") == (None if setup.is_h2 else "chunked")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("status", [200, 204, 304, 404])
async def test_responses_without_content(setup: Setup, method: str, status: int) -> None:
    """RFC 9110 section 6.4.1; what HEAD gets says what GET would."""
    handler = always(lambda: web.Response(status=status, text="content"))
    answer = await answer_of(setup, handler, method)
    assert answer.status == status
    assert answer.body == (b"content" if method == "GET" and status in (200, 404) else b"")
    assert answer.header("content-length") == ("7" if status in (200, 404) else None)


async def test_a_head_request_for_a_stream(setup: Setup) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"dropped")
        return response

    async with setup.serve(app_of(handler)) as site:
        client = await site.connect()
        assert (await client.fetch("HEAD")).body == b""
        assert (await client.fetch("GET")).body == b"dropped"


async def test_cookies(setup: Setup) -> None:
    def make() -> web.Response:
        response = web.Response(text="x")
        response.set_cookie("a", "b c", max_age=3, httponly=True, samesite="Lax")
        response.set_cookie("p", "1", secure=True, partitioned=True, path="/x", domain="d.test")
        response.del_cookie("z")
        return response

    answer = await answer_of(setup, always(make))
    values = [value for name, value in answer.headers if name.lower() == "set-cookie"]
    assert values == [
        'a="b c"; HttpOnly; Max-Age=3; Path=/; SameSite=Lax',
        "p=1; Domain=d.test; partitioned; Path=/x; Secure",
        'z=""; expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/',
    ]


@pytest.mark.parametrize(
    ("field", "tag"),
    [
        ('"a"', ETag("a")),
        ('W/"a"', ETag("a", is_weak=True)),
        ('""', ETag("")),
        ("*", ETag("*")),
        *((damaged, None) for damaged in ("", '"', "a", "W/a", 'w/"a"', '"a"b"', '"a", "b"', "W/")),
    ],
)
def test_entity_tags(field: str, tag: ETag | None) -> None:
    """RFC 9110 section 8.8.3."""
    assert web.Response(headers={"ETag": field}).etag == tag


@pytest.mark.parametrize("field", ["", "jpeg", "a/b/c", "text/html, text/plain", "; charset=x"])
def test_what_is_no_media_type_may_be_anything(field: str) -> None:
    """RFC 9110 section 8.3."""
    response = web.Response(headers={"Content-Type": field})
    assert response.content_type == "application/octet-stream"


async def test_head_alone_tells_no_length(setup: Setup) -> None:
    """RFC 9110 section 8.6: nobody knows what GET would say."""

    async def plain(request: web.Request) -> web.Response:
        return web.Response()

    async def special(request: web.Request) -> web.Response:
        return web.Response(headers={"X-Special": "1"})

    async def streamed(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        return response

    app = web.Application()
    app.router.add_head("/plain", plain)
    app.router.add_head("/special", special)
    app.router.add_head("/streamed", streamed)
    async with setup.serve(app) as site:
        client = await site.connect()
        for target in ("/plain", "/special", "/streamed"):
            answer = await client.fetch("HEAD", target)
            assert (answer.status, answer.body) == (200, b"")
            assert answer.header("content-length") is None


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({}, "text/plain; charset=utf-8"),
        ({"headers": {"X-A": "1"}}, "text/plain; charset=utf-8"),
        ({"content_type": "application/json"}, "application/json"),
        ({"headers": {"Content-Type": "text/html"}}, "text/html"),
    ],
)
async def test_text_as_body(setup: Setup, given: Any, kind: str) -> None:
    answer = await answer_of(setup, always(lambda: web.Response(body='"é"', **given)))
    assert answer.body == '"é"'.encode()
    assert answer.header("content-type") == kind
    assert answer.header("content-length") == "4"


def test_bodies_that_are_no_octets() -> None:
    for body in (io.BytesIO(b"file"), BytesPayload(b"x")):
        with pytest.raises(NotImplementedError, match="as a body"):
            web.Response(body=body)
    with pytest.raises(ValueError, match="Unsupported"):
        web.Response(body=7)


def test_what_a_response_says_of_itself() -> None:
    response = web.Response(text="x")
    assert (response.status, response.reason, response.prepared) == (200, "OK", False)
    assert (response.content_type, response.charset) == ("text/plain", "utf-8")
    assert response.content_length == 1
    response.content_type = "text/html"
    response.charset = "latin-1"
    assert response.headers["Content-Type"] == "text/html; charset=latin-1"
    response.text = "é"
    assert response.body == b"\xe9"
    assert response.text == "é"
    response.body = None
    assert response.text is None
    assert response.content_length == 0
    response.set_status(404)
    assert response.reason == "Not Found"
    response.etag = "a"
    assert response.headers["ETag"] == '"a"'
    response.etag = ETag("b", is_weak=True)
    assert response.headers["ETag"] == 'W/"b"'
    assert response.etag == ETag("b", is_weak=True)
    response.etag = "*"
    assert response.etag == ETag("*")
    with pytest.raises(ValueError, match="entity tag"):
        response.etag = 'a"b'
    with pytest.raises(ValueError, match="Unsupported"):
        response.etag = 3  # type: ignore[assignment]  # that is the point
    response.etag = None
    assert response.etag is None
    response.last_modified = 784111776.5
    assert response.headers["Last-Modified"] == "Sun, 06 Nov 1994 08:49:37 GMT"
    response.last_modified = datetime(1994, 11, 6, 8, 49, 36, 1)
    assert response.last_modified == datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)
    response.last_modified = None
    assert response.last_modified is None
    with pytest.raises(RuntimeError):
        response.content_length = 3
    with pytest.raises(RuntimeError, match="charset"):
        web.StreamResponse().charset = "utf-8"
    assert bool(response)
    assert response == response
    assert response != web.Response(text="x")
    response["key"] = 1
    assert dict(response) == {"key": 1}


async def test_a_response_can_be_sent_again(setup: Setup) -> None:
    """A plain one; one that holds the state of its request is an error of the program."""
    plain, special = web.Response(text="again"), web.Response(text="x", headers={"a": "b"})

    async def handler(request: web.Request) -> web.Response:
        return special if "special" in request.query else plain

    async with setup.serve(app_of(handler)) as site:
        client = await site.connect()
        for _ in range(2):
            assert (await client.fetch()).body == b"again"
        assert (await client.fetch(target="/?special")).status == 200
        assert (await client.fetch(target="/?special")).status == 500


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
        with pytest.raises(RuntimeError, match="after write_eof"):
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
        answer = await site.send_octets(b"GET / HTTP/1.0\r\n\r\n")
        head, _, body = answer.partition(b"\r\n\r\n")
        assert body == b"abc"
        assert b"chunked" not in head
        answer = await site.send_octets(b"GET /chunked HTTP/1.0\r\n\r\n")
        assert answer.endswith(b"refused")


async def test_misuse(setup: Setup) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        with pytest.raises(RuntimeError, match="before prepare"):
            await response.write(b"x")
        with pytest.raises(RuntimeError, match="not been started"):
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


@pytest.mark.parametrize("size", [2, 4])
async def test_a_body_that_is_not_as_long_as_announced(setup: Setup, size: int) -> None:
    """Attack S72: too much raises, too little cuts the response short."""

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = 3
        await response.prepare(request)
        await response.write(b"x" * size)
        return response

    async with setup.serve(app_of(handler)) as site:
        client = await site.connect()
        answer = client.request()
        await answer.broken()
        # The end of an HTTP/1.1 connection may overtake the head.
        assert answer.status in (200, 0)
        assert not site.exchanges()


async def test_too_much_is_told_to_the_handler(setup: Setup) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = 3
        await response.prepare(request)
        with pytest.raises(LocalProtocolError, match="Content-Length"):
            await response.write(b"xxxx")
        await response.write(b"abc")
        return response

    assert (await answer_of(setup, handler)).body == b"abc"


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
        answer = await site.send_octets(b"GET / HTTP/1.0\r\n\r\n")
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


# -- errors of the handler ----------------------------------------------------------------------------


async def fail(request: web.Request) -> web.Response:
    raise KeyError("<secret>")


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("accept", ["*/*", "text/html"])
async def test_a_handler_that_fails(
    setup: Setup, debug: bool, accept: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with setup.serve(app_of(fail), debug=debug) as site:
        client = await site.connect()
        answer = await client.fetch(headers=[("accept", accept)])
        assert answer.status == 500
        kind = "text/html" if accept == "text/html" else "text/plain"
        assert answer.header("content-type") == f"{kind}; charset=utf-8"
        body = answer.body.decode()
        assert "500 Internal Server Error" in body
        assert ("Traceback" in body) == debug
        assert ("secret" in body) == debug
        assert "<secret>" not in body or accept != "text/html"
        if not setup.is_h2:
            await client.wait_closed()
    assert [record.getMessage() for record in caplog.records] == [
        "Error handling request from 127.0.0.1"
    ]
    assert caplog.records[0].exc_info is not None
    # What gathers errors tells them apart by the message without the client's address.
    assert caplog.records[0].msg == "Error handling request from %s"


async def test_a_handler_that_times_out(setup: Setup) -> None:
    async def handler(request: web.Request) -> web.Response:
        async with asyncio.timeout(0):
            await asyncio.Event().wait()
        return web.Response()

    answer = await answer_of(setup, handler)
    assert (answer.status, answer.body) == (504, b"")


@pytest.mark.parametrize("value", [None, "text"])
async def test_a_handler_that_returns_no_response(setup: Setup, value: Any) -> None:
    async def handler(request: web.Request) -> Any:
        return value

    answer = await answer_of(setup, handler)
    assert (answer.status, answer.body) == (500, b"500: Internal Server Error")


async def test_a_handler_that_fails_behind_the_head(setup: Setup) -> None:
    """The response is cut short: what came must not look complete."""

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"half")
        raise KeyError("x")

    async with setup.serve(app_of(handler)) as site:
        client = await site.connect()
        answer = client.request()
        await answer.broken()
        assert answer.status in (200, 0)
        assert answer.body in (b"half", b"")
        assert not site.exchanges()


async def test_a_handler_that_is_cancelled(setup: Setup) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        raise asyncio.CancelledError

    async with setup.serve(app_of(handler)) as site:
        client = await site.connect()
        await client.request().broken()
        assert not site.exchanges()


async def test_raised_and_returned_responses(setup: Setup) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            raise web.HTTPFound("/there?a=b", headers={"X-A": "1"}, text="go")
        with pytest.warns(DeprecationWarning, match="raise the exception"):
            request.protocol._check_response(web.HTTPGone(), request)
        raise web.HTTPNoContent

    async with setup.serve(app_of(handler)) as site:
        client = await site.connect()
        answer = await client.fetch()
        assert (answer.status, answer.body) == (302, b"go")
        assert (answer.header("location"), answer.header("x-a")) == ("/there?a=b", "1")
        answer = await client.fetch("POST")
        assert (answer.status, answer.body) == (204, b"")


# -- unread content -------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1000, 100_000])
async def test_unread_content_is_no_request(setup: Setup, size: int) -> None:
    """Attacks S9, S10: it is drained, and the connection goes on."""
    body = b"GET /evil HTTP/1.1\r\nHost: a\r\n\r\n" * (size // 30)
    async with setup.serve(app_of(always(lambda: web.Response(text="early")))) as site:
        client = await site.connect()
        for _ in range(3):
            answer = await client.fetch("POST", "/", [], body)
            assert answer.body == b"early"
        assert site.server.requests_count == 3


async def test_an_early_answer_while_the_client_sends(setup: Setup) -> None:
    """RFC 9113 section 8.1, RFC 9112 section 9.6."""
    async with setup.serve(app_of(always(lambda: web.Response(text="early")))) as site:
        client = await site.connect()
        answer = client.request("POST", "/", (), b"x" * 10, end=False)
        await answer.head_came.wait()
        await answer.ended.wait()
        assert (answer.status, answer.body) == (200, b"early")
        assert not site.exchanges()
