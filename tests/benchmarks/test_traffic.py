"""The requests of the benchmark: they differ, they are HTTP, and they are always the same."""

from __future__ import annotations

from collections import Counter

import h11
import pytest

from benchmarks import traffic
from benchmarks.traffic import Request


def received(message: bytes) -> tuple[h11.Request, bytes]:
    """Return what a server on h11 reads of one message, and nothing but one."""
    server = h11.Connection(h11.SERVER)
    server.receive_data(message)
    request = server.next_event()
    assert isinstance(request, h11.Request)
    body = b""
    while isinstance(event := server.next_event(), h11.Data):
        body += bytes(event.data)
    assert isinstance(event, h11.EndOfMessage)
    assert server.trailing_data == (b"", False)
    return request, body


@pytest.mark.parametrize("make", [traffic.varied, traffic.orders])
def test_requests_differ_and_are_the_same_in_each_run(make: object) -> None:
    assert callable(make)
    requests = make()
    assert requests == make()
    assert len({request.http1() for request in requests}) == traffic.COUNT


@pytest.mark.parametrize(
    "request_", [traffic.HELLO, traffic.BROWSER, *traffic.varied()[:20], *traffic.orders()[:20]]
)
def test_requests_are_http(request_: Request) -> None:
    request, body = received(request_.http1())
    assert (request.method, request.target) == (request_.method.encode(), request_.target.encode())
    assert body == request_.body
    fields = [(name.decode(), value.decode()) for name, value in request.headers]
    expected = [(name.lower(), value) for name, value in request_.all_fields()]
    length = [("content-length", str(len(body)))] if body else []
    assert fields == expected + length


def test_nearly_every_value_that_tells_people_apart_is_used_once() -> None:
    requests = traffic.varied()
    assert {len(request.all_fields()) for request in requests} == {13}
    for name in ("User-Agent", "Cookie", "X-Request-Id", "X-Forwarded-For"):
        values = Counter(dict(request.fields)[name] for request in requests)
        assert values.total() == traffic.COUNT
        assert max(values.values()) <= 2
    assert len({request.target for request in requests}) == traffic.COUNT


def test_many_requests_begin_with_the_others_and_differ_too() -> None:
    requests = traffic.varied(traffic.MANY)
    assert requests[: traffic.COUNT] == traffic.varied()
    assert len({request.target for request in requests}) == traffic.MANY


def test_each_of_the_200_routes_is_asked() -> None:
    targets = [request.target.split("/")[1:] for request in traffic.orders()]
    static = {parts[1] for parts in targets if len(parts) == 2}
    dynamic = {parts[1] for parts in targets if len(parts) == 3}
    assert len(static) == len(dynamic) == traffic.RESOURCES
