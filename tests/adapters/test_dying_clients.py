"""Ten thousand clients that die at random points leave nothing behind, and nothing in the log."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import plait
from plait import web
from plait_engine import (
    Data,
    EndOfMessage,
    ErrorCode,
    Limits,
    Request,
    Role,
    StreamReset,
    create_connection,
)
from plait_engine.config import Config
from plait_engine.engines import EngineName
from plait_engine.testing import counting_random
from tests.conftest import Authority

from .web_peer import Setup

pytestmark = pytest.mark.anyio

_ROOT = Path(__file__).parents[2]
LARGE = 400_000
# A client that obeys no window, so that its bytes are known beforehand.
WIDE = Config(
    limits=Limits(stream_window=2**31 - 1, connection_window=2**31 - 1), random=counting_random
)


class Handlers:
    """An application of every kind of handler; it counts those that run."""

    def __init__(self) -> None:
        self.running = 0
        self.app = web.Application(middlewares=[self.count])
        self.app.add_routes(
            [
                web.get("/small", self.small),
                web.get("/large", self.large),
                web.post("/echo", self.echo),
                web.post("/ignore", self.small),
                web.post("/sink", self.sink),
                web.get("/never", self.never),
                web.get("/socket", self.socket),
            ]
        )

    @web.middleware
    async def count(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.running += 1
        try:
            response: web.StreamResponse = await handler(request)
            return response
        finally:
            self.running -= 1

    async def small(self, request: web.Request) -> web.Response:
        return web.Response(text="small")

    async def large(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(LARGE // 20_000):
            await response.write(bytes(20_000))
        return response

    async def echo(self, request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    async def sink(self, request: web.Request) -> web.Response:
        return web.Response(
            text=str(sum([len(piece) async for piece in request.content.iter_any()]))
        )

    async def never(self, request: web.Request) -> web.Response:
        await asyncio.get_running_loop().create_future()
        raise AssertionError("a future that nobody knows was done")

    async def socket(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            if message.type is plait.WSMsgType.TEXT:
                await socket.send_str(message.data)
        return socket


def requests() -> list[tuple[str, str, bytes]]:
    """Return method, path and content of each kind of request."""
    return [
        ("GET", "/small", b""),
        ("GET", "/large", b""),
        ("POST", "/echo", bytes(50_000)),
        ("POST", "/ignore", bytes(50_000)),
        ("GET", "/never", b""),
    ]


def bytes_of(protocol: str, method: str, path: str, content: bytes) -> bytes:
    """Return what a client sends."""
    connection = create_connection(Role.CLIENT, protocol, WIDE)
    connection.connection_made(0.0)
    headers = (("Content-Length", str(len(content))),) if content else ()
    events: list[Any] = [Request(1, method, "http", "test", path, headers)]
    if content:
        events.append(Data(1, content))
    connection.send(*events, EndOfMessage(1), now=0.0)
    data = b""
    while piece := connection.data_to_send():
        data += piece
    return data


def websocket() -> bytes:
    """Return what a client of the WebSocket sends: its handshake and ``Hello``, 20 times."""
    head = (
        "GET /socket HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    return head.encode() + bytes.fromhex("8185 37fa213d 7f9f4d5158") * 20  # RFC 6455 section 5.7


def kinds(protocol: str) -> list[tuple[str, int]]:
    """Return what each kind of client sends, and how many bytes surely come back."""
    # Where no answer comes, HTTP/2 sends SETTINGS all the same, 9 bytes at least.
    surely = {"/large": LARGE, "/echo": 40_000, "/never": 0 if protocol == "http/1.1" else 9}
    made = [
        (bytes_of(protocol, method, path, content).hex(), surely.get(path, 60))
        for method, path, content in requests()
    ]
    if protocol == "http/1.1":  # Over HTTP/2 it needs the server's SETTINGS first (RFC 8441).
        made.append((websocket().hex(), 200))
    return made


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until ``condition`` is true."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  # nobody tells of what is looked at
            await asyncio.sleep(0)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize(
    ("engine", "tls", "clients"),
    [
        ("native", False, 4000),
        ("native", True, 1000),
        ("reference", False, 300),
        ("reference", True, 100),
    ],
    ids=["native", "native-tls", "reference", "reference-tls"],
)
@pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
async def test_nothing_is_left(
    protocol: str,
    engine: EngineName,
    clients: int,
    tls: bool,
    authority: Authority,
    caplog: pytest.LogCaptureFixture,
) -> None:
    loop = asyncio.get_running_loop()
    errors: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: errors.append(context))
    handlers = Handlers()
    tasks = len(asyncio.all_tasks())

    async def die(count: int, seed: int) -> None:
        arguments = [str(port), str(count), str(seed)]
        if tls:
            arguments += [str(authority.ca_file), protocol]
        program = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.adapters.dying_clients", *arguments),
            stdin=asyncio.subprocess.PIPE,
            cwd=_ROOT,
        )
        await program.communicate(json.dumps(kinds(protocol)).encode() + b"\n")
        assert program.returncode == 0
        await until(lambda: not site.server.connections and not handlers.running)

    with caplog.at_level(logging.WARNING):
        options = {"handler_cancellation": True}
        async with Setup(protocol, engine).serve(handlers.app, **options) as site:
            port = site.port
            if tls:
                context = authority.server_context(protocol)
                secure = web.TCPSite(site.runner, "127.0.0.1", 0, ssl_context=context)
                await secure.start()
                port = secure.port
            await die(clients // 5, 1)  # Caches are full, what is made once is made.
            await until(lambda: len(asyncio.all_tasks()) == tasks)
            before = descriptors(), objects()
            await die(clients - clients // 5, clients)
            await until(lambda: len(asyncio.all_tasks()) == tasks)
            after = descriptors(), objects()
    assert after[0] == before[0]
    assert after[1] < before[1] + clients / 20, "something is kept of some of the clients"
    assert not errors
    assert not [record.getMessage() for record in caplog.records]


def objects() -> int:
    """Return how many objects that can hold others there are."""
    gc.collect()
    return len(gc.get_objects())


@pytest.mark.parametrize("engine", ["native", "reference"])
@pytest.mark.parametrize("seed", range(5))
async def test_streams_that_die_give_the_windows_back(engine: EngineName, seed: int) -> None:
    """On one connection: whatever was reset, a large upload and a download pass after it."""
    dice = random.Random(seed)
    handlers = Handlers()
    async with Setup("h2", engine).serve(handlers.app, handler_cancellation=True) as site:
        client = await site.connect()
        await client.fetch("GET", "/small")
        for _ in range(400):
            method, path, content = dice.choice(requests())
            answer = client.request(method, path, body=content, end=dice.random() < 0.5)
            for _ in range(dice.randrange(4)):
                await asyncio.sleep(0)
            if not answer.ended.is_set():
                answer.send(StreamReset(answer.stream_id, ErrorCode.CANCEL))
                answer.forget()
            # The rate of resets has a bound (CVE-2023-44487); one answer counts against them.
            await client.fetch("GET", "/small")
        await until(lambda: not handlers.running and not site.exchanges())
        body = bytes(2 * Limits().connection_window)
        assert (await client.fetch("POST", "/sink", body=body)).body == str(len(body)).encode()
        assert len((await client.fetch("GET", "/large")).body) == LARGE
