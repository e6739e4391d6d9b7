"""Many deadlines on one timer, and which deadline of a call runs when: in virtual time."""

from __future__ import annotations

import gc
import weakref
from dataclasses import dataclass

import pytest

from plait_engine.policy.deadlines import NEVER, Deadline, Deadlines, RequestClock, deadline
from plait_engine.testing.pair import Clock


class Alarms(Clock):
    """A clock that shows when it is to ring."""

    def __init__(self) -> None:
        super().__init__(0.0)

    @property
    def armed(self) -> list[float]:
        return [alarm.when for alarm in self._alarms if not alarm.cancelled]

    def advance(self, now: float) -> None:
        self.now = now
        self.ring()


class Timed:
    def __init__(self, then: float = NEVER) -> None:
        self.then = then
        self.told: list[float] = []

    def on_deadline(self, now: float) -> float:
        self.told.append(now)
        return self.then


def test_one_timer_for_all() -> None:
    clock = Alarms()
    deadlines = Deadlines(clock)
    early, late = Timed(), Timed()
    deadlines.set(early, 10.0)
    deadlines.set(late, 20.0)
    assert clock.armed == [10.0]
    clock.advance(10.0)
    assert (early.told, late.told) == ([10.0], [])
    assert clock.armed == [20.0]
    clock.advance(20.0)
    assert late.told == [20.0]
    assert clock.armed == []


def test_what_is_stopped_is_not_told() -> None:
    clock = Alarms()
    deadlines = Deadlines(clock)
    timed = Timed()
    deadlines.set(timed, 10.0)
    deadlines.stop(timed)
    clock.advance(10.0)
    assert timed.told == []
    assert clock.armed == []


def test_an_earlier_deadline_moves_the_timer() -> None:
    clock = Alarms()
    deadlines = Deadlines(clock)
    deadlines.set(Timed(), 10.0)
    deadlines.set(Timed(), 5.0)
    assert clock.armed == [5.0]


def test_a_deadline_that_moved_later_is_asked_for_again() -> None:
    clock = Alarms()
    deadlines = Deadlines(clock)
    timed = Timed(then=15.0)
    deadlines.set(timed, 10.0)
    clock.advance(10.0)
    assert clock.armed == [15.0]


def test_rest_lets_go_of_the_timer_when_nobody_has_a_deadline() -> None:
    clock = Alarms()
    deadlines = Deadlines(clock)
    timed = Timed()
    deadlines.set(timed, 10.0)
    deadlines.rest()
    assert clock.armed == [10.0]
    deadlines.stop(timed)
    deadlines.rest()
    assert clock.armed == []


def test_close_lets_go_of_the_timer() -> None:
    clock = Alarms()
    deadlines = Deadlines(clock)
    deadlines.set(Timed(), 10.0)
    deadlines.close()
    assert clock.armed == []


@pytest.mark.parametrize(
    ("timeout", "expected"),
    [(None, NEVER), (0, NEVER), (-1, NEVER), (0.5, 10.75), (5, 15.25), (6, 17.0)],
)
def test_when_a_timeout_passes(timeout: float | None, expected: float) -> None:
    assert deadline(10.25, timeout) == expected


class Impatient:
    """Something that sets another's deadline when its own has passed."""

    def __init__(self, deadlines: Deadlines, other: Timed, when: float) -> None:
        self.deadlines = deadlines
        self.other = other
        self.when = when

    def on_deadline(self, now: float) -> float:
        self.deadlines.set(self.other, self.when)
        return NEVER


def test_a_deadline_that_is_set_while_others_pass() -> None:
    clock = Alarms()
    deadlines = Deadlines(clock)
    other = Timed()
    deadlines.set(Impatient(deadlines, other, 30.0), 10.0)
    deadlines.set(Timed(), 20.0)
    clock.advance(10.0)
    assert clock.armed == [20.0]
    clock.advance(30.0)
    assert other.told == [30.0]
    assert clock.armed == []


# -- the clock of a call -----------------------------------------------------------------


@dataclass(frozen=True)
class Timeouts:
    total: float | None = None
    pool: float | None = None
    write: float | None = None
    sock_read: float | None = None
    ceil_threshold: float = 5.0


class Missed(Exception):
    """A deadline has passed."""


class Waiter:
    """As much of a future as a clock needs."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.is_done = False

    def done(self) -> bool:
        return self.is_done

    def set_exception(self, error: Exception, /) -> None:
        assert not self.is_done
        self.is_done = True
        self.error = error


class Exchange:
    """As much of an exchange as a clock needs."""

    def __init__(self) -> None:
        self.last_activity = 0.0
        self.keeps_waiting = False
        self.waits_to_be_sent: int | None = None
        self.error: BaseException | None = None

    def keeps_server_waiting(self) -> bool:
        return self.keeps_waiting

    def describe(self) -> str:
        raise AssertionError("only for messages")

    def describe_progress(self) -> str:
        raise AssertionError("only for messages")

    def unsent(self) -> int | None:
        return self.waits_to_be_sent

    def fail(self, error: BaseException) -> None:
        self.error = error


class Call:
    """A call that began at 0."""

    def __init__(self, timeouts: Timeouts) -> None:
        self.time = Alarms()
        self.deadlines = Deadlines(self.time)
        self.clock = RequestClock(self.deadlines, timeouts, 0.0, lambda _, passed: Missed(passed))

    def passed(self, place: Waiter | Exchange) -> Deadline | None:
        """Return the deadline that ``place`` was told of."""
        if place.error is None:
            return None
        assert isinstance(place.error, Missed)
        found = place.error.args[0]
        assert isinstance(found, Deadline)
        return found


def test_a_call_without_timeouts_arms_nothing() -> None:
    call = Call(Timeouts())
    call.clock.begin_waiting(Waiter(), None, 0.0)
    call.clock.begin_exchange(Exchange())
    assert call.time.armed == []
    call.clock.stop()


def test_the_time_to_get_a_connection() -> None:
    call = Call(Timeouts(total=4.0))
    waiter = Waiter()
    call.clock.begin_waiting(waiter, 2.0, 1.0, "a:80")
    assert (call.clock.waits, call.clock.host) == (2.0, "a:80")
    call.time.advance(2.9)
    assert call.passed(waiter) is None
    call.time.advance(3.0)
    assert call.passed(waiter) is Deadline.CONNECT


def test_total_comes_before_connect() -> None:
    call = Call(Timeouts(total=2.0))
    waiter = Waiter()
    call.clock.begin_waiting(waiter, 2.0, 0.0)
    call.time.advance(2.0)
    assert call.passed(waiter) is Deadline.TOTAL


def test_who_wants_to_know_of_total_is_told_behind_who_waits() -> None:
    call = Call(Timeouts(total=2.0))
    waiter = Waiter()
    told: list[Deadline | None] = []
    call.clock.on_total = lambda: told.append(call.passed(waiter))
    call.clock.begin_waiting(waiter, 1.0, 0.0)
    call.time.advance(1.0)
    assert (call.passed(waiter), told) == (Deadline.CONNECT, [])
    call = Call(Timeouts(total=2.0))
    waiter = Waiter()
    call.clock.on_total = lambda: told.append(call.passed(waiter))
    call.clock.begin_waiting(waiter, None, 0.0)
    call.time.advance(2.0)
    assert told == [Deadline.TOTAL]


@pytest.mark.parametrize(("total", "ends"), [(None, NEVER), (0, NEVER), (2.5, 2.5), (5.5, 6.0)])
def test_when_a_call_must_be_over(total: float | None, ends: float) -> None:
    call = Call(Timeouts(total=total))
    assert call.clock.ends == ends
    assert call.time.armed == ([] if ends == NEVER else [ends])
    call.clock.begin_waiting(Waiter(), 1.0, 0.0)
    assert call.clock.ends == ends, "what it waits for makes no difference"


@pytest.mark.parametrize(
    ("timeouts", "connect"),
    [
        (Timeouts(total=9.0), None),
        (Timeouts(pool=9.0), None),
        (Timeouts(), 9.0),
        (Timeouts(write=9.0, sock_read=9.0), 9.0),
    ],
)
def test_a_call_that_is_over_is_not_kept_until_its_deadlines(
    timeouts: Timeouts, connect: float | None
) -> None:
    call = Call(timeouts)
    waiter = Waiter()
    call.clock.begin_waiting(waiter, connect, 0.0, queues=True)
    assert call.time.armed == [9.0]
    call.clock.stop()
    gone = weakref.ref(waiter)
    del call.clock, waiter
    gc.collect()
    assert gone() is None
    call.time.advance(9.0)
    assert call.time.armed == []


def test_the_time_to_connect_is_over_with_the_waiting() -> None:
    call = Call(Timeouts(total=4.0))
    call.clock.begin_waiting(Waiter(), 2.0, 0.0)
    call.clock.end_waiting()
    exchange = Exchange()
    call.clock.begin_exchange(exchange)
    call.time.advance(2.0)
    assert call.passed(exchange) is None
    call.time.advance(4.0)
    assert call.passed(exchange) is Deadline.TOTAL


def test_silence_of_the_server() -> None:
    call = Call(Timeouts(sock_read=2.0))
    exchange = Exchange()
    call.clock.begin_exchange(exchange)
    exchange.last_activity = 1.0  # Something comes: no timer is moved.
    assert call.time.armed == [2.0]
    call.time.advance(2.0)
    assert call.passed(exchange) is None
    call.time.advance(3.0)
    assert call.passed(exchange) is Deadline.READ


def test_silence_while_it_is_this_side_s_turn() -> None:
    call = Call(Timeouts(sock_read=2.0))
    exchange = Exchange()
    call.clock.begin_exchange(exchange)
    exchange.keeps_waiting = True
    call.time.advance(2.0)
    exchange.keeps_waiting = False
    call.time.advance(3.9)
    assert call.passed(exchange) is None
    call.time.advance(4.0)
    assert call.passed(exchange) is Deadline.READ


def test_the_clock_runs_until_the_body_is_complete() -> None:
    call = Call(Timeouts(total=4.0))
    exchange = Exchange()
    call.clock.begin_exchange(exchange)
    call.clock.hand_over()
    assert call.deadlines._timed
    call.clock.end_exchange()
    assert not call.deadlines._timed


def test_the_clock_stops_with_a_response_whose_body_is_there_already() -> None:
    call = Call(Timeouts(total=4.0))
    call.clock.begin_exchange(Exchange())
    call.clock.end_exchange()
    assert call.deadlines._timed, "a redirect may follow"
    call.clock.hand_over()
    assert not call.deadlines._timed


@pytest.mark.parametrize("passes", [1.0, 3.0], ids=["connect", "total"])
def test_what_passes_when_a_place_was_found_is_not_forgotten(passes: float) -> None:
    """The call has a place, and has not run since: there is no exchange to tell."""
    call = Call(Timeouts(total=3.0))
    place = Waiter()
    call.clock.begin_waiting(place, 1.0, 0.0)
    place.is_done = True
    call.time.advance(passes)
    call.clock.end_waiting()
    exchange = Exchange()
    call.clock.begin_exchange(exchange)
    call.time.advance(3.0)
    assert call.passed(exchange) is Deadline.TOTAL
    assert place.error is None


def test_the_time_in_the_queue() -> None:
    call = Call(Timeouts(pool=2.0))
    waiter = Waiter()
    call.clock.begin_waiting(waiter, 5.0, 0.0, queues=True)
    call.time.advance(2.0)
    assert call.passed(waiter) is Deadline.POOL


def test_the_queue_ends_when_a_connection_is_opened() -> None:
    call = Call(Timeouts(pool=2.0))
    waiter = Waiter()
    call.clock.begin_waiting(waiter, 4.0, 0.0, queues=True)
    call.clock.end_queueing()
    call.time.advance(2.0)
    assert call.passed(waiter) is None
    call.time.advance(4.0)
    assert call.passed(waiter) is Deadline.CONNECT


def test_a_call_that_does_not_queue() -> None:
    call = Call(Timeouts(pool=2.0))
    call.clock.begin_waiting(Waiter(), None, 0.0)
    assert call.time.armed == []


def test_content_that_stands_still() -> None:
    call = Call(Timeouts(write=2.0))
    exchange = Exchange()
    call.clock.begin_exchange(exchange)
    assert call.time.armed == []
    exchange.waits_to_be_sent = 100
    call.clock.watch_writing(exchange, 1.0)
    exchange.waits_to_be_sent = 90
    call.time.advance(3.0)
    assert call.passed(exchange) is None
    call.time.advance(5.0)
    assert call.passed(exchange) is Deadline.WRITE


def test_content_that_has_left() -> None:
    call = Call(Timeouts(write=2.0))
    exchange = Exchange()
    call.clock.begin_exchange(exchange)
    exchange.waits_to_be_sent = 100
    call.clock.watch_writing(exchange, 0.0)
    exchange.waits_to_be_sent = None
    call.time.advance(2.0)
    assert call.passed(exchange) is None
    assert call.time.armed == []


def test_an_exchange_that_is_over_writes_nothing() -> None:
    call = Call(Timeouts(write=2.0))
    exchange = Exchange()
    call.clock.begin_exchange(exchange)
    exchange.waits_to_be_sent = 100
    call.clock.watch_writing(exchange, 0.0)
    call.clock.end_exchange()
    call.clock.begin_exchange(later := Exchange())
    call.time.advance(2.0)
    assert (call.passed(exchange), call.passed(later)) == (None, None)
