"""HTTP/2, the server's side of the wire.

Invariants, besides those of ``fuzz.harness``: whatever a client sends, in whatever pieces,
the server reports the same events and sends the same bytes.  The application answers and
acknowledges when all was received, and the client reads nothing before that, so what the
server does can depend on the bytes only.

Input: options (a byte), cuts, then the frames of ``fuzz.frames``, or raw bytes.
"""

from __future__ import annotations

from fuzz.choices import Choices, Cuts
from fuzz.frames import read_frames
from fuzz.harness import App, Transport, check_split_invariance, config, wants_tunnel
from plait_engine.config import Limits
from plait_engine.connection import Role
from plait_engine.events import Accept, Data, EndOfMessage, Event, Request, Response
from plait_engine.http2 import HTTP2Connection
from plait_engine.http2.frames import PREFACE, SETTINGS_ACK, encode_settings

RAW = 0x01
STARTS = 0x02
TLS = 0x04

LIMITS = Limits(max_header_list_size=2048, max_fields=16, max_concurrent_streams=8)
"""Low, so that the fuzzer reaches them."""


class Server(App):
    """Answers all requests, once everything was received."""

    def __init__(self) -> None:
        self._data: list[Data] = []
        self._requests: list[Request] = []

    def handle(self, transport: Transport, event: Event) -> None:
        if isinstance(event, Data):
            self._data.append(event)
        elif isinstance(event, Request):
            self._requests.append(event)

    def finish(self, transport: Transport) -> None:
        for data in self._data:
            transport.acknowledge(data)
        for request in self._requests:
            stream_id = request.stream_id
            if wants_tunnel(request):
                transport.send(Accept(stream_id), Data(stream_id, b"hello"))
            else:
                transport.send(
                    Response(stream_id, 200), Data(stream_id, b"hello"), EndOfMessage(stream_id)
                )


def run(data: bytes) -> None:
    """Run one input."""
    choices = Choices(data)
    options = choices.byte()
    cuts = Cuts(choices)
    wire = choices.rest() if options & RAW else read_frames(choices)
    if options & STARTS:
        wire = PREFACE + encode_settings([]) + SETTINGS_ACK + wire
    settings = config(limits=LIMITS, scheme="https" if options & TLS else "http")
    check_split_invariance(
        lambda: HTTP2Connection(Role.SERVER, settings),
        Server,
        wire,
        cuts(wire),
        holds_output=True,
    )
