"""``Waiter``: a task that waits goes on at once, and can be cancelled like any other."""

from __future__ import annotations

import asyncio
import contextvars

import pytest

from plait.transport.waiter import Waiter

pytestmark = pytest.mark.anyio

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="outside")


async def waiter(bell: Waiter, seen: list[object]) -> None:
    """Wait three times, in a context of its own."""
    variable.set("inside")
    for _ in range(3):
        answer = await bell
        seen.append((answer, variable.get(), asyncio.current_task() is not None))


async def start(bell: Waiter, seen: list[object]) -> asyncio.Task[None]:
    task = asyncio.create_task(waiter(bell, seen))
    await asyncio.sleep(0)
    assert bell.waiting
    return task


async def call_outside_of_tasks(bell: Waiter, value: bool, seen: list[object]) -> int:
    """Ring from a callback of the loop; return how much was seen when the ring returned."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[int] = loop.create_future()

    def callback() -> None:
        bell.wake_now(value)
        done.set_result(len(seen))

    loop.call_soon(callback)
    return await done


async def test_wake_now_runs_the_task_within_the_call() -> None:
    bell = Waiter(asyncio.get_running_loop())
    seen: list[object] = []
    task = await start(bell, seen)
    for count, value in enumerate((True, False, True), 1):
        assert await call_outside_of_tasks(bell, value, seen) == count
        assert seen[-1] == (value, "inside", True)
    await task
    assert variable.get() == "outside"


async def test_wake_now_within_a_task_waits_for_its_turn() -> None:
    bell = Waiter(asyncio.get_running_loop())
    seen: list[object] = []
    task = await start(bell, seen)
    bell.wake_now(True)
    assert seen == []
    await asyncio.sleep(0)
    assert seen == [(True, "inside", True)]
    task.cancel()
    assert isinstance((await asyncio.gather(task, return_exceptions=True))[0], BaseException)


async def test_a_bell_that_nobody_waits_for_rings_in_vain() -> None:
    bell = Waiter(asyncio.get_running_loop())
    bell.wake(True)
    bell.wake_now(True)
    assert not bell.waiting
    assert not bell.cancel()


async def test_cancelling_and_using_it_again() -> None:
    bell = Waiter(asyncio.get_running_loop())
    seen: list[object] = []
    task = await start(bell, seen)
    task.cancel("enough")
    with pytest.raises(asyncio.CancelledError, match="enough"):
        await task
    assert not bell.waiting
    task = await start(bell, seen)
    bell.wake(True)
    await asyncio.sleep(0)
    assert seen == [(True, "inside", True)]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_timeout_around_it() -> None:
    bell = Waiter(asyncio.get_running_loop())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await bell
    assert not bell.waiting


async def test_what_the_task_raises_is_the_tasks() -> None:
    bell = Waiter(asyncio.get_running_loop())

    async def fail() -> None:
        await bell
        raise ZeroDivisionError

    task = asyncio.create_task(fail())
    await asyncio.sleep(0)
    assert await call_outside_of_tasks(bell, True, []) == 0
    with pytest.raises(ZeroDivisionError):
        await task
