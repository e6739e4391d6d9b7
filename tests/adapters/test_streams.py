"""Body streams: every way to read, flow control, and errors."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait.http_exceptions import LineTooLong
from plait.streams import EMPTY_PAYLOAD, StreamReader
from plait.transport.body import BodyReader

pytestmark = pytest.mark.anyio


class FlowRecorder:
    """Writes down what a stream asks of its protocol."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def pause_reading(self) -> None:
        self.calls.append("pause")

    def resume_reading(self) -> None:
        self.calls.append("resume")


class ExchangeRecorder:
    """Adds up the credit that comes back."""

    def __init__(self) -> None:
        self.credit = 0

    def acknowledge(self, credit: int) -> None:
        self.credit += credit


def make_reader(limit: int = 100) -> tuple[StreamReader, FlowRecorder]:
    recorder = FlowRecorder()
    return StreamReader(recorder, limit, loop=asyncio.get_running_loop()), recorder


def fed(*pieces: bytes, eof: bool = True) -> StreamReader:
    reader, _ = make_reader()
    for piece in pieces:
        reader.feed_data(piece)
    if eof:
        reader.feed_eof()
    return reader


# -- reading ---------------------------------------------------------------------------------------


async def test_read() -> None:
    reader = fed(b"abc", b"def", b"ghi")
    assert await reader.read(0) == b""
    assert await reader.read(2) == b"ab"
    assert await reader.read(3) == b"cde"
    assert not reader.at_eof()
    assert reader.is_eof()
    assert await reader.read() == b"fghi"
    assert reader.at_eof()
    assert await reader.read() == b""
    assert await reader.read(5) == b""
    assert reader.total_bytes == reader.total_raw_bytes == 9


async def test_readany_and_readexactly() -> None:
    reader = fed(b"abc", b"def")
    assert await reader.readexactly(4) == b"abcd"
    assert await reader.readexactly(0) == b""
    assert await reader.readany() == b"ef"
    assert await reader.readany() == b""
    reader = fed(b"abc")
    with pytest.raises(asyncio.IncompleteReadError) as caught:
        await reader.readexactly(5)
    assert (caught.value.partial, caught.value.expected) == (b"abc", 5)


async def test_lines() -> None:
    reader = fed(b"one\ntw", b"o\n\nth", b"ree")
    assert [line async for line in reader] == [b"one\n", b"two\n", b"\n", b"three"]
    assert await reader.readline() == b""


@pytest.mark.parametrize("pieces", [[b"aXYb"], [b"aX", b"Yb"], [b"a", b"X", b"Y", b"b"]])
async def test_a_separator_in_pieces(pieces: list[bytes]) -> None:
    reader = fed(*pieces)
    assert await reader.readuntil(b"XY") == b"aXY"
    assert await reader.readuntil(b"XY") == b"b"
    with pytest.raises(ValueError, match="separator"):
        await reader.readuntil(b"")


@pytest.mark.parametrize("end", [b"\n", b""])
async def test_lines_that_are_too_long(end: bytes) -> None:
    with pytest.raises(LineTooLong, match="more than 200 bytes"):
        await fed(b"x" * 150, b"x" * 60 + end).readline()
    with pytest.raises(LineTooLong, match="more than 3 bytes"):
        await fed(b"xxxx" + end).readline(max_line_length=3)
    assert await fed(b"xx\n").readline(max_line_length=3) == b"xx\n"


async def test_iterators() -> None:
    assert [piece async for piece in fed(b"abc", b"de").iter_chunked(2)] == [b"ab", b"cd", b"e"]
    assert [piece async for piece in fed(b"abc", b"de").iter_any()] == [b"abcde"]
    assert [item async for item in fed(b"abc", b"de").iter_chunks()] == [
        (b"abc", False),
        (b"de", False),
    ]


async def test_http_chunks() -> None:
    reader, _ = make_reader()
    with pytest.raises(RuntimeError):
        reader.end_http_chunk_receiving()
    for chunk in ([b"ab", b"c"], [], [b"de"]):
        reader.begin_http_chunk_receiving()
        for piece in chunk:
            reader.feed_data(piece)
        reader.end_http_chunk_receiving()
    reader.feed_data(b"tail")
    assert await reader.readchunk() == (b"abc", True)
    assert await reader.read(1) == b"d"
    assert await reader.readchunk() == (b"e", True)
    assert await reader.readchunk() == (b"tail", False)
    reader.feed_eof()
    assert await reader.readchunk() == (b"", False)
    with pytest.raises(RuntimeError, match="after data"):
        fed(b"x").begin_http_chunk_receiving()


async def test_the_end_of_a_chunk_that_was_read_before() -> None:
    reader, _ = make_reader()
    reader.begin_http_chunk_receiving()
    reader.feed_data(b"ab")
    assert await reader.readchunk() == (b"ab", False)
    waiting = asyncio.ensure_future(reader.readchunk())
    await asyncio.sleep(0)
    assert not waiting.done()
    reader.end_http_chunk_receiving()
    assert await waiting == (b"", True)
    for chunk in (b"cd", b"ef", b"gh"):
        reader.begin_http_chunk_receiving()
        reader.feed_data(chunk)
        reader.end_http_chunk_receiving()
    assert await reader.read(4) == b"cdef"
    assert await reader.readchunk() == (b"", True), "of the last one that was read"
    assert await reader.readchunk() == (b"gh", True)


async def test_ends_of_chunks_do_not_pile_up() -> None:
    reader, _ = make_reader()
    for _ in range(1000):
        reader.begin_http_chunk_receiving()
        reader.feed_data(b"x")
        reader.end_http_chunk_receiving()
        assert await reader.read(1) == b"x"
    assert reader._chunk_ends is not None
    assert len(reader._chunk_ends) == 1


async def test_read_nowait_and_unread() -> None:
    reader = fed(b"abc", b"de", eof=False)
    assert reader.read_nowait(2) == b"ab"
    with pytest.warns(DeprecationWarning, match=r"^unread_data\(\) is deprecated"):
        reader.unread_data(b"AB")
    assert reader.read_nowait() == b"ABcde"
    assert reader.read_nowait() == b""
    waiting = asyncio.ensure_future(reader.read(1))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="waiting"):
        reader.read_nowait()
    reader.feed_eof()
    assert await waiting == b""


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (lambda reader: reader.read(3), b"ab"),
        (lambda reader: reader.read(), b"abcd\n"),
        (lambda reader: reader.readany(), b"ab"),
        (lambda reader: reader.readexactly(5), b"abcd\n"),
        (lambda reader: reader.readline(), b"abcd\n"),
        (lambda reader: reader.readchunk(), (b"ab", False)),
    ],
)
async def test_reads_wait(method: Callable[[StreamReader], Any], expected: Any) -> None:
    reader, _ = make_reader()
    waiting = asyncio.ensure_future(method(reader))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="already waiting"):
        await reader.read(1)
    reader.feed_data(b"ab")
    await asyncio.sleep(0)
    reader.feed_data(b"cd\n")
    reader.feed_eof()
    assert await waiting == expected


async def test_a_read_that_is_cancelled_loses_nothing() -> None:
    reader, _ = make_reader()
    waiting = asyncio.ensure_future(reader.readany())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    reader.feed_data(b"abc")
    reader.feed_eof()
    assert await reader.read() == b"abc"


# -- the end and errors ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (lambda reader: reader.readline(), b"first half\n"),
        (lambda reader: reader.readuntil(b"\n"), b"first half\n"),
        (lambda reader: reader.readexactly(8), b"first ha"),
        (lambda reader: reader.read(), b"first half\nrest"),
    ],
)
async def test_a_read_that_is_cancelled_gives_back_what_it_had(
    method: Callable[[StreamReader], Any], expected: bytes
) -> None:
    reader = fed(b">fi", b"rs", eof=False)
    assert await reader.read(1) == b">"
    for piece in (b"t ", b"h", b""):
        task = asyncio.ensure_future(method(reader))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        reader.feed_data(piece)
    assert reader.total_bytes == len(b">first h")
    reader.feed_data(b"alf\nrest")
    reader.feed_eof()
    assert await method(reader) == expected
    assert expected + await reader.read() == b"first half\nrest"


async def test_a_callback_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise ValueError("no callback")

    reader = StreamReader(None, 4, loop=asyncio.get_running_loop())
    calls: list[int] = []
    reader.on_eof(fail)
    reader.on_eof(lambda: calls.append(1))
    reader.feed_eof()
    reader.on_eof(fail)
    assert calls == [1]
    assert caplog.text.count("ValueError: no callback") == 2


async def test_the_end() -> None:
    reader, _ = make_reader()
    calls = []
    reader.on_eof(lambda: calls.append(1))
    waiting = asyncio.ensure_future(reader.wait_eof())
    await asyncio.sleep(0)
    assert not waiting.done()
    reader.feed_eof()
    await waiting
    await reader.wait_eof()
    reader.on_eof(lambda: calls.append(2))
    assert calls == [1, 2]
    with pytest.raises(RuntimeError):
        reader.feed_data(b"x")
    assert repr(reader) == "<StreamReader eof low=100 high=200>"


@pytest.mark.parametrize("waiting", [True, False])
@pytest.mark.parametrize(
    "method", ["read", "readany", "readline", "readchunk", "readexactly", "wait_eof"]
)
async def test_errors(method: str, waiting: bool) -> None:
    reader, _ = make_reader()
    arguments = [1] if method == "readexactly" else []
    cause = KeyError("cause")
    task = asyncio.ensure_future(getattr(reader, method)(*arguments))
    if waiting:
        await asyncio.sleep(0)
    reader.set_exception(ValueError("broken"), cause)
    with pytest.raises(ValueError, match="broken") as caught:
        await task
    assert caught.value.__cause__ is cause
    assert reader.exception() is caught.value
    reader.feed_data(b"x")
    with pytest.raises(ValueError, match="broken"):
        reader.read_nowait()


async def test_the_stream_that_all_share_ends_every_time() -> None:
    for _ in range(2):
        assert [chunk async for chunk in EMPTY_PAYLOAD.iter_chunks()] == []
        assert await EMPTY_PAYLOAD.readchunk() == (b"", False)


async def test_the_empty_payload() -> None:
    reader = EMPTY_PAYLOAD
    reader.feed_data(b"x")
    reader.feed_eof()
    reader.set_exception(ValueError())
    reader.set_read_chunk_size(5)
    assert reader.at_eof()
    assert await reader.read() == await reader.readany() == await reader.readline() == b""
    assert await reader.readchunk() == (b"", False)
    with pytest.raises(asyncio.IncompleteReadError):
        await reader.readexactly(1)
    await reader.wait_eof()
    called = []
    reader.on_eof(lambda: called.append(1))
    assert called == [1]


# -- flow control --------------------------------------------------------------------------------------


async def test_a_stream_fed_by_hand_pauses_its_protocol() -> None:
    reader, flow = make_reader(limit=10)
    assert reader.get_read_buffer_limits() == (10, 20)
    reader.feed_data(b"x" * 20)
    assert flow.calls == []
    reader.feed_data(b"x")
    reader.feed_data(b"x")
    assert flow.calls == ["pause"]
    await reader.read(12)
    assert flow.calls == ["pause"]
    await reader.read(1)
    assert flow.calls == ["pause", "resume"]
    reader.set_read_chunk_size(50)
    reader.set_read_chunk_size(5)
    assert reader.get_read_buffer_limits() == (50, 100)


async def test_credit_comes_back_when_a_piece_is_taken() -> None:
    exchange = ExchangeRecorder()
    wanted = []
    reader = BodyReader(
        exchange,  # type: ignore[arg-type]  # what it uses of an exchange
        loop=asyncio.get_running_loop(),
        want=lambda: wanted.append(1),
    )
    reader.feed_data(b"abc", 10)
    reader.feed_data(b"def", 3)
    reader.feed_data(b"", 5)  # padding alone
    assert exchange.credit == 5
    await reader.read(2)
    assert exchange.credit == 5
    await reader.read(2)
    assert exchange.credit == 15
    assert not wanted
    await reader.read(2)
    waiting = asyncio.ensure_future(reader.read(1))
    await asyncio.sleep(0)
    assert wanted == [1]
    reader.feed_data(b"ghi", 3)
    assert await waiting == b"g"
    reader.detach()
    assert exchange.credit == 21
    reader.feed_data(b"late", 4)
    assert reader.read_nowait() == b"late"
    assert exchange.credit == 21


@given(
    st.lists(st.binary(max_size=20), max_size=10),
    st.lists(
        st.one_of(
            st.tuples(st.just("read"), st.integers(1, 15)),
            st.tuples(st.just("readany")),
            st.tuples(st.just("readline")),
            st.tuples(st.just("readuntil"), st.sampled_from([b"\x00", b"\x00\x01", b"\x00\x00"])),
            st.tuples(st.just("readchunk")),
            st.tuples(st.just("read_nowait"), st.integers(-1, 9)),
        ),
        max_size=10,
    ),
)
def test_no_byte_and_no_credit_is_lost(pieces: list[bytes], reads: list[tuple[Any, ...]]) -> None:
    """Whatever is read, in whatever order: the bytes in order, the credit in full."""

    async def run() -> None:
        exchange = ExchangeRecorder()
        reader = BodyReader(exchange, loop=asyncio.get_running_loop())  # type: ignore[arg-type]  # likewise
        for piece in pieces:
            reader.feed_data(piece, len(piece) + 1)
        reader.feed_eof()
        whole = b"".join(pieces)
        taken = b""
        for name, *arguments in reads:
            result = getattr(reader, name)(*arguments)
            if name != "read_nowait":
                result = await result
            if name == "readchunk":
                result = result[0]
            taken += result
            assert whole.startswith(taken)
            if name in ("readline", "readuntil"):
                separator = arguments[0] if arguments else b"\n"
                assert separator not in result[:-1] or result.find(separator) == len(result) - len(
                    separator
                )
                assert result.endswith(separator) or reader.at_eof()
        taken += await reader.read()
        assert taken == whole
        assert exchange.credit == sum(len(piece) + 1 for piece in pieces)

    asyncio.run(run())
