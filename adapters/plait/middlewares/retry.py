"""Sending requests again, as a client middleware.

``ClientSession(middlewares=[RetryMiddleware()])``.  When and how often is decided by
``plait_engine.policy.backoff``; here its decisions meet the clock and the errors of the client.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Collection
from math import inf
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from plait.client_exceptions import (
    ClientConnectionError,
    ClientError,
    ClientPayloadError,
    ClientSSLError,
    ServerFingerprintMismatch,
)
from plait.client_middlewares import ClientHandlerType
from plait.client_reqrep import ClientRequest, ClientResponse
from plait.log import client_logger
from plait_engine.policy.backoff import STATUSES, Attempts, Backoff, RetryBudget
from plait_engine.policy.retry import IDEMPOTENT

if TYPE_CHECKING:
    from plait.client import ClientSession

__all__ = ("RetryMiddleware",)

_LASTING: Final = (ClientSSLError, ServerFingerprintMismatch)
"""Another attempt meets the same certificate."""


class RetryMiddleware:
    """Sends a request again that got no response, or one that says "not now".

    ``ClientSession(middlewares=[RetryMiddleware(attempts=5)])`` is for all requests of a session,
    ``session.get(url, middlewares=[retry])`` for one.  Make one and keep it, since it keeps the
    session's budget.

    Args:
        attempts: how often a request is sent at most, the first time included.
        pause: seconds before the second attempt; each further pause is ``factor`` times as long.
        longest_pause: in seconds.
        jitter: the part of a pause that is random, from 0 to 1.
        longest_retry_after: seconds that a server may ask to wait (Retry-After, RFC 9110 section
            10.2.3); a response that asks for more is returned.
        methods: those that may be sent again, by default those that are idempotent (RFC 9110
            section 9.2.2); ``None``: all.  A request that certainly did nothing is sent again
            whatever its method.
        statuses: of the responses after which a request is sent again.
        errors: after which a request is sent again; not those of a certificate.
        budget: makes the budget of a session, which bounds how many of its requests are
            retries: by default a tenth, and ten at once.

    The caller gets the last response or error.  A pause for which the ``total`` timeout leaves no
    time is not begun.  ``attempts`` counts for each redirect anew.  What fails while the content
    is read is not repeated: the caller has the response then.

    Raises ValueError for numbers that make no sense.  A request raises ClientPayloadError when it
    should be sent again and its content is used up, as that of an async generator is.
    """

    def __init__(
        self,
        attempts: int = 3,
        *,
        pause: float = 0.5,
        factor: float = 2.0,
        longest_pause: float = 30.0,
        jitter: float = 0.5,
        longest_retry_after: float = 60.0,
        methods: Collection[str] | None = IDEMPOTENT,
        statuses: Collection[int] = STATUSES,
        errors: tuple[type[Exception], ...] = (ClientConnectionError,),
        budget: Callable[[], RetryBudget] = RetryBudget,
    ) -> None:
        self.policy: Final = Backoff(
            attempts=attempts,
            pause=pause,
            factor=factor,
            longest_pause=longest_pause,
            jitter=jitter,
            longest_retry_after=longest_retry_after,
            methods=None if methods is None else frozenset(map(str.upper, methods)),
            statuses=frozenset(statuses),
        )
        self.errors: Final = errors
        self._make_budget = budget
        self._budgets: WeakKeyDictionary[ClientSession, RetryBudget] = WeakKeyDictionary()

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """Send ``request`` until it is answered or nothing more is to be tried."""
        now = asyncio.get_running_loop().time
        attempts = Attempts(
            self.policy,
            self._budget_of(request.session),
            request.method,
            now(),
            inf if request.clock is None else request.clock.ends,
        )
        while True:
            error: Exception | None = None
            try:
                response = await handler(request)
            except self.errors as caught:
                if isinstance(caught, _LASTING) or request.session.closed:
                    raise
                error = caught
                outcome = type(caught).__name__
                delay = attempts.after_failure(
                    unprocessed=isinstance(caught, ClientError) and caught.unprocessed,
                    now=now(),
                    chance=random.random(),
                )
                if delay is None:
                    caught.add_note(f"{request.method} is not sent again: {attempts.why}")
                    raise
            else:
                outcome = f"status {response.status}"
                delay = attempts.after_response(
                    response.status,
                    response.headers.get("Retry-After"),
                    now=now(),
                    wall=time.time(),
                    chance=random.random(),
                )
                if delay is None:
                    return response
                response.release()
            if request.payload is not None and not request.payload.replayable:
                raise ClientPayloadError(
                    f"{request.method} {request.url} ended with {outcome}, and cannot be sent"
                    " again: its content is used up; give bytes, or a file that can seek"
                ) from error
            client_logger.debug(
                "%s %s: %s; attempt %d of %d in %.3g s",
                *(request.method, request.url, outcome),
                *(attempts.number, self.policy.attempts, delay),
            )
            await asyncio.sleep(delay)

    def _budget_of(self, session: ClientSession) -> RetryBudget:
        budget = self._budgets.get(session)
        if budget is None:
            budget = self._budgets[session] = self._make_budget()
        return budget
