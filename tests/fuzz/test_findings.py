"""What fuzzing has found, each as a test that says what was wrong.

The inputs themselves are in the corpus, as files that begin with ``crash``.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from plait_engine import (
    ConnectionClosed,
    Data,
    EndOfMessage,
    ErrorCode,
    Limits,
    LocalProtocolError,
    Request,
    Response,
    StreamReset,
    StreamsAvailable,
)
from plait_engine.http1 import HTTP1Client, HTTP1Server
from plait_engine.testing import TEST_CONFIG, Pair, bytewise, whole

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\n"


def http1_server(*pieces):
    connection = HTTP1Server(TEST_CONFIG)
    connection.connection_made(0.0)
    for piece in pieces:
        connection.receive_data(piece, 0.0)
    return connection


def events_of(connection):
    return list(iter(connection.next_event, None))


def status_of(connection):
    return connection.data_to_send().split(b" ", 2)[1]


@pytest.mark.parametrize("fragment", [whole, bytewise])
@pytest.mark.parametrize(
    ("head", "status"),
    [
        pytest.param(b"GET / HTTP/0.1\r\n folded\r\n\r\n", b"505", id="version, field"),
        pytest.param(b"GET / HTTP/2.0\r\nX: a\n\r\n", b"505", id="version, LF"),
        pytest.param(b"GET / HTTP/1.1\nX: a HTTP/2.0\r\n\r\n", b"400", id="LF, version"),
    ],
)
def test_the_first_of_two_faults_in_a_head_is_answered_at_any_cuts(fragment, head, status):
    assert status_of(http1_server(*fragment(head))) == status


@pytest.mark.parametrize("fragment", [whole, bytewise])
def test_chunks_before_a_fault_in_the_body_are_delivered_at_any_cuts(fragment):
    wire = HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nxx\r\nzz\r\n"
    events = events_of(http1_server(*fragment(wire)))
    assert b"".join(event.data for event in events if isinstance(event, Data)) == b"xx"
    assert isinstance(events[-1], StreamReset)


def test_an_http1_connection_closes_with_a_code_that_nobody_knows():
    connection = http1_server(HEAD + b"Content-Length: 5\r\n\r\n")
    connection.close(0x99, now=0.0)
    _, reset, closed = events_of(connection)
    assert (type(reset), reset.code) == (StreamReset, 0x99)
    assert isinstance(closed, ConnectionClosed)


def test_a_reason_phrase_that_utf_8_cannot_encode_is_refused():
    connection = http1_server(HEAD + b"\r\n")
    with pytest.raises(LocalProtocolError, match="reason phrase"):
        connection.send(Response(1, 200, reason="\ud800"), now=0.0)
    connection.send(Response(1, 200), EndOfMessage(1), now=0.0)
    assert status_of(connection) == b"200"


def test_credit_for_a_closed_http1_connection_does_not_make_it_read():
    connection = http1_server(HEAD + b"Content-Length: 5\r\n\r\nhel")
    request, data = events_of(connection)
    assert isinstance(request, Request)
    connection.close(8, now=0.0)
    connection.acknowledge(1, data.credit, 0.0)
    assert not connection.wants_read


def test_an_http1_response_that_was_given_up_is_not_reported():
    client = HTTP1Client(TEST_CONFIG)
    client.connection_made(0.0)
    client.send(Request(1, "GET", "http", "a", "/", ()), EndOfMessage(1), now=0.0)
    client.send(StreamReset(1, ErrorCode.NO_ERROR), now=0.0)
    client.receive_data(b"HTTP/1.1 103 \r\n\r\nHTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", 0.0)
    assert events_of(client) == [StreamsAvailable()]


def test_nothing_comes_after_the_end_of_a_drained_http2_connection():
    # The last bytes of a full stream end the exchange, and with it the connection.
    limits = Limits(write_high_water=2048, write_low_water=100)
    pair = Pair("h2", client_config=replace(TEST_CONFIG, limits=limits))
    pair.server.acknowledges = False
    pair.run()
    pair.client.send(Request(1, "PUT", "http", "a", "/", ()), Data(1, b"x" * 300_000))
    pair.client.send(EndOfMessage(1))
    pair.client.connection.send_capacity(1)
    pair.server.close()
    pair.run()
    pair.server.send(Response(1, 200), EndOfMessage(1))
    pair.run()
    for data in pair.server.recorder.of_type(Data):
        pair.server.acknowledge(1, data.credit)
    pair.run()
    assert isinstance(pair.client.events[-1], ConnectionClosed)
