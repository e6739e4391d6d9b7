"""CONNECT: a tunnel by HTTP (RFC 9110 section 9.3.6), on the engine's own client.

So the head of the answer has the limits of any response, and its framing is decided where that
is decided for all: what follows a 2xx is the tunnel, whatever Content-Length or
Transfer-Encoding the proxy wrote.
"""

from __future__ import annotations

from http import HTTPStatus

from plait_engine.config import Config, Limits
from plait_engine.events import (
    Accept,
    ConnectionClosed,
    Data,
    Request,
    Response,
    StreamReset,
)
from plait_engine.headers import Headers
from plait_engine.http1.client import HTTP1Client

from .handshake import Handshake, HandshakeState, TunnelError, TunnelRefusedError

_OWN_FIELDS = frozenset({"host", "content-length", "transfer-encoding"})
"""A request for a tunnel has no content, and names its authority itself."""


class ConnectHandshake(Handshake):
    """Asks an HTTP proxy for a tunnel.

    Args:
        authority: the host and the port to reach, an IPv6 address in brackets.
        headers: the fields for the proxy.
        limits: how large the head of its answer may be.

    ``start`` raises LocalProtocolError for what cannot be sent.
    """

    def __init__(self, authority: str, headers: Headers, limits: Limits | None = None) -> None:
        super().__init__()
        self._authority = authority
        self._headers = [pair for pair in headers if pair[0].lower() not in _OWN_FIELDS]
        self._connection = HTTP1Client(Config(limits=limits or Limits()))

    def start(self, now: float) -> None:
        connection = self._connection
        connection.connection_made(now)
        stream_id = connection.next_stream_id()
        authority = self._authority
        connection.send(
            Request(stream_id, "CONNECT", "http", authority, authority, self._headers), now=now
        )
        self._output = connection.data_to_send()

    def receive_data(self, data: bytes, now: float) -> None:
        self._connection.receive_data(data, now)
        self._read_events()

    def receive_eof(self, now: float) -> None:
        self._connection.receive_eof(now)
        self._read_events()
        super().receive_eof(now)

    def _read_events(self) -> None:
        while (event := self._connection.next_event()) is not None:
            if isinstance(event, Accept):
                self._open(b"")
            elif isinstance(event, Data) and self.state is HandshakeState.OPEN:
                self.surplus += event.data
            elif isinstance(event, Response):
                reason = event.reason or _phrase(event.status)
                self._fail(TunnelRefusedError(event.status, reason, event.headers))
            elif isinstance(event, StreamReset | ConnectionClosed) and event.error is not None:
                self._fail(TunnelError(f"the proxy answers CONNECT badly: {event.error}"))


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
