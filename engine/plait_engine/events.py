"""The vocabulary of the engine: what happened on a connection, and what to do.

The same classes go both ways.  ``Connection.next_event()`` returns them when the
peer did something; ``Connection.send()`` takes them when the application wants
something done.  The vocabulary does not depend on the HTTP version: whoever reads
events from an HTTP/1.1 connection reads an HTTP/2 connection with the same code.

Rules
-----
* Order, per stream and direction (an invariant that the tests hold)::

      Request Data* EndOfMessage
      InformationalResponse* (Response Data* EndOfMessage | Accept Data* EndOfMessage)

  ``StreamReset`` may cut either short.  ``EndOfMessage`` comes once per direction, unless it
  is implied (see ``Request``), and once more behind a switch of protocols (see below).
* A ``Request`` that asks for a tunnel (method ``CONNECT``, or ``protocol`` set) has
  no content.  What follows it is tunnel bytes, and only after ``Accept``.  If the
  server declines (it sends a ``Response``), the request's ``EndOfMessage`` follows.
* On HTTP/1.1 any other request may name protocols in its field Upgrade, and have content.
  When it is complete, the server may switch to one of them: it sends ``Accept`` with that
  ``protocol``, and both directions begin anew, as a tunnel: ``Data* EndOfMessage``.
* ``ConnectionClosed`` is the last event of a connection and comes exactly once.
* Events are immutable by convention: whoever holds one may keep it, nobody changes
  it.  They are slotted and not frozen because one is built for every message, and a
  frozen dataclass costs several times as much to build.
* Text is ``str``, bodies are ``bytes``.  Field names and values are the wire's bytes
  decoded as UTF-8 with ``surrogateescape`` (see ``headers``), so every byte string
  survives the round trip.
* Stream ids are odd for requests of the client, on HTTP/1.1 too (1, 3, 5, ...).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from .errors import ErrorCode, RemoteProtocolError
from .headers import Headers


class Initiator(enum.Enum):
    """Who ended a stream."""

    LOCAL = "local"
    """The engine or the application on this side."""
    REMOTE = "remote"
    """The peer, or the loss of the connection."""


class CloseReason(enum.Enum):
    """Why a connection ended."""

    LOCAL = "closed by this side"
    PEER = "closed by the peer"
    KEEP_ALIVE = "idle for longer than the keep-alive time"
    TIMEOUT = "the peer took too long"
    PROTOCOL_ERROR = "the peer broke the protocol"
    LOST = "the transport failed"

    def explain(self) -> str:
        """Return the reason as a phrase for a log line."""
        return self.value


@dataclass(slots=True)
class Request:
    """A request head (RFC 9110 section 6.2; HTTP/2: HEADERS, RFC 9113 section 8.3.1).

    ``target`` is the origin form (``/path?query``), ``*``, or for ``CONNECT`` the
    authority.  A request received in absolute form is split into ``scheme``,
    ``authority`` and an origin-form ``target`` (RFC 9112 section 3.2.2).  A request to
    send over HTTP/1.1 may carry the absolute form, for a proxy; it is written as given.

    ``authority`` is the Host field or ``:authority``; ``""`` when an HTTP/1.0 request
    had none.  On HTTP/1.1 the Host field also stays in ``headers``, as received; on
    sending, a Host in ``headers`` is written in the place of ``authority``.

    ``protocol`` is the token of ``Upgrade`` on HTTP/1.1 and ``:protocol`` on HTTP/2
    (RFC 8441), in lower case, or ``None``.

    ``http_version`` is the version of the message: ``"1.0"``, ``"1.1"`` or ``"2"``.  On
    sending, an HTTP/1.1 connection writes ``"1.0"`` as that, and refuses what HTTP/1.0 has
    not: chunks, ``protocol``, the expectation of 100.  Such a request is the last of its
    connection, unless it says ``Connection: keep-alive``.  HTTP/2 has one version only and
    ignores it.

    ``expect_continue`` is true when the client waits for ``100 Continue`` (RFC 9110
    section 10.1.1): send ``InformationalResponse(stream_id, 100)`` when the content is
    wanted.  It is derived from the Expect field; on sending it is ignored.

    Facts for the reader, ignored on sending: ``expect`` is the value of the Expect field, or
    ``None``; several lines are joined by commas.  ``keep_alive`` is false when the connection
    ends with this exchange (RFC 9112 section 9.3).  ``ends`` is true when the message has
    neither content nor trailers; ``EndOfMessage`` follows at once all the same, unless
    ``Config.implied_end`` says that it need not.  It is false for a request for a tunnel.
    ``content_encoding`` is the value of the Content-Encoding field, or ``None``; several lines
    are joined by commas (RFC 9110 section 5.3).
    """

    stream_id: int
    method: str
    scheme: str
    authority: str
    target: str
    headers: Headers
    protocol: str | None = None
    http_version: str = "1.1"
    expect_continue: bool = False
    expect: str | None = None
    keep_alive: bool = True
    ends: bool = False
    content_encoding: str | None = None


@dataclass(slots=True)
class InformationalResponse:
    """A 1xx response other than 101 (RFC 9110 section 15.2)."""

    stream_id: int
    status: int
    headers: Headers = ()


@dataclass(slots=True)
class Response:
    """The head of a final response (RFC 9110 section 15).

    ``reason`` is the reason phrase of HTTP/1.1; ``None`` on sending means the standard
    phrase of the status.  HTTP/2 has none: ``""`` when received, ignored when sent.

    ``close``: the connection ends after this exchange.  On sending, HTTP/1.1 says it to the
    client (``Connection: close``, RFC 9112 section 9.6); HTTP/2 ignores it, since there
    ``Connection.close`` ends all streams.  Received over HTTP/1.1, it is what the response
    says and what its framing asks for (sections 6.3 and 9.3); over HTTP/2 it is false.
    """

    stream_id: int
    status: int
    headers: Headers = ()
    reason: str | None = None
    http_version: str = "1.1"
    close: bool = False


@dataclass(slots=True)
class Data:
    """Bytes of a body, or of a tunnel after ``Accept``.

    ``credit`` is what the receiver gives back with ``Connection.acknowledge`` when the
    application took the bytes.  It is at least ``len(data)`` and also counts what came
    with them (HTTP/2 padding).  Ignored on sending.
    """

    stream_id: int
    data: bytes
    credit: int = 0


@dataclass(slots=True)
class EndOfMessage:
    """The end of one direction of a stream, with its trailer fields if any."""

    stream_id: int
    trailers: Headers = ()


@dataclass(slots=True)
class Accept:
    """The server agrees to a tunnel: 101, or 2xx to CONNECT, or 200 on HTTP/2.

    From here on ``Data`` is tunnel bytes.  On sending, the engine writes the status
    line and, on HTTP/1.1, the Upgrade and Connection fields; ``headers`` is the rest.

    ``protocol``, on sending over HTTP/1.1: which of the protocols in the request's field
    Upgrade it is (RFC 9110 section 7.8); ``None``: that of the request for a tunnel.
    Received, it is ``None``, and ``headers`` say it.
    """

    stream_id: int
    headers: Headers = ()
    protocol: str | None = None


@dataclass(slots=True)
class StreamReset:
    """A stream ended before its messages were complete.

    As a command: give up this stream.  With ``ErrorCode.NO_ERROR``, after the own
    message is complete, it says that the rest of the peer's message is not wanted:
    HTTP/2 sends RST_STREAM(NO_ERROR) (RFC 9113 section 8.1), HTTP/1.1 drains what is
    left if that is little, and else closes after a lingering close (RFC 9112 9.6).  With
    another code HTTP/1.1 has no choice but to abort the connection.  For a stream that has
    ended it is a no-op, since the peer may end one at any moment.  After it,
    ``Data`` of the stream needs no acknowledgement any more.

    ``retryable`` is a fact: the peer has not processed the request (RFC 9113 section
    8.7), so it may be sent again whatever its method.  ``error`` says what was wrong
    when the engine ended the stream because of the peer.
    """

    stream_id: int
    code: int = ErrorCode.CANCEL
    initiator: Initiator = Initiator.LOCAL
    retryable: bool = False
    error: RemoteProtocolError | None = None


@dataclass(slots=True)
class Writable:
    """``send_capacity(stream_id)`` is above zero again."""

    stream_id: int


@dataclass(slots=True)
class StreamsAvailable:
    """``Connection.available_streams`` is above zero again (client).

    Comes when a request can begin and none could before: a stream ended, or the peer raised
    SETTINGS_MAX_CONCURRENT_STREAMS (RFC 9113 section 5.1.2).  As with ``Writable``, the getter
    has the number; this only says when to look.
    """


@dataclass(slots=True)
class SettingsChanged:
    """The peer's SETTINGS took effect (RFC 9113 section 6.5): id to new value."""

    settings: Mapping[int, int]


@dataclass(slots=True)
class Draining:
    """The peer takes no more requests on this connection.

    HTTP/2: GOAWAY.  HTTP/1.1: ``Connection: close``, or no keep-alive on HTTP/1.0.
    Exchanges up to ``last_stream_id`` go on; streams above it come as
    ``StreamReset(retryable=True)``, with the code REFUSED_STREAM, or HTTP_1_1_REQUIRED if that
    is the code here.
    """

    last_stream_id: int
    code: int = ErrorCode.NO_ERROR
    debug_data: bytes = b""


@dataclass(slots=True)
class PingAcknowledged:
    """The peer answered a PING of ``Connection.ping`` after ``round_trip`` seconds."""

    payload: bytes
    round_trip: float


@dataclass(slots=True)
class PriorityUpdated:
    """The client set a stream's priority (RFC 9218): urgency 0 to 7, lower is first."""

    stream_id: int
    urgency: int
    incremental: bool


@dataclass(slots=True)
class PriorKnowledge:
    """A client began with the HTTP/2 preface on an HTTP/1.1 server connection.

    Only with ``Config.detect_http2``.  The HTTP/1.1 engine is done: make an HTTP/2
    engine and give it ``data``, which is all that was received (RFC 9113 section 3.3).
    """

    data: bytes


@dataclass(slots=True)
class ConnectionClosed:
    """The last event.  ``error`` is set when the peer or the transport was at fault."""

    reason: CloseReason
    error: Exception | None = None


Event: TypeAlias = (
    Request
    | InformationalResponse
    | Response
    | Data
    | EndOfMessage
    | Accept
    | StreamReset
    | Writable
    | StreamsAvailable
    | SettingsChanged
    | Draining
    | PingAcknowledged
    | PriorityUpdated
    | PriorKnowledge
    | ConnectionClosed
)

Sendable: TypeAlias = (
    Request | InformationalResponse | Response | Data | EndOfMessage | Accept | StreamReset
)
"""What ``Connection.send`` takes."""
