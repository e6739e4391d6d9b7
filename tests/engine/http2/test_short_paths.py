"""Each short path beside the general one: the same input, the same bytes, events and state.

That long DATA is joined without a difference is held by ``test_frames``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from plait_engine import (
    Config,
    Data,
    EndOfMessage,
    LocalProtocolError,
    RemoteProtocolError,
    Request,
    Response,
    Role,
    StreamReset,
    Writable,
)
from plait_engine.events import Sendable
from plait_engine.http2 import messages, sending
from plait_engine.http2.flow import ReceiveWindow
from plait_engine.http2.validity import HeadReader, RequestHead
from plait_engine.testing import frames as wire
from tests.engine.http2.peers import Peer, make_config

FIELDS = st.lists(
    st.tuples(
        st.sampled_from(["x-a", "X-A", "content-type", "server", "date"]),
        st.sampled_from(["", "a", " b ", "gr\u00fc\u00dfe", "a" * 300, "text/plain"]),
    )
    | st.sampled_from(
        [
            ("content-length", "0"),
            ("content-length", "5"),
            ("content-length", "x"),
            ("transfer-encoding", "chunked"),
            ("te", "trailers"),
            ("expect", "100-continue"),
            ("priority", "u=1, i"),
            ("set-cookie", "a=b"),
            ("bad name", "a"),
            ("x-a", "a\nb"),
        ]
    ),
    max_size=4,
)


@contextmanager
def without(name: str) -> Iterator[None]:
    """Take the general path in the place of the short one."""
    with pytest.MonkeyPatch.context() as patch:
        module = messages if hasattr(messages, name) else sending
        patch.setattr(module, name, lambda *args: None)
        yield


def state(peer: Peer) -> tuple[object, ...]:
    """Return what a peer sees, and what later decisions depend on."""
    connection = peer.connection
    return (
        repr(peer.events()),
        bytes(peer.endpoint.take_sent()),
        connection.state,
        connection._streams.highest,
        connection._outflow.window,
        {
            key: (s.state, s.receiving, s.sending, s.method)
            for key, s in connection._streams.items()
        },
        [connection.send_capacity(stream_id) for stream_id in range(1, 20, 2)],
        [getattr(connection._inflow.window, name) for name in ReceiveWindow.__slots__],
        connection._inflow._unread,
        connection._budgets._glitches._tokens,
    )


def attempt(peer: Peer, *events: Sendable) -> str:
    """Send, and return how that was refused."""
    try:
        peer.endpoint.send(*events)
    except LocalProtocolError as error:
        return error.message
    return ""


responses = st.tuples(
    st.sampled_from([200, 200, 200, 103, 204, 205, 304, 404]),
    FIELDS,
    st.sampled_from([b"", b"hello", b"x" * 16384, b"x" * 16385, b"y" * 40000]),
    st.sampled_from([(), (), (), (("x-t", "v"),)]),
)


@given(
    st.lists(st.tuples(st.sampled_from(["GET", "HEAD", "POST"]), responses), max_size=6),
    st.sampled_from([0, 10, 65535, 10**6]),
    st.booleans(),
)
def test_a_whole_response_is_sent_as_any_other(
    plan: list[tuple[str, tuple[int, list[tuple[str, str]], bytes, tuple[tuple[str, str], ...]]]],
    window: int,
    can_write: bool,
) -> None:
    seen = []
    for path in ("returned", "short", "general"):
        peer = Peer(Role.SERVER, settings=[(4, window)])
        told: list[object] = []
        for number, (method, (status, headers, body, trailers)) in enumerate(plan):
            stream_id = 2 * number + 1
            block = wire.request_block(method)
            peer.say(wire.headers(stream_id, block, end_stream=method != "POST"))
            peer.endpoint.can_write = can_write or number % 2 == 0
            # Nothing may wait from before: the general path would put the next head in front of it.
            peer.endpoint.drain()
            events = (
                Response(stream_id, status, headers),
                Data(stream_id, body),
                EndOfMessage(stream_id, trailers),
            )
            if path == "general":
                with without("send_whole"):
                    told.append(attempt(peer, *events))
            elif path == "short" or trailers:
                told.append(attempt(peer, *events))
            else:
                told.append(respond(peer, stream_id, status, headers, body))
        peer.endpoint.can_write = True
        peer.endpoint.drain()
        peer.say(wire.window_update(0, 10**6))
        seen.append((told, state(peer)))
    assert seen[0] == seen[1] == seen[2]


def respond(
    peer: Peer, stream_id: int, status: int, headers: list[tuple[str, str]], body: bytes
) -> str:
    """Send a whole response as the driver does, and return how that was refused."""
    try:
        sent = peer.connection.send_response(stream_id, status, headers, body, peer.now)
    except LocalProtocolError as error:
        return error.message
    if sent is None:
        events = Response(stream_id, status, headers), Data(stream_id, body)
        return attempt(peer, *events, EndOfMessage(stream_id))
    assert sent == b""
    peer.endpoint.drain()
    return ""


@pytest.mark.parametrize(
    ("size", "is_taken"), [(0, False), (1, True), (16384, True), (16385, False)]
)
def test_the_short_path_of_a_response_is_taken(size: int, is_taken: bool) -> None:
    peer = Peer(Role.SERVER)
    peer.say(wire.headers(1, wire.request_block(), end_stream=True))
    sent = peer.connection.send_response(1, 200, (), bytes(size), peer.now)
    assert sent == (b"" if is_taken else None)


writes = st.tuples(
    st.sampled_from([1, 1, 3]),
    st.sampled_from([0, 3, 16384, 16385, 65536, 65537]).map(bytes),
    st.booleans(),
)


@given(
    st.sampled_from(["GET", "GET", "HEAD"]),
    st.sampled_from([(), (), (("content-length", "16387"),)]),
    st.lists(writes, max_size=6),
    st.sampled_from([0, 10, 65535, 10**6]),
    st.sampled_from([[], [(5, 20000)]]),
)
@example("GET", (), [(1, bytes(65536), True), (1, bytes(3), True)], 10**6, [])
def test_content_that_is_returned_is_the_content_that_is_sent(
    method: str,
    headers: tuple[tuple[str, str], ...],
    plan: list[tuple[int, bytes, bool]],
    window: int,
    settings: list[tuple[int, int]],
) -> None:
    seen = []
    for path in ("short", "general"):
        peer = Peer(Role.SERVER, settings=[(4, window), *settings])
        peer.say(wire.window_update(0, 200_000))
        for stream_id in (1, 3):
            peer.say(wire.headers(stream_id, wire.request_block(method), end_stream=True))
            peer.endpoint.send(Response(stream_id, 200, headers))
        told: list[object] = [state(peer)]
        for stream_id, data, can_write in plan:
            peer.endpoint.can_write = can_write
            if can_write:
                peer.endpoint.drain()
            sent = None
            if path == "short" and can_write:  # The driver asks only then.
                sent = peer.connection.send_data(stream_id, data, peer.now)
            if sent is None:
                told.append(attempt(peer, Data(stream_id, data)))
            else:
                peer.endpoint.transport.write(sent)
                told.append("")
            told.append(queues(peer))
        peer.endpoint.can_write = True
        peer.endpoint.drain()
        peer.say(wire.window_update(0, 10**6), wire.window_update(1, 70000))
        told.append(attempt(peer, EndOfMessage(1)))
        told.append([event for event in peer.events() if type(event) is not Writable])
        seen.append((told, queues(peer), state(peer)))
    assert seen[0] == seen[1]


def queues(peer: Peer) -> list[object]:
    """Return what the send queues of the streams hold, and what they know of progress."""
    streams = peer.connection._streams.values()
    return [
        (s.to_send, out and (out.queued, out.window, out.progress, out.progress_at))
        for s in streams
        for out in [s.outbound]
        if out is None or out.queued or out.progress_at
    ]


@pytest.mark.parametrize(("size", "is_taken"), [(16384, True), (65536, True), (65537, False)])
def test_the_short_path_of_content_is_taken(size: int, is_taken: bool) -> None:
    peer = Peer(Role.SERVER, settings=[(4, 10**6)])
    peer.say(wire.window_update(0, 10**6), wire.headers(1, wire.request_block(), end_stream=True))
    peer.endpoint.send(Response(1, 200))
    assert (peer.connection.send_data(1, bytes(size), peer.now) is not None) is is_taken


@given(
    st.sampled_from([1, 3, 100]),
    st.lists(
        st.tuples(
            st.sampled_from(["GET", "GET", "HEAD", "DELETE", "OPTIONS", "POST", "CONNECT", "X"]),
            st.sampled_from(["/", "/", "/a?b", "/gr\u00fc\u00dfe", "*", "no-path"]),
            st.sampled_from(["example.org", "example.org", "a b"]),
            FIELDS,
            st.sampled_from([0, 0, 0, 2, 4]),
            st.sampled_from(["", "", "", "", "answer", "close", "silence"]),
        ),
        max_size=6,
    ),
)
def test_a_request_without_content_is_sent_as_any_other(
    max_streams: int,
    plan: list[tuple[str, str, str, list[tuple[str, str]], int, str]],
) -> None:
    seen = []
    for path in ("short", "general"):
        peer = Peer(Role.CLIENT, settings={3: max_streams})
        told: list[object] = []
        for method, target, authority, headers, skipped, then in plan:
            stream_id = peer.connection._streams.highest + 2 + skipped
            head = Request(stream_id, method, "http", authority, target, headers)
            if path == "short":
                told.append(attempt(peer, head, EndOfMessage(stream_id)))
            else:
                with without("send_bare"):
                    told.append(attempt(peer, head, EndOfMessage(stream_id)))
            if then == "answer" and stream_id in peer.connection._streams:
                peer.say(wire.headers(stream_id, wire.response_block(200), end_stream=True))
            elif then == "close":
                peer.endpoint.close()
            elif then == "silence":
                peer.endpoint.clock.now += 1000
            told.append((peer.connection.available_streams, peer.connection._had_streams))
        seen.append((told, state(peer)))
    assert seen[0] == seen[1]


def test_a_request_without_content_is_one_command_of_its_own() -> None:
    peer = Peer(Role.CLIENT)
    other = Peer(Role.CLIENT)
    for stream_id, method in ((1, "GET"), (3, "HEAD")):
        head = Request(stream_id, method, "http", "example.org", "/a", [("x-a", "b")])
        assert peer.connection.send_request(head, peer.now) == b""
        other.endpoint.send(head, EndOfMessage(stream_id))
    assert peer.connection.data_to_send() == bytes(other.endpoint.take_sent())
    assert peer.connection.send_request(Request(5, "POST", "http", "a", "/", ()), 0.0) is None


BLOCKS = [
    wire.request_block("GET"),
    wire.request_block("HEAD"),
    wire.request_block("GET", fields=[("expect", "100-continue"), ("cookie", "a=b")]),
    wire.request_block("GET", fields=[("content-length", "0")]),
    wire.request_block("GET", fields=[("content-length", "5")]),
    wire.request_block("GET", fields=[("priority", "u=1")]),
    wire.request_block("GET", "no-path"),
    wire.header_block([(":method", "CONNECT"), (":authority", "a:1")]),
    wire.request_block("GET", "/other"),
    wire.request_block("OPTIONS", "*"),
    wire.request_block("OPTIONS", "/"),
]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 8, 9, 10]),
            st.sampled_from([2, 2, 2, 2, 0, 4, 1]),
            st.sampled_from([True, True, True, False]),
            st.sampled_from(["", "", "", "", "answer", "close", "priority"]),
        ),
        max_size=10,
    )
)
def test_a_known_request_is_read_as_any_other(plan: list[tuple[int, int, bool, str]]) -> None:
    seen = []
    for path in ("short", "general"):
        peer = Peer(Role.SERVER)
        stream_id = -1
        for block, step, ends, then in plan:
            stream_id = max(1, stream_id + step)
            frame = wire.headers(stream_id, BLOCKS[block], end_stream=ends)
            if path == "short":
                peer.say(frame)
            else:
                with without("_on_known_request"):
                    peer.say(frame)
            if then == "answer":
                attempt(peer, Response(stream_id, 200), EndOfMessage(stream_id))
            elif then == "close":
                peer.endpoint.close()
            elif then == "priority":
                peer.say(wire.priority_update(stream_id + 2, b"u=0"))
        seen.append(state(peer))
    assert seen[0] == seen[1]


PSEUDO = [
    (":method", "GET"),
    (":method", "OPTIONS"),
    (":method", "CONNECT"),
    (":scheme", "http"),
    (":scheme", "HTTPS"),
    (":authority", "a"),
    (":authority", "a:1"),
    (":path", "/"),
    (":path", "/b?c"),
    (":path", "*"),
    (":path", "bad"),
    (":path", ""),
    (":protocol", "websocket"),
]
ORDERS = st.lists(st.sampled_from([*PSEUDO, ("x-a", "v"), ("host", "a"), ("cookie", "a=b")]))
USUAL = st.tuples(
    st.sampled_from(PSEUDO[:3]),
    st.sampled_from(PSEUDO[3:5]),
    st.sampled_from(PSEUDO[5:7]),
    st.sampled_from(PSEUDO[7:12]),
    st.sampled_from([("x-a", "v"), ("host", "a"), PSEUDO[-1]]),
).map(list)


@given(st.lists(USUAL | USUAL.flatmap(st.permutations) | ORDERS, max_size=8))
@example([[*PSEUDO[:1], *PSEUDO[3:4], *PSEUDO[5:6], path] for path in PSEUDO[7:12]])
@example([[(":path", "/"), *PSEUDO[:1], *PSEUDO[3:4], *PSEUDO[5:6]]] * 2)
@example([[PSEUDO[2], PSEUDO[6]], [PSEUDO[2], PSEUDO[6], PSEUDO[7]], [PSEUDO[2], PSEUDO[6]]])
def test_a_head_that_is_known_but_for_its_target_is_read_as_any_other(
    heads: list[list[tuple[str, str]]],
) -> None:
    def read(reader: HeadReader, fields: list[tuple[str, str]]) -> object:
        try:
            known = reader.known_request(fields, 100)
            _, head, target = known or reader.request(fields, 100)
        except RemoteProtocolError as error:
            return error.message
        return target, [(name, getattr(head, name)) for name in RequestHead.__slots__]

    config = Config(enable_connect_protocol=True)
    reader = HeadReader(config)
    # Copies: lists that are known by their identity are another matter.
    seen = [read(reader, list(fields)) for fields in heads]
    assert seen == [read(HeadReader(config), fields) for fields in heads]


@given(
    st.sampled_from([Role.CLIENT, Role.SERVER]),
    st.lists(
        st.tuples(
            st.sampled_from(["POST", "POST", "POST", "GET", "HEAD", "CONNECT"]),
            st.sampled_from(["", "", "0", "5", "6", "100"]),
            st.lists(st.sampled_from([0, 1, 5, 5, 5, 100, 9000, 16384]), min_size=1, max_size=2),
            st.sampled_from([None, None, None, 0, 3]),
            st.sampled_from(["", "", "", "acknowledge", "reset", "end"]),
            st.sampled_from(["head", "head", "head", "head of content that is expected", "none"]),
        ),
        max_size=8,
    ),
    st.sampled_from([10, 8192, 65535]),
    st.booleans(),
)
def test_whole_content_is_read_as_any_other(
    role: Role,
    plan: list[tuple[str, str, list[int], int | None, str, str]],
    window: int,
    is_crowded: bool,
) -> None:
    seen = []
    for path in ("short", "general"):
        peer = Peer(role, config=make_config(stream_window=window))
        if is_crowded:
            peer.connection._inflow.window.frames = 2000  # Small ones count as glitches then.
        for number, (method, length, sizes, padding, then, before) in enumerate(plan):
            stream_id = 2 * number + 1
            fields = [("content-length", length)] if length else []
            if role is Role.CLIENT:
                expects = [("expect", "100-continue")] if "expected" in before else []
                request = Request(stream_id, method, "http", "example.org:80", "/", expects)
                ends = (EndOfMessage(stream_id),) if method in ("GET", "HEAD") else ()
                attempt(peer, request, *ends)
                block = wire.response_block(200, fields)
            else:
                block = wire.request_block(method, fields=fields)
            if before != "none":
                peer.say(wire.headers(stream_id, block))
            for place, size in enumerate(sizes):
                ends = place == len(sizes) - 1
                frame = wire.data(stream_id, bytes(size), end_stream=ends, padding=padding)
                if path == "short":
                    peer.say(frame)
                else:
                    with without("_on_whole_content"):
                        peer.say(frame)
            if then == "acknowledge":
                with suppress(LocalProtocolError):
                    peer.connection.acknowledge(stream_id, 1, now=peer.now)
            elif then == "reset":
                attempt(peer, StreamReset(stream_id, 8))
            elif then == "end":
                attempt(peer, EndOfMessage(stream_id))
        seen.append(state(peer))
    assert seen[0] == seen[1]
