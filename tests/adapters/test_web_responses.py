"""What goes back to the client: a whole response."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from plait import web
from plait.helpers import ETag
from plait.http import SERVER_SOFTWARE
from tests.adapters.web_handlers import always, answer_of, names
from tests.adapters.web_peer import Setup, app_of

pytestmark = pytest.mark.anyio


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
            data = await site.send_raw(b"GET / HTTP/1.0\r\n\r\n")
            assert data.startswith(b"HTTP/1.1 299 Fine\r\n")


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
            data = await site.send_raw(ask(name).encode() + last)
            assert data.count(b"HTTP/1.1 ") == 1
            assert data.count(b"\r\nConnection: ") == 1
            assert b"\r\nConnection: close\r\n" in data
        data = await site.send_raw(ask("special").encode() + last)
        first, second = data.split(b"HTTP/1.1 ")[1:]
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


def test_a_body_that_nothing_is_registered_for() -> None:
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
    with pytest.raises(ValueError, match="not a valid etag"):
        response.etag = 'a"b'
    with pytest.raises(ValueError, match="Unsupported"):
        response.etag = 3  # type: ignore[assignment]  # that is the point
    with pytest.raises(ValueError, match="etag"):
        response.etag = ETag(123)  # type: ignore[arg-type]  # likewise
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
    with pytest.warns(web.NotAppKeyWarning, match="ResponseKey") as caught:
        response["key"] = 1
    assert caught[0].filename == __file__
    type(response)._warned.discard("key")
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


async def test_misuse_is_an_assertion_error_too() -> None:
    """As programs expect it from aiohttp, which asserts."""
    response = web.StreamResponse()
    for misuse in (response.write_eof, response.drain):
        with pytest.raises(RuntimeError, match="not prepared") as raised:
            await misuse()
        assert isinstance(raised.value, AssertionError)
    for wrong in (
        lambda: setattr(web.Response(), "text", b"x"),
        lambda: response.enable_compression("gzip"),  # type: ignore[arg-type]  # that is the misuse
    ):
        with pytest.raises(TypeError) as wrong_type:
            wrong()
        assert isinstance(wrong_type.value, AssertionError)
