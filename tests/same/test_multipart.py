"""Multipart bodies and forms, read and written, on aiohttp and on plait."""

from __future__ import annotations

import gzip
import io
import json
from typing import Any
from unittest import mock

import pytest
from multidict import CIMultiDict, CIMultiDictProxy, MultiDict

from tests.same.conftest import Library
from tests.same.tools import END, Collector, part, reader_of, stream_of, written

pytestmark = pytest.mark.anyio


# -- reading multipart -------------------------------------------------------------------------


async def test_parts(plain: Library) -> None:
    body = b"preamble\r\n" + part(b"one", X="1") + part(b"", Y="2") + END + b"epilogue"
    reader = reader_of(plain, body)
    assert reader.headers["Content-Type"] == "multipart/mixed; boundary=b"
    first = await reader.next()
    assert isinstance(first, plain.multipart.BodyPartReader)
    assert first.headers["x"] == "1"
    assert not reader.at_eof()
    assert await first.read() == b"one"
    assert await first.read() == b""
    second = await reader.next()
    assert await second.read() == b""
    assert await reader.next() is None
    assert reader.at_eof()
    assert await reader.next() is None


async def test_iteration(plain: Library) -> None:
    reader = reader_of(plain, part(b"one") + part(b"two") + END)
    assert [await found.read() async for found in reader] == [b"one", b"two"]


async def test_what_is_not_read_is_skipped(plain: Library) -> None:
    reader = reader_of(plain, part(b"one" * 999) + part(b"two") + END)
    await reader.next()
    assert await (await reader.next()).read() == b"two"


async def test_release(plain: Library) -> None:
    reader = reader_of(plain, part(b"one") + part(b"two") + END)
    first = await reader.next()
    await first.release()
    assert first.at_eof()
    await reader.release()
    assert await reader.next() is None


async def test_nested(plain: Library) -> None:
    inner = b"--c\r\n\r\ninner\r\n--c--"
    reader = reader_of(plain, part(inner, Content_Type="multipart/mixed; boundary=c") + END)
    nested = await reader.next()
    assert isinstance(nested, plain.multipart.MultipartReader)
    assert await (await nested.next()).read() == b"inner"
    assert await nested.next() is None
    assert await reader.next() is None


@pytest.mark.parametrize("content_type", ["text/plain", "multipart/mixed"])
def test_what_is_no_multipart(plain: Library, content_type: str) -> None:
    with pytest.raises((ValueError, AssertionError)):
        plain.multipart.MultipartReader({"Content-Type": content_type}, mock.Mock())


async def test_a_part_in_chunks_and_lines(plain: Library) -> None:
    reader = reader_of(plain, part(b"abcdefgh" * 9) + part(b"one\r\ntwo\r\n") + END)
    chunks = await reader.next()
    found = []
    while chunk := await chunks.read_chunk(10):
        found.append(chunk)
        assert len(chunk) <= 10
    assert b"".join(found) == b"abcdefgh" * 9
    assert chunks.at_eof()
    lines = await reader.next()
    assert await lines.readline() == b"one\r\n"
    assert (await lines.readline()).rstrip(b"\r\n") == b"two"


@pytest.mark.parametrize(
    ("fields", "raw", "decoded"),
    [
        ({}, b"abc", b"abc"),
        ({"Content_Transfer_Encoding": "base64"}, b"YWJj", b"abc"),
        ({"Content_Transfer_Encoding": "quoted-printable"}, b"a=62c", b"abc"),
        ({"Content_Transfer_Encoding": "8bit"}, b"abc", b"abc"),
        ({"Content_Transfer_Encoding": "7bit"}, b"abc", b"abc"),
        ({"Content_Transfer_Encoding": "binary"}, b"abc", b"abc"),
        ({"Content_Encoding": "gzip"}, gzip.compress(b"abc", mtime=0), b"abc"),
        ({"Content_Encoding": "identity"}, b"abc", b"abc"),
    ],
)
async def test_codings(plain: Library, fields: dict[str, str], raw: bytes, decoded: bytes) -> None:
    for decode in (False, True):
        found = await reader_of(plain, part(raw, **fields) + END).next()
        assert await found.read(decode=decode) == (decoded if decode else raw)
    found = await reader_of(plain, part(raw, **fields) + END).next()
    assert found.decode(await found.read()) == decoded
    found = await reader_of(plain, part(raw, **fields) + END).next()
    pieces = [piece async for piece in found.decode_iter(await found.read())]
    assert b"".join(pieces) == decoded


@pytest.mark.parametrize(
    "fields", [{"Content_Encoding": "other"}, {"Content_Transfer_Encoding": "other"}]
)
async def test_codings_that_are_unknown(plain: Library, fields: dict[str, str]) -> None:
    found = await reader_of(plain, part(b"abc", **fields) + END).next()
    with pytest.raises(RuntimeError):
        await found.read(decode=True)


async def test_text_json_and_form(plain: Library) -> None:
    latin = "text/plain; charset=latin-1"
    body = (
        part(b"\xe9", Content_Type=latin)
        + part("é".encode())
        + part(b"\xe9")
        + part(b'{"a": 1}')
        + part(b"")
        + part(b"a=1&b=x+y&c=")
        + END
    )
    reader = reader_of(plain, body)
    assert await (await reader.next()).text() == "é"
    assert await (await reader.next()).text() == "é"
    assert await (await reader.next()).text(encoding="latin-1") == "é"
    assert await (await reader.next()).json() == {"a": 1}
    assert await (await reader.next()).json() is None
    assert await (await reader.next()).form() == [("a", "1"), ("b", "x y"), ("c", "")]


async def test_a_charset(plain: Library) -> None:
    body = part(b"a", Content_Type="text/plain; charset=koi8-r") + part(b"b") + END
    reader = reader_of(plain, body)
    assert (await reader.next()).get_charset("utf-8") == "koi8-r"
    assert (await reader.next()).get_charset("utf-8") == "utf-8"


@pytest.mark.parametrize(
    ("disposition", "name", "filename"),
    [
        ('form-data; name="a"', "a", None),
        ('form-data; name="a"; filename="b.txt"', "a", "b.txt"),
        ("form-data; name=a; filename=b", "a", "b"),
        ("form-data; name=\"a\"; filename*=utf-8''caf%C3%A9", "a", "café"),
        ("attachment; filename=\"a\"; filename*=utf-8''b", None, "b"),
        ('attachment; filename*0="a"; filename*1="b"', None, "ab"),
        (None, None, None),
    ],
)
async def test_names(
    plain: Library, disposition: str | None, name: str | None, filename: str | None
) -> None:
    fields = {"Content_Disposition": disposition} if disposition else {}
    found = await reader_of(plain, part(b"", **fields) + END, "multipart/mixed").next()
    assert (found.name, found.filename) == (name, filename)


async def test_a_part_that_is_too_large(plain: Library) -> None:
    reader = plain.multipart.MultipartReader(
        {"Content-Type": "multipart/mixed; boundary=b"},
        stream_of(plain, part(b"x" * 100) + END),
        client_max_size=10,
        max_size_error_cls=OverflowError,
    )
    with pytest.raises(OverflowError):
        await (await reader.next()).read()


async def test_parts_made_by_hand(plain: Library) -> None:
    def make(body: bytes, fields: dict[str, str], **options: Any) -> Any:
        headers = CIMultiDictProxy(CIMultiDict(fields))
        stream = stream_of(plain, body + b"\r\n--b--\r\n")
        return plain.multipart.BodyPartReader(b"--b", headers, stream, **options)

    assert await make(b"\xe9", {}, default_charset="latin-1").text() == "é"
    assert make(b"", {}, default_charset="koi8-r").get_charset("utf-8") == "koi8-r"
    packed = gzip.compress(b"a")
    form = make(packed, {"Content-Encoding": "gzip"}, subtype="form-data")
    assert await form.read(decode=True) == packed
    with pytest.raises(OverflowError):
        await make(b"abcd", {}, client_max_size=3, max_size_error_cls=OverflowError).read()
    bomb = gzip.compress(bytes(100_000))
    made = make(bomb, {"Content-Encoding": "gzip"}, max_decompress_size=1000)
    pieces = [piece async for piece in made.decode_iter(await made.read())]
    assert max(map(len, pieces)) <= 1000
    assert b"".join(pieces) == bytes(100_000)


async def test_readers_of_ones_own(plain: Library) -> None:
    class Part(plain.multipart.BodyPartReader):  # type: ignore[misc, name-defined]
        pass

    class Reader(plain.multipart.MultipartReader):  # type: ignore[misc, name-defined]
        part_reader_cls = Part

    headers = {"Content-Type": "multipart/mixed; boundary=b"}
    inner = b"--c\r\n\r\ninner\r\n--c--"
    nested = part(inner, Content_Type="multipart/mixed; boundary=c")
    reader = Reader(headers, stream_of(plain, part(b"a") + nested + END))
    assert type(await reader.next()) is Part
    below = await reader.next()
    assert type(below) is Reader
    assert type(await below.next()) is Part


async def test_the_parts_of_a_response(plain: Library) -> None:
    class Response:
        headers = {"Content-Type": "multipart/mixed; boundary=b"}  # noqa: RUF012
        released = False

        async def release(self) -> None:
            self.released = True

    response = Response()
    response.content = stream_of(plain, part(b"one") + part(b"two") + END)  # type: ignore[attr-defined]
    kind = plain.multipart.MultipartReader
    wrapped = kind.from_response(response)
    assert type(wrapped) is kind.response_wrapper_cls is plain.multipart.MultipartResponseWrapper
    assert wrapped.resp is response
    assert isinstance(wrapped.stream, kind)
    assert wrapped.at_eof() is False
    assert [await found.read() async for found in wrapped] == [b"one", b"two"]
    assert wrapped.at_eof() is True
    assert response.released is True


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, (None, {})),
        ("", (None, {})),
        ("inline", ("inline", {})),
        ("Attachment; FileName=a", ("attachment", {"filename": "a"})),
        ('attachment; filename="a;b"', ("attachment", {"filename": "a;b"})),
        (r'attachment; filename="a\"b"', ("attachment", {"filename": 'a"b'})),
        ("attachment; filename*=UTF-8''%e2%82%ac", ("attachment", {"filename*": "€"})),
        ("form-data; name=a; x=y", ("form-data", {"name": "a", "x": "y"})),
    ],
)
def test_content_disposition(plain: Library, header: str | None, expected: Any) -> None:
    assert plain.multipart.parse_content_disposition(header) == expected


@pytest.mark.parametrize("header", ['"inline"', "=", "inline; a", ";filename=a"])
def test_content_disposition_that_is_none(plain: Library, header: str) -> None:
    with pytest.warns(RuntimeWarning):
        plain.multipart.parse_content_disposition(header)


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({}, None),
        ({"filename": "a"}, "a"),
        ({"filename": "a", "filename*": "b"}, "b"),
        ({"filename*0": "a", "filename*1": "b"}, "ab"),
        ({"filename*1": "a"}, None),
        ({"filename*0*": "utf-8''%e2%82%ac", "filename*1": "b"}, "€b"),
    ],
)
def test_file_names(plain: Library, params: dict[str, str], name: str | None) -> None:
    assert plain.multipart.content_disposition_filename(params) == name


async def test_parts_know_their_fields(plain: Library) -> None:
    headers = CIMultiDictProxy(CIMultiDict({"X": "1"}))
    made = plain.multipart.BodyPartReader(b"--b", headers, stream_of(plain, b"abc\r\n--b--\r\n"))
    assert made.headers is headers
    assert await made.read() == b"abc"
    assert made.chunk_size == 8192


async def test_json_of_a_part_in_another_charset(plain: Library) -> None:
    body = json.dumps("é", ensure_ascii=False).encode("latin-1")
    found = await reader_of(plain, part(body) + END).next()
    assert await found.json(encoding="latin-1") == "é"


# -- writing multipart -------------------------------------------------------------------------


async def test_a_writer(plain: Library) -> None:
    with plain.multipart.MultipartWriter("mixed", boundary=":") as writer:
        assert writer.boundary == ":"
        assert writer.content_type.replace('"', "") == "multipart/mixed; boundary=:"
        text = writer.append("text")
        assert isinstance(text, plain.payload.StringPayload)
        writer.append(b"bytes", {"X-A": "1"})
        writer.append_json({"a": 1})
        writer.append_form({"a": "x y"})
        writer.append_form([("b", "1")])
        writer.append(io.BytesIO(b"file"))
    assert len(writer) == 6
    body = await written(writer)
    assert writer.size == len(body)
    heads = [piece.partition(b"\r\n\r\n") for piece in body.split(b"--:")[1:-1]]
    assert body.endswith(b"--:--\r\n")
    assert [content.removesuffix(b"\r\n") for _, _, content in heads] == [
        b"text",
        b"bytes",
        b'{"a": 1}',
        b"a=x+y",
        b"b=1",
        b"file",
    ]
    assert b"X-A: 1" in heads[1][0]
    assert b"Content-Type: application/json" in heads[2][0]
    assert b"Content-Type: application/x-www-form-urlencoded" in heads[3][0]
    assert b"Content-Length: 4" in heads[0][0]


async def test_an_empty_writer(plain: Library) -> None:
    writer = plain.multipart.MultipartWriter("mixed", boundary=":")
    assert bool(writer) is True
    assert len(writer) == 0
    assert await written(writer) == b"--:--\r\n"


async def test_the_end_can_be_left_open(plain: Library) -> None:
    writer = plain.multipart.MultipartWriter("mixed", boundary=":")
    writer.append("a")
    collector = Collector()
    await writer.write(collector, close_boundary=False)
    assert collector.data.endswith(b"\r\n\r\na\r\n")


def test_boundaries(plain: Library) -> None:
    one, two = (plain.multipart.MultipartWriter().boundary for _ in range(2))
    assert one != two
    assert len(one) == 32
    with pytest.raises(ValueError, match=r"."):
        plain.multipart.MultipartWriter(boundary="é")


@pytest.mark.parametrize(
    ("fields", "content"),
    [
        ({"Content-Encoding": "gzip"}, None),
        ({"Content-Transfer-Encoding": "base64"}, b"YWJj"),
        ({"Content-Transfer-Encoding": "quoted-printable"}, b"abc"),
        ({"Content-Encoding": "identity"}, b"abc"),
    ],
)
async def test_parts_that_are_encoded(
    plain: Library, fields: dict[str, str], content: bytes | None
) -> None:
    writer = plain.multipart.MultipartWriter("mixed", boundary=":")
    writer.append(b"abc", fields)
    body = await written(writer)
    found = body.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n--:--\r\n")
    assert (gzip.decompress(found) == b"abc") if content is None else found == content
    assert b"Content-Length" not in body or content == b"abc"


def test_encodings_that_are_unknown(plain: Library) -> None:
    writer = plain.multipart.MultipartWriter()
    for name in ("Content-Encoding", "Content-Transfer-Encoding"):
        with pytest.raises(RuntimeError):
            writer.append("a", {name: "other"})


async def test_a_writer_in_a_writer(plain: Library) -> None:
    inner = plain.multipart.MultipartWriter("mixed", boundary="c")
    inner.append("inner")
    outer = plain.multipart.MultipartWriter("mixed", boundary="b")
    outer.append(inner)
    reader = reader_of(plain, await written(outer))
    nested = await reader.next()
    assert await (await nested.next()).text() == "inner"


def test_a_part_of_something_else(plain: Library) -> None:
    with pytest.raises(TypeError):
        plain.multipart.MultipartWriter().append(object())


async def test_forms_say_no_length(plain: Library) -> None:
    writer = plain.multipart.MultipartWriter("form-data", boundary=":")
    one = plain.payload.StringPayload("a")
    one.set_content_disposition("form-data", name="n")
    writer.append_payload(one)
    body = await written(writer)
    assert b"Content-Length" not in body
    assert b'Content-Disposition: form-data; name="n"\r\n' in body


# -- forms -------------------------------------------------------------------------------------


async def test_an_urlencoded_form(plain: Library) -> None:
    form = plain.top.FormData({"a": "1", "b": "é x"})
    assert form.is_multipart is False
    payload = form()
    assert payload.content_type == "application/x-www-form-urlencoded"
    assert await written(payload) == b"a=1&b=%C3%A9+x"


async def test_a_form_with_another_charset(plain: Library) -> None:
    payload = plain.top.FormData([("a", "é")], charset="latin-1")()
    assert payload.content_type == "application/x-www-form-urlencoded; charset=latin-1"
    assert await written(payload) == b"a=%E9"


async def test_a_multipart_form(plain: Library) -> None:
    form = plain.top.FormData()
    form.add_field("a", "1")
    form.add_field("file", b"x", filename='a"é.txt', content_type="text/x")
    form.add_field("json", "{}", content_type="application/json")
    form.add_field("io", io.BytesIO(b"y"), filename="y.bin")
    assert form.is_multipart is True
    payload = form()
    assert payload.content_type.startswith("multipart/form-data; boundary=")
    body = (await written(payload)).decode()
    assert 'Content-Disposition: form-data; name="a"\r\n' in body
    assert 'name="file"; filename="a%22%C3%A9.txt"' in body
    assert "Content-Type: text/x\r\n" in body
    assert "Content-Type: application/json\r\n" in body
    assert 'name="io"; filename="y.bin"' in body
    assert "Content-Length" not in body


async def test_a_form_that_does_not_quote(plain: Library) -> None:
    form = plain.top.FormData(quote_fields=False)
    form.add_field("é", b"x", filename="é.txt")
    body = (await written(form())).decode()
    assert 'name="é"' in body
    assert 'filename="é.txt"' in body


def test_multipart_by_default(plain: Library) -> None:
    form = plain.top.FormData({"a": "1"}, default_to_multipart=True)
    assert form.is_multipart is True
    assert form().content_type.startswith("multipart/form-data")


def test_fields_in_many_ways(plain: Library) -> None:
    form = plain.top.FormData()
    form.add_fields(("a", "1"), MultiDict({"b": "2"}))
    form.add_fields(io.BytesIO(b"x"))
    assert form.is_multipart is True
    for bad in ("text", 5):
        with pytest.raises(TypeError):
            form.add_fields(bad)


@pytest.mark.parametrize(
    "options",
    [{"content_type": 5}, {"filename": 5}, {"content_transfer_encoding": 5}],
)
def test_fields_that_are_refused(plain: Library, options: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        plain.top.FormData().add_field("a", "b", **options)


def test_what_is_deprecated_in_forms(plain: Library) -> None:
    form = plain.top.FormData()
    with pytest.warns(DeprecationWarning, match="file field"):
        form.add_field("a", b"x")
    assert form.is_multipart is True
    with pytest.warns(DeprecationWarning, match="deprecated"):
        plain.top.FormData().add_field("a", "x", content_transfer_encoding="base64")
