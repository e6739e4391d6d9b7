"""What a connection remembers of heads holds no credentials; its size is in ``test_memory``."""

from __future__ import annotations

import hpack
import pytest

from plait_engine import EndOfMessage, Event, Request, Response, Role
from plait_engine.http2 import HTTP2Connection
from plait_engine.http2 import hpack as codec
from plait_engine.testing import frames as wire
from tests.engine.http2.peers import make_config

SECRET = "s3cr3t of sb"


def remembered(connection: HTTP2Connection) -> str:
    """Return all that ``connection`` remembers of heads, as text."""
    encoder, decoder = connection._encoder, connection._decoder
    reader, writer = connection._heads, connection._writer
    lists = [fields for fields, _, _ in reader._requests.values()]
    heads = [head.fields for head in reader._responses.values()]
    return repr(
        (
            *(encoder._blocks, encoder._known),
            *(
                decoder._cache,
                decoder._self_contained,
                decoder._tails,
                codec._entries.entries,
                codec._names,
            ),
            *(lists, heads, list(reader._request_heads), list(reader._sections)),
            *(writer._requests, writer._responses),
        )
    )


def connect(role: Role) -> HTTP2Connection:
    connection = HTTP2Connection(role, make_config())
    connection.connection_made(0.0)
    return connection


def drain(connection: HTTP2Connection) -> list[Event]:
    events = []
    while (event := connection.next_event()) is not None:
        events.append(event)
    return events


def exchange(one: HTTP2Connection, other: HTTP2Connection) -> list[Event]:
    """Hand over what ``one`` sends; return what ``other`` says of it."""
    while data := one.data_to_send():
        other.receive_data(data, 0.0)
    return drain(other)


@pytest.mark.parametrize("name", ["Authorization", "proxy-authorization", "set-cookie", "cookie"])
def test_credentials_are_not_remembered(name: str) -> None:
    client, server = connect(Role.CLIENT), connect(Role.SERVER)
    secret = [("x-kept", "no secret"), (name, SECRET)]
    for fields in (secret, secret, secret[:1], secret[:1], secret, secret[:1]):
        exchange(server, client)
        stream_id = client.next_stream_id()
        head = Request(stream_id, "GET", "http", "a", "/", fields)
        client.send(head, EndOfMessage(stream_id), now=0.0)
        request, _ = [e for e in exchange(client, server) if isinstance(e, Request | EndOfMessage)]
        assert isinstance(request, Request)
        assert [value for _, value in request.headers] == [value for _, value in fields]
        server.send(Response(stream_id, 200, fields), EndOfMessage(stream_id), now=0.0)
        (response,) = [e for e in exchange(server, client) if isinstance(e, Response)]
        assert [value for _, value in response.headers] == [*(value for _, value in fields), "0"]
    for connection in (client, server):
        assert "no secret" in remembered(connection)
        assert SECRET not in remembered(connection)
        assert SECRET not in repr((connection._encoder._dynamic, connection._decoder._table))


def test_what_a_peer_never_indexes_is_not_remembered() -> None:
    """Whatever the name of the field is (RFC 7541 section 7.1.3)."""
    server = connect(Role.SERVER)
    encoder = hpack.Encoder()
    server.receive_data(wire.PREFACE + wire.settings() + wire.settings_ack(), 0.0)
    for stream_id in (1, 3, 5):
        fields = [
            (":method", "GET"),
            (":scheme", "http"),
            (":path", f"/{stream_id}"),
            (":authority", "a"),
            hpack.NeverIndexedHeaderTuple("x-private", SECRET),
        ]
        block = encoder.encode(fields, huffman=False)
        server.receive_data(wire.headers(stream_id, block, end_stream=True), 0.0)
        assert [e.headers for e in drain(server) if isinstance(e, Request)] == [
            [("x-private", SECRET)]
        ]
    assert SECRET not in remembered(server)


def test_a_target_that_is_never_indexed_is_not_remembered_either() -> None:
    """The rest of the head may be known."""
    server = connect(Role.SERVER)
    encoder = hpack.Encoder()
    server.receive_data(wire.PREFACE + wire.settings() + wire.settings_ack(), 0.0)
    for stream_id, path in ((1, "/"), (3, "/" + SECRET.replace(" ", "-")), (5, "/")):
        pair = (":path", path)
        fields = [
            (":method", "GET"),
            (":scheme", "http"),
            hpack.NeverIndexedHeaderTuple(*pair) if path != "/" else pair,
            (":authority", "a"),
        ]
        block = encoder.encode(fields, huffman=False)
        server.receive_data(wire.headers(stream_id, block, end_stream=True), 0.0)
        assert [e.target for e in drain(server) if isinstance(e, Request)] == [path]
    assert SECRET.replace(" ", "-") not in remembered(server)
