"""A file that the kernel copies into a socket (``sendfile``), so that its bytes never come here.

asyncio has ``loop.sendfile``, but it tells nothing before it is done, so a peer that takes nothing
would go unnoticed, and it does not end when its transport does.  uvloop has none.

Rules
-----
* While it copies, nothing else may be written to the socket.
* It waits on a descriptor of its own for the socket: a loop does not let anybody wait on one that
  a transport has.
* A peer that takes nothing for ``patience`` seconds is lost.
"""

from __future__ import annotations

import asyncio
import os
from typing import Final

AVAILABLE: Final = hasattr(os, "sendfile")

_BY_HAND: Final = 65536


class FileCopy:
    """Copies ``size`` bytes of ``file``, from ``offset`` on, into ``socket``; both descriptors.

    Await ``done``, and call ``close`` whatever comes of it.  ``done`` raises ConnectionResetError
    when the peer is gone, EOFError when the file has fewer bytes, OSError when it cannot be read.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        socket: int,
        file: int,
        offset: int,
        size: int,
        patience: float | None,
    ) -> None:
        self.done: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._socket = os.dup(socket)
        self._file = file
        self._offset = offset
        self._size = size
        self._patience = patience
        self._progress = False
        self._timer: asyncio.TimerHandle | None = None
        self._copy()
        if not self.done.done():
            loop.add_writer(self._socket, self._copy)
            self._watch()

    def fail(self, error: BaseException) -> None:
        """End it with ``error``."""
        if not self.done.done():
            self.done.set_exception(error)

    def close(self) -> None:
        """Close the descriptor of the socket; that of the file is the caller's."""
        if self._timer is not None:
            self._timer.cancel()
        if not self.done.cancel() and not self.done.cancelled():
            self.done.exception()  # Whoever was cancelled has not seen it.
        self._loop.remove_writer(self._socket)
        os.close(self._socket)

    def _copy(self) -> None:
        """The socket takes bytes."""
        if self.done.done():
            return  # It failed; whoever waits is going to close it.
        try:
            sent = self._send_some()
        except (BlockingIOError, InterruptedError):
            return
        except (OSError, EOFError) as error:
            self.fail(error)
            return
        self._progress = True
        self._offset += sent
        self._size -= sent
        if not self._size:
            self.done.set_result(None)

    def _send_some(self) -> int:
        try:
            sent = os.sendfile(self._socket, self._file, self._offset, self._size)
        except (BlockingIOError, InterruptedError):
            raise
        except OSError:
            sent = self._send_by_hand()
        if not sent:
            raise EOFError(f"the file ends {self._size} bytes early")
        return sent

    def _send_by_hand(self) -> int:
        """Do what ``sendfile`` cannot do with this file, or find out who has failed."""
        data = os.pread(self._file, min(self._size, _BY_HAND), self._offset)
        try:
            return os.write(self._socket, data)
        except (BlockingIOError, InterruptedError):
            raise
        except OSError as error:
            raise ConnectionResetError(*error.args) from error

    def _watch(self) -> None:
        """Look every ``patience`` seconds whether anything was taken."""
        if self._patience is not None:
            self._timer = self._loop.call_later(self._patience, self._look)

    def _look(self) -> None:
        if not self._progress:
            # A socket says that it takes bytes when much of its buffer is free, not just some.
            self._copy()
        if self._progress:
            self._progress = False
            self._watch()
        else:
            self.fail(ConnectionResetError(f"the peer took nothing for {self._patience} seconds"))
