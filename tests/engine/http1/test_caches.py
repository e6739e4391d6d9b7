"""What is remembered of single fields: within bounds, and no credentials."""

from __future__ import annotations

import pytest

from plait_engine import EndOfMessage, Request, Response
from plait_engine.headers import encode
from plait_engine.http1 import encoding, fields, heads
from plait_engine.semantics import cache
from plait_engine.semantics.cache import CREDENTIALS, MAX_BYTES, MAX_FIELD, MAX_FIELDS, FieldCache
from tests.engine.http1.helpers import client, requests, server

CACHES = {
    "requests": fields.REQUESTS._lines,
    "responses": fields.RESPONSES._lines,
    "trailers": fields.TRAILERS._lines,
    "sent": encoding._fields,
    "received-names": fields.REQUESTS._names,
    "sent-names": encoding._names,
    "status-lines": heads._status_lines,
}


def length_of(key: object) -> int:
    if isinstance(key, tuple):
        return len(": \r\n") + sum(len(encode(part)) for part in key)
    assert isinstance(key, bytes | str)
    return len(key)


def assert_bounds() -> None:
    for kept in CACHES.values():
        sizes = [length_of(key) for key in kept.entries]
        assert len(sizes) <= MAX_FIELDS
        assert sum(sizes) == kept.size <= MAX_BYTES
        assert max(sizes, default=0) <= MAX_FIELD


def exchange(field: tuple[str, str]) -> None:
    """Let ``field`` go both ways, in heads."""
    name, value = field
    sender, receiver = client(), server()
    sender.send(Request(1, "GET", "http", "a", "/", [field]), EndOfMessage(1))
    receiver.receive(sender.take_sent())
    (received,) = requests(receiver)
    assert (name, value) in received.headers
    receiver.send(Response(1, 200, [field]), EndOfMessage(1))
    sender.receive(receiver.take_sent())
    (response,) = [event for event in sender.events if isinstance(event, Response)]
    assert (name, value) in response.headers


@pytest.mark.parametrize("size", [1, 100, 250, 5000])
def test_a_flood_of_fields_takes_bounded_memory(size: int) -> None:
    for number in range(3 * MAX_FIELDS if size < 250 else 1000):
        exchange((f"X-{number % 5000}", f"{number:0{size}}"))
        if not number % 500:
            assert_bounds()
    assert_bounds()


def test_a_flood_of_status_lines_takes_bounded_memory() -> None:
    for number in range(2 * MAX_FIELDS):
        heads.parse_status_line(b"HTTP/1.1 200 %d" % number)
    assert_bounds()


APPLICATIONS = ["X-Api-Key", "X-Auth-Token", "X-Amz-Security-Token", "X-Session", "X-Hub-Signature"]


@pytest.mark.parametrize("name", [*sorted(CREDENTIALS), "Cookie", "AUTHORIZATION", *APPLICATIONS])
def test_credentials_are_not_kept(name: str) -> None:
    exchange((name, "a secret of somebody"))
    exchange(("X-Kept", "no secret"))
    assert any(b"no secret" in key for key in CACHES["requests"].entries)
    for kept in CACHES.values():
        assert "a secret" not in repr(kept.entries)


def test_a_full_cache_is_emptied() -> None:
    kept: FieldCache[int, int] = FieldCache()
    for number in range(cache.MAX_FIELDS + 1):
        kept.add(number, number, 1)
    assert kept.entries == {cache.MAX_FIELDS: cache.MAX_FIELDS}
    assert kept.size == 1
