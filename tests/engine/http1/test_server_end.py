"""The server's side of the end of a connection."""

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
    LocalProtocolError,
    Request,
    Response,
)
from plait_engine.testing import coalesce
from tests.engine.http1.helpers import (
    GET,
    answer,
    closed,
    head,
    requests,
    resets,
    server,
)

# -- the end --------------------------------------------------------------------------------


def test_close_on_an_idle_connection() -> None:
    endpoint = server()
    endpoint.close()
    assert endpoint.connection.wants_close is CloseAction.CLOSE
    endpoint.receive(GET)
    assert requests(endpoint) == []
    assert closed(endpoint).reason is CloseReason.LOCAL


def test_close_lets_the_exchange_finish() -> None:
    endpoint = server()
    endpoint.receive(GET + GET)
    endpoint.close()
    endpoint.close()
    assert endpoint.connection.state is ConnectionState.DRAINING
    assert b"\r\nConnection: close\r\n" in answer(endpoint)
    assert len(requests(endpoint)) == 1
    assert endpoint.connection.wants_close is CloseAction.WRITE_EOF


def test_close_behind_the_head_of_an_answer() -> None:
    endpoint = server()
    endpoint.receive(GET)
    endpoint.send(Response(1, 200), Data(1, b"x"))
    endpoint.close()
    endpoint.send(EndOfMessage(1))
    assert endpoint.connection.wants_close is CloseAction.WRITE_EOF


@pytest.mark.parametrize("data", [b"", GET])
def test_close_with_a_code_is_at_once(data: bytes) -> None:
    endpoint = server()
    endpoint.receive(data)
    endpoint.close(ErrorCode.NO_ERROR)
    assert endpoint.is_closed
    assert len(resets(endpoint)) == bool(data)
    assert endpoint.connection.wants_close is (CloseAction.ABORT if data else CloseAction.CLOSE)


@pytest.mark.parametrize("error", [None, ConnectionResetError("reset")])
def test_a_lost_transport_ends_the_exchange(error: Exception | None) -> None:
    endpoint = server()
    endpoint.receive(GET)
    endpoint.lose(error)
    (reset,) = resets(endpoint)
    assert reset.initiator is Initiator.REMOTE
    assert closed(endpoint).reason is CloseReason.LOST
    assert closed(endpoint).error is (error or reset.error)
    with pytest.raises(LocalProtocolError):
        answer(endpoint)


def test_a_lost_transport_on_an_idle_connection() -> None:
    endpoint = server()
    endpoint.lose()
    assert closed(endpoint).reason is CloseReason.PEER
    endpoint.lose()
    endpoint.receive(GET)
    endpoint.receive_eof()
    endpoint.handle_timeout()
    assert len(endpoint.events) == 1


def test_a_transport_lost_while_lingering_keeps_the_reason() -> None:
    endpoint = server()
    endpoint.receive(b"BAD\r\n\r\n")
    endpoint.lose(ConnectionResetError())
    assert closed(endpoint).reason is CloseReason.PROTOCOL_ERROR


def test_a_server_opens_no_streams() -> None:
    endpoint = server()
    assert endpoint.connection.available_streams == 0
    with pytest.raises(LocalProtocolError):
        endpoint.connection.next_stream_id()
    with pytest.raises(LocalProtocolError):
        endpoint.send(Request(1, "GET", "http", "a", "/", []), EndOfMessage(1))


def test_the_events_of_a_whole_exchange() -> None:
    endpoint = server()
    endpoint.receive(head("POST / HTTP/1.1", "Host: a", "Content-Length: 2") + b"ab")
    headers = (("Host", "a"), ("Content-Length", "2"))
    assert coalesce(endpoint.events) == [
        Request(1, "POST", "http", "a", "/", headers),
        Data(1, b"ab", 2),
        EndOfMessage(1),
    ]
