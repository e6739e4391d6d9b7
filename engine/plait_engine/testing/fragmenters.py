"""How octets are cut on their way: whole, one by one, at random, at given places.

A transport may deliver a message in any pieces, and a parser that is right for one cut can
be wrong for another.  A fragmenter is a function from octets to pieces that join to the
same octets; a test that takes one as a parameter runs under every cut.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import TypeAlias

Fragmenter: TypeAlias = Callable[[bytes], Iterable[bytes]]
"""Cuts octets into pieces; no piece is empty, and together they are the octets."""


def whole(octets: bytes) -> list[bytes]:
    """Return ``octets`` in one piece."""
    return [octets] if octets else []


def bytewise(octets: bytes) -> list[bytes]:
    """Return ``octets`` one by one."""
    return [octets[index : index + 1] for index in range(len(octets))]


def at(positions: Iterable[int]) -> Fragmenter:
    """Return a fragmenter that cuts before the octets at ``positions`` (from 0)."""
    cuts = sorted(set(positions))

    def cut(octets: bytes) -> list[bytes]:
        inside = [position for position in cuts if 0 < position < len(octets)]
        edges = [0, *inside, len(octets)]
        return [octets[start:end] for start, end in itertools.pairwise(edges) if end]

    return cut


def random_cuts(seed: int, longest: int = 64) -> Fragmenter:
    """Return a fragmenter that cuts pieces of 1 to ``longest`` octets.

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

    def cut(octets: bytes) -> list[bytes]:
        pieces = []
        start = 0
        while start < len(octets):
            end = start + 1 + draw(1 + draw(longest))
            pieces.append(octets[start:end])
            start = end
        return pieces

    return cut
