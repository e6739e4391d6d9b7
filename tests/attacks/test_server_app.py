"""Attacks on a ``web.Application``: what its engine lets through and its own parts read.

A row is an id of the list of attacks, and what makes the row.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from plait import web
from plait_engine.policy.cookies import unquote_value
from tests.adapters.web_peer import Setup, app_of
from tests.conftest import Authority
from tests.serving import serve

pytestmark = pytest.mark.anyio

H1 = Setup("http/1.1", "native")
H2 = Setup("h2", "native")


def request(*fields: bytes, line: bytes = b"GET / HTTP/1.1", body: bytes = b"") -> bytes:
    """Join a request that ends the connection."""
    every = [line, b"Host: a", b"Connection: close", *fields]
    return b"\r\n".join(every) + b"\r\n\r\n" + body


def post(content_type: bytes, body: bytes) -> bytes:
    return request(
        b"Content-Type: " + content_type,
        b"Content-Length: %d" % len(body),
        line=b"POST / HTTP/1.1",
        body=body,
    )


async def answer_to(data: bytes, app: Any) -> tuple[int, bytes, bytes]:
    """Serve one connection; return status, head and body of the only answer."""
    async with H1.serve(app) as site:
        answer = await site.send_raw(data)
    assert answer.count(b"HTTP/1.1 ") == 1, answer
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), head, body


# -- what the handler reads -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(request(b"__proto__: x", b"constructor: y", b"__class__: z"), 200, id="S63"),
        pytest.param(request(b"X: \xff\xfe", b"Cookie: \xff=\xfe"), 200, id="S64-fields"),
        pytest.param(post(b"text/plain; charset=\xff", b"x"), 415, id="C18-charset-bytes"),
        pytest.param(post(b"text/plain; charset=nope", b"x"), 415, id="C18-charset-unknown"),
        pytest.param(post(b"text/plain; charset=base64", b"x"), 415, id="C18-charset-codec"),
        pytest.param(post(b"text/plain; charset=undefined", b"x"), 415, id="C18-charset-none"),
        pytest.param(post(b'text/plain; charset="', b"x"), 415, id="C18-charset-quote"),
        pytest.param(post(b"text/plain; charset=", b"x"), 200, id="C18-charset-empty"),
        pytest.param(post(b";" * 5000, b"x"), 200, id="C18-semicolons"),
        pytest.param(post(b"a/b; charset*9999999999=x", b"x"), 200, id="C18-continuation"),
        pytest.param(request(b'Cookie: a="' + b"\\\\" * 4000 + b'"'), 200, id="A40-backslashes"),
        pytest.param(request(b"Cookie: " + b"a=;" * 2600), 200, id="A40-many"),
        pytest.param(request(b'Cookie: ; =x; a; ="\\; a="\\'), 200, id="A40-odd"),
    ],
)
async def test_fields_are_plain_data(
    data: bytes, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(request: web.Request) -> web.Response:
        await request.text()
        return web.Response(text=repr([dict(request.cookies), request.content_type, request.host]))

    got, _, _ = await answer_to(data, app_of(handler))
    assert got == status
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize(
    "date",
    [
        b"Thu, 01 Jan 99999999999999999999999 00:00:00 GMT",
        b"Thu, 31 Feb 2020 00:00:00 GMT",
        b"Thu, 01 Jan 2020 99:99:99 GMT",
        b"1 1 1 1:1:1 +99999999999999999",
        "\u0660\u0661".encode(),
        b"(" * 8000,
        b"junk",
    ],
)
async def test_a11_dates_that_are_none(date: bytes) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=str(request.if_modified_since))

    data = request(b"If-Modified-Since: " + date)
    assert (await answer_to(data, app_of(handler)))[2] == b"None"


@pytest.mark.parametrize(
    "host", ["[v1.x]", "%41%00", "a..b", ".", "-", "a:", "a:0", "1.2.3.4.5", "a" * 300]
)
async def test_s54_what_is_a_host_makes_a_url(host: str) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=str(request.url))

    data = f"GET /x HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
    status, _, body = await answer_to(data, app_of(handler, "/x"))
    assert status == 200
    assert body.startswith(b"http://")


async def test_s63_special_names_are_names() -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=request.headers["__Class__"] + request.headers["__proto__"])

    data = request(b"__proto__: x", b"constructor: y", b"__class__: z")
    assert (await answer_to(data, app_of(handler)))[2] == b"zx"


async def test_a40_cookies_that_cannot_be_read_are_left_out() -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=repr(sorted(request.cookies.items())))

    data = request(b"Cookie: bad; =nameless; a=1; =__Host-b=2; a=3")
    assert (await answer_to(data, app_of(handler)))[2] == b"[('a', '1'), ('bad', '')]"


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        pytest.param("", b"a;a;a=1;b=2", 200, id="A71-semicolon-is-no-separator"),
        pytest.param("", b"&" * 900_000, 413, id="A71-many-empty"),
        pytest.param("", b"a=1&" * 2_000, 413, id="A71-many"),
        pytest.param("", b"a=%zz&b=%ff&%", 200, id="A71-odd"),
        pytest.param("", b"x" * 1_100_000, 413, id="Z7-too-large"),
        pytest.param("; charset=undefined", b"a=1", 415, id="A71-charset"),
    ],
)
async def test_forms(content_type: str, body: bytes, status: int) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=str(len(await request.post())))

    full = f"application/x-www-form-urlencoded{content_type}".encode()
    got, _, answer = await answer_to(post(full, body), app_of(handler))
    assert got == status
    if body.startswith(b"a;"):
        assert answer == b"1"


@pytest.mark.parametrize("items", [";", ';"', ';\\"', '";', "; charset*0=x"])
def test_c18_a_content_type_costs_what_it_is_long(items: str) -> None:
    """If it cost the square of that, nobody would wait for this test to end."""
    response = web.Response(headers={"Content-Type": "a/b" + items * 200_000})
    assert response.charset is None
    assert response.content_type.startswith(("a/b", "text/plain"))


def test_a40_a_quoted_cookie_costs_what_it_is_long() -> None:
    """Likewise."""
    assert unquote_value('"' + "\\\\" * 400_000 + '"') == "\\" * 400_000


# -- what the handler sends -----------------------------------------------------------------


@pytest.mark.parametrize("attribute", ["domain", "path", "samesite", "expires", "max_age"])
@pytest.mark.parametrize("value", ["x; HttpOnly", "x\r\nA: b", "x\n", "\r", "x\0", "x\x7f"])
def test_a42_cookie_attributes_cannot_become_more(attribute: str, value: str) -> None:
    response = web.Response()
    # http.cookies.CookieError, as for names; typeshed cannot know which argument it is.
    options: dict[str, Any] = {attribute: value}
    with pytest.raises(Exception, match="illegal character in the attribute"):
        response.set_cookie("name", "value", **options)


@pytest.mark.parametrize("name", ["", "a b", "a;b", "a=b", "a\r\nX: y", "a\0"])
def test_a42_cookie_names(name: str) -> None:
    with pytest.raises(Exception, match="Illegal key"):
        web.Response().set_cookie(name, "value")


@pytest.mark.parametrize("value", ["x; HttpOnly", "x\r\nA: b", "x\0", 'q"'])
async def test_a42_cookie_values_are_quoted(value: str) -> None:
    async def handler(request: web.Request) -> web.Response:
        response = web.Response()
        response.set_cookie("name", value)
        return response

    _, head, _ = await answer_to(request(), app_of(handler))
    (line,) = [line for line in head.split(b"\r\n") if line.startswith(b"Set-Cookie: ")]
    assert line.count(b";") == 1, "only Path"


@pytest.mark.parametrize("location", ["/a\r\nX: y", "/\u010aX: y", "/<script>", "http://x/\0"])
async def test_a27_a_location_is_a_url(location: str) -> None:
    async def handler(request: web.Request) -> web.Response:
        raise web.HTTPFound(location)

    status, head, body = await answer_to(request(), app_of(handler))
    assert status == 302
    assert b"\r\nX: y" not in head
    assert b"<script>" not in head + body


@pytest.mark.parametrize("reason", ["OK\r\nSet-Cookie: evil=1", "OK\r", "a\nb", "\0"])
async def test_s71_reasons(reason: str) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(reason=reason)

    status, head, _ = await answer_to(request(), app_of(handler))
    assert status == 500
    assert b"evil" not in head


async def test_s71_a_reason_in_a_page_is_escaped() -> None:
    async def handler(request: web.Request) -> web.Response:
        raise web.HTTPBadRequest(reason="<script>")

    _, head, body = await answer_to(request(b"Accept: text/html"), app_of(handler))
    assert b"\r\nContent-Type: text/plain" in head or b"<script>" not in body


async def test_a74_the_text_of_an_error_reaches_nobody() -> None:
    async def handler(request: web.Request) -> web.Response:
        raise RuntimeError(f"<script>{request.path}")

    data = request(b"Accept: text/html", line=b"GET / HTTP/1.1")
    status, head, body = await answer_to(data, app_of(handler))
    assert status == 500
    assert b"script" not in body
    assert b"\r\nContent-Type: text/html" in head


# -- paths ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        "//evil.test",
        "///evil.test",
        "//evil.test/..%2f",
        "/\\evil.test",
        "/\\\\evil.test",
        "/%5cevil.test",
        "/%09/evil.test",
        "/%2fevil.test",
        "http://a//evil.test",
    ],
)
async def test_a26_normalized_paths_stay_on_their_host(target: str) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response()

    app = web.Application(middlewares=[web.normalize_path_middleware()])
    app.router.add_get("/{name}/", handler)
    app.router.add_get("/{name}/{more}/", handler)
    _, head, _ = await answer_to(request(line=f"GET {target} HTTP/1.1".encode()), app)
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"location: "):
            path = line[10:]
            # A browser takes "\" for "/" in a Location.
            assert path[:1] == b"/"
            assert path[1:2] not in (b"/", b"\\")


# -- methods and expectations -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(request(b"Cookie: secret", line=b"TRACE / HTTP/1.1"), 405, id="S85-trace"),
        pytest.param(request(line=b"CONNECT a:1 HTTP/1.1"), 501, id="S85-connect"),
        pytest.param(request(line=b"OPTIONS * HTTP/1.1"), 204, id="S56-asterisk"),
        pytest.param(request(line=b"_INTERNAL / HTTP/1.1"), 405, id="A72"),
        pytest.param(request(line=b"__init__ / HTTP/1.1"), 405, id="A72-dunder"),
        pytest.param(request(b"Expect: foo"), 417, id="S84-unknown"),
        pytest.param(request(b"Expect: 100-continue, 100-continue"), 417, id="S84-twice"),
        pytest.param(request(b"Expect: y 100-continue"), 417, id="S84-prefix"),
        pytest.param(
            request(b"Expect: y 100-continue", b"Content-Length: 4", body=b"GET "),
            417,
            id="S84-prefix-and-content",
        ),
        pytest.param(request(b"Expect: 100-continue"), 200, id="S84-without-content"),
    ],
)
async def test_methods_and_expectations(data: bytes, status: int) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text="ok")

    app = web.Application()
    app.router.add_get("/", handler)
    got, head, body = await answer_to(data, app)
    assert got == status
    assert b"secret" not in head + body


async def test_s65_what_a_client_writes_is_escaped_in_logs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=request.path)

    caplog.set_level(logging.DEBUG)
    app = app_of(handler, "/{any:.*}")
    async with H1.serve(app, access_log=logging.getLogger("access")) as site:
        for agent in (b"\xff", b"\xc2\x9b2J", b'" 200 0 "', "\u2028\u202e".encode()):
            data = request(b"User-Agent: " + agent, line=b'GET /%1b[2J%0d%0a" HTTP/1.1')
            await site.send_raw(data)
        await site.send_raw(b"GET /\x1b[2J HTTP/1.1\r\nHost: a\r\n\r\n")
    assert caplog.records
    for record in caplog.records:
        line = record.getMessage()
        assert line.isprintable(), line
        assert record.name != "access" or line.replace('\\"', "").count('"') == 6, line


# -- requests that nobody wants ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "status"),
    [("POST /nothing", 404), ("POST /", 405), ("DELETE /", 405), ("GET /moved", 302)],
)
@pytest.mark.parametrize("size", [100, 200_000, 400_000])
@pytest.mark.parametrize("chunked", [False, True])
async def test_s9_content_of_a_request_that_is_declined_is_no_request(
    line: str, status: int, size: int, chunked: bool
) -> None:
    """It is drained, up to ``Limits.max_drain``; else the connection ends."""
    asked: list[str] = []

    @web.middleware
    async def note(request: web.Request, handler: Any) -> Any:
        asked.append(request.path)
        return await handler(request)

    async def handler(request: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def moved(request: web.Request) -> web.Response:
        raise web.HTTPFound("/")

    app = web.Application(middlewares=[note])
    app.router.add_get("/", handler)
    app.router.add_get("/moved", moved)
    evil = b"GET /evil HTTP/1.1\r\nHost: a\r\n\r\n"
    content = evil * (size // len(evil))
    framing = b"Content-Length: %d" % len(content)
    if chunked:
        framing = b"Transfer-Encoding: chunked"
        content = b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content)
    first = f"{line} HTTP/1.1\r\nHost: a\r\n".encode() + framing + b"\r\n\r\n" + content
    async with H1.serve(app) as site:
        answer = await site.send_raw(first + request())
    statuses = [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]
    assert statuses == ([status, 200] if size <= 262_144 else [status])
    assert "/evil" not in asked


async def test_s55_the_target_says_which_host() -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=f"{request.host} {request.url}")

    data = request(line=b"GET http://other.test/x HTTP/1.1")
    _, _, body = await answer_to(data, app_of(handler, "/x"))
    assert body == b"other.test http://other.test/x"


@pytest.mark.parametrize(
    "protocols", [b"\xff", b"a\xc3\xa9", b"b" + b" " * 8000 + b"x", b",,", b"a b"]
)
async def test_s64_w14_subprotocols_that_are_none(protocols: bytes) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        websocket = web.WebSocketResponse(protocols=("chat",))
        await websocket.prepare(request)
        await websocket.close()
        return websocket

    data = (
        b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        b"Sec-WebSocket-Protocol: " + protocols + b"\r\n\r\n"
    )
    # A masked Close 1000 ends it, if it began.
    data += b"\x88\x82\0\0\0\0\x03\xe8"
    async with H1.serve(app_of(handler)) as site:
        answer = await site.send_raw(data)
        assert answer[9:12] in (b"101", b"400")
        assert b"Sec-WebSocket-Protocol" not in answer
        assert (await (await site.connect()).fetch("GET", "/")).status == 400, "the server lives"


async def test_s83_reading_and_writing_at_once() -> None:
    size = 1_000_000

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)

        async def read() -> int:
            total = 0
            async for piece in request.content.iter_any():
                total += len(piece)
            return total

        async def write() -> None:
            for _ in range(10):
                await response.write(b"x" * (size // 10))

        total, _ = await asyncio.gather(read(), write())
        assert total == size
        return response

    for setup in (H1, H2):
        async with setup.serve(app_of(handler)) as site:
            answer = await (await site.connect()).fetch("POST", "/", (), b"y" * size)
            assert answer.body == b"x" * size


async def test_s79_what_a_handler_opens_is_closed_when_the_client_goes() -> None:
    opened = 0
    written = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal opened
        opened += 1
        try:
            response = web.StreamResponse()
            await response.prepare(request)
            while True:
                await response.write(b"x" * 100_000)
                written.set()
        finally:
            opened -= 1

    for setup in (H1, H2):
        async with setup.serve(app_of(handler)) as site:
            for _ in range(20):
                written.clear()
                client = await site.connect()
                client.request(hold=True)
                await asyncio.wait_for(written.wait(), 20)
                await site.close(client)
        assert opened == 0, "the server's end waits for handlers"


# -- who is asked, and over what ----------------------------------------------------------------


async def test_a75_what_only_a_proxy_may_say_is_not_believed() -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=f"{request.url} {request.remote} {request.secure}")

    data = request(
        b"X-Forwarded-For: 10.0.0.1",
        b"X-Forwarded-Proto: https",
        b"X-Forwarded-Host: evil.test",
        b"Forwarded: for=10.0.0.1;proto=https;host=evil.test",
        b"X-Real-IP: 10.0.0.1",
    )
    _, _, body = await answer_to(data, app_of(handler))
    assert body == b"http://a/ 127.0.0.1 False"


async def test_t74_the_scheme_is_that_of_the_connection() -> None:
    """RFC 9110 section 7.4: what a client claims makes nothing secure."""

    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=f"{request.scheme} {request.secure}")

    data = request(line=b"GET https://a/ HTTP/1.1")
    assert (await answer_to(data, app_of(handler)))[2] == b"http False"


@pytest.mark.parametrize("protocols", [[], ["http/1.1"], ["other"]])
async def test_t81_http2_over_tls_needs_alpn(protocols: list[str], authority: Authority) -> None:
    """RFC 9113 section 3.2."""

    async def handler(request: web.Request) -> web.Response:
        return web.Response()

    async with serve(app_of(handler), authority.server_context()) as served:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", served.port, ssl=authority.client_context(*protocols)
        )
        writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
        assert (await asyncio.wait_for(reader.read(), 20)).startswith(b"HTTP/1.1 505 ")
        writer.close()
