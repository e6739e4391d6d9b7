"""HTTP/1.1 only: requests that come before the answer to the last (RFC 9112 section 9.3.2)."""

from __future__ import annotations

import pytest

from plait_engine import (
    Config,
    ConnectionClosed,
    Data,
    EndOfMessage,
    Limits,
    PriorKnowledge,
    Request,
    Response,
    Role,
    create_connection,
)
from plait_engine.testing import Endpoint, Fragmenter, counting_random, frames, messages
from tests.engine.contract.conftest import CUTS
from tests.engine.contract.messages import body, kinds, taken


def serve(engine: str, fragment: Fragmenter, **options: object) -> Endpoint:
    config = Config(random=counting_random, **options)
    server = Endpoint(create_connection(Role.SERVER, "http/1.1", config, engine=engine))
    server.fragment = fragment
    server.start()
    return server


@pytest.fixture
def server(engine: str, fragment: Fragmenter) -> Endpoint:
    return serve(engine, fragment)


def answer(server: Endpoint, stream_id: int, content: bytes) -> None:
    server.send(Response(stream_id, 200), Data(stream_id, content), EndOfMessage(stream_id))


def test_pipelined_requests_come_one_after_the_other(server: Endpoint) -> None:
    server.receive(b"".join(messages.request(target=f"/{n}") for n in range(5)))
    for number in range(5):
        head, end = taken(server)
        assert isinstance(head, Request)
        assert (head.target, head.stream_id) == (f"/{number}", 2 * number + 1)
        assert isinstance(end, EndOfMessage)
        assert taken(server) == []
        answer(server, head.stream_id, b"%d" % number)
    assert server.sent.count(b"HTTP/1.1 200 OK\r\n") == 5
    assert server.connection.open_streams == 0


def test_pipelined_requests_with_content(server: Endpoint) -> None:
    fields = (("Host", "a"), ("Transfer-Encoding", "chunked"))
    one = messages.request("POST", "/1", fields, messages.chunked([b"GET /evil", b" HTTP/1.1"]))
    two = messages.request("POST", "/2", (("Host", "a"), ("Content-Length", "3")), b"abc")
    server.receive(one + two)
    events = taken(server)
    assert kinds(events) == [Request, Data, EndOfMessage]
    assert body(events) == b"GET /evil HTTP/1.1"
    answer(server, 1, b"1")
    events = taken(server)
    assert kinds(events) == [Request, Data, EndOfMessage]
    assert (events[0].target, body(events)) == ("/2", b"abc")


def test_requests_before_the_end_of_input_are_all_answered(server: Endpoint) -> None:
    server.receive(b"".join(messages.request(target=f"/{n}") for n in range(3)))
    server.receive_eof()
    for number in range(3):
        head, _ = taken(server)
        assert isinstance(head, Request)
        assert head.target == f"/{number}"
        answer(server, head.stream_id, b"%d" % number)
    assert server.sent.count(b"HTTP/1.1 200 OK\r\n") == 3
    assert isinstance(server.events[-1], ConnectionClosed)


def test_too_much_behind_an_open_exchange_stops_reading(engine: str, fragment: Fragmenter) -> None:
    server = serve(engine, fragment, limits=Limits(max_pipelined=300))
    server.receive(messages.request(target="/first"))
    count = 40
    for number in range(count):
        server.receive(messages.request(target=f"/{number}"))
    assert not server.connection.wants_read
    answer(server, 1, b"first")
    for number in range(count):
        events = server.recorder.of_type(Request)
        assert events[-1].target == f"/{number}"
        answer(server, events[-1].stream_id, b"x")
    assert server.connection.wants_read
    assert server.connection.open_streams == 0


def test_nothing_behind_a_refused_request_is_read(server: Endpoint) -> None:
    server.receive(messages.request(fields=()) + messages.request(target="/poison"))
    assert server.recorder.of_type(Request) == []
    assert server.sent.startswith(b"HTTP/1.1 400 ")
    assert server.sent.count(b"HTTP/1.1 ") == 1
    server.receive(messages.request(target="/more"))
    server.receive_eof()
    assert server.recorder.of_type(Request) == []
    assert isinstance(server.events[-1], ConnectionClosed)


def test_requests_behind_one_that_ends_the_connection_are_not_read(server: Endpoint) -> None:
    last = (("Host", "a"), ("Connection", "close"))
    server.receive(messages.request(target="/last", fields=last) + messages.request(target="/no"))
    answer(server, 1, b"bye")
    assert [event.target for event in server.recorder.of_type(Request)] == ["/last"]
    assert b"connection: close" in bytes(server.sent).lower()
    assert server.connection.wants_close


@pytest.mark.parametrize("method", ["GET", "OPTIONS", "DELETE", "FOO"])
def test_content_is_content_whatever_the_method(server: Endpoint, method: str) -> None:
    fields = (("Host", "a"), ("Content-Length", "27"))
    smuggled = b"GET /evil HTTP/1.1\r\nX: y\r\n\r"
    server.receive(messages.request(method, "/", fields, smuggled) + messages.request(target="/2"))
    events = taken(server)
    assert kinds(events) == [Request, Data, EndOfMessage]
    assert body(events) == smuggled[:27]
    answer(server, 1, b"x")


def test_content_that_nobody_reads_is_not_a_request(server: Endpoint) -> None:
    """The application answers before the content came, and reads none of it."""
    server.acknowledges = False
    fields = (("Host", "a"), ("Content-Length", "30"))
    server.receive(messages.request("POST", "/", fields))
    answer(server, 1, b"early")
    content = b"GET /evil HTTP/1.1\r\nHost: a\r\n\r\n"[:30]
    server.receive(content + messages.request(target="/next"))
    assert [event.target for event in server.recorder.of_type(Request)] == ["/", "/next"]


def test_the_preface_of_http2_is_handed_over(engine: str, fragment: Fragmenter) -> None:
    server = serve(engine, fragment, detect_http2=True)
    data = frames.PREFACE + frames.settings()
    server.fragment = CUTS["whole"]()
    server.receive(data)
    (event,) = server.events
    assert event == PriorKnowledge(data)


def test_the_preface_of_http2_in_pieces(engine: str) -> None:
    server = serve(engine, CUTS["bytewise"](), detect_http2=True)
    server.receive(frames.PREFACE)
    (event,) = server.events
    assert event == PriorKnowledge(frames.PREFACE)
    assert server.sent == b""


def test_what_only_begins_like_the_preface(engine: str, fragment: Fragmenter) -> None:
    server = serve(engine, fragment, detect_http2=True)
    server.receive(messages.request("PRI", "/", (("Host", "a"),)))
    head, _ = taken(server)
    assert isinstance(head, Request)
    assert head.method == "PRI"


def test_the_preface_of_http2_where_nobody_speaks_it(server: Endpoint) -> None:
    server.receive(frames.PREFACE)
    assert server.sent.startswith((b"HTTP/1.1 505 ", b"HTTP/1.1 400 "))
    assert server.recorder.of_type(Request) == []
