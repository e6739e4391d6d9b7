"""Files that are received: in memory while they are small, then on disk.

What happens on the disk happens in a thread, so that it keeps no other request waiting.
"""

from __future__ import annotations

import asyncio
from tempfile import SpooledTemporaryFile


class Spool:
    """Takes the bytes of one file.  ``file`` is what they can be read from.

    ``max_in_memory``: bytes that are kept in memory, at most.
    """

    def __init__(self, max_in_memory: int) -> None:
        self.file = SpooledTemporaryFile(max_in_memory)  # noqa: SIM115  # it outlives this call
        self._max_in_memory = max_in_memory
        self._size = 0
        self._loop = asyncio.get_running_loop()

    @property
    def _is_on_disk(self) -> bool:
        return self._size > self._max_in_memory

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
