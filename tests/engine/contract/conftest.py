"""Every contract test runs over both protocols, every pairing of engines, and every cut.

``Pair`` drives both sides as an adapter must, and its recorders hold the order of events,
so each test here also tests that the contract is enough to live with.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from plait_engine import Config
from plait_engine.testing import TEST_CONFIG, Fragmenter, Pair, bytewise, random_cuts, whole

CUTS: dict[str, Callable[[], Fragmenter]] = {
    "whole": lambda: whole,
    "bytewise": lambda: bytewise,
    "random": lambda: random_cuts(7),
}
ENGINES = [
    ("native", "native"),
    ("reference", "reference"),
    ("native", "reference"),
    ("reference", "native"),
]


@pytest.fixture(params=["http/1.1", "h2"])
def protocol(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=ENGINES, ids="-".join)
def engines(request: pytest.FixtureRequest) -> tuple[str, str]:
    """The engines of client and server."""
    return request.param


@pytest.fixture(params=["native", "reference"])
def engine(request: pytest.FixtureRequest) -> str:
    """The engine of a connection whose peer is raw bytes."""
    return request.param


@pytest.fixture(params=CUTS)
def fragment(request: pytest.FixtureRequest) -> Fragmenter:
    return CUTS[request.param]()


MakePair = Callable[..., Pair]


@pytest.fixture
def make_pair(protocol: str, engines: tuple[str, str], fragment: Fragmenter) -> MakePair:
    """Make a pair, past the preface, with other configurations or latency if wanted."""

    def make(
        *, client: Config = TEST_CONFIG, server: Config = TEST_CONFIG, latency: float = 0.0
    ) -> Pair:
        pair = Pair(
            protocol,
            client=engines[0],
            server=engines[1],
            client_config=client,
            server_config=server,
            latency=latency,
            fragment=fragment,
        )
        pair.run()
        pair.client.take()
        pair.server.take()
        return pair

    return make


@pytest.fixture
def pair(make_pair: MakePair) -> Pair:
    return make_pair()
