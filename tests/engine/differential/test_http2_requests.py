"""The same frames of a client, whole and damaged, into the native and the reference server."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from plait_engine import Config, Role, create_connection
from plait_engine.http2.frames import PREFACE
from plait_engine.testing import Fragmenter, counting_random, whole
from plait_engine.testing.strategies import fragmenters, http2_client_frames, mutated
from tests.engine.differential import rules
from tests.engine.differential.conftest import budget
from tests.engine.differential.harness import Outcome, Run

CONFIG = Config(random=counting_random)

streams = http2_client_frames().map(lambda frames: PREFACE + b"".join(frames))
odd_streams = http2_client_frames(odd=True).map(lambda frames: PREFACE + b"".join(frames))


def serve(engine: str, octets: bytes, fragment: Fragmenter) -> Outcome:
    run = Run(create_connection(Role.SERVER, "h2", CONFIG, engine=engine), fragment)
    run.receive(octets)
    return run.finish()


def compare(octets: bytes, fragment: Fragmenter) -> None:
    native = serve("native", octets, fragment)
    reference = serve("reference", octets, whole)
    rules.compare(rules.HTTP2_RULES, octets, native, reference)


@budget(150)
@given(streams, fragmenters())
def test_valid_frames(octets: bytes, fragment: Fragmenter) -> None:
    compare(octets, fragment)


@budget(150)
@given(odd_streams, fragmenters())
def test_odd_frames(octets: bytes, fragment: Fragmenter) -> None:
    compare(octets, fragment)


@budget(300)
@given(mutated(st.one_of(streams, odd_streams)), fragmenters())
def test_damaged_frames(octets: bytes, fragment: Fragmenter) -> None:
    compare(octets, fragment)
