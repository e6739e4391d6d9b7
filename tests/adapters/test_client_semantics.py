"""What the client does with HTTP, the same over both versions: requests as a server sees them,
redirects, responses as a program sees them.
"""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from multidict import CIMultiDict
from yarl import URL

import plait
from plait import web
from plait.compression_utils import ACCEPT_ENCODING
from plait.http import SERVER_SOFTWARE
from plait_engine.engines import EngineName
from tests.serving import serve

pytestmark = pytest.mark.anyio


class Site:
    """A server that says what it saw, and a session of one version."""

    def __init__(self, url: str, other: str, session: plait.ClientSession, http2: bool) -> None:
        self.url = url
        self.other = other
        """The same server under another origin."""
        self.session = session
        self.http2 = http2

    async def ask(self, method: str, path: str = "/echo", **options: Any) -> dict[str, Any]:
        async with self.session.request(method, self.url + path, **options) as response:
            assert response.status == 200
            seen: dict[str, Any] = await response.json()
            return seen

    def name(self, field: str) -> str:
        """Return the name of a field as the server sees it (RFC 9113 section 8.2)."""
        return field.lower() if self.http2 else field


async def echo(request: web.Request) -> web.Response:
    body = await request.read()
    return web.json_response(
        {
            "method": request.method,
            "path": request.path_qs,
            "fields": [[name.decode(), value.decode()] for name, value in request.raw_headers],
            "body": body.decode("latin1"),
        }
    )


async def redirect(request: web.Request) -> web.Response:
    await request.read()
    query = request.query
    fields = {query.get("field", "Location"): query["to"]} if "to" in query else {}
    return web.Response(status=int(query["status"]), headers=fields, text="moved")


async def count_down(request: web.Request) -> web.Response:
    left = int(request.match_info["left"])
    response = web.Response(text="here")
    if left:
        response = web.Response(status=302, headers={"Location": f"/down/{left - 1}"})
    response.set_cookie(f"c{left}", "1")
    return response


async def answer(request: web.Request) -> web.Response:
    """Answer with the status, the fields and the text of the query."""
    fields = CIMultiDict(
        (name, value) for name, value in request.query.items() if name not in ("status", "text")
    )
    status = int(request.query.get("status", "200"))
    return web.Response(status=status, headers=fields, body=request.query.get("text", "").encode())


async def packed(request: web.Request) -> web.Response:
    response = web.Response(body=b"text " * 1000)
    response.enable_compression(web.ContentCoding(request.query["coding"]))
    return response


@pytest.fixture(params=["h1-native", "h2-native", "h1-reference", "h2-reference"])
async def site(request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    protocol, engine = request.param.split("-")
    name: EngineName = engine
    app = web.Application(client_max_size=2**22)
    app.router.add_route("*", "/echo", echo)
    app.router.add_route("*", "/redirect", redirect)
    app.router.add_get("/down/{left}", count_down)
    app.router.add_route("*", "/answer", answer)
    app.router.add_get("/packed", packed)
    http2 = protocol == "h2"
    async with (
        serve(app, engine=name) as served,
        plait.ClientSession(http2=http2, engine=name) as session,
    ):
        yield Site(served.url, f"http://localhost:{served.port}", session, http2)
        assert session.connector is not None
        stats = session.connector.stats()
        assert (stats.in_use, stats.streams, stats.waiting) == (0, 0, 0)


# -- requests --------------------------------------------------------------------------------


async def test_the_order_of_the_fields(site: Site) -> None:
    seen = await site.ask(
        "POST", headers={"X-B": "1", "x-a": "2"}, cookies={"c": "d"}, data=b"body"
    )
    host = URL(site.url).host_port_subcomponent
    expected = [
        ["X-B", "1"],
        ["x-a", "2"],
        ["Accept", "*/*"],
        ["Accept-Encoding", ACCEPT_ENCODING],
        ["User-Agent", SERVER_SOFTWARE],
        ["Cookie", "c=d"],
        ["Content-Length", "4"],
        ["Content-Type", "application/octet-stream"],
    ]
    fields = [[site.name(name), value] for name, value in expected]
    # Over HTTP/2 the server makes a Host field of :authority, and one Cookie field of several.
    order: Any = sorted if site.http2 else list
    assert order(seen["fields"]) == order([["Host", host], *fields])


async def test_fields_of_the_session_and_of_the_request(site: Site) -> None:
    own = {"X-A": "session", "X-B": "session"}
    async with plait.ClientSession(
        headers=own, connector=site.session.connector, connector_owner=False
    ) as session:
        repeated = [("X-A", "1"), ("x-a", "2")]
        async with session.get(
            f"{site.url}/echo", headers=repeated, skip_auto_headers=["Accept", "user-agent"]
        ) as response:
            fields = (await response.json())["fields"]
    lower = [(name.lower(), value) for name, value in fields]
    assert [value for name, value in lower if name == "x-a"] == ["1", "2"]
    assert [value for name, value in lower if name == "x-b"] == ["session"]
    assert not {"accept", "user-agent"} & {name for name, _ in lower}


@pytest.mark.parametrize(
    "method", ["GET", "HEAD", "OPTIONS", "TRACE", "DELETE", "POST", "PUT", "PATCH"]
)
async def test_a_request_without_content(site: Site, method: str) -> None:
    if method == "HEAD":
        async with site.session.head(f"{site.url}/echo") as response:
            assert await response.read() == b""
            assert int(response.headers["Content-Length"]) > 100
            return
    fields = {name.lower(): value for name, value in (await site.ask(method))["fields"]}
    needs_length = method in ("DELETE", "POST", "PUT", "PATCH")
    assert fields.get("content-length") == ("0" if needs_length else None)
    needs_type = method in ("POST", "PUT", "PATCH")
    assert fields.get("content-type") == ("application/octet-stream" if needs_type else None)
    assert "transfer-encoding" not in fields


async def test_chunks_that_the_caller_names_and_no_content(site: Site) -> None:
    seen = await site.ask("POST", headers={"Transfer-Encoding": "chunked"})
    fields = {name.lower(): value for name, value in seen["fields"]}
    assert (fields.get("transfer-encoding"), fields.get("content-length")) == (
        (None, "0") if site.http2 else ("chunked", None)  # RFC 9113 section 8.2.2
    )
    assert seen["body"] == ""


@pytest.mark.parametrize("method", ["GET", "OPTIONS", "TRACE"])
async def test_no_chunks_without_content(site: Site, method: str) -> None:
    for headers in ({}, {"X-A": "1"}):
        seen = await site.ask(method, chunked=True, headers=headers)
        assert not {name.lower() for name, _ in seen["fields"]} & {
            "transfer-encoding",
            "content-length",
        }


async def pieces() -> AsyncIterator[bytes]:
    yield b"one "
    yield b"two"


@pytest.mark.parametrize(
    ("data", "media_type", "length", "body"),
    [
        (b"bytes", "application/octet-stream", "5", "bytes"),
        (bytearray(b"array"), "application/octet-stream", "5", "array"),
        (memoryview(b"view"), "application/octet-stream", "4", "view"),
        ("täxt", "text/plain; charset=utf-8", "5", "tÃ¤xt"),
        ({"a": "1 2", "b": "ä"}, "application/x-www-form-urlencoded", "14", "a=1+2&b=%C3%A4"),
        ([("a", "1"), ("a", "2")], "application/x-www-form-urlencoded", "7", "a=1&a=2"),
        (io.BytesIO(b"memory"), "application/octet-stream", "6", "memory"),
        (io.StringIO("text"), "text/plain; charset=utf-8", "4", "text"),
        (pieces, "application/octet-stream", None, "one two"),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_kinds_of_content(
    site: Site, data: Any, media_type: str, length: str | None, body: str
) -> None:
    if data is pieces:
        data = pieces()
    elif isinstance(data, io.IOBase):
        data.seek(0)
    seen = await site.ask("POST", data=data)
    fields = {name.lower(): value for name, value in seen["fields"]}
    assert seen["body"] == body
    assert (fields["content-type"], fields.get("content-length")) == (media_type, length)
    # RFC 9113 section 8.2.2: HTTP/2 has frames.
    chunked = length is None and not site.http2
    assert fields.get("transfer-encoding") == ("chunked" if chunked else None)


async def test_a_file(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    path.write_text("[1]")
    with path.open("rb") as file:
        seen = await site.ask("PUT", data=file)
    fields = {name.lower(): value for name, value in seen["fields"]}
    assert seen["body"] == "[1]"
    assert (fields["content-type"], fields["content-length"]) == ("application/json", "3")


async def test_json(site: Site) -> None:
    seen = await site.ask("POST", json={"a": [1, None]})
    assert json.loads(seen["body"]) == {"a": [1, None]}
    assert [site.name("Content-Type"), "application/json"] in seen["fields"]
    with pytest.raises(ValueError, match="json excludes data"):
        await site.session.post(f"{site.url}/echo", json=1, data=b"")


async def test_a_large_body_as_one_object_is_warned_of(site: Site) -> None:
    await site.ask("POST", data=b"x" * 2**20)
    with pytest.warns(ResourceWarning, match="large body"):
        seen = await site.ask("POST", data=b"x" * (2**20 + 1))
    assert len(seen["body"]) == 2**20 + 1


async def test_compressed_content(site: Site) -> None:
    for compress, name in ((True, "deflate"), ("gzip", "gzip"), ("deflate", "deflate")):
        seen = await site.ask("POST", data=b"x" * 1000, compress=compress)
        assert [site.name("Content-Encoding"), name] in seen["fields"]
        assert seen["body"] == "x" * 1000, "the server decoded it"
    seen = await site.ask("POST", data=b"", compress=True)
    assert "content-encoding" not in {name.lower() for name, _ in seen["fields"]}


async def test_content_after_100(site: Site) -> None:
    seen = await site.ask("POST", data=b"content", expect100=True)
    assert [site.name("Expect"), "100-continue"] in seen["fields"]
    assert seen["body"] == "content"


@pytest.mark.parametrize(
    "options",
    [
        {"headers": {"X": "a\nb"}},
        {"headers": {"X": "a\0"}},
        {"headers": {"X\r": "a"}},
        {"method": "GE T"},
        {"data": b"x", "compress": True, "headers": {"Content-Encoding": "gzip"}},
        {"data": b"x", "chunked": True, "headers": {"Content-Length": "1"}},
        {"data": b"x", "chunked": True, "headers": {"Transfer-Encoding": "chunked"}},
    ],
    ids=str,
)
async def test_what_cannot_be_sent(site: Site, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        await site.ask(**{"method": "POST", **options})
    assert (await site.ask("GET"))["method"] == "GET", "the next request has its place"


async def test_urls(site: Site) -> None:
    seen = await site.ask("GET", "/echo?a=1#fragment", params={"b": "ä ö", "c": 2})
    assert seen["path"] == "/echo?a=1&b=%C3%A4+%C3%B6&c=2"
    async with site.session.get(f"{site.url}/echo#fragment") as response:
        assert response.url == URL(f"{site.url}/echo")
        assert response.real_url == URL(f"{site.url}/echo#fragment")


async def test_credentials_of_the_url(site: Site) -> None:
    url = URL(site.url).with_user("me").with_password("secret") / "echo"
    async with site.session.get(url) as response:
        fields = (await response.json())["fields"]
        assert response.url.user is None
    assert [site.name("Authorization"), "Basic bWU6c2VjcmV0"] in fields


# -- redirects -------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
async def test_what_follows_a_redirect(site: Site, method: str, status: int) -> None:
    path = f"/redirect?status={status}&to=/echo"
    data = None if method == "GET" else b"content"
    async with site.session.request(method, site.url + path, data=data) as response:
        seen = await response.json()
        assert [hop.status for hop in response.history] == [status]
    becomes_get = status == 303 or (status in (301, 302) and method == "POST")
    names = {name.lower() for name, _ in seen["fields"]}
    if becomes_get or method == "GET":
        assert (seen["method"], seen["body"]) == ("GET", "")
        assert not {"content-length", "transfer-encoding"} & names
    else:
        assert (seen["method"], seen["body"]) == (method, "content")


@pytest.mark.parametrize("status", [301, 303, 307])
async def test_head_stays_head(site: Site, status: int) -> None:
    path = f"/redirect?status={status}&to=/echo"
    async with site.session.head(site.url + path, allow_redirects=True) as response:
        assert (response.status, response.method) == (200, "HEAD")
    async with site.session.head(site.url + path) as response:
        assert response.status == status, "by default it follows none"


async def test_a_redirect_by_uri_or_by_nothing(site: Site) -> None:
    async with site.session.get(f"{site.url}/redirect?status=302&to=/echo&field=URI") as response:
        assert response.url.path == "/echo"
    for path in ("/redirect?status=302", "/redirect?status=304&to=/echo"):
        async with site.session.get(site.url + path) as response:
            assert response.url.path == "/redirect"
            assert response.history == ()
    async with site.session.get(
        f"{site.url}/redirect?status=302&to=/echo", allow_redirects=False
    ) as response:
        assert await response.text() == "moved"


async def test_the_number_of_redirects(site: Site) -> None:
    async with site.session.get(f"{site.url}/down/9") as response:
        assert await response.text() == "here"
        assert len(response.history) == 9
        assert [hop.url.path for hop in response.history[:2]] == ["/down/9", "/down/8"]
    with pytest.raises(plait.TooManyRedirects, match="10 redirects") as caught:
        await site.session.get(f"{site.url}/down/10")
    assert len(caught.value.history) == 10
    async with site.session.get(f"{site.url}/down/2", max_redirects=3) as response:
        assert response.status == 200


async def test_cookies_of_all_hops(site: Site) -> None:
    jar = plait.CookieJar(unsafe=True)
    async with (
        plait.ClientSession(
            cookie_jar=jar, connector=site.session.connector, connector_owner=False
        ) as session,
        session.get(f"{site.url}/down/2") as response,
    ):
        assert set(response.cookies) == {"c0"}
    assert {morsel.key for morsel in jar} == {"c0", "c1", "c2"}


async def test_what_another_origin_does_not_get(site: Site) -> None:
    secret = {
        "Authorization": "Basic bWU6c2VjcmV0",
        "Cookie": "a=b",
        "Proxy-Authorization": "x",
        "X-Own": "1",
    }
    for to, stays in ((f"{site.url}/echo", True), (f"{site.other}/echo", False)):
        path = f"/redirect?status=302&to={to}"
        seen = await site.ask("GET", path, headers=secret, cookies={"c": "d"})
        names = {name.lower() for name, _ in seen["fields"]}
        assert "x-own" in names
        assert ({"authorization", "cookie", "proxy-authorization"} <= names) is stays
        assert stays or not {"authorization", "cookie", "proxy-authorization"} & names


@pytest.mark.parametrize(
    ("to", "error"),
    [
        ("ftp://host/", plait.NonHttpUrlRedirectClientError),
        ("mailto:me", plait.NonHttpUrlRedirectClientError),
        ("http://:80/", plait.InvalidUrlRedirectClientError),
    ],
)
async def test_redirects_to_nowhere(site: Site, to: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        await site.session.get(f"{site.url}/redirect", params={"status": 302, "to": to})


@pytest.mark.parametrize("path", ["/a b", "/\u00e9", "/a?b c"])
async def test_a_url_that_is_not_quoted(site: Site, path: str) -> None:
    with pytest.raises(plait.InvalidUrlClientError) as caught:
        await site.session.get(URL(site.url + path, encoded=True))
    assert isinstance(caught.value, ValueError)
    assert str(caught.value.url).endswith(path)
    assert caught.value.description
    async with site.session.get(site.url) as response:
        assert response.status == 404


async def test_content_that_cannot_be_sent_again(site: Site) -> None:
    with pytest.raises(plait.ClientPayloadError):
        await site.session.post(f"{site.url}/redirect?status=307&to=/echo", data=pieces())


# -- responses -------------------------------------------------------------------------------


async def test_raise_for_status(site: Site) -> None:
    url = f"{site.url}/answer?status=404&text=gone"
    async with site.session.get(url) as response:
        assert not response.ok
        with pytest.raises(plait.ClientResponseError) as caught:
            response.raise_for_status()
        assert (caught.value.status, caught.value.message) == (404, "Not Found")
        assert caught.value.request_info.real_url == URL(url)
        assert caught.value.headers is not None
        assert await response.text() == "gone"
    with pytest.raises(plait.ClientResponseError):
        await site.session.get(url, raise_for_status=True)
    asked = []

    async def check(response: plait.ClientResponse) -> None:
        asked.append(await response.text())

    async with plait.ClientSession(
        raise_for_status=True, connector=site.session.connector, connector_owner=False
    ) as session:
        with pytest.raises(plait.ClientResponseError):
            await session.get(url)
        (await session.get(url, raise_for_status=False)).release()
        (await session.get(url, raise_for_status=check)).release()
    assert asked == ["gone"]


async def test_the_body_is_kept(site: Site) -> None:
    async with site.session.get(f"{site.url}/answer?text=body") as response:
        assert await response.read() == b"body"
        assert await response.read() == b"body"
        assert await response.text() == "body"
        assert response.closed
        assert response.connection is None
    response.release()
    with pytest.raises(plait.ClientConnectionError):
        await response.read()


@pytest.mark.parametrize(
    ("media_type", "text", "expected"),
    [
        ("application/json", "[1]", [1]),
        ("application/problem+json; charset=utf-8", "[1]", [1]),
        ("application/json", " ", None),
    ],
)
async def test_json_of_a_response(site: Site, media_type: str, text: str, expected: object) -> None:
    query = {"Content-Type": media_type, "text": text}
    async with site.session.get(f"{site.url}/answer", params=query) as response:
        assert await response.json() == expected
    query["Content-Type"] = "text/html"
    async with site.session.get(f"{site.url}/answer", params=query) as response:
        with pytest.raises(plait.ContentTypeError, match="text/html"):
            await response.json()
        assert await response.json(content_type=None) == expected


async def test_the_fields_of_a_response(site: Site) -> None:
    query = {
        "Link": '</next>; rel="next"',
        "Content-Disposition": 'attachment; filename="a b.txt"',
        "Content-Type": "text/plain; charset=latin-1",
        "X-Name": "value",
        "Set-Cookie": "a=b; Path=/",
    }
    async with site.session.get(f"{site.url}/answer", params=query) as response:
        assert response.links["next"]["url"] == URL(f"{site.url}/next")
        found = response.content_disposition
        assert found is not None
        assert (found.type, found.filename) == ("attachment", "a b.txt")
        assert (response.content_type, response.charset) == ("text/plain", "latin-1")
        assert response.get_encoding() == "iso8859-1"
        assert (site.name("X-Name").encode(), b"value") in response.raw_headers
        assert response.headers["x-NAME"] == "value"
        assert response.cookies["a"].value == "b"
        assert response.version == (2, 0) if site.http2 else (1, 1)
        assert (response.status, response.reason, response.ok) == (200, "OK", True)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_compressed_responses(site: Site, coding: str) -> None:
    url = f"{site.url}/packed?coding={coding}"
    async with site.session.get(url) as response:
        assert await response.read() == b"text " * 1000
        assert response.headers["Content-Encoding"] == coding
    async with site.session.get(url, auto_decompress=False) as response:
        assert len(await response.read()) < 500


async def test_a_broken_coding(site: Site) -> None:
    query = {"Content-Encoding": "gzip", "text": "no gzip at all"}
    async with site.session.get(f"{site.url}/answer", params=query) as response:
        with pytest.raises(plait.ClientPayloadError, match="gzip"):
            await response.read()


@pytest.mark.parametrize("site", ["h1-native", "h2-native"], indirect=True)
async def test_limits_of_the_head(site: Site) -> None:
    query = {f"X-{number}": "x" for number in range(30)}
    async with site.session.get(f"{site.url}/answer", params=query) as response:
        assert response.status == 200
    with pytest.raises(plait.ClientResponseError) as caught:
        await site.session.get(f"{site.url}/answer", params=query, max_headers=20)
    assert caught.value.status == 400


async def test_a_timeout_is_a_number_or_more(site: Site) -> None:
    for timeout in (5, 0.5, None, plait.ClientTimeout(total=5)):
        async with site.session.get(f"{site.url}/answer", timeout=timeout) as response:
            assert response.status == 200
