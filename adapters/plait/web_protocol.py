"""A connection of the server: from the engine's events to handlers, and back.

Strategy
--------
``RequestHandler`` is the server's side of a connection, for either HTTP version and any
transport: it owns the ``Driver`` and hears its events.  A request becomes a
``serving.exchange.ServerExchange``.  After all events of a batch, a task is started for each exchange that is
still alive; it runs handler, response and access log (``_serve``).  On Python 3.12 and newer
the first step of the task runs at once.  On 3.11 a task that went from request to request would
save a thirtieth of the time of a small one.  But what a handler leaves in its context or on its
task, and who cancels that later, would meet the request of another client.

Rules
-----
* Which requests get a handler is decided by ``plait_engine.policy.admission``: no more than
  ``Limits.max_concurrent_streams`` at a time, and none that was reset in the batch in which
  it came.
* A client that goes away, or resets a stream, does not cancel the handler unless
  ``handler_cancellation`` is set; then the end of its input does, too.  Otherwise reading
  the content and writing the response raise, and such an error is logged at level DEBUG only.
* A request that the engine refuses is answered by the engine and seen by no handler.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
import warnings
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from plait_engine import (
    ConnectionClosed,
    ErrorCode,
    LocalProtocolError,
    RemoteProtocolError,
    Role,
)
from plait_engine import Request as RequestEvent
from plait_engine.content.multipart import MultipartError, TooManyPartsError
from plait_engine.events import Event
from plait_engine.policy.admission import Admission

from .serving.blame import is_peer_to_blame
from .serving.error_page import error_page, excerpt, format_trace
from .serving.exchange import PayloadAccessError, RequestPayloadError, ServerExchange
from .transport.driver import Driver
from .web_exceptions import (
    HTTPBadRequest,
    HTTPException,
    HTTPInternalServerError,
    HTTPNotImplemented,
    HTTPRequestEntityTooLarge,
)
from .web_request import BaseRequest
from .web_response import Response, StreamResponse

if TYPE_CHECKING:
    from .web_server import Server

__all__ = ("PayloadAccessError", "RequestHandler", "RequestPayloadError")

_RequestHandler: TypeAlias = Callable[[BaseRequest], Awaitable[StreamResponse]]
"""What a ``Server`` runs; packages import it by this name of aiohttp."""

MAX_MSG_QUEUE_SIZE: Final = 1
"""Requests that a client has pipelined and that were read: the engine reads the next one when the
exchange before it is over."""

_TaskFactory: TypeAlias = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]

# ``loop.create_task`` writes a number into each task's name, which is a tenth of the task's cost.
_make_task: Final[_TaskFactory] = partial(asyncio.Task, name="request")

_LAST_MOMENT: Final = 1.0
"""Seconds of a shutdown that a handler has to answer when its reads are cancelled, and again
to end when it is cancelled; a quarter of the whole time, if that is less."""


class RequestHandler:
    """The server's side of a connection; aiohttp's name for it.

    ``manager`` is the server, which has the configuration.
    """

    __slots__ = (
        "__weakref__",
        "_create_task",
        "_refusal",
        "access_logger",
        "admission",
        "debug",
        "driver",
        "last_request_id",
        "logger",
        "loop",
        "manager",
        "switched",
    )

    def __init__(
        self,
        manager: Server,
        transport: asyncio.Transport,
        *,
        loop: asyncio.AbstractEventLoop,
        protocol: str | None = None,
    ) -> None:
        self.manager = manager
        self.loop = loop
        self.driver: Driver = Driver(
            Role.SERVER,
            manager.config_for(transport),
            transport,
            self,
            loop=loop,
            protocol=protocol or "http/1.1",
            engine=manager.engine,
        )
        self.logger = manager.logger
        self.access_logger = manager.access_logger if manager.access_log_enabled else None
        self.debug = manager.debug
        self._create_task: _TaskFactory = (
            _make_task if loop.get_task_factory() is None else loop.create_task
        )
        limits = self.driver.config.limits
        self.admission: Admission[ServerExchange] = Admission(limits.max_concurrent_streams)
        """Which requests get a handler, and which of them run."""
        self.last_request_id = manager.last_request_id
        self.switched = False
        """The connection carries another protocol than HTTP."""
        self._refusal: asyncio.TimerHandle | None = None
        """Refuses the requests that wait for a handler to end."""

    # -- the connection -----------------------------------------------------------------------

    def on_event(self, event: Event) -> None:
        """Take an event (see ``Listener``)."""
        if type(event) is RequestEvent:
            exchange = ServerExchange(self, event)
            self.driver.exchanges[event.stream_id] = exchange
            self.admission.arrived(exchange)
            if event.stream_id >= self.last_request_id:
                self.driver.close()  # When this request is answered.
        elif type(event) is ConnectionClosed:
            self._on_closed(event)

    def on_eof(self) -> None:
        """The client sends nothing more.

        A client that has left looks like one that has only sent its last request.  With
        ``handler_cancellation`` both cancel the handlers.  Behind a switch of protocols the end is
        one of that protocol.
        """
        if self.switched:
            return
        for exchange in self.admission.running:
            exchange.client_left()

    def on_lost(self, error: Exception | None) -> None:
        """The transport is gone."""
        self.manager.connection_lost(self, error)

    @property
    def transport(self) -> asyncio.Transport | None:
        """What carries the bytes; ``None`` when it is gone."""
        return self.driver.transport

    @property
    def busy(self) -> bool:
        """True while a handler runs."""
        return bool(self.admission.running)

    @property
    def connected(self) -> bool:
        """True while there is a transport."""
        return self.driver.transport is not None

    @property
    def peername(self) -> str | tuple[Any, ...] | None:
        """The address of the client, as the socket module has it."""
        return self.driver.get_extra_info("peername")  # type: ignore[no-any-return]  # asyncio says Any

    @property
    def sockname(self) -> str | tuple[Any, ...] | None:
        """The address on which the connection came in."""
        return self.driver.get_extra_info("sockname")  # type: ignore[no-any-return]  # asyncio says Any

    @property
    def ssl_context(self) -> ssl.SSLContext | None:
        """The context of TLS; ``None`` on cleartext."""
        return self.driver.get_extra_info("sslcontext")  # type: ignore[no-any-return]  # asyncio says Any

    @property
    def writing_paused(self) -> bool:
        """True while the transport has as many bytes as it wants."""
        return self.connected and not self.driver.can_write

    @property
    def keepalive_timeout(self) -> float | None:
        """Seconds that the connection may be idle; ``None``: any."""
        return self.driver.config.timeouts.keep_alive

    @property
    def max_line_size(self) -> int:
        """Bytes of a request line that are read."""
        return self.driver.config.limits.max_line_size

    @property
    def max_headers(self) -> int:
        """Fields of a request that are read."""
        return self.driver.config.limits.max_fields

    @property
    def max_field_size(self) -> int:
        """Bytes of one field that are read."""
        return self.driver.config.limits.max_field_size

    def keep_alive(self, val: bool) -> None:
        """``False``: close the connection when the requests that are open are answered."""
        if not val:
            self.close()

    def close(self) -> None:
        """Close the connection when the requests that are open are answered."""
        self.driver.close()

    def force_close(self) -> None:
        """Drop the connection now."""
        self.driver.abort()

    async def shutdown(self, timeout: float | None = 15.0) -> None:
        """Close within ``timeout`` seconds; ``None``: when the last handler has ended.

        WebSockets are closed with 1001 (RFC 6455 section 7.4.1).  Handlers have most of the
        time.  What is left of it is for those that do not end: first their reads of content
        raise CancelledError, so that they can still answer, then they are cancelled.
        """
        self.close()
        self._refuse(self.admission.refused())
        farewells = [
            asyncio.ensure_future(exchange.go_away())
            for exchange in self.driver.exchanges.values()
            if not isinstance(exchange, ServerExchange)
        ]
        if timeout is None:
            await self._wait_for_handlers(None)
        else:
            end = self.loop.time() + timeout
            last = min(_LAST_MOMENT, timeout / 4)
            if not await self._wait_for_handlers(timeout - 2 * last):
                await self._end_handlers(last)
            timeout = max(end - self.loop.time(), 0.0)
        for farewell in farewells:
            farewell.cancel()
        await asyncio.gather(*farewells, return_exceptions=True)
        driver = self.driver
        driver.end_if_taken()
        if driver.transport is not None:
            patience = driver.config.timeouts.close
            if timeout is not None:
                patience = min(patience, timeout)
            try:
                await asyncio.wait_for(driver.wait_closed(), patience)
            except TimeoutError:
                driver.abort()
                await driver.wait_closed()

    async def _end_handlers(self, patience: float) -> None:
        """Make the handlers end: by their reads within ``patience`` seconds, or by force."""
        alive = [exchange for exchange in self.admission.running if exchange.exception is None]
        for exchange in alive:
            exchange.content.set_exception(asyncio.CancelledError())
        if alive and await self._wait_for_handlers(patience):
            return
        for exchange in self.admission.running:
            assert exchange.task is not None
            exchange.task.cancel()
        if not await self._wait_for_handlers(patience):
            self.logger.error("Handlers go on although they were cancelled: %s", self.describe())

    async def _wait_for_handlers(self, timeout: float | None) -> bool:
        current = asyncio.current_task()
        tasks = [
            e.task for e in self.admission.running if e.task is not None and e.task is not current
        ]
        if not tasks:
            return True
        _, pending = await asyncio.wait(tasks, timeout=timeout)
        return not pending

    def describe(self) -> str:
        """Return what runs on this connection, for a log."""
        return ", ".join(
            f"{exchange.event.method} {excerpt(exchange.event.target)} from {self.peername}"
            for exchange in self.admission.running
        )

    def __repr__(self) -> str:
        state = "connected" if self.connected else "disconnected"
        return f"<{type(self).__name__} {state}>"

    # -- requests -------------------------------------------------------------------------------

    def on_batch_end(self) -> None:
        """Start the handlers of the requests that came (see ``Listener``)."""
        admission = self.admission
        while admission.waiting and (exchange := admission.start_next()) is not None:
            self._start(exchange)
        if admission.waiting:
            when = admission.next_timeout(self.loop.time())
            if when is not None and self._refusal is None:
                self._refusal = self.loop.call_at(when, self._refuse_late)

    def _refuse_late(self) -> None:
        self._refusal = None
        self._refuse(self.admission.refused(self.loop.time()))
        self.on_batch_end()  # Others may wait, for not as long.

    def _refuse(self, exchanges: list[ServerExchange]) -> None:
        """Tell the client that its requests were not processed."""
        for exchange in exchanges:
            exchange.reset(ErrorCode.REFUSED_STREAM)
            exchange.forget()

    if sys.version_info >= (3, 12):

        def _start(self, exchange: ServerExchange) -> None:
            # The task may end before it is known here: it sets exchange.task itself.
            asyncio.Task(self._serve(exchange), loop=self.loop, eager_start=True)

    else:

        def _start(self, exchange: ServerExchange) -> None:
            exchange.task = self._create_task(self._serve(exchange))

    async def _serve(self, exchange: ServerExchange) -> None:
        """Run the handler, send the response, log."""
        if exchange.task is None:  # started eagerly
            exchange.task = asyncio.current_task()
        manager = self.manager
        manager.requests_count += 1
        request = manager.make_request(exchange.event, exchange)
        start = self.loop.time() if self.access_logger is not None else 0.0
        response: StreamResponse | None = None
        try:
            try:
                response = await manager.request_handler(request)
            except HTTPException as error:
                if exchange.head_sent and not error.prepared:
                    raise
                response = error
            except Exception as error:
                response = self._answer_error(request, exchange, error)
                if response is None:
                    raise
            else:
                if type(response) is not Response:
                    response = self._check_response(response, request)
            try:
                sent = response._send_whole(request, exchange)
            except (LocalProtocolError, HTTPNotImplemented) as error:
                sent = False
                response = self._answer_instead(request, error)
            if not sent:
                response = await self._send(request, exchange, response)
        except asyncio.CancelledError:
            self.log_debug("Ignored premature client disconnection")
            raise
        except (ConnectionResetError, RequestPayloadError) as error:
            self.log_debug("Ignored premature client disconnection: %s", error)
        except Exception as error:
            self._tell_of_cut(exchange, error)
        else:
            if self.access_logger is not None:
                self.log_access(request, response, start)
        finally:
            response = None  # It may have been raised; then its traceback holds this frame.
            self.admission.ended(exchange)
            exchange.finish()
            if self.admission.waiting:
                self.on_batch_end()
            elif self.driver.transport is None:
                self.manager.connection_lost(self)
            elif self.switched:
                self.driver.end_if_taken()

    async def _send(
        self, request: BaseRequest, exchange: ServerExchange, response: StreamResponse
    ) -> StreamResponse:
        """Send what is not sent yet of ``response``; return what was sent at last."""
        try:
            if not response.prepared:
                await response.prepare(request)
            await response.write_eof()
            if not exchange.head_sent:
                raise RuntimeError("the response was sent before, to another request")
        except Exception as error:
            if exchange.head_sent or exchange.exception is not None:
                raise
            response = self._answer_instead(request, error)
            await response.prepare(request)
            await response.write_eof()
        return response

    def _answer_instead(self, request: BaseRequest, error: Exception) -> StreamResponse:
        """Return the answer where the response of the handler cannot be sent."""
        if isinstance(error, HTTPNotImplemented):
            return error
        return self.handle_error(request, 500, error)

    def _check_response(self, response: object, request: BaseRequest) -> StreamResponse:
        if isinstance(response, HTTPException):
            warnings.warn(
                "returning HTTPException object is deprecated and will be removed,"
                " please raise the exception instead",
                DeprecationWarning,
                stacklevel=2,
            )
        if isinstance(response, StreamResponse):
            return response
        if response is None:
            problem = "the handler returned None: it must return a response"
        else:
            problem = f"the handler must return a response, but returned {response!r}"
        self.log_exception("Unhandled runtime exception", exc_info=RuntimeError(problem))
        return HTTPInternalServerError()

    def _answer_error(
        self, request: BaseRequest, exchange: ServerExchange, error: Exception
    ) -> StreamResponse | None:
        """Return the response to what a handler raised; ``None`` if it is too late for one."""
        if exchange.exception is not None or exchange.head_sent:
            return None
        if isinstance(error, TimeoutError):
            self.log_debug("Request handler timed out.", exc_info=error)
            return self.handle_error(request, 504)
        if is_peer_to_blame(error):
            return HTTPBadRequest(text=f"400: Bad Request: {excerpt(str(error))}")
        if isinstance(error, MultipartError) and request.content_type.startswith("multipart/"):
            if isinstance(error, TooManyPartsError):
                return HTTPRequestEntityTooLarge(request.client_max_fields, text=str(error))
            return self.handle_error(request, 400, error, f"400: Bad Request: {error}")
        return self.handle_error(request, 500, error)

    def _tell_of_cut(self, exchange: ServerExchange, error: Exception) -> None:
        """Log an error behind the head of a response, of which the client cannot be told."""
        if isinstance(error, HTTPException) or is_peer_to_blame(error):
            self.logger.warning(
                "The response to %s %s was cut short by %s: %s",
                exchange.event.method,
                excerpt(exchange.event.target),
                type(error).__name__,
                excerpt(str(error)),
            )
        else:
            self.log_exception("Error in the middle of a response", exc_info=error)

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> StreamResponse:
        """Log an error and return the response that tells of it; the connection closes.

        With ``debug`` the response has the traceback.
        """
        if status >= 500 and exc is not None:
            self.log_exception("Error handling request from %s", request.remote, exc_info=exc)
        content_type = "text/plain"
        if status == 500:
            trace = format_trace(exc) if self.debug and exc else ""
            message, content_type = error_page(request.headers.get("Accept", ""), trace)
        response = Response(status=status, text=message or "", content_type=content_type)
        response.force_close()
        return response

    # -- logs -------------------------------------------------------------------------------------

    def _on_closed(self, event: ConnectionClosed) -> None:
        error = event.error
        if error is None:
            return
        self.log_debug("Connection closed: %s: %s", event.reason.explain(), error)
        if (
            isinstance(error, RemoteProtocolError)
            and self.access_logger
            and not self.admission.running
        ):
            refused = RequestEvent(
                0, "UNKNOWN", self.driver.config.scheme, "", "/", (), None, "1.0"
            )
            request = BaseRequest(refused, ServerExchange(self, refused))
            self.log_access(request, Response(status=error.status_hint), self.loop.time())

    def log_access(
        self, request: BaseRequest, response: StreamResponse, start: float | None
    ) -> None:
        """Give a request to the access logger; ``start``: the loop's time when it began."""
        logger = self.access_logger
        if logger is not None and logger.enabled:
            try:
                logger.log(request, response, self.loop.time() - (start or 0.0))
            except Exception as error:  # It may be anybody's; the request is answered.
                self.log_exception("Error in the access logger", exc_info=error)

    def log_debug(self, *args: Any, **kw: Any) -> None:  # those of logging
        """Log for who looks for an error."""
        self.logger.debug(*args, **kw)  # gunicorn's logger has little more than this.

    def log_exception(self, *args: Any, **kw: Any) -> None:  # those of logging
        """Log an error with its traceback."""
        self.logger.exception(*args, **kw)
