"""What a session is told about timeouts, and what its caller gets when one passes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import plait
from plait import web
from plait.calls.timeouts import ClientClock, ClientTimeout, error_of_deadline
from plait_engine.policy.deadlines import Deadline, Deadlines
from plait_engine.testing.pair import Clock
from tests.conftest import Authority
from tests.serving import serve
from tests.sessions import H1, H2C, Way

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"read_timeout": 5}, plait.ClientTimeout(total=5, sock_connect=30)),
        ({"read_timeout": None}, plait.ClientTimeout(total=None, sock_connect=30)),
        ({"conn_timeout": 5}, plait.ClientTimeout(total=300, connect=5, sock_connect=30)),
    ],
)
async def test_old_names_of_timeouts(
    options: dict[str, Any], expected: plait.ClientTimeout
) -> None:
    with pytest.warns(DeprecationWarning, match="use timeout"):
        session = plait.ClientSession(**options)
    assert session.timeout == expected
    await session.close()
    with pytest.raises(ValueError, match="give timeout only"):
        plait.ClientSession(timeout=plait.ClientTimeout(total=9), **options)


async def test_timeouts_of_other_types() -> None:
    with pytest.raises(ValueError, match="timeout"):
        plait.ClientSession(timeout=5)  # type: ignore[arg-type]
    async with plait.ClientSession(timeout=None) as session:
        with pytest.raises(ValueError, match="timeout"):
            await session.get("http://localhost/", timeout="5")


async def test_the_timeout_of_closing_tls_is_deprecated() -> None:
    with pytest.warns(DeprecationWarning, match="ssl_shutdown_timeout parameter"):
        session = plait.ClientSession(ssl_shutdown_timeout=1)
    await session.close()


def test_timeouts_are_immutable() -> None:
    with pytest.raises(AttributeError):
        ClientTimeout().total = 5  # type: ignore[misc]  # the point


@pytest.mark.parametrize(
    ("passed", "kind", "message"),
    [
        (Deadline.TOTAL, TimeoutError, r"the request to a:80 took more than 9 s \(total\)"),
        (
            Deadline.POOL,
            plait.ConnectionTimeoutError,
            r"Connection timeout to host a:80: .* free within 1 s \(pool\)",
        ),
        (
            Deadline.CONNECT,
            plait.ConnectionTimeoutError,
            "Connection timeout to host a:80: .* within 2 s",
        ),
        (Deadline.READ, plait.SocketTimeoutError, r"nothing came from a:80 for 3 s \(sock_read\)"),
        (Deadline.WRITE, plait.SocketTimeoutError, r"a:80 took nothing .* for 4 s \(write\)"),
    ],
)
def test_what_a_caller_gets(passed: Deadline, kind: type[Exception], message: str) -> None:
    clock: ClientClock = ClientClock(
        Deadlines(Clock()),
        ClientTimeout(total=9, sock_read=3, pool=1, write=4),
        0.0,
        error_of_deadline,
    )
    clock.waits, clock.host = 2, "a:80"
    with pytest.raises(kind, match=message) as caught:
        raise error_of_deadline(clock, passed)
    assert type(caught.value) is kind


# -- total, whatever a call waits for ------------------------------------------------------------


async def never(*args: object) -> None:
    await asyncio.Event().wait()


async def wait_before(request: plait.ClientRequest, handler: Any) -> plait.ClientResponse:
    await never()
    response: plait.ClientResponse = await handler(request)
    return response


async def wait_behind(request: plait.ClientRequest, handler: Any) -> plait.ClientResponse:
    response: plait.ClientResponse = await handler(request)
    await never()
    return response


def traced(signal: str) -> dict[str, Any]:
    config = plait.TraceConfig()
    getattr(config, signal).append(never)
    return {"trace_configs": [config]}


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"middlewares": [wait_before]}, id="before"),
        pytest.param({"middlewares": [wait_behind]}, id="behind"),
        pytest.param(traced("on_connection_create_end"), id="opened"),
        pytest.param(traced("on_request_headers_sent"), id="sent"),
    ],
)
@pytest.mark.parametrize("path", ["short", "endless"])
@pytest.mark.parametrize("way", [H1, H2C], ids=str)
async def test_total_ends_what_others_wait_for(
    way: Way, authority: Authority, path: str, options: dict[str, Any]
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        if path == "endless":
            await never()
        return response

    app = web.Application()
    app.router.add_get("/{path}", answer)
    timeout = plait.ClientTimeout(total=0.05)
    async with serve(app, shutdown_timeout=0.1) as site:
        connector = plait.TCPConnector(http2=way.version == "2.0", limit=1)
        async with (
            asyncio.timeout(10),
            plait.ClientSession(connector=connector, timeout=timeout, **options) as session,
        ):
            with pytest.raises(TimeoutError, match=r"more than 0.05 s \(total\)"):
                await session.get(f"{site.url}/{path}")
            stats = connector.stats()
            assert (stats.in_use, stats.streams, stats.waiting) == (0, 0, 0)


async def test_total_ends_a_middleware_that_took_it_for_another_timeout() -> None:
    async def wait_again(request: plait.ClientRequest, handler: Any) -> plait.ClientResponse:
        with pytest.raises(TimeoutError, match=r"a.test:80 .* \(total\): no response came"):
            await handler(request)
        return await wait_before(request, handler)

    app = web.Application()
    app.router.add_get("/", never)  # type: ignore[arg-type]  # it answers nothing
    async with plait.ClientSession(app=app, middlewares=[wait_again]) as session:
        with pytest.raises(TimeoutError, match=r"more than 0.05 s \(total\)"):
            await session.get("http://a.test/", timeout=0.05)


async def test_a_cancelled_call_is_cancelled_and_not_late() -> None:
    async with plait.ClientSession(middlewares=[wait_before]) as session:
        task = asyncio.ensure_future(session.get("http://a.test/", timeout=10))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("too", [False, True])
async def test_who_cancels_a_call_in_the_moment_when_total_passes(too: bool) -> None:
    waiting: asyncio.Future[plait.ClientRequest] = asyncio.get_running_loop().create_future()

    async def wait(request: plait.ClientRequest, handler: Any) -> plait.ClientResponse:
        waiting.set_result(request)
        return await wait_before(request, handler)

    async with plait.ClientSession(middlewares=[wait]) as session:
        task = asyncio.ensure_future(session.get("http://a.test/", timeout=10))
        clock = (await waiting).clock
        assert clock is not None
        assert clock.on_total is not None
        clock.on_total()
        if too:
            task.cancel()
        with pytest.raises(asyncio.CancelledError if too else TimeoutError):
            await task
        assert task.cancelling() == too


async def test_a_middleware_that_lets_nothing_cancel_it_returns_its_response() -> None:
    async def insist(request: plait.ClientRequest, handler: Any) -> plait.ClientResponse:
        response: plait.ClientResponse = await handler(request)
        assert await response.text() == "whole"
        assert request.clock is not None
        assert request.clock.on_total is not None
        request.clock.on_total()
        with pytest.raises(asyncio.CancelledError):
            await never()
        return response

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text="whole")

    app = web.Application()
    app.router.add_get("/", answer)
    async with plait.ClientSession(app=app, middlewares=[insist]) as session:
        async with session.get("/") as response:
            assert await response.text() == "whole"
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
