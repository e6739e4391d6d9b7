"""What the client writes: heads and bodies, byte by byte, over HTTP/1.1."""

from __future__ import annotations

import asyncio
import gzip
import io
import zlib
from collections.abc import AsyncIterator
from decimal import Decimal
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

import plait
from plait.compression_utils import ACCEPT_ENCODING
from plait.http import SERVER_SOFTWARE
from plait_engine.engines import EngineName
from tests.adapters.raw_server import OK, RawConnection, raw_server

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["native", "reference"])
def engine(request: pytest.FixtureRequest) -> EngineName:
    name: EngineName = request.param
    return name


async def sent(
    engine: EngineName,
    method: str,
    path: str = "",
    session: dict[str, Any] | None = None,
    **options: Any,
) -> tuple[list[bytes], bytes]:
    """Make a request; return the lines of its head, and its body as it was framed."""
    received = bytearray()

    async def script(connection: RawConnection) -> None:
        head = await connection.read_head()
        received.extend(head)
        lower = head.lower()
        if b"transfer-encoding: chunked" in lower:
            received.extend(await connection.reader.readuntil(b"0\r\n\r\n"))
        elif b"content-length:" in lower:
            length = int(lower.partition(b"content-length:")[2].split(b"\r\n")[0])
            received.extend(await connection.read(length))
        connection.send(OK)
        await connection.read_to_end()

    async with (
        raw_server(script) as server,
        plait.ClientSession(engine=engine, **(session or {})) as client,
        client.request(method, server.url + path, **options) as response,
    ):
        assert await response.read() == b"ok"
    head, _, body = bytes(received).partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[1].startswith(b"Host: localhost:")
    return [lines[0], *lines[2:]], body


AUTO = [
    b"Accept: */*",
    b"Accept-Encoding: " + ACCEPT_ENCODING.encode(),
    b"User-Agent: " + SERVER_SOFTWARE.encode(),
]


async def test_a_plain_get(engine: EngineName) -> None:
    assert await sent(engine, "GET") == ([b"GET / HTTP/1.1", *AUTO], b"")


async def test_the_callers_fields_come_first_and_as_they_are(engine: EngineName) -> None:
    lines, _ = await sent(
        engine,
        "GET",
        session={"headers": {"x-Session": "1", "X-Both": "session"}},
        headers=[("X-tWice", "1"), ("X-tWice", "2"), ("X-Both", "request"), ("accept", "a/b")],
    )
    assert lines == [
        b"GET / HTTP/1.1",
        b"x-Session: 1",
        b"X-Both: request",
        b"X-tWice: 1",
        b"X-tWice: 2",
        b"accept: a/b",
        *AUTO[1:],
    ]


async def test_automatic_fields_can_be_skipped(engine: EngineName) -> None:
    lines, _ = await sent(
        engine,
        "POST",
        data=b"x",
        session={"skip_auto_headers": ["user-agent"]},
        skip_auto_headers=["Accept", "Accept-Encoding", "Content-Type"],
    )
    assert lines == [b"POST / HTTP/1.1", b"Content-Length: 1"]


async def test_a_host_of_ones_own_takes_its_place() -> None:
    async def script(connection: RawConnection) -> None:
        assert (await connection.read_head()).startswith(b"GET / HTTP/1.1\r\nHost: other\r\n")
        connection.send(OK)

    async with raw_server(script) as server, plait.ClientSession() as session:
        await (await session.get(server.url, headers={"Host": "other"})).read()


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_no_content_has_the_length_zero(engine: EngineName, method: str) -> None:
    lines, _ = await sent(engine, method)
    assert b"Content-Length: 0" in lines
    assert (b"Content-Type: application/octet-stream" in lines) is (method != "DELETE")


@pytest.mark.parametrize("method", ["GET", "OPTIONS", "TRACE"])
async def test_no_content_needs_no_length(engine: EngineName, method: str) -> None:
    assert (await sent(engine, method))[0] == [f"{method} / HTTP/1.1".encode(), *AUTO]


async def pieces() -> AsyncIterator[bytes]:
    yield b"one"
    yield b""
    yield b"two"


OCTETS = b"application/octet-stream"
FORM = b"application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("data", "content_type", "body"),
    [
        (b"bytes", OCTETS, b"bytes"),
        (bytearray(b"bytes"), OCTETS, b"bytes"),
        (memoryview(b"bytes"), OCTETS, b"bytes"),
        (b"", OCTETS, b""),
        ("t\xe9xt", b"text/plain; charset=utf-8", "t\xe9xt".encode()),
        ({"a": "1", "b": "x y&"}, FORM, b"a=1&b=x+y%26"),
        ([("a", "1"), ("a", "2")], FORM, b"a=1&a=2"),
        (plait.FormData({"n": 5}), FORM, b"n=5"),
        (plait.JsonPayload({"a": 1}), b"application/json", b'{"a": 1}'),
        (plait.BytesPayload(b"x", content_type="a/b"), b"a/b", b"x"),
    ],
)
async def test_bodies_of_known_size(
    engine: EngineName, data: Any, content_type: bytes, body: bytes
) -> None:
    lines, received = await sent(engine, "POST", data=data)
    assert received == body
    assert b"Content-Type: " + content_type in lines
    assert f"Content-Length: {len(body)}".encode() in lines


async def test_values_of_a_form_become_text(engine: EngineName) -> None:
    data = {"a": True, "b": None, "c": ["x", 1], "d": Decimal("1.5")}
    _, body = await sent(engine, "POST", data=data)
    assert body == b"a=True&b=None&c=x&c=1&d=1.5"


@pytest.mark.parametrize("url", [None, 5, b"http://localhost/"])
async def test_a_url_is_text_or_a_url(url: Any) -> None:
    async with plait.ClientSession() as session:
        with pytest.raises(TypeError):
            await session.get(url)


async def test_bodies_of_unknown_size(engine: EngineName) -> None:
    lines, received = await sent(engine, "POST", data=pieces())
    assert received == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
    assert b"Transfer-Encoding: chunked" in lines


async def test_a_stream_is_passed_on(engine: EngineName) -> None:
    reader = plait.StreamReader(None, 1000)
    reader.feed_data(b"passed on")
    reader.feed_eof()
    _, received = await sent(engine, "POST", data=reader)
    assert received == b"9\r\npassed on\r\n0\r\n\r\n"


async def test_a_file_from_where_it_stands(engine: EngineName, tmp_path: Path) -> None:
    path = tmp_path / "body.txt"
    path.write_bytes(b"0123456789")
    with path.open("rb") as file:
        file.seek(4)
        lines, received = await sent(engine, "PUT", data=file)
    assert received == b"456789"
    assert b"Content-Length: 6" in lines
    assert b"Content-Type: text/plain" in lines
    assert not any(line.lower().startswith(b"content-disposition") for line in lines)


@pytest.mark.parametrize("status", [200, 303, 307])
async def test_a_file_is_closed_with_the_request(
    engine: EngineName, tmp_path: Path, status: int
) -> None:
    async def script(connection: RawConnection) -> None:
        await connection.read_head()
        assert await connection.read(7) == b"content"
        if status == 200:
            connection.send(OK)
            return
        connection.send(b"HTTP/1.1 %d Go\r\nLocation: /\r\nContent-Length: 0\r\n\r\n" % status)
        head = await connection.read_head()
        if status == 307:
            assert await connection.read(7) == b"content"
        else:
            assert head.startswith(b"GET /")
        connection.send(OK)

    path = tmp_path / "file"
    path.write_bytes(b"content")
    async with raw_server(script) as server, plait.ClientSession(engine=engine) as session:
        file = path.open("rb")
        async with session.post(server.url, data=file) as response:
            assert response.status == 200
        assert file.closed


async def test_a_file_is_closed_when_the_upload_ends_after_the_response(
    engine: EngineName, tmp_path: Path
) -> None:
    """The response is there before the server reads, and the file is more than fits on the way."""
    size = 20_000_000
    answered = asyncio.Event()
    closed = asyncio.Event()

    class Watched(plait.BufferedReaderPayload):
        async def close(self) -> None:
            await super().close()
            closed.set()

    async def script(connection: RawConnection) -> None:
        await connection.read_head()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
        await answered.wait()
        await connection.read(size)
        connection.send(b"ok")

    path = tmp_path / "file"
    with path.open("wb") as made:
        made.truncate(size)
    async with raw_server(script) as server, plait.ClientSession(engine=engine) as session:
        file = path.open("rb")
        async with session.post(server.url, data=Watched(file)) as response:
            assert not file.closed
            answered.set()
            assert await response.read() == b"ok"
        await closed.wait()
        assert file.closed


async def test_a_file_is_closed_when_the_request_fails(engine: EngineName, tmp_path: Path) -> None:
    async def script(connection: RawConnection) -> None:
        await connection.read_head()

    path = tmp_path / "file"
    path.write_bytes(b"content")
    async with raw_server(script) as server, plait.ClientSession(engine=engine) as session:
        file = path.open("rb")
        with pytest.raises(plait.ClientError):
            await session.post(server.url, data=file)
        assert file.closed


async def test_fields_of_a_payload_are_sent(engine: EngineName) -> None:
    payload = plait.StringPayload("x")
    payload.set_content_disposition("inline", filename="a.txt")
    payload.headers["X-More"] = "1"
    lines, _ = await sent(engine, "POST", data=payload)
    assert b'Content-Disposition: inline; filename="a.txt"' in lines
    assert b"X-More: 1" in lines


async def test_a_bytes_io_from_where_it_stands(engine: EngineName) -> None:
    body = io.BytesIO(b"0123456789")
    body.seek(8)
    assert (await sent(engine, "PUT", data=body))[1] == b"89"
    assert not body.closed


async def test_what_is_left_of_a_string_io(engine: EngineName) -> None:
    text = io.StringIO("some text")
    text.read(5)
    lines, received = await sent(engine, "PUT", data=text)
    assert received == b"text"
    assert b"Content-Type: text/plain; charset=utf-8" in lines


async def test_json(engine: EngineName) -> None:
    lines, received = await sent(engine, "POST", json={"a": [1]})
    assert received == b'{"a": [1]}'
    assert b"Content-Type: application/json" in lines
    _, received = await sent(
        engine, "POST", json=1, session={"json_serialize_bytes": lambda value: b"<%d>" % value}
    )
    assert received == b"<1>"


@pytest.mark.parametrize(
    ("compress", "name", "decode"),
    [(True, b"deflate", zlib.decompress), ("gzip", b"gzip", gzip.decompress)],
)
async def test_compression(engine: EngineName, compress: Any, name: bytes, decode: Any) -> None:
    lines, received = await sent(engine, "POST", data=b"x" * 1000, compress=compress)
    size, _, rest = received.partition(b"\r\n")
    assert b"Content-Encoding: " + name in lines
    first = rest[: int(size, 16)]
    rest = rest[len(first) + 2 :]
    while not rest.startswith(b"0\r\n"):
        size, _, rest = rest.partition(b"\r\n")
        first += rest[: int(size, 16)]
        rest = rest[int(size, 16) + 2 :]
    assert decode(first) == b"x" * 1000


async def test_an_empty_body_is_not_compressed(engine: EngineName) -> None:
    lines, _ = await sent(engine, "POST", data=b"", compress=True)
    assert not any(line.startswith(b"Content-Encoding") for line in lines)


async def test_chunked_on_request(engine: EngineName) -> None:
    lines, received = await sent(engine, "POST", data=b"abc", chunked=True)
    assert received == b"3\r\nabc\r\n0\r\n\r\n"
    assert b"Transfer-Encoding: chunked" in lines


@pytest.mark.parametrize(
    ("path", "options", "target"),
    [
        ("a b?c=d e#fragment", {}, b"/a%20b?c=d+e"),
        ("?x=1", {"params": {"y": "2"}}, b"/?x=1&y=2"),
        ("", {"params": [("a", "1"), ("a", "2")]}, b"/?a=1&a=2"),
        ("%41%2f", {}, b"/A%2F"),
        ("r\xe9", {}, b"/r%C3%A9"),
    ],
)
async def test_targets(
    engine: EngineName, path: str, options: dict[str, Any], target: bytes
) -> None:
    lines, _ = await sent(engine, "GET", path, **options)
    assert lines[0] == b"GET " + target + b" HTTP/1.1"


async def test_cookies_of_the_request_go_over_those_of_the_jar(engine: EngineName) -> None:
    lines, _ = await sent(
        engine,
        "GET",
        session={"cookies": {"jar": "1", "both": "jar"}},
        cookies={"both": "own", "own": "2"},
    )
    assert b"Cookie: jar=1; both=own; own=2" in lines


@pytest.mark.parametrize(
    ("cookie", "sent_along"),
    [
        ("a=1", True),
        ("a=1; Path=/dir", True),
        ("a=1; Path=/other", False),
        ("a=1; Domain=localhost", True),
        ("a=1; Domain=example.org", False),
        ("a=1; Secure", False),
        ("a=1; Max-Age=0", False),
    ],
)
async def test_attributes_of_a_morsel_decide_where_it_goes(
    engine: EngineName, cookie: str, sent_along: bool
) -> None:
    lines, _ = await sent(
        engine, "GET", "dir/x", cookies={"a": SimpleCookie(cookie)["a"], "plain": "2"}
    )
    assert (b"Cookie: a=1; plain=2" if sent_along else b"Cookie: plain=2") in lines


async def test_trusted_origins_get_secure_cookies_of_the_request() -> None:
    async def script(connection: RawConnection) -> None:
        assert b"\r\nCookie: a=1\r\n" in await connection.read_head()
        connection.send(OK)

    async with raw_server(script) as server:
        jar = plait.CookieJar(treat_as_secure_origin=server.url)
        async with (
            plait.ClientSession(cookie_jar=jar) as session,
            session.get(server.url, cookies=SimpleCookie("a=1; Secure")) as response,
        ):
            assert response.status == 200


async def test_cookies_and_a_cookie_field(engine: EngineName) -> None:
    lines, _ = await sent(
        engine,
        "GET",
        session={"cookies": {"jar": "1"}},
        headers={"Cookie": 'a="x; y" ; b=1;; jar=2;odd'},
        cookies={"b": "2"},
    )
    assert b'Cookie: a="x; y"; odd; jar=1; b=2' in lines


async def test_cookies_of_the_request_are_quoted_as_those_of_the_jar(engine: EngineName) -> None:
    cookies = {"a": "b=c d"}
    assert b'Cookie: a="b=c d"' in (await sent(engine, "GET", cookies=cookies))[0]
    jar = plait.CookieJar(quote_cookie=False)
    lines, _ = await sent(engine, "GET", session={"cookie_jar": jar}, cookies=cookies)
    assert b"Cookie: a=b=c d" in lines


async def test_a_cookie_cannot_become_a_field(engine: EngineName) -> None:
    lines, _ = await sent(engine, "GET", cookies={"a": "b\r\nX: y"})
    assert lines[-1] == rb'Cookie: a="b\015\012X: y"'


async def test_credentials_become_basic_authentication(engine: EngineName) -> None:
    with pytest.warns(DeprecationWarning, match="BasicAuth"):
        auth = plait.BasicAuth("user", "pass")
    with pytest.warns(DeprecationWarning, match="'auth' parameter is deprecated"):
        lines, _ = await sent(engine, "GET", auth=auth)
    assert b"Authorization: Basic dXNlcjpwYXNz" in lines


async def test_credentials_in_the_url() -> None:
    async def script(connection: RawConnection) -> None:
        assert b"\r\nAuthorization: Basic dXNlcjpwYXNz\r\n" in await connection.read_head()
        connection.send(OK)

    async with raw_server(script) as server, plait.ClientSession() as session:
        url = URL(server.url).with_user("user").with_password("pass")
        response = await session.get(url)
        assert response.url == URL(server.url)


async def test_only_one_source_of_authorization(engine: EngineName) -> None:
    with pytest.warns(DeprecationWarning, match="BasicAuth"):
        auth = plait.BasicAuth("user", "pass")
    headers = {"Authorization": "mine"}
    async with plait.ClientSession(headers=headers, engine=engine) as session:
        with pytest.raises(ValueError, match=r"leave out|excludes"):
            await session.get("http://user@localhost/")
        for url in ("http://localhost/", "http://user@localhost/"):
            with (
                pytest.raises(ValueError, match=r"leave out|excludes"),
                pytest.warns(DeprecationWarning, match="'auth' parameter is deprecated"),
            ):
                await session.get(url, auth=auth)
    with pytest.warns(DeprecationWarning, match="'auth' parameter is deprecated"):
        session = plait.ClientSession(auth=auth, engine=engine)
    async with session:
        with pytest.raises(ValueError, match=r"leave out|excludes"):
            await session.get("http://localhost/", headers=headers)


async def test_the_body_waits_for_100(engine: EngineName) -> None:
    async def script(connection: RawConnection) -> None:
        assert b"\r\nExpect: 100-continue\r\n" in await connection.read_head()
        assert not connection.reader._buffer  # type: ignore[attr-defined]  # nothing else came
        connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert await connection.read(4) == b"body"
        connection.send(OK)

    async with (
        raw_server(script) as server,
        plait.ClientSession(engine=engine) as session,
        session.post(server.url, data=b"body", expect100=True) as response,
    ):
        assert await response.text() == "ok"


async def test_a_final_response_instead_of_100(engine: EngineName) -> None:
    async def script(connection: RawConnection) -> None:
        await connection.read_head()
        connection.send(b"HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n")
        assert await connection.read_to_end() == b""

    async with raw_server(script) as server, plait.ClientSession(engine=engine) as session:
        async with session.post(server.url, data=b"body", expect100=True) as response:
            assert response.status == 417
        async with session.post(server.url, data=b"body", expect100=True) as response:
            assert response.status == 417
        assert server.connections == 2, "a connection of which nobody knows where it stands"


@pytest.mark.parametrize("method", ["", "GET / HTTP/1.1\r\nX: y", "A B", "G\xcbT", "GET\0"])
async def test_a_method_is_a_token(engine: EngineName, method: str) -> None:
    await assert_refused(engine, ValueError, method=method)


@pytest.mark.parametrize(
    "options",
    [
        {"headers": {"X": "a\r\nY: b"}},
        {"headers": {"X\r\nY": "a"}},
        {"headers": {"Host": "a\r\nX: y"}},
        {"headers": {"X": "nul\0"}},
        {"headers": {"": "x"}},
        {"headers": [("Content-Length", "1"), ("content-length", "2")]},
        {"headers": {"Content-Length": "50"}, "data": b"shorter"},
        {"headers": {"Content-Length": "x"}, "data": b"x"},
        {"headers": {"Content-Length": "1", "Transfer-Encoding": "chunked"}, "data": b"x"},
        {"headers": {"Content-Length": "1"}, "data": b"x", "chunked": True},
        {"headers": {"Content-Encoding": "gzip"}, "data": b"x", "compress": True},
        {"data": b"x", "compress": "br"},
        {"data": b"x", "json": 1},
        {"headers": {"Cookie": "a\nb"}},
    ],
)
async def test_nothing_is_sent_of_what_cannot_be_said(
    engine: EngineName, options: dict[str, Any]
) -> None:
    await assert_refused(engine, (ValueError, plait.ClientConnectionError), **options)


async def assert_refused(
    engine: EngineName, errors: Any, method: str = "POST", **options: Any
) -> None:
    received: list[bytes] = []

    async def script(connection: RawConnection) -> None:
        received.append(await connection.read_head())
        connection.send(OK)
        await connection.read_to_end()

    async with raw_server(script) as server, plait.ClientSession(engine=engine) as session:
        with pytest.raises(errors):
            await session.request(method, server.url, **options)
        async with session.get(server.url + "after") as response:
            assert await response.text() == "ok"
    assert [head.split(b" ")[1] for head in received if head] == [b"/after"]


@pytest.mark.parametrize(
    "url", ["http://127.1/", "http://2130706433/", "http://0x7f.1/", "http://017700000001/"]
)
async def test_numbers_are_no_hosts(url: str) -> None:
    async with plait.ClientSession() as session:
        with pytest.raises(plait.InvalidUrlClientError, match="no IPv4 address"):
            await session.get(url)


@pytest.mark.parametrize("url", ["http://", "http:///path", "/relative", "http://["])
async def test_urls_without_a_host(url: str) -> None:
    async with plait.ClientSession() as session:
        with pytest.raises(plait.InvalidURL):
            await session.get(url)


async def test_other_schemes() -> None:
    async with plait.ClientSession() as session:
        with pytest.raises(plait.NonHttpUrlClientError):
            await session.get("ftp://example.org/")


async def test_base_url(engine: EngineName) -> None:
    async def script(connection: RawConnection) -> None:
        assert (await connection.read_head()).startswith(b"GET /api/v1/items?x=1 HTTP/1.1\r\n")
        connection.send(OK)

    async with (
        raw_server(script) as server,
        plait.ClientSession(server.url + "api/v1/", engine=engine) as session,
        session.get("items", params={"x": 1}) as response,
    ):
        assert response.url == URL(server.url + "api/v1/items?x=1")


@pytest.mark.parametrize("base_url", ["relative/", "http://example.org/no-slash"])
async def test_bad_base_urls(base_url: str) -> None:
    with pytest.raises(ValueError, match="base_url must"):
        plait.ClientSession(base_url)


async def test_a_body_that_fails_fails_the_request(engine: EngineName) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"beginning"
        raise RuntimeError("no more")

    async def script(connection: RawConnection) -> None:
        await connection.read_head()
        assert (await connection.read_to_end()) in (b"", b"9\r\nbeginning\r\n")

    async with raw_server(script) as server, plait.ClientSession(engine=engine) as session:
        with pytest.raises(plait.ClientConnectionError, match="no more") as caught:
            await session.post(server.url, data=broken())
        assert isinstance(caught.value.__cause__, RuntimeError)


async def test_a_timeout_in_the_body_is_a_timeout(engine: EngineName) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"some"
        raise TimeoutError("mine")

    async with (
        raw_server(lambda connection: connection.read_to_end()) as server,
        plait.ClientSession(engine=engine) as session,
    ):
        with pytest.raises(TimeoutError, match="mine") as caught:
            await session.post(server.url, data=body())
        assert type(caught.value) is TimeoutError


async def test_head_and_small_body_leave_in_one_write(engine: EngineName) -> None:
    writes: list[bytes] = []
    async with plait.ClientSession(engine=engine) as session:

        async def script(connection: RawConnection) -> None:
            for _ in range(2):
                head = await connection.read_head()
                if head.startswith(b"POST"):
                    await connection.read(4)
                connection.send(OK)

        async with raw_server(script) as server:
            async with session.get(server.url) as response:
                connection = response._exchange
                assert connection is not None
                transport = connection.driver.transport
                assert transport is not None
            original = transport.write

            def write(data: Any) -> None:
                writes.append(bytes(data))
                original(data)

            transport.write = write  # type: ignore[method-assign]  # to watch it
            async with session.post(server.url, data=b"body"):
                pass
    assert len(writes) == 1
    assert writes[0].endswith(b"\r\n\r\nbody")


async def test_aiohttps_gather_of_requests(engine: EngineName) -> None:
    async def script(connection: RawConnection) -> None:
        while await connection.read_head():
            connection.send(OK)

    async with raw_server(script) as server, plait.ClientSession(engine=engine) as session:
        responses = await asyncio.gather(*[session.get(server.url) for _ in range(5)])
        assert [await response.text() for response in responses] == ["ok"] * 5
        assert await (await asyncio.create_task(session.get(server.url))).text() == "ok"


# -- a request that is changed before it is sent ----------------------------------------------


def test_content_that_is_replaced() -> None:
    request = plait.ClientRequest("POST", URL("http://a/"), data=b"one")
    assert request.headers["Content-Length"] == "3"
    request.body = b"three"
    assert request.headers["Content-Length"] == "5"

    async def pieces() -> AsyncIterator[bytes]:
        yield b"piece"

    request.body = pieces()
    assert "Content-Length" not in request.headers
    assert request.headers["Transfer-Encoding"] == "chunked"
    request.body = None
    assert request.body == b""
    assert request.headers["Content-Length"] == "0"
    assert "Transfer-Encoding" not in request.headers


def test_content_that_is_replaced_and_left_open(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    with path.open("rb") as file:
        request = plait.ClientRequest("POST", URL("http://a/"), data=file)
        with pytest.warns(ResourceWarning, match="update_body") as caught:
            request.body = b"other"
        request = plait.ClientRequest("POST", URL("http://a/"), data=file)
        with pytest.warns(ResourceWarning, match="update_body") as again:
            request.update_body_from_data(b"other")
    assert caught[0].filename == again[0].filename == __file__


async def test_content_that_is_replaced_and_closed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    with path.open("rb") as file:
        request = plait.ClientRequest("POST", URL("http://a/"), data=file)
        assert isinstance(request.body, plait.BufferedReaderPayload)
        await request.body.close()
        request.body = io.BytesIO(b"in memory")
        request.body = b"bytes"


@pytest.mark.parametrize("options", [{"chunked": True}, {"compress": "gzip"}])
async def test_chunks_that_were_asked_for_stay(options: dict[str, Any]) -> None:
    request = plait.ClientRequest("POST", URL("http://a/"), data=b"x", **options)
    await request.update_body(b"other")
    assert request.headers["Transfer-Encoding"] == "chunked"
    assert "Content-Length" not in request.headers


async def test_the_loop_of_a_request() -> None:
    loop = asyncio.get_running_loop()
    assert plait.ClientRequest("GET", URL("http://a/")).loop is loop
    assert plait.ClientRequest("GET", URL("http://a/"), loop=loop).loop is loop


def test_credentials_of_a_request_win() -> None:
    with pytest.warns(DeprecationWarning, match="BasicAuth"):
        auth = plait.BasicAuth("you", "secret")
    request = plait.ClientRequest("GET", URL("http://me@a/"), auth=auth)
    assert request.headers["Authorization"] == auth.encode()
    assert request.url == URL("http://a/")
