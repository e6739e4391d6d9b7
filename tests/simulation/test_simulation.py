"""Clients and a server in any weather: every request ends, once, and nothing is left over.

A simulation is decided by its seed.  To look further than the suite does, or at one seed::

    SIMULATION_SEEDS=0-1000 python -m pytest tests/simulation
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
from dataclasses import dataclass, field

import pytest

import plait
from plait import web
from tests.simulation.network import Network, VirtualLoop, Weather
from tests.simulation.system import EXPECTED, OPERATIONS, Operation, Service

WEATHERS = {
    "calm": Weather(),
    "impatient": Weather(latency=0.2),
    "crumbs": Weather(latency=0.001, small=0.95),
    "stalls": Weather(stalls=0.02, stall=40.0),
    "resets": Weather(resets=0.01, refusals=0.05),
    "vanishes": Weather(vanishes=0.005),
    "storm": Weather(
        latency=0.5, small=0.5, stalls=0.01, resets=0.004, vanishes=0.002, refusals=0.1
    ),
}
CALM = {"calm", "crumbs"}
"""Where nothing that the network does is an excuse."""
KEEP_ALIVE = {"impatient": 0.5}
"""Seconds after which the server closes an idle connection, often while a request comes."""

OPERATIONS_AT_A_TIME = 8
OPERATIONS_IN_ALL = 40
TOTAL_TIMEOUT = 100.0


def _seeds() -> range:
    first, _, last = os.environ.get("SIMULATION_SEEDS", "0-4").partition("-")
    return range(int(first), int(last or first) + 1)


@dataclass
class Outcome:
    """What became of the operations."""

    succeeded: int = 0
    failed: list[tuple[str, BaseException]] = field(default_factory=list)
    cancelled: int = 0


def _is_race(protocol: str, operation: str, error: BaseException) -> bool:
    """A request met the end of an idle connection, and could not be repeated (once more).

    On HTTP/1.1 nobody knows whether the server has seen it (RFC 9112 section 9.3.1).  On
    HTTP/2 GOAWAY tells (RFC 9113 section 6.8), so all but a stream that has begun is
    repeated.
    """
    lost = isinstance(error, plait.ServerDisconnectedError)
    return lost and (protocol == "http/1.1" or operation == "post_stream")


async def _run(
    operation: Operation, session: plait.ClientSession, seed: int, outcome: Outcome
) -> None:
    chance = random.Random(seed)
    task = asyncio.current_task()
    assert task is not None
    cancelling = None
    if chance.random() < 0.15:
        cancelling = asyncio.get_running_loop().call_later(chance.random() * 2, task.cancel)
    try:
        await operation(session, chance)
        outcome.succeeded += 1
    except EXPECTED as error:
        outcome.failed.append((operation.__name__, error))
    except asyncio.CancelledError:
        assert cancelling is not None, operation.__name__
        outcome.cancelled += 1
    finally:
        if cancelling is not None:
            cancelling.cancel()


async def _simulate(
    network: Network, service: Service, protocol: str, keep_alive: float, seed: int
) -> Outcome:
    runner = web.AppRunner(
        service.app, access_log=None, shutdown_timeout=5.0, keepalive_timeout=keep_alive
    )
    await runner.setup()
    network.listen(runner.server)
    outcome = Outcome()
    chance = random.Random(seed)
    connector = plait.UnixConnector("simulated", limit=4, http2=protocol == "h2")
    timeout = plait.ClientTimeout(total=TOTAL_TIMEOUT)
    async with plait.ClientSession("http://test", connector=connector, timeout=timeout) as session:
        tasks: set[asyncio.Task[None]] = set()
        for _ in range(OPERATIONS_IN_ALL):
            operation = chance.choice(OPERATIONS)
            tasks.add(
                asyncio.create_task(_run(operation, session, chance.getrandbits(32), outcome))
            )
            if len(tasks) >= OPERATIONS_AT_A_TIME:
                done, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            if chance.random() < 0.1:
                await asyncio.sleep(chance.random() * 100)
        await asyncio.gather(*tasks)
        await asyncio.sleep(TOTAL_TIMEOUT)
        pool = connector._pool
        assert (pool.acquired, pool.waiting) == (0, 0)
    await runner.cleanup()
    # The last connections go in the next turns of the loop.
    for _ in range(3):
        await asyncio.sleep(1)
    assert service.running == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert runner.server is None or runner.server.connections == []
    return outcome


@pytest.mark.parametrize("seed", _seeds())
@pytest.mark.parametrize("weather", WEATHERS)
@pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
def test_simulation(
    protocol: str, weather: str, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    loop = VirtualLoop(end=20_000)
    network = Network(loop, seed, WEATHERS[weather])
    service = Service()
    caplog.set_level(logging.ERROR)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        keep_alive = KEEP_ALIVE.get(weather, 75.0)
        outcome = runner.run(_simulate(network, service, protocol, keep_alive, seed))
        assert loop.timers() == []
    assert network.open_ends() == []
    assert loop.errors == []
    assert outcome.succeeded + len(outcome.failed) + outcome.cancelled == OPERATIONS_IN_ALL
    assert all(count == 1 for count in service.received.values()), service.received
    if weather == "impatient":
        assert [failure for failure in outcome.failed if not _is_race(protocol, *failure)] == []
    elif weather in CALM:
        assert outcome.failed == []
    logged = [record for record in caplog.records if "/broken" not in record.getMessage()]
    assert not [
        r for r in logged if not (r.exc_info and isinstance(r.exc_info[1], ZeroDivisionError))
    ]
