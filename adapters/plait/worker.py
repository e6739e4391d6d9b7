"""Worker processes of gunicorn: ``gunicorn -k plait.worker.GunicornWebWorker module:app``.

``module:app`` is an ``Application``, or a coroutine function that returns one or an
``AppRunner``.  gunicorn binds the sockets, forks, and sends signals; a worker serves HTTP/1.1 and
HTTP/2 on every socket, with TLS by ALPN, until one of these:

* SIGTERM, SIGQUIT or SIGINT;
* ``--max-requests`` have been served;
* the arbiter is gone.

Then it shuts down as every runner does, within 95 % of ``--graceful-timeout``: what remains is
for ``on_cleanup``, since gunicorn kills a worker after the whole of it.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import re
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import Any, Final

from gunicorn.config import AccessLogFormat
from gunicorn.sock import ssl_context
from gunicorn.workers.base import Worker

from .web_app import Application
from .web_log import AccessLogger
from .web_runner import AppRunner, SockSite
from .web_server import Server

__all__ = ("GunicornUVLoopWebWorker", "GunicornWebWorker")

_SHUTDOWN_SHARE: Final = 0.95
"""Of ``--graceful-timeout``, for the shutdown of the connections."""
_BEAT: Final = 1.0
"""Seconds between two signs of life for the arbiter."""


class GunicornWebWorker(Worker):
    """Serves an application in a process of gunicorn, on asyncio's event loop.

    gunicorn's options mean: ``--keep-alive`` the seconds between the requests of a connection,
    ``--graceful-timeout`` the bound of the shutdown, ``--access-logformat`` a format of
    ``AccessLogger``, ``--certfile`` and its like (or the hook ``ssl_context``) TLS.

    Exit status: 0 after a shutdown; 1 when the arbiter aborted the worker, which did not give a
    sign of life for ``--timeout`` seconds; 3, gunicorn's own, when the application cannot start.
    """

    DEFAULT_AIOHTTP_LOG_FORMAT = AccessLogger.LOG_FORMAT
    DEFAULT_GUNICORN_LOG_FORMAT = AccessLogFormat.default

    exit_code = 0

    def init_process(self) -> None:
        """Make the event loop of this process; then what gunicorn does, which ends in ``run``."""
        with suppress(RuntimeError, DeprecationWarning):  # It may be that there is none.
            asyncio.get_event_loop().close()  # The arbiter's, of an application that it loaded.
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        super().init_process()

    def run(self) -> None:
        """Serve until it is time to end, and exit.

        Raises RuntimeError if gunicorn's application is none of plait, and whatever it raises at
        its start.  gunicorn then gives up, and starts no other worker.
        """
        self.booted = False  # gunicorn thinks that it has, before the application starts.
        self._wake = asyncio.Event()
        try:
            self.loop.run_until_complete(self._serve())
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        finally:
            self.loop.close()
        sys.exit(self.exit_code)

    async def _serve(self) -> None:
        runner = await self._make_runner()
        try:
            await runner.setup()
            assert runner.server is not None
            context = ssl_context(self.cfg) if self.cfg.is_ssl else None
            for sock in self.sockets:
                site = SockSite(runner, sock, ssl_context=context, backlog=self.cfg.backlog)
                await site.start()
            self.booted = True
            await self._watch(runner.server)
        finally:
            # gunicorn would take a long shutdown for a worker that hangs.
            beat = self.loop.create_task(self._beat_for(self.cfg.graceful_timeout))
            try:
                await runner.cleanup()
            finally:
                beat.cancel()

    async def _make_runner(self) -> AppRunner:
        app: Any = self.wsgi
        if inspect.iscoroutinefunction(app):
            app = await app()
        if isinstance(app, AppRunner):
            return app
        if not isinstance(app, Application):
            raise RuntimeError(
                "wsgi app should be a web.Application, or a coroutine function that returns one"
                f" or a web.AppRunner, and not {self.wsgi!r}"
            )
        return AppRunner(
            app,
            logger=self.log,
            keepalive_timeout=self.cfg.keepalive,
            access_log=self.log.access_log if self.cfg.accesslog else None,
            access_log_format=self._get_valid_log_format(self.cfg.access_log_format),
            shutdown_timeout=self.cfg.graceful_timeout * _SHUTDOWN_SHARE,
        )

    async def _watch(self, server: Server) -> None:
        """Give signs of life until the worker has to end."""
        while self.alive:
            self.notify()
            if server.requests_count >= self.max_requests:
                self.log.info("Served %d requests: %s ends", server.requests_count, self)
                return
            if os.getppid() != self.ppid:
                self.log.info("The arbiter is gone: %s ends", self)
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), _BEAT)

    async def _beat_for(self, seconds: float) -> None:
        for _ in range(int(seconds / _BEAT)):
            self.notify()
            await asyncio.sleep(_BEAT)

    def init_signals(self) -> None:
        """Handle signals in the event loop, but for SIGABRT: it comes when the loop hangs."""
        for number in self.SIGNALS:  # The arbiter's handlers are not ours.
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGABRT, self.handle_abort)
        for number, handler in {
            signal.SIGQUIT: self.handle_quit,
            signal.SIGINT: self.handle_quit,
            signal.SIGTERM: self.handle_exit,
            signal.SIGUSR1: self.handle_usr1,
        }.items():
            self.loop.add_signal_handler(number, handler, number, None)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin the shutdown (SIGTERM)."""
        super().handle_exit(sig, frame)
        self._wake.set()

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        """Begin the shutdown, after gunicorn's hook ``worker_int`` (SIGQUIT, SIGINT)."""
        self.alive = False
        self.cfg.worker_int(self)
        self._wake.set()

    def handle_abort(self, sig: int, frame: FrameType | None) -> None:
        """Exit with status 1, after gunicorn's hook ``worker_abort`` (SIGABRT)."""
        self.exit_code = 1
        super().handle_abort(sig, frame)

    def _get_valid_log_format(self, source_format: str) -> str:
        """Return the format for ``AccessLogger``; raise ValueError for one of gunicorn's style."""
        if source_format == self.DEFAULT_GUNICORN_LOG_FORMAT:
            return self.DEFAULT_AIOHTTP_LOG_FORMAT
        if re.search(r"%\([^)]+\)", source_format):
            raise ValueError(
                f"the access log format {source_format!r} is in gunicorn's style, %(name)s:"
                " give one of plait.web_log.AccessLogger, as in"
                f" {self.DEFAULT_AIOHTTP_LOG_FORMAT!r}"
            )
        return source_format


class GunicornUVLoopWebWorker(GunicornWebWorker):
    """As ``GunicornWebWorker``, on uvloop."""

    def init_process(self) -> None:
        """Make uvloop's event loop that of this process."""
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
        super().init_process()
