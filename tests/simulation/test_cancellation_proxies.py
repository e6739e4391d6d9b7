"""A request by a proxy that is cancelled at any moment leaves nothing behind.

A real session, a real application and a proxy on the virtual network.  The loop counts its
turns; a request runs once to see how many it takes, and then once for each of them, cancelled
in that turn.  In a turn anything may happen: the request waits for its place, the task of the
pool looks a name up, connects, speaks to the proxy or sets TLS up, an answer comes.  Afterwards
the pool is at its baseline, the next request is answered, and when the session is closed there
is no task, no timer and no open end on either side.
"""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
from asyncio.sslproto import SSLProtocol
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

import plait
from plait import web
from plait.abc import AbstractResolver, ResolveResult
from tests.adapters.proxy_peer import ProxyPeer
from tests.conftest import Authority
from tests.simulation.network import Network, VirtualLoop, Weather
from tests.simulation.system import Service

SEED = 11
NAME, ADDRESS = "localhost", "127.0.0.1"
"""Who is looked up, and who is not: both have the certificate."""
FOUND = "192.0.2.1"
"""The address of ``NAME``."""
LOGIN = ("user", "password")


@dataclass(frozen=True)
class Case:
    """``scheme``: of the URL of the proxy, ``None`` for no proxy."""

    scheme: str | None
    version: str
    tls: bool
    challenge: str | None = None

    @property
    def looks_server_up(self) -> bool:
        """The name of the server is looked up here; else it is that of the proxy."""
        return self.scheme in (None, "socks4", "socks5")

    def __str__(self) -> str:
        words = [self.scheme or "direct", self.challenge, self.version, "tls" if self.tls else None]
        return "-".join(filter(None, words))


CASES = [
    Case(scheme, version, tls, challenge)
    for scheme, challenge in [
        (None, None),
        ("http", None),
        ("http", "Digest"),
        ("https", None),
        ("socks4", None),
        ("socks5", None),
        ("socks5h", "password"),
    ]
    for version in ("h1", "h2")
    for tls in (False, True)
]


class CountingLoop(VirtualLoop):
    """Cancels ``victim`` in its turn number ``at``, counted from when there is one."""

    def __init__(self, at: int) -> None:
        super().__init__(end=20_000)
        self.at = at
        self.turns = 0
        self.victim: asyncio.Task[Any] | None = None

    def _run_once(self) -> None:
        if self.victim is not None and not self.victim.done():
            self.turns += 1
            if self.turns == self.at:
                self.victim.cancel()
        super()._run_once()  # type: ignore[misc]


class Resolver(AbstractResolver):
    """Takes its time."""

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,
    ) -> list[ResolveResult]:
        await asyncio.sleep(0.01)
        return [
            ResolveResult(
                hostname=host, host=FOUND, port=port, family=socket.AF_INET, proto=0, flags=0
            )
        ]

    async def close(self) -> None:
        pass


class World:
    """The network of the server and that of the proxy, and who is on them."""

    def __init__(
        self,
        loop: CountingLoop,
        case: Case,
        server_context: ssl.SSLContext,
        client_context: ssl.SSLContext,
    ) -> None:
        self.loop = loop
        self.case = case
        weather = Weather(small=0.0)
        self.servers = Network(loop, SEED, weather, server_context)
        self.proxies = Network(loop, SEED, weather, server_context)
        self.context = client_context
        self.peer = ProxyPeer(
            login=LOGIN if case.challenge else None,
            scheme=case.challenge or "",
            connect=self.reach_server,
        )
        self.proxies.listen(self.make_proxy)

    def make_proxy(self) -> asyncio.StreamReaderProtocol:
        reader = asyncio.StreamReader(loop=self.loop)
        return asyncio.StreamReaderProtocol(reader, self.peer.serve, loop=self.loop)

    def listen(self, server: Callable[[], Any]) -> None:
        """Let ``server`` answer, behind TLS if that is the case."""
        if not self.case.tls:
            self.servers.listen(server)
            return
        make_tls: Any = SSLProtocol

        def accept() -> Any:
            return make_tls(self.loop, server(), self.servers.tls, None, server_side=True)

        # Whoever comes by the proxy has no TLS of its own.
        self.servers.listen(accept)

    async def reach_server(
        self, host: str, port: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader = asyncio.StreamReader(loop=self.loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=self.loop)
        transport, _ = await self.servers.connect(lambda: protocol)
        return reader, asyncio.StreamWriter(transport, protocol, reader, self.loop)

    async def connect(
        self, protocol: asyncio.BaseProtocol, addresses: list[Any], **tls: Any
    ) -> None:
        """What the dialer does with sockets."""
        is_found = addresses.pop(0)[-1][0] == FOUND
        network = self.servers if is_found is self.case.looks_server_up else self.proxies
        if not tls:
            await network.connect(lambda: protocol)
        elif network is self.proxies:
            await network.connect_tls(lambda: protocol, tls["ssl"], tls["server_hostname"])
        else:
            await connect_tls(self.loop, network, protocol, tls["ssl"], tls["server_hostname"])

    def make_session(self) -> plait.ClientSession:
        connector = plait.TCPConnector(
            ssl=self.context, http2=self.case.version == "h2", resolver=Resolver(), limit=1
        )
        connector._dialer._connect = self.connect  # type: ignore[method-assign]
        proxy = None
        if self.case.scheme is not None:
            login = ":".join(LOGIN) + "@" if self.case.challenge else ""
            host = ADDRESS if self.case.looks_server_up else NAME
            proxy = f"{self.case.scheme}://{login}{host}:3128"
        return plait.ClientSession(connector=connector, proxy=proxy)


async def connect_tls(
    loop: CountingLoop,
    network: Network,
    protocol: asyncio.BaseProtocol,
    context: ssl.SSLContext,
    host: str,
) -> None:
    """Connect to a server that sets TLS up itself."""
    done = loop.create_future()
    make_tls: Any = SSLProtocol
    transport, _ = await network.connect(
        lambda: make_tls(loop, protocol, context, done, server_hostname=host)
    )
    try:
        await done
    except BaseException:
        transport.abort()
        raise


async def run(loop: CountingLoop, world: World) -> None:
    service = Service()
    runner = web.AppRunner(service.make_app(), access_log=None, handler_cancellation=True)
    await runner.setup()
    assert runner.server is not None
    world.listen(runner.server)
    host = NAME if world.case.looks_server_up else ADDRESS
    url = f"{'https' if world.case.tls else 'http'}://{host}:8000/echo"
    async with world.make_session() as session:

        async def ask() -> None:
            async with session.post(url, data=b"content") as response:
                assert response.status == 200
                assert await response.read() == b"content"

        victim = loop.victim = asyncio.create_task(ask())
        (result,) = await asyncio.gather(victim, return_exceptions=True)
        assert result is None or isinstance(result, asyncio.CancelledError), result
        await asyncio.sleep(5)
        connector = session.connector
        assert isinstance(connector, plait.TCPConnector)
        places = connector._places
        assert (places.pool.acquired, places.pool.waiting) == (0, 0)
        assert not (places._waiters)
        assert not (places._opening)
        assert not (places._given_up)
        assert set(places._clients.values()) == places.alive, "connections that nobody knows"
        assert len(places.alive) <= 1
        assert not connector._names._lookups
        if world.case.scheme is not None:
            assert world.peer.open == len(places.alive)
        # That requests in pieces are answered, the victims have shown.
        world.servers.weather = world.proxies.weather = Weather(whole=True)
        async with asyncio.timeout(30):
            await ask()
        await asyncio.sleep(20)
        assert places.pool.connections == 0, "the idle connection is closed after its time"
    await runner.cleanup()
    await asyncio.sleep(1)
    assert service.running == 0
    assert world.peer.open == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}


def simulate(
    case: Case, server_context: ssl.SSLContext, client_context: ssl.SSLContext, at: int
) -> int:
    """Cancel a request in the turn ``at``; return how many turns there were."""
    random.seed(SEED)
    loop = CountingLoop(at)
    world = World(loop, case, server_context, client_context)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(run(loop, world))
        assert loop.timers() == []
    assert world.servers.open_ends() == []
    assert world.proxies.open_ends() == []
    assert loop.errors == []
    return loop.turns


@pytest.mark.parametrize("case", CASES, ids=str)
def test_cancelled_in_every_turn(case: Case, authority: Authority) -> None:
    contexts = authority.server_context("h2", "http/1.1"), authority.client_context()
    turns = simulate(case, *contexts, at=0)
    assert turns > 5
    for at in range(1, turns + 1):
        simulate(case, *contexts, at)
