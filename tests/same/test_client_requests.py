"""What a client sends, on aiohttp and on plait; the server is plait's."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from tests.same.conftest import Library
from tests.same.recorder import recording

pytestmark = pytest.mark.anyio


# -- the head ----------------------------------------------------------------------------------


async def test_a_get(library: Library) -> None:
    async with recording(library) as recorder:
        seen = await recorder.send("GET", "/a?b=c")
    assert (seen.method, seen.target, seen.body) == ("GET", "/a?b=c", b"")
    assert seen.headers["Accept"] == "*/*"
    assert seen.headers["Accept-Encoding"].startswith("gzip, deflate")
    assert seen.headers["User-Agent"].startswith("Python/3.")
    assert seen.headers["Host"] == recorder.url.authority
    assert not {"Content-Length", "Content-Type", "Transfer-Encoding"} & set(seen.headers)
    assert "Connection" not in seen.headers


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "options", "head"])
async def test_each_method(library: Library, method: str) -> None:
    async with recording(library) as recorder:
        async with getattr(recorder.session, method)(recorder.url / "a") as response:
            assert response.status == 200
            assert response.method == method.upper()
        seen = recorder.last
    assert seen.method == method.upper()
    has_length = method in {"post", "put", "patch", "delete"}
    assert seen.headers.get("Content-Length") == ("0" if has_length else None)


async def test_a_method_of_ones_own(library: Library) -> None:
    async with recording(library) as recorder:
        assert (await recorder.send("propfind")).method == "PROPFIND"


async def test_headers_of_session_and_request(library: Library) -> None:
    async with recording(library, headers={"X-A": "1", "X-B": "2"}) as recorder:
        seen = await recorder.send("GET", headers=[("X-B", "3"), ("X-B", "4"), ("X-C", "5")])
        assert recorder.session.headers["X-A"] == "1"
    assert seen.headers["X-A"] == "1"
    assert seen.headers.getall("X-B") == ["3", "4"]
    assert seen.headers["X-C"] == "5"


async def test_headers_that_replace_the_usual_ones(library: Library) -> None:
    own = {"Accept": "a/b", "Accept-Encoding": "identity", "User-Agent": "mine"}
    async with recording(library) as recorder:
        seen = await recorder.send("GET", headers=own)
    for name, value in own.items():
        assert seen.headers.getall(name) == [value]


async def test_headers_that_are_left_out(library: Library) -> None:
    names = ["Accept", "User-Agent", "Accept-Encoding", "Content-Type"]
    async with recording(library, skip_auto_headers=names[:2]) as recorder:
        seen = await recorder.send("POST", data=b"a", skip_auto_headers=names[2:])
        assert {str(name) for name in recorder.session.skip_auto_headers} == set(names[:2])
    assert not set(names) & set(seen.headers)


@pytest.mark.parametrize(
    "headers", [{"A": "b\r\nC: d"}, {"A\r\n": "b"}, {"A": "b\x00"}, {"A b": "c"}]
)
async def test_headers_that_cannot_be_sent(library: Library, headers: dict[str, str]) -> None:
    if library.name == "aiohttp" and "A b" in headers:
        return  # It sends that.
    async with recording(library) as recorder:
        with pytest.raises(ValueError, match=r"."):
            await recorder.send("GET", headers=headers)
        assert recorder.seen == []


@pytest.mark.parametrize("method", ["A B", "GET\r\n", "é", ""])
async def test_methods_that_cannot_be_sent(library: Library, method: str) -> None:
    if library.name == "aiohttp" and not method:
        return  # It sends that.
    async with recording(library) as recorder:
        with pytest.raises(ValueError, match=r"."):
            await recorder.send(method)


# -- the URL -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "params", "target"),
    [
        ("/a", {"b": "c d"}, "/a?b=c+d"),
        ("/a?x=1", {"b": "c"}, "/a?x=1&b=c"),
        ("/a", [("b", "1"), ("b", "2")], "/a?b=1&b=2"),
        ("/a", {"b": ["1", "2"]}, "/a?b=1&b=2"),
        ("/a", "b=c", "/a?b=c"),
        ("/a", {"b": 1}, "/a?b=1"),
        ("/a", None, "/a"),
        ("/a#fragment", None, "/a"),
        ("/caf\u00e9", None, "/caf%C3%A9"),
        ("/a%20b", None, "/a%20b"),
        ("/a%2Fb", None, "/a%2Fb"),
        ("", None, "/"),
    ],
)
async def test_targets(library: Library, path: str, params: Any, target: str) -> None:
    async with recording(library) as recorder:
        assert (await recorder.send("GET", path, params=params)).target == target


async def test_a_base(library: Library) -> None:
    async with recording(library) as recorder, library.session(base_url=recorder.url / "x/") as s:
        async with s.get("a"):
            assert recorder.last.target == "/x/a"
        async with s.get("/b"):
            assert recorder.last.target == "/b"
        async with s.get(recorder.url / "c"):
            assert recorder.last.target == "/c"


@pytest.mark.parametrize("base", ["http://a.example/x", "/relative/"])
async def test_a_base_that_is_none(plain: Library, base: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        plain.top.ClientSession(base_url=base)


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("ftp://a.example/", "NonHttpUrlClientError"),
        ("mailto:a@b.example", "NonHttpUrlClientError"),
        ("http:///a", "InvalidUrlClientError"),
        ("/a", "InvalidUrlClientError"),
        ("http://a.example:99999/", "InvalidUrlClientError"),
    ],
)
async def test_urls_that_are_none(library: Library, url: str, error: str) -> None:
    async with library.session() as session:
        with pytest.raises(getattr(library.top, error)) as caught:
            await session.get(url)
        assert isinstance(caught.value, library.top.ClientError)
        assert url in str(caught.value)


# -- cookies and credentials -------------------------------------------------------------------


async def test_cookies_of_session_and_request(library: Library) -> None:
    jar = library.top.CookieJar(unsafe=True)
    async with recording(library, cookie_jar=jar, cookies={"a": "1"}) as recorder:
        seen = await recorder.send("GET", cookies={"b": "2"})
        assert sorted(seen.headers["Cookie"].split("; ")) == ["a=1", "b=2"]
        assert (await recorder.send("GET")).headers["Cookie"] == "a=1"


async def test_cookies_of_the_server(library: Library) -> None:
    jar = library.top.CookieJar(unsafe=True)
    async with recording(library, cookie_jar=jar) as recorder:
        await recorder.send("GET", "/cookie?a=1&b=x")
        seen = await recorder.send("GET")
        assert sorted(seen.headers["Cookie"].split("; ")) == ["a=1", "b=x"]
        assert recorder.session.cookie_jar is jar
    async with recording(library) as recorder:  # An IP address has no cookies by default.
        await recorder.send("GET", "/cookie?a=1")
        assert "Cookie" not in (await recorder.send("GET")).headers


async def test_no_cookies(library: Library) -> None:
    jar = library.top.DummyCookieJar()
    async with recording(library, cookie_jar=jar) as recorder:
        await recorder.send("GET", "/cookie?a=1")
        assert "Cookie" not in (await recorder.send("GET")).headers


async def test_credentials_in_the_url(library: Library) -> None:
    async with recording(library) as recorder:
        url = recorder.url.with_user("a").with_password("b")
        async with recorder.session.get(url) as response:
            assert response.url.user is None
        assert recorder.last.headers["Authorization"] == "Basic YTpi"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_credentials(library: Library) -> None:
    auth = library.top.BasicAuth("a", "b")
    async with recording(library) as recorder:
        seen = await recorder.send("GET", auth=auth)
        assert seen.headers["Authorization"] == "Basic YTpi"
        with pytest.raises(ValueError, match=r"."):
            await recorder.send("GET", auth=auth, headers={"Authorization": "x"})
        url = recorder.url.with_user("c")
        with pytest.raises(ValueError, match=r"."):
            await recorder.session.get(url, auth=auth)


# -- content -----------------------------------------------------------------------------------


async def _pieces() -> AsyncIterator[bytes]:
    yield b"ab"
    yield b"cd"


@pytest.mark.parametrize(
    ("make", "content_type", "length"),
    [
        (lambda: b"abcd", "application/octet-stream", "4"),
        (lambda: bytearray(b"abcd"), "application/octet-stream", "4"),
        (lambda: memoryview(b"abcd"), "application/octet-stream", "4"),
        (lambda: "abcd", "text/plain; charset=utf-8", "4"),
        (lambda: io.BytesIO(b"abcd"), "application/octet-stream", "4"),
        (lambda: io.StringIO("abcd"), "text/plain; charset=utf-8", "4"),
        (_pieces, "application/octet-stream", None),
    ],
)
async def test_kinds_of_content(
    library: Library, make: Any, content_type: str, length: str | None
) -> None:
    async with recording(library) as recorder:
        seen = await recorder.send("POST", data=make())
    assert seen.body == b"abcd"
    assert seen.headers["Content-Type"] == content_type
    assert seen.headers.get("Content-Length") == length
    if length is None and not library.is_h2:
        assert seen.headers["Transfer-Encoding"] == "chunked"


async def test_files(library: Library, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"abcd")
    async with recording(library) as recorder:
        with path.open("rb") as file:
            seen = await recorder.send("PUT", data=file)
    assert (seen.body, seen.headers["Content-Length"]) == (b"abcd", "4")
    assert seen.headers["Content-Type"] == "text/plain"


async def test_json(library: Library) -> None:
    async with recording(library) as recorder:
        seen = await recorder.send("POST", json={"a": "é"})
        assert json.loads(seen.body) == {"a": "é"}
        assert seen.headers["Content-Type"] == "application/json"
        assert (await recorder.send("POST", json=None)).body in {b"", b"null"}
        seen = await recorder.send("POST", json=1, headers={"Content-Type": "a/b"})
        assert seen.headers["Content-Type"] == "a/b"
        with pytest.raises(ValueError, match=r"."):
            await recorder.send("POST", json=1, data=b"a")


async def test_json_by_an_encoder_of_ones_own(library: Library) -> None:
    async with recording(library, json_serialize=lambda data: f"<{data}>") as recorder:
        assert (await recorder.send("POST", json=1)).body == b"<1>"
    async with recording(library, json_serialize_bytes=lambda data: b"bytes") as recorder:
        assert (await recorder.send("POST", json=1)).body == b"bytes"


@pytest.mark.parametrize(
    "form", [{"a": "1", "b": "x y"}, [("a", "1"), ("b", "x y")], (("a", "1"), ("b", "x y"))]
)
async def test_urlencoded_forms(library: Library, form: Any) -> None:
    async with recording(library) as recorder:
        seen = await recorder.send("POST", data=form)
    assert seen.body == b"a=1&b=x+y"
    assert seen.headers["Content-Type"] == "application/x-www-form-urlencoded"


async def test_multipart_forms(library: Library) -> None:
    form = library.top.FormData()
    form.add_field("a", "1")
    form.add_field("f", io.BytesIO(b"x"), filename="é.bin", content_type="a/b")
    async with recording(library) as recorder:
        seen = await recorder.send("POST", data=form)
        assert seen.form == [("a", "1"), ("f", ("%C3%A9.bin", "a/b", b"x"))] or seen.form == [
            ("a", "1"),
            ("f", ("é.bin", "a/b", b"x")),
        ]
        seen = await recorder.send("POST", data={"a": "1", "f": io.BytesIO(b"y")})
        assert seen.form[0] == ("a", "1")
        assert seen.form[1][0] == "f"
        assert seen.form[1][1][2] == b"y"


async def test_multipart(library: Library) -> None:
    with library.top.MultipartWriter("mixed", boundary="b") as writer:
        writer.append("x")
    async with recording(library) as recorder:
        seen = await recorder.send("POST", data=writer)
    assert seen.body.endswith(b"\r\n\r\nx\r\n--b--\r\n")
    assert seen.headers["Content-Length"] == str(len(seen.body))


async def pieces() -> AsyncIterator[bytes]:
    yield b"ab"
    yield b"cd"
    yield b"ef"


@pytest.mark.parametrize(
    "make",
    [
        lambda: b"abcdef",
        lambda: "abcdef",
        lambda: b"abc" + b"d" * 100_000,
        lambda: io.BytesIO(b"abcdef"),
        lambda: io.StringIO("abcdef"),
        pieces,
    ],
)
async def test_a_length_that_says_less_cuts_the_content(
    library: Library, make: Callable[[], Any]
) -> None:
    async with recording(library) as recorder:
        for _ in range(2):
            seen = await recorder.send("POST", data=make(), headers={"Content-Length": "3"})
            assert (seen.body, seen.headers["Content-Length"]) == (b"abc", "3")
            assert "Transfer-Encoding" not in seen.headers


async def test_content_of_a_response(library: Library) -> None:
    async with recording(library) as recorder:
        async with recorder.session.get(recorder.url / "body?size=100000") as response:
            pass
        async with recorder.session.get(recorder.url.with_path("/body").with_query(size=9)) as r:
            seen = await recorder.send("POST", "/a", data=r.content)
        assert seen.body == b"x" * 9
        assert response.closed


@pytest.mark.parametrize("coding", [True, "deflate", "gzip"])
async def test_compressed(library: Library, coding: Any) -> None:
    async with recording(library) as recorder:
        seen = await recorder.send("POST", data=b"a" * 999, compress=coding)
        assert seen.headers["Content-Encoding"] == ("deflate" if coding is True else coding)
        assert seen.body == b"a" * 999  # The server decoded it.
        with pytest.raises(ValueError, match=r"."):
            await recorder.send(
                "POST", data=b"a", compress=coding, headers={"Content-Encoding": "gzip"}
            )


@pytest.mark.parametrize("method", ["DELETE", "POST"])
async def test_chunked_without_content(library: Library, method: str) -> None:
    async with recording(library) as recorder:
        seen = await recorder.send(method, chunked=True, headers={"X-A": "1"})
        says = None if library.is_h2 else "chunked"
        assert seen.headers.get("Transfer-Encoding") == says
        assert seen.body == b""


async def test_chunked(library: Library) -> None:
    async with recording(library) as recorder:
        seen = await recorder.send("POST", data=b"abc", chunked=True)
        assert seen.body == b"abc"
        assert library.is_h2 or seen.headers["Transfer-Encoding"] == "chunked"
        with pytest.raises(ValueError, match=r"."):
            await recorder.send("POST", data=b"a", chunked=True, headers={"Content-Length": "1"})


async def test_continue(library: Library) -> None:
    async with recording(library) as recorder:
        seen = await recorder.send("POST", data=b"abc", expect100=True)
        assert (seen.body, seen.headers["Expect"]) == (b"abc", "100-continue")


async def test_what_is_no_content(library: Library) -> None:
    async with recording(library) as recorder:
        with pytest.raises((TypeError, ValueError, LookupError)):
            await recorder.send("POST", data=object())


# -- redirections ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "method", "after"),
    [
        (301, "GET", "GET"),
        (301, "POST", "GET"),
        (301, "PUT", "PUT"),
        (302, "POST", "GET"),
        (302, "DELETE", "DELETE"),
        (303, "POST", "GET"),
        (303, "PUT", "GET"),
        (303, "HEAD", "HEAD"),
        (307, "POST", "POST"),
        (308, "POST", "POST"),
        (302, "post", "GET"),
        (307, "post", "POST"),
    ],
)
async def test_redirections(library: Library, status: int, method: str, after: str) -> None:
    data = b"abc" if method.upper() in {"POST", "PUT"} else None
    async with (
        recording(library) as recorder,
        recorder.session.request(
            method, recorder.url / f"moved/{status}", data=data, allow_redirects=True
        ) as response,
    ):
        assert response.status == 200
        assert [seen.method for seen in recorder.seen] == [method.upper(), after]
        last = recorder.last
        assert last.target == "/end"
        assert last.body == (data if data and after == method.upper() else b"")
        assert [each.status for each in response.history] == [status]
        assert response.history[0].url.path == f"/moved/{status}"
        assert response.url.path == "/end"
        assert response.method == after
        if after != method.upper():
            assert "Content-Length" not in last.headers


async def test_redirections_that_are_not_followed(library: Library) -> None:
    async with recording(library) as recorder:
        url = recorder.url / "moved/302"
        async with recorder.session.get(url, allow_redirects=False) as response:
            assert (response.status, response.history) == (302, ())
        async with recorder.session.head(url) as response:
            assert response.status == 302


async def test_too_many_redirections(library: Library) -> None:
    async with recording(library) as recorder:
        url = (recorder.url / "moved/302").with_query(left="3")
        async with recorder.session.get(url, max_redirects=5) as response:
            assert len(response.history) == 4
        with pytest.raises(library.top.TooManyRedirects) as caught:
            await recorder.session.get(url, max_redirects=3)
        assert isinstance(caught.value, library.top.ClientResponseError)
        assert len(caught.value.history) == 3
        assert caught.value.request_info.real_url == url


@pytest.mark.parametrize(
    ("to", "error"),
    [
        ("ftp://a.example/", "NonHttpUrlRedirectClientError"),
        ("http:///a", "InvalidUrlRedirectClientError"),
        ("http://a.example:99999/", "InvalidUrlRedirectClientError"),
    ],
)
async def test_redirections_to_nowhere(library: Library, to: str, error: str) -> None:
    if library.name == "aiohttp" and to == "http:///a":
        return  # It takes that for a path here.
    async with recording(library) as recorder:
        url = (recorder.url / "moved/302").with_query(to=to)
        with pytest.raises(getattr(library.top, error)) as caught:
            await recorder.session.get(url)
        assert isinstance(caught.value, library.top.RedirectClientError)


async def test_the_fragment_stays_with_the_program(library: Library) -> None:
    async with recording(library) as recorder:
        url = URL(f"{recorder.url}/a#b")
        async with recorder.session.get(url) as response:
            assert response.url == url.with_fragment(None)
            assert response.real_url == url
            assert response.request_info.real_url == url
            assert response.request_info.url == url.with_fragment(None)
            assert response.request_info.method == "GET"


async def test_credentials_stay_at_their_origin(library: Library) -> None:
    async with recording(library) as recorder, recording(library) as other:
        url = (recorder.url / "moved/302").with_query(to=str(other.url / "end"))
        fields = {"Authorization": "secret", "Cookie": "a=1", "Proxy-Authorization": "x", "X": "1"}
        async with recorder.session.get(url, headers=fields) as response:
            assert response.status == 200
        last = other.last
        assert last.headers["X"] == "1"
        assert not {"Authorization", "Cookie", "Proxy-Authorization"} & set(last.headers)


# -- middlewares -------------------------------------------------------------------------------


async def test_middlewares(library: Library) -> None:
    seen: list[str] = []

    def make(name: str) -> Any:
        async def around(request: Any, handler: Any) -> Any:
            seen.append(f"{name} {request.method} {request.url.path}")
            request.headers[f"X-{name}"] = "1"
            response = await handler(request)
            seen.append(f"{name} {response.status}")
            return response

        return around

    async with recording(library, middlewares=(make("a"), make("b"))) as recorder:
        last = await recorder.send("GET", "/x")
        assert (last.headers["X-a"], last.headers["X-b"]) == ("1", "1")
        assert seen == ["a GET /x", "b GET /x", "b 200", "a 200"]
        seen.clear()
        await recorder.send("GET", "/x", middlewares=(make("c"),))
        assert seen == ["c GET /x", "c 200"]
        seen.clear()
        await recorder.send("GET", "/moved/302", middlewares=(make("c"),))
        assert seen == ["c GET /moved/302", "c 302", "c GET /end", "c 200"]


# -- the whole call ----------------------------------------------------------------------------


async def test_a_request_without_a_session(plain: Library) -> None:
    async with recording(plain) as recorder:
        async with plain.top.request("GET", recorder.url / "a") as response:
            assert await response.text() == "seen"
        assert recorder.last.target == "/a"


async def test_a_request_is_awaited_or_entered(library: Library) -> None:
    async with recording(library) as recorder:
        response = await recorder.session.get(recorder.url)
        assert await response.text() == "seen"
        response.release()
        async with recorder.session.get(recorder.url) as response:
            assert response.status == 200
        assert response.closed or response.connection is None


async def test_a_session_that_is_closed(library: Library) -> None:
    session = library.session()
    assert session.closed is False
    await session.close()
    assert session.closed is True
    with pytest.raises(RuntimeError):
        await session.get("http://127.0.0.1/")
    await session.close()


async def test_who_owns_the_connector(plain: Library) -> None:
    connector = plain.top.TCPConnector()
    async with plain.top.ClientSession(connector=connector, connector_owner=False) as session:
        assert session.connector_owner is False
        assert session.connector is connector
    assert connector.closed is False
    session = plain.top.ClientSession(connector=connector)
    session.detach()
    assert session.connector is None
    assert session.closed is True
    assert connector.closed is False
    await connector.close()
    assert connector.closed is True


async def test_a_session_in_with(plain: Library) -> None:
    session = plain.top.ClientSession()
    with pytest.raises(TypeError), session:
        pass
    await session.close()


# -- timeouts and errors -----------------------------------------------------------------------


async def test_the_total_time(library: Library) -> None:
    timeout = library.top.ClientTimeout(total=0.05)
    async with recording(library, timeout=timeout) as recorder:
        assert recorder.session.timeout is timeout
        with pytest.raises(asyncio.TimeoutError):
            await recorder.session.get(recorder.url / "never")
        async with recorder.session.get((recorder.url / "never").with_query(head="1")) as response:
            with pytest.raises(asyncio.TimeoutError):
                await response.read()
        with pytest.raises(asyncio.TimeoutError):
            await recorder.session.get(
                recorder.url / "never", timeout=library.top.ClientTimeout(total=0.01)
            )


async def test_the_time_to_read(library: Library) -> None:
    timeout = library.top.ClientTimeout(sock_read=0.05)
    async with recording(library) as recorder:
        with pytest.raises(library.top.SocketTimeoutError) as caught:
            await recorder.session.get(recorder.url / "never", timeout=timeout)
        assert isinstance(caught.value, library.top.ServerTimeoutError)
        assert isinstance(caught.value, asyncio.TimeoutError)


async def test_nobody_listens(library: Library) -> None:
    port = library.test_utils.unused_port()
    async with library.session() as session:
        with pytest.raises(library.top.ClientConnectorError) as caught:
            await session.get(f"http://127.0.0.1:{port}/")
    error = caught.value
    assert isinstance(error, library.top.ClientOSError)
    assert isinstance(error, OSError)
    assert (error.host, error.port, error.ssl) == ("127.0.0.1", port, True)
    assert isinstance(error.os_error, ConnectionRefusedError)
    assert "127.0.0.1" in str(error)


async def test_no_such_host(library: Library) -> None:
    class Resolver(library.abc.AbstractResolver):  # type: ignore[misc, name-defined]
        async def resolve(self, host: str, port: int = 0, family: Any = 0) -> Any:
            raise OSError(None, f"no {host}")

        async def close(self) -> None:
            pass

    async with library.session(connector={"resolver": Resolver()}) as session:
        with pytest.raises(library.top.ClientConnectorDNSError) as caught:
            await session.get("http://a.example/")
    assert isinstance(caught.value, library.top.ClientConnectorError)
    assert caught.value.host == "a.example"
