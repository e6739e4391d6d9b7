"""The server's side between exchanges: persistence, pipelining, bodies that nobody reads."""

from __future__ import annotations

import pytest

from plait_engine import (
    CloseAction,
    CloseReason,
    ConnectionState,
    Data,
    EndOfMessage,
    ErrorCode,
    Initiator,
    RemoteProtocolError,
    Response,
    StreamReset,
)
from plait_engine.testing import Endpoint, Fragmenter
from tests.engine.chops import CHOPS
from tests.engine.http1.helpers import (
    GET,
    answer,
    body_of,
    closed,
    config,
    ended,
    head,
    requests,
    resets,
    server,
    statuses,
)

each_chop = pytest.mark.parametrize("chop", CHOPS)


# -- persistence ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "connection", "sent", "stays"),
    [
        ("1.1", None, None, True),
        ("1.1", "close", b"close", False),
        ("1.1", "x, Close", b"close", False),
        ("1.1", "keep-alive", None, True),
        ("1.0", None, b"close", False),
        ("1.0", "keep-alive", b"keep-alive", True),
        ("1.0", "Keep-Alive, close", b"close", False),
    ],
)
def test_who_keeps_the_connection(
    version: str, connection: str | None, sent: bytes | None, stays: bool
) -> None:
    """RFC 9112 section 9.3."""
    endpoint = server()
    fields = [] if connection is None else [f"Connection: {connection}"]
    for stream_id in (1, 3):
        endpoint.receive(head(f"GET / HTTP/{version}", "Host: a", *fields))
        data = answer(endpoint, stream_id)
        if sent is None:
            assert b"Connection" not in data
        else:
            assert b"\r\nConnection: %b\r\n" % sent in data
        assert (endpoint.connection.wants_close is CloseAction.NONE) is stays
        if not stays:
            break
    assert endpoint.connection.state is (ConnectionState.OPEN if stays else ConnectionState.CLOSING)


def test_the_application_closes_with_a_field() -> None:
    endpoint = server()
    endpoint.receive(GET)
    endpoint.send(Response(1, 200, [("Connection", "close")]), Data(1, b"x"), EndOfMessage(1))
    assert endpoint.take_sent().count(b"close") == 1
    assert endpoint.connection.wants_close is CloseAction.WRITE_EOF
    endpoint.receive(GET)
    assert len(requests(endpoint)) == 1
    endpoint.receive_eof()
    assert closed(endpoint).reason is CloseReason.LOCAL
    assert endpoint.connection.wants_close is CloseAction.CLOSE


@each_chop
def test_pipelined_requests_surface_one_after_the_other(chop: Fragmenter) -> None:
    """S74; RFC 9112 section 9.3.2."""
    endpoint = server(chop)
    endpoint.receive(
        head("POST /1 HTTP/1.1", "Host: a", "Content-Length: 2")
        + b"ab"
        + head("GET /2 HTTP/1.1", "Host: a")
        + head("POST /3 HTTP/1.1", "Host: a", "Transfer-Encoding: chunked")
        + b"1\r\nc\r\n0\r\n\r\n"
        + head("GET /4 HTTP/1.1", "Host: a", "Connection: close")
        + head("GET /5 HTTP/1.1", "Host: a")
    )
    for number in range(1, 5):
        assert [request.target for request in requests(endpoint)] == [
            f"/{index}" for index in range(1, number + 1)
        ]
        assert endpoint.connection.open_streams == 1
        answer(endpoint, 2 * number - 1)
    assert endpoint.connection.open_streams == 0
    assert len(requests(endpoint)) == 4
    assert body_of(endpoint, 1) == b"ab"
    assert body_of(endpoint, 5) == b"c"


def test_many_requests_behind_a_slow_one_are_bounded_and_all_answered() -> None:
    """S75."""
    endpoint = server(settings=config(max_pipelined=1000))
    for _ in range(1000):
        endpoint.receive(GET)
    assert not endpoint.connection.wants_read
    for number in range(1000):
        assert endpoint.connection.open_streams == 1
        assert statuses(answer(endpoint, 2 * number + 1)) == [200]
    assert endpoint.connection.wants_read
    assert len(requests(endpoint)) == 1000


@each_chop
def test_nothing_behind_a_refused_pipelined_request_is_parsed(chop: Fragmenter) -> None:
    """S76."""
    endpoint = server(chop)
    endpoint.receive(GET + b"BAD\r\n\r\n" + GET)
    assert statuses(answer(endpoint)) == [200, 400]
    assert len(requests(endpoint)) == 1
    assert resets(endpoint) == []


@each_chop
def test_a_peer_that_half_closes_gets_its_answers(chop: Fragmenter) -> None:
    endpoint = server(chop)
    endpoint.receive(GET + GET)
    endpoint.receive_eof()
    assert endpoint.connection.wants_close is CloseAction.NONE
    assert statuses(answer(endpoint, 1)) == [200]
    assert endpoint.connection.wants_close is CloseAction.NONE
    assert statuses(answer(endpoint, 3)) == [200]
    assert endpoint.connection.wants_close is CloseAction.CLOSE
    assert closed(endpoint).reason is CloseReason.PEER


@pytest.mark.parametrize("data", [b"G", GET[:-1], b"\r"])
def test_a_head_cut_short_is_answered(data: bytes) -> None:
    endpoint = server()
    endpoint.receive(data)
    endpoint.receive_eof()
    assert statuses(endpoint.take_sent()) == [400]
    assert isinstance(closed(endpoint).error, RemoteProtocolError)


def test_a_half_head_behind_an_exchange_and_eof() -> None:
    endpoint = server()
    endpoint.receive(GET + b"GET /")
    endpoint.receive_eof()
    assert statuses(answer(endpoint)) == [200, 400]
    assert endpoint.is_closed


def test_eof_on_an_idle_connection_closes_it() -> None:
    endpoint = server()
    endpoint.receive_eof()
    assert endpoint.take_sent() == b""
    assert closed(endpoint).reason is CloseReason.PEER
    assert closed(endpoint).error is None


@pytest.mark.parametrize(
    ("field", "body", "message"),
    [
        ("Content-Length: 10", b"hello", "5 of 10 bytes"),
        ("Transfer-Encoding: chunked", b"5\r\nhello\r\n", "after 5 bytes"),
        ("Transfer-Encoding: chunked", b"5\r\nhello\r\n0\r\n", "trailer"),
    ],
)
def test_a_body_cut_short_is_an_error(field: str, body: bytes, message: str) -> None:
    """S30; RFC 9112 section 8."""
    endpoint = server()
    endpoint.receive(head("POST / HTTP/1.1", "Host: a", field) + body)
    endpoint.receive_eof()
    (reset,) = resets(endpoint)
    assert reset.initiator is Initiator.REMOTE
    assert message in str(reset.error)
    assert statuses(endpoint.take_sent()) == [400]
    assert endpoint.connection.wants_close is CloseAction.CLOSE


def test_a_response_until_close_that_is_cut_short_does_not_end_in_order() -> None:
    """An orderly close would say that it is complete (RFC 9112 section 8)."""
    endpoint = server()
    endpoint.receive(head("POST / HTTP/1.0", "Content-Length: 10") + b"hello")
    endpoint.send(Response(1, 200), Data(1, b"begun"))
    endpoint.receive_eof()
    assert endpoint.connection.wants_close is CloseAction.ABORT
    assert len(resets(endpoint)) == 1
    assert closed(endpoint).reason is CloseReason.PEER


# -- unread bodies ----------------------------------------------------------------------


def _answer_without_reading(size: int, drained: int) -> Endpoint:
    endpoint = server(settings=config(max_drain=1000))
    endpoint.receive(head("POST / HTTP/1.1", "Host: a", f"Content-Length: {size}"))
    answer(endpoint)
    endpoint.send(StreamReset(1, ErrorCode.NO_ERROR))
    endpoint.receive(b"x" * drained)
    return endpoint


def test_an_unread_body_is_drained_and_the_connection_used_again() -> None:
    """S9."""
    endpoint = _answer_without_reading(1000, 999)
    assert endpoint.connection.open_streams == 1
    endpoint.receive(b"x" + GET)
    assert [request.method for request in requests(endpoint)] == ["POST", "GET"]
    assert body_of(endpoint) == b""
    assert not ended(endpoint, 1)
    assert statuses(answer(endpoint, 3)) == [200]


def test_the_limit_on_what_is_drained_is_one_of_each_request() -> None:
    endpoint = _answer_without_reading(1000, 1000)
    for stream_id in (3, 5):
        endpoint.receive(head("POST / HTTP/1.1", "Host: a", "Content-Length: 1000"))
        assert b"Connection" not in answer(endpoint, stream_id)
        endpoint.send(StreamReset(stream_id, ErrorCode.NO_ERROR))
        endpoint.receive(b"x" * 1000)
    assert not endpoint.connection.wants_close


def test_an_unread_body_that_is_too_large_closes() -> None:
    endpoint = server(settings=config(max_drain=1000))
    endpoint.receive(head("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked"))
    assert b"Connection" not in answer(endpoint)
    endpoint.send(StreamReset(1, ErrorCode.NO_ERROR))
    endpoint.receive(b"1000\r\n" + b"x" * 1000)
    assert not endpoint.connection.wants_close
    endpoint.receive(b"x")
    assert endpoint.connection.wants_close is CloseAction.WRITE_EOF
    endpoint.receive(GET)
    assert len(requests(endpoint)) == 1
    endpoint.receive(b"x" * 1001)
    assert endpoint.connection.wants_close is CloseAction.CLOSE


def test_an_unread_body_that_will_be_too_large_closes_at_once() -> None:
    """RFC 9112 section 9.6: who is going to close says so."""
    endpoint = server(settings=config(max_drain=1000))
    endpoint.receive(head("POST / HTTP/1.1", "Host: a", "Content-Length: 1001"))
    assert b"\r\nConnection: close\r\n" in answer(endpoint)
    endpoint.send(StreamReset(1, ErrorCode.NO_ERROR))
    assert endpoint.connection.wants_close is CloseAction.WRITE_EOF


def test_an_answer_that_begins_before_the_body_is_read_keeps_the_connection() -> None:
    endpoint = server(settings=config(max_drain=1000))
    endpoint.receive(head("POST / HTTP/1.1", "Host: a", "Content-Length: 1001"))
    endpoint.send(Response(1, 200))
    assert b"Connection" not in endpoint.take_sent()
    endpoint.receive(b"x" * 1001)
    endpoint.send(Data(1, b"x" * 1001), EndOfMessage(1))
    endpoint.receive(GET)
    assert len(requests(endpoint)) == 2


def test_a_body_read_after_the_answer() -> None:
    endpoint = server()
    endpoint.receive(head("POST / HTTP/1.1", "Host: a", "Content-Length: 5") + b"he")
    answer(endpoint)
    endpoint.receive(b"llo" + GET)
    assert body_of(endpoint) == b"hello"
    assert len(requests(endpoint)) == 2


def test_an_unread_body_on_a_connection_that_closes_is_not_waited_for() -> None:
    endpoint = server()
    endpoint.receive(head("POST / HTTP/1.1", "Host: a", "Connection: close", "Content-Length: 5"))
    answer(endpoint)
    endpoint.send(StreamReset(1, ErrorCode.NO_ERROR))
    assert endpoint.connection.wants_close is CloseAction.WRITE_EOF
    assert endpoint.connection.state is ConnectionState.DRAINING
    endpoint.receive(b"hell")
    assert endpoint.connection.state is ConnectionState.DRAINING
    endpoint.receive(b"o")
    assert endpoint.connection.state is ConnectionState.CLOSING


def test_giving_up_an_exchange_drops_the_connection() -> None:
    endpoint = server()
    endpoint.receive(GET)
    endpoint.send(Response(1, 200), Data(1, b"x"))
    endpoint.send(StreamReset(1, ErrorCode.INTERNAL_ERROR))
    assert endpoint.connection.wants_close is CloseAction.ABORT
    assert closed(endpoint).reason is CloseReason.LOCAL
    assert resets(endpoint) == []


def test_answer_and_reset_in_one_command() -> None:
    endpoint = server()
    endpoint.receive(head("POST / HTTP/1.1", "Host: a", "Content-Length: 5"))
    endpoint.send(
        Response(1, 413), Data(1, b"no"), EndOfMessage(1), StreamReset(1, ErrorCode.NO_ERROR)
    )
    assert statuses(endpoint.take_sent()) == [413]
    endpoint.receive(b"hello" + GET)
    assert len(requests(endpoint)) == 2


def test_answer_and_reset_in_one_command_when_the_request_is_complete() -> None:
    """There is nothing left to reset, and the request behind it is another."""
    endpoint = server()
    endpoint.receive(GET + GET)
    for stream_id in (1, 3):
        endpoint.send(
            Response(stream_id, 200),
            EndOfMessage(stream_id),
            StreamReset(stream_id, ErrorCode.NO_ERROR),
        )
        assert statuses(endpoint.take_sent()) == [200]
    assert len(requests(endpoint)) == 2


def test_the_end_of_an_answer_until_close_does_not_wait_for_an_unread_body() -> None:
    """RFC 9112 section 6.3: the close is what ends the content."""
    endpoint = server()
    endpoint.receive(head("POST / HTTP/1.0", "Content-Length: 5"))
    endpoint.send(Response(1, 200))
    endpoint.send(Data(1, b"answer"))
    endpoint.send(EndOfMessage(1))
    endpoint.send(StreamReset(1, ErrorCode.NO_ERROR))
    assert endpoint.take_sent().endswith(b"\r\n\r\nanswer")
    assert endpoint.connection.wants_close is CloseAction.WRITE_EOF
    assert endpoint.connection.state is ConnectionState.CLOSING
