"""plait_trio's Session(backoff=...): requests that are sent again after a pause."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
import trio
import trio.testing

import plait_trio
from plait_engine import ErrorCode, StreamReset
from plait_engine.engines import EngineName
from plait_engine.policy.backoff import Backoff
from plait_engine.policy.retry import RetryPolicy
from plait_trio import ServerRequest, ServerResponse
from tests.adapters.trio_site import URL, CancelAt, Run, Site, assert_at_rest, make_run

POLICY = Backoff(attempts=3, pause=1.0, factor=2.0, jitter=0.0)
NEVER = RetryPolicy(stale=0, unprocessed=0)


@pytest.fixture(params=["native", "reference"])
def engine(request: pytest.FixtureRequest) -> EngineName:
    return request.param


@pytest.fixture(params=["http/1.1", "h2"])
def run(request: pytest.FixtureRequest, engine: EngineName, monkeypatch: pytest.MonkeyPatch) -> Run:
    return make_run(engine, request.param, monkeypatch)


class Server:
    """Gives each request the next of ``outcomes``, and 200 when there is none left.

    A number is a status (302 leads to ``/there``), a text the Retry-After of a 503, ``None`` the end of the stream.
    """

    def __init__(self, *outcomes: int | str | None) -> None:
        self.outcomes = list(outcomes)
        self.seen: list[tuple[float, str, bytes]] = []

    async def __call__(self, request: ServerRequest) -> ServerResponse:
        content = await request.read()
        self.seen.append((trio.current_time(), request.head.method, content))
        outcome = self.outcomes.pop(0) if self.outcomes else 200
        if isinstance(outcome, str):
            return ServerResponse(503, headers=[("retry-after", outcome)])
        if outcome is None:
            exchange = request._exchange
            exchange.driver.send(StreamReset(exchange.stream_id, ErrorCode.INTERNAL_ERROR))
            return ServerResponse()
        return ServerResponse(outcome, headers=[("location", "/there")])

    @property
    def pauses(self) -> list[float]:
        times = [time for time, _, _ in self.seen]
        return [round(after - before, 3) for before, after in pairwise(times)]


def test_statuses_and_failures(run: Run) -> None:
    server = Server(503, None)

    async def test(site: Site) -> None:
        async with site.session(backoff=POLICY, retry=NEVER) as session:
            assert (await session.put(f"{URL}/", body=b"content")).status == 200
            assert_at_rest(session)

    run(test, server)
    assert server.pauses == [1.0, 2.0]
    assert {request[1:] for request in server.seen} == {("PUT", b"content")}


def test_the_last_response_or_error_is_the_callers(run: Run) -> None:
    server = Server(503, 502, 429, None, None, None)

    async def test(site: Site) -> None:
        async with site.session(backoff=POLICY, retry=NEVER) as session:
            assert (await session.get(f"{URL}/")).status == 429
            with pytest.raises(plait_trio.StreamError) as caught:
                await session.get(f"{URL}/")
            assert caught.value.__notes__ == ["GET is not sent again: it was sent 3 times"]
            assert_at_rest(session)

    run(test, server)
    assert len(server.seen) == 6


def test_what_is_not_sent_again(run: Run) -> None:
    async def once() -> AsyncIterator[bytes]:
        yield b"x"

    server = Server(503, None, 503, 404, 503)

    async def test(site: Site) -> None:
        async with site.session(backoff=POLICY, retry=NEVER) as session:
            assert (await session.post(f"{URL}/", body=b"x")).status == 503
            with pytest.raises(plait_trio.StreamError):
                await session.post(f"{URL}/", body=b"x")
            assert (await session.put(f"{URL}/", body=once())).status == 503
            assert (await session.get(f"{URL}/")).status == 404
        async with site.session() as session:
            assert (await session.get(f"{URL}/")).status == 503

    run(test, server)
    assert len(server.seen) == 5


def test_each_redirect_begins_anew(run: Run) -> None:
    server = Server(503, 503, 302, 503, 503, 200)

    async def test(site: Site) -> None:
        async with site.session(backoff=POLICY, retry=NEVER) as session:
            response = await session.get(f"{URL}/")
            assert (response.status, response.url) == (200, f"{URL}/there")
            assert len(response.history) == 1

    run(test, server)
    assert server.pauses == [1.0, 2.0, 0.0, 1.0, 2.0]


def test_retry_after_and_deadlines(run: Run) -> None:
    server = Server("7", "3600", 503, 503)

    async def test(site: Site) -> None:
        async with site.session(backoff=POLICY, retry=NEVER) as session:
            response = await session.get(f"{URL}/")
            assert response.status == 503, "an hour is too long"
            began = trio.current_time()
            with trio.fail_after(2.5):
                assert (await session.get(f"{URL}/")).status == 503
            assert trio.current_time() - began == pytest.approx(1.0)

    run(test, server)
    assert server.pauses[0] == 7.0


def test_a_server_that_cannot_be_reached(run: Run) -> None:
    async def test(site: Site) -> None:
        site.fails = OSError("no route")
        async with site.session(backoff=POLICY, retry=NEVER) as session:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(session.post, f"{URL}/")
                await trio.sleep(1.5)
                site.fails = None
            site.fails = OSError("no route")
            with pytest.raises(plait_trio.ConnectError):
                await session.post("http://other.test/")
            assert_at_rest(session)

    run(test, server := Server())
    assert len(server.seen) == 1


def test_a_budget_bounds_what_is_sent_again(run: Run) -> None:
    server = Server(*[503] * 1000)

    async def test(site: Site) -> None:
        async with site.session(backoff=Backoff(attempts=3, pause=0)) as session:
            for _ in range(50):
                assert (await session.get(f"{URL}/")).status == 503

    run(test, server)
    assert 60 <= len(server.seen) <= 66


def test_it_may_be_cancelled_at_any_point(run: Run) -> None:
    async def test(site: Site) -> None:
        async with site.session(backoff=POLICY, limit=1, retry=NEVER) as session:
            step = 1
            while True:
                server.outcomes = [503, None]
                with trio.CancelScope() as scope, CancelAt(step, scope, all_tasks=False):
                    assert (await session.get(f"{URL}/")).status == 200
                await trio.testing.wait_all_tasks_blocked()
                assert_at_rest(session)
                server.outcomes = []
                assert (await session.get(f"{URL}/")).status == 200
                session._budget.tokens = 10.0
                if not scope.cancelled_caught:
                    break
                step += 1
            assert step > 5

    run(test, server := Server())
