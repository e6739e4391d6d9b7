"""MultipartReader and what it gives, without a connection; see ``test_multipart_writing``."""

from __future__ import annotations

import asyncio
import base64
import gzip
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from plait import (
    BadContentDispositionHeader,
    BadContentDispositionParam,
    BodyPartReader,
    MultipartReader,
    MultipartWriter,
    content_disposition_filename,
    parse_content_disposition,
)
from plait.http_exceptions import LineTooLong
from plait.multipart import PartEncodingError
from plait.payload import get_payload
from plait.streams import StreamReader
from plait_engine.content.multipart import MultipartError
from tests.adapters.multipart_bodies import FORM, TEXT, only_part, part_of, reader_of, stream_of
from tests.engine.chops import CHOPS, Chop

pytestmark = pytest.mark.anyio


# -- reading parts ---------------------------------------------------------------------------------


@pytest.mark.parametrize("chop", CHOPS)
async def test_parts(chop: Chop) -> None:
    reader = reader_of(*chop(FORM), kind="form-data")
    part = await only_part(reader)
    assert (part.name, part.filename) == ("a", None)
    assert await part.read() == b"one"
    assert part.at_eof()
    assert await part.read() == b""
    part = await only_part(reader)
    assert (part.name, part.filename) == ("f", "x.txt")
    assert part.headers["content-type"] == "text/plain; charset=latin-1"
    assert await part.text() == "\u00e9"
    assert not reader.at_eof()
    assert await reader.next() is None
    assert reader.at_eof()
    assert await reader.next() is None


@pytest.mark.parametrize("chop", CHOPS)
async def test_what_is_not_read_is_skipped(chop: Chop) -> None:
    reader = reader_of(*chop(FORM))
    first = await only_part(reader)
    assert await first.read_chunk(1) == b"o"
    second = await only_part(reader)
    assert first.at_eof()
    assert await first.read() == b""
    assert second.name == "f"
    await second.release()
    assert second.at_eof()
    assert await reader.next() is None


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (lambda part: part.read(), b"first half\r\nrest"),
        (lambda part: part.readline(), b"first half\r\n"),
        (lambda part: part._content.read(), b"first half\r\nrest"),
    ],
)
async def test_a_read_that_is_cancelled_gives_back_what_it_had(
    method: Callable[[BodyPartReader], Any], expected: bytes
) -> None:
    content = StreamReader(None, 2**16)
    content.feed_data(b"--b\r\n\r\nfir")
    reader = MultipartReader({"Content-Type": "multipart/mixed; boundary=b"}, content)
    part = await only_part(reader)
    for piece in (b"st ", b"half"):
        task = asyncio.ensure_future(method(part))
        await asyncio.sleep(0)
        content.feed_data(piece)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    content.feed_data(b"\r\nrest\r\n--b--")
    content.feed_eof()
    assert await method(part) == expected
    assert expected + await part.read() == b"first half\r\nrest"


async def test_iteration() -> None:
    names = [part.name async for part in reader_of(FORM) if isinstance(part, BodyPartReader)]
    assert names == ["a", "f"]
    reader = reader_of(FORM)
    await reader.release()
    assert reader.at_eof()
    assert [data async for data in part_of(b"one")] == [b"one"]
    with pytest.raises(MultipartError, match="no next part"):
        await reader.fetch_next_part()


@pytest.mark.parametrize("chop", CHOPS)
async def test_nested_multiparts(chop: Chop) -> None:
    outer = MultipartWriter("mixed", boundary="b")
    inner = MultipartWriter("related", boundary="bb")
    innermost = MultipartWriter("related", boundary="bbb")
    innermost.append(b"three")
    inner.append(b"one")
    inner.append(b"two")
    inner.append(innermost)
    outer.append(inner)
    outer.append(b"four")
    seen: list[Any] = []

    async def walk(reader: MultipartReader) -> None:
        async for part in reader:
            if isinstance(part, MultipartReader):
                await walk(part)
                seen.append("end")
            else:
                seen.append(await part.read())

    await walk(reader_of(*chop(await outer.as_bytes())))
    assert seen == [b"one", b"two", b"three", "end", "end", b"four"]


async def test_a_nested_multipart_that_is_not_read_is_skipped() -> None:
    inner = MultipartWriter("mixed", boundary="bb")
    inner.append(b"one")
    inner.append(b"two")
    outer = MultipartWriter("mixed", boundary="b")
    outer.append(inner)
    outer.append(b"three")
    body = await outer.as_bytes()
    reader = reader_of(body)
    nested = await reader.next()
    assert isinstance(nested, MultipartReader)
    assert await (await only_part(reader)).read() == b"three"
    assert nested.at_eof()
    assert await nested.next() is None
    reader = reader_of(body)
    nested = await reader.next()
    assert isinstance(nested, MultipartReader)
    assert await (await only_part(nested)).read_chunk(1) == b"o"
    assert await (await only_part(reader)).read() == b"three"


async def test_a_part_that_cannot_be_read_may_be_skipped() -> None:
    body = (
        b"--b\r\nContent-Type: multipart/mixed\r\n\r\n--c\r\n\r\none\r\n--c--\r\n"
        b"--b\r\n\r\ntwo\r\n--b--"
    )
    reader = reader_of(body)
    with pytest.raises(MultipartError, match="names no boundary"):
        await reader.next()
    assert await (await only_part(reader)).read() == b"two"
    assert await reader.next() is None


async def test_nesting_has_a_limit() -> None:
    body = b"x"
    for depth in range(12):
        writer = MultipartWriter("mixed", boundary=f"b{depth}")
        part = get_payload(body)
        if depth:
            part.headers["Content-Type"] = f"multipart/mixed; boundary=b{depth - 1}"
        writer.append(part)
        body = await writer.as_bytes()
    reader: Any = reader_of(body, boundary="b11")
    for _ in range(9):
        reader = await reader.next()
    with pytest.raises(MultipartError, match="more than 10 multiparts"):
        await reader.next()


async def test_classes_of_ones_own() -> None:
    class Part(BodyPartReader):
        pass

    class Reader(MultipartReader):
        part_reader_cls = Part

    class Other(Reader):
        pass

    inner = MultipartWriter("mixed", boundary="bb")
    inner.append(b"one")
    outer = MultipartWriter("mixed", boundary="b")
    outer.append(inner)
    body = await outer.as_bytes()
    headers = {"Content-Type": "multipart/mixed; boundary=b"}
    reader = Reader(headers, stream_of(body))
    nested = await reader.next()
    assert type(nested) is Reader
    assert type(await nested.next()) is Part
    reader = Reader(headers, stream_of(body))
    reader.multipart_reader_cls = Other
    assert type(await reader.next()) is Other


async def test_the_content_of_a_part_is_a_stream() -> None:
    class Raw(MultipartReader):
        def __init__(self, headers: Any, content: Any, **options: Any) -> None:
            super().__init__(headers, content, **options)
            self.content = content

    reader = reader_of(b"--b\r\nContent-Type: multipart/x; boundary=c\r\n\r\none\ntwo\r\n--b--")
    reader.multipart_reader_cls = Raw
    raw = await reader.next()
    assert isinstance(raw, Raw)
    content = raw.content
    assert await content.readline() == b"one\n"
    content.unread_data(b"half")
    assert await content.read(2) == b"ha"
    content.unread_data(b"ha")
    assert not content.at_eof()
    assert await content.read() == b"halftwo"
    assert content.at_eof()
    assert await content.read() == b""
    assert await reader.next() is None


@pytest.mark.parametrize(
    ("media_type", "problem"),
    [
        ("text/plain; boundary=b", "no multipart media type"),
        ("multipart/mixed", "names no boundary"),
        ("multipart/mixed; boundary=", "cannot be a boundary"),
        ("multipart/mixed; boundary=" + "b" * 71, "too long"),
        ("multipart/mixed; boundary=\u00e9", "cannot be a boundary"),
    ],
)
async def test_media_types_that_are_refused(media_type: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        MultipartReader({"Content-Type": media_type}, stream_of())


@pytest.mark.parametrize("boundary", ["b", "a;b", 'a"b\\', "a b", "'(),/:=?", "--"])
async def test_boundaries(boundary: str) -> None:
    writer = MultipartWriter("mixed", boundary=boundary)
    writer.append(b"one")
    reader = MultipartReader(writer.headers, stream_of(await writer.as_bytes()))
    assert await (await only_part(reader)).read() == b"one"
    assert await reader.next() is None


@pytest.mark.parametrize(
    "body", [b"", b"one", b"--c\r\n\r\none\r\n--c--", b"--b\r\nA\r\n\r\n\r\n--b--", b"--b\r\nA: 1"]
)
async def test_bodies_that_are_no_multipart(body: bytes) -> None:
    with pytest.raises(MultipartError):
        await reader_of(body).next()


async def test_a_body_that_is_cut_short() -> None:
    reader = reader_of(FORM[:-9])
    assert await (await only_part(reader)).read() == b"one"
    part = await only_part(reader)
    with pytest.raises(MultipartError, match="ends before"):
        await part.read()
    with pytest.raises(MultipartError, match="ends before"):
        await reader.next()


@pytest.mark.parametrize(
    ("options", "problem"),
    [({"max_headers": 1}, "more than 1 header fields"), ({"max_field_size": 20}, "more than 20")],
)
async def test_limits_on_header_fields(options: dict[str, int], problem: str) -> None:
    await reader_of(FORM).release()
    with pytest.raises(MultipartError, match=problem):
        await reader_of(FORM, **options).release()


async def test_a_large_limit_on_fields_is_kept() -> None:
    body = b"--b\r\nA: " + b"x" * 50_000 + b"\r\n\r\n\r\n--b--"
    part = await only_part(reader_of(body, max_field_size=60_000))
    assert len(part.headers["A"]) == 50_000


async def test_many_parts_are_no_matter() -> None:
    count = 0
    async for part in reader_of(b"--b\r\n\r\nx\r\n" * 5000 + b"--b--"):
        assert await part.read() == b"x"  # type: ignore[union-attr]
        count += 1
    assert count == 5000


# -- the charset of a form -----------------------------------------------------------------------------


def charset_form(charset: bytes) -> bytes:
    return (
        b'--b\r\nContent-Disposition: form-data; name="_charset_"\r\n\r\n' + charset + b"\r\n"
        b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n\xe9\r\n--b--'
    )


@pytest.mark.parametrize("chop", CHOPS)
async def test_the_charset_of_a_form(chop: Chop) -> None:
    part = await only_part(reader_of(*chop(charset_form(b"iso-8859-1")), kind="form-data"))
    assert part.name == "a"
    assert part.get_charset("utf-8") == "iso-8859-1"
    assert await part.text() == "\u00e9"


async def test_a_charset_alone() -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="_charset_"\r\n\r\nutf-8\r\n--b--'
    assert await reader_of(body, kind="form-data").next() is None
    assert (await only_part(reader_of(body))).name == "_charset_"


@pytest.mark.parametrize("charset", [b"nothing", b"base64", b"\xff", b"a" * 32, b""])
async def test_a_charset_that_is_none(charset: bytes) -> None:
    with pytest.raises(RuntimeError, match="Invalid default charset"):
        await reader_of(charset_form(charset), kind="form-data").next()


# -- the content of a part ---------------------------------------------------------------------------


@pytest.mark.parametrize("chop", CHOPS)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 100_000])
async def test_chunks(size: int, chop: Chop) -> None:
    content = b"one\r\n--bb\r\n\r\r\n" * 20
    body = b"--b\r\n\r\n" + content + b"\r\n--b--"
    part = await only_part(reader_of(*chop(body)))
    chunks = []
    while chunk := await part.read_chunk(size):
        assert len(chunk) <= size
        chunks.append(chunk)
    assert b"".join(chunks) == content
    assert part.at_eof()


async def test_the_end_is_known_with_the_last_chunk() -> None:
    part = await only_part(reader_of(FORM))
    assert await part.read_chunk(3) == b"one"
    assert part.at_eof()


async def test_a_part_alone_leaves_the_rest() -> None:
    stream = stream_of(b"on", b"e\r\n-", b"-b\r\n\r\ntwo")
    part = BodyPartReader(b"--b", CIMultiDictProxy(CIMultiDict()), stream)
    assert await part.read() == b"one"
    assert await stream.read() == b"--b\r\n\r\ntwo"


async def test_lines() -> None:
    part = part_of(b"one\ntwo\r\n\r\nthree")
    assert [await part.readline() for _ in range(5)] == [
        b"one\n",
        b"two\r\n",
        b"\r\n",
        b"three",
        b"",
    ]
    assert part.at_eof()


@pytest.mark.parametrize("chop", CHOPS)
async def test_lines_of_parts(chop: Chop) -> None:
    part = await only_part(reader_of(*chop(b"--b\r\n\r\none\ntwo\n\r\n--b--")))
    assert [await part.readline() for _ in range(3)] == [b"one\n", b"two\n", b""]


async def test_a_long_line() -> None:
    with pytest.raises(LineTooLong):
        await part_of(b"x" * 2**18).readline()


@pytest.mark.parametrize("length", ["+3", "-1", "1_0", "x", "\u0663"])
async def test_a_length_that_is_none(length: str) -> None:
    with pytest.raises(ValueError, match="Content-Length"):
        part_of(b"one", {"Content-Length": length})


async def test_a_length_that_is_wrong() -> None:
    assert await part_of(b"one", {"Content-Length": "3"}).read() == b"one"
    with pytest.raises(MultipartError, match="malformed"):
        await part_of(b"one", {"Content-Length": "2"}).read()
    assert await part_of(b"one", {"Content-Length": "2"}, subtype="form-data").read() == b"one"


async def test_sizes() -> None:
    assert await part_of(b"x" * 10, client_max_size=10).read() == b"x" * 10
    with pytest.raises(ValueError, match=r"^10$"):
        await part_of(b"x" * 11, client_max_size=10).read()
    with pytest.raises(KeyError):
        await part_of(b"x" * 11, client_max_size=10, max_size_error_cls=KeyError).text()


async def test_names() -> None:
    def named(field: str) -> BodyPartReader:
        return part_of(b"", {"Content-Disposition": field})

    part = named("form-data; name*=utf-8''%C3%A9; filename*0=a; filename*1=b")
    assert (part.name, part.filename) == ("\u00e9", "ab")
    broken = named("form data; name=a")  # No warning: it is the client that is wrong.
    assert (broken.name, broken.filename) == (None, None)
    assert part_of(b"").name is None


# -- what the content is --------------------------------------------------------------------------------


def bare_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(data) + stream.flush()


ENCODED: dict[str, tuple[dict[str, str], bytes]] = {
    "gzip": ({"Content-Encoding": "GZIP"}, gzip.compress(TEXT)),
    "zlib": ({"Content-Encoding": "deflate"}, zlib.compress(TEXT)),
    "bare deflate": ({"Content-Encoding": "deflate"}, bare_deflate(TEXT)),
    "identity": ({"Content-Encoding": "identity"}, TEXT),
    "base64": ({"Content-Transfer-Encoding": "Base64"}, base64.encodebytes(TEXT)),
    "binary": ({"Content-Transfer-Encoding": "binary"}, TEXT),
    "both": (
        {"Content-Transfer-Encoding": "base64", "Content-Encoding": "gzip"},
        base64.b64encode(gzip.compress(TEXT)),
    ),
}


@pytest.mark.parametrize("name", ENCODED)
async def test_codings(name: str) -> None:
    headers, data = ENCODED[name]
    assert await part_of(data, headers).read() == data
    assert await part_of(data, headers).read(decode=True) == TEXT
    assert await part_of(data, headers).text() == TEXT.decode()


@pytest.mark.parametrize("size", [1, 5, 64, 1000])
@pytest.mark.parametrize("name", ENCODED)
async def test_codings_in_chunks(name: str, size: int) -> None:
    headers, data = ENCODED[name]
    part = part_of(data, headers)
    again = part_of(data, headers)
    decoded = b""
    while chunk := await part.read_chunk(size):
        async for piece in part.decode_iter(chunk):
            decoded += piece
        assert again.decode(await again.read_chunk(size)) is not None
    assert decoded == TEXT


async def test_forms_are_not_compressed() -> None:
    data = gzip.compress(TEXT)
    part = part_of(data, {"Content-Encoding": "gzip"}, subtype="form-data")
    assert await part.read(decode=True) == data


@pytest.mark.parametrize(
    ("headers", "data"),
    [
        ({"Content-Encoding": "snappy"}, b"x"),
        ({"Content-Encoding": "gzip"}, b"x"),
        ({"Content-Encoding": "gzip"}, gzip.compress(TEXT, mtime=0)[:-1]),
        ({"Content-Encoding": "deflate"}, zlib.compress(TEXT) + b"x"),
        ({"Content-Transfer-Encoding": "uuencode"}, b"x"),
        ({"Content-Transfer-Encoding": "base64"}, b"xxx"),
        ({"Content-Type": "text/plain; charset=nothing"}, b"x"),
        ({"Content-Type": "text/plain; charset=base64"}, b"x"),
        ({"Content-Type": "text/plain; charset=utf-8"}, b"\xff"),
    ],
)
async def test_content_that_cannot_be_decoded(headers: dict[str, str], data: bytes) -> None:
    for read in (BodyPartReader.text, BodyPartReader.json, BodyPartReader.form):
        with pytest.raises(PartEncodingError) as caught:
            await read(part_of(data, headers))
        assert isinstance(caught.value, ValueError)
        assert isinstance(caught.value, RuntimeError)
        if data == b"\xff":
            assert isinstance(caught.value, UnicodeDecodeError)
            assert str(caught.value).startswith("data cannot be decoded with utf-8 encoding")


async def test_bombs() -> None:
    headers = {"Content-Encoding": "gzip"}
    bomb = gzip.compress(bytes(5_000_000))
    with pytest.raises(ValueError, match=r"^100000$"):
        await part_of(bomb, headers, client_max_size=100_000).read(decode=True)
    part = part_of(bomb, headers)
    sizes = [len(piece) async for piece in part.decode_iter(await part.read_chunk(10_000))]
    assert sum(sizes) == 5_000_000
    assert max(sizes) <= 2**18
    part = part_of(bomb, headers)
    with pytest.raises(ValueError, match=f"^{2**18}$"):
        part.decode(await part.read_chunk(10_000))
    part = part_of(gzip.compress(bytes(2**18)), headers)
    assert len(part.decode(await part.read_chunk(10_000))) == 2**18


async def test_json_and_forms() -> None:
    assert await part_of(b'{"a": 1}').json() == {"a": 1}
    assert await part_of(b"").json() is None
    assert await part_of(b'"\xe9"').json(encoding="latin-1") == "\u00e9"
    assert await part_of(b"a=1&b=&a=%E9\r\n").form(encoding="latin-1") == [
        ("a", "1"),
        ("b", ""),
        ("a", "\u00e9"),
    ]
    assert await part_of(b"").form() == []


# -- Content-Disposition ---------------------------------------------------------------------------------


def test_content_disposition() -> None:
    kind, params = parse_content_disposition('attachment; filename="a.txt"')
    assert (kind, content_disposition_filename(params)) == ("attachment", "a.txt")
    with pytest.warns(BadContentDispositionHeader):
        assert parse_content_disposition("attachment; filename") == (None, {})
    with pytest.warns(BadContentDispositionParam):
        assert parse_content_disposition("attachment; a b=c") == ("attachment", {})
    assert parse_content_disposition(None) == (None, {})


# -- responses, and boundaries as text -----------------------------------------------------------------


class FakeResponse:
    def __init__(self, body: bytes) -> None:
        self.headers = {"Content-Type": "multipart/mixed; boundary=b"}
        self.content = stream_of(body)
        self.released = 0

    async def release(self) -> None:
        self.released += 1


async def test_the_parts_of_a_response() -> None:
    response: Any = FakeResponse(FORM)
    wrapper = MultipartReader.from_response(response)
    names = [part.name async for part in wrapper if isinstance(part, BodyPartReader)]
    assert names == ["a", "f"]
    assert response.released == 1
    assert wrapper.at_eof()


async def test_a_boundary_as_text() -> None:
    stream = stream_of(b"body\r\n--b--")
    part = BodyPartReader("--b", CIMultiDictProxy(CIMultiDict()), stream)
    assert await part.read() == b"body"
