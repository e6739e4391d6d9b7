"""MultipartReader and MultipartWriter without a connection."""

from __future__ import annotations

import base64
import gzip
import io
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

import plait
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
from plait.multipart import (
    BodyPartReaderPayload,
    MultipartPayloadWriter,
    PartEncodingError,
)
from plait.payload import get_payload
from plait.streams import StreamReader
from plait_engine.content.multipart import MultipartError
from tests.engine.chops import CHOPS, Chop

pytestmark = pytest.mark.anyio


def stream_of(*pieces: bytes) -> StreamReader:
    stream = StreamReader(None, 2**16)
    for piece in pieces:
        stream.feed_data(piece)
    stream.feed_eof()
    return stream


def reader_of(
    *pieces: bytes, kind: str = "mixed", boundary: str = "b", **options: Any
) -> MultipartReader:
    headers = {"Content-Type": f"multipart/{kind}; boundary={boundary}"}
    return MultipartReader(headers, stream_of(*pieces), **options)


def part_of(body: bytes, headers: dict[str, str] | None = None, **options: Any) -> BodyPartReader:
    """Return the reader of a part with content ``body``."""
    fields = CIMultiDictProxy(CIMultiDict(headers or {}))
    return BodyPartReader(b"--b", fields, stream_of(body + b"\r\n--b--"), **options)


async def only_part(reader: MultipartReader) -> BodyPartReader:
    part = await reader.next()
    assert isinstance(part, BodyPartReader)
    return part


FORM = (
    b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\none\r\n'
    b'--b\r\nContent-Disposition: form-data; name="f"; filename="x.txt"\r\n'
    b"Content-Type: text/plain; charset=latin-1\r\n\r\n\xe9\r\n--b--\r\n"
)


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
    with pytest.raises(MultipartError, match="boundary missed"):
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
        ("multipart/mixed", "boundary missed"),
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


TEXT = b"what is said twice is said twice \r\n" * 300
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


# -- writing ---------------------------------------------------------------------------------------------


class Sink:
    """A writer that keeps what it gets, and counts the writes."""

    def __init__(self) -> None:
        self.data = b""
        self.writes = 0

    async def write(self, chunk: bytes) -> None:
        self.data += chunk
        self.writes += 1


async def written(writer: MultipartWriter, **options: bool) -> bytes:
    sink = Sink()
    await writer.write(sink, **options)  # type: ignore[arg-type]
    return sink.data


async def test_writing() -> None:
    writer = MultipartWriter("mixed", boundary=":")
    writer.append("\u00e9", {"X-A": "1"})
    writer.append_json({"a": 1})
    writer.append_form({"a": "b c", "d": "1"})
    writer.append_form([("e", "2")])
    writer.append(io.BytesIO(b"file"))
    expected = (
        b"--:\r\nContent-Type: text/plain; charset=utf-8\r\nX-A: 1\r\nContent-Length: 2\r\n\r\n"
        b"\xc3\xa9\r\n"
        b'--:\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n{"a": 1}\r\n'
        b"--:\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\n\r\n"
        b"a=b+c&d=1\r\n"
        b"--:\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n\r\n"
        b"e=2\r\n"
        b"--:\r\nContent-Type: application/octet-stream\r\nContent-Length: 4\r\n\r\n"
        b"file\r\n--:--\r\n"
    )
    assert writer.content_type == 'multipart/mixed; boundary=":"'
    assert len(writer) == len(list(writer)) == 5
    assert writer.size == len(expected)
    assert await written(writer) == expected
    assert await writer.as_bytes() == expected
    assert writer.decode().encode() == expected
    assert await written(writer, close_boundary=False) == expected[: -len(b"--:--\r\n")]


async def test_small_parts_are_one_write() -> None:
    writer = MultipartWriter()
    for _ in range(100):
        writer.append(b"x" * 100)
    sink = Sink()
    await writer.write(sink)  # type: ignore[arg-type]
    assert sink.writes == 1
    assert writer.size == len(sink.data)
    for _ in range(2000):
        writer.append(b"")
    sink = Sink()
    await writer.write(sink)  # type: ignore[arg-type]
    assert 2 <= sink.writes <= 10
    assert writer.size == len(sink.data)


async def test_an_empty_writer() -> None:
    writer = MultipartWriter(boundary="b")
    assert bool(writer)
    assert writer.size == 7
    assert await written(writer) == b"--b--\r\n"
    assert len(MultipartWriter().boundary) == 32
    with MultipartWriter() as same:
        assert same.boundary != writer.boundary


@pytest.mark.parametrize("boundary", ["\u00e9", "b\n", "", "b" * 71])
def test_what_cannot_be_a_boundary(boundary: str) -> None:
    with pytest.raises(ValueError, match="boundary"):
        MultipartWriter(boundary=boundary)


def test_what_cannot_be_a_subtype() -> None:
    with pytest.raises(ValueError, match="subtype"):
        MultipartWriter("mixed\r\nX: 1")


async def test_a_part_that_grows_after_it_was_added() -> None:
    outer, inner = MultipartWriter(boundary="b"), MultipartWriter(boundary="bb")
    outer.append(inner)
    inner.append(b"one")
    body = await written(outer)
    assert outer.size == len(body)
    nested = await reader_of(body).next()
    assert isinstance(nested, MultipartReader)
    assert await (await only_part(nested)).read() == b"one"
    assert await nested.next() is None


async def test_parts_of_forms() -> None:
    writer = MultipartWriter("form-data", boundary="b")
    part = writer.append("one")
    writer.append("two").set_content_disposition("form-data", name="second")
    assert part.headers["Content-Disposition"] == 'form-data; name="section-0"'
    assert b"Content-Length" not in await written(writer)
    for name in ("Content-Length", "Content-Encoding", "Content-Transfer-Encoding"):
        with pytest.raises(RuntimeError, match=name):
            writer.append("x", {name: "gzip"})


@pytest.mark.parametrize("value", ["a\r\nX: 1", "a\nb", "a\0"])
@pytest.mark.parametrize("name", ["X-A", "Content-Type", "Content-Disposition"])
def test_header_fields_that_cannot_be_sent(name: str, value: str) -> None:
    writer = MultipartWriter()
    with pytest.raises(ValueError, match="not a header field"):
        writer.append(b"x", {name: value})
    assert len(writer) == 0


def test_what_cannot_be_a_part() -> None:
    writer = MultipartWriter()
    for value in (1, None, 1.5):
        with pytest.raises(TypeError, match="Cannot create payload"):
            writer.append(value)
    with pytest.raises(TypeError, match="sequence"):
        writer.append_form(1)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="content encoding"):
        writer.append("x", {"Content-Encoding": "snappy"})
    with pytest.raises(RuntimeError, match="transfer encoding"):
        writer.append("x", {"Content-Transfer-Encoding": "uuencode"})


CODINGS = [
    {"Content-Encoding": "gzip"},
    {"Content-Encoding": "deflate"},
    {"Content-Encoding": "identity"},
    {"Content-Transfer-Encoding": "base64"},
    {"Content-Transfer-Encoding": "quoted-printable"},
    {"Content-Transfer-Encoding": "binary"},
    {"Content-Transfer-Encoding": "base64", "Content-Encoding": "gzip"},
]


@pytest.mark.parametrize("headers", CODINGS, ids=str)
async def test_what_is_encoded_is_decoded(headers: dict[str, str]) -> None:
    writer = MultipartWriter(boundary="b")
    content = bytes(range(256)) * 5000
    writer.append(io.BytesIO(content), headers)
    encodes = not {"identity", "binary"} & set(headers.values())
    assert (writer.size is None) == encodes
    body = await written(writer)
    part = await only_part(reader_of(body))
    assert await part.read(decode=True) == content
    assert await writer.as_bytes() == body
    if encodes:
        with pytest.raises(TypeError, match="as_bytes"):
            writer.decode()


async def test_deflate_is_bare() -> None:
    writer = MultipartWriter(boundary="b")
    writer.append(TEXT, {"Content-Encoding": "deflate"})
    content = await (await only_part(reader_of(await written(writer)))).read()
    assert zlib.decompress(content, wbits=-zlib.MAX_WBITS) == TEXT


async def test_a_payload_writer_that_encodes_nothing() -> None:
    sink = Sink()
    writer = MultipartPayloadWriter(sink)
    writer.enable_encoding("binary")
    await writer.write(b"one")
    await writer.write_eof()
    assert sink.data == b"one"


async def chunks() -> AsyncIterator[bytes]:
    yield b"one"
    yield b"two"


async def test_what_can_be_sent_again() -> None:
    writer = MultipartWriter()
    writer.append(b"x")
    writer.append(io.BytesIO(b"y"))
    first = await written(writer)
    assert await written(writer) == first
    assert writer.replayable
    writer.append(chunks())
    assert writer.size is None
    assert writer.replayable
    await written(writer)
    assert writer.consumed
    assert not writer.replayable


async def test_closing(caplog: pytest.LogCaptureFixture) -> None:
    class Closable(plait.AsyncIterablePayload):
        @property
        def autoclose(self) -> bool:
            return False

    class Broken(Closable):
        async def close(self) -> None:
            raise ValueError("closing fails")

    closed: list[str] = []

    class Noted(Closable):
        async def close(self) -> None:
            closed.append("noted")

    writer = MultipartWriter()
    writer.append(Broken(chunks()))
    writer.append(Noted(chunks()))
    writer.append(b"x")
    assert not writer.autoclose
    await writer.close()
    await writer.close()
    assert closed == ["noted"]
    assert [record.levelname for record in caplog.records] == ["ERROR"]


async def test_a_part_passed_on() -> None:
    headers = {"Content-Disposition": "form-data; name=a; filename=b", "Content-Encoding": "gzip"}
    data = gzip.compress(bytes(1_000_000))
    payload = get_payload(part_of(data, headers))
    assert isinstance(payload, BodyPartReaderPayload)
    assert payload.headers["Content-Disposition"] == 'attachment; name="a"; filename="b"'
    for broken in (payload.as_bytes(), _call(payload.decode)):
        with pytest.raises(TypeError):
            await broken
    sink = Sink()
    await payload.write(sink)  # type: ignore[arg-type]
    assert sink.data == bytes(1_000_000)
    assert payload.consumed
    assert "Content-Disposition" not in get_payload(part_of(b"x")).headers


async def _call(function: Callable[[], object]) -> None:
    function()


contents = st.lists(
    st.tuples(st.binary(max_size=60), st.sampled_from([{}, *CODINGS])), max_size=5
)  # fmt: skip


@given(contents, st.integers(1, 50))
async def test_there_and_back(parts: list[tuple[bytes, dict[str, str]]], size: int) -> None:
    writer = MultipartWriter(boundary="b-o-u-n-d")
    for content, headers in parts:
        writer.append(content, headers)
    body = await written(writer)
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    reader = reader_of(*pieces, boundary="b-o-u-n-d")
    for content, _ in parts:
        assert await (await only_part(reader)).read(decode=True) == content
    assert await reader.next() is None


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
