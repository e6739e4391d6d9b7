"""Fixtures of the HTTP/2 tests: raw peers under every cut."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from plait_engine import Role
from plait_engine.testing import Fragmenter, bytewise, random_cuts, whole
from tests.engine.http2.peers import Peer

CHOPS: dict[str, Callable[[], Fragmenter]] = {
    "whole": lambda: whole,
    "bytewise": lambda: bytewise,
    "cuts": lambda: random_cuts(3),
}


@pytest.fixture(params=CHOPS)
def chop(request: pytest.FixtureRequest) -> Fragmenter:
    return CHOPS[request.param]()


@pytest.fixture
def server(chop: Fragmenter) -> Peer:
    """A raw client against a server engine."""
    return Peer(Role.SERVER, chop=chop)


@pytest.fixture
def client(chop: Fragmenter) -> Peer:
    """A raw server against a client engine."""
    return Peer(Role.CLIENT, chop=chop)
