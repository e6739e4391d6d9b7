"""What holds for every input: nothing raises, nothing leaks, messages arrive as they were."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from plait_engine import (
    Config,
    ConnectionClosed,
    Data,
    EndOfMessage,
    Event,
    InformationalResponse,
    Limits,
    LocalProtocolError,
    Request,
    Response,
    Role,
    StreamReset,
)
from plait_engine.http2 import HTTP2Connection
from plait_engine.testing import Endpoint, Fragmenter, Pair, counting_random
from plait_engine.testing import frames as wire
from plait_engine.testing import strategies as our
from plait_engine.testing.frames import Frame
from tests.engine.http2.peers import GET, OK, POST, Peer, make_config

STREAMS = st.sampled_from([0, 1, 2, 3, 5, 7, 2**31 - 1])
BLOCKS = st.one_of(
    st.sampled_from([GET, POST, OK, b"", b"\x80", b"\xbe", b"\x20"]), st.binary(max_size=30)
)


@st.composite
def any_frames(draw: st.DrawFn) -> bytes:
    """Frames of any type with payloads that often make sense."""
    kind = draw(st.integers(0, 0x11))
    payload = draw(
        st.one_of(
            BLOCKS,
            st.sampled_from([bytes(4), bytes(5), bytes(6), bytes(8), b"\x00\x00\x00\x01"]),
            st.binary(max_size=20),
        )
    )
    return Frame(kind, draw(st.integers(0, 0x2F)), draw(STREAMS), payload).encode()


def likely_frames() -> st.SearchStrategy[bytes]:
    """Frames that keep a connection going more often than not."""
    stream = st.sampled_from([1, 3, 5, 7])
    flag = st.booleans()
    return st.one_of(
        st.builds(lambda s, b, e: wire.headers(s, b, end_stream=e), stream, BLOCKS, flag),
        st.builds(
            lambda s, d, e: wire.data(s, d, end_stream=e), stream, st.binary(max_size=9), flag
        ),
        st.builds(wire.window_update, STREAMS, st.sampled_from([0, 1, 100, 2**31 - 1])),
        st.builds(wire.rst_stream, stream, st.integers(0, 15)),
        st.builds(lambda k, v: wire.settings({k: v}), st.integers(0, 10), st.integers(0, 70000)),
        st.builds(wire.priority_update, STREAMS, st.sampled_from([b"u=1", b"i", b"\xff"])),
        st.builds(wire.goaway, STREAMS, st.integers(0, 20)),
        st.just(wire.ping()),
    )


def act(endpoint: Endpoint, choice: int) -> None:
    """Do what an application might do now; what is not allowed raises and changes nothing."""
    stream = 1 + 2 * (choice % 4)
    try:
        if choice % 5 == 0:
            endpoint.send(Response(stream, 200), Data(stream, b"answer"), EndOfMessage(stream))
        elif choice % 5 == 1:
            endpoint.send(StreamReset(stream, choice % 14))
        elif choice % 5 == 2:
            endpoint.send(Data(stream, b"more"))
        elif choice % 5 == 3:
            stream = endpoint.connection.next_stream_id()
            endpoint.send(Request(stream, "GET", "http", "a", "/", ()), EndOfMessage(stream))
        else:
            endpoint.clock.now += choice
            endpoint.handle_timeout()
    except LocalProtocolError:
        pass


@settings(max_examples=300, deadline=None)
@given(
    role=st.sampled_from(list(Role)),
    steps=st.lists(st.one_of(any_frames(), likely_frames(), st.integers(0, 60)), max_size=25),
    chop=our.fragmenters(),
    garbage=st.binary(max_size=30),
)
def test_no_input_raises_and_nothing_leaks(
    role: Role, steps: list[bytes | int], chop: Fragmenter, garbage: bytes
) -> None:
    peer = Peer(role, chop=chop)
    for step in steps:
        if isinstance(step, int):
            act(peer.endpoint, step)
        else:
            peer.say(step)
    peer.say(garbage)
    connection = peer.connection
    wire.split_frames(bytes(peer.endpoint.sent))  # only whole frames go out
    was_closed = peer.endpoint.is_closed
    peer.endpoint.lose(None)
    assert peer.endpoint.is_closed
    assert connection.open_streams == 0
    assert connection.next_timeout() is None
    assert not connection._outflow.scheduler.ready
    # ``Endpoint`` acknowledges all Data, so the whole window is back.
    window = connection._inflow.window
    if not was_closed:
        assert window.unacknowledged == 0
        assert window.available + window.released == window.size


@settings(max_examples=100, deadline=None)
@given(role=st.sampled_from(list(Role)), data=st.binary(max_size=200), chop=our.fragmenters())
def test_no_bytes_raise(role: Role, data: bytes, chop: Fragmenter) -> None:
    connection = HTTP2Connection(role, make_config())
    endpoint = Endpoint(connection, fragment=chop)
    endpoint.start()
    endpoint.receive((wire.PREFACE if role is Role.SERVER else b"") + data)
    endpoint.receive_eof()
    endpoint.lose()
    assert endpoint.is_closed


# -- whole exchanges -----------------------------------------------------------------------


@dataclass
class Message:
    """What one side says in an exchange."""

    headers: list[tuple[str, str]]
    pieces: list[bytes]
    trailers: list[tuple[str, str]]
    together: bool

    def send(self, endpoint: Endpoint, head: Request | Response) -> None:
        stream = head.stream_id
        body = [Data(stream, piece) for piece in self.pieces]
        events = [head, *body, EndOfMessage(stream, self.trailers)]
        if self.together:
            endpoint.send(*events)
        else:
            for event in events:
                endpoint.send(event)


def plain_fields() -> st.SearchStrategy[list[tuple[str, str]]]:
    names = st.from_regex(r"x-[a-z0-9]{1,8}", fullmatch=True)
    values = st.from_regex(r"([!-~\u00e9]([ -~]{0,20}[!-~])?)?", fullmatch=True)
    return st.lists(st.tuples(names, values), max_size=4)


def messages() -> st.SearchStrategy[Message]:
    piece = st.one_of(
        st.binary(max_size=20), st.integers(0, 40_000).map(lambda n: b"0123456789" * (n // 10))
    )
    return st.builds(
        Message, plain_fields(), st.lists(piece, max_size=4), plain_fields(), st.booleans()
    )


def received(events: list[Event], stream: int) -> tuple[object, ...]:
    """Return fields, content and trailers of the message that came on ``stream``."""
    mine = [event for event in events if getattr(event, "stream_id", None) == stream]
    head = next(event for event in mine if isinstance(event, Request | Response))
    end = mine[-1]
    assert isinstance(end, EndOfMessage)
    body = b"".join(event.data for event in mine if isinstance(event, Data))
    fields = [field for field in head.headers if field[0] != "content-length"]
    return fields, body, list(end.trailers)


def expected(message: Message) -> tuple[object, ...]:
    return message.headers, b"".join(message.pieces), message.trailers


@settings(max_examples=60, deadline=None)
@given(
    exchanges=st.lists(
        st.tuples(messages(), messages(), st.integers(0, 2)), min_size=1, max_size=5
    ),
    chop=our.fragmenters(),
    window=st.sampled_from([1000, 65535, 262144]),
    quantum=st.sampled_from([500, 65536]),
)
def test_messages_arrive_as_they_were(
    exchanges: list[tuple[Message, Message, int]], chop: Fragmenter, window: int, quantum: int
) -> None:
    limits = Limits(stream_window=window, connection_window=window, write_quantum=quantum)
    config = Config(random=counting_random, limits=limits)
    pair = Pair("h2", client_config=config, server_config=config, fragment=chop)
    pair.run()
    for request, _, _ in exchanges:
        stream = pair.client.connection.next_stream_id()
        head = Request(stream, "POST", "http", "example.org", "/p", request.headers)
        request.send(pair.client, head)
    pair.run()
    for index, (_, response, interim) in enumerate(exchanges):
        stream = 1 + 2 * index
        for _ in range(interim):
            pair.server.send(InformationalResponse(stream, 103, [("link", "</a>")]))
        response.send(pair.server, Response(stream, 200, response.headers))
    pair.run()
    for index, (request, response, interim) in enumerate(exchanges):
        stream = 1 + 2 * index
        assert received(pair.server.events, stream) == expected(request)
        assert received(pair.client.events, stream) == expected(response)
        infos = pair.client.recorder.of_type(InformationalResponse)
        assert len([event for event in infos if event.stream_id == stream]) == interim
    for endpoint in (pair.client, pair.server):
        connection = endpoint.connection
        assert isinstance(connection, HTTP2Connection)
        assert connection.open_streams == 0
        assert connection.data_to_send() == b""
        assert not connection._outflow.scheduler.ready
        own = connection._inflow.window
        assert (own.unacknowledged, own.available + own.released) == (0, own.size)
        # What one side may send is what the other has handed out.
        other = pair.server if endpoint is pair.client else pair.client
        peer = other.connection
        assert isinstance(peer, HTTP2Connection)
        assert connection._outflow.window == peer._inflow.window.available
    pair.client.close()
    pair.run()
    for endpoint in (pair.client, pair.server):
        assert isinstance(endpoint.events[-1], ConnectionClosed)
