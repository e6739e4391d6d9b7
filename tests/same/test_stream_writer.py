"""``http.StreamWriter``, which writes a message by hand, on aiohttp and on plait."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from typing import Any

import pytest
from multidict import CIMultiDict

from tests.same.conftest import Library

pytestmark = pytest.mark.anyio


class Transport:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.closing = False

    def is_closing(self) -> bool:
        return self.closing

    def write(self, data: bytes) -> None:
        self.pieces.append(bytes(data))

    def writelines(self, pieces: list[bytes]) -> None:
        self.write(b"".join(pieces))


class Protocol:
    """A connection of the program's own, whose transport is always full."""

    _paused = True

    def __init__(self) -> None:
        self.transport: Transport | None = Transport()
        self.drained = 0

    async def _drain_helper(self) -> None:
        self.drained += 1


class Written:
    """A writer, and what it wrote."""

    def __init__(self, library: Library, **callbacks: Any) -> None:
        self.protocol = Protocol()
        assert self.protocol.transport is not None
        self.transport = self.protocol.transport
        loop = asyncio.get_running_loop()
        self.writer = library.http.StreamWriter(self.protocol, loop, **callbacks)

    @property
    def bytes(self) -> bytes:
        return b"".join(self.transport.pieces)


HEAD = "POST /a HTTP/1.1"
CHUNKED = CIMultiDict({"Host": "a", "Transfer-Encoding": "chunked"})
CHUNKED_BYTES = b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


async def test_it_is_a_writer_of_its_protocol(plain: Library) -> None:
    written = Written(plain)
    writer = written.writer
    assert isinstance(writer, plain.abc.AbstractStreamWriter)
    assert plain.http.StreamWriter is plain.http_writer.StreamWriter
    assert writer.protocol is written.protocol
    assert writer.transport is written.transport
    assert writer.loop is asyncio.get_running_loop()
    assert (writer.length, writer.buffer_size, writer.output_size) == (None, 0, 0)


async def test_the_head_waits_for_the_first_piece(plain: Library) -> None:
    written = Written(plain)
    headers = CIMultiDict({"Host": "a", "Content-Length": "5"})
    await written.writer.write_headers(HEAD, headers)
    assert written.bytes == b""
    await written.writer.write(b"hel")
    head = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
    assert written.bytes == head + b"hel"
    await written.writer.write_eof(b"lo")
    assert written.bytes == head + b"hello"
    assert written.writer.output_size == len(written.bytes)


async def test_the_head_is_sent_when_asked_for_and_once(plain: Library) -> None:
    written = Written(plain)
    written.writer.send_headers()
    assert written.bytes == b""
    await written.writer.write_headers(HEAD, CHUNKED)
    written.writer.send_headers()
    written.writer.send_headers()
    assert written.bytes == CHUNKED_BYTES


async def test_chunks(plain: Library) -> None:
    written = Written(plain)
    written.writer.enable_chunking()
    await written.writer.write_headers(HEAD, CHUNKED)
    await written.writer.write(b"a" * 16)
    await written.writer.write(b"")  # An empty chunk would end the message.
    await written.writer.write_eof(b"b")
    await written.writer.write_eof(b"c")
    assert written.bytes == CHUNKED_BYTES + b"10\r\n" + b"a" * 16 + b"\r\n1\r\nb\r\n0\r\n\r\n"


@pytest.mark.parametrize("chunked", [False, True])
async def test_an_end_without_content(plain: Library, chunked: bool) -> None:
    written = Written(plain)
    if chunked:
        written.writer.enable_chunking()
    await written.writer.write_headers(HEAD, CHUNKED)
    written.writer.set_eof()
    written.writer.set_eof()
    await written.writer.write_eof(b"late")
    assert written.bytes == CHUNKED_BYTES + (b"0\r\n\r\n" if chunked else b"")


async def test_what_is_beyond_the_length_is_dropped(plain: Library) -> None:
    written = Written(plain)
    written.writer.length = 4
    await written.writer.write(memoryview(b"abcdef").cast("c", [3, 2]))
    await written.writer.write(b"more")
    await written.writer.write_eof()
    assert written.bytes == b"abcd"
    assert written.writer.length == 0


@pytest.mark.parametrize(
    ("coding", "decode"), [("gzip", gzip.decompress), ("deflate", zlib.decompress)]
)
@pytest.mark.parametrize("by_write", [False, True])
async def test_compression(plain: Library, coding: str, decode: Any, by_write: bool) -> None:
    written = Written(plain)
    written.writer.enable_compression(coding)
    if by_write:
        await written.writer.write(b"a" * 100_000)
        await written.writer.write_eof()
    else:
        await written.writer.write_eof(b"a" * 100_000)
    assert decode(written.bytes) == b"a" * 100_000
    assert len(written.bytes) < 10_000


async def test_it_waits_when_much_was_written(plain: Library) -> None:
    written = Written(plain)
    await written.writer.write(b"a" * 70_000, drain=False)
    assert (written.protocol.drained, written.writer.buffer_size) == (0, 70_000)
    await written.writer.write(b"a")
    assert (written.protocol.drained, written.writer.buffer_size) == (1, 0)
    await written.writer.write(b"a")
    assert (written.protocol.drained, written.writer.buffer_size) == (1, 1)
    await written.writer.drain()
    assert written.protocol.drained == 2


async def test_callbacks_come_first(plain: Library) -> None:
    told: list[Any] = []

    async def on_chunk(chunk: bytes) -> None:
        told.append((chunk, written.bytes))

    async def on_headers(headers: Any) -> None:
        told.append((headers, written.bytes))

    written = Written(plain, on_chunk_sent=on_chunk, on_headers_sent=on_headers)
    written.writer.on_body_write = lambda size, total: told.append((size, total))
    await written.writer.write_headers(HEAD, CHUNKED)
    written.writer.send_headers()
    await written.writer.write(b"abc")
    await written.writer.write_eof(b"de")
    size = len(CHUNKED_BYTES)
    assert told == [
        (CHUNKED, b""),
        (b"abc", CHUNKED_BYTES),
        (3, size + 3),
        (b"de", CHUNKED_BYTES + b"abc"),
        (2, size + 5),
    ]


@pytest.mark.parametrize("gone", [False, True])
async def test_a_connection_that_ended(plain: Library, gone: bool) -> None:
    written = Written(plain)
    await written.writer.write(b"before")
    if gone:
        written.protocol.transport = None
    else:
        written.transport.closing = True
    with pytest.raises(plain.top.ClientConnectionResetError, match="Cannot write to closing"):
        await written.writer.write(b"after")
    with pytest.raises(plain.top.ClientConnectionResetError, match="Cannot write to closing"):
        await written.writer.write_eof(b"after")
    assert written.bytes == b"before"


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("HTTP/1.1 200 OK\r\nA: b", "A", "b"),
        ("HTTP/1.1 200 OK", "A\r\nB", "b"),
        ("HTTP/1.1 200 OK", "A", "b\r\nC: d"),
        ("HTTP/1.1 200 OK", "A", "b\0"),
    ],
)
async def test_no_message_is_split(plain: Library, line: str, name: str, value: str) -> None:
    written = Written(plain)
    with pytest.raises(ValueError, match=r"Forbidden .*in headers"):
        await written.writer.write_headers(line, CIMultiDict({name: value}))
    await written.writer.write_eof()
    assert written.bytes == b""
