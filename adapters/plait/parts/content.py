"""The content of a part as a stream, where a multipart body is parsed as it comes.

``MultipartBody`` feeds the engine's parser from a stream.  ``PartContent`` is a stream again, so
that a multipart inside of a part is read like any other.  Nothing is read that nobody asked for,
and no more is held than came with one read.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable
from typing import Final, Protocol

from plait.http_exceptions import LineTooLong
from plait.streams import StreamReader
from plait_engine.content.multipart import (
    MultipartError,
    MultipartEvent,
    MultipartParser,
    PartData,
    PartEnd,
)
from plait_engine.errors import copy_error

READ_SIZE: Final = 2**18
"""Bytes read from a stream at once; content is given on in pieces of this size."""
MAX_LINE: Final = 2**17
"""Bytes of a line of a part's content, at most."""


class Readable(Protocol):
    """What a multipart body is read from."""

    async def read(self, n: int, /) -> bytes:
        """Return up to ``n`` bytes; none: the body is complete."""


class Rereadable(Readable, Protocol):
    """What a part alone is read from."""

    def unread_data(self, data: bytes, /) -> None:
        """Put bytes back in front."""


class MultipartBody:
    """A multipart body: a parser, and the stream that feeds it.

    ``give_back``: gets what was read beyond the end of the part.
    """

    __slots__ = ("_content", "_error", "_give_back", "parser")

    def __init__(
        self,
        content: Readable,
        parser: MultipartParser,
        give_back: Callable[[bytes], None] | None = None,
    ) -> None:
        self._content = content
        self.parser = parser
        self._give_back = give_back
        self._error: MultipartError | None = None

    def poll(self) -> MultipartEvent | None:
        """Return the next event if it can be had without waiting.

        An error waits until somebody waits for an event.
        """
        if self._error is not None:
            return None
        try:
            event = self.parser.next_event()
        except MultipartError as error:
            self._error = error.with_traceback(None)  # Its frames hold the connection.
            return None
        if self._give_back is not None and isinstance(event, PartEnd):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                self._give_back(self.parser.take_rest())
        return event

    async def next_event(self) -> MultipartEvent:
        """Return the next event.  Raises MultipartError, and what reading raises."""
        while (event := self.poll()) is None:
            if self._error is not None:
                raise copy_error(self._error)
            data = await self._read()
            if data:
                self.parser.receive_data(data)
            else:
                self.parser.receive_eof()
        return event

    async def _read(self) -> bytes:
        content = self._content
        if isinstance(content, StreamReader):
            return (await content.readchunk())[0]  # As it came: ``read`` puts pieces together.
        return await content.read(READ_SIZE)


class PartContent:
    """The content of a part, as a stream.

    It can be given to a MultipartReader, when the content is a multipart itself.
    """

    __slots__ = ("_body", "_data", "_ended", "_offset")

    def __init__(self, body: MultipartBody) -> None:
        self._body = body
        self._data = b""
        self._offset = 0
        self._ended = False

    @classmethod
    def alone(
        cls, boundary: bytes, length: str | None, body: Rereadable, *, is_form: bool
    ) -> PartContent:
        """Return the content of a part with whose first byte ``body`` begins.

        ``boundary`` has the leading ``--``, ``length`` is the part's Content-Length.  What
        follows the part is left in ``body``.
        """
        parser = MultipartParser.inside_part(
            boundary.decode("latin-1").removeprefix("--"),
            () if length is None else (("Content-Length", length),),
            is_form=is_form,
        )
        return cls(MultipartBody(body, parser, lambda rest: body.unread_data(rest)))

    @property
    def parser(self) -> MultipartParser:
        """The parser of the body that the part belongs to."""
        return self._body.parser

    def at_eof(self) -> bool:
        """Tell whether everything was read."""
        return self._ended and not self._data

    async def read(self, n: int = -1) -> bytes:
        """Return up to ``n`` bytes as soon as there are any; all of them if ``n < 0``."""
        if n < 0:
            pieces = []
            try:
                while piece := await self.read(READ_SIZE):
                    pieces.append(piece)
            except asyncio.CancelledError:
                self.unread_data(b"".join(pieces))
                raise
            return b"".join(pieces)
        while not self._data and not self._ended:
            self._take(await self._body.next_event())
        return self._cut(self._offset + n)

    async def readline(self, *, max_line_length: int | None = None) -> bytes:
        """Return a line with its end; without it at the end of the part.

        Raises LineTooLong beyond ``max_line_length`` bytes, by default ``MAX_LINE``.
        """
        limit = MAX_LINE if max_line_length is None else max_line_length
        pieces: list[bytes] = []
        size = 0
        while not (pieces and pieces[-1].endswith(b"\n")):
            try:
                while not self._data and not self._ended:
                    self._take(await self._body.next_event())
            except asyncio.CancelledError:
                self.unread_data(b"".join(pieces))  # For who reads after a timeout.
                raise
            end = self._data.find(b"\n", self._offset) + 1 or len(self._data)
            piece = self._cut(end)
            if not piece:
                break
            pieces.append(piece)
            size += len(piece)
            if size > limit:
                raise LineTooLong(pieces[0][:100] + b"...", limit)
        return b"".join(pieces)

    async def release(self) -> None:
        """Read what is left and drop it."""
        while await self.read(READ_SIZE):
            pass

    def unread_data(self, data: bytes) -> None:
        """Put bytes back in front."""
        self._data = data + self._data[self._offset :]
        self._offset = 0

    def _cut(self, end: int) -> bytes:
        """Remove and return what is there up to ``end``."""
        data, start = self._data, self._offset
        if end < len(data):
            self._offset = end
            return data[start:end]
        self._data, self._offset = b"", 0
        # Whoever got the last bytes may ask at once whether they were that.
        while not self._data and not self._ended and (event := self._body.poll()) is not None:
            self._take(event)
        return data[start:]

    def _take(self, event: MultipartEvent) -> None:
        if isinstance(event, PartData):
            self._data, self._offset = event.data, 0
        else:
            self._ended = True
