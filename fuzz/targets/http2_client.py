"""HTTP/2, the client's side of the wire.

Invariants, besides those of ``fuzz.harness``: whatever a server sends, in whatever pieces,
the client reports the same events and sends the same bytes.  The application acknowledges
when all was received, and the server reads nothing before that, so what the client does can
depend on the bytes only.

Input: options (a byte), cuts, then the frames of ``fuzz.frames``, or raw bytes.
"""

from __future__ import annotations

from fuzz.choices import Choices, Cuts
from fuzz.frames import read_frames
from fuzz.harness import App, Transport, check_split_invariance, config
from plait_engine.config import Limits
from plait_engine.connection import Role
from plait_engine.events import Data, EndOfMessage, Event, Request, Sendable
from plait_engine.http2 import HTTP2Connection
from plait_engine.http2.frames import (
    SETTINGS_ACK,
    SETTINGS_ENABLE_CONNECT_PROTOCOL,
    encode_settings,
)

RAW = 0x01
STARTS = 0x02

LIMITS = Limits(max_header_list_size=2048, max_fields=16)
"""Low, so that the fuzzer reaches them."""

REQUESTS: list[tuple[Sendable, ...]] = [
    (Request(1, "GET", "http", "a", "/", ()), EndOfMessage(1)),
    (Request(3, "HEAD", "http", "a", "/", ()), EndOfMessage(3)),
    (Request(5, "POST", "http", "a", "/", ()), Data(5, b"unfinished")),
    (Request(7, "CONNECT", "http", "a:1", "a:1", ()),),
    (
        Request(9, "PUT", "http", "a", "/", (("expect", "100-continue"),)),
        Data(9, b"x" * 100_000),
        EndOfMessage(9),
    ),
]


class Client(App):
    """Sends its requests and reads what comes."""

    def __init__(self) -> None:
        self._data: list[Data] = []

    def start(self, transport: Transport) -> None:
        for request in REQUESTS:
            assert transport.send(*request)

    def handle(self, transport: Transport, event: Event) -> None:
        if isinstance(event, Data):
            self._data.append(event)

    def finish(self, transport: Transport) -> None:
        for data in self._data:
            transport.acknowledge(data)


def run(data: bytes) -> None:
    """Run one input."""
    choices = Choices(data)
    options = choices.byte()
    cuts = Cuts(choices)
    wire = choices.rest() if options & RAW else read_frames(choices)
    if options & STARTS:
        wire = encode_settings([(SETTINGS_ENABLE_CONNECT_PROTOCOL, 1)]) + SETTINGS_ACK + wire
    settings = config(limits=LIMITS)
    check_split_invariance(
        lambda: HTTP2Connection(Role.CLIENT, settings),
        Client,
        wire,
        cuts(wire),
        holds_output=True,
    )
