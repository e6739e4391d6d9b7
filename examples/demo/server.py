"""The server of the demo: ``python -m examples.demo.server CERTIFICATE KEY [PORT TLS_PORT]``.

It prints one line of JSON with its ports when it is ready, and serves until it is told to
stop by SIGINT or SIGTERM.
"""

from __future__ import annotations

import asyncio
import errno
import json
import signal
import ssl
import sys
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

import plait
from plait import web

CHUNK = bytes(65536)
STEP_HEADER = "X-Step"
"""Names the step of the workload that a request belongs to."""

_PAGE = Template(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))


@dataclass
class StepCounts:
    """What the server saw of one step of the workload."""

    requests: int = 0
    protocols: set[str] = field(default_factory=set)
    connections: set[object] = field(default_factory=set)


COUNTS = web.AppKey("counts", defaultdict[str, StepCounts])


def protocol_of(request: web.Request) -> str:
    """Return how people call the version of a request: HTTP/1.1 or HTTP/2."""
    major, minor = request.version
    return f"HTTP/{major}" if major > 1 else f"HTTP/{major}.{minor}"


@web.middleware
async def count(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Note over which protocol and connection each request came."""
    counts = request.app[COUNTS][request.headers.get(STEP_HEADER, "page")]
    counts.requests += 1
    counts.protocols.add(protocol_of(request))
    counts.connections.add(request.get_extra_info("peername"))
    return await handler(request)


routes = web.RouteTableDef()


@routes.get("/")
async def page(request: web.Request) -> web.Response:
    """The page for a browser: it says over which protocol it came."""
    html = _PAGE.substitute(
        protocol=protocol_of(request),
        security="TLS" if request.scheme == "https" else "cleartext",
        version=plait.__version__,
    )
    return web.Response(text=html, content_type="text/html")


@routes.get("/hello")
async def hello(request: web.Request) -> web.Response:
    return web.Response(text="Hello, World!")


@routes.get("/download")
async def download(request: web.Request) -> web.StreamResponse:
    """Stream ``size`` bytes; ``write`` waits whenever the client does not keep up."""
    remaining = int(request.query["size"])
    response = web.StreamResponse()
    response.content_length = remaining
    await response.prepare(request)
    while remaining > 0:
        await response.write(CHUNK[:remaining])
        remaining -= len(CHUNK)
    await response.write_eof()
    return response


@routes.post("/upload")
async def upload(request: web.Request) -> web.Response:
    """Take a body of any size as it comes and say how long it was."""
    size = 0
    async for chunk in request.content.iter_any():
        size += len(chunk)
    return web.json_response({"size": size})


@routes.get("/echo")
async def echo(request: web.Request) -> web.StreamResponse:
    """A WebSocket that sends every message back, over either version of HTTP.

    With ``?greet`` it first says over which protocol it came.
    """
    websocket = web.WebSocketResponse()
    await websocket.prepare(request)
    if "greet" in request.query:
        await websocket.send_json({"protocol": protocol_of(request)})
    async for message in websocket:
        if message.type is plait.WSMsgType.TEXT:
            await websocket.send_str(message.data)
        elif message.type is plait.WSMsgType.BINARY:
            await websocket.send_bytes(message.data)
    return websocket


@routes.get("/counts")
async def counts(request: web.Request) -> web.Response:
    """What the server saw, step by step."""
    return web.json_response(
        {
            step: {
                "requests": seen.requests,
                "protocols": sorted(seen.protocols),
                "connections": len(seen.connections),
            }
            for step, seen in request.app[COUNTS].items()
        }
    )


def make_app() -> web.Application:
    """Return the application of the demo."""
    app = web.Application(middlewares=[count])
    app[COUNTS] = defaultdict(StepCounts)
    app.add_routes(routes)
    return app


async def start(site: web.TCPSite, port: int) -> None:
    """Listen, or end the program with a sentence when somebody else does."""
    try:
        await site.start()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            sys.exit(f"port {port} of 127.0.0.1 is in use")
        raise


async def serve(certificate: str, key: str, port: int = 0, tls_port: int = 0) -> None:
    """Serve the application, cleartext and TLS, until a signal comes."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    runner = web.AppRunner(make_app(), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        await start(web.TCPSite(runner, "127.0.0.1", port), port)
        await start(web.TCPSite(runner, "127.0.0.1", tls_port, ssl_context=context), tls_port)
        ports = [address[1] for address in runner.addresses]
        print(json.dumps({"port": ports[0], "tls_port": ports[1]}), flush=True)
        await stop.wait()
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    _certificate, _key, *_ports = sys.argv[1:]
    asyncio.run(serve(_certificate, _key, *map(int, _ports)))
