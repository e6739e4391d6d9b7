"""What the tests of the HTTP/1.1 engine share: started endpoints and short requests."""

from __future__ import annotations

from typing import Any

from plait_engine import (
    Config,
    ConnectionClosed,
    Data,
    EndOfMessage,
    Headers,
    Limits,
    Request,
    Response,
    StreamReset,
    Timeouts,
)
from plait_engine.http1 import HTTP1Client, HTTP1Server
from plait_engine.testing import Endpoint, Fragmenter, whole

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POISON = b"GET /poison HTTP/1.1\r\nHost: a\r\n\r\n"
"""Comes behind what is refused; nothing may answer it."""


def head(line: str, *fields: str) -> bytes:
    return "\r\n".join([line, *fields, "", ""]).encode("latin-1")


def request(
    method: str = "GET",
    target: str = "/",
    headers: Headers = (),
    protocol: str | None = None,
) -> Request:
    return Request(1, method, "http", "a", target, headers, protocol)


def config(*, timeouts: Timeouts | None = None, **limits_and_more: Any) -> Config:
    """Return a config; names of ``Limits`` and of ``Config`` may be mixed."""
    names = Limits.__dataclass_fields__
    limits = {key: value for key, value in limits_and_more.items() if key in names}
    rest = {key: value for key, value in limits_and_more.items() if key not in names}
    return Config(limits=Limits(**limits), timeouts=timeouts or Timeouts(), **rest)


def server(fragment: Fragmenter = whole, settings: Config | None = None) -> Endpoint:
    endpoint = Endpoint(HTTP1Server(settings or Config()), fragment=fragment)
    endpoint.start()
    return endpoint


def client(fragment: Fragmenter = whole, settings: Config | None = None) -> Endpoint:
    endpoint = Endpoint(HTTP1Client(settings or Config()), fragment=fragment)
    endpoint.start()
    return endpoint


def answer(endpoint: Endpoint, stream_id: int = 1, body: bytes = b"ok", status: int = 200) -> bytes:
    """Send a complete answer and return what was sent since the last look."""
    endpoint.send(Response(stream_id, status), Data(stream_id, body), EndOfMessage(stream_id))
    return endpoint.take_sent()


def ask(endpoint: Endpoint, method: str = "GET", **fields: str) -> int:
    """Send a request without content and return its stream id."""
    stream_id = endpoint.connection.next_stream_id()
    headers = [(name.replace("_", "-"), value) for name, value in fields.items()]
    endpoint.send(Request(stream_id, method, "http", "a", "/", headers), EndOfMessage(stream_id))
    return stream_id


def requests(endpoint: Endpoint) -> list[Request]:
    return endpoint.recorder.of_type(Request)


def responses(endpoint: Endpoint) -> list[Response]:
    return endpoint.recorder.of_type(Response)


def resets(endpoint: Endpoint) -> list[StreamReset]:
    return endpoint.recorder.of_type(StreamReset)


def closed(endpoint: Endpoint) -> ConnectionClosed:
    """Return the last event of a connection that has ended."""
    event = endpoint.events[-1]
    assert isinstance(event, ConnectionClosed)
    return event


def body_of(endpoint: Endpoint, stream_id: int = 1) -> bytes:
    return endpoint.recorder.body(stream_id)


def ended(endpoint: Endpoint, stream_id: int = 1) -> bool:
    """Tell whether the peer's message on ``stream_id`` was complete."""
    return any(
        isinstance(event, EndOfMessage) and event.stream_id == stream_id
        for event in endpoint.events
    )


def statuses(data: bytes) -> list[int]:
    """Return the status of each status line in what a server sent."""
    return [int(part[:3]) for part in data.split(b"HTTP/1.1 ")[1:]]
