"""Switches of protocols in the native and the reference engine, over the same bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait_engine import (
    Accept,
    Config,
    Connection,
    Data,
    EndOfMessage,
    Event,
    Request,
    Role,
    create_connection,
)
from plait_engine.engines import EngineName
from plait_engine.semantics.fields import offered_upgrades
from plait_engine.testing import Fragmenter, counting_random
from plait_engine.testing.strategies import fragmenters, http1_request_streams, http1_responses
from tests.engine.differential import rules
from tests.engine.differential.conftest import budget
from tests.engine.differential.harness import ENGINES, Outcome, Run, differences
from tests.engine.differential.http1_rules import REQUEST_RULES, refusal

CONFIG = Config(random=counting_random, upgrade_protocols=frozenset())
UPGRADE = (("Connection", "Upgrade"), ("Upgrade", "tcp, foo/2"))
REQUESTS = {
    "GET": [Request(1, "GET", "http", "a", "/", UPGRADE), EndOfMessage(1)],
    "POST": [Request(1, "POST", "http", "a", "/", UPGRADE), Data(1, b"body"), EndOfMessage(1)],
    "unfinished": [Request(1, "POST", "http", "a", "/", UPGRADE), Data(1, b"body")],
    "plain": [Request(1, "GET", "http", "a", "/", ()), EndOfMessage(1)],
}


class Server(Run):
    """Switches to the first protocol that a request offers, and answers the others."""

    def __init__(self, connection: Connection, fragment: Fragmenter) -> None:
        super().__init__(connection, fragment)
        self._offered: list[str] = []
        self._switched = False

    def see(self, event: Event) -> None:
        if isinstance(event, Request) and event.http_version != "1.0":
            self._offered = sorted(offered_upgrades(event.headers))
        super().see(event)

    def on_complete(self, stream_id: int) -> None:
        if self._offered:
            self.endpoint.send(Accept(stream_id, (), self._offered.pop()))
            self._offered.clear()
            self._switched = True
        elif self._switched:
            self.endpoint.send(EndOfMessage(stream_id))
        else:
            super().on_complete(stream_id)


def serve(engine: EngineName, data: bytes, fragment: Fragmenter) -> Outcome:
    run = Server(create_connection(Role.SERVER, "http/1.1", CONFIG, engine=engine), fragment)
    run.receive(data)
    outcome = run.finish()
    outcome.refused = refusal(bytes(run.endpoint.sent))
    return outcome


@budget(150)
@given(http1_request_streams(), fragmenters())
def test_servers(data: bytes, fragment: Fragmenter) -> None:
    rules.compare(REQUEST_RULES, serve, data, fragment)


@st.composite
def switches(draw: st.DrawFn) -> bytes:
    """Return a 101, right or wrong, and what looks like a response behind it."""
    lines = [b"HTTP/1.1 101 Switching Protocols"]
    names = draw(st.sampled_from([b"tcp", b"TCP", b"foo/2, tcp", b"tcp, x", b"h2c, tcp", b""]))
    lines += draw(st.sampled_from([[b"Upgrade: " + names], []]))
    lines += draw(st.sampled_from([[b"Connection: Upgrade"], [b"Connection: close"], []]))
    before = draw(st.sampled_from([b"", b"HTTP/1.1 103 \r\n\r\n"]))
    return before + b"\r\n".join([*lines, b"", b""]) + draw(http1_responses())


def fetch(name: str, engine: EngineName, data: bytes, fragment: Fragmenter) -> Outcome:
    run = Run(create_connection(Role.CLIENT, "http/1.1", CONFIG, engine=engine), fragment)
    run.endpoint.send(*REQUESTS[name])
    run.receive(data)
    return run.finish()


@pytest.mark.parametrize("name", REQUESTS)
@budget(80)
@given(switches(), fragmenters())
def test_clients(name: str, data: bytes, fragment: Fragmenter) -> None:
    native, reference = (fetch(name, engine, data, fragment) for engine in ENGINES)
    assert native.same_as(reference), differences(native, reference)
