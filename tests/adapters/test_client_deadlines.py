"""Many deadlines on one timer, on a loop whose clock the test turns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import plait
from plait.calls.deadlines import NEVER, ClientTimeout, Deadlines, RequestClock, deadline

pytestmark = pytest.mark.anyio


class Handle:
    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self.when = when
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Loop:
    """As much of a loop as ``Deadlines`` needs."""

    def __init__(self) -> None:
        self.now = 0.0
        self.handles: list[Handle] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> Handle:
        self.handles.append(Handle(when, callback))
        return self.handles[-1]

    @property
    def armed(self) -> list[float]:
        return [handle.when for handle in self.handles if not handle.cancelled]

    def advance(self, now: float) -> None:
        self.now = now
        due = [handle for handle in self.handles if not handle.cancelled and handle.when <= now]
        self.handles = [handle for handle in self.handles if handle not in due]
        for handle in due:
            handle.callback()


class Timed:
    def __init__(self, then: float = NEVER) -> None:
        self.then = then
        self.told: list[float] = []

    def on_deadline(self, now: float) -> float:
        self.told.append(now)
        return self.then


def test_one_timer_for_all() -> None:
    loop = Loop()
    deadlines = Deadlines(loop)
    early, late = Timed(), Timed()
    deadlines.set(early, 10.0)
    deadlines.set(late, 20.0)
    assert loop.armed == [10.0]
    loop.advance(10.0)
    assert (early.told, late.told) == ([10.0], [])
    assert loop.armed == [20.0]
    loop.advance(20.0)
    assert late.told == [20.0]
    assert loop.armed == []


def test_what_is_stopped_is_not_told() -> None:
    loop = Loop()
    deadlines = Deadlines(loop)
    timed = Timed()
    deadlines.set(timed, 10.0)
    deadlines.stop(timed)
    loop.advance(10.0)
    assert timed.told == []
    assert loop.armed == []


def test_an_earlier_deadline_moves_the_timer() -> None:
    loop = Loop()
    deadlines = Deadlines(loop)
    deadlines.set(Timed(), 10.0)
    deadlines.set(Timed(), 5.0)
    assert loop.armed == [5.0]


def test_a_deadline_that_moved_later_is_asked_for_again() -> None:
    loop = Loop()
    deadlines = Deadlines(loop)
    timed = Timed(then=15.0)
    deadlines.set(timed, 10.0)
    loop.advance(10.0)
    assert loop.armed == [15.0]


def test_close_lets_go_of_the_timer() -> None:
    loop = Loop()
    deadlines = Deadlines(loop)
    deadlines.set(Timed(), 10.0)
    deadlines.close()
    assert loop.armed == []


@pytest.mark.parametrize(
    ("timeout", "expected"),
    [(None, NEVER), (0, NEVER), (-1, NEVER), (0.5, 10.75), (5, 15.25), (6, 17.0)],
)
def test_when_a_timeout_passes(timeout: float | None, expected: float) -> None:
    assert deadline(10.25, timeout) == expected


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


class Exchange:
    """As much of an exchange as a request's clock needs."""

    last_activity = 0.0
    error: BaseException | None = None

    def keeps_server_waiting(self) -> bool:
        return False

    def fail(self, error: BaseException) -> None:
        self.error = error


@pytest.mark.parametrize("passes", [1.0, 3.0], ids=["connect", "total"])
async def test_what_passes_when_a_place_was_found_is_not_forgotten(passes: float) -> None:
    """The call has a place, and has not run since: there is no exchange to tell."""
    loop = Loop()
    clock = RequestClock(Deadlines(loop), ClientTimeout(total=3.0), loop.now)
    place: asyncio.Future[None] = asyncio.Future()
    clock.begin_waiting(place, None)
    clock.connect = 1.0
    clock._update()
    place.set_result(None)
    loop.advance(passes)
    clock.end_waiting()
    exchange = Exchange()
    clock.begin_exchange(exchange)
    loop.advance(3.0)
    assert isinstance(exchange.error, TimeoutError)
    assert place.exception() is None
