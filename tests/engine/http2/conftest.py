"""Fixtures of the HTTP/2 tests: raw peers under every cut."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from plait_engine import Role
from plait_engine.testing import Fragmenter, bytewise, random_cuts, whole
from plait_engine.testing import frames as wire
from tests.engine.http2.peers import OK, POST, Peer

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


@pytest.fixture
def open_peer(chop: Fragmenter) -> Callable[..., Peer]:
    """Make a peer of either role with stream 1 open in both directions."""

    def make(role: Role, **options) -> Peer:
        peer = Peer(role, chop=chop, **options)
        if role is Role.SERVER:
            peer.say(wire.headers(1, POST))
        else:
            peer.request(end_stream=False, method="POST")
            peer.say(wire.headers(1, OK))
        peer.hear()
        peer.events()
        return peer

    return make
