"""Each short path of the server beside its general path: the same bytes, whatever is answered."""

from __future__ import annotations

import asyncio
import re
import warnings
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, TypeAlias, cast
from unittest import mock

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from plait import web
from plait.serving.exchange import ServerExchange
from plait.streams import EMPTY_PAYLOAD
from plait.transport.driver import Driver
from plait.typedefs import Middleware
from plait_engine import Data, EndOfMessage, Request, StreamReset
from plait_engine.testing import TEST_CONFIG
from tests.adapters.web_peer import Setup

Routes: TypeAlias = list[tuple[str, str]]
"""Paths and methods."""


@dataclass
class Spec:
    """A response."""

    status: int = 200
    body: bytes | str | None = None
    headers: list[tuple[str, str]] = field(default_factory=list)
    cookies: dict[str, str] = field(default_factory=dict)
    content_type: str | None = None
    late: list[tuple[str, str]] = field(default_factory=list)
    """Fields that are set when the response is made."""

    def make(self) -> web.Response:
        response = web.Response(
            status=self.status,
            body=self.body,
            headers=self.headers or None,
            content_type=self.content_type,
        )
        for name, value in self.late:
            response.headers.add(name, value)
        for name, value in self.cookies.items():
            response.set_cookie(name, value)
        return response


VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=0x17F, exclude_characters="\x7f"))
FIELDS = st.lists(
    st.tuples(
        st.sampled_from(["X-A", "x-b", "Date", "server", "ETag", "Vary", "Content-Language"]),
        VALUES.map(str.strip),
    ),
    max_size=4,
)
SPECS = st.builds(
    Spec,
    st.sampled_from([200, 201, 204, 301, 304, 404, 500, 599]),
    st.none() | st.binary(max_size=40) | st.text(max_size=20) | st.just(b"x" * 70_000),
    FIELDS,
    st.dictionaries(st.sampled_from(["a", "b"]), st.sampled_from(["1", "x y", "ü"])),
    st.none() | st.sampled_from(["text/html", "image/png"]),
    FIELDS | st.just([("Connection", "close")]) | st.just([("Content-Length", "7")]),
)
GET = b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n"
HEADS = st.sampled_from(
    [
        GET,
        b"HEAD %s HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"GET %s HTTP/1.0\r\n\r\n",
        b"GET %s HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
    ]
)


def two_ways(spec: Spec) -> web.Application:
    """``/short`` and ``/general`` answer alike; somebody listens where the second is made."""

    async def handler(request: web.Request) -> web.StreamResponse:
        await request.read()
        return spec.make()

    async def listen(request: web.Request, response: web.StreamResponse) -> None:
        pass

    general = web.Application()
    general.on_response_prepare.append(listen)
    general.router.add_route("*", "/", handler)
    app = web.Application()
    app.router.add_route("*", "/short", handler)
    app.add_subapp("/general", general)
    return app


async def bytes_of(port: int, head: bytes, target: bytes) -> bytes:
    """Return all that a connection gets for one request, the date made equal."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head % target)
    writer.write_eof()
    data = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    return re.sub(rb"Date: \w{3}, [^\r]* GMT\r", b"Date: now\r", data)


@pytest.mark.parametrize("engine", ["native", "reference"])
@given(spec=SPECS, head=HEADS)
@example(Spec(headers=[("X-A", "1")], cookies={"a": "1"}), b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n")
@example(Spec(body="ü", late=[("X-A", "1")]), b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n")
@example(Spec(body=b""), b"HEAD %s HTTP/1.1\r\nHost: a\r\n\r\n")
def test_a_whole_response_over_http_1(engine: str, spec: Spec, head: bytes) -> None:
    # h11 writes a Content-Length beside 204, too; plait's own engine removes it.
    assume(engine == "native" or spec.status not in (204, 304) or len(spec.late) != 1)

    async def compare() -> None:
        setup = Setup("http/1.1", engine)  # type: ignore[arg-type]  # one of the two
        async with setup.serve(two_ways(spec)) as site:
            short = await bytes_of(site.port, head, b"/short")
            general = await bytes_of(site.port, head, b"/general/")
            assert short == general
            assert short.startswith(b"HTTP/1.1 ")

    asyncio.run(compare())


@pytest.mark.parametrize("engine", ["native", "reference"])
@given(spec=SPECS, method=st.sampled_from(["GET", "HEAD", "POST"]))
def test_a_whole_response_over_http_2(engine: str, spec: Spec, method: str) -> None:
    async def compare() -> None:
        setup = Setup("h2", engine)  # type: ignore[arg-type]  # one of the two
        async with setup.serve(two_ways(spec)) as site:
            client = await site.connect()
            seen = []
            for target in ("/short", "/general/"):
                answer = client.request(method, target)
                await asyncio.wait_for(answer.ended.wait(), 20)
                # The general path says the length, which HTTP/2 can do without.
                fields = sorted(
                    (name, value)
                    for name, value in answer.headers
                    if name not in ("date", "content-length")
                )
                seen.append((answer.status, fields, answer.body, answer.reset_event))
            assert seen[0] == seen[1]

    asyncio.run(compare())


@given(
    head=HEADS,
    length=st.sampled_from([None, 0, 3, 100, 140_000]),
    pieces=st.lists(st.sampled_from([b"", b"abc", b"x" * 97, b"y" * 65_536, b"z" * 70_000])),
)
@example(GET, None, [b"abc", b"y" * 65_536, b"z" * 70_000])
@example(GET, 140_000, [b"z" * 70_000, b"z" * 70_000])
def test_content_in_pieces(head: bytes, length: int | None, pieces: list[bytes]) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = length
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
        return response

    async def compare() -> None:
        app = web.Application()
        app.router.add_route("*", "/", handler)
        async with Setup("http/1.1", "native").serve(app) as site:
            short = await bytes_of(site.port, head, b"/")
            with mock.patch.object(Driver, "send_data", return_value=False):
                assert await bytes_of(site.port, head, b"/") == short
            assert short.startswith(b"HTTP/1.1 ")

    asyncio.run(compare())


def test_the_fields_that_were_added_can_be_seen_behind_the_short_path() -> None:
    responses: list[web.Response] = []

    async def note(request: web.Request, handler: object) -> web.StreamResponse:
        spec = Spec(body="abc", headers=[] if request.path == "/plain" else [("X-A", "1")])
        responses.append(spec.make())
        return responses[-1]

    async def serve() -> None:
        middleware: Middleware = web.middleware(note)
        app = web.Application(middlewares=[middleware])
        async with Setup("http/1.1", "native").serve(app) as site:
            client = await site.connect()
            for target in ("/plain", "/with"):
                answer = await client.fetch(target=target)
                made = responses[-1]
                assert made.prepared
                assert dict(made.headers) == dict(answer.headers)
                assert made.body_length == 3

    asyncio.run(serve())


class Credits:
    """Stands in for a connection: counts what is given back."""

    def __init__(self) -> None:
        self.driver: Any = self
        self.loop: Any = object()
        self.config = TEST_CONFIG
        self.exchanges: dict[int, Any] = {}
        self.manager = SimpleNamespace(handler_cancellation=False, auto_decompress=True)
        self.given = 0

    def acknowledge(self, stream_id: int, credit: int) -> None:
        self.given += credit

    def send(self, *events: object) -> None:
        pass


@given(
    pieces=st.lists(st.tuples(st.binary(min_size=1, max_size=20), st.integers(0, 5)), max_size=4),
    ends=st.booleans(),
    breaks=st.booleans(),
    limit=st.integers(0, 30),
)
@example([(b"abc", 0), (b"def", 2)], True, False, 5)
@example([(b"abc", 0)], True, True, 0)
def test_content_that_is_there(
    pieces: list[tuple[bytes, int]], ends: bool, breaks: bool, limit: int
) -> None:
    def receive() -> tuple[ServerExchange, Credits]:
        connection: Any = Credits()
        exchange = ServerExchange(connection, Request(1, "POST", "http", "a", "/", ()))
        for data, padding in pieces:
            exchange.on_data(Data(1, data, len(data) + padding))
        if ends:
            exchange.on_end(EndOfMessage(1))
            exchange.task = cast("Any", "running")
            if breaks:  # The client goes, and all of the content was there before.
                exchange.on_reset(StreamReset(1))
        return exchange, connection

    whole = b"".join(data for data, _ in pieces)
    credit = sum(len(data) + padding for data, padding in pieces)
    general, its_credits = receive()
    exists = general.content is not EMPTY_PAYLOAD
    assert general.content.read_nowait() == whole
    assert general.content.at_eof() is ends
    assert its_credits.given == credit

    short, credits = receive()
    taken = short.take_content(limit)
    if ends and not 0 < limit < len(whole):
        assert taken == whole
        assert credits.given == credit
        assert short.content.at_eof()
        assert short.take_content(limit) is None or not pieces
    else:
        assert taken is None
        assert credits.given == 0
        assert short.content.read_nowait() == whole
        assert credits.given == credit
    assert (short.content is not EMPTY_PAYLOAD) is exists

    unread, its_credits = receive()
    unread.finish()
    assert its_credits.given == credit


class OtherRouter(web.UrlDispatcher):
    """The router of an application, but not its own class: ``resolve`` is asked then."""


LABEL = web.AppKey("label", str)
TEMPLATES = ["/", "/a", "/a/{x}", "/{y}", "/a/{z:\\d+}", "/sub/b", "/{x}/{y:.*}"]
ROUTES = st.lists(
    st.tuples(st.sampled_from(TEMPLATES), st.sampled_from(["GET", "POST", "*"])),
    max_size=5,
    unique_by=lambda route: route[0],
)


def application(
    own: Routes, inner: Routes, *, listens: bool, router: web.UrlDispatcher | None
) -> web.Application:
    """An application with a sub-application, which tell in each answer what they saw."""

    def make(label: str, routes: Routes, **options: Any) -> web.Application:
        @web.middleware
        async def note(request: web.Request, handler: Any) -> web.StreamResponse:
            seen = request.app[LABEL]
            try:
                response: web.StreamResponse = await handler(request)
            except web.HTTPException as error:
                response = web.Response(text=repr(error), status=error.status)
                response.headers.update(error.headers)
            assert request.app[LABEL] == seen == label
            response.headers.add("X-Seen", f"{label} {handler.__name__}")
            return response

        async def say(request: web.Request) -> web.Response:
            match_info = request.match_info
            apps = [app[LABEL] for app in match_info.apps]
            assert request.app is match_info.current_app is match_info.apps[-1]
            return web.json_response([apps, dict(match_info), match_info.get_info()], dumps=repr)

        async def listen(request: web.Request, response: web.StreamResponse) -> None:
            response.headers.add("X-Listened", label)

        app = web.Application(middlewares=[note], **options)
        app[LABEL] = label
        for template, method in routes:
            app.router.add_route(method, template, say)
        if listens:
            app.on_response_prepare.append(listen)
        return app

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the argument ``router``
        app = make("outer", own, router=router)
    app.add_subapp("/sub", make("inner", inner))
    return app


@given(
    own=ROUTES,
    inner=ROUTES,
    listens=st.booleans(),
    requests=st.lists(
        st.tuples(
            st.sampled_from(["GET", "POST", "PUT"]),
            st.sampled_from(
                ["/", "/a", "/a/7?q", "/a/x%2Fy", "/b%41", "/sub", "/sub/a/1", "/sub/b", "/%00"]
            ),
        ),
        min_size=1,
        max_size=6,
    ),
)
def test_a_route_that_is_found(
    own: Routes, inner: Routes, listens: bool, requests: list[tuple[str, str]]
) -> None:
    async def answers(router: web.UrlDispatcher | None) -> list[Any]:
        app = application(own, inner, listens=listens, router=router)
        async with Setup("http/1.1", "native").serve(app) as site:
            client = await site.connect()
            answers = [await client.fetch(method, target) for method, target in requests]
        return [
            (
                answer.status,
                answer.body,
                [field for field in answer.headers if field[0].lower() != "date"],
            )
            for answer in answers
        ]

    assert asyncio.run(answers(None)) == asyncio.run(answers(OtherRouter()))
