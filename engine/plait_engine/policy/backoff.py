"""Backoff: when a request that was answered badly, or not at all, is sent again.

``retry`` repeats at once what certainly did no harm; this is the patient kind, for a server that
is overloaded, restarts, or cannot be reached.  Both may be at work: a failure comes here after
``retry`` is done with it.

Rules
-----
* A request is sent again when its method is one of ``methods`` (RFC 9110 section 9.2.2: those
  that are idempotent), and the response has one of ``statuses`` or there was none.  A request
  that certainly did nothing, since no connection was made or the server said so, is sent again
  whatever its method.
* The pause doubles (``factor``) with each attempt up to ``longest_pause``.  A part of it
  (``jitter``) is random, so that clients that failed together do not come back together.
* ``Retry-After`` (RFC 9110 section 10.2.3) makes a pause longer, never shorter.  One that is
  longer than ``longest_retry_after`` ends the attempts: to come back sooner is what the server
  asked not to do.
* A pause that ends after the deadline of the call ends the attempts, too: who has no time for
  another attempt gets at once what there is.
* A ``RetryBudget`` bounds how many requests of a session are retries.  While everything fails,
  a client that repeats each request three times is four times the load, just when the server
  can bear it least; with the budget it is a tenth more.

Nothing here waits, knows the time or throws dice: ``now`` is on any clock, ``wall`` in seconds
since 1970, and ``chance`` a number from 0 to 1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from math import inf
from typing import Final

from plait_engine.semantics.dates import parse_date

from .retry import IDEMPOTENT

STATUSES: Final = frozenset({408, 425, 429, 502, 503, 504})
"""What says "not now" (RFC 9110 section 15, RFC 6585 section 4, RFC 8470 section 5.2)."""

_SECONDS: Final = re.compile(r"[0-9]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Backoff:
    """When to send again; see the module.

    Args:
        attempts: how often a request is sent at most, the first time included.
        pause: seconds before the second attempt.
        factor: how much longer each further pause is.
        longest_pause: in seconds.
        jitter: the part of a pause that is random, from 0 to 1.
        longest_retry_after: in seconds.
        methods: those that may be sent again; ``None``: all.
        statuses: of the responses after which a request is sent again.

    Raises ValueError for numbers that make no sense.
    """

    attempts: int = 3
    pause: float = 0.5
    factor: float = 2.0
    longest_pause: float = 30.0
    jitter: float = 0.5
    longest_retry_after: float = 60.0
    methods: frozenset[str] | None = field(default=IDEMPOTENT)
    statuses: frozenset[int] = field(default=STATUSES)

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError(f"attempts must be 1 or more, not {self.attempts}")
        for name in ("pause", "longest_pause", "longest_retry_after"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be 0 seconds or more, not {getattr(self, name)}")
        if not self.factor >= 1:
            raise ValueError(f"factor must be 1 or more, not {self.factor}")
        if not 0 <= self.jitter <= 1:
            raise ValueError(f"jitter must be from 0 to 1, not {self.jitter}")

    def repeats(self, method: str) -> bool:
        """Tell whether a request with ``method`` may be sent again."""
        return self.methods is None or method in self.methods

    def delay(self, attempt: int, chance: float) -> float:
        """Return the pause after an attempt (the first is 1), in seconds."""
        try:
            pause = self.pause * self.factor ** (attempt - 1)
        except OverflowError:
            pause = inf
        return min(pause, self.longest_pause) * (1 - self.jitter * chance)


def parse_retry_after(value: str, wall: float) -> float | None:
    """Return the seconds that a Retry-After field asks for, or ``None`` if it is none."""
    if _SECONDS.fullmatch(value):
        return float(value[:20])  # More digits are as long as ever.
    when = parse_date(value, wall)
    return None if when is None else max(when - wall, 0.0)


class RetryBudget:
    """How many retries there may be: a bucket of tokens, one for each retry.

    It is full at first.  Each request that is no retry puts a part of a token in, and so does
    each second, for a client with few requests.

    Args:
        capacity: tokens in a full bucket.
        per_request, per_second: what comes in.
    """

    __slots__ = ("_filled_at", "capacity", "per_request", "per_second", "tokens")

    def __init__(
        self, capacity: float = 10.0, per_request: float = 0.1, per_second: float = 0.1
    ) -> None:
        self.capacity = capacity
        self.per_request = per_request
        self.per_second = per_second
        self.tokens = capacity
        self._filled_at: float | None = None

    def deposit(self, now: float) -> None:
        """A request is sent for the first time."""
        self._fill(now, self.per_request)

    def withdraw(self, now: float) -> bool:
        """Take the token for a retry; tell whether there was one."""
        self._fill(now, 0.0)
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True

    def _fill(self, now: float, more: float) -> None:
        if self._filled_at is not None:
            more += (now - self._filled_at) * self.per_second
        self._filled_at = now
        self.tokens = min(self.tokens + more, self.capacity)


class Attempts:
    """The attempts at one request.  ``why`` says why there is no other, ``None`` if there is.

    Args:
        policy: when to send again.
        budget: of the session.
        method: of the request.
        now: when the first attempt begins.
        ends: when the call must be over.
    """

    __slots__ = ("_budget", "_ends", "_method", "_policy", "number", "why")

    def __init__(
        self, policy: Backoff, budget: RetryBudget, method: str, now: float, ends: float = inf
    ) -> None:
        self._policy = policy
        self._budget = budget
        self._method = method
        self._ends = ends
        self.number = 1
        """Of the attempt that is under way."""
        self.why: str | None = None
        budget.deposit(now)

    def after_response(
        self, status: int, retry_after: str | None, *, now: float, wall: float, chance: float
    ) -> float | None:
        """Return the pause before the next attempt, or ``None``: the response is the caller's."""
        if status not in self._policy.statuses:
            return self._end("the status is final")
        if not self._policy.repeats(self._method):
            return self._end(f"{self._method} may have had an effect")
        asked = None if retry_after is None else parse_retry_after(retry_after, wall)
        if asked is None:
            return self._again(self._policy.delay(self.number, chance), now)
        if asked > self._policy.longest_retry_after:
            return self._end(f"the server asks to wait {asked:.0f} s")
        pause = self._policy.delay(self.number, chance)
        spread = self._policy.pause * self._policy.jitter * chance
        return self._again(max(pause, asked + spread), now)

    def after_failure(self, *, unprocessed: bool, now: float, chance: float) -> float | None:
        """Return the pause before the next attempt, or ``None``: the error is the caller's.

        ``unprocessed``: the request certainly did nothing.
        """
        if not unprocessed and not self._policy.repeats(self._method):
            return self._end(f"{self._method} may have had an effect")
        return self._again(self._policy.delay(self.number, chance), now)

    def _again(self, pause: float, now: float) -> float | None:
        if self.number >= self._policy.attempts:
            return self._end(f"it was sent {self.number} times")
        if now + pause >= self._ends:
            return self._end(f"the time is up before a pause of {pause:.3g} s is")
        if not self._budget.withdraw(now):
            return self._end("too many requests were sent again of late")
        self.number += 1
        return pause

    def _end(self, why: str) -> float | None:
        self.why = why
        return None
