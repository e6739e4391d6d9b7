"""What a task waits on when it must go on at once, and not in the loop's next turn.

An ``asyncio.Future`` wakes its task through ``call_soon``: a handle, and one more turn of
the loop with its system call.  For a task that answers each message of a connection that
is a fifth of the whole cost.  A ``Waiter`` runs the task inside ``wake_now``, in the
task's own context, if no other task is running; else it does what a future does.

It is a future-like object in asyncio's sense (``asyncio.isfuture``), for one task at a
time, and can be used again: wait, wake, wait, wake.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextvars import Context
from typing import Any


class Waiter:
    """Wait with ``await waiter``; wake with ``wake`` or ``wake_now``.

    ``await`` returns the value it was woken with.
    """

    __slots__ = (
        "_asyncio_future_blocking",
        "_callback",
        "_cancelled",
        "_context",
        "_loop",
        "_value",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._asyncio_future_blocking = False
        self._loop = loop
        self._callback: Callable[[Any], object] | None = None
        self._context: Context | None = None
        self._cancelled: asyncio.CancelledError | None = None
        self._value = False

    @property
    def waiting(self) -> bool:
        """Whether a task waits that has not been woken."""
        return self._callback is not None

    def __await__(self) -> Generator[Waiter, None, bool]:
        self._asyncio_future_blocking = True
        yield self
        return self._value

    def wake(self, value: bool) -> None:
        """Wake the task that waits, if one does, in the loop's next turn."""
        callback = self._callback
        if callback is not None:
            self._callback = None
            self._value = value
            self._loop.call_soon(callback, self, context=self._context)

    def wake_now(self, value: bool) -> None:
        """Run the task that waits, if one does, until it waits again."""
        callback = self._callback
        if callback is None:
            return
        if asyncio.current_task(self._loop) is not None:
            self.wake(value)
            return
        self._callback = None
        self._value = value
        context = self._context
        assert context is not None
        context.run(callback, self)

    # -- what a task asks of a future (its loop it finds in ``_loop``) ------------------

    def add_done_callback(
        self, callback: Callable[[Any], object], *, context: Context | None = None
    ) -> None:
        self._callback = callback
        self._context = context

    def cancel(self, msg: Any | None = None) -> bool:
        if self._callback is None:
            return False
        self._cancelled = asyncio.CancelledError() if msg is None else asyncio.CancelledError(msg)
        self.wake(False)
        return True

    def result(self) -> bool:
        cancelled = self._cancelled
        if cancelled is not None:
            self._cancelled = None
            raise cancelled
        return self._value
