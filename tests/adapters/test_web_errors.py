"""What goes back to the client when the handler fails, or leaves content unread."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest

import plait
from plait import web
from tests.adapters.web_handlers import always, answer_of, ask
from tests.adapters.web_peer import Setup, app_of
from tests.serving import serve

pytestmark = pytest.mark.anyio


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


async def test_a_logger_needs_no_more_than_methods(setup: Setup) -> None:
    """gunicorn's logger has no levels that could be asked for."""
    logged: list[str] = []

    class Logger:
        def debug(self, message: str, *args: Any, **_: Any) -> None:
            logged.append("debug")

        def exception(self, message: str, *args: Any, **_: Any) -> None:
            logged.append("exception")

    async def handler(request: web.Request) -> web.Response:
        if request.method == "GET":
            raise ZeroDivisionError
        await request.read()
        return web.Response()

    async with setup.serve(app_of(handler), logger=Logger()) as site:
        client = await site.connect()
        assert (await client.fetch("GET", "/")).status == 500
        client = await site.connect()
        client.request("POST", "/", end=False)
        await site.close(client)
    assert logged.count("exception") == 1
    assert "debug" in logged


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


@pytest.mark.parametrize(
    ("make", "status", "body"),
    [
        (lambda: web.HTTPForbidden(text="no"), 403, "no"),
        (TimeoutError, 504, ""),
        (
            lambda: RuntimeError("secret"),
            500,
            "500 Internal Server Error\n\nServer got itself in trouble",
        ),
    ],
    ids=["http", "timeout", "bug"],
)
async def test_what_handlers_raise(
    setup: Setup, make: Any, status: int, body: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(request: web.Request) -> web.Response:
        raise make()

    app = web.Application()
    app.router.add_get("/", handler)
    caplog.set_level(logging.CRITICAL, "plait.server")
    async with setup.serve(app) as site:
        client = await site.connect()
        found, content = await ask(client, "GET", "/")
        assert found == status
        assert content.startswith(body)
        assert "secret" not in content


async def test_a_body_that_is_too_large_is_413(setup: Setup) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    app = web.Application(client_max_size=10)
    app.router.add_post("/", handler)
    async with setup.serve(app) as site:
        client = await site.connect()
        for body, status in ((b"x" * 10, 200), (b"x" * 11, 413), (b"again", 200)):
            answer = await client.fetch("POST", body=body)
            assert answer.status == status
        assert answer.body == b"again"


# -- errors of the client -------------------------------------------------------------------------------


async def get_range(request: web.Request) -> slice:
    return request.http_range


FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("read", "kind", "body"),
    [
        (web.Request.json, "application/json", b"{bad"),
        (web.Request.json, "application/json", b""),
        (web.Request.json, "application/json", b"[" * 100_000),
        (web.Request.json, "application/json", b"\xff"),
        (web.Request.text, "text/plain; charset=utf-16", b"x"),
        (web.Request.text, "text/plain; charset=idna", b"xn--a"),
        (web.Request.post, FORM, b"a=\xff"),
        (get_range, "text/plain", b""),
    ],
)
async def test_content_that_cannot_be_read_is_400(
    setup: Setup, read: Any, kind: str, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Unless the handler does something about it: it sees the error that it would expect."""
    seen: list[Exception] = []

    async def handler(request: web.Request) -> web.Response:
        try:
            await read(request)
        except (ValueError, RecursionError) as error:
            seen.append(error)
            if "caught" in request.query:
                return web.Response(text="caught")
            raise
        return web.Response()

    headers = (("Content-Type", kind), ("Range", "bytes=9-1"))
    async with setup.serve(app_of(handler)) as site:
        client = await site.connect()
        answer = await client.fetch("POST", "/", headers, body)
        assert answer.status == 400
        assert answer.body.startswith(b"400: Bad Request: ")
        assert len(answer.body) < 1000
        assert (await client.fetch("POST", "/?caught", headers, body)).body == b"caught"
    assert len(seen) == 2
    assert not caplog.records


async def test_an_error_of_the_handlers_own_is_500(
    setup: Setup, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.json_response(json.loads("{bad"))

    assert (await answer_of(setup, handler)).status == 500
    assert len(caplog.records) == 1


@pytest.mark.parametrize("read", [web.Request.json, web.Request.read])
async def test_errors_of_the_client_behind_the_head_are_a_line(
    setup: Setup, read: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """It is too late for an answer.  What the client has sent is cut."""

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await read(request)
        return response

    body = b"{bad" if read is web.Request.json else b"x" * 101
    async with setup.serve(app_of(handler, "/{any:.*}", client_max_size=100)) as site:
        client = await site.connect()
        await client.request("POST", "/" + "x" * 2000, (), body).broken()
    [record] = caplog.records
    assert record.exc_info is None
    message = record.getMessage()
    assert message.startswith("The response to POST /xxx")
    assert "was cut short by " in message
    assert message.isascii()
    assert message.isprintable()
    assert len(message) < 500


async def test_a_message_of_the_wrong_kind_is_a_line(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await (socket.receive_json() if "json" in request.query else socket.receive_str())
        return socket

    async with (
        serve(app_of(handler)) as served,
        plait.ClientSession() as session,
    ):
        async with session.ws_connect(served.url) as socket:
            await socket.send_bytes(b"x")
            await socket.receive()
        async with session.ws_connect(served.url + "/?json") as socket:
            await socket.send_str("{bad")
            await socket.receive()
    assert [record.exc_info for record in caplog.records] == [None, None]
    assert ["cut short" in record.getMessage() for record in caplog.records] == [True, True]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"400"),
        (b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", b"400"),
        (b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", b"505"),
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", b"414"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 9000 + b"\r\n\r\n", b"431"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: foo\r\n\r\n", b"501"),
    ],
)
async def test_refused_requests_reach_no_handler(data: bytes, status: bytes) -> None:
    called: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        called.append(request.path)
        return web.Response()

    app = web.Application()
    app.router.add_route("*", "/{any:.*}", handler)
    async with serve(app) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        # Behind it a good request, which must not be answered.
        writer.write(data + b"GET /poison HTTP/1.1\r\nHost: a\r\n\r\n")
        writer.write_eof()
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        await writer.wait_closed()
    assert answer.split()[1] == status
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"connection: close" in answer.lower()
    assert called == []
