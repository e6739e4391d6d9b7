"""A receive window comes back to its full size, whatever becomes of what was received.

What an application does not take, because the stream was reset, refused or is not wanted,
must return to the connection's window all the same (RFC 9113 sections 5.2.2 and 6.9), and
must not return twice when the application acknowledges it late.
"""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from plait_engine import (
    Config,
    Connection,
    Data,
    EndOfMessage,
    Limits,
    LocalProtocolError,
    Request,
    Response,
    Role,
    StreamReset,
    create_connection,
)
from plait_engine.events import Sendable
from plait_engine.http2 import HTTP2Connection
from plait_engine.testing import counting_random
from plait_engine.testing import frames as wire
from plait_engine.testing.frames import FrameType

ENGINES = ["native", "reference"]
WINDOW = 100_000
INITIAL_WINDOW = 65535
PIECE = 16_000
CONFIG = Config(
    random=counting_random,
    limits=Limits(
        stream_window=2 * WINDOW,
        connection_window=WINDOW,
        max_stream_window=2 * WINDOW,
        max_connection_window=WINDOW,
        max_concurrent_streams=5,
    ),
)


class Uploads:
    """A raw peer that sends bodies to an engine, and keeps its window as RFC 9113 says.

    ``window``: how much it may still send on the connection.  ``waiting``: the streams and
    credits that the application has not acknowledged, those of reset streams included.
    """

    def __init__(self, role: Role, engine: str) -> None:
        self.is_server = role is Role.SERVER
        self.connection: Connection = create_connection(role, "h2", CONFIG, engine=engine)
        self.window = INITIAL_WINDOW
        self.next_id = 1
        self.sending: dict[int, bool] = {}  # by the peer: whether the head has gone
        self.open: set[int] = set()  # known to the application, and not reset
        self.answered: set[int] = set()
        self.reset: set[int] = set()  # or the rest is not wanted
        self.waiting: list[tuple[int, int]] = []
        self.connection.connection_made(0.0)
        preface = wire.PREFACE if self.is_server else b""
        self.say(preface + wire.settings() + wire.settings_ack())

    def say(self, data: bytes) -> None:
        """Send frames to the engine, and hear what it says."""
        self.connection.receive_data(data, 0.0)
        self.hear()

    def send(self, *events: Sendable) -> None:
        """Have the application send."""
        self.connection.send(*events, now=0.0)
        self.hear()

    def hear(self) -> None:
        sent = bytearray()
        while data := self.connection.data_to_send():
            sent += data
        for frame in wire.split_frames(bytes(sent)):
            if frame.type == FrameType.WINDOW_UPDATE and not frame.stream_id:
                self.window += int.from_bytes(frame.payload, "big")
                assert self.window <= WINDOW, "more was given back than was sent"
            elif frame.type == FrameType.RST_STREAM:
                self.sending.pop(frame.stream_id, None)
            else:
                assert frame.type != FrameType.GOAWAY, frame
        while (event := self.connection.next_event()) is not None:
            if isinstance(event, Request):
                self.open.add(event.stream_id)
            elif isinstance(event, Data):
                self.waiting.append((event.stream_id, event.credit))
            elif isinstance(event, StreamReset):
                self.open.discard(event.stream_id)
                self.reset.add(event.stream_id)

    # -- what may happen ----------------------------------------------------------

    def begin(self) -> None:
        """A request begins, one too many perhaps."""
        stream_id = self.next_id
        if self.is_server:
            self.sending[stream_id] = True
            self.next_id += 2
            self.say(wire.headers(stream_id, wire.request_block("POST")))
        elif self.connection.available_streams:
            self.sending[stream_id] = False
            self.next_id += 2
            self.open.add(stream_id)
            self.send(Request(stream_id, "GET", "http", "a", "/", ()), EndOfMessage(stream_id))

    def data(self, which: int, size: int, padding: int | None, ends: bool, late: bool) -> None:
        """The peer sends DATA; ``late``: a RST_STREAM of the engine has not arrived."""
        streams = sorted(self.sending)
        if not streams:
            return
        stream_id = streams[which % len(streams)]
        size = min(size, self.window - 256)
        if size < 0:
            return
        frame = wire.data(stream_id, bytes(size), end_stream=ends, padding=padding)
        head = b""
        if not self.sending[stream_id]:
            head = wire.headers(stream_id, wire.response_block(200))
        self.sending[stream_id] = True
        if late and stream_id in self.open:
            self.send(StreamReset(stream_id, 8))
            self.open.discard(stream_id)
            self.reset.add(stream_id)
        if ends:
            self.sending.pop(stream_id, None)
        self.window -= len(frame) - 9
        self.say(head + frame)

    def spoil(self, which: int) -> None:
        """The peer sends trailers that are malformed (for h2, the connection is lost then)."""
        streams = sorted(self.sending)
        if streams and isinstance(self.connection, HTTP2Connection):
            stream_id = streams[which % len(streams)]
            self.say(wire.headers(stream_id, wire.header_block([("X", "y")]), end_stream=True))
            self.sending.pop(stream_id, None)

    def peer_resets(self, which: int) -> None:
        streams = sorted(self.sending)
        if streams:
            stream_id = streams[which % len(streams)]
            del self.sending[stream_id]
            self.say(wire.rst_stream(stream_id, 8))

    def answer(self, which: int, wants_rest: bool) -> None:
        """The application answers (server); it may not want the rest of the request."""
        streams = sorted(self.open - self.answered)
        if streams and self.is_server:
            stream_id = streams[which % len(streams)]
            self.answered.add(stream_id)
            events: list[Sendable] = [Response(stream_id, 200), EndOfMessage(stream_id)]
            if not wants_rest:
                events.append(StreamReset(stream_id, 0))
                self.reset.add(stream_id)
            self.send(*events)

    def give_up(self, which: int) -> None:
        streams = sorted(self.open)
        if streams:
            stream_id = streams[which % len(streams)]
            self.open.discard(stream_id)
            self.reset.add(stream_id)
            self.send(StreamReset(stream_id, 8))

    def acknowledge(self, which: int) -> None:
        """The application acknowledges, also what came on a stream that is gone."""
        if self.waiting:
            stream_id, credit = self.waiting.pop(which % len(self.waiting))
            self.connection.acknowledge(stream_id, credit, 0.0)
            self.hear()

    def finish(self, forgets: bool = False) -> None:
        """End every stream; the application takes everything, unless it ``forgets`` it."""
        for stream_id in sorted(self.sending):
            self.say(wire.rst_stream(stream_id, 8))
        self.sending.clear()
        for stream_id in sorted(self.open):
            self.send(StreamReset(stream_id, 8))
            self.reset.add(stream_id)
        self.open.clear()
        if forgets:
            self.waiting = [(id_, credit) for id_, credit in self.waiting if id_ not in self.reset]
        while self.waiting:
            self.acknowledge(0)
        assert self.connection.open_streams == 0

    def fill(self) -> None:
        """Use up the whole window in one upload, and take it at once.

        Then all that is not announced yet is announced.
        """
        stream_id = self.next_id
        self.begin()
        if not self.is_server:
            self.say(wire.headers(stream_id, wire.response_block(200)))
        while self.window:
            size = min(PIECE, self.window)
            self.window -= size
            self.say(wire.data(stream_id, bytes(size)))
        credit = sum(credit for _, credit in self.waiting)
        self.waiting.clear()
        self.connection.acknowledge(stream_id, credit, 0.0)
        self.hear()


which = st.integers(0, 4)
actions = st.one_of(
    st.just(("begin",)),
    st.tuples(
        st.just("data"),
        which,
        st.sampled_from([0, 1, 1000, PIECE, PIECE]),
        st.none() | st.integers(0, 255),
        st.booleans(),
        st.booleans(),
    ),
    st.tuples(st.just("answer"), which, st.booleans()),
    st.tuples(st.sampled_from(["spoil", "peer_resets", "give_up", "acknowledge"]), which),
)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("role", Role)
@given(st.lists(st.one_of(st.just(("begin",)), actions), max_size=40), st.booleans())
def test_the_window_is_full_when_nothing_is_open(
    role: Role, engine: str, plan: list[tuple[object, ...]], forgets: bool
) -> None:
    uploads = Uploads(role, engine)
    for name, *args in plan:
        getattr(uploads, str(name))(*args)
    uploads.finish(forgets)
    assert uploads.window * 2 > WINDOW
    uploads.fill()
    assert uploads.window == WINDOW


@pytest.mark.parametrize("engine", ENGINES)
def test_uploads_that_are_reset_leave_the_next_one_its_window(engine: str) -> None:
    uploads = Uploads(Role.SERVER, engine)
    for _ in range(16):
        stream_id = uploads.next_id
        uploads.next_id += 2
        size = min(4 * PIECE, uploads.window)
        uploads.window -= size
        body = bytearray()
        while size:
            piece = min(PIECE, size)
            body += wire.data(stream_id, bytes(piece))
            size -= piece
        uploads.say(
            wire.headers(stream_id, wire.request_block("POST"))
            + bytes(body)
            + wire.rst_stream(stream_id, 8)
        )
        assert uploads.window > 0
    for stream_id, credit in uploads.waiting:  # by an application that hears late
        uploads.connection.acknowledge(stream_id, credit, 0.0)
    uploads.waiting.clear()
    uploads.hear()
    uploads.fill()
    assert uploads.window == WINDOW


@pytest.mark.parametrize("engine", ENGINES)
def test_tunnel_bytes_that_nobody_accepts_are_given_back(engine: str) -> None:
    uploads = Uploads(Role.SERVER, engine)
    block = wire.header_block([(":method", "CONNECT"), (":authority", "a:1")])
    for end in ("peer", "application", "declined"):
        stream_id = uploads.next_id
        uploads.next_id += 2
        uploads.window -= PIECE
        uploads.say(wire.headers(stream_id, block) + wire.data(stream_id, bytes(PIECE)))
        if end == "peer":
            uploads.say(wire.rst_stream(stream_id, 8))
        elif end == "application":
            uploads.send(StreamReset(stream_id, 8))
        else:
            uploads.send(Response(stream_id, 404), EndOfMessage(stream_id))
            uploads.say(wire.data(stream_id, b"", end_stream=True))
        uploads.open.clear()
    uploads.finish()
    uploads.fill()
    assert uploads.window == WINDOW


@pytest.mark.parametrize("engine", ENGINES)
def test_more_than_was_received_cannot_be_acknowledged(engine: str) -> None:
    uploads = Uploads(Role.SERVER, engine)
    uploads.begin()
    uploads.data(0, 100, None, False, False)
    for credit in (-1, 101):
        with pytest.raises(LocalProtocolError):
            uploads.connection.acknowledge(1, credit, 0.0)
    uploads.connection.acknowledge(1, 100, 0.0)
    uploads.connection.acknowledge(99, 7, 0.0)  # never was: nothing to give back
    uploads.waiting.clear()
    uploads.finish()
    uploads.fill()
    assert uploads.window == WINDOW
