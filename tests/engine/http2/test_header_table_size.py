"""SETTINGS_HEADER_TABLE_SIZE on a connection (RFC 9113 section 6.5.2, RFC 7541 section 4.2)."""

from dataclasses import replace

import pytest

from plait_engine import ConnectionClosed, EndOfMessage, Limits, Request, Response, Role
from plait_engine.http2 import HTTP2Connection, frames
from plait_engine.http2.hpack import Encoder
from plait_engine.testing import TEST_CONFIG, Pair

REQUEST = [
    (":method", "GET"),
    (":scheme", "http"),
    (":path", "/"),
    (":authority", "example.org"),
    ("user-agent", "a browser"),
]


def limited(size):
    return replace(TEST_CONFIG, limits=Limits(header_table_size=size))


def events_of(connection):
    return list(iter(connection.next_event, None))


@pytest.fixture(params=[0, 100, 4096, 65536])
def server(request):
    connection = HTTP2Connection(Role.SERVER, limited(request.param))
    connection.connection_made(0.0)
    connection.receive_data(frames.PREFACE + frames.encode_settings([]), 0.0)
    return connection


def test_a_client_that_has_not_seen_our_settings_uses_4096_bytes(server):
    encoder = Encoder()
    for stream_id in (1, 3):
        block = encoder.encode(REQUEST)
        server.receive_data(frames.encode_headers(stream_id, block, end_stream=True), 0.0)
    requests = [event for event in events_of(server) if isinstance(event, Request)]
    assert [dict(request.headers) for request in requests] == [{"user-agent": "a browser"}] * 2


@pytest.mark.parametrize("server", [0, 100], indirect=True)
def test_after_the_acknowledgement_a_lower_size_has_to_be_obeyed(server):
    block = Encoder().encode(REQUEST)
    server.receive_data(frames.SETTINGS_ACK + frames.encode_headers(1, block, end_stream=True), 0.0)
    *_, closed = events_of(server)
    assert isinstance(closed, ConnectionClosed)
    assert closed.error.code == 9  # COMPRESSION_ERROR


@pytest.mark.parametrize("protocol_size", [0, 100, 4096, 65536])
def test_our_two_roles_agree_on_any_size(protocol_size):
    config = limited(protocol_size)
    pair = Pair("h2", client_config=config, server_config=config)
    for _ in range(3):
        stream_id = pair.client.connection.next_stream_id()
        headers = (("user-agent", "a browser"),)
        pair.client.send(
            Request(stream_id, "GET", "http", "example.org", "/", headers), EndOfMessage(stream_id)
        )
        pair.run()
        pair.server.send(Response(stream_id, 200, headers), EndOfMessage(stream_id))
        pair.run()
    for endpoint, kind in ((pair.server, Request), (pair.client, Response)):
        heads = endpoint.recorder.of_type(kind)
        assert [dict(head.headers)["user-agent"] for head in heads] == ["a browser"] * 3
