"""Every limit that HTTP/1.1 uses: at it all is well, one more and the answer is the documented one."""

from __future__ import annotations

import pytest

from plait_engine import CloseReason, Data, EndOfMessage, Request, Response, Writable
from plait_engine.testing import Endpoint, Fragmenter
from tests.engine.chops import CHOPS
from tests.engine.http1.helpers import (
    GET,
    answer,
    ask,
    body_of,
    client,
    closed,
    config,
    ended,
    requests,
    server,
    statuses,
)

each_chop = pytest.mark.parametrize("chop", CHOPS)


def _padded(size: int, start: bytes, end: bytes = b"") -> bytes:
    """Return ``start``, then as many "x" as make it ``size`` bytes, then ``end``."""
    return start + b"x" * (size - len(start) - len(end)) + end


@each_chop
@pytest.mark.parametrize(("size", "status"), [(200, None), (201, 414)])
def test_max_line_size_of_a_request(size: int, status: int | None, chop: Fragmenter) -> None:
    endpoint = server(chop, config(max_line_size=200))
    endpoint.receive(_padded(size, b"GET /", b" HTTP/1.1") + b"\r\nHost: a\r\n\r\n")
    _expect(endpoint, status)


@each_chop
@pytest.mark.parametrize(("size", "status"), [(200, None), (201, 431)])
def test_max_field_size_of_a_request(size: int, status: int | None, chop: Fragmenter) -> None:
    endpoint = server(chop, config(max_field_size=200))
    endpoint.receive(GET[:-2] + _padded(size, b"X: ") + b"\r\n\r\n")
    _expect(endpoint, status)


@each_chop
@pytest.mark.parametrize(("count", "status"), [(9, None), (10, 431)])
def test_max_fields_of_a_request(count: int, status: int | None, chop: Fragmenter) -> None:
    endpoint = server(chop, config(max_fields=10))
    endpoint.receive(GET[:-2] + b"X: y\r\n" * count + b"\r\n")
    _expect(endpoint, status)


@each_chop
@pytest.mark.parametrize(("size", "status"), [(300, None), (301, 431)])
def test_max_header_list_size_of_a_request(size: int, status: int | None, chop: Fragmenter) -> None:
    endpoint = server(chop, config(max_header_list_size=300))
    section = b"Host: a\r\nX: " + b"y" * 200 + b"\r\n"
    endpoint.receive(
        b"GET / HTTP/1.1\r\n" + section + _padded(size - len(section), b"Z: ", b"\r\n") + b"\r\n"
    )
    _expect(endpoint, status)


@each_chop
@pytest.mark.parametrize(
    ("limit", "data"),
    [
        ({"max_line_size": 200}, _padded(201, b"HTTP/1.1 200 ") + b"\r\n\r\n"),
        ({"max_field_size": 200}, b"HTTP/1.1 200 OK\r\n" + _padded(201, b"X: ") + b"\r\n\r\n"),
        ({"max_fields": 10}, b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 11 + b"\r\n"),
        ({"max_header_list_size": 300}, b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 51 + b"\r\n"),
        ({"max_informational": 2}, b"HTTP/1.1 103 \r\n\r\n" * 3),
    ],
)
def test_limits_of_a_response(limit: dict[str, int], data: bytes, chop: Fragmenter) -> None:
    endpoint = client(chop, config(**limit))
    ask(endpoint)
    endpoint.receive(data)
    assert closed(endpoint).reason is CloseReason.PROTOCOL_ERROR


@each_chop
@pytest.mark.parametrize(
    "data",
    [
        _padded(200, b"HTTP/1.1 200 ") + b"\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + _padded(200, b"X: ") + b"\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 103 \r\n\r\n" * 2 + b"HTTP/1.1 204 \r\n\r\n",
    ],
)
def test_a_response_at_the_limits(data: bytes, chop: Fragmenter) -> None:
    endpoint = client(chop, config(max_line_size=200, max_field_size=200, max_informational=2))
    ask(endpoint)
    endpoint.receive(data)
    assert ended(endpoint)


@each_chop
@pytest.mark.parametrize(("count", "status"), [(2, None), (3, 400)])
def test_max_empty_lines(count: int, status: int | None, chop: Fragmenter) -> None:
    endpoint = server(chop, config(max_empty_lines=2))
    endpoint.receive(b"\r\n" * count + GET)
    _expect(endpoint, status)


CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


@each_chop
@pytest.mark.parametrize(("size", "status"), [(200, None), (201, 400)])
def test_a_chunk_line_is_a_line(size: int, status: int | None, chop: Fragmenter) -> None:
    endpoint = server(chop, config(max_line_size=200))
    endpoint.receive(CHUNKED + _padded(size, b"1;") + b"\r\na\r\n0\r\n\r\n")
    _expect_body(endpoint, status)


@each_chop
@pytest.mark.parametrize(("excess", "status"), [(100, None), (101, 400)])
def test_max_chunk_overhead(excess: int, status: int | None, chop: Fragmenter) -> None:
    endpoint = server(chop, config(max_chunk_overhead=100))
    # A line of 16 bytes with its CRLF is free, and so is one byte for each of the body.
    line = _padded(14 + 3 + 50, b"3;")
    rest = _padded(14 + 2 + (excess - 50), b"2;")
    endpoint.receive(CHUNKED + line + b"\r\nabc\r\n" + rest + b"\r\nde\r\n0\r\n\r\n")
    _expect_body(endpoint, status)


def test_small_chunks_are_no_overhead() -> None:
    """S26: and however many there are, what a read brings is one event."""
    endpoint = server()
    endpoint.receive(CHUNKED)
    endpoint.take()
    endpoint.receive(b"1\r\na\r\n" * 100_000 + b"0\r\n\r\n")
    assert endpoint.take() == [Data(1, b"a" * 100_000, 100_000), EndOfMessage(1)]


@each_chop
@pytest.mark.parametrize(
    ("limit", "trailers"),
    [
        ({"max_fields": 10}, b"X: y\r\n" * 11),
        ({"max_field_size": 100}, _padded(101, b"X: ") + b"\r\n"),
        ({"max_header_list_size": 300}, b"X: y\r\n" * 51),
    ],
)
def test_limits_of_trailers(limit: dict[str, int], trailers: bytes, chop: Fragmenter) -> None:
    endpoint = server(chop, config(**limit))
    endpoint.receive(CHUNKED.replace(b"Host: a", b"Host:a") + b"0\r\n" + trailers + b"\r\n")
    _expect_body(endpoint, 431)


def test_max_pipelined_bounds_what_is_held() -> None:
    endpoint = server(settings=config(max_pipelined=2 * len(GET)))
    endpoint.receive(GET + GET)
    assert endpoint.connection.wants_read
    endpoint.receive(GET)
    assert not endpoint.connection.wants_read
    answer(endpoint)
    assert endpoint.connection.wants_read


def test_read_high_water() -> None:
    endpoint = server(settings=config(read_high_water=100))
    endpoint.acknowledges = False
    endpoint.receive(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 300\r\n\r\n" + b"x" * 100)
    assert endpoint.connection.wants_read
    endpoint.receive(b"x")
    assert not endpoint.connection.wants_read
    endpoint.acknowledge(1, 0)
    endpoint.acknowledge(3, 50)
    assert not endpoint.connection.wants_read
    endpoint.acknowledge(1, 1)
    assert endpoint.connection.wants_read
    assert len(body_of(endpoint)) == 101


def test_read_high_water_of_a_client() -> None:
    endpoint = client(settings=config(read_high_water=100))
    endpoint.acknowledges = False
    ask(endpoint)
    endpoint.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n" + b"x" * 101)
    assert ended(endpoint)
    # The exchange is over: nobody will acknowledge what is left of it.
    assert endpoint.connection.wants_read
    assert endpoint.connection.available_streams == 1


def test_unread_bytes_of_an_ended_exchange_do_not_count() -> None:
    endpoint = server(settings=config(read_high_water=100))
    endpoint.acknowledges = False
    for stream_id in (1, 3, 5):
        endpoint.receive(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 150\r\n\r\n" + b"x" * 150)
        assert len(requests(endpoint)) == (stream_id + 1) // 2
        answer(endpoint, stream_id)
        assert endpoint.connection.wants_read


def test_write_high_and_low_water() -> None:
    endpoint = server(
        settings=config(write_high_water=1000, write_low_water=300, write_quantum=200)
    )
    endpoint.receive(GET)
    endpoint.take()
    connection = endpoint.connection
    assert connection.send_capacity(1) == 1000
    endpoint.can_write = False
    endpoint.send(Response(1, 200, [("Content-Length", "10000")]))
    head = 1000 - connection.send_capacity(1)
    assert 0 < head < 100
    for _ in range(10):
        endpoint.send(Data(1, b"x" * 100))
    assert connection.send_capacity(1) == -head
    while connection.send_capacity(1) < 700:
        assert endpoint.take() == []
        assert len(connection.data_to_send()) <= 200
    endpoint.drain()
    assert endpoint.take() == [Writable(1)]
    endpoint.can_write = True
    endpoint.drain()
    assert endpoint.take() == []
    assert connection.send_capacity(1) == 1000
    assert connection.send_capacity(3) == 0


def test_write_quantum_joins_small_pieces_and_leaves_large_ones_alone() -> None:
    endpoint = server(settings=config(write_quantum=100))
    endpoint.receive(GET)
    endpoint.can_write = False
    large = b"y" * 500
    endpoint.send(Response(1, 200, [("Content-Length", "580")]), Data(1, b"x" * 40))
    endpoint.send(Data(1, large), Data(1, b"z" * 40))
    endpoint.send(EndOfMessage(1))
    pieces = iter(endpoint.connection.data_to_send, b"")
    sent = list(pieces)
    assert [len(piece) for piece in sent[1:]] == [500, 40]
    assert sent[0].endswith(b"x" * 40)
    assert sent[1] is large


def test_a_large_answer_leaves_uncopied() -> None:
    endpoint = server()
    endpoint.receive(GET)
    endpoint.can_write = False
    large = b"y" * 100_000
    endpoint.send(Response(1, 200), Data(1, large), EndOfMessage(1))
    assert endpoint.connection.data_to_send().startswith(b"HTTP/1.1 200 OK\r\n")
    assert endpoint.connection.data_to_send() is large


def test_a_head_of_any_size_takes_bounded_memory() -> None:
    """S52: the limit holds for what has come, not for what a read brings."""
    for start in (b"GET /", GET[:-2] + b"X: ", GET[:-2]):
        endpoint = server()
        endpoint.receive(start)
        taken = 0
        while endpoint.take_sent() == b"":
            endpoint.receive(b"x" * 1000 if not start.endswith(b"\r\n") else b"X: y\r\n" * 100)
            taken += 1000
        assert taken < 100_000


def _expect(endpoint: Endpoint, status: int | None) -> None:
    """See a request that is refused with ``status``, or surfaces."""
    if status is None:
        assert [type(event) for event in endpoint.events] == [Request, EndOfMessage]
    else:
        assert statuses(endpoint.take_sent()) == [status]
        assert requests(endpoint) == []


def _expect_body(endpoint: Endpoint, status: int | None) -> None:
    """See a request whose body is refused with ``status``, or complete."""
    assert ended(endpoint) is (status is None)
    assert statuses(endpoint.take_sent()) == ([] if status is None else [status])
