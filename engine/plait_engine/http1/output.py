"""The bytes on their way to the transport: queued as they are, handed out in good sizes.

Pieces are queued without a copy.  They leave joined while they are small, because a write
costs a system call, and alone when they are large, because a copy costs more.  What stays
here is what the peer does not take: it fills the stream (``Limits.write_high_water``) and
runs the write timer.
"""

from __future__ import annotations

import math

from plait_engine.config import Config


class WriteQueue:
    """Pieces of bytes, their size, and the deadline by which some must have left."""

    __slots__ = (
        "_high_water",
        "_low_water",
        "_pieces",
        "_progress",
        "_quantum",
        "_timeout",
        "deadline",
        "is_full",
        "size",
    )

    def __init__(self, config: Config) -> None:
        limits = config.limits
        self._quantum = limits.write_quantum
        self._high_water = limits.write_high_water
        self._low_water = limits.write_low_water
        self._timeout = math.inf if config.timeouts.write is None else config.timeouts.write
        # A list, since a deque takes 700 bytes even when the connection is idle.
        self._pieces: list[bytes] = []
        self._progress = False
        self.size = 0
        """Bytes in the queue; 0 means that it is empty."""
        self.is_full = False
        """From the high-water mark until the low-water mark."""
        self.deadline = math.inf
        """When ``has_stalled`` is to be asked next."""

    def put(self, piece: bytes, now: float) -> None:
        """Queue ``piece``, which is not empty."""
        if not self.size:
            self._progress = False
            self.deadline = now + self._timeout
        self._pieces.append(piece)
        self.size += len(piece)
        if self.size >= self._high_water:
            self.is_full = True

    def take(self) -> bytes:
        """Remove and return the next bytes: about a quantum, or one large piece."""
        pieces = self._pieces
        self._progress = True
        piece = pieces[0]
        taken = 1
        if len(pieces) > 1:
            size = len(piece)
            while taken < len(pieces) and size + len(pieces[taken]) <= self._quantum:
                size += len(pieces[taken])
                taken += 1
            if taken > 1:
                piece = b"".join(pieces[:taken])
        del pieces[:taken]
        self.size -= len(piece)
        if self.size <= self._low_water:
            self.is_full = False
            if not self.size:
                self.deadline = math.inf
        return piece

    def has_stalled(self, now: float) -> bool:
        """Tell, at the deadline, whether nothing left since it was set; else set a new one."""
        if not self._progress:
            return True
        self._progress = False
        self.deadline = now + self._timeout
        return False

    def clear(self) -> None:
        """Drop everything."""
        self._pieces.clear()
        self.size = 0
        self.is_full = False
        self.deadline = math.inf
