"""Files that are received: in memory while they are small, then on disk.

What happens on the disk happens in a thread, so that it keeps no other request waiting.
"""

from __future__ import annotations

import asyncio
from tempfile import SpooledTemporaryFile
from typing import Final

MAX_IN_MEMORY: Final = 2**20
"""Bytes of a file that are kept in memory."""


class Spool:
    """Takes the bytes of one file.  ``file`` is what they can be read from."""

    def __init__(self) -> None:
        self.file = SpooledTemporaryFile(MAX_IN_MEMORY)  # noqa: SIM115  # it outlives this call
        self._size = 0
        self._loop = asyncio.get_running_loop()

    @property
    def _is_on_disk(self) -> bool:
        return self._size > MAX_IN_MEMORY

    async def write(self, data: bytes) -> None:
        """Add bytes."""
        self._size += len(data)
        if self._is_on_disk:
            await self._loop.run_in_executor(None, self.file.write, data)
        else:
            self.file.write(data)

    async def rewind(self) -> None:
        """Go to the beginning: all bytes are there."""
        if self._is_on_disk:
            await self._loop.run_in_executor(None, self.file.seek, 0)
        else:
            self.file.seek(0)

    def close(self) -> None:
        """Drop the bytes."""
        if self._is_on_disk and not self.file.closed:
            self._loop.run_in_executor(None, self.file.close)
        else:
            self.file.close()
