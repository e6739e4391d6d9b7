"""Sequences of operations on both roles: whatever is done in whatever order, the contract holds.

A command may raise LocalProtocolError, and nothing else.  An input raises nothing.  The
recorder of each side checks the order of the events.  When the link is cut, both sides are
closed, with nothing left over.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from plait_engine import (
    Accept,
    ConnectionState,
    Data,
    EndOfMessage,
    InformationalResponse,
    LocalProtocolError,
    Request,
    Response,
    StreamReset,
)
from plait_engine.events import Sendable
from plait_engine.testing import Endpoint, Pair
from tests.engine.http1.helpers import config

SMALL = config(
    max_pipelined=100,
    max_drain=100,
    read_high_water=50,
    write_high_water=60,
    write_low_water=20,
    write_quantum=30,
)
LENGTH = ("Content-Length", "40")
EXPECT = ("Expect", "100-continue")
CLOSE = ("Connection", "close")
FIELDS = st.lists(st.sampled_from([LENGTH, EXPECT, CLOSE, ("X", "y")]), max_size=2, unique=True)
BODIES = st.binary(max_size=40)


@functools.cache
def client_events(stream_id: int) -> st.SearchStrategy[Sendable]:
    return st.one_of(
        st.builds(
            Request,
            st.just(stream_id),
            st.sampled_from(["GET", "HEAD", "POST"]),
            st.just("http"),
            st.just("a"),
            st.just("/"),
            FIELDS,
            st.sampled_from([None, None, None, "websocket"]),
        ),
        _common(stream_id),
    )


@functools.cache
def server_events(stream_id: int) -> st.SearchStrategy[Sendable]:
    statuses = st.sampled_from([200, 204, 304, 404])
    return st.one_of(
        st.builds(Response, st.just(stream_id), statuses, FIELDS),
        st.builds(InformationalResponse, st.just(stream_id), st.sampled_from([100, 103])),
        st.builds(Accept, st.just(stream_id)),
        _common(stream_id),
    )


def _common(stream_id: int) -> st.SearchStrategy[Sendable]:
    trailers = st.sampled_from([(), (("X", "y"),)])
    return st.one_of(
        st.builds(Data, st.just(stream_id), BODIES),
        st.builds(EndOfMessage, st.just(stream_id), trailers),
        st.builds(StreamReset, st.just(stream_id), st.sampled_from([0, 8])),
    )


class Script:
    """A pair under operations that hypothesis draws."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data
        self.pair = Pair(client_config=SMALL, server_config=SMALL)

    def step(self) -> None:
        operations: list[Callable[[], None]] = [
            self.client_sends,
            self.client_sends,
            self.server_sends,
            self.server_sends,
            self.pair.run,
            self.pair.run,
            self.time_passes,
            self.switch_acknowledging,
            self.switch_writing,
            self.acknowledge,
            self.close,
        ]
        with contextlib.suppress(LocalProtocolError):
            self.data.draw(st.sampled_from(operations))()

    def client_sends(self) -> None:
        client = self.pair.client
        last = max((event.stream_id for event in self._requests(client)), default=1)
        stream_id = (
            client.connection.next_stream_id() if client.connection.available_streams else last
        )
        self._send(client, client_events(stream_id))

    def server_sends(self) -> None:
        server = self.pair.server
        requests = server.recorder.of_type(Request)
        self._send(server, server_events(requests[-1].stream_id if requests else 1))

    def _requests(self, client: Endpoint) -> list[Response | Accept | StreamReset]:
        return [
            event for event in client.events if isinstance(event, Response | Accept | StreamReset)
        ]

    def _send(self, endpoint: Endpoint, events: st.SearchStrategy[Sendable]) -> None:
        chosen = self.data.draw(st.lists(events, min_size=1, max_size=3))
        before = endpoint.connection.state, endpoint.connection.send_capacity(1)
        try:
            endpoint.send(*chosen)
        except LocalProtocolError:
            assert (endpoint.connection.state, endpoint.connection.send_capacity(1)) == before
            raise

    def _either(self) -> Endpoint:
        return self.data.draw(st.sampled_from([self.pair.client, self.pair.server]))

    def time_passes(self) -> None:
        self.pair.advance(self.data.draw(st.sampled_from([0.1, 1.0, 20.0, 100.0])))

    def switch_acknowledging(self) -> None:
        endpoint = self._either()
        endpoint.acknowledges = not endpoint.acknowledges

    def switch_writing(self) -> None:
        endpoint = self._either()
        endpoint.can_write = not endpoint.can_write

    def acknowledge(self) -> None:
        self._either().acknowledge(self.data.draw(st.sampled_from([1, 3])), 10)

    def close(self) -> None:
        self._either().close(self.data.draw(st.sampled_from([None, None, 0, 8, 999])))


@given(st.data(), st.integers(1, 25))
def test_operations_in_any_order(data: st.DataObject, steps: int) -> None:
    script = Script(data)
    for _ in range(steps):
        script.step()
    script.pair.cut()
    for endpoint in (script.pair.client, script.pair.server):
        connection = endpoint.connection
        assert connection.state is ConnectionState.CLOSED
        assert connection.open_streams == 0
        assert connection.available_streams == 0
        assert connection.next_timeout() is None
        assert not connection.wants_read
