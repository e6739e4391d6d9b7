"""What a connection holds when it is idle, and after many different requests."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import pytest

from plait_engine import (
    Connection,
    EndOfMessage,
    Request,
    Response,
    Role,
    create_connection,
)
from plait_engine.testing import frames as wire
from tests.engine.http2.peers import make_config

IDLE = 6000
"""Bytes of the engine for a connection without streams (3.9 KB on CPython 3.11)."""
FLOODED = 1_000_000
"""Bytes of all that is remembered of heads, at most: 64 of each kind, of 1 KiB on the wire."""


def held(make: Callable[[], object]) -> int:
    """Return the bytes that what ``make`` returns holds."""
    make()  # what is shared is there now
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        kept = make()
        assert kept
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


def connection() -> Connection:
    """Return a server after the handshake."""
    server = create_connection(Role.SERVER, "h2", make_config())
    server.connection_made(0.0)
    server.receive_data(wire.PREFACE + wire.settings() + wire.settings_ack(), 0.0)
    drain(server)
    return server


def drain(server: Connection) -> None:
    """Take the outputs, and answer."""
    while server.data_to_send():
        pass
    while (event := server.next_event()) is not None:
        if isinstance(event, Request):
            repeat = 10 if len(event.headers) == 1 else 1
            fields = [(f"x-{name}", value * repeat) for name, value in event.headers]
            server.send(
                Response(event.stream_id, 200, fields), EndOfMessage(event.stream_id), now=0.0
            )
    while server.data_to_send():
        pass


def flooded(size: int, count: int) -> Connection:
    """Return a server to which 100 requests came that differ in every field.

    The answers say what the requests said, ten times for a large field.
    """
    server = connection()
    for number in range(100):
        fields = [(f"x-{number}-{index}", f"{number:0{size}}") for index in range(count)]
        block = wire.request_block("GET", f"/{number}", fields)
        frame = wire.headers(2 * number + 1, block, end_stream=True)
        server.receive_data(frame, 0.0)
        drain(server)
    return server


def test_an_idle_connection_is_small() -> None:
    assert held(lambda: [connection() for _ in range(20)]) < 20 * IDLE


@pytest.mark.parametrize(("size", "count"), [(90, 8), (20, 100), (15000, 1)])
def test_heads_that_differ_are_not_remembered_for_good(size: int, count: int) -> None:
    assert held(lambda: flooded(size, count)) < FLOODED
