"""A client's request.

``ClientRequest`` collects what goes out in ``headers`` and ``body``; ``send`` gives it to
an exchange.  What depends on the server alone is worked out once for each and kept
(``calls.target``).  A body that is all there leaves with the head in one write; another one
is sent by a task, while the response may already be coming.
"""

from __future__ import annotations

import asyncio
import functools
import ssl as ssl_module
import warnings
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from multidict import CIMultiDict, CIMultiDictProxy, MultiMapping
from yarl import URL

from plait import hdrs
from plait.abc import AbstractStreamWriter
from plait.compression_utils import ACCEPT_ENCODING, COMPRESSORS
from plait.hdrs import ACCEPT, HOST, TRANSFER_ENCODING, USER_AGENT
from plait.helpers import BasicAuth, strip_auth_from_url
from plait.http import SERVER_SOFTWARE
from plait.http_writer import HttpVersion, HttpVersion10, HttpVersion11
from plait.payload import Payload
from plait.typedefs import LooseCookies, LooseHeaders, Query
from plait_engine import Request
from plait_engine.headers import is_token

from .content import describe, make_payload, within_length
from .cookies import cookie_field
from .exchange import ClientExchange
from .fields import InformationalCallback, field_pairs
from .response import ClientResponse
from .sending import send_request, send_upgrade, tell_sent
from .target import ConnectionKey, RequestInfo, check_proxy, find_server
from .timeouts import ClientClock
from .upload import UploadAttempt
from .verification import Fingerprint

if TYPE_CHECKING:
    from plait.client import ClientSession
    from plait.connector import Connection
    from plait.tracing import Trace


VERSIONS_TO_ASK_FOR: Final = {"1.0": HttpVersion10, "1.1": HttpVersion11}
"""HTTP/1.1 also stands for HTTP/2, where the connection speaks that."""


class ClientRequest:
    """A request, ready to be sent.

    The arguments are those of ``ClientSession.request``.  ``clock`` keeps its deadlines, and
    so ``timer``, with which aiohttp does that, has no effect.  Nor has ``trust_env``, as in
    aiohttp: the session asks the environment.

    Raises ValueError for arguments that contradict each other, and for a method, header
    or cookie that could not be sent as one.
    """

    GET_METHODS: ClassVar = {"GET", "HEAD", "OPTIONS", "TRACE"}
    POST_METHODS: ClassVar = {"PATCH", "POST", "PUT"}
    ALL_METHODS: ClassVar = GET_METHODS | POST_METHODS | {"DELETE"}
    DEFAULT_HEADERS: ClassVar = {ACCEPT: "*/*", hdrs.ACCEPT_ENCODING: ACCEPT_ENCODING}

    method = "GET"
    version = HttpVersion11
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
    read_until_eof = True
    """A response without a length goes on to the end of the connection; else it has no body."""
    upload_attempt: UploadAttempt | None = None
    """How far the content got, if somebody wants to know."""
    on_informational: InformationalCallback | None = None
    """Is told of informational responses."""
    proxy: URL | None = None
    proxy_auth: BasicAuth | None = None
    proxy_headers: MultiMapping[str] | None = None

    _body: Payload | None = None
    _skip_auto_headers: CIMultiDict[None] | None = None
    _request_info: RequestInfo | None = None
    _response: weakref.ref[ClientResponse] | None = None

    # Programs give what follows the URL by name.  It is not keyword-only, for CPython looks each
    # default of such a parameter up, and makes a dictionary of what a class is given by name: a
    # microsecond.  First comes what the session gives each request.
    def __init__(
        self,
        method: str,
        url: URL,
        headers: LooseHeaders | None = None,
        data: Any = None,
        cookies: LooseCookies | None = None,
        auth: BasicAuth | None = None,
        version: HttpVersion = HttpVersion11,
        loop: asyncio.AbstractEventLoop | None = None,
        response_class: type[ClientResponse] | None = None,
        session: ClientSession | None = None,
        clock: ClientClock | None = None,
        traces: Sequence[Trace] | None = None,
        params: Query = None,
        skip_auto_headers: Iterable[str] | None = None,
        compress: str | bool | None = None,
        chunked: bool | None = None,
        expect100: bool = False,
        proxy: URL | None = None,
        proxy_auth: BasicAuth | None = None,
        timer: object = None,
        ssl: ssl_module.SSLContext | bool | Fingerprint = True,
        proxy_headers: LooseHeaders | None = None,
        trust_env: bool = False,
        server_hostname: str | None = None,
        limits: tuple[int, int, int] | None = None,
    ) -> None:
        # An empty one can be worked with; it cannot be sent.
        if method and method not in self.ALL_METHODS and not is_token(method):
            raise ValueError(f"Method cannot contain non-token characters {method!r}")
        if params:
            url = url.extend_query(params)
        self.method = method.upper()
        if version is not HttpVersion11:
            self.update_version(version)
        self._loop = loop
        self.chunked = self._asked_chunked = chunked
        self.response_class = response_class or ClientResponse
        self.server_hostname = server_hostname
        self.clock = clock
        if traces:
            self.traces = traces
        self._session = session
        self._ssl = ssl
        self._limits = limits
        # A class that extends this one may have replaced steps that do nothing here.
        extended = type(self) is not ClientRequest
        if extended:
            self.update_host(url)
        else:
            self._server = find_server(url)
        if self._server.authorization is not None:
            url = url.with_user(None)
        self.original_url = url
        self.url = url.with_fragment(None) if url.raw_fragment else url
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
        frames = self._frames_content(data)
        if frames or extended:
            self.update_body_from_data(data)
        if frames and (headers or self.chunked or extended):
            self.update_transfer_encoding()
        if expect100:
            self.update_expect_continue(True)
        if proxy is not None or extended:
            self.update_proxy(proxy, proxy_auth, proxy_headers)

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

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop: the one that was given, or the current one."""
        return self._loop or asyncio.get_event_loop()

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
        if (
            self._ssl is True
            and self.server_hostname is None
            and self._limits is None
            and self.version is HttpVersion11
            and self.proxy is None
        ):
            return key
        fields = self.proxy_headers
        return key._replace(
            ssl=self._ssl,
            proxy=self.proxy,
            proxy_auth=self.proxy_auth,
            proxy_headers_hash=hash(tuple(fields.items())) if fields else None,
            server_hostname=self.server_hostname,
            http1_only=self.version == HttpVersion10,
            limits=self._limits,
        )

    @property
    def authority(self) -> str:
        """The host and the port of the URL, as they are sent; Host may say another one."""
        return self._server.authority

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
        """The content.

        To set another one is for code that cannot await ``update_body``: what was there is not
        closed, and is a ResourceWarning if it has to be.
        """
        return b"" if self._body is None else self._body

    @body.setter
    def body(self, body: Any) -> None:
        self._drop_framing()
        self.update_body_from_data(body, _stacklevel=4)
        if self._frames_content(body):
            self.update_transfer_encoding()

    @property
    def response(self) -> ClientResponse | None:
        """The response, while somebody holds it; the request does not."""
        return None if self._response is None else self._response()

    @property
    def payload(self) -> Payload | None:
        """The content, or ``None`` when there is none."""
        return self._body

    # -- building ---------------------------------------------------------------------

    def update_version(self, version: HttpVersion | str) -> None:
        """Set the version, which may be given as text.  Raises ValueError for another one."""
        number = version if isinstance(version, str) else ".".join(map(str, version))
        if number not in VERSIONS_TO_ASK_FOR:
            raise ValueError(f"a request is in HTTP/1.1 or in HTTP/1.0, not in {number!r}")
        self.version = VERSIONS_TO_ASK_FOR[number]

    def update_host(self, url: URL) -> None:
        """Set the server, and the credentials for it, from ``url``.

        Raises InvalidUrlClientError when it names none.
        """
        self._server = find_server(url)

    def update_headers(self, headers: LooseHeaders | None) -> None:
        """Set the fields that the caller gave; Host comes first."""
        fields = CIMultiDict([(HOST, self._server.authority), *field_pairs(headers)])
        hosts = fields.getall(HOST)
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
        if USER_AGENT not in headers and USER_AGENT not in skip:
            headers[USER_AGENT] = SERVER_SOFTWARE

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
            raise ValueError("compress excludes a Content-Encoding header: give one of the two")
        self.compress = compress if isinstance(compress, str) else "deflate"
        if self.compress not in COMPRESSORS:
            raise ValueError(f"content cannot be compressed as {compress!r}")
        self.headers["Content-Encoding"] = self.compress
        self.chunked = True

    def update_transfer_encoding(self) -> None:
        """Check ``chunked`` against the caller's fields, and say it."""
        headers = self.headers
        coding = headers.get(TRANSFER_ENCODING, "").lower()
        if "chunked" in coding:
            if self.chunked:
                raise ValueError("headers say Transfer-Encoding: chunked: leave chunked out")
        elif self.chunked:
            if "Content-Length" in headers:
                raise ValueError("chunked excludes a Content-Length header: give one of the two")
            headers.setdefault("Transfer-Encoding", "chunked")

    def update_auth(self, auth: BasicAuth | None, trust_env: bool = False) -> None:
        """Set Authorization from ``auth``, or else from the URL's credentials."""
        authorization = self._server.authorization
        if auth is not None:
            if not isinstance(auth, BasicAuth):
                raise TypeError(f"auth must be a BasicAuth, not {type(auth).__name__}")
            authorization = auth.encode()
        if authorization is None:
            return
        if "Authorization" in self.headers:
            raise ValueError("headers say an Authorization: leave out auth, or what the URL has")
        self.headers["Authorization"] = authorization

    def update_body_from_data(self, body: Any, _stacklevel: int = 3) -> None:
        """Make ``body`` the content, and set the fields that describe it."""
        before = self._body
        if before is not None and not before.autoclose and not before.consumed:
            warnings.warn(
                "The previous request body contains unclosed resources:"
                " use await request.update_body(), which closes them",
                ResourceWarning,
                stacklevel=_stacklevel - 1,
            )
        if body is None:
            self._body = None
            if (
                self.method not in self.GET_METHODS
                and not self.chunked
                and TRANSFER_ENCODING not in self.headers  # The caller's.
            ):
                self.headers.setdefault("Content-Length", "0")
            if self.method in self.POST_METHODS and self._may_name_type:
                self.headers.setdefault("Content-Type", "application/octet-stream")
            return
        payload = make_payload(body)
        if before is None:  # A Content-Length that is there is the caller's.
            payload = within_length(payload, self.headers)
        self._body = payload
        self.chunked = describe(payload, self.headers, self.chunked, names_type=self._may_name_type)

    @property
    def _may_name_type(self) -> bool:
        return "Content-Type" not in (self._skip_auto_headers or ())

    def update_expect_continue(self, expect: bool = False) -> None:
        """Ask the server to say whether it wants the content."""
        if expect:
            self.headers["Expect"] = "100-continue"

    def update_proxy(
        self,
        proxy: URL | None,
        proxy_auth: BasicAuth | None,
        proxy_headers: LooseHeaders | None,
    ) -> None:
        """Set the proxy, the credentials for it and the fields for it.

        Credentials in the URL are those for the proxy, unless there are others.  Raises
        InvalidURL for a URL that is none of a proxy, ValueError for credentials of another type.
        """
        if proxy is None:
            self.proxy = self.proxy_auth = self.proxy_headers = None
            return
        if proxy_auth is not None and not isinstance(proxy_auth, BasicAuth):
            raise ValueError("proxy_auth must be None or BasicAuth() tuple")
        self.proxy, auth_in_url = strip_auth_from_url(check_proxy(proxy))
        self.proxy_auth = auth_in_url if proxy_auth is None else proxy_auth
        self.proxy_headers = CIMultiDict(field_pairs(proxy_headers)) if proxy_headers else None

    async def update_body(self, body: Any) -> None:
        """Replace the content; the one before is closed."""
        before, self._body = self._body, None
        if before is not None:
            await before.close()
        self._drop_framing()
        self.update_body_from_data(body)
        if self._frames_content(body):
            self.update_transfer_encoding()

    def _frames_content(self, data: Any) -> bool:
        """Tell whether the request says how long its content is, even if there is none.

        Without content, GET and its like do not (RFC 9110 section 8.6).
        """
        return data is not None or self.method not in self.GET_METHODS

    def _drop_framing(self) -> None:
        for name in ("Content-Length", "Transfer-Encoding"):
            self.headers.popall(name, None)
        self.chunked = True if self.compress else self._asked_chunked

    # -- sending ------------------------------------------------------------------------

    async def send(self, conn: Connection) -> ClientResponse:
        """Send the request on ``conn``; the response's head has not come yet.

        Raises ValueError when a field cannot be sent, ClientConnectionResetError when
        the connection takes no request any more.  The caller closes ``conn`` then.
        """
        connector = None if self._session is None else self._session._connector
        once = connector is not None and connector._force_close
        if once or self.version is not HttpVersion11:
            self._say_persistence(once, conn)
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

    def _say_persistence(self, once: bool, conn: Connection) -> None:
        """Say whether the connection is kept, where that is not what the version means."""
        old = self.version == HttpVersion10
        if once != old and not conn.driver.shared and "Connection" not in self.headers:
            # RFC 9112 sections 9.6 and 9.3.
            self.headers["Connection"] = "keep-alive" if old else "close"

    def head_event(self, stream_id: int) -> Request:
        """Return the head of the request, as the engine takes it."""
        authority = self._server.authority
        fields = list(self.headers.items())
        if fields and fields[0][0] == "Host":
            authority = fields.pop(0)[1]
        scheme = "https" if self._server.is_ssl else "http"
        request = Request(
            stream_id, self.method, scheme, authority, self.url.raw_path_qs or "/", fields
        )
        if self.version is not HttpVersion11 and self.version == HttpVersion10:
            request.http_version = "1.0"
        return request

    def _make_response(self, exchange: ClientExchange) -> ClientResponse:
        loop, session = exchange.driver.loop, self._session
        if self.response_class is ClientResponse:
            response = ClientResponse(self.method, self.original_url, self.traces, loop, session)
        else:
            response = self.response_class(
                self.method,
                self.original_url,
                writer=None,
                continue100=None,
                timer=None,
                request_info=None,
                traces=self.traces,
                loop=loop,
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
            await self._body.write_with_length(writer, content_length)
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
    own = {HOST: authority, **ClientRequest.DEFAULT_HEADERS, USER_AGENT: SERVER_SOFTWARE}
    return CIMultiDictProxy(CIMultiDict(own))
