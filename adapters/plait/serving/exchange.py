"""A request at the server, and its response: one stream of a connection.

The content waits in the exchange until somebody asks for it: a handler that does not look at it
costs no ``StreamReader``.

Rules
-----
* A client that holds its content back is told to go on (100 Continue, RFC 9110 section 10.1.1)
  when somebody first waits for the content.
* When the client has left, or has reset the stream, reading the content and sending raise.
* When the response is complete and the content is not, the rest is not wanted (RFC 9113
  section 8.1, RFC 9112 section 9.6).
* Behind a switch of protocols (RFC 9110 section 7.8) the content is what comes of the other
  protocol, until the client ends it.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from plait.client_exceptions import ClientConnectionResetError
from plait.compression_utils import find_decoder
from plait.streams import EMPTY_PAYLOAD, StreamReader
from plait.transport.body import BodyReader, DecodedBody
from plait.transport.exchange import Exchange
from plait.web_exceptions import HTTPBadRequest, HTTPNotImplemented
from plait_engine import (
    Accept,
    Data,
    EndOfMessage,
    ErrorCode,
    Headers,
    InformationalResponse,
    LocalProtocolError,
    Request,
    Response,
    StreamReset,
)
from plait_engine.content.codings import CodingError
from plait_engine.events import Sendable

if TYPE_CHECKING:
    from plait.web_protocol import RequestHandler

__all__ = ("PayloadAccessError", "RequestCodingError", "RequestPayloadError", "ServerExchange")


class RequestPayloadError(Exception):
    """The content of a request breaks the protocol, or did not come in time."""


class RequestCodingError(RequestPayloadError, HTTPBadRequest):
    """The content of a request is not what Content-Encoding says; the answer is 400."""


def _refuse_coding(coding: str, reader: StreamReader, error: CodingError) -> None:
    """Break a reader whose content cannot be decoded."""
    text = f"the content is not in its Content-Encoding, {coding}: {error}"
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

    def __init__(self, handler: RequestHandler, event: Request) -> None:
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

    def switch(self, protocol: str, headers: Headers) -> None:
        """Switch to ``protocol``, when all of the content has come (RFC 9110 section 7.8).

        Raises what ``send`` raises: LocalProtocolError if the request does not ask for that.
        """
        event, sink = self.event, self._sink
        before = event, self._received, self._reader, sink, self._held
        # Before it is sent: what came already comes again at once, and has no coding.
        self.event = replace(event, content_encoding=None)
        self._received, self._reader, self._sink, self._held = False, None, None, None
        try:
            self.send(Accept(self.stream_id, headers, protocol))
        except BaseException:
            self.event, self._received, self._reader, self._sink, self._held = before
            raise
        self.handler.switched = True
        if sink is not None:
            sink.detach()

    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole response.  Raises what ``send`` raises."""
        stream_id = self.stream_id
        if self.exception is None and self.driver.send_response(stream_id, status, headers, body):
            self.head_sent = self.complete = True
            return
        self.send(
            Response(stream_id, status, headers),
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
            and isinstance(head, Response)
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
