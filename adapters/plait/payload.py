"""Bodies to send: what kind of object becomes which bytes, and how it says its size.

Strategy
--------
``get_payload(data)`` wraps an object in the ``Payload`` that is registered for its type.  A
payload knows its header fields, its size if it has one, and writes itself to anything with
``async write(bytes)``.

A body may have to be sent twice: after a redirect, or on another connection.  ``replayable``
says whether that is possible: bytes always, files that can seek, nothing that is used up
by sending it.
"""

from __future__ import annotations

import asyncio
import codecs
import enum
import io
import json
import math
import mimetypes
import os
import stat
import warnings
from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from itertools import chain
from typing import IO, Any, BinaryIO, Final, TextIO

from multidict import CIMultiDict

from .abc import AbstractStreamWriter
from .helpers import (
    _SENTINEL,
    DEFAULT_CHUNK_SIZE,
    content_disposition_header,
    guess_filename,
    parse_mimetype,
    sentinel,
)
from .streams import StreamReader
from .typedefs import JSONEncoder

__all__ = (
    "PAYLOAD_REGISTRY",
    "AsyncIterablePayload",
    "BufferedReaderPayload",
    "BytesIOPayload",
    "BytesPayload",
    "IOBasePayload",
    "JsonBytesPayload",
    "JsonPayload",
    "Payload",
    "StringIOPayload",
    "StringPayload",
    "TextIOPayload",
    "get_payload",
    "payload_type",
)

TOO_LARGE_BYTES_BODY: Final = 2**20
"""A body of more bytes than this in one object gets a ResourceWarning."""

_CLOSE_FUTURES: Final[set[asyncio.Future[None]]] = set()
"""Empty: ``close`` waits until a file is closed.  Suites of tests look here for closes that go
on behind a response."""


class LookupError(Exception):  # aiohttp's name
    """No payload is registered for a type."""


class Order(enum.Enum):
    """When a registered type is tried."""

    normal = "normal"
    try_first = "try_first"
    try_last = "try_last"


class PayloadRegistry:
    """Which payload class takes which type.  The first match in order wins."""

    __slots__ = ("_by_type", "_first", "_last", "_normal")

    def __init__(self) -> None:
        self._first: list[tuple[type[Payload], Any]] = []
        self._normal: list[tuple[type[Payload], Any]] = []
        self._last: list[tuple[type[Payload], Any]] = []
        self._by_type: dict[type, type[Payload]] = {}

    def get(self, data: Any, *args: Any, **kwargs: Any) -> Payload:
        """Return ``data`` as a payload.  Raises LookupError."""
        if isinstance(data, Payload):
            return data
        factory = self._by_type.get(type(data))
        if factory is not None:
            return factory(data, *args, **kwargs)
        for factory, kind in chain(self._first, self._normal, self._last):
            if isinstance(data, kind):
                return factory(data, *args, **kwargs)
        raise LookupError(f"no payload is registered for {type(data).__name__}")

    def register(self, factory: type[Payload], type: Any, *, order: Order = Order.normal) -> None:
        """Let ``factory`` make the payloads of objects of ``type`` (or a tuple of types)."""
        if order is Order.try_first:
            self._first.append((factory, type))
        elif order is Order.normal:
            self._normal.append((factory, type))
        elif order is Order.try_last:
            self._last.append((factory, type))
        else:
            raise ValueError(f"unsupported order: {order!r}")
        self._by_type.clear()
        if not self._first:
            # The types of nearly all bodies, which nothing before them can match.
            for kind, its_factory in ((bytes, BytesPayload), (str, StringPayload)):
                if any(entry[0] is its_factory for entry in self._normal):
                    self._by_type[kind] = its_factory


class Payload(ABC):
    """A body to send.

    Args:
        value: what it is made of.
        headers: fields that go with it; they say more than the other arguments.
        content_type: its media type; guessed from ``filename`` by default.
        filename: its name in a form.
        encoding: of text.
    """

    _default_content_type: str = "application/octet-stream"
    _size: int | None = None

    def __init__(
        self,
        value: Any,
        headers: CIMultiDict[str] | dict[str, str] | Iterable[tuple[str, str]] | None = None,
        content_type: str | _SENTINEL | None = sentinel,
        filename: str | None = None,
        encoding: str | None = None,
        **kwargs: Any,
    ) -> None:
        self._value = value
        self._encoding = encoding
        self._filename = filename
        self._consumed = False
        self._headers: CIMultiDict[str] = CIMultiDict()
        if content_type is not sentinel and content_type is not None:
            self._headers["Content-Type"] = content_type
        elif content_type is sentinel and filename is not None:
            guessed = mimetypes.guess_type(filename)[0]
            self._headers["Content-Type"] = guessed or self._default_content_type
        else:
            self._headers["Content-Type"] = self._default_content_type
        if headers:
            self._headers.update(headers)

    @property
    def size(self) -> int | None:
        """The bytes of the body, or ``None`` when that is not known."""
        return self._size

    @property
    def filename(self) -> str | None:
        """The name in a form."""
        return self._filename

    @property
    def headers(self) -> CIMultiDict[str]:
        """The fields that go with the body."""
        return self._headers

    @property
    def encoding(self) -> str | None:
        """The encoding of text."""
        return self._encoding

    @property
    def content_type(self) -> str:
        """The media type."""
        return self._headers["Content-Type"]

    @property
    def consumed(self) -> bool:
        """True when the body was sent and is used up by it."""
        return self._consumed

    @property
    def autoclose(self) -> bool:
        """True when there is nothing to close."""
        return False

    @property
    def replayable(self) -> bool:
        """True when the body can be sent from its beginning now."""
        return not self._consumed

    def set_content_disposition(
        self, disptype: str, quote_fields: bool = True, _charset: str = "utf-8", **params: str
    ) -> None:
        """Set the Content-Disposition field."""
        self._headers["Content-Disposition"] = content_disposition_header(
            disptype, quote_fields=quote_fields, _charset=_charset, **params
        )

    @abstractmethod
    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the body as text.  Raises TypeError when it must be read first."""

    @abstractmethod
    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write the body."""

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        """Write at most ``content_length`` bytes of the body."""
        await self.write(_Limited(writer, content_length) if content_length is not None else writer)

    async def as_bytes(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """Return the body as bytes; text in its own encoding, if it has one."""
        own = self._encoding or encoding
        return self.decode(own, errors).encode(own, errors)

    async def close(self) -> None:  # noqa: B027  # most have nothing to close
        """Let go of what the body is read from."""


class _Limited(AbstractStreamWriter):
    """A writer that passes on so many bytes and drops the rest."""

    def __init__(self, writer: AbstractStreamWriter, size: int) -> None:
        self._writer = writer
        self._left = size

    async def write(self, chunk: bytes | bytearray | memoryview) -> None:
        chunk = chunk[: self._left]
        self._left -= len(chunk)
        if chunk:
            await self._writer.write(chunk)

    async def write_eof(self, chunk: bytes = b"") -> None:
        await self.write(chunk)
        await self._writer.write_eof()

    async def drain(self) -> None:
        await self._writer.drain()

    def enable_compression(self, encoding: str = "deflate", strategy: int | None = None) -> None:
        self._writer.enable_compression(encoding, strategy)

    def enable_chunking(self) -> None:
        self._writer.enable_chunking()

    async def write_headers(self, status_line: str, headers: CIMultiDict[str]) -> None:
        await self._writer.write_headers(status_line, headers)


class BytesPayload(Payload):
    """Bytes."""

    _value: bytes
    _size: int

    def __init__(self, value: bytes | bytearray | memoryview, *args: Any, **kwargs: Any) -> None:
        if not isinstance(value, bytes | bytearray | memoryview):
            raise TypeError(f"value must be bytes-like, not {type(value).__name__}")
        kwargs.setdefault("content_type", "application/octet-stream")
        super().__init__(value, *args, **kwargs)
        self._size = value.nbytes if isinstance(value, memoryview) else len(value)
        if self._size > TOO_LARGE_BYTES_BODY:
            warnings.warn(
                "sending a large body as one object may lock up the event loop:"
                " use io.BytesIO or an async iterable",
                ResourceWarning,
                stacklevel=4,
                source=self,
            )

    @property
    def autoclose(self) -> bool:
        """True: there is nothing to close."""
        return True

    def content_bytes(self) -> bytes:
        """Return the body, which is all there."""
        return bytes(self._value)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return bytes(self._value).decode(encoding, errors)

    async def as_bytes(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return self.content_bytes()

    async def write(self, writer: AbstractStreamWriter) -> None:
        await writer.write(self._value)


def _text_type(encoding: str | None, content_type: str | None) -> tuple[str, str]:
    """Return the encoding and the media type of text; each follows from the other."""
    if content_type is None:
        encoding = "utf-8" if encoding is None else encoding
        return encoding, f"text/plain; charset={encoding}"
    if encoding is None:
        encoding = parse_mimetype(content_type).parameters.get("charset", "utf-8")
    return encoding, content_type


class StringPayload(BytesPayload):
    """Text."""

    def __init__(
        self,
        value: str,
        *args: Any,
        encoding: str | None = None,
        content_type: str | None = None,
        **kwargs: Any,
    ) -> None:
        encoding, content_type = _text_type(encoding, content_type)
        super().__init__(
            value.encode(encoding), *args, encoding=encoding, content_type=content_type, **kwargs
        )


class StringIOPayload(StringPayload):
    """What is left to read of a ``StringIO``."""

    def __init__(self, value: IO[str], *args: Any, **kwargs: Any) -> None:
        super().__init__(value.read(), *args, **kwargs)


class JsonPayload(BytesPayload):
    """An object as JSON, by an encoder that makes ``str``."""

    def __init__(
        self,
        value: Any,
        encoding: str = "utf-8",
        content_type: str = "application/json",
        dumps: JSONEncoder = json.dumps,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            dumps(value).encode(encoding),
            *args,
            content_type=content_type,
            encoding=encoding,
            **kwargs,
        )


class JsonBytesPayload(BytesPayload):
    """An object as JSON, by an encoder that makes ``bytes``."""

    def __init__(
        self,
        value: Any,
        dumps: Callable[[Any], bytes],
        content_type: str = "application/json",
        *args: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(dumps(value), *args, content_type=content_type, **kwargs)


_DECODER_STATE: Final = 1 << 64
"""What ``tell()`` of a text file tells beyond the position stands above that."""


class IOBasePayload(Payload):
    """A file.  It is read in a thread, from where it stands when the payload is made."""

    _value: IO[Any]

    def __init__(
        self, value: IO[Any], disposition: str = "attachment", *args: Any, **kwargs: Any
    ) -> None:
        kwargs.setdefault("filename", guess_filename(value))
        super().__init__(value, *args, **kwargs)
        self._was_read = False
        self._start: int | None = None
        try:
            if value.seekable():
                self._start = value.tell()
        except (OSError, AttributeError):
            self._start = None
        if self._filename is not None and disposition is not None:
            self._headers.setdefault(
                "Content-Disposition",
                content_disposition_header(disposition, filename=self._filename),
            )

    @property
    def size(self) -> int | None:
        """The bytes from where the file stood, if it is a regular file.

        ``None`` for a pipe, and for what decodes a file: that of ``gzip`` has its ``fileno``.
        """
        return self._size_of(self._value)

    def _size_of(self, file: IO[Any]) -> int | None:
        raw = getattr(file, "raw", file)
        if not isinstance(raw, io.FileIO) or raw.closed:
            return None
        status = os.fstat(raw.fileno())
        return status.st_size - (self._start or 0) if stat.S_ISREG(status.st_mode) else None

    @property
    def replayable(self) -> bool:
        """True while the file is open and was not read, or can go back."""
        return not getattr(self._value, "closed", False) and not self._consumed

    def _rewind(self) -> None:
        if self._was_read and self._start is not None:
            self._value.seek(self._start)
        self._was_read = True
        self._consumed = self._start is None

    def _read(self, size: int) -> bytes:
        data: bytes = self._value.read(size)
        return data

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        self._rewind()
        return self._read(-1).decode(encoding, errors)

    async def _fetch(self, size: int) -> bytes:
        """Return what ``_read`` does; a file may keep one waiting."""
        return await asyncio.get_running_loop().run_in_executor(None, self._read, size)

    async def as_bytes(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        self._rewind()
        return await self._fetch(-1)

    async def write(self, writer: AbstractStreamWriter) -> None:
        await self.write_with_length(writer, None)

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        """Write at most ``content_length`` bytes of the file, and read no more than that."""
        left = math.inf if content_length is None else content_length
        self._rewind()
        while left > 0:
            size = DEFAULT_CHUNK_SIZE if left > DEFAULT_CHUNK_SIZE else int(left)
            chunk = await self._fetch(size)
            if not chunk:
                return
            # Text is read by characters, of which each may be several bytes.
            chunk = chunk[: int(left)] if len(chunk) > left else chunk
            left -= len(chunk)
            await writer.write(chunk)

    async def close(self) -> None:
        """Close the file."""
        self._consumed = True
        await asyncio.get_running_loop().run_in_executor(None, self._value.close)


class TextIOPayload(IOBasePayload):
    """A file that is open as text.

    Where it has the encoding of the payload, its bytes are sent as they are.
    """

    _value: TextIO
    _bytes: BinaryIO | None = None
    """Under the text, where the bytes can be read from."""

    def __init__(
        self,
        value: TextIO,
        *args: Any,
        encoding: str | None = None,
        content_type: str | None = None,
        **kwargs: Any,
    ) -> None:
        encoding, content_type = _text_type(encoding, content_type)
        super().__init__(value, *args, content_type=content_type, encoding=encoding, **kwargs)
        if (
            isinstance(value, io.TextIOWrapper)
            and codecs.lookup(value.encoding) == codecs.lookup(encoding)
            and self._start is not None
            and self._start < _DECODER_STATE
        ):
            self._bytes = value.buffer

    @property
    def size(self) -> int | None:
        """The bytes from where the file stood; ``None`` if they are not known before the text is
        encoded.
        """
        return None if self._bytes is None else self._size_of(self._bytes)

    def _rewind(self) -> None:
        super()._rewind()
        if self._bytes is not None and self._start is not None:
            self._value.seek(self._start)  # The text has read ahead.

    def _read(self, size: int) -> bytes:
        if self._bytes is not None:
            return self._bytes.read(size)
        return self._value.read(size).encode(self._encoding or "utf-8")

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        self._rewind()
        return self._value.read()


class BytesIOPayload(IOBasePayload):
    """What is left to read of a ``BytesIO``."""

    _value: io.BytesIO

    @property
    def size(self) -> int:
        """The bytes from where it stood."""
        return self._value.getbuffer().nbytes - (self._start or 0)

    @property
    def autoclose(self) -> bool:
        """True: there is nothing to close."""
        return True

    async def _fetch(self, size: int) -> bytes:
        return self._value.read(size)

    async def close(self) -> None:
        """Nothing: the object may be used again."""


class BufferedReaderPayload(IOBasePayload):
    """A file that is open for bytes."""


class AsyncIterablePayload(Payload):
    """Pieces that come one by one.  They can be sent once, unless ``as_bytes`` kept them."""

    _value: AsyncIterable[bytes]
    _kept: bytes | None = None

    def __init__(self, value: AsyncIterable[bytes], *args: Any, **kwargs: Any) -> None:
        if not isinstance(value, AsyncIterable):
            raise TypeError(f"value must be an async iterable, not {type(value).__name__}")
        kwargs.setdefault("content_type", "application/octet-stream")
        super().__init__(value, *args, **kwargs)

    @property
    def autoclose(self) -> bool:
        """True: there is nothing to close."""
        return True

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the body as text, after ``as_bytes``; before that it raises TypeError."""
        if self._kept is None:
            raise TypeError(
                "Unable to decode - content not cached: it is not there yet, await as_bytes() first"
            )
        return self._kept.decode(encoding, errors)

    async def as_bytes(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """Return the body, and keep it for whoever sends or reads it next."""
        if self._kept is None:
            data = b"".join([piece async for piece in self._value])
            if self._consumed:  # It was sent, and what is left of it is not the body.
                return data
            self._kept = data
        return self._kept

    async def write(self, writer: AbstractStreamWriter) -> None:
        if self._kept is not None:
            await writer.write(self._kept)
            return
        self._consumed = True
        iterator: AsyncIterator[bytes] = aiter(self._value)
        try:
            async for piece in iterator:
                if not isinstance(piece, bytes | bytearray | memoryview):  # bytes(5) is five NULs.
                    raise TypeError(
                        f"the pieces of a body must be bytes, not {type(piece).__name__}"
                    )
                await writer.write(piece)
        finally:
            close = getattr(iterator, "aclose", None)
            if close is not None:
                await close()


class StreamReaderPayload(AsyncIterablePayload):
    """The body of another message, passed on as it comes."""

    def __init__(self, value: StreamReader, *args: Any, **kwargs: Any) -> None:
        super().__init__(value.iter_any(), *args, **kwargs)


class payload_type:  # aiohttp's name
    """A class decorator: the payload class takes objects of ``type``."""

    def __init__(self, type: Any, *, order: Order = Order.normal) -> None:
        self.type = type
        self.order = order

    def __call__(self, factory: type[Payload]) -> type[Payload]:
        register_payload(factory, self.type, order=self.order)
        return factory


PAYLOAD_REGISTRY: Final = PayloadRegistry()


def get_payload(data: Any, *args: Any, **kwargs: Any) -> Payload:
    """Return ``data`` as a payload.  Raises LookupError."""
    return PAYLOAD_REGISTRY.get(data, *args, **kwargs)


def register_payload(factory: type[Payload], type: Any, *, order: Order = Order.normal) -> None:
    """Let ``factory`` make the payloads of objects of ``type``."""
    PAYLOAD_REGISTRY.register(factory, type, order=order)


register_payload(BytesPayload, (bytes, bytearray, memoryview))
register_payload(StringPayload, str)
register_payload(StringIOPayload, io.StringIO)
register_payload(TextIOPayload, io.TextIOBase)
register_payload(BytesIOPayload, io.BytesIO)
register_payload(BufferedReaderPayload, (io.BufferedReader, io.BufferedRandom))
register_payload(IOBasePayload, io.IOBase)
register_payload(StreamReaderPayload, StreamReader)
# Last, so that a class of one's own that is also an async iterable can be registered.
register_payload(AsyncIterablePayload, AsyncIterable, order=Order.try_last)
