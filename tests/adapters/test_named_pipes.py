"""Named pipes of Windows, on a loop that has a Unix socket in the place of each.

What only Windows can show is how the pipes themselves behave.  Their transports cannot be
half-closed, and neither can these.
"""

from __future__ import annotations

import asyncio
from asyncio.selector_events import _SelectorSocketTransport  # type: ignore[attr-defined]
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import plait
from plait import web


class PipeServer:
    """It can be closed, and has no sockets."""

    def __init__(self, server: asyncio.Server) -> None:
        self.close = server.close


class PipeTransport(_SelectorSocketTransport):
    def can_write_eof(self) -> bool:
        return False

    def write_eof(self) -> None:
        raise NotImplementedError


class PipeLoop(asyncio.SelectorEventLoop):
    """What asyncio's proactor event loop has for pipes."""

    def _make_socket_transport(self, sock: Any, protocol: Any, *args: Any, **options: Any) -> Any:
        return PipeTransport(self, sock, protocol, *args, **options)

    async def create_pipe_connection(
        self, factory: Callable[[], asyncio.BaseProtocol], address: str
    ) -> tuple[asyncio.BaseTransport, asyncio.BaseProtocol]:
        return await self.create_unix_connection(factory, address)

    async def start_serving_pipe(
        self, factory: Callable[[], asyncio.BaseProtocol], address: str
    ) -> list[PipeServer]:
        return [PipeServer(await self.create_unix_server(factory, address))]


def run(main: Callable[[], Awaitable[None]]) -> None:
    with asyncio.Runner(loop_factory=PipeLoop) as runner:
        runner.run(main())  # type: ignore[arg-type]


async def hello(request: web.Request) -> web.Response:
    return web.Response(text=f"{request.method} {request.host} {await request.text()}")


async def refuse(request: web.Request) -> web.Response:
    raise web.HTTPRequestEntityTooLarge(1, 2)


@pytest.mark.parametrize("http2", [False, True])
def test_requests(http2: bool, tmp_path: Path) -> None:
    path = str(tmp_path / "pipe")

    async def main() -> None:
        app = web.Application()
        app.router.add_post("/", hello)
        app.router.add_post("/refuse", refuse)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.NamedPipeSite(runner, path)
        await site.start()
        assert site.name == path
        assert runner.addresses == []
        connector = plait.NamedPipeConnector(path, http2=http2)
        assert connector.path == path
        async with plait.ClientSession(connector=connector) as session:
            for url in ("http://host/", "npipe://host/"):
                async with session.post(url, data=b"content") as response:
                    assert await response.text() == "POST host content"
            # The server ends the connection: not by half of it.
            async with session.post("http://host/refuse", data=b"x" * 1_000_000) as response:
                assert response.status == 413
            async with session.post("http://host/", data=b"again") as response:
                assert await response.text() == "POST host again"
            with pytest.raises(plait.ClientConnectorError, match="no TLS on a named pipe"):
                await session.get("https://host/")
            with pytest.raises(plait.ClientConnectionError, match="without a proxy"):
                await session.get("http://host/", proxy="http://localhost:1")
        await runner.cleanup()
        async with plait.ClientSession(connector=plait.NamedPipeConnector(path)) as session:
            with pytest.raises(plait.ClientConnectorError):
                await session.get("http://host/")

    run(main)


def test_a_loop_without_pipes(tmp_path: Path) -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match="proactor event loop"):
            plait.NamedPipeConnector("pipe")
        runner = web.AppRunner(web.Application())
        await runner.setup()
        with pytest.raises(RuntimeError, match="proactor event loop"):
            web.NamedPipeSite(runner, "pipe")
        await runner.cleanup()

    asyncio.run(main())


def test_a_cancelled_connect_leaves_no_pipe_open(tmp_path: Path) -> None:
    path = str(tmp_path / "pipe")

    async def main() -> None:
        runner = web.AppRunner(web.Application(), access_log=None)
        await runner.setup()
        await web.NamedPipeSite(runner, path).start()
        for turns in range(12):
            connector = plait.NamedPipeConnector(path)
            async with plait.ClientSession(connector=connector) as session:
                task = asyncio.ensure_future(session.get("http://host/"))
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                assert connector._places.pool.acquired == 0
        await runner.cleanup()

    run(main)
