"""A trio stream as what the engine's driver stands over: it carries bytes and keeps the time.

The driver's calls are plain; they are noted here, and three tasks carry them out: one reads,
one writes and closes, one keeps the time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import trio

import plait_engine.driver
from plait_engine import CloseAction

RECEIVE_SIZE = 65536

TrioStream: TypeAlias = "trio.SocketStream | trio.SSLStream[TrioStream]"
"""A socket, TLS on it, or TLS in the TLS of a proxy."""


class Timer:
    """A call at the time ``when``."""

    def __init__(
        self, transport: TrioTransport, when: float, callback: Callable[[], object]
    ) -> None:
        self._transport = transport
        self.when = when
        self.callback = callback

    def cancel(self) -> None:
        """Do not make it."""
        self._transport.timers.discard(self)


class TrioTransport:
    """The driver's ``Transport`` and its ``Scheduler``.

    A trio stream has no buffer to write into.  So while the writer sends, the driver is told
    to wait; what is sent meanwhile stays in the engine and leaves in one piece.
    """

    driver: plait_engine.driver.Driver
    """Who is told what comes; set it before anything else happens."""

    def __init__(self, stream: TrioStream) -> None:
        self.stream = stream
        self.error: Exception | None = None
        """What the stream failed with."""
        self.timers: set[Timer] = set()
        self._unsent = b""
        self._action = CloseAction.NONE
        self._reading = True
        self._resumed = trio.Event()
        self._writer_wakeup = trio.Event()
        self._timers_changed = trio.Event()
        self._writing = trio.CancelScope()

    # -- as the driver's transport ----------------------------------------------

    def write(self, data: bytes, /) -> None:
        """Send ``data``; the driver waits meanwhile."""
        self._unsent = data
        self.driver.pause_writing()
        self._writer_wakeup.set()

    def write_eof(self) -> None:
        """End what is sent."""
        self._act(CloseAction.WRITE_EOF)

    def close(self) -> None:
        """Close the stream, TLS properly."""
        self._act(CloseAction.CLOSE)

    def abort(self) -> None:
        """Drop the stream, whatever is being sent."""
        self._act(CloseAction.ABORT)
        self._writing.cancel()

    def is_closing(self) -> bool:
        """Tell whether the stream is closed or is being closed."""
        return self._action >= CloseAction.CLOSE

    def pause_reading(self) -> None:
        """Receive no more for now."""
        self._reading = False

    def resume_reading(self) -> None:
        """Receive again."""
        self._reading = True
        self._resumed.set()

    def _act(self, action: CloseAction) -> None:
        self._action = max(self._action, action)
        self._writer_wakeup.set()

    # -- as its scheduler -------------------------------------------------------

    def time(self) -> float:
        """Return trio's time."""
        return trio.current_time()

    def call_at(self, when: float, callback: Callable[[], object], /) -> Timer:
        """Call ``callback`` at the time ``when``."""
        timer = Timer(self, when, callback)
        self.timers.add(timer)
        self._timers_changed.set()
        return timer

    def call_soon(self, callback: Callable[[], object], /) -> None:
        """Call ``callback`` at once: what is sent while the writer sends is together anyway."""
        callback()

    # -- the tasks ----------------------------------------------------------------

    async def read(self) -> None:
        """Give the driver what comes."""
        driver = self.driver
        try:
            while True:
                while not self._reading:
                    self._resumed = trio.Event()
                    await self._resumed.wait()
                data = bytes(await self.stream.receive_some(RECEIVE_SIZE))
                if not data:
                    driver.receive_eof()
                    return
                driver.receive_data(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
            self.error = exc
            self.abort()

    async def write_and_close(self) -> None:
        """Send what the driver writes, until the stream is closed."""
        with self._writing:
            try:
                while not self.is_closing():
                    await self._write_once()
                if self._action is CloseAction.CLOSE:
                    await self.stream.aclose()  # For ``Timeouts.close``, then comes ``abort``.
            except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
                self.error = exc

    async def _write_once(self) -> None:
        self._writer_wakeup = trio.Event()
        if self._unsent:
            data, self._unsent = self._unsent, b""
            await self.stream.send_all(data)
            self.driver.resume_writing()
        elif self._action is CloseAction.WRITE_EOF and isinstance(self.stream, trio.SocketStream):
            self._action = CloseAction.NONE
            await self.stream.send_eof()
        else:
            await self._writer_wakeup.wait()

    async def keep_time(self) -> None:
        """Make the calls that are due."""
        while True:
            self._timers_changed = trio.Event()
            with trio.move_on_at(min((timer.when for timer in self.timers), default=math.inf)):
                await self._timers_changed.wait()
            now = trio.current_time()
            for timer in sorted(self.timers, key=lambda timer: timer.when):
                if timer.when <= now and timer in self.timers:
                    self.timers.discard(timer)
                    timer.callback()
