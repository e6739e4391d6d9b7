"""The timers, in virtual time: when each runs, what it does, and that others do not."""

from __future__ import annotations

import pytest

from plait_engine import (
    CloseAction,
    CloseReason,
    Data,
    EndOfMessage,
    ErrorCode,
    InformationalResponse,
    Initiator,
    RemoteProtocolError,
    Request,
    Response,
    Timeouts,
)
from plait_engine.testing import Endpoint
from tests.engine.http1.helpers import (
    GET,
    answer,
    ask,
    client,
    closed,
    config,
    ended,
    requests,
    resets,
    server,
    statuses,
)

POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"
OFF = Timeouts(head=None, body=None, keep_alive=None, write=None)


def due(endpoint: Endpoint) -> float | None:
    """Return the seconds until the next deadline."""
    deadline = endpoint.connection.next_timeout()
    return None if deadline is None else deadline - endpoint.clock.now


def expire(endpoint: Endpoint) -> None:
    """Go to just before the next deadline, then to it."""
    deadline = endpoint.connection.next_timeout()
    assert deadline is not None
    events, sent = len(endpoint.events), len(endpoint.sent)
    endpoint.clock.now = deadline - 0.001
    endpoint.handle_timeout()
    assert (len(endpoint.events), len(endpoint.sent)) == (events, sent)
    endpoint.clock.now = deadline
    endpoint.handle_timeout()


def timed_out(endpoint: Endpoint) -> RemoteProtocolError:
    event = closed(endpoint)
    assert event.reason is CloseReason.TIMEOUT
    assert isinstance(event.error, RemoteProtocolError)
    return event.error


# -- the request head (S77) ------------------------------------------------------------------


def test_a_head_has_a_total_time() -> None:
    endpoint = server()
    assert due(endpoint) == 30.0
    for byte in GET[:10]:
        endpoint.clock.now += 2.9
        endpoint.receive(bytes([byte]))
    assert due(endpoint) == pytest.approx(1.0)
    expire(endpoint)
    assert statuses(endpoint.take_sent()) == [408]
    assert endpoint.connection.wants_close is CloseAction.WRITE_EOF
    endpoint.receive_eof()
    assert timed_out(endpoint).status_hint == 408


def test_a_client_that_sends_nothing_gets_no_answer() -> None:
    endpoint = server()
    expire(endpoint)
    assert endpoint.take_sent() == b""
    assert endpoint.connection.wants_close is CloseAction.CLOSE
    timed_out(endpoint)


def test_a_next_head_has_its_time_from_its_first_byte() -> None:
    endpoint = server()
    endpoint.receive(GET)
    endpoint.clock.now += 1000
    answer(endpoint)
    endpoint.clock.now += 50
    endpoint.receive(b"GET")
    assert due(endpoint) == 30.0
    endpoint.clock.now += 10
    endpoint.receive(b" / HTTP/1.1\r\n")
    assert due(endpoint) == 20.0


def test_a_held_head_has_its_time_from_the_end_of_the_exchange() -> None:
    endpoint = server()
    endpoint.receive(GET + b"GET")
    assert due(endpoint) is None
    endpoint.clock.now += 100
    answer(endpoint)
    assert due(endpoint) == 30.0


def test_the_preface_has_the_time_of_a_head() -> None:
    """S14."""
    endpoint = server(settings=config(detect_http2=True))
    endpoint.receive(b"PRI * HT")
    expire(endpoint)
    assert statuses(endpoint.take_sent()) == [408]


# -- the body ----------------------------------------------------------------------------------


def test_a_stalled_body_is_given_up() -> None:
    endpoint = server()
    endpoint.receive(POST)
    assert due(endpoint) == 60.0
    endpoint.clock.now += 50
    endpoint.receive(b"x")
    assert due(endpoint) == 60.0
    expire(endpoint)
    (reset,) = resets(endpoint)
    assert (reset.code, reset.initiator) == (ErrorCode.CANCEL, Initiator.LOCAL)
    assert statuses(endpoint.take_sent()) == [408]
    endpoint.receive_eof()
    assert timed_out(endpoint) is reset.error


def test_a_body_has_all_the_time_while_the_application_does_not_read() -> None:
    endpoint = server(settings=config(read_high_water=4))
    endpoint.acknowledges = False
    endpoint.receive(POST + b"12345")
    assert due(endpoint) is None
    endpoint.clock.now += 500
    endpoint.acknowledge(1, 5)
    assert due(endpoint) == 60.0


def test_a_body_nobody_asked_for_with_100_has_all_the_time() -> None:
    endpoint = server()
    endpoint.receive(POST[:-2] + b"Expect: 100-continue\r\n\r\n")
    assert due(endpoint) is None
    endpoint.send(InformationalResponse(1, 100))
    assert due(endpoint) == 60.0


def test_a_body_behind_the_answer_cannot_take_for_ever() -> None:
    endpoint = server(settings=config(read_high_water=4))
    endpoint.acknowledges = False
    endpoint.receive(POST + b"12345")
    answer(endpoint)
    assert due(endpoint) == 60.0
    expire(endpoint)
    assert endpoint.connection.wants_close is CloseAction.WRITE_EOF


def test_a_stalled_response_body_is_given_up() -> None:
    endpoint = client()
    ask(endpoint)
    endpoint.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
    assert due(endpoint) == 60.0
    expire(endpoint)
    assert resets(endpoint)[0].error is timed_out(endpoint)
    assert endpoint.connection.wants_close is CloseAction.ABORT


def test_a_response_takes_its_time_but_its_head_does_not() -> None:
    endpoint = client()
    ask(endpoint)
    assert due(endpoint) is None
    endpoint.receive(b"HTTP/1.1 103 \r\n\r\n")
    assert due(endpoint) is None
    endpoint.receive(b"H")
    assert due(endpoint) == 30.0
    expire(endpoint)
    timed_out(endpoint)


# -- between exchanges ------------------------------------------------------------------------------


def test_an_idle_server_connection_is_closed() -> None:
    endpoint = server()
    endpoint.receive(GET)
    answer(endpoint)
    assert due(endpoint) == 75.0
    expire(endpoint)
    assert endpoint.take_sent() == b""
    assert endpoint.connection.wants_close is CloseAction.CLOSE
    assert closed(endpoint).reason is CloseReason.KEEP_ALIVE
    assert closed(endpoint).error is None
    assert due(endpoint) is None


def test_an_idle_client_connection_is_closed() -> None:
    endpoint = client()
    assert due(endpoint) == 75.0
    ask(endpoint)
    assert due(endpoint) is None
    endpoint.receive(b"HTTP/1.1 204 \r\n\r\n")
    assert due(endpoint) == 75.0
    expire(endpoint)
    assert closed(endpoint).reason is CloseReason.KEEP_ALIVE


def test_an_application_takes_its_time() -> None:
    endpoint = server()
    endpoint.receive(GET)
    assert due(endpoint) is None
    endpoint.send(Response(1, 200), Data(1, b"x"))
    assert due(endpoint) is None


# -- the end -------------------------------------------------------------------------------------------


def test_a_lingering_close_ends() -> None:
    endpoint = server()
    endpoint.receive(b"BAD\r\n\r\n")
    assert due(endpoint) == 10.0
    endpoint.clock.now += 5
    endpoint.receive(b"more")
    assert due(endpoint) == 5.0
    expire(endpoint)
    assert endpoint.connection.wants_close is CloseAction.CLOSE
    assert closed(endpoint).reason is CloseReason.PROTOCOL_ERROR


def test_a_lingering_close_waits_for_the_answer_to_leave() -> None:
    endpoint = server()
    endpoint.receive(GET[:-2] + b"Connection: close\r\n\r\n")
    endpoint.can_write = False
    endpoint.send(Response(1, 200), Data(1, b"x" * 200_000), EndOfMessage(1))
    for _ in range(3):
        expire(endpoint)
        assert not endpoint.is_closed
    endpoint.can_write = True
    endpoint.drain()
    expire(endpoint)
    assert closed(endpoint).reason is CloseReason.LOCAL


def test_a_peer_that_takes_nothing_is_dropped() -> None:
    """S78."""
    endpoint = server()
    endpoint.receive(GET)
    endpoint.can_write = False
    endpoint.send(Response(1, 200, [("Content-Length", "300000")]), Data(1, b"x" * 100_000))
    assert due(endpoint) == 60.0
    expire(endpoint)
    assert endpoint.connection.wants_close is CloseAction.ABORT
    assert resets(endpoint)[0].error is timed_out(endpoint)
    assert endpoint.connection.data_to_send() == b""


def test_a_peer_that_takes_something_is_waited_for() -> None:
    endpoint = server()
    endpoint.receive(GET)
    endpoint.can_write = False
    endpoint.send(Response(1, 200, [("Content-Length", "300000")]))
    for _ in range(3):
        endpoint.send(Data(1, b"x" * 100_000))
    for _ in range(3):
        assert endpoint.connection.data_to_send()
        expire(endpoint)
        assert due(endpoint) == 60.0
        assert not endpoint.is_closed
    assert endpoint.connection.data_to_send()
    assert due(endpoint) is None


def test_timers_can_be_off() -> None:
    endpoint = server(settings=config(timeouts=OFF))
    assert due(endpoint) is None
    endpoint.receive(POST[:5])
    assert due(endpoint) is None
    endpoint.receive(POST[5:])
    assert due(endpoint) is None
    endpoint.receive(b"0123456789")
    endpoint.can_write = False
    answer(endpoint)
    assert due(endpoint) is None
    client_side = client(settings=config(timeouts=OFF))
    assert due(client_side) is None
    ask(client_side)
    client_side.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nx")
    assert due(client_side) is None


@pytest.mark.parametrize("endpoint", [server(), client()])
def test_a_spurious_timeout_is_nothing(endpoint: Endpoint) -> None:
    endpoint.handle_timeout()
    assert endpoint.events == []
    assert not endpoint.is_closed


def test_a_streamed_request_does_not_time_out_while_the_server_is_silent() -> None:
    endpoint = client()
    endpoint.send(Request(1, "POST", "http", "a", "/", ()))
    endpoint.send(Data(1, b"x"))
    assert due(endpoint) is None
    endpoint.send(EndOfMessage(1))
    endpoint.receive(b"HTTP/1.1 204 \r\n\r\n")
    assert ended(endpoint)
    assert requests(endpoint) == []
