"""Runners and sites: an application or server, and the sockets that it listens on.

Shutdown, in ``BaseRunner.cleanup``, in this order: stop listening; close idle
connections; ``on_shutdown``; close WebSockets with 1001, wait for running handlers, cancel what
takes too long (``Server.shutdown``); leave the cleanup contexts and send ``on_cleanup``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import ssl
import warnings
from abc import ABC, abstractmethod
from typing import Any, Final

from yarl import URL

from plait_engine.engines import ALPN_PROTOCOLS

from .abc import AbstractAccessLogger
from .transport.pipes import check_has_pipes
from .transport.waiter import next_turn
from .typedefs import PathLike
from .web_app import Application
from .web_log import AccessLogger
from .web_server import Server

__all__ = (
    "AppRunner",
    "BaseRunner",
    "BaseSite",
    "GracefulExit",
    "ServerRunner",
    "SockSite",
    "TCPSite",
    "UnixSite",
)

_DEFAULT_SHUTDOWN_TIMEOUT: Final = 60.0


class GracefulExit(SystemExit):
    """Raised in the loop by SIGINT and SIGTERM, to end ``run_app``."""

    code = 1


def _raise_graceful_exit() -> None:
    raise GracefulExit


def check_server_context(context: ssl.SSLContext | None) -> None:
    """Raise TypeError for what is no SSL context, ValueError for one that cannot serve."""
    if context is None:
        return
    if not isinstance(context, ssl.SSLContext):
        raise TypeError(f"ssl_context must be an ssl.SSLContext, not {context!r}")
    if context.protocol is ssl.PROTOCOL_TLS_CLIENT:
        raise ValueError(
            "ssl_context is one for clients: make it with"
            " ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)"
        )


def offer_protocols(context: ssl.SSLContext, protocols: tuple[str, ...]) -> None:
    """Offer ``protocols`` by ALPN (RFC 7301), unless ``context`` already offers some.

    A context cannot be asked what it offers.  So it is tried: a handshake in memory with a
    client that takes everything we know shows whether the context chooses.
    """
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_context.check_hostname = False
    client_context.verify_mode = ssl.CERT_NONE
    client_context.set_alpn_protocols(["http/1.1", "h2", "http/1.0"])
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server)
    with contextlib.suppress(ssl.SSLError):  # It wants the answer that we do not give.
        client.do_handshake()
    callback = context.sni_callback
    context.sni_callback = None  # It is for real clients.
    try:
        server = context.wrap_bio(to_server, to_client, server_side=True)
        with contextlib.suppress(ssl.SSLError):  # It waits for the client, or has no key.
            server.do_handshake()
    finally:
        context.sni_callback = callback
    if server.selected_alpn_protocol() is None:
        context.set_alpn_protocols(list(protocols))


class BaseSite(ABC):
    """A socket that a runner listens on.

    Args:
        runner: its ``setup`` must have been awaited; else RuntimeError.
        ssl_context: for TLS; it gets our ALPN protocols if it has none of its own.  Raises
            TypeError for another type, ValueError for a context of a client.
        backlog: connections that may wait to be accepted.
        shutdown_timeout: deprecated, give it to the runner.
    """

    def __init__(
        self,
        runner: BaseRunner,
        *,
        shutdown_timeout: float = _DEFAULT_SHUTDOWN_TIMEOUT,
        ssl_context: ssl.SSLContext | None = None,
        backlog: int = 128,
    ) -> None:
        if runner.server is None:
            raise RuntimeError("runner.setup() should be called before making a site")
        if shutdown_timeout != _DEFAULT_SHUTDOWN_TIMEOUT:
            warnings.warn(
                "shutdown_timeout should be set on BaseRunner", DeprecationWarning, stacklevel=2
            )
            runner._shutdown_timeout = shutdown_timeout
        check_server_context(ssl_context)
        if ssl_context is not None:
            offer_protocols(
                ssl_context, ALPN_PROTOCOLS if runner.server.http2 else ALPN_PROTOCOLS[1:]
            )
        self._runner = runner
        self._ssl_context = ssl_context
        self._backlog = backlog
        self._server: asyncio.Server | None = None

    @property
    @abstractmethod
    def name(self) -> str:
        """The address, as a URL."""

    @abstractmethod
    async def start(self) -> None:
        """Listen."""
        self._runner._reg_site(self)

    async def stop(self) -> None:
        """Listen no more.  Open connections go on."""
        self._runner._check_site(self)
        if self._server is not None:
            self._server.close()
        self._runner._unreg_site(self)

    def _protocol_factory(self) -> Server:
        server = self._runner.server
        assert server is not None
        return server

    def _url(self, host: str, port: int | None) -> str:
        scheme = "https" if self._ssl_context else "http"
        return str(URL.build(scheme=scheme, host=host, port=port))


class TCPSite(BaseSite):
    """Listens on TCP.

    Args:
        host: the address; all interfaces by default.
        port: 8080 by default, with TLS 8443; 0: any that is free.
        reuse_address, reuse_port: SO_REUSEADDR and SO_REUSEPORT, as ``loop.create_server``.
    """

    def __init__(
        self,
        runner: BaseRunner,
        host: str | None = None,
        port: int | None = None,
        *,
        shutdown_timeout: float = _DEFAULT_SHUTDOWN_TIMEOUT,
        ssl_context: ssl.SSLContext | None = None,
        backlog: int = 128,
        reuse_address: bool | None = None,
        reuse_port: bool | None = None,
    ) -> None:
        super().__init__(
            runner, shutdown_timeout=shutdown_timeout, ssl_context=ssl_context, backlog=backlog
        )
        self._host = host
        self._port = (8443 if ssl_context else 8080) if port is None else port
        self._reuse_address = reuse_address
        self._reuse_port = reuse_port

    @property
    def port(self) -> int:
        """The port that the site listens on."""
        if self._server is not None and self._server.sockets:
            return int(self._server.sockets[0].getsockname()[1])
        return self._port

    @property
    def name(self) -> str:
        """The address, as a URL."""
        return self._url(self._host or "0.0.0.0", self.port)

    async def start(self) -> None:
        """Listen.  Raises OSError when the address cannot be had."""
        await super().start()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self._protocol_factory(),
            self._host,
            self._port,
            ssl=self._ssl_context,
            backlog=self._backlog,
            reuse_address=self._reuse_address,
            reuse_port=self._reuse_port,
        )


class UnixSite(BaseSite):
    """Listens on a Unix socket at ``path``."""

    def __init__(
        self,
        runner: BaseRunner,
        path: PathLike,
        *,
        shutdown_timeout: float = _DEFAULT_SHUTDOWN_TIMEOUT,
        ssl_context: ssl.SSLContext | None = None,
        backlog: int = 128,
    ) -> None:
        super().__init__(
            runner, shutdown_timeout=shutdown_timeout, ssl_context=ssl_context, backlog=backlog
        )
        self._path = path

    @property
    def name(self) -> str:
        """The path, as a URL."""
        scheme = "https" if self._ssl_context else "http"
        return f"{scheme}://unix:{os.fspath(self._path)}:"

    async def start(self) -> None:
        """Listen.  Raises OSError when the path cannot be had."""
        await super().start()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(
            self._protocol_factory(), self._path, ssl=self._ssl_context, backlog=self._backlog
        )


class NamedPipeSite(BaseSite):
    """Listens on a named pipe of Windows at ``path``.

    Raises RuntimeError when the loop has no pipes: asyncio's proactor loop has them.
    """

    def __init__(
        self,
        runner: BaseRunner,
        path: str,
        *,
        shutdown_timeout: float = _DEFAULT_SHUTDOWN_TIMEOUT,
    ) -> None:
        check_has_pipes(asyncio.get_running_loop())
        super().__init__(runner, shutdown_timeout=shutdown_timeout)
        self._path = path

    @property
    def name(self) -> str:
        """The path."""
        return self._path

    async def start(self) -> None:
        """Listen.  Raises OSError when the path cannot be had."""
        await super().start()
        loop: Any = asyncio.get_running_loop()  # typeshed has these loops on Windows only.
        (self._server,) = await loop.start_serving_pipe(self._protocol_factory(), self._path)


class SockSite(BaseSite):
    """Listens on a socket that is bound already."""

    def __init__(
        self,
        runner: BaseRunner,
        sock: socket.socket,
        *,
        shutdown_timeout: float = _DEFAULT_SHUTDOWN_TIMEOUT,
        ssl_context: ssl.SSLContext | None = None,
        backlog: int = 128,
    ) -> None:
        super().__init__(
            runner, shutdown_timeout=shutdown_timeout, ssl_context=ssl_context, backlog=backlog
        )
        self._sock = sock
        if sock.family == getattr(socket, "AF_UNIX", None):
            self._name = f"{'https' if ssl_context else 'http'}://unix:{sock.getsockname()}:"
        else:
            host, port = sock.getsockname()[:2]
            self._name = self._url(host, port)

    @property
    def name(self) -> str:
        """The address, as a URL."""
        return self._name

    async def start(self) -> None:
        """Listen."""
        await super().start()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self._protocol_factory(),
            sock=self._sock,
            ssl=self._ssl_context,
            backlog=self._backlog,
        )


class BaseRunner(ABC):
    """What runs a server on any number of sites.

    Args:
        handle_signals: SIGINT and SIGTERM raise ``GracefulExit`` in the loop.
        shutdown_timeout: seconds for the shutdown of all connections, see ``Server.shutdown``.
        kwargs: arguments of ``Server``.
    """

    def __init__(
        self,
        *,
        handle_signals: bool = False,
        shutdown_timeout: float = _DEFAULT_SHUTDOWN_TIMEOUT,
        **kwargs: Any,  # those of Server
    ) -> None:
        self._handle_signals = handle_signals
        self._shutdown_timeout = shutdown_timeout
        self._kwargs = kwargs
        self._server: Server | None = None
        self._is_set_up = False
        self._sites: list[BaseSite] = []

    @property
    def server(self) -> Server | None:
        """The server, once it is set up."""
        return self._server

    @property
    def addresses(self) -> list[Any]:
        """The addresses of the sites, as ``getsockname`` returns them."""
        return [
            sock.getsockname()
            for site in self._sites
            if site._server is not None
            for sock in getattr(site._server, "sockets", ())  # A pipe has none.
        ]

    @property
    def sites(self) -> set[BaseSite]:
        """The sites that listen."""
        return set(self._sites)

    async def setup(self) -> None:
        """Make the server; await it before making a site."""
        self._is_set_up = True
        if self._handle_signals:
            loop = asyncio.get_running_loop()
            # Windows has no signal handlers in the loop.
            with contextlib.suppress(NotImplementedError):
                for number in (signal.SIGINT, signal.SIGTERM):
                    loop.add_signal_handler(number, _raise_graceful_exit)
        self._server = await self._make_server()

    @abstractmethod
    async def shutdown(self) -> None:
        """Called when the server listens no more and handlers may still run."""

    async def cleanup(self) -> None:
        """End everything, in the order that the module describes.

        Also after a ``setup`` that failed; without one, or a second time, it does nothing.
        """
        if not self._is_set_up:
            return
        self._is_set_up = False
        for site in list(self._sites):
            await site.stop()
        # Each step happens although one before it fails; the last one stands first.
        async with contextlib.AsyncExitStack() as steps:
            steps.callback(self._forget_server)
            steps.push_async_callback(self._cleanup_server)
            if self._server is not None:
                steps.push_async_callback(self._server.shutdown, self._shutdown_timeout)
                # A connection that was accepted before may become known in this turn.
                await next_turn()
                self._server.pre_shutdown()
                await self.shutdown()

    def _forget_server(self) -> None:
        self._server = None
        if self._handle_signals:
            loop = asyncio.get_running_loop()
            with contextlib.suppress(NotImplementedError):
                for number in (signal.SIGINT, signal.SIGTERM):
                    loop.remove_signal_handler(number)

    @abstractmethod
    async def _make_server(self) -> Server:
        """Return the server."""

    @abstractmethod
    async def _cleanup_server(self) -> None:
        """Called when no handler runs any more."""

    def _reg_site(self, site: BaseSite) -> None:
        if site in self._sites:
            raise RuntimeError(f"{self} has the site {site} already")
        self._sites.append(site)

    def _check_site(self, site: BaseSite) -> None:
        if site not in self._sites:
            raise RuntimeError(f"{self} does not have the site {site}")

    def _unreg_site(self, site: BaseSite) -> None:
        self._check_site(site)
        self._sites.remove(site)


class ServerRunner(BaseRunner):
    """Runs a low-level ``Server``."""

    def __init__(
        self,
        web_server: Server,
        *,
        handle_signals: bool = False,
        **kwargs: Any,  # those of BaseRunner
    ) -> None:
        super().__init__(handle_signals=handle_signals, **kwargs)
        self._web_server = web_server

    async def shutdown(self) -> None:
        """Nothing to do: a server has no signals."""

    async def _make_server(self) -> Server:
        return self._web_server

    async def _cleanup_server(self) -> None:
        pass


class AppRunner(BaseRunner):
    """Runs an ``Application``.

    Args:
        app: the application.
        access_log_class: what writes the access log.
        kwargs: arguments of ``BaseRunner`` and ``Server``.
    """

    def __init__(
        self,
        app: Application,
        *,
        handle_signals: bool = False,
        access_log_class: type[AbstractAccessLogger] = AccessLogger,
        **kwargs: Any,  # those of BaseRunner and Server
    ) -> None:
        if not isinstance(app, Application):
            raise TypeError(f"app must be a web.Application, not {app!r}")
        super().__init__(handle_signals=handle_signals, access_log_class=access_log_class, **kwargs)
        self._app = app

    @property
    def app(self) -> Application:
        """The application."""
        return self._app

    async def shutdown(self) -> None:
        """Send ``on_shutdown``."""
        await self._app.shutdown()

    async def _make_server(self) -> Server:
        app = self._app
        app._set_loop(asyncio.get_running_loop())
        app.on_startup.freeze()
        await app.startup()
        return app._make_server(**self._kwargs)

    async def _cleanup_server(self) -> None:
        await self._app.cleanup()
