"""Responses of the server: complete ones, and those written piece by piece.

Strategy
--------
A ``StreamResponse`` sends its head in ``prepare``, its body in ``write``, its end in
``write_eof``.  A ``Response`` knows its body beforehand and waits with the head, so that
all of it leaves as one command; the engine then frames it by its length.

Most responses are *plain*: a status, a body and a type, nothing else.  Their header
multidict is made only if somebody looks at it, and what goes onto the wire is one of a few
tuples that are made once a second (``_plain_headers``).  Whatever makes a response special
(a header, a cookie, compression ...) clears ``_plain``, and it takes the longer way
through ``_start``.

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
import time
import warnings
import zlib
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any, Final, TypeVar

from multidict import CIMultiDict

from plait_engine import Data, EndOfMessage, Headers
from plait_engine import Response as Head
from plait_engine.events import Sendable

from . import hdrs, payload
from .helpers import (
    rfc822_formatted_time,
    sentinel,
)
from .http import SERVER_SOFTWARE
from .http_writer import HttpVersion10, HttpVersion11, HttpVersion20
from .typedefs import JSONBytesEncoder, JSONEncoder, LooseHeaders
from .web_response_head import ContentCoding, ResponseHead, join_type

if TYPE_CHECKING:
    from .web_protocol import ServerExchange
    from .web_request import BaseRequest

__all__ = (
    "ContentCoding",
    "Response",
    "StreamResponse",
    "json_bytes_response",
    "json_response",
)

_T = TypeVar("_T")

LARGE_BODY: Final = 65536
"""A longer body is sent in pieces, waiting for the peer (asyncio's high-water mark)."""

_NO_BODY_STATUSES: Final = frozenset({204, 304})
_TEXT_PLAIN: Final = "text/plain; charset=utf-8"
_JSON: Final = "application/json; charset=utf-8"
_OCTETS: Final = "application/octet-stream"


_WBITS: Final = {ContentCoding.deflate: zlib.MAX_WBITS, ContentCoding.gzip: 16 + zlib.MAX_WBITS}


class _PlainHeaders:
    """The header sections of plain responses, made once a second for each type."""

    def __init__(self) -> None:
        self._second = 0
        self._by_type: dict[str | None, Headers] = {}

    def get(self, content_type: str | None) -> Headers:
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._by_type = {}
        headers = self._by_type.get(content_type)
        if headers is None:
            pairs = [("Date", rfc822_formatted_time()), ("Server", SERVER_SOFTWARE)]
            if content_type is not None:
                pairs.insert(0, ("Content-Type", content_type))
            headers = self._by_type[content_type] = tuple(pairs)
        return headers


_plain_headers: Final = _PlainHeaders()


class StreamResponse(ResponseHead):
    """A response whose body is written piece by piece; see ``ResponseHead``."""

    _compressor: zlib._Compress | None = None
    _req: BaseRequest | None = None
    """The request, once the response is prepared; packages read it by this name of aiohttp."""
    _exchange: ServerExchange | None = None
    """Where the response goes, once it is prepared."""
    _head: Head | None = None
    """The head that is ready and not yet sent."""
    _eof_sent = False
    _body_length = 0
    _trailers: Headers = ()

    @property
    def prepared(self) -> bool:
        """True once the head is made."""
        return self._eof_sent or self._exchange is not None

    @property
    def task(self) -> asyncio.Task[None] | None:
        """The task of the request, once the response is prepared."""
        return None if self._req is None else self._req.task

    @property
    def body_length(self) -> int:
        """Bytes of body that were sent, after compression."""
        return self._body_length

    @property
    def output_length(self) -> int:
        """Deprecated: ``body_length``."""
        warnings.warn("output_length is deprecated", DeprecationWarning, stacklevel=2)
        return self._body_length

    def __repr__(self) -> str:
        if self._eof_sent:
            info = "eof"
        elif self._req is not None:
            info = f"{self._req.method} {self._req.path} "
        else:
            info = "not prepared"
        return f"<{type(self).__name__} {self.reason} {info}>"

    # -- sending ----------------------------------------------------------------------------

    def set_trailers(self, trailers: LooseHeaders) -> None:
        """Send ``trailers`` behind the body (RFC 9110 section 6.5).

        They may be set until ``write_eof``.  On HTTP/1.1 they need a body without length
        and a client that says ``TE: trailers``; to others they are not sent.
        """
        if self._eof_sent:
            raise RuntimeError("Cannot set trailers after the end was sent")
        self._plain = False
        self._trailers = tuple(CIMultiDict(trailers).items())

    async def prepare(self, request: BaseRequest) -> None:
        """Make the head for ``request`` and send it.

        Later calls do nothing.  Raises ClientConnectionResetError when the client is gone.
        """
        if self._eof_sent or self._exchange is not None:
            return
        await self._start(request)
        self._send_head()

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send a piece of the body, then wait until the client takes more.

        Raises ClientConnectionResetError when the client is gone.
        """
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(f"data argument must be byte-ish ({type(data)!r})")
        exchange = self._exchange
        if self._eof_sent:
            raise RuntimeError("Cannot call write() after write_eof()")
        if exchange is None:
            raise RuntimeError("Cannot call write() before prepare()")
        piece = data if isinstance(data, bytes) else bytes(data)
        if self._status in _NO_BODY_STATUSES:
            return
        if self._compressor is not None:
            piece = self._compressor.compress(piece)
        if not piece or self._status in _NO_BODY_STATUSES:
            return
        self._send_head()
        self._body_length += len(piece)
        exchange.send(Data(exchange.stream_id, piece))
        if not exchange.can_send():
            await exchange.drain()

    async def write_eof(self, data: bytes = b"") -> None:
        """Send a last piece and end the body.  Later calls do nothing."""
        if self._eof_sent:
            return
        if self._exchange is None:
            raise RuntimeError("Response has not been started")
        if self._compressor is not None:
            data = self._compressor.compress(data) + self._compressor.flush()
        await self._finish(data)

    async def drain(self) -> None:
        """Wait until the client takes more.  Deprecated: ``write`` does."""
        warnings.warn("drain method is deprecated, use await resp.write()", DeprecationWarning, 2)
        if self._exchange is not None and not self._eof_sent:
            await self._exchange.drain()

    def _send_head(self) -> None:
        head, self._head = self._head, None
        if head is not None:
            assert self._exchange is not None
            self._exchange.send(head)

    async def _finish(self, data: bytes) -> None:
        """Send the head if it waits, ``data``, and the end."""
        exchange = self._exchange
        assert exchange is not None
        stream_id = exchange.stream_id
        if self._status in _NO_BODY_STATUSES:
            data = b""
        head, self._head = self._head, None
        events: list[Sendable] = (
            [Data(stream_id, data)] if head is None else [head, Data(stream_id, data)]
        )
        if len(data) > LARGE_BODY:
            exchange.send(*events)
            events.clear()
            await exchange.drain()
        exchange.send(*events, EndOfMessage(stream_id, self._sendable_trailers()))
        self._body_length += len(data)
        self._eof_sent = True
        self._compressor = None

    def _send_plainly(self, request: BaseRequest, exchange: ServerExchange) -> bool:
        """Send all of the response in one command, if it is plain; else do nothing."""
        return False

    async def _start(self, request: BaseRequest) -> None:
        """Make the head."""
        if self._keep_alive is None:
            self._keep_alive = request.keep_alive
        await self._start_compression(request)
        self._complete_headers(request)
        await request._prepare_hook(self)
        self._req = request
        self._exchange = exchange = request._exchange
        self._head = Head(
            exchange.stream_id, self._status, tuple(self.headers.items()), self._reason
        )

    async def _start_compression(self, request: BaseRequest) -> None:
        """Choose the coding."""
        coding = self._negotiate(request)
        if coding is not None:
            self.headers.pop(hdrs.CONTENT_LENGTH, None)
            self._compressor = self._make_compressor(coding)

    def _negotiate(self, request: BaseRequest) -> ContentCoding | None:
        """Return the coding to compress with, and say it in the headers; ``None``: none."""
        if not self._compression:
            return None
        coding = self._compression_force
        if coding is None:
            accepted = request.headers.get(hdrs.ACCEPT_ENCODING, "").lower()
            coding = next((c for c in ContentCoding if c.value in accepted), None)
        if coding is None or coding is ContentCoding.identity:
            return None
        self.headers[hdrs.CONTENT_ENCODING] = coding.value
        return coding

    def _make_compressor(self, coding: ContentCoding) -> zlib._Compress:
        strategy = self._compression_strategy
        return zlib.compressobj(
            wbits=_WBITS[coding],
            strategy=zlib.Z_DEFAULT_STRATEGY if strategy is None else strategy,
        )

    def _complete_headers(self, request: BaseRequest) -> None:
        """Add what the server says itself to the header fields."""
        headers = self.headers
        version = request.version
        has_body = self._status not in _NO_BODY_STATUSES
        if self._chunked:
            if version == HttpVersion10:
                raise RuntimeError("Using chunked encoding is forbidden for HTTP/1.0")
            headers.pop(hdrs.CONTENT_LENGTH, None)
        elif has_body and self._trailers and version == HttpVersion11:
            headers.pop(hdrs.CONTENT_LENGTH, None)
        if not has_body:
            headers.pop(hdrs.CONTENT_LENGTH, None)
            headers.pop(hdrs.TRANSFER_ENCODING, None)
        elif (
            version == HttpVersion11
            and hdrs.CONTENT_LENGTH not in headers
            and request.method != hdrs.METH_HEAD
        ):
            headers[hdrs.TRANSFER_ENCODING] = "chunked"
        if has_body and self._wants_type():
            headers.setdefault(hdrs.CONTENT_TYPE, _OCTETS)
        for cookie in self._cookie_fields():
            headers.add(hdrs.SET_COOKIE, cookie)
        headers.setdefault(hdrs.DATE, rfc822_formatted_time())
        headers.setdefault(hdrs.SERVER, SERVER_SOFTWARE)
        if not self._keep_alive and version != HttpVersion20:
            headers.setdefault(hdrs.CONNECTION, "close")

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
        body: bytes, or text as it is.
        status, reason, headers: see ``StreamResponse``.
        text: the body as text, in place of ``body``.
        content_type: the media type, without charset; ``text/plain`` for ``text``.
        charset: how ``text`` is encoded, UTF-8 by default.
        zlib_executor_size: a longer body is compressed in an executor.
        zlib_executor: that executor, the loop's by default.

    Raises ValueError for arguments that contradict each other.
    """

    _plain = True
    _body: bytes | None = None
    _zlib_executor_size = 4096
    _zlib_executor: Executor | None = None

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._plain = (
            cls.prepare is StreamResponse.prepare
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
            self._plain = False
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
                self._set_type(content_type or _OCTETS, charset)
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
                charset = self.charset
            else:
                # First, so that it is where one looks for it.
                self._multidict = CIMultiDict(
                    [("Content-Type", _TEXT_PLAIN), *self._multidict.items()]
                )
        else:
            self._set_type(content_type or "text/plain", charset or "utf-8")
        self._body = text.encode(charset or "utf-8")

    @property
    def body(self) -> bytes | None:
        """The body: bytes; takes text, too, which is sent in UTF-8 and as ``text/plain`` if
        no type was given.  Raises NotImplementedError for what else a client could send as a
        body, ValueError for all else."""
        return self._body

    @body.setter
    def body(self, body: bytes | bytearray | memoryview | str | None) -> None:
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
                payload.PAYLOAD_REGISTRY.get(body)
            except payload.LookupError:
                raise ValueError(f"Unsupported body type {type(body)!r}") from None
            raise NotImplementedError(f"{type(body)!r} is not supported as a body yet")

    @property
    def text(self) -> str | None:
        """The body as text, by its charset or UTF-8."""
        return None if self._body is None else self._body.decode(self.charset or "utf-8")

    @text.setter
    def text(self, text: str) -> None:
        if not isinstance(text, str):
            raise TypeError(f"text argument must be str ({type(text)!r})")
        if self._multidict is None and self._type is None:
            self._type = _TEXT_PLAIN
            self._body = text.encode()
            return
        if self.content_type == _OCTETS:
            self.content_type = "text/plain"
        if self.charset is None:
            self.charset = "utf-8"
        self._body = text.encode(self.charset or "utf-8")

    @property
    def content_length(self) -> int | None:
        """The length of the body as it is, unless it is chunked or a header says another."""
        if self._chunked:
            return None
        if self._multidict is not None and hdrs.CONTENT_LENGTH in self._multidict:
            return super().content_length
        return len(self._body or b"")

    @content_length.setter
    def content_length(self, value: int | None) -> None:
        raise RuntimeError("Content length is set automatically")

    async def prepare(self, request: BaseRequest) -> None:
        """Make the head for ``request``; it is sent with the first bytes of the body."""
        if not self._eof_sent and self._exchange is None:
            await self._start(request)

    async def write_eof(self, data: bytes = b"") -> None:
        """Send the body, ``data``, and the end.  Later calls do nothing."""
        if self._eof_sent:
            return
        if self._exchange is None:
            raise RuntimeError("Response has not been started")
        await self._finish((self._body or b"") + data)

    def _send_plainly(self, request: BaseRequest, exchange: ServerExchange) -> bool:
        body = self._body or b""
        if (
            not self._plain
            or self._cookies is not None
            or self._exchange is not None
            or request._prepare_apps
            or len(body) > LARGE_BODY
            or self._status in _NO_BODY_STATUSES
        ):
            return False
        content_type = self._type
        if content_type is None and body:
            content_type = _OCTETS
        stream_id = exchange.stream_id
        exchange.send(
            Head(stream_id, self._status, _plain_headers.get(content_type)),
            Data(stream_id, body),
            EndOfMessage(stream_id),
        )
        self._eof_sent = True
        self._body_length = len(body)
        return True

    async def _start_compression(self, request: BaseRequest) -> None:
        coding = self._negotiate(request) if self._body else None
        if coding is None:
            return
        body = self._body
        assert body is not None
        compressor = self._make_compressor(coding)
        if len(body) > self._zlib_executor_size:
            loop = asyncio.get_running_loop()
            self._body = await loop.run_in_executor(
                self._zlib_executor, lambda: compressor.compress(body) + compressor.flush()
            )
        else:
            self._body = compressor.compress(body) + compressor.flush()
        self.headers.pop(hdrs.CONTENT_LENGTH, None)

    def _complete_headers(self, request: BaseRequest) -> None:
        # RFC 9110 section 8.6: a response to HEAD without a body does not say how long it is.
        unknown = self._body is None and request.method == hdrs.METH_HEAD
        chunked = self._chunked or hdrs.TRANSFER_ENCODING in self.headers
        if not (chunked or unknown or hdrs.CONTENT_LENGTH in self.headers):
            self.headers[hdrs.CONTENT_LENGTH] = str(len(self._body or b""))
        super()._complete_headers(request)

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
