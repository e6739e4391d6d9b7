"""Body streams: where the driver puts bytes and the application takes them.

Strategy
--------
``StreamReader`` is a queue of pieces.  Each piece carries the flow-control *credit* that
came with it, and when the last byte of the piece is taken the credit goes back through
one hook, ``_took``.  So backpressure follows the application and nothing else.

A plain ``StreamReader`` is fed by hand, as aiohttp's can be: it pauses its protocol above twice
``limit`` and resumes it below ``limit``.  The bodies of messages are read from a subclass,
``transport.body.BodyReader``.

Rules
-----
* One coroutine reads at a time; a second one gets RuntimeError.
* After ``set_exception`` every read raises it, also when bytes are left.
* A read that is cancelled takes nothing: what it had put together is there for the next one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Final, Generic, TypeVar
from warnings import warn

from .helpers import DEFAULT_CHUNK_SIZE
from .http_exceptions import LineTooLong
from .log import internal_logger
from .websocket.queues import DataQueue, EofStream, FlowControl, FlowControlDataQueue

__all__ = (
    "EMPTY_PAYLOAD",
    "AsyncStreamIterator",
    "ChunkTupleAsyncStreamIterator",
    "DataQueue",
    "EmptyStreamReader",
    "EofStream",
    "FlowControlDataQueue",
    "StreamReader",
)

_T = TypeVar("_T", bound=bytes)


class AsyncStreamIterator(Generic[_T]):
    """Iterates over what ``read_func`` returns until that is empty."""

    __slots__ = ("read_func",)

    def __init__(self, read_func: Callable[[], Awaitable[_T]]) -> None:
        self.read_func = read_func

    def __aiter__(self) -> AsyncIterator[_T]:
        return self

    async def __anext__(self) -> _T:
        data = await self.read_func()
        if not data:
            raise StopAsyncIteration
        return data


class ChunkTupleAsyncStreamIterator:
    """Iterates over ``StreamReader.readchunk``."""

    __slots__ = ("_stream",)

    def __init__(self, stream: StreamReader) -> None:
        self._stream = stream

    def __aiter__(self) -> AsyncIterator[tuple[bytes, bool]]:
        return self

    async def __anext__(self) -> tuple[bytes, bool]:
        item = await self._stream.readchunk()
        if item == (b"", False):
            raise StopAsyncIteration
        return item


class StreamReader:
    """A stream of bytes that somebody feeds and one coroutine reads.

    Args:
        protocol: is paused and resumed, see ``FlowControl``.
        limit: the low-water mark in bytes; the high-water mark is twice that.
        timer: a context manager around each wait.
        loop: the event loop; the running one by default.

    ``total_bytes`` counts the bytes that were fed, ``total_compressed_bytes`` (or
    ``None``) what they were before decompression.
    """

    __slots__ = (
        "_chunk_ends",
        "_chunk_start",
        "_credits",
        "_eof",
        "_eof_callbacks",
        "_eof_waiter",
        "_exception",
        "_high_water",
        "_loop",
        "_low_water",
        "_offset",
        "_paused",
        "_pieces",
        "_protocol",
        "_size",
        "_timer",
        "_waiter",
        "total_bytes",
        "total_compressed_bytes",
    )

    def __init__(
        self,
        protocol: FlowControl | None,
        limit: int,
        *,
        timer: AbstractContextManager[object] | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._protocol = protocol
        self._low_water = limit
        self._high_water = limit * 2
        self._loop = loop or asyncio.get_running_loop()
        self._timer = timer
        self._pieces: deque[bytes] = deque()
        self._credits: deque[int] = deque()
        """One credit for each piece."""
        self._offset = 0
        """Bytes of the first piece that are taken."""
        self._size = 0
        """Bytes that can be read now."""
        self._eof = False
        self._exception: BaseException | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._eof_waiter: asyncio.Future[None] | None = None
        self._eof_callbacks: list[Callable[[], None]] = []
        self._chunk_ends: deque[int] | None = None
        """Where HTTP chunks end, as values of ``total_bytes``; ``None``: nobody tells."""
        self._chunk_start = 0
        self._paused = False
        self.total_bytes = 0
        self.total_compressed_bytes: int | None = None

    @property
    def _buffer(self) -> deque[bytes]:
        """What came and was not read: litellm takes it when the rest never comes."""
        return self._pieces

    @property
    def _buffer_offset(self) -> int:
        """How much of the first piece was read."""
        return self._offset

    def __repr__(self) -> str:
        info = [type(self).__name__]
        if self._size:
            info.append(f"{self._size} bytes")
        if self._eof:
            info.append("eof")
        if self._low_water != DEFAULT_CHUNK_SIZE:
            info.append(f"low={self._low_water} high={self._high_water}")
        if self._waiter is not None:
            info.append(f"w={self._waiter!r}")
        if self._exception is not None:
            info.append(f"e={self._exception!r}")
        return f"<{' '.join(info)}>"

    # -- hooks --------------------------------------------------------------------

    def _took(self, credit: int) -> None:
        """Pieces with ``credit`` in all were taken."""
        if self._paused and self._size < self._low_water and self._protocol is not None:
            self._paused = False
            self._protocol.resume_reading()

    def _will_wait(self) -> None:
        """The application waits for bytes that are not there."""

    # -- the feeding side -----------------------------------------------------------

    def feed_data(self, data: bytes, size: int = 0) -> None:
        """Add bytes.

        ``size`` is the flow-control credit that is given back when they are taken: on
        the wire they may have been more (padding) or fewer (compression).
        """
        if self._eof:
            raise RuntimeError("feed_data() after feed_eof()")
        if not data:
            self._took(size)
            return
        self._pieces.append(data)
        self._credits.append(size)
        self._size += len(data)
        self.total_bytes += len(data)
        self._wake()
        if self._size > self._high_water and not self._paused and self._protocol is not None:
            self._paused = True
            self._protocol.pause_reading()

    def feed_eof(self) -> None:
        """The stream is complete."""
        self._eof = True
        self._wake()
        _release(self._eof_waiter)
        callbacks, self._eof_callbacks = self._eof_callbacks, []
        for callback in callbacks:
            _call(callback)

    def set_exception(self, exc: BaseException, exc_cause: BaseException | None = None) -> None:
        """The stream is broken: this and every later read raises ``exc``."""
        if exc_cause is not None:
            exc.__cause__ = exc_cause
        self._exception = exc
        self._eof_callbacks.clear()
        self._wake()
        _release(self._eof_waiter)

    def begin_http_chunk_receiving(self) -> None:
        """An HTTP chunk begins; call it before the first byte of the stream.

        Raises RuntimeError when bytes were fed before the first call.
        """
        if self._chunk_ends is None:
            if self.total_bytes:
                raise RuntimeError("begin_http_chunk_receiving() after data was fed")
            self._chunk_ends = deque()
        self._chunk_start = self.total_bytes

    def end_http_chunk_receiving(self) -> None:
        """The HTTP chunk is complete.  An empty one leaves no mark."""
        if self._chunk_ends is None:
            raise RuntimeError("end_http_chunk_receiving() without a beginning")
        if self.total_bytes > self._chunk_start:
            self._chunk_ends.append(self.total_bytes)
            self._wake()

    def set_read_chunk_size(self, n: int) -> None:
        """Raise the low-water mark to ``n`` bytes, for a reader that takes so many."""
        if n > self._low_water:
            self._low_water = n
            self._high_water = n * 2

    def unread_data(self, data: bytes) -> None:
        """Put bytes back in front.  Deprecated."""
        warn(
            "unread_data() is deprecated and will be removed in future releases (#3260)",
            DeprecationWarning,
            stacklevel=2,
        )
        self._put_back(data)

    def _put_back(self, data: bytes) -> None:
        if not data:
            return
        if self._offset:
            self._pieces[0] = self._pieces[0][self._offset :]
            self._offset = 0
        self._pieces.appendleft(data)
        self._credits.appendleft(0)
        self._size += len(data)
        self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        _release(waiter)

    # -- state ------------------------------------------------------------------------

    @property
    def total_raw_bytes(self) -> int:
        """Bytes before decompression."""
        compressed = self.total_compressed_bytes
        return self.total_bytes if compressed is None else compressed

    def get_read_buffer_limits(self) -> tuple[int, int]:
        """Return the low-water and the high-water mark."""
        return self._low_water, self._high_water

    def exception(self) -> BaseException | None:
        """Return what broke the stream."""
        return self._exception

    def is_eof(self) -> bool:
        """Tell whether the end was fed; there may still be bytes to read."""
        return self._eof

    def at_eof(self) -> bool:
        """Tell whether the end was fed and everything was read."""
        return self._eof and not self._size

    def on_eof(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` when the end is fed, or now if it was.  What it raises is logged."""
        if self._eof:
            _call(callback)
        else:
            self._eof_callbacks.append(callback)

    # -- the reading side ---------------------------------------------------------------

    def __aiter__(self) -> AsyncStreamIterator[bytes]:
        return AsyncStreamIterator(self.readline)

    def iter_chunked(self, n: int) -> AsyncStreamIterator[bytes]:
        """Iterate over pieces of at most ``n`` bytes."""
        self.set_read_chunk_size(n)
        return AsyncStreamIterator(lambda: self.read(n))

    def iter_any(self) -> AsyncStreamIterator[bytes]:
        """Iterate over whatever has come."""
        return AsyncStreamIterator(self.readany)

    def iter_chunks(self) -> ChunkTupleAsyncStreamIterator:
        """Iterate over pairs of bytes and whether an HTTP chunk ends behind them."""
        return ChunkTupleAsyncStreamIterator(self)

    async def read(self, n: int = -1) -> bytes:
        """Return up to ``n`` bytes as soon as there are any; all of them if ``n < 0``."""
        self._check()
        if n < 0:
            pieces = []
            try:
                while piece := await self.readany():
                    pieces.append(piece)
            except BaseException:
                self._put_back(b"".join(pieces))
                raise
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)
        while n and not self._size and not self._eof:
            await self._wait("read")
        return self._take(n)

    async def readany(self) -> bytes:
        """Return whatever has come, at least one byte unless the stream is complete."""
        self._check()
        while not self._size and not self._eof:
            await self._wait("readany")
        return self._take(self._size)

    async def readexactly(self, n: int) -> bytes:
        """Return ``n`` bytes.  Raises IncompleteReadError when the end comes before."""
        self._check()
        pieces: list[bytes] = []
        missing = n
        while missing > 0:
            try:
                piece = await self.read(missing)
            except BaseException:
                self._put_back(b"".join(pieces))
                raise
            if not piece:
                raise asyncio.IncompleteReadError(b"".join(pieces), n)
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)

    async def readline(self, *, max_line_length: int | None = None) -> bytes:
        """Return a line with its end; without it at the end of the stream.

        Raises LineTooLong beyond ``max_line_length`` (default: the high-water mark).
        """
        return await self.readuntil(max_size=max_line_length)

    async def readuntil(self, separator: bytes = b"\n", *, max_size: int | None = None) -> bytes:
        """Return bytes up to and with ``separator``; without it at the end of the stream.

        Raises LineTooLong beyond ``max_size`` bytes (default: the high-water mark).
        """
        if not separator:
            raise ValueError("separator is empty: give one byte or more")
        self._check()
        limit = self._high_water if max_size is None else max_size
        found = bytearray()
        complete = False
        while not complete:
            while self._pieces and not complete:
                size = self._distance(separator, found)
                complete = size > 0
                found += self._take_piece(size or len(self._pieces[0]))
                if len(found) > limit:
                    raise LineTooLong(bytes(found[:100]) + b"...", limit)
            if self._eof:
                break
            if not complete:
                try:
                    await self._wait("readuntil")
                except BaseException:
                    self._put_back(bytes(found))
                    raise
        return bytes(found)

    async def readchunk(self) -> tuple[bytes, bool]:
        """Return bytes, and whether an HTTP chunk ends behind them.

        ``(b"", False)``: the stream is complete.  Chunk ends are known only where
        somebody tells them (``begin_http_chunk_receiving``): they are a matter of one
        hop and mean nothing to the message (RFC 9112 section 7.1).
        """
        self._check()
        while True:
            position = self.total_bytes - self._size
            ends = self._chunk_ends
            while ends:
                end = ends.popleft()
                if end == position:  # Its end came behind its last byte, or nobody asked then.
                    return b"", True
                if end > position:
                    return self._take(end - position), True
            if self._pieces:
                return self._take_piece(len(self._pieces[0])), False
            if self._eof:
                return b"", False
            await self._wait("readchunk")

    def read_nowait(self, n: int = -1) -> bytes:
        """Return up to ``n`` bytes that are there (``n < 0``: all), or ``b""``.

        Raises RuntimeError while a coroutine waits for bytes.
        """
        self._check()
        if self._waiter is not None:
            raise RuntimeError("another coroutine is already waiting for data")
        return self._take(self._size if n < 0 else n)

    async def wait_eof(self) -> None:
        """Wait until the end was fed.  Raises what broke the stream."""
        while not self._eof:
            self._check()
            if self._eof_waiter is None or self._eof_waiter.done():
                self._eof_waiter = self._loop.create_future()
            await asyncio.shield(self._eof_waiter)

    def _check(self) -> None:
        if self._exception is not None:
            raise self._exception

    async def _wait(self, caller: str) -> None:
        """Wait for bytes, the end or an exception; raise the exception."""
        if self._waiter is not None:
            raise RuntimeError(
                f"{caller}() called, but another coroutine is already waiting for data"
            )
        self._will_wait()
        waiter = self._waiter = self._loop.create_future()
        try:
            if self._timer is None:
                await waiter
            else:
                with self._timer:
                    await waiter
        finally:
            if self._waiter is waiter:
                self._waiter = None
        self._check()

    def _take(self, n: int) -> bytes:
        """Remove and return up to ``n`` bytes."""
        pieces = []
        while n > 0 and self._pieces:
            piece = self._take_piece(n)
            pieces.append(piece)
            n -= len(piece)
        if self._chunk_ends:
            self._forget_ends(self._chunk_ends)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _forget_ends(self, ends: deque[int]) -> None:
        """Forget the ends of chunks that were read."""
        position = self.total_bytes - self._size
        while ends and ends[0] < position:
            ends.popleft()

    def _take_piece(self, n: int) -> bytes:
        """Remove and return up to ``n`` bytes of the first piece."""
        piece = self._pieces[0]
        offset = self._offset
        credit = 0
        if n < len(piece) - offset:
            self._offset = offset + n
            piece = piece[offset : offset + n]
        else:
            self._pieces.popleft()
            credit = self._credits.popleft()
            self._offset = 0
            if offset:
                piece = piece[offset:]
        self._size -= len(piece)
        self._took(credit)
        return piece

    def _distance(self, separator: bytes, before: bytearray) -> int:
        """Return how far it is to the end of ``separator`` in the first piece, or 0.

        ``before`` are the bytes before that piece: the separator may begin in them.
        """
        piece, offset = self._pieces[0], self._offset
        overlap = len(separator) - 1
        tail = bytes(before[-overlap:]) if overlap else b""
        if tail:
            index = (tail + piece[offset : offset + overlap]).find(separator)
            if index >= 0:
                return index + len(separator) - len(tail)
        index = piece.find(separator, offset)
        return 0 if index < 0 else index + len(separator) - offset


class EmptyStreamReader(StreamReader):
    """The body of a message that has none: at its end from the beginning."""

    __slots__ = ()

    def __init__(self) -> None:
        self._exception = None
        self._eof = True
        self._size = self.total_bytes = 0
        self.total_compressed_bytes = None
        self._low_water = self._high_water = 0
        self._pieces = deque()
        self._credits = deque()
        self._offset = 0
        self._waiter = None
        self._chunk_ends = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def feed_data(self, data: bytes, size: int = 0) -> None:
        """Bytes are not expected and ignored."""

    def feed_eof(self) -> None:
        """The end was there before."""

    def set_exception(self, exc: BaseException, exc_cause: BaseException | None = None) -> None:
        """Nothing can break what is complete."""

    def set_read_chunk_size(self, n: int) -> None:
        """There is nothing to read."""


EMPTY_PAYLOAD: Final[StreamReader] = EmptyStreamReader()
"""The one empty body; it holds no state of any message."""


def _call(callback: Callable[[], None]) -> None:
    """Call back; whoever feeds the stream cannot help it when that fails."""
    try:
        callback()
    except Exception:
        internal_logger.exception("a callback of on_eof() failed")


def _release(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
