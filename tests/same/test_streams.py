"""Streams that are fed by hand, and content codings, on aiohttp and on plait."""

from __future__ import annotations

import asyncio
import zlib
from typing import Any
from unittest import mock

import pytest

from tests.same.conftest import Library
from tests.same.tools import stream_of

pytestmark = pytest.mark.anyio


# -- streams -----------------------------------------------------------------------------------


async def test_ways_to_read(plain: Library) -> None:
    stream = stream_of(plain, b"ab", b"cd\nef", b"gh")
    assert stream.total_bytes == 9
    assert stream.is_eof() is True
    assert stream.at_eof() is False
    assert await stream.read(1) == b"a"
    assert await stream.readchunk() == (b"b", False)
    assert await stream.read() == b"cd\nefgh"
    assert stream.at_eof() is True
    assert await stream.read() == b""
    assert await stream.readany() == b""
    assert await stream.readline() == b""
    assert await stream.readchunk() == (b"", False)


async def test_what_a_library_takes_that_was_not_read(plain: Library) -> None:
    stream = stream_of(plain, b"abc", b"def")
    assert await stream.read(1) == b"a"
    assert b"".join(stream._buffer)[stream._buffer_offset :] == b"bcdef"


async def test_exactly(plain: Library) -> None:
    stream = stream_of(plain, b"abc", b"def")
    assert await stream.readexactly(4) == b"abcd"
    assert await stream.readexactly(0) == b""
    with pytest.raises(asyncio.IncompleteReadError) as caught:
        await stream.readexactly(4)
    assert (caught.value.partial, caught.value.expected) == (b"ef", 4)


async def test_lines_and_separators(plain: Library) -> None:
    stream = stream_of(plain, b"one\ntw", b"o\nthr|ee|four")
    assert await stream.readline() == b"one\n"
    assert await stream.readline() == b"two\n"
    assert await stream.readuntil(b"|") == b"thr|"
    assert await stream.readuntil(b"|") == b"ee|"
    assert await stream.readuntil(b"|") == b"four"
    with pytest.raises(ValueError, match=r"."):
        await stream.readuntil(b"")


@pytest.mark.parametrize("how", ["readline", "readuntil"])
async def test_lines_that_are_too_long(plain: Library, how: str) -> None:
    limit = {"readline": "max_line_length", "readuntil": "max_size"}[how]
    stream = stream_of(plain, b"a" * 100 + b"\n")
    with pytest.raises(plain.http_exceptions.LineTooLong):
        await getattr(stream, how)(**{limit: 10})
    stream = stream_of(plain, b"a" * 100 + b"\n", limit=10)
    with pytest.raises(plain.http_exceptions.LineTooLong):
        await getattr(stream, how)()


async def test_iterators(plain: Library) -> None:
    def make() -> Any:
        return stream_of(plain, b"ab\n", b"cd\nef")

    assert [line async for line in make()] == [b"ab\n", b"cd\n", b"ef"]
    assert [piece async for piece in make().iter_chunked(4)] == [b"ab\nc", b"d\nef"]
    assert b"".join([piece async for piece in make().iter_any()]) == b"ab\ncd\nef"
    found = [piece async for piece in make().iter_chunks()]
    assert b"".join(piece for piece, _ in found) == b"ab\ncd\nef"
    assert {type(end) for _, end in found} == {bool}


async def test_without_waiting(plain: Library) -> None:
    stream = stream_of(plain, b"abc", eof=False)
    assert stream.read_nowait(1) == b"a"
    assert stream.read_nowait() == b"bc"
    assert stream.read_nowait() == b""
    reading = asyncio.ensure_future(stream.read(1))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError):
        stream.read_nowait()
    stream.feed_data(b"d")
    assert await reading == b"d"


async def test_reads_wait(plain: Library) -> None:
    stream = stream_of(plain, eof=False)
    reading = asyncio.ensure_future(stream.readany())
    await asyncio.sleep(0)
    assert not reading.done()
    with pytest.raises(RuntimeError):
        await stream.readany()
    stream.feed_data(b"a")
    assert await reading == b"a"
    ending = asyncio.ensure_future(stream.wait_eof())
    await asyncio.sleep(0)
    assert not ending.done()
    stream.feed_eof()
    await ending


async def test_the_end(plain: Library) -> None:
    stream = stream_of(plain, eof=False)
    called = mock.Mock()
    stream.on_eof(called)
    assert not called.called
    stream.feed_eof()
    called.assert_called_once_with()
    late = mock.Mock()
    stream.on_eof(late)
    late.assert_called_once_with()


async def test_errors(plain: Library) -> None:
    stream = stream_of(plain, eof=False)
    reading = asyncio.ensure_future(stream.read())
    await asyncio.sleep(0)
    error = ValueError("mine")
    stream.set_exception(error)
    assert stream.exception() is error
    with pytest.raises(ValueError, match="mine"):
        await reading
    for how in ("read", "readany", "readline", "readchunk"):
        with pytest.raises(ValueError, match="mine"):
            await getattr(stream, how)()


async def test_data_given_back(plain: Library) -> None:
    stream = stream_of(plain, b"ab")
    assert await stream.read(1) == b"a"
    with pytest.warns(DeprecationWarning, match="deprecated"):
        stream.unread_data(b"x")
    assert await stream.read() == b"xb"


async def test_chunks(plain: Library) -> None:
    stream = stream_of(plain, eof=False)
    stream.begin_http_chunk_receiving()
    stream.feed_data(b"ab")
    stream.end_http_chunk_receiving()
    stream.begin_http_chunk_receiving()
    stream.feed_data(b"cd")
    stream.end_http_chunk_receiving()
    stream.feed_eof()
    assert await stream.readchunk() == (b"ab", True)
    assert await stream.readchunk() == (b"cd", True)


async def test_limits(plain: Library) -> None:
    stream = stream_of(plain, limit=10)
    assert stream.get_read_buffer_limits() == (10, 20)
    assert "StreamReader" in repr(stream)


async def test_the_empty_stream(plain: Library) -> None:
    stream = plain.streams.EMPTY_PAYLOAD
    assert stream.at_eof() is True
    assert stream.is_eof() is True
    assert await stream.read() == b""
    assert await stream.readline() == b""
    assert await stream.readany() == b""
    assert (await stream.readchunk())[0] == b""
    assert stream.read_nowait() == b""
    with pytest.raises(asyncio.IncompleteReadError):
        await stream.readexactly(1)
    called = mock.Mock()
    stream.on_eof(called)
    called.assert_called_once_with()
    stream.feed_eof()
    await stream.wait_eof()
    assert [line async for line in stream] == []


# -- codings -----------------------------------------------------------------------------------


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_compressors(plain: Library, coding: str) -> None:
    made = plain.compression_utils.ZLibCompressor(encoding=coding)
    data = await made.compress(b"a" * 999) + made.flush()
    undone = plain.compression_utils.ZLibDecompressor(encoding=coding)
    assert await undone.decompress(data) == b"a" * 999


async def test_a_decompressor_with_a_limit(plain: Library) -> None:
    undone = plain.compression_utils.ZLibDecompressor(encoding="deflate")
    first = await undone.decompress(zlib.compress(b"a" * 999), 10)
    assert len(first) <= 10
    assert undone.eof is False
