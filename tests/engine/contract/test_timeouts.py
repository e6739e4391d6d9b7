"""Deadlines, in virtual time: each passes when it should, and says so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from plait_engine import (
    CloseReason,
    Config,
    ConnectionClosed,
    Data,
    EndOfMessage,
    Limits,
    RemoteProtocolError,
    Response,
    Role,
    StreamReset,
    Timeouts,
    create_connection,
)
from plait_engine.engines import EngineName
from plait_engine.testing import Endpoint, Pair, counting_random
from tests.engine.contract.conftest import MakePair
from tests.engine.contract.messages import body, get, kinds, post, respond, taken


def config(**timeouts: float | None) -> Config:
    """Return a configuration with no deadlines but these."""
    none = Timeouts(head=None, body=None, keep_alive=None, write=None)
    return Config(random=counting_random, timeouts=replace(none, **timeouts))


def reason(endpoint: Endpoint) -> CloseReason:
    last = endpoint.events[-1]
    assert isinstance(last, ConnectionClosed)
    return last.reason


def test_an_idle_connection_needs_no_deadline_if_none_is_wanted(make_pair: MakePair) -> None:
    pair = make_pair(client=config(), server=config())
    assert pair.client.connection.next_timeout() is None
    assert pair.server.connection.next_timeout() is None


def test_a_call_with_nothing_due_changes_nothing(pair: Pair) -> None:
    get(pair)
    for endpoint in (pair.client, pair.server):
        before = endpoint.connection.next_timeout()
        events = len(endpoint.events)
        endpoint.handle_timeout()
        assert endpoint.connection.next_timeout() == before
        assert len(endpoint.events) == events


@pytest.mark.parametrize("side", ["client", "server"])
def test_keep_alive(make_pair: MakePair, side: str) -> None:
    pair = make_pair(**{side: config(keep_alive=20.0)})
    endpoint = getattr(pair, side)
    respond(pair, get(pair))
    pair.advance(19.9)
    assert not endpoint.is_closed
    respond(pair, get(pair), b"in time")
    assert body(taken(pair.client)) == b"in time"
    pair.advance(19.9)
    assert not endpoint.is_closed
    pair.advance(0.2)
    pair.run()
    assert reason(endpoint) is CloseReason.KEEP_ALIVE
    assert pair.client.is_closed
    assert pair.server.is_closed


def test_keep_alive_does_not_run_during_an_exchange(make_pair: MakePair) -> None:
    pair = make_pair(client=config(keep_alive=20.0), server=config(keep_alive=20.0))
    stream_id = get(pair)
    pair.advance(1000.0)
    respond(pair, stream_id, b"slow")
    assert body(taken(pair.client)) == b"slow"


def test_a_client_that_says_nothing(protocol: str, engines: tuple[EngineName, EngineName]) -> None:
    """Drives the server alone: no byte ever comes."""
    settings = config(head=5.0)
    server = Endpoint(create_connection(Role.SERVER, protocol, settings, engine=engines[1]))
    server.start()
    server.clock.now += 4.9
    server.handle_timeout()
    assert not server.is_closed
    server.clock.now += 0.2
    server.handle_timeout()
    assert reason(server) is CloseReason.TIMEOUT
    assert server.connection.wants_close


def test_a_transport_that_takes_nothing(make_pair: MakePair) -> None:
    pair = make_pair(server=config(write=30.0))
    stream_id = get(pair)
    pair.server.can_write = False
    pair.server.send(Response(stream_id, 200), Data(stream_id, b"x" * 100), EndOfMessage(stream_id))
    pair.advance(29.0)
    assert not pair.server.is_closed
    pair.advance(2.0)
    assert reason(pair.server) is CloseReason.TIMEOUT
    last = pair.server.events[-1]
    assert isinstance(last, ConnectionClosed)
    assert isinstance(last.error, RemoteProtocolError)


def test_the_body_of_a_request_stops_coming(make_pair: MakePair, engines: tuple[str, str]) -> None:
    pair = make_pair(server=config(body=10.0))
    if engines[1] == "reference" and pair.server.connection.protocol == "h2":
        pytest.skip("the reference has no body timer on HTTP/2, see docs/reference.md")
    stream_id = post(pair, headers=[("Content-Length", "10")])
    pair.client.send(Data(stream_id, b"12345"))
    pair.run()
    taken(pair.server)
    pair.advance(9.0)
    assert taken(pair.server) == []
    pair.client.send(Data(stream_id, b"67"))
    pair.run()
    taken(pair.server)
    pair.advance(9.0)
    assert taken(pair.server) == []
    pair.advance(2.0)
    (reset,) = taken(pair.server)
    assert isinstance(reset, StreamReset)
    assert reset.error is not None
    assert reset.error.status_hint == 408


def test_the_application_may_take_its_time_for_a_body(make_pair: MakePair) -> None:
    """The body timer is for the peer, not for who reads."""
    limits = Limits(read_high_water=2000, stream_window=2000)
    pair = make_pair(server=replace(config(body=10.0), limits=limits))
    pair.server.acknowledges = False
    stream_id = post(pair, headers=[("Content-Length", "5000")])
    pair.client.send(Data(stream_id, b"x" * 5000), EndOfMessage(stream_id))
    pair.run()
    events = taken(pair.server)
    credit = sum(event.credit for event in events if isinstance(event, Data))
    pair.advance(100.0)
    assert taken(pair.server) == []
    pair.server.acknowledges = True
    pair.server.acknowledge(stream_id, credit)
    pair.run()
    events += taken(pair.server)
    assert len(body(events)) == 5000
    assert kinds(events)[-1] is EndOfMessage
