"""How much of responses that nobody reads yet an HTTP/2 client lets in."""

from __future__ import annotations

from plait_engine import Config, Data, EndOfMessage, Request, Response
from plait_engine.policy.client_config import CLIENT_LIMITS
from plait_engine.testing import TEST_CONFIG, Pair, counting_random

MEGABYTE = 1_000_000


def received(responses: int, size: int) -> list[int]:
    """Return how much of each response comes while nobody reads any."""
    pair = Pair(
        "h2",
        client_config=Config(random=counting_random, limits=CLIENT_LIMITS),
        server_config=TEST_CONFIG,
    )
    pair.client.acknowledges = False
    ids = range(1, 2 * responses, 2)
    for stream_id in ids:
        pair.client.send(Request(stream_id, "GET", "http", "a", "/", ()), EndOfMessage(stream_id))
    pair.run()
    for stream_id in ids:
        pair.server.send(Response(stream_id, 200), Data(stream_id, bytes(size)))
        pair.server.send(EndOfMessage(stream_id))
    pair.run()
    return [len(pair.client.recorder.body(stream_id)) for stream_id in ids]


def test_responses_come_while_others_are_read() -> None:
    assert received(10, MEGABYTE) == [MEGABYTE] * 10


def test_dozens_that_nobody_reads_do_not_stop_another() -> None:
    sizes = received(64, 2 * MEGABYTE)
    assert min(sizes) == CLIENT_LIMITS.stream_window
    assert sum(sizes) <= CLIENT_LIMITS.connection_window  # what a connection holds at most
