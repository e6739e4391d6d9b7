"""``Waiter``: a task that waits goes on at once, and can be cancelled like any other."""

from __future__ import annotations

import asyncio
import contextvars

import pytest

from plait.transport.waiter import Waiter

pytestmark = pytest.mark.anyio

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="outside")


async def wait(waiter: Waiter[bool], seen: list[object]) -> None:
    """Wait three times, in a context of its own."""
    variable.set("inside")
    for _ in range(3):
        answer = await waiter
        seen.append((answer, variable.get(), asyncio.current_task() is not None))


async def start(waiter: Waiter[bool], seen: list[object]) -> asyncio.Task[None]:
    task = asyncio.create_task(wait(waiter, seen))
    await asyncio.sleep(0)
    assert waiter.waiting
    return task


async def call_outside_of_tasks(waiter: Waiter[bool], value: bool, seen: list[object]) -> int:
    """Wake from a callback of the loop; return how much was seen when that returned."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[int] = loop.create_future()

    def callback() -> None:
        assert waiter.is_ready()
        waiter.wake_now(value)
        done.set_result(len(seen))

    loop.call_soon(callback)
    return await done


async def test_wake_now_runs_the_task_within_the_call() -> None:
    waiter: Waiter[bool] = Waiter(asyncio.get_running_loop())
    seen: list[object] = []
    task = await start(waiter, seen)
    for count, value in enumerate((True, False, True), 1):
        assert await call_outside_of_tasks(waiter, value, seen) == count
        assert seen[-1] == (value, "inside", True)
    await task
    assert variable.get() == "outside"


async def test_within_a_task_it_is_not_ready_and_wake_waits_for_its_turn() -> None:
    waiter: Waiter[bool] = Waiter(asyncio.get_running_loop())
    seen: list[object] = []
    task = await start(waiter, seen)
    assert not waiter.is_ready()
    waiter.wake(True)
    assert seen == []
    await asyncio.sleep(0)
    assert seen == [(True, "inside", True)]
    task.cancel()
    assert isinstance((await asyncio.gather(task, return_exceptions=True))[0], BaseException)


async def test_waking_when_nobody_waits_does_nothing() -> None:
    waiter: Waiter[bool] = Waiter(asyncio.get_running_loop())
    waiter.wake(True)
    assert not waiter.waiting
    assert not waiter.is_ready()
    assert not waiter.cancel()


async def test_cancelling_and_using_it_again() -> None:
    waiter: Waiter[bool] = Waiter(asyncio.get_running_loop())
    seen: list[object] = []
    task = await start(waiter, seen)
    task.cancel("enough")
    with pytest.raises(asyncio.CancelledError, match="enough"):
        await task
    assert not waiter.waiting
    task = await start(waiter, seen)
    waiter.wake(True)
    await asyncio.sleep(0)
    assert seen == [(True, "inside", True)]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_timeout_around_it() -> None:
    waiter: Waiter[bool] = Waiter(asyncio.get_running_loop())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await waiter
    assert not waiter.waiting


async def test_what_the_task_raises_is_the_tasks() -> None:
    waiter: Waiter[bool] = Waiter(asyncio.get_running_loop())

    async def fail() -> None:
        await waiter
        raise ZeroDivisionError

    task = asyncio.create_task(fail())
    await asyncio.sleep(0)
    assert await call_outside_of_tasks(waiter, True, []) == 0
    with pytest.raises(ZeroDivisionError):
        await task
