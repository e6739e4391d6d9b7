"""The pool: single rules by hand, and the invariants by random sequences of inputs."""

from __future__ import annotations

from typing import TypeAlias

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from plait_engine.policy.pool import (
    Assign,
    Close,
    Connect,
    Fail,
    Pool,
    PoolClosedError,
    PoolEvent,
)

StrPool: TypeAlias = Pool[str, str]
Events: TypeAlias = list[PoolEvent[str, str]]


def drain(pool: StrPool) -> Events:
    events: Events = []
    while (event := pool.next_event()) is not None:
        events.append(event)
    return events


def test_a_connection_is_opened_assigned_kept_and_reused() -> None:
    pool: StrPool = Pool()
    pool.acquire("r1", "host", 0.0)
    assert drain(pool) == [Connect(1, "host", "r1")]
    pool.connected(1, 1.0)
    assert drain(pool) == [Assign("r1", 1, False)]
    pool.released(1, 2.0)
    assert drain(pool) == []
    assert (pool.acquired, pool.idle, pool.waiting, pool.connections) == (0, 1, 0, 1)
    pool.acquire("r2", "host", 3.0)
    assert drain(pool) == [Assign("r2", 1, True)]


def test_a_connection_is_not_reused_before_a_request_on_it_is_done() -> None:
    """Requests that share a new connection do not make it look stale to one another."""
    pool: StrPool = Pool()
    for ticket in ("r1", "r2"):
        pool.acquire(ticket, "host", 0.0, may_share=True)
    pool.connected(1, 0.0, capacity=100, shared=True)
    drain(pool)
    pool.acquire("r3", "host", 1.0, may_share=True)
    assert drain(pool) == [Assign("r3", 1, False)]
    pool.released(1, 2.0)
    pool.acquire("r4", "host", 3.0, may_share=True)
    assert drain(pool) == [Assign("r4", 1, True)]


def test_who_comes_again_goes_before_who_comes_first() -> None:
    pool: StrPool = Pool(limit_per_host=1)
    pool.acquire("busy", "host", 0.0)
    pool.connected(1, 0.0)
    drain(pool)
    for ticket, again in (("f1", False), ("a1", True), ("f2", False), ("a2", True), ("gone", True)):
        pool.acquire(ticket, "host", 0.0, again=again)
    pool.cancel("gone", 0.0)
    order = []
    for now in range(4):
        pool.released(1, float(now))
        (event,) = drain(pool)
        assert isinstance(event, Assign)
        order.append(event.ticket)
    assert order == ["a1", "a2", "f1", "f2"]


def test_who_comes_again_gives_its_connection_to_no_other_key() -> None:
    pool: StrPool = Pool(limit=1)
    pool.acquire("busy", "a", 0.0)
    pool.connected(1, 0.0)
    drain(pool)
    pool.acquire("older", "b", 0.0)
    pool.acquire("again", "a", 0.0, again=True)
    pool.released(1, 1.0)
    assert drain(pool) == [Assign("again", 1, True)]


def test_the_connection_used_last_is_used_first() -> None:
    pool: StrPool = Pool()
    for ticket in ("r1", "r2"):
        pool.acquire(ticket, "host", 0.0)
    pool.connected(1, 0.0)
    pool.connected(2, 0.0)
    pool.released(1, 1.0)
    pool.released(2, 2.0)
    drain(pool)
    pool.acquire("r3", "host", 3.0)
    assert drain(pool) == [Assign("r3", 2, True)]


def test_tickets_of_a_key_wait_in_line_at_the_limit_per_host() -> None:
    pool: StrPool = Pool(limit_per_host=1)
    for ticket in ("r1", "r2", "r3"):
        pool.acquire(ticket, "host", 0.0)
    assert drain(pool) == [Connect(1, "host", "r1")]
    pool.connected(1, 0.0)
    assert drain(pool) == [Assign("r1", 1, False)]
    pool.released(1, 1.0)
    assert drain(pool) == [Assign("r2", 1, True)]
    pool.closed(1, 2.0)
    assert drain(pool) == [Connect(2, "host", "r3")]


def test_older_tickets_come_first_across_keys_at_the_limit() -> None:
    pool: StrPool = Pool(limit=1)
    pool.acquire("r0", "a", 0.0)
    pool.connected(1, 0.0)
    for ticket, key in (("b1", "b"), ("b2", "b"), ("c1", "c"), ("b3", "b")):
        pool.acquire(ticket, key, 1.0)
    drain(pool)
    pool.released(1, 2.0)
    assert drain(pool) == [Close(1), Connect(2, "b", "b1")]
    pool.connected(2, 2.0)
    pool.released(2, 3.0)
    assert drain(pool) == [Assign("b1", 2, False), Assign("b2", 2, True)]
    pool.released(2, 4.0)
    assert drain(pool) == [Close(2), Connect(3, "c", "c1")]
    pool.connected(3, 4.0)
    pool.released(3, 5.0)
    assert drain(pool) == [Assign("c1", 3, False), Close(3), Connect(4, "b", "b3")]


def test_an_idle_connection_makes_room_for_another_key() -> None:
    pool: StrPool = Pool(limit=2)
    for number, key in ((1, "a"), (2, "b")):
        pool.acquire(key, key, 0.0)
        pool.connected(number, 0.0)
        pool.released(number, float(number))
    drain(pool)
    pool.acquire("r3", "c", 5.0)
    assert drain(pool) == [Close(1), Connect(3, "c", "r3")]


def test_a_connection_that_somebody_waits_for_makes_room_last() -> None:
    """The peer allows no request for now; it may change that."""
    pool: StrPool = Pool(limit=2)
    pool.acquire("r1", "busy", 0.0, may_share=True)
    pool.connected(1, 0.0, shared=True, capacity=0)
    pool.acquire("r2", "idle", 1.0)
    pool.connected(2, 1.0)
    pool.released(2, 2.0)
    drain(pool)
    pool.acquire("r3", "c", 3.0)
    assert drain(pool) == [Close(2), Connect(3, "c", "r3")]
    pool.capacity_changed(1, 1, 4.0)
    assert drain(pool) == [Assign("r1", 1, False)]


@pytest.mark.parametrize("timer_is_late", [False, True])
def test_an_idle_connection_expires(timer_is_late: bool) -> None:
    pool: StrPool = Pool(keep_alive=15.0)
    pool.acquire("r1", "host", 0.0)
    pool.connected(1, 0.0)
    pool.released(1, 1.0)
    drain(pool)
    assert pool.next_timeout() == 16.0
    pool.handle_timeout(15.9)
    assert drain(pool) == []
    if timer_is_late:
        pool.acquire("r2", "host", 16.0)
        assert drain(pool) == [Close(1), Connect(2, "host", "r2")]
    else:
        pool.handle_timeout(16.0)
        assert drain(pool) == [Close(1)]
        assert pool.next_timeout() is None


def test_without_keep_alive_a_connection_is_used_once() -> None:
    pool: StrPool = Pool(keep_alive=0)
    pool.acquire("r1", "host", 0.0)
    pool.connected(1, 0.0)
    drain(pool)
    pool.released(1, 1.0)
    assert drain(pool) == [Close(1)]


def test_a_connection_that_is_not_reusable_is_closed() -> None:
    pool: StrPool = Pool()
    pool.acquire("r1", "host", 0.0)
    pool.connected(1, 0.0)
    drain(pool)
    pool.released(1, 1.0, reusable=False)
    assert drain(pool) == [Close(1)]


def test_tickets_wait_to_learn_whether_a_key_is_shared_and_share() -> None:
    pool: StrPool = Pool()
    for ticket in ("r1", "r2", "r3"):
        pool.acquire(ticket, "host", 0.0, may_share=True)
    assert drain(pool) == [Connect(1, "host", "r1")]
    pool.connected(1, 0.0, capacity=2, shared=True)
    assert drain(pool) == [Assign("r1", 1, False), Assign("r2", 1, False)]
    pool.released(1, 1.0)
    assert drain(pool) == [Assign("r3", 1, True)]
    assert pool.connections == 1


def test_tickets_wait_to_learn_whether_a_key_is_shared_and_do_not_share() -> None:
    pool: StrPool = Pool()
    for ticket in ("r1", "r2", "r3"):
        pool.acquire(ticket, "host", 0.0, may_share=True)
    drain(pool)
    pool.connected(1, 0.0)
    assert drain(pool) == [
        Assign("r1", 1, False),
        Connect(2, "host", "r2"),
        Connect(3, "host", "r3"),
    ]
    # What was learned outlives the connections.
    for number in (2, 3):
        pool.connected(number, 0.0)
    for number in (1, 2, 3):
        pool.closed(number, 1.0)
    drain(pool)
    for ticket in ("r4", "r5"):
        pool.acquire(ticket, "host", 2.0, may_share=True)
    assert drain(pool) == [Connect(4, "host", "r4"), Connect(5, "host", "r5")]


def test_all_who_waited_for_the_first_connection_fail_with_it() -> None:
    pool: StrPool = Pool()
    for ticket in ("r1", "r2"):
        pool.acquire(ticket, "host", 0.0, may_share=True)
    error = OSError("refused")
    pool.connect_failed(1, error, 1.0)
    assert drain(pool) == [Connect(1, "host", "r1"), Fail("r1", error), Fail("r2", error)]
    assert pool.connections == pool.waiting == 0


def test_a_failed_connection_fails_only_the_ticket_that_it_was_opened_for() -> None:
    pool: StrPool = Pool()
    for ticket in ("r1", "r2"):
        pool.acquire(ticket, "host", 0.0)
    drain(pool)
    error = OSError("refused")
    pool.connect_failed(2, error, 1.0)
    assert drain(pool) == [Fail("r2", error)]
    pool.connected(1, 1.0)
    assert drain(pool) == [Assign("r1", 1, False)]


def test_a_ticket_that_was_overtaken_gets_another_connection() -> None:
    pool: StrPool = Pool()
    for ticket in ("r1", "r2"):
        pool.acquire(ticket, "host", 0.0)
    drain(pool)
    pool.connected(2, 1.0)  # Opened for r2, but r1 is first in the line.
    assert drain(pool) == [Assign("r1", 2, False)]
    pool.connect_failed(1, OSError(), 1.0)  # Opened for r1, which has one.
    assert drain(pool) == [Connect(3, "host", "r2")]


def test_a_lowered_capacity_stops_new_requests_only() -> None:
    pool: StrPool = Pool()
    for ticket in ("r1", "r2"):
        pool.acquire(ticket, "host", 0.0, may_share=True)
    pool.connected(1, 0.0, capacity=100, shared=True)
    pool.capacity_changed(1, 0, 1.0)
    pool.acquire("r3", "host", 1.0, may_share=True)
    drain(pool)
    pool.released(1, 2.0)
    pool.released(1, 2.0)
    assert drain(pool) == []
    pool.capacity_changed(1, 1, 3.0)
    assert drain(pool) == [Assign("r3", 1, True)]


def test_a_draining_shared_connection_is_replaced_and_closed_after_its_last_request() -> None:
    pool: StrPool = Pool()
    for ticket in ("r1", "r2", "r3"):
        pool.acquire(ticket, "host", 0.0, may_share=True)
    pool.connected(1, 0.0, capacity=2, shared=True)
    drain(pool)
    pool.draining(1, 1.0)
    assert drain(pool) == [Connect(2, "host", "r3")]
    pool.released(1, 2.0)
    assert drain(pool) == []
    pool.released(1, 2.0)
    assert drain(pool) == [Close(1)]


def test_a_second_shared_connection_is_needless() -> None:
    pool: StrPool = Pool()
    for ticket in ("r1", "r2"):
        pool.acquire(ticket, "host", 0.0)  # The caller did not expect it to be shared.
    drain(pool)
    pool.connected(1, 1.0, capacity=100, shared=True)
    pool.connected(2, 1.0, capacity=100, shared=True)
    assert drain(pool) == [Assign("r1", 1, False), Assign("r2", 1, False), Close(2)]


def test_a_cancelled_ticket_takes_its_connection_with_it() -> None:
    pool: StrPool = Pool(limit=1)
    pool.acquire("r1", "a", 0.0)
    pool.acquire("r2", "b", 0.0)
    pool.cancel("r1", 1.0)
    assert drain(pool) == [Connect(1, "a", "r1"), Close(1), Connect(2, "b", "r2")]
    pool.connected(1, 2.0)  # It crossed the Close.
    assert drain(pool) == []


def test_close_fails_who_waits_and_closes_what_is_open() -> None:
    pool: StrPool = Pool(limit_per_host=1)
    pool.acquire("r1", "a", 0.0)
    pool.acquire("r2", "a", 0.0)
    pool.acquire("r3", "b", 0.0)
    pool.connected(1, 0.0)
    drain(pool)
    pool.close(1.0)
    events = drain(pool)
    assert {event.ticket for event in events if isinstance(event, Fail)} == {"r2", "r3"}
    assert {event.connection for event in events if isinstance(event, Close)} == {1, 2}
    pool.acquire("r4", "a", 2.0)
    (event,) = drain(pool)
    assert isinstance(event, Fail)
    assert isinstance(event.error, PoolClosedError)
    for late in (pool.released, pool.closed, pool.draining, pool.connected):
        late(1, 3.0)
    assert drain(pool) == []
    assert pool.connections == 0


class PoolMachine(RuleBasedStateMachine):
    """Any sequence of inputs; a model follows what the pool said."""

    def __init__(self) -> None:
        super().__init__()
        self.pool: StrPool = Pool(limit=3, limit_per_host=2, keep_alive=10.0)
        self.now = 0.0
        self.count = 0
        self.connecting: dict[int, str] = {}
        self.open: dict[int, tuple[str, bool]] = {}
        self.capacity: dict[int, int] = {}
        self.waiting: dict[str, str] = {}
        self.assigned: dict[str, int] = {}
        self.shared_keys: set[str] = set()

    def follow(self) -> None:
        for event in drain(self.pool):
            if isinstance(event, Connect):
                assert self.waiting[event.ticket] == event.key
                assert event.connection not in self.open
                self.connecting[event.connection] = event.key
            elif isinstance(event, Assign):
                key, _ = self.open[event.connection]
                assert self.waiting.pop(event.ticket) == key
                self.assigned[event.ticket] = event.connection
                busy = list(self.assigned.values()).count(event.connection)
                assert busy <= self.capacity[event.connection], "above the capacity"
            elif isinstance(event, Close):
                assert event.connection not in self.assigned.values(), "closed while in use"
                assert self.connecting.pop(event.connection, None) or self.open.pop(
                    event.connection
                )
            else:
                del self.waiting[event.ticket]

    @rule(key=st.sampled_from("abc"), again=st.booleans())
    def acquire(self, key: str, again: bool) -> None:
        self.count += 1
        ticket = f"r{self.count}"
        self.waiting[ticket] = key
        self.pool.acquire(ticket, key, self.now, may_share=key != "c", again=again)
        self.follow()

    @precondition(lambda self: self.connecting)
    @rule(data=st.data(), shared=st.booleans(), capacity=st.integers(0, 3))
    def connected(self, data: st.DataObject, shared: bool, capacity: int) -> None:
        number = data.draw(st.sampled_from(sorted(self.connecting)))
        self.open[number] = (self.connecting.pop(number), shared)
        self.capacity[number] = capacity if shared else 1
        self.pool.connected(number, self.now, capacity=self.capacity[number], shared=shared)
        self.follow()

    @precondition(lambda self: self.connecting)
    @rule(data=st.data())
    def connect_failed(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.connecting)))
        del self.connecting[number]
        self.pool.connect_failed(number, OSError(), self.now)
        self.follow()

    @precondition(lambda self: self.assigned)
    @rule(data=st.data(), reusable=st.booleans())
    def release(self, data: st.DataObject, reusable: bool) -> None:
        ticket = data.draw(st.sampled_from(sorted(self.assigned)))
        self.pool.released(self.assigned.pop(ticket), self.now, reusable=reusable)
        self.follow()

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        ticket = data.draw(st.sampled_from(sorted(self.waiting)))
        del self.waiting[ticket]
        self.pool.cancel(ticket, self.now)
        self.follow()

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def closed(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.open)))
        del self.open[number]
        self.assigned = {t: n for t, n in self.assigned.items() if n != number}
        self.pool.closed(number, self.now)
        self.follow()

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def draining(self, data: st.DataObject) -> None:
        self.pool.draining(data.draw(st.sampled_from(sorted(self.open))), self.now)
        self.follow()

    @precondition(lambda self: any(shared for _, shared in self.open.values()))
    @rule(data=st.data(), capacity=st.integers(0, 3))
    def capacity_changed(self, data: st.DataObject, capacity: int) -> None:
        number = data.draw(st.sampled_from([n for n, (_, shared) in self.open.items() if shared]))
        self.capacity[number] = capacity
        self.pool.capacity_changed(number, capacity, self.now)
        self.follow()

    @rule(seconds=st.floats(0, 12))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.pool.handle_timeout(self.now)
        self.follow()

    @invariant()
    def the_counts_agree_with_the_model(self) -> None:
        pool = self.pool
        assert pool.waiting == len(self.waiting)
        assert pool.acquired == len(self.assigned)
        assert pool.connections == len(self.connecting) + len(self.open) <= 3
        for key in "abc":
            hosts = [*self.connecting.values(), *(host for host, _ in self.open.values())]
            assert hosts.count(key) <= 2
        timeout = pool.next_timeout()
        assert timeout is None or timeout > self.now

    @invariant()
    def nobody_waits_without_a_reason(self) -> None:
        """Who waits has a connection on its way, or all of the limits are in use."""
        for key in set(self.waiting.values()):
            hosts = [host for host, _ in self.open.values()]
            on_the_way = key in self.connecting.values()
            used_up = (
                len(self.connecting) + len(self.open) == 3
                or hosts.count(key) + list(self.connecting.values()).count(key) == 2
            )
            full = any(host == key and shared for host, shared in self.open.values())
            assert on_the_way or used_up or full
            usable = {n for n in self.open if self.capacity[n]} - set(self.assigned.values())
            assert on_the_way or key in hosts or not usable, "an idle connection makes room"

    def teardown(self) -> None:
        """Back to the baseline, and the next request succeeds."""
        for ticket in list(self.waiting):
            self.pool.cancel(ticket, self.now)
            del self.waiting[ticket]
            self.follow()
        for number in list(self.assigned.values()):
            self.pool.released(number, self.now)
        self.assigned.clear()
        self.follow()
        for number in list(self.open):
            if self.open.pop(number, None):
                self.pool.closed(number, self.now)
                self.follow()
        for number in list(self.connecting):
            if self.connecting.pop(number, None):
                self.pool.connect_failed(number, OSError(), self.now)
                self.follow()
        pool = self.pool
        assert (pool.acquired, pool.idle, pool.waiting, pool.connections) == (0, 0, 0, 0)
        pool.acquire("last", "c", self.now)
        connect, *rest = drain(pool)
        assert isinstance(connect, Connect)
        assert not rest
        pool.connected(connect.connection, self.now)
        assert drain(pool) == [Assign("last", connect.connection, False)]


TestPoolMachine = PoolMachine.TestCase
TestPoolMachine.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
