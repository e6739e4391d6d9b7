"""What the client reads: responses in any pieces, and what it says about broken ones."""

from __future__ import annotations

import gzip
import zlib
from typing import Any

import pytest
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

import plait
from plait_engine.engines import EngineName
from tests.adapters.h2_server import H2Peer, h2
from tests.adapters.raw_server import OK, RawConnection, always, raw_server
from tests.engine.chops import CHOPS, Chop

pytestmark = pytest.mark.anyio

ENGINES: list[EngineName] = ["native", "reference"]


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> EngineName:
    name: EngineName = request.param
    return name


def once(answer: bytes, chop: Chop | None = None) -> Any:
    """Answer one request by the bytes of ``answer``, then close."""

    async def script(connection: RawConnection) -> None:
        await connection.read_head()
        await connection.send_pieces([answer] if chop is None else chop(answer))

    return script


def chunks(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (*pieces, b""))


HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n"


def test_what_stands_in_for_a_response_says_its_cookies_itself() -> None:
    response = plait.ClientResponse("GET", URL("http://localhost/"))
    response._headers = CIMultiDictProxy(CIMultiDict({"Set-Cookie": "a=b; Max-Age=0"}))
    response.cookies.load("a=c")
    assert response.cookies["a"].OutputString() == "a=c"


@pytest.mark.parametrize("chop", CHOPS)
@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (OK, b"ok"),
        (CHUNKED + b"\r\n" + chunks(b"one", b"two" * 20), b"one" + b"two" * 20),
        (HEAD + b"\r\nuntil the end", b"until the end"),
        (b"HTTP/1.0 200 OK\r\n\r\nold", b"old"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" + OK, b"ok"),
        (
            HEAD + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"packed" * 99, mtime=0),
            b"packed" * 99,
        ),
        (HEAD + b"Content-Encoding: deflate\r\n\r\n" + zlib.compress(b"packed"), b"packed"),
        (HEAD + b"Content-Encoding: unknown\r\n\r\nas it is", b"as it is"),
        (HEAD + b"Content-Encoding: gzip\r\nContent-Length: 0\r\n\r\n", b""),
    ],
)
async def test_bodies_in_any_pieces(
    engine: EngineName, answer: bytes, body: bytes, chop: Chop
) -> None:
    async with (
        raw_server(once(answer, chop)) as server,
        plait.ClientSession(engine=engine) as session,
    ):
        async with session.get(server.url) as response:
            assert await response.read() == body
            assert await response.read() == body, "the second time it is remembered"
        async with session.get(server.url) as response:
            assert b"".join([piece async for piece in response.content.iter_chunked(7)]) == body


@pytest.mark.parametrize("end", ["release", "close"])
async def test_after_the_end_only_what_was_read_is_there(engine: EngineName, end: str) -> None:
    async with raw_server(always(OK)) as server, plait.ClientSession(engine=engine) as session:
        unread = await session.get(server.url)
        getattr(unread, end)()
        for read in (unread.read, unread.text, unread.json, unread.content.readany):
            with pytest.raises(plait.ClientConnectionError, match="Connection closed"):
                await read()

        read_before = await session.get(server.url)
        assert await read_before.read() == b"ok"
        getattr(read_before, end)()
        assert await read_before.text() == "ok"
        with pytest.raises(plait.ClientConnectionError, match="Connection closed"):
            await read_before.read()

        streamed = await session.get(server.url)
        assert await streamed.content.read() == b"ok"
        getattr(streamed, end)()
        with pytest.raises(plait.ClientConnectionError, match="Connection closed"):
            await streamed.content.read()


async def test_the_parts_of_a_head(engine: EngineName) -> None:
    answer = (
        b"HTTP/1.1 206 Quite Good\r\nX-Two: 1\r\nx-two: 2\r\nX-Latin: \xe9\r\n"
        b"Content-Type: text/html; charset=ISO-8859-2\r\n"
        b"Set-Cookie: a=b; Path=/x; Secure\r\nSet-Cookie: weird name=1\r\n"
        b'Link: </next?page=2>; rel="next"; title="a, b", <other>; rel=prev, <plain>\r\n'
        b"Content-Length: 1\r\n\r\n\xb1"
    )
    async with (
        raw_server(once(answer)) as server,
        plait.ClientSession(engine=engine) as session,
        session.get(server.url + "dir/page#part", headers={"X-Own": "1"}) as response,
    ):
        assert response.status == 206
        assert response.reason == "Quite Good"
        assert response.version == (1, 1)
        assert response.ok
        assert response.headers.getall("X-TWO") == ["1", "2"]
        assert (b"X-Latin", b"\xe9") in response.raw_headers
        assert response.content_type == "text/html"
        assert response.charset == "ISO-8859-2"
        assert response.content_length == 1
        assert response.cookies["a"]["path"] == "/x"
        assert response.cookies["a"]["secure"]
        assert response.cookies["weird name"].value == "1"
        assert response.links["next"]["url"] == URL(server.url + "next?page=2")
        assert response.links["next"]["title"] == "a, b"
        assert response.links["prev"]["url"] == URL(server.url + "dir/other")
        assert dict(response.links["plain"]) == {"url": URL(server.url + "dir/plain")}
        assert response.url == URL(server.url + "dir/page")
        assert response.real_url == URL(server.url + "dir/page#part")
        with pytest.warns(DeprecationWarning, match="url_obj"):
            assert response.url_obj == response.url
        assert response.method == "GET"
        assert response.request_info.headers["X-Own"] == "1"
        assert response.history == ()
        assert await response.text() == "\u0105"


async def test_trailers(engine: EngineName) -> None:
    answer = CHUNKED + b"\r\n3\r\nabc\r\n0\r\nX-Digest: 1\r\n\r\n"
    async with (
        raw_server(always(answer)) as server,
        plait.ClientSession(engine=engine) as session,
        session.get(server.url) as response,
    ):
        await response.read()
        assert response.trailers["x-digest"] == "1"
        assert "X-Digest" not in response.headers


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        ("application/json", b' {"a": "\xc3\xa9"} ', {"a": "\xe9"}),
        ("application/problem+json; charset=utf-8", b"[1]", [1]),
        ("application/json", b"", None),
        ("application/json; charset=latin-1", b'"\xe9"', "\xe9"),
        ("application/json; charset=no-such", b'"\xc3\xa9"', "\xe9"),
    ],
)
async def test_json(content_type: str, body: bytes, expected: object) -> None:
    answer = b"%bContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b" % (
        HEAD,
        content_type.encode(),
        len(body),
        body,
    )
    async with (
        raw_server(always(answer)) as server,
        plait.ClientSession() as session,
        session.get(server.url) as response,
    ):
        assert await response.json() == expected


async def test_json_of_another_type() -> None:
    answer = HEAD + b"Content-Type: text/plain; charset=UTF-8\r\nContent-Length: 1\r\n\r\n1"
    async with (
        raw_server(always(answer)) as server,
        plait.ClientSession() as session,
        session.get(server.url) as response,
    ):
        with pytest.raises(plait.ContentTypeError) as caught:
            await response.json()
        assert caught.value.message == ("unexpected mimetype for JSON: text/plain; charset=utf-8")
        assert await response.json(content_type=None) == 1


async def test_a_reason_in_another_alphabet(engine: EngineName) -> None:
    answer = "HTTP/1.1 200 Гут\r\nContent-Length: 0\r\n\r\n".encode()
    async with (
        raw_server(once(answer)) as server,
        plait.ClientSession(engine=engine) as session,
        session.get(server.url) as response,
    ):
        assert response.reason == "Гут"
        assert repr(response).isascii()


async def test_repr() -> None:
    async with (
        raw_server(always(OK)) as server,
        plait.ClientSession() as session,
        session.get(server.url) as response,
    ):
        line, fields, end = repr(response).split("\n")
        assert line == f"<ClientResponse({server.url}) [200 OK]>"
        assert fields == repr(response.headers)
        assert not end


async def test_the_fallback_for_an_unknown_charset() -> None:
    answer = HEAD + b"Content-Length: 1\r\n\r\n\xe9"
    async with (
        raw_server(always(answer)) as server,
        plait.ClientSession(fallback_charset_resolver=lambda response, body: "latin-1") as session,
        session.get(server.url) as response,
    ):
        with pytest.raises(RuntimeError, match="not yet read"):
            response.get_encoding()
        assert await response.text() == "\xe9"


def test_request_info_has_one_url_by_default() -> None:
    headers = CIMultiDictProxy(CIMultiDict({"X": "1"}))
    url = URL("http://example.org/")
    assert plait.RequestInfo(url, "GET", headers) == (url, "GET", headers, url)
    other = URL("http://example.org/#part")
    assert plait.RequestInfo(url, "GET", headers, other).real_url == other


async def test_without_auto_decompress() -> None:
    packed = gzip.compress(b"packed")
    async with (
        raw_server(once(HEAD + b"Content-Encoding: gzip\r\n\r\n" + packed)) as server,
        plait.ClientSession(auto_decompress=False) as session,
        session.get(server.url) as response,
    ):
        assert await response.read() == packed


async def test_a_bomb_is_decoded_only_as_far_as_it_is_read() -> None:
    packed = gzip.compress(bytes(200_000_000))
    answer = HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    async with (
        raw_server(once(answer + packed)) as server,
        plait.ClientSession(read_bufsize=65536) as session,
        session.get(server.url) as response,
    ):
        assert len(await response.content.read(1000)) == 1000
        assert response.content.total_bytes <= 4 * 65536


# -- what is broken ---------------------------------------------------------------


@pytest.mark.parametrize("chop", CHOPS)
@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (HEAD + b"Content-Length: 10\r\n\r\n12345", "5 of 10 expected bytes received"),
        (CHUNKED + b"\r\n5\r\nhel", "3 bytes received"),
        (CHUNKED + b"\r\n5\r\nhello\r\n", "5 bytes received"),
        (CHUNKED + b"\r\n5\r\nhelloXY", "bytes received"),
        (CHUNKED + b"\r\n0_2e\r\n", "0 bytes received"),
        (HEAD + b"Content-Encoding: gzip\r\n\r\nno gzip", "gzip"),
        (HEAD + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"x", mtime=0)[:-2], "gzip"),
    ],
)
async def test_a_broken_body(engine: EngineName, answer: bytes, message: str, chop: Chop) -> None:
    async with (
        raw_server(once(answer, chop)) as server,
        plait.ClientSession(engine=engine) as session,
    ):
        async with session.get(server.url) as response:
            with pytest.raises(plait.ClientPayloadError, match=message):
                await response.read()
        async with session.get(server.url) as response:
            with pytest.raises(plait.ClientPayloadError, match=message):
                b"".join([piece async for piece in response.content.iter_any()])
        assert server.connections == 2, "such a connection is not used again"


@pytest.mark.parametrize("chop", CHOPS)
@pytest.mark.parametrize(
    "answer",
    [
        b"not HTTP at all\r\n\r\n",
        HEAD + b"No colon\r\n\r\n",
        HEAD + b"Nul: abc\x00def\r\n\r\n",
        HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        HEAD + b"Content-Length: -1\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    ],
)
async def test_a_malformed_response(engine: EngineName, answer: bytes, chop: Chop) -> None:
    async with (
        raw_server(once(answer, chop)) as server,
        plait.ClientSession(engine=engine) as session,
    ):
        with pytest.raises(plait.ClientResponseError) as caught:
            await session.get(server.url)
        assert caught.value.status == 400
        assert caught.value.message.startswith("malformed response: ")
        assert str(caught.value.request_info.url) == server.url
        assert server.connections == 1, "the request is not sent again"


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 2", HEAD + b"Content-Le"])
async def test_a_server_that_closes_too_early(engine: EngineName, answer: bytes) -> None:
    async with (
        raw_server(once(answer)) as server,
        plait.ClientSession(engine=engine) as session,
    ):
        with pytest.raises(plait.ServerDisconnectedError):
            await session.get(server.url)


async def test_limits_of_the_head() -> None:
    answer = HEAD + b"X-Long: " + b"x" * 300 + b"\r\nContent-Length: 0\r\n\r\n"
    async with raw_server(always(answer)) as server:
        async with plait.ClientSession(max_field_size=200) as session:
            with pytest.raises(plait.ClientResponseError):
                await session.get(server.url)
            async with session.get(server.url, max_field_size=1000) as response:
                assert len(response.headers["X-Long"]) == 300
        async with plait.ClientSession() as session:
            with pytest.raises(plait.ClientResponseError):
                await session.get(server.url, max_headers=1)


async def test_raise_for_status() -> None:
    answer = b"HTTP/1.1 404 Gone Fishing\r\nX: y\r\nContent-Length: 0\r\n\r\n"
    async with raw_server(always(answer)) as server:
        async with plait.ClientSession(raise_for_status=True) as session:
            with pytest.raises(plait.ClientResponseError) as caught:
                await session.get(server.url)
            error = caught.value
            assert (error.status, error.message) == (404, "Gone Fishing")
            assert error.headers is not None
            assert error.headers["X"] == "y"
            async with session.get(server.url, raise_for_status=False) as response:
                assert not response.ok
        async with plait.ClientSession() as session:
            seen = []

            async def check(response: plait.ClientResponse) -> None:
                seen.append(response.status)

            async with session.get(server.url, raise_for_status=check):
                assert seen == [404]


# -- redirects ----------------------------------------------------------------------


async def test_a_redirect_across_origins_leaves_credentials_behind(engine: EngineName) -> None:
    heads: list[bytes] = []

    async def there(connection: RawConnection) -> None:
        heads.append(await connection.read_head())
        connection.send(OK)

    async with raw_server(there) as other:
        answer = b"HTTP/1.1 307 Go\r\nLocation: %bx#new\r\nContent-Length: 0\r\n\r\n"

        async def here(connection: RawConnection) -> None:
            head = await connection.read_head()
            assert b"secret" in head
            assert await connection.read(4) == b"body"
            connection.send(answer % other.url.encode())

        async with (
            raw_server(here) as server,
            plait.ClientSession(engine=engine) as session,
            session.post(
                server.url,
                data=b"body",
                headers={"AUTHORIZATION": "secret", "Kept": "1"},
                cookies={"secret": "1"},
            ) as response,
        ):
            assert response.url == URL(other.url + "x")
            assert response.real_url.fragment == "new"
            assert [old.status for old in response.history] == [307]
    assert heads[0].startswith(b"POST /x HTTP/1.1\r\n")
    assert b"\r\nKept: 1\r\n" in heads[0]
    assert b"secret" not in heads[0]


@pytest.mark.parametrize(
    ("location", "target"),
    [
        (b"/b?c=d", b"/b?c=d"),
        (b"b", b"/dir/b"),
        (b"?c", b"/dir/a?c"),
        (b"http:/b?c=d", b"/b?c=d"),
        (b"http:b", b"/dir/b"),
    ],
)
async def test_relative_redirects(engine: EngineName, location: bytes, target: bytes) -> None:
    async def script(connection: RawConnection) -> None:
        assert (await connection.read_head()).startswith(b"GET /dir/a HTTP/1.1\r\n")
        connection.send(b"HTTP/1.1 302 Go\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % location)
        assert (await connection.read_head()).startswith(b"GET %b HTTP/1.1\r\n" % target)
        connection.send(OK)

    async with (
        raw_server(script) as server,
        plait.ClientSession(engine=engine) as session,
        session.get(server.url + "dir/a") as response,
    ):
        assert response.status == 200


async def test_credentials_in_a_redirect_take_the_place_of_others() -> None:
    async def script(connection: RawConnection) -> None:
        assert b"\r\nAuthorization: mine\r\n" in await connection.read_head()
        location = b"http://user:pass@localhost:%d/" % server.port
        connection.send(b"HTTP/1.1 302 Go\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % location)
        head = await connection.read_head()
        assert head.count(b"Authorization") == 1
        assert b"\r\nAuthorization: Basic dXNlcjpwYXNz\r\n" in head
        connection.send(OK)

    async with (
        raw_server(script) as server,
        plait.ClientSession() as session,
        session.get(server.url, headers={"Authorization": "mine"}) as response,
    ):
        assert response.url == URL(server.url)


@pytest.mark.parametrize(
    ("location", "error"),
    [
        (b"https:/elsewhere", plait.InvalidUrlRedirectClientError),
        (b"ftp://example.org/", plait.NonHttpUrlRedirectClientError),
        (b"file:///etc/passwd", plait.NonHttpUrlRedirectClientError),
        (b"data:text/plain,x", plait.NonHttpUrlRedirectClientError),
        (b"http://[bad/", plait.InvalidUrlRedirectClientError),
        (b"http://x:99999999/", plait.InvalidUrlRedirectClientError),
        (b"http://2130706433/", plait.InvalidUrlClientError),
    ],
)
async def test_redirects_to_nowhere(location: bytes, error: type[Exception]) -> None:
    answer = b"HTTP/1.1 302 Go\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % location
    async with raw_server(always(answer)) as server, plait.ClientSession() as session:
        with pytest.raises(error):
            await session.get(server.url)


async def test_too_many_redirects() -> None:
    answer = b"HTTP/1.1 302 Go\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n"
    async with raw_server(always(answer)) as server, plait.ClientSession() as session:
        with pytest.raises(plait.TooManyRedirects) as caught:
            await session.get(server.url)
        assert len(caught.value.history) == 10
        async with session.get(server.url, allow_redirects=False) as response:
            assert response.status == 302
        assert server.connections == 1


async def test_a_body_that_is_used_up_cannot_follow_a_redirect() -> None:
    async def script(connection: RawConnection) -> None:
        await connection.read_head()
        await connection.reader.readuntil(b"0\r\n\r\n")
        connection.send(b"HTTP/1.1 307 Go\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n")

    async def body() -> Any:
        yield b"once"

    async with raw_server(script) as server, plait.ClientSession() as session:
        with pytest.raises(plait.ClientPayloadError, match="twice"):
            await session.post(server.url, data=body())


async def test_a_jar_that_fails_costs_no_connection() -> None:
    class Failing(plait.CookieJar):
        def update_cookies_from_headers(self, headers: Any, response_url: URL) -> None:
            raise RuntimeError("the jar is broken")

    async def script(connection: RawConnection) -> None:
        await connection.read_head()
        connection.send(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 5\r\n\r\n")
        await connection.read_to_end()

    async with (
        raw_server(script) as server,
        plait.ClientSession(cookie_jar=Failing(), connector=plait.TCPConnector(limit=1)) as session,
    ):
        for _ in range(2):
            with pytest.raises(RuntimeError, match="the jar is broken") as kept:
                await session.get(server.url)
            assert kept.traceback, "it holds all that failed, and still the place is free"


async def test_cookies_of_every_hop_are_kept_and_sent() -> None:
    async def script(connection: RawConnection) -> None:
        assert b"Cookie" not in await connection.read_head()
        connection.send(
            b"HTTP/1.1 302 Go\r\nLocation: /x\r\nSet-Cookie: a=1\r\nContent-Length: 0\r\n\r\n"
        )
        assert b"\r\nCookie: a=1\r\n" in await connection.read_head()
        connection.send(OK)

    async with raw_server(script) as server, plait.ClientSession() as session:
        async with session.get(server.url) as response:
            assert response.status == 200
        assert [morsel.value for morsel in session.cookie_jar] == ["1"]


# -- read_until_eof ---------------------------------------------------------------------------


@pytest.mark.parametrize("read", ["read", "content"])
@pytest.mark.parametrize(
    ("head", "kept"),
    [
        ("HTTP/1.1 200 OK\r\n\r\n", b""),
        ("HTTP/1.0 200 OK\r\n\r\n", b""),
        ("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", b"body"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n", b"body"),
    ],
)
async def test_a_body_without_a_length_is_none(
    engine: EngineName, head: str, kept: bytes, read: str
) -> None:
    async def script(connection: RawConnection) -> None:
        while await connection.read_head():
            end = b"\r\n0\r\n\r\n" if "chunked" in head else b""
            connection.send(head.encode() + b"body" + end)

    async with raw_server(script) as server, plait.ClientSession(engine=engine) as session:
        for number in range(1, 3):
            async with session.get(server.url, read_until_eof=False) as response:
                if read == "read":
                    assert await response.read() == kept
                else:
                    assert await response.content.read() == kept
            assert server.connections == (1 if kept else number)
        assert session.connector is not None
        assert session.connector.stats().in_use == 0


async def test_http2_needs_no_length(engine: EngineName) -> None:
    async def script(peer: H2Peer) -> None:
        request = await peer.next_request()
        peer.answer(request.stream_id, b"body")
        await peer.run_to_end()

    async with (
        raw_server(h2(script)) as server,
        plait.ClientSession(engine=engine, http2=True) as session,
        session.get(server.url, read_until_eof=False) as response,
    ):
        assert await response.read() == b"body"
