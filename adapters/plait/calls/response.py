"""A client's response.

The head is kept as the engine gave it; headers, cookies and links are made of it when they
are asked for.  ``read()`` takes the pieces from the exchange; small responses are complete
before anybody asks.  ``content`` is a stream over the same pieces.
"""

from __future__ import annotations

import asyncio
import json
import warnings
from collections.abc import AsyncIterator, Sequence
from http.cookies import SimpleCookie
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from multidict import CIMultiDict, CIMultiDictProxy, MultiDictProxy
from yarl import URL

from plait.client_exceptions import (
    ClientConnectionError,
    ClientPayloadError,
)
from plait.hdrs import CONTENT_ENCODING, CONTENT_TYPE
from plait.helpers import NOOP, HeadersMixin, noop
from plait.http_writer import VERSIONS, HttpVersion
from plait.streams import EMPTY_PAYLOAD, StreamReader
from plait.transfers.events import read_events
from plait.typedefs import JSONDecoder, RawHeaders
from plait_engine import Response
from plait_engine.content.event_stream import MAX_EVENT_SIZE, EventStreamParser, ServerSentEvent
from plait_engine.headers import encode
from plait_engine.policy.secrecy import show_fields, without_credentials
from plait_engine.semantics.content import ENDED_BY_HEAD
from plait_engine.semantics.reasons import REASONS

from .body import read_body
from .cookies import parse_set_cookies
from .errors import content_type_error, status_error
from .exchange import OVER, ClientExchange, wake
from .links import read_links
from .media import (
    ContentDisposition,
    encoding_of,
    is_expected_type,
    read_content_disposition,
)
from .target import RequestInfo

if TYPE_CHECKING:
    from plait.client import ClientSession
    from plait.connector import Connection
    from plait.tracing import Trace


class ClientResponse(HeadersMixin):
    """A response; made by ``ClientRequest.send``.

    ``status``, ``reason``, ``version`` are those of the head.  HTTP/2 has no reason
    phrases: ``reason`` is the standard one there.

    When the status is 101, to a request with the fields Connection and Upgrade, ``content`` is
    what comes of the other protocol, ``connection.transport`` takes what is to be sent, and
    ``read()`` gives nothing.  ``close()`` ends it (RFC 9110 section 7.8).
    """

    version: HttpVersion | None = None
    status: int = None  # type: ignore[assignment]  # until start() was awaited
    reason: str | None = None

    _content: StreamReader | None = None
    _body: bytes | None = None
    _exchange: ClientExchange | None = None
    _headers: CIMultiDictProxy[str] | None = None
    _raw_headers: RawHeaders | None = None
    _head: Response | None = None
    _history: tuple[ClientResponse, ...] = ()
    _cookies: SimpleCookie | None = None
    _closed = False
    _released = False
    _in_context = False
    _upload_complete: asyncio.Future[None] | None = None
    _read_bufsize = 2**18
    _auto_decompress = True

    # By name is how others give what follows the URL; see ``ClientRequest.__init__``.
    def __init__(
        self,
        method: str,
        url: URL,
        traces: Sequence[Trace] | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
        session: ClientSession | None = None,
        writer: Any = None,
        continue100: Any = None,
        timer: Any = None,
        request_info: RequestInfo | None = None,
        stream_writer: Any = None,
    ) -> None:
        # The arguments are aiohttp's, for classes that extend this one or stand in for a
        # server.  What they are for, an exchange does: Any.
        self.method = method
        self._real_url = url
        self._loop = loop
        self._session = session
        self._request_info = request_info
        self._traces = traces or ()

    def __repr__(self) -> str:
        headers = show_fields(None if self._head is None else self.headers)
        reason = self.reason and self.reason.encode("ascii", "backslashreplace").decode()
        url = without_credentials(str(self.url))
        return f"<ClientResponse({url}) [{self.status} {reason}]>\n{headers}\n"

    def __del__(self, _warn: Any = warnings.warn) -> None:
        exchange = self._exchange
        if exchange is None or (exchange.state is OVER and not exchange.unacknowledged):
            return  # As it is after nearly all: nothing is left to let go of.
        if self._loop is None or self._loop.is_closed():
            return
        if exchange.let_go() and self._loop.get_debug():
            _warn(f"Unclosed response {self!r}", ResourceWarning, source=self)

    # -- the head -------------------------------------------------------------------

    async def start(self, connection: Connection) -> ClientResponse:
        """Wait for the head."""
        exchange = self._exchange
        assert exchange is not None
        waiter = exchange.expect_head()
        if waiter is not None:
            await waiter
        head = exchange.head or exchange.take_head()
        if not isinstance(head, Response):
            http2 = connection.driver.shared
            status, version = (200, "2") if http2 else (101, "1.1")
            head = Response(head.stream_id, status, head.headers, http_version=version)
            self._body = b""  # RFC 9110 section 15.2: a 1xx has no content.
        elif not exchange.request.read_until_eof and _ends_with_connection(head):
            exchange.end_here()
        self._head = head
        self.status = head.status
        self.version = VERSIONS[head.http_version]
        self.reason = head.reason or REASONS.get(head.status, "")
        return self

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """The header fields."""
        headers = self._headers
        if headers is None:
            fields = () if self._head is None else self._head.headers
            headers = self._headers = CIMultiDictProxy(CIMultiDict(fields))
        return headers

    @property
    def raw_headers(self) -> RawHeaders:
        """The header fields as bytes, in order."""
        raw = self._raw_headers
        if raw is None:
            fields = () if self._head is None else self._head.headers
            raw = tuple((encode(name), encode(value)) for name, value in fields)
            self._raw_headers = raw
        return raw

    @property
    def trailers(self) -> CIMultiDictProxy[str]:
        """The trailer fields; empty before the body was read to its end."""
        exchange = self._exchange
        return CIMultiDictProxy(CIMultiDict(() if exchange is None else exchange.trailers))

    @property
    def request_info(self) -> RequestInfo:
        """What was asked for."""
        info = self._request_info
        if info is None:
            assert self._exchange is not None
            info = self._request_info = self._exchange.request.request_info
        return info

    @property
    def url(self) -> URL:
        """The URL, without fragment."""
        url = self._real_url
        return url.with_fragment(None) if url.raw_fragment else url

    @property
    def url_obj(self) -> URL:
        """``url``.  Deprecated since 2018."""
        warnings.warn("url_obj is deprecated, use .url", DeprecationWarning, stacklevel=2)
        return self.url

    @property
    def real_url(self) -> URL:
        """The URL, with its fragment."""
        return self._real_url

    @property
    def host(self) -> str:
        """The host of the URL."""
        return self._real_url.host or ""

    @property
    def ok(self) -> bool:
        """True when the status is below 400."""
        return self.status < 400

    @property
    def history(self) -> tuple[ClientResponse, ...]:
        """The responses that redirected here, the first one first."""
        return self._history

    @property
    def cookies(self) -> SimpleCookie:
        """The cookies that the response sets."""
        cookies = self._cookies
        if cookies is None:
            # What stands in for a response (mocks, recorders) says its cookies itself.
            fields = [] if self._head is None else self.headers.getall("Set-Cookie", [])
            cookies = self._cookies = parse_set_cookies(fields)
        return cookies

    @cookies.setter
    def cookies(self, cookies: SimpleCookie) -> None:
        self._cookies = cookies

    @property
    def links(self) -> MultiDictProxy[MultiDictProxy[str | URL]]:
        """The Link fields (RFC 8288) by ``rel``, or else their target; ``url`` is absolute."""
        return read_links(self.url, self.headers.getall("Link", []))

    @property
    def content_disposition(self) -> ContentDisposition | None:
        """How to treat the content, ``None`` when the server does not say."""
        return read_content_disposition(self.headers.get("Content-Disposition"))

    def raise_for_status(self) -> None:
        """Raise ClientResponseError when the status is 400 or above."""
        if self.ok:
            return
        if not self._in_context:
            self.release()
        raise status_error(self)

    # -- the body ---------------------------------------------------------------------

    @property
    def content(self) -> StreamReader:
        """The body as a stream, decoded unless ``auto_decompress`` is off."""
        content = self._content
        if content is None:
            content = self._content = self._make_content()
            if self._closed:
                content.set_exception(ClientConnectionError("Connection closed"))
        return content

    @content.setter
    def content(self, content: StreamReader) -> None:
        self._content = content

    def _make_content(self) -> StreamReader:
        exchange = self._exchange
        if exchange is not None and exchange.accepted is not None:
            return read_body(exchange, "", self._read_bufsize)
        if exchange is None or (exchange.ended and self._ends_with_head()):
            return EMPTY_PAYLOAD
        # RFC 9110 section 5.3: several lines are one list.
        lines = self.headers.getall(CONTENT_ENCODING, ()) if self._auto_decompress else ()
        return read_body(exchange, ", ".join(lines), self._read_bufsize)

    def _ends_with_head(self) -> bool:
        return self.method == "HEAD" or self.status in ENDED_BY_HEAD

    async def read(self) -> bytes:
        """Return the whole body, decoded; the first time it is read, then kept.

        Raises ClientPayloadError when it is cut short or cannot be decoded,
        ClientConnectionError after ``close`` or ``release``.
        """
        if self._closed:
            raise ClientConnectionError("Connection closed")
        if self._body is None:
            try:
                self._body = await self._read_all()
                for trace in self._traces:
                    await trace.send_response_chunk_received(self.method, self.url, self._body)
            except BaseException:
                self.close()
                raise
        return self._body

    async def _read_all(self) -> bytes:
        exchange = self._exchange
        if (
            self._content is not None
            or exchange is None
            or (self._auto_decompress and CONTENT_ENCODING in self.headers)
        ):
            content: Any = self.content
            if isinstance(content, StreamReader):
                return await self._read_content(content)
            replaced: bytes = await content.read()  # An object of the program's own.
            return replaced
        pieces = exchange.take()
        try:
            while not exchange.ended:
                await exchange.wait_for_more()
                pieces += exchange.take()
        except ClientPayloadError as error:
            error.partial = b"".join(pieces + exchange.take())
            raise
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def _read_content(self, content: StreamReader) -> bytes:
        pieces = []
        try:
            while piece := await content.readany():
                pieces.append(piece)
        except ClientPayloadError as error:
            error.partial = b"".join([*pieces, content._take(content._size)])
            raise
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def get_encoding(self) -> str:
        """Return the encoding of the body as text.

        The one that Content-Type names, if Python knows it; UTF-8 for JSON (RFC 8259); what
        the session's ``fallback_charset_resolver`` says.  Raises RuntimeError when that
        needs the body and it was not read.
        """
        encoding = encoding_of(self.headers.get(CONTENT_TYPE, ""))
        if encoding is not None:
            return encoding
        if self._body is None:
            raise RuntimeError("Cannot compute fallback encoding of a not yet read body")
        resolve = None if self._session is None else self._session.fallback_charset_resolver
        return "utf-8" if resolve is None else resolve(self, self._body)

    async def text(self, encoding: str | None = None, errors: str = "strict") -> str:
        """Return the whole body as text."""
        body = await self.read() if self._body is None else self._body
        return body.decode(encoding or self.get_encoding(), errors=errors)

    async def json(
        self,
        *,
        encoding: str | None = None,
        loads: JSONDecoder = json.loads,
        content_type: str | None = "application/json",
    ) -> Any:
        """Return the body, decoded as JSON; ``None`` when it is empty.

        Raises ContentTypeError unless the media type is ``content_type`` (or another one
        of JSON); ``content_type=None`` takes any.
        """
        body = await self.read() if self._body is None else self._body
        if content_type and not is_expected_type(self.content_type, content_type):
            mimetype = self.headers.get(CONTENT_TYPE, "").lower()
            raise content_type_error(self, f"unexpected mimetype for JSON: {mimetype}")
        stripped = body.strip()
        if not stripped:
            return None
        return loads(stripped.decode(encoding or self.get_encoding()))

    def sse(self, *, max_event_size: int = MAX_EVENT_SIZE) -> AsyncIterator[ServerSentEvent]:
        """Return the server-sent events of this response, for ``async for``.

        They end with the response; ``session.sse`` asks for more then.  That raises
        ContentTypeError unless the media type is ``text/event-stream``, and
        EventTooLargeError for an event of more than ``max_event_size`` bytes.
        """
        return read_events(self, EventStreamParser(max_event_size=max_event_size))

    # -- the request ----------------------------------------------------------------------

    @property
    def output_size(self) -> int:
        """Bytes of the request's content that were sent, compressed.  Deprecated."""
        _deprecate("output_size")
        return 0 if self._exchange is None else self._exchange.sent

    @property
    def upload_complete(self) -> asyncio.Future[None]:
        """Done when the request's content is sent, or no more of it will be.  Deprecated."""
        _deprecate("upload_complete")
        future = self._upload_complete
        if future is None:
            loop = self._loop or asyncio.get_running_loop()
            future = self._upload_complete = loop.create_future()
            upload = None if self._exchange is None else self._exchange.upload
            if upload is None:
                future.set_result(None)
            else:
                upload.add_done_callback(lambda _: wake(future))
        return future

    # -- the end ------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """True when nothing more comes."""
        return self._closed or self._exchange is None or self._exchange.done

    @property
    def connection(self) -> Connection | None:
        """The connection, until the body is complete."""
        exchange = self._exchange
        return None if exchange is None or exchange.done else exchange.lease

    def close(self) -> None:
        """Give up the response, and on HTTP/1.1 the connection if something is left of it."""
        self._end()

    def release(self) -> noop:
        """Say that nothing more of the body is wanted.

        What has not come costs the connection on HTTP/1.1, and a reset of the stream on
        HTTP/2.
        """
        self._end()
        return NOOP

    def _end(self) -> None:
        if self._closed:
            return
        self._closed = self._released = True
        exchange = self._exchange
        if exchange is None:
            return
        if exchange.state is not OVER or exchange.unacknowledged:
            exchange.abandon()
        if exchange.pieces:
            exchange.take()
        content = self._content
        if content is not None and content.exception() is None:
            content.set_exception(ClientConnectionError("Connection closed"))
        elif content is None and exchange.sink is not None:  # Somebody else's.
            exchange.sink.feed_eof()

    async def wait_for_close(self) -> None:
        """Give up the response, and wait until the request is sent or its task is done."""
        exchange = self._exchange
        try:
            if exchange is not None and exchange.upload is not None:
                await asyncio.wait([exchange.upload])
        finally:
            self.release()

    async def __aenter__(self) -> Self:
        self._in_context = True
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._in_context = False
        self.release()


def _deprecate(name: str) -> None:
    warnings.warn(
        f"ClientResponse.{name} is deprecated, use UploadTracker", DeprecationWarning, stacklevel=3
    )


def _ends_with_connection(head: Response) -> bool:
    """Tell whether the body, if there is one, ends there (RFC 9112 section 6.3 item 8)."""
    return head.http_version != "2" and not any(
        name.lower() in ("content-length", "transfer-encoding") for name, _ in head.headers
    )
