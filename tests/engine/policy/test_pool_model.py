"""Pool, engines and peers together, in any order of events, on virtual time and no socket.

The model plays the adapter, which keeps its leases as ``adapters/plait`` does, and the peer,
which speaks raw frames, so it can do whatever a server can.  The invariants:

* nobody waits while a place is free, or without a reason that the limits give;
* a key whose peer takes no request keeps no other key waiting, and connections are not opened
  without end (``serve_whom_peers_allow``);
* a request that begins on a place it was assigned is never refused by the engine, unless the
  peer took the place back in between; then it waits for another;
* what the pool knows of places agrees with the leases, and with the engines;
* no connection is closed under a request; the limits on connections hold;
* a connection that is too old, or was given all the requests that it takes, gets none, and is
  closed when it has none;
* at the end every request has ended, nothing is acquired and nobody waits, and each
  connection's window is as large as it was.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from plait_engine import (
    Config,
    ConnectionState,
    Data,
    EndOfMessage,
    ErrorCode,
    Event,
    Limits,
    LocalProtocolError,
    Request,
    Role,
    StreamReset,
    create_connection,
)
from plait_engine.connection import Connection
from plait_engine.engines import EngineName
from plait_engine.policy.pool import PATIENCE, SPREAD, Pool
from plait_engine.policy.pool_events import Assign, Close, Connect, Fail
from plait_engine.policy.stats import PoolStats
from plait_engine.testing import counting_random
from plait_engine.testing import frames as wire
from plait_engine.testing.frames import FrameType

pytestmark = pytest.mark.timeout(3600)  # The thorough profile takes minutes.

LIMIT_PER_HOST = 2
KEEP_ALIVE = 10.0
KEYS = {"h2": True, "h2other": True, "h1": True, "h1only": False}
"""Keys, and whether they may turn out to be shared."""
SHARED = ["h2", "h2other"]
"""Keys whose connections are shared."""
MAX_CONCURRENT_STREAMS = 0x3
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"
CONFIG = Config(random=counting_random, limits=Limits(connection_window=65535, stream_window=65535))


@dataclass(eq=False)
class Lease:
    """A place that was assigned, until it is given back."""

    ticket: str
    connection: Carrier
    stream_id: int | None = None
    """The stream of the request, once it has begun."""
    complete: bool = False
    """All of the request was sent."""
    unread: int = 0
    """Credit of what came and was not read."""


@dataclass(eq=False)
class Carrier:
    """An open connection: the engine, and a peer that speaks frames."""

    number: int
    key: str
    engine: Connection
    leases: list[Lease] = field(default_factory=list)
    streams: dict[int, Lease] = field(default_factory=dict)
    peer_open: set[int] = field(default_factory=set)
    """Streams on which the peer has an answer to give."""
    window: int = 65535
    """What the peer may send on the connection."""
    stream_windows: dict[int, int] = field(default_factory=dict)
    highest: int = 0
    goaway: int | None = None
    """The last stream id of the peer's GOAWAY."""
    end: float = math.inf
    """When it takes no more requests."""
    given: int = 0
    """How many requests it was given."""

    @property
    def shared(self) -> bool:
        return self.engine.protocol == "h2"


class PoolModel(RuleBasedStateMachine):
    """See the module."""

    engine_name: EngineName = "native"

    def __init__(self) -> None:
        super().__init__()
        self.limit = 0
        self.max_age = self.max_requests = math.inf
        self.pool: Pool[str, str] = Pool()
        self.now = 0.0
        self.count = 0
        self.connecting: dict[int, str] = {}
        self.open: dict[int, Carrier] = {}
        self.waiting: dict[str, str] = {}
        self.leases: dict[str, Lease] = {}
        self.ended: set[str] = set()

    @initialize(
        limit=st.integers(1, 3),
        max_age=st.sampled_from([None, None, PATIENCE, 2 * KEEP_ALIVE]),
        max_requests=st.sampled_from([None, None, 1, 3]),
    )
    def begin_with_limits(
        self, limit: int, max_age: float | None, max_requests: int | None
    ) -> None:
        self.limit = limit
        self.max_age = math.inf if max_age is None else max_age
        self.max_requests = math.inf if max_requests is None else max_requests
        self.pool = Pool(
            limit=limit,
            limit_per_host=LIMIT_PER_HOST,
            keep_alive=KEEP_ALIVE,
            max_age=max_age,
            max_requests=max_requests,
            random=lambda: (self.count % 3) / 2,
        )

    # -- the adapter ---------------------------------------------------------------------

    def follow(self) -> None:
        """Do what the pool says."""
        while (event := self.pool.next_event()) is not None:
            if isinstance(event, Connect):
                assert self.waiting[event.ticket] == event.key
                self.connecting[event.connection] = event.key
            elif isinstance(event, Assign):
                self.assign(event)
            elif isinstance(event, Close):
                if self.connecting.pop(event.connection, None) is None:
                    carrier = self.open.pop(event.connection)
                    assert not carrier.leases, "closed under a request"
                    self.check_windows(carrier)
                    carrier.engine.close(ErrorCode.NO_ERROR, now=self.now)
            elif isinstance(event, Fail):
                del self.waiting[event.ticket]
                self.ended.add(event.ticket)

    def assign(self, event: Assign[str]) -> None:
        """Let a ticket have the place that the pool gives it."""
        carrier = self.open[event.connection]
        assert self.waiting.pop(event.ticket) == carrier.key
        lease = Lease(event.ticket, carrier)
        assert not self.is_over(carrier)
        carrier.given += 1
        carrier.leases.append(lease)
        self.leases[event.ticket] = lease
        unbegun = sum(each.stream_id is None for each in carrier.leases)
        assert unbegun <= carrier.engine.available_streams, "no place is given twice"

    def is_over(self, carrier: Carrier) -> bool:
        """Tell whether the connection takes no more requests, since it has lived for long."""
        return carrier.end <= self.now or carrier.given >= self.max_requests

    def acquire(self, ticket: str, key: str, *, again: bool, take: bool = False) -> None:
        """Ask for a place; ``take``: for one that is free now, first."""
        self.waiting[ticket] = key
        taken = self.pool.take(key, self.now) if take else None
        opens = self.pool.would_open(key)
        before = set(self.connecting)
        if taken is None:
            self.pool.acquire(ticket, key, self.now, may_share=KEYS[key], again=again)
        else:
            self.assign(Assign(ticket, *taken))
        self.follow()
        if ticket in self.waiting:
            assert opens == bool(self.connecting.keys() - before), "it was said before"
        if take and taken is None:
            assert ticket in self.waiting, "what is assigned at once could be taken"

    def give_back(self, lease: Lease, *, again: bool = False) -> None:
        """End a lease, whatever became of its request."""
        carrier = lease.connection
        carrier.leases.remove(lease)
        del self.leases[lease.ticket]
        if lease.unread:
            assert lease.stream_id is not None
            carrier.engine.acknowledge(lease.stream_id, lease.unread, self.now)
            lease.unread = 0
        if lease.stream_id is None:
            self.pool.returned(carrier.number, self.now)
        else:
            carrier.streams.pop(lease.stream_id, None)
            self.pool.released(carrier.number, self.now)
        self.follow()
        if again:
            self.acquire(lease.ticket, carrier.key, again=True)
        else:
            self.ended.add(lease.ticket)
        self.drain(carrier)

    def drain(self, carrier: Carrier) -> None:
        """Keep the law: dispatch events, hand the peer what there is to send."""
        engine = carrier.engine
        busy = True
        while busy:
            busy = False
            while (event := engine.next_event()) is not None:
                busy = True
                self.dispatch(carrier, event)
            while data := engine.data_to_send():
                busy = True
                self.hear(carrier, data)
        if carrier.number in self.open:
            if engine.state is ConnectionState.CLOSED or engine.wants_close:
                del self.open[carrier.number]
                self.pool.closed(carrier.number, self.now)
                for lease in list(carrier.leases):
                    self.give_back(lease)
                self.check_windows(carrier)
            else:
                self.pool.changed(carrier.number, self.now)
            self.follow()

    def dispatch(self, carrier: Carrier, event: Event) -> None:
        if isinstance(event, Data):
            lease = carrier.streams.get(event.stream_id)
            if lease is None:
                carrier.engine.acknowledge(event.stream_id, event.credit, self.now)
            else:
                lease.unread += event.credit
        elif isinstance(event, EndOfMessage | StreamReset):
            lease = carrier.streams.pop(event.stream_id, None)
            if lease is not None:
                if isinstance(event, EndOfMessage) and not lease.complete:
                    # The peer does not want the rest of the request.
                    reset = StreamReset(event.stream_id, ErrorCode.CANCEL)
                    carrier.engine.send(reset, now=self.now)
                self.give_back(lease, again=isinstance(event, StreamReset) and event.retryable)

    # -- the peer ----------------------------------------------------------------------------

    def hear(self, carrier: Carrier, data: bytes) -> None:
        """Note what the client sent."""
        if not carrier.shared:
            return
        for frame in wire.split_frames(data.removeprefix(wire.PREFACE)):
            if frame.type == FrameType.WINDOW_UPDATE and frame.stream_id == 0:
                carrier.window += int.from_bytes(frame.payload, "big")
            elif frame.type == FrameType.HEADERS:
                carrier.peer_open.add(frame.stream_id)
                carrier.highest = max(carrier.highest, frame.stream_id)
            elif frame.type == FrameType.RST_STREAM:
                carrier.peer_open.discard(frame.stream_id)

    def say(self, carrier: Carrier, data: bytes) -> None:
        carrier.engine.receive_data(data, self.now)
        self.drain(carrier)

    def check_windows(self, carrier: Carrier) -> None:
        """With nothing open, the window of the connection is as large as ever.

        What the engine has not announced yet is less than half of it (its own rule).
        """
        if carrier.shared and carrier.engine.state is ConnectionState.OPEN:
            while data := carrier.engine.data_to_send():
                self.hear(carrier, data)
            assert carrier.window * 2 > CONFIG.limits.connection_window

    # -- requests ------------------------------------------------------------------------------

    @rule(key=st.sampled_from(sorted(KEYS)), again=st.booleans(), take=st.booleans())
    def arrive(self, key: str, again: bool, take: bool) -> None:
        self.count += 1
        self.acquire(f"r{self.count}", key, again=again, take=take)

    @precondition(lambda self: self.waiting or self.leases)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """Give a request up, whatever it has come to."""
        ticket = data.draw(st.sampled_from(sorted(self.waiting) + sorted(self.leases)))
        if ticket in self.waiting:
            self.cancel_while_waiting(ticket)
        elif self.leases[ticket].stream_id is None:
            self.give_back(self.leases[ticket])
        else:
            self.cancel_under_way(self.leases[ticket])

    def cancel_while_waiting(self, ticket: str) -> None:
        del self.waiting[ticket]
        self.ended.add(ticket)
        self.pool.cancel(ticket, self.now)
        self.follow()

    def unbegun(self) -> list[str]:
        return sorted(name for name, lease in self.leases.items() if lease.stream_id is None)

    @rule(
        name=st.sampled_from(SHARED),
        count=st.integers(1, 3),
        limit=st.sampled_from([None, 1, 2, 100]),
    )
    def use_http2(self, name: str, count: int, limit: int | None) -> None:
        """Some requests come, and go as far as they can."""
        for _ in range(count):
            self.arrive(name, again=False, take=True)
        for number, key in list(self.connecting.items()):
            if key == name:
                self.open_connection(number, limit)
        for ticket in self.unbegun():
            if ticket in self.leases:
                self.send(self.leases[ticket], whole=True, fails=False)

    @precondition(lambda self: self.unbegun())
    @rule(data=st.data(), whole=st.booleans(), fails=st.booleans())
    def begin(self, data: st.DataObject, whole: bool, fails: bool) -> None:
        """Send a request, or its head; ``fails``: what is sent is refused by the engine."""
        self.send(self.leases[data.draw(st.sampled_from(self.unbegun()))], whole, fails)

    def send(self, lease: Lease, whole: bool, fails: bool) -> None:
        carrier = lease.connection
        engine = carrier.engine
        try:
            stream_id = engine.next_stream_id()
        except LocalProtocolError:
            assert engine.available_streams == 0, "the peer took the place back"
            self.give_back(lease, again=True)
            return
        lease.stream_id = stream_id
        self.pool.begun(carrier.number)
        fields = [("x", "y\n")] if fails else []
        head = Request(stream_id, "GET" if whole else "POST", "http", "host", "/", fields)
        events = (head, EndOfMessage(stream_id)) if whole else (head,)
        try:
            engine.send(*events, now=self.now)
        except LocalProtocolError:
            assert fails
            self.give_back(lease)
        else:
            carrier.streams[stream_id] = lease
            lease.complete = whole
            self.drain(carrier)

    def cancel_under_way(self, lease: Lease) -> None:
        carrier = lease.connection
        assert lease.stream_id is not None
        if lease.stream_id in carrier.streams:
            carrier.engine.send(StreamReset(lease.stream_id, ErrorCode.CANCEL), now=self.now)
        if lease.ticket in self.leases:
            self.give_back(lease)
        self.drain(carrier)

    @precondition(lambda self: any(lease.unread for lease in self.leases.values()))
    @rule(data=st.data())
    def read(self, data: st.DataObject) -> None:
        names = sorted(name for name, lease in self.leases.items() if lease.unread)
        lease = self.leases[data.draw(st.sampled_from(names))]
        assert lease.stream_id is not None
        credit, lease.unread = lease.unread, 0
        lease.connection.engine.acknowledge(lease.stream_id, credit, self.now)
        self.drain(lease.connection)

    # -- connections ------------------------------------------------------------------------------

    @precondition(lambda self: self.connecting)
    @rule(data=st.data(), limit=st.sampled_from([None, 0, 1, 2, 100]))
    def connected(self, data: st.DataObject, limit: int | None) -> None:
        """``limit``: what the peer's first SETTINGS say; ``None``: they come later."""
        self.open_connection(data.draw(st.sampled_from(sorted(self.connecting))), limit)

    def open_connection(self, number: int, limit: int | None) -> None:
        key = self.connecting.pop(number)
        protocol = "h2" if key in SHARED else "http/1.1"
        engine = create_connection(Role.CLIENT, protocol, CONFIG, engine=self.engine_name)
        engine.connection_made(self.now)
        end = self.now + self.max_age * (1 - SPREAD * (self.count % 3) / 2)
        carrier = self.open[number] = Carrier(number, key, engine, end=end)
        while data_to_send := engine.data_to_send():
            self.hear(carrier, data_to_send)
        if carrier.shared and limit is not None:
            engine.receive_data(wire.settings([(MAX_CONCURRENT_STREAMS, limit)]), self.now)
            while engine.next_event() is not None:
                pass
        self.pool.connected(number, engine, self.now, shared=carrier.shared)
        self.follow()
        self.drain(carrier)

    @precondition(lambda self: self.open or self.connecting)
    @rule(data=st.data(), eof=st.booleans())
    def lose_connection(self, data: st.DataObject, eof: bool) -> None:
        """A connection is lost, or cannot be opened."""
        number = data.draw(st.sampled_from(sorted(self.open) + sorted(self.connecting)))
        if number in self.connecting:
            self.fail_to_connect(number)
            return
        carrier = self.open[number]
        if eof:
            carrier.engine.receive_eof(self.now)
        else:
            carrier.engine.connection_lost(OSError("reset"), self.now)
        self.drain(carrier)

    def fail_to_connect(self, number: int) -> None:
        del self.connecting[number]
        self.pool.connect_failed(number, OSError(), self.now)
        self.follow()

    # -- what a peer does --------------------------------------------------------------------------

    def shared(self) -> list[int]:
        return sorted(
            number
            for number, carrier in self.open.items()
            if carrier.shared and carrier.goaway is None
        )

    @precondition(lambda self: self.shared())
    @rule(data=st.data(), limit=st.integers(0, 4))
    def change_limit(self, data: st.DataObject, limit: int) -> None:
        carrier = self.open[data.draw(st.sampled_from(self.shared()))]
        self.say(carrier, wire.settings([(MAX_CONCURRENT_STREAMS, limit)]))

    @precondition(lambda self: self.shared())
    @rule(data=st.data(), knows=st.integers(0, 3))
    def leave(self, data: st.DataObject, knows: int) -> None:
        """The peer says GOAWAY; of the streams it processed all but a few."""
        carrier = self.open[data.draw(st.sampled_from(self.shared()))]
        carrier.goaway = max(0, carrier.highest - 2 * knows)
        self.say(carrier, wire.settings() + wire.goaway(carrier.goaway))

    def answerable(self) -> list[tuple[int, int]]:
        return sorted(
            (number, stream_id)
            for number, carrier in self.open.items()
            for stream_id in (carrier.peer_open if carrier.shared else carrier.streams)
            if carrier.goaway is None or stream_id <= carrier.goaway
        )

    @precondition(lambda self: self.answerable())
    @rule(
        data=st.data(),
        size=st.sampled_from([0, 16384]),
        end=st.booleans(),
        repeat=st.integers(1, 3),
    )
    def answer(self, data: st.DataObject, size: int, end: bool, repeat: int) -> None:
        """Send a response, or the beginning of one, as far as the window allows."""
        number, stream_id = data.draw(st.sampled_from(self.answerable()))
        carrier = self.open[number]
        if not carrier.shared:
            self.say(carrier, ANSWER if end else ANSWER[:-2])
            return
        out = b""
        if stream_id not in carrier.stream_windows:
            out += wire.headers(stream_id, wire.response_block(200))
            carrier.stream_windows[stream_id] = CONFIG.limits.stream_window
        for _ in range(repeat):
            if size <= min(carrier.window, carrier.stream_windows[stream_id]):
                carrier.window -= size
                carrier.stream_windows[stream_id] -= size
                out += wire.data(stream_id, bytes(size))
        if end:
            out += wire.data(stream_id, b"", end_stream=True)
            carrier.peer_open.discard(stream_id)
        self.say(carrier, wire.settings() + out)

    @precondition(lambda self: any(self.open[n].shared for n, _ in self.answerable()))
    @rule(
        data=st.data(),
        code=st.sampled_from(
            [ErrorCode.REFUSED_STREAM, ErrorCode.CANCEL, ErrorCode.INTERNAL_ERROR]
        ),
    )
    def reset_by_peer(self, data: st.DataObject, code: ErrorCode) -> None:
        choices = [pair for pair in self.answerable() if self.open[pair[0]].shared]
        number, stream_id = data.draw(st.sampled_from(choices))
        carrier = self.open[number]
        carrier.peer_open.discard(stream_id)
        self.say(carrier, wire.settings() + wire.rst_stream(stream_id, code))

    @rule(seconds=st.sampled_from([PATIENCE / 2, PATIENCE, KEEP_ALIVE]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.pool.handle_timeout(self.now)
        self.follow()

    # -- what comes to pass ------------------------------------------------------------------------

    @rule(refusing=st.sets(st.sampled_from(SHARED)), keys=st.lists(st.sampled_from(list(KEYS))))
    def serve_whom_peers_allow(self, refusing: set[str], keys: list[str]) -> None:
        """Some peers take no request from now on; all who wait for the others are served."""
        for key in keys:
            self.arrive(key, again=False, take=False)
        limits = {key: 0 if key in refusing else 100 for key in KEYS}
        for carrier in [self.open[number] for number in self.shared()]:
            self.say(carrier, wire.settings([(MAX_CONCURRENT_STREAMS, limits[carrier.key])]))
        # A connection may take one request only, and each key may have a turn in between.
        rounds = len(KEYS) * (len(self.waiting) + 1) + self.limit
        while self.connecting or not refusing.issuperset(self.waiting.values()):
            rounds -= 1
            assert rounds > 0, "somebody is not served, or connections are opened without end"
            self.time_passes(PATIENCE if self.connecting else KEEP_ALIVE)
            for number, key in list(self.connecting.items()):
                if number in self.connecting:
                    self.open_connection(number, limits[key])
            self.end_leases()

    def end_leases(self) -> None:
        for lease in list(self.leases.values()):
            if self.leases.get(lease.ticket) is not lease:
                continue  # It ended with another.
            if lease.stream_id is None:
                self.give_back(lease)
            else:
                self.cancel_under_way(lease)

    # -- what always holds -------------------------------------------------------------------------

    @invariant()
    def the_pool_agrees_with_the_leases(self) -> None:
        pool = self.pool
        assert pool.waiting == len(self.waiting)
        assert pool.acquired == len(self.leases)
        assert pool.connections == len(self.connecting) + len(self.open) <= self.limit
        for key in KEYS:
            assert self.connections_of(key) <= LIMIT_PER_HOST
        timeout = pool.next_timeout()
        assert timeout is None or timeout > self.now

    @invariant()
    def what_is_over_and_has_nothing_is_closed(self) -> None:
        for carrier in self.open.values():
            assert carrier.leases or not self.is_over(carrier)

    @invariant()
    def the_figures_are_right(self) -> None:
        stats = PoolStats.of(self.pool.stats())
        assert stats.streams == len(self.leases)
        assert stats.waiting == len(self.waiting)
        assert stats.connecting == len(self.connecting)
        assert stats.open == len(self.open)
        assert stats.in_use == sum(bool(carrier.leases) for carrier in self.open.values())
        assert stats.idle == self.pool.idle

    def connections_of(self, key: str) -> int:
        opened = sum(carrier.key == key for carrier in self.open.values())
        return opened + list(self.connecting.values()).count(key)

    @invariant()
    def nobody_waits_while_a_place_is_free(self) -> None:
        for carrier in self.open.values():
            unbegun = sum(lease.stream_id is None for lease in carrier.leases)
            free = carrier.engine.available_streams - unbegun
            assert free <= 0 or self.is_over(carrier) or carrier.key not in self.waiting.values()

    @invariant()
    def nobody_waits_without_a_reason(self) -> None:
        """A connection is on its way, or the limits are used up, or one is full or closed to all."""
        for key in set(self.waiting.values()):
            mine = [carrier for carrier in self.open.values() if carrier.key == key]
            on_the_way = key in self.connecting.values()
            used_up = (
                self.connections_of(key) == LIMIT_PER_HOST
                or len(self.connecting) + len(self.open) == self.limit
            )
            full = any(
                carrier.shared
                and carrier.engine.state is ConnectionState.OPEN
                and not self.is_over(carrier)
                for carrier in mine
            )
            soon = full and self.pool.next_timeout() is not None
            refuses_all = any(carrier.shared and not carrier.leases for carrier in mine)
            assert on_the_way or used_up or soon or refuses_all
            if not on_the_way and not mine:
                assert all(
                    carrier.leases or carrier.key in self.waiting.values()
                    for carrier in self.open.values()
                ), "an idle connection makes room, unless its own key waits too"

    def teardown(self) -> None:
        """Every request ends, and everything is as it was."""
        self.cancel_all_waiting()
        while self.leases:
            self.end_leases()
            self.cancel_all_waiting()
        pool = self.pool
        assert (pool.acquired, pool.waiting) == (0, 0)
        assert self.ended == {f"r{number}" for number in range(1, self.count + 1)}
        for carrier in self.open.values():
            assert carrier.engine.open_streams == 0
            self.check_windows(carrier)
        self.now += KEEP_ALIVE
        pool.handle_timeout(self.now)
        self.follow()
        assert not self.open
        for number in list(self.connecting):
            self.fail_to_connect(number)
        assert pool.connections == 0

    def cancel_all_waiting(self) -> None:
        while self.waiting:
            self.cancel_while_waiting(next(iter(self.waiting)))


class ReferencePoolModel(PoolModel):
    """The same with h11 and h2 behind the contract."""

    engine_name: EngineName = "reference"


def examples(share: int) -> settings:
    """Return settings for a part of the examples that the profile asks for."""
    return settings(max_examples=max(20, settings().max_examples // share), stateful_step_count=40)


TestPoolModel = PoolModel.TestCase
TestPoolModel.settings = examples(1)
TestReferencePoolModel = ReferencePoolModel.TestCase
TestReferencePoolModel.settings = examples(4)
