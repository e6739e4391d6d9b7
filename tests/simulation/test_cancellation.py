"""A request that is cancelled at any await gives back all that it holds.

A real session against a real application on the virtual network: each operation runs once to
count at how many awaits it waits, and then once for each of them, cancelled there.  Two
moments are the hard ones: at once, before what is awaited comes, and when it has come and the
task has not gone on yet.  Afterwards the pool is at its baseline, all windows are open, and
the next request is answered.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import Any

import pytest

import plait
from plait import web
from plait_engine.engines import EngineName
from tests.simulation.network import Network, VirtualLoop, Weather
from tests.simulation.system import OPERATIONS, Operation, Service, get_nothing

SEED = 7


@dataclass
class Cancelled:
    """Cancels the task that awaits ``operation`` at its await number ``at``, from 1.

    ``late``: when what it waits for has come.
    """

    operation: Awaitable[None]
    at: int
    late: bool
    awaits: int = 0

    def __await__(self) -> Generator[Any, Any, None]:
        task = asyncio.current_task()
        assert task is not None
        steps = self.operation.__await__()
        waiting_for = next(steps, None)
        while True:
            self.awaits += 1
            if self.awaits == self.at:
                if self.late and waiting_for is not None:
                    waiting_for.add_done_callback(lambda _: task.cancel())
                else:
                    asyncio.get_running_loop().call_soon(task.cancel)
            try:
                yield waiting_for
            except BaseException as error:
                result, arguments = steps.throw, (error,)  # type: ignore[attr-defined]
            else:
                result, arguments = next, (steps,)  # type: ignore[assignment]
            try:
                waiting_for = result(*arguments)
            except StopIteration:
                return


async def run(
    network: Network, protocol: str, engine: EngineName, operation: Operation, at: int, late: bool
) -> int:
    """Run ``operation``, cancelled at its await ``at``; return how many awaits it had."""
    service = Service()
    runner = web.AppRunner(
        service.make_app(), access_log=None, engine=engine, handler_cancellation=True
    )
    await runner.setup()
    assert runner.server is not None
    network.listen(runner.server)
    connector = plait.UnixConnector("simulated", limit=1, http2=protocol == "h2", engine=engine)
    async with plait.ClientSession("http://localhost", connector=connector) as session:
        wrapped = Cancelled(operation(session, random.Random(SEED)), at, late)

        async def perform() -> None:
            await wrapped

        results = await asyncio.gather(asyncio.create_task(perform()), return_exceptions=True)
        assert all(
            result is None or isinstance(result, asyncio.CancelledError) for result in results
        ), results
        await asyncio.sleep(10)
        places = connector._places
        assert (places.pool.acquired, places.pool.waiting) == (0, 0)
        assert not places._waiters
        for client in places._clients.values():
            assert client.driver.engine.open_streams == 0
            if engine == "native" and protocol == "h2":
                inflow = client.driver.engine._inflow  # type: ignore[attr-defined]
                assert inflow.window.unacknowledged == 0
        async with asyncio.timeout(30):
            await get_nothing(session, random.Random(SEED))
    await runner.cleanup()
    await asyncio.sleep(1)
    assert service.running == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}
    return wrapped.awaits


def simulate(protocol: str, engine: EngineName, operation: Operation, at: int, late: bool) -> int:
    loop = VirtualLoop(end=20_000)
    network = Network(loop, SEED, Weather())
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        awaits = runner.run(run(network, protocol, engine, operation, at, late))
        assert loop.timers() == []
    assert network.open_ends() == []
    assert loop.errors == []
    return awaits


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.__name__)
@pytest.mark.parametrize("engine", ["native", "reference"])
@pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
def test_cancelled_at_every_await(
    protocol: str, engine: EngineName, operation: Callable[..., Awaitable[None]]
) -> None:
    awaits = simulate(protocol, engine, operation, at=0, late=False)
    assert awaits > 1
    for at in range(1, awaits + 1):
        for late in (False, True):
            simulate(protocol, engine, operation, at, late)
