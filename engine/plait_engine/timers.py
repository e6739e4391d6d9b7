"""Deadlines of a connection: which timers run, and which is next.

A connection never reads a clock and never sleeps.  It sets deadlines in a ``Timers``
table, says the nearest one with ``next_timeout()``, and looks which have passed when it
is told the time.  The adapter keeps one handle per connection and re-arms it lazily: a
deadline that moved later costs nothing until the handle fires, and a call that finds
nothing due is a no-op.

Times are seconds of any monotonic clock, as ``float``; the engine only compares them.
"""

from __future__ import annotations

import enum


class Timer(enum.IntEnum):
    """What a deadline is for.  The member's doc says what happens when it passes."""

    HEAD = 0
    """The head of a request (server) or response (client) is not complete: 408, close."""
    BODY = 1
    """Nothing of the body came although the application wants it."""
    KEEP_ALIVE = 2
    """No exchange is open: close."""
    CONTINUE = 3
    """The client waits for 100 Continue no longer and sends the content."""
    PING = 4
    """Nothing came for a while: send a PING."""
    PONG = 5
    """The PING was not answered: the peer is gone."""
    SETTINGS = 6
    """SETTINGS was not acknowledged (RFC 9113 section 6.5.3)."""
    CLOSE = 7
    """The closing handshake, the drain or the lingering close takes too long."""
    WRITE = 8
    """The peer takes nothing of what there is to send."""


class Timers:
    """A table of deadlines, one per ``Timer``."""

    __slots__ = ("_deadlines", "_next")

    def __init__(self) -> None:
        self._deadlines: dict[Timer, float] = {}
        self._next: float | None = None

    def set(self, timer: Timer, deadline: float) -> None:
        """Set or move the deadline of ``timer``."""
        deadlines = self._deadlines
        before = deadlines.get(timer)
        deadlines[timer] = deadline
        if self._next is None or deadline < self._next:
            self._next = deadline
        elif before is not None and before == self._next and before < deadline:
            self._next = min(deadlines.values())

    def stop(self, timer: Timer) -> None:
        """Forget ``timer``; no-op when it does not run."""
        deadlines = self._deadlines
        before = deadlines.pop(timer, None)
        if before is not None and before == self._next:
            self._next = min(deadlines.values()) if deadlines else None

    def clear(self) -> None:
        """Forget every timer."""
        self._deadlines.clear()
        self._next = None

    def deadline(self, timer: Timer) -> float | None:
        """Return when ``timer`` passes, or ``None`` when it does not run."""
        return self._deadlines.get(timer)

    def next_timeout(self) -> float | None:
        """Return the nearest deadline, or ``None``."""
        return self._next

    def pop_expired(self, now: float) -> list[Timer]:
        """Remove and return the timers whose deadline has passed, the oldest first."""
        if self._next is None or now < self._next:
            return []
        deadlines = self._deadlines
        expired = [timer for timer, deadline in deadlines.items() if deadline <= now]
        expired.sort(key=deadlines.__getitem__)
        for timer in expired:
            del deadlines[timer]
        self._next = min(deadlines.values()) if deadlines else None
        return expired
