"""What a task waits on when it must go on at once, and not in the loop's next turn.

An ``asyncio.Future`` wakes its task through ``call_soon``: a handle, and one more turn of
the loop with its system call.  For a task that answers each message of a connection that
is a fifth of the whole cost.  A ``Waiter`` runs the task inside ``wake_now``, in the
task's own context.  That is possible only while no other task is running (``is_ready``);
``wake`` does what a future does.

It is a future-like object in asyncio's sense (``asyncio.isfuture``), for one task at a
time, and can be used again: wait, wake, wait, wake.

A value that must not be lost is given by ``wake_now``: between ``wake`` and the loop's next
turn the task may be cancelled, and the value with it.

A task that must not go on at once, so that others have their turn, awaits ``next_turn()``.
"""

from __future__ import annotations

import asyncio
from asyncio import current_task
from collections.abc import Callable, Generator
from contextvars import Context
from functools import partial
from typing import Any, Final, Generic, TypeVar

_Value = TypeVar("_Value")

next_turn: Final = partial(asyncio.sleep, 0)
"""Wait until the loop's next turn.

Not ``asyncio.sleep`` itself, which tests of programs replace by what counts or raises.
"""


class Waiter(Generic[_Value]):
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
        self._value: Any = None

    @property
    def waiting(self) -> bool:
        """Whether a task waits that has not been woken."""
        return self._callback is not None

    def is_ready(self) -> bool:
        """Tell whether ``wake_now`` would run a task within the call."""
        return self._callback is not None and current_task(self._loop) is None

    def __await__(self) -> Generator[Waiter[_Value], None, _Value]:
        self._asyncio_future_blocking = True
        yield self
        value, self._value = self._value, None
        return value  # type: ignore[no-any-return]  # what it was woken with

    def wake(self, value: _Value) -> None:
        """Wake the task that waits, if one does, in the loop's next turn."""
        if self._callback is not None:
            self._value = value
            self._call_soon()

    def _call_soon(self) -> None:
        callback, self._callback = self._callback, None
        assert callback is not None
        self._loop.call_soon(callback, self, context=self._context)

    def wake_now(self, value: _Value) -> None:
        """Run the task that waits until it waits again; only while the waiter ``is_ready``."""
        callback, context = self._callback, self._context
        assert callback is not None
        assert context is not None
        self._callback = None
        self._value = value
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
        self._call_soon()
        return True

    def result(self) -> None:
        """Raise what ends the wait; the value is ``__await__``'s to give."""
        cancelled = self._cancelled
        if cancelled is not None:
            self._cancelled = None
            raise cancelled
