"""Payloads and their registry, on aiohttp and on plait."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.same.conftest import Library
from tests.same.tools import END, Collector, part, reader_of, stream_of, written

pytestmark = pytest.mark.anyio


# -- payloads ----------------------------------------------------------------------------------


async def _pieces() -> AsyncIterator[bytes]:
    yield b"ab"
    yield b"cd"


@pytest.mark.parametrize(
    ("make", "kind", "size", "content_type"),
    [
        (lambda: b"abcd", "BytesPayload", 4, "application/octet-stream"),
        (lambda: bytearray(b"abcd"), "BytesPayload", 4, "application/octet-stream"),
        (lambda: memoryview(b"abcd"), "BytesPayload", 4, "application/octet-stream"),
        (lambda: "abcd", "StringPayload", 4, "text/plain; charset=utf-8"),
        (lambda: io.BytesIO(b"abcd"), "BytesIOPayload", 4, "application/octet-stream"),
        (lambda: io.StringIO("abcd"), "StringIOPayload", 4, "text/plain; charset=utf-8"),
        (_pieces, "AsyncIterablePayload", None, "application/octet-stream"),
    ],
)
async def test_payloads(
    plain: Library, make: Any, kind: str, size: int | None, content_type: str
) -> None:
    payload = plain.payload.get_payload(make())
    assert type(payload).__name__ == kind
    assert payload.size == size
    assert payload.content_type == content_type
    assert payload.headers["Content-Type"] == content_type
    assert payload.filename is None
    assert payload.encoding in {None, "utf-8"}
    assert await written(payload) == b"abcd"
    await payload.close()


async def test_a_file(plain: Library, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"abcd")
    with path.open("rb") as file:
        payload = plain.payload.get_payload(file)
        assert type(payload).__name__ == "BufferedReaderPayload"
        assert (payload.size, payload.filename) == (4, "a.txt")
        assert payload.content_type == "text/plain"
        assert payload.headers["Content-Disposition"] == 'attachment; filename="a.txt"'
        assert await written(payload) == b"abcd"
        assert await written(payload) == b"abcd"
        await payload.close()
    with path.open() as text:
        payload = plain.payload.get_payload(text)
        assert type(payload).__name__ == "TextIOPayload"
        assert payload.size == 4
        assert await written(payload) == b"abcd"
        await payload.close()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "latin-1"])
async def test_a_text_file_in_the_encoding_of_its_payload(
    plain: Library, tmp_path: Path, encoding: str
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("é" * 100, encoding=encoding)
    with path.open(encoding=encoding) as text:
        payload = plain.payload.TextIOPayload(text, encoding=encoding)
        assert payload.size == path.stat().st_size
        for _ in range(2):
            assert await written(payload) == path.read_bytes()
        await payload.close()


async def test_a_file_from_where_it_stands(plain: Library) -> None:
    file = io.BytesIO(b"abcd")
    file.seek(2)
    payload = plain.payload.get_payload(file)
    assert payload.size == 2
    assert await written(payload) == b"cd"


@pytest.mark.parametrize("make", [lambda: b"abcd", lambda: io.BytesIO(b"abcd"), _pieces])
async def test_a_part_of_it(plain: Library, make: Any) -> None:
    collector = Collector()
    await plain.payload.get_payload(make()).write_with_length(collector, 3)
    assert collector.data == b"abc"


async def test_as_bytes_and_decode(plain: Library) -> None:
    assert plain.payload.StringPayload("é").decode() == "é"
    assert await plain.payload.StringPayload("é").as_bytes() == b"\xc3\xa9"
    assert plain.payload.BytesPayload(b"a").decode() == "a"
    assert await plain.payload.BytesIOPayload(io.BytesIO(b"a")).as_bytes() == b"a"
    assert plain.payload.BytesIOPayload(io.BytesIO(b"a")).decode() == "a"
    with pytest.raises(TypeError):
        plain.payload.AsyncIterablePayload(_pieces()).decode()


async def test_what_payloads_take(plain: Library) -> None:
    payload = plain.payload.BytesPayload(
        b"a", headers={"X": "1"}, content_type="a/b", filename="f", encoding="e"
    )
    assert (payload.content_type, payload.filename, payload.encoding) == ("a/b", "f", "e")
    assert payload.headers["X"] == "1"
    payload.set_content_disposition("form-data", name="é", filename="f")
    assert (
        payload.headers["Content-Disposition"] == "form-data; name*=utf-8''%C3%A9; filename=\"f\""
    )
    payload.set_content_disposition("form-data", quote_fields=False, name="é")
    assert payload.headers["Content-Disposition"] == 'form-data; name="é"'
    assert plain.payload.JsonPayload({"a": 1}).content_type == "application/json"
    assert await written(plain.payload.JsonPayload({"a": 1})) == b'{"a": 1}'
    assert await written(plain.payload.JsonPayload(1, dumps=lambda data: "<>")) == b"<>"
    payload = plain.payload.JsonBytesPayload(1, dumps=lambda data: b"<>")
    assert (payload.content_type, await written(payload)) == ("application/json", b"<>")
    payload = plain.payload.StringPayload("é", encoding="latin-1")
    assert payload.content_type == "text/plain; charset=latin-1"
    assert await written(payload) == b"\xe9"
    payload = plain.payload.StringPayload("é", content_type="a/b; charset=latin-1")
    assert await written(payload) == b"\xe9"


def test_arguments_of_the_wrong_type(plain: Library) -> None:
    for kind in ("BytesPayload", "AsyncIterablePayload"):
        with pytest.raises(TypeError):
            getattr(plain.payload, kind)(5)


def test_large_bytes_warn(plain: Library) -> None:
    with pytest.warns(ResourceWarning):
        plain.payload.BytesPayload(bytes(2**20 + 1))


async def test_sent_again(plain: Library) -> None:
    stream = plain.payload.AsyncIterablePayload(_pieces())
    assert stream.consumed is False
    await written(stream)
    assert (stream.consumed, stream.autoclose) == (True, True)
    text = plain.payload.StringPayload("a")
    assert await written(text) + await written(text) == b"aa"
    assert (text.consumed, text.autoclose) == (False, True)
    file = plain.payload.BytesIOPayload(io.BytesIO(b"a"))
    assert await written(file) + await written(file) == b"aa"
    assert (file.consumed, file.autoclose) == (False, True)


async def test_a_registry(plain: Library) -> None:
    registry = plain.payload.PayloadRegistry()

    class Mine:
        pass

    class MyPayload(plain.payload.Payload):  # type: ignore[misc, name-defined]
        def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
            return "mine"

        async def write(self, writer: Any) -> None:
            await writer.write(b"mine")

    with pytest.raises(plain.payload.LookupError):
        registry.get(Mine())
    registry.register(MyPayload, Mine)
    assert await written(registry.get(Mine())) == b"mine"

    class Other(MyPayload):
        pass

    registry.register(Other, Mine, order=plain.payload.Order.try_first)
    assert type(registry.get(Mine())) is Other
    registry.register(MyPayload, str, order=plain.payload.Order.try_last)
    assert type(registry.get("a")) is MyPayload
    same = MyPayload(1)
    assert registry.get(same) is same
    payload = registry.get(Mine(), content_type="a/b")
    assert payload.content_type == "a/b"


async def test_a_type_of_ones_own(plain: Library) -> None:
    class Mine:
        pass

    @plain.payload.payload_type(Mine)
    class MyPayload(plain.payload.Payload):  # type: ignore[misc, name-defined]
        def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
            return "mine"

        async def write(self, writer: Any) -> None:
            await writer.write(b"mine")

    assert await written(plain.payload.get_payload(Mine())) == b"mine"

    class Second:
        pass

    plain.payload.register_payload(MyPayload, Second)
    assert isinstance(plain.payload.PAYLOAD_REGISTRY.get(Second()), MyPayload)


async def test_a_streamer(plain: Library) -> None:
    with pytest.warns(DeprecationWarning, match="deprecated"):

        @plain.top.streamer
        async def send(writer: Any, text: bytes) -> None:
            await writer.write(text)

    assert await written(plain.payload.get_payload(send(b"ab"))) == b"ab"


async def test_a_stream_as_a_payload(plain: Library) -> None:
    payload = plain.payload.get_payload(stream_of(plain, b"ab", b"cd"))
    assert isinstance(payload, plain.payload.StreamReaderPayload)
    assert await written(payload) == b"abcd"


async def test_a_part_as_a_payload(plain: Library) -> None:
    found = await reader_of(plain, part(b"YWJj", Content_Transfer_Encoding="base64") + END).next()
    payload = plain.payload.get_payload(found)
    assert isinstance(payload, plain.multipart.BodyPartReaderPayload)
    assert await written(payload) == b"abc"
