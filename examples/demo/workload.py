"""What the client of the demo does: a table of steps, and how each is done."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import plait
from examples.demo.server import STEP_HEADER

REQUESTS = 1000
MESSAGE = b"plait" * 200
BULK = 100_000_000
CHUNK = bytes(65536)

Advance = Callable[[int], None]
"""Is told of bytes or requests that were done, for the progress display."""


@dataclass(frozen=True)
class Origin:
    """Where the server is, and how to trust it."""

    url: str
    tls_url: str
    ssl_context: ssl.SSLContext


@dataclass
class Outcome:
    """What a step did, as the client counted it."""

    requests: int
    data: int
    seconds: float = 0.0


@dataclass(frozen=True)
class Step:
    """One row of the table.

    ``amount`` is what ``run`` advances by in total.  ``http2`` goes to the connector: left
    alone (``None``) it takes HTTP/2 where the server's ALPN chooses it, and a WebSocket
    takes a stream of an HTTP/2 connection only where one is open; ``True`` insists.
    """

    name: str
    protocol: str
    title: str
    tls: bool
    http2: bool | None
    amount: int
    run: Callable[[plait.ClientSession, str, Advance], Awaitable[Outcome]]

    async def measure(self, origin: Origin, advance: Advance) -> Outcome:
        """Do the step with a session of its own, so that its connections are its own."""
        connector = plait.TCPConnector(ssl=origin.ssl_context, http2=self.http2)
        url = origin.tls_url if self.tls else origin.url
        async with plait.ClientSession(
            connector=connector, headers={STEP_HEADER: self.name}
        ) as session:
            start = time.perf_counter()
            outcome = await self.run(session, url, advance)
            outcome.seconds = time.perf_counter() - start
            return outcome


def requests(at_once: int) -> Callable[[plait.ClientSession, str, Advance], Awaitable[Outcome]]:
    """Return what sends ``REQUESTS`` small requests, ``at_once`` at a time."""

    async def run(session: plait.ClientSession, url: str, advance: Advance) -> Outcome:
        outcome = Outcome(0, 0)

        async def worker() -> None:
            while outcome.requests < REQUESTS:
                outcome.requests += 1
                async with session.get(f"{url}/hello") as response:
                    response.raise_for_status()
                    outcome.data += len(await response.read())
                advance(1)

        await asyncio.gather(*(worker() for _ in range(at_once)))
        return outcome

    return run


async def echo(session: plait.ClientSession, url: str, advance: Advance) -> Outcome:
    """Send ``REQUESTS`` messages over a WebSocket, each after the echo of the one before."""
    async with session.ws_connect(f"{url}/echo") as websocket:
        for _ in range(REQUESTS):
            await websocket.send_bytes(MESSAGE)
            if await websocket.receive_bytes() != MESSAGE:
                raise RuntimeError("the echo is not what was sent")
            advance(1)
    return Outcome(REQUESTS, 2 * REQUESTS * len(MESSAGE))


async def download(session: plait.ClientSession, url: str, advance: Advance) -> Outcome:
    """Read a body of ``BULK`` bytes as it comes."""
    size = 0
    async with session.get(f"{url}/download", params={"size": BULK}) as response:
        response.raise_for_status()
        async for chunk in response.content.iter_any():
            size += len(chunk)
            advance(len(chunk))
    if size != BULK:
        raise RuntimeError(f"{size} of {BULK} bytes came")
    return Outcome(1, size)


async def upload(session: plait.ClientSession, url: str, advance: Advance) -> Outcome:
    """Send a body of ``BULK`` bytes from a generator; the server's pace is ours."""

    async def body() -> AsyncIterator[bytes]:
        for start in range(0, BULK, len(CHUNK)):
            chunk = CHUNK[: BULK - start]
            yield chunk
            advance(len(chunk))

    async with session.post(f"{url}/upload", data=body()) as response:
        response.raise_for_status()
        size: int = (await response.json())["size"]
    if size != BULK:
        raise RuntimeError(f"{size} of {BULK} bytes arrived")
    return Outcome(1, size)


async def echo_bulk(session: plait.ClientSession, url: str, advance: Advance) -> Outcome:
    """Stream ``BULK`` bytes up and down a WebSocket at once, in messages of a chunk."""
    messages = -(-BULK // len(CHUNK))
    async with session.ws_connect(f"{url}/echo", max_msg_size=0) as websocket:

        async def send() -> None:
            for _ in range(messages):
                await websocket.send_bytes(CHUNK)

        sender = asyncio.create_task(send())
        for _ in range(messages):
            if len(await websocket.receive_bytes()) != len(CHUNK):
                raise RuntimeError("the echo is not what was sent")
            advance(len(CHUNK))
        await sender
    return Outcome(messages, 2 * messages * len(CHUNK))


_H1, _H2 = "HTTP/1.1", "HTTP/2"
_WS1, _WS2 = "WebSocket, HTTP/1.1", "WebSocket, HTTP/2"

STEPS = (
    Step("h1", _H1, "10 at a time", False, None, REQUESTS, requests(10)),
    Step("h2", _H2, "100 at a time", True, None, REQUESTS, requests(100)),
    Step("h1-ws", _WS1, "one by one", False, None, REQUESTS, echo),
    Step("h2-ws", _WS2, "one by one", True, True, REQUESTS, echo),
    Step("h1-down", _H1, "100 MB down", False, None, BULK, download),
    Step("h1-up", _H1, "100 MB up", False, None, BULK, upload),
    Step("h2-down", _H2, "100 MB down", True, None, BULK, download),
    Step("h2-up", _H2, "100 MB up", True, None, BULK, upload),
    Step("h1-ws-bulk", _WS1, "100 MB up & down", False, None, BULK, echo_bulk),
    Step("h2-ws-bulk", _WS2, "100 MB up & down", True, True, BULK, echo_bulk),
)
