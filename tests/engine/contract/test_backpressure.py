"""Neither side has to hold more than it wants to."""

from __future__ import annotations

import pytest

from plait_engine import (
    Config,
    Data,
    EndOfMessage,
    InformationalResponse,
    Limits,
    Request,
    Response,
    StreamReset,
    Writable,
)
from plait_engine.testing import Pair, counting_random, whole
from tests.engine.contract.conftest import MakePair
from tests.engine.contract.messages import body, get, kinds, post, respond, taken

SMALL = Config(
    random=counting_random,
    limits=Limits(
        read_high_water=1000,
        write_high_water=1000,
        write_low_water=200,
        write_quantum=500,
        stream_window=1000,
        connection_window=65535,
    ),
)


def test_a_transport_that_takes_nothing_fills_the_stream(make_pair: MakePair) -> None:
    pair = make_pair(client=SMALL, server=SMALL)
    stream_id = get(pair)
    server = pair.server
    server.send(Response(stream_id, 200))
    pair.run()
    server.can_write = False
    assert server.connection.send_capacity(stream_id) > 0
    server.send(Data(stream_id, b"x" * 999))
    server.take()
    server.send(Data(stream_id, b"x" * 2000))
    assert server.connection.send_capacity(stream_id) <= 0
    assert server.connection.queued(stream_id) >= 2000
    assert server.connection.queued(stream_id + 2) == 0
    assert Writable(stream_id) not in server.take()
    server.can_write = True
    pair.run()
    assert Writable(stream_id) in server.take()
    assert server.connection.send_capacity(stream_id) > 0
    server.send(EndOfMessage(stream_id))
    pair.run()
    assert body(taken(pair.client)) == b"x" * 2999
    assert server.connection.queued(stream_id) == 0


def test_a_stream_has_room_before_its_response_head(make_pair: MakePair) -> None:
    pair = make_pair(client=SMALL, server=SMALL)
    stream_id = get(pair)
    # Whoever sent 100 Continue may wait for room; nothing would wake him (no Writable).
    assert pair.server.connection.send_capacity(stream_id) > 0
    pair.server.send(InformationalResponse(stream_id, 100))
    pair.run()
    assert pair.server.connection.send_capacity(stream_id) > 0


def test_a_reader_that_takes_nothing_stops_the_writer(make_pair: MakePair) -> None:
    pair = make_pair(client=SMALL, server=SMALL)
    stream_id = get(pair)
    client, server = pair.client, pair.server
    client.acknowledges = False
    server.send(Response(stream_id, 200))
    for _ in range(5):
        server.send(Data(stream_id, b"x" * 1000))
    pair.run()
    events = taken(client)
    held = sum(event.credit for event in events if isinstance(event, Data))
    # Not more than the mark, the bytes that overran it, and a read of the transport.
    assert 0 < held <= 1000 + 5 * 1000
    if client.connection.protocol == "h2":
        assert held <= 1000
        assert server.connection.send_capacity(stream_id) <= 0
    else:
        assert not client.connection.wants_read
    received = body(events)
    for _ in range(100):
        if not held:
            break
        client.acknowledge(stream_id, held)
        pair.run()
        new = taken(client)
        received += body(new)
        held = sum(event.credit for event in new if isinstance(event, Data))
    assert received == b"x" * 5000
    server.send(EndOfMessage(stream_id))
    pair.run()
    assert kinds(taken(client)) == [EndOfMessage]
    assert client.connection.wants_read


def test_the_credit_of_a_request_is_given_back_too(make_pair: MakePair) -> None:
    pair = make_pair(client=SMALL, server=SMALL)
    stream_id = post(pair)
    content = bytes(range(250)) * 40
    pair.client.send(Data(stream_id, content), EndOfMessage(stream_id))
    pair.run()
    events = taken(pair.server)
    assert kinds(events) == [Request, Data, EndOfMessage]
    assert body(events) == content


@pytest.mark.parametrize("stream_id", [1, 99])
def test_acknowledging_what_has_ended_is_no_error(pair: Pair, stream_id: int) -> None:
    respond(pair, get(pair), b"12345")
    pair.client.acknowledge(stream_id, 0)
    pair.run()
    respond(pair, get(pair), b"next")
    assert body(taken(pair.client)) == b"12345next"


def test_late_acknowledgements_still_count_for_the_connection(make_pair: MakePair) -> None:
    pair = make_pair(client=SMALL, server=SMALL)
    pair.client.acknowledges = False
    pair.client.fragment = whole  # it is much, and how it is cut makes no difference
    received = b""
    for _ in range(100):  # more than the connection's window in all
        stream_id = get(pair)
        respond(pair, stream_id, b"x" * 900)
        events = taken(pair.client)
        assert kinds(events) == [Response, Data, EndOfMessage]
        received += body(events)
        for event in events:
            if isinstance(event, Data):
                pair.client.acknowledge(stream_id, event.credit)
    assert len(received) == 90000


def test_a_reset_throws_away_what_is_queued(make_pair: MakePair) -> None:
    pair = make_pair(client=SMALL, server=SMALL)
    stream_id = get(pair)
    pair.client.acknowledges = False
    pair.server.send(Response(stream_id, 200), Data(stream_id, b"x" * 50_000))
    pair.run()
    pair.server.send(StreamReset(stream_id))
    assert pair.server.connection.send_capacity(stream_id) == 0
    assert pair.server.connection.data_to_send() == b""
    pair.run()
    assert kinds(taken(pair.client))[-1] is StreamReset


def test_what_waits_for_a_window_is_queued_behind_the_end_of_the_message(
    make_pair: MakePair,
) -> None:
    pair = make_pair(client=SMALL, server=SMALL)
    if pair.client.connection.protocol != "h2":
        pytest.skip("there are no windows on HTTP/1.1")
    client, server = pair.client, pair.server
    server.acknowledges = False
    stream_id = post(pair)
    client.send(Data(stream_id, b"x" * 5000), EndOfMessage(stream_id))
    pair.run()
    held = sum(event.credit for event in taken(server) if isinstance(event, Data))
    while held:
        assert client.connection.send_capacity(stream_id) == 0
        before = client.connection.queued(stream_id)
        assert before > 0
        server.acknowledge(stream_id, held)
        pair.run()
        held = sum(event.credit for event in taken(server) if isinstance(event, Data))
        assert client.connection.queued(stream_id) == before - held
        if before == held:
            return
    raise AssertionError("what was queued never came")
