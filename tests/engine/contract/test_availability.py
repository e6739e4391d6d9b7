"""How many requests a client may begin: told exactly, at every moment, by every engine.

``Watched`` makes one call and then looks: ``available_streams`` is positive exactly when
``next_stream_id`` gives an id and ``send`` takes a request with it, and ``StreamsAvailable``
comes exactly when the number rises from zero (RFC 9113 section 5.1.2).
"""

from __future__ import annotations

from collections.abc import Callable

import hypothesis.strategies as st
import pytest
from hypothesis import given

from plait_engine import (
    CloseAction,
    Connection,
    ConnectionClosed,
    Data,
    EndOfMessage,
    Event,
    LocalProtocolError,
    Request,
    Response,
    Role,
    StreamReset,
    StreamsAvailable,
    create_connection,
)
from plait_engine.events import Sendable
from plait_engine.testing import TEST_CONFIG, frames

ENGINES = ["native", "reference"]
MAX_CONCURRENT_STREAMS = 0x3


class Watched:
    """A client and a server, back to back; every call of the client is looked at."""

    def __init__(self, protocol: str, engine: str) -> None:
        self.now = 1000.0
        self.protocol = protocol
        self.client: Connection = create_connection(
            Role.CLIENT, protocol, TEST_CONFIG, engine=engine
        )
        self.server: Connection = create_connection(
            Role.SERVER, protocol, TEST_CONFIG, engine="native"
        )
        self.answering: list[int] = []
        self.events: list[Event] = []
        self.available = self.client.available_streams
        self.server.connection_made(self.now)
        self.call(self.client.connection_made)
        self.exchange()

    def call(self, command: Callable[..., None], *args: object) -> None:
        """Call the client once, drain it, and look."""
        command(*args, now=self.now)
        self.look()

    def look(self) -> None:
        client = self.client
        to_server = bytearray()
        while data := client.data_to_send():
            to_server += data
        events = []
        while (event := client.next_event()) is not None:
            events.append(event)
        self.events += events
        before, self.available = self.available, client.available_streams
        assert self.available >= 0
        try:
            client.next_stream_id()
        except LocalProtocolError:
            assert self.available == 0
        else:
            assert self.available > 0
        rises = before == 0 and self.available > 0
        assert events.count(StreamsAvailable()) == rises, events
        if to_server:
            self.server.receive_data(bytes(to_server), self.now)

    def exchange(self) -> None:
        """Carry bytes until both sides are quiet."""
        while to_client := self._take_server():
            if self.client.wants_close in (CloseAction.NONE, CloseAction.WRITE_EOF):
                self.call(self.client.receive_data, to_client)

    def _take_server(self) -> bytes:
        to_client = bytearray()
        while data := self.server.data_to_send():
            to_client += data
        while (event := self.server.next_event()) is not None:
            if isinstance(event, Request):
                self.answering.append(event.stream_id)
            elif isinstance(event, StreamReset) and event.stream_id in self.answering:
                self.answering.remove(event.stream_id)
            elif isinstance(event, ConnectionClosed):
                self.answering.clear()
            elif isinstance(event, Data):
                self.server.acknowledge(event.stream_id, event.credit, self.now)
        return bytes(to_client)

    # -- what may happen ---------------------------------------------------------

    def ask(self, complete: bool = True) -> None:
        """Send a request, which is taken exactly when one is available."""
        available = self.client.available_streams
        try:
            stream_id = self.client.next_stream_id()
        except LocalProtocolError:
            stream_id = 2**31 - 1
        events: list[Sendable] = [Request(stream_id, "POST", "http", "a", "/", ())]
        if complete:
            events.append(EndOfMessage(stream_id))
        if available:
            self.call(self.client.send, *events)
        else:
            with pytest.raises(LocalProtocolError):
                self.client.send(*events, now=self.now)

    def answer(self, which: int) -> None:
        """Let the server answer one of the open requests."""
        if self.answering:
            stream_id = self.answering.pop(which % len(self.answering))
            self.server.send(Response(stream_id, 200), EndOfMessage(stream_id), now=self.now)

    def refuse(self, which: int) -> None:
        """Let the server reset one of the open requests."""
        if self.answering:
            stream_id = self.answering.pop(which % len(self.answering))
            self.server.send(StreamReset(stream_id, 7), now=self.now)

    def give_up(self, which: int) -> None:
        """Let the client reset a request."""
        if self.answering:
            stream_id = self.answering[which % len(self.answering)]
            self.call(self.client.send, StreamReset(stream_id, 8))

    def limit(self, streams: int) -> None:
        """Let the server change how many streams it takes (HTTP/2)."""
        if self.protocol == "h2":
            data = frames.settings({MAX_CONCURRENT_STREAMS: streams})
            self.call(self.client.receive_data, data)


def steps() -> st.SearchStrategy[list[tuple[object, ...]]]:
    which = st.integers(0, 3)
    often = st.one_of(
        st.just(("ask", True)),
        st.tuples(st.just("answer"), which),
        st.tuples(st.just("limit"), st.integers(0, 3)),
    )
    seldom = st.one_of(
        st.just(("ask", False)),
        st.tuples(st.sampled_from(["refuse", "give_up"]), which),
        st.sampled_from([("close",), ("goaway",), ("eof",), ("lost",)]),
    )
    return st.lists(st.one_of(often, often, often, seldom), max_size=25)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
@given(steps())
def test_the_number_is_exact_and_the_event_comes_when_it_rises(
    protocol: str, engine: str, plan: list[tuple[object, ...]]
) -> None:
    watched = Watched(protocol, engine)
    watched.limit(1)
    for name, *args in plan:
        if name == "close":
            watched.call(watched.client.close)
        elif name == "goaway":
            watched.server.close(now=watched.now)
        elif name == "eof":
            watched.call(watched.client.receive_eof)
        elif name == "lost":
            watched.call(watched.client.connection_lost, None)
        else:
            getattr(watched, str(name))(*args)
        watched.exchange()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
def test_one_place_is_free_again_when_the_exchange_is_over(protocol: str, engine: str) -> None:
    watched = Watched(protocol, engine)
    watched.limit(1)
    assert watched.available == 1
    for _ in range(3):
        watched.ask()
        assert watched.available == 0
        watched.exchange()
        watched.events.clear()
        watched.answer(0)
        watched.exchange()
        assert watched.available == 1
        assert [type(event) for event in watched.events[-2:]] == [EndOfMessage, StreamsAvailable]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_limit_below_what_is_open_makes_it_zero(engine: str) -> None:
    watched = Watched("h2", engine)
    watched.limit(3)
    for _ in range(3):
        watched.ask()
    watched.exchange()
    watched.limit(1)
    assert watched.available == 0
    for left in (2, 1, 0):
        assert StreamsAvailable() not in watched.events
        watched.answer(0)
        watched.exchange()
        assert watched.client.open_streams == left
    assert watched.available == 1
    assert watched.events.count(StreamsAvailable()) == 1


@pytest.mark.parametrize("engine", ENGINES)
def test_a_raised_limit_is_told_once(engine: str) -> None:
    watched = Watched("h2", engine)
    watched.limit(0)
    assert watched.available == 0
    watched.limit(0)
    assert StreamsAvailable() not in watched.events
    watched.limit(5)
    watched.limit(9)
    assert watched.available == 9
    assert watched.events.count(StreamsAvailable()) == 1


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
def test_a_server_begins_no_requests(protocol: str, engine: str) -> None:
    server = create_connection(Role.SERVER, protocol, TEST_CONFIG, engine=engine)
    server.connection_made(0.0)
    assert server.available_streams == 0
    with pytest.raises(LocalProtocolError):
        server.next_stream_id()
