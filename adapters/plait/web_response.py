"""Responses of the server: those whose body is known beforehand, and JSON.

Strategy
--------
A ``Response`` waits with its head, so that all of it leaves as one command; the engine then frames
it by its length.  Until somebody looks at its header multidict, what goes onto the wire is one of
a few tuples that are made once a second (``usual_headers``).

Short path: a ``Response`` that needs nothing of ``_start`` but its header fields is sent by
``_send_whole`` without a writer.  Signals, compression, trailers and a body that is sent in
pieces take the general path, that of ``StreamResponse``.  ``tests/adapters/test_short_paths.py``
holds the two together.
"""

from __future__ import annotations

import json
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any, Final

from multidict import CIMultiDict

from plait_engine.semantics.content import SWITCHING_PROTOCOLS, WITHOUT_CONTENT

from . import hdrs, payload
from .abc import AbstractStreamWriter
from .compression_utils import ZLibCompressor
from .helpers import content_length_of, sentinel
from .http_writer import LARGE_BODY
from .payload import Payload
from .serving.compression import ContentCoding
from .serving.framing import drop_framing
from .serving.misuse import MisuseError, MisuseTypeError
from .serving.response_fields import DEFAULT_TYPE, join_type, usual_headers
from .serving.stream_response import StreamResponse
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
                raise ValueError("text excludes body: give one of the two")
            self._set_text(text, content_type, charset)
        else:
            if content_type is not None or charset is not None:
                self._set_type(content_type or DEFAULT_TYPE, charset)
            if body is not None:
                self.body = body

    def _set_type(self, content_type: str, charset: str | None) -> None:
        if "charset" in content_type:
            raise ValueError("content_type holds a charset: give it as the argument charset")
        if self._multidict is not None:
            if hdrs.CONTENT_TYPE in self._multidict:
                raise ValueError("headers say a Content-Type: leave content_type and charset out")
            self._multidict[hdrs.CONTENT_TYPE] = join_type(content_type, charset)
        else:
            self._type = join_type(content_type, charset)

    def _set_text(self, text: str, content_type: str | None, charset: str | None) -> None:
        if not isinstance(text, str):
            raise TypeError(f"text must be a str, not {type(text).__name__}")
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
            raise MisuseTypeError(f"text must be a str, not {type(text).__name__}")
        self._compressed_body = None
        if self._multidict is None and self._type is None:
            self._type = _TEXT_PLAIN
            self._body = text.encode()
            return
        if self.content_type == DEFAULT_TYPE:
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
        raise RuntimeError("content_length of a Response follows from its body: set body instead")

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
            raise MisuseError("the response is not prepared: await prepare(request) first")
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
                content_type = DEFAULT_TYPE
            headers = usual_headers.get(content_type)
        elif self._status == SWITCHING_PROTOCOLS:
            return False
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
