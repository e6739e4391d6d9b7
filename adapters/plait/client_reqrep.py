"""A client's request and its response.

Strategy
--------
``ClientRequest`` collects what goes out in ``headers`` and ``body``; ``send`` gives it to
an exchange.  What depends on the server alone is worked out once for each and kept
(``calls.target``).  A body that is all there leaves with the head in one write; another one
is sent by a task, while the response may already be coming.

The head of a response is kept as the engine gave it; headers, cookies and links are made of
it when they are asked for.  ``read()`` takes the pieces from the exchange; small responses
are complete before anybody asks.  ``content`` is a stream over the same pieces.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import warnings
import weakref
from collections.abc import Callable, Iterable, Sequence
from http.cookies import SimpleCookie
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from multidict import CIMultiDict, CIMultiDictProxy, MultiDictProxy
from yarl import URL

from plait_engine import Request, Response
from plait_engine.headers import encode, is_token
from plait_engine.semantics.reasons import REASONS

from .abc import AbstractStreamWriter
from .calls.body import read_body
from .calls.content import describe, make_payload
from .calls.cookies import cookie_field
from .calls.exchange import ClientExchange
from .calls.fields import field_pairs
from .calls.links import read_links
from .calls.media import (
    ContentDisposition,
    encoding_of,
    is_expected_type,
    read_content_disposition,
)
from .calls.sending import send_request, send_upgrade, tell_sent
from .calls.target import ConnectionKey, RequestInfo, find_server
from .calls.timeouts import ClientClock
from .calls.tls import Fingerprint
from .client_exceptions import ClientConnectionError, ClientResponseError, ContentTypeError
from .compression_utils import ACCEPT_ENCODING, COMPRESSORS
from .cookiejar import parse_set_cookies
from .hdrs import CONTENT_TYPE
from .helpers import NOOP, BasicAuth, HeadersMixin, noop
from .http import SERVER_SOFTWARE
from .http_writer import VERSIONS, HttpVersion, HttpVersion11
from .payload import Payload
from .streams import EMPTY_PAYLOAD, StreamReader
from .typedefs import JSONDecoder, LooseCookies, LooseHeaders, Query, RawHeaders

if TYPE_CHECKING:
    import ssl as ssl_module

    from .client import ClientSession
    from .connector import Connection
    from .tracing import Trace

__all__ = ("ClientRequest", "ClientResponse", "ConnectionKey", "Fingerprint", "RequestInfo")


class ClientRequest:
    """A request, ready to be sent.

    The arguments are those of ``ClientSession.request``.  ``clock`` keeps its deadlines.

    Raises ValueError for arguments that contradict each other, and for a method, header
    or cookie that could not be sent as one.
    """

    GET_METHODS: ClassVar = {"GET", "HEAD", "OPTIONS", "TRACE"}
    POST_METHODS: ClassVar = {"PATCH", "POST", "PUT"}
    ALL_METHODS: ClassVar = GET_METHODS | POST_METHODS | {"DELETE"}
    DEFAULT_HEADERS: ClassVar = {"Accept": "*/*", "Accept-Encoding": ACCEPT_ENCODING}

    method = "GET"
    url = URL()
    auth: BasicAuth | None = None
    headers: CIMultiDict[str]
    compress: str | None = None
    length: int | None = None
    traces: Sequence[Trace] = ()
    """Who hears of the request."""
    is_sent_again = False
    """A connection took the request before, and nothing came of it."""
    closes_body = False
    """The content is to be closed when it is sent."""

    _body: Payload | None = None
    _skip_auto_headers: CIMultiDict[None] | None = None
    _request_info: RequestInfo | None = None
    _response: weakref.ref[ClientResponse] | None = None

    def __init__(
        self,
        method: str,
        url: URL,
        *,
        params: Query = None,
        headers: LooseHeaders | None = None,
        skip_auto_headers: Iterable[str] | None = None,
        data: Any = None,
        cookies: LooseCookies | None = None,
        auth: BasicAuth | None = None,
        version: HttpVersion = HttpVersion11,
        compress: str | bool | None = None,
        chunked: bool | None = None,
        expect100: bool = False,
        loop: asyncio.AbstractEventLoop | None = None,
        response_class: type[ClientResponse] | None = None,
        proxy: URL | None = None,
        proxy_auth: BasicAuth | None = None,
        timer: object = None,
        session: ClientSession | None = None,
        ssl: ssl_module.SSLContext | bool | Fingerprint = True,
        proxy_headers: LooseHeaders | None = None,
        traces: Sequence[Trace] | None = None,
        trust_env: bool = False,
        server_hostname: str | None = None,
        clock: ClientClock | None = None,
        limits: tuple[int, int, int] | None = None,
    ) -> None:
        if method not in self.ALL_METHODS and not is_token(method):
            raise ValueError(f"Method cannot contain non-token characters {method!r}")
        if proxy is not None or proxy_auth is not None or proxy_headers is not None:
            raise NotImplementedError("proxies are not supported yet")
        if version != HttpVersion11:
            raise NotImplementedError("a request is sent as HTTP/1.1 or HTTP/2")
        if params:
            url = url.extend_query(params)
        self.method = method.upper()
        self.version = version
        self.loop = loop
        self.chunked = chunked
        self.response_class = response_class or ClientResponse
        self.server_hostname = server_hostname
        self.clock = clock
        if traces:
            self.traces = traces
        self._session = session
        self._ssl = ssl
        self._limits = limits
        self._server = find_server(url)
        if self._server.authorization is not None:
            url = url.with_user(None)
        self.original_url = url
        self.url = url.with_fragment(None) if url.raw_fragment else url
        # A class that extends this one may have replaced steps that do nothing here.
        extended = type(self) is not ClientRequest
        if headers or skip_auto_headers or extended:
            self.update_headers(headers)
            self.update_auto_headers(skip_auto_headers)
        else:
            self.headers = CIMultiDict(_plain_headers(self._server.authority))
        if cookies:
            self.update_cookies(cookies)
        if compress or extended:
            self.update_content_encoding(data, compress)
        if auth is not None or self._server.authorization is not None or extended:
            self.update_auth(auth)
        if data is not None or self.method not in self.GET_METHODS or extended:
            self.update_body_from_data(data)
        if headers or self.chunked or extended:
            self.update_transfer_encoding()
        if expect100:
            self.update_expect_continue(True)

    def __repr__(self) -> str:
        return f"<ClientRequest {self.method} {self.url}>"

    # -- properties -----------------------------------------------------------------

    @property
    def host(self) -> str:
        """The host of the URL."""
        return self._server.host

    @property
    def port(self) -> int | None:
        """The port of the URL."""
        return self._server.port

    def is_ssl(self) -> bool:
        """Tell whether the URL asks for TLS."""
        return self._server.is_ssl

    @property
    def ssl(self) -> ssl_module.SSLContext | bool | Fingerprint:
        """The ``ssl`` argument."""
        return self._ssl

    @property
    def session(self) -> ClientSession:
        """The session that makes the request.  Raises RuntimeError when there is none."""
        if self._session is None:
            raise RuntimeError("the request belongs to no session")
        return self._session

    @property
    def connection_key(self) -> ConnectionKey:
        """What connections are good for this request."""
        key = self._server.key
        if self._ssl is True and self.server_hostname is None and self._limits is None:
            return key
        return key._replace(
            ssl=self._ssl,
            server_hostname=self.server_hostname,
            limits=self._limits,
        )

    @property
    def request_info(self) -> RequestInfo:
        """What was asked for, for responses and errors."""
        info = self._request_info
        if info is None:
            headers = CIMultiDictProxy(self.headers)
            info = RequestInfo(self.url, self.method, headers, self.original_url)
            self._request_info = info
        return info

    @property
    def skip_auto_headers(self) -> CIMultiDict[None]:
        """Names of fields that are not added."""
        return self._skip_auto_headers or CIMultiDict()

    @property
    def body(self) -> Payload | Literal[b""]:
        """The content."""
        return b"" if self._body is None else self._body

    @property
    def response(self) -> ClientResponse | None:
        """The response, while somebody else holds it: nobody does, nobody reads it."""
        return None if self._response is None else self._response()

    @property
    def payload(self) -> Payload | None:
        """The content, or ``None`` when there is none."""
        return self._body

    # -- building ---------------------------------------------------------------------

    def update_headers(self, headers: LooseHeaders | None) -> None:
        """Set the fields that the caller gave; Host comes first."""
        fields = CIMultiDict([("Host", self._server.authority), *field_pairs(headers)])
        hosts = fields.getall("Host")
        if len(hosts) > 1:
            fields["Host"] = hosts[-1]
        self.headers = fields

    def update_auto_headers(self, skip_auto_headers: Iterable[str] | None) -> None:
        """Add the fields that every request has, unless they are there or to be skipped."""
        headers = self.headers
        if skip_auto_headers:
            self._skip_auto_headers = CIMultiDict((name, None) for name in skip_auto_headers)
        skip = self._skip_auto_headers or ()
        for name, value in self.DEFAULT_HEADERS.items():
            if name not in headers and name not in skip:
                headers[name] = value
        if "User-Agent" not in headers and "User-Agent" not in skip:
            headers["User-Agent"] = SERVER_SOFTWARE

    def update_cookies(self, cookies: LooseCookies | None) -> None:
        """Add ``cookies`` to the Cookie field, in the place of those with the same name."""
        if not cookies:
            return
        before = "; ".join(self.headers.popall("Cookie", []))
        self.headers["Cookie"] = cookie_field(before, cookies)

    def update_content_encoding(self, data: Any, compress: str | bool | None = None) -> None:
        """Decide about compression.  An empty body is not compressed."""
        if not compress or not data:
            return
        if "Content-Encoding" in self.headers:
            raise ValueError("compress can not be set if Content-Encoding header is set")
        self.compress = compress if isinstance(compress, str) else "deflate"
        if self.compress not in COMPRESSORS:
            raise ValueError(f"content cannot be compressed as {compress!r}")
        self.headers["Content-Encoding"] = self.compress
        self.chunked = True

    def update_transfer_encoding(self) -> None:
        """Check ``chunked`` against the caller's fields."""
        headers = self.headers
        coding = headers.get("Transfer-Encoding", "").lower()
        if "chunked" in coding:
            if self.chunked:
                raise ValueError(
                    "chunked can not be set if Transfer-Encoding: chunked header is set"
                )
        elif self.chunked and "Content-Length" in headers:
            raise ValueError("chunked can not be set if Content-Length header is set")

    def update_auth(self, auth: BasicAuth | None, trust_env: bool = False) -> None:
        """Set Authorization from ``auth`` or the URL's credentials."""
        authorization = self._server.authorization
        if auth is not None:
            if authorization is not None:
                raise ValueError("Cannot combine AUTH argument with credentials encoded in URL")
            if not isinstance(auth, BasicAuth):
                raise TypeError("BasicAuth() tuple is required instead")
            authorization = auth.encode()
        if authorization is None:
            return
        if "Authorization" in self.headers:
            raise ValueError(
                "Cannot combine AUTHORIZATION header with AUTH argument"
                " or credentials encoded in URL"
            )
        self.headers["Authorization"] = authorization

    def update_body_from_data(self, body: Any, _stacklevel: int = 3) -> None:
        """Make ``body`` the content, and set the fields that describe it."""
        if body is None:
            self._body = None
            if self.method not in self.GET_METHODS and not self.chunked:
                self.headers.setdefault("Content-Length", "0")
            if self.method in self.POST_METHODS and self._may_name_type:
                self.headers.setdefault("Content-Type", "application/octet-stream")
            return
        self._body = payload = make_payload(body)
        self.chunked = describe(payload, self.headers, self.chunked, names_type=self._may_name_type)

    @property
    def _may_name_type(self) -> bool:
        return "Content-Type" not in (self._skip_auto_headers or ())

    def update_expect_continue(self, expect: bool = False) -> None:
        """Ask the server to say whether it wants the content."""
        if expect:
            self.headers["Expect"] = "100-continue"

    async def update_body(self, body: Any) -> None:
        """Replace the content; the one before is closed."""
        before, self._body = self._body, None
        if before is not None:
            await before.close()
        for name in ("Content-Length", "Transfer-Encoding"):
            self.headers.popall(name, None)
        self.chunked = None
        self._request_info = None
        self.update_body_from_data(body)
        self.update_transfer_encoding()

    # -- sending ------------------------------------------------------------------------

    async def send(self, conn: Connection) -> ClientResponse:
        """Send the request on ``conn``; the response's head has not come yet.

        Raises ValueError when a field cannot be sent, ClientConnectionResetError when
        the connection takes no request any more.  The caller closes ``conn`` then.
        """
        response = self._make_response(send_request(self, conn))
        if self.traces:
            await tell_sent(self)
        return response

    async def send_upgrade(
        self, conn: Connection, make_head: Callable[[Request, bool], Request]
    ) -> ClientResponse:
        """Ask on ``conn`` for a tunnel; the answer has not come yet.

        ``make_head`` makes the engine's request of a plain one, for HTTP/2 if told so.
        Raises what ``send`` raises.
        """
        response = self._make_response(send_upgrade(self, conn, make_head))
        if self.traces:
            await tell_sent(self)
        return response

    def head_event(self, stream_id: int) -> Request:
        """Return the head of the request, as the engine takes it."""
        authority = self._server.authority
        fields = list(self.headers.items())
        if fields and fields[0][0] == "Host":
            authority = fields.pop(0)[1]
        if self.chunked and "Transfer-Encoding" not in self.headers:
            fields.append(("Transfer-Encoding", "chunked"))
        scheme = "https" if self._server.is_ssl else "http"
        return Request(
            stream_id, self.method, scheme, authority, self.url.raw_path_qs or "/", fields
        )

    def _make_response(self, exchange: ClientExchange) -> ClientResponse:
        session = self._session
        response = self.response_class(
            self.method,
            self.original_url,
            writer=None,
            continue100=None,
            timer=None,
            request_info=None,
            traces=self.traces,
            loop=exchange.driver.loop,
            session=session,
            stream_writer=None,
        )
        response._exchange = exchange
        self._response = weakref.ref(response)
        return response

    async def write_bytes(
        self, writer: AbstractStreamWriter, conn: Connection, content_length: int | None = None
    ) -> None:
        """Write the content to ``writer``, and end it."""
        if self._body is not None:
            await self._body.write(writer)
        await writer.write_eof()

    async def close_body(self) -> None:
        """Close the content, as soon as nobody sends it any more."""
        response = self.response
        exchange = None if response is None else response._exchange
        if exchange is not None and exchange.upload is not None and not self.closes_body:
            self.closes_body = True
        elif self._body is not None:
            await self._body.close()

    async def close(self) -> None:
        """Stop sending."""
        response = self.response
        if response is not None:
            await response.wait_for_close()

    def terminate(self) -> None:
        """Stop sending at once."""
        response = self.response
        if response is not None:
            response.close()


@functools.lru_cache(maxsize=256)
def _plain_headers(authority: str) -> CIMultiDictProxy[str]:
    """Return the fields of a request for which the caller gave none."""
    own = {"Host": authority, **ClientRequest.DEFAULT_HEADERS, "User-Agent": SERVER_SOFTWARE}
    return CIMultiDictProxy(CIMultiDict(own))


class ClientResponse(HeadersMixin):
    """A response; made by ``ClientRequest.send``.

    ``status``, ``reason``, ``version`` are those of the head.  HTTP/2 has no reason
    phrases: ``reason`` is the standard one there.
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
    _read_bufsize = 2**18
    _auto_decompress = True

    def __init__(
        self,
        method: str,
        url: URL,
        *,
        writer: Any = None,
        continue100: Any = None,
        timer: Any = None,
        request_info: RequestInfo | None = None,
        traces: Sequence[Trace] | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
        session: ClientSession | None = None,
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
        headers = None if self._head is None else self.headers
        reason = self.reason and self.reason.encode("ascii", "backslashreplace").decode()
        return f"<ClientResponse({self.url}) [{self.status} {reason}]>\n{headers}\n"

    def __del__(self, _warn: Any = warnings.warn) -> None:
        exchange = self._exchange
        if exchange is None or self._loop is None or self._loop.is_closed():
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
        head = exchange.take_head()
        if not isinstance(head, Response):
            if not exchange.asks_tunnel:
                exchange.abandon()
                raise ClientConnectionError("the server switched protocols, nobody asked it to")
            http2 = connection.driver.shared
            status, version = (200, "2") if http2 else (101, "1.1")
            head = Response(head.stream_id, status, head.headers, http_version=version)
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
            cookies = self._cookies = parse_set_cookies(self.headers.getall("Set-Cookie", []))
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
        raise ClientResponseError(
            self.request_info,
            self.history,
            status=self.status,
            message=self.reason or "",
            headers=self.headers,
        )

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
        if exchange is None:
            return EMPTY_PAYLOAD
        # RFC 9110 section 5.3: several lines are one list.
        lines = self.headers.getall("Content-Encoding", ()) if self._auto_decompress else ()
        return read_body(exchange, ", ".join(lines), self._read_bufsize)

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
            or (self._auto_decompress and "Content-Encoding" in self.headers)
        ):
            return await self.content.read()
        pieces = exchange.take()
        while not exchange.ended:
            await exchange.wait_for_more()
            pieces += exchange.take()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def get_encoding(self) -> str:
        """Return the encoding of the body as text.

        The one that Content-Type names, if Python knows it; UTF-8 for JSON (RFC 8259); what
        the session's ``fallback_charset_resolver`` says.  Raises RuntimeError when that
        needs the body and it was not read.
        """
        encoding = encoding_of(self.headers.get("Content-Type", ""))
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
            raise ContentTypeError(
                self.request_info,
                self.history,
                status=self.status,
                message=f"Attempt to decode JSON with unexpected mimetype: {mimetype}",
                headers=self.headers,
            )
        stripped = body.strip()
        if not stripped:
            return None
        return loads(stripped.decode(encoding or self.get_encoding()))

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
        exchange.abandon()
        if exchange.pieces:
            exchange.take()
        content = self._content
        if content is not None and content.exception() is None:
            content.set_exception(ClientConnectionError("Connection closed"))

    async def wait_for_close(self) -> None:
        """Give up the response, and wait until the request is sent or its task is done."""
        exchange = self._exchange
        if exchange is not None and exchange.upload is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await exchange.upload
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
