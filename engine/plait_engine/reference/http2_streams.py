"""What the reference's HTTP/2 engine knows about a stream, and what a command does to it.

h2 keeps the state that the RFC draws; ``Stream`` keeps the rest: what the application may
send next, the queue, the tunnel.  A command runs the functions of ``WRITERS`` on a copy of
the stream; they raise LocalProtocolError or leave in the copy what is to be sent.

Rules: RFC 9113 section 8.1; RFC 8441; RFC 9110 section 9.3.6.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from plait_engine.errors import ErrorCode, LocalProtocolError
from plait_engine.events import (
    Accept,
    Data,
    EndOfMessage,
    InformationalResponse,
    Request,
    Response,
    StreamReset,
)
from plait_engine.headers import has_token
from plait_engine.semantics.content import NO_CONTENT, RESET_CONTENT, WITHOUT_CONTENT
from plait_engine.semantics.message import check_final, check_informational

from .fields import RawHeaders
from .http2_messages import field_block, promised_length, request_block, response_block


@dataclass(slots=True)
class Stream:
    """The facts about one stream beyond what h2 keeps."""

    stream_id: int
    is_client: bool
    method: str = ""
    tunnel_offered: bool = False
    tunnel_open: bool = False
    sent_head: bool = False
    sent_end: bool = False
    """The application ended the message; h2 may not have sent all of it yet."""
    flushed: bool = False
    """h2 sent END_STREAM."""
    received_end: bool = False
    held: list[tuple[bytes, int]] = field(default_factory=list)
    """Data and credit that came before the tunnel was accepted."""
    blocks: list[RawHeaders] = field(default_factory=list)
    """Header blocks that go before the queue."""
    open_head: RawHeaders | None = None
    """The head in ``blocks`` that gets a Content-Length if the message is complete."""
    queue: deque[bytes] = field(default_factory=deque)
    queued: int = 0
    trailers: RawHeaders = field(default_factory=list)
    promised: int | None = None
    """Content bytes that the Content-Length we sent still promises."""
    bodiless: bool = False
    unsent: int = 0
    """Bytes of content of a response to HEAD, which counts and is not sent."""
    full: bool = False
    waits_for_continue: bool = False
    drops_content: bool = False
    """A final response came instead of 100 Continue."""
    continue_deadline: float = 0.0
    reset_code: int | None = None
    """The application gave the stream up."""

    def copy(self) -> Stream:
        """Return a copy that a command may change."""
        return replace(self, queue=self.queue.copy(), blocks=[], open_head=None)

    def drop_content(self) -> None:
        """Send nothing of the content that was held for 100 Continue, and no more of it."""
        self.drop_queue()
        self.waits_for_continue = False
        self.drops_content = self.bodiless = True
        self.promised = None

    def drop_queue(self) -> None:
        """Forget the content that is not sent yet."""
        self.queue.clear()
        self.queued = 0
        self.trailers = []


def write_request(stream: Stream, event: Request) -> None:
    if stream.sent_head or not stream.is_client:
        raise LocalProtocolError(f"no request can be sent on stream {stream.stream_id}")
    stream.blocks.append(request_block(event))
    stream.sent_head = True
    stream.method = event.method
    stream.tunnel_offered = event.method == "CONNECT" or event.protocol is not None
    stream.promised = promised_length(event.headers)
    if stream.promised is None and not stream.tunnel_offered:
        stream.open_head = stream.blocks[-1]
    stream.waits_for_continue = has_token(event.headers, "expect", "100-continue")


def write_informational(stream: Stream, event: InformationalResponse) -> None:
    if stream.sent_head:
        raise LocalProtocolError("an informational response after the final one")
    check_informational(event.status)
    stream.blocks.append(response_block(event.status, event.headers))


def write_response(stream: Stream, event: Response) -> None:
    if stream.sent_head:
        raise LocalProtocolError("the response was sent already")
    is_connect = stream.method == "CONNECT"
    check_final(event.status, opens_tunnel=is_connect and stream.tunnel_offered)
    block = response_block(event.status, event.headers)
    if event.status in (NO_CONTENT, RESET_CONTENT):
        block = [pair for pair in block if pair[0] != b"content-length"]
    if event.status == RESET_CONTENT:
        block.append((b"content-length", b"0"))
    stream.blocks.append(block)
    stream.sent_head = True
    stream.tunnel_offered = False
    stream.bodiless = stream.method == "HEAD" or event.status in WITHOUT_CONTENT
    stream.promised = None if stream.bodiless else promised_length(event.headers)
    if promised_length(event.headers) is None and event.status not in WITHOUT_CONTENT:
        stream.open_head = block


def write_accept(stream: Stream, event: Accept) -> None:
    if not stream.tunnel_offered or stream.is_client:
        raise LocalProtocolError("the request asks for no tunnel")
    if event.protocol is not None:
        raise LocalProtocolError("HTTP/2 has no 101")
    stream.blocks.append(response_block(200, event.headers))
    stream.sent_head = True
    stream.tunnel_offered, stream.tunnel_open = False, True


def write_data(stream: Stream, event: Data) -> None:
    _check_body(stream)
    if stream.bodiless:  # RFC 9110 section 9.3.2
        stream.unsent += len(event.data)
        return
    if stream.promised is not None:
        stream.promised -= len(event.data)
        if stream.promised < 0:
            raise LocalProtocolError("more content than Content-Length says")
    if event.data:
        stream.queue.append(event.data)
        stream.queued += len(event.data)


def write_end(stream: Stream, event: EndOfMessage) -> None:
    _check_body(stream)
    if stream.promised:
        raise LocalProtocolError("less content than Content-Length says")
    stream.trailers = field_block(event.trailers)
    stream.sent_end = True
    size = stream.queued or stream.unsent
    if stream.open_head is not None and (size or _implies_length(stream)):
        stream.open_head.append((b"content-length", b"%d" % size))
    stream.waits_for_continue = stream.waits_for_continue and stream.queued > 0


def write_reset(stream: Stream, event: StreamReset) -> None:
    stream.reset_code = event.code
    if event.code != ErrorCode.NO_ERROR or not stream.sent_end:
        stream.drop_queue()
        stream.blocks.clear()


def _implies_length(stream: Stream) -> bool:
    """Tell whether a complete message without content says so (RFC 9110 section 8.6)."""
    if stream.trailers or stream.method == "HEAD":
        return False
    return not stream.is_client or stream.method in ("POST", "PUT", "PATCH")


def _check_body(stream: Stream) -> None:
    if stream.sent_end:
        raise LocalProtocolError("the message has ended")
    if not stream.sent_head:
        raise LocalProtocolError("content before the head of the message")
    if stream.tunnel_offered:
        raise LocalProtocolError("the tunnel is not accepted yet")


WRITERS: dict[type, Callable[..., None]] = {
    Request: write_request,
    InformationalResponse: write_informational,
    Response: write_response,
    Accept: write_accept,
    Data: write_data,
    EndOfMessage: write_end,
    StreamReset: write_reset,
}
