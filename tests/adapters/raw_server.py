"""A server whose every byte the test decides, for the client's tests."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias


class RawConnection:
    """One accepted connection; ``number`` counts from 1."""

    def __init__(
        self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.number = number
        self.reader = reader
        self.writer = writer

    async def read_head(self) -> bytes:
        """Return a request's head with its empty line; ``b""`` at the end of the input."""
        try:
            return await self.reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            return error.partial

    async def read(self, size: int) -> bytes:
        return await self.reader.readexactly(size)

    async def read_to_end(self) -> bytes:
        try:
            return await self.reader.read()
        except ConnectionError:
            return b""

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def send_pieces(self, pieces: list[bytes]) -> None:
        """Send pieces that arrive apart: the client's loop turns in between."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0)

    def close(self) -> None:
        self.writer.close()

    def abort(self) -> None:
        self.writer.transport.abort()


Script: TypeAlias = Callable[[RawConnection], Awaitable[None]]


class RawServer:
    """Where the scripts run."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._tasks: set[asyncio.Task[None]] = set()
        self._errors: list[BaseException] = []
        self.connections = 0
        self.port = 0
        self.scheme = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://localhost:{self.port}/"

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._script(RawConnection(self.connections, reader, writer))
        except (asyncio.CancelledError, ConnectionError):
            pass
        except BaseException as error:
            self._errors.append(error)
        finally:
            writer.close()
            self._tasks.discard(task)

    async def finish(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._errors:
            raise self._errors[0]


@asynccontextmanager
async def raw_server(
    script: Script, context: ssl.SSLContext | None = None
) -> AsyncIterator[RawServer]:
    """Run ``script`` for each connection; what fails in it fails the test."""
    served = RawServer(script)
    server = await asyncio.start_server(served.accept, "127.0.0.1", 0, ssl=context)
    served.port = server.sockets[0].getsockname()[1]
    served.scheme = "http" if context is None else "https"
    try:
        yield served
    finally:
        server.close()
        await served.finish()


def always(answer: bytes) -> Script:
    """Answer every request without a body by ``answer``."""

    async def script(connection: RawConnection) -> None:
        while await connection.read_head():
            connection.send(answer)

    return script


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
