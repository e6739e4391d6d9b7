"""The client: sessions, and what one call of ``ClientSession.request`` does.

Strategy
--------
A call runs in the caller's task, and what it waits for are futures: a place on a connection
(``connector``), the head of the response (``calls.exchange``).  Its life::

    URL and headers -> [request -> connection -> send -> head] -> response
                       ^---- again, after a redirect or a retry ----'

What to do after a redirect and whether to retry are decisions of ``plait_engine.policy``.

Cancelling a call at any point gives back what it holds: its place in the pool, the stream
or connection, the task that sends its body.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl as ssl_module
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self, Unpack, overload

from multidict import CIMultiDict, istr
from yarl import URL

from plait_engine import Request as RequestEvent
from plait_engine.content.event_stream import MAX_EVENT_SIZE
from plait_engine.engines import EngineName
from plait_engine.policy import event_source
from plait_engine.policy.client_config import DEFAULT_HEADS, head_limits
from plait_engine.policy.deadlines import Deadlines, RequestClock
from plait_engine.policy.event_source import RECONNECTION_TIME
from plait_engine.policy.retry import RetryPolicy

from .abc import AbstractCookieJar
from .calls.call import ClientCall
from .calls.context import (
    RequestContextManager,
    SessionRequestContextManager,
    WSRequestContextManager,
)
from .calls.environment import choose_proxy, read_proxy
from .calls.fields import FieldPairs, InformationalCallback, field_pairs, join_fields
from .calls.options import RaiseForStatus
from .calls.options import RequestOptions as _RequestOptions
from .calls.timeouts import (
    ClientTimeout,
    as_timeout,
    error_of_deadline,
    timeout_of_session,
)
from .calls.traces import CallTrace
from .calls.upload import bind
from .calls.verification import Fingerprint, merge_ssl_params
from .client_exceptions import *  # noqa: F403  # programs look for them here, too
from .client_exceptions import InvalidUrlClientError
from .client_exceptions import __all__ as _exceptions
from .client_middlewares import ClientMiddlewareType
from .client_reqrep import ClientRequest, ClientResponse, RequestInfo, UploadTracker
from .client_ws import ClientWebSocketResponse, ClientWSTimeout, WSOptions, ws_connect
from .connector import BaseConnector, NamedPipeConnector, TCPConnector, UnixConnector
from .cookiejar import CookieJar
from .helpers import _SENTINEL, BasicAuth, sentinel
from .http_writer import HttpVersion, HttpVersion10, HttpVersion11
from .payload import JsonBytesPayload, JsonPayload
from .tracing import TraceConfig
from .transfers.download import Downloaded, Progress, download
from .transfers.events import EventSource
from .transport.driver import clock_of
from .typedefs import JSONBytesEncoder, JSONEncoder, LooseCookies, LooseHeaders, Query, StrOrURL

if TYPE_CHECKING:
    from .web_app import Application

__all__ = (
    "ClientSession",
    "ClientTimeout",
    "ClientWSTimeout",
    "RequestInfo",
    "NamedPipeConnector",
    "UnixConnector",
    "UploadTracker",
    "request",
    *_exceptions,
)

DEFAULT_RETRY_POLICY: Final = RetryPolicy()


def _warn_of_auth(where: str = "") -> None:
    warnings.warn(
        f"The '{where}auth' parameter is deprecated: pass {where}headers="
        f"{{'{where.title().replace('_', '-')}Authorization':"
        " plait.encode_basic_auth(login, password)} instead",
        DeprecationWarning,
        stacklevel=3,
    )


class ClientSession:
    """Makes requests, and keeps what they share: connections, cookies, headers.

    Use it with ``async with``, or call ``close()``.  Needs a running event loop.

    Args:
        base_url: what relative URLs are joined to; its path ends with ``/``.
        connector: where connections come from; a ``TCPConnector`` by default.
        cookies: put into the cookie jar.
        headers: sent with each request.
        proxy: the URL of a proxy (http, https, socks4, socks4a, socks5, socks5h) for requests
            that name none; ``proxy_auth``: the credentials for it.
        skip_auto_headers: names of fields that are not added.
        auth: sent with each request; deprecated: set an Authorization header.
        json_serialize: makes ``str`` of ``json=``; ``json_serialize_bytes`` makes bytes.
        request_class, response_class, ws_response_class: classes that extend those of plait.
        cookie_jar: keeps the cookies; a ``CookieJar`` by default.
        connector_owner: close the connector with the session.
        version: ``HttpVersion11``: HTTP/1.1, or HTTP/2 where a connection speaks it;
            ``HttpVersion10``: HTTP/1.0, on connections of HTTP/1.  What HTTP/1.0 has not
            is a ValueError: content without a length, expect100, WebSockets.
        raise_for_status: raise ClientResponseError for a status of 400 or above; or a
            coroutine function that checks each response.
        timeout: the deadlines of each request; ``read_timeout`` and ``conn_timeout`` are
            deprecated names of its ``total`` and ``connect``.
        auto_decompress: decode bodies.
        trust_env: take proxies from the environment (``HTTP_PROXY``, ``NO_PROXY``) and
            credentials from a netrc file.
        requote_redirect_url: quote the URLs of redirects again.
        read_bufsize: the low-water mark of a response's stream, in bytes.
        max_line_size, max_field_size, max_headers: limits of a response's head.  The first two
            are about lines of HTTP/1.1; over HTTP/2 the head as a whole is limited.
        fallback_charset_resolver: names the encoding of a text that does not say it.
        middlewares: stand around each request; see ``client_middlewares``.
        trace_configs: who hears of each request; see ``tracing``.
        ssl_shutdown_timeout: deprecated: for the default connector, see ``TCPConnector``; one
            that is given has its own.
        retry_policy: when to send a request again (plait's own).
        http2, engine: for the default connector (plait's own, see ``BaseConnector``).
        app: the application that answers, without sockets (plait's own, see
            ``inprocess.application``).

    Raises ValueError for arguments that contradict each other, and RuntimeError where no loop
    runs, or for a connector of another loop.
    """

    _connector: BaseConnector | None = None
    """``None`` after the end, and should ``__init__`` fail."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        warnings.warn(
            f"Inheritance class {cls.__name__} from ClientSession is discouraged",
            DeprecationWarning,
            stacklevel=2,
        )

    def __init__(
        self,
        base_url: StrOrURL | None = None,
        *,
        connector: BaseConnector | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
        cookies: LooseCookies | None = None,
        headers: LooseHeaders | None = None,
        proxy: StrOrURL | None = None,
        proxy_auth: BasicAuth | None = None,
        skip_auto_headers: Iterable[str] | None = None,
        auth: BasicAuth | None = None,
        json_serialize: JSONEncoder = json.dumps,
        json_serialize_bytes: JSONBytesEncoder | None = None,
        request_class: type[ClientRequest] = ClientRequest,
        response_class: type[ClientResponse] = ClientResponse,
        ws_response_class: type[ClientWebSocketResponse[bool]] = ClientWebSocketResponse,
        version: HttpVersion = HttpVersion11,
        cookie_jar: AbstractCookieJar | None = None,
        connector_owner: bool = True,
        raise_for_status: RaiseForStatus = False,
        read_timeout: float | _SENTINEL | None = sentinel,
        conn_timeout: float | None = None,
        timeout: ClientTimeout | _SENTINEL | None = sentinel,
        auto_decompress: bool = True,
        trust_env: bool = False,
        requote_redirect_url: bool = True,
        trace_configs: list[TraceConfig] | None = None,
        read_bufsize: int = 2**18,
        max_line_size: int = 8190,
        max_field_size: int = 8190,
        max_headers: int = 128,
        fallback_charset_resolver: Callable[[ClientResponse, bytes], str] = (
            lambda response, body: "utf-8"
        ),
        middlewares: Sequence[ClientMiddlewareType] = (),
        ssl_shutdown_timeout: float | _SENTINEL | None = sentinel,
        retry_policy: RetryPolicy = DEFAULT_RETRY_POLICY,
        http2: bool | None = None,
        engine: EngineName | None = None,
        app: Application | None = None,
    ) -> None:
        if app is not None:
            if connector is not None:
                raise ValueError("app and connector contradict each other")
            # The server's modules are for those who need them.
            from .inprocess.application import AppConnector

            connector = AppConnector(app, loop=loop, http2=http2, engine=engine or "native")
            http2 = engine = None
            base_url = base_url or "http://localhost/"
        if base_url is None or isinstance(base_url, URL):
            self._base_url = base_url
        else:
            self._base_url = URL(base_url)
        if self._base_url is not None:
            if not self._base_url.absolute:
                raise ValueError("base_url must be absolute")
            if not self._base_url.path.endswith("/"):
                raise ValueError("base_url must have a trailing '/'")
        loop = loop or (asyncio.get_running_loop() if connector is None else connector._loop)
        self._loop = loop
        if ssl_shutdown_timeout is not sentinel:
            warnings.warn(
                "The ssl_shutdown_timeout parameter is deprecated", DeprecationWarning, stacklevel=2
            )
        if connector is None:
            connector = TCPConnector(loop=loop, http2=http2, engine=engine or "native")
            if ssl_shutdown_timeout is not sentinel:
                connector._ssl_shutdown_timeout = ssl_shutdown_timeout
        elif connector._loop is not loop:
            raise RuntimeError("the connector belongs to another event loop than the session")
        elif http2 is not None or (engine is not None and engine != connector.engine):
            raise ValueError("http2 and engine are the connector's: give them to the connector")
        if version == HttpVersion10 and connector.http2 is True:
            raise ValueError("requests in HTTP/1.0 and http2=True contradict each other")
        self._timeout = timeout_of_session(timeout, read_timeout, conn_timeout)
        self._cookie_jar: AbstractCookieJar = CookieJar() if cookie_jar is None else cookie_jar
        if cookies:
            self._cookie_jar.update_cookies(cookies)
        self._connector_owner = connector_owner
        if auth is not None:
            _warn_of_auth()
        if proxy_auth is not None:
            _warn_of_auth("proxy_")
        self._default_auth = auth
        self._default_proxy = read_proxy(proxy) if proxy else None
        self._default_proxy_auth = proxy_auth
        self._trust_env = trust_env
        self._may_use_proxy = trust_env or self._default_proxy is not None
        self._version = version
        self._json_serialize = json_serialize
        self._json_serialize_bytes = json_serialize_bytes
        self._raise_for_status = raise_for_status
        self._auto_decompress = auto_decompress
        self._requote_redirect_url = requote_redirect_url
        self._read_bufsize = read_bufsize
        self._limits = head_limits(max_line_size, max_field_size, max_headers)
        self._default_headers: CIMultiDict[str] = CIMultiDict(field_pairs(headers))
        self._skip_auto_headers = frozenset(istr(name) for name in skip_auto_headers or ())
        self._request_class = request_class
        self._response_class = response_class
        self._ws_response_class = ws_response_class
        self._retry_policy = retry_policy
        self._middlewares = middlewares
        self._trace_configs = trace_configs or []
        for config in self._trace_configs:
            config.freeze()
        self.fallback_charset_resolver = fallback_charset_resolver
        self._deadlines = Deadlines(loop)
        self._now = clock_of(loop)
        self._source_traceback = (
            traceback.extract_stack(sys._getframe(1)) if loop.get_debug() else None
        )
        self._connector = connector

    def __del__(self, _warn: Any = warnings.warn) -> None:
        if self.closed:
            return
        _warn(f"Unclosed client session {self!r}", ResourceWarning, source=self)
        context: dict[str, Any] = {"client_session": self, "message": "Unclosed client session"}
        if self._source_traceback is not None:
            context["source_traceback"] = self._source_traceback
        self._loop.call_exception_handler(context)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        await self.close()

    def __enter__(self) -> None:
        raise TypeError("closing needs await: write async with")

    def __exit__(self, *args: object) -> None:
        """Never called; ``with`` looks for it before ``__enter__`` raises."""

    # -- requests -----------------------------------------------------------------

    def request(
        self, method: str, url: StrOrURL, **kwargs: Unpack[_RequestOptions]
    ) -> RequestContextManager:
        """Make a request; await it or use it with ``async with``.

        Keywords, as for aiohttp: params, data, json, cookies, headers, skip_auto_headers,
        auth, allow_redirects=True, max_redirects=10 (0: no limit), compress, chunked,
        expect100=False, raise_for_status, read_until_eof=True, proxy, proxy_auth,
        proxy_headers, timeout (a number is for ``total``), ssl=True, server_hostname,
        trace_request_ctx, read_bufsize, auto_decompress, max_line_size, max_field_size,
        max_headers, middlewares (in the place of the session's), upload_tracker.

        And plait's own: ``on_informational(status, headers)`` is called for each informational
        response (RFC 9110 section 15.2), such as 103 Early Hints, but for 100 and 101; what it
        raises is raised by the request.

        Raises ClientError and its subclasses, TimeoutError, TypeError for an unknown keyword
        or a header that is not text, and ValueError for arguments that contradict each other.
        """
        return RequestContextManager(self._request(method, url, **kwargs))

    def get(self, url: StrOrURL, **kwargs: Unpack[_RequestOptions]) -> RequestContextManager:
        """Make a GET request."""
        return RequestContextManager(self._request("GET", url, **kwargs))

    def options(self, url: StrOrURL, **kwargs: Unpack[_RequestOptions]) -> RequestContextManager:
        """Make an OPTIONS request."""
        return RequestContextManager(self._request("OPTIONS", url, **kwargs))

    def head(self, url: StrOrURL, **kwargs: Unpack[_RequestOptions]) -> RequestContextManager:
        """Make a HEAD request; redirects are not followed by default."""
        kwargs.setdefault("allow_redirects", False)
        return RequestContextManager(self._request("HEAD", url, **kwargs))

    def post(self, url: StrOrURL, **kwargs: Unpack[_RequestOptions]) -> RequestContextManager:
        """Make a POST request."""
        return RequestContextManager(self._request("POST", url, **kwargs))

    def put(self, url: StrOrURL, **kwargs: Unpack[_RequestOptions]) -> RequestContextManager:
        """Make a PUT request."""
        return RequestContextManager(self._request("PUT", url, **kwargs))

    def patch(self, url: StrOrURL, **kwargs: Unpack[_RequestOptions]) -> RequestContextManager:
        """Make a PATCH request."""
        return RequestContextManager(self._request("PATCH", url, **kwargs))

    def delete(self, url: StrOrURL, **kwargs: Unpack[_RequestOptions]) -> RequestContextManager:
        """Make a DELETE request."""
        return RequestContextManager(self._request("DELETE", url, **kwargs))

    def sse(
        self,
        url: StrOrURL,
        *,
        last_event_id: str = "",
        reconnection_time: float = RECONNECTION_TIME,
        max_failures: int | None = None,
        max_event_size: int = MAX_EVENT_SIZE,
        **kwargs: Unpack[_RequestOptions],
    ) -> EventSource:
        """Ask for server-sent events; use it with ``async with``, then ``async for``.

        When a response ends, the source is asked again with the id of the last event.  The other
        keywords are those of ``get``; by default there is no ``total`` timeout.

        Args:
            last_event_id: the id of the last event that is known from before.
            reconnection_time: seconds between a response's end and the next request, until
                the server says otherwise.
            max_failures: how many requests in a row may get no answer; ``None``: any number.
                One that fails before the server has ever answered is raised.
            max_event_size: bytes of one event; more raises EventTooLargeError.
        """
        machine = event_source.EventSource(
            last_event_id=last_event_id,
            reconnection_time=reconnection_time,
            max_failures=max_failures,
            max_event_size=max_event_size,
        )
        return EventSource(self, url, kwargs, machine)

    async def download(
        self,
        url: StrOrURL,
        path: str | os.PathLike[str],
        *,
        progress: Progress | None = None,
        resume: bool = True,
        **kwargs: Unpack[_RequestOptions],
    ) -> Downloaded:
        """GET ``url`` into the file ``path``, which is there when all of it is.

        A download that was cut short, or cancelled, goes on where it ended, if the server gave a
        strong entity tag (RFC 9110 section 13.1.5): see ``transfers.download`` for what lies
        beside the target until then.  The other keywords are those of ``get``; by default
        there is no ``total`` timeout, and 60 seconds of silence are the end.

        Args:
            progress: called with the bytes that there are, and those that there will be
                (``None``: the server did not say), at the beginning and after each piece;
                may be a coroutine function.
            resume: whether to go on; else what is there from before is dropped.

        Raises what ``get`` raises, TypeError for ``raise_for_status`` (whatever the session
        does with it: the status decides here), ClientResponseError unless that is 200 or 206,
        ClientPayloadError when the content is not complete, OSError of the file, and
        BlockingIOError when another download has the same target.
        """
        return await download(
            self, self._build_url(url), Path(path), kwargs, progress, resume=resume
        )

    @overload
    def ws_connect(
        self, url: StrOrURL, *, decode_text: Literal[True] = ..., **options: Unpack[WSOptions]
    ) -> WSRequestContextManager[Literal[True]]: ...
    @overload
    def ws_connect(
        self, url: StrOrURL, *, decode_text: Literal[False], **options: Unpack[WSOptions]
    ) -> WSRequestContextManager[Literal[False]]: ...
    @overload
    def ws_connect(
        self, url: StrOrURL, *, decode_text: bool, **options: Unpack[WSOptions]
    ) -> WSRequestContextManager[bool]: ...
    def ws_connect(
        self, url: StrOrURL, *, decode_text: bool = True, **options: Unpack[WSOptions]
    ) -> WSRequestContextManager[bool]:
        """Open a WebSocket; await it or use it with ``async with``, which closes it.

        The keywords are those of ``client_ws.ws_connect``.  Raises WSServerHandshakeError
        when the server does not accept, and what ``request`` raises.
        """
        return WSRequestContextManager(ws_connect(self, url, decode_text=decode_text, **options))

    # -- properties ------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """True after ``close`` or ``detach``."""
        return self._connector is None or self._connector.closed

    @property
    def connector(self) -> BaseConnector | None:
        """Where connections come from."""
        return self._connector

    @property
    def connector_owner(self) -> bool:
        """True when the connector is closed with the session."""
        return self._connector_owner

    @property
    def cookie_jar(self) -> AbstractCookieJar:
        """The cookies."""
        return self._cookie_jar

    @property
    def version(self) -> HttpVersion:
        """The version that requests on HTTP/1.1 connections say."""
        return self._version

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop.  Deprecated."""
        warnings.warn("client.loop property is deprecated", DeprecationWarning, stacklevel=2)
        return self._loop

    @property
    def timeout(self) -> ClientTimeout:
        """The deadlines of each request."""
        return self._timeout

    @property
    def headers(self) -> CIMultiDict[str]:
        """The fields that each request has."""
        return self._default_headers

    @property
    def skip_auto_headers(self) -> frozenset[istr]:
        """Names of fields that are not added."""
        return self._skip_auto_headers

    @property
    def auth(self) -> BasicAuth | None:
        """The credentials that each request has."""
        return self._default_auth

    @property
    def json_serialize(self) -> JSONEncoder:
        """Makes ``str`` of ``json=``."""
        return self._json_serialize

    @property
    def raise_for_status(self) -> RaiseForStatus:
        """What happens to responses with a status of 400 and above."""
        return self._raise_for_status

    @property
    def auto_decompress(self) -> bool:
        """True when bodies are decoded."""
        return self._auto_decompress

    @property
    def trust_env(self) -> bool:
        """True when proxies and netrc of the environment are used."""
        return self._trust_env

    @property
    def trace_configs(self) -> list[TraceConfig]:
        """Who hears of each request."""
        return self._trace_configs

    @property
    def requote_redirect_url(self) -> bool:
        """True when the URLs of redirects are quoted again."""
        return self._requote_redirect_url

    @requote_redirect_url.setter
    def requote_redirect_url(self, value: bool) -> None:
        warnings.warn(
            "setting requote_redirect_url is deprecated", DeprecationWarning, stacklevel=2
        )
        self._requote_redirect_url = value

    # -- the end ------------------------------------------------------------------------

    async def close(self) -> None:
        """Close the session, and the connector if it is the session's.

        When it returns, all connections of that are closed.  On a connector of somebody else
        requests under way go on, and so do their deadlines.
        """
        if not self.closed:
            connector = self._connector
            self._connector = None
            if connector is not None and self._connector_owner:
                self._deadlines.close()
                await connector.close()
            else:
                self._deadlines.rest()

    def detach(self) -> None:
        """Close the session and leave the connector as it is.

        Requests under way go on, and so do their deadlines.
        """
        self._connector = None
        self._deadlines.rest()

    # -- one call -------------------------------------------------------------------------

    # All but two are given by name.  They are not keyword-only, for CPython looks each default
    # of such a parameter up, which takes 1 microsecond here.
    async def _request(
        self,
        method: str,
        str_or_url: StrOrURL,
        params: Query = None,
        data: Any = None,
        json: Any = None,
        cookies: LooseCookies | None = None,
        headers: LooseHeaders | None = None,
        skip_auto_headers: Iterable[str] | None = None,
        auth: BasicAuth | None = None,
        allow_redirects: bool = True,
        max_redirects: int = 10,
        compress: str | bool | None = None,
        chunked: bool | None = None,
        expect100: bool = False,
        raise_for_status: RaiseForStatus | None = None,
        read_until_eof: bool = True,
        proxy: StrOrURL | None = None,
        proxy_auth: BasicAuth | None = None,
        timeout: ClientTimeout | _SENTINEL | float | None = sentinel,
        verify_ssl: bool | None = None,
        fingerprint: bytes | None = None,
        ssl_context: ssl_module.SSLContext | None = None,
        ssl: ssl_module.SSLContext | bool | Fingerprint = True,
        server_hostname: str | None = None,
        proxy_headers: LooseHeaders | None = None,
        trace_request_ctx: Any = None,
        read_bufsize: int | None = None,
        auto_decompress: bool | None = None,
        max_line_size: int | None = None,
        max_field_size: int | None = None,
        max_headers: int | None = None,
        middlewares: Sequence[ClientMiddlewareType] | None = None,
        upload_tracker: UploadTracker | None = None,
        on_informational: InformationalCallback | None = None,
        make_head: Callable[[RequestEvent, bool], RequestEvent] | None = None,
    ) -> ClientResponse:
        upload = None if upload_tracker is None else bind(upload_tracker)
        try:
            connector = self._connector
            if connector is None or connector.closed:
                raise RuntimeError("Session is closed")
            if ssl is not True or verify_ssl is not None or fingerprint or ssl_context:
                ssl = merge_ssl_params(ssl, verify_ssl, ssl_context, fingerprint)
            if json is not None:
                if data is not None:
                    raise ValueError("json excludes data: give one of the two")
                if self._json_serialize_bytes is not None:
                    data = JsonBytesPayload(json, dumps=self._json_serialize_bytes)
                else:
                    data = JsonPayload(json, dumps=self._json_serialize)
            if not isinstance(chunked, bool) and chunked is not None:
                warnings.warn("Chunk size is deprecated", DeprecationWarning, stacklevel=2)
            if auth is not None:
                _warn_of_auth()
            if proxy_auth is not None:
                _warn_of_auth("proxy_")
            real_timeout = self._timeout if timeout is sentinel else as_timeout(timeout)
            limits = self._limits
            if max_line_size or max_field_size or max_headers:
                own = limits or DEFAULT_HEADS
                limits = (max_line_size or own[0], max_field_size or own[1], max_headers or own[2])
            url = self._build_url(str_or_url)
            if params:
                url = url.extend_query(params)
            own_fields = self._default_headers
            fields = join_fields(own_fields, headers) if headers or own_fields else FieldPairs()
            choice = None
            if proxy is not None or self._may_use_proxy:
                choice = choose_proxy(
                    proxy,
                    proxy_auth,
                    proxy_headers,
                    of_session=self._default_proxy,
                    auth_of_session=self._default_proxy_auth,
                )
            traced = None
            if self._trace_configs:
                traced = CallTrace(self, trace_request_ctx, fields)
                fields = await traced.begin(method, url)
            skips: Iterable[str] = self._skip_auto_headers
            if skip_auto_headers is not None:
                skips = {*skips, *map(istr, skip_auto_headers)}
            if (
                skips
                or compress
                or chunked
                or expect100
                or ssl is not True
                or server_hostname is not None
                or limits is not None
                or self._request_class is not ClientRequest
            ):
                options = {
                    "skip_auto_headers": skips,
                    "compress": compress,
                    "chunked": bool(chunked) or None,
                    "expect100": expect100,
                    "ssl": ssl,
                    "server_hostname": server_hostname,
                    "limits": limits,
                }
            else:
                options = {}  # All of them are what they are by default.
            clock = RequestClock(self._deadlines, real_timeout, self._now(), error_of_deadline)
            call = ClientCall(
                self,
                clock,
                method,
                url,
                fields,
                data,
                cookies,
                auth,
                max_redirects if allow_redirects else None,
                options,
                make_head,
                traced,
                self._middlewares if middlewares is None else middlewares,
                upload,
                on_informational,
                read_until_eof,
                choice,
            )
            check = self._raise_for_status if raise_for_status is None else raise_for_status
            response = None
            try:
                response = await call.run()
                response._read_bufsize = read_bufsize or self._read_bufsize
                if auto_decompress is None:
                    auto_decompress = self._auto_decompress
                response._auto_decompress = auto_decompress
                clock.hand_over()
                if check is True:
                    response.raise_for_status()
                elif callable(check):
                    await check(response)
                if traced is not None:
                    await traced.end(call.machine.method, call.machine.url, response)
            except BaseException as error:
                if response is None:
                    clock.stop()
                else:
                    response.close()
                if traced is not None:
                    await traced.fail(call.machine.method, call.machine.url, error)
                raise
            return response
        finally:
            if upload is not None:
                upload.end()

    def _build_url(self, str_or_url: StrOrURL) -> URL:
        try:
            url = str_or_url if isinstance(str_or_url, URL) else URL(str_or_url)
            if self._base_url is None:
                return url
            return self._base_url.join(url)
        except ValueError as exc:
            raise InvalidUrlClientError(str_or_url, str(exc)) from exc


def request(
    method: str,
    url: StrOrURL,
    *,
    version: HttpVersion = HttpVersion11,
    connector: BaseConnector | None = None,
    loop: asyncio.AbstractEventLoop | None = None,
    **kwargs: Unpack[_RequestOptions],
) -> SessionRequestContextManager:
    """Make one request with a session of its own; use it with ``async with``.

    The keywords are those of ``ClientSession.request``.
    """
    owner = connector is None
    if connector is None:
        connector = TCPConnector(loop=loop, force_close=True)
    timeout = kwargs.pop("timeout", sentinel)
    session = ClientSession(
        loop=loop,
        cookies=kwargs.pop("cookies", None),
        version=version,
        timeout=as_timeout(timeout) if isinstance(timeout, int | float) else timeout,
        connector=connector,
        connector_owner=owner,
    )
    return SessionRequestContextManager(session._request(method, url, **kwargs), session)
