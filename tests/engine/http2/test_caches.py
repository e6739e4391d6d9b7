"""What is remembered of heads: no credentials, and of single fields only so many.

What a connection takes is in ``test_memory``.
"""

from __future__ import annotations

from typing import Any

import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait_engine import EndOfMessage, Event, LocalProtocolError, Request, Response, Role
from plait_engine.headers import encode
from plait_engine.http2 import HTTP2Connection, outgoing
from plait_engine.http2 import hpack as codec
from plait_engine.http2.outgoing import HeadWriter
from plait_engine.semantics.cache import MAX_BYTES, MAX_FIELD, MAX_FIELDS
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
            *(lists, heads, list(reader._request_heads)),
            *(writer._requests, writer._responses, writer._pseudo),
            *(outgoing._fields.entries, outgoing._names.entries),
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


# -- single fields that are sent ----------------------------------------------------


class Text(str):
    """Text that is no plain ``str``, as a field name of multidict is."""


sent_names = ["Accept", "accept", Text("ACCEPT"), "x-a", "Host", "Content-Length", "TE"]
bad_names = ["", "a b", "\u00e9", ":path", b"x-a", 1, None, []]
sent_values = ["text", " text\t", "3", "trailers", "\u00e9", Text("text"), ""]
bad_values = ["a\r", "\ud800", "\x7f", b"b", 1, None, []]


def forget_single_fields() -> None:
    for kept in (outgoing._fields, outgoing._names):
        kept.entries.clear()
        kept.size = 0


def written(writer: HeadWriter, headers: list[Any]) -> object:
    """Return what becomes of ``headers``, or how they are refused."""
    try:
        return writer.request(Request(1, "GET", "http", "a", "/", headers))
    except LocalProtocolError as error:
        return type(error), str(error)


@given(
    st.lists(
        st.lists(
            st.tuples(
                st.sampled_from(sent_names * 3 + bad_names),
                st.sampled_from(sent_values * 3 + bad_values),
            ),
            max_size=3,
        ),
        max_size=12,
    )
)
def test_a_known_field_is_written_as_a_new_one(heads: list[list[Any]]) -> None:
    fresh = []
    for headers in heads:
        forget_single_fields()
        fresh.append(written(HeadWriter(), headers))
    forget_single_fields()
    for _ in range(2):
        assert [written(HeadWriter(), headers) for headers in heads] == fresh


@pytest.mark.parametrize("headers", [[("a",)], [("a", "b", "c")], [1], [None], 1])
def test_what_is_no_list_of_pairs_is_a_type_error(headers: Any) -> None:
    with pytest.raises(TypeError, match="pairs"):
        HeadWriter().response(200, headers)


@pytest.mark.parametrize("name", ["X-Api-Key", "X-Auth-Token", "X-Session", "COOKIE"])
def test_what_applications_call_credentials_is_not_shared_among_connections(name: str) -> None:
    HeadWriter().response(200, [(name, SECRET), ("X-Kept", "no secret")])
    assert "no secret" in repr(outgoing._fields.entries)
    assert SECRET not in repr(outgoing._fields.entries)


@pytest.mark.parametrize("size", [1, 100, 250, 5000])
@pytest.mark.parametrize("letter", ["a", "\u00e9"])
def test_a_flood_of_fields_takes_bounded_memory(size: int, letter: str) -> None:
    writer = HeadWriter()
    for number in range(3 * MAX_FIELDS if size < 250 else 1000):
        writer.response(200, [(f"X-{number % 5000}", f"{number}" + letter * size)])
        if number % 500 == 499:
            sizes = [len(encode(name + value)) for name, value in outgoing._fields.entries]
            assert len(sizes) <= MAX_FIELDS
            assert sum(sizes) == outgoing._fields.size <= MAX_BYTES
            assert max(sizes, default=0) <= MAX_FIELD
            assert len(outgoing._names.entries) <= MAX_FIELDS


def test_a_long_authority_is_not_kept() -> None:
    writer = HeadWriter()
    for size, kept in ((3000, 0), (10, 1)):
        request = Request(1, "GET", "https", "a" * size, "/", [])
        assert writer.request(request)[0][2] == (":authority", "a" * size)
        assert len(writer._pseudo) == kept
