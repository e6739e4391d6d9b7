"""Retries: may a request that failed be sent again?  An immutable policy.

Two situations are safe, and nothing else is retried:

* *Stale.*  The request went out on a connection that was idle before, and the connection
  ended before one byte of the response came.  Most likely the server had closed it
  already (RFC 9112 section 9.3.1).  But it may have processed the request, so only
  idempotent methods are sent again (RFC 9110 section 9.2.2), once.
* *Unprocessed.*  The server said that it did nothing with the request: REFUSED_STREAM, or a
  GOAWAY whose last id is below the stream's (RFC 9113 section 8.7).  Any method is sent
  again, and often enough for a server that ends each connection after a few requests: of
  128 that are sent at once, one that takes 20 a connection refuses the last six times.

In both, the content must be there to be sent from its beginning.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

IDEMPOTENT: Final = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PUT", "QUERY", "TRACE"})
"""Methods whose effect is the same once and twice (RFC 9110 section 9.2.2; QUERY: safe by its definition)."""


class Failure(NamedTuple):
    """The facts about a request that failed."""

    method: str
    reused: bool
    """The connection had done a request before."""
    response_started: bool
    """Some of the response had come."""
    unprocessed: bool
    """The peer said that it did not process the request."""
    replayable: bool
    """The content can be sent again from its beginning."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a request is sent again.  ``RetryPolicy(stale=0, unprocessed=0)``: never.

    ``stale`` and ``unprocessed`` are numbers of retries for the two situations above;
    ``idempotent`` the methods for which the first is safe.
    """

    stale: int = 1
    unprocessed: int = 10
    idempotent: frozenset[str] = field(default=IDEMPOTENT)

    def after(self, failure: Failure) -> RetryPolicy | None:
        """Return the policy for the next attempt, or ``None``: do not try again."""
        if not failure.replayable:
            return None
        if failure.unprocessed:
            return replace(self, unprocessed=self.unprocessed - 1) if self.unprocessed else None
        if (
            self.stale
            and failure.reused
            and not failure.response_started
            and failure.method in self.idempotent
        ):
            return replace(self, stale=self.stale - 1)
        return None
