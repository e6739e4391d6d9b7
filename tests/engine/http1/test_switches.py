"""Switching protocols behind an ordinary request, on both sides (RFC 9110 section 7.8)."""

from __future__ import annotations

import pytest

from plait_engine import (
    Accept,
    CloseAction,
    Data,
    EndOfMessage,
    ErrorCode,
    LocalProtocolError,
    Request,
    Response,
    StreamReset,
)
from plait_engine.testing import Endpoint, Fragmenter, coalesce
from tests.engine.chops import CHOPS
from tests.engine.http1.helpers import (
    GET,
    answer,
    body_of,
    client,
    config,
    head,
    request,
    requests,
    resets,
    responses,
    server,
    statuses,
)

each_chop = pytest.mark.parametrize("chop", CHOPS)

UPGRADE = [("Connection", "Upgrade"), ("Upgrade", "tcp, Foo/2")]
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: TCP\r\nConnection: Upgrade\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

# -- a client -------------------------------------------------------------------------------------


def _ask(endpoint: Endpoint, content: bytes = b"", **fields: str) -> None:
    headers = [*UPGRADE, *((name.replace("_", "-"), value) for name, value in fields.items())]
    body = [Data(1, content)] if content else []
    method = "POST" if content else "GET"
    endpoint.send(request(method, headers=headers), *body, EndOfMessage(1))


@each_chop
@pytest.mark.parametrize("content", [b"", b"content"])
def test_a_client_may_be_switched(content: bytes, chop: Fragmenter) -> None:
    endpoint = client(chop)
    _ask(endpoint, content)
    assert endpoint.take_sent().endswith(b"\r\n\r\n" + content)
    endpoint.receive(SWITCH + b"HTTP/1.1 200 OK\r\n\r\n")
    assert coalesce(endpoint.events) == [
        Accept(1, (("Upgrade", "TCP"), ("Connection", "Upgrade"))),
        Data(1, b"HTTP/1.1 200 OK\r\n\r\n", 19),
    ]
    assert endpoint.connection.available_streams == 0
    assert endpoint.connection.send_capacity(1) > 0
    endpoint.send(Data(1, b"up"))
    endpoint.send(Data(1, b"!"), EndOfMessage(1))
    assert endpoint.take_sent() == b"up!"
    assert endpoint.connection.wants_close is CloseAction.WRITE_EOF
    endpoint.receive(b"more")
    endpoint.receive_eof()
    assert body_of(endpoint).endswith(b"more")
    assert endpoint.is_closed
    assert endpoint.connection.wants_close is CloseAction.CLOSE
    assert resets(endpoint) == []


@each_chop
def test_the_server_may_end_the_tunnel_first(chop: Fragmenter) -> None:
    endpoint = client(chop)
    _ask(endpoint)
    endpoint.receive(SWITCH)
    endpoint.receive_eof()
    assert endpoint.events[-1] == EndOfMessage(1)
    endpoint.send(Data(1, b"late"), EndOfMessage(1))
    assert endpoint.take_sent().endswith(b"late")
    assert endpoint.is_closed


@each_chop
def test_a_server_that_does_not_switch(chop: Fragmenter) -> None:
    endpoint = client(chop)
    _ask(endpoint, b"content")
    endpoint.receive(b"HTTP/1.1 102 Processing\r\n\r\n" + OK)
    assert responses(endpoint)[0].status == 200
    assert endpoint.connection.available_streams == 1


NO_CONNECTION = [("Upgrade", "tcp")]


@each_chop
@pytest.mark.parametrize(
    ("headers", "answer"),
    [
        pytest.param([], SWITCH, id="not asked"),
        pytest.param(NO_CONNECTION, SWITCH, id="not asked in Connection"),
        pytest.param([("Connection", "Upgrade"), ("Upgrade", "h2c")], SWITCH, id="asked for h2c"),
        pytest.param(UPGRADE, SWITCH.replace(b"TCP", b"websocket"), id="another one"),
        pytest.param(UPGRADE, SWITCH.replace(b"TCP", b"tcp, websocket"), id="one more"),
        pytest.param(UPGRADE, SWITCH.replace(b"TCP", b""), id="none"),
        pytest.param(UPGRADE, SWITCH.replace(b"Connection: Upgrade\r\n", b""), id="no Connection"),
        pytest.param(
            [("Connection", "Upgrade"), ("Upgrade", "h2c, tcp")],
            SWITCH.replace(b"TCP", b"h2c"),
            id="h2c",
        ),
    ],
)
def test_a_switch_that_nobody_asked_for(
    headers: list[tuple[str, str]], answer: bytes, chop: Fragmenter
) -> None:
    """C12."""
    endpoint = client(chop)
    endpoint.send(request(headers=headers), EndOfMessage(1))
    endpoint.receive(answer + OK)
    (reset,) = resets(endpoint)
    assert reset.error is not None
    assert "101" in str(reset.error)
    assert endpoint.recorder.of_type(Accept) == []
    assert endpoint.connection.wants_close is CloseAction.CLOSE


def test_several_layers_may_be_switched_at_once() -> None:
    endpoint = client()
    _ask(endpoint)
    endpoint.receive(SWITCH.replace(b"TCP", b"foo/2, tcp"))
    assert len(endpoint.recorder.of_type(Accept)) == 1


@each_chop
def test_a_switch_in_the_middle_of_the_request(chop: Fragmenter) -> None:
    endpoint = client(chop)
    endpoint.send(request("POST", headers=UPGRADE), Data(1, b"unfinished"))
    endpoint.receive(SWITCH)
    (reset,) = resets(endpoint)
    assert "before the end of the request" in str(reset.error)


def test_a_switch_while_the_content_waits_for_100() -> None:
    """RFC 9110 section 7.8: a server sends 100 before 101."""
    endpoint = client()
    _ask(endpoint, b"content", Expect="100-continue", Content_Length="7")
    endpoint.receive(SWITCH)
    (reset,) = resets(endpoint)
    assert "before the end of the request" in str(reset.error)


def test_a_switch_behind_100() -> None:
    endpoint = client()
    _ask(endpoint, b"content", Expect="100-continue", Content_Length="7")
    endpoint.receive(b"HTTP/1.1 100 Continue\r\n\r\n" + SWITCH + b"x")
    assert body_of(endpoint) == b"x"


def test_a_switch_that_is_not_wanted_any_more() -> None:
    endpoint = client()
    _ask(endpoint)
    endpoint.send(StreamReset(1, ErrorCode.NO_ERROR))
    endpoint.receive(SWITCH + b"x")
    assert endpoint.recorder.of_type(Accept) == []
    assert endpoint.is_closed


def test_the_next_request_did_not_ask() -> None:
    endpoint = client()
    _ask(endpoint)
    endpoint.receive(OK)
    endpoint.send(Request(3, "GET", "http", "a", "/", ()), EndOfMessage(3))
    endpoint.receive(SWITCH)
    assert len(resets(endpoint)) == 1


def test_a_request_for_a_tunnel_asks_for_nothing_else() -> None:
    endpoint = client()
    endpoint.send(request(headers=[("Upgrade", "websocket, tcp")], protocol="websocket"))
    endpoint.receive(SWITCH)
    assert len(resets(endpoint)) == 1


# -- a server -------------------------------------------------------------------------------------

HEAD = head("GET /x HTTP/1.1", "Host: a", "Connection: keep-alive, Upgrade", "Upgrade: TCP, foo")
POST = head(
    "POST / HTTP/1.1", "Host: a", "Connection: upgrade", "Upgrade: tcp", "Content-Length: 7"
)
SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: Tcp\r\nConnection: Upgrade\r\nX: y\r\n\r\n"
)


@each_chop
@pytest.mark.parametrize(("asked", "content"), [(HEAD, b""), (POST, b"content")])
def test_a_server_may_switch(asked: bytes, content: bytes, chop: Fragmenter) -> None:
    endpoint = server(chop)
    endpoint.receive(asked + content + b"early")
    assert requests(endpoint)[0].protocol is None
    assert body_of(endpoint) == content
    assert endpoint.events[-1] == EndOfMessage(1)
    endpoint.send(Accept(1, [("X", "y"), ("Upgrade", "z"), ("Content-Length", "5")], "Tcp"))
    assert endpoint.take_sent() == SWITCHED
    endpoint.receive(b" late" + GET)
    assert body_of(endpoint) == content + b"early late" + GET
    endpoint.send(Data(1, b"down"), EndOfMessage(1))
    assert endpoint.take_sent() == b"down"
    assert endpoint.connection.wants_close is CloseAction.WRITE_EOF
    endpoint.receive_eof()
    assert endpoint.is_closed
    assert len(requests(endpoint)) == 1


def test_a_client_that_ended_before_the_switch() -> None:
    endpoint = server()
    endpoint.receive(HEAD + b"x")
    endpoint.receive_eof()
    endpoint.send(Accept(1, (), "tcp"))
    assert endpoint.events[-2:] == [Data(1, b"x", 1), EndOfMessage(1)]
    endpoint.send(Data(1, b"bye"), EndOfMessage(1))
    assert endpoint.take_sent().endswith(b"bye")
    assert endpoint.is_closed


@each_chop
def test_what_follows_a_request_that_is_not_switched_is_the_next_one(chop: Fragmenter) -> None:
    """S11: a refused Upgrade never makes the bytes behind it anything but a request."""
    endpoint = server(chop)
    endpoint.receive(HEAD + POST + b"content" + GET)
    for number in range(1, 6, 2):
        assert statuses(answer(endpoint, number)) == [200]
    assert [asked.method for asked in requests(endpoint)] == ["GET", "POST", "GET"]
    with pytest.raises(LocalProtocolError):
        endpoint.send(Accept(7, (), "tcp"))


@each_chop
@pytest.mark.parametrize(
    ("asked", "protocol"),
    [
        pytest.param(GET, "tcp", id="not asked"),
        pytest.param(HEAD, "websocket", id="another one"),
        pytest.param(HEAD, None, id="none named"),
        pytest.param(HEAD, "", id="empty"),
        pytest.param(HEAD, "tcp, foo", id="a list"),
        pytest.param(HEAD, "tcp\r\nX: y", id="a line end"),
        pytest.param(head("GET / HTTP/1.1", "Host: a", "Upgrade: tcp"), "tcp", id="no Connection"),
        pytest.param(
            head("GET / HTTP/1.0", "Connection: upgrade", "Upgrade: tcp"), "tcp", id="HTTP/1.0"
        ),
        pytest.param(
            head("GET / HTTP/1.1", "Host: a", "Connection: upgrade", "Upgrade: h2c"),
            "h2c",
            id="h2c",
        ),
        pytest.param(
            head("GET / HTTP/1.1", "Host: a", "Connection: upgrade", "Upgrade: k"),
            "\u212a",
            id="kelvin",
        ),
        pytest.param(
            head("CONNECT b:1 HTTP/1.1", "Host: b:1", "Connection: upgrade", "Upgrade: tcp"),
            "tcp",
            id="CONNECT",
        ),
    ],
)
def test_a_server_switches_to_what_was_asked_for_only(
    asked: bytes, protocol: str | None, chop: Fragmenter
) -> None:
    endpoint = server(chop)
    endpoint.receive(asked)
    with pytest.raises(LocalProtocolError):
        endpoint.send(Accept(1, (), protocol))
    assert endpoint.take_sent() == b""
    assert statuses(answer(endpoint, status=500)) == [500]


def test_the_request_before_asked_and_this_one_not() -> None:
    endpoint = server()
    endpoint.receive(HEAD + GET)
    answer(endpoint)
    with pytest.raises(LocalProtocolError):
        endpoint.send(Accept(3, (), "tcp"))
    assert statuses(answer(endpoint, 3)) == [200]


@pytest.mark.parametrize("part", [b"", b"cont"])
def test_a_server_switches_behind_the_request(part: bytes) -> None:
    endpoint = server()
    endpoint.receive(POST + part)
    with pytest.raises(LocalProtocolError, match="behind the end"):
        endpoint.send(Accept(1, (), "tcp"))
    endpoint.receive(b"content"[len(part) :] + b"x")
    endpoint.send(Accept(1, (), "tcp"))
    assert body_of(endpoint) == b"contentx"


def test_an_offered_tunnel_may_be_switched_to_another_protocol() -> None:
    endpoint = server()
    endpoint.receive(
        head("GET / HTTP/1.1", "Host: a", "Connection: upgrade", "Upgrade: websocket, tcp") + b"x"
    )
    assert requests(endpoint)[0].protocol == "websocket"
    endpoint.send(Accept(1, (), "tcp"))
    assert endpoint.take_sent().startswith(SWITCH[:34] + b"Upgrade: tcp\r\n")
    assert body_of(endpoint) == b"x"


def test_what_comes_before_the_switch_is_bounded() -> None:
    endpoint = server(settings=config(max_pipelined=100))
    endpoint.receive(HEAD)
    endpoint.receive(b"x" * 100)
    assert not endpoint.connection.wants_read
    endpoint.send(Accept(1, (), "tcp"))
    assert endpoint.connection.wants_read
    assert body_of(endpoint) == b"x" * 100


def test_no_switch_behind_the_head_of_a_response() -> None:
    endpoint = server()
    endpoint.receive(HEAD)
    endpoint.send(Response(1, 200))
    with pytest.raises(LocalProtocolError, match="the head is out"):
        endpoint.send(Accept(1, (), "tcp"))


def test_over_tls_a_server_that_has_ended_waits_for_nobody() -> None:
    """TLS cannot be half-closed: the client hears of the end by the close."""
    endpoint = server(settings=config(half_close=False))
    endpoint.receive(HEAD)
    endpoint.send(Accept(1, (), "tcp"), Data(1, b"bye"), EndOfMessage(1))
    assert not endpoint.transport.is_closing()
    endpoint.receive(b"more")
    endpoint.send(StreamReset(1, ErrorCode.NO_ERROR))
    assert endpoint.take_sent().endswith(b"bye")
    assert endpoint.transport.is_closing()
