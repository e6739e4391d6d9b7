"""Backoff: when a request is sent again, after which pause, and when no more."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait_engine.policy.backoff import (
    STATUSES,
    Attempts,
    Backoff,
    RetryBudget,
    parse_retry_after,
)

WALL = 784111777.0
"""Sun, 06 Nov 1994 08:49:37 GMT."""


class Server:
    """What comes back for one request, at a time that the test turns."""

    def __init__(
        self,
        policy: Backoff = Backoff(),  # noqa: B008 - it is immutable
        method: str = "GET",
        budget: RetryBudget | None = None,
        ends: float = inf,
    ) -> None:
        self.now = 100.0
        self.attempts = Attempts(policy, budget or RetryBudget(), method, self.now, ends)

    def answers(
        self, status: int = 503, retry_after: str | None = None, chance: float = 0.0
    ) -> float | None:
        return self._pass(
            self.attempts.after_response(
                status, retry_after, now=self.now, wall=WALL, chance=chance
            )
        )

    def fails(self, *, unprocessed: bool = False, chance: float = 0.0) -> float | None:
        return self._pass(
            self.attempts.after_failure(unprocessed=unprocessed, now=self.now, chance=chance)
        )

    def _pass(self, pause: float | None) -> float | None:
        self.now += pause or 0.0
        return pause


def test_pauses_double_and_end() -> None:
    server = Server(Backoff(attempts=5, pause=1.0, longest_pause=3.0))
    assert [server.answers(), server.fails(), server.answers()] == [1.0, 2.0, 3.0]
    assert server.attempts.number == 4
    assert server.answers() == 3.0
    assert server.answers() is None
    assert server.attempts.why == "it was sent 5 times"


def test_a_part_of_each_pause_is_random() -> None:
    policy = Backoff(pause=1.0, jitter=0.25)
    assert Server(policy).answers(chance=1.0) == 0.75
    assert Server(Backoff(pause=1.0, jitter=1.0)).answers(chance=1.0) == 0.0
    assert Server(Backoff(pause=1.0, jitter=0.0)).answers(chance=1.0) == 1.0


@given(
    st.floats(0, 1e6),
    st.floats(1, 1e9),
    st.floats(0, 1e6),
    st.floats(0, 1),
    st.integers(1, 10_000),
    st.floats(0, 1),
)
def test_no_pause_is_longer_than_the_longest(
    pause: float, factor: float, longest: float, jitter: float, attempt: int, chance: float
) -> None:
    policy = Backoff(pause=pause, factor=factor, longest_pause=longest, jitter=jitter)
    assert 0 <= policy.delay(attempt, chance) <= longest


@pytest.mark.parametrize("status", [200, 304, 400, 404, 500, 501, 505])
def test_other_statuses_are_final(status: int) -> None:
    server = Server()
    assert server.answers(status) is None
    assert server.attempts.why == "the status is final"


@pytest.mark.parametrize("method", ["POST", "PATCH", "CONNECT", "x"])
def test_methods_that_may_have_had_an_effect(method: str) -> None:
    """RFC 9110 section 9.2.2."""
    server = Server(method=method)
    assert server.answers() is None
    assert server.fails() is None
    assert server.attempts.why == f"{method} may have had an effect"
    assert server.fails(unprocessed=True) is not None, "it certainly had none"
    assert Server(Backoff(methods=None), method).answers() is not None
    assert Server(Backoff(methods=frozenset({method})), method).fails() is not None


@pytest.mark.parametrize("status", sorted(STATUSES))
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE", "QUERY"])
def test_what_is_sent_again_by_default(method: str, status: int) -> None:
    assert Server(method=method).answers(status) == 0.5


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("0", 0.0),
        ("120", 120.0),
        ("9" * 5000, 99999999999999999999.0),
        ("Sun, 06 Nov 1994 08:49:47 GMT", 10.0),
        ("Sunday, 06-Nov-94 08:49:47 GMT", 10.0),
        ("Sun Nov  6 08:49:47 1994", 10.0),
        ("Sun, 06 Nov 1994 08:00:00 GMT", 0.0),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("\u0661", None),
        ("06 Nov 1994", None),
    ],
)
def test_retry_after(field: str, expected: float | None) -> None:
    """RFC 9110 section 10.2.3: seconds or a date; what is neither says nothing."""
    assert parse_retry_after(field, WALL) == expected


@given(st.text(max_size=40))
def test_no_retry_after_is_too_odd(field: str) -> None:
    seconds = parse_retry_after(field, WALL)
    assert seconds is None or seconds >= 0


def test_the_server_makes_pauses_longer_and_never_shorter() -> None:
    policy = Backoff(attempts=9, pause=2.0, factor=1.0, jitter=0.5)
    server = Server(policy)
    assert server.answers(429, "0") == 2.0
    assert server.answers(429, "junk") == 2.0
    assert server.answers(429, "10") == 10.0
    assert server.answers(503, "Sun, 06 Nov 1994 08:49:47 GMT") == 10.0
    assert server.answers(503, "10", chance=1.0) == 11.0, "not all come back at once"
    assert server.answers(503, "60") == 60.0
    assert server.answers(503, "61") is None
    assert server.attempts.why == "the server asks to wait 61 s"


def test_a_pause_that_the_deadline_cuts_short_is_not_begun() -> None:
    server = Server(Backoff(pause=1.0), ends=101.5)
    assert server.answers() == 1.0
    assert server.answers() is None
    assert server.attempts.why == "the time is up before a pause of 2 s is"


def test_the_first_attempt_may_be_the_last() -> None:
    assert Server(Backoff(attempts=1)).answers() is None


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"attempts": 0}, "attempts must be 1 or more"),
        ({"pause": -1.0}, "pause must be 0 seconds or more"),
        ({"longest_pause": float("nan")}, "longest_pause must be 0 seconds or more"),
        ({"longest_retry_after": -1.0}, "longest_retry_after must be 0 seconds or more"),
        ({"factor": 0.5}, "factor must be 1 or more"),
        ({"jitter": 1.5}, "jitter must be from 0 to 1"),
    ],
)
def test_numbers_that_make_no_sense(options: dict[str, float], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Backoff(**options)  # type: ignore[arg-type]


# -- the budget --------------------------------------------------------------------------


def test_a_budget_fills_with_requests_and_time() -> None:
    budget = RetryBudget(capacity=2.0, per_request=0.5, per_second=0.25)
    assert [budget.withdraw(0.0) for _ in range(3)] == [True, True, False]
    budget.deposit(0.0)
    assert not budget.withdraw(0.0)
    budget.deposit(0.0)
    assert budget.withdraw(0.0)
    assert not budget.withdraw(3.9)
    assert budget.withdraw(4.0)
    budget.deposit(1000.0)
    assert budget.tokens == 2.0


def test_a_request_that_has_no_token_is_not_sent_again() -> None:
    budget = RetryBudget(capacity=1.0, per_request=0.0, per_second=0.0)
    assert Server(budget=budget).answers() is not None
    server = Server(budget=budget)
    assert server.answers() is None
    assert server.attempts.why == "too many requests were sent again of late"
    assert server.attempts.number == 1


@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(1, 5)), max_size=200),
    st.floats(0, 20),
    st.floats(0, 1),
    st.floats(0, 2),
)
def test_an_outage_is_not_multiplied(
    requests: list[tuple[float, int]], capacity: float, per_request: float, per_second: float
) -> None:
    """Whatever each request may try, all together retry as much as the budget says."""
    budget = RetryBudget(capacity, per_request, per_second)
    now, retries = 0.0, 0
    for pause, attempts in requests:
        now += pause
        machine = Attempts(Backoff(attempts=attempts), budget, "GET", now)
        while machine.after_failure(unprocessed=False, now=now, chance=0.0) is not None:
            retries += 1
        assert machine.number <= attempts
    bound = capacity + per_request * len(requests) + per_second * now
    assert retries <= bound + 1e-6
