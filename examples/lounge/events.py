"""Server-sent events: what happens in the lounge, for as long as somebody listens.

The format is that of the HTML standard, section 9.2: ``event:`` and ``data:`` lines, an empty
line behind each event.  A comment now and then keeps proxies from taking silence for the end.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress

from plait import web

from .rooms import BUS

SILENCE = 15.0
"""Seconds after which a comment is sent."""


async def listen(request: web.Request) -> web.StreamResponse:
    """``GET /events``: uploads and their progress, and in which rooms somebody speaks."""
    response = web.StreamResponse(
        headers={
            "Content-Type": "text/event-stream",
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",  # nginx passes on what comes at once.
        }
    )
    await response.prepare(request)
    await response.write(b"retry: 1000\n: welcome\n\n")
    with suppress(ConnectionError), request.app[BUS].listen() as listener:
        while True:
            try:
                message = await asyncio.wait_for(listener.get(), SILENCE)
            except TimeoutError:
                await response.write(b": still here\n\n")
                continue
            if message is None:
                break
            data = json.dumps(message)
            await response.write(f"event: {message['kind']}\ndata: {data}\n\n".encode())
    return response
