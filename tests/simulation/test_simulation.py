"""Clients and a server in any weather: every request ends, once, and nothing is left over.

A simulation is decided by its seed.  To look further than the suite does, or at one seed::

    SIMULATION_SEEDS=0-1000 python -m pytest tests/simulation
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

import plait
from plait import web
from plait.calls.tls import default_context
from plait_engine.engines import EngineName
from tests.conftest import Authority
from tests.simulation.network import Network, VirtualLoop, Weather
from tests.simulation.system import EXPECTED, OPERATIONS, Operation, Service

WEATHERS = {
    "calm": Weather(),
    "impatient": Weather(latency=0.2),
    "restarts": Weather(),
    "crumbs": Weather(latency=0.001, small=0.95),
    "stalls": Weather(stalls=0.02, stall=40.0),
    "resets": Weather(resets=0.01, refusals=0.05),
    "vanishes": Weather(vanishes=0.005),
    "storm": Weather(
        latency=0.5, small=0.5, stalls=0.01, resets=0.004, vanishes=0.002, refusals=0.1
    ),
}
KEEP_ALIVE = {"impatient": 0.5}
"""Seconds after which the server closes an idle connection, often while a request comes."""

OPERATIONS_AT_A_TIME = 8
OPERATIONS_IN_ALL = 40
TOTAL_TIMEOUT = 100.0
SHUTDOWN_TIMEOUT = 5.0


def _seeds() -> range:
    first, _, last = os.environ.get("SIMULATION_SEEDS", "0-1").partition("-")
    return range(int(first), int(last or first) + 1)


@dataclass
class Outcome:
    """What became of the operations."""

    succeeded: int = 0
    failed: list[tuple[str, BaseException]] = field(default_factory=list)
    cancelled: int = 0


class Simulation:
    """One system from its start to its end."""

    def __init__(
        self,
        network: Network,
        protocol: str,
        weather: str,
        engine: EngineName,
        seed: int,
    ) -> None:
        self.network = network
        self.service = Service()
        self.outcome = Outcome()
        self._protocol = protocol
        self._scheme = "http" if network.tls is None else "https"
        self._engine: EngineName = engine
        self._restarts = weather == "restarts"
        self._chance = random.Random(seed)
        self._over = asyncio.Event()
        self._server_options: dict[str, Any] = {
            "access_log": None,
            "engine": engine,
            "handler_cancellation": self._chance.random() < 0.5,
            "keepalive_timeout": KEEP_ALIVE.get(weather, 75.0),
            "shutdown_timeout": SHUTDOWN_TIMEOUT,
        }

    async def run(self) -> None:
        """Run all operations; nothing must be left of them, nor of the server."""
        server = asyncio.create_task(self._serve())
        connector = plait.UnixConnector(
            "simulated", limit=4, http2=self._protocol == "h2", engine=self._engine
        )
        async with plait.ClientSession(
            f"{self._scheme}://localhost",
            connector=connector,
            timeout=plait.ClientTimeout(total=TOTAL_TIMEOUT),
        ) as session:
            await self._run_operations(session)
            await asyncio.sleep(TOTAL_TIMEOUT)
            stats = connector.stats()
            assert (stats.in_use, stats.streams, stats.waiting) == (0, 0, 0)
        self._over.set()
        await server
        await asyncio.sleep(1)  # The last connections go in the next turns of the loop.
        assert self.service.running == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}

    async def _serve(self) -> None:
        """Serve, and now and then put another server in the place of the one before."""
        async with asyncio.TaskGroup() as retirement:
            while not self._over.is_set():
                runner = web.AppRunner(self.service.make_app(), **self._server_options)
                await runner.setup()
                assert runner.server is not None
                self.network.listen(runner.server)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(
                        self._chance.random() * 10 if self._restarts else None
                    ):
                        await self._over.wait()
                retirement.create_task(self._retire(runner))

    async def _retire(self, runner: web.AppRunner) -> None:
        server = runner.server
        assert server is not None
        await runner.cleanup()
        assert server.connections == []

    async def _run_operations(self, session: plait.ClientSession) -> None:
        chance = self._chance
        tasks: set[asyncio.Task[None]] = set()
        for _ in range(OPERATIONS_IN_ALL):
            operation = self._perform(chance.choice(OPERATIONS), session, chance.getrandbits(32))
            tasks.add(asyncio.create_task(operation))
            if len(tasks) >= OPERATIONS_AT_A_TIME:
                done, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            if chance.random() < 0.1:
                await asyncio.sleep(chance.random() * 100)
        await asyncio.gather(*tasks)

    async def _perform(self, operation: Operation, session: plait.ClientSession, seed: int) -> None:
        """Run ``operation``, perhaps not to its end, and note what becomes of it."""
        chance = random.Random(seed)
        task = asyncio.current_task()
        assert task is not None
        cancelling = None
        if chance.random() < 0.15:
            cancelling = asyncio.get_running_loop().call_later(chance.random() * 2, task.cancel)
        try:
            await operation(session, chance)
            self.outcome.succeeded += 1
        except EXPECTED as error:
            self.outcome.failed.append((operation.__name__, error))
        except asyncio.CancelledError:
            assert cancelling is not None, operation.__name__
            self.outcome.cancelled += 1
        finally:
            if cancelling is not None:
                cancelling.cancel()


def _excused(weather: str, protocol: str, operation: str, error: BaseException) -> bool:
    """Tell whether an operation may end in ``error``."""
    if weather in ("calm", "crumbs"):
        return False
    lost = isinstance(error, (plait.ServerDisconnectedError, plait.ClientOSError))
    if weather == "impatient":
        # The request met the end of an idle connection.  On HTTP/1.1 nobody knows whether the
        # server has seen it (RFC 9112 section 9.3.1).  On HTTP/2 GOAWAY tells (RFC 9113
        # section 6.8), so all but a stream that has begun is sent again.
        return lost and (protocol == "http/1.1" or operation == "post_stream")
    if weather == "restarts" and protocol == "h2":
        # GOAWAY comes in two phases, so nothing is lost but what takes too long.
        return operation in ("get_a_part", "get_in_pieces", "talk", "post_stream")
    return True


@pytest.fixture
def trusted_authority(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Iterator[Authority]:
    """An authority that clients of default settings trust; their contexts outlive a session."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca_file))
    default_context.cache_clear()
    yield authority
    default_context.cache_clear()


@pytest.mark.parametrize("seed", _seeds())
@pytest.mark.parametrize("engine", ["native", "reference"])
@pytest.mark.parametrize("weather", WEATHERS)
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
def test_simulation(
    protocol: str,
    scheme: str,
    weather: str,
    engine: EngineName,
    seed: int,
    trusted_authority: Authority,
    caplog: pytest.LogCaptureFixture,
) -> None:
    if (engine, scheme, protocol) == ("reference", "https", "http/1.1"):
        pytest.skip("an early answer may be lost over TLS, see docs/reference.md")
    loop = VirtualLoop(end=20_000)
    context = trusted_authority.server_context(protocol) if scheme == "https" else None
    network = Network(loop, seed, WEATHERS[weather], context)
    simulation = Simulation(network, protocol, weather, engine, seed)
    outcome = simulation.outcome
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(simulation.run())
        assert loop.timers() == []
    assert network.open_ends() == []
    assert loop.errors == []
    assert outcome.succeeded + len(outcome.failed) + outcome.cancelled == OPERATIONS_IN_ALL
    received = simulation.service.received
    assert max(received.values(), default=1) == 1, received
    unexcused = [fail for fail in outcome.failed if not _excused(weather, protocol, *fail)]
    assert unexcused == []
    errors = [record.exc_info for record in caplog.records if record.levelno >= logging.ERROR]
    assert [info for info in errors if not (info and info[0] is ZeroDivisionError)] == []
