"""The client's side of 100 Continue, of tunnels, and of the end of a connection."""

from __future__ import annotations

import pytest

from plait_engine import (
    Accept,
    CloseAction,
    CloseReason,
    ConnectionState,
    Data,
    EndOfMessage,
    ErrorCode,
    InformationalResponse,
    Initiator,
    LocalProtocolError,
    Request,
    Writable,
)
from plait_engine.events import Sendable
from plait_engine.testing import Endpoint, Fragmenter, coalesce
from tests.engine.chops import CHOPS
from tests.engine.http1.helpers import (
    ask,
    body_of,
    client,
    closed,
    ended,
    request,
    resets,
    responses,
)

each_chop = pytest.mark.parametrize("chop", CHOPS)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


# -- 100 Continue ---------------------------------------------------------------------------------


def _expect(endpoint: Endpoint, *body: Sendable) -> None:
    fields = [("Expect", "100-continue"), ("Content-Length", "5")]
    endpoint.send(request("POST", headers=fields), *body)


HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"


@each_chop
def test_content_waits_for_100(chop: Fragmenter) -> None:
    endpoint = client(chop)
    _expect(endpoint)
    assert endpoint.connection.send_capacity(1) == 0
    endpoint.send(Data(1, b"hello"))
    assert endpoint.take_sent() == HEAD
    endpoint.receive(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert endpoint.take() == [InformationalResponse(1, 100), Writable(1)]
    assert endpoint.take_sent() == b"hello"
    assert endpoint.connection.send_capacity(1) > 0
    endpoint.send(EndOfMessage(1))
    endpoint.receive(OK)
    assert endpoint.connection.available_streams == 1


def test_a_complete_message_waits_for_100_too() -> None:
    endpoint = client()
    _expect(endpoint, Data(1, b"hello"), EndOfMessage(1))
    assert endpoint.take_sent() == HEAD
    endpoint.receive(b"HTTP/1.1 103 \r\n\r\n")
    assert endpoint.take_sent() == b""
    endpoint.receive(b"HTTP/1.1 100 \r\n\r\n")
    assert endpoint.take_sent() == b"hello"


def test_the_client_does_not_wait_for_ever() -> None:
    endpoint = client()
    _expect(endpoint)
    endpoint.send(Data(1, b"hello"))
    deadline = endpoint.connection.next_timeout()
    assert deadline == endpoint.clock.now + 1.0
    endpoint.take_sent()
    endpoint.clock.now = deadline
    endpoint.handle_timeout()
    assert endpoint.take() == [Writable(1)]
    assert endpoint.take_sent() == b"hello"
    endpoint.send(EndOfMessage(1))
    endpoint.receive(b"HTTP/1.1 100 Continue\r\n\r\n" + OK)
    assert ended(endpoint)


def test_a_final_response_instead_of_100_drops_the_content() -> None:
    """C11; RFC 9110 section 10.1.1."""
    endpoint = client()
    _expect(endpoint)
    endpoint.send(Data(1, b"hel"))
    endpoint.take_sent()
    endpoint.receive(b"HTTP/1.1 417 No\r\nContent-Length: 10\r\n\r\n")
    assert Writable(1) in endpoint.take()
    endpoint.send(Data(1, b"lo"), EndOfMessage(1))
    assert endpoint.take_sent() == b""
    endpoint.receive(b"0123456789")
    assert ended(endpoint)
    assert endpoint.connection.wants_close is CloseAction.CLOSE
    assert resets(endpoint) == []


@pytest.mark.parametrize("more", [[], [("Content-Length", "0")]])
def test_expect_without_content_waits_for_nothing(more: list[tuple[str, str]]) -> None:
    endpoint = client()
    endpoint.send(request(headers=[("Expect", "100-continue"), *more]), EndOfMessage(1))
    assert endpoint.connection.next_timeout() is None
    endpoint.receive(OK)
    assert endpoint.connection.available_streams == 1


# -- tunnels --------------------------------------------------------------------------------------

SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nconnection: Upgrade\r\n\r\n"


@each_chop
def test_an_accepted_upgrade_becomes_a_tunnel(chop: Fragmenter) -> None:
    endpoint = client(chop)
    endpoint.send(request(protocol="websocket"))
    assert endpoint.connection.send_capacity(1) == 0
    with pytest.raises(LocalProtocolError):
        endpoint.send(Data(1, b"too early"))
    endpoint.take_sent()
    endpoint.receive(SWITCH + b"down")
    events = coalesce(endpoint.events)
    assert events == [
        Accept(1, (("upgrade", "WebSocket"), ("connection", "Upgrade"))),
        Data(1, b"down", 4),
    ]
    endpoint.send(Data(1, b"up"))
    assert endpoint.take_sent() == b"up"
    endpoint.receive_eof()
    assert ended(endpoint)
    assert not endpoint.is_closed
    endpoint.send(EndOfMessage(1))
    assert endpoint.is_closed


@each_chop
def test_a_declined_upgrade_leaves_the_connection(chop: Fragmenter) -> None:
    endpoint = client(chop)
    endpoint.send(request(protocol="websocket"))
    endpoint.receive(OK)
    assert ended(endpoint)
    assert endpoint.connection.available_streams == 1


@pytest.mark.parametrize(
    "data",
    [
        SWITCH.replace(b"WebSocket", b"other"),
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    ],
)
def test_a_switch_to_something_else_is_an_error(data: bytes) -> None:
    """C12."""
    endpoint = client()
    endpoint.send(request(protocol="websocket"))
    endpoint.receive(data)
    assert len(resets(endpoint)) == 1


def test_200_does_not_switch() -> None:
    """C12: only 101 enters the upgrade."""
    endpoint = client()
    endpoint.send(request(protocol="websocket"))
    endpoint.receive(SWITCH.replace(b"101", b"200"))
    assert endpoint.recorder.of_type(Accept) == []
    assert len(responses(endpoint)) == 1


@each_chop
def test_connect(chop: Fragmenter) -> None:
    """C9: 2xx to CONNECT is a tunnel whatever its fields say."""
    endpoint = client(chop)
    endpoint.send(Request(1, "CONNECT", "http", "b:1", "b:1", []))
    endpoint.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntunnel")
    assert isinstance(endpoint.events[0], Accept)
    assert body_of(endpoint) == b"tunnel"
    endpoint.send(EndOfMessage(1))
    assert endpoint.connection.wants_close is CloseAction.WRITE_EOF


def test_connect_declined() -> None:
    endpoint = client()
    endpoint.send(Request(1, "CONNECT", "http", "b:1", "b:1", []))
    endpoint.receive(b"HTTP/1.1 407 Auth\r\nContent-Length: 2\r\n\r\nno")
    assert responses(endpoint)[0].status == 407
    assert endpoint.connection.available_streams == 1


# -- the end --------------------------------------------------------------------------------------


def test_close_on_an_idle_connection() -> None:
    endpoint = client()
    endpoint.close()
    assert endpoint.connection.wants_close is CloseAction.CLOSE
    assert closed(endpoint).reason is CloseReason.LOCAL


def test_close_lets_the_exchange_finish() -> None:
    endpoint = client()
    ask(endpoint)
    endpoint.close()
    assert endpoint.connection.state is ConnectionState.DRAINING
    endpoint.receive(OK)
    assert ended(endpoint)
    assert closed(endpoint).reason is CloseReason.LOCAL


def test_close_with_a_code_is_at_once() -> None:
    endpoint = client()
    ask(endpoint)
    endpoint.close(ErrorCode.CANCEL)
    (reset,) = resets(endpoint)
    assert (reset.code, reset.initiator) == (ErrorCode.CANCEL, Initiator.LOCAL)
    assert endpoint.connection.wants_close is CloseAction.ABORT


def test_a_request_that_closes_is_the_last() -> None:
    endpoint = client()
    ask(endpoint, Connection="close")
    endpoint.receive(OK)
    assert closed(endpoint).reason is CloseReason.LOCAL


def test_a_closed_connection_takes_no_request() -> None:
    endpoint = client()
    endpoint.close()
    with pytest.raises(LocalProtocolError):
        endpoint.connection.next_stream_id()
    with pytest.raises(LocalProtocolError):
        endpoint.send(request(), EndOfMessage(1))
    endpoint.acknowledge(1, 5)
    endpoint.close()
    assert len(endpoint.events) == 1
