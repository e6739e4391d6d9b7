"""A chat room over WebSocket.

    python examples/chat.py serve 8080
    python examples/chat.py join 8080 NAME

What one says, all hear.  The room is a set of WebSockets; some may have come over HTTP/1.1
and others over HTTP/2.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from contextlib import suppress
from typing import TypeAlias

import plait
from plait import web

Guest: TypeAlias = web.WebSocketResponse
ROOM = web.AppKey("room", set[Guest])


async def chat(request: web.Request) -> web.StreamResponse:
    websocket: Guest = web.WebSocketResponse(heartbeat=30)
    await websocket.prepare(request)
    room = request.app[ROOM]
    name = request.query.get("name", "somebody")
    room.add(websocket)
    try:
        await say(room, f"* {name} comes in")
        async for message in websocket:
            if message.type is plait.WSMsgType.TEXT:
                await say(room, f"{name}: {message.data}")
    finally:
        room.discard(websocket)
        await say(room, f"* {name} leaves")
    return websocket


async def say(room: set[Guest], text: str) -> None:
    """Tell everybody; who has just gone does not stop the others from hearing it."""
    await asyncio.gather(*(member.send_str(text) for member in room), return_exceptions=True)


async def close_room(app: web.Application) -> None:
    for member in app[ROOM].copy():
        await member.close(code=plait.WSCloseCode.GOING_AWAY, message=b"the room closes")


def make_app() -> web.Application:
    app = web.Application()
    app[ROOM] = set()
    app.add_routes([web.get("/chat", chat)])
    app.on_shutdown.append(close_room)
    return app


async def join(port: int, name: str) -> None:
    """Print what is said; send what is typed, until standard input or the room ends."""
    url = f"http://127.0.0.1:{port}/chat"
    async with (
        plait.ClientSession() as session,
        session.ws_connect(url, params={"name": name}) as websocket,
    ):
        typing = asyncio.create_task(send_typed(websocket))
        async for message in websocket:
            print(message.data, flush=True)
        if typing.cancel():  # Somebody may still be typing.
            print("* the room is closed", flush=True)


async def send_typed(websocket: plait.ClientWebSocketResponse) -> None:
    """Send the lines of standard input; leave at its end."""
    lines: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    threading.Thread(target=read_lines, args=(loop, lines), daemon=True).start()
    with suppress(ConnectionError):  # The room is gone; ``join`` sees that, too.
        while line := await lines.get():
            await websocket.send_str(line.rstrip("\n"))
        await websocket.close()


def read_lines(loop: asyncio.AbstractEventLoop, lines: asyncio.Queue[str]) -> None:
    """Put each line of standard input into ``lines``, and at its end an empty one."""
    # Unbuffered: a buffer has a lock, which must not be held when the program ends.
    with open(sys.stdin.fileno(), "rb", buffering=0, closefd=False) as stdin:
        for line in stdin:
            loop.call_soon_threadsafe(lines.put_nowait, line.decode())
    loop.call_soon_threadsafe(lines.put_nowait, "")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", port]:
            web.run_app(make_app(), host="127.0.0.1", port=int(port))
        case ["join", port, name]:
            asyncio.run(join(int(port), name))
        case _:
            sys.exit(__doc__)
