"""``run_app``: an application, a loop, and signals that end both.

The first signal begins the shutdown, which ``shutdown_timeout`` bounds.  A second one cuts it
short: every task is cancelled, and the process ends with status 1.
"""

from __future__ import annotations

import asyncio
import builtins
import logging
import os
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any, cast

from plait.abc import AbstractAccessLogger
from plait.log import access_logger
from plait.typedefs import PathLike
from plait.web_app import Application
from plait.web_log import AccessLogger
from plait.web_runner import (
    AppRunner,
    BaseSite,
    GracefulExit,
    SockSite,
    TCPSite,
    UnixSite,
    check_server_context,
)

__all__ = ("run_app",)


def run_app(
    app: Application | Awaitable[Application],
    *,
    host: str | Iterable[str] | None = None,
    port: int | None = None,
    path: PathLike | Iterable[PathLike] | None = None,
    sock: socket.socket | Iterable[socket.socket] | None = None,
    shutdown_timeout: float = 60.0,
    keepalive_timeout: float = 75.0,
    ssl_context: ssl.SSLContext | None = None,
    print: Callable[..., None] | None = builtins.print,
    backlog: int = 128,
    access_log_class: type[AbstractAccessLogger] = AccessLogger,
    access_log_format: str = AccessLogger.LOG_FORMAT,
    access_log: logging.Logger | None = access_logger,
    handle_signals: bool = True,
    reuse_address: bool | None = None,
    reuse_port: bool | None = None,
    handler_cancellation: bool = False,
    loop: asyncio.AbstractEventLoop | None = None,
    **kwargs: Any,  # those of Server: engine, limits, timeouts, http2 ...
) -> None:
    """Serve ``app`` until SIGINT or SIGTERM; then shut down and close the loop.

    Args:
        app: an application, or what makes one when awaited in the loop.
        host, port: where to listen on TCP: one or several addresses; by default all
            interfaces, at 8080, with TLS 8443.
        path: Unix sockets to listen on.
        sock: bound sockets to listen on.
        shutdown_timeout: seconds for the shutdown of all connections, see ``Server.shutdown``.
        keepalive_timeout: seconds between the requests of a connection.
        ssl_context: for TLS.
        print: tells where the server listens; ``None``: nothing does.
        handle_signals: end on SIGINT and SIGTERM.
        loop: the event loop; a new one by default.
        backlog, reuse_address, reuse_port: see ``TCPSite``.
        access_log, access_log_class, access_log_format, handler_cancellation, kwargs: see
            ``Server``.

    Raises TypeError for an ``app`` or an ``ssl_context`` that is none, ValueError for an
    ``ssl_context`` of a client, and what the application raises at its start.
    """
    if not isinstance(app, Application | Awaitable):
        raise TypeError(f"app must be a web.Application or an awaitable of one, not {app!r}")
    check_server_context(ssl_context)
    loop = loop or asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    _show_access_log(loop, access_log)
    runner_arguments = {
        "handle_signals": handle_signals,
        "shutdown_timeout": shutdown_timeout,
        "keepalive_timeout": keepalive_timeout,
        "access_log_class": access_log_class,
        "access_log_format": access_log_format,
        "access_log": access_log,
        "handler_cancellation": handler_cancellation,
        **kwargs,
    }

    def make_sites(runner: AppRunner) -> list[BaseSite]:
        options: dict[str, Any] = {"ssl_context": ssl_context, "backlog": backlog}
        tcp_options = {**options, "reuse_address": reuse_address, "reuse_port": reuse_port}
        paths = _several(path, str | os.PathLike)
        socks = _several(sock, socket.socket)
        hosts: list[str | None] = list(_several(host, str))
        if host is None and (port is not None or not (paths or socks)):
            hosts.append(None)
        return [
            *(TCPSite(runner, address, port, **tcp_options) for address in hosts),
            *(UnixSite(runner, name, **options) for name in paths),
            *(SockSite(runner, bound, **options) for bound in socks),
        ]

    main = loop.create_task(_serve(app, runner_arguments, make_sites, print))
    try:
        loop.run_until_complete(main)
    except (GracefulExit, KeyboardInterrupt):
        pass
    finally:
        try:
            # Not once more if it has ended: the traceback of its error would get lost.
            if not main.done():
                main.cancel()
                with suppress(asyncio.CancelledError):
                    loop.run_until_complete(main)
        finally:
            _cancel_all(loop)
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
            asyncio.set_event_loop(None)


async def _serve(
    app: Application | Awaitable[Application],
    runner_arguments: dict[str, Any],
    make_sites: Callable[[AppRunner], list[BaseSite]],
    print: Callable[..., None] | None,
) -> None:
    """Serve until cancelled."""
    if not isinstance(app, Application):
        app = await app
    runner = AppRunner(app, **runner_arguments)
    try:
        await runner.setup()
        sites = make_sites(runner)
        for site in sites:
            await site.start()
        if print is not None:
            names = sorted(site.name for site in sites)
            print(f"======== Running on {', '.join(names)} ========\n(Press CTRL+C to quit)")
        await asyncio.get_running_loop().create_future()  # Until it is cancelled.
    finally:
        await runner.cleanup()


def _several(given: object, kind: Any) -> list[Any]:  # of what kind, the caller knows
    """Return the members of an argument that may be one, several or ``None``."""
    if given is None:
        return []
    if isinstance(given, kind):
        return [given]
    return list(cast("Iterable[object]", given))


def _show_access_log(loop: asyncio.AbstractEventLoop, logger: logging.Logger | None) -> None:
    """In debug mode the access log can be seen without any configuration."""
    if loop.get_debug() and logger is not None and logger.name == access_logger.name:
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.DEBUG)
        if not logger.hasHandlers():
            logger.addHandler(logging.StreamHandler())


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel the tasks that are left, and tell of those that fail then."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    for task in tasks:
        if not task.cancelled() and task.exception() is not None:
            loop.call_exception_handler(
                {
                    "message": "unhandled exception during asyncio.run() shutdown",
                    "exception": task.exception(),
                    "task": task,
                }
            )
