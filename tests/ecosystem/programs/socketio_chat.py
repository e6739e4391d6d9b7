"""python-socketio: a chat over long polling, then over a WebSocket, with rooms and answers."""

from __future__ import annotations

import asyncio

import socketio
from aiohttp import web
from aiohttp.test_utils import TestClient
from program import run


def make_app() -> web.Application:
    server = socketio.AsyncServer(
        async_mode="aiohttp", ping_interval=0.3, ping_timeout=0.3, cors_allowed_origins="*"
    )
    app = web.Application()
    server.attach(app)

    async def version(request: web.Request) -> web.Response:
        return web.Response()

    @server.event
    async def connect(sid: str, environ: dict[str, object], auth: dict[str, str]) -> bool:
        async with server.session(sid) as session:
            session["user"] = auth["user"]
        return auth["user"] != "mallory"

    @server.event
    async def join(sid: str, room: str) -> str:
        await server.enter_room(sid, room)
        return f"joined {room}"

    @server.event
    async def say(sid: str, room: str, data: object) -> None:
        async with server.session(sid) as session:
            await server.emit("said", (session["user"], data), room=room, skip_sid=sid)

    app.router.add_get("/version", version)
    return app


class Chatter:
    """A client in a room, and what it heard."""

    def __init__(self) -> None:
        self.client = socketio.AsyncClient(reconnection=False)
        self.heard: asyncio.Queue[tuple[object, object]] = asyncio.Queue()
        self.client.on("said", self._on_said)

    async def _on_said(self, user: str, data: object) -> None:
        await self.heard.put((user, data))

    async def connect(self, url: str, user: str, transports: list[str]) -> None:
        await self.client.connect(url, auth={"user": user}, transports=transports)

    async def call(self, event: str, data: object) -> object:
        return await self.client.call(event, data, timeout=20)


async def check(client: TestClient) -> None:
    url = str(client.make_url("/"))
    for transports in (["polling"], ["websocket"], ["polling", "websocket"]):
        ann, bob = Chatter(), Chatter()
        await ann.connect(url, "ann", transports)
        await bob.connect(url, "bob", transports)
        for chatter in (ann, bob):
            assert await chatter.call("join", "tea") == "joined tea"
        await ann.client.emit("say", ("tea", "hello"))
        assert await asyncio.wait_for(bob.heard.get(), 20) == ("ann", "hello")
        await bob.client.emit("say", ("tea", b"\x00\xff" * 5_000))
        assert await asyncio.wait_for(ann.heard.get(), 20) == ("bob", b"\x00\xff" * 5_000)
        assert ann.client.transport() == transports[-1]
        for chatter in (ann, bob):
            await chatter.client.disconnect()
    mallory = Chatter()
    try:
        await mallory.connect(url, "mallory", ["polling"])
    except socketio.exceptions.ConnectionError:
        pass
    else:
        raise AssertionError("mallory was let in")


run(make_app, check)
