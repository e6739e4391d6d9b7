"""What a session is made with: each argument does what it says, over both versions."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Self

import pytest
from multidict import CIMultiDict
from yarl import URL

import plait
from plait import web
from tests.conftest import Authority
from tests.serving import serve
from tests.sessions import H1, H2C, Way

pytestmark = pytest.mark.anyio


async def fields(request: web.Request) -> web.Response:
    """Answer with the fields of the request, in order."""
    return web.json_response(list(request.headers.items()))


async def echo(request: web.Request) -> web.Response:
    return web.Response(body=await request.read(), content_type=request.content_type)


async def status(request: web.Request) -> web.Response:
    return web.Response(status=int(request.match_info["code"]), text="text")


async def packed(request: web.Request) -> web.Response:
    response = web.Response(text="x" * 1000)
    response.enable_compression(web.ContentCoding.gzip)
    return response


async def large(request: web.Request) -> web.Response:
    return web.Response(headers={"X-Large": "x" * 5000})


async def many(request: web.Request) -> web.Response:
    return web.Response(headers=[(f"X-{number}", "1") for number in range(50)])


async def latin(request: web.Request) -> web.Response:
    return web.Response(body="é".encode("latin-1"), content_type="text/plain")


async def moved(request: web.Request) -> web.Response:
    return web.Response(status=302, headers={"Location": "/path/%C3%A9%2D"})


async def path(request: web.Request) -> web.Response:
    return web.Response(text=request.raw_path)


async def chat(request: web.Request) -> web.WebSocketResponse:
    ws = web.WebSocketResponse()
    await ws.prepare(request)
    async for message in ws:
        await ws.send_str(message.data)
    return ws


@pytest.fixture(params=[H1, H2C], ids=str)
def way(request: pytest.FixtureRequest) -> Way:
    chosen: Way = request.param
    return chosen


@pytest.fixture
async def url(authority: Authority) -> AsyncIterator[URL]:
    app = web.Application()
    app.add_routes(
        [
            *(web.get("/fields", fields), web.route("*", "/echo", echo)),
            *(web.get("/status/{code}", status), web.get("/packed", packed)),
            *(web.get("/large", large), web.get("/many", many), web.get("/latin", latin)),
            *(web.get("/moved", moved), web.get("/path/{rest}", path), web.get("/chat", chat)),
        ]
    )
    async with serve(app) as site:
        yield URL(site.url)


class Open:
    """Opens sessions of the version."""

    def __init__(self, way: Way, authority: Authority) -> None:
        self.way = way
        self.authority = authority

    def __call__(self, **options: Any) -> plait.ClientSession:
        return self.way.open_session(self.authority, **options)


@pytest.fixture
def open_session(way: Way, authority: Authority) -> Open:
    return Open(way, authority)


async def fields_of(session: plait.ClientSession, url: URL, **options: Any) -> CIMultiDict[str]:
    async with session.get(url / "fields", **options) as response:
        return CIMultiDict(await response.json())


# -- URLs and fields --------------------------------------------------------------------


async def test_base_url(open_session: Open, url: URL) -> None:
    async with open_session(base_url=url / "status" / "") as session:
        for given, expected in (("204", 204), ("/status/205", 205), (url / "status/206", 206)):
            async with session.get(given) as response:
                assert response.status == expected
    async with open_session(base_url=f"{url}/") as session:
        async with session.get("status/204") as response:
            assert response.status == 204
        async with session.ws_connect("chat") as ws:
            await ws.send_str("x")
            assert await ws.receive_str() == "x"


async def test_headers_of_the_session_and_of_the_request(open_session: Open, url: URL) -> None:
    own = [("X-A", "session"), ("X-B", "session"), ("User-Agent", "me")]
    async with open_session(headers=own) as session:
        assert session.headers == CIMultiDict(own)
        found = await fields_of(session, url, headers=[("x-b", "1"), ("X-B", "2")])
        assert found.getall("X-A") == ["session"]
        assert found.getall("X-B") == ["1", "2"]
        assert found["User-Agent"] == "me"
        assert (await fields_of(session, url)).getall("X-B") == ["session"]


async def test_fields_that_are_not_added(open_session: Open, url: URL) -> None:
    async with open_session(skip_auto_headers=["user-agent", "Accept"]) as session:
        assert {name.lower() for name in session.skip_auto_headers} == {"user-agent", "accept"}
        found = await fields_of(session, url, skip_auto_headers=["Accept-Encoding"])
        assert not {"User-Agent", "Accept", "Accept-Encoding"} & found.keys()


async def test_auth(open_session: Open, url: URL) -> None:
    with pytest.warns(DeprecationWarning, match="BasicAuth"):
        auth = plait.BasicAuth("me", "secret")
    with pytest.warns(DeprecationWarning, match="auth"):
        session = open_session(auth=auth)
    async with session:
        assert session.auth == auth
        assert (await fields_of(session, url))["Authorization"] == auth.encode()


async def test_cookies(open_session: Open, url: URL) -> None:
    async with open_session(cookies={"a": "1"}) as session:
        assert (await fields_of(session, url))["Cookie"] == "a=1"
    jar = plait.CookieJar(unsafe=True)
    async with open_session(cookies=[("a", "1")], cookie_jar=jar) as session:
        assert session.cookie_jar is jar
        assert len(jar) == 1


@pytest.mark.parametrize("requote", [True, False])
async def test_urls_of_redirects(open_session: Open, url: URL, requote: bool) -> None:
    async with open_session(requote_redirect_url=requote) as session:
        assert session.requote_redirect_url is requote
        async with session.get(url / "moved") as response:
            assert await response.text() == ("/path/%C3%A9-" if requote else "/path/%C3%A9%2D")
        with pytest.warns(DeprecationWarning, match="requote_redirect_url"):
            session.requote_redirect_url = not requote
        assert session.requote_redirect_url is not requote


# -- content ---------------------------------------------------------------------------


async def test_json(open_session: Open, url: URL) -> None:
    def as_text(value: Any) -> str:
        return json.dumps(value).upper()

    def as_bytes(value: Any) -> bytes:
        return json.dumps(value).encode() + b"  "

    for options, expected in (
        ({"json_serialize": as_text}, b'{"A": 1}'),
        ({"json_serialize": as_text, "json_serialize_bytes": as_bytes}, b'{"a": 1}  '),
    ):
        async with (
            open_session(**options) as session,
            session.post(url / "echo", json={"a": 1}) as response,
        ):
            assert session.json_serialize is as_text
            assert await response.read() == expected
            assert response.content_type == "application/json"


async def test_content_that_is_left_packed(open_session: Open, url: URL) -> None:
    async with open_session(auto_decompress=False) as session:
        assert session.auto_decompress is False
        async with session.get(url / "packed") as response:
            assert (await response.read()).startswith(b"\x1f\x8b")
        async with session.get(url / "packed", auto_decompress=True) as response:
            assert await response.read() == b"x" * 1000


async def test_the_charset_that_nobody_names(open_session: Open, url: URL) -> None:
    asked: list[bytes] = []

    def resolve(response: plait.ClientResponse, body: bytes) -> str:
        asked.append(body)
        return "latin-1"

    async with (
        open_session(fallback_charset_resolver=resolve) as session,
        session.get(url / "latin") as response,
    ):
        assert await response.text() == "é"
    assert asked == [b"\xe9"]


async def test_read_bufsize(open_session: Open, url: URL) -> None:
    async with open_session(read_bufsize=100) as session:
        async with session.get(url / "packed") as response:
            assert response.content.get_read_buffer_limits() == (100, 200)
            assert await response.read() == b"x" * 1000
        async with session.get(url / "packed", read_bufsize=50) as response:
            assert response.content.get_read_buffer_limits() == (50, 100)


@pytest.mark.parametrize(
    ("option", "target", "limit"),
    [("max_field_size", "large", 4000), ("max_headers", "many", 20)],
)
async def test_limits_of_a_head(
    open_session: Open, url: URL, way: Way, option: str, target: str, limit: int
) -> None:
    async with open_session() as session, session.get(url / target) as response:
        assert response.status == 200
    async with open_session(**{option: limit}) as session:
        if option == "max_field_size" and way is H2C:
            return  # HTTP/2 bounds the fields together.
        with pytest.raises(plait.ClientResponseError):
            await session.get(url / target)
        async with session.get(url / target, **{option: 100_000}) as response:
            assert response.status == 200


# -- responses ---------------------------------------------------------------------------


async def test_raise_for_status(open_session: Open, url: URL) -> None:
    async def check(response: plait.ClientResponse) -> None:
        if response.status == 201:
            raise LookupError(await response.text())

    for given in (False, True, check):
        async with open_session(raise_for_status=given) as session:
            assert session.raise_for_status is given
            if given is True:
                with pytest.raises(plait.ClientResponseError) as caught:
                    await session.get(url / "status/404")
                assert caught.value.status == 404
            else:
                await session.get(url / "status/404")
            if given is check:
                with pytest.raises(LookupError, match="text"):
                    await session.get(url / "status/201")
            async with session.get(url / "status/201", raise_for_status=True) as response:
                assert response.status == 201
            async with session.get(url / "status/404", raise_for_status=False) as response:
                assert response.status == 404
            with pytest.raises(plait.ClientResponseError):
                await session.get(url / "status/404", raise_for_status=True)


async def test_classes_of_ones_own(open_session: Open, url: URL) -> None:
    class Request(plait.ClientRequest):
        def __init__(
            self, method: str, url: URL, *, chunked: Any, ssl: Any, **options: Any
        ) -> None:
            assert options["compress"] is None  # It is told what is as ever, too.
            super().__init__(method, url, chunked=chunked, ssl=ssl, **options)

        def update_host(self, url: URL) -> None:
            super().update_host(url)
            hosts.append(url.host)

        def update_headers(self, headers: Any) -> None:
            super().update_headers(headers)
            self.headers["X-Own"] = "1"

    class Response(plait.ClientResponse):
        pass

    class WebSocket(plait.ClientWebSocketResponse[bool]):
        pass

    hosts: list[str | None] = []
    async with open_session(
        request_class=Request, response_class=Response, ws_response_class=WebSocket
    ) as session:
        async with session.get(url / "fields") as response:
            assert type(response) is Response
            assert CIMultiDict(await response.json())["X-Own"] == "1"
        async with session.ws_connect(url / "chat") as ws:
            assert type(ws) is WebSocket
        assert hosts == [url.host] * 2


async def test_a_response_is_entered_and_left_as_its_class_does(
    open_session: Open, url: URL
) -> None:
    class Response(plait.ClientResponse):
        async def __aenter__(self) -> Self:
            told.append("enter")
            return await super().__aenter__()

        async def __aexit__(self, *exc: Any) -> None:
            told.append("exit")
            await super().__aexit__(*exc)

    told: list[str] = []
    for response_class in (plait.ClientResponse, Response):
        async with open_session(response_class=response_class) as session:
            async with session.get(url / "fields") as response:
                assert type(response) is response_class
                assert response._in_context
            assert not response._in_context
            assert response._released
            with pytest.raises(plait.ClientConnectionError):
                await response.read()
    assert told == ["enter", "exit"]


async def test_the_version(url: URL) -> None:
    async with plait.ClientSession(version=plait.HttpVersion10) as session:
        assert session.version == (1, 0)
        assert (await fields_of(session, url))["Connection"] == "keep-alive"


# -- time ---------------------------------------------------------------------------------


async def test_timeouts(open_session: Open) -> None:
    own = plait.ClientTimeout(total=1, sock_read=2)
    async with open_session(timeout=own) as session:
        assert session.timeout is own
    with pytest.warns(DeprecationWarning, match="read_timeout"):
        session = open_session(read_timeout=3)
    async with session:
        assert session.timeout.total == 3
    with pytest.warns(DeprecationWarning, match="conn_timeout"):
        session = open_session(conn_timeout=4)
    async with session:
        assert session.timeout.connect == 4
    with pytest.raises(ValueError, match="timeout"):
        open_session(timeout=5)


async def test_how_long_tls_may_take_to_close() -> None:
    with pytest.warns(DeprecationWarning, match="ssl_shutdown_timeout") as caught:
        session = plait.ClientSession(ssl_shutdown_timeout=0.5)
    assert [warning.filename for warning in caught] == [__file__]  # Else nobody is shown it.
    async with session:
        connector = session.connector
        assert isinstance(connector, plait.TCPConnector)
        assert connector._ssl_shutdown_timeout == 0.5
    async with plait.TCPConnector() as own:
        with pytest.warns(DeprecationWarning, match="ssl_shutdown_timeout"):
            plait.ClientSession(connector=own, ssl_shutdown_timeout=0.5).detach()
        assert own._ssl_shutdown_timeout is None


# -- what is watched, and what stands around -------------------------------------------------


async def test_traces_and_middlewares(open_session: Open, url: URL) -> None:
    told: list[str] = []
    trace = plait.TraceConfig()

    async def begin(session: Any, context: Any, params: Any) -> None:
        told.append(f"begins {params.url.path}")

    async def around(request: Any, handler: Any) -> Any:
        told.append("around")
        return await handler(request)

    trace.on_request_start.append(begin)
    async with open_session(trace_configs=[trace], middlewares=[around]) as session:
        assert session.trace_configs == [trace]
        await session.get(url / "fields")
    assert told == ["begins /fields", "around"]


# -- lifetime --------------------------------------------------------------------------------


@pytest.mark.parametrize("owner", [True, False])
async def test_who_closes_the_connector(url: URL, owner: bool) -> None:
    connector = plait.TCPConnector()
    async with plait.ClientSession(connector=connector, connector_owner=owner) as session:
        assert session.connector is connector
        assert session.connector_owner is owner
        await session.get(url / "fields")
    assert session.closed
    assert session.connector is None
    assert connector.closed is owner
    await connector.close()


async def test_a_session_that_is_detached(url: URL) -> None:
    connector = plait.TCPConnector()
    session = plait.ClientSession(connector=connector)
    session.detach()
    assert session.closed
    assert not connector.closed
    with pytest.raises(RuntimeError, match="Session is closed"):
        await session.get(url / "fields")
    async with plait.ClientSession(connector=connector) as other:
        await other.get(url / "fields")


async def test_the_loop() -> None:
    loop = asyncio.get_running_loop()
    async with plait.ClientSession(loop=loop) as session:
        with pytest.warns(DeprecationWarning, match="loop"):
            assert session.loop is loop
    other = asyncio.new_event_loop()
    connector = plait.TCPConnector(loop=other)
    with pytest.raises(RuntimeError, match="another event loop"):
        plait.ClientSession(loop=loop, connector=connector)
    other.close()


def test_a_session_needs_a_loop() -> None:
    with pytest.raises(RuntimeError, match="loop"):
        plait.ClientSession()


async def test_with_needs_async() -> None:
    async with plait.ClientSession() as session:
        with pytest.raises(TypeError, match="async with"), session:  # type: ignore[attr-defined]
            pass


async def test_an_unknown_argument() -> None:
    with pytest.raises(TypeError, match="bogus"):
        plait.ClientSession(bogus=1)  # type: ignore[call-arg]
