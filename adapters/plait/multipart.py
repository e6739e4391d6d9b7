"""Multipart bodies: read part by part as they come, and written as they go.

Strategy
--------
``plait_engine.content.multipart`` does the parsing; here it meets streams.  A reader has one
parser and feeds it from its stream; the content of a part is a stream again
(``PartContent``), so that a multipart inside of a part is read by a reader like any other.
Nothing is read that nobody asked for, and no more is held than came with one read.

Rules
-----
* The parts come one after another: to ask for the next one drops what is left of the last.
* ``MultipartError``, which is a ValueError, is raised for a body that is no multipart; its
  subclass ``PartEncodingError``, which is a RuntimeError too, for content that is not what its
  header fields say.
* In a form Content-Encoding and Content-Length of a part have no meaning (RFC 7578 section 4.8).
"""

from __future__ import annotations

import asyncio
import json
import sys
import uuid
import warnings
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, TypeGuard
from urllib.parse import parse_qsl, urlencode

from multidict import CIMultiDict, CIMultiDictProxy

from plait_engine.content.codings import CodingError
from plait_engine.content.disposition import find_parameter, parse_disposition
from plait_engine.content.multipart import (
    PART_TAIL,
    MultipartEnd,
    MultipartError,
    MultipartEvent,
    MultipartLimits,
    MultipartParser,
    PartBegin,
    PartData,
    PartEnd,
    boundary_parameter,
    encode_end,
    encode_part_head,
)
from plait_engine.content.transfer import (
    ENCODERS,
    IDENTITIES,
    TransferEncoder,
    decode_transfer,
    split_units,
)
from plait_engine.headers import is_token

from . import hdrs
from .abc import AbstractStreamWriter
from .compression_utils import ZLibCompressor, ZLibDecompressor
from .helpers import find_charset, media_type_parameter, parse_mimetype, printable, reify
from .http_exceptions import LineTooLong
from .log import internal_logger
from .payload import (
    BytesPayload,
    JsonPayload,
    LookupError,
    Payload,
    StringPayload,
    get_payload,
    register_payload,
)

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

READ_SIZE: Final = 2**18
"""Bytes read from a stream at once; content is given on in pieces of this size."""
MAX_LINE: Final = 2**17
"""Bytes of a line of a part's content, at most."""
MAX_CHARSET: Final = 31
"""Bytes of the name of a charset in a form, at most; the longest there is has 19."""
_CODINGS: Final = ("gzip", "deflate")
_NOT_IN_FORMS: Final = (hdrs.CONTENT_ENCODING, hdrs.CONTENT_LENGTH, hdrs.CONTENT_TRANSFER_ENCODING)


class PartEncodingError(MultipartError, RuntimeError):
    """The content of a part is not what its header fields say, or in an unknown coding."""


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
        category = BadContentDispositionHeader if problem.whole else BadContentDispositionParam
        warnings.warn(category(problem.text), stacklevel=2)
    return read.type, read.parameters


def content_disposition_filename(params: Mapping[str, str], name: str = "filename") -> str | None:
    """Return the value of a parameter, whichever of its notations was used.

    It is as the peer sent it and no path: do not open a file by it.
    """
    return find_parameter(params, name)


# -- reading ---------------------------------------------------------------------------------


class Readable(Protocol):
    """What a multipart body is read from."""

    async def read(self, n: int, /) -> bytes:
        """Return up to ``n`` bytes; none: the body is complete."""


class Rereadable(Readable, Protocol):
    """What a part alone is read from."""

    def unread_data(self, data: bytes, /) -> None:
        """Put bytes back in front."""


class _Body:
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
            self._error = error
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
                raise self._error
            data = await self._content.read(READ_SIZE)
            if data:
                self.parser.receive_data(data)
            else:
                self.parser.receive_eof()
        return event


class PartContent:
    """The content of a part, as a stream.

    It can be given to a MultipartReader, when the content is a multipart itself.
    """

    __slots__ = ("_body", "_data", "_ended", "_offset")

    def __init__(self, body: _Body) -> None:
        self._body = body
        self._data = b""
        self._offset = 0
        self._ended = False

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
            while piece := await self.read(READ_SIZE):
                pieces.append(piece)
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
            while not self._data and not self._ended:
                self._take(await self._body.next_event())
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


class BodyPartReader:
    """A part that is no multipart.

    Args:
        boundary: what separates the parts, with the leading ``--``.
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
        boundary: bytes,
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
        self._is_form_data = subtype == "form-data"
        self._default_charset = default_charset
        self._max_decompress_size = max_decompress_size
        self._client_max_size = client_max_size
        self._max_size_error_cls = max_size_error_cls
        self._content = (
            content if isinstance(content, PartContent) else self._content_of(boundary, content)
        )
        self._at_eof = False
        self._kept = b""
        """The beginning of a unit of the transfer coding, read and not given yet."""
        self._decompressor: ZLibDecompressor | None = None
        """What decompresses the content, when it is not complete."""
        self._cache: dict[str, Any] = {}

    def _content_of(self, boundary: bytes, body: Rereadable) -> PartContent:
        """Return the content of a part that stands alone; what follows it is left in ``body``."""
        length = self.headers.get(hdrs.CONTENT_LENGTH)
        parser = MultipartParser.inside_part(
            boundary.decode("latin-1").removeprefix("--"),
            () if length is None else (("Content-Length", str(length)),),
            is_form=self._is_form_data,
        )
        return PartContent(_Body(body, parser, lambda rest: body.unread_data(rest)))

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
        pieces = [self._kept]
        self._kept = b""
        size = 0
        while piece := await self._content.read(READ_SIZE):
            pieces.append(piece)
            size += len(piece)
            self._check_size(size)
        self._at_eof = True
        data = b"".join(pieces)
        if not decode or not data:
            return data
        pieces = []
        size = 0
        async for piece in self.decode_iter(data):
            pieces.append(piece)
            size += len(piece)
            self._check_size(size)
        if self._decompressor is not None:
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
        coding = self._transfer_coding
        if coding in IDENTITIES:
            data = await content.read(size)
            self._at_eof = content.at_eof()
            return data
        whole = b""
        while not whole and not self._at_eof:
            piece = await content.read(max(size - len(self._kept), 1))
            whole, self._kept = split_units(coding, self._kept + piece)
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
            raise PartEncodingError(
                f"data cannot be decoded with {printable(charset)} encoding"
            ) from error

    def at_eof(self) -> bool:
        """Tell whether all of the content was read."""
        return self._at_eof

    # -- decoding ----------------------------------------------------------------------------

    @property
    def _transfer_coding(self) -> str:
        return self.headers.get(hdrs.CONTENT_TRANSFER_ENCODING, "").strip().lower()

    def decode(self, data: bytes) -> bytes:
        """Return ``data``, a piece from ``read_chunk``, decoded.

        Raises ``max_size_error_cls`` when it decompresses to more than ``max_decompress_size``
        bytes; ``decode_iter`` has no limit.
        """
        data = self._decode_transfer(data)
        decompressor = self._decompressor or self._make_decompressor()
        if decompressor is None or not data:
            return data
        decoded = self._decompress(decompressor, data)
        if decompressor.data_available and self._decompress(decompressor, b""):
            raise self._max_size_error_cls(self._max_decompress_size)
        self._keep_decompressor(decompressor)
        return decoded

    async def decode_iter(self, data: bytes) -> AsyncIterator[bytes]:
        """Iterate over ``data``, a piece from ``read_chunk``, decoded: in pieces of
        ``max_decompress_size`` bytes at most."""
        data = self._decode_transfer(data)
        decompressor = self._decompressor or self._make_decompressor()
        if decompressor is None or not data:
            yield data
            return
        yield self._decompress(decompressor, data)
        while decompressor.data_available:
            await asyncio.sleep(0)  # A few bytes may be gigabytes: others have their turn.
            yield self._decompress(decompressor, b"")
        self._keep_decompressor(decompressor)

    def _decode_transfer(self, data: bytes) -> bytes:
        coding = self._transfer_coding
        try:
            return data if coding in IDENTITIES else decode_transfer(coding, data)
        except CodingError as error:
            raise PartEncodingError(f"{error}: {printable(coding)}") from error

    def _make_decompressor(self) -> ZLibDecompressor | None:
        coding = self.headers.get(hdrs.CONTENT_ENCODING, "").strip().lower()
        if self._is_form_data or coding in ("", "identity"):
            return None
        if coding not in _CODINGS:
            raise PartEncodingError(f"unknown content encoding: {printable(coding)}")
        return ZLibDecompressor(coding)

    def _decompress(self, decompressor: ZLibDecompressor, data: bytes) -> bytes:
        try:
            return decompressor.decompress_sync(data, self._max_decompress_size)
        except (zlib.error, CodingError) as error:
            raise PartEncodingError(f"invalid compressed content of a part: {error}") from error

    def _keep_decompressor(self, decompressor: ZLibDecompressor) -> None:
        """The next piece goes on with this stream, if it is not complete."""
        self._decompressor = None if decompressor.eof else decompressor

    # -- what the header fields say ------------------------------------------------------------

    def get_charset(self, default: str) -> str:
        """Return the charset of the content: the part's own, the form's, or ``default``."""
        content_type = self.headers.get(hdrs.CONTENT_TYPE, "")
        charset = parse_mimetype(content_type).parameters.get("charset")
        return charset or self._default_charset or default

    @reify
    def name(self) -> str | None:
        """The name of the field of a form, ``None`` without one."""
        return self._disposition("name")

    @reify
    def filename(self) -> str | None:
        """The name of the file, ``None`` without one.

        It is as the peer sent it and no path: do not open a file by it.
        """
        return self._disposition("filename")

    def _disposition(self, name: str) -> str | None:
        # The field is the peer's: who parses it by hand gets warnings, a log does not.
        read = parse_disposition(self.headers.get(hdrs.CONTENT_DISPOSITION))
        return find_parameter(read.parameters, name)


class MultipartResponseWrapper:
    """The parts of a response.  Behind the last one the connection is given back."""

    def __init__(self, resp: ClientResponse, stream: MultipartReader) -> None:
        self.resp = resp
        self.stream = stream

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> MultipartReader | BodyPartReader:
        part = await self.next()
        if part is None:
            raise StopAsyncIteration
        return part

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


class MultipartReader:
    """Reads a multipart body part by part.

    Args:
        headers: have the Content-Type.
        content: where the body is read from.
        client_max_size: bytes that ``read`` of a part accepts.
        max_field_size: bytes of a header field of a part.
        max_headers: header fields of a part.
        max_size_error_cls: raised, with the limit, by ``read`` of a part.

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
    ) -> None:
        media_type = headers[hdrs.CONTENT_TYPE]
        kind = parse_mimetype(media_type)
        if kind.type != "multipart":
            raise MultipartError(f"no multipart media type: {printable(media_type)}")
        boundary = media_type_parameter(media_type, "boundary")
        if boundary is None:
            raise MultipartError(f"boundary missed for Content-Type: {printable(media_type)}")
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
                parts=None,
                fields=max_headers,
                field_line=max_field_size,
                header_section=max(MultipartLimits().header_section, max_field_size),
            )
            parser = MultipartParser(boundary, is_form=is_form, limits=limits)
        self._body = _Body(content, parser)
        self._part_content: PartContent | None = None
        self._last_part: MultipartReader | BodyPartReader | None = None
        self._next_headers: CIMultiDictProxy[str] | None = None
        self._default_charset: str | None = None
        self._at_bof = True
        self._at_eof = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> MultipartReader | BodyPartReader:
        part = await self.next()
        if part is None:
            raise StopAsyncIteration
        return part

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
        if is_first and self._subtype == "form-data" and isinstance(part, BodyPartReader):
            read = parse_disposition(part.headers.get(hdrs.CONTENT_DISPOSITION))
            if read.parameters.get("name") == "_charset_":
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
            if isinstance(self._last_part, BodyPartReader):
                await self._last_part.release()
            self._part_content = self._last_part = None
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


# -- writing ---------------------------------------------------------------------------------


class _Writable(Protocol):
    """What a part of a payload writes itself to."""

    async def write(self, chunk: bytes, /) -> None: ...


_Part = tuple[Payload, str | None, str | None]
"""A part, its Content-Encoding and its Content-Transfer-Encoding."""


class MultipartWriter(Payload):
    """A multipart body to send.

    Args:
        subtype: ``mixed``, ``form-data``, ``related`` ...
        boundary: what separates the parts; a random one by default.

    Raises ValueError for a boundary that cannot be one (RFC 2046 section 5.1.1).
    """

    _value: None

    def __init__(self, subtype: str = "mixed", boundary: str | None = None) -> None:
        if not is_token(subtype):
            raise ValueError(f"{subtype!r} is no subtype of a media type")
        self._boundary = uuid.uuid4().hex if boundary is None else boundary
        parameter = boundary_parameter(self._boundary)
        super().__init__(None, content_type=f"multipart/{subtype}; boundary={parameter}")
        self._is_form_data = subtype == "form-data"
        self._parts: list[_Part] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        pass

    def __iter__(self) -> Iterator[_Part]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def __bool__(self) -> bool:
        return True

    @property
    def boundary(self) -> str:
        """What separates the parts."""
        return self._boundary

    @property
    def consumed(self) -> bool:
        """True when a part was sent and is used up by it."""
        return self._consumed or any(part.consumed for part, _, _ in self._parts)

    @property
    def autoclose(self) -> bool:
        """True when there is nothing to close."""
        return all(part.autoclose for part, _, _ in self._parts)

    @property
    def replayable(self) -> bool:
        """True when all parts can be sent from their beginning now."""
        return all(part.replayable for part, _, _ in self._parts)

    def append(self, obj: Any, headers: Mapping[str, str] | None = None) -> Payload:
        """Add a part: a payload, or anything that one can be made of.

        Raises TypeError for other objects, and what ``append_payload`` raises.
        """
        if isinstance(obj, Payload):
            obj.headers.update(headers or {})
            return self.append_payload(obj)
        try:
            payload = get_payload(obj, headers=headers)
        except LookupError:
            raise TypeError(f"Cannot create payload from {obj!r}") from None
        return self.append_payload(payload)

    def append_payload(self, payload: Payload) -> Payload:
        """Add a part.  Its header fields say how it is encoded.

        Raises RuntimeError for an unknown coding, and for one in a form (RFC 7578 section 4.8);
        ValueError for a header field that cannot be sent.
        """
        headers = payload.headers
        coding = transfer_coding = None
        if self._is_form_data:
            for name in _NOT_IN_FORMS:
                if name in headers:
                    raise RuntimeError(f"a part of a form has no {name}")
            if hdrs.CONTENT_DISPOSITION not in headers:
                payload.set_content_disposition("form-data", name=f"section-{len(self)}")
        else:
            coding = headers.get(hdrs.CONTENT_ENCODING, "").lower()
            if coding in ("", "identity"):
                coding = None
            elif coding not in _CODINGS:
                raise RuntimeError(f"unknown content encoding: {coding}")
            transfer_coding = headers.get(hdrs.CONTENT_TRANSFER_ENCODING, "").lower()
            if transfer_coding in ("", "binary"):
                transfer_coding = None
            elif transfer_coding not in ENCODERS:
                raise RuntimeError(f"unknown content transfer encoding: {transfer_coding}")
            if payload.size is not None and not coding and not transfer_coding:
                headers[hdrs.CONTENT_LENGTH] = str(payload.size)
        encode_part_head(self._boundary, headers.items())
        self._parts.append((payload, coding, transfer_coding))
        return payload

    def append_json(self, obj: Any, headers: Mapping[str, str] | None = None) -> Payload:
        """Add an object as JSON."""
        return self.append_payload(JsonPayload(obj, headers=headers))

    def append_form(
        self,
        obj: Sequence[tuple[str, str]] | Mapping[str, str],
        headers: Mapping[str, str] | None = None,
    ) -> Payload:
        """Add an urlencoded form.  Raises TypeError for what is no sequence or mapping."""
        if not isinstance(obj, Sequence | Mapping):
            raise TypeError(f"obj must be a sequence of pairs or a mapping, not {obj!r}")
        items = list(obj.items()) if isinstance(obj, Mapping) else obj
        return self.append_payload(
            StringPayload(
                urlencode(items, doseq=True),
                headers=headers,
                content_type="application/x-www-form-urlencoded",
            )
        )

    @property
    def size(self) -> int | None:
        """The bytes of the body, or ``None`` when that is not known."""
        total = len(encode_end(self._boundary))
        for part, coding, transfer_coding in self._parts:
            size = part.size
            if size is None or coding or transfer_coding:
                return None
            total += len(self._head(part)) + size + len(PART_TAIL)
        return total

    def _head(self, part: Payload) -> bytes:
        headers = part.headers
        if hdrs.CONTENT_LENGTH in headers and part.size is not None:
            headers[hdrs.CONTENT_LENGTH] = str(part.size)  # A multipart may have grown.
        return encode_part_head(self._boundary, headers.items())

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the body as text.  It reads files: call it in a thread, or use ``as_bytes``.

        Raises TypeError for a part that has a coding, or comes piece by piece.
        """
        pieces = []
        for part, coding, transfer_coding in self._parts:
            if coding or transfer_coding:
                raise TypeError("a part has to be encoded: use as_bytes()")
            pieces.append(self._head(part).decode(encoding, errors))
            pieces.append(part.decode(encoding, errors))
            pieces.append(PART_TAIL.decode())
        pieces.append(encode_end(self._boundary).decode())
        return "".join(pieces)

    async def as_bytes(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """Return the body."""
        collected = _Collector()
        await self.write(collected)  # type: ignore[arg-type]  # all that it needs is write()
        return b"".join(collected.pieces)

    async def write(self, writer: AbstractStreamWriter, close_boundary: bool = True) -> None:
        """Write the body; without its end if ``close_boundary`` is false."""
        pieces: list[bytes] = []
        size = 0
        for part, coding, transfer_coding in self._parts:
            pieces.append(self._head(part))
            if _is_at_hand(part) and not coding and not transfer_coding:
                pieces.append(part.content_bytes())
                size += part.size or 0
            else:
                await writer.write(b"".join(pieces))
                pieces = []
                await self._write_part(part, coding, transfer_coding, writer)
            pieces.append(PART_TAIL)
            if size > _WORTH_WRITING:
                await writer.write(b"".join(pieces))
                pieces = []
                size = 0
        if close_boundary:
            pieces.append(encode_end(self._boundary))
        if pieces:
            await writer.write(b"".join(pieces))

    @staticmethod
    async def _write_part(
        part: Payload, coding: str | None, transfer_coding: str | None, writer: AbstractStreamWriter
    ) -> None:
        if not coding and not transfer_coding:
            await part.write(writer)
            return
        encoder = MultipartPayloadWriter(writer)
        if coding:
            encoder.enable_compression(coding)
        if transfer_coding:
            encoder.enable_encoding(transfer_coding)
        await part.write(encoder)  # type: ignore[arg-type]  # all that it needs is write()
        await encoder.write_eof()

    async def close(self) -> None:
        """Close what the parts are read from.  What that raises is logged."""
        if self._consumed:
            return
        self._consumed = True
        for part, _, _ in self._parts:
            if not part.autoclose:
                try:
                    await part.close()
                except Exception:
                    internal_logger.exception("Failed to close a part of a multipart body")


_WORTH_WRITING: Final = 2**16
"""Bytes of small parts that are collected for one write."""


def _is_at_hand(part: Payload) -> TypeGuard[BytesPayload]:
    """Tell whether the part is small and may be written together with others."""
    return (
        isinstance(part, BytesPayload)
        and type(part).write is BytesPayload.write
        and (part.size or 0) <= _WORTH_WRITING
    )


class _Collector:
    """A writer that keeps what is written."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    async def write(self, chunk: bytes | bytearray | memoryview) -> None:
        self.pieces.append(bytes(chunk))


class MultipartPayloadWriter:
    """Encodes what is written: Content-Encoding first, then Content-Transfer-Encoding."""

    def __init__(self, writer: _Writable) -> None:
        self._writer = writer
        self._compressor: ZLibCompressor | None = None
        self._encoder: TransferEncoder | None = None

    def enable_encoding(self, encoding: str) -> None:
        """Encode as base64 or quoted-printable; other names change nothing."""
        if encoding in ENCODERS:
            self._encoder = ENCODERS[encoding]()

    def enable_compression(self, encoding: str = "deflate", strategy: int | None = None) -> None:
        """Compress as gzip or deflate.

        deflate is the bare format, which aiohttp's reader expects in a part, not that of RFC
        1950; plait's reads both.
        """
        self._compressor = ZLibCompressor(encoding, suppress_deflate_header=True, strategy=strategy)

    async def write(self, chunk: bytes) -> None:
        """Write ``chunk`` encoded."""
        if self._compressor is not None:
            chunk = await self._compressor.compress(bytes(chunk))
        await self._write(chunk)

    async def write_eof(self) -> None:
        """Write what was kept; nothing follows."""
        if self._compressor is not None:
            await self._write(self._compressor.flush())
        if self._encoder is not None and (rest := self._encoder.finish()):
            await self._writer.write(rest)

    async def _write(self, data: bytes) -> None:
        if self._encoder is not None and data:
            data = self._encoder.encode(data)
        if data:
            await self._writer.write(data)
