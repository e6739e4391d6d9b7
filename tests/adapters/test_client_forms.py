"""Forms with files: FormData, and from plait's client to plait's server on every version."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from multidict import MultiDict
from yarl import URL

import plait
from plait import BodyPartReader, FormData, MultipartReader, MultipartWriter, web
from plait.calls.media import read_content_disposition
from tests.conftest import Authority
from tests.serving import serve
from tests.sessions import H1, H1_TLS, H2, H2C, Way

pytestmark = pytest.mark.anyio

ways = pytest.mark.parametrize("way", [H1, H1_TLS, H2C, H2], ids=str)


async def body_of(form: FormData) -> str:
    """Return the body with ``b`` as its boundary."""
    payload = form()
    assert isinstance(payload, MultipartWriter)
    body = await payload.as_bytes()
    assert payload.size in (None, len(body))
    return body.replace(payload.boundary.encode(), b"b").decode("utf-8", "surrogateescape")


def part(disposition: str, content: str, kind: str = "text/plain; charset=utf-8") -> str:
    return (
        f"--b\r\nContent-Type: {kind}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n"
        f"{content}\r\n"
    )


BINARY = "application/octet-stream"


# -- what becomes of a form ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        {"a": "1", "b": 2},
        [("a", "1"), ("b", 2)],
        MultiDict([("a", "1"), ("b", 2)]),
        [MultiDict([("a", "1")]), ("b", "2")],
    ],
)
async def test_urlencoded(fields: Any) -> None:
    form = FormData(fields)
    assert not form.is_multipart
    payload = form()
    assert payload.content_type == "application/x-www-form-urlencoded"
    assert await payload.as_bytes() == b"a=1&b=2"


async def test_lists_and_charsets_in_urlencoded_forms() -> None:
    form = FormData({"a": ["\u00e9", "2"]}, charset="latin-1")
    payload = form()
    assert payload.content_type == "application/x-www-form-urlencoded; charset=latin-1"
    assert await payload.as_bytes() == b"a=%E9&a=2"


async def test_multipart_by_default() -> None:
    form = FormData({"a": "\u00e9"}, default_to_multipart=True)
    assert form.is_multipart
    assert form().content_type.startswith("multipart/form-data; boundary=")
    assert await body_of(form) == part('name="a"', "\u00e9") + "--b--\r\n"


async def test_files() -> None:
    file = io.BytesIO(b"two")
    form = FormData([("a", "one"), ("f", file)])
    form.add_field("g", io.StringIO("three"), filename="x y.txt", content_type="text/x")
    form.add_field("h", b"four", filename="\u00e9")
    form.add_fields(io.BytesIO(b"five"))
    assert form.is_multipart
    assert await body_of(form) == (
        part('name="a"', "one")
        + part('name="f"; filename="f"', "two", BINARY)
        + part('name="g"; filename="x%20y.txt"', "three", "text/x")
        + part('name="h"; filename="%C3%A9"', "four", BINARY)
        + part('name="unknown"; filename="unknown"', "five", BINARY)
        + "--b--\r\n"
    )


async def test_a_file_has_its_name(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"{}")
    with path.open("rb") as file:
        assert await body_of(FormData({"f": file})) == (
            part('name="f"; filename="a.json"', "{}", "application/json") + "--b--\r\n"
        )
        file.seek(0)
        assert 'name="a.json"; filename="a.json"' in await body_of(FormData([file]))


async def test_raw_names() -> None:
    form = FormData(quote_fields=False)
    form.add_field('\u00e9"', "one", filename='\u65e5"')
    body = await body_of(form)
    assert 'name="\u00e9\\""; filename="\u65e5\\""' in body
    form = FormData()
    form.add_field('\u00e9"', "one", filename='\u65e5"')
    body = await body_of(form)
    assert "name*=utf-8''%C3%A9%22; filename=\"%E6%97%A5%22\"" in body


async def test_streams_make_a_form_multipart() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    form = FormData({"f": chunks()})
    assert form().size is None
    assert await body_of(form) == part('name="f"', "onetwo", BINARY) + "--b--\r\n"
    assert not form().replayable


async def test_the_charset_of_a_form() -> None:
    form = FormData({"a": "\u00e9"}, charset="latin-1", default_to_multipart=True)
    payload = form()
    assert b"charset=latin-1\r\n" in await payload.as_bytes()
    assert b"\r\n\r\n\xe9\r\n" in await payload.as_bytes()


async def test_a_form_can_grow_and_be_sent_again() -> None:
    form = FormData({"f": io.BytesIO(b"one")})
    first = await body_of(form)
    assert await body_of(form) == first
    form.add_field("a", "two")
    assert await body_of(form) == first.removesuffix("--b--\r\n") + (
        part('name="a"', "two") + "--b--\r\n"
    )


def test_bytes_without_a_name() -> None:
    form = FormData()
    with pytest.warns(DeprecationWarning, match="bytes"):
        form.add_field("f", b"one")
    assert form.is_multipart
    with pytest.warns(DeprecationWarning, match="content_transfer_encoding"):
        form.add_field("g", b"two", content_transfer_encoding="base64")


@pytest.mark.parametrize("argument", ["name", "filename", "content_type"])
def test_arguments_that_are_refused(argument: str) -> None:
    form = FormData()
    for value in ("a\r", "a\nb", "\0"):
        with pytest.raises(ValueError, match=argument):
            form.add_field(**{"name": "a", "value": "x", argument: value})
    for wrong in (1, b"a", [], {}):
        with pytest.raises(TypeError, match=argument):
            form.add_field(**{"name": "a", "value": "x", argument: wrong})  # type: ignore[arg-type]


@pytest.mark.parametrize("fields", ["ab", "abc", 1, [1], [("a", "b", "c")]])
def test_what_is_no_form(fields: Any) -> None:
    with pytest.raises(TypeError):
        FormData(fields)


def test_values_that_cannot_be_sent() -> None:
    form = FormData()
    form.add_field("a", object(), filename="x")
    with pytest.raises(TypeError, match="no payload type takes"):
        form()


# -- over the wire -----------------------------------------------------------------------------------


async def list_form(request: web.Request) -> web.Response:
    """Answer with the fields: files as their names, types and sizes."""
    seen: list[Any] = []
    for name, value in (await request.post()).items():
        if isinstance(value, web.FileField):
            data = value.file.read()
            seen.append([name, value.filename, value.content_type, len(data), sum(data)])
        else:
            seen.append([name, value])
    length = request.headers.get("Content-Length")
    return web.json_response([seen, length is not None])


async def list_parts(request: web.Request) -> web.Response:
    seen: list[Any] = []

    async def walk(reader: MultipartReader) -> None:
        async for each in reader:
            if isinstance(each, MultipartReader):
                await walk(each)
            else:
                seen.append(await each.text())

    await walk(await request.multipart())
    return web.json_response(seen)


async def send_parts(request: web.Request) -> web.Response:
    writer = MultipartWriter("mixed")
    writer.append_json({"a": 1})
    writer.append(b"x" * 300_000, {"Content-Encoding": "gzip"})
    return web.Response(
        body=writer, headers={"Content-Disposition": "attachment; filename*=utf-8''%C3%A9"}
    )


async def redirect(request: web.Request) -> web.Response:
    raise web.HTTPTemporaryRedirect("/form")


async def early(request: web.Request) -> web.Response:
    raise web.HTTPForbidden


def make_app() -> web.Application:
    app = web.Application(client_max_size=0)
    app.router.add_post("/form", list_form)
    app.router.add_post("/parts", list_parts)
    app.router.add_get("/parts", send_parts)
    app.router.add_post("/redirect", redirect)
    app.router.add_post("/early", early)
    return app


class Client:
    def __init__(self, url: str, session: plait.ClientSession) -> None:
        self._url = url.replace("127.0.0.1", "localhost")
        self.session = session

    async def post(self, path: str, data: Any) -> Any:
        async with self.session.post(self._url + path, data=data) as response:
            assert response.status == 200, await response.text()
            return json.loads(await response.text())

    def url(self, path: str) -> URL:
        return URL(self._url + path)


@pytest.fixture
async def client(way: Way, authority: Authority) -> AsyncIterator[Client]:
    context = authority.server_context("h2", "http/1.1") if way.tls else None
    async with serve(make_app(), context) as served, way.open_session(authority) as session:
        yield Client(served.url, session)


@ways
async def test_a_form_with_files(client: Client) -> None:
    big = bytes(range(256)) * 12_000
    data = {"a": "\u00e9", "f": io.BytesIO(big)}
    seen, has_length = await client.post("/form", data)
    assert seen == [["a", "\u00e9"], ["f", "f", BINARY, len(big), sum(big)]]
    assert has_length


@ways
async def test_a_form_with_a_stream(client: Client) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"\1" * 10_000

    form = FormData()
    form.add_field("f", chunks(), filename="x.bin", content_type="image/x")
    seen, has_length = await client.post("/form", form)
    assert seen == [["f", "x.bin", "image/x", 1_000_000, 1_000_000]]
    assert not has_length


@ways
async def test_a_form_is_sent_again_after_a_redirect(client: Client) -> None:
    seen, _ = await client.post("/redirect", {"a": "1", "f": io.BytesIO(b"\1\2")})
    assert seen == [["a", "1"], ["f", "f", BINARY, 2, 3]]


@ways
async def test_a_form_of_which_a_stream_is_used_up_is_not_sent_again(client: Client) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"one"

    with pytest.raises(plait.ClientPayloadError):
        await client.post("/redirect", {"f": chunks()})


@ways
async def test_a_form_can_be_posted_several_times(client: Client) -> None:
    form = FormData({"a": "1"})
    form.add_field("b", "2", content_type="text/x")
    for _ in range(3):
        assert (await client.post("/form", form))[0] == [["a", "1"], ["b", "2"]]


@ways
async def test_the_file_is_closed(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"\1")
    file = path.open("rb")
    assert (await client.post("/form", {"f": file}))[0] == [["f", "x", BINARY, 1, 1]]
    await asyncio.get_running_loop().shutdown_default_executor()
    assert file.closed


@ways
async def test_an_answer_before_the_form_was_sent(client: Client) -> None:
    form = {"f": io.BytesIO(bytes(5_000_000))}
    async with client.session.post(client.url("/early"), data=form) as response:
        assert response.status == 403


@ways
async def test_nested_parts(client: Client) -> None:
    inner = MultipartWriter("related")
    inner.append("two")
    writer = MultipartWriter("mixed")
    writer.append("one", {"Content-Encoding": "gzip", "Content-Transfer-Encoding": "base64"})
    writer.append(inner)
    writer.append_json("three")
    assert await client.post("/parts", writer) == ["one", "two", '"three"']


@ways
async def test_a_multipart_response(client: Client) -> None:
    async with client.session.get(client.url("/parts")) as response:
        disposition = response.content_disposition
        assert disposition is not None
        assert (disposition.type, disposition.filename) == ("attachment", "\u00e9")
        assert isinstance(disposition.parameters, MappingProxyType)
        parts = MultipartReader.from_response(response)
        first, second = await parts.next(), await parts.next()
        assert isinstance(first, BodyPartReader)
        assert isinstance(second, BodyPartReader)
        assert first.at_eof()
        assert await second.read(decode=True) == b"x" * 300_000
        assert await parts.next() is None
        assert response.closed
    async with client.session.get(client.url("/parts")) as response:
        first = await MultipartReader.from_response(response).next()
        assert isinstance(first, BodyPartReader)
        assert await first.json() == {"a": 1}


@ways
async def test_parts_come_while_the_response_goes_on(way: Way, authority: Authority) -> None:
    """As those of a camera: without end, each one before the next is sent."""
    received = asyncio.Event()

    async def camera(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={"Content-Type": "multipart/x-mixed-replace; boundary=frame"}
        )
        await response.prepare(request)
        for number in range(3):
            await response.write(b"--frame\r\n\r\npicture %d\r\n" % number)
            await asyncio.wait_for(received.wait(), 20)
            received.clear()
        return response

    app = web.Application()
    app.router.add_get("/", camera)
    context = authority.server_context("h2", "http/1.1") if way.tls else None
    async with serve(app, context) as served, way.open_session(authority) as session:
        url = served.url.replace("127.0.0.1", "localhost")
        async with session.get(url) as response:
            reader = MultipartReader.from_response(response)
            for number in range(3):
                each = await reader.next()
                assert isinstance(each, BodyPartReader)
                assert await each.read_chunk() == b"picture %d" % number
                received.set()


def test_no_content_disposition() -> None:
    assert read_content_disposition(None) is None
    with pytest.warns(plait.BadContentDispositionHeader):
        broken = read_content_disposition("a b")
    assert broken is not None
    assert (broken.type, broken.filename) == (None, None)
