"""HTTP/1.1: one connection of either engine, and bytes that its peer may send."""

from __future__ import annotations

from dataclasses import replace

import pytest

from plait_engine import (
    Accept,
    CloseAction,
    CloseReason,
    Config,
    ConnectionClosed,
    Data,
    EndOfMessage,
    ErrorCode,
    Event,
    Headers,
    InformationalResponse,
    Initiator,
    Limits,
    LocalProtocolError,
    RemoteProtocolError,
    Request,
    Response,
    Role,
    StreamReset,
    Timeouts,
    create_connection,
)
from plait_engine.engines import EngineName
from plait_engine.testing import TEST_CONFIG, Endpoint, Fragmenter
from tests.engine.contract.messages import body, kinds, taken


def connect(
    role: Role, engine: EngineName, fragment: Fragmenter, config: Config = TEST_CONFIG
) -> Endpoint:
    connection = create_connection(role, "http/1.1", config, engine=engine)
    endpoint = Endpoint(connection, fragment=fragment)
    endpoint.start()
    return endpoint


@pytest.fixture
def server(engine: EngineName, fragment: Fragmenter) -> Endpoint:
    return connect(Role.SERVER, engine, fragment)


@pytest.fixture
def client(engine: EngineName, fragment: Fragmenter) -> Endpoint:
    """A client that has asked for a switch to WebSocket."""
    endpoint = connect(Role.CLIENT, engine, fragment)
    endpoint.send(Request(1, "GET", "http", "a", "/", (), "websocket"))
    endpoint.take_sent()
    return endpoint


def last_error(endpoint: Endpoint) -> RemoteProtocolError:
    closed = endpoint.events[-1]
    assert isinstance(closed, ConnectionClosed)
    assert closed.reason is CloseReason.PROTOCOL_ERROR
    assert isinstance(closed.error, RemoteProtocolError)
    return closed.error


# -- requests ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "head",
    [
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3",
        "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked",
        "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 3",
        "GET / HTTP/1.2\r\nAccept: */*",
        "CONNECT a HTTP/1.1\r\nHost: a",
        "CONNECT a: HTTP/1.1\r\nHost: a",
        "GET /a\\b HTTP/1.1\r\nHost: a",
        "GET /a#b HTTP/1.1\r\nHost: a",
        "GET http://a/#b HTTP/1.1\r\nHost: a",
    ],
)
def test_a_head_that_is_refused(server: Endpoint, head: str) -> None:
    server.receive(head.encode() + b"\r\n\r\n")
    server.receive_eof()
    assert server.take_sent().startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert kinds(server.take()) == [ConnectionClosed]
    assert last_error(server).status_hint == 400


@pytest.mark.parametrize(
    ("method", "received", "target"),
    [
        ("GET", "http://b.example", "/"),
        ("GET", "http://b.example?q=1", "/?q=1"),
        ("OPTIONS", "http://b.example", "*"),
        ("OPTIONS", "http://b.example/x", "/x"),
    ],
)
def test_a_target_in_absolute_form(
    server: Endpoint, method: str, received: str, target: str
) -> None:
    # RFC 9112 sections 3.2.2 and 3.2.4
    server.receive(f"{method} {received} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    head = server.take()[0]
    assert isinstance(head, Request)
    assert (head.authority, head.target) == ("b.example", target)


def test_content_that_breaks_behind_the_head_of_the_response(server: Endpoint) -> None:
    server.receive(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    server.send(Response(1, 200, [("Content-Length", "9")]), Data(1, b"half"))
    assert server.take_sent().endswith(b"\r\n\r\nhalf")
    server.receive(b"no size\r\n")
    server.receive_eof()
    assert server.take_sent() == b""  # A second response would be taken for content.
    assert kinds(server.take()) == [Request, StreamReset, ConnectionClosed]
    last_error(server)


def test_content_that_nobody_wants_is_read_up_to_a_limit(
    engine: EngineName, fragment: Fragmenter
) -> None:
    config = replace(TEST_CONFIG, limits=Limits(max_drain=100))
    server = connect(Role.SERVER, engine, fragment, config)
    server.receive(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    server.send(Response(1, 403), EndOfMessage(1), StreamReset(1, ErrorCode.NO_ERROR))
    server.receive(b"64\r\n" + b"x" * 100 + b"\r\n")
    assert not server.connection.wants_close
    server.receive(b"1\r\nx")
    assert server.connection.wants_close is CloseAction.WRITE_EOF
    server.receive_eof()
    assert kinds(server.take()) == [Request, ConnectionClosed]


def test_content_that_nobody_wants_needs_no_acknowledgement(
    engine: EngineName, fragment: Fragmenter
) -> None:
    config = replace(TEST_CONFIG, limits=Limits(read_high_water=100))
    server = connect(Role.SERVER, engine, fragment, config)
    server.acknowledges = False
    server.receive(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 202\r\n\r\n" + b"x" * 101)
    assert not server.connection.wants_read
    server.send(Response(1, 403), EndOfMessage(1), StreamReset(1, ErrorCode.NO_ERROR))
    assert server.connection.wants_read
    server.receive(b"x" * 101)
    assert server.connection.wants_read


def test_the_input_ends_before_the_tunnel_is_accepted(server: Endpoint) -> None:
    server.receive(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\nearly")
    server.receive_eof()
    assert kinds(server.take()) == [Request]
    server.send(Accept(1))
    events = server.take()
    assert (body(events), kinds(events)[-1]) == (b"early", EndOfMessage)
    server.send(Data(1, b"late"), EndOfMessage(1))
    assert server.take_sent().endswith(b"\r\n\r\nlate")
    assert kinds(server.take()) == [ConnectionClosed]


def test_the_input_ends_in_what_may_become_the_preface(
    engine: EngineName, fragment: Fragmenter
) -> None:
    config = replace(TEST_CONFIG, detect_http2=True)
    server = connect(Role.SERVER, engine, fragment, config)
    server.receive(b"PRI * HTTP")
    assert server.take() == []
    server.receive_eof()
    (closed,) = server.take()
    assert isinstance(closed, ConnectionClosed)


# -- responses --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "response",
    [
        "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 200 O\x7fK\r\n\r\n",
        "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n",
        "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n",
    ],
)
def test_a_response_that_is_refused(client: Endpoint, response: str) -> None:
    client.receive(response.encode())
    events = [event for event in client.take() if not isinstance(event, InformationalResponse)]
    assert kinds(events) == [StreamReset, ConnectionClosed]
    last_error(client)


def test_100_for_a_client_that_does_not_wait(engine: EngineName, fragment: Fragmenter) -> None:
    client = connect(Role.CLIENT, engine, fragment)
    client.send(Request(1, "GET", "http", "a", "/", ()), EndOfMessage(1))
    client.receive(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n")
    events: list[Event] = client.take()[:3]
    assert kinds(events) == [InformationalResponse, Response, EndOfMessage]
    assert client.connection.available_streams == 1


def test_content_behind_a_response_that_came_before_it(
    engine: EngineName, fragment: Fragmenter
) -> None:
    client = connect(Role.CLIENT, engine, fragment)
    fields = [("Expect", "100-continue"), ("Content-Length", "7")]
    client.send(Request(1, "POST", "http", "a", "/", fields), Data(1, b"con"))
    client.take_sent()
    client.receive(b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\n")
    client.send(Data(1, b"tent"))
    assert client.take_sent() == b""  # RFC 9110 section 10.1.1


# -- what is sent -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "head",
    [
        Request(1, "CONNECT", "http", "a:1", "a:1", (), "websocket"),
        Request(1, "CONNECT", "http", "a:1", "a:1", [("Content-Length", "3")]),
        Request(1, "GET", "http", "a", "/", [("Content-Length", "3")], "websocket"),
        Request(
            1, "POST", "http", "a", "/", [("Content-Length", "3"), ("Transfer-Encoding", "chunked")]
        ),
    ],
)
def test_a_request_that_has_no_form(
    engine: EngineName, fragment: Fragmenter, head: Request
) -> None:
    client = connect(Role.CLIENT, engine, fragment)
    with pytest.raises(LocalProtocolError):
        client.send(head)
    assert client.take_sent() == b""
    assert client.connection.available_streams == 1


def test_the_fields_of_a_switch_are_not_said_twice(
    engine: EngineName, fragment: Fragmenter
) -> None:
    client = connect(Role.CLIENT, engine, fragment)
    fields = [("Upgrade", "WebSocket"), ("Connection", "x, Upgrade")]
    client.send(Request(1, "GET", "http", "a", "/", fields, "websocket"))
    lines = client.take_sent().lower().split(b"\r\n")
    assert [line for line in lines if line.startswith(b"upgrade")] == [b"upgrade: websocket"]
    assert [line for line in lines if line.startswith(b"conn")] == [b"connection: x, upgrade"]


def test_content_needs_the_head_of_the_response_to_head(server: Endpoint) -> None:
    server.receive(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
    with pytest.raises(LocalProtocolError):
        server.send(Data(1, b"early"))
    server.send(Response(1, 200), Data(1, b"dropped"), EndOfMessage(1))
    assert server.take_sent().startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("how", ["says close", "closes"])
def test_a_server_that_leaves_before_the_request_is_complete(
    engine: EngineName, fragment: Fragmenter, how: str
) -> None:
    client = connect(Role.CLIENT, engine, fragment)
    client.send(Request(1, "POST", "http", "a", "/", ()), Data(1, b"part"))
    field = b"Connection: close\r\n" if how == "says close" else b""
    client.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + field + b"\r\nok")
    if how == "closes":
        client.receive_eof()
    events = taken(client)
    assert kinds(events) == [Response, Data, EndOfMessage, StreamReset]
    assert (events[-1].code, events[-1].initiator) == (ErrorCode.NO_ERROR, Initiator.REMOTE)
    closed = client.events[-1]
    assert isinstance(closed, ConnectionClosed)
    assert closed.reason is CloseReason.PEER


# -- bytes that the adapter writes itself ------------------------------------------------------


def reserve(endpoint: Endpoint, stream_id: int, size: int) -> None:
    endpoint.connection.reserve(stream_id, size, endpoint.clock.now)


def test_reserved_bytes_count_as_content(server: Endpoint) -> None:
    server.receive(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    server.send(Response(1, 200, [("Content-Length", "10")]), Data(1, b"12"))
    server.take_sent()
    reserve(server, 1, 5)
    with pytest.raises(LocalProtocolError):
        reserve(server, 1, 4)
    with pytest.raises(LocalProtocolError):
        server.send(EndOfMessage(1))
    server.send(Data(1, b"890"), EndOfMessage(1))
    assert server.take_sent() == b"890"
    server.receive(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert server.connection.open_streams == 1


def test_content_of_no_known_length_cannot_be_reserved(server: Endpoint) -> None:
    server.receive(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    server.send(Response(1, 200))
    for stream_id in (1, 3):
        with pytest.raises(LocalProtocolError):
            reserve(server, stream_id, 5)
    server.send(EndOfMessage(1))
    assert server.take_sent().endswith(b"\r\n0\r\n\r\n")


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("length", [True, False])
def test_only_a_length_can_be_reserved_whatever_the_client_speaks(
    server: Endpoint, version: str, length: bool
) -> None:
    server.receive(f"GET / HTTP/{version}\r\nHost: a\r\n\r\n".encode())
    server.send(Response(1, 200, [("Content-Length", "5")] if length else []))
    server.take_sent()
    if length:
        reserve(server, 1, 5)
    else:
        with pytest.raises(LocalProtocolError):
            reserve(server, 1, 5)
    server.send(EndOfMessage(1))


def test_content_that_waits_for_100_cannot_be_reserved(
    engine: EngineName, fragment: Fragmenter
) -> None:
    client = connect(Role.CLIENT, engine, fragment)
    fields = [("Expect", "100-continue"), ("Content-Length", "5")]
    client.send(Request(1, "POST", "http", "a", "/", fields))
    with pytest.raises(LocalProtocolError):
        reserve(client, 1, 5)
    client.receive(b"HTTP/1.1 100 Continue\r\n\r\n")
    reserve(client, 1, 5)
    client.send(EndOfMessage(1))


def test_a_tunnel_reserves_nothing(server: Endpoint) -> None:
    server.receive(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n")
    server.send(Accept(1))
    with pytest.raises(LocalProtocolError):
        reserve(server, 1, 5)


# -- time -------------------------------------------------------------------------------------


def test_a_transport_that_takes_little_gets_more_time(
    engine: EngineName, fragment: Fragmenter
) -> None:
    times = Timeouts(head=None, body=None, keep_alive=None, write=10.0)
    config = replace(TEST_CONFIG, limits=Limits(write_quantum=10), timeouts=times)
    connection = create_connection(Role.SERVER, "http/1.1", config, engine=engine)
    connection.connection_made(0.0)
    connection.receive_data(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0.0)
    connection.send(Response(1, 200), Data(1, b"x" * 100), now=0.0)
    for now in (10.0, 20.0):
        assert connection.data_to_send()
        connection.handle_timeout(now)
        assert not connection.wants_close
    connection.handle_timeout(30.0)
    assert connection.wants_close is CloseAction.ABORT


def test_a_server_lingers_for_a_time(server: Endpoint) -> None:
    server.receive(b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n")
    server.clock.now += TEST_CONFIG.timeouts.close - 0.1
    server.handle_timeout()
    assert not server.is_closed
    server.clock.now += 0.2
    server.handle_timeout()
    assert last_error(server).status_hint == 400


def test_the_loss_of_a_server_that_lingers_is_no_news(server: Endpoint) -> None:
    server.receive(b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n")
    server.lose(ConnectionResetError())
    assert last_error(server).status_hint == 400


# -- requests in HTTP/1.0 ---------------------------------------------------------------------

KEPT = (("Connection", "keep-alive"),)


def old_request(method: str = "GET", headers: Headers = (), protocol: str | None = None) -> Request:
    return Request(1, method, "http", "a", "/", headers, protocol, http_version="1.0")


def test_a_request_in_http10(engine: EngineName, fragment: Fragmenter) -> None:
    client = connect(Role.CLIENT, engine, fragment)
    client.send(old_request(), EndOfMessage(1))
    assert client.take_sent() == b"GET / HTTP/1.0\r\nHost: a\r\n\r\n"
    client.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    assert kinds(taken(client)) == [Response, Data, EndOfMessage]
    # RFC 9112 section 9.3: neither side said that the connection goes on.
    assert isinstance(client.events[-1], ConnectionClosed)


def test_content_in_http10_has_a_length(engine: EngineName, fragment: Fragmenter) -> None:
    client = connect(Role.CLIENT, engine, fragment)
    client.send(old_request("POST"), Data(1, b"body"), EndOfMessage(1))
    head, _, content = client.take_sent().partition(b"\r\n\r\n")
    assert head.startswith(b"POST / HTTP/1.0\r\n")
    assert b"content-length: 4" in head.lower()
    assert content == b"body"


def test_a_connection_of_http10_that_is_kept(engine: EngineName, fragment: Fragmenter) -> None:
    client = connect(Role.CLIENT, engine, fragment)
    client.send(old_request(headers=KEPT), EndOfMessage(1))
    client.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    assert client.connection.available_streams == 1
    client.send(replace(old_request(headers=KEPT), stream_id=3), EndOfMessage(3))
    assert client.take_sent().count(b"GET / HTTP/1.0\r\n") == 2


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (old_request("POST"), "chunks"),
        (old_request("POST", [("Transfer-Encoding", "chunked")]), "chunks"),
        (old_request(protocol="websocket"), "Upgrade"),
        (old_request("PUT", [("Content-Length", "2"), ("Expect", "100-continue")]), "100"),
    ],
)
def test_what_http10_has_not(
    engine: EngineName, fragment: Fragmenter, request_: Request, reason: str
) -> None:
    client = connect(Role.CLIENT, engine, fragment)
    with pytest.raises(LocalProtocolError, match=reason):
        client.send(request_)
    assert client.take_sent() == b""
    assert client.connection.available_streams == 1
