"""What leaves the engine: fields, lengths, ends, and commands that are refused."""

from __future__ import annotations

import pytest

from plait_engine import (
    Data,
    EndOfMessage,
    InformationalResponse,
    LocalProtocolError,
    Request,
    Response,
    Role,
    StreamReset,
    Writable,
)
from plait_engine.errors import FieldTypeError
from plait_engine.http2.outgoing import HeadWriter
from plait_engine.testing import frames as wire
from plait_engine.testing.frames import Flag, Frame, FrameType
from tests.engine.http2.peers import GET, Peer, make_config, of_type

HEAD = wire.request_block("HEAD")


def sent(peer: Peer) -> tuple[list[list[tuple[str, str]]], bytes, int]:
    """Return the field sections, the content, and how many frames ended the stream."""
    frames = peer.hear()
    sections = [peer.fields(frame) for frame in of_type(frames, FrameType.HEADERS)]
    content = b"".join(frame.payload for frame in of_type(frames, FrameType.DATA))
    ends = [f for f in frames if f.type in (0, 1) and f.flags & Flag.END_STREAM]
    assert not ends or frames[-1] is ends[-1]
    return sections, content, len(ends)


@pytest.fixture(params=["together", "apart"])
def say(request: pytest.FixtureRequest):
    """Send events in one command, or in one each."""

    def together(peer: Peer, *events) -> None:
        peer.endpoint.send(*events)

    def apart(peer: Peer, *events) -> None:
        for event in events:
            peer.endpoint.send(event)

    return together if request.param == "together" else apart


# -- content and its length -----------------------------------------------------------------


@pytest.mark.parametrize("body", [b"", b"x", b"x" * 20_000, b"x" * 60_000])
@pytest.mark.parametrize("fields", [(), (("content-type", "text/plain"),)])
def test_a_complete_response_says_its_length(server: Peer, body: bytes, fields) -> None:
    server.say(wire.headers(1, GET, end_stream=True))
    data = [Data(1, body)] if body else []
    server.endpoint.send(Response(1, 200, fields), *data, EndOfMessage(1))
    expected = [(":status", "200"), *fields, ("content-length", str(len(body)))]
    assert sent(server) == ([expected], body, 1)


def test_a_length_that_the_application_says_is_not_said_again(server: Peer, say) -> None:
    server.say(wire.headers(1, GET, end_stream=True))
    say(server, Response(1, 200, [("Content-Length", "3")]), Data(1, b"abc"), EndOfMessage(1))
    assert sent(server) == ([[(":status", "200"), ("content-length", "3")]], b"abc", 1)


def test_fields_may_be_lists(server: Peer, client: Peer) -> None:
    fields = [["X-A", "b"]]
    server.say(wire.headers(1, GET, end_stream=True))
    server.endpoint.send(Response(1, 204, fields), EndOfMessage(1))
    assert sent(server)[0] == [[(":status", "204"), ("x-a", "b")]]
    client.endpoint.send(Request(1, "GET", "http", "a", "/", fields), EndOfMessage(1))
    assert sent(client)[0][0][-1] == ("x-a", "b")


@pytest.mark.parametrize("fields", [[("a", ["b"])], [(["a"], "b")], [["a"]], [None], 1])
def test_fields_that_are_no_pairs_of_text(server: Peer, client: Peer, fields) -> None:
    server.say(wire.headers(1, GET, end_stream=True))
    with pytest.raises(FieldTypeError):
        server.endpoint.send(Response(1, 204, fields), EndOfMessage(1))
    with pytest.raises(FieldTypeError):
        client.endpoint.send(Request(1, "GET", "http", "a", "/", fields), EndOfMessage(1))
    assert server.hear() == client.hear() == []


def test_a_flood_of_heads_takes_bounded_memory() -> None:
    writer = HeadWriter()
    for number in range(200):
        fields = [("x", str(number))]
        request, _ = writer.request(Request(1, "GET", "http", "a", "/", fields))
        response, _ = writer.response(200, fields)
        assert [request[-1], *response] == [*fields, (":status", "200"), *fields]
        assert 0 < len(writer._requests) <= 64
        assert 0 < len(writer._responses) <= 64


def test_a_response_in_parts_says_no_length(server: Peer) -> None:
    server.say(wire.headers(1, GET, end_stream=True))
    server.endpoint.send(Response(1, 200))
    server.endpoint.send(Data(1, b"a"), Data(1, b"b"))
    server.endpoint.send(EndOfMessage(1))
    assert sent(server) == ([[(":status", "200")]], b"ab", 1)


@pytest.mark.parametrize(
    ("block", "status", "fields", "body", "expected"),
    [
        (HEAD, 200, [], b"dropped", [("content-length", "7")]),
        (HEAD, 200, [], b"", []),
        (HEAD, 200, [("content-length", "99")], b"", [("content-length", "99")]),
        (HEAD, 200, [("content-length", "99")], b"short", [("content-length", "99")]),
        (GET, 304, [("content-length", "99")], b"", [("content-length", "99")]),
        (GET, 304, [], b"", []),
        (GET, 304, [("etag", "x")], b"dropped", [("etag", "x"), ("content-length", "7")]),
        (GET, 204, [("content-length", "0")], b"", []),
        (GET, 204, [], b"dropped", []),
    ],
)
def test_responses_without_content(
    server: Peer, block: bytes, status: int, fields: list, body: bytes, expected: list
) -> None:
    server.say(wire.headers(1, block, end_stream=True))
    data = [Data(1, body)] if body else []
    server.endpoint.send(Response(1, status, fields), *data, EndOfMessage(1))
    assert sent(server) == ([[(":status", str(status)), *expected]], b"", 1)
    assert server.connection.open_streams == 0


@pytest.mark.parametrize(
    ("method", "body", "expected"),
    [
        ("GET", b"", None),
        ("DELETE", b"", None),
        ("POST", b"", "0"),
        ("PUT", b"", "0"),
        ("POST", b"abc", "3"),
        ("GET", b"abc", "3"),
    ],
)
def test_a_complete_request(client: Peer, method: str, body: bytes, expected: str | None) -> None:
    head = Request(1, method, "http", "example.org", "/", ())
    data = [Data(1, body)] if body else []
    client.endpoint.send(head, *data, EndOfMessage(1))
    (fields,), content, ends = sent(client)
    assert dict(fields).get("content-length") == expected
    assert (content, ends) == (body, 1)


def test_an_empty_piece_is_nothing(server: Peer, say) -> None:
    server.say(wire.headers(1, GET, end_stream=True))
    say(server, Response(1, 200), Data(1, b""), Data(1, b"x"), Data(1, b""), EndOfMessage(1))
    assert sent(server)[1:] == (b"x", 1)


def test_many_small_pieces_share_a_frame(server: Peer) -> None:
    server.say(wire.headers(1, GET, end_stream=True))
    server.endpoint.send(Response(1, 200), *(Data(1, b"x") for _ in range(500)), EndOfMessage(1))
    assert len(of_type(server.hear(), FrameType.DATA)) == 1


# -- heads and trailers -----------------------------------------------------------------------


def test_interim_responses_and_trailers(server: Peer, say) -> None:
    server.say(wire.headers(1, GET, end_stream=True))
    say(
        server,
        InformationalResponse(1, 103, [("Link", "</a>")]),
        InformationalResponse(1, 103, [("Content-Length", "5"), ("Link", "</b>")]),
        Response(1, 200),
        Data(1, b"body"),
        EndOfMessage(1, [("X-Checksum", "1")]),
    )
    sections, content, ends = sent(server)
    assert [section[0] for section in sections] == [
        (":status", "103"),
        (":status", "103"),
        (":status", "200"),
        ("x-checksum", "1"),
    ]
    assert sections[1] == [(":status", "103"), ("link", "</b>")]
    assert (content, ends) == (b"body", 1)


def test_trailers_without_content(server: Peer, say) -> None:
    server.say(wire.headers(1, GET, end_stream=True))
    say(server, Response(1, 200), EndOfMessage(1, [("x", "y")]))
    sections, content, ends = sent(server)
    assert sections == [[(":status", "200")], [("x", "y")]]
    assert (content, ends) == (b"", 1)


def test_trailers_wait_for_the_content(chop) -> None:
    peer = Peer(Role.SERVER, chop=chop, settings=[(4, 2)])
    peer.say(wire.headers(1, GET, end_stream=True))
    peer.endpoint.send(Response(1, 200), Data(1, b"abcd"), EndOfMessage(1, [("x", "y")]))
    assert len(sent(peer)[0]) == 1
    # Heads that are sent meanwhile may use the table: the trailers are encoded when they go.
    peer.say(wire.headers(3, GET, end_stream=True))
    peer.endpoint.send(Response(3, 200, [("x", "y"), ("x-new", "1")]), EndOfMessage(3))
    assert sent(peer)[0][0][1:3] == [("x", "y"), ("x-new", "1")]
    peer.say(wire.window_update(1, 2))
    assert sent(peer) == ([[("x", "y")]], b"cd", 1)


def test_a_head_larger_than_a_frame(server: Peer, client: Peer) -> None:
    big = [(f"x-{i}", "~" * 3000) for i in range(20)]
    server.say(wire.headers(1, GET, end_stream=True))
    server.endpoint.send(Response(1, 200, big), Data(1, b"x"), EndOfMessage(1))
    frames = server.hear()
    assert [f.type for f in frames[:2]] == [FrameType.HEADERS, FrameType.CONTINUATION]
    assert all(len(frame.payload) <= 16384 for frame in frames)
    client.request()
    client.say(*(frame.encode() for frame in frames))
    assert client.endpoint.recorder.of_type(Response)[0].headers[:20] == big


def test_the_peers_frame_size_is_used(chop) -> None:
    peer = Peer(Role.SERVER, chop=chop, settings=[(5, 30_000)])
    peer.say(wire.headers(1, GET, end_stream=True))
    peer.endpoint.send(Response(1, 200), Data(1, bytes(60_000)), EndOfMessage(1))
    sizes = [len(frame.payload) for frame in of_type(peer.hear(), FrameType.DATA)]
    assert sizes == [30_000, 30_000]


# -- what is refused: nothing is sent, and the table stays in sync -------------------------------


@pytest.mark.parametrize(
    "request_",
    [
        Request(1, "GET", "http", "example.org", "http://example.org/", ()),
        Request(1, "GET", "http", "example.org", "*", ()),
        Request(1, "GET", "", "example.org", "/", ()),
        Request(1, "GET", "no scheme", "example.org", "/", ()),
        Request(1, "GET", "http", "", "/", ()),
        Request(1, "GET", "http", "user@example.org", "/", ()),
        Request(1, "GET", "http", "example.org:99999", "/", ()),
        Request(1, "GET", "http", "a", "/", [("host", "a"), ("host", "a")]),
        Request(1, "GET", "http", "a", "/", [("content-length", "x")]),
        Request(1, "GET", "http", "a", "/", [("content-length", "1"), ("content-length", "1")]),
        Request(1, "GET", "http", "a", "/", [("x-\u212a", "kelvin")]),
        Request(1, "GET", "http", "a", "/", [("x", "lone \ud800")]),
        Request(1, "GET", "http", "a", "/", [(":path", "/evil")]),
        Request(1, "CONNECT", "http", "example.org", "example.org", ()),
        Request(1, "GET", "http", "example.org", "/", (), "websocket"),
        Request(1, "CONNECT", "http", "example.org", "/", (), "two words"),
        Request(2, "GET", "http", "example.org", "/", ()),
        Request(3, "GET", "http", "example.org", "/", ()),
    ],
    ids=ascii,
)
def test_requests_that_cannot_be_sent(chop, request_: Request) -> None:
    peer = Peer(Role.CLIENT, chop=chop, settings=[(8, 1)])
    with pytest.raises(LocalProtocolError):
        peer.endpoint.send(request_, EndOfMessage(request_.stream_id))
    assert peer.hear() == []
    assert peer.connection.open_streams == 0
    for _ in range(2):
        peer.request()
    assert len(sent(peer)[0]) == 2


@pytest.mark.parametrize(
    "events",
    [
        [InformationalResponse(1, 200)],
        [InformationalResponse(1, 101)],
        [Response(1, 101)],
        [Response(1, 103)],
        [Response(1, 1000)],
        [Response(1, 1000), Data(1, b"abc"), EndOfMessage(1)],
        [Response(1, 200), Response(1, 200)],
        [Response(1, 200), InformationalResponse(1, 103)],
        [Response(1, 200), EndOfMessage(1), Data(1, b"x")],
        [Response(1, 200, [("content-length", "2")]), Data(1, b"abc"), EndOfMessage(1)],
        [Response(1, 200, [("content-length", "4")]), Data(1, b"abc"), EndOfMessage(1)],
        [Response(1, 200, [("content-length", "4")]), EndOfMessage(1)],
        [Response(1, 200), Data(3, b"abc"), EndOfMessage(1)],
        [Response(1, 200), Data(1, b"abc"), EndOfMessage(3)],
        [Response(3, 200)],
        [Data(1, b"x")],
        [EndOfMessage(1)],
        [Request(1, "GET", "http", "a", "/", ())],
        [Response(1, 200), StreamReset(1), EndOfMessage(1)],
    ],
    ids=str,
)
def test_answers_that_cannot_be_sent(server: Peer, events: list) -> None:
    server.say(wire.headers(1, GET, end_stream=True))
    with pytest.raises(LocalProtocolError):
        server.endpoint.send(*events)
    assert server.hear() == []
    server.endpoint.send(Response(1, 200), Data(1, b"abc"), EndOfMessage(1))
    assert sent(server)[1:] == (b"abc", 1)


def test_a_reset_of_an_idle_stream_is_refused(client: Peer) -> None:
    with pytest.raises(LocalProtocolError):
        client.endpoint.send(StreamReset(1))


def test_a_reset_behind_other_events_of_one_command(server: Peer) -> None:
    server.say(wire.headers(1, GET, end_stream=True))
    server.endpoint.send(Response(1, 200), Data(1, b"part"), StreamReset(1, 2))
    frames = server.hear()
    assert [frame.type for frame in frames] == [FrameType.HEADERS, FrameType.RST_STREAM]
    assert Frame(FrameType.RST_STREAM, 0, 1, b"\x00\x00\x00\x02") in frames


def test_a_priority_field_of_a_request_orders_its_own_content(client: Peer) -> None:
    """RFC 9218: the client's own scheduler obeys what it asks the server for."""
    client.say(wire.settings({4: 2**31 - 1}))
    for stream, priority in [(1, "u=5"), (3, "u=1")]:
        head = Request(stream, "POST", "http", "a", "/", [("priority", priority)])
        client.endpoint.can_write = stream == 3
        client.endpoint.send(head, Data(stream, bytes(20_000)), EndOfMessage(stream))
    order = [frame.stream_id for frame in of_type(client.hear(), FrameType.DATA)]
    assert order == [3, 3, 1, 1]


def test_no_event_is_no_command(server: Peer) -> None:
    server.endpoint.send()
    assert server.hear() == []


def test_who_waits_is_told_even_if_another_writes_meanwhile() -> None:
    limits = {"write_high_water": 1000, "write_low_water": 200}
    peer = Peer(Role.SERVER, config=make_config(**limits), settings=[(4, 0)])
    peer.say(wire.headers(1, GET, end_stream=True))
    peer.endpoint.send(Response(1, 200), Data(1, b"x" * 1000))
    assert peer.connection.send_capacity(1) == 0
    peer.say(wire.window_update(1, 500))
    peer.endpoint.send(Data(1, b"x"))
    peer.events()
    peer.say(wire.window_update(1, 500))
    assert peer.events() == [Writable(1)]


@pytest.mark.parametrize("status", [204, 304])
def test_an_early_answer_without_content_does_not_cut_the_request(
    client: Peer, status: int
) -> None:
    client.request(method="POST", end_stream=False)
    client.hear()
    client.say(wire.headers(1, wire.response_block(status), end_stream=True))
    client.endpoint.send(Data(1, b"all of it"), EndOfMessage(1))
    assert sent(client)[1:] == (b"all of it", 1)


def test_data_that_is_not_wanted_does_not_cut_the_answer(chop) -> None:
    peer = Peer(Role.SERVER, chop=chop, settings=[(4, 2)])
    peer.say(wire.headers(1, wire.request_block("POST")))
    peer.endpoint.send(Response(1, 413), Data(1, b"abcd"), EndOfMessage(1), StreamReset(1, 0))
    for _ in range(10):
        peer.say(wire.data(1, bytes(16000)))
    peer.wait(20)
    heard = peer.hear()
    assert of_type(heard, FrameType.RST_STREAM) == []
    peer.say(wire.window_update(1, 2))
    heard = peer.hear()
    assert [frame.type for frame in heard] == [FrameType.DATA, FrameType.RST_STREAM]
    assert heard[0].flags & Flag.END_STREAM
