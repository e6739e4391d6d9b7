"""The server: what all its connections have in common, and what runs a request.

A ``Server`` is the protocol factory that asyncio calls for each connection.  It makes the
engine's configuration once, from aiohttp's arguments and from the engine's own.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final, TypeAlias, TypeVar

from plait_engine import Config, Limits, Timeouts
from plait_engine import Request as RequestEvent
from plait_engine.engines import EngineName
from plait_engine.policy.lifetimes import last_request_id, retire

from .abc import AbstractAccessLogger
from .helpers import _SENTINEL, sentinel
from .log import access_logger, server_logger
from .serving.exchange import ServerExchange
from .transport.stream import StreamProtocol
from .web_exceptions import HTTPServiceUnavailable
from .web_log import AccessLogger
from .web_protocol import RequestHandler
from .web_request import BaseRequest
from .web_response import StreamResponse

__all__ = ("Server",)

# A request factory makes requests of a class that the handler knows: Any.
RequestFactory: TypeAlias = Callable[[RequestEvent, ServerExchange], Any]
_S = TypeVar("_S", Limits, Timeouts)
RequestCallback: TypeAlias = Callable[[Any], Awaitable[StreamResponse]]


MAX_CONNECTIONS: Final = 65_536
MAX_CONNECTION_AGE: Final = 3600.0
"""Seconds (nginx: an hour)."""
MAX_CONNECTION_REQUESTS: Final = 100_000

_SILENCE: Final = 1.0
"""Seconds of a shutdown after which it is told what is waited for."""
_SHOWN: Final = 10
"""Connections of which it is told."""


class Server:
    """Serves requests with ``handler``, on any number of connections.

    Args:
        handler: takes a request, returns a response.
        request_factory: makes the request; ``BaseRequest`` by default.
        handler_cancellation: cancel a handler when its client goes away.
        keepalive_timeout: seconds between requests of a connection; ``None``: any; 0: it
            closes after a response.
        head_timeout: seconds for the head of a request: 408.
        body_timeout: seconds between bytes of content while the handler waits for them: 408,
            or the stream is reset.
        write_timeout: seconds in which a client takes nothing of what there is to send: the
            stream or connection ends.
        max_connections: open connections; one more is dropped.
        max_connection_age: seconds after which a connection ends, behind the requests that
            are open.
        max_connection_requests: requests of a connection, which ends behind the last.
        max_handlers: handlers that run at a time, on all connections; a request beyond that is
            answered 503.  Those of each connection are limited by
            ``Limits.max_concurrent_streams`` in any case.
        tcp_keepalive: set SO_KEEPALIVE.
        logger: for errors.
        access_log, access_log_class, access_log_format: the access log; ``access_log=None``
            switches it off.
        debug: show tracebacks to clients.
        auto_decompress: decode request content with one coding that is known: gzip, deflate, and
            br and zstd where their packages are installed.
        timeout_ceil_threshold: for compatibility; deadlines are never rounded.
        max_line_size, max_headers, max_field_size, lingering_time, read_bufsize: the
            engine's ``max_line_size``, ``max_fields``, ``max_field_size``, ``close`` time
            and ``read_high_water``, by aiohttp's names.
        limits, timeouts: the engine's, for the others.  What is given by name wins.
        engine: ``"native"`` or ``"reference"``.
        http2: speak HTTP/2 to clients that do.

    ``None`` for a time or a maximum: there is none.
    """

    def __init__(
        self,
        handler: RequestCallback,
        *,
        request_factory: RequestFactory | None = None,
        handler_cancellation: bool = False,
        loop: asyncio.AbstractEventLoop | None = None,
        keepalive_timeout: float | None = 3630.0,
        head_timeout: float | _SENTINEL | None = sentinel,
        body_timeout: float | _SENTINEL | None = sentinel,
        write_timeout: float | _SENTINEL | None = sentinel,
        max_connections: int | None = MAX_CONNECTIONS,
        max_connection_age: float | None = MAX_CONNECTION_AGE,
        max_connection_requests: int | None = MAX_CONNECTION_REQUESTS,
        max_handlers: int | None = None,
        tcp_keepalive: bool = True,
        logger: logging.Logger = server_logger,
        access_log_class: type[AbstractAccessLogger] = AccessLogger,
        access_log: logging.Logger | None = access_logger,
        access_log_format: str = AccessLogger.LOG_FORMAT,
        debug: bool = False,
        max_line_size: int | None = None,
        max_headers: int | None = None,
        max_field_size: int | None = None,
        lingering_time: float | None = None,
        read_bufsize: int | None = None,
        auto_decompress: bool = True,
        timeout_ceil_threshold: float = 5,
        limits: Limits | None = None,
        timeouts: Timeouts | None = None,
        engine: EngineName = "native",
        http2: bool = True,
    ) -> None:
        self.request_handler = handler if max_handlers is None else _bound(handler, max_handlers)
        self.last_request_id = last_request_id(max_connection_requests)
        self._max_connections = math.inf if max_connections is None else max_connections
        self._max_age = math.inf if max_connection_age is None else max_connection_age
        self._retirement: asyncio.TimerHandle | None = None
        self._told_full = False
        self.make_request: RequestFactory = request_factory or BaseRequest
        self.handler_cancellation = handler_cancellation
        self.auto_decompress = auto_decompress
        self.requests_count = 0
        self.logger = logger
        self.debug = debug
        self.tcp_keepalive = tcp_keepalive
        self.engine: EngineName = engine
        self.http2 = http2
        self.access_logger = access_log_class(access_log, access_log_format) if access_log else None
        self.config = Config(
            limits=_override(
                limits or Limits(),
                max_line_size=_given(max_line_size),
                max_fields=_given(max_headers),
                max_field_size=_given(max_field_size),
                read_high_water=_given(read_bufsize),
            ),
            timeouts=_override(
                timeouts or Timeouts(),
                keep_alive=keepalive_timeout,
                head=head_timeout,
                body=body_timeout,
                write=write_timeout,
                close=_given(lingering_time),
            ),
            detect_http2=http2,
            implied_end=True,
            random=os.urandom,
        )
        self.tls_config = replace(self.config, scheme="https", half_close=False, detect_http2=False)
        self._loop = loop
        self._connections: dict[RequestHandler, float] = {}
        """When the time of each is over: of the open connections, and of lost ones whose
        handlers still run."""

    @property
    def request_factory(self) -> RequestFactory:
        """What makes requests."""
        return self.make_request

    @property
    def access_log_enabled(self) -> bool:
        """Whether the access logger writes anything now."""
        return self.access_logger is not None and self.access_logger.enabled

    @property
    def connections(self) -> list[RequestHandler]:
        """The open connections."""
        return [handler for handler in self._connections if handler.connected]

    def __call__(self) -> StreamProtocol[RequestHandler]:
        """Make the protocol of a new connection, for ``loop.create_server``."""
        return StreamProtocol(self.connect, loop=self._loop or asyncio.get_running_loop())

    def connect(self, transport: asyncio.Transport, protocol: str | None = None) -> RequestHandler:
        """Return the handler of a new connection on ``transport``, whatever that is.

        ``protocol``: ``"http/1.1"``, ``"h2"``, or ``None`` if none was negotiated.  The caller
        starts ``RequestHandler.driver`` and gives it what comes.  (plait's own.)
        """
        if self.tcp_keepalive:
            sock = transport.get_extra_info("socket")
            if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        loop = self._loop or asyncio.get_running_loop()
        handler = RequestHandler(self, transport, loop=loop, protocol=protocol)
        self.connection_made(handler, transport)
        return handler

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        """A connection begins, on ``transport``.  One that is one too many is dropped."""
        if len(self._connections) >= self._max_connections:
            self._refuse(transport)
            return
        self._told_full = False
        loop = self._loop or asyncio.get_running_loop()
        self._connections[handler] = end = loop.time() + self._max_age
        if self._retirement is None and end < math.inf:
            self._retirement = loop.call_at(end, self._retire, loop)

    def _refuse(self, transport: asyncio.Transport) -> None:
        """Drop a connection that is one too many."""
        transport.abort()
        if not self._told_full:
            self._told_full = True
            self.logger.warning(
                "%d connections are open: others are dropped", len(self.connections)
            )

    def _retire(self, loop: asyncio.AbstractEventLoop) -> None:
        """End the connections whose time is over."""
        now = loop.time()
        due, upcoming = retire(self._connections, now)
        for handler in due:
            handler.close()
        self._retirement = None
        if upcoming is not None:  # One second later at least: all that are due then go together.
            self._retirement = loop.call_at(max(upcoming, now + 1), self._retire, loop)

    def config_for(self, transport: asyncio.Transport) -> Config:
        """Return the engine's configuration for a connection on ``transport``."""
        if transport.get_extra_info("ssl_object") is not None:
            return self.tls_config
        # Named pipes of Windows cannot be half-closed.
        return self.config if transport.can_write_eof() else replace(self.config, half_close=False)

    def connection_lost(self, handler: RequestHandler, exc: BaseException | None = None) -> None:
        """A connection ended, or the last handler of one that had ended before."""
        if not handler.busy:
            self._connections.pop(handler, None)

    def pre_shutdown(self) -> None:
        """Close idle connections, and the others when their requests are done."""
        for handler in self.connections:
            handler.close()

    async def shutdown(self, timeout: float | None = None) -> None:
        """End every connection within ``timeout`` seconds (see ``RequestHandler.shutdown``).

        What is waited for longer than a second is logged.
        """
        handlers = list(self._connections)
        notice = asyncio.get_running_loop().call_later(_SILENCE, self._tell_what_runs, timeout)
        try:
            await asyncio.gather(*(handler.shutdown(timeout) for handler in handlers))
        finally:
            notice.cancel()
            for handler in handlers:
                handler.force_close()
            self._connections.clear()
            if self._retirement is not None:
                self._retirement.cancel()

    def _tell_what_runs(self, timeout: float | None) -> None:
        busy = [handler.describe() for handler in self._connections if handler.busy]
        if not busy:
            return
        shown = "; ".join(busy[:_SHOWN]) + ("; ..." if len(busy) > _SHOWN else "")
        bound = "as long as it takes" if timeout is None else f"at most {timeout:g} s"
        self.logger.warning(
            "Shutting down: waiting, %s, for the handlers of %d connection%s: %s",
            bound,
            len(busy),
            "" if len(busy) == 1 else "s",
            shown,
        )


def _given(value: Any) -> Any:  # of any field
    """Return ``value``, or ``sentinel`` for ``None``, which means there: not given."""
    return sentinel if value is None else value


def _override(settings: _S, **given: Any) -> _S:  # values of the fields' types
    """Return ``settings`` with what is ``given`` and not ``sentinel``."""
    return replace(settings, **{k: v for k, v in given.items() if v is not sentinel})


def _bound(handler: RequestCallback, limit: int) -> RequestCallback:
    """Return ``handler``, running ``limit`` times at once; beyond that it answers 503."""
    running = 0

    async def bounded(request: Any) -> StreamResponse:  # of the class that the handler knows
        nonlocal running
        if running >= limit:
            raise HTTPServiceUnavailable(headers={"Retry-After": "1"})
        running += 1
        try:
            return await handler(request)
        finally:
            running -= 1

    return bounded
