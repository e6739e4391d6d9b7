"""How far the content of a request got, for the program that sends it.

A request may be sent several times: after a redirect, a failure, by a middleware.  Each time
is an ``UploadAttempt``, all of them are the ``Upload`` of a call, and the program's
``UploadTracker`` shows the last one.  So a task that still ends an earlier attempt changes nothing
that the program sees.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from plait.client_exceptions import UploadAbortedError

if TYPE_CHECKING:
    from .exchange import ClientExchange


class UploadTracker:
    """Shows how far the content of one request got (``upload_tracker=`` of a request).

    Make one for each request, where a loop runs: a second request with it is a RuntimeError.

    ``upload_complete``: a future that is done when nothing more of the content will be sent.  It
    has the error with which the last attempt failed, or an UploadAbortedError when content is
    missing for another reason: the server did not want it, the request failed before or was
    cancelled.
    """

    def __init__(self) -> None:
        self.upload_complete: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._upload = Upload(self.upload_complete)
        self._is_bound = False

    @property
    def attempts(self) -> int:
        """How often the request was sent, redirects included."""
        return self._upload.attempts

    @property
    def bytes_written(self) -> int:
        """Bytes of the content that the operating system has, in this attempt.

        They are counted before compression and framing.  While other requests use the same
        connection of HTTP/2, those that are about to be written may be missing.
        """
        attempt = self._upload.attempt
        return 0 if attempt is None else attempt.bytes_written


def bind(tracker: UploadTracker) -> Upload:
    """Return what a request that takes ``tracker`` tells.  Raises RuntimeError for a second one."""
    if tracker._is_bound:
        raise RuntimeError("this UploadTracker is already bound: make one for each request")
    tracker._is_bound = True
    return tracker._upload


class Upload:
    """The content of one request; see the module.  ``complete`` is done when it is over."""

    def __init__(self, complete: asyncio.Future[None]) -> None:
        self.attempts = 0
        self.attempt: UploadAttempt | None = None
        self._complete = complete
        self._is_last = False

    def begin(self) -> UploadAttempt:
        """The request is about to be sent, for the first time or again."""
        self.attempts += 1
        self.attempt = UploadAttempt(self)
        return self.attempt

    def end(self) -> None:
        """The request is not sent again: what becomes of the last attempt counts."""
        self._is_last = True
        if self.attempt is None or not self.attempt.is_running:
            self._settle()

    def on_end(self, attempt: UploadAttempt) -> None:
        """``attempt`` is over."""
        if self._is_last and attempt is self.attempt:
            self._settle()

    def _settle(self) -> None:
        attempt, future = self.attempt, self._complete
        if future.done():  # The program may have cancelled it.
            return
        if attempt is not None and attempt.is_complete:
            future.set_result(None)
            return
        error = None if attempt is None else attempt.error
        future.set_exception(
            error or UploadAbortedError("the upload ended before the whole body was sent")
        )
        future.exception()  # Whoever only asks whether it is done has heard of it.


class UploadAttempt:
    """One time that the content is sent; see the module.

    ``taken`` is how many bytes of the content were given to the connection.
    """

    __slots__ = ("_exchange", "_upload", "_written", "error", "is_complete", "taken")

    def __init__(self, upload: Upload) -> None:
        self._upload = upload
        self._exchange: ClientExchange | None = None
        self._written = 0
        self.taken = 0
        self.is_complete = False
        self.error: BaseException | None = None

    @property
    def is_running(self) -> bool:
        """True while a task sends the content."""
        return self._exchange is not None

    @property
    def bytes_written(self) -> int:
        """See ``UploadTracker.bytes_written``."""
        exchange = self._exchange
        if exchange is not None:
            driver = exchange.driver
            transport = driver.transport
            # What a closing transport dropped from its buffer was never written.
            if transport is not None and not transport.is_closing():
                waiting = driver.engine.queued(exchange.stream_id)
                written = self.taken - waiting - transport.get_write_buffer_size()
                self._written = max(self._written, written)
        return self._written

    def begin(self, exchange: ClientExchange) -> None:
        """A task is going to send the content on ``exchange``."""
        self._exchange = exchange

    def measure(self) -> None:
        """Note how much is written: when the connection is gone, nobody can tell any more."""
        self._written = self.bytes_written

    def complete(self, size: int) -> None:
        """All of the content was given to the connection, ``size`` bytes."""
        self._written = self.taken = size
        self.is_complete = True
        self._leave()

    def fail(self, error: BaseException | None) -> None:
        """The task is over; nothing happens if the attempt had ended before."""
        if self._exchange is not None:
            self._written = self.bytes_written
            self.error = error
            self._leave()

    def _leave(self) -> None:
        self._exchange = None
        self._upload.on_end(self)
