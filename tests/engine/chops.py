"""Ways to cut the bytes of a connection into reads.

Every wire test takes one of ``CHOPS``, so that it runs whole, byte by byte and at random
cuts: ``@pytest.mark.parametrize("chop", CHOPS)``.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

Chop: TypeAlias = Callable[[bytes], list[bytes]]


def whole(data: bytes) -> list[bytes]:
    return [data]


def bytewise(data: bytes) -> list[bytes]:
    return [data[pos : pos + 1] for pos in range(len(data))]


def cut_at(data: bytes, cuts: list[int]) -> list[bytes]:
    """Cut at the positions ``cuts``, in any order; empty pieces are left out."""
    edges = [0, *sorted(cuts), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges) if a < b]


def at_random(seed: int) -> Chop:
    def chop(data: bytes) -> list[bytes]:
        rng = random.Random(seed)
        return cut_at(data, [rng.randrange(len(data) + 1) for _ in range(rng.randint(1, 12))])

    return chop


# pytest's ParameterSet has no public name to annotate with.
CHOPS: list[Any] = [
    pytest.param(whole, id="whole"),
    pytest.param(bytewise, id="bytewise"),
    *(pytest.param(at_random(seed), id=f"cuts{seed}") for seed in range(4)),
]
