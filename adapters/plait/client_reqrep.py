"""A client's request: from arguments to bytes.  The response is in ``client_response``.

Strategy
--------
``ClientRequest`` collects what goes out in ``headers`` and ``body``; ``send`` gives it to
an exchange.  Everything that only depends on the URL is computed once for each URL and
kept (``calls.target``).  A body that is all there leaves with the head in one write; another one
is sent by a task, while the response may already be coming.
"""

from __future__ import annotations

import asyncio
import functools
import re
import weakref
from collections.abc import Callable, Iterable, Mapping
from http.cookies import BaseCookie, Morsel, SimpleCookie
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, TypeGuard

from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from plait_engine import Data, EndOfMessage, LocalProtocolError, Request
from plait_engine.headers import is_token

from .abc import AbstractStreamWriter
from .calls.body import SLICE, RequestWriter
from .calls.deadlines import RequestClock
from .calls.errors import PlaceLostError
from .calls.exchange import ClientExchange
from .calls.fields import field_pairs
from .calls.target import ConnectionKey, find_target
from .calls.tls import Fingerprint
from .client_exceptions import (
    ClientConnectionError,
    ClientOSError,
)
from .client_response import ClientResponse, RequestInfo
from .compression_utils import ACCEPT_ENCODING, COMPRESSORS
from .formdata import FormData
from .helpers import BasicAuth
from .http import SERVER_SOFTWARE
from .http_writer import HttpVersion, HttpVersion11
from .payload import PAYLOAD_REGISTRY, BytesPayload, Payload
from .payload import LookupError as PayloadLookupError
from .typedefs import LooseCookies, LooseHeaders, Query

if TYPE_CHECKING:
    import ssl as ssl_module

    from .client import ClientSession
    from .connector import Connection

__all__ = ("ClientRequest", "ClientResponse", "ConnectionKey", "Fingerprint", "RequestInfo")


# A quoted value may have semicolons.
_COOKIE_PAIR: Final = re.compile(r'(([^=;]*+)(?:="[^"]*"|[^;]*+))(?:;|$)')


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
        traces: list[Any] | None = None,
        trust_env: bool = False,
        server_hostname: str | None = None,
        clock: RequestClock | None = None,
        limits: tuple[int, int, int] | None = None,
    ) -> None:
        if not is_token(method):
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
        self.compress: str | None = None
        self.length: int | None = None
        self.response_class = response_class or ClientResponse
        self.server_hostname = server_hostname
        self.clock = clock
        self.is_sent_again = False
        """A connection took the request before, and nothing came of it."""
        self._session = session
        self._ssl = ssl
        self._limits = limits
        self._body: Payload | None = None
        self._closes_body = False
        """The content is to be closed when it is sent."""
        self._skip_auto_headers: CIMultiDict[None] | None = None
        self._request_info: RequestInfo | None = None
        self._target = find_target(url)
        self.url = self._target.url
        self.original_url = url if self._target.authorization is None else url.with_user(None)
        if headers or skip_auto_headers or type(self) is not ClientRequest:
            self.update_headers(headers)
            self.update_auto_headers(skip_auto_headers)
        else:
            self.headers = CIMultiDict(_plain_headers(self._target.authority))
        if cookies:
            self.update_cookies(cookies)
        self.update_content_encoding(data, compress)
        self.update_auth(auth)
        self.update_body_from_data(data)
        self.update_transfer_encoding()
        if expect100:
            self.update_expect_continue(True)

    def __repr__(self) -> str:
        return f"<ClientRequest {self.method} {self.url}>"

    # -- properties -----------------------------------------------------------------

    @property
    def host(self) -> str:
        """The host of the URL."""
        return self._target.host

    @property
    def port(self) -> int | None:
        """The port of the URL."""
        return self._target.port

    def is_ssl(self) -> bool:
        """Tell whether the URL asks for TLS."""
        return self._target.is_ssl

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
        key = self._target.key
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
        self.headers = CIMultiDict({"Host": self._target.authority})
        for key, value in field_pairs(headers):
            if key.lower() == "host":
                self.headers[key] = value
            else:
                self.headers.add(key, value)

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
        jar: SimpleCookie = SimpleCookie()
        pairs = cookies.items() if isinstance(cookies, Mapping) else cookies
        for name, value in pairs:
            if isinstance(value, Morsel):
                # A Morsel may have a name that SimpleCookie refuses, but browsers accept.
                dict.__setitem__(jar, name, value)
            elif isinstance(value, BaseCookie):
                raise TypeError("a cookie's value is text or a Morsel")
            else:
                jar[name] = value
        sent = {morsel.key: f"{morsel.key}={morsel.coded_value}" for morsel in jar.values()}
        before = _COOKIE_PAIR.findall("; ".join(self.headers.popall("Cookie", [])))
        kept = [pair.strip() for pair, name in before if pair and name.strip() not in sent]
        self.headers["Cookie"] = "; ".join([*kept, *sent.values()])

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
        authorization = self._target.authorization
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
            if self.method in self.POST_METHODS:
                self._set_content_type("application/octet-stream")
            return
        payload = self._to_payload(body)
        self._body = payload
        headers = self.headers
        size = payload.size
        if "Content-Length" not in headers and "Transfer-Encoding" not in headers:
            if size is None:
                self.chunked = True
            elif not self.chunked:
                headers["Content-Length"] = str(size)
        for name, value in payload.headers.items():
            if name.lower() == "content-type":
                self._set_content_type(value)
            else:
                headers.setdefault(name, value)

    def _to_payload(self, body: Any) -> Payload:
        if isinstance(body, FormData):
            return body()
        try:
            return PAYLOAD_REGISTRY.get(body, disposition=None)
        except PayloadLookupError:
            return FormData(body)()

    def _set_content_type(self, value: str) -> None:
        skip = self._skip_auto_headers
        if "Content-Type" not in self.headers and (skip is None or "Content-Type" not in skip):
            self.headers["Content-Type"] = value

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
        exchange = self.open_exchange(conn)
        stream_id = exchange.stream_id
        head = self.head_event(stream_id)
        payload = self._body
        try:
            if payload is None:
                exchange.begin(head, EndOfMessage(stream_id))
            elif self._fits_in_one_write(payload):
                exchange.begin(
                    head, Data(stream_id, payload.content_bytes()), EndOfMessage(stream_id)
                )
            else:
                exchange.begin(head)
        except LocalProtocolError as error:
            raise ValueError(str(error)) from error
        response = self._make_response(exchange)
        if payload is not None and exchange.driver.exchanges.get(stream_id) is exchange:
            self._start_upload(exchange, conn)
        self._response = weakref.ref(response)
        return response

    def _fits_in_one_write(self, payload: Payload | None) -> TypeGuard[BytesPayload]:
        return (
            isinstance(payload, BytesPayload)
            and (payload.size or 0) <= SLICE
            and self.compress is None
            and not self.chunked
        )

    async def send_upgrade(
        self, conn: Connection, make_head: Callable[[Request, bool], Request]
    ) -> ClientResponse:
        """Ask on ``conn`` for a tunnel; the answer has not come yet.

        ``make_head`` makes the engine's request of a plain one, for HTTP/2 if told so.
        Raises what ``send`` raises.
        """
        exchange = self.open_exchange(conn)
        try:
            plain = self.head_event(exchange.stream_id)
            exchange.begin(make_head(plain, conn.driver.shared))
        except LocalProtocolError as error:
            raise ValueError(str(error)) from error
        exchange.asks_tunnel = True
        response = self._make_response(exchange)
        self._response = weakref.ref(response)
        return response

    def open_exchange(self, conn: Connection) -> ClientExchange:
        """Begin an exchange on ``conn``; the request is to be sent on it next.

        Raises PlaceLostError when no request can begin there any more.
        """
        try:
            stream_id = conn.begin()
        except LocalProtocolError as error:
            raise PlaceLostError("Cannot write to closing transport") from error
        exchange = conn.exchange = ClientExchange(conn, self, stream_id)
        return exchange

    def head_event(self, stream_id: int) -> Request:
        """Return the head of the request, as the engine takes it."""
        target = self._target
        authority = target.authority
        fields = list(self.headers.items())
        if fields and fields[0][0] == "Host":
            authority = fields.pop(0)[1]
        if self.chunked and "Transfer-Encoding" not in self.headers:
            fields.append(("Transfer-Encoding", "chunked"))
        scheme = "https" if target.is_ssl else "http"
        return Request(stream_id, self.method, scheme, authority, target.path, fields)

    def _make_response(self, exchange: ClientExchange) -> ClientResponse:
        session = self._session
        response = self.response_class(
            self.method,
            self.original_url,
            writer=None,
            continue100=None,
            timer=None,
            request_info=None,
            traces=[],
            loop=exchange.driver.loop,
            session=session,
            stream_writer=None,
        )
        response.attach(exchange)
        return response

    def _start_upload(self, exchange: ClientExchange, conn: Connection) -> None:
        if self._fits_in_one_write(self._body):
            return  # It left with the head.
        value = self.headers.get("Content-Length")
        length = int(value) if value is not None else None
        writer = RequestWriter(exchange, length, self.compress)
        exchange.upload = exchange.driver.loop.create_task(
            self._upload(exchange, writer, conn, length)
        )

    async def _upload(
        self,
        exchange: ClientExchange,
        writer: RequestWriter,
        conn: Connection,
        length: int | None,
    ) -> None:
        """Send the content; what goes wrong goes to whoever waits for the response."""
        try:
            await self.write_bytes(writer, conn, length)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            exchange.upload = None
            exchange.fail(_upload_error(error))
        else:
            exchange.finish_upload()
        finally:
            if self._closes_body:
                await self.close_body()

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
        if exchange is not None and exchange.upload is not None and not self._closes_body:
            self._closes_body = True
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
    headers = {
        "Host": authority,
        **ClientRequest.DEFAULT_HEADERS,
        "User-Agent": SERVER_SOFTWARE,
    }
    return CIMultiDictProxy(CIMultiDict(headers))


def _upload_error(error: Exception) -> Exception:
    """Return what the caller of a request gets when its content could not be sent."""
    if isinstance(error, ClientConnectionError | TimeoutError):
        return error
    if isinstance(error, OSError):
        wrapped: Exception = ClientOSError(error.errno, f"Can not write request body: {error}")
    else:
        wrapped = ClientConnectionError(f"Failed to send the request body: {error!r}")
    wrapped.__cause__ = error
    return wrapped
