"""The loads: each does what it counts, and none takes a wrong answer for a fast one."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from benchmarks import subjects, traffic
from benchmarks.loads import (
    Counted,
    Curl,
    H2load,
    Http2Proxy,
    Load,
    LoadFailed,
    WebSocketEcho,
    Wrk,
    commands,
)
from benchmarks.subjects import Workplace
from tests.benchmarks.conftest import Serve
from tests.interop.conftest import require

_SIZE = 300_000


class Counts(Counted):
    """A load that only notes how many operations it is told to do."""

    def __init__(self, unit: int = 1) -> None:
        super().__init__(unit)
        self.counts: list[int] = []

    def run(self, port: int, count: int) -> None:
        self.counts.append(count)


def test_the_number_of_operations_follows_from_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 0.5, 10.0, 12.0, 20.0, 21.0])
    monkeypatch.setattr("time.monotonic", lambda: next(times))
    load = Counts()
    assert load(80, 3.0) == 1000  # Nothing is known; and it takes half a second.
    assert load(80, 3.0) == 6000  # In 2 seconds.
    assert load(80, 0.1) == 1000  # Not fewer.
    assert load.counts == [1000, 6000, 1000]


def test_the_number_of_operations_is_a_multiple_of_the_unit() -> None:
    assert Counts(unit=300)(80, 0.0) == 1200


@pytest.mark.parametrize(("size", "batch"), [(20, 1), (125, 1), (126, 2), (1024, 1), (65536, 1)])
def test_websocket_echo(serve: Serve, size: int, batch: int) -> None:
    load = WebSocketEcho(size, batch, connections=2)
    load.run(serve("plait"), 4 * batch)


def test_websocket_echo_in_batches_with_the_python_mask(serve: Serve) -> None:
    WebSocketEcho(20, 50, connections=2).run(serve("plait", python_mask=True), 200)


def test_websocket_echo_fails_without_a_websocket(serve: Serve) -> None:
    with pytest.raises(LoadFailed, match="no WebSocket"):
        WebSocketEcho(20).run(serve("plait", "json"), 32)


def test_connections_stay_open_and_ask(workplace: Workplace) -> None:
    start = subjects.trickle(subjects.web_server("plait"), connections=50)
    subject = start(workplace, 0.01)
    assert subject.measure(0.01) > 0


def test_connections_are_not_open_where_hello_is_not_said(workplace: Workplace) -> None:
    start = subjects.trickle(subjects.web_server("plait", "json"), connections=1)
    with pytest.raises(RuntimeError, match="404 Not Found"):
        start(workplace, 0.01)


def test_wrk_sends_requests_that_differ(serve: Serve) -> None:
    require("wrk")
    port = serve("plait", "json")
    assert Wrk(traffic.orders(), connections=4)(port, 0.1) > 0


def test_h2load_asks_for_all_targets(serve: Serve) -> None:
    require("h2load")
    H2load(traffic.varied(), connections=2).run(serve("plait"), 400)


def test_a_proxy_brings_requests_that_differ_in_every_field(serve: Serve) -> None:
    Http2Proxy(connections=2, streams=4).run(serve("plait"), 40)


def test_a_proxy_takes_404_for_no_success(serve: Serve) -> None:
    with pytest.raises(LoadFailed, match="not a 200"):
        Http2Proxy(connections=2).run(serve("plait", "json"), 40)


@pytest.mark.parametrize(
    ("program", "make"),
    [
        ("wrk", lambda: Wrk(traffic.varied(), connections=4)),
        ("h2load", lambda: H2load(traffic.varied())),
        ("curl", lambda: Curl("--http1.1", upload=False, size=_SIZE)),
        ("curl", lambda: Curl("--http1.1", upload=True, size=_SIZE)),
    ],
)
def test_an_answer_of_404_is_no_success(
    serve: Serve, program: str, make: Callable[[], Load]
) -> None:
    require(program)
    port = serve("plait", "json")
    with pytest.raises(LoadFailed):
        make()(port, 0.1)


def test_a_load_that_hangs_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    require("curl")
    monkeypatch.setattr(commands, "TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(LoadFailed, match=r"curl.*: not done after 0\.2 s"):
            Curl("--http1.1", upload=False, size=_SIZE)(port, 0.0)


@pytest.mark.parametrize("option", ["--http1.1", "--http2-prior-knowledge"])
def test_curl_moves_bodies(serve: Serve, option: str) -> None:
    require("curl")
    port = serve("plait")
    assert Curl(option, upload=False, size=_SIZE)(port, 0.0) == 1
    assert Curl(option, upload=True, size=_SIZE)(port, 0.0) == 1
    assert Curl(option, upload=True, chunked=True, size=_SIZE)(port, 0.0) == 1


@pytest.mark.parametrize("option", ["--http1.1", "--http2"])
def test_curl_moves_bodies_over_tls(serve: Serve, option: str) -> None:
    require("curl")
    port = serve("plait", tls=True)
    assert Curl(option, upload=False, tls=True, size=_SIZE)(port, 0.0) == 1
    assert Curl(option, upload=True, tls=True, size=_SIZE)(port, 0.0) == 1
