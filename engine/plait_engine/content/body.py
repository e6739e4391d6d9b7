"""A body that comes encoded and is decoded as far as somebody takes it.

However much a few bytes decode to, one ``step`` gives no more than ``max_length`` of it, and
nothing is decoded that nobody asked for.  Encoded pieces wait here until their turn comes;
their flow-control credit is given back when they are, so that the peer is held up by whoever
reads the decoded bytes.
"""

from __future__ import annotations

from collections import deque

from .codings import Decoder


class EncodedBody:
    """The encoded pieces of one body, and the decoder that takes them.

    Args:
        decoder: undoes the coding.
        max_length: decoded bytes of one step, at most.
    """

    __slots__ = ("_decoder", "_ended", "_max_length", "_pieces", "complete", "taken")

    def __init__(self, decoder: Decoder, max_length: int) -> None:
        self._decoder = decoder
        self._max_length = max_length
        self._pieces: deque[tuple[bytes, int]] = deque()
        self._ended = False
        self.taken = 0
        """Encoded bytes that the decoder has taken."""
        self.complete = False
        """The body has ended, and all of it is decoded."""

    def receive_data(self, data: bytes, credit: int) -> None:
        """Encoded bytes came, and ``credit`` with them."""
        self._pieces.append((data, credit))

    def receive_end(self) -> None:
        """The encoded body is complete."""
        self._ended = True

    def step(self) -> tuple[bytes, int] | None:
        """Return the next decoded bytes, perhaps none, and the credit to give back.

        ``None``: nothing more can be had now.  Raises CodingError when the bytes, or where
        they end, are not what the coding says.
        """
        decoder = self._decoder
        if decoder.pending:
            return decoder.decode(b"", self._max_length), 0
        if self._pieces:
            data, credit = self._pieces.popleft()
            self.taken += len(data)
            return decoder.decode(data, self._max_length), credit
        if self._ended and not self.complete:
            if self.taken:  # An empty body is not encoded, whatever its field says.
                decoder.finish()
            self.complete = True
        return None

    def clear(self) -> int:
        """Drop what waits to be decoded; return the credit to give back."""
        credit = sum([credit for _, credit in self._pieces])
        self._pieces.clear()
        return credit
