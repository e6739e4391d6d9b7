"""The application: what is served where, and what lives as long as it does."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

from plait import web

from . import accounts, events, files, rooms
from .bus import Bus

_PAGES = Path(__file__).with_name("pages")


async def page(request: web.Request) -> web.FileResponse:
    headers = {"Content-Security-Policy": "default-src 'self'", "Cache-Control": "no-cache"}
    return web.FileResponse(_PAGES / "index.html", headers=headers)


async def live(app: web.Application) -> AsyncIterator[None]:
    """Hear the other workers while the application runs."""
    app[rooms.BUS].open()
    yield
    app[rooms.BUS].close()


async def end_streams(app: web.Application) -> None:
    """End what lasts until somebody ends it: WebSockets and event streams."""
    app[rooms.BUS].end()


async def make_app() -> web.Application:
    """Return the application over the folder ``$LOUNGE``."""
    folder = Path(os.environ.get("LOUNGE", "lounge-data"))
    app = web.Application(middlewares=[accounts.know_the_guest])
    app[accounts.ACCOUNTS] = accounts.Accounts(folder)
    app[rooms.BUS] = Bus(folder / "bus")
    app[files.FOLDER] = folder / "files"
    app[files.FOLDER].mkdir(parents=True, exist_ok=True)
    app.cleanup_ctx.append(live)
    app.on_shutdown.append(end_streams)
    app.add_routes(
        [
            web.get("/", page),
            web.static("/static", _PAGES),
            web.post("/login", accounts.log_in),
            web.post("/logout", accounts.log_out),
            web.get("/me", accounts.who_am_i),
            web.get("/rooms/{room}", rooms.talk),
            web.get("/events", events.listen),
            web.get("/files", files.index),
            web.post("/files", files.upload),
            web.get("/files/{id:[0-9a-f]{16}}", files.download),
        ]
    )
    return app
