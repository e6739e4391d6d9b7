"""The same responses, whole and damaged, into the native and the reference client."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait_engine import Config, EndOfMessage, Request, Role, create_connection
from plait_engine.engines import EngineName
from plait_engine.testing import Fragmenter, counting_random
from plait_engine.testing.strategies import fragmenters, http1_responses, mutated
from tests.engine.differential import rules
from tests.engine.differential.conftest import budget
from tests.engine.differential.harness import ENGINES, Outcome, Run, differences
from tests.engine.differential.http1_rules import RESPONSE_RULES

CONFIG = Config(random=counting_random)

REQUESTS = {
    "GET": Request(1, "GET", "http", "example.org", "/", ()),
    "HEAD": Request(1, "HEAD", "http", "example.org", "/", ()),
    "CONNECT": Request(1, "CONNECT", "http", "example.org:443", "example.org:443", ()),
    "UPGRADE": Request(1, "GET", "http", "example.org", "/", (), protocol="websocket"),
}


def fetch(method: str, engine: EngineName, data: bytes, fragment: Fragmenter) -> Outcome:
    """Send a request, receive ``data``, and note whether another request could follow."""
    run = Run(create_connection(Role.CLIENT, "http/1.1", CONFIG, engine=engine), fragment)
    request = REQUESTS[method]
    tunnel = method in ("CONNECT", "UPGRADE")
    run.endpoint.send(*([request] if tunnel else [request, EndOfMessage(1)]))
    run.receive(data)
    reused = run.endpoint.connection.available_streams == 1
    outcome = run.finish()
    outcome.refused = int(reused)
    return outcome


def compare(method: str, data: bytes, fragment: Fragmenter) -> None:
    rules.compare(RESPONSE_RULES, partial(fetch, method), data, fragment)


METHODS = pytest.mark.parametrize("method", REQUESTS)


@METHODS
@budget(60)
@given(data=http1_responses(), fragment=fragmenters())
def test_valid_responses(method: str, data: bytes, fragment: Fragmenter) -> None:
    compare(method, data, fragment)


@METHODS
@budget(150)
@given(data=mutated(http1_responses()), fragment=fragmenters())
def test_damaged_responses(method: str, data: bytes, fragment: Fragmenter) -> None:
    compare(method, data, fragment)


@METHODS
@budget(40)
@given(data=st.binary(max_size=60), fragment=fragmenters())
def test_any_bytes(method: str, data: bytes, fragment: Fragmenter) -> None:
    compare(method, data, fragment)


@METHODS
@budget(60)
@given(data=mutated(http1_responses()), one=fragmenters(), other=fragmenters())
def test_how_bytes_are_cut_makes_no_difference(
    method: str, data: bytes, one: Fragmenter, other: Fragmenter
) -> None:
    for engine in ENGINES:
        first, second = (fetch(method, engine, data, fragment) for fragment in (one, other))
        assert first.same_as(second), differences(first, second)
