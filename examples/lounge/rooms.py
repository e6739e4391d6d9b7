"""Chat over WebSocket: what one says in a room, all hear who are in it, in every worker."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TypeAlias

import plait
from plait import web

from .accounts import NAME, refuse_other_origins
from .bus import Bus, Listener

Socket: TypeAlias = web.WebSocketResponse

BUS = web.AppKey("bus", Bus)

LONGEST_TEXT = 4000


async def talk(request: web.Request) -> web.StreamResponse:
    """``GET /rooms/NAME`` as a WebSocket: text in, JSON messages out."""
    refuse_other_origins(request)
    socket: Socket = web.WebSocketResponse(heartbeat=30, max_msg_size=4 * LONGEST_TEXT)
    await socket.prepare(request)
    bus, room, name = request.app[BUS], request.match_info["room"], request[NAME]
    with bus.listen() as listener:
        for message in bus.history(room):
            await socket.send_json(message)
        hearing = asyncio.create_task(hear(socket, listener, room))
        bus.publish({"kind": "joined", "room": room, "name": name})
        try:
            async for received in socket:
                if received.type is plait.WSMsgType.TEXT and received.data.strip():
                    text = received.data[:LONGEST_TEXT]
                    bus.publish({"kind": "said", "room": room, "name": name, "text": text})
        finally:
            hearing.cancel()
            bus.publish({"kind": "left", "room": room, "name": name})
    return socket


async def hear(socket: Socket, listener: Listener, room: str) -> None:
    """Tell a guest what happens in the room, and when the lounge closes."""
    with suppress(ConnectionError):  # The guest is gone; ``talk`` sees that, too.
        while (message := await listener.get()) is not None:
            if message.get("room") == room:
                await socket.send_json(message)
        await socket.close(code=plait.WSCloseCode.GOING_AWAY, message=b"the lounge closes")
