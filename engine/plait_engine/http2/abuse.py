"""Budgets for what a peer may do at no cost to itself.

Strategy
--------
Each attack of this family repeats something that is legal once: opening and resetting a
stream (CVE-2023-44487), making us reset it (CVE-2025-8671), empty DATA (CVE-2019-9518),
PING, SETTINGS, PRIORITY.  A token bucket for each class lets bursts pass and bounds the
rate; one that is empty ends the connection with ENHANCE_YOUR_CALM (RFC 9113 section 10.5).

Two classes, so that noise does not use up what resets need:

* *resets*: ``Limits.reset_burst`` and ``reset_rate``;
* *glitches*, everything useless or odd: ``Limits.glitch_burst`` and ``glitch_rate``.

What we would have to queue (acknowledgements, resets) is bounded by its length instead,
``Limits.max_control_frames``: a peer that does not read is stopped whatever its rate.
"""

from __future__ import annotations

from plait_engine.config import Limits
from plait_engine.errors import ErrorCode

from .errors import connection_error


class TokenBucket:
    """Allows ``burst`` events at once and ``rate`` a second in the long run."""

    __slots__ = ("_burst", "_rate", "_refilled", "_tokens")

    def __init__(self, burst: int, rate: int) -> None:
        self._burst = self._tokens = float(burst)
        self._rate = rate
        self._refilled: float | None = None

    def take(self, now: float) -> bool:
        """Use up one token; return false when there is none."""
        if self._refilled is not None:
            gained = (now - self._refilled) * self._rate
            self._tokens = min(self._burst, self._tokens + gained)
        self._refilled = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Budgets:
    """The two classes of what a peer may do (see the module)."""

    __slots__ = ("_glitches", "_resets")

    def __init__(self, limits: Limits) -> None:
        self._resets = TokenBucket(limits.reset_burst, limits.reset_rate)
        self._glitches = TokenBucket(limits.glitch_burst, limits.glitch_rate)

    def charge_glitch(self, now: float) -> None:
        """Count something useless or odd.  Raises a connection error when it is too much."""
        if not self._glitches.take(now):
            connection_error("too many useless or odd frames", ErrorCode.ENHANCE_YOUR_CALM)

    def charge_reset(self, now: float) -> None:
        """Count a reset that the peer made necessary.  Raises as ``charge_glitch``."""
        if not self._resets.take(now):
            connection_error("too many reset streams", ErrorCode.ENHANCE_YOUR_CALM)
