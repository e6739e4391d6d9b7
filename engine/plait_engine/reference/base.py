"""What the reference's two HTTP engines share: timers and the end of the connection.

The libraries know no time, so both engines keep a table of deadlines, and a function for
each timer in ``TIMEOUTS``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from plait_engine.config import Config
from plait_engine.connection import CloseAction, Connection, ConnectionState, Role
from plait_engine.events import CloseReason
from plait_engine.timers import Timer, Timers

STOPPED = (ConnectionState.CLOSING, ConnectionState.CLOSED)


class ReferenceConnection(Connection):
    """A connection over a library, in either role."""

    __slots__ = ("_error", "_progress", "_reason", "_timers")

    TIMEOUTS: ClassVar[dict[Timer, Callable[..., None]]]
    """What to do when a timer passes: called with the connection and the time."""

    def __init__(self, role: Role, config: Config) -> None:
        super().__init__(role, config)
        self._timers = Timers()
        self._progress = False
        """Bytes were taken since the write timer was set."""
        self._reason = CloseReason.LOCAL
        self._error: Exception | None = None

    def handle_timeout(self, now: float) -> None:
        for timer in self._timers.pop_expired(now):
            if self.state is not ConnectionState.CLOSED:
                self.TIMEOUTS[timer](self, now)

    def next_timeout(self) -> float | None:
        return self._timers.next_timeout()

    def _set_timer(self, timer: Timer, seconds: float | None, now: float) -> None:
        if seconds is not None:
            self._timers.set(timer, now + seconds)

    def _expect_progress(self, now: float) -> None:
        """There is something to send: the peer takes some of it in time, or is given up."""
        if self._timers.deadline(Timer.WRITE) is None:
            self._progress = False
            self._set_timer(Timer.WRITE, self.config.timeouts.write, now)

    def _finish(self, action: CloseAction) -> None:
        """The connection is over; ``action`` is what happens to the transport."""
        self._timers.clear()
        self.wants_close = action
        self._emit_closed(self._reason, self._error)
