"""The same requests, whole and damaged, into the native and the reference server."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from plait_engine import Config, Role, create_connection
from plait_engine.engines import EngineName
from plait_engine.testing import Fragmenter, counting_random, whole
from plait_engine.testing.strategies import fragmenters, http1_request_streams, mutated
from tests.engine.differential import rules
from tests.engine.differential.conftest import budget
from tests.engine.differential.harness import ENGINES, Outcome, Run, differences
from tests.engine.differential.http1_rules import REQUEST_RULES, refusal

CONFIG = Config(random=counting_random, upgrade_protocols=frozenset({"websocket", "foo/2"}))


def serve(engine: EngineName, data: bytes, fragment: Fragmenter) -> Outcome:
    run = Run(create_connection(Role.SERVER, "http/1.1", CONFIG, engine=engine), fragment)
    run.receive(data)
    outcome = run.finish()
    outcome.refused = refusal(bytes(run.endpoint.sent))
    return outcome


def compare(data: bytes, fragment: Fragmenter) -> None:
    rules.compare(REQUEST_RULES, serve, data, fragment)


@budget(150)
@given(http1_request_streams(), fragmenters())
def test_valid_requests(data: bytes, fragment: Fragmenter) -> None:
    compare(data, fragment)


@budget(400)
@given(mutated(http1_request_streams()), fragmenters())
def test_damaged_requests(data: bytes, fragment: Fragmenter) -> None:
    compare(data, fragment)


@budget(100)
@given(st.binary(max_size=60), fragmenters())
@example(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", whole)
def test_any_bytes(data: bytes, fragment: Fragmenter) -> None:
    compare(data, fragment)


@budget(150)
@given(mutated(http1_request_streams()), fragmenters(), fragmenters())
def test_how_bytes_are_cut_makes_no_difference(
    data: bytes, one: Fragmenter, other: Fragmenter
) -> None:
    for engine in ENGINES:
        first, second = serve(engine, data, one), serve(engine, data, other)
        assert first.same_as(second), differences(first, second)
