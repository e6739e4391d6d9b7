"""The response whose body is written piece by piece; what all responses have in common.

Strategy
--------
A ``StreamResponse`` sends its head in ``prepare``, its body in ``write``, its end in
``write_eof``; a ``ResponseWriter`` does the sending.

The header multidict is made only if somebody looks at it.  Until then the type is an attribute.

Rules
-----
* Framing belongs to the engine: no body after HEAD, with 204 and 304 (RFC 9110 section
  6.4.1), chunks or the close of the connection where there is no length, and no
  connection-specific fields on HTTP/2 (RFC 9113 section 8.2.2).  It says, too, that a
  connection lives on to a client of HTTP/1.0.
* A body that is not as long as its Content-Length, or a field that would split the
  message, raises LocalProtocolError.
* The status 101 with a field Upgrade switches to a protocol that the request asks for (RFC 9110
  section 7.8), when all of its content has come.  From ``prepare`` on, ``write`` sends bytes of
  that protocol, ``request.content`` gives them, and both end with the handler.
"""

from __future__ import annotations

import asyncio
import warnings
from typing import TYPE_CHECKING, Final

from multidict import CIMultiDict

from plait import hdrs
from plait.abc import AbstractStreamWriter
from plait.helpers import ResponseKey, content_length_of, rfc822_formatted_time
from plait.http import SERVER_SOFTWARE
from plait.http_writer import HttpVersion, HttpVersion11
from plait.typedefs import LooseHeaders
from plait_engine import Headers
from plait_engine.semantics.content import SWITCHING_PROTOCOLS, WITHOUT_CONTENT
from plait_engine.semantics.reasons import REASONS

from .compression import Compression, ContentCoding
from .cookies import CookieMixin
from .framing import show_framing
from .keyed_state import KeyedState
from .misuse import MisuseError, MisuseTypeError
from .response_fields import DEFAULT_TYPE, FieldMixin
from .response_writer import ResponseWriter

if TYPE_CHECKING:
    from plait.web_request import BaseRequest

    from .exchange import ServerExchange

__all__ = ("StreamResponse",)

WITHOUT_TYPE: Final = WITHOUT_CONTENT | {SWITCHING_PROTOCOLS}
"""Statuses of responses that get no Content-Type by themselves."""


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
    """What ``_send_whole`` sent, until somebody looks at ``headers``."""
    _whole = False
    """Nothing was asked for that only the general path can do."""
    _keep_alive: bool | None = None
    _chunked = False
    _compression: Compression | None = None
    _trailers: Headers = ()
    _req: BaseRequest | None = None
    """The request, once the head is made; packages read it by this name of aiohttp."""
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
        """The task of the request, in ``on_response_prepare`` and from then on."""
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
            raise RuntimeError("chunked coding excludes the Content-Length that is set")
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
            raise RuntimeError("chunked coding is on: it excludes a content length")
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
            raise MisuseTypeError(
                f"data must be bytes, bytearray or memoryview, not {type(data).__name__}"
            )
        if self._eof_sent:
            raise RuntimeError("the body has ended: write() comes before write_eof()")
        writer = self._payload_writer
        if writer is None:
            raise RuntimeError("the response has not started: await prepare() before write()")
        await writer.write(data)

    async def write_eof(self, data: bytes = b"") -> None:
        """Send a last piece and end the body.  Later calls do nothing."""
        if self._eof_sent:
            return
        writer = self._payload_writer
        if writer is None:
            raise MisuseError("the response is not prepared: await prepare(request) first")
        trailers = self._sendable_trailers()
        if trailers and isinstance(writer, ResponseWriter):
            await writer.write_eof(data, trailers=trailers)
        else:
            await writer.write_eof(data)
        self._eof_sent = True

    async def drain(self) -> None:
        """Wait until the client takes more.  Deprecated: ``write`` does."""
        if not self.prepared:
            raise MisuseError("the response is not prepared: await prepare(request) first")
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
        if self._status == SWITCHING_PROTOCOLS:
            await request._finish_content()
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
        self._req = request
        await request._prepare_hook(self)
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
        if self._wants_type() and self._status not in WITHOUT_TYPE:
            headers.setdefault(hdrs.CONTENT_TYPE, DEFAULT_TYPE)
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
