"""Each short path beside the general one: the same input, the same bytes, events and state.

That a head that comes whole is read as one in pieces is held by ``test_properties``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from plait_engine import (
    Connection,
    Data,
    EndOfMessage,
    Event,
    Headers,
    LocalProtocolError,
    RemoteProtocolError,
    Request,
    Response,
    Role,
    Writable,
)
from plait_engine.events import Sendable
from plait_engine.headers import decode
from plait_engine.http1 import HTTP1Connection
from plait_engine.http1.heads import parse_request_line, read_request_line
from plait_engine.testing import Endpoint, strategies
from tests.engine.http1.helpers import client, server

Result = TypeVar("Result")

FIELDS = st.lists(
    st.tuples(
        st.sampled_from(["X-A", "x-a", "Host", "Content-Type", "Expect"]),
        st.sampled_from(["", "a", " b ", "grüße", "\t", "100-continue"]),
    )
    | st.sampled_from(
        [
            ("Content-Length", "0"),
            ("Content-Length", "3"),
            ("Content-Length", "x"),
            ("Transfer-Encoding", "chunked"),
            ("Connection", "close"),
            ("Connection", "keep-alive"),
            ("Bad name", "a"),
            ("X-Bad", "a\nb"),
            ("X-Bad", 1),
            (5, "x"),
        ]
    ),
    max_size=4,
).map(tuple)
STATUSES = st.sampled_from([200, 201, 204, 205, 299, 304, 404, 500, 101, 100, 1000, 600])
BODIES = st.sampled_from([b"", b"abc", b"x" * 100, b"y" * 70000])
REQUESTS = st.sampled_from(
    [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\nnot a request\r\n\r\n",
        b"",
    ]
)


def outcome(act: Callable[[], Result]) -> Result | tuple[str, str]:
    """Return what ``act`` returns, or what it raises."""
    try:
        return act()
    except (LocalProtocolError, RemoteProtocolError) as error:
        return type(error).__name__, str(error)


def look(connection: Connection) -> tuple[object, ...]:
    """Take the outputs of a connection, and look at everything else that it shows."""
    sent = b"".join(iter(connection.data_to_send, b""))
    events: list[Event] = list(iter(connection.next_event, None))
    return (
        sent,
        [repr(event) for event in events],
        connection.state,
        connection.wants_read,
        connection.wants_close,
        connection.open_streams,
        connection.available_streams,
        connection.next_timeout(),
    )


def twins(make: Callable[[], Endpoint], *received: bytes) -> tuple[Connection, Connection]:
    """Return two connections that have received the same, and are drained."""
    pair = []
    for _ in range(2):
        endpoint = make()
        for data in received:
            endpoint.receive(data)
        pair.append(endpoint.connection)
    return pair[0], pair[1]


def whole_response(status: int, headers: Headers, body: bytes) -> tuple[Sendable, ...]:
    return Response(1, status, headers), Data(1, body), EndOfMessage(1)


NEXT = b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"


@given(REQUESTS, st.booleans(), STATUSES, FIELDS, BODIES, st.booleans())
@example(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", False, 200, (("X-A", "a"),), b"abc", False)
def test_a_response_that_is_returned_is_the_one_that_is_sent(
    data: bytes, closing: bool, status: int, headers: Headers, body: bytes, queued: bool
) -> None:
    short, general = twins(server, data)
    for connection in (short, general):
        if queued and connection.open_streams:
            outcome(lambda connection=connection: connection.send(Response(1, 100), now=1.0))
        if closing:
            connection.close(now=1.0)
    returned = outcome(lambda: short.send_response(1, status, headers, body, 1.0))
    if returned is None:
        # Nothing was done, and the general path does the rest.
        returned = outcome(lambda: short.send(*whole_response(status, headers, body), now=1.0))
    written = returned if isinstance(returned, bytes) else b""
    error = returned if isinstance(returned, tuple) else None
    expected = outcome(
        lambda: HTTP1Connection.send(general, *whole_response(status, headers, body), now=1.0)
    )
    assert error == expected
    sent, *rest = look(short)
    assert (written + sent, *rest) == look(general)
    for connection in (short, general):
        connection.receive_data(NEXT, 2.0)
    assert look(short) == look(general)


FRAMINGS = st.sampled_from(
    [(), *[(("Content-Length", length),) for length in ("0", "3", "103", "70000", "140100")]]
)


@given(REQUESTS, FRAMINGS, st.lists(st.tuples(BODIES, st.booleans()), max_size=4), st.booleans())
@example(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", (), [(b"abc", True)], True)
@example(b"GET / HTTP/1.0\r\n\r\n", (), [(b"abc", True)], True)
def test_content_that_is_returned_is_the_content_that_is_sent(
    data: bytes, headers: Headers, pieces: list[tuple[bytes, bool]], begun: bool
) -> None:
    short, general = twins(server, data)
    if begun:
        for connection in (short, general):
            outcome(lambda connection=connection: connection.send(Response(1, 200, headers), now=1))
    for piece, drained in pieces:
        if drained:
            assert look(short) == look(general)
        capacity = short.send_capacity(1)
        assert capacity == general.send_capacity(1)
        returned = short.send_data(1, piece, 2.0)
        if returned is None:
            # Nothing was done, and the general path does the rest.
            assert short.send_capacity(1) == capacity
            error = outcome(lambda piece=piece: short.send(Data(1, piece), now=2.0))
            assert error == outcome(lambda piece=piece: general.send(Data(1, piece), now=2.0))
            continue
        general.send(Data(1, piece), now=2.0)
        assert returned == b"".join(iter(general.data_to_send, b""))
        # That the queue is full for a moment is told only where there is a queue.
        events = list(iter(general.next_event, None))
        assert events in ([], [Writable(1)])
    for connection in (short, general):
        outcome(lambda connection=connection: connection.send(EndOfMessage(1), now=3.0))
        connection.receive_data(NEXT, 4.0)
    assert look(short) == look(general)


@pytest.mark.parametrize(
    ("request_line", "headers", "piece", "written"),
    [
        ("GET / HTTP/1.1", (("Content-Length", "70000"),), b"y" * 70000, b"y" * 70000),
        ("GET / HTTP/1.1", (), b"x" * 65536, b"10000\r\n" + b"x" * 65536 + b"\r\n"),
        ("GET / HTTP/1.1", (), b"x" * 65537, None),
        ("GET / HTTP/1.1", (("Content-Length", "2"),), b"abc", None),
        ("GET / HTTP/1.1", (), b"", None),
        ("HEAD / HTTP/1.1", (("Content-Length", "3"),), b"abc", None),
    ],
)
def test_the_short_path_of_content_is_taken(
    request_line: str, headers: Headers, piece: bytes, written: bytes | None
) -> None:
    endpoint = server()
    endpoint.receive(f"{request_line}\r\nHost: a\r\n\r\n".encode())
    endpoint.send(Response(1, 200, headers))
    assert endpoint.connection.send_data(1, piece, 0.0) == written
    assert endpoint.connection.send_data(3, piece, 0.0) is None


@given(REQUESTS, STATUSES, FIELDS, st.lists(BODIES, max_size=1), st.booleans(), st.booleans())
def test_a_whole_response_is_sent_as_any_other(
    data: bytes, status: int, headers: Headers, bodies: list[bytes], close: bool, trailers: bool
) -> None:
    short, general = twins(server, data)
    events = (
        Response(1, status, headers, close=close),
        *[Data(1, body) for body in bodies],
        EndOfMessage(1, (("X-T", "t"),) if trailers else ()),
    )
    results = [
        outcome(lambda: short.send(*events, now=1.0)),
        outcome(lambda: HTTP1Connection.send(general, *events, now=1.0)),
    ]
    assert results[0] == results[1]
    assert look(short) == look(general)
    for connection in (short, general):
        connection.receive_data(NEXT, 2.0)
    assert look(short) == look(general)


METHODS = st.sampled_from(["GET", "HEAD", "POST", "DELETE", "CONNECT", "G T", "get"])
TARGETS = st.sampled_from(["/", "/a?b=c", "*", "a:1", "http://a/", "/ä", "/a b", "", "/a\\b"])
VERSIONS = st.sampled_from(["1.1", "1.0", "2"])
AUTHORITIES = st.sampled_from(["a", "a:80", "", "a b", "[::1]", "u@a"])


@given(METHODS, TARGETS, AUTHORITIES, FIELDS, VERSIONS, st.booleans())
@example("GET", "/", "a", (("X-A", "a"),), "1.1", False)
@example("GET", "/", "a", (("Connection", "keep-alive"),), "1.0", False)
def test_a_whole_request_is_sent_as_any_other(
    method: str, target: str, authority: str, headers: Headers, version: str, trailers: bool
) -> None:
    short, general = twins(client)
    for number in range(2):  # The second one on a connection may find what the first one left.
        stream_id = 2 * number + 1
        events = (
            Request(stream_id, method, "http", authority, target, headers, http_version=version),
            EndOfMessage(stream_id, (("X-T", "t"),) if trailers else ()),
        )
        results = [
            outcome(lambda events=events: short.send(*events, now=1.0)),
            outcome(lambda events=events: HTTP1Connection.send(general, *events, now=1.0)),
        ]
        assert results[0] == results[1]
        assert look(short) == look(general)
        for connection in (short, general):
            connection.receive_data(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 2.0)
        assert look(short) == look(general)


@given(
    METHODS,
    TARGETS,
    AUTHORITIES,
    FIELDS,
    VERSIONS,
    st.sampled_from([1, 3]),
    st.booleans(),
    st.booleans(),
)
@example("GET", "/", "a", (("X-A", "a"),), "1.1", 1, False, False)
@example("GET", "/", "a", (), "1.0", 1, False, False)
def test_a_request_that_is_returned_is_the_one_that_is_sent(
    method: str,
    target: str,
    authority: str,
    headers: Headers,
    version: str,
    stream_id: int,
    closing: bool,
    busy: bool,
) -> None:
    short, general = twins(client)
    request = Request(stream_id, method, "http", authority, target, headers, http_version=version)
    events = (request, EndOfMessage(stream_id))
    for connection in (short, general):
        if busy:
            before = Request(1, "GET", "http", "a", "/before", ())
            connection.send(before, EndOfMessage(1), now=1.0)
        if closing:
            connection.close(now=1.0)
    returned = outcome(lambda: short.send_request(request, 1.0))
    if returned is None:
        # Nothing was done, and the general path does the rest.
        returned = outcome(lambda: short.send(*events, now=1.0))
    written = returned if isinstance(returned, bytes) else b""
    error = returned if isinstance(returned, tuple) else None
    assert error == outcome(lambda: HTTP1Connection.send(general, *events, now=1.0))
    sent, *rest = look(short)
    assert (written + sent, *rest) == look(general)
    for connection in (short, general):
        connection.receive_data(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 2.0)
    assert look(short) == look(general)


PARTS = (
    b"GET|HEAD|OPTIONS|CONNECT|get|G@T||/|*|/a?b|/a#b|/a\\b|/?a\\b|/\xff|/\x7f|a:1|http://a/b|/\t|"
    b"HTTP/1.1|HTTP/1.0|HTTP/1.2|HTTP/2.0|http/1.1|HTTP/1.1\r"
).split(b"|")
LINES = st.lists(st.sampled_from(PARTS) | st.binary(max_size=4), max_size=4).map(b" ".join)


@given(LINES | st.tuples(strategies.targets()).map(lambda t: b"GET %b HTTP/1.1" % t[0].encode()))
@example(b"GET / HTTP/1.1")
def test_a_usual_request_line_is_read_as_any_other(line: bytes) -> None:
    short = outcome(lambda: parse_request_line(line))
    assert short == outcome(lambda: read_request_line(decode(line)))


def test_the_short_paths_are_taken() -> None:
    connection = server().connection
    connection.receive_data(NEXT, 1.0)
    assert connection.send_response(1, 200, (("X-A", "a"),), b"ok", 1.0) == (
        b"HTTP/1.1 200 OK\r\nX-A: a\r\nContent-Length: 2\r\n\r\nok"
    )
    asking = client().connection
    assert asking.send_request(Request(1, "GET", "http", "a", "/", (("X-A", "a"),)), 1.0) == (
        b"GET / HTTP/1.1\r\nHost: a\r\nX-A: a\r\n\r\n"
    )
    assert connection.role is Role.SERVER
    assert connection.open_streams == 0
    assert parse_request_line(b"GET /a HTTP/1.1").target == "/a"
