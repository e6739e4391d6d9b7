"""What an error says, what it is, and what it keeps alive."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import pytest

from plait_engine import (
    Connection,
    ConnectionClosed,
    Data,
    EndOfMessage,
    FieldTypeError,
    Headers,
    InformationalResponse,
    LocalProtocolError,
    Request,
    Response,
    Role,
    StreamReset,
    create_connection,
)
from plait_engine.testing import TEST_CONFIG, Endpoint, Fragmenter, Pair, bytewise, whole
from tests.engine.contract.messages import get, kinds, request, respond, taken

# -- a server that does not speak HTTP/1.1, and says no more ------------------------------------

GREETINGS = {
    "ssh": b"SSH-2.0-OpenSSH_9.6\r\n",
    "smtp": b"220 mail.example.org ESMTP\r\n",
    "redis": b"-ERR wrong number of arguments\r\n",
    "html": b"<!DOCTYPE html>\n<html>",
    "http2-settings": b"\0\0\x12\4\0\0\0\0\0\0\3\0\0\0\x64\0\4\0\1\0\0\0\5\0\1\0\0",
    "tls-alert": b"\x15\3\1\0\2\2\x46",
    "other-version": b"HTTP/2 200",
    "lower-case": b"http/1.1 200",
    "no-status": b"HTTP/1.1 OK",
    "status-of-two-digits": b"HTTP/1.1 20 O",
    "status-of-four-digits": b"HTTP/1.1 2000",
    "empty-line": b"\r\n",
    "nul": b"\0",
}


def waiting_client(
    engine: str, fragment: Fragmenter = whole, protocol: str = "http/1.1"
) -> Endpoint:
    """Return a client that has sent a request."""
    endpoint = Endpoint(create_connection(Role.CLIENT, protocol, TEST_CONFIG, engine=engine))
    endpoint.fragment = fragment
    endpoint.start()
    endpoint.send(Request(1, "GET", "http", "a", "/", ()), EndOfMessage(1))
    return endpoint


def failure(endpoint: Endpoint) -> str:
    """Return why the one request failed, and the connection with it."""
    reset, closed = endpoint.take()
    assert isinstance(reset, StreamReset)
    assert isinstance(closed, ConnectionClosed)
    assert reset.error is closed.error
    return str(reset.error)


@pytest.mark.parametrize("greeting", GREETINGS.values(), ids=GREETINGS)
def test_a_server_that_speaks_another_protocol_fails_the_request_at_once(
    engine: str, fragment: Fragmenter, greeting: bytes
) -> None:
    # RFC 9112 section 4: a response begins with a status line.
    endpoint = waiting_client(engine, fragment)
    endpoint.receive(greeting)
    message = failure(endpoint)
    assert message.startswith("not a status line of HTTP/1.1: b")
    if fragment is whole:
        assert repr(greeting)[2:-1] in message
    assert message.isascii()
    assert message.isprintable()


HTTP2_GREETINGS = {
    "ssh": b"SSH-2.0-OpenSSH_9.6\r\n",
    "redis": b"-ERR\r\n",
    "http1": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "html": b"<html>",
    "tls-alert": b"\x15\3\1\0\2\2\x46",
    "ping": b"\0\0\x08\6\0\0\0\0\0",
    "settings-ack": b"\0\0\0\4\1\0\0\0\0",
    "settings-of-a-stream": b"\0\0\0\4\0\0\0\0\1",
}


@pytest.mark.parametrize("greeting", HTTP2_GREETINGS.values(), ids=HTTP2_GREETINGS)
def test_a_server_that_does_not_begin_with_settings_fails_the_request_at_once(
    engine: str, fragment: Fragmenter, greeting: bytes
) -> None:
    # RFC 9113 section 3.4: SETTINGS are the preface of a server.
    endpoint = waiting_client(engine, fragment, "h2")
    endpoint.receive(greeting)
    assert failure(endpoint) == "the server does not begin with SETTINGS"


def test_the_quotation_is_bounded(engine: str) -> None:
    endpoint = waiting_client(engine)
    endpoint.receive(b"\xff" * 5000)
    reset = endpoint.take()[0]
    assert isinstance(reset, StreamReset)
    assert len(str(reset.error)) < 400


@pytest.mark.parametrize(
    "start", [b"H", b"HTTP/1", b"HTTP/1.1 ", b"HTTP/1.0 20", b"HTTP/1.1 200", b"HTTP/1.9 599 "]
)
def test_what_may_become_a_response_is_waited_for(
    engine: str, fragment: Fragmenter, start: bytes
) -> None:
    endpoint = waiting_client(engine, fragment)
    endpoint.receive(start)
    assert endpoint.take() == []


def test_what_came_unasked_is_quoted(engine: str) -> None:
    endpoint = Endpoint(create_connection(Role.CLIENT, "http/1.1", TEST_CONFIG, engine=engine))
    endpoint.start()
    endpoint.receive(b"220 mail.example.org ESMTP\r\n")
    (closed,) = endpoint.take()
    assert isinstance(closed, ConnectionClosed)
    assert "220 mail.example.org ESMTP" in str(closed.error)


# -- fields that cannot be sent ------------------------------------------------------------------

WRONG_TYPES: dict[str, tuple[object, str]] = {
    "int": ([("X-A", 1)], "X-A"),
    "none": ([("X-A", None)], "X-A"),
    "float": ([("X-A", 1.5)], "X-A"),
    "bytes": ([("X-A", b"b")], "X-A"),
    "list": ([("X-A", ["b"])], "X-A"),
    "host": ([("Host", 7)], "Host"),
    "content-length": ([("Content-Length", 3)], "Content-Length"),
    "connection": ([("Connection", 3)], "Connection"),
    "name": ([(5, "x")], "5"),
    "name-bytes": ([(b"X-A", "x")], "X-A"),
    "behind-others": ([("A", "b"), ("X-A", 1)], "X-A"),
    "no-pairs": (["abc"], "pairs"),
    "no-iterable": (5, "pairs"),
}


@pytest.mark.parametrize(("headers", "named"), WRONG_TYPES.values(), ids=WRONG_TYPES)
def test_fields_of_a_wrong_type_are_refused_by_name(
    pair: Pair, headers: Headers, named: str
) -> None:
    head = request(pair)
    head.headers = headers
    with pytest.raises(FieldTypeError, match=named) as caught:
        pair.client.send(head, EndOfMessage(head.stream_id))
    assert isinstance(caught.value, LocalProtocolError)
    assert isinstance(caught.value, TypeError)
    pair.run()
    assert taken(pair.server) == []
    assert pair.client.connection.available_streams > 0
    stream_id = get(pair)  # nothing changed
    taken(pair.server)
    for event in (
        Response(stream_id, 200, headers),
        InformationalResponse(stream_id, 103, headers),
    ):
        with pytest.raises(FieldTypeError, match=named):
            pair.server.send(event)
    pair.server.send(Response(stream_id, 200))
    with pytest.raises(FieldTypeError, match=named):
        pair.server.send(Data(stream_id, b"x"), EndOfMessage(stream_id, headers))
    pair.server.send(Data(stream_id, b"x"), EndOfMessage(stream_id))
    pair.run()
    assert kinds(taken(pair.client)) == [Response, Data, EndOfMessage]
    respond(pair, get(pair), b"next")
    assert kinds(taken(pair.client)) == [Response, Data, EndOfMessage]


# -- memory ---------------------------------------------------------------------------------------

BROKEN = {
    ("server", "http/1.1"): b"GET / HTTP/1.1\r\nHost: a\r\nBad Name: x\r\n\r\n",
    ("client", "http/1.1"): b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\n",
    ("server", "h2"): b"PRI * HTTP/2.0\r\n\r\nno frames at all, but many bytes of something",
    ("client", "h2"): b"no frames at all, but many bytes of something",
}


def broken_by(role: Role, protocol: str, engine: str, cut: Fragmenter) -> Connection:
    """Return a connection, drained, whose peer broke the protocol."""
    # This function is the connection's alone, so it lives as long (slots bar weak references).
    config = replace(TEST_CONFIG, random=lambda size: bytes(size))
    connection = create_connection(role, protocol, config, engine=engine)
    connection.connection_made(0.0)
    if role is Role.CLIENT:
        connection.send(Request(1, "GET", "http", "a", "/", ()), EndOfMessage(1), now=0.0)
    for piece in cut(BROKEN[role.value, protocol]):
        connection.receive_data(piece, 0.0)
    return connection


@pytest.mark.parametrize("cut", [whole, bytewise])
@pytest.mark.parametrize(("role", "protocol"), BROKEN)
def test_an_error_does_not_keep_the_connection_alive(
    engine: str, role: str, protocol: str, cut: Fragmenter
) -> None:
    gc.collect()
    gc.disable()
    try:
        connection = broken_by(Role(role), protocol, engine, cut)
        events = list(iter(connection.next_event, None))
        assert connection.wants_close
        random = weakref.ref(connection.config.random)
        del connection
        assert random() is None, f"kept alive, perhaps by an error of {events}"
    finally:
        gc.enable()
