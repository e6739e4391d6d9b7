"""How bytes are cut on their way: whole, one by one, at random, at given places.

A transport may deliver a message in any pieces, and a parser that is right for one cut can
be wrong for another.  A fragmenter is a function from bytes to pieces that join to the
same bytes; a test that takes one as a parameter runs under every cut.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import TypeAlias

Fragmenter: TypeAlias = Callable[[bytes], Iterable[bytes]]
"""Cuts bytes into pieces; no piece is empty, and together they are the bytes."""


def whole(data: bytes) -> list[bytes]:
    """Return ``bytes`` in one piece."""
    return [data] if data else []


def bytewise(data: bytes) -> list[bytes]:
    """Return ``bytes`` one by one."""
    return [data[index : index + 1] for index in range(len(data))]


def at(positions: Iterable[int]) -> Fragmenter:
    """Return a fragmenter that cuts before the bytes at ``positions`` (from 0)."""
    cuts = sorted(set(positions))

    def cut(data: bytes) -> list[bytes]:
        inside = [position for position in cuts if 0 < position < len(data)]
        edges = [0, *inside, len(data)]
        return [data[start:end] for start, end in itertools.pairwise(edges) if end]

    return cut


def random_cuts(seed: int, longest: int = 64) -> Fragmenter:
    """Return a fragmenter that cuts pieces of 1 to ``longest`` bytes.

    The same ``seed`` gives the same cuts for the same calls.  Short pieces are as likely as
    long ones, so that cuts fall inside of small tokens too.
    """
    state = seed & 0xFFFFFFFF

    def draw(limit: int) -> int:
        # Numerical Recipes' linear congruential generator: the engine imports no randomness,
        # and a test wants it repeatable.
        nonlocal state
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        return (state >> 8) % limit

    def cut(data: bytes) -> list[bytes]:
        pieces = []
        start = 0
        while start < len(data):
            end = start + 1 + draw(1 + draw(longest))
            pieces.append(data[start:end])
            start = end
        return pieces

    return cut
