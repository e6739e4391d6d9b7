"""One call, through its redirects and retries, as a machine without I/O.

Strategy
--------
A caller wants a response; what it takes may be several requests.  In goes what came back;
out comes what to do next, and what to send is in the attributes::

              start                 on_response
      READY --------> SENDING ----------------------> ENDED      DONE or FAIL
                      |     ^   on_failure
                      '-----'   SEND: to ``url``, after ``delay`` seconds

==============  ====================================================================
inputs          ``start on_response on_attempt on_failure begin_anew cancel``
steps           ``SEND``: send ``method url headers``, with content if
                ``keeps_content``, ``delay`` seconds from now.
                ``DONE``: the response is the caller's.
                ``FAIL``: ``problem`` says why; after a failed request ``None``: raise
                what the request failed with.
==============  ====================================================================

Three decisions meet here, each of them a module of its own: what a redirect asks for
(``redirect``), whether to try again (``retry``), and who may be told the credentials.  A
caller sends credentials and cookies of its own with the first request; ``keeps_auth`` and
``keeps_cookies`` are false from the first redirect to another origin on, and they do not
come back.  The cookies of a jar (``cookie_store``) know their origin themselves: they are
added to each request.

Where others stand
------------------
Each ``SEND`` is one *hop*.  Whatever wraps a request (middlewares, digest authentication)
wraps a hop: it takes what ``SEND`` says and gives back what came of it, which may be a
response that never was on a wire.  It may also send the request once more, after a response or
a failure: ``begin_anew``.  The way to the origin (direct or by a proxy) is chosen
for each hop from ``url``.  A trace hears of each step.

The machine knows URLs by three functions (``Urls``), so that each adapter keeps its own type.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar

from .redirect import REDIRECTS, Origin, follow_redirect
from .retry import Attempt, Failure, RetryPolicy

Url = TypeVar("Url")


class Urls(Protocol[Url]):
    """What the machine asks of an adapter's URLs."""

    def join(self, url: Url, location: str) -> Url:
        """Return where ``location`` leads from ``url`` (RFC 9110 section 10.2.2).

        What it raises for one that leads nowhere, ``on_response`` raises.
        """

    def origin(self, url: Url) -> Origin:
        """Return who answers for ``url``."""

    def has_credentials(self, url: Url) -> bool:
        """Tell whether ``url`` says who asks (RFC 3986 section 3.2.1)."""


class Step(enum.Enum):
    """What to do next."""

    SEND = "send a request"
    DONE = "the response is the caller's"
    FAIL = "the call has failed"


class Problem(enum.Enum):
    """Why a call fails, although a response came."""

    TOO_MANY_REDIRECTS = "too many redirects"
    CONTENT_IS_GONE = "Cannot follow redirect with a consumed request body: it cannot be sent twice"


class CallState(enum.Enum):
    """Where a call is."""

    READY = "nothing was sent yet"
    SENDING = "a request is under way"
    ENDED = "no step follows"


# On CPython 3.11 a member that is asked of its Enum costs ten times a global.
SEND, DONE, FAIL = Step
READY, SENDING, ENDED = CallState


class Call(Generic[Url]):
    """The machine; see the module.

    Args:
        method, url, headers: the first request, with the fields that the caller set.
        urls: what is known about URLs.
        retry: when a request is sent again; it begins anew with each redirect.
        max_redirects: how many responses that redirect are one too many, 0 for no limit;
            ``None``: a response that redirects is the caller's.
    """

    __slots__ = (
        "_redirects",
        "_retry_of_each",
        "_urls",
        "delay",
        "headers",
        "is_sent_again",
        "keeps_auth",
        "keeps_content",
        "keeps_cookies",
        "max_redirects",
        "method",
        "problem",
        "retry",
        "state",
        "url",
    )

    def __init__(
        self,
        method: str,
        url: Url,
        headers: Iterable[tuple[str, str]],
        urls: Urls[Url],
        retry: RetryPolicy,
        max_redirects: int | None,
    ) -> None:
        self.method = method
        self.url = url
        self.headers = headers
        self.keeps_content = True
        """Send the content of the call: no redirect has dropped it."""
        self.keeps_auth = True
        """Send the credentials that the caller gave."""
        self.keeps_cookies = True
        """Send the cookies that the caller gave."""
        self.is_sent_again = False
        """The request was sent before, and nothing came of it."""
        self.delay = 0.0
        """Seconds to wait before ``SEND``."""
        self.problem: Problem | None = None
        self.state = READY
        self.retry = self._retry_of_each = retry
        """When the request is sent again, and for how long still."""
        self.max_redirects = max_redirects
        self._urls = urls
        self._redirects = 0

    def start(self) -> Step:
        """Begin: the first request is to be sent."""
        if self.state is not READY:
            raise self._misused()
        self.state = SENDING
        return SEND

    def begin_anew(self) -> None:
        """Whoever wraps the hop sends its request, perhaps not for the first time.

        How often it is sent again after failures is counted from here on.
        """
        self.state = SENDING
        self.retry = self._retry_of_each
        self.is_sent_again = False
        self.delay = 0.0
        self.problem = None

    def on_response(self, status: int, location: str | None, *, replayable: bool = True) -> Step:
        """The head of a final response came.

        ``location``: the value of Location, if there is one.  ``replayable``: the content can
        be sent again.  Raises what ``Urls.join`` raises.
        """
        if self.state is not SENDING:
            raise self._misused()
        if location is None or status not in REDIRECTS or self.max_redirects is None:
            self.state = ENDED
            return DONE
        self._redirects += 1
        if self.max_redirects and self._redirects >= self.max_redirects:
            return self._fail(Problem.TOO_MANY_REDIRECTS)
        return self._follow(status, location, replayable)

    def on_failure(self, failure: Failure) -> Step:
        """The request failed: it was reset, or its connection is gone."""
        if self.state is not SENDING:
            raise self._misused()
        retry = self.retry.after(failure)
        if retry is None:
            return self._fail(None)
        self.retry = retry.policy
        self.delay = retry.delay
        self.is_sent_again = True
        return SEND

    def on_attempt(self, attempt: Attempt) -> Step:
        """The request failed, or had no place to begin: what its connection knows of it."""
        if not attempt.lost_its_place:
            return self.on_failure(attempt.failure())
        if self.state is not SENDING:
            raise self._misused()
        self.delay = 0.0
        self.is_sent_again = True
        return SEND

    def cancel(self) -> None:
        """Nobody wants the response any more.  Idempotent."""
        self.state = ENDED

    def _follow(self, status: int, location: str, replayable: bool) -> Step:
        urls = self._urls
        there = urls.join(self.url, location)
        step = follow_redirect(
            status, self.method, self.headers, urls.origin(self.url), urls.origin(there)
        )
        if not step.keeps_content:
            self.keeps_content = False
        elif self.keeps_content and not replayable:
            return self._fail(Problem.CONTENT_IS_GONE)
        headers = step.headers
        if urls.has_credentials(there):
            # Those of the redirect, then.
            self.keeps_auth = False
            headers = [pair for pair in headers if pair[0].lower() != "authorization"]
        if not step.keeps_credentials:
            self.keeps_auth = self.keeps_cookies = False
        self.method = step.method
        self.url = there
        self.headers = headers
        self.retry = self._retry_of_each
        self.is_sent_again = False
        self.delay = 0.0
        return SEND

    def _fail(self, problem: Problem | None) -> Step:
        self.problem = problem
        self.state = ENDED
        return FAIL

    def _misused(self) -> RuntimeError:
        return RuntimeError(f"the call is not at this point: {self.state.value}")
