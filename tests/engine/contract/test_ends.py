"""How streams and connections end: resets, half-close, drain, loss, close."""

from __future__ import annotations

import pytest

from plait_engine import (
    CloseReason,
    ConnectionClosed,
    Data,
    Draining,
    EndOfMessage,
    ErrorCode,
    Initiator,
    LocalProtocolError,
    Request,
    Response,
    StreamReset,
)
from plait_engine.testing import Endpoint, Pair
from tests.engine.contract.messages import body, get, kinds, post, request, respond, taken


def closed(endpoint: Endpoint) -> ConnectionClosed:
    """Return the one ``ConnectionClosed``, which must be the last event."""
    last = endpoint.events[-1]
    assert isinstance(last, ConnectionClosed)
    assert len(endpoint.recorder.of_type(ConnectionClosed)) == 1
    return last


def write_to_the_lost(pair: Pair, stream_id: int) -> None:
    """Let the server find out that its client is gone: on HTTP/2 a complete request is
    answered even if the client has ended its side."""
    if not pair.server.is_closed:
        pair.server.send(Response(stream_id, 200))
        pair.run()


def test_nothing_is_left_to_be_unwanted_behind_the_end_of_an_exchange(pair: Pair) -> None:
    for _ in range(2):
        stream_id = get(pair)
        taken(pair.server)
        pair.server.send(
            Response(stream_id, 200),
            Data(stream_id, b"whole"),
            EndOfMessage(stream_id),
            StreamReset(stream_id, ErrorCode.NO_ERROR),
        )
        pair.run()
        events = taken(pair.client)
        assert kinds(events) == [Response, Data, EndOfMessage]
        assert body(events) == b"whole"


def test_a_client_gives_up_a_request(pair: Pair) -> None:
    stream_id = get(pair)
    taken(pair.server)
    pair.client.send(StreamReset(stream_id, ErrorCode.CANCEL))
    pair.run()
    (reset,) = taken(pair.server)
    assert isinstance(reset, StreamReset)
    assert (reset.stream_id, reset.initiator) == (stream_id, Initiator.REMOTE)
    assert pair.server.connection.open_streams == 0
    assert pair.client.connection.open_streams == 0
    with pytest.raises(LocalProtocolError):
        pair.server.send(Response(stream_id, 200))


def test_a_server_gives_up_a_response(pair: Pair) -> None:
    stream_id = get(pair)
    pair.server.send(Response(stream_id, 200), Data(stream_id, b"half"))
    pair.run()
    pair.server.send(StreamReset(stream_id, ErrorCode.INTERNAL_ERROR))
    pair.run()
    events = taken(pair.client)
    assert kinds(events) == [Response, Data, StreamReset]
    assert events[-1].initiator is Initiator.REMOTE
    assert not events[-1].retryable
    assert pair.client.connection.open_streams == 0
    assert pair.server.connection.open_streams == 0


def test_a_reset_ends_the_stream_for_who_sends_it(pair: Pair) -> None:
    stream_id = get(pair)
    pair.client.send(StreamReset(stream_id, ErrorCode.CANCEL))
    with pytest.raises(LocalProtocolError):
        pair.client.send(Data(stream_id, b"x"))
    # Whoever gave up a stream is told nothing more about it.
    pair.run()
    assert [e for e in taken(pair.client) if not isinstance(e, StreamReset)] == []


def test_the_rest_of_a_request_may_be_unwanted(pair: Pair) -> None:
    stream_id = post(pair)
    pair.client.send(Data(stream_id, b"some"))
    pair.run()
    taken(pair.server)
    pair.server.send(
        Response(stream_id, 403),
        Data(stream_id, b"no"),
        EndOfMessage(stream_id),
        StreamReset(stream_id, ErrorCode.NO_ERROR),
    )
    pair.run()
    events = taken(pair.client)
    assert kinds(events)[:3] == [Response, Data, EndOfMessage]
    assert body(events) == b"no"
    if pair.client.connection.open_streams:  # HTTP/1.1 has no way to say it
        pair.client.send(Data(stream_id, b"more"), EndOfMessage(stream_id))
        pair.run()
    assert taken(pair.server) == []
    assert pair.client.connection.open_streams == 0
    respond(pair, get(pair), b"next")
    assert body(taken(pair.client)) == b"next"


def test_a_client_that_half_closes_gets_its_answer(pair: Pair) -> None:
    stream_id = get(pair)
    pair.server.receive_eof()
    respond(pair, stream_id, b"the answer")
    events = taken(pair.client)
    assert kinds(events) == [Response, Data, EndOfMessage]
    assert body(events) == b"the answer"
    assert closed(pair.server).error is None


def test_the_end_of_input_in_the_middle_of_a_request(pair: Pair) -> None:
    stream_id = post(pair, headers=[("Content-Length", "10")])
    pair.client.send(Data(stream_id, b"half"))
    pair.run()
    taken(pair.server)
    pair.server.receive_eof()
    pair.run()
    assert StreamReset in kinds(taken(pair.server))
    closed(pair.server)


def test_the_end_of_input_in_the_middle_of_a_response(pair: Pair) -> None:
    stream_id = get(pair)
    pair.server.send(Response(stream_id, 200, [("Content-Length", "10")]), Data(stream_id, b"half"))
    pair.run()
    pair.client.receive_eof()
    events = taken(pair.client)
    assert kinds(events) == [Response, Data, StreamReset]
    assert events[-1].initiator is Initiator.REMOTE
    closed(pair.client)


def test_the_end_of_input_of_an_idle_connection(pair: Pair) -> None:
    for endpoint in (pair.client, pair.server):
        endpoint.receive_eof()
        assert closed(endpoint).reason is CloseReason.PEER
        assert closed(endpoint).error is None
        assert endpoint.connection.wants_close


def test_the_loss_of_the_transport_resets_open_streams(pair: Pair) -> None:
    stream_id = get(pair)
    taken(pair.server)
    error = ConnectionResetError("gone")
    pair.cut(error)
    for endpoint in (pair.client, pair.server):
        (reset,) = taken(endpoint)
        assert isinstance(reset, StreamReset)
        assert (reset.stream_id, reset.initiator) == (stream_id, Initiator.REMOTE)
        last = closed(endpoint)
        assert last.reason is CloseReason.LOST
        assert last.error is error


def test_inputs_after_the_end_are_ignored(pair: Pair) -> None:
    pair.cut()
    for endpoint in (pair.client, pair.server):
        events = len(endpoint.events)
        endpoint.receive(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        endpoint.receive_eof()
        endpoint.lose(OSError("again"))
        endpoint.handle_timeout()
        endpoint.close()
        assert len(endpoint.events) == events
        assert endpoint.connection.next_timeout() is None


def test_a_server_drains(pair: Pair) -> None:
    stream_id = get(pair)
    taken(pair.server)
    pair.server.close()
    pair.run()
    assert not pair.server.is_closed
    respond(pair, stream_id, b"still served")
    assert body(taken(pair.client)) == b"still served"
    assert len(pair.client.recorder.of_type(Draining)) >= 1
    assert pair.client.connection.available_streams == 0
    pair.run()
    assert closed(pair.server).error is None
    assert closed(pair.client).error is None


def test_a_client_drains(pair: Pair) -> None:
    stream_id = get(pair)
    taken(pair.server)
    pair.client.close()
    pair.run()
    assert pair.client.connection.available_streams == 0
    with pytest.raises(LocalProtocolError):
        pair.client.connection.next_stream_id()
    respond(pair, stream_id, b"still read")
    assert body(taken(pair.client)) == b"still read"
    pair.run()
    assert closed(pair.client).error is None
    assert closed(pair.server).error is None


@pytest.mark.parametrize("side", ["client", "server"])
def test_closing_an_idle_connection(pair: Pair, side: str) -> None:
    endpoint = getattr(pair, side)
    endpoint.close()
    pair.run()
    assert closed(pair.client).error is None
    assert closed(pair.server).error is None
    assert closed(endpoint).reason is CloseReason.LOCAL


@pytest.mark.parametrize("side", ["client", "server"])
def test_closing_twice_is_closing_once(pair: Pair, side: str) -> None:
    stream_id = get(pair)
    endpoint = getattr(pair, side)
    endpoint.close()
    endpoint.close()
    pair.run()
    endpoint.close(ErrorCode.NO_ERROR)
    endpoint.close(ErrorCode.NO_ERROR)
    pair.run()
    write_to_the_lost(pair, stream_id)
    closed(pair.client)
    closed(pair.server)


@pytest.mark.parametrize("side", ["client", "server"])
def test_closing_at_once_resets_what_is_open(pair: Pair, side: str) -> None:
    stream_id = get(pair)
    taken(pair.server)
    endpoint = getattr(pair, side)
    endpoint.close(ErrorCode.INTERNAL_ERROR)
    (reset,) = taken(endpoint)
    assert isinstance(reset, StreamReset)
    assert (reset.stream_id, reset.initiator) == (stream_id, Initiator.LOCAL)
    assert closed(endpoint).reason is CloseReason.LOCAL
    pair.run()
    write_to_the_lost(pair, stream_id)
    other = pair.server if side == "client" else pair.client
    (reset,) = taken(other)
    assert isinstance(reset, StreamReset)
    assert reset.initiator is Initiator.REMOTE
    closed(other)


@pytest.mark.parametrize("side", ["client", "server"])
def test_what_is_queued_goes_out_before_the_close(pair: Pair, side: str) -> None:
    stream_id = get(pair)
    endpoint = getattr(pair, side)
    pair.server.send(Response(stream_id, 200), Data(stream_id, b"x" * 1000))
    endpoint.close()
    pair.server.send(EndOfMessage(stream_id))
    pair.run()
    assert body(taken(pair.client)) == b"x" * 1000
    closed(pair.client)
    closed(pair.server)


def test_a_reset_of_an_exchange_that_has_ended_changes_nothing(pair: Pair) -> None:
    stream_id = get(pair)
    pair.server.send(Response(stream_id, 200), EndOfMessage(stream_id))
    pair.run()
    assert kinds(taken(pair.client)) == [Response, EndOfMessage]
    for code in (ErrorCode.NO_ERROR, ErrorCode.CANCEL):
        pair.server.send(StreamReset(stream_id, code))
        pair.client.send(StreamReset(stream_id, code))
    pair.run()
    respond(pair, get(pair), b"next")
    assert body(taken(pair.client)) == b"next"


def test_a_request_in_the_middle_of_which_the_client_leaves(pair: Pair) -> None:
    stream_id = post(pair)
    pair.client.send(Data(stream_id, b"half"))
    pair.run()
    assert kinds(taken(pair.server)) == [Request, Data]
    pair.client.send(StreamReset(stream_id, ErrorCode.CANCEL))
    pair.run()
    (reset,) = taken(pair.server)
    assert isinstance(reset, StreamReset)
    assert reset.initiator is Initiator.REMOTE


def test_no_request_begins_on_a_connection_that_is_lost(pair: Pair) -> None:
    head = request(pair)
    pair.cut()
    with pytest.raises(LocalProtocolError):
        pair.client.send(head, EndOfMessage(head.stream_id))
