"""HTTP/1.1, the client's side of the wire.

Invariants, besides those of ``fuzz.harness``: whatever a server answers, in whatever
pieces, the client reports the same response or error and has sent the same bytes.

Input: which request (a byte), options (a byte), cuts, then what the server sends.
"""

from __future__ import annotations

from fuzz.choices import Choices, Cuts
from fuzz.harness import App, Transport, check_split_invariance, config
from plait_engine.events import Accept, Data, EndOfMessage, Event, Request, Sendable
from plait_engine.http1 import HTTP1Client

TLS = 0x01

UPGRADE = (("Connection", "Upgrade"), ("Upgrade", "tcp, foo"))

REQUESTS: list[tuple[Sendable, ...]] = [
    (Request(1, "GET", "http", "a", "/", ()), EndOfMessage(1)),
    (Request(1, "HEAD", "http", "a", "/", ()), EndOfMessage(1)),
    (Request(1, "POST", "http", "a", "/", ()), Data(1, b"body"), EndOfMessage(1)),
    (Request(1, "CONNECT", "http", "a:1", "a:1", ()),),
    (Request(1, "GET", "http", "a", "/", (), protocol="websocket"),),
    (
        Request(1, "PUT", "http", "a", "/", (("Expect", "100-continue"),)),
        Data(1, b"body"),
        EndOfMessage(1),
    ),
    (Request(1, "POST", "http", "a", "/", ()), Data(1, b"unfinished")),
    (Request(1, "GET", "http", "a", "/", (("Connection", "close"),)), EndOfMessage(1)),
    (),
    (Request(1, "GET", "http", "a", "/", UPGRADE), EndOfMessage(1)),
    (Request(1, "POST", "http", "a", "/", UPGRADE), Data(1, b"body"), EndOfMessage(1)),
    (Request(1, "POST", "http", "a", "/", UPGRADE), Data(1, b"unfinished")),
]


class Client(App):
    """Sends one request and reads what comes."""

    def __init__(self, request: tuple[Sendable, ...]) -> None:
        self._request = request
        self._tunnel = False

    def start(self, transport: Transport) -> None:
        if self._request:
            assert transport.send(*self._request)

    def handle(self, transport: Transport, event: Event) -> None:
        if isinstance(event, Data):
            transport.acknowledge(event)
        elif isinstance(event, Accept):
            self._tunnel = True
        elif isinstance(event, EndOfMessage) and self._tunnel:
            transport.send(EndOfMessage(event.stream_id))


def run(data: bytes) -> None:
    """Run one input."""
    choices = Choices(data)
    request = choices.pick(REQUESTS)
    options = choices.byte()
    cuts = Cuts(choices)
    wire = choices.rest()
    settings = config(scheme="https" if options & TLS else "http")

    def make_connection() -> HTTP1Client:
        return HTTP1Client(settings)

    check_split_invariance(make_connection, lambda: Client(request), wire, cuts(wire))
