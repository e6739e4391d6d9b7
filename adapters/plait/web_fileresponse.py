"""Files as responses: ``FileResponse``.

Strategy
--------
An executor opens the file; the engine decides what is sent of it
(``plait_engine.content.selection``).
A small file leaves with its head as one piece.  A large one is sent by the kernel where that can be
(HTTP/1.1 without TLS, see ``ResponseWriter.send_file``).  Else it is read, a chunk at a time: at once
what the system has in memory, in an executor what it has to get from a disk.

Rules
-----
* No file is 404.  One that must not be read is 403, and so is what is no regular file: a directory,
  a pipe, a device.  These responses have no content.
* ``file.br`` and ``file.gz`` are sent in the place of ``file`` to clients that prefer that
  (``serving.files``).
* The entity tag is strong: the time of the last change in nanoseconds, and the size.  What is
  compressed on the way has a weak one, and no ranges, since its bytes may differ from time to
  time (RFC 9110 section 8.8.1).
* Last-Modified is rounded down, and never in the future (section 8.8.2.1).
* As many bytes are sent as were announced.  When the file has become shorter the stream ends
  as broken; when it has grown the rest is not sent.
* The file is closed, whatever happens: also when the client is gone or the handler is cancelled.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from mimetypes import MimeTypes
from pathlib import Path
from typing import TYPE_CHECKING, Final

from plait_engine.content.conditional import Conditions, EntityTag, Representation
from plait_engine.content.negotiation import IDENTITY
from plait_engine.content.selection import Selection, select
from plait_engine.semantics.content import WITHOUT_CONTENT

from . import hdrs
from .abc import AbstractStreamWriter
from .helpers import ETag
from .serving.files import OpenFile, open_file
from .serving.response_fields import DEFAULT_TYPE
from .serving.response_writer import ResponseWriter
from .typedefs import LooseHeaders, PathLike
from .web_response import StreamResponse

if TYPE_CHECKING:
    from .web_request import BaseRequest

__all__ = ("FileResponse",)

NOSENDFILE: Final = bool(os.environ.get("AIOHTTP_NOSENDFILE"))
"""Read every file, and do not let the kernel send it."""

CONTENT_TYPES: Final = MimeTypes()
"""The media types by the suffix of a file; ``add_type`` adds one for all responses."""

# A file that is compressed is sent as what it is: its coding is no Content-Encoding.
CONTENT_TYPES.encodings_map.clear()
for _type, _suffix in (
    ("application/gzip", ".gz"),
    ("application/x-brotli", ".br"),
    ("application/x-bzip2", ".bz2"),
    ("application/x-compress", ".z"),  # looked up in lower case
    ("application/x-xz", ".xz"),
):
    CONTENT_TYPES.add_type(_type, _suffix)

_SMALL: Final = 65536
"""Bytes that are read at once and sent with the head."""


class FileResponse(StreamResponse):
    """A response whose body is a file.

    Args:
        path: of the file.
        chunk_size: bytes that are read at a time, where the kernel does not send the file.
        status, reason, headers: see ``StreamResponse``.  The status is that of a response to
            which nothing speaks against: 206, 304, 403, 404, 412 and 416 take its place.
    """

    _file: OpenFile | None = None
    """The file, if it was opened already."""

    def __init__(
        self,
        path: PathLike,
        chunk_size: int = 262144,
        status: int = 200,
        reason: str | None = None,
        headers: LooseHeaders | None = None,
    ) -> None:
        super().__init__(status=status, reason=reason, headers=headers)
        self._path = Path(path)
        self._chunk_size = chunk_size

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:
        """Send the file, or what speaks against it.  Later calls do nothing.

        Raises ClientConnectionResetError when the client is gone, EOFError when the file
        became shorter while it was sent, OSError when it cannot be read any more.
        """
        if self.prepared:
            return await super().prepare(request)
        accepted: Sequence[str] = ()
        if hdrs.CONTENT_ENCODING in self.headers:
            self._compression = None  # It is encoded already.
        else:
            accepted = request.headers.getall(hdrs.ACCEPT_ENCODING, ())
        file, self._file = self._file, None
        try:
            if file is None:
                loop = asyncio.get_running_loop()
                file = await loop.run_in_executor(None, open_file, os.fspath(self._path), accepted)
        except PermissionError:
            return await self._refuse(request, 403)
        except (OSError, ValueError):
            return await self._refuse(request, 404)
        try:
            return await self._send_file(request, file)
        finally:
            file.close()

    async def _refuse(self, request: BaseRequest, status: int) -> AbstractStreamWriter | None:
        """Send a head without content."""
        self.set_status(status)
        self._compression = None
        self.headers.pop(hdrs.CONTENT_ENCODING, None)
        if not self._chunked:
            self.content_length = 0
        return await super().prepare(request)

    async def _send_file(self, request: BaseRequest, file: OpenFile) -> AbstractStreamWriter | None:
        selection = self._select(request, file)
        status = selection.status
        if selection.content_range is not None:
            self.headers[hdrs.CONTENT_RANGE] = selection.content_range
        if status in (304, 412, 416):
            return await self._refuse(request, status)
        if status != self._status:
            self.set_status(status)
        if hdrs.CONTENT_TYPE not in self.headers:
            self.content_type = CONTENT_TYPES.guess_type(self._path)[0] or DEFAULT_TYPE
        if not self._chunked:
            self.content_length = selection.length
        content: bytes | None = None
        if request.method == hdrs.METH_HEAD or status in WITHOUT_CONTENT:
            content = b""
        elif selection.length <= _SMALL:
            content = await _read_all(file, selection)
        self._send_headers_immediately = content is None
        writer = await super().prepare(request)
        if content is None:
            await self._send_large(file, selection)
        await super().write_eof(content or b"")
        return writer

    def _select(self, request: BaseRequest, file: OpenFile) -> Selection:
        """Decide what of the file is sent, and say what it is and from when."""
        if file.coding != IDENTITY:
            self.headers[hdrs.CONTENT_ENCODING] = file.coding
            self._compression = None
        if file.varies:
            self.headers.add(hdrs.VARY, hdrs.ACCEPT_ENCODING)
        compresses = self._negotiate(request) is not None
        now = time.time()
        current = Representation(
            file.size,
            EntityTag(f"{file.modified_ns:x}-{file.size:x}", weak=compresses),
            min(file.modified_ns // 10**9, int(now)),
        )
        selection = select(
            request.method,
            Conditions.of(request._event.headers),
            current,
            now,
            status=self._status,
            ranges=not compresses,
        )
        # A client that asks for bytes behind the end learns from 416 whether it has them all.
        if selection.status < 400 or selection.status == 416:
            self.etag = ETag(*current.etag)
            self.last_modified = current.last_modified
            if not compresses:
                self.headers[hdrs.ACCEPT_RANGES] = "bytes"
        return selection

    async def _send_large(self, file: OpenFile, selection: Selection) -> None:
        writer = self._payload_writer
        if (
            not NOSENDFILE
            and isinstance(writer, ResponseWriter)
            and await writer.send_file(file.file, selection.start, selection.length)
        ):
            return
        position, end = selection.start, selection.start + selection.length
        # Small enough to stay in the processor's cache.
        buffer = memoryview(bytearray(min(self._chunk_size, _SMALL)))
        while position < end:
            size = min(self._chunk_size, end - position)
            piece = await _read_some(file, position, size, buffer)
            await self.write(piece)
            position += len(piece)

    def _wants_type(self) -> bool:
        return False  # It has one where there is content.


async def _read_all(file: OpenFile, selection: Selection) -> bytes:
    _, position, length, _ = selection
    buffer = memoryview(bytearray(length))
    content = b""
    while len(content) < length:
        offset = position + len(content)
        content += await _read_some(file, offset, length - len(content), buffer)
    return content


async def _read_some(
    file: OpenFile, offset: int, size: int, buffer: memoryview
) -> bytes | memoryview:
    """Return some of the ``size`` bytes from ``offset`` on, perhaps in ``buffer``.

    Raises EOFError when there are none.
    """
    cached = file.read_cached(buffer[:size], offset)
    if cached:
        return buffer[:cached]
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(None, file.read, offset, size)
