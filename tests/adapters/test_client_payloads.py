"""Payloads as values: what they are as bytes, and how much of them is read."""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

import plait
from plait import web
from plait.abc import AbstractStreamWriter
from plait.helpers import DEFAULT_CHUNK_SIZE

pytestmark = pytest.mark.anyio


class Collector(AbstractStreamWriter):
    """Keeps what is written."""

    def __init__(self) -> None:
        self.written = bytearray()

    async def write(self, chunk: bytes | bytearray | memoryview) -> None:
        self.written += chunk

    async def write_eof(self, chunk: bytes = b"") -> None:
        self.written += chunk

    async def drain(self) -> None:
        pass

    def enable_compression(self, encoding: str = "deflate", strategy: int | None = None) -> None:
        pass

    def enable_chunking(self) -> None:
        pass

    async def write_headers(self, status_line: str, headers: Any) -> None:
        pass


class Text(plait.Payload):
    """A payload of a program's own."""

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return str(self._value)

    async def write(self, writer: AbstractStreamWriter) -> None:
        await writer.write(await self.as_bytes())


@pytest.mark.parametrize("newline", [None, "", "\r\n"])
async def test_a_text_file_is_sent_as_it_is(tmp_path: Path, newline: str | None) -> None:
    """With its ends of lines: what they become is not known before they are read."""
    path = tmp_path / "a.txt"
    path.write_bytes(b"one\r\ntwo\n" + "é".encode())
    with path.open(encoding="utf-8", newline=newline) as file:
        payload = plait.payload.TextIOPayload(file)
        assert payload.size == 11
        assert await payload.as_bytes() == path.read_bytes()
        assert payload.decode().splitlines() == ["one", "two", "é"]


async def test_a_text_file_from_where_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("first\nsecond\n", encoding="utf-8")
    with path.open(encoding="utf-8") as file:
        assert file.readline() == "first\n"
        payload = plait.payload.TextIOPayload(file)
        assert payload.size == 7
        for _ in range(2):
            assert await payload.as_bytes() == b"second\n"


async def test_a_text_file_with_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("é", encoding="latin-1")
    with path.open(encoding="latin-1") as file:
        payload = plait.payload.TextIOPayload(file)
        assert payload.size is None
        assert await payload.as_bytes() == "é".encode()


@pytest.mark.parametrize("mode", ["rb", "rt"])
async def test_what_decodes_a_file_has_not_the_size_of_it(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"a" * 1000))
    with gzip.open(path, mode) as file:
        payload = plait.get_payload(file)
        assert payload.size is None
        assert await payload.as_bytes() == b"a" * 1000


async def test_a_pipe_has_no_size() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"abc")
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        payload = plait.get_payload(file)
        assert payload.size is None
        assert await payload.as_bytes() == b"abc"


async def test_text_in_its_own_encoding() -> None:
    assert await Text("café").as_bytes() == "café".encode()
    assert await Text("café").as_bytes("latin-1") == b"caf\xe9"
    assert await Text("café", encoding="latin-1").as_bytes() == b"caf\xe9"


class Endless(io.RawIOBase):
    """A file without an end, which counts what is read."""

    def __init__(self) -> None:
        super().__init__()
        self.taken = 0

    def read(self, size: int = -1) -> bytes:
        assert size >= 0
        self.taken += size
        return bytes(size)


@pytest.mark.parametrize("size", [0, 1, DEFAULT_CHUNK_SIZE, DEFAULT_CHUNK_SIZE + 1])
async def test_no_more_of_a_file_is_read_than_is_to_be_written(size: int) -> None:
    file, collector = Endless(), Collector()
    await plait.get_payload(file).write_with_length(collector, size)
    assert file.taken == len(collector.written) == size


@pytest.mark.parametrize("size", [None, 0, 3, 100])
async def test_a_part_of_anything(tmp_path: Path, size: int | None) -> None:
    content = "äöü" * 3
    path = tmp_path / "file"
    path.write_text(content, encoding="utf-8")

    async def pieces() -> Any:
        yield content[:2].encode()
        yield content[2:].encode()

    with path.open("rb") as binary, path.open(encoding="utf-8") as text:
        for value in (
            content,
            content.encode(),
            io.BytesIO(content.encode()),
            io.StringIO(content),
            binary,
            text,
            pieces(),
        ):
            collector = Collector()
            await plait.get_payload(value).write_with_length(collector, size)
            assert collector.written == content.encode()[:size]


@pytest.mark.parametrize("piece", ["text", 5, [1, 2]])
async def test_pieces_that_are_no_bytes_are_not_sent(piece: Any) -> None:
    """``bytes(5)`` would be five NULs."""

    async def wrong() -> AsyncIterator[Any]:
        yield b"first"
        yield piece

    writer = Collector()
    message = f"must be bytes, not {type(piece).__name__}"
    with pytest.raises(TypeError, match=message):
        await plait.AsyncIterablePayload(wrong()).write(writer)
    assert writer.written == b"first"

    async def answer(request: web.Request) -> web.Response:
        pytest.fail(f"that was a whole request: {await request.read()!r}")

    app = web.Application()
    app.router.add_post("/", answer)
    async with plait.ClientSession(app=app) as session:
        with pytest.raises(plait.ClientConnectionError, match=message):
            await session.post("/", data=wrong())


async def pieces() -> AsyncIterator[bytes]:
    yield b"Hello "
    yield b"World"


async def test_pieces_that_were_read_can_be_sent() -> None:
    """Digest authentication reads a body before it is sent."""
    payload = plait.AsyncIterablePayload(pieces())
    with pytest.raises(TypeError, match="not there yet"):
        payload.decode()
    for _ in range(2):
        assert await payload.as_bytes() == b"Hello World"
        assert payload.decode() == "Hello World"
        assert payload.replayable
        writer = Collector()
        await payload.write_with_length(writer, 7)
        assert writer.written == b"Hello W"


async def test_pieces_that_were_sent_are_gone() -> None:
    payload = plait.AsyncIterablePayload(pieces())
    writer = Collector()
    await payload.write(writer)
    assert writer.written == b"Hello World"
    assert not payload.replayable
    assert await payload.as_bytes() == b""
    await payload.write(writer)
    assert writer.written == b"Hello World"
    with pytest.raises(TypeError):
        payload.decode()


# -- a request whose content is replaced ---------------------------------------------------


def replace_by_attribute(request: plait.ClientRequest, content: Any) -> None:
    request.body = content


def replace_by_method(request: plait.ClientRequest, content: Any) -> None:
    request.update_body_from_data(content)


@pytest.mark.parametrize("replace", [replace_by_attribute, replace_by_method])
async def test_content_that_nobody_closed_is_warned_of(replace: Any, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    request = plait.ClientRequest("POST", URL("http://a.test/"), data=b"first")
    replace(request, b"second")
    assert await request.body.as_bytes() == b"second"  # type: ignore[union-attr]  # it is a payload
    with path.open("rb") as file:
        replace(request, file)
        before = request.body
        with pytest.warns(ResourceWarning, match="unclosed resources") as caught:
            replace(request, b"third one")
        assert caught[0].filename == __file__
        await before.close()  # type: ignore[union-attr]  # it is a payload
    with path.open("rb") as file:
        replace(request, file)
        await request.close_body()
        replace(request, b"closed before")
    assert isinstance(request.body, plait.Payload)
    if replace is replace_by_attribute:
        assert request.headers["Content-Length"] == "13"
    await request.close_body()
