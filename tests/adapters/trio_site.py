"""Servers and a session of plait_trio in memory, in time that is only counted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self, TypeAlias

import pytest
import trio
import trio.abc
import trio.testing

import plait_trio
from plait_engine import Config, Role
from plait_engine.engines import EngineName
from plait_engine.headers import get
from plait_trio import ServerRequest, ServerResponse, Session
from plait_trio.driver import Driver
from plait_trio.server import Handler, _handle

URL = "http://127.0.0.1:8080"


async def pieces(count: int, size: int = 1) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"x" * size


async def slow() -> AsyncIterator[bytes]:
    yield b"a"
    await trio.sleep(400)
    yield b"b"


async def trickle() -> AsyncIterator[bytes]:
    while True:
        yield b"x" * 1000
        await trio.sleep(0.1)


async def handler(request: ServerRequest) -> ServerResponse:
    """One application for all tests, by path."""
    head = request.head
    match head.target.partition("?")[0].split("/")[1:]:
        case ["echo"]:
            return ServerResponse(body=await request.read())
        case ["stream-back"]:
            return ServerResponse(body=request.stream())
        case ["large", size]:
            return ServerResponse(body=b"x" * int(size))
        case ["endless"]:
            return ServerResponse(body=trickle())
        case ["slow"]:
            await trio.sleep(400)
            return ServerResponse(body=slow())
        case ["silent"]:
            await trio.sleep_forever()
            raise AssertionError
        case ["fields"]:
            names = ("authorization", "cookie", "user-agent", "x-own")
            lines = [f"{name}={get(head.headers, name)}" for name in names]
            return ServerResponse(body="\n".join(lines).encode())
        case ["secret"]:
            answer = get(head.headers, "authorization") or ""
            if answer.startswith("Digest ") and 'nonce="n"' in answer and "nc=" in answer:
                return ServerResponse(body=answer.encode() + await request.read())
            challenge = 'Digest realm="r", nonce="n", qop="auth-int"'
            return ServerResponse(401, headers=[("www-authenticate", challenge)])
        case ["login"]:
            cookies = [("set-cookie", "a=1; Path=/"), ("set-cookie", "b=2; Path=/elsewhere")]
            return ServerResponse(303, headers=[*cookies, ("location", "/fields")])
        case ["to-colon"]:
            return ServerResponse(302, headers=[("location", "http://a%3Ab:c@d/")])
        case ["to", status, *rest]:
            where = "/".join(rest)
            location = where.replace("@", "://", 1) if "@" in where else f"/{where}"
            return ServerResponse(int(status), headers=[("location", location)])
        case _:
            return ServerResponse(body=b"hello")


@dataclass
class Site:
    """Servers in memory: each connection that a session opens leads to one of its own."""

    nursery: trio.Nursery
    protocol: str
    engine: EngineName
    handler: Handler
    config: Config = field(default_factory=Config)
    addresses: list[tuple[str, int]] = field(default_factory=list)
    servers: list[Driver] = field(default_factory=list)
    fails: BaseException | None = None

    async def open_tcp_stream(self, host: str, port: int) -> Any:
        await trio.lowlevel.checkpoint()
        if self.fails is not None:
            raise self.fails
        self.addresses.append((host, port))
        near, far = trio.testing.memory_stream_pair()
        server = Driver(
            far,
            Role.SERVER,
            self.config,
            protocol=self.protocol,
            on_request=partial(_handle, self.handler),
            engine=self.engine,
        )
        self.servers.append(server)
        self.nursery.start_soon(server.run)
        return near

    def session(self, **options: Any) -> Session:
        return Session(http2=self.protocol == "h2", engine=self.engine, **options)

    @property
    def http2(self) -> bool:
        return self.protocol == "h2"


Run: TypeAlias = Callable[..., None]
"""Runs ``async test(site)``."""


def make_run(engine: EngineName, protocol: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    def run_test(
        test: Callable[[Site], Awaitable[None]],
        handler: Handler = handler,
        config: Config | None = None,
    ) -> None:
        async def main() -> None:
            async with plait_trio.driver.open_nursery() as nursery:
                site = Site(nursery, protocol, engine, handler, config or Config())
                monkeypatch.setattr(trio, "open_tcp_stream", site.open_tcp_stream)
                with trio.fail_after(1000):
                    await test(site)
                nursery.cancel_scope.cancel()

        trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))

    return run_test


def assert_at_rest(session: Session) -> None:
    pool = session.pool
    figures = (pool.acquired, pool.waiting, pool.connections - pool.idle)
    assert figures == (0, 0, 0), session.stats()


class CancelAt(trio.abc.Instrument):
    """Cancels ``scope`` before the n-th step of this task, or of any; used in a ``with``."""

    def __init__(self, step: int, scope: trio.CancelScope, *, all_tasks: bool = True) -> None:
        self.left = step
        self._scope = scope
        self._task = None if all_tasks else trio.lowlevel.current_task()

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if self._task in (None, task):
            self.left -= 1
            if not self.left:
                self._scope.cancel()

    def __enter__(self) -> Self:
        trio.lowlevel.add_instrument(self)
        return self

    def __exit__(self, *_: object) -> None:
        trio.lowlevel.remove_instrument(self)
