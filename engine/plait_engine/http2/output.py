"""The bytes that are ready to go: whole frames in their order.

DATA gets here only when the transport asks for it, or when the windows are open for a small
message.  What the peer can ask for as often as it likes (acknowledgements, resets) is counted.
"""

from __future__ import annotations

from plait_engine.errors import ErrorCode

from . import frames
from .errors import connection_error


class Output(list["bytes | memoryview"]):
    """Frames and parts of frames, to be joined.

    ``is_paused``: nothing is read until this is taken.  ``empty_at``: when there was nothing
    for the last time, in seconds.
    """

    __slots__ = ("_answers", "_max_answers", "empty_at", "is_paused")

    def __init__(self, max_answers: int) -> None:
        """``max_answers``: how many answers may wait (``Limits.max_control_frames``)."""
        super().__init__()
        self._answers = 0
        self._max_answers = max_answers
        self.is_paused = False
        self.empty_at = 0.0

    def answer(self, frame: bytes) -> None:
        """Add what the peer asked for.  Raises a connection error when it reads none of it."""
        self.append(frame)
        self._answers += 1
        if self._answers > self._max_answers:
            connection_error("the peer does not read what it asks for", ErrorCode.ENHANCE_YOUR_CALM)

    def announce(self, stream_id: int, increment: int) -> None:
        """Hand out window, if it is any; stream 0 is the connection."""
        if increment:
            self.append(frames.encode_window_update(stream_id, increment))

    def take(self) -> bytes:
        """Return everything, and keep nothing."""
        data = b"".join(self)
        self.clear()
        self._answers = 0
        return data
