"""What a handler sees of a request, on aiohttp and on plait."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from yarl import URL

from tests.same.conftest import Library

pytestmark = pytest.mark.anyio


async def look_at(library: Library, look: Callable[[Any], Any], *args: Any, **options: Any) -> Any:
    """Return what ``look`` says of a request, which is told by ``args`` as to ``Client.request``."""
    seen = []

    async def handler(request: Any) -> Any:
        found = look(request)
        seen.append(await found if hasattr(found, "__await__") else found)
        return library.web.Response()

    answer = await library.fetch(handler, *args, **options)
    assert answer.status == 200, answer.body
    return seen[0]


# -- the target --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "path", "raw_path", "query"),
    [
        ("/", "/", "/", {}),
        ("/a/b", "/a/b", "/a/b", {}),
        ("/a%2Fb%20c", "/a/b c", "/a%2Fb%20c", {}),
        ("/caf%C3%A9", "/café", "/caf%C3%A9", {}),
        ("/a+b", "/a+b", "/a+b", {}),
        ("/%41", "/A", "/%41", {}),
        ("/a?x=1&y=", "/a", "/a?x=1&y=", {"x": "1", "y": ""}),
        ("/a?x", "/a", "/a?x", {"x": ""}),
        ("/a?x=a+b%26c", "/a", "/a?x=a+b%26c", {"x": "a b&c"}),
        ("/a?=1", "/a", "/a?=1", {"": "1"}),
        ("/a?x=%C3%A9", "/a", "/a?x=%C3%A9", {"x": "é"}),
        ("/a;b=1", "/a;b=1", "/a;b=1", {}),
        ("/a:b@c", "/a:b@c", "/a:b@c", {}),
    ],
)
async def test_targets(
    library: Library, target: str, path: str, raw_path: str, query: dict[str, str]
) -> None:
    def look(request: Any) -> None:
        assert (request.path, request.raw_path) == (path, raw_path)
        assert dict(request.query) == query
        assert isinstance(request.rel_url, URL)
        assert request.rel_url.path == path
        assert not request.rel_url.absolute
        assert request.url.path == path
        assert request.url.host == "test"
        assert request.path_qs == str(request.rel_url)

    headers = () if library.is_h2 else (("Host", "test"),)
    await look_at(library, look, "GET", target, headers)


async def test_a_query_with_a_name_twice(library: Library) -> None:
    def look(request: Any) -> None:
        assert request.query.getall("x") == ["1", "2"]
        assert request.query_string == "x=1&x=2"
        assert request.query.get("y", "none") == "none"

    await look_at(library, look, "GET", "/?x=1&x=2")


async def test_properties_are_the_same_object_each_time(library: Library) -> None:
    def look(request: Any) -> None:
        for name in ("headers", "query", "rel_url", "cookies", "raw_headers", "url"):
            assert getattr(request, name) is getattr(request, name)

    await look_at(library, look)


# -- fields ------------------------------------------------------------------------------------


async def test_headers(library: Library) -> None:
    def look(request: Any) -> None:
        assert request.headers["X-Name"] == request.headers["x-name"] == "one"
        assert request.headers.getall("x-name") == ["one", "two"]
        assert "X-None" not in request.headers
        with pytest.raises(TypeError):
            request.headers["X-Name"] = "three"
        raw = {name.lower(): value for name, value in request.raw_headers}
        assert raw[b"x-name"] == b"two"
        assert raw[b"host"] == b"test"

    await look_at(library, look, "GET", "/", [("x-name", "one"), ("x-name", "two")])


@pytest.mark.parametrize(
    ("field", "content_type", "charset"),
    [
        (None, "application/octet-stream", None),
        ("text/plain", "text/plain", None),
        ("Text/HTML; Charset=UTF-8", "text/html", "UTF-8"),
        ('text/plain; charset="latin-1"; a=b', "text/plain", "latin-1"),
        ("application/json", "application/json", None),
    ],
)
async def test_the_content_type(
    library: Library, field: str | None, content_type: str, charset: str | None
) -> None:
    def look(request: Any) -> None:
        assert (request.content_type, request.charset) == (content_type, charset)

    await look_at(library, look, "GET", "/", [("Content-Type", field)] if field else [])


async def test_cookies(library: Library) -> None:
    def look(request: Any) -> None:
        assert dict(request.cookies) == {"a": "1", "b": "x y"}
        with pytest.raises(TypeError):
            request.cookies["c"] = "3"

    await look_at(library, look, "GET", "/", [("Cookie", 'a=1; b="x y"')])


@pytest.mark.parametrize(
    ("name", "attribute"),
    [
        ("If-Modified-Since", "if_modified_since"),
        ("If-Unmodified-Since", "if_unmodified_since"),
        ("If-Range", "if_range"),
    ],
)
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Sat, 26 Jan 2019 00:00:00 GMT", datetime(2019, 1, 26, tzinfo=UTC)),
        ("yesterday", None),
        (None, None),
    ],
)
async def test_dates(
    library: Library, name: str, attribute: str, value: str | None, expected: datetime | None
) -> None:
    found = await look_at(
        library, lambda r: getattr(r, attribute), "GET", "/", [(name, value)] if value else []
    )
    assert found == expected


@pytest.mark.parametrize("name", ["If-Match", "If-None-Match"])
@pytest.mark.parametrize(
    ("value", "tags"),
    [
        (None, None),
        ("*", [("*", False)]),
        ('"a"', [("a", False)]),
        ('W/"a", "b"', [("a", True), ("b", False)]),
    ],
)
async def test_entity_tags(library: Library, name: str, value: str | None, tags: Any) -> None:
    def look(request: Any) -> Any:
        return getattr(request, name.lower().replace("-", "_"))

    found = await look_at(library, look, "GET", "/", [(name, value)] if value else [])
    expected = None if tags is None else tuple(library.top.ETag(v, is_weak=w) for v, w in tags)
    assert found == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, slice(None, None, 1)),
        ("bytes=0-499", slice(0, 500, 1)),
        ("bytes=500-", slice(500, None, 1)),
        ("bytes=-500", slice(-500, None, 1)),
    ],
)
async def test_ranges(library: Library, value: str | None, expected: slice) -> None:
    found = await look_at(
        library, lambda r: r.http_range, "GET", "/", [("Range", value)] if value else []
    )
    assert found == expected


@pytest.mark.parametrize("value", ["bytes=", "bytes=-", "bytes=5-2", "bytes", "lines=1-2"])
async def test_ranges_that_are_none(library: Library, value: str) -> None:
    def look(request: Any) -> None:
        with pytest.raises(ValueError, match=r"."):
            _ = request.http_range

    await look_at(library, look, "GET", "/", [("Range", value)])


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([], ()),
        (["by=a;for=b"], ({"by": "a", "for": "b"},)),
        (["For=1, for=2;proto=http"], ({"for": "1"}, {"for": "2", "proto": "http"})),
        (["for=1", 'host="x:1"'], ({"for": "1"}, {"host": "x:1"})),
        (['for="[2001:db8::1]:80"'], ({"for": "[2001:db8::1]:80"},)),
    ],
)
async def test_forwarded(library: Library, fields: list[str], expected: Any) -> None:
    found = await look_at(
        library, lambda r: r.forwarded, "GET", "/", [("Forwarded", f) for f in fields]
    )
    assert tuple(map(dict, found)) == expected


async def test_what_a_proxy_says_is_not_believed(library: Library) -> None:
    def look(request: Any) -> None:
        assert (request.scheme, request.host, request.remote) == ("http", "test", "127.0.0.1")
        assert request.secure is False

    fields = [("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "x"), ("X-Forwarded-For", "1")]
    await look_at(library, look, "GET", "/", fields)


async def test_a_clone(library: Library) -> None:
    def look(request: Any) -> None:
        made = request.clone(
            method="PUT",
            rel_url="/b?c=1",
            headers={"X": "1"},
            scheme="https",
            host="h:1",
            remote="1.2.3.4",
        )
        assert type(made) is type(request)
        assert (made.method, made.path, made.query["c"]) == ("PUT", "/b", "1")
        assert dict(made.headers) == {"X": "1"}
        assert (made.scheme, made.host, made.remote) == ("https", "h:1", "1.2.3.4")
        assert made.secure is True
        assert made.url == URL("https://h:1/b?c=1")
        assert (request.method, request.path) == ("GET", "/a")
        assert made.app is request.app
        assert made.content is request.content
        assert made.transport is request.transport
        assert made.client_max_size == request.client_max_size
        assert request.clone(client_max_size=5).client_max_size == 5
        assert request.clone(client_max_fields=5).client_max_fields == 5
        absolute = request.clone(rel_url=URL("http://other/x"))
        assert (absolute.host, absolute.path) == ("other", "/x")

    await look_at(library, look, "GET", "/a")


async def test_a_clone_has_a_state_of_its_own(library: Library) -> None:
    key = library.web.RequestKey("key", str)

    def look(request: Any) -> None:
        request[key] = "first"
        made = request.clone()
        assert made[key] == "first"
        made[key] = "second"
        assert request[key] == "first"

    await look_at(library, look)


async def test_no_clone_behind_reading(library: Library) -> None:
    async def look(request: Any) -> None:
        await request.read()
        with pytest.raises(RuntimeError):
            request.clone()

    await look_at(library, look, "POST", "/", (), b"x")


async def test_a_request_is_a_mapping(library: Library) -> None:
    key = library.web.RequestKey("key", int)

    def look(request: Any) -> None:
        assert len(request) == 0
        assert bool(request) is True
        request[key] = 1
        assert request[key] == 1
        assert request.get(key) == 1
        assert key in request
        assert list(request) == [key]
        assert len(request) == 1
        del request[key]
        assert request.get(key, "none") == "none"
        with pytest.raises(KeyError):
            _ = request[key]

    await look_at(library, look)


async def test_names_as_keys_are_discouraged(library: Library) -> None:
    def look(request: Any) -> None:
        name = f"{library!r}"  # plait warns once of each.
        with pytest.warns(library.web.NotAppKeyWarning):
            request[name] = 1
        assert request[name] == 1

    await look_at(library, look)


async def test_match_info_and_app(library: Library) -> None:
    web = library.web
    app = web.Application()

    async def handler(request: Any) -> Any:
        assert request.app is app
        assert request.match_info.route.name == "route"
        assert request.match_info["name"] == "x"
        assert request.match_info.apps == (app,)
        assert request.match_info.http_exception is None
        assert request.match_info.get_info()["formatter"] == "/{name}"
        assert request.match_info.handler is handler
        assert request.match_info.current_app is app
        with pytest.raises(RuntimeError):
            request.match_info.add_app(web.Application())
        return web.Response()

    app.router.add_get("/{name}", handler, name="route")
    assert (await library.fetch(app, "GET", "/x")).status == 200


async def test_the_message(library: Library) -> None:
    def look(request: Any) -> None:
        with pytest.warns(DeprecationWarning, match="deprecated"):
            message = request.message
        assert message._replace(method="PUT").method == "PUT"
        assert (message.method, message.path) == ("POST", "/a%20b?c=d")
        assert message.version == request.version
        assert message.headers == request.headers
        assert message.raw_headers == request.raw_headers
        assert (message.should_close, message.upgrade) == (False, False)
        assert message.compression == "gzip"
        assert message.url == URL("/a%20b?c=d", encoded=True)
        assert request._message is message

    coded = [("Content-Encoding", "GZIP"), ("Content-Length", "0")]
    await look_at(library, look, "POST", "/a%20b?c=d", coded)


async def test_the_message_of_a_connection(plain: Library) -> None:
    seen: list[Any] = []

    async def handler(request: Any) -> Any:
        seen.append(request._message)
        return plain.web.Response(text=await request.text())

    await plain.raw(
        handler,
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: x\r\nTransfer-Encoding: chunked\r\n"
        b"Connection: close\r\n\r\n0\r\n\r\n",
    )
    await plain.raw(
        handler,
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n",
    )
    facts = [(m.should_close, m.compression, m.upgrade, m.chunked) for m in seen]
    assert facts == [(True, None, False, True), (True, None, True, False)]


# -- content -----------------------------------------------------------------------------------


async def test_no_content(library: Library) -> None:
    async def look(request: Any) -> None:
        assert request.body_exists is False
        assert request.can_read_body is False
        assert request.content_length is None
        assert request.content.at_eof()
        assert await request.read() == b""
        assert await request.text() == ""
        assert dict(await request.post()) == {}
        await request.release()

    await look_at(library, look)


async def test_content(library: Library) -> None:
    async def look(request: Any) -> None:
        assert request.body_exists is True
        assert request.can_read_body is True
        assert await request.read() == b"caf\xc3\xa9"
        assert request.body_exists is True
        assert request.can_read_body is False
        assert await request.read() == b"caf\xc3\xa9"
        assert await request.text() == "café"

    await look_at(library, look, "POST", "/", (), "café".encode())


async def test_the_length_of_content(library: Library) -> None:
    found = await look_at(
        library, lambda r: r.content_length, "POST", "/", [("Content-Length", "3")], b"abc"
    )
    assert found == 3


async def test_text_by_its_charset(library: Library) -> None:
    found = await look_at(
        library,
        lambda r: r.text(),
        "POST",
        "/",
        [("Content-Type", "text/plain; charset=latin-1")],
        b"caf\xe9",
    )
    assert found == "café"


async def test_json(library: Library) -> None:
    async def look(request: Any) -> None:
        assert await request.json() == {"a": [1, None]}
        assert await request.json(loads=str.upper) == '{"A": [1, NULL]}'

    await look_at(library, look, "POST", "/", (), b'{"a": [1, null]}')


async def test_content_can_be_dropped(library: Library) -> None:
    async def look(request: Any) -> None:
        await request.release()
        assert request.can_read_body is False

    await look_at(library, look, "POST", "/", (), b"x" * 100_000)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_forms_of_methods(library: Library, method: str) -> None:
    async def look(request: Any) -> None:
        form = await request.post()
        assert list(form.items()) == [("a", "1"), ("b", "x y"), ("a", "é"), ("c", "")]
        assert await request.post() is form

    fields = [("Content-Type", "application/x-www-form-urlencoded")]
    await look_at(library, look, method, "/", fields, b"a=1&b=x+y&a=%C3%A9&c=")


@pytest.mark.parametrize(
    ("method", "content_type"),
    [
        ("GET", "application/x-www-form-urlencoded"),
        ("OPTIONS", "application/x-www-form-urlencoded"),
        ("POST", "application/json"),
        ("POST", "multipart/mixed; boundary=b"),
    ],
)
async def test_what_has_no_fields(library: Library, method: str, content_type: str) -> None:
    found = await look_at(
        library, lambda r: r.post(), method, "/", [("Content-Type", content_type)], b"a=1"
    )
    assert dict(found) == {}


FORM = (
    b'--b\r\nContent-Disposition: form-data; name="text"\r\n\r\none\r\n'
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n'
    b"Content-Type: image/png\r\nX-More: 1\r\n\r\n\x00\xff\r\n"
    b'--b\r\nContent-Disposition: form-data; name="bytes"\r\n'
    b"Content-Type: application/x-thing\r\n\r\n\x01\r\n"
    b'--b\r\nContent-Disposition: form-data; name="plain"; filename="p"\r\n\r\np\r\n'
    b"--b--\r\n"
)


async def test_a_form_with_files(library: Library) -> None:
    async def look(request: Any) -> None:
        form = await request.post()
        assert list(form) == ["text", "file", "bytes", "plain"]
        assert form["text"] == "one"
        assert form["bytes"] == bytearray(b"\x01")
        assert isinstance(form["bytes"], bytearray)
        file = form["file"]
        assert isinstance(file, library.web.FileField)
        assert (file.name, file.filename, file.content_type) == ("file", "a.png", "image/png")
        assert file.file.read() == b"\x00\xff"
        file.file.seek(0)
        assert file.headers["X-More"] == "1"
        assert form["plain"].content_type == "application/octet-stream"

    fields = [("Content-Type", "multipart/form-data; boundary=b")]
    await look_at(library, look, "POST", "/", fields, FORM)


async def test_a_form_part_by_part(library: Library) -> None:
    async def look(request: Any) -> None:
        reader = await request.multipart()
        assert isinstance(reader, library.top.MultipartReader)
        seen = []
        async for part in reader:
            assert isinstance(part, library.top.BodyPartReader)
            assert part.at_eof() is False
            seen.append((part.name, part.filename, await part.read()))
            assert part.at_eof() is True
        assert seen == [
            ("text", None, b"one"),
            ("file", "a.png", b"\x00\xff"),
            ("bytes", None, b"\x01"),
            ("plain", "p", b"p"),
        ]
        assert reader.at_eof()

    fields = [("Content-Type", "multipart/form-data; boundary=b")]
    await look_at(library, look, "POST", "/", fields, FORM)


# -- limits ------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["read", "text", "json", "post"])
async def test_content_that_is_too_large(library: Library, how: str) -> None:
    web = library.web

    async def handler(request: Any) -> Any:
        assert request.client_max_size == 10
        return web.Response(text=str(await getattr(request, how)()))

    app = web.Application(client_max_size=10)
    app.router.add_post("/", handler)
    fields = [("Content-Type", "application/x-www-form-urlencoded")]
    async with library.serve(app) as site:
        client = await site.connect()
        answer = await client.fetch("POST", "/", fields, b"12345678901")
        assert answer.status == 413
        assert answer.body.startswith(b"Maximum request body size 10 exceeded")
        answer = await client.fetch("POST", "/", fields, b"1234567890")
        assert answer.status == 200


async def test_the_stream_has_no_limit(library: Library) -> None:
    web = library.web

    async def handler(request: Any) -> Any:
        return web.Response(body=await request.content.read())

    app = web.Application(client_max_size=10)
    app.router.add_post("/", handler)
    assert (await library.fetch(app, "POST", "/", (), b"12345678901")).body == b"12345678901"


async def test_no_limit_by_zero(library: Library) -> None:
    web = library.web

    async def handler(request: Any) -> Any:
        return web.Response(text=str(len(await request.read())))

    app = web.Application(client_max_size=0)
    app.router.add_post("/", handler)
    assert (await library.fetch(app, "POST", "/", (), bytes(2**21))).body == b"2097152"


async def test_a_form_of_too_many_fields(library: Library) -> None:
    web = library.web

    async def handler(request: Any) -> Any:
        assert request.client_max_fields == 3
        return web.Response(text=str(len(await request.post())))

    app = web.Application(client_max_fields=3)
    app.router.add_post("/", handler)
    fields = [("Content-Type", "application/x-www-form-urlencoded")]
    assert (await library.fetch(app, "POST", "/", fields, b"a=1&b=2&c=3")).body == b"3"
    assert (await library.fetch(app, "POST", "/", fields, b"a=1&b=2&c=3&d=4")).status == 413


# -- the connection ----------------------------------------------------------------------------


async def test_the_connection(library: Library) -> None:
    def look(request: Any) -> None:
        assert request.remote == "127.0.0.1"
        assert request.scheme == "http"
        assert request.keep_alive is True
        assert request.transport.get_extra_info("peername")[0] == "127.0.0.1"
        assert request.get_extra_info("sockname")[0] == "127.0.0.1"
        assert request.get_extra_info("nothing") is None
        assert request.get_extra_info("nothing", 1) == 1
        assert request.protocol.transport is request.transport
        assert request.task is not None

    await look_at(library, look)


async def test_http_1_0(library: Library) -> None:
    seen: list[Any] = []

    async def handler(request: Any) -> Any:
        seen.append((request.version, request.keep_alive))
        return library.web.Response(text="x")

    await library.raw(handler, b"GET / HTTP/1.0\r\n\r\n")
    assert seen == [((1, 0), False)]
    assert seen[0][0] == library.top.HttpVersion10


async def test_repr(library: Library) -> None:
    assert await look_at(library, repr, "GET", "/a") == "<Request GET /a >"


async def test_post_methods(plain: Library) -> None:
    assert {"POST", "PUT", "PATCH", "DELETE", "TRACE"} == plain.web.BaseRequest.POST_METHODS
