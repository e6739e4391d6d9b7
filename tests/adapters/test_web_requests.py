"""What a handler sees of a request, and the ways to read its content."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from yarl import URL

import plait
from plait import web
from plait.client_exceptions import ClientConnectionResetError
from plait.http_exceptions import LineTooLong
from plait.http_writer import HttpVersion
from plait.streams import EMPTY_PAYLOAD
from plait_engine import ErrorCode
from tests.adapters.web_peer import Setup, app_of
from tests.conftest import Authority
from tests.serving import serve

pytestmark = pytest.mark.anyio


class Probe:
    """A handler that runs ``look`` on the request and answers with what it returns."""

    def __init__(self, look: Any) -> None:
        self._look = look
        self.seen: Any = None

    async def __call__(self, request: web.Request) -> web.Response:
        seen = self._look(request)
        self.seen = await seen if asyncio.iscoroutine(seen) else seen
        return web.Response()


async def look_at(setup: Setup, look: Any, *args: Any, path: str = "/", **options: Any) -> Any:
    """Return what ``look`` returns for one request, which is answered with 200."""
    probe = Probe(look)
    async with setup.serve(app_of(probe, path)) as site:
        client = await site.connect()
        answer = await client.fetch(*args, **options)
        assert answer.status == 200, answer.body
    return probe.seen


# -- the connection ----------------------------------------------------------------------------


async def test_what_the_connection_tells(setup: Setup) -> None:
    def look(request: web.Request) -> None:
        protocol = request.protocol
        assert protocol.transport is request.transport
        assert protocol.peername == request.get_extra_info("peername")
        assert protocol.ssl_context is None
        assert protocol.keepalive_timeout == 7
        assert (protocol.max_line_size, protocol.max_headers) == (3000, 40)
        assert protocol.max_field_size == 2000
        assert protocol.writing_paused is False
        protocol.keep_alive(True)

    limits = {"max_line_size": 3000, "max_headers": 40, "max_field_size": 2000}
    async with setup.serve(app_of(Probe(look)), keepalive_timeout=7, **limits) as site:
        client = await site.connect()
        for _ in range(2):
            assert (await client.fetch()).status == 200


async def test_a_connection_that_is_not_to_be_kept_alive(setup: Setup) -> None:
    async with setup.serve(app_of(Probe(lambda r: r.protocol.keep_alive(False)))) as site:
        client = await site.connect()
        assert (await client.fetch()).status == 200
        await client.wait_closed()


async def test_a_context_of_tls(authority: Authority) -> None:
    context = authority.server_context()
    probe = Probe(lambda request: request.protocol.ssl_context)
    async with (
        serve(app_of(probe), context) as served,
        plait.request(
            "GET", served.url.replace("127.0.0.1", "localhost"), ssl=authority.client_context()
        ),
    ):
        pass
    assert probe.seen is context


async def test_writing_is_paused_while_nobody_reads() -> None:
    paused = asyncio.Event()

    async def fill(response: web.StreamResponse) -> None:
        while True:
            await response.write(bytes(2**20))

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        filling = asyncio.ensure_future(fill(response))
        while not request.protocol.writing_paused:
            await asyncio.wait({filling}, timeout=0.01)
        paused.set()
        with pytest.raises(ConnectionResetError):
            await filling
        assert request.protocol.writing_paused is False
        return response

    async with serve(app_of(handler)) as served:
        _, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await asyncio.wait_for(paused.wait(), 20)
        writer.transport.abort()


# -- the head ----------------------------------------------------------------------------------


async def test_head(setup: Setup) -> None:
    def look(request: web.Request) -> None:
        assert request.method == "PUT"
        assert request.version == (HttpVersion(2, 0) if setup.is_h2 else HttpVersion(1, 1))
        assert request.scheme == "http"
        assert not request.secure
        assert request.host == request.headers["host"] == "test"
        assert request.headers.getall("X-Two") == ["1", "2"]
        assert (b"Host", b"test") in request.raw_headers
        assert request.remote == "127.0.0.1"
        assert request.keep_alive is True
        assert request.url == URL("http://test/a%2Fb%20c?x=1&y=a+b&x=%C3%A9", encoded=True)
        assert request.raw_path == request.path_qs == "/a%2Fb%20c?x=1&y=a+b&x=%C3%A9"
        assert request.path == "/a/b c"
        assert request.query_string == "x=1&y=a b&x=é"
        assert request.query.getall("x") == ["1", "é"]
        assert request.query["y"] == "a b"
        assert request.rel_url.raw_path == "/a%2Fb%20c"
        assert request.task is asyncio.current_task()
        assert request.transport is not None
        assert request.protocol is request.get_extra_info("socket") or request.protocol.connected
        assert request.get_extra_info("sockname")[0] == "127.0.0.1"
        assert request.get_extra_info("nothing", 7) == 7
        assert repr(request) == "<Request PUT /a/b c >"

    await look_at(
        setup,
        look,
        "PUT",
        "/a%2Fb%20c?x=1&y=a+b&x=%C3%A9",
        [("x-two", "1"), ("x-two", "2")] + ([] if setup.is_h2 else [("Host", "test")]),
        path="/{name}",
    )


async def test_cookies_may_come_in_several_fields(setup: Setup) -> None:
    """RFC 9113 section 8.2.3."""
    seen = await look_at(
        setup,
        lambda request: dict(request.cookies),
        headers=[("cookie", 'a=1; b="x y"; bare; =c; a=2')] + [("cookie", "d=")] * setup.is_h2,
    )
    assert seen == {"a": "1", "b": "x y", "bare": ""} | ({"d": ""} if setup.is_h2 else {})


async def test_dates(setup: Setup) -> None:
    date = "Sun, 06 Nov 1994 08:49:37 GMT"

    def look(request: web.Request) -> list[float | None]:
        return [
            value and value.timestamp()
            for value in (
                request.if_modified_since,
                request.if_unmodified_since,
                request.if_range,
            )
        ]

    headers = [("if-modified-since", date), ("if-range", '"tag"')]
    assert await look_at(setup, look, headers=headers) == [784111777.0, None, None]


async def test_a_request_is_a_mapping(setup: Setup) -> None:
    key = web.RequestKey("key", int)

    def look(request: web.Request) -> None:
        assert bool(request)
        assert len(request) == 0
        request[key] = 1
        with pytest.warns(web.NotAppKeyWarning, match="RequestKey"):
            request["name"] = "value"
        request["name"] = "warned of once"
        type(request)._warned.discard("name")  # The next setup's request is of this class, too.
        assert request[key] == 1
        assert list(request) == [key, "name"]
        del request["name"]
        assert "name" not in request
        assert request == request
        assert request != request.clone()

    await look_at(setup, look)


async def test_clone(setup: Setup) -> None:
    key = web.RequestKey("key", int)

    async def look(request: web.Request) -> None:
        request[key] = 1
        clone = request.clone(
            method="POST",
            rel_url="/other?a=b",
            headers={"Host": "other.test", "X-New": "1"},
            scheme="https",
            host="other.test",
            remote="192.0.2.1",
            client_max_size=5,
        )
        assert clone.method == "POST"
        assert clone.path == "/other"
        assert clone.query["a"] == "b"
        assert clone.headers["x-new"] == "1"
        assert str(clone.url) == "https://other.test/other?a=b"
        assert clone.remote == "192.0.2.1"
        assert clone[key] == 1
        assert clone.client_max_size == 5
        assert clone.match_info is request.match_info
        assert request.method == "GET"
        again = clone.clone()
        assert (again.scheme, again.host, again.remote) == ("https", "other.test", "192.0.2.1")
        absolute = request.clone(rel_url="https://third.test:81/third?c")
        assert str(absolute.url) == "http://third.test:81/third?c"
        assert (absolute.host, absolute.path_qs) == ("third.test:81", "/third?c")
        assert request.clone(rel_url="http://third.test/", host="fourth.test").host == "fourth.test"
        await request.read()
        with pytest.raises(RuntimeError, match="has been read"):
            request.clone()

    await look_at(setup, look)


async def test_keep_alive_is_what_the_client_asks_for() -> None:
    """RFC 9112 section 9.3."""
    setup = Setup("http/1.1", "native")
    seen = []

    async def handler(request: web.Request) -> web.Response:
        seen.append((request.version, request.keep_alive))
        return web.Response()

    async with setup.serve(app_of(handler)) as site:
        for head in (
            b"GET / HTTP/1.0\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n",
        ):
            assert (await site.send_raw(head)).startswith(b"HTTP/1.1 200 OK\r\n")
        answer = await site.send_raw(
            b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n"
        )
        assert answer.count(b"200 OK") == 2
    assert seen == [
        ((1, 0), False),
        ((1, 1), False),
        ((1, 0), True),
        ((1, 0), False),
    ]


async def test_without_host_the_address_stands_in() -> None:
    """An HTTP/1.0 request; no name is looked up for it (attack S82)."""
    setup = Setup("http/1.1", "native")
    probe = Probe(lambda request: request.host)
    async with setup.serve(app_of(probe)) as site:
        await site.send_raw(b"GET / HTTP/1.0\r\n\r\n")
    assert probe.seen == "127.0.0.1"


async def test_an_ipv6_address_stands_in_with_brackets() -> None:
    """RFC 3986 section 3.2.2."""

    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=f"{request.remote} {request.host} {request.url}")

    async with serve(app_of(handler), host="::1") as served:
        reader, writer = await asyncio.open_connection("::1", served.port)
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        assert (await reader.read()).endswith(b"\r\n\r\n::1 [::1] http://[::1]/")
        writer.close()
        await writer.wait_closed()


# -- the content -------------------------------------------------------------------------------


async def test_no_content(setup: Setup) -> None:
    async def look(request: web.Request) -> None:
        assert request.content is EMPTY_PAYLOAD
        assert not request.body_exists
        assert not request.can_read_body
        assert await request.read() == b""
        assert await request.text() == ""
        assert not await request.post()

    await look_at(setup, look, "POST", headers=[("content-length", "0")])


@pytest.mark.parametrize("size", [1, 70_000, 1_000_000])
async def test_read(setup: Setup, size: int) -> None:
    async def look(request: web.Request) -> bytes:
        assert request.body_exists
        assert request.can_read_body
        body = await request.read()
        assert not request.can_read_body
        assert await request.read() is body
        return body

    body = bytes(range(256)) * (size // 256 + 1)
    assert await look_at(setup, look, "POST", "/", (), body[:size]) == body[:size]


async def test_text_and_json(setup: Setup) -> None:
    async def look(request: web.Request) -> Any:
        return await request.text(), await request.json(), request.charset

    headers = [("content-type", "application/json; charset=latin-1")]
    seen = await look_at(setup, look, "POST", "/", headers, '["é"]'.encode("latin-1"))
    assert seen == ('["é"]', ["é"], "latin-1")


async def test_form(setup: Setup) -> None:
    async def look(request: web.Request) -> Any:
        return list((await request.post()).items()), await request.post() is await request.post()

    headers = [("content-type", "application/x-www-form-urlencoded")]
    seen = await look_at(setup, look, "POST", "/", headers, b"a=1&b=x+y&a=%C3%A9&c=&d;e=2\r\n")
    assert seen == (
        [("a", "1"), ("b", "x y"), ("a", "é"), ("c", ""), ("d;e", "2")],
        True,
    )


@pytest.mark.parametrize(
    ("content_type", "body", "status", "text"),
    [
        ("application/x-www-form-urlencoded", b"&" * 3, 413, "number of form fields 3"),
        ("application/x-www-form-urlencoded; charset=nope", b"a", 415, "unknown charset: nope"),
        ("application/x-www-form-urlencoded", b"a" * 101, 413, "body size 100 exceeded"),
    ],
)
async def test_forms_that_are_refused(
    setup: Setup, content_type: str, body: bytes, status: int, text: str
) -> None:
    app = app_of(Probe(lambda request: request.post()), client_max_size=100, client_max_fields=3)
    async with setup.serve(app) as site:
        client = await site.connect()
        answer = await client.fetch("POST", "/", [("content-type", content_type)], body)
        assert answer.status == status
        assert text in answer.body.decode()
        # The connection is fit for more.
        assert (await client.fetch("GET")).status == 200


@pytest.mark.parametrize("kind", [None, "", "text/plain", "application/json"])
async def test_other_content_is_no_form(setup: Setup, kind: str | None) -> None:
    async def look(request: web.Request) -> Any:
        return dict(await request.post()), await request.text()

    headers = [] if kind is None else [("content-type", kind)]
    assert await look_at(setup, look, "POST", "/", headers, b"a=1") == ({}, "a=1")


@pytest.mark.parametrize("limit", [0, -1, 4])
async def test_forms_of_any_number_of_fields(setup: Setup, limit: int) -> None:
    probe = Probe(lambda request: request.post())
    async with setup.serve(app_of(probe, client_max_fields=limit)) as site:
        client = await site.connect()
        headers = [("content-type", "application/x-www-form-urlencoded")]
        assert (await client.fetch("POST", "/", headers, b"a=&b=&c=&d=")).status == 200
    assert list(probe.seen) == ["a", "b", "c", "d"]


@pytest.mark.parametrize("announced", [True, False])
async def test_content_above_the_limit(setup: Setup, announced: bool) -> None:
    """413, and the client hears it although it had more to say (RFC 9110 section 15.5.14)."""
    async with setup.serve(app_of(Probe(lambda r: r.read()), client_max_size=10)) as site:
        client = await site.connect()
        headers = [("content-length", "11")] if announced else []
        answer = client.request(
            "POST", "/", headers, b"x" * 11 if not announced else b"", end=False
        )
        await answer.head_came.wait()
        assert answer.status == 413
        await answer.ended.wait()
        assert answer.body == b"Maximum request body size 10 exceeded."


async def test_no_limit(setup: Setup) -> None:
    probe = Probe(lambda request: request.read())
    async with setup.serve(app_of(probe, client_max_size=0)) as site:
        client = await site.connect()
        assert (await client.fetch("POST", "/", (), b"x" * 2_000_000)).status == 200
    assert len(probe.seen) == 2_000_000


async def test_content_arrives_while_the_handler_reads(setup: Setup) -> None:
    got: asyncio.Queue[bytes] = asyncio.Queue()

    async def look(request: web.Request) -> None:
        async for piece in request.content.iter_any():
            got.put_nowait(piece)
        assert dict(request.trailers) == {"x-sum": "7"}

    probe = Probe(look)
    async with setup.serve(app_of(probe)) as site:
        client = await site.connect()
        answer = client.request("POST", "/", [("te", "trailers")], end=False)
        for number in range(3):
            answer.send_body(b"piece %d" % number, end=False)
            assert await got.get() == b"piece %d" % number
        answer.send_body(b"", trailers=[("x-sum", "7")])
        assert (await answer.complete()).status == 200


async def test_a_handler_that_does_not_read_stops_the_client(setup: Setup) -> None:
    """Credit is given back when the handler takes bytes, not before."""
    go = asyncio.Event()

    async def look(request: web.Request) -> int:
        await go.wait()
        return len(await request.read())

    probe = Probe(look)
    app = app_of(probe, client_max_size=0)
    async with setup.serve(app) as site:
        client = await site.connect()
        size = 20_000_000
        answer = client.request("POST", "/", (), b"x" * size)
        received, turns = 0, 0
        while turns < 500:  # of the loop without a new byte
            await asyncio.sleep(0)
            total = site.received()
            turns = turns + 1 if total == received > 0 else 0
            received = total
        assert received < 2_000_000
        go.set()
        assert (await answer.complete()).status == 200
        assert probe.seen == size


async def test_release_drops_the_content(setup: Setup) -> None:
    async def look(request: web.Request) -> bool:
        await request.release()
        return request.content.at_eof()

    assert await look_at(setup, look, "POST", "/", (), b"x" * 300_000)


async def test_buffer_limits_are_those_of_the_server(setup: Setup) -> None:
    """Lines are read up to the high-water mark, unless the handler says another length."""

    async def look(request: web.Request) -> tuple[int, int]:
        with pytest.raises(LineTooLong):
            await request.content.readline()
        return request.content.get_read_buffer_limits()

    probe = Probe(look)
    app = app_of(probe, handler_args={"read_bufsize": 5})
    async with setup.serve(app) as site:
        client = await site.connect()
        assert (await client.fetch("POST", "/", (), b"eleven o'clock\n")).status == 200
    assert probe.seen == (5, 10)


# -- 100 Continue ------------------------------------------------------------------------------


async def test_continue_is_sent_when_the_content_is_read(setup: Setup) -> None:
    """RFC 9110 section 10.1.1."""
    go = asyncio.Event()

    async def look(request: web.Request) -> bytes:
        await go.wait()
        return await request.read()

    probe = Probe(look)
    async with setup.serve(app_of(probe)) as site:
        client = await site.connect()
        answer = client.request("POST", "/", [("expect", "100-continue")], end=False)
        (await asyncio.sleep(0), await asyncio.sleep(0))
        assert not answer.informational
        go.set()
        await answer.informed.wait()
        assert [event.status for event in answer.informational] == [100]
        answer.send_body(b"content")
        assert (await answer.complete()).status == 200
        assert probe.seen == b"content"
        assert len(answer.informational) == 1


async def test_no_continue_when_the_handler_does_not_read(setup: Setup) -> None:
    async with setup.serve(app_of(Probe(lambda request: None))) as site:
        client = await site.connect()
        headers = [("expect", "100-continue"), ("content-length", "7")]
        answer = client.request("POST", "/", headers, end=False)
        await answer.head_came.wait()
        assert answer.status == 200
        assert not answer.informational


async def test_no_continue_for_content_that_is_too_long(setup: Setup) -> None:
    async with setup.serve(app_of(Probe(lambda r: r.read()), client_max_size=10)) as site:
        client = await site.connect()
        headers = [("expect", "100-continue"), ("content-length", "11")]
        answer = client.request("POST", "/", headers, end=False)
        await answer.head_came.wait()
        assert answer.status == 413
        assert not answer.informational


async def test_expect_handler(setup: Setup) -> None:
    called = []

    async def refuse(request: web.Request) -> web.Response | None:
        called.append(request.headers["expect"])
        return web.Response(status=403) if "no" in request.query else None

    app = web.Application()
    probe = Probe(lambda request: request.read())
    app.router.add_post("/", probe, expect_handler=refuse)
    async with setup.serve(app) as site:
        client = await site.connect()
        answer = client.request("POST", "/", [("expect", "100-continue")], end=False)
        await answer.informed.wait()
        answer.send_body(b"content")
        assert (await answer.complete()).status == 200
        client = await site.connect()
        headers = [("expect", "100-continue"), ("content-length", "7")]
        answer = client.request("POST", "/?no", headers, end=False)
        await answer.head_came.wait()
        assert answer.status == 403
    assert called == ["100-continue"] * 2
    assert probe.seen == b"content"


async def test_an_expect_handler_that_writes_the_answer_itself(setup: Setup) -> None:
    """As the recipe for aiohttp has it: the bytes of HTTP/1.1, ahead of the head."""

    async def accept(request: web.Request) -> None:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    app = web.Application()
    probe = Probe(lambda request: request.read())
    app.router.add_post("/", probe, expect_handler=accept)
    async with setup.serve(app) as site:
        client = await site.connect()
        answer = client.request("POST", "/", [("expect", "100-continue")], end=False)
        await answer.informed.wait()
        answer.send_body(b"content")
        assert (await answer.complete()).status == 200
        assert {event.status for event in answer.informational} == {100}
    assert probe.seen == b"content"


# -- content that does not come ------------------------------------------------------------------


@pytest.mark.parametrize("reading", ["before", "after"])
async def test_the_client_goes_away(setup: Setup, reading: str) -> None:
    started, gone = asyncio.Event(), asyncio.Event()

    async def handler(request: web.Request) -> web.Response:
        started.set()
        if reading == "after":
            await request.protocol.driver.wait_closed()
        try:
            with pytest.raises(ClientConnectionResetError):
                await request.read()
        finally:
            gone.set()
        return web.Response()

    async with setup.serve(app_of(handler)) as site:
        client = await site.connect()
        client.request("POST", "/", (), b"x", end=False)
        await started.wait()
        client.abort()
        await asyncio.wait_for(gone.wait(), 20)


@pytest.mark.parametrize("http2", [False, True])
async def test_a_read_that_is_cancelled_leaves_the_content_whole(http2: bool) -> None:
    go_on = asyncio.Event()

    async def content() -> AsyncIterator[bytes]:
        yield b"first, "
        await go_on.wait()
        yield b"second"

    async def handler(request: web.Request) -> web.Response:
        reading = asyncio.ensure_future(request.read())
        while not request.content.total_bytes or request.content._size:  # noqa: ASYNC110
            await asyncio.sleep(0)  # Until it has taken the first piece.
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        go_on.set()
        return web.Response(body=await request.read())

    async with (
        plait.ClientSession(app=app_of(handler), http2=http2) as session,
        session.post("/", data=content()) as response,
    ):
        assert await response.read() == b"first, second"


async def test_a_stream_that_is_reset() -> None:
    """For the handler it is as if the client went away; other streams go on."""
    setup = Setup("h2", "native")
    started, done = asyncio.Event(), asyncio.Event()

    async def handler(request: web.Request) -> web.Response:
        started.set()
        with pytest.raises(ClientConnectionResetError):
            await request.read()
        with pytest.raises(ClientConnectionResetError):
            await web.StreamResponse().prepare(request)
        done.set()
        return web.Response()

    async with setup.serve(app_of(handler)) as site:
        client = await site.connect()
        answer = client.request("POST", "/", (), b"x", end=False)
        await started.wait()
        answer.reset(ErrorCode.CANCEL)
        answer.forget()
        await asyncio.wait_for(done.wait(), 20)
        assert (await client.fetch("GET", "/nothing-here")).status == 404


async def test_content_that_breaks_the_protocol(caplog: pytest.LogCaptureFixture) -> None:
    """The handler hears what was wrong, the client gets 400, the log has no traceback."""
    setup = Setup("http/1.1", "native")
    started = asyncio.Event()
    errors = []

    async def handler(request: web.Request) -> web.Response:
        started.set()
        try:
            await request.read()
        except web.RequestPayloadError as error:
            errors.append(error)
            raise
        return web.Response()

    async with setup.serve(app_of(handler)) as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        await started.wait()
        writer.write(b"2\r\nok\r\nXY\r\n")
        answer = await asyncio.wait_for(reader.read(), 20)
        assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        writer.close()
        await writer.wait_closed()
    assert "chunk" in str(errors[0])
    assert errors[0].__cause__ is not None
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_content_behind_the_end(setup: Setup) -> None:
    kept: list[web.Request] = []

    async def handler(request: web.Request) -> web.Response:
        kept.append(request)
        return web.Response()

    async with setup.serve(app_of(handler)) as site:
        client = await site.connect()
        answer = client.request("POST", "/", [("content-length", "9")], b"a", end=False)
        await asyncio.wait_for(answer.head_came.wait(), 20)
        await asyncio.wait({kept[0].task})
        with pytest.raises(web.PayloadAccessError, match="the request is over"):
            await kept[0].content.read()


async def test_refused_requests_reach_no_handler(caplog: pytest.LogCaptureFixture) -> None:
    """And nothing behind them is parsed."""
    setup = Setup("http/1.1", "native")
    probe = Probe(lambda request: None)
    behind = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    async with setup.serve(app_of(probe)) as site:
        for head in (
            b"GET / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nBad Name: x\r\n\r\n",
            b"G@T / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 2\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\n" + b"a: b\r\n" * 200 + b"\r\n",
        ):
            answer = await site.send_raw(head + behind)
            assert answer.startswith(b"HTTP/1.1 4"), answer
            assert answer.count(b"HTTP/1.1") == 1
        assert site.server.requests_count == 0
