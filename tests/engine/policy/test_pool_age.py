"""The pool: how long a connection takes requests, and how many."""

from __future__ import annotations

import pytest

from plait_engine.policy.pool import PATIENCE, Pool
from plait_engine.policy.pool_events import Assign, Close, Connect
from tests.engine.policy.pools import Opened, StrPool, drain


def test_an_idle_connection_is_closed_when_it_is_old() -> None:
    pool: StrPool = Pool(keep_alive=None, max_age=60.0)
    pool.acquire("r1", "host", 0.0)
    first = Opened(pool, 1, 1.0)
    first.use(2.0)
    drain(pool)
    assert pool.next_timeout() == 61.0
    pool.handle_timeout(61.0)
    assert drain(pool) == [Close(1)]
    assert pool.next_timeout() is None
    assert pool.connections == 0


def test_an_old_connection_is_closed_after_its_request() -> None:
    pool: StrPool = Pool(max_age=60.0)
    pool.acquire("r1", "host", 0.0)
    first = Opened(pool, 1)
    first.begin()
    drain(pool)
    pool.handle_timeout(60.0)
    assert drain(pool) == []
    first.end(70.0)
    assert drain(pool) == [Close(1)]


def test_an_old_shared_connection_ends_what_it_has_while_another_takes_the_rest() -> None:
    pool: StrPool = Pool(max_age=60.0)
    for ticket in ("r1", "r2"):
        pool.acquire(ticket, "host", 0.0, may_share=True)
    first = Opened(pool, 1, limit=2)
    first.begin(2)
    pool.acquire("r3", "host", 60.0 - PATIENCE, may_share=True)
    drain(pool)
    pool.handle_timeout(60.0)
    assert drain(pool) == [Connect(2, "host", "r3")], "r3 does not wait for a place on the old one"
    Opened(pool, 2, 60.5, limit=2)
    assert drain(pool) == [Assign("r3", 2, False)]
    first.end(61.0)
    assert drain(pool) == [], "a place came free on the old one, and nobody gets it"
    pool.acquire("r4", "host", 61.0, may_share=True)
    assert drain(pool) == [Assign("r4", 2, False)]
    first.end(62.0)
    assert drain(pool) == [Close(1)]


def test_an_old_connection_is_not_given_away_when_the_timer_is_late() -> None:
    pool: StrPool = Pool(max_age=5.0)
    pool.acquire("r1", "host", 0.0)
    Opened(pool, 1).use(1.0)
    drain(pool)
    assert pool.take("host", 5.0) is None
    assert drain(pool) == [Close(1)]


def test_a_connection_takes_so_many_requests_and_no_more() -> None:
    pool: StrPool = Pool(max_requests=2)
    pool.acquire("r1", "host", 0.0)
    first = Opened(pool, 1)
    drain(pool)
    first.use(1.0)
    pool.acquire("r2", "host", 2.0)
    assert drain(pool) == [Assign("r2", 1, True)]
    first.use(3.0)
    assert drain(pool) == [Close(1)]


def test_a_shared_connection_takes_so_many_requests_and_no_more() -> None:
    pool: StrPool = Pool(max_requests=2)
    for ticket in ("r1", "r2", "r3"):
        pool.acquire(ticket, "host", 0.0, may_share=True)
    drain(pool)
    first = Opened(pool, 1, limit=100)
    assert drain(pool) == [Assign("r1", 1, False), Assign("r2", 1, False), Connect(2, "host", "r3")]
    first.begin(2)
    first.end(1.0, count=2)
    assert drain(pool) == [Close(1)]


def test_connections_that_were_opened_together_end_one_after_the_other() -> None:
    numbers = iter([0.0, 1.0, 0.5])
    pool: StrPool = Pool(keep_alive=None, max_age=100.0, random=lambda: next(numbers))
    for number in (1, 2, 3):
        pool.acquire(f"r{number}", "host", 0.0)
    for number in (1, 2, 3):
        Opened(pool, number).begin()
    drain(pool)
    for number in (1, 2, 3):
        pool.released(number, 1.0)
    ends = []
    while (when := pool.next_timeout()) is not None:
        pool.handle_timeout(when)
        ends.append((when, drain(pool)))
    assert ends == [(90.0, [Close(2)]), (95.0, [Close(3)]), (100.0, [Close(1)])]


def test_lives_that_cannot_be() -> None:
    for age in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="age"):
            Pool(max_age=age)
    with pytest.raises(ValueError, match="1 request or more"):
        Pool(max_requests=0)
