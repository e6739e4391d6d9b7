"""What the workers of gunicorn serve in ``test_gunicorn.py``."""

from __future__ import annotations

import asyncio
import os
import time

from plait import web

_ENDING = web.AppKey("ending", asyncio.Event)


async def _who(request: web.Request) -> web.Response:
    """Tell which process answered, and what the request was to it."""
    return web.json_response(
        {
            "pid": os.getpid(),
            "version": f"{request.version.major}.{request.version.minor}",
            "scheme": request.scheme,
            "loop": type(asyncio.get_running_loop()).__module__.partition(".")[0],
        }
    )


async def _until_the_end(request: web.Request) -> web.StreamResponse:
    """Begin an answer, and complete it when the worker shuts down."""
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(f"{os.getpid()}\n".encode())
    await request.app[_ENDING].wait()
    await response.write(b"complete\n")
    return response


async def _block(request: web.Request) -> web.Response:
    """Do what a handler must not do."""
    time.sleep(60)  # noqa: ASYNC251
    return web.Response()


async def _echo(request: web.Request) -> web.WebSocketResponse:
    websocket = web.WebSocketResponse()
    await websocket.prepare(request)
    async for message in websocket:
        await websocket.send_str(f"{os.getpid()} {message.data}")
    return websocket


async def _receive(request: web.Request) -> web.Response:
    return web.Response(text=str(len(await request.read())))


async def _on_startup(app: web.Application) -> None:
    app[_ENDING] = asyncio.Event()


async def _on_shutdown(app: web.Application) -> None:
    app[_ENDING].set()


def _make() -> web.Application:
    app = web.Application(client_max_size=0)
    app.add_routes(
        [
            web.get("/", _who),
            web.get("/until-the-end", _until_the_end),
            web.get("/block", _block),
            web.get("/echo", _echo),
            web.post("/receive", _receive),
        ]
    )
    app.on_startup.append(_on_startup)
    app.on_shutdown.append(_on_shutdown)
    return app


async def make_app() -> web.Application:
    """The application, from a factory."""
    return _make()


async def make_runner() -> web.AppRunner:
    """A runner with options of its own."""
    return web.AppRunner(_make(), http2=False)


async def fail() -> web.Application:
    """A factory that cannot make an application."""
    raise RuntimeError("no database")


def wsgi_app(environ: object, start_response: object) -> list[bytes]:
    """An application of another kind."""
    return []


app = _make()
