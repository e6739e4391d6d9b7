"""Short ways to say in a test what is sent, and to look at what came."""

from __future__ import annotations

from collections.abc import Sequence

from plait_engine import (
    Accept,
    Data,
    EndOfMessage,
    Event,
    InformationalResponse,
    Request,
    Response,
    StreamReset,
)
from plait_engine.testing import Endpoint, Pair, coalesce

MESSAGE_EVENTS = (
    Request,
    InformationalResponse,
    Response,
    Accept,
    Data,
    EndOfMessage,
    StreamReset,
)
# What an engine adds by itself to frame a message.
FRAMING = {"host", "content-length", "transfer-encoding", "connection"}


def request(
    pair: Pair,
    method: str = "GET",
    target: str = "/",
    headers: Sequence[tuple[str, str]] = (),
    authority: str = "example.org",
) -> Request:
    """Return a request for the next stream of the client."""
    stream_id = pair.client.connection.next_stream_id()
    return Request(stream_id, method, "http", authority, target, list(headers))


def get(pair: Pair, target: str = "/", **options: str) -> int:
    """Send a whole GET request, deliver it, and return its stream's id."""
    event = request(pair, target=target, **options)
    pair.client.send(event, EndOfMessage(event.stream_id))
    pair.run()
    return event.stream_id


def post(pair: Pair, *events: Data | EndOfMessage, headers: Sequence[tuple[str, str]] = ()) -> int:
    """Send the head of a POST, deliver it, and return its stream's id."""
    event = request(pair, "POST", "/upload", headers)
    pair.client.send(event)
    pair.run()
    return event.stream_id


def respond(pair: Pair, stream_id: int, body: bytes = b"", status: int = 200) -> None:
    """Send a whole response and deliver it."""
    events: list[Response | Data | EndOfMessage] = [Response(stream_id, status)]
    if body:
        events.append(Data(stream_id, body))
    pair.server.send(*events, EndOfMessage(stream_id))
    pair.run()


def taken(endpoint: Endpoint) -> list[Event]:
    """Return what is new of messages, neighbouring Data joined."""
    return coalesce(event for event in endpoint.take() if isinstance(event, MESSAGE_EVENTS))


def kinds(events: Sequence[Event]) -> list[type]:
    """Return the classes of ``events``."""
    return [type(event) for event in events]


def own(headers: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the fields that the application sent, names in lower case."""
    return [(name.lower(), value) for name, value in headers if name.lower() not in FRAMING]


def body(events: Sequence[Event]) -> bytes:
    """Return the bytes of all ``Data`` among ``events``."""
    return b"".join(event.data for event in events if isinstance(event, Data))
