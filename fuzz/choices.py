"""Decisions and messages, read out of the bytes that a fuzzer invents.

A target must do the same for the same bytes, with or without atheris, and near bytes
should mean near behaviour, so that the fuzzer can climb.  So every decision is one byte,
sizes come before what they measure, and bytes that have run out read as zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Choices:
    """Reads ``data`` from the front."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._pos = 0

    @property
    def exhausted(self) -> bool:
        """Whether all bytes were read."""
        return self._pos >= len(self._data)

    def byte(self) -> int:
        """Return the next byte, 0 when there is none."""
        pos = self._pos
        self._pos = pos + 1
        return self._data[pos] if pos < len(self._data) else 0

    def pick(self, options: Sequence[T]) -> T:
        """Return one of ``options``."""
        return options[self.byte() % len(options)]

    def data(self, size: int) -> bytes:
        """Return the next ``size`` bytes, or what is left of them."""
        start = self._pos
        self._pos = start + size
        return self._data[start : start + size]

    def rest(self) -> bytes:
        """Return all bytes that are left."""
        return self.data(len(self._data))


class Cuts:
    """How a wire is cut: a count (up to 15) and as many sizes, which repeat; 0: bytewise."""

    def __init__(self, choices: Choices) -> None:
        self._sizes = [size or 256 for size in choices.data(choices.byte() & 0x0F)] or [1]

    def __call__(self, wire: bytes) -> list[bytes]:
        """Return the pieces of ``wire``."""
        pieces: list[bytes] = []
        pos = 0
        while pos < len(wire):
            size = self._sizes[len(pieces) % len(self._sizes)]
            pieces.append(wire[pos : pos + size])
            pos += size
        return pieces
