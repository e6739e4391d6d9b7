"""The other side of an HTTP/2 engine: says what it likes, and looks at what comes back.

``Peer`` plays a raw client or server against one engine.  Its header blocks are written by
``plait_engine.testing.frames`` and read by the ``hpack`` package, so neither what goes in
nor what comes out depends on the code under test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import hpack

from plait_engine import (
    CloseAction,
    Config,
    ConnectionClosed,
    Data,
    EndOfMessage,
    ErrorCode,
    Event,
    Limits,
    Request,
    Response,
    Role,
    StreamReset,
    Timeouts,
)
from plait_engine.http2 import HTTP2Connection
from plait_engine.testing import Endpoint, Fragmenter, counting_random, whole
from plait_engine.testing import frames as wire
from plait_engine.testing.frames import Flag, Frame, FrameType

GET = wire.request_block()
POST = wire.request_block("POST")
OK = wire.response_block(200)


def make_config(timeouts: Timeouts | None = None, **limits: int) -> Config:
    """Return a configuration with some limits changed."""
    return Config(random=counting_random, limits=Limits(**limits), timeouts=timeouts or Timeouts())


class Peer:
    """A raw peer of an engine of ``role``.

    ``chop`` cuts all that the peer says.  ``handshake``: exchange the prefaces, with the
    peer's ``settings``, and acknowledge the engine's.
    """

    def __init__(
        self,
        role: Role,
        *,
        chop: Fragmenter = whole,
        config: Config | None = None,
        settings: Iterable[tuple[int, int]] = (),
        handshake: bool = True,
        acknowledges: bool = True,
    ) -> None:
        self.connection = HTTP2Connection(role, config or make_config())
        self.endpoint = Endpoint(self.connection, fragment=chop)
        self.endpoint.acknowledges = acknowledges
        self._decoder = hpack.Decoder()
        self.endpoint.start()
        if handshake:
            preface = wire.PREFACE if role is Role.SERVER else b""
            self.say(preface, wire.settings(settings), wire.settings_ack())
            self.hear()
            self.events()

    @property
    def now(self) -> float:
        return self.endpoint.clock.now

    def say(self, *data: bytes) -> None:
        """Send bytes to the engine."""
        self.endpoint.receive(b"".join(data))

    def hear(self) -> list[Frame]:
        """Return the frames that the engine sent since the last call."""
        return wire.split_frames(self.endpoint.take_sent())

    def events(self) -> list[Event]:
        """Return the events that the engine reported since the last call."""
        return self.endpoint.take()

    def fields(self, frame: Frame) -> list[tuple[str, str]]:
        """Decode the header block of a HEADERS frame that has no padding."""
        return [(str(name), str(value)) for name, value in self._decoder.decode(frame.payload)]

    def wait(self, seconds: float) -> None:
        """Let time pass, and tell the engine."""
        self.endpoint.clock.now += seconds
        self.endpoint.handle_timeout()

    def request(self, *, end_stream: bool = True, method: str = "GET", path: str = "/") -> int:
        """Have a client engine send a request, and return its stream."""
        stream_id = self.connection.next_stream_id()
        head = Request(stream_id, method, "http", "example.org", path, ())
        self.endpoint.send(head, *([EndOfMessage(stream_id)] if end_stream else []))
        return stream_id


def raw(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Return a frame, right or wrong."""
    return Frame(kind, flags, stream, payload).encode()


def kinds(events: Iterable[Event]) -> list[type]:
    return [type(event) for event in events]


def of_type(frames: Iterable[Frame], kind: FrameType) -> list[Frame]:
    return [frame for frame in frames if frame.type == kind]


def error_code(frame: Frame) -> int:
    """Return the code of RST_STREAM or GOAWAY."""
    offset = 4 if frame.type == FrameType.GOAWAY else 0
    return int.from_bytes(frame.payload[offset : offset + 4], "big")


def assert_connection_error(peer: Peer, *codes: int) -> None:
    """The engine said GOAWAY with one of ``codes``, reported why, and wants to close."""
    goaways = of_type(peer.hear(), FrameType.GOAWAY)
    assert goaways, "no GOAWAY"
    assert error_code(goaways[-1]) in codes
    last = peer.endpoint.events[-1]
    assert isinstance(last, ConnectionClosed)
    assert last.error is not None
    assert last.error.code in codes
    assert peer.connection.wants_close is CloseAction.CLOSE
    # Section 5.4.1: whatever comes now is dropped.
    peer.say(wire.ping(), wire.headers(1001, GET, end_stream=True), b"\xff" * 40)
    assert peer.hear() == []
    assert peer.endpoint.events[-1] is last


def assert_stream_error(peer: Peer, stream_id: int, *codes: int) -> None:
    """The engine reset the stream with one of ``codes``; the connection lives."""
    heard = peer.hear()
    resets = [f for f in of_type(heard, FrameType.RST_STREAM) if f.stream_id == stream_id]
    assert [error_code(frame) for frame in resets][:1] != [], heard
    assert error_code(resets[0]) in codes
    assert_alive(peer)


def assert_alive(peer: Peer) -> None:
    """The engine answers a PING."""
    peer.hear()
    peer.say(wire.ping(b"alive???"))
    assert Frame(FrameType.PING, Flag.ACK, 0, b"alive???") in peer.hear()


def answer_at_once(peer: Peer, events: Iterable[Event], body: bytes) -> None:
    """An application that answers when the head has come, and does not want the body."""
    for event in events:
        if isinstance(event, Request):
            stream_id = event.stream_id
            peer.endpoint.send(
                Response(stream_id, 200, [("content-type", "text/plain")]),
                Data(stream_id, body),
                EndOfMessage(stream_id),
                StreamReset(stream_id, ErrorCode.NO_ERROR),
            )


def answer_at_end(peer: Peer, events: Iterable[Event], body: bytes) -> None:
    """An application that reads the request before it answers."""
    for event in events:
        if isinstance(event, EndOfMessage):
            stream_id = event.stream_id
            peer.endpoint.send(
                Response(stream_id, 200), Data(stream_id, body), EndOfMessage(stream_id)
            )


Application = Callable[[Peer, Iterable[Event], bytes], None]


def open_and_reset(start: int, count: int) -> bytes:
    return b"".join(
        wire.headers(stream, GET, end_stream=True) + wire.rst_stream(stream, ErrorCode.CANCEL)
        for stream in range(start, start + 2 * count, 2)
    )
