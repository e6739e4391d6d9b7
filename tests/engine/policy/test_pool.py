"""The pool: single rules by hand.  Its invariants are in ``test_pool_model``."""

from __future__ import annotations

import pytest

from plait_engine.connection import ConnectionState
from plait_engine.policy.pool import MAX_REMEMBERED, PATIENCE, Pool
from plait_engine.policy.pool_events import Assign, Close, Connect, Fail, PoolClosedError
from plait_engine.policy.stats import HostStats, PoolStats
from tests.engine.policy.pools import Opened, StrPool, drain


def test_a_connection_is_opened_assigned_kept_and_reused() -> None:
    pool: StrPool = Pool()
    pool.acquire("r1", "host", 0.0)
    assert drain(pool) == [Connect(1, "host", "r1")]
    first = Opened(pool, 1, 1.0)
    assert drain(pool) == [Assign("r1", 1, False)]
    first.use(2.0)
    assert drain(pool) == []
    assert (pool.acquired, pool.idle, pool.waiting, pool.connections) == (0, 1, 0, 1)
    pool.acquire("r2", "host", 3.0)
    assert drain(pool) == [Assign("r2", 1, True)]


def test_a_connection_is_not_reused_before_a_request_on_it_is_done() -> None:
    """Requests that share a new connection do not make it look stale to one another."""
    pool: StrPool = Pool()
    for ticket in ("r1", "r2"):
        pool.acquire(ticket, "host", 0.0, may_share=True)
    first = Opened(pool, 1, limit=100)
    drain(pool)
    first.begin(2)
    pool.acquire("r3", "host", 1.0, may_share=True)
    assert drain(pool) == [Assign("r3", 1, False)]
    first.end(2.0)
    pool.acquire("r4", "host", 3.0, may_share=True)
    assert drain(pool) == [Assign("r4", 1, True)]


def test_a_connection_that_was_idle_may_be_stale_though_no_request_was_done_on_it() -> None:
    """Whoever it was opened for gave up; its server may be about to close it."""
    pool: StrPool = Pool()
    pool.acquire("r1", "host", 0.0)
    Opened(pool, 1, 1.0)
    pool.returned(1, 1.0)
    drain(pool)
    assert pool.take("host", 10.0) == (1, True)


def test_a_place_on_which_nothing_began_is_returned_and_given_to_the_next() -> None:
    pool: StrPool = Pool(limit=1)
    for ticket in ("r1", "r2", "r3"):
        pool.acquire(ticket, "host", 0.0)
    Opened(pool, 1)
    drain(pool)
    pool.returned(1, 1.0)
    assert drain(pool) == [Assign("r2", 1, False)], "nothing was done on it: it is not stale"
    pool.returned(1, 1.0)
    pool.returned(1, 1.0)
    assert drain(pool) == [Assign("r3", 1, False)]
    assert (pool.acquired, pool.idle) == (0, 1)


def test_a_ticket_that_comes_again_is_served_before_those_that_come_first() -> None:
    pool: StrPool = Pool(limit_per_host=1)
    pool.acquire("busy", "host", 0.0)
    first = Opened(pool, 1)
    drain(pool)
    for ticket, again in (("f1", False), ("a1", True), ("f2", False), ("a2", True), ("gone", True)):
        pool.acquire(ticket, "host", 0.0, again=again)
    pool.cancel("gone", 0.0)
    order = []
    for now in range(4):
        first.use(float(now))
        (event,) = drain(pool)
        assert isinstance(event, Assign)
        order.append(event.ticket)
    assert order == ["a1", "a2", "f1", "f2"]


def test_a_ticket_that_comes_again_gives_its_connection_to_no_other_key() -> None:
    pool: StrPool = Pool(limit=1)
    pool.acquire("busy", "a", 0.0)
    first = Opened(pool, 1)
    drain(pool)
    pool.acquire("older", "b", 0.0)
    pool.acquire("again", "a", 0.0, again=True)
    first.use(1.0)
    assert drain(pool) == [Assign("again", 1, True)]


def test_the_connection_used_last_is_used_first() -> None:
    pool: StrPool = Pool()
    for ticket in ("r1", "r2"):
        pool.acquire(ticket, "host", 0.0)
    first, second = Opened(pool, 1), Opened(pool, 2)
    first.use(1.0)
    second.use(2.0)
    drain(pool)
    pool.acquire("r3", "host", 3.0)
    assert drain(pool) == [Assign("r3", 2, True)]


def test_tickets_of_a_key_wait_at_the_limit_per_host() -> None:
    pool: StrPool = Pool(limit_per_host=1)
    for ticket in ("r1", "r2", "r3"):
        pool.acquire(ticket, "host", 0.0)
    assert drain(pool) == [Connect(1, "host", "r1")]
    first = Opened(pool, 1)
    assert drain(pool) == [Assign("r1", 1, False)]
    first.use(1.0)
    assert drain(pool) == [Assign("r2", 1, True)]
    pool.closed(1, 2.0)
    assert drain(pool) == [Connect(2, "host", "r3")]


def test_older_tickets_come_first_across_keys_at_the_limit() -> None:
    pool: StrPool = Pool(limit=1)
    pool.acquire("r0", "a", 0.0)
    first = Opened(pool, 1)
    for ticket, key in (("b1", "b"), ("b2", "b"), ("c1", "c"), ("b3", "b")):
        pool.acquire(ticket, key, 1.0)
    drain(pool)
    first.use(2.0)
    assert drain(pool) == [Close(1), Connect(2, "b", "b1")]
    second = Opened(pool, 2, 2.0)
    second.use(3.0)
    assert drain(pool) == [Assign("b1", 2, False), Assign("b2", 2, True)]
    second.use(4.0)
    assert drain(pool) == [Close(2), Connect(3, "c", "c1")]
    Opened(pool, 3, 4.0).use(5.0)
    assert drain(pool) == [Assign("c1", 3, False), Close(3), Connect(4, "b", "b3")]


def test_an_idle_connection_makes_room_for_another_key() -> None:
    pool: StrPool = Pool(limit=2)
    for number, key in ((1, "a"), (2, "b")):
        pool.acquire(key, key, 0.0)
        Opened(pool, number).use(float(number))
    drain(pool)
    pool.acquire("r3", "c", 5.0)
    assert drain(pool) == [Close(1), Connect(3, "c", "r3")]


def test_a_connection_that_somebody_waits_for_makes_room_last() -> None:
    """The peer allows no request for now; it may change that."""
    pool: StrPool = Pool(limit=2)
    pool.acquire("r1", "busy", 0.0, may_share=True)
    first = Opened(pool, 1, limit=0)
    pool.acquire("r2", "idle", 1.0)
    Opened(pool, 2, 1.0).use(2.0)
    drain(pool)
    pool.acquire("r3", "c", 3.0)
    assert drain(pool) == [Close(2), Connect(3, "c", "r3")]
    first.change_limit(1, 4.0)
    assert drain(pool) == [Assign("r1", 1, False)]


@pytest.mark.parametrize("timer_is_late", [False, True])
@pytest.mark.parametrize("limit", [None, 100])
def test_an_idle_connection_expires(limit: int | None, timer_is_late: bool) -> None:
    pool: StrPool = Pool(keep_alive=15.0)
    pool.acquire("r1", "host", 0.0, may_share=True)
    Opened(pool, 1, limit=limit).use(1.0)
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


def test_the_idle_connections_come_in_the_order_in_which_they_became_idle() -> None:
    pool: StrPool = Pool()
    opened = []
    for number, key in ((1, "a"), (2, "b"), (3, "a")):
        pool.acquire(key + str(number), key, 0.0)
        opened.append(Opened(pool, number))
    for connection, now in zip(reversed(opened), (1.0, 2.0, 3.0), strict=True):
        connection.begin()
        connection.end(now)
    assert pool.idle_connections() == [("a", 3, 1.0), ("b", 2, 2.0), ("a", 1, 3.0)]


def test_a_pool_may_keep_connections_for_ever() -> None:
    pool: StrPool = Pool(keep_alive=None)
    pool.acquire("r1", "host", 0.0)
    Opened(pool, 1).use(1.0)
    drain(pool)
    pool.handle_timeout(1e9)
    assert (drain(pool), pool.idle, pool.next_timeout()) == ([], 1, None)
    pool.acquire("r2", "host", 1e9)
    assert drain(pool) == [Assign("r2", 1, True)]


def test_a_connection_that_was_closed_while_idle_is_not_used() -> None:
    pool: StrPool = Pool()
    for ticket in ("r1", "r2"):
        pool.acquire(ticket, "host", 0.0)
    first, second = Opened(pool, 1), Opened(pool, 2)
    first.use(1.0)
    second.use(2.0)
    drain(pool)
    pool.closed(2, 3.0)
    pool.acquire("r3", "host", 4.0)
    assert drain(pool) == [Assign("r3", 1, True)]


def test_only_the_last_keys_are_known_to_share() -> None:
    pool: StrPool = Pool()
    for number in range(1, MAX_REMEMBERED + 2):
        pool.acquire("r", f"host{number}", 0.0, may_share=True)
        Opened(pool, number, limit=100).use(0.0)
        pool.closed(number, 0.0)
    assert len(pool._remembered) == MAX_REMEMBERED
    drain(pool)
    for host in ("host1", "host2"):
        assert (pool._recall(host, True) is None) == (host == "host1")


def test_a_key_whose_connection_made_room_gets_another_later() -> None:
    """Its one connection was idle because the peer took no request."""
    pool: StrPool = Pool(limit=1)
    pool.acquire("a1", "a", 0.0, may_share=True)
    Opened(pool, 1, limit=0)
    drain(pool)
    pool.acquire("b1", "b", 1.0)
    assert drain(pool) == [Close(1), Connect(2, "b", "b1")]
    Opened(pool, 2, 1.0).use(2.0)
    assert drain(pool) == [Assign("b1", 2, False), Close(2), Connect(3, "a", "a1")]
    Opened(pool, 3, 2.0, limit=100).use(3.0)
    assert drain(pool) == [Assign("a1", 3, False)]


def test_a_key_that_was_held_back_and_needs_nothing_any_more_is_passed_over() -> None:
    pool: StrPool = Pool(limit=1)
    pool.acquire("a1", "a", 0.0)
    first = Opened(pool, 1)
    first.begin()
    for key in ("b", "c"):
        pool.acquire(key, key, 0.0)
    pool.cancel("b", 1.0)
    drain(pool)
    pool.closed(1, 2.0)
    assert drain(pool) == [Connect(2, "c", "c")]


def test_without_keep_alive_a_connection_is_used_once() -> None:
    pool: StrPool = Pool(keep_alive=0)
    pool.acquire("r1", "host", 0.0)
    first = Opened(pool, 1)
    drain(pool)
    first.use(1.0)
    assert drain(pool) == [Close(1)]


def test_a_connection_that_takes_no_further_request_is_closed() -> None:
    pool: StrPool = Pool()
    pool.acquire("r1", "host", 0.0)
    first = Opened(pool, 1)
    drain(pool)
    first.begin()
    first.engine.state = ConnectionState.CLOSING
    first.end(1.0)
    assert drain(pool) == [Close(1)]


def test_tickets_wait_to_learn_whether_a_key_is_shared_and_share() -> None:
    pool: StrPool = Pool(limit_per_host=1)
    for ticket in ("r1", "r2", "r3"):
        pool.acquire(ticket, "host", 0.0, may_share=True)
    assert drain(pool) == [Connect(1, "host", "r1")]
    first = Opened(pool, 1, limit=2)
    assert drain(pool) == [Assign("r1", 1, False), Assign("r2", 1, False)]
    first.use(1.0)
    assert drain(pool) == [Assign("r3", 1, True)]
    assert pool.connections == 1


def test_tickets_wait_to_learn_whether_a_key_is_shared_and_do_not_share() -> None:
    pool: StrPool = Pool()
    for ticket in ("r1", "r2", "r3"):
        pool.acquire(ticket, "host", 0.0, may_share=True)
    drain(pool)
    Opened(pool, 1)
    assert drain(pool) == [
        Assign("r1", 1, False),
        Connect(2, "host", "r2"),
        Connect(3, "host", "r3"),
    ]
    # What was learned outlives the connections.
    for number in (2, 3):
        Opened(pool, number)
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


@pytest.mark.parametrize("shared", [False, True])
def test_a_failed_connection_fails_only_the_ticket_that_it_was_opened_for(shared: bool) -> None:
    pool: StrPool = Pool()
    if shared:  # There is a connection, which is full.
        pool.acquire("r0", "host", 0.0, may_share=True)
        Opened(pool, 1, limit=1).begin()
    for ticket in ("r1", "r2"):
        pool.acquire(ticket, "host", 0.0)
    pool.handle_timeout(PATIENCE)
    drain(pool)
    error = OSError("refused")
    pool.connect_failed(2, error, 1.0)
    assert drain(pool) == [Fail("r1" if shared else "r2", error)]
    assert pool.waiting == 1
    if not shared:
        Opened(pool, 1, 1.0)
        assert drain(pool) == [Assign("r1", 1, False)]


def test_a_ticket_that_was_overtaken_gets_another_connection() -> None:
    pool: StrPool = Pool()
    for ticket in ("r1", "r2"):
        pool.acquire(ticket, "host", 0.0)
    drain(pool)
    Opened(pool, 2, 1.0)  # Opened for r2, but r1 is first in the queue.
    assert drain(pool) == [Assign("r1", 2, False)]
    pool.connect_failed(1, OSError(), 1.0)  # Opened for r1, which has one.
    assert drain(pool) == [Connect(3, "host", "r2")]


def test_a_lowered_limit_stops_new_requests_only() -> None:
    pool: StrPool = Pool(limit_per_host=1)
    for ticket in ("r1", "r2"):
        pool.acquire(ticket, "host", 0.0, may_share=True)
    first = Opened(pool, 1, limit=100)
    first.begin(2)
    first.change_limit(1, 1.0)
    pool.acquire("r3", "host", 1.0, may_share=True)
    drain(pool)
    first.end(2.0)
    assert drain(pool) == [], "one is in flight, and one is the limit"
    first.change_limit(0, 2.0)
    first.end(2.0)
    assert drain(pool) == []
    first.change_limit(1, 3.0)
    assert drain(pool) == [Assign("r3", 1, True)]


def test_places_that_are_assigned_and_not_begun_count() -> None:
    pool: StrPool = Pool(limit_per_host=1)
    for ticket in ("r1", "r2", "r3"):
        pool.acquire(ticket, "host", 0.0, may_share=True)
    first = Opened(pool, 1, limit=2)
    drain(pool)
    pool.changed(1, 1.0)
    first.begin()
    pool.changed(1, 1.0)
    assert drain(pool) == []
    first.change_limit(3, 1.0)
    assert drain(pool) == [Assign("r3", 1, False)]


def test_a_full_shared_connection_is_joined_by_another_when_no_place_comes_free() -> None:
    pool: StrPool = Pool()
    for number in range(1, 8):
        pool.acquire(f"r{number}", "host", 0.0, may_share=True)
    first = Opened(pool, 1, limit=2)
    first.begin(2)
    drain(pool)
    assert pool.next_timeout() == PATIENCE
    first.end(0.05)
    first.begin()
    assert drain(pool) == [Assign("r3", 1, True)], "places come free, if slowly"
    pool.handle_timeout(PATIENCE)
    assert drain(pool) == []
    assert pool.next_timeout() == 0.05 + PATIENCE
    pool.handle_timeout(0.05 + PATIENCE)
    assert drain(pool) == [Connect(2, "host", "r4")]
    assert pool.next_timeout() is None, "one at a time"
    second = Opened(pool, 2, 1.0, limit=2)
    second.begin(2)
    assert drain(pool) == [Assign("r4", 2, False), Assign("r5", 2, False)]
    pool.handle_timeout(1.0 + PATIENCE)
    assert drain(pool) == [Connect(3, "host", "r6")]


def test_other_connections_join_within_the_limits_only() -> None:
    pool: StrPool = Pool(limit_per_host=1)
    for number in range(2):
        pool.acquire(f"r{number}", "host", 0.0, may_share=True)
    Opened(pool, 1, limit=1)
    drain(pool)
    assert pool.next_timeout() is None
    pool.handle_timeout(10.0)
    assert drain(pool) == []
    assert pool.waiting == 1


def test_a_connection_that_takes_no_request_at_all_is_waited_for() -> None:
    """Another connection would hear the same limit of 0, and so on, up to ``limit``."""
    pool: StrPool = Pool()
    pool.acquire("r1", "host", 0.0, may_share=True)
    first = Opened(pool, 1, limit=0)
    pool.acquire("r2", "host", 0.0, may_share=True)
    assert drain(pool) == [Connect(1, "host", "r1")]
    first.change_limit(2, 1.0)
    assert drain(pool) == [Assign("r1", 1, False), Assign("r2", 1, False)]


def test_a_key_whose_peer_takes_no_request_keeps_no_other_waiting() -> None:
    """Its ticket is the older one, but the place that it gave up is not taken back for it."""
    pool: StrPool = Pool(limit=1)
    pool.acquire("r1", "refusing", 0.0, may_share=True)
    pool.acquire("r2", "willing", 0.0, may_share=True)
    pool.acquire("r3", "willing", 0.0, may_share=True)
    Opened(pool, 1, limit=0)
    assert drain(pool) == [Connect(1, "refusing", "r1"), Close(1), Connect(2, "willing", "r2")]
    second = Opened(pool, 2, 1.0, limit=1)
    second.use(2.0)
    assert drain(pool) == [Assign("r2", 2, False), Assign("r3", 2, True)]
    pool.acquire("r4", "willing", 2.0)
    second.use(3.0)
    assert drain(pool) == [Close(2), Connect(3, "refusing", "r1")]
    Opened(pool, 3, 3.0, limit=0)
    assert drain(pool) == [Close(3), Connect(4, "willing", "r4")]


@pytest.mark.parametrize("held_back", ["by the limit", "by another key"])
def test_keys_whose_peers_take_no_request_do_not_connect_in_turns(held_back: str) -> None:
    pool: StrPool = Pool(limit=1, keep_alive=15.0)
    pool.acquire("r1", "one", 0.0, may_share=True)
    if held_back == "by the limit":
        pool.acquire("r2", "two", 0.0, may_share=True)
        Opened(pool, 1, limit=0)
    else:
        Opened(pool, 1, limit=0)
        pool.acquire("r2", "two", 0.0, may_share=True)
    assert drain(pool) == [Connect(1, "one", "r1"), Close(1), Connect(2, "two", "r2")]
    second = Opened(pool, 2, limit=0)
    assert drain(pool) == []
    second.change_limit(1, 1.0)
    assert drain(pool) == [Assign("r2", 2, False)]
    second.use(2.0)
    assert drain(pool) == [Close(2), Connect(3, "one", "r1")]


def test_a_connection_is_not_kept_for_a_ticket_that_is_gone() -> None:
    """Its peer takes no request, nobody waits for that any more, and another key needs room."""
    pool: StrPool = Pool(limit=1, keep_alive=None)
    pool.acquire("r1", "one", 0.0, may_share=True)
    pool.acquire("r2", "two", 0.0, may_share=True)
    Opened(pool, 1, limit=0)
    Opened(pool, 2, limit=0)
    drain(pool)
    pool.cancel("r2", 1.0)
    assert drain(pool) == [Close(2), Connect(3, "one", "r1")]


def test_the_oldest_shared_connection_with_a_free_place_is_used() -> None:
    pool: StrPool = Pool()
    pool.acquire("r1", "host", 0.0, may_share=True)
    first = Opened(pool, 1, limit=1)
    first.begin()
    pool.acquire("r2", "host", 0.0)
    pool.handle_timeout(PATIENCE)
    Opened(pool, 2, PATIENCE, limit=1).use(PATIENCE)
    first.end(1.0)
    drain(pool)
    assert pool.has_place("host")
    pool.acquire("r3", "host", 1.0)
    assert drain(pool) == [Assign("r3", 1, True)]


def test_a_draining_shared_connection_is_replaced_and_closed_after_its_last_request() -> None:
    pool: StrPool = Pool(limit_per_host=2)
    for ticket in ("r1", "r2"):
        pool.acquire(ticket, "host", 0.0, may_share=True)
    first = Opened(pool, 1, limit=2)
    first.begin(2)
    drain(pool)
    first.leave(1.0)
    assert not pool.has_place("host")
    pool.acquire("r3", "host", 0.0, may_share=True)
    assert drain(pool) == [Connect(2, "host", "r3")]
    first.end(2.0)
    assert drain(pool) == []
    first.end(2.0)
    assert drain(pool) == [Close(1)]


def test_a_second_shared_connection_is_needless() -> None:
    pool: StrPool = Pool()
    for ticket in ("r1", "r2"):
        pool.acquire(ticket, "host", 0.0)  # The caller did not expect it to be shared.
    drain(pool)
    Opened(pool, 1, 1.0, limit=100)
    Opened(pool, 2, 1.0, limit=100)
    assert drain(pool) == [Assign("r1", 1, False), Assign("r2", 1, False), Close(2)]


def test_a_cancelled_ticket_takes_its_connection_with_it() -> None:
    pool: StrPool = Pool(limit=1)
    pool.acquire("r1", "a", 0.0)
    pool.acquire("r2", "b", 0.0)
    pool.cancel("r1", 1.0)
    assert drain(pool) == [Connect(1, "a", "r1"), Close(1), Connect(2, "b", "r2")]
    Opened(pool, 1, 2.0)  # It crossed the Close.
    assert drain(pool) == []


def test_the_youngest_connection_is_given_up_and_whoever_it_was_for_waits_for_another() -> None:
    pool: StrPool = Pool()
    pool.acquire("r1", "host", 0.0)
    pool.acquire("r2", "host", 0.0)
    pool.cancel("r1", 0.5)
    assert drain(pool) == [Connect(1, "host", "r1"), Connect(2, "host", "r2"), Close(2)]
    Opened(pool, 1, 1.0)
    assert drain(pool) == [Assign("r2", 1, False)]


def test_close_fails_who_waits_and_closes_what_is_open() -> None:
    pool: StrPool = Pool(limit_per_host=1)
    pool.acquire("r1", "a", 0.0)
    pool.acquire("r2", "a", 0.0)
    pool.acquire("r3", "b", 0.0)
    first = Opened(pool, 1)
    drain(pool)
    pool.close(1.0)
    events = drain(pool)
    assert {event.ticket for event in events if isinstance(event, Fail)} == {"r2", "r3"}
    assert {event.connection for event in events if isinstance(event, Close)} == {1, 2}
    pool.acquire("r4", "a", 2.0)
    (event,) = drain(pool)
    assert isinstance(event, Fail)
    assert isinstance(event.error, PoolClosedError)
    for late in (pool.returned, pool.released, pool.closed, pool.changed):
        late(1, 3.0)
    first.begin()
    Opened(pool, 2)
    pool.connect_failed(2, OSError(), 3.0)
    pool.cancel("r2", 3.0)
    assert drain(pool) == []
    assert pool.connections == 0


def test_a_free_place_is_taken_without_an_event() -> None:
    pool: StrPool = Pool()
    assert pool.take("host", 0.0) is None
    assert (pool.waiting, drain(pool)) == (0, [])
    pool.acquire("r1", "host", 0.0)
    assert drain(pool) == [Connect(1, "host", "r1")]
    opened = Opened(pool, 1)
    assert drain(pool) == [Assign("r1", 1, False)]
    assert pool.take("host", 0.0) is None, "its one place is taken"
    opened.use(1.0)
    assert pool.take("host", 2.0) == (1, True)
    assert not pool.events
    assert (pool.acquired, pool.idle) == (1, 0)


def test_nobody_takes_a_place_before_those_who_wait() -> None:
    pool: StrPool = Pool()
    for ticket in ("r1", "r2"):
        pool.acquire(ticket, "host", 0.0, may_share=True)
    drain(pool)
    opened = Opened(pool, 1, limit=1)
    assert drain(pool) == [Assign("r1", 1, False)]
    opened.begin()
    opened.engine.limit = 2  # Nobody has told the pool yet.
    assert pool.take("host", 0.0) is None
    assert not pool.events


# -- figures -----------------------------------------------------------------------------


def test_the_figures_of_a_pool() -> None:
    pool: StrPool = Pool(limit=3)
    assert pool.stats() == []
    for ticket in ("r1", "r2", "r3"):
        pool.acquire(ticket, "shared", 0.0, may_share=True)
    pool.acquire("r4", "other", 0.0)
    pool.acquire("r5", "other", 0.0)
    Opened(pool, 1, limit=2)
    Opened(pool, 2).use(1.0)
    assert dict(pool.stats()) == {
        "shared": HostStats(open=1, streams=2, waiting=1),
        "other": HostStats(connecting=1, open=1, streams=1),
    }


def test_the_figures_of_all() -> None:
    one = HostStats(connecting=1, open=4, idle=1, streams=7, waiting=2)
    two = HostStats(open=1, idle=1)
    stats = PoolStats.of([("http://a:80", one), ("http://b:80", two), ("http://a:80", two)])
    assert stats.hosts == {
        "http://a:80": HostStats(connecting=1, open=5, idle=2, streams=7, waiting=2),
        "http://b:80": two,
    }
    assert stats == PoolStats(1, 6, 3, 7, 2, hosts=stats.hosts)
    assert stats.in_use == 3
    assert PoolStats.of([]) == PoolStats()
