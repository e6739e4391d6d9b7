"""The system that is simulated: a server with handlers of every kind, and clients of it.

Each operation of a client either sees exactly what it must see, or ends in an error that
its caller can name (``EXPECTED``); anything else is a failure of the simulation.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import plait
from plait import web
from plait_engine import Limits

EXPECTED = (plait.ClientError, asyncio.TimeoutError)
"""What may happen to an operation in bad weather."""

ENDS = (
    plait.WSMsgType.CLOSE,  # of a server that goes away
    plait.WSMsgType.CLOSED,
    plait.WSMsgType.ERROR,
)

Operation = Callable[[plait.ClientSession, random.Random], Awaitable[None]]


def data(size: int, salt: int) -> bytes:
    """Return ``size`` bytes of which no two places look the same for long."""
    return random.Random(salt).randbytes(size)


class Service:
    """The handlers, and what they count."""

    def __init__(self) -> None:
        self.running = 0
        self.received: Counter[str] = Counter()
        """How often each request that must not be repeated came."""

    def make_app(self) -> web.Application:
        app = web.Application(middlewares=[self._count], client_max_size=0)
        app.add_routes(
            [
                web.get("/data", self.data),
                web.get("/endless", self.endless),
                web.get("/slow", self.slow),
                web.get("/broken", self.broken),
                web.get("/nothing", self.nothing),
                web.get("/there", self.there),
                web.post("/here", self.here),
                web.post("/echo", self.echo),
                web.post("/refuse", self.refuse),
                web.get("/websocket", self.websocket),
            ]
        )
        return app

    @web.middleware
    async def _count(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.running += 1
        name = request.headers.get("X-Once")
        if name is not None and request.method == "POST":
            self.received[name] += 1
        try:
            response: web.StreamResponse = await handler(request)
            return response
        finally:
            self.running -= 1

    async def data(self, request: web.Request) -> web.StreamResponse:
        body = data(int(request.query["size"]), int(request.query["salt"]))
        if "pieces" not in request.query:
            return web.Response(body=body)
        response = web.StreamResponse()
        await response.prepare(request)
        step = max(1, len(body) // int(request.query["pieces"]))
        for start in range(0, len(body), step):
            await response.write(body[start : start + step])
            await asyncio.sleep(0.01)
        return response

    async def endless(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"tick\n")
            await asyncio.sleep(0.1)

    async def slow(self, request: web.Request) -> web.Response:
        await asyncio.sleep(float(request.query["seconds"]))
        return web.Response(text="at last")

    async def broken(self, request: web.Request) -> web.Response:
        raise ZeroDivisionError("this handler is broken")

    async def nothing(self, request: web.Request) -> web.Response:
        return web.Response(status=204)

    async def there(self, request: web.Request) -> web.Response:
        return web.Response(text="there")

    async def here(self, request: web.Request) -> web.Response:
        raise web.HTTPSeeOther("/there")

    async def echo(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        async for chunk in request.content.iter_any():
            await response.write(chunk)
        return response

    async def refuse(self, request: web.Request) -> web.Response:
        raise web.HTTPRequestEntityTooLarge(10, 20)

    async def websocket(self, request: web.Request) -> web.WebSocketResponse[Any]:
        ws = web.WebSocketResponse[Any](heartbeat=20.0)
        await ws.prepare(request)
        async for message in ws:
            if message.type is plait.WSMsgType.BINARY:
                await ws.send_bytes(message.data)
            elif message.type is plait.WSMsgType.TEXT:
                await ws.send_str(message.data)
        return ws


def check(response: plait.ClientResponse, status: int = 200) -> None:
    """The answer has this status, unless the server became tired of waiting for the request."""
    if response.status == 408:
        raise plait.ClientError("the server did not get the request in time")
    assert response.status == status, response.status


# -- what clients do --------------------------------------------------------------------


async def get_whole(session: plait.ClientSession, chance: random.Random) -> None:
    size, salt = chance.choice([0, 1, 1000, 70_000, 300_000]), chance.randrange(1000)
    query = {"size": str(size), "salt": str(salt)}
    if chance.random() < 0.5:
        query["pieces"] = str(chance.randint(1, 7))
    async with session.get("/data", params=query) as response:
        check(response)
        assert await response.read() == data(size, salt)


async def get_in_pieces(session: plait.ClientSession, chance: random.Random) -> None:
    query = {"size": "200000", "salt": "7", "pieces": "3"}
    body = bytearray()
    async with session.get("/data", params=query) as response:
        check(response)
        async for chunk in response.content.iter_chunked(chance.choice([100, 4096, 100_000])):
            body += chunk
            if chance.random() < 0.02:
                await asyncio.sleep(chance.random())
    assert body == data(200_000, 7)


async def get_a_part(session: plait.ClientSession, chance: random.Random) -> None:
    """Leave a response before its end: by ``release`` or by ``close``."""
    path = chance.choice(["/endless", "/data?size=400000&salt=3"])
    async with session.get(path) as response:
        check(response)
        assert await response.content.readexactly(1)
        if chance.random() < 0.5:
            response.close()


async def get_nothing(session: plait.ClientSession, chance: random.Random) -> None:
    async with session.get("/nothing") as response:
        check(response, 204)
        assert await response.read() == b""


async def head(session: plait.ClientSession, chance: random.Random) -> None:
    async with session.head("/data?size=5000&salt=1") as response:
        check(response)
        assert await response.read() == b""
        assert response.headers["Content-Length"] == "5000"


async def get_slow(session: plait.ClientSession, chance: random.Random) -> None:
    async with session.get("/slow", params={"seconds": str(chance.random() * 3)}) as response:
        check(response)
        assert await response.text() == "at last"


async def get_broken(session: plait.ClientSession, chance: random.Random) -> None:
    async with session.get("/broken") as response:
        check(response, 500)
        await response.read()


async def redirect(session: plait.ClientSession, chance: random.Random) -> None:
    async with session.post("/here", data=b"x" * 100, headers=once(chance)) as response:
        check(response)
        assert await response.text() == "there"
        assert len(response.history) == 1


async def post_bytes(session: plait.ClientSession, chance: random.Random) -> None:
    body = data(chance.choice([0, 1, 5000, 250_000]), 5)
    async with session.post("/echo", data=body, headers=once(chance)) as response:
        check(response)
        assert await response.read() == body


async def post_stream(session: plait.ClientSession, chance: random.Random) -> None:
    pieces = [data(chance.choice([1, 100, 40_000]), salt) for salt in range(5)]

    async def produce() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece
            await asyncio.sleep(chance.random() * 0.1)

    async with session.post("/echo", data=produce(), headers=once(chance)) as response:
        check(response)
        assert await response.read() == b"".join(pieces)


async def post_unwanted(session: plait.ClientSession, chance: random.Random) -> None:
    """The answer comes before the content is sent; it must not be lost.

    That holds for what a server takes in behind its answer (``Limits.max_drain``).  If there is more,
    it closes the connection, and the reset may overtake the answer (RFC 9112 section 9.6).
    """
    size = chance.choice([100, Limits().max_drain - 60_000])
    async with session.post("/refuse", data=bytes(size), headers=once(chance)) as response:
        check(response, 413)


async def talk(session: plait.ClientSession, chance: random.Random) -> None:
    async with session.ws_connect("/websocket") as ws:
        for number in range(chance.randint(0, 5)):
            body = data(chance.choice([0, 10, 70_000]), number)
            await ws.send_bytes(body)
            message = await ws.receive(timeout=60)
            if message.type in ENDS:
                raise plait.ClientError("the WebSocket ended")
            assert (message.type, message.data) == (plait.WSMsgType.BINARY, body)
            await asyncio.sleep(chance.random())


def once(chance: random.Random) -> dict[str, str]:
    """Return a field that names a request which must reach a handler once at most."""
    return {"X-Once": f"{chance.getrandbits(64):x}"}


OPERATIONS: list[Operation] = [
    get_whole,
    get_in_pieces,
    get_a_part,
    get_nothing,
    head,
    get_slow,
    get_broken,
    redirect,
    post_bytes,
    post_stream,
    post_unwanted,
    talk,
]
