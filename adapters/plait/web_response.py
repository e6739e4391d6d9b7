"""Responses of the server: complete ones, and those written piece by piece.

Strategy
--------
A ``StreamResponse`` sends its head in ``prepare``, its body in ``write``, its end in
``write_eof``; a ``ResponseWriter`` does the sending.  A ``Response`` knows its body beforehand
and waits with the head, so that all of it leaves as one command; the engine then frames it by
its length.

The header multidict is made only if somebody looks at it.  Until then the type is an attribute,
and what goes onto the wire is one of a few tuples that are made once a second
(``usual_headers``).

Short path: a ``Response`` that needs nothing of ``_start`` but its header fields is sent by
``_send_whole`` without a writer.  Signals, compression, trailers and a body that is sent in
pieces take the general path.  ``tests/adapters/test_short_paths.py`` holds the two together.

Rules
-----
* Framing belongs to the engine: no body after HEAD, with 204 and 304 (RFC 9110 section
  6.4.1), chunks or the close of the connection where there is no length, and no
  connection-specific fields on HTTP/2 (RFC 9113 section 8.2.2).  It says, too, that a
  connection lives on to a client of HTTP/1.0.
* A body that is not as long as its Content-Length, or a field that would split the
  message, raises LocalProtocolError.
"""

from __future__ import annotations

import asyncio
import json
import warnings
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any, Final

from multidict import CIMultiDict

from plait_engine import Headers
from plait_engine.semantics.content import WITHOUT_CONTENT
from plait_engine.semantics.reasons import REASONS

from . import hdrs, payload
from .abc import AbstractStreamWriter
from .compression_utils import ZLibCompressor
from .helpers import (
    ResponseKey,
    content_length_of,
    rfc822_formatted_time,
    sentinel,
)
from .http import SERVER_SOFTWARE
from .http_writer import LARGE_BODY, HttpVersion, HttpVersion11
from .payload import Payload
from .serving.compression import Compression, ContentCoding
from .serving.cookies import CookieMixin
from .serving.framing import drop_framing, show_framing
from .serving.keyed_state import KeyedState
from .serving.misuse import MisuseError, MisuseTypeError
from .serving.response_fields import FieldMixin, join_type, usual_headers
from .serving.response_writer import ResponseWriter
from .typedefs import JSONBytesEncoder, JSONEncoder, LooseHeaders

if TYPE_CHECKING:
    from .serving.exchange import ServerExchange
    from .web_request import BaseRequest

__all__ = (
    "ContentCoding",
    "Response",
    "StreamResponse",
    "json_bytes_response",
    "json_response",
)

_TEXT_PLAIN: Final = "text/plain; charset=utf-8"
_DEFAULT_TYPE: Final = "application/octet-stream"


class StreamResponse(KeyedState, CookieMixin, FieldMixin):
    """A response whose body is written piece by piece; also a mapping for the application.

    Args:
        status: the status code.
        reason: the reason phrase of HTTP/1.1; the standard one by default.  Raises
            ValueError when it has a CR or LF.
        headers: header fields.
    """

    _key_type = ResponseKey

    _status: int
    # What most responses do not have is a default of the class, not of each instance.
    _reason: str | None = None
    _multidict: CIMultiDict[str] | None = None
    _type: str | None = None
    """Content-Type, while there is no ``_multidict``."""
    _sent_headers: Headers = ()
    """What the short path sent, until somebody looks at ``headers``."""
    _whole = False
    """Nothing was asked for that only the general path can do."""
    _keep_alive: bool | None = None
    _chunked = False
    _compression: Compression | None = None
    _trailers: Headers = ()
    _req: BaseRequest | None = None
    """The request, once the response is prepared; packages read it by this name of aiohttp."""
    _payload_writer: AbstractStreamWriter | None = None
    """What sends the response, once it is prepared."""
    _send_headers_immediately = True
    """Do not wait with the head for the first bytes of the body."""
    _eof_sent = False
    _body_length = 0

    def __init__(
        self,
        *,
        status: int = 200,
        reason: str | None = None,
        headers: LooseHeaders | None = None,
        _real_headers: CIMultiDict[str] | None = None,
    ) -> None:
        if _real_headers is not None:
            self._multidict = _real_headers
        elif headers is not None:
            self._multidict = CIMultiDict(headers)
        self.set_status(status, reason)

    def __repr__(self) -> str:
        if self._eof_sent:
            info = "eof"
        elif self._req is not None:
            info = f"{self._req.method} {self._req.path} "
        else:
            info = "not prepared"
        return f"<{type(self).__name__} {self.reason} {info}>"

    @property
    def prepared(self) -> bool:
        """True once the head is made."""
        return self._eof_sent or self._payload_writer is not None

    @property
    def task(self) -> asyncio.Task[None] | None:
        """The task of the request, once the response is prepared."""
        return None if self._req is None else self._req.task

    @property
    def body_length(self) -> int:
        """Bytes of body that were sent, after compression."""
        writer = self._payload_writer
        return self._body_length if writer is None else writer.output_size

    @property
    def output_length(self) -> int:
        """Deprecated: ``body_length``."""
        warnings.warn("output_length is deprecated", DeprecationWarning, stacklevel=2)
        return self.body_length

    # -- status -------------------------------------------------------------------------

    @property
    def status(self) -> int:
        """The status code."""
        return self._status

    @property
    def reason(self) -> str:
        """The reason phrase."""
        return REASONS.get(self._status, "") if self._reason is None else self._reason

    def set_status(self, status: int, reason: str | None = None) -> None:
        """Set status and reason; not after the head was made."""
        self._check_unprepared("change the response status code")
        self._status = int(status)
        if reason is not None:
            if "\r" in reason or "\n" in reason:
                raise ValueError("Reason cannot contain \\r or \\n")
            self._whole = False
        self._reason = reason

    def _check_unprepared(self, what: str) -> None:
        if self.prepared:
            raise MisuseError(f"Cannot {what} after the headers have been sent")

    # -- framing and persistence ----------------------------------------------------------

    @property
    def keep_alive(self) -> bool | None:
        """Whether the connection lives on; ``None``: not decided yet."""
        return self._keep_alive

    def force_close(self) -> None:
        """Close an HTTP/1.1 connection after this response.  HTTP/2 has no such thing."""
        self._whole = False
        self._keep_alive = False

    @property
    def chunked(self) -> bool:
        """Whether chunked coding was asked for."""
        return self._chunked

    def enable_chunked_encoding(self, chunk_size: int | None = None) -> None:
        """Send the body without its length.

        Raises RuntimeError when a Content-Length is set.  ``chunk_size`` is deprecated.
        """
        if chunk_size is not None:
            warnings.warn("Chunk size is deprecated", DeprecationWarning, stacklevel=2)
        self._whole = False
        if hdrs.CONTENT_LENGTH in self.headers:
            raise RuntimeError("You can't enable chunked encoding when a content length is set")
        self._chunked = True

    @property
    def compression(self) -> bool:
        """Whether compression was asked for."""
        return self._compression is not None

    def enable_compression(
        self, force: bool | ContentCoding | None = None, strategy: int | None = None
    ) -> None:
        """Compress the body, with ``force`` or what the client accepts.

        ``strategy`` is zlib's.  A boolean ``force`` is deprecated.
        """
        if isinstance(force, bool):
            warnings.warn("Using boolean for force is deprecated", DeprecationWarning, stacklevel=2)
            force = ContentCoding.deflate if force else None
        elif force is not None and not isinstance(force, ContentCoding):
            raise MisuseTypeError("force should be one of ContentCoding")
        self._whole = False
        self._compression = Compression(force, strategy)

    # -- header fields ----------------------------------------------------------------------

    @property
    def headers(self) -> CIMultiDict[str]:
        """The header fields."""
        headers = self._multidict
        if headers is None:
            headers = self._multidict = CIMultiDict()
            if self._type is not None:
                headers[hdrs.CONTENT_TYPE] = self._type
        if self._sent_headers:
            self._show_sent(headers)
        return headers

    def _show_sent(self, headers: CIMultiDict[str]) -> None:
        """Put the fields into ``headers`` that the server and the engine added."""
        sent, self._sent_headers = self._sent_headers, ()
        for name, value in sent:
            headers.setdefault(name, value)
        if self._status not in WITHOUT_CONTENT:
            headers.setdefault(hdrs.CONTENT_LENGTH, str(self._body_length))

    @property
    def _headers(self) -> CIMultiDict[str]:
        """The header fields; packages read them by this name of aiohttp."""
        return self.headers

    @property
    def content_length(self) -> int | None:
        """Content-Length, or ``None``; ``None`` removes it."""
        return content_length_of(self.headers)

    @content_length.setter
    def content_length(self, value: int | None) -> None:
        if value is None:
            self.headers.pop(hdrs.CONTENT_LENGTH, None)
            return
        if self._chunked:
            raise RuntimeError("You can't set content length when chunked encoding is enable")
        self.headers[hdrs.CONTENT_LENGTH] = str(int(value))

    def set_trailers(self, trailers: LooseHeaders) -> None:
        """Send ``trailers`` behind the body (RFC 9110 section 6.5).

        They may be set until ``write_eof``.  On HTTP/1.1 they need a body without length
        and a client that says ``TE: trailers``; to others they are not sent.
        """
        if self._eof_sent:
            raise RuntimeError("Cannot set trailers after the end was sent")
        self._whole = False
        self._trailers = tuple(CIMultiDict(trailers).items())

    # -- sending ----------------------------------------------------------------------------

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:
        """Make the head for ``request``, send it, and return what writes the body.

        Later calls do nothing; after the end they return ``None``.  Raises
        ClientConnectionResetError when the client is gone.
        """
        if self._eof_sent:
            return None
        return self._payload_writer or await self._start(request)

    async def send_informational(
        self, status: int, headers: LooseHeaders = (), *, request: BaseRequest | None = None
    ) -> None:
        """Send a 1xx response ahead of this one (see ``BaseRequest.send_informational``).

        ``request``: what is answered; needed until the response is prepared.  Raises RuntimeError
        without it, LocalProtocolError when the head is sent: ``prepare`` of a ``StreamResponse``
        does that, of a ``Response`` the first bytes of the body do.
        """
        request = request or self._req
        if request is None:
            raise RuntimeError("The response is not prepared yet: give the request")
        await request.send_informational(status, headers)

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send a piece of the body, then wait until the client takes more.

        Raises ClientConnectionResetError when the client is gone.
        """
        if type(data) is not bytes and not isinstance(data, bytes | bytearray | memoryview):
            raise MisuseTypeError(f"data argument must be byte-ish ({type(data)!r})")
        if self._eof_sent:
            raise RuntimeError("Cannot call write() after write_eof()")
        writer = self._payload_writer
        if writer is None:
            raise RuntimeError("Cannot call write() before prepare()")
        await writer.write(data)

    async def write_eof(self, data: bytes = b"") -> None:
        """Send a last piece and end the body.  Later calls do nothing."""
        if self._eof_sent:
            return
        writer = self._payload_writer
        if writer is None:
            raise MisuseError("Response has not been started")
        trailers = self._sendable_trailers()
        if trailers and isinstance(writer, ResponseWriter):
            await writer.write_eof(data, trailers=trailers)
        else:
            await writer.write_eof(data)
        self._eof_sent = True

    async def drain(self) -> None:
        """Wait until the client takes more.  Deprecated: ``write`` does."""
        if not self.prepared:
            raise MisuseError("Response has not been started")
        warnings.warn("drain method is deprecated, use await resp.write()", DeprecationWarning, 2)
        if self._payload_writer is not None:
            await self._payload_writer.drain()

    def _send_whole(self, request: BaseRequest, exchange: ServerExchange) -> bool:
        """Send all of the response as one command, if that is all it needs; else do nothing."""
        return False

    async def _start(self, request: BaseRequest) -> AbstractStreamWriter:
        """Make the head, and send it unless it waits for the body."""
        if self._keep_alive is None:
            self._keep_alive = request.keep_alive
        compression = self._compression
        coding = None if compression is None else await self._start_compression(request)
        self._complete_headers()
        headers = self.headers
        show_framing(
            headers,
            request._event,
            self._status,
            length=None if coding else self._whole_length(),
            chunked=self._chunked,
            trailers=bool(self._trailers),
        )
        closes = not self._keep_alive and request._event.http_version != "2"
        says_close = closes and hdrs.CONNECTION not in headers
        if says_close:
            headers[hdrs.CONNECTION] = "close"
        await request._prepare_hook(self)
        self._req = request
        writer = self._payload_writer = request.writer
        if type(writer) is ResponseWriter:
            fields = tuple(headers.items())
            if says_close:  # The engine says it: it has more reasons than this one.
                fields = tuple(field for field in fields if field != ("Connection", "close"))
            writer.set_head(self._status, fields, self._reason, close=closes)
        else:
            await self._write_head(writer, request.version)
        if compression is not None and coding is not None:
            writer.enable_compression(coding, compression.strategy)
        if self._send_headers_immediately:
            writer.send_headers()
        return writer

    async def _write_head(self, writer: AbstractStreamWriter, version: HttpVersion) -> None:
        """Give the head to a writer of somebody else's: as HTTP/1.1 has it."""
        headers = self.headers
        if hdrs.TRANSFER_ENCODING in headers:
            writer.enable_chunking()
        writer.length = content_length_of(headers)
        status_line = f"HTTP/{version.major}.{version.minor} {self._status} {self.reason}"
        await writer.write_headers(status_line, headers)

    async def _start_compression(self, request: BaseRequest) -> str | None:
        """Return the coding with which the writer compresses the body; ``None``: it does not."""
        coding = self._negotiate(request)
        if coding is not None:
            self.headers.pop(hdrs.CONTENT_LENGTH, None)
        return coding

    def _negotiate(self, request: BaseRequest) -> str | None:
        """Return the coding to compress with, and say it in the headers; ``None``: none."""
        if self._compression is None:
            return None
        coding = self._compression.choose(request.headers.getall(hdrs.ACCEPT_ENCODING, ()))
        if coding is not None:
            self.headers[hdrs.CONTENT_ENCODING] = coding
        return coding

    def _complete_headers(self) -> None:
        """Add what the server says itself to the header fields."""
        headers = self.headers
        if self._wants_type() and self._status not in WITHOUT_CONTENT:
            headers.setdefault(hdrs.CONTENT_TYPE, _DEFAULT_TYPE)
        if self._cookies is not None:
            for cookie in self._cookie_fields():
                headers.add(hdrs.SET_COOKIE, cookie)
        headers.setdefault(hdrs.DATE, rfc822_formatted_time())
        headers.setdefault(hdrs.SERVER, SERVER_SOFTWARE)

    def _whole_length(self) -> int | None:
        """Return how many bytes the body has, if that is known."""
        return None

    def _wants_type(self) -> bool:
        return True

    def _sendable_trailers(self) -> Headers:
        """RFC 9110 section 6.5.1: trailers may get lost unless the client wants them."""
        if not self._trailers or self._req is None:
            return ()
        request = self._req
        if request.version == HttpVersion11 and not request._accepts_trailers():
            return ()
        return self._trailers


class Response(StreamResponse):
    """A response with a body that is known beforehand.

    Args:
        body: bytes, text, or whatever ``plait.payload`` has a payload for: a file, an async
            generator, a ``Payload``.  It is closed when it was sent, or cannot be.
        status, reason, headers: see ``StreamResponse``.
        text: the body as text, in place of ``body``.
        content_type: the media type, without charset; ``text/plain`` for ``text``.
        charset: how ``text`` is encoded, UTF-8 by default.
        zlib_executor_size: a longer body is compressed in an executor.
        zlib_executor: that executor, the loop's by default.

    Raises ValueError for arguments that contradict each other.
    """

    _whole = True
    _send_headers_immediately = False
    _body: bytes | Payload | None = None
    _compressed_body: bytes | None = None
    _zlib_executor_size = 4096
    _zlib_executor: Executor | None = None

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._whole = (
            cls.prepare is Response.prepare
            and cls.write_eof is Response.write_eof
            and cls._start is Response._start
        )

    def __init__(
        self,
        *,
        body: Any = None,  # aiohttp's signature; see the setter of ``body``
        status: int = 200,
        reason: str | None = None,
        text: str | None = None,
        headers: LooseHeaders | None = None,
        content_type: str | None = None,
        charset: str | None = None,
        zlib_executor_size: int = 4096,
        zlib_executor: Executor | None = None,
    ) -> None:
        self._status = status
        if reason is not None or type(status) is not int:
            self.set_status(status, reason)
        if headers is not None:
            self._multidict = CIMultiDict(headers)
        if zlib_executor_size != 4096:
            self._zlib_executor_size = zlib_executor_size
        if zlib_executor is not None:
            self._zlib_executor = zlib_executor
        if text is not None:
            if body is not None:
                raise ValueError("body and text are not allowed together")
            self._set_text(text, content_type, charset)
        else:
            if content_type is not None or charset is not None:
                self._set_type(content_type or _DEFAULT_TYPE, charset)
            if body is not None:
                self.body = body

    def _set_type(self, content_type: str, charset: str | None) -> None:
        if "charset" in content_type:
            raise ValueError("charset must not be in content_type argument")
        if self._multidict is not None:
            if hdrs.CONTENT_TYPE in self._multidict:
                raise ValueError(
                    "passing both Content-Type header and content_type or charset params"
                    " is forbidden"
                )
            self._multidict[hdrs.CONTENT_TYPE] = join_type(content_type, charset)
        else:
            self._type = join_type(content_type, charset)

    def _set_text(self, text: str, content_type: str | None, charset: str | None) -> None:
        if not isinstance(text, str):
            raise TypeError(f"text argument must be str ({type(text)!r})")
        if content_type is None and charset is None:
            if self._multidict is None:
                self._type = _TEXT_PLAIN
            elif hdrs.CONTENT_TYPE in self._multidict:
                self.text = text  # Which says the charset that it is encoded with.
                return
            else:
                # First, so that it is where one looks for it.
                self._multidict = CIMultiDict(
                    [("Content-Type", _TEXT_PLAIN), *self._multidict.items()]
                )
        else:
            self._set_type(content_type or "text/plain", charset or "utf-8")
        self._body = text.encode(charset or "utf-8")

    @property
    def body(self) -> bytes | Payload | None:
        """The body: bytes, or a payload, which gives the response its header fields.  Takes what
        ``Response`` takes; text is sent in UTF-8, and as ``text/plain`` if no type was given.

        Raises ValueError for an object that there is no payload for.
        """
        return self._body

    @body.setter
    def body(self, body: Any) -> None:  # whatever has a payload
        self._compressed_body = None
        if body is None or type(body) is bytes:
            self._body = body
        elif isinstance(body, bytes | bytearray | memoryview):
            self._body = bytes(body)
        elif isinstance(body, str):
            self._body = body.encode()
            if self._multidict is not None:
                self._multidict.setdefault(hdrs.CONTENT_TYPE, _TEXT_PLAIN)
            elif self._type is None:
                self._type = _TEXT_PLAIN
        else:
            try:
                self._body = made = payload.PAYLOAD_REGISTRY.get(body)
            except payload.LookupError:
                raise ValueError(f"Unsupported body type {type(body)!r}") from None
            self._whole = False
            headers = self.headers
            headers.setdefault(hdrs.CONTENT_TYPE, made.content_type)
            for name, value in made.headers.items():
                headers.setdefault(name, value)

    @property
    def text(self) -> str | None:
        """The body as text, by its charset or UTF-8.

        Reading a file blocks.  Raises TypeError for a body that is not there yet.
        """
        return None if self._body is None else self._body.decode(self.charset or "utf-8")

    @text.setter
    def text(self, text: str) -> None:
        if not isinstance(text, str):
            raise MisuseTypeError(f"text argument must be str ({type(text)!r})")
        self._compressed_body = None
        if self._multidict is None and self._type is None:
            self._type = _TEXT_PLAIN
            self._body = text.encode()
            return
        if self.content_type == _DEFAULT_TYPE:
            self.content_type = "text/plain"
        if self.charset is None:
            self.charset = "utf-8"
        self._body = text.encode(self.charset or "utf-8")

    @property
    def content_length(self) -> int | None:
        """The length of the body as it is sent, unless a header says another; ``None`` for
        a payload and with chunked coding."""
        if self._chunked:
            return None
        if self._multidict is not None and hdrs.CONTENT_LENGTH in self._multidict:
            return super().content_length
        body = self._sent_body
        return None if isinstance(body, Payload) else len(body or b"")

    @content_length.setter
    def content_length(self, value: int | None) -> None:
        raise RuntimeError("Content length is set automatically")

    @property
    def _sent_body(self) -> bytes | Payload | None:
        return self._body if self._compressed_body is None else self._compressed_body

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:
        """Make the head for ``request``; it is sent with the first bytes of the body."""
        try:
            return await super().prepare(request)
        except BaseException:
            if isinstance(self._body, Payload):
                await self._body.close()
            raise

    async def write_eof(self, data: bytes = b"") -> None:
        """Send the body, ``data``, and the end.  Later calls do nothing."""
        body = self._sent_body
        if not isinstance(body, Payload):
            await super().write_eof(data if body is None else body + data)
        elif not self._eof_sent:
            try:
                await self._write_payload(body)
                await super().write_eof(data)
            finally:
                await body.close()

    async def _write_payload(self, body: Payload) -> None:
        request, writer = self._req, self._payload_writer
        if request is None or writer is None:
            raise MisuseError("Response has not been started")
        # RFC 9110 section 6.4.1: there is nobody to read it.
        if request.method != hdrs.METH_HEAD and self._status not in WITHOUT_CONTENT:
            # A file may have grown since its length was told.
            await body.write_with_length(writer, content_length_of(self.headers))

    def _send_whole(self, request: BaseRequest, exchange: ServerExchange) -> bool:
        body = self._body or b""
        if (
            not self._whole
            or type(body) is not bytes  # It is a payload.
            or self._payload_writer is not None
            or (self._eof_sent and self._multidict is not None)  # It has another's fields.
            or request._prepare_apps
            or len(body) > LARGE_BODY
        ):
            return False
        if self._status in WITHOUT_CONTENT:
            body = b""
            if self._multidict is not None:
                drop_framing(self._multidict)
        if self._multidict is None and self._cookies is None:
            content_type = self._type
            if content_type is None and body:
                content_type = _DEFAULT_TYPE
            headers = usual_headers.get(content_type)
        else:
            self._complete_headers()
            headers = tuple(self.headers.items())
        exchange.respond(self._status, headers, body)
        self._eof_sent = True
        self._body_length = len(body)
        self._sent_headers = headers
        return True

    async def _start_compression(self, request: BaseRequest) -> str | None:
        """Compress bytes as a whole, so that their length is known."""
        body, compression = self._body, self._compression
        if self._chunked or isinstance(body, Payload):
            return await super()._start_compression(request)
        coding = self._negotiate(request) if body else None
        if body and compression is not None and coding is not None:
            compressor = ZLibCompressor(
                encoding=coding,
                strategy=compression.strategy,
                executor=self._zlib_executor,
                max_sync_chunk_size=self._zlib_executor_size,
            )
            self._compressed_body = await compressor.compress(body) + compressor.flush()
            self.headers.pop(hdrs.CONTENT_LENGTH, None)
        return None

    def _whole_length(self) -> int | None:
        body = self._sent_body
        return body.size if isinstance(body, Payload) else len(body or b"")

    def _wants_type(self) -> bool:
        return bool(self._body)


def json_response(
    data: Any = sentinel,  # whatever ``dumps`` takes
    *,
    text: str | None = None,
    body: bytes | None = None,
    status: int = 200,
    reason: str | None = None,
    headers: LooseHeaders | None = None,
    content_type: str = "application/json",
    dumps: JSONEncoder = json.dumps,
) -> Response:
    """Return a response with ``data`` as JSON.

    Raises ValueError when ``text`` or ``body`` is given too.
    """
    if data is not sentinel:
        if text or body:
            raise ValueError("only one of data, text, or body should be specified")
        text = dumps(data)
    return Response(
        text=text,
        body=body,
        status=status,
        reason=reason,
        headers=headers,
        content_type=content_type,
    )


def json_bytes_response(
    data: Any = sentinel,  # whatever ``dumps`` takes
    *,
    dumps: JSONBytesEncoder,
    body: bytes | None = None,
    status: int = 200,
    reason: str | None = None,
    headers: LooseHeaders | None = None,
    content_type: str = "application/json",
) -> Response:
    """Return a response with ``data`` as JSON, from an encoder that makes bytes.

    Raises ValueError when ``body`` is given too.
    """
    if data is not sentinel:
        if body is not None:
            raise ValueError("only one of data or body should be specified")
        body = dumps(data)
    return Response(
        body=body, status=status, reason=reason, headers=headers, content_type=content_type
    )
