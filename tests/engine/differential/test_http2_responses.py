"""The same frames of a server, whole and damaged, into the native and the reference client."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from plait_engine import Config, EndOfMessage, Request, Role, create_connection
from plait_engine.engines import EngineName
from plait_engine.testing import Fragmenter, counting_random
from plait_engine.testing.strategies import fragmenters, http2_server_frames, mutated
from tests.engine.differential import rules
from tests.engine.differential.conftest import budget
from tests.engine.differential.harness import ENGINES, Outcome, Run, differences
from tests.engine.differential.http2_rules import HTTP2_RULES

CONFIG = Config(random=counting_random)

streams = http2_server_frames().map(b"".join)
odd_streams = http2_server_frames(odd=True).map(b"".join)


def fetch(engine: EngineName, data: bytes, fragment: Fragmenter) -> Outcome:
    """Send two requests, then take ``bytes`` for the answers."""
    run = Run(create_connection(Role.CLIENT, "h2", CONFIG, engine=engine), fragment)
    for stream_id in (1, 3):
        run.endpoint.send(
            Request(stream_id, "GET", "http", "example.org", "/", []), EndOfMessage(stream_id)
        )
    run.receive(data)
    return run.finish()


def compare(data: bytes, fragment: Fragmenter) -> None:
    rules.compare(HTTP2_RULES, fetch, data, fragment)


@budget(150)
@given(streams, fragmenters())
def test_valid_frames(data: bytes, fragment: Fragmenter) -> None:
    compare(data, fragment)


@budget(150)
@given(odd_streams, fragmenters())
def test_odd_frames(data: bytes, fragment: Fragmenter) -> None:
    compare(data, fragment)


@budget(300)
@given(mutated(st.one_of(streams, odd_streams)), fragmenters())
def test_damaged_frames(data: bytes, fragment: Fragmenter) -> None:
    compare(data, fragment)


@budget(150)
@given(mutated(st.one_of(streams, odd_streams)), fragmenters(), fragmenters())
def test_how_bytes_are_cut_makes_no_difference(
    data: bytes, one: Fragmenter, other: Fragmenter
) -> None:
    for engine in ENGINES:
        first, second = (fetch(engine, data, cut) for cut in (one, other))
        assert first.same_as(second), differences(first, second)
