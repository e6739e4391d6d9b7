"""Queues of whole things, as ``StreamReader`` is one of bytes: somebody feeds, one reads.

plait itself has no use for them.  They are for the programs that build on aiohttp's.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Generic, Protocol, TypeVar

_T = TypeVar("_T")


class EofStream(Exception):
    """The stream has ended."""


class FlowControl(Protocol):
    """What a stream or queue that is fed by hand needs of its protocol."""

    def pause_reading(self) -> None:
        """Stop the flow of bytes."""

    def resume_reading(self) -> None:
        """Let bytes flow again."""


class DataQueue(Generic[_T]):
    """A queue that has an end, for one reader; ``async for`` reads it to there.

    What was fed before the end, or before an exception, can be read.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._buffer: deque[tuple[_T, int]] = deque()
        self._eof = False
        self._exception: BaseException | None = None
        self._waiter: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        return len(self._buffer)

    def is_eof(self) -> bool:
        """Tell whether nothing more is fed."""
        return self._eof

    def at_eof(self) -> bool:
        """Tell whether nothing more can be read."""
        return self._eof and not self._buffer

    def exception(self) -> BaseException | None:
        """Return what ``set_exception`` was given."""
        return self._exception

    def set_exception(self, exc: BaseException, exc_cause: BaseException | None = None) -> None:
        """End the queue with ``exc``."""
        if exc_cause is not None:
            exc.__cause__ = exc_cause
        self._exception = exc
        self.feed_eof()

    def feed_data(self, data: _T, size: int = 0) -> None:
        """Add something; ``size`` is what it counts for."""
        self._buffer.append((data, size))
        self._wake()

    def feed_eof(self) -> None:
        """End the queue."""
        self._eof = True
        self._wake()

    async def read(self) -> _T:
        """Return the next thing.  Raises EofStream at the end, or ``exception()``.

        Raises RuntimeError when somebody reads already.
        """
        while not self._buffer and not self._eof:
            if self._waiter is not None:
                raise RuntimeError("read() called while another coroutine is already waiting")
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if self._buffer:
            return self._take()
        raise self._exception or EofStream

    async def __aiter__(self) -> AsyncIterator[_T]:
        try:
            while True:
                yield await self.read()
        except EofStream:
            return

    def _take(self) -> _T:
        return self._buffer.popleft()[0]

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class FlowControlDataQueue(DataQueue[_T]):
    """A queue that pauses its protocol above twice ``limit``, and resumes it below ``limit``.

    With a ``limit`` of 0 it resumes when nothing is left.
    """

    def __init__(
        self, protocol: FlowControl, limit: int, *, loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(loop)
        self._protocol = protocol
        self._limit = limit
        self._size = 0
        self._paused = False

    def feed_data(self, data: _T, size: int = 0) -> None:
        """Add something; ``size`` is what it counts for."""
        super().feed_data(data, size)
        self._size += size
        if self._size > 2 * self._limit and not self._paused:
            self._paused = True
            self._protocol.pause_reading()

    def _take(self) -> _T:
        item, size = self._buffer.popleft()
        self._size -= size
        if self._paused and self._size < max(self._limit, 1):
            self._paused = False
            self._protocol.resume_reading()
        return item
