"""An exchange: one stream of a connection, whatever the HTTP version and what carries it.

The server and the client subclass ``Exchange``: its commands are what they may do to the
stream, its hooks are where they hear what comes of it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from plait_engine import Data, ErrorCode, StreamReset
from plait_engine.errors import copy_error
from plait_engine.events import Sendable
from plait_engine.streams import StreamListener

if TYPE_CHECKING:
    from .driver import Driver


class Exchange(StreamListener):
    """One stream of a connection: what the adapters hold instead of sockets and ids.

    Subclasses override the ``on_*`` hooks.  ``exception`` is what ``drain`` and later
    sends should raise, once the stream was cut short; ``on_reset`` of the subclass sets it.
    """

    __slots__ = ("_waiters", "driver", "exception", "stream_id")

    def __init__(self, driver: Driver, stream_id: int) -> None:
        self.driver = driver
        self.stream_id = stream_id
        self.exception: BaseException | None = None
        self._waiters: list[asyncio.Future[None]] | None = None

    # -- commands -------------------------------------------------------------

    def send(self, *events: Sendable) -> None:
        """Give ``events`` of this stream to the engine (see ``Connection.send``)."""
        self.driver.send(*events)

    def acknowledge(self, credit: int) -> None:
        """Give back the credit of ``Data`` that the application took."""
        self.driver.acknowledge(self.stream_id, credit)

    def reset(self, code: int = ErrorCode.CANCEL) -> None:
        """Give up the stream; no-op when it or the connection has ended."""
        if self.driver.exchanges.get(self.stream_id) is self:
            self.driver.send(StreamReset(self.stream_id, code))

    async def go_away(self) -> None:
        """This side shuts down: say so, if the stream has words for it, and wait for the end."""

    def forget(self) -> None:
        """Hear no more events of this stream; what still arrives is acknowledged."""
        self.driver.forget(self)

    def can_send(self) -> bool:
        """Tell whether the stream takes body bytes; if not, ``drain`` waits until it does."""
        return self.driver.engine.send_capacity(self.stream_id) > 0

    async def drain(self) -> None:
        """Wait until the stream takes more body bytes.

        Raises a copy of ``exception`` when the stream was cut short before that.
        """
        driver = self.driver
        while self.exception is None:
            if driver.exchanges.get(self.stream_id) is not self:
                return  # Complete: there is nothing left to wait for.
            if self.can_send():
                return
            # On HTTP/2 the bytes wait for what else comes in this turn of the loop.  A full
            # stream waits for nobody.
            driver.drain()
            if self.exception is not None or self.can_send():
                continue
            waiter = driver.loop.create_future()
            if self._waiters is None:
                self._waiters = []
            self._waiters.append(waiter)
            try:
                await waiter
            finally:
                if self._waiters and waiter in self._waiters:
                    self._waiters.remove(waiter)
        raise copy_error(self.exception)

    def wake(self) -> None:
        """Wake whoever waits in ``drain``, to look again."""
        waiters, self._waiters = self._waiters, None
        if waiters:
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    # -- hooks ----------------------------------------------------------------

    def on_data(self, event: Data) -> None:
        """Bytes came; acknowledge ``event.credit`` when they are taken."""
        self.acknowledge(event.credit)
