"""A connection of the server: from the engine's events to handlers, and back.

Strategy
--------
``RequestHandler`` is the server's side of a connection, for either HTTP version and any
transport: it owns the ``Driver`` and hears its events.  A request becomes a
``ServerExchange``.  After all events of a batch, a task is started for each exchange that is
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
* When the response is complete and the content is not, the rest is not wanted (RFC 9113
  section 8.1, RFC 9112 section 9.6).
"""

from __future__ import annotations

import asyncio
import sys
import warnings
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from plait_engine import (
    ConnectionClosed,
    Data,
    EndOfMessage,
    ErrorCode,
    Headers,
    InformationalResponse,
    LocalProtocolError,
    RemoteProtocolError,
    Role,
    StreamReset,
)
from plait_engine import Request as RequestEvent
from plait_engine import Response as ResponseEvent
from plait_engine.content.codings import CodingError
from plait_engine.content.multipart import MultipartError, TooManyPartsError
from plait_engine.events import Event, Sendable
from plait_engine.policy.admission import Admission
from plait_engine.streams import dispatch

from .client_exceptions import ClientConnectionResetError
from .compression_utils import find_decoder
from .serving.blame import is_peer_to_blame
from .serving.error_page import error_page, excerpt, format_trace
from .streams import EMPTY_PAYLOAD, BodyReader, DecodedBody, StreamReader
from .transport.driver import Driver
from .transport.exchange import Exchange
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
    import ssl

    from .web_server import Server

__all__ = ("PayloadAccessError", "RequestHandler", "RequestPayloadError", "ServerExchange")


_RequestHandler: TypeAlias = Callable[[BaseRequest], Awaitable[StreamResponse]]
"""What a ``Server`` runs; packages import it by this name of aiohttp."""

MAX_MSG_QUEUE_SIZE: Final = 1
"""Requests that a client has pipelined and that were read: the engine reads the next one when the
exchange before it is over."""

_LAST_MOMENT: Final = 1.0
"""Seconds of a shutdown that a handler has to answer when its reads are cancelled, and again
to end when it is cancelled; a quarter of the whole time, if that is less."""


class RequestPayloadError(Exception):
    """The content of a request breaks the protocol, or did not come in time."""


class RequestCodingError(RequestPayloadError, HTTPBadRequest):
    """The content of a request is not what Content-Encoding says; the answer is 400."""


def _refuse_coding(coding: str, reader: StreamReader, error: CodingError) -> None:
    """Break a reader whose content cannot be decoded."""
    text = f"Can not decode content-encoding: {coding}: {error}"
    reader.set_exception(RequestCodingError(text=text), error)


class PayloadAccessError(Exception):
    """The content is read when the request is over."""


class ServerExchange(Exchange):
    """A request and its response.

    ``event``: the engine's request.  ``task``: what runs the handler.  ``content``: the
    content as a stream.  ``trailers``: the trailer fields that came behind it.  ``head_sent`` and
    ``complete``: how far the response is.
    """

    __slots__ = (
        "_held",
        "_reader",
        "_received",
        "_sink",
        "complete",
        "event",
        "handler",
        "head_sent",
        "task",
        "trailers",
    )

    def __init__(self, handler: RequestHandler, event: RequestEvent) -> None:
        Exchange.__init__(self, handler.driver, event.stream_id)  # super() costs a third more.
        self.handler = handler
        self.event = event
        self.task: asyncio.Task[None] | None = None
        self.trailers: Headers = ()
        self.head_sent = False
        self.complete = False
        self._reader: StreamReader | None = None
        self._sink: BodyReader | DecodedBody | None = None
        """What feeds the reader: itself, unless the content is decoded."""
        self._held: list[Data] | None = None
        """What came of the content while there is no reader; ``None``: nothing."""
        # A request for a tunnel has no content (see the events of the engine).
        self._received = event.ends or event.protocol is not None or event.method == "CONNECT"

    @property
    def content(self) -> StreamReader:
        """The content; ``EMPTY_PAYLOAD`` if there is none."""
        if self._reader is not None:
            return self._reader
        if self._received and self._held is None:
            return EMPTY_PAYLOAD
        return self._make_reader()

    def _make_reader(self) -> StreamReader:
        """Make the reader, and give it what came before somebody asked for one."""
        limit, loop = self.driver.config.limits.read_high_water, self.driver.loop
        want = self._send_continue if self.event.expect_continue else None
        coding = self._coding()
        decoder = find_decoder(coding) if coding else None
        sink: BodyReader | DecodedBody
        if decoder is None:
            sink = BodyReader(self, limit, loop=loop, want=want)
            reader: StreamReader = sink
        else:
            sink = DecodedBody(
                self, decoder, limit, fail=partial(_refuse_coding, coding), loop=loop, want=want
            )
            reader = sink.reader
        self._reader, self._sink = reader, sink
        for event in self._held or ():
            sink.feed_data(event.data, event.credit)
        self._held = None
        if self._received:
            sink.feed_eof()
        elif self.exception is not None:
            sink.set_exception(self.exception)
        return reader

    def _coding(self) -> str:
        """Return Content-Encoding, if the content is to be decoded."""
        coding = self.event.content_encoding
        return coding if coding and self.handler.manager.auto_decompress else ""

    def take_content(self, limit: int) -> bytes | None:
        """Short path of ``content.read()``: return all of it, if it is there already.

        ``None``, with nothing taken: it is not, or it has more than ``limit`` bytes (0: no
        limit), or is encoded, or somebody reads it as a stream.
        """
        held = self._held
        if self._reader is not None or not self._received:
            return None
        if held is None:
            return b""
        if self._coding():
            return None
        data = held[0].data if len(held) == 1 else b"".join([event.data for event in held])
        if 0 < limit < len(data):
            return None
        self._discard_held()
        return data

    def _discard_held(self) -> None:
        """Give the credit back of what came; there is content, but nothing left of it."""
        held = self._held
        if held:
            self._held = []
            credit = held[0].credit if len(held) == 1 else sum([event.credit for event in held])
            self.driver.acknowledge(self.stream_id, credit)

    def _send_continue(self) -> None:
        """The handler wants the content that the client holds back (RFC 9110 10.1.1)."""
        if not (self.head_sent or self._received or self.exception):
            self.inform(100)

    def inform(self, status: int, headers: Headers = ()) -> None:
        """Send a 1xx response.  Raises what ``send`` raises."""
        if self.exception is not None:
            raise ClientConnectionResetError("Cannot write to closing transport")
        self.driver.send(InformationalResponse(self.stream_id, status, headers))

    def send(self, *events: Sendable) -> None:
        """Send ``events``: the head of the response, or what comes behind it.

        Raises ClientConnectionResetError when the client is gone, LocalProtocolError when
        the protocol forbids it.
        """
        if self.exception is not None:
            raise ClientConnectionResetError("Cannot write to closing transport")
        try:
            self.driver.send(*events)
        except LocalProtocolError:
            if self._opens_tunnel(events[0]):
                raise HTTPNotImplemented(text="501: this resource does not open a tunnel") from None
            raise
        self.head_sent = True
        self.complete = type(events[-1]) is EndOfMessage

    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole response.  Raises what ``send`` raises."""
        stream_id = self.stream_id
        if self.exception is None and self.driver.send_response(stream_id, status, headers, body):
            self.head_sent = self.complete = True
            return
        self.send(
            ResponseEvent(stream_id, status, headers),
            Data(stream_id, body),
            EndOfMessage(stream_id),
        )

    def send_data(self, data: bytes) -> bool:
        """Send a piece of content; return whether the stream takes more.

        Raises what ``send`` raises.
        """
        if self.exception is None and self.driver.send_data(self.stream_id, data):
            return True
        self.send(Data(self.stream_id, data))
        return self.can_send()

    async def send_file(self, file: int, offset: int, size: int) -> bool:
        """Let the kernel send a part of a file as content; false: it cannot.

        Raises what ``Driver.send_file`` raises.
        """
        if self.exception is not None:
            raise ClientConnectionResetError("Cannot write to closing transport")
        return await self.driver.send_file(self.stream_id, file, offset, size)

    def _opens_tunnel(self, head: Sendable) -> bool:
        """Tell whether ``head`` would open a tunnel that the handler did not take.

        A 2xx to CONNECT does (RFC 9110 section 9.3.6), and on HTTP/2 a WebSocket is asked
        for with CONNECT (RFC 8441 section 4).
        """
        return (
            self.event.method == "CONNECT"
            and isinstance(head, ResponseEvent)
            and 200 <= head.status < 300
        )

    def hand_over(self, successor: Exchange) -> None:
        """Give the stream to ``successor``: from now on its hooks hear the events.

        For a tunnel (a WebSocket): send ``Accept``, then hand over.  When the handler ends
        and the stream still lives, it is reset.
        """
        self.driver.exchanges[self.stream_id] = successor

    def finish(self) -> None:
        """The handler is done: let go of the stream, whatever is left of it."""
        driver = self.driver
        if self._held:
            self._discard_held()
        if self._sink is not None:
            self._sink.detach()
        current = driver.exchanges.get(self.stream_id)
        if current is self and self.complete:
            del driver.exchanges[self.stream_id]
            if not self._received:
                driver.send(StreamReset(self.stream_id, ErrorCode.NO_ERROR))
        elif current is self:
            # Only a part of the response was sent, or nothing.
            self.reset(ErrorCode.INTERNAL_ERROR)
            self.forget()
        elif current is not None:
            current.reset()
        if not self._received and self.exception is None:
            self.exception = PayloadAccessError("the request is over")
            if self._sink is not None:
                self._sink.set_exception(self.exception)

    # -- hooks of the driver ----------------------------------------------------------------

    def on_data(self, event: Data) -> None:
        if self._sink is not None:
            self._sink.feed_data(event.data, event.credit)
        elif self._held is None:
            self._held = [event]
        else:
            self._held.append(event)

    def on_end(self, event: EndOfMessage) -> None:
        self._received = True
        self.trailers = event.trailers
        if self._sink is not None:
            self._sink.feed_eof()

    def on_reset(self, event: StreamReset) -> None:
        error = event.error
        gone = ClientConnectionResetError("Connection lost" if error is None else str(error))
        gone.__cause__ = error
        self.exception = gone
        if self.task is None:
            self._discard_held()
            self.handler.admission.withdrawn(self)
            return
        if not self._received:
            if self._sink is None:
                self._make_reader()
            assert self._sink is not None
            if error is None:
                self._sink.set_exception(gone)
            else:
                self._sink.set_exception(RequestPayloadError(str(error)), error)
        self.client_left()

    def client_left(self) -> None:
        """Cancel the handler, once, if the server is made to."""
        task = self.task
        if self.handler.manager.handler_cancellation and task and not task.cancelling():
            task.cancel()


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
        # A task of one's own, without what the loop adds when nobody asked for it.  To write a
        # number into each task's name would be a tenth of its cost.
        self._create_task: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]] = (
            partial(asyncio.Task, loop=loop, name="request")
            if loop.get_task_factory() is None
            else loop.create_task
        )
        limits = self.driver.config.limits
        self.admission: Admission[ServerExchange] = Admission(limits.max_concurrent_streams)
        """Which requests get a handler, and which of them run."""
        self.last_request_id = manager.last_request_id
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
        else:
            dispatch(event, self.driver.exchanges, self.driver)

    def on_eof(self) -> None:
        """The client sends nothing more.

        A client that has left looks like one that has only sent its last request.  With
        ``handler_cancellation`` both cancel the handlers.
        """
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
            problem = "Missing return statement on request handler"
        else:
            problem = f"Web-handler should return a response instance, got {response!r}"
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
