"""MultipartWriter without a connection, and that a reader gives back what it wrote."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import AsyncIterator, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

import plait
from plait import MultipartReader, MultipartWriter
from plait.multipart import BodyPartReaderPayload, MultipartPayloadWriter
from plait.payload import get_payload
from tests.adapters.multipart_bodies import TEXT, only_part, part_of, reader_of

pytestmark = pytest.mark.anyio


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
    with pytest.raises(RuntimeError, match="Content-Transfer-Encoding"):
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
