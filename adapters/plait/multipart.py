"""Multipart bodies: read part by part as they come, and written as they go.

Strategy
--------
``plait_engine.content.multipart`` does the parsing.  Below, ``parts`` has the content of a part
as a stream, the codings of parts, and the writer.  A part that is a multipart itself is read by a
reader over the content of that part.

Rules
-----
* The parts come one after another: to ask for the next one drops what is left of the last.
* ``MultipartError``, which is a ValueError, is raised for a body that is no multipart; its
  subclass ``PartEncodingError``, which is a RuntimeError too, for content that is not what its
  header fields say, and ``PartTextError``, a UnicodeDecodeError, for text that is not in its charset.
* In a form Content-Encoding and Content-Length of a part have no meaning (RFC 7578 section 4.8).
"""

from __future__ import annotations

import asyncio
import json
import sys
import warnings
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import parse_qsl

from multidict import CIMultiDict, CIMultiDictProxy

from plait_engine.content.disposition import find_parameter, parse_disposition
from plait_engine.content.media_types import find_media_parameter
from plait_engine.content.multipart import (
    MultipartEnd,
    MultipartError,
    MultipartLimits,
    MultipartParser,
    PartBegin,
)

from . import hdrs
from .abc import AbstractStreamWriter
from .helpers import find_charset, parse_mimetype, printable, reify
from .parts.codings import MultipartPayloadWriter as MultipartPayloadWriter
from .parts.codings import PartDecoder, PartEncodingError, PartTextError
from .parts.content import READ_SIZE, MultipartBody, PartContent, Readable, Rereadable
from .parts.writer import MultipartWriter
from .payload import Payload, register_payload
from .transport.waiter import next_turn

if TYPE_CHECKING:
    from .client_reqrep import ClientResponse

__all__ = (
    "BadContentDispositionHeader",
    "BadContentDispositionParam",
    "BodyPartReader",
    "MultipartReader",
    "MultipartWriter",
    "content_disposition_filename",
    "parse_content_disposition",
)

MAX_CHARSET: Final = 31
"""Bytes of the name of a charset in a form, at most; the longest there is has 19."""


# -- Content-Disposition ---------------------------------------------------------------------


class BadContentDispositionHeader(RuntimeWarning):
    """A Content-Disposition field breaks the grammar."""


class BadContentDispositionParam(RuntimeWarning):
    """A parameter of a Content-Disposition field breaks the grammar."""


def parse_content_disposition(header: str | None) -> tuple[str | None, dict[str, str]]:
    """Return the type and the parameters of a Content-Disposition field (RFC 6266).

    Warns with BadContentDispositionHeader and BadContentDispositionParam.
    """
    read = parse_disposition(header)
    for problem in read.problems:
        # Python keeps the text of each warning for ever, so the peer must have no say in it.
        if problem.whole:
            warning: Warning = BadContentDispositionHeader("the field breaks RFC 6266 section 4.1")
        else:
            warning = BadContentDispositionParam("a parameter breaks RFC 6266 section 4.1")
        warnings.warn(warning, stacklevel=2)
    return read.type, read.parameters


def content_disposition_filename(params: Mapping[str, str], name: str = "filename") -> str | None:
    """Return the value of a parameter, whichever of its notations was used.

    It is as the peer sent it and no path: do not open a file by it.
    """
    return find_parameter(params, name)


# -- reading ---------------------------------------------------------------------------------


class BodyPartReader:
    """A part that is no multipart.

    Args:
        boundary: what separates the parts, with the leading ``--``; bytes, or text.
        headers: the header fields of the part.
        content: where the body is read from: the next byte is the first of the content.
        subtype: of the multipart; ``form-data`` is a form.
        default_charset: of text that does not say its own.
        max_decompress_size: bytes that one step of decompression makes, at most.
        client_max_size: bytes that ``read`` and its like accept, before and after decoding.
        max_size_error_cls: raised, with the limit, for more than that.
    """

    chunk_size: int = 8192

    def __init__(
        self,
        boundary: bytes | str,
        headers: CIMultiDictProxy[str],
        content: Rereadable,
        *,
        subtype: str = "mixed",
        default_charset: str | None = None,
        max_decompress_size: int = READ_SIZE,
        client_max_size: int = sys.maxsize,
        max_size_error_cls: type[Exception] = ValueError,
    ) -> None:
        self.headers = headers
        is_form = subtype == "form-data"
        self._default_charset = default_charset
        self._max_decompress_size = max_decompress_size
        self._client_max_size = client_max_size
        self._max_size_error_cls = max_size_error_cls
        if not isinstance(content, PartContent):
            boundary = boundary.encode() if isinstance(boundary, str) else boundary
            length = headers.get(hdrs.CONTENT_LENGTH)
            content = PartContent.alone(
                boundary, None if length is None else str(length), content, is_form=is_form
            )
        self._content = content
        self._at_eof = False
        self._kept = b""
        """The beginning of a unit of the transfer coding, read and not given yet."""
        self._decoder = PartDecoder(headers, max_decompress_size, is_form=is_form)
        self._cache: dict[str, Any] = {}

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        data = await self.next()
        if data is None:
            raise StopAsyncIteration
        return data

    async def next(self) -> bytes | None:
        """Return the content, ``None`` when there is none or it was read."""
        return await self.read() or None

    async def read(self, *, decode: bool = False) -> bytes:
        """Return the content.

        ``decode``: undo Content-Transfer-Encoding and, but for forms, Content-Encoding.

        Raises ``max_size_error_cls`` above ``client_max_size``, MultipartError, and what reading
        the body raises.
        """
        if self._at_eof:
            return b""
        content = self._content
        pieces = [self._kept]
        size = 0
        try:
            while piece := await content.read(READ_SIZE):
                pieces.append(piece)
                size += len(piece)
                self._check_size(size)
        except asyncio.CancelledError:
            content.unread_data(b"".join(pieces[1:]))  # For who reads after a timeout.
            raise
        self._at_eof = True
        self._kept = b""
        data = b"".join(pieces)
        if not decode or not data:
            return data
        pieces = []
        size = 0
        async for piece in self.decode_iter(data):
            pieces.append(piece)
            size += len(piece)
            self._check_size(size)
        if self._decoder.incomplete:
            raise PartEncodingError("the compressed content of a part ends too early")
        return b"".join(pieces)

    def _check_size(self, size: int) -> None:
        if size > self._client_max_size:
            raise self._max_size_error_cls(self._client_max_size)

    async def read_chunk(self, size: int = chunk_size) -> bytes:
        """Return up to ``size`` bytes of the content as soon as there are any; none at its end.

        A piece ends where a unit of the Content-Transfer-Encoding does, so that each can be
        decoded; for that it may be up to three bytes longer than a ``size`` below four.
        """
        if self._at_eof:
            return b""
        content = self._content
        if not self._decoder.has_units:
            data = await content.read(size)
            self._at_eof = content.at_eof()
            return data
        whole = b""
        while not whole and not self._at_eof:
            piece = await content.read(max(size - len(self._kept), 1))
            whole, self._kept = self._decoder.split_units(self._kept + piece)
            if content.at_eof():
                self._at_eof = True
                whole, self._kept = whole + self._kept, b""
        return whole

    async def readline(self) -> bytes:
        """Return a line of the content with its end; nothing at the end of the content.

        Raises LineTooLong beyond 128 KiB.
        """
        if self._at_eof:
            return b""
        line = await self._content.readline()
        self._at_eof = self._content.at_eof()
        return line

    async def release(self) -> None:
        """Read what is left of the content and drop it."""
        self._kept = b""
        if not self._at_eof:
            await self._content.release()
            self._at_eof = True

    async def text(self, *, encoding: str | None = None) -> str:
        """Return the content, decoded, as text.

        By ``encoding``, or the charset of the part or of the form, or UTF-8.  Raises what
        ``read`` raises.
        """
        return self._as_text(await self.read(decode=True), encoding)

    async def json(self, *, encoding: str | None = None) -> Any:
        """Return what the content says as JSON, ``None`` if there is none; see ``text``."""
        data = await self.read(decode=True)
        return json.loads(self._as_text(data, encoding)) if data else None

    async def form(self, *, encoding: str | None = None) -> list[tuple[str, str]]:
        """Return the fields of an urlencoded form; see ``text``."""
        data = await self.read(decode=True)
        if not data:
            return []
        charset = encoding or self.get_charset(default="utf-8")
        text = self._as_text(data.rstrip(), charset)
        return parse_qsl(text, keep_blank_values=True, encoding=charset)

    def _as_text(self, data: bytes, encoding: str | None) -> str:
        charset = encoding or self.get_charset(default="utf-8")
        name = find_charset(charset)
        if name is None:
            raise PartEncodingError(f"unknown charset {printable(charset)}")
        try:
            return data.decode(name)
        except UnicodeDecodeError as error:
            raise PartTextError(*error.args) from None

    def at_eof(self) -> bool:
        """Tell whether all of the content was read."""
        return self._at_eof

    # -- decoding ----------------------------------------------------------------------------

    def decode(self, data: bytes) -> bytes:
        """Return ``data``, a piece from ``read_chunk``, decoded.

        Raises ``max_size_error_cls`` when it decompresses to more than ``max_decompress_size``
        bytes; ``decode_iter`` has no limit.
        """
        pieces = self._decoder.decode(data)
        decoded = next(pieces)
        if any(pieces):
            raise self._max_size_error_cls(self._max_decompress_size)
        return decoded

    async def decode_iter(self, data: bytes) -> AsyncIterator[bytes]:
        """Iterate over ``data``, a piece from ``read_chunk``, decoded: in pieces of
        ``max_decompress_size`` bytes at most."""
        pieces = self._decoder.decode(data)
        yield next(pieces)
        for piece in pieces:
            yield piece
            await next_turn()  # A few bytes may be gigabytes: others have their turn.

    # -- what the header fields say ------------------------------------------------------------

    def get_charset(self, default: str) -> str:
        """Return the charset of the content: the part's own, the form's, or ``default``."""
        content_type = self.headers.get(hdrs.CONTENT_TYPE, "")
        charset = parse_mimetype(content_type).parameters.get("charset")
        return charset or self._default_charset or default

    @reify
    def name(self) -> str | None:
        """The name of the field of a form, ``None`` without one."""
        return find_parameter(self._disposition, "name")

    @reify
    def filename(self) -> str | None:
        """The name of the file, ``None`` without one.

        It is as the peer sent it and no path: do not open a file by it.
        """
        return find_parameter(self._disposition, "filename")

    @reify
    def _disposition(self) -> dict[str, str]:
        # The field is the peer's: who parses it by hand gets warnings, a log does not.
        return parse_disposition(self.headers.get(hdrs.CONTENT_DISPOSITION)).parameters


class _Parts(ABC):
    """What ``next`` returns, for ``async for``."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> MultipartReader | BodyPartReader:
        part = await self.next()
        if part is None:
            raise StopAsyncIteration
        return part

    @abstractmethod
    async def next(self) -> MultipartReader | BodyPartReader | None:
        """Return the next part, ``None`` behind the last one."""


class MultipartResponseWrapper(_Parts):
    """The parts of a response.  Behind the last one the connection is given back."""

    def __init__(self, resp: ClientResponse, stream: MultipartReader) -> None:
        self.resp = resp
        self.stream = stream

    def at_eof(self) -> bool:
        """Tell whether the whole response was read."""
        return self.resp.content.at_eof()

    async def next(self) -> MultipartReader | BodyPartReader | None:
        """Return the next part, ``None`` behind the last one."""
        part = await self.stream.next()
        if self.stream.at_eof():
            await self.release()
        return part

    async def release(self) -> None:
        """Give the connection back; what was not read is dropped."""
        await self.resp.release()


class MultipartReader(_Parts):
    """Reads a multipart body part by part.

    Args:
        headers: have the Content-Type.
        content: where the body is read from.
        client_max_size: bytes that ``read`` of a part accepts.
        max_field_size: bytes of a header field of a part.
        max_headers: header fields of a part.
        max_size_error_cls: raised, with the limit, by ``read`` of a part.
        max_parts: parts, those in nested multiparts included; ``None``: any number.  One more
            raises TooManyPartsError, a MultipartError.

    Raises MultipartError for a media type that is no multipart or has no valid boundary.
    """

    response_wrapper_cls: type[MultipartResponseWrapper] = MultipartResponseWrapper
    multipart_reader_cls: type[MultipartReader] | None = None
    """Reads the parts that are multiparts; ``None``: the class of this reader."""
    part_reader_cls: type[BodyPartReader] = BodyPartReader

    def __init__(
        self,
        headers: Mapping[str, str],
        content: Readable,
        *,
        client_max_size: int = sys.maxsize,
        max_field_size: int = 8190,
        max_headers: int = 128,
        max_size_error_cls: type[Exception] = ValueError,
        max_parts: int | None = None,
    ) -> None:
        media_type = headers[hdrs.CONTENT_TYPE]
        kind = parse_mimetype(media_type)
        if kind.type != "multipart":
            raise MultipartError(f"no multipart media type: {printable(media_type)}")
        boundary = find_media_parameter(media_type, "boundary")
        if boundary is None:
            raise MultipartError(f"the media type names no boundary: {printable(media_type)}")
        self.headers = headers
        self._subtype = kind.subtype
        self._boundary = b"--" + boundary.encode("utf-8", "surrogateescape")
        self._client_max_size = client_max_size
        self._max_field_size = max_field_size
        self._max_headers = max_headers
        self._max_size_error_cls = max_size_error_cls
        is_form = kind.subtype == "form-data"
        if isinstance(content, PartContent):
            parser = content.parser.nested(boundary, is_form=is_form)
        else:
            limits = MultipartLimits(
                parts=max_parts,
                fields=max_headers,
                field_line=max_field_size,
                header_section=max(MultipartLimits().header_section, max_field_size),
            )
            parser = MultipartParser(boundary, is_form=is_form, limits=limits)
        self._body = MultipartBody(content, parser)
        self._part_content: PartContent | None = None
        self._last_part: MultipartReader | BodyPartReader | None = None
        self._next_headers: CIMultiDictProxy[str] | None = None
        self._default_charset: str | None = None
        self._at_bof = True
        self._at_eof = False

    @classmethod
    def from_response(cls, response: ClientResponse) -> MultipartResponseWrapper:
        """Return a reader of ``response`` that gives its connection back at the end."""
        return cls.response_wrapper_cls(response, cls(response.headers, response.content))

    def at_eof(self) -> bool:
        """Tell whether the last boundary was read."""
        return self._at_eof

    async def next(self) -> MultipartReader | BodyPartReader | None:
        """Return the next part, ``None`` behind the last one.

        What is left of the part before is dropped.  The charset that a form gives in its first
        field, ``_charset_``, is no part (RFC 7578 section 4.6).

        Raises MultipartError, and what reading the body raises.
        """
        if not await self._has_next():
            return None
        is_first, self._at_bof = self._at_bof, False
        part = await self.fetch_next_part()
        is_form = self._subtype == "form-data"
        if is_first and is_form and isinstance(part, BodyPartReader) and part.name == "_charset_":
            self._default_charset = await self._read_charset(part)
            return await self.next()
        return part

    async def fetch_next_part(self) -> MultipartReader | BodyPartReader:
        """Return the next part.  Raises MultipartError behind the last one."""
        if self._next_headers is None and not await self._has_next():
            raise MultipartError("there is no next part")
        headers, self._next_headers = self._next_headers, None
        assert headers is not None
        self._last_part = self._get_part_reader(headers)
        return self._last_part

    async def release(self) -> None:
        """Read what is left of all parts and drop it."""
        while (part := await self.next()) is not None:
            await part.release()

    async def _has_next(self) -> bool:
        """Read the header fields of the next part; ``False``: there is none."""
        if self._at_eof:
            return False
        if self._part_content is not None:
            await self._part_content.release()
            self._part_content = None
        if self._last_part is not None:
            # Whatever is in it, if it is a multipart: that is not looked at any more.
            self._last_part._at_eof = True
            self._last_part = None
        event = await self._body.next_event()
        if isinstance(event, MultipartEnd):
            self._at_eof = True
            return False
        assert isinstance(event, PartBegin)
        self._next_headers = CIMultiDictProxy(CIMultiDict(event.headers))
        return True

    async def _read_charset(self, part: BodyPartReader) -> str:
        charset = b""
        while len(charset) <= MAX_CHARSET and (piece := await part.read_chunk(MAX_CHARSET + 1)):
            charset += piece
        name = charset.strip().decode("latin-1")
        if len(charset) > MAX_CHARSET or find_charset(name) is None:
            raise PartEncodingError("Invalid default charset")
        return name

    def _get_part_reader(self, headers: CIMultiDictProxy[str]) -> MultipartReader | BodyPartReader:
        """Return a reader for the part that begins."""
        content = self._part_content = PartContent(self._body)
        if parse_mimetype(headers.get(hdrs.CONTENT_TYPE, "")).type == "multipart":
            reader_class = self.multipart_reader_cls or type(self)
            return reader_class(
                headers,
                content,
                client_max_size=self._client_max_size,
                max_field_size=self._max_field_size,
                max_headers=self._max_headers,
                max_size_error_cls=self._max_size_error_cls,
            )
        return self.part_reader_cls(
            self._boundary,
            headers,
            content,
            subtype=self._subtype,
            default_charset=self._default_charset,
            client_max_size=self._client_max_size,
            max_size_error_cls=self._max_size_error_cls,
        )


class BodyPartReaderPayload(Payload):
    """A part of a body that was received, passed on, decoded, as it comes."""

    _value: BodyPartReader

    def __init__(self, value: BodyPartReader, *args: Any, **kwargs: Any) -> None:
        super().__init__(value, *args, **kwargs)
        names = {"name": value.name, "filename": value.filename}
        params = {key: text for key, text in names.items() if text is not None}
        if params:
            self.set_content_disposition("attachment", True, **params)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        raise TypeError("Unable to decode: the part comes piece by piece")

    async def as_bytes(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """Raise TypeError: the part may be large and can be read once."""
        raise TypeError("Unable to read body part as bytes: use write()")

    async def write(self, writer: AbstractStreamWriter) -> None:
        part = self._value
        self._consumed = True
        while chunk := await part.read_chunk(READ_SIZE):
            async for data in part.decode_iter(chunk):
                await writer.write(data)


# Before the async iterables, one of which it is.
register_payload(BodyPartReaderPayload, BodyPartReader)
