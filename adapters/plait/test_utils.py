"""What tests of clients and servers need: servers, clients, loops and requests without one.

``TestServer`` serves an application to a test, ``RawTestServer`` a bare handler, and a
``TestClient`` makes requests of either, by paths.  Both versions of HTTP are there:
``TestClient(server, http2=True)`` speaks HTTP/2.

A server listens on a port of 127.0.0.1 that is free, or with ``in_memory=True`` on none: then
``TestClient`` reaches it through memory.  That is faster, and a test needs no network.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import ipaddress
import os
import socket
import ssl
import sys
import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any, Final, Generic, Literal, TypeVar, Unpack, cast, overload
from unittest import IsolatedAsyncioTestCase, mock

from aiosignal import Signal
from multidict import CIMultiDict
from yarl import URL

from plait_engine.policy.retry import RetryPolicy

from . import hdrs
from .abc import AbstractCookieJar
from .calls.context import RequestContextManager, WSRequestContextManager
from .calls.options import RequestOptions
from .client import ClientSession
from .client_reqrep import ClientResponse
from .client_ws import ClientWebSocketResponse, WSOptions
from .cookiejar import CookieJar
from .helpers import sentinel
from .http_writer import HttpVersion, HttpVersion11
from .inprocess.connector import MemoryConnector
from .streams import EMPTY_PAYLOAD, StreamReader
from .testing.lifetime import Startable
from .testing.mocked import MockedWriter, make_exchange, mock_loop
from .typedefs import LooseHeaders, StrOrURL
from .web_app import Application
from .web_request import BaseRequest, Request
from .web_runner import AppRunner, BaseRunner, ServerRunner, SockSite
from .web_server import RequestCallback, Server
from .web_urldispatcher import UrlMappingMatchInfo

_Request = TypeVar("_Request", bound=BaseRequest)
_ApplicationNone = TypeVar("_ApplicationNone", Application, None)

REUSE_ADDRESS: Final = os.name == "posix" and sys.platform != "cygwin"
"""Sockets of tests get SO_REUSEADDR; elsewhere that lets two servers have one port."""

_NO_RETRY: Final = RetryPolicy(stale=0, unprocessed=0)

# -- ports ---------------------------------------------------------------------------------


def get_unused_port_socket(
    host: str, family: socket.AddressFamily = socket.AF_INET
) -> socket.socket:
    """Return a socket that is bound to a free port of ``host``."""
    return get_port_socket(host, 0, family)


def get_port_socket(host: str, port: int, family: socket.AddressFamily) -> socket.socket:
    """Return a socket that is bound to ``port`` of ``host``; 0: any that is free.

    Raises OSError when it cannot be had.
    """
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if REUSE_ADDRESS:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
    except BaseException:
        sock.close()
        raise
    return sock


def unused_port() -> int:
    """Return a TCP port of 127.0.0.1 that was free a moment ago."""
    with get_unused_port_socket("127.0.0.1") as sock:
        return int(sock.getsockname()[1])


# -- servers -------------------------------------------------------------------------------


class BaseTestServer(Startable):
    """A server of a test; use it with ``async with``, or call ``start_server`` and ``close``.

    Args:
        scheme: of its URLs, by default what it serves.
        loop: for compatibility; it serves in the loop that runs.
        host: the address to listen on.
        port: the port; any that is free by default.
        skip_url_asserts: ``make_url`` takes what is appended to the root as it stands.
        socket_factory: makes the socket to listen on, of host, port and family.
        in_memory: listen on no socket: a ``TestClient`` gets there by memory.  Without TLS.
            (plait's own.)
        kwargs: arguments of ``start_server``.

    ``runner`` is what serves, once it is started.
    """

    __test__ = False

    def __init__(
        self,
        *,
        scheme: str = "",
        loop: asyncio.AbstractEventLoop | None = None,
        host: str = "127.0.0.1",
        port: int | None = None,
        skip_url_asserts: bool = False,
        socket_factory: Callable[[str, int, socket.AddressFamily], socket.socket] = get_port_socket,
        in_memory: bool = False,
        **kwargs: Any,  # those of start_server
    ) -> None:
        self.runner: BaseRunner | None = None
        self.scheme = scheme
        self.host = host
        self.port = port
        self.skip_url_asserts = skip_url_asserts
        self.socket_factory = socket_factory
        self.in_memory = in_memory
        self._loop = loop
        self._kwargs = kwargs
        self._root: URL | None = None
        self._closed = False

    async def start_server(
        self,
        loop: asyncio.AbstractEventLoop | None = None,
        *,
        ssl: ssl.SSLContext | None = None,
        **kwargs: Any,  # those of the runner
    ) -> None:
        """Serve; later calls do nothing.

        Args:
            loop: for compatibility.
            ssl: serve TLS with this context.
            kwargs: arguments of ``AppRunner`` and ``Server``.  A handler is cancelled when
                its client goes away, unless ``handler_cancellation=False``.

        Raises OSError when the port cannot be had, ValueError for TLS in memory.
        """
        if self.started:
            return
        options = {"handler_cancellation": True, **self._kwargs, **kwargs}
        own = options.pop("ssl", None)
        context = own if ssl is None else ssl
        if context is not None and self.in_memory:
            raise ValueError("a server in memory has no TLS")
        self._loop = loop or self._loop
        self.runner = await self._make_runner(**options)
        await self.runner.setup()
        name = self.host
        if self.in_memory:
            self.port = self.port or 80
        else:
            await self._listen(self.runner, context)
        if not self.scheme:
            self.scheme = "http" if context is None else "https"
        self._root = URL.build(scheme=self.scheme, host=name, port=self.port)

    async def _listen(self, runner: BaseRunner, context: ssl.SSLContext | None) -> None:
        sock = self.socket_factory(self.host, self.port or 0, _family(self.host))
        try:
            self.host, self.port = sock.getsockname()[:2]
            await SockSite(runner, sock, ssl_context=context).start()
        except BaseException:
            sock.close()
            raise

    @abstractmethod
    async def _make_runner(self, **kwargs: Any) -> BaseRunner:
        """Return what serves."""

    def make_url(self, path: StrOrURL) -> URL:
        """Return the URL of ``path`` on this server.

        Raises AssertionError for an absolute URL, unless ``skip_url_asserts`` is set, and
        RuntimeError while the server does not run.
        """
        if self._root is None:
            raise RuntimeError("the server does not run: it has no address")
        if self.skip_url_asserts:
            return URL(f"{self._root}{path}")
        url = URL(path)
        if url.absolute:
            raise AssertionError(f"{path} is no path of the test's server")
        return self._root.join(url)

    @property
    def started(self) -> bool:
        """True once it was started, also when it is closed."""
        return self.runner is not None

    @property
    def closed(self) -> bool:
        """True after ``close``, if it was started."""
        return self._closed

    @property
    def handler(self) -> Server:
        """What serves the connections.  Raises RuntimeError while the server does not run."""
        server = self._find_server()
        if server is None:
            raise RuntimeError("the server does not run")
        return server

    def _find_server(self) -> Server | None:
        return None if self.runner is None else self.runner.server

    async def close(self) -> None:
        """End all connections and the application; later calls do nothing."""
        if self.runner is None or self._closed:
            return
        self._closed = True
        self._root = None
        self.port = None
        await self.runner.cleanup()


class TestServer(BaseTestServer):
    """Serves ``app`` to a test.  The keywords are those of ``BaseTestServer``."""

    def __init__(
        self,
        app: Application,
        *,
        scheme: str = "",
        host: str = "127.0.0.1",
        port: int | None = None,
        **kwargs: Any,  # those of BaseTestServer
    ) -> None:
        super().__init__(scheme=scheme, host=host, port=port, **kwargs)
        self.app = app

    async def _make_runner(self, **kwargs: Any) -> BaseRunner:
        return AppRunner(self.app, **kwargs)


class RawTestServer(BaseTestServer):
    """Serves ``handler`` to a test, which gets each request as a ``BaseRequest``.

    The keywords are those of ``BaseTestServer``.  Clients are shown tracebacks, unless
    ``debug=False``.
    """

    def __init__(
        self,
        handler: RequestCallback,
        *,
        scheme: str = "",
        host: str = "127.0.0.1",
        port: int | None = None,
        **kwargs: Any,  # those of BaseTestServer
    ) -> None:
        super().__init__(scheme=scheme, host=host, port=port, **kwargs)
        self._handler = handler

    async def _make_runner(self, **kwargs: Any) -> BaseRunner:
        names = ("handle_signals", "shutdown_timeout")
        for_runner = {name: kwargs.pop(name) for name in names if name in kwargs}
        server = Server(self._handler, **{"loop": self._loop, "debug": True, **kwargs})
        return ServerRunner(server, **for_runner)


def _family(host: str) -> socket.AddressFamily:
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        version = 4
    return socket.AF_INET6 if version == 6 else socket.AF_INET


# -- the client ----------------------------------------------------------------------------


class TestClient(Startable, Generic[_Request, _ApplicationNone]):
    """Makes requests of a test's server, by paths; it starts the server and closes it.

    Use it with ``async with``, or call ``start_server`` and ``close``.

    Args:
        server: the server.
        cookie_jar: keeps the cookies; by default one that takes them from IP addresses, too.
        loop: for a client that is made where no loop runs.
        kwargs: arguments of ``ClientSession``: ``http2=True`` speaks HTTP/2.

    What fails is not sent again, unless a ``retry_policy`` is given.  Raises TypeError for
    what is no test server.
    """

    __test__ = False

    @overload
    def __init__(
        self: TestClient[Request, Application],
        server: TestServer,
        *,
        cookie_jar: AbstractCookieJar | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
        **kwargs: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: TestClient[_Request, None],
        server: BaseTestServer,
        *,
        cookie_jar: AbstractCookieJar | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
        **kwargs: Any,
    ) -> None: ...
    def __init__(
        self,
        server: BaseTestServer,
        *,
        cookie_jar: AbstractCookieJar | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
        **kwargs: Any,  # those of ClientSession
    ) -> None:
        if not isinstance(server, BaseTestServer):
            raise TypeError(f"server must be TestServer instance, found type: {type(server)!r}")
        self._server = server
        self._loop = loop
        if server.in_memory and kwargs.get("connector") is None:
            options = {name: kwargs.pop(name) for name in ("http2", "engine") if name in kwargs}
            kwargs["connector"] = MemoryConnector(server._find_server, loop=loop, **options)
        self._session = ClientSession(
            loop=loop,
            cookie_jar=CookieJar(unsafe=True) if cookie_jar is None else cookie_jar,
            **{"retry_policy": _NO_RETRY, **kwargs},
        )
        self._closed = False
        self._responses: list[ClientResponse] = []
        self._websockets: list[ClientWebSocketResponse[bool]] = []

    async def start_server(self) -> None:
        """Start the server, if it does not run."""
        await self._server.start_server(loop=self._loop)

    @property
    def host(self) -> str:
        """The address of the server."""
        return self._server.host

    @property
    def port(self) -> int | None:
        """The port of the server while it runs."""
        return self._server.port

    @property
    def server(self) -> BaseTestServer:
        """The server."""
        return self._server

    @property
    def app(self) -> _ApplicationNone:
        """The application; ``None`` if the server serves a bare handler."""
        return cast("_ApplicationNone", getattr(self._server, "app", None))

    @property
    def session(self) -> ClientSession:
        """The session; its methods take whole URLs."""
        return self._session

    def make_url(self, path: StrOrURL) -> URL:
        """Return the URL of ``path`` (see ``BaseTestServer.make_url``)."""
        return self._server.make_url(path)

    def request(
        self, method: str, path: StrOrURL, **kwargs: Unpack[RequestOptions]
    ) -> RequestContextManager:
        """Make a request; await it or use it with ``async with``.

        The keywords are those of ``ClientSession.request``.
        """
        return RequestContextManager(self._request(method, path, **kwargs))

    def get(self, path: StrOrURL, **kwargs: Unpack[RequestOptions]) -> RequestContextManager:
        """Make a GET request."""
        return self.request(hdrs.METH_GET, path, **kwargs)

    def options(self, path: StrOrURL, **kwargs: Unpack[RequestOptions]) -> RequestContextManager:
        """Make an OPTIONS request."""
        return self.request(hdrs.METH_OPTIONS, path, **kwargs)

    def head(self, path: StrOrURL, **kwargs: Unpack[RequestOptions]) -> RequestContextManager:
        """Make a HEAD request."""
        return self.request(hdrs.METH_HEAD, path, **kwargs)

    def post(self, path: StrOrURL, **kwargs: Unpack[RequestOptions]) -> RequestContextManager:
        """Make a POST request."""
        return self.request(hdrs.METH_POST, path, **kwargs)

    def put(self, path: StrOrURL, **kwargs: Unpack[RequestOptions]) -> RequestContextManager:
        """Make a PUT request."""
        return self.request(hdrs.METH_PUT, path, **kwargs)

    def patch(self, path: StrOrURL, **kwargs: Unpack[RequestOptions]) -> RequestContextManager:
        """Make a PATCH request."""
        return self.request(hdrs.METH_PATCH, path, **kwargs)

    def delete(self, path: StrOrURL, **kwargs: Unpack[RequestOptions]) -> RequestContextManager:
        """Make a DELETE request."""
        return self.request(hdrs.METH_DELETE, path, **kwargs)

    async def _request(
        self, method: str, path: StrOrURL, **kwargs: Unpack[RequestOptions]
    ) -> ClientResponse:
        response = await self._session.request(method, self.make_url(path), **kwargs)
        self._responses.append(response)
        return response

    @overload
    def ws_connect(
        self, path: StrOrURL, *, decode_text: Literal[True] = ..., **kwargs: Unpack[WSOptions]
    ) -> WSRequestContextManager[Literal[True]]: ...
    @overload
    def ws_connect(
        self, path: StrOrURL, *, decode_text: Literal[False], **kwargs: Unpack[WSOptions]
    ) -> WSRequestContextManager[Literal[False]]: ...
    @overload
    def ws_connect(
        self, path: StrOrURL, *, decode_text: bool, **kwargs: Unpack[WSOptions]
    ) -> WSRequestContextManager[bool]: ...
    def ws_connect(
        self, path: StrOrURL, *, decode_text: bool = True, **kwargs: Unpack[WSOptions]
    ) -> WSRequestContextManager[bool]:
        """Open a WebSocket; await it or use it with ``async with``.

        The keywords are those of ``ClientSession.ws_connect``.
        """
        return WSRequestContextManager(self._ws_connect(path, decode_text, **kwargs))

    async def _ws_connect(
        self, path: StrOrURL, decode_text: bool, **kwargs: Unpack[WSOptions]
    ) -> ClientWebSocketResponse[bool]:
        websocket = await self._session.ws_connect(
            self.make_url(path), decode_text=decode_text, **kwargs
        )
        self._websockets.append(websocket)
        return websocket

    async def close(self) -> None:
        """Close responses, WebSockets, the session, and then the server.

        Later calls do nothing.  Each is closed although one before it fails.
        """
        if self._closed:
            return
        self._closed = True
        async with AsyncExitStack() as steps:  # The last one stands first.
            steps.push_async_callback(self._server.close)
            steps.push_async_callback(self._session.close)
            for websocket in reversed(self._websockets):
                steps.push_async_callback(websocket.close)
            for response in reversed(self._responses):
                steps.callback(response.close)


# -- unittest ------------------------------------------------------------------------------


class AioHTTPTestCase(IsolatedAsyncioTestCase):
    """A test case with an application that is served: ``app``, ``server`` and ``client``.

    Override ``get_application``.  ``loop`` is the loop that runs.
    """

    loop: asyncio.AbstractEventLoop
    app: Application
    server: TestServer
    client: TestClient[Request, Application]

    async def get_application(self) -> Application:
        """Return the application to test."""
        return self.get_app()

    def get_app(self) -> Application:
        """Obsolete: override ``get_application``."""
        raise RuntimeError("override get_application(): it returns the application to test")

    async def get_server(self, app: Application) -> TestServer:
        """Return the server of ``app``."""
        return TestServer(app, loop=self.loop)

    async def get_client(self, server: TestServer) -> TestClient[Request, Application]:
        """Return the client of ``server``."""
        return TestClient(server, loop=self.loop)

    async def asyncSetUp(self) -> None:
        """Make application, server and client, and start the server."""
        self.loop = asyncio.get_running_loop()
        await self.setUpAsync()

    async def setUpAsync(self) -> None:
        """What ``asyncSetUp`` does, for subclasses that override it."""
        self.app = await self.get_application()
        self.server = await self.get_server(self.app)
        self.client = await self.get_client(self.server)
        try:
            await self.client.start_server()
        except BaseException:
            await self.client.close()
            raise

    async def asyncTearDown(self) -> None:
        """Close the client and the server."""
        await self.tearDownAsync()

    async def tearDownAsync(self) -> None:
        """What ``asyncTearDown`` does, for subclasses that override it."""
        await self.client.close()


def unittest_run_loop(func: Any, *args: Any, **kwargs: Any) -> Any:
    """Deprecated: return ``func``; a test of ``AioHTTPTestCase`` may be a coroutine function."""
    warnings.warn(
        "Decorator `@unittest_run_loop` is no longer needed in aiohttp 3.8+",
        DeprecationWarning,
        stacklevel=2,
    )
    return func


# -- loops ---------------------------------------------------------------------------------

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


@contextmanager
def loop_context(
    loop_factory: LoopFactory = asyncio.new_event_loop, fast: bool = False
) -> Iterator[asyncio.AbstractEventLoop]:
    """A loop for a test, which is the current one of the thread meanwhile.

    ``fast``: do not collect garbage behind it.
    """
    loop = setup_test_loop(loop_factory)
    try:
        yield loop
    finally:
        teardown_test_loop(loop, fast=fast)


def setup_test_loop(
    loop_factory: LoopFactory = asyncio.new_event_loop,
) -> asyncio.AbstractEventLoop:
    """Make a loop the current one of the thread, and return it."""
    loop = loop_factory()
    asyncio.set_event_loop(loop)
    return loop


def teardown_test_loop(loop: asyncio.AbstractEventLoop, fast: bool = False) -> None:
    """Close a loop that ``setup_test_loop`` made.

    What it has to do now is done before.  ``fast``: do not collect garbage, which shows what
    a test did not close.
    """
    if not loop.is_closed():
        loop.call_soon(loop.stop)
        loop.run_forever()
        loop.close()
    if not fast:
        gc.collect()
    asyncio.set_event_loop(None)


# -- requests without a connection ---------------------------------------------------------


def make_mocked_request(
    method: str,
    path: str,
    headers: LooseHeaders | None = None,
    *,
    match_info: Any = sentinel,
    version: HttpVersion = HttpVersion11,
    closing: bool = False,
    app: Any = None,
    writer: Any = sentinel,
    protocol: Any = sentinel,
    transport: Any = sentinel,
    payload: StreamReader = EMPTY_PAYLOAD,
    sslcontext: Any = None,
    client_max_size: int = 1024**2,
    client_max_fields: int = 1000,
    loop: Any = ...,
) -> Request:
    """Return a request that nobody sent, to call a handler with.

    Args:
        method, path, headers, version: what the request says; an absolute ``path`` gives
            the host.
        match_info: the variables of the path.
        closing: the connection ends behind the request.
        app: ``request.app``; a mock by default, which keeps what is put into it.
        writer: ``request.writer``: takes what a response writes.  By default it goes to the
            transport, by a writer whose methods are mocks, too.
        protocol: ``request.protocol``.
        transport: ``request.transport``; a mock by default.  Responses are written to it,
            unless there is a ``writer``.
        payload: ``request.content``.
        sslcontext: what the connection is secured with; then the scheme is https.
        client_max_size: bytes of content that ``read`` and its like accept.
        client_max_fields: fields of a form that ``post`` accepts.
        loop: the loop; the one that runs by default.
    """
    if loop is ...:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = mock_loop()
    if transport is sentinel:
        transport = _mock_transport(sslcontext)
    exchange = make_exchange(
        method.upper(),
        path,
        CIMultiDict(headers or {}),
        version,
        closing=closing,
        payload=payload,
        transport=transport,
        sslcontext=sslcontext,
        loop=loop,
    )
    if protocol is not sentinel:
        protocol.transport = transport
        exchange.handler = protocol
    request = Request(exchange.event, exchange, client_max_size, client_max_fields)
    request._payload_writer = MockedWriter(exchange) if writer is sentinel else writer
    info = UrlMappingMatchInfo({} if match_info is sentinel else match_info, mock.Mock())
    if app is None:
        app = _mock_application()
    info.add_app(app)
    request._match_info = info
    request._prepare_apps = (app,) if getattr(app, "on_response_prepare", None) else ()
    return request


def _mock_application() -> mock.MagicMock:
    state: dict[Any, Any] = {}
    app = mock.MagicMock(spec=Application)
    app.__getitem__.side_effect = state.__getitem__
    app.__setitem__.side_effect = state.__setitem__
    app.__contains__.side_effect = state.__contains__
    app.get.side_effect = state.get
    app.on_response_prepare = Signal(app)
    app.on_response_prepare.freeze()
    return app


def _mock_transport(sslcontext: Any) -> mock.Mock:
    known = {"sslcontext": sslcontext, "sockname": ("127.0.0.1", 80)}
    transport = mock.Mock(spec=asyncio.Transport)
    transport.is_closing.return_value = False
    transport.get_extra_info.side_effect = known.get
    return transport


def make_mocked_coro(return_value: Any = sentinel, raise_exception: Any = sentinel) -> Any:
    """Return a mock of a coroutine function.

    It returns ``return_value``, or what that returns when it is awaited, or raises
    ``raise_exception``.
    """

    async def coroutine(*args: Any, **kwargs: Any) -> Any:
        if raise_exception is not sentinel:
            raise raise_exception
        if inspect.isawaitable(return_value):
            return await return_value
        return return_value

    return mock.Mock(wraps=coroutine)
