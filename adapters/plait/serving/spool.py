"""Files that are received: in memory while they are small, then on disk.

What happens on the disk happens in a thread, so that it keeps no other request waiting, and many
pieces at once, since each way to a thread costs as much as a small write.
"""

from __future__ import annotations

import asyncio
from tempfile import SpooledTemporaryFile
from typing import Final

BATCH: Final = 2**20
"""Bytes that wait to be written to disk, at most."""


class Spool:
    """Takes the bytes of one file.  ``file`` is what they can be read from, after ``rewind``.

    ``max_in_memory``: bytes that are kept in memory, at most.
    """

    def __init__(self, max_in_memory: int) -> None:
        self.file = SpooledTemporaryFile(max_in_memory)  # noqa: SIM115  # it outlives this call
        self._max_in_memory = max_in_memory
        self._size = 0
        self._pieces: list[bytes] = []
        self._waiting = 0
        self._loop = asyncio.get_running_loop()

    @property
    def _is_on_disk(self) -> bool:
        return self._size > self._max_in_memory

    async def write(self, data: bytes) -> None:
        """Add bytes."""
        self._size += len(data)
        if not self._is_on_disk:
            self.file.write(data)
            return
        self._pieces.append(data)
        self._waiting += len(data)
        if self._waiting >= BATCH:
            pieces, self._pieces, self._waiting = self._pieces, [], 0
            await self._loop.run_in_executor(None, self.file.writelines, pieces)

    async def rewind(self) -> None:
        """Go to the beginning: all bytes are there."""
        if self._is_on_disk:
            await self._loop.run_in_executor(None, self._finish)
        else:
            self.file.seek(0)

    def _finish(self) -> None:
        self.file.writelines(self._pieces)
        self._pieces = []
        self.file.seek(0)

    def close(self) -> None:
        """Drop the bytes."""
        if self._is_on_disk and not self.file.closed:
            self._loop.run_in_executor(None, self.file.close)
        else:
            self.file.close()
