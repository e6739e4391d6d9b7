"""Retries: may a request that failed be sent again, and when?  An immutable policy.

Two situations are safe, and nothing else is retried:

* *Stale.*  The request went out on a connection that was idle before, and the connection
  ended before one byte of the response came.  Most likely the server had closed it
  already (RFC 9112 section 9.3.1).  But it may have processed the request, so only
  idempotent methods are sent again (RFC 9110 section 9.2.2), once.  The end of a stream on a
  connection that goes on is no such sign: the server answered this request with it.
* *Unprocessed.*  The server said that it did nothing with the request: REFUSED_STREAM, or a
  GOAWAY whose last id is below the stream's (RFC 9113 section 8.7).  Any method is sent
  again, and often enough for a server that ends each connection after a few requests: of
  128 that are sent at once, one that takes 20 a connection refuses the last six times.
  Between the attempts there is a pause that doubles, for a server that refuses has a reason:
  from the second attempt on where the connection goes on, and where it ended after
  ``RECONNECTS``, since it takes time to open another.

In both, the content must be there to be sent from its beginning.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from plait_engine.connection import ConnectionState
from plait_engine.errors import ErrorCode

IDEMPOTENT: Final = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PUT", "QUERY", "TRACE"})
"""Methods whose effect is the same once and twice (RFC 9110 section 9.2.2; QUERY: safe by its definition)."""


RECONNECTS: Final = 6
"""How often an unprocessed request is sent on another connection without a pause."""

_OVER: Final = (ConnectionState.CLOSING, ConnectionState.CLOSED)


class Failure(NamedTuple):
    """The facts about a request that failed."""

    method: str
    reused: bool
    """The connection had done a request before, or the server wants another one."""
    response_started: bool
    """Some of the response had come."""
    unprocessed: bool
    """The peer said that it did not process the request."""
    connection: ConnectionState
    """What became of the connection: ``OPEN`` if only this stream ended."""
    replayable: bool
    """The content can be sent again from its beginning."""


class Attempt(NamedTuple):
    """A request that failed, as its connection knows it."""

    method: str
    begun: bool
    """The connection was given the request."""
    reused: bool
    """The connection had done a request before."""
    response_started: bool
    """Some of the response had come."""
    unprocessed: bool
    """The peer said that it did not process the request."""
    reset_code: int | None
    """The code with which the peer reset the stream."""
    goaway_code: int | None
    """The code with which the peer ends the connection."""
    connection: ConnectionState
    replayable: bool
    """The content can be sent again from its beginning."""

    @property
    def lost_its_place(self) -> bool:
        """The peer lowered its limit before the request could begin, and goes on."""
        return not self.begun and self.connection is ConnectionState.OPEN

    @property
    def requires_http1(self) -> bool:
        """The peer wants HTTP/1.1, by the code of the stream or of the connection."""
        return ErrorCode.HTTP_1_1_REQUIRED in (self.reset_code, self.goaway_code)

    def failure(self) -> Failure:
        """Return the facts that decide about a retry.

        A stream that was reset with HTTP_1_1_REQUIRED is to be sent over HTTP/1.1 (RFC 9113
        section 7).  A GOAWAY with that code says nothing of the streams before it: they may
        be sent again like those on a stale connection.
        """
        return Failure(
            method=self.method,
            reused=self.reused or self.requires_http1,
            response_started=self.response_started,
            unprocessed=(
                not self.begun or self.unprocessed or self.reset_code == ErrorCode.HTTP_1_1_REQUIRED
            ),
            connection=self.connection,
            replayable=self.replayable,
        )


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a request is sent again.  ``RetryPolicy(stale=0, unprocessed=0)``: never.

    ``stale`` and ``unprocessed`` are numbers of retries for the two situations above;
    ``idempotent`` the methods for which the first is safe.  ``pause`` is the first pause
    between attempts at an unprocessed request, in seconds; each further one is twice as long,
    ``longest_pause`` at most.  ``refused`` counts how often it was not processed so far.
    """

    stale: int = 1
    unprocessed: int = 10
    idempotent: frozenset[str] = field(default=IDEMPOTENT)
    pause: float = 0.02
    longest_pause: float = 2.0
    refused: int = 0

    def after(self, failure: Failure) -> Retry | None:
        """Return when to send again and the policy for that attempt, or ``None``: do not."""
        if not failure.replayable:
            return None
        if failure.unprocessed:
            if not self.unprocessed:
                return None
            policy = replace(self, unprocessed=self.unprocessed - 1, refused=self.refused + 1)
            return Retry(policy, self._delay(failure))
        if (
            self.stale
            and failure.reused
            and failure.connection in _OVER
            and not failure.response_started
            and failure.method in self.idempotent
        ):
            return Retry(replace(self, stale=self.stale - 1), 0.0)
        return None

    def _delay(self, failure: Failure) -> float:
        goes_on = failure.connection is ConnectionState.OPEN
        pauses = self.refused if goes_on else self.refused - RECONNECTS
        return min(self.pause * 2 ** (pauses - 1), self.longest_pause) if pauses > 0 else 0.0


class Retry(NamedTuple):
    """Send again after ``delay`` seconds; ``policy`` decides about the attempt after that."""

    policy: RetryPolicy
    delay: float
